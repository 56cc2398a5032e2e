/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a document of kind Codec: the steps in their order, its name, the codec's properties. */
#include "file.h"

#include <errno.h>

/* Ranges of ids begin at its multiples (mt_codec.h). */
#define CF_ID_STEP 4096u

/* Words of port names that mean something else, besides the codecs of this build. */
static const char *const reserved[] = {"tcp", "udp", "http", "http1", "http2", "https", "h2c", "ws",
	"wss", "websocket", "grpc", "grpc-web", "tls", "redis", "mysql", "mongo", "thrift", "dubbo",
	"metaprotocol", "opaque"};

static bool good_name(const char *s)
{
	if (strlen(s) > 63 || *s < 'a' || *s > 'z')
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_'))
			return false;
	return true;
}

static bool check_name(struct cf_build *b, const char *name, uint32_t line)
{
	bool taken = false;

	b->name = name;
	if (!good_name(b->name)) {
		cf_error(b, "metadata.name", line,
			"use lower-case letters, digits and _, up to 63, with a letter first",
			"\"%.64s\" cannot be a word of a port name", b->name);
		return false;
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(reserved); i++)
		taken |= strcmp(reserved[i], b->name) == 0;
	if (!taken && !mt_codec_find(b->name))
		return true;
	cf_error(b, "metadata.name", line, "choose another name",
		"\"%.64s\" is a protocol that Meltemi knows already", b->name);
	return false;
}

static bool read_name(struct cf_build *b, const struct mt_ynode *root)
{
	const struct mt_ynode *n = mt_yaml_get(mt_yaml_get(root, "metadata"), "name");

	if (n && n->type == MT_Y_SCALAR && *n->text)
		return check_name(b, n->text, n->line);
	cf_error(b, "metadata.name", root->line, "add it", "the codec has no name");
	return false;
}

/* Checks apiVersion and kind. Returns the spec. */
static const struct mt_ynode *read_head(struct cf_build *b, const struct mt_ynode *root)
{
	const struct mt_ynode *version = mt_yaml_get(root, "apiVersion"),
			      *kind = mt_yaml_get(root, "kind"), *spec = mt_yaml_get(root, "spec");

	if (!version || version->type != MT_Y_SCALAR || strcmp(version->text, "meltemi.io/v1") != 0)
		cf_error(b, "apiVersion", root->line, "write apiVersion: meltemi.io/v1",
			"not a document of Meltemi");
	if (!kind || kind->type != MT_Y_SCALAR || strcmp(kind->text, "Codec") != 0)
		cf_error(b, "kind", root->line, "write kind: Codec", "not a codec");
	if (!spec)
		cf_error(b, "spec", root->line, "add it", "the codec is not described");
	return cf_failed(b) ? NULL : spec;
}

static bool choose_variants(struct cf_build *b)
{
	struct cf_variant *s = b->spec;

	b->variants = s;
	b->n_variants = 1;
	if (!s->variants)
		return true;
	if (s->places || s->n_frames || s->n_messages || s->match.first) {
		cf_error(b, "spec.variants", s->origin.line,
			"move places, frame, messages and match into a variant",
			"each variant describes its own messages");
		return false;
	}
	if (s->n_variants > CF_VARIANTS) {
		cf_error(
			b, "spec.variants", s->origin.line, "write 8 at most", "too many variants");
		return false;
	}
	b->variants = s->variants;
	b->n_variants = s->n_variants;
	return true;
}

/* ---- the codec ----------------------------------------------------------------------------- */

/* The highest number of a place that has one size, at most 2^63 - 1. */
static uint64_t highest(const struct cf_place *p)
{
	uint64_t v = 1;

	if (p->number == MT_CT_DECIMAL) {
		for (uint32_t i = 0; i < MT_MIN(p->size.v, 18u); i++)
			v *= 10;
		return v - 1;
	}
	return p->size.v < 8 ? (1ull << (8 * p->size.v - (p->is_signed.v != 0))) - 1 : INT64_MAX;
}

