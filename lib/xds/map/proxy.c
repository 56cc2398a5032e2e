/* SPDX-License-Identifier: Apache-2.0 */
/* Maps MetaProtocolProxy and its filters. */
#include "mt_xds_map_priv.h"

#include <string.h>

#define FILTERS_MAX 64u
#define ALL_CALLS   10000u /* 100 % */

#define META "aeraki.meta_protocol_proxy."

/* ---- filters --------------------------------------------------------------------------------- */

enum what { ROUTER, EXCHANGE, STATS, LOCAL, GLOBAL, N_WHAT };

static const struct {
	const char *name, *type;
} known[N_WHAT] = {
	[ROUTER] = {"router", META "filters.router.v1alpha.Router"},
	[EXCHANGE] = {"metadata_exchange",
		META "filters.metadata_exchange.v1alpha.MetadataExchange"},
	[STATS] = {"istio_stats", META "filters.istio_stats.v1alpha.IstioStats"},
	[LOCAL] = {"local_ratelimit", META "filters.local_ratelimit.v1alpha.LocalRateLimit"},
	[GLOBAL] = {"ratelimit", META "filters.ratelimit.v1alpha.RateLimit"},
};

/*
 * Identifies a filter by the type of its configuration, or by its name if it has none, as a router
 * often does.
 */
static enum what what_is(const char *name, const char *type)
{
	static const char prefix[] = "aeraki.meta_protocol.filters.";
	size_t skip = strncmp(name, prefix, sizeof(prefix) - 1) == 0 ? sizeof(prefix) - 1 : 0;

	for (int i = 0; i < N_WHAT; i++)
		if (*type ? strcmp(type, known[i].type) == 0
			  : strcmp(name + skip, known[i].name) == 0)
			return (enum what)i;
	return N_WHAT;
}

static bool filter(struct mt_xmap *m, const Xds__MetaFilter *f, struct mt_proxy_patch *p)
{
	const void *msg;
	struct mt_xm_any any;

	if (!mt_xm_open(m, "config", f->config, &any))
		return false;
	switch (what_is(f->name, any.type)) {
	case ROUTER:
		return true;
	case EXCHANGE:
		mt_xm_note(m, MT_XDS_NOTE_meta_exchange, NULL);
		return true;
	case STATS:
		mt_xm_note(m, MT_XDS_NOTE_meta_stats, NULL);
		return true;
	case GLOBAL:
		msg = mt_xm_read(m, "config", &any, &xds__meta_rate_limit__descriptor);
		mt_xm_in(m, "config");
		p->global_first = !p->limit;
		return msg && mt_xm_meta_global(m, msg, &p->global);
	case LOCAL:
		msg = mt_xm_read(m, "config", &any, &xds__meta_local_rate_limit__descriptor);
		mt_xm_in(m, "config");
		return msg && mt_xm_limit(m, msg, &p->limit);
	default:
		return mt_xm_bad(
			m, NULL, "no such filter \"%.80s\"", *any.type ? any.type : f->name);
	}
}

static bool filters(struct mt_xmap *m, const Xds__MetaProtocolProxy *p, struct mt_proxy_patch *out)
{
	if (p->n_meta_protocol_filters > FILTERS_MAX)
		return mt_xm_bad(m, "meta_protocol_filters", "more than %u", FILTERS_MAX);
	for (size_t i = 0; i < p->n_meta_protocol_filters; i++) {
		uint32_t mark = mt_xm_at(m, "meta_protocol_filters", i);

		if (!filter(m, p->meta_protocol_filters[i], out))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

/* ---- the proxy ------------------------------------------------------------------------------- */

/*
 * The newer field `protocol` takes precedence where it is set. lib/conf finds the codec, because
 * the codecs of a configuration change without a new resource.
 */
static bool protocol(struct mt_xmap *m, const Xds__MetaProtocolProxy *p, struct mt_proxy_patch *out)
{
	const Xds__MetaApplicationProtocol *a = p->protocol;
	bool newer = a && a->codec && *a->codec->name;

	if (a && *a->name) {
		if (!mt_xm_name_text(m, "protocol.name", a->name, &out->protocol))
			return false;
	} else if (*p->application_protocol && !mt_xm_name_text(m, "application_protocol",
						       p->application_protocol, &out->protocol))
		return false;
	if (a)
		out->multiplexing = (struct mt_num){.v = a->multiplexing != 0, .set = true};
	if (newer)
		return mt_xm_name_text(m, "protocol.codec.name", a->codec->name, &out->codec);
	if (p->codec && *p->codec->name)
		return mt_xm_name_text(m, "codec.name", p->codec->name, &out->codec);
	return out->protocol.s ||
	       mt_xm_bad(m, "application_protocol", "neither a protocol nor a codec is named");
}

static bool routes(struct mt_xmap *m, const Xds__MetaProtocolProxy *p, struct mt_proxy_patch *out)
{
	if (p->route_specifier_case == XDS__META_PROTOCOL_PROXY__ROUTE_SPECIFIER_ROUTE_CONFIG)
		return mt_xm_meta_routes(m, p->route_config, &out->routes);
	if (p->route_specifier_case != XDS__META_PROTOCOL_PROXY__ROUTE_SPECIFIER_RDS)
		return mt_xm_bad(m, "rds", "missing, and no route_config");
	return mt_xm_name_text(
		       m, "rds.route_config_name", p->rds->route_config_name, &out->routes_name) &&
	       mt_xm_ref(m, "rds.config_source", p->rds->config_source, MT_XDS_RDS,
		       out->routes_name.s);
}

/* As in Envoy a call is traced if both shares draw it, by the same number. */
static bool tracing(struct mt_xmap *m, const Xds__MetaTracing *t, struct mt_num *out)
{
	struct mt_num random = {.v = ALL_CALLS}, overall = {.v = ALL_CALLS};
	uint32_t mark = mt_xm_in(m, "tracing");

	if (t && (!mt_xm_percent(m, "random_sampling", t->random_sampling, &random) ||
			 !mt_xm_percent(m, "overall_sampling", t->overall_sampling, &overall)))
		return false;
	*out = (struct mt_num){.v = MT_MIN(random.v, overall.v), .set = t != NULL};
	mt_xm_out(m, mark);
	return true;
}

bool mt_xm_meta_proxy(struct mt_xmap *m, const Xds__MetaProtocolProxy *p, struct mt_res_chain *c)
{
	struct mt_proxy_patch *out = mt_xm_alloc(m, sizeof(*out));

	if (!out)
		return false;
	out->origin.file = m->out->meta->origin.file;
	out->routes.origin = out->origin;
	out->routes.name = "route_config.routes";
	if (!protocol(m, p, out) || !routes(m, p, out) || !filters(m, p, out) ||
		!tracing(m, p->tracing, &out->traced) ||
		!mt_xm_access_logs(m, p->access_log, p->n_access_log, &out->logs) ||
		!mt_xm_ms(m, "idle_timeout", p->idle_timeout, 1000, &out->idle_ms.v))
		return false;
	out->idle_ms.set = p->idle_timeout != NULL;
	c->proxy = out;
	return true;
}
