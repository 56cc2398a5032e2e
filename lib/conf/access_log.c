/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log: outputs of the MeshConfig and of proxies from discovery services, in directories
 * that the Node permits. As in Istio, file providers that defaultProviders names are used in place
 * of accessLogFile, and Telemetry chooses among all providers (telemetry.c). An output that cannot
 * be used gives a warning and costs nothing else. If its format cannot be read, the output goes on
 * as it is in the current snapshot.
 *
 * Each provider of the MeshConfig is an output of its own, as in Istio, or several with different
 * filters. Outputs have keys. Those of proxies are hashes of path and format as the resources have
 * them, so that proxies with the same log share an output. The scope of a service has the keys of
 * its logs.
 */
#include "mt_alog_filter.h"
#include "mt_conf_log_priv.h"
#include "mt_idmap.h"
#include "mt_secret_hash.h"

#include <errno.h>
#include <strings.h>

/* ---- places --------------------------------------------------------------------------------- */

static int find_place(
	struct mt_build *b, const char *path, struct mt_alog_place *place, struct mt_err *e)
{
	const struct mt_node *node = b->model->node;
	const struct mt_node_access_log *l = node ? node->access_log : NULL;
	uint32_t n = l ? l->n_directories : 0;
	const char **directories = n ? mt_region_alloc(&b->tmp, n * sizeof(*directories)) : NULL;

	if (n && !directories)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		directories[i] = l->directories[i].s;
	return mt_alog_place_of(path, directories, n, place, e);
}

/* Of 2^32 calls, those that leave no line by an override, or the Node's accessLog.sample. */
static uint64_t skips_of(const struct mt_build *b)
{
	const struct mt_node *node = b->model->node;
	const struct mt_node_access_log *l = node ? node->access_log : NULL;

	uint32_t sample = l && l->sample.set ? (uint32_t)l->sample.v : MT_LOG_SAMPLE_ALL;

	return mt_conf_log_skips(mt_overrides_log_sample(&b->conf->overrides, sample));
}

/* False: it has been reported, or memory is short. */
static bool use_place(struct mt_build *b, const struct mt_log_about *a, const char *path,
	struct mt_alog_place *place)
{
	struct mt_err e;
	int rc = find_place(b, path, place, &e);

	if (rc == -ENOMEM)
		b->tmp.failed = true;
	else if (rc)
		mt_b_warn(b, a->meta, a->path_line, a->path_field,
			"name a file in one of these directories, or add its directory to "
			"spec.accessLog.directories of the Node",
			"no access log is written: %s", e.text);
	return !rc;
}

/* ---- formats -------------------------------------------------------------------------------- */

/* The output of this name in the current snapshot; NULL: there is none. */
static const struct mt_access_output *last_good(const struct mt_build *b, const char *document)
{
	const struct mt_snapshot *s = mt_conf_current(b->conf);

	for (uint32_t i = 0; s && s->log && i < s->log->n_outputs; i++)
		if (strcmp(s->log->outputs[i].document, document) == 0)
			return &s->log->outputs[i];
	return NULL;
}

/* Operators that never have a value here. */
static void note_operators(
	struct mt_build *b, const struct mt_log_about *a, const struct mt_alog_format *f)
{
	const char *words;

	for (uint32_t i = 0; (words = mt_alog_note(f, i)) != NULL; i++)
		mt_b_note(b, a->meta, a->line, a->field, NULL, "%s", words);
}

bool mt_b_log_format(struct mt_build *b, const struct mt_log_about *a, struct mt_alog_spec *spec)
{
	struct mt_err e;
	struct mt_alog_format *f = mt_alog_compile(spec, &e);
	const struct mt_access_output *last;

	if (f) {
		note_operators(b, a, f);
		mt_alog_format_free(f);
		return true;
	}
	last = last_good(b, a->document);
	mt_b_warn(b, a->meta, a->line, a->field, "use operators of Envoy's format strings",
		"%s: %s", last ? "the last good format is used" : "no access log is written",
		e.text);
	if (last)
		*spec = last->spec;
	return last != NULL;
}

/*
 * Sets the filter of an output. One that cannot be used is replaced by that of the output in the
 * current snapshot. False: it has none there. Both have been reported.
 */