/*
 * The least highest id if there are one-way calls: nine digits, or four bytes. The end of a one-way
 * call is unknown, so its id must not be used again soon: the server may answer it late, with an
 * error for example, and another call with this id would get the answer.
 */
#define CF_ID_ONEWAY 999999999u

static bool has_oneway_id(const struct cf_variant *v)
{
	if (!(cf_kinds_from(v, MT_DIR_DOWN) >> MT_MSG_ONEWAY & 1))
		return false;
	for (uint32_t i = 0; i < v->n_ids; i++)
		if (!v->ids[i].kinds.bits || v->ids[i].kinds.bits >> MT_MSG_ONEWAY & 1)
			return true;
	return false;
}

/* All variants take ids from one range. */
static bool check_oneway(struct cf_build *b, uint64_t highest_id, const struct cf_ref *narrow)
{
	bool oneway = false;

	for (uint32_t i = 0; i < b->n_variants; i++)
		oneway |= has_oneway_id(&b->variants[i]);
	if (!oneway || highest_id >= CF_ID_ONEWAY)
		return true;
	cf_error(b, narrow ? narrow->path : "spec.id", narrow ? narrow->line : 0,
		"write \"calls: serial\"",
		"with one-way calls, ids that clients share need four bytes or nine digits");
	return false;
}

/* Ids that Meltemi may choose: of one width, so that no message changes its length twice. */
static bool id_range(struct cf_build *b, struct mt_codec *c)
{
	uint64_t min = CF_ID_STEP, max = INT64_MAX;
	const struct cf_ref *narrow = NULL;

	for (uint32_t i = 0; i < b->n_variants; i++)
		for (uint32_t k = 0; k < b->variants[i].n_ids; k++) {
			const struct cf_ref *r = &b->variants[i].ids[k].place;
			uint64_t most = r->place->how == CF_FIXED ? highest(r->place) : INT32_MAX;

			if (most <= max)
				narrow = r;
			max = MT_MIN(max, most);
			/* Five bytes as a varint, four in JCE, ten digits. */
			if (r->place->how != CF_FIXED)
				min = 1u << 30;
		}
	if (!check_oneway(b, max, narrow))
		return false;
	if (max + 1 >= min + CF_ID_STEP) {
		c->id_min = min;
		c->id_max = (max + 1) / CF_ID_STEP * CF_ID_STEP - 1;
		return true;
	}
	cf_error(b, narrow ? narrow->path : "spec.id", narrow ? narrow->line : 0,
		"write \"calls: serial\"",
		"the id has too few values to be shared by clients, or fewer than the ids of "
		"other messages");
	return false;
}

/* Longest pause between heartbeats. */
#define IDLE_MS 60000u

/* halfClose: both, client, server, none. By default a FIN is only the end of one direction. */
static void connections(const struct cf_connections *from, struct mt_codec *c)
{
	uint32_t closes = from->half_close.v;

	c->whole_close = closes == 1 || closes == 3;
	c->client_whole_close = closes == 2 || closes == 3;
	c->heartbeat_s = (from->idle.set ? from->idle.v : IDLE_MS) / 1000;
}

/* The list, NULL-terminated, or NULL. */
static const char *const *list(struct cf_build *b, const struct mt_text *l, uint32_t n)
{
	const char **to = n ? mt_region_alloc(b->region, (n + 1) * sizeof(*to)) : NULL;

	for (uint32_t i = 0; to && i < n; i++)
		to[i] = mt_region_strdup(b->region, l[i].s);
	return to;
}

