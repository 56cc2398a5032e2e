/* SPDX-License-Identifier: Apache-2.0 */
/* Maps global rate limits: filters that query a rate limit service. */
#include "mt_xds_map_priv.h"

#include <string.h>

#define TEXTS_MAX	2048u /* bytes of the domain and all keys, as in documents */
#define DESCRIPTORS_MAX 16u
#define ENTRIES_MAX	8u
#define STAGE_MAX	10u
#define TIMEOUT_MAX_MS	600000u

/* ---- the service ----------------------------------------------------------------------------- */

/* As in Envoy, a timeout of 0 is none: calls wait until their own. */
static bool timeout(struct mt_xmap *m, const Xds__Duration *d, struct mt_global_conf *out)
{
	out->timeout.set = d != NULL;
	if (!mt_xm_ms(m, "timeout", d, 0, &out->timeout.v))
		return false;
	if (d && (!out->timeout.v || out->timeout.v > TIMEOUT_MAX_MS))
		out->timeout.v = TIMEOUT_MAX_MS;
	return true;
}

static bool service(
	struct mt_xmap *m, const Xds__RateLimitServiceConfig *s, struct mt_global_conf *out)
{
	const Xds__GrpcService *g = s ? s->grpc_service : NULL;
	uint32_t mark = mt_xm_in(m, "rate_limit_service");

	if (!g)
		return mt_xm_bad(m, s ? "grpc_service" : NULL, "missing");
	mt_xm_in(m, "grpc_service");
	if (g->target_specifier_case != XDS__GRPC_SERVICE__TARGET_SPECIFIER_ENVOY_GRPC)
		return mt_xm_bad(m, NULL, "names no cluster (envoy_grpc)");
	if (!mt_xm_name_text(
		    m, "envoy_grpc.cluster_name", g->envoy_grpc->cluster_name, &out->service) ||
		!mt_xm_queries_cluster(m, out->service.s))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/* Maps the parts of all filters. NULL after an error. */
static struct mt_global_conf *start(struct mt_xmap *m, const char *domain, bool deny)
{
	struct mt_global_conf *to = mt_xm_alloc(m, sizeof(*to));