static bool use_filter(struct mt_build *b, struct mt_log_about *a)
{
	const struct mt_log_use *use = a->use;
	const struct mt_access_output *last;
	struct mt_alog_filter *f;
	struct mt_err e;

	a->filter = use ? use->filter : a->log ? a->log->filter : NULL;
	if (!a->filter)
		return true;
	f = mt_alog_filter_new(a->filter, &e);
	mt_alog_filter_free(f);
	if (f)
		return true;
	last = last_good(b, a->document);
	a->filter = last ? last->filter : NULL;
	mt_b_warn(b, use ? use->meta : a->meta, use ? use->filter_line : a->line,
		use ? "spec.accessLogging[].filter.expression" : a->field, "correct the expression",
		"%s: %s",
		a->filter ? "the last good expression is used" : "no access log is written",
		e.text);
	return a->filter != NULL;
}

/* ---- outputs -------------------------------------------------------------------------------- */

static struct mt_access_log *log_of(struct mt_build *b)
{
	if (!b->snap->pub.log)
		b->snap->pub.log = mt_region_alloc(&b->snap->region, sizeof(*b->snap->pub.log));
	return (struct mt_access_log *)(uintptr_t)b->snap->pub.log;
}

struct mt_access_output *mt_b_log_keep(struct mt_build *b, const struct mt_log_about *a,
	const struct mt_alog_place *place, const struct mt_alog_spec *spec)
{
	struct mt_region *r = &b->snap->region;
	struct mt_access_log *log = log_of(b);
	struct mt_access_output *o =
		log ? mt_region_push(r, (void **)&log->outputs, &log->n_outputs, sizeof(*o)) : NULL;

	if (!o)
		return NULL;
	o->place.fd = place->fd;
	if (place->path) {
		o->place.path = mt_region_strdup(r, place->path);
		o->place.directory = mt_region_strdup(r, place->directory);
	}
	o->spec = *spec;
	if (spec->text)
		o->spec.text = mt_region_strdup(r, spec->text);
	o->document = mt_region_strdup(r, a->document);
	o->field = mt_region_strdup(r, a->path_field);
	o->key = a->key;
	o->general = a->general;
	o->unserved = a->unserved;
	b->snap->pub.logged |= !a->spans;
	b->snap->pub.log_skips = skips_of(b);
	b->snap->pub.log_general |= a->general;
	b->snap->pub.log_unserved |= a->unserved;
	if (a->filter)
		o->filter = mt_region_strdup(r, a->filter);
	if (a->log)
		o->draw = (struct mt_alog_draw){a->log->skips, a->log->own_draw};
	o->origin.file = mt_region_strdup(r, a->meta->origin.file);
	o->origin.line = a->path_line;
	return o;
}

static bool is_full(struct mt_build *b, const struct mt_log_about *a)
{
	const struct mt_access_log *log = b->snap->pub.log;

	if (!log || log->n_outputs < MT_ALOG_OUTPUTS)
		return false;
	mt_b_warn(b, a->meta, a->path_line, a->path_field, "use fewer providers and logs",
		"%s: a node has at most %d outputs",
		a->spans ? "no spans are sent" : "no access log is written", MT_ALOG_OUTPUTS);
	return true;
}

bool mt_b_log_may_be(struct mt_build *b, struct mt_log_about *a)
{
	return a->document && !is_full(b, a) && use_filter(b, a);
}

static void add_output(
	struct mt_build *b, struct mt_log_about *a, const char *path, struct mt_alog_spec *spec)
{
	struct mt_alog_place place;

	if (!mt_b_log_may_be(b, a) || !use_place(b, a, path, &place))
		return;
	if (mt_b_log_format(b, a, spec))
		(void)mt_b_log_keep(b, a, &place, spec);
	mt_alog_place_fini(&place);
}

static struct mt_alog_spec spec_of(const char *text, bool json, bool omit_empty)
{
	return (struct mt_alog_spec){
		.text = text,
		.len = text ? strlen(text) : 0,
		.encoding = json ? MT_ALOG_JSON : MT_ALOG_TEXT,
		.omit_empty = omit_empty,
	};
}

/* ---- the MeshConfig ------------------------------------------------------------------------- */

/* Outputs of the MeshConfig while they are made. */
struct mesh_logs {
	struct mt_build *b;
	const struct mt_mesh_config *c; /* without a name: there is none */
	struct mt_idmap keys;		/* of outputs, also refused ones */
	bool general;
};

static const struct mt_mesh_config *config_of(const struct mt_build *b)
{
	static const struct mt_mesh_config none;

	return b->model->mesh.config ? b->model->mesh.config : &none;
}

