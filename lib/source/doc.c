/* SPDX-License-Identifier: Apache-2.0 */
/* Reads documents: identity and metadata of an object, its spec, and Lists. */
#include "mt_fields.h"
#include "mt_files.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The limit of API servers (RFC 1123). */
#define NAME_MAX_LEN 253u

struct doc_meta {
	struct mt_origin origin;
	struct mt_text name, ns;
	struct mt_labels labels, annotations;
};

/* Other functions here read it, of objects with errors as well. */
static void read_elsewhere(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
}

static const struct mt_field metadata_fields[] = {
	{"name", MT_F_TEXT, AT(struct doc_meta, name), .required = true,
		.help = "the document's name, unique within its kind and namespace"},
	{"namespace", MT_F_TEXT, AT(struct doc_meta, ns),
		.help = "the object's namespace; default: that of its source, else `default`"},
	{"labels", MT_F_LABELS, AT(struct doc_meta, labels), .length = MT_LABEL_TEXT,
		.help = "labels that selectors match; a WorkloadEntry also has those of its spec, "
			"and these win if both have a name; `meltemi.io/drain: \"true\"` "
			"(WorkloadEntry, endpoint, Pod) "
			"[drains](../how-to/drain-and-restart.md#drain-an-endpoint) it"},
	{"annotations", MT_F_LABELS, AT(struct doc_meta, annotations),
		.help = "read are `interface` or `service` (a ServiceEntry's service key on a "
			"shared port), `meltemi.io/forwarding` (ServiceEntry, Service: ports that "
			"are [forwarded](../how-to/layer-4.md)), `meltemi.io/health-check` (the "
			"same: how "
			"their endpoints are [checked](../how-to/layer-4.md#health-checks)), "
			"`networking.istio.io/exportTo` (Service), "
			"`sidecar.istio.io/status` and `ambient.istio.io/redirection` (Pod), "
			"`proxy.istio.io/health-checks-enabled` (WorkloadEntry), "
			"`meltemi.io/vhost-user`, `meltemi.io/mac`, `meltemi.io/addresses`, "
			"`meltemi.io/limits` and `meltemi.io/node` (WorkloadEntry: a "
			"[virtual machine]"
			"(../how-to/guests.md#guests-without-a-port-of-their-own), checked, "
			"without effect yet), "
			"`istio.io/dry-run` (AuthorizationPolicy)"},
	/* Fields of documents that were exported from an API server. */
	{"creationTimestamp", MT_F_CUSTOM, .custom = read_elsewhere,
		.help = "the age of the object: of two for one purpose the older is used; not "
			"written, or before 1970: the oldest, but after others at an address"},
	{"resourceVersion", MT_F_SKIP,
		.help = "set by an API server; addresses of such a document may be outdated, with "
			"a warning"},
	{"managedFields", MT_F_SKIP,
		.help = "set by an API server; its last time is part of that warning"},
	{"uid", MT_F_SKIP, .help = "set by an API server"},
	{"generation", MT_F_SKIP, .help = "set by an API server"},
	{"selfLink", MT_F_SKIP, .help = "set by an API server"},
	{"deletionTimestamp", MT_F_CUSTOM, .custom = read_elsewhere,
		.help = "set by an API server: an endpoint (Pod, WorkloadEntry) drains"},
	{"deletionGracePeriodSeconds", MT_F_SKIP, .help = "set by an API server"},
	{"ownerReferences", MT_F_SKIP, .help = "for an API server"},
	{"finalizers", MT_F_SKIP, .help = "for an API server"},
	{"generateName", MT_F_SKIP, .help = "for an API server; write `name`"},
};

const struct mt_section mt_sec_metadata = {"document's metadata", sizeof(struct doc_meta),
	MT_ARRAY_LEN(metadata_fields), .fields = metadata_fields};

uint64_t mt_object_serial(void)
{
	static uint64_t last;

	return ++last;
}

/* ---- identity -------------------------------------------------------------------------------- */