	if (!to)
		return NULL;
	to->origin.file = m->out->meta->origin.file;
	to->deny_on_fail = (struct mt_num){.v = deny, .set = true};
	if (!*domain) {
		mt_xm_bad(m, "domain", "missing");
		return NULL;
	}
	return mt_xm_words(m, "domain", domain, TEXTS_MAX, &to->domain) ? to : NULL;
}

/* ---- Aeraki's filter ------------------------------------------------------------------------- */

static bool descriptors(struct mt_xmap *m, const Xds__MetaRateLimit *l, struct mt_global_conf *out)
{
	size_t bytes = strlen(out->domain.s);

	if (!l->n_descriptors)
		return mt_xm_bad(m, "descriptors", "there are none");
	if (l->n_descriptors > DESCRIPTORS_MAX)
		return mt_xm_bad(m, "descriptors", "more than %u", DESCRIPTORS_MAX);
	out->descriptors = mt_xm_array(m, l->n_descriptors, sizeof(*out->descriptors));
	if (!out->descriptors)
		return false;
	for (size_t i = 0; i < l->n_descriptors; i++) {
		struct mt_global_descriptor *d = &out->descriptors[out->n_descriptors++];
		uint32_t mark = mt_xm_at(m, "descriptors", i);

		d->origin = out->origin;
		if (!mt_xm_name_text(m, "property", l->descriptors[i]->property, &d->property))
			return false;
		if (!*l->descriptors[i]->descriptor_key)
			return mt_xm_bad(m, "descriptor_key", "missing");
		if (!mt_xm_words(m, "descriptor_key", l->descriptors[i]->descriptor_key, TEXTS_MAX,
			    &d->key))
			return false;
		bytes += strlen(d->key.s);
		mt_xm_out(m, mark);
	}
	return bytes <= TEXTS_MAX || mt_xm_bad(m, NULL,
					     "the domain and the descriptors' keys have more than "
					     "%u bytes",
					     TEXTS_MAX);
}

bool mt_xm_meta_global(struct mt_xmap *m, const Xds__MetaRateLimit *l, struct mt_global_conf **out)
{
	struct mt_global_conf *to;

	if (*out)
		return mt_xm_bad(m, NULL, "a second global rate limit");
	to = start(m, l->domain, l->failure_mode_deny);
	if (!to || !timeout(m, l->timeout, to) || !service(m, l->rate_limit_service, to) ||
		!descriptors(m, l, to))
		return false;
	if (l->match) {
		to->match = mt_xm_alloc(m, sizeof(*to->match));
		if (!to->match || !mt_xm_headers(m, "match.metadata", l->match->metadata,
					  l->match->n_metadata, to->match))
			return false;
	}
	*out = to;
	return true;
}

/* ---- Envoy's network filter ------------------------------------------------------------------ */

/* Envoy's command operators that are the client's address. */
static bool is_address(const char *value)
{
	return strcmp(value, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%") == 0 ||
	       strcmp(value, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%") == 0;
}

/* False: a value has another command operator. */
static bool are_known(const Xds__NetworkRateLimit *l)
{
	for (size_t i = 0; i < l->n_descriptors; i++)
		for (size_t k = 0; k < l->descriptors[i]->n_entries; k++) {
			const char *value = l->descriptors[i]->entries[k]->value;

			if (strchr(value, '%') && !is_address(value))
				return false;
		}
	return true;
}

static bool stream_entry(struct mt_xmap *m, const Xds__RateLimitDescriptor__Entry *from,
	size_t *bytes, struct mt_global_entry *e)
{
	if (!*from->key)
		return mt_xm_bad(m, "key", "missing");
	if (!mt_xm_words(m, "key", from->key, TEXTS_MAX, &e->key))
		return false;
	*bytes += strlen(from->key) + strlen(from->value);
	e->value = is_address(from->value) ? MT_GLOBAL_OF_ADDRESS : MT_GLOBAL_OF_TEXT;
	return e->value == MT_GLOBAL_OF_ADDRESS ||
	       mt_xm_words(m, "value", from->value, TEXTS_MAX, &e->from);
}

static bool stream_descriptor(struct mt_xmap *m, const Xds__RateLimitDescriptor *from,
	size_t *bytes, struct mt_global_descriptor *d)
{
	if (!from->n_entries)
		return mt_xm_bad(m, "entries", "there are none");
	if (from->n_entries > ENTRIES_MAX)
		return mt_xm_bad(m, "entries", "more than %u", ENTRIES_MAX);
	d->origin.file = m->out->meta->origin.file;
	d->entries = mt_xm_array(m, from->n_entries, sizeof(*d->entries));
	if (!d->entries)
		return false;
	for (size_t i = 0; i < from->n_entries; i++) {
		uint32_t mark = mt_xm_at(m, "entries", i);

		if (!stream_entry(m, from->entries[i], bytes, &d->entries[d->n_entries++]))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

static bool stream_descriptors(
	struct mt_xmap *m, const Xds__NetworkRateLimit *l, struct mt_global_conf *to)
{
	size_t bytes = strlen(to->domain.s);

	if (!l->n_descriptors)
		return mt_xm_bad(m, "descriptors", "there are none");
	if (l->n_descriptors > DESCRIPTORS_MAX)
		return mt_xm_bad(m, "descriptors", "more than %u", DESCRIPTORS_MAX);
	to->descriptors = mt_xm_array(m, l->n_descriptors, sizeof(*to->descriptors));
	if (!to->descriptors)
		return false;
	for (size_t i = 0; i < l->n_descriptors; i++) {
		uint32_t mark = mt_xm_at(m, "descriptors", i);

		if (!stream_descriptor(
			    m, l->descriptors[i], &bytes, &to->descriptors[to->n_descriptors++]))
			return false;
		mt_xm_out(m, mark);
	}
	return bytes <= TEXTS_MAX ||
	       mt_xm_bad(m, NULL, "the domain, keys and values have more than %u bytes", TEXTS_MAX);
}

bool mt_xm_network_global(
	struct mt_xmap *m, const Xds__NetworkRateLimit *l, struct mt_global_conf **out, bool *runs)
{
	struct mt_global_conf *to;

	*runs = are_known(l);
	if (!*runs)
		return true;
	if (*out)
		return mt_xm_bad(m, NULL, "a second global rate limit");
	to = start(m, l->domain, l->failure_mode_deny);
	/* Envoy's default for connections is that of conf, too. */
	if (!to || !timeout(m, l->timeout, to) || !service(m, l->rate_limit_service, to) ||
		!stream_descriptors(m, l, to))
		return false;
	to->of_streams = true;
	*out = to;
	return true;
}

/* ---- Envoy's filter for Thrift --------------------------------------------------------------- */

bool mt_xm_thrift_global(
	struct mt_xmap *m, const Xds__ThriftRateLimit *l, struct mt_global_conf **out)
{
	struct mt_global_conf *to;

	if (*out)
		return mt_xm_bad(m, NULL, "a second global rate limit");
	to = start(m, l->domain, l->failure_mode_deny);
	if (!to || !timeout(m, l->timeout, to) || !service(m, l->rate_limit_service, to))
		return false;
	if (l->stage > STAGE_MAX)
		return mt_xm_bad(m, "stage", "more than %u", STAGE_MAX);
	to->stage = l->stage;
	*out = to;
	return true;
}

/* The descriptors of one route, while they are read. */
struct reading {
	const struct mt_rule *rule;
	struct mt_global_route *to;
	size_t bytes; /* of texts in a query */
};

/* A text that the service compares; `instead`: of an empty one, NULL: there must be one. */
static bool text(struct mt_xmap *m, struct reading *r, const char *field, const char *s,
	const char *instead, struct mt_text *out)
{
	if (!*s && !instead)
		return mt_xm_bad(m, field, "missing");
	r->bytes += strlen(*s ? s : instead);
	return mt_xm_words(m, field, *s ? s : instead, TEXTS_MAX, out);
}

static bool fixed(struct mt_xmap *m, struct reading *r, const char *key, const char *value,
	struct mt_global_entry *e)
{
	e->value = MT_GLOBAL_OF_TEXT;
	return text(m, r, NULL, key, NULL, &e->key) && text(m, r, NULL, value, NULL, &e->from);
}

static bool headers(struct mt_xmap *m, struct reading *r,
	const Xds__RateLimit__Action__RequestHeaders *h, struct mt_global_entry *e)
{
	e->value = strcmp(h->header_name, ":method-name") == 0 ? MT_GLOBAL_OF_METHOD
							       : MT_GLOBAL_OF_METADATA;
	return mt_xm_name_text(m, "header_name", h->header_name, &e->from) &&
	       text(m, r, "descriptor_key", h->descriptor_key, NULL, &e->key);
}

static bool match(struct mt_xmap *m, struct reading *r,
	const Xds__RateLimit__Action__HeaderValueMatch *h, struct mt_global_entry *e)
{
	e->value = MT_GLOBAL_OF_TEXT;
	e->unless = h->expect_match && !h->expect_match->value;
	e->match = mt_xm_alloc(m, sizeof(*e->match));
	if (!h->n_headers)
		return mt_xm_bad(m, "headers", "there are none");
	return e->match && mt_xm_headers(m, "headers", h->headers, h->n_headers, e->match) &&
	       text(m, r, "descriptor_key", h->descriptor_key, "header_match", &e->key) &&
	       text(m, r, "descriptor_value", h->descriptor_value, NULL, &e->from);
}

static bool destination(struct mt_xmap *m, struct reading *r, struct mt_global_entry *e)
{
	if (r->rule->n_dests != 1)
		return mt_xm_bad(m, "destination_cluster",
			"calls are counted before one of the route's clusters is chosen");
	return fixed(m, r, "destination_cluster", r->rule->dests->cluster.s, e);
}

static bool source(struct mt_xmap *m, struct reading *r, struct mt_global_entry *e)
{
	if (!m->node_cluster || !*m->node_cluster)
		return mt_xm_bad(m, "source_cluster", "the node of the bootstrap has no cluster");
	return fixed(m, r, "source_cluster", m->node_cluster, e);
}

/* Those of Envoy's filter for Thrift. */
static bool action(struct mt_xmap *m, struct reading *r, const Xds__RateLimit__Action *a,
	struct mt_global_entry *e)
{
	uint32_t mark;
	bool ok;

	switch (a->action_specifier_case) {
	case XDS__RATE_LIMIT__ACTION__ACTION_SPECIFIER_SOURCE_CLUSTER:
		return source(m, r, e);
	case XDS__RATE_LIMIT__ACTION__ACTION_SPECIFIER_DESTINATION_CLUSTER:
		return destination(m, r, e);
	case XDS__RATE_LIMIT__ACTION__ACTION_SPECIFIER_REMOTE_ADDRESS:
		e->value = MT_GLOBAL_OF_ADDRESS;
		return text(m, r, NULL, "remote_address", NULL, &e->key);
	case XDS__RATE_LIMIT__ACTION__ACTION_SPECIFIER_REQUEST_HEADERS:
		mark = mt_xm_in(m, "request_headers");
		ok = headers(m, r, a->request_headers, e);
		break;
	case XDS__RATE_LIMIT__ACTION__ACTION_SPECIFIER_GENERIC_KEY:
		mark = mt_xm_in(m, "generic_key");
		e->value = MT_GLOBAL_OF_TEXT;
		ok = text(m, r, "descriptor_key", a->generic_key->descriptor_key, "generic_key",
			     &e->key) &&
		     text(m, r, "descriptor_value", a->generic_key->descriptor_value, NULL,
			     &e->from);
		break;
	case XDS__RATE_LIMIT__ACTION__ACTION_SPECIFIER_HEADER_VALUE_MATCH:
		mark = mt_xm_in(m, "header_value_match");
		ok = match(m, r, a->header_value_match, e);
		break;
	default:
		return mt_xm_bad(m, NULL, "no action of Thrift calls");
	}
	mt_xm_out(m, mark);
	return ok;
}

static bool descriptor(struct mt_xmap *m, struct reading *r, const Xds__RateLimit *l,
	struct mt_global_descriptor *d)
{
	if (!l->n_actions)
		return mt_xm_bad(m, "actions", "there are none");
	if (l->n_actions > ENTRIES_MAX)
		return mt_xm_bad(m, "actions", "more than %u", ENTRIES_MAX);
	d->origin.file = m->out->meta->origin.file;
	d->entries = mt_xm_array(m, l->n_actions, sizeof(*d->entries));
	if (!d->entries)
		return false;
	for (size_t i = 0; i < l->n_actions; i++) {
		uint32_t mark = mt_xm_at(m, "actions", i);

		if (!action(m, r, l->actions[i], &d->entries[d->n_entries++]))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

bool mt_xm_rate_limits(struct mt_xmap *m, Xds__RateLimit *const *l, size_t n,
	const struct mt_rule *rule, struct mt_global_conf *g)
{
	struct mt_global_route *to =
		mt_region_push(m->r, (void **)&g->routes, &g->n_routes, sizeof(*to));
	struct reading r = {.rule = rule, .to = to, .bytes = strlen(g->domain.s)};

	if (!to)
		return mt_xm_no_memory(m);
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, "rate_limits", i), stage = 0;
		struct mt_global_descriptor *d;

		if (!mt_xm_u32(m, "stage", l[i]->stage, 0, STAGE_MAX, &stage))
			return false;
		if (stage == g->stage) {
			if (to->n_descriptors == DESCRIPTORS_MAX)
				return mt_xm_bad(m, NULL, "more than %u", DESCRIPTORS_MAX);
			d = mt_region_push(
				m->r, (void **)&to->descriptors, &to->n_descriptors, sizeof(*d));
			if (!d)
				return mt_xm_no_memory(m);
			if (!descriptor(m, &r, l[i], d))
				return false;
		}
		mt_xm_out(m, mark);
	}
	return r.bytes <= TEXTS_MAX ||
	       mt_xm_bad(m, "rate_limits", "the domain, keys and values have more than %u bytes",
		       TEXTS_MAX);
}