/* An output's name: "MeshConfig NAME: WHAT", or of Telemetry without a MeshConfig. */
static char *document_of(const struct mesh_logs *l, const struct mt_log_use *use, const char *what)
{
	const char *kind = l->c->meta.name ? "MeshConfig" : use->meta->kind;
	const char *name = l->c->meta.name ? l->c->meta.name : use->meta->name;

	if (!use->filter)
		return mt_region_printf(&l->b->tmp, "%s %s: %s", kind, name, what);
	return mt_region_printf(&l->b->tmp, "%s %s: %s, filtered by %s %s/%s", kind, name, what,
		use->meta->kind, use->meta->ns, use->meta->name);
}

/* accessLogFile, or `envoy`: lines of accessLogFormat and accessLogEncoding. */
static void add_mesh_output(struct mesh_logs *l, const struct mt_log_use *use)
{
	const struct mt_text *format = &l->c->access_log_format;
	bool envoy = *use->provider, telemetry = envoy && use->meta != &l->c->meta;
	const char *field = !envoy	? "accessLogFile"
			    : telemetry ? "spec.accessLogging"
					: "defaultProviders.accessLogging";
	uint32_t line = envoy ? use->line : l->c->access_log.line;
	struct mt_log_about a = {
		.meta = telemetry && !format->s ? use->meta : &l->c->meta,
		.document = document_of(l, use, telemetry ? "provider envoy" : field),
		.path_field = field,
		.path_line = telemetry && format->s ? format->line : line,
		.field = "accessLogFormat",
		.line = format->s ? format->line : line,
		.general = l->general,
		.unserved = l->general,
		.key = use->key,
		.use = use,
	};
	struct mt_alog_spec spec = spec_of(format->s, l->c->access_log_json.v, false);

	add_output(l->b, &a, envoy ? "/dev/stdout" : l->c->access_log.s, &spec);
}

static void add_file(
	struct mesh_logs *l, const struct mt_log_use *use, const struct mt_ext_provider *p)
{
	const struct mt_file_log *file = p->file;
	const struct mt_text *format =
		file->format.labels.s ? &file->format.labels : &file->format.text;
	bool json = format == &file->format.labels;
	bool empty = json && strcmp(format->s, "{}") == 0;
	struct mt_log_about a = {
		.meta = &l->c->meta,
		.document =
			document_of(l, use, mt_region_printf(&l->b->tmp, "provider %s", p->name.s)),
		.path_field = "extensionProviders[].envoyFileAccessLog.path",
		.path_line = file->path.s ? file->path.line : file->origin.line,
		.field = json ? "extensionProviders[].envoyFileAccessLog.logFormat.labels"
			      : "extensionProviders[].envoyFileAccessLog.logFormat.text",
		.line = format->s ? format->line : file->origin.line,
		.general = l->general,
		.unserved = l->general,
		.key = use->key,
		.use = use,
	};
	struct mt_alog_spec spec = spec_of(empty ? NULL : format->s, json, file->omit_empty.v);

	add_output(l->b, &a, file->path.s ? file->path.s : "/dev/stdout", &spec);
}

static void add_provider(
	struct mesh_logs *l, const struct mt_log_use *use, const struct mt_ext_provider *p)
{
	struct mt_log_about a = {
		.meta = &l->c->meta,
		.general = l->general,
		.unserved = l->general,
		.key = use->key,
		.use = use,
	};

	if (p->file) {
		add_file(l, use, p);
		return;
	}
	a.document = document_of(l, use, mt_region_printf(&l->b->tmp, "provider %s", p->name.s));
	mt_b_log_collector(l->b, &a, p);
}

const struct mt_ext_provider *mt_b_ext_provider(const struct mt_build *b, const char *name)
{
	const struct mt_mesh_config *c = config_of(b);

	for (uint32_t i = 0; i < c->n_providers; i++)
		if (c->providers[i].name.s && strcasecmp(c->providers[i].name.s, name) == 0)
			return &c->providers[i];
	return NULL;
}

static void add_use(struct mesh_logs *l, const struct mt_log_use *use)
{
	const struct mt_ext_provider *p =
		*use->provider ? mt_b_ext_provider(l->b, use->provider) : NULL;

	if (mt_idmap_get(&l->keys, use->key))
		return;
	if (mt_idmap_put(&l->keys, use->key, l))
		l->b->tmp.failed = true;
	if (p)
		add_provider(l, use, p);
	else
		add_mesh_output(l, use);
}

