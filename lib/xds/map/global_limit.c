/* SPDX-License-Identifier: Apache-2.0 */
/* Maps global rate limits: filters that query a rate limit service. */
#include "mt_xds_map_priv.h"

#include <string.h>

#define TEXTS_MAX	2048u /* bytes of the domain and all keys, as in documents */
#define DESCRIPTORS_MAX 16u
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
		!mt_xm_needs_cluster(m, out->service.s))
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
