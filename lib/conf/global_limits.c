/* SPDX-License-Identifier: Apache-2.0 */
/* A global rate limit to the filter that applies it, and the service that counts. */
#include "mt_conf_policy_priv.h"
#include "mt_conf_service_priv.h"

#include "mt_filter_global.h"

#include <errno.h>
#include <string.h>

#define TIMEOUT_MS 20 /* Aeraki's */

/* NULL: *no. */
static struct mt_callout_provider *service_of(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_global_conf *g, struct mt_callout_no *no)
{
	const struct mt_callout_place at = {.kind = "limits",
		.host = g->host.s,
		.ns = meta->ns,
		.port = g->port.v,
		.known_only = strcmp(meta->ns, mt_b_root_namespace(b)) != 0};
	const struct mt_callout_conf conf = {.name = g->service.s,
		.timeout = (g->timeout.set ? g->timeout.v : TIMEOUT_MS) * MT_MSEC,
		.fail_open = !g->deny_on_fail.v};

	return g->host.s ? mt_b_callout(b, &at, &conf, no)
			 : mt_b_callout_of_cluster(b, g->service.s, &conf, no);
}

uint32_t mt_b_mesh_limiter(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g)
{
	struct mt_callout_no no;
	const struct mt_callout_provider *p = service_of(b, meta, g, &no);

	if (p)
		return p->id;
	b->tmp.failed |= !no.why;
	mt_diag_resource(b->diags, MT_DIAG_WARNING, meta, "rate_limit_service", NULL,
		"the rate limit service \"%.128s\" cannot be queried, so that %s: %s", g->service.s,
		g->deny_on_fail.v ? "calls under the limit are refused" : "nothing is limited",
		no.why ? no.why : "no memory");
	return 0;
}

void mt_b_tell_global(struct mt_build *b, const struct mt_meta_router *mr)
{
	const struct mt_global_conf *g = mr->global;
	struct mt_callout_no no;

	if (!g || service_of(b, &mr->meta, g, &no))
		return;
	if (!no.why) {
		b->tmp.failed = true;
		return;
	}
	mt_b_warn(b, &mr->meta, g->service.line, "spec.globalRateLimit.rateLimitService", no.remedy,
		"%s: %s", no.why,
		g->deny_on_fail.v || no.remedy ? "calls under the limit are refused"
					       : "nothing is limited");
}

static uint64_t hash_entry(const struct mt_global_entry *e, uint64_t h)
{
	h = mt_hash_text(e->from.s, mt_hash_text(e->key.s, h));
	return mt_b_hash_match(
		e->match, mt_hash_u64((uint64_t)e->value << 2 | e->unless << 1 | !!e->match, h));
}

static uint64_t hash_descriptors(const struct mt_global_descriptor *d, uint32_t n, uint64_t h)
{
	for (uint32_t i = 0; i < n; i++) {
		h = mt_hash_text(d[i].property.s, mt_hash_text(d[i].key.s, h));
		h = mt_hash_u64(d[i].n_entries, h);
		for (uint32_t k = 0; k < d[i].n_entries; k++)
			h = hash_entry(&d[i].entries[k], h);
	}
	return mt_hash_u64(n, h);
}

static uint64_t hash_route(const struct mt_global_route *r, const struct mt_rule *rule, uint64_t h)
{
	for (uint32_t i = 0; i < rule->n_matches; i++)
		h = mt_b_hash_match(&rule->matches[i], h + 1);
	return hash_descriptors(r->descriptors, r->n_descriptors, h);
}

static uint64_t hash_global(const struct mt_global_conf *g, uint64_t h)
{
	h = mt_hash_text(g->service.s, mt_hash_text(g->domain.s, h));
	h = mt_hash_u64((uint64_t)g->timeout.v << 2 | g->of_streams << 1 | g->deny_on_fail.v, h);
	h = hash_descriptors(g->descriptors, g->n_descriptors, h);
	for (uint32_t i = 0; i < g->n_routes; i++)
		h = hash_route(&g->routes[i], &g->rules->rules[i], h);
	return h;
}

static const struct mt_global_property *properties(
	struct mt_build *b, const struct mt_global_conf *g)
{
	struct mt_global_property *p = mt_region_alloc(&b->tmp, sizeof(*p) * g->n_descriptors);

	for (uint32_t i = 0; p && i < g->n_descriptors; i++)
		p[i] = (struct mt_global_property){
			g->descriptors[i].property.s, g->descriptors[i].key.s};
	return p;
}

/* ---- descriptors of routes ------------------------------------------------------------------- */

static const enum mt_global_source sources[] = {
	[MT_GLOBAL_OF_METADATA] = MT_GLOBAL_METADATA,
	[MT_GLOBAL_OF_METHOD] = MT_GLOBAL_METHOD,
	[MT_GLOBAL_OF_ADDRESS] = MT_GLOBAL_ADDRESS,
	[MT_GLOBAL_OF_TEXT] = MT_GLOBAL_TEXT,
};

/* False: no memory. */
static bool entries(struct mt_build *b, const struct mt_global_descriptor *d,
	struct mt_global_descriptor_def *to)
{
	struct mt_global_entry_def *v = mt_region_alloc(&b->tmp, sizeof(*v) * d->n_entries);