static void add_set(struct mesh_logs *l, const struct mt_log_set *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		add_use(l, &set->v[i]);
}

/* ---- default providers ---------------------------------------------------------------------- */

/* Istio has a provider `envoy` of its own. */
static bool is_envoy(const char *name)
{
	return strcasecmp(name, "envoy") == 0;
}

bool mt_b_log_provider(struct mt_build *b, const struct mt_meta *meta, const struct mt_text *name,
	const char *field)
{
	const struct mt_ext_provider *p = mt_b_ext_provider(b, name->s);

	if (p ? p->file || mt_log_net_of(p) : is_envoy(name->s))
		return true;
	if (meta)
		mt_b_warn(b, meta, name->line, field,
			"name a provider with envoyFileAccessLog, envoyHttpAls, envoyTcpAls or "
			"envoyOtelAls, or `envoy`",
			p ? "%.128s gets no line: it is not of a type that is written"
			  : "no provider is called %.128s: it gets no line",
			name->s);
	return false;
}

static bool is_repeated(const struct mt_default_providers *d, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (strcasecmp(d->logs[i].s, d->logs[at].s) == 0)
			return true;
	return false;
}

/* defaultProviders; without one that can be used, accessLogFile. NULL: no memory. */
static const struct mt_log_set *defaults_of(struct mt_build *b, const struct mt_mesh_config *c)
{
	const struct mt_default_providers *d = c->defaults;
	struct mt_log_use use = {.meta = &c->meta};
	struct mt_log_set *set = mt_region_alloc(&b->tmp, sizeof(*set));

	for (uint32_t i = 0; set && d && i < d->n_logs; i++) {
		const struct mt_text *name = &d->logs[i];

		if (is_repeated(d, i) ||
			!mt_b_log_provider(b, &c->meta, name, "defaultProviders.accessLogging"))
			continue;
		use.provider = mt_b_lower(b, name->s);
		use.line = name->line;
		if (use.provider)
			(void)mt_log_set_add(b, set, &use);
	}
	use.provider = "";
	use.line = c->access_log.line;
	if (set && !set->n && c->access_log.s && *c->access_log.s)
		(void)mt_log_set_add(b, set, &use);
	return set;
}

/* ---- Telemetry ------------------------------------------------------------------------------ */

static bool uses(const struct mt_log_set *set, const char *name)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (strcasecmp(set->v[i].provider, name) == 0)
			return true;
	return false;
}

static void note_unused(struct mt_build *b, const struct mt_mesh_config *c)
{
	for (uint32_t i = 0; i < c->n_providers; i++) {
		const struct mt_ext_provider *p = &c->providers[i];
		bool used = p->name.s && uses(b->logs->general, p->name.s);

		for (uint32_t k = 0; p->name.s && k < b->logs->n; k++)
			used |= uses(b->logs->v[k], p->name.s);
		if ((p->file || mt_log_net_of(p)) && p->name.s && !used)
			mt_b_note(b, &c->meta, p->origin.line, "extensionProviders[]",
				"name it in defaultProviders.accessLogging or in a Telemetry",
				"not used: neither defaultProviders.accessLogging nor a Telemetry "
				"names %.128s",
				p->name.s);
	}
}

/* The general outputs come first, so that a limit costs the others. */
static void add_mesh(struct mt_build *b)
{
	struct mesh_logs l = {.b = b, .c = config_of(b), .general = true};
	const struct mt_log_set *defaults = defaults_of(b, l.c);

	b->logs = defaults ? mt_b_log_sets(b, defaults) : NULL;
	if (!b->logs)
		return;
	add_set(&l, b->logs->general);
	l.general = false;
	for (uint32_t i = 0; i < b->logs->n; i++)
		add_set(&l, b->logs->v[i]);
	mt_idmap_fini(&l.keys);
	note_unused(b, l.c);
}

/* ---- discovery services --------------------------------------------------------------------- */

static struct mt_alog_spec spec_of_chain(const struct mt_chain_log *l)
{
	return spec_of(l->format.s ? l->format.s : mt_alog_envoy_format, l->json, l->omit_empty);
}

static uint64_t key_of(const struct mt_chain_log *l)
{
	struct mt_alog_spec spec = spec_of_chain(l);
	const uint64_t settings[] = {spec.encoding, spec.omit_empty, l->skips, l->own_draw};
	uint64_t h = mt_secret_hash(settings, sizeof(settings), l->filter != NULL);

	if (l->filter)
		h = mt_secret_hash_text(l->filter, h);
	return mt_secret_hash_text(spec.text, mt_secret_hash_text(l->path.s, h));
}