/* A text of the document, which may have errors elsewhere; NULL: none, or an empty one. */
static const char *text_at(const struct mt_ynode *root, const char *section, const char *name)
{
	const struct mt_ynode *n = section ? mt_yaml_get(root, section) : root;

	n = mt_yaml_get(n, name);
	return n && n->type == MT_Y_SCALAR && !mt_is_empty(n) ? n->text : NULL;
}

/*
 * Parses RFC 3339 in UTC, as API servers write it. Anything else, and a time before 1970, is 0, the
 * oldest.
 */
static int64_t created_at(const struct mt_ynode *root)
{
	const char *text = text_at(root, "metadata", "creationTimestamp");
	struct tm tm = {0};
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;

	return end && strcmp(end, "Z") == 0 ? MT_MAX((int64_t)timegm(&tm), 0) : 0;
}

const char *mt_place_namespace(const struct mt_source_place *p, const struct mt_kind *k)
{
	if (k && k->cluster)
		return "";
	return p->ns ? p->ns : "default";
}

const char *mt_place_only(const struct mt_source_place *p, struct mt_region *r)
{
	return p->only ? mt_region_strdup(r, p->only) : NULL;
}

/* True for kinds without namespaces, and for the Node. */
static bool is_of_no_namespace(const struct mt_kind *k)
{
	return k && (k->cluster || (k->list == 0 && k->spec));
}

bool mt_place_excludes(const struct mt_source_place *p, const struct mt_kind *k, const char *ns)
{
	const char *at = p->only;
	size_t len = strlen(ns), n;

	if (!at || is_of_no_namespace(k))
		return at != NULL;
	for (; *at; at += n + strspn(at + n, ", ")) {
		n = strcspn(at, ",");
		if (n == len && memcmp(at, ns, n) == 0)
			return false;
	}
	return true;
}

static struct mt_object *begin_object(struct mt_fctx *c, const struct mt_ynode *root)
{
	struct mt_object *o = mt_region_alloc(&c->model->region, sizeof(*o));
	const char *version = text_at(root, NULL, "apiVersion"), *s;
	const char *slash = version ? strrchr(version, '/') : NULL;
	const struct mt_kind *kind;

	if (!o)
		return NULL;
	*o = (struct mt_object){.source = mt_region_strdup(&c->model->region, c->place->source),
		.only = mt_place_only(c->place, &c->model->region),
		.group = "",
		.origin = {c->file, root->line},
		.serial = mt_object_serial(),
		.created = created_at(root),
		.root = root,
		.part = c->model};
	if (slash)
		o->group = mt_region_strndup(&c->model->region, version, (size_t)(slash - version));
	s = text_at(root, NULL, "kind");
	o->kind = s ? s : "";
	kind = o->group ? mt_kind_find(o->group, o->kind) : NULL;
	s = text_at(root, "metadata", "name");
	o->name = s ? s : "";
	s = text_at(root, "metadata", "namespace");
	if (s) {
		o->ns = s;
	} else {
		/* Copy it, because the place does not live as long as the object. */
		s = mt_place_namespace(c->place, kind);
		o->ns = *o->kind || *o->group ? mt_region_strdup(&c->model->region, s) : "";
		o->ns_unwritten = !c->place->ns;
	}
	c->serial = o->serial;
	c->ns = o->ns;
	if (!mt_document_hash(c, kind, root, &o->hash))
		c->model->region.failed = true;
	return o->group && o->source && o->ns ? o : NULL;
}

/* ---- kind ------------------------------------------------------------------------------------ */

static void unknown_kind(struct mt_fctx *c, const struct mt_ynode *root, const char *word)
{
	struct mt_suggest near = {.word = word};
	char remedy[128];

	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		mt_suggest_offer(&near, k->kind);
	if (near.best)
		snprintf(remedy, sizeof(remedy), "did you mean %s?", near.best);
	else
		snprintf(remedy, sizeof(remedy), "docs/reference/configuration.md lists the kinds");
	mt_path_push(c, "kind");
	mt_f_error(c, mt_yaml_get(root, "kind")->line, remedy, "unknown kind \"%.64s\"", word);
	mt_path_pop(c, 0);
}

