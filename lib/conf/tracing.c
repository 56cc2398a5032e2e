/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracing of calls: `tracing` of Telemetry, with the providers of the MeshConfig. As in istiod each
 * field is that of the nearest object that sets it (telemetry_levels.c), and of an object that of
 * its last section. Without a section the first of defaultProviders.tracing is used, otherwise the
 * collector of defaultConfig.tracing. Without a provider calls are not traced.
 *
 * Each provider that is used is an output of spans. It is made with the first service that needs
 * it, because its collector is one of the mesh's services. If the collector cannot be reached,
 * calls are not traced: servers would have spans without a parent.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_telemetry_priv.h"

#include "mt_call_tracing.h"
#include "mt_grpc_tls.h"
#include "mt_secret_hash.h"
#include "mt_tracing_export.h"

#include <string.h>
#include <strings.h>

#define MODE_SERVER 2	/* of mt_telemetry_match.mode */
#define SAMPLING    100 /* Istio's: 1 % */
#define LONGEST	    256
#define FIELD	    "spec.tracing"
#define OTEL	    "extensionProviders[].opentelemetry"
#define ZIPKIN	    "extensionProviders[].zipkin"
#define ADDRESS	    "defaultConfig.tracing.zipkin.address"
#define SPANS	    "/api/v2/spans"
#define SHORT_TRACE 8 /* bytes of a trace id of 64 bits */
#define SEED	    5 /* keys of outputs of lines have others */

/* Settings of the calls of a namespace or gateway. */
struct traced {
	bool on;
	uint64_t key; /* 0: no spans are sent */
	struct mt_tracing_rule rule;
	struct mt_span_tags tags;
	bool istio_tags;
	uint64_t hash;
};

/* Fields of sections, while they are merged. */
struct merged {
	const struct mt_text *provider; /* NULL: none is named */
	const char *field;
	const struct mt_meta *by;  /* that names it */
	const struct mt_meta *any; /* an object with a section; NULL: none */
	uint32_t line;		   /* of a section */
	struct mt_num sampling, no_spans, no_context, istio_tags;
	const struct mt_custom_tags *tags; /* NULL: none */
	const struct mt_meta *tags_by;
};

/* ---- sections ------------------------------------------------------------------------------- */

/* All calls are those of clients here: other sections are as if they were not written. */
static bool is_of_clients(const struct mt_telemetry_trace *s)
{
	return s->match.mode.v != MODE_SERVER;
}

static bool has_sections(const struct mt_proxy_setting *t)
{
	for (uint32_t i = 0; i < t->n_traces; i++)
		if (is_of_clients(&t->traces[i]))
			return true;
	return false;
}

static void set(struct mt_num *to, const struct mt_num *from)
{
	if (from->set)
		*to = *from;
}

static void apply(
	struct merged *m, const struct mt_proxy_setting *t, const struct mt_telemetry_trace *s)
{
	m->any = &t->meta;
	m->line = s->origin.line;
	if (s->n_providers) {
		m->provider = &s->providers[0].name;
		m->field = FIELD;
		m->by = &t->meta;
	}
	set(&m->sampling, &s->sampling);
	set(&m->no_spans, &s->no_spans);
	set(&m->no_context, &s->no_context);
	set(&m->istio_tags, &s->istio_tags);
	if (s->tags.n) {
		m->tags = &s->tags;
		m->tags_by = &t->meta;
	}
}

/* Without Telemetry. */
static struct merged of_mesh_config(const struct mt_build *b)
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	struct merged m = {0};

	if (c && c->defaults && c->defaults->n_tracing) {
		m.provider = &c->defaults->tracing[0];
		m.field = "defaultProviders.tracing";
		m.by = &c->meta;
	}
	return m;
}