static bool has_key(const struct mt_alog_scope *s, uint64_t key)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->keys[i] == key)
			return true;
	return false;
}

/* Keys of a proxy's logs in their order. A log that the proxy has twice has two keys: two lines. */
static struct mt_alog_scope *keys_of(struct mt_region *r, const struct mt_chain_logs *l)
{
	struct mt_alog_scope *s = mt_region_alloc(r, sizeof(*s) + l->n * sizeof(s->keys[0]));

	for (uint32_t i = 0; s && i < l->n; i++) {
		uint64_t key = key_of(&l->v[i]);

		while (!key || has_key(s, key))
			key = mt_secret_hash(NULL, 0, key + 1);
		s->keys[s->n++] = key;
	}
	return s;
}

static const struct mt_chain_logs *logs_of(const struct mt_res_chain *c)
{
	return c->proxy ? &c->proxy->logs : &c->logs;
}

const struct mt_alog_scope *mt_b_chain_logs(struct mt_region *r, const struct mt_res_chain *c)
{
	const struct mt_chain_logs *l = logs_of(c);

	return l->v ? keys_of(r, l) : NULL;
}

const struct mt_alog_scope *mt_b_refused_logs(struct mt_region *r, const struct mt_res_listener *l)
{
	return l->logs.n ? keys_of(r, &l->logs) : NULL;
}

/* Outputs of proxies, also refused ones: many proxies may have the same log. */
struct discovered {
	struct mt_build *b;
	struct mt_idmap keys;
	bool unserved; /* they get calls without a service, because the MeshConfig has no log */
};

static void add_chain_log(struct discovered *d, const struct mt_meta *meta,
	const struct mt_chain_log *l, uint64_t key)
{
	struct mt_build *b = d->b;
	struct mt_alog_spec spec = spec_of_chain(l);
	struct mt_log_about a = {
		.meta = meta,
		.path_field = l->field,
		.path_line = meta->origin.line,
		.field = l->field,
		.line = meta->origin.line,
		.unserved = d->unserved,
		.key = key,
		.log = l,
	};

	if (mt_idmap_get(&d->keys, key))
		return;
	if (mt_idmap_put(&d->keys, key, d))
		b->tmp.failed = true;
	a.document = mt_region_printf(&b->tmp, "%s %s: %s", meta->kind, meta->name, l->field);
	add_output(b, &a, l->path.s, &spec);
}

static void add_logs(
	struct discovered *d, const struct mt_meta *meta, const struct mt_chain_logs *l)
{
	const struct mt_alog_scope *s = l->n ? keys_of(&d->b->tmp, l) : NULL;

	for (uint32_t i = 0; s && i < s->n; i++)
		add_chain_log(d, meta, &l->v[i], s->keys[i]);
}

/* False if Telemetry turned the logs of the MeshConfig off for calls without a service, too. */
static bool may_be_unserved(const struct mt_build *b)
{
	const struct mt_log_sets *s = b->logs;

	return !b->snap->pub.log_general && s && (s->general->n || !s->defaults->n);
}

static void add_discovered(struct mt_build *b)
{
	const struct mt_objs *listeners = &b->model->res_listeners;
	const struct mt_objs *extensions = &b->model->res_extensions;
	struct discovered d = {.b = b, .unserved = may_be_unserved(b)};

	for (uint32_t i = 0; i < listeners->n; i++) {
		const struct mt_res_listener *l = listeners->v[i];

		for (uint32_t k = 0; k < l->n_chains; k++)
			add_logs(&d, &l->meta, logs_of(&l->chains[k]));
		if (l->fallback)
			add_logs(&d, &l->meta, logs_of(l->fallback));
	}
	for (uint32_t i = 0; i < extensions->n; i++) {
		const struct mt_res_extension *e = extensions->v[i];

		add_logs(&d, &e->meta, logs_of(&e->chain));
	}
	/* An output that only listeners have gets no calls. */
	d.unserved = false;
	for (uint32_t i = 0; i < listeners->n; i++) {
		const struct mt_res_listener *l = listeners->v[i];

		add_logs(&d, &l->meta, &l->logs);
	}
	mt_idmap_fini(&d.keys);
}

void mt_b_access_log(struct mt_build *b)
{
	add_mesh(b);
	add_discovered(b);
}