/* True if the name is similar to that of a known kind, but not equal. */
static bool is_nearly_ours(const char *kind)
{
	struct mt_suggest near = {.word = kind};

	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		mt_suggest_offer(&near, k->kind);
	return near.best && strcmp(near.best, kind) != 0;
}

/* True for a kind of Kubernetes' core that is one edit from one that is used here. */
static bool is_nearly_core(const struct mt_object *o)
{
	if (*o->group)
		return false;
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (!*k->group && mt_edit_distance(o->kind, k->kind, 2) == 1)
			return true;
	return mt_edit_distance(o->kind, "List", 2) == 1;
}

static void wrong_version(struct mt_fctx *c, const struct mt_ynode *root, const struct mt_kind *k)
{
	const struct mt_ynode *n = mt_yaml_get(root, "apiVersion");
	char remedy[128];

	snprintf(remedy, sizeof(remedy), "write apiVersion: %s%s%s", k->group, *k->group ? "/" : "",
		k->versions[0]);
	mt_path_push(c, "apiVersion");
	if (!n || mt_is_empty(n))
		mt_f_error(c, root->line, remedy, "the document has no apiVersion");
	else if (mt_want_scalar(c, n, "a word"))
		mt_f_error(c, n->line, remedy, "\"%.64s\" is not an API version of %s", n->text,
			k->kind);
	mt_path_pop(c, 0);
}

/* True if the document's version is one that the tables describe. */
static bool has_version(const struct mt_ynode *root, const struct mt_kind *k)
{
	const char *text = text_at(root, NULL, "apiVersion");
	const char *slash = text ? strrchr(text, '/') : NULL;

	for (const char *const *v = k->versions; text && *v; v++)
		if (strcmp(*v, slash ? slash + 1 : text) == 0)
			return true;
	return false;
}

static bool is_ignored(struct mt_object *o, const char *why)
{
	o->status = MT_OBJECT_IGNORED;
	o->why = why;
	return false;
}

/* True if an item of the list looks like an object: it has apiVersion and kind. */
static bool lists_objects(const struct mt_ynode *list)
{
	for (const struct mt_ynode *n = list->first; n; n = n->next)
		if (text_at(n, NULL, "apiVersion") && text_at(n, NULL, "kind"))
			return true;
	return false;
}

/*
 * Warns of a document that was probably meant to be read. Lists of other things, such as the JSON
 * patches of kustomize, belong to other software.
 */
static void warn_of_no_map(struct mt_fctx *c, const struct mt_ynode *root)
{
	if (root->type == MT_Y_SEQ && lists_objects(root))
		mt_f_warn(c, root->line, "write them as documents separated by --- or as a List",
			"a list of objects is not read");
	else if (root->type == MT_Y_SCALAR && !mt_yaml_is_null(root))
		mt_f_warn(c, root->line, "write an object with apiVersion and kind, or delete it",
			"a document of a single value is not read");
}

/*
 * True if the object is of kind *k and its fields can be read. Otherwise it reports an error or
 * sets a status with a reason.
 */
static bool classify(struct mt_fctx *c, const struct mt_ynode *root, struct mt_object *o,
	const struct mt_kind **k)
{
	if (root->type != MT_Y_MAP) {
		warn_of_no_map(c, root);
		return is_ignored(o, "no object: it is not a map of fields");
	}
	if (!*o->kind && !mt_group_is_known(o->group, strlen(o->group)))
		return is_ignored(o, "not an object of a mesh: it has no kind");
	if (!*o->kind) {
		mt_f_error(c, root->line, "each document needs apiVersion and kind",
			"the document has no kind");
		return false;
	}
	*k = mt_kind_find(o->group, o->kind);
	if (!*k && strcmp(o->kind, "List") == 0 && !*o->group) {
		mt_f_error(c, root->line, "write its objects below items",
			"a List without items has no objects");
		return false;
	}
	if (!*k && (mt_group_is_known(o->group, strlen(o->group)) || is_nearly_core(o) ||
			   (!text_at(root, NULL, "apiVersion") && is_nearly_ours(o->kind)))) {
		*k = mt_kind_near(o->group, o->kind);
		if (*k && *o->group && strcmp((*k)->kind, o->kind) == 0)
			wrong_version(c, root, *k);
		else
			unknown_kind(c, root, o->kind);
		return false;
	}
	if (*k && (*k)->is_ours && !(*k)->is_ours(root))
		return is_ignored(o, (*k)->note);
	if (*k && has_version(root, *k))
		return true;
	*k = *k ? *k : mt_kind_of_mistyped(o->group, o->kind);
	if (!*k)
		return is_ignored(o, "a kind that Meltemi does not use");
	wrong_version(c, root, *k);
	return false;
}