static struct merged merge(struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	struct mt_telemetry_levels l = mt_b_telemetry_levels(b, ns, g, has_sections);
	struct merged m = of_mesh_config(b);

	for (uint32_t i = 0; i < l.n; i++)
		for (uint32_t k = 0; k < l.v[i]->n_traces; k++)
			if (is_of_clients(&l.v[i]->traces[k]))
				apply(&m, l.v[i], &l.v[i]->traces[k]);
	return m;
}

/* ---- providers ------------------------------------------------------------------------------ */

bool mt_b_tracing_first(struct mt_build *b, const void *place)
{
	uint64_t id = (uint64_t)(uintptr_t)place;

	if (mt_idmap_get(&b->told_tracing, id))
		return false;
	if (mt_idmap_put(&b->told_tracing, id, b))
		b->tmp.failed = true;
	return true;
}

/* False: without a provider the settings are met. */
static bool requests_traces(const struct merged *m)
{
	return !m->no_spans.v && !(m->sampling.set && m->sampling.v == 0);
}

/* Where a provider takes spans; NULL: it is of another type. */
static const struct mt_net_log *net_of(const struct mt_ext_provider *p)
{
	return p->otel ? p->otel : p->zipkin;
}

/* NULL: by gRPC. */
static const struct mt_http_collector *http_of(const struct mt_ext_provider *p)
{
	return p->otel ? p->otel->http : &p->zipkin->web;
}

static const char *field_of(const struct mt_ext_provider *p)
{
	if (strcmp(p->name.s, MT_DEFAULT_TRACING) == 0)
		return ADDRESS;
	return p->otel ? OTEL : ZIPKIN;
}

/* Formats that requests get, as of Envoy's tracers. */
static uint8_t formats_of(const struct mt_ext_provider *p)
{
	if (p->otel)
		return MT_TRACING_W3C;
	return MT_TRACING_B3_PARTS | (p->zipkin->context.v ? MT_TRACING_W3C : 0);
}

/* `tracing` of defaultConfig; NULL: none. */
static const struct mt_default_tracing *old_settings(const struct mt_build *b)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	return c && c->proxies ? c->proxies->tracing : NULL;
}

/* As in istiod a section without a provider switches the collector of defaultConfig off. */
static const struct mt_ext_provider *named(const struct mt_build *b, const struct merged *m)
{
	const struct mt_default_tracing *old = old_settings(b);
	const struct mt_num *enabled;

	if (m->provider)
		return mt_b_ext_provider(b, m->provider->s);
	if (m->any || !old)
		return NULL;
	enabled = &b->model->mesh.config->traces;
	return enabled->set && !enabled->v ? NULL : old->zipkin.provider;
}

/* As in istiod: of Telemetry, else of defaultConfig, where 0 counts as not set. */
static uint32_t sampling_of(const struct mt_build *b, const struct merged *m)
{
	const struct mt_default_tracing *old = old_settings(b);

	if (m->sampling.set)
		return m->sampling.v;
	return old && old->sampling.v ? old->sampling.v : SAMPLING;
}

/* As in istiod: of Telemetry, else of defaultConfig. Returns their hash. */
static uint64_t set_tags(struct mt_build *b, const struct merged *m, struct mt_span_tags *to)
{
	const struct mt_default_tracing *old = old_settings(b);

	if (m->tags)
		return mt_b_span_tags(b, m->tags, m->tags_by, to);
	if (old && old->tags.n)
		return mt_b_span_tags(b, &old->tags, &b->model->mesh.config->meta, to);
	return 0;
}

/* As in istiod defaultConfig counts only if it names the collector, too. */
static bool wants_istio_tags(const struct mt_build *b, const struct merged *m)
{
	const struct mt_default_tracing *old = old_settings(b);
	const struct mt_num *n = m->any || m->provider || !old ? &m->istio_tags : &old->istio_tags;

	return !n->set || n->v;
}

/* The limit of a tag's value, as in istiod: of the provider, else of defaultConfig. */
static uint32_t longest_of(const struct mt_build *b, const struct mt_net_log *net)
{
	const struct mt_default_tracing *old = old_settings(b);

	if (net->longest.v)
		return net->longest.v;
	return old && old->longest.v ? old->longest.v : LONGEST;
}

