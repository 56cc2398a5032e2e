/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services that share an address and port although their calls may have no service name. Such calls
 * reach none of the services and get an error. The object that came last is the probable mistake.
 */
#include "mt_codec_registry.h"
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_unmatched_priv.h"

static bool is_served(const struct mt_build *b, const struct mt_service_slot *s)
{
	return s->holder && !mt_b_is_wrong(b, s->holder) && s->at != MT_NO_PORT;
}

/* True if the document specifies the service name that calls have. */
static bool is_named(const struct mt_service_slot *s)
{
	return mt_b_annotated_key(s->holder) != NULL;
}

/* The service that was there before the others. NULL: none is served. */
static const struct mt_service_slot *first_of(
	struct mt_build *b, const struct mt_listen *l, const struct mt_listen_chain *c)
{
	const struct mt_service_slot *first = NULL;
	unsigned int best = 0;

	for (uint32_t i = 0; i < c->n_services; i++) {
		const struct mt_service_slot *s = c->services[i];
		unsigned int claim;

		if (!is_served(b, s))
			continue;
		claim = mt_b_claim(b, mt_place_id(l->text, s->key), s->holder);
		if (first && claim >= best)
			continue;
		first = s;
		best = claim;
	}
	return first;
}

static void tell(struct mt_build *b, const struct mt_listen *l, const struct mt_listen_chain *c)
{
	const struct mt_service_slot *first = first_of(b, l, c);
	char path[MT_INDEX_PATH];

	for (uint32_t i = 0; first && i < c->n_services; i++) {
		const struct mt_service_slot *s = c->services[i];

		if (s == first || !is_served(b, s) || (is_named(first) && is_named(s)))
			continue;
		mt_b_warn(b, s->holder, s->line,
			mt_index_path(path, "spec.ports", s->at, ".number"),
			"give it an address or port of its own; or annotate both with `interface`, "
			"if their calls have service names",
			"%s is in use by %.128s at %s:%u: calls without a service name get an "
			"error there",
			l->text, first->name, first->origin.file ? first->origin.file : "?",
			first->line);
	}
}

void mt_b_tell_unnamed_calls(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_listens; i++) {
		const struct mt_listen *l = b->listen_list[i];
		const struct mt_listen_chain *c = l->discovered ? NULL : l->last;

		if (c && c->n_services > 1 && mt_codec_may_lack_service(c->codec))
			tell(b, l, c);
	}
}