static bool properties(struct cf_build *b, struct mt_codec_table *t)
{
	struct mt_codec *c = &t->codec;

	c->name = mt_region_strdup(b->region, b->name);
	c->aeraki_name = mt_region_printf(b->region, "aeraki.meta_protocol.codec.%s", b->name);
	c->version = 1;
	c->correlation = c->correlation_mux = b->spec->calls.v == 0 ? MT_CORR_SAFE : MT_CORR_SERIAL;
	c->max_message = b->max_message;
	c->first_counts = b->spec->repeated.v == 1;
	c->executes_other = b->spec->executes.v == 0;
	c->executed_keys = list(b, b->spec->executed, b->spec->n_executed);
	connections(&b->spec->connections, c);
	/* Without a name, no key. */
	c->method_key.id = c->deadline_key.id = -1;
	if (b->spec->calls.v == 0 && !id_range(b, c))
		return false;
	for (uint32_t i = 0; i < b->n_keys; i++) {
		if (b->spec->service.s && strcmp(b->spec->service.s, b->keys[i]) == 0)
			c->service_key = b->keys[i];
		if (b->spec->method.s && strcmp(b->spec->method.s, b->keys[i]) == 0)
			c->method_key = (struct mt_key){.name = b->keys[i],
				.len = (uint16_t)strlen(b->keys[i]),
				.id = (int16_t)i,
				.hash = mt_key_hash(
					(const uint8_t *)b->keys[i], (uint32_t)strlen(b->keys[i]))};
	}
	c->leading_keys = b->n_keys ? UINT32_MAX >> (32 - b->n_keys) : 0;
	return true;
}

static struct mt_codec_table *assemble(struct cf_build *b, const uint16_t entry[2])
{
	const char **keys = mt_region_alloc(b->region, sizeof(b->keys));
	struct mt_codec_table *t = mt_region_alloc(b->region, sizeof(*t));

	if (!t || !keys)
		return NULL;
	*t = (struct mt_codec_table){.ops = b->ops,
		.places = b->places,
		.walks = b->walks,
		.targets = b->targets,
		.sums = b->sums,
		.names = b->names,
		.metas = b->metas,
		.searches = b->searches,
		.parts = b->parts,
		.saves = b->saves,
		.templates = b->templates,
		.n_parts = b->n_parts,
		.n_saves = b->n_saves,
		.n_templates = b->n_templates,
		.text = (const uint8_t *)(b->text ? b->text : ""),
		.n_ops = b->n_ops,
		.n_places = b->n_places,
		.n_walks = b->n_walks,
		.n_targets = b->n_targets,
		.n_sums = b->n_sums,
		.n_names = b->n_names,
		.n_metas = b->n_metas,
		.n_searches = b->n_searches,
		.n_text = b->n_text,
		.n_keys = b->n_keys,
		.entry = {entry[0], entry[1]}};
	memcpy(keys, b->keys, sizeof(b->keys));
	t->codec.keys = keys;
	return properties(b, t) ? t : NULL;
}

/* A table that the interpreter could not run within its bounds is a mistake of the document. */
static bool accept(struct cf_build *b, struct mt_codec_table *t)
{
	const char *why = "";

	for (uint32_t dir = 0; dir < 2; dir++) {
		struct mt_ct_cost c = mt_codec_table_cost(t, (enum mt_dir)dir);

		if (c.steps <= MT_CT_STEPS && c.per_byte <= MT_CT_STEPS_BYTE)
			continue;
		cf_error(b, "spec", b->spec->origin.line,
			"use fewer conditions, and search fewer containers",
			"a message of a %s costs up to %u steps and %u for each byte; %u "
			"and %u are allowed",
			dir == MT_DIR_DOWN ? "client" : "server", c.steps, c.per_byte, MT_CT_STEPS,
			MT_CT_STEPS_BYTE);
		return false;
	}
	if (mt_codec_table_check(t, &why))
		return true;
	cf_error(b, "spec", b->spec->origin.line, "describe it in another way",
		"it cannot be compiled: %s", why);
	return false;
}