/* The provider that is used. NULL: there is none, and it has been reported. */
static const struct mt_ext_provider *find_provider(struct mt_build *b, const struct merged *m)
{
	const struct mt_ext_provider *p = named(b, m);

	if (p && net_of(p))
		return p;
	if (!m->provider) {
		if (m->any && requests_traces(m) && mt_b_tracing_first(b, m->any))
			mt_b_warn(b, m->any, m->line, FIELD,
				"name one there, or in defaultProviders.tracing",
				"calls are not traced: no provider is named");
	} else if (mt_b_tracing_first(b, m->provider)) {
		mt_b_warn(b, m->by, m->provider->line, m->field,
			"name a provider with opentelemetry or zipkin",
			p ? "calls are not traced: %.128s is not of a type that spans are sent to"
			  : "calls are not traced: no provider is called %.128s",
			m->provider->s);
	}
	return NULL;
}

static uint64_t key_of(const struct mt_ext_provider *p)
{
	uint64_t key = mt_secret_hash_text(p->name.s, SEED);

	return key + (key == 0);
}

/* "NAME: VALUE" lines; NULL: no header, or no memory. */
static const char *lines_of(struct mt_build *b, const struct mt_http_collector *h)
{
	const char *lines = NULL;

	for (uint32_t i = 0; i < h->n_headers; i++)
		lines = mt_region_printf(&b->tmp, "%s%s%s: %s", lines ? lines : "",
			lines ? "\n" : "", h->headers[i].name.s,
			h->headers[i].value.s ? h->headers[i].value.s : "");
	return lines;
}

/* The host of a service, "NAMESPACE/HOST" or "HOST". */
static const char *host_of(const struct mt_net_log *net)
{
	const char *slash = strchr(net->service.s, '/');

	return slash ? slash + 1 : net->service.s;
}

/* The requests for a provider; NULL: it gets calls of gRPC, or no memory. */
static const struct mt_alog_http *requests_of(struct mt_build *b, const struct mt_ext_provider *p)
{
	const struct mt_http_collector *h = http_of(p);
	const struct mt_net_log *net = net_of(p);
	struct mt_alog_http *to = h ? mt_region_alloc(&b->tmp, sizeof(*to)) : NULL;
	const char *host = host_of(net);

	if (!to)
		return NULL;
	to->authority = mt_region_printf(
		&b->tmp, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, net->port.v);
	to->path = h->path.s ? h->path.s : SPANS;
	to->lines = lines_of(b, h);
	return to->authority ? to : NULL;
}

/* The servers of a provider; NULL: it cannot be used, and it has been reported. */
static struct mt_grpc_target *target_of(struct mt_build *b, const struct mt_ext_provider *p)
{
	const struct mt_net_log *net = net_of(p);
	const char *why = NULL;
	struct mt_grpc_target *target = mt_b_log_target(b, net, &why);

	/* The host is in the head of each request. */
	if (target && http_of(p) && !mt_host_is_sound(host_of(net)))
		why = "it is neither a name nor an address";
	else if (target && http_of(p) && mt_grpc_target_has_tls(target) && !mt_grpc_tls_may_use())
		why = "its endpoints are called with TLS, which this build does not use with HTTP";
	if (why)
		mt_b_warn(b, &b->model->mesh.config->meta, net->origin.line, field_of(p),
			"name a service of the mesh, or a host and port that can be reached",
			"calls are not traced: no spans can be sent to %.128s: %s", net->service.s,
			why);
	return why ? NULL : target;
}