	for (uint32_t i = 0; v && i < d->n_entries; i++) {
		const struct mt_global_entry *e = &d->entries[i];

		v[i] = (struct mt_global_entry_def){.source = sources[e->value],
			.key = e->key.s,
			.from = e->from.s,
			.match = e->match ? mt_b_defs(b, e->match) : NULL,
			.n_match = e->match ? e->match->n_conds : 0,
			.unless = e->unless};
	}
	*to = (struct mt_global_descriptor_def){v, d->n_entries};
	return v;
}

static const struct mt_global_descriptor_def *descriptors(
	struct mt_build *b, const struct mt_global_descriptor *d, uint32_t n)
{
	struct mt_global_descriptor_def *v = mt_region_alloc(&b->tmp, sizeof(*v) * n);

	for (uint32_t i = 0; v && i < n; i++)
		if (!entries(b, &d[i], &v[i]))
			return NULL;
	return v;
}

/* As the routes themselves: the matches of a rule are alternatives. NULL: no memory. */
static const struct mt_global_route_def *routes(
	struct mt_build *b, const struct mt_global_conf *g, uint32_t *n)
{
	struct mt_global_route_def *v;
	size_t all = 0;

	for (uint32_t i = 0; i < g->n_routes; i++)
		all += MT_MAX(g->rules->rules[i].n_matches, 1u);
	v = mt_region_alloc(&b->tmp, sizeof(*v) * all);
	for (uint32_t i = 0; v && i < g->n_routes; i++) {
		const struct mt_rule *rule = &g->rules->rules[i];
		const struct mt_global_descriptor_def *d =
			descriptors(b, g->routes[i].descriptors, g->routes[i].n_descriptors);

		for (uint32_t k = 0; k < MT_MAX(rule->n_matches, 1u); k++) {
			const struct mt_rule_match *m = rule->n_matches ? &rule->matches[k] : NULL;

			v[*n] = (struct mt_global_route_def){.match = m ? mt_b_defs(b, m) : NULL,
				.n_match = m ? m->n_conds : 0,
				.descriptors = d,
				.n = g->routes[i].n_descriptors};
			if (!d || (m && !v[*n].match))
				return NULL;
			++*n;
		}
	}
	return v;
}

/* ---- the filter ------------------------------------------------------------------------------ */

/* Which calls, or connections, are counted as what. False: no memory. */
static bool describe(struct mt_build *b, const struct mt_global_conf *g, struct mt_global_def *def)
{
	def->match = g->match ? mt_b_defs(b, g->match) : NULL;
	def->n_match = g->match ? g->match->n_conds : 0;
	if (g->match && !def->match)
		return false;
	if (g->of_streams) {
		def->fixed = descriptors(b, g->descriptors, g->n_descriptors);
		def->n_fixed = g->n_descriptors;
		return def->fixed;
	}
	def->properties = properties(b, g);
	def->n_properties = g->n_descriptors;
	if (g->n_routes)
		def->routes = routes(b, g, &def->n_routes);
	return def->properties && (!g->n_routes || def->routes);
}

/* `name` is the identity of the counts. */
static void *compile(struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g,
	const struct mt_codec *codec, const char *name, uint64_t *hash)
{
	struct mt_global_def def = {.domain = g->domain.s,
		.fail_open = !g->deny_on_fail.v,
		.tallies = b->conf->tallies,
		.limited = name};
	struct mt_callout_no no;
	char err[256] = "";
	void *conf;

	if (!describe(b, g, &def)) {
		b->tmp.failed = true;
		return NULL;
	}
	/*
	 * Without a service denyOnFail decides, but a limit that may not query it refuses, because
	 * none would come later. mt_b_tell_global() warns of both.
	 */
	def.provider = service_of(b, meta, g, &no);
	if (!def.provider && !no.why) {
		b->tmp.failed = true;
		return NULL;
	}
	if (!def.provider && no.remedy)
		def.fail_open = false;
	*hash = mt_hash_u64(def.provider ? def.provider->id : 0, hash_global(g, *hash));
	*hash = mt_hash_u64(def.fail_open, *hash);
	*hash = mt_b_hash_match(g->match, *hash);
	conf = mt_global_compile(codec, &def, err, sizeof(err));
	if (!conf)
		mt_b_error(b, meta, g->origin.line, "spec.globalRateLimit", NULL, "%s",
			*err ? err : "cannot be compiled");
	return conf;
}

int mt_b_global(struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash)
{
	struct mt_filter_inst *f = mt_b_filter(b, s);
	const char *name = mt_region_printf(&b->tmp, "%s:%u", s->name, port);

	if (!f || !name)
		return -ENOMEM;
	f->type = &mt_filter_global_ratelimit;
	f->file = mt_b_file(b, meta->origin.file);
	f->line = g->origin.line;
	f->conf = compile(b, meta, g, codec, name, hash);
	if (!f->conf)
		return b->tmp.failed ? -ENOMEM : -EINVAL;
	s->n_filter_insts++;
	return 0;
}