/* ---- content --------------------------------------------------------------------------------- */

/* Other code reads these fields; this table serves only to find misspelled ones. */
static const struct mt_field document_fields[] = {
	{"apiVersion", .type = MT_F_SKIP},
	{"kind", .type = MT_F_SKIP},
	{"metadata", .type = MT_F_SKIP},
	{"spec", .type = MT_F_SKIP},
	{"status", .type = MT_F_SKIP},
};

static const struct mt_section document_section = {"document", sizeof(struct mt_origin),
	MT_ARRAY_LEN(document_fields), .fields = document_fields};

/*
 * Time of the last change that an exported document records, or else of its creation; NULL if it
 * was not exported from an API server. Times are texts in UTC, which sort by time.
 */
static const char *as_of(const struct mt_ynode *root)
{
	const struct mt_ynode *meta = mt_yaml_get(root, "metadata");
	const struct mt_ynode *fields = mt_yaml_get(meta, "managedFields");
	const char *at = text_at(root, "metadata", "creationTimestamp");

	if (!text_at(root, "metadata", "resourceVersion"))
		return NULL;
	at = at ? at : "an unknown time";
	for (const struct mt_ynode *n = fields && fields->type == MT_Y_SEQ ? fields->first : NULL;
		n; n = n->next) {
		const struct mt_ynode *time = mt_yaml_get(n, "time");

		if (time && time->type == MT_Y_SCALAR && (*at == 'a' || strcmp(time->text, at) > 0))
			at = time->text;
	}
	return at;
}

static void read_meta(struct mt_fctx *c, const struct mt_object *o, struct mt_meta *meta)
{
	const struct mt_ynode *n = mt_yaml_get(o->root, "metadata");
	struct doc_meta m = {0};

	*meta = (struct mt_meta){.origin = o->origin,
		.serial = o->serial,
		.kind = o->kind,
		.ns = o->ns,
		.ns_unwritten = o->ns_unwritten,
		.ends = text_at(o->root, "metadata", "deletionTimestamp") != NULL,
		.as_of = as_of(o->root)};
	if (!n || mt_yaml_is_null(n)) {
		mt_f_error(c, o->root->line, "add metadata: {name: ...}",
			"the document has no metadata");
		return;
	}
	mt_path_push(c, "metadata");
	mt_section_read(c, &mt_sec_metadata, n, &m);
	mt_path_pop(c, 0);
	meta->name = m.name.s;
	if (strlen(o->name) > NAME_MAX_LEN || strlen(o->ns) > NAME_MAX_LEN)
		mt_f_error(c, n->line, "shorten it", "%s is longer than %u characters",
			strlen(o->name) > NAME_MAX_LEN ? "metadata.name" : "metadata.namespace",
			NAME_MAX_LEN);
	meta->labels = m.labels;
	meta->annotations = m.annotations;
}

static void store(struct mt_fctx *c, const struct mt_kind *k, struct mt_object *o, void *obj)
{
	struct mt_model *m = c->model;

	o->is_node = k->list == 0;
	if (k->list)
		mt_model_add(m, (struct mt_objs *)((uint8_t *)m + k->list), obj);
	else
		m->node = obj;
}