/* Makes the output; false: it cannot be used, and it has been reported. */
static bool add_output(struct mt_build *b, const struct mt_ext_provider *p)
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	const struct mt_net_log *net = net_of(p);
	const struct mt_alog_place nowhere = {0};
	const struct mt_alog_spec spec = {.encoding = MT_ALOG_TEXT};
	struct mt_log_about a = {.meta = &c->meta,
		.document = mt_region_printf(
			&b->tmp, "MeshConfig %s: provider %s", c->meta.name, p->name.s),
		.path_field = field_of(p),
		.field = field_of(p),
		.path_line = net->origin.line,
		.line = net->origin.line,
		.spans = true,
		.key = key_of(p)};
	struct mt_alog_collector to = {.service = MT_ALOG_SPANS,
		.name = p->name.s,
		.encoder = p->otel ? &mt_tracing_otlp : &mt_tracing_zipkin,
		.http = requests_of(b, p),
		.longest = longest_of(b, net)};
	struct mt_access_output *o;

	if (!mt_b_log_may_be(b, &a))
		return false;
	to.target = target_of(b, p);
	if (!to.target || !to.http != !http_of(p))
		return false;
	mt_b_istio_tags(b, to.istio);
	o = mt_b_log_keep(b, &a, &nowhere, &spec);
	if (o)
		mt_b_keep_collector(b, o, &to, net);
	return o != NULL;
}

/* True if the provider has an output, which is made with its first use. */
static bool has_output(struct mt_build *b, const struct mt_ext_provider *p)
{
	static const char yes, no;
	uint64_t id = (uint64_t)(uintptr_t)p;
	const char *known = mt_idmap_get(&b->span_outputs, id);

	if (!known) {
		known = add_output(b, p) ? &yes : &no;
		if (mt_idmap_put(&b->span_outputs, id, (void *)(uintptr_t)known))
			b->tmp.failed = true;
	}
	return known == &yes;
}

/* ---- settings ------------------------------------------------------------------------------- */

/* Settings of calls with spans for a provider. `sampling`: percent * 100. */
static void set_rule(const struct mt_ext_provider *p, uint32_t sampling, struct traced *to)
{
	to->on = true;
	to->key = key_of(p);
	to->rule.threshold = mt_tracing_threshold(sampling / 100.0);
	to->rule.write = formats_of(p);
	to->rule.trace_len = p->zipkin && p->zipkin->short_ids.v ? SHORT_TRACE : MT_TRACE_ID;
}

static void set_hash(uint64_t tags, struct traced *to)
{
	uint64_t h = mt_hash_u64(to->istio_tags, to->rule.threshold);

	h = mt_hash_u64(tags, h);
	h = mt_hash_u64(h, mt_hash_u64(to->key, to->rule.write * 256u + to->rule.trace_len));
	to->hash = h | 1;
}

static void settle(
	struct mt_build *b, const char *ns, const struct mt_gateway *g, struct traced *to)
{
	struct merged m = merge(b, ns, g);
	const struct mt_ext_provider *p = find_provider(b, &m);

	if (!p || !has_output(b, p))
		return;
	set_rule(p, sampling_of(b, &m), to);
	to->key = m.no_spans.v ? 0 : key_of(p);
	to->rule.write = m.no_context.v ? 0 : formats_of(p);
	to->istio_tags = wants_istio_tags(b, &m);
	set_hash(to->key ? set_tags(b, &m, &to->tags) : 0, to);
}

/* NULL: no memory. */
static const struct traced *traced_of(
	struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	const char *place = g && g->gateway_api ? mt_b_telemetry_place(b, ns, g) : ns;
	struct traced *t = place ? mt_strmap_get(&b->traced, place) : NULL;

	if (t || !place)
		return t;
	t = mt_region_alloc(&b->tmp, sizeof(*t));
	if (!t)
		return NULL;
	settle(b, ns, g, t);
	if (mt_strmap_put(&b->traced, place, t, NULL))
		b->tmp.failed = true;
	return t;
}