/* The named codec of a spec. */
static const struct mt_codec_table *build(struct cf_build *b, const struct mt_ynode *spec)
{
	struct mt_codec_table *t;
	uint16_t entry[2] = {0, 0};

	if (!cf_read_spec(b->c, spec, b->spec) || !choose_variants(b) || !cf_resolve(b))
		return NULL;
	cf_refuse(b);
	if (cf_failed(b))
		return NULL;
	cf_programs(b, entry);
	t = cf_failed(b) ? NULL : assemble(b, entry);
	if (!t || !accept(b, t) || cf_failed(b))
		return NULL;
	mt_codec_table_finish(t);
	cf_run_samples(b, t);
	if (!cf_failed(b))
		cf_prove(b, t);
	return cf_failed(b) ? NULL : t;
}

/* A document, or an object of a configuration. */
struct subject {
	const char *file;
	const struct mt_ynode *root;	    /* NULL: an object */
	const struct mt_codec_document *of; /* the object */
};

static const struct mt_codec_table *build_subject(struct cf_build *b, const struct subject *s)
{
	const struct mt_ynode *spec;

	if (!s->root)
		return check_name(b, s->of->meta.name, s->of->meta.origin.line)
			       ? build(b, s->of->spec)
			       : NULL;
	spec = read_head(b, s->root);
	return spec && read_name(b, s->root) ? build(b, spec) : NULL;
}

static const struct mt_codec_table *compile(struct mt_region *region, struct mt_diags *diags,
	const struct subject *subject, struct mt_codecfile_view *view)
{
	const struct mt_codec_table *t = NULL;
	struct mt_model *model = calloc(1, sizeof(*model));
	struct mt_fctx *c = calloc(1, sizeof(*c));
	struct cf_build *b = calloc(1, sizeof(*b));

	if (model && c && b) {
		mt_region_init(&model->region, 0);
		*c = (struct mt_fctx){.model = model, .diags = diags, .file = subject->file};
		if (subject->of) {
			c->serial = subject->of->meta.serial;
			c->ns = subject->of->meta.ns;
		}
		b->c = c;
		b->region = region;
		b->errors = diags->errors;
		b->spec = mt_region_alloc(&model->region, sizeof(*b->spec));
		t = b->spec ? build_subject(b, subject) : NULL;
		if (t && view)
			cf_view(b, view);
		mt_region_fini(&model->region);
	}
	free(b);
	free(c);
	free(model);
	return t;
}

const struct mt_codec_table *mt_codecfile_object(
	struct mt_region *region, struct mt_diags *diags, const struct mt_codec_document *d)
{
	const struct subject s = {.file = d->meta.origin.file, .of = d};

	return compile(region, diags, &s, NULL);
}

struct reading {
	struct mt_codecfile_view *view; /* or NULL */
	struct mt_region *region;
	struct mt_diags *diags;
	const char *file;
	const struct mt_codec_table *table;
	uint32_t n;
};

static void document(void *arg, const struct mt_ynode *root)
{
	struct reading *r = arg;

	if (r->n++ == 0)
		r->table = compile(r->region, r->diags,
			&(struct subject){.file = r->file, .root = root}, r->view);
}

const struct mt_codec_table *mt_codecfile_read(struct mt_region *region, struct mt_diags *diags,
	const char *file, const char *text, size_t len, struct mt_codecfile_view *view)
{
	struct reading r = {.region = region, .diags = diags, .file = file, .view = view};
	uint32_t errors = diags->errors;
	struct mt_region tree;

	mt_region_init(&tree, 0);
	if (mt_yaml_parse(&tree, diags, file, text, len, document, &r))
		r.table = NULL;
	if (r.n != 1 && diags->errors == errors)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){file, 1}, NULL,
			"write one document of kind Codec", "%u documents", r.n);
	mt_region_fini(&tree);
	return diags->errors == errors ? r.table : NULL;
}

const struct mt_codec_table *mt_codecfile_text(struct mt_region *region, struct mt_diags *diags,
	const char *file, const char *text, size_t len)
{
	return mt_codecfile_read(region, diags, file, text, len, NULL);
}