/* Reads metadata and spec. The object enters the model only if it has no errors. */
static void read_spec(struct mt_fctx *c, const struct mt_kind *k, struct mt_object *o)
{
	const struct mt_ynode empty = {.type = MT_Y_MAP, .line = o->root->line};
	const struct mt_ynode *spec = mt_yaml_get(o->root, "spec");
	uint32_t errors = c->diags->errors;
	uint8_t *obj = mt_region_alloc(&c->model->region, k->size);
	struct mt_meta meta;

	if (!obj)
		return;
	read_meta(c, o, &meta);
	if (k->bare && (!spec || mt_yaml_is_null(spec)))
		spec = &empty;
	if (k->kubernetes) {
		mt_section_read(c, k->spec, o->root, obj + k->spec_at);
	} else if (!spec || mt_yaml_is_null(spec)) {
		mt_f_error(c, o->root->line, "add spec:", "the document has no spec");
		return;
	} else {
		struct mt_ignored ignored = {0};

		mt_path_push(c, "spec");
		c->ignored = &ignored;
		mt_section_read(c, k->spec, spec, obj + k->spec_at);
		c->ignored = NULL;
		mt_path_pop(c, 0);
		mt_ignored_tell(c, &ignored);
		if (k->status && mt_yaml_get(o->root, "status"))
			k->status(c, mt_yaml_get(o->root, "status"), obj);
	}
	/* Last, because a spec at the start of the struct has written its own origin there. */
	*(struct mt_meta *)obj = meta;
	if (k->complete)
		k->complete(c, obj);
	if (c->diags->errors == errors)
		store(c, k, o, obj);
}

static void read_known(struct mt_fctx *c, const struct mt_kind *k, struct mt_object *o)
{
	uint32_t errors = c->diags->errors;
	struct mt_origin ignored = {0};
	struct mt_meta meta;

	o->may_restrict = k->restricts != NULL;
	if (k->restricts)
		o->restricts = k->restricts(
			mt_yaml_get(o->root, "metadata"), mt_yaml_get(o->root, "spec"));
	if (!k->kubernetes)
		mt_section_read(c, &document_section, o->root, &ignored);
	/* A misspelled field may be the spec, so assume that it restricts. */
	if (k->restricts && !o->restricts && c->diags->errors != errors)
		o->restricts = MT_RESTRICTS_CALLS;
	if (k->spec) {
		read_spec(c, k, o);
		return;
	}
	read_meta(c, o, &meta);
	o->status = o->restricts ? MT_OBJECT_FAIL_CLOSED : MT_OBJECT_NO_EFFECT;
	o->why = k->note;
}

/* The Node names this file, so it gets a kind of its own, which no document can have. */
void mt_mesh_config_read(void *arg, const struct mt_ynode *root)
{
	struct mt_fctx *c = arg;
	uint32_t errors = c->diags->errors;
	struct mt_object *o = begin_object(c, root);
	struct mt_mesh_config *config = mt_region_alloc(&c->model->region, sizeof(*config));

	c->documents++;
	if (!o || !config)
		return;
	o->group = "mesh.istio.io";
	o->kind = "MeshConfig";
	o->name = "mesh";
	o->ns = "";
	mt_path_pop(c, 0);
	mt_section_read(c, &mt_sec_mesh_config, root, config);
	config->meta = (struct mt_meta){.origin = o->origin,
		.serial = o->serial,
		.kind = o->kind,
		.name = "mesh",
		.ns = ""};
	if (c->diags->errors != errors)
		o->status = MT_OBJECT_REFUSED;
	else
		mt_model_add(c->model, &c->model->mesh_configs, config);
	(void)mt_objects_add(c->objects, o);
}