/* `r` NULL, or no memory: NULL. */
static const struct mt_call_tracing *copy(const struct mt_build *b, struct mt_region *r,
	const struct traced *t, const struct mt_codec *codec)
{
	struct mt_call_tracing *to = r ? mt_region_alloc(r, sizeof(*to)) : NULL;

	if (!to)
		return NULL;
	to->rule = t->rule;
	to->attempts = true;
	to->key = t->key;
	to->istio = t->istio_tags;
	to->tags = mt_b_span_tags_copy(b, r, &t->tags);
	mt_call_tracing_keys(to, codec);
	return to;
}

const struct mt_call_tracing *mt_b_tracing(struct mt_build *b, struct mt_region *r, const char *ns,
	const struct mt_gateway *g, const struct mt_codec *codec, uint64_t *hash)
{
	const struct traced *t;

	*hash = 0;
	/* Settings are checked although connections without messages are not traced. */
	t = traced_of(b, g ? mt_gateway_ns(b, g) : mt_b_client_ns(b, ns), g);
	if (!t || !t->on || codec->opaque)
		return NULL;
	*hash = t->hash;
	return copy(b, r, t, codec);
}

/*
 * As in Envoy, where control planes switch tracing on and the collector is the bootstrap's, without
 * tags. Aeraki does so for each listener, so there is one note.
 */
const struct mt_call_tracing *mt_b_proxy_tracing(struct mt_build *b, struct mt_region *r,
	const struct mt_meta *of, const struct mt_proxy_patch *proxy, const struct mt_codec *codec,
	uint64_t *hash)
{
	static const char once;
	struct merged m = of_mesh_config(b);
	struct traced t = {0};
	const struct mt_ext_provider *p;

	*hash = 0;
	if (!proxy->traced.set)
		return NULL;
	p = find_provider(b, &m);
	if (p && has_output(b, p)) {
		set_rule(p, proxy->traced.v, &t);
		set_hash(0, &t);
		*hash = t.hash;
		return copy(b, r, &t, codec);
	}
	if (!p && !m.provider && mt_b_tracing_first(b, &once))
		mt_diag_resource(b->diags, MT_DIAG_NOTE, of, "filter_chains",
			"name one in defaultProviders.tracing of the MeshConfig",
			"its calls are not traced: the MeshConfig has no provider of spans");
	return NULL;
}

/* ---- what no service needs ------------------------------------------------------------------ */

static bool names(const struct mt_proxy_setting *t, const char *provider)
{
	for (uint32_t i = 0; i < t->n_traces; i++)
		if (t->traces[i].n_providers &&
			strcasecmp(t->traces[i].providers[0].name.s, provider) == 0)
			return true;
	return false;
}

static bool is_named(const struct mt_build *b, const struct mt_mesh_config *c, const char *provider)
{
	const struct mt_objs *all = &b->model->proxy_settings;

	if (c->defaults && c->defaults->n_tracing &&
		strcasecmp(c->defaults->tracing[0].s, provider) == 0)
		return true;
	for (uint32_t i = 0; i < all->n; i++)
		if (names(all->v[i], provider))
			return true;
	return false;
}

void mt_b_tracing_tell(struct mt_build *b)
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	const char *ns = b->model->mesh.ns;

	/* What applies to all is checked although no service may need it. */
	(void)traced_of(b, ns ? ns : mt_b_root_namespace(b), NULL);
	for (uint32_t i = 0; c && i < c->n_providers; i++) {
		const struct mt_ext_provider *p = &c->providers[i];

		if (net_of(p) && p->name.s && !is_named(b, c, p->name.s))
			mt_b_note(b, &c->meta, p->origin.line, "extensionProviders[]",
				"name it in defaultProviders.tracing or in a Telemetry",
				"not used: neither defaultProviders.tracing nor a Telemetry "
				"names %.128s",
				p->name.s);
	}
}

void mt_b_tracing_fini(struct mt_build *b)
{
	mt_strmap_fini(&b->telemetry);
	mt_strmap_fini(&b->traced);
	mt_idmap_fini(&b->span_outputs);
	mt_idmap_fini(&b->told_tracing);
}