/* Reports an object that its source may not have. */
static void exclude(struct mt_fctx *c, const struct mt_object *o, const struct mt_kind *k)
{
	const struct mt_ynode *n = mt_yaml_get(o->root, "metadata");
	bool written = text_at(o->root, "metadata", "namespace") != NULL;

	if (is_of_no_namespace(k)) {
		n = mt_yaml_get(o->root, "kind");
		mt_path_push(c, "kind");
		mt_f_error(c, n->line,
			"write it to a directory of the Node's spec.sources without namespaces",
			"a kind without namespaces; this source may have objects of these "
			"namespaces only: %s",
			c->place->only);
	} else {
		n = written ? mt_yaml_get(n, "namespace") : o->root;
		mt_path_push(c, "metadata");
		mt_path_push(c, "namespace");
		mt_f_error(c, n->line,
			"write one of them; an operator may add others to the Node's "
			"spec.sources[].namespaces",
			"%s\"%.64s\" is not among the namespaces of this source: %s",
			written ? "" : "is not written, and ", o->ns, c->place->only);
	}
	mt_path_pop(c, 0);
}

static void read_object(struct mt_fctx *c, const struct mt_ynode *root)
{
	uint32_t errors = c->diags->errors;
	struct mt_object *o = begin_object(c, root);
	const struct mt_kind *k = NULL;

	if (!o)
		return;
	mt_path_pop(c, 0);
	if (classify(c, root, o, &k)) {
		if (c->place->codecs && k->spec != &mt_sec_codec)
			mt_f_error(c, root->line, "move it to a directory of spec.sources",
				"only documents of kind Codec are read from spec.codecs");
		else if (mt_place_excludes(c->place, k, o->ns))
			exclude(c, o, k);
		else
			read_known(c, k, o);
	} else if (k && c->diags->errors != errors &&
		   (!c->place->codecs || k->spec == &mt_sec_codec) &&
		   !mt_place_excludes(c->place, k, o->ns)) {
		/* Of a wrong kind or API version: it is the object that is meant, with a mistake. */
		o->group = k->group;
		o->kind = k->kind;
		if (k->cluster && !text_at(root, "metadata", "namespace"))
			o->ns = "";
		o->may_restrict = k->restricts != NULL;
		if (k->restricts)
			o->restricts = k->restricts(
				mt_yaml_get(root, "metadata"), mt_yaml_get(root, "spec"));
	}
	if (c->diags->errors != errors) {
		o->status = MT_OBJECT_REFUSED;
		o->outside = mt_place_excludes(c->place, k, o->ns);
		o->is_node = !o->outside && k && k->list == 0 && k->spec;
	}
	(void)mt_objects_add(c->objects, o);
}

/* ---- documents and lists --------------------------------------------------------------------- */

/* The items of a List, as `kubectl get -o yaml` prints it; each is an object. NULL: not a List. */
static const struct mt_ynode *items_of(const struct mt_ynode *root)
{
	const char *kind = text_at(root, NULL, "kind");
	const struct mt_ynode *items = mt_yaml_get(root, "items");
	size_t len = kind ? strlen(kind) : 0;

	if (len < 4 || strcmp(kind + len - 4, "List") != 0 || !items)
		return NULL;
	return items->type == MT_Y_SEQ || mt_yaml_is_null(items) ? items : NULL;
}

/* Reads an item of a List into a part of its own, which keeps the tree of the List alive. */
static void read_item(struct mt_fctx *c, const struct mt_ynode *item, struct mt_model *tree)
{
	struct mt_model *part = mt_model_new();

	if (!part)
		return;
	part->region.first = MT_PART_FIRST;
	part->region.limit = tree->region.limit;
	if (mt_model_share(part, tree) == 0) {
		c->model = part;
		read_object(c, item);
		c->model = tree;
	}
	tree->region.failed |= part->region.failed;
	mt_model_free(part);
}

void mt_document_read(void *arg, const struct mt_ynode *root)
{
	struct mt_fctx *c = arg;
	const struct mt_ynode *items = items_of(root);

	c->documents++;
	c->second = c->filled == c->model;
	c->filled = c->model;
	if (c->second)
		return;
	if (!items) {
		read_object(c, root);
		return;
	}
	for (const struct mt_ynode *n = items->first; n && !c->too_many; n = n->next) {
		c->too_many = c->objects->n >= c->most;
		if (!c->too_many)
			read_item(c, n, c->model);
	}
}
