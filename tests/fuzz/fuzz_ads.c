/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a discovery server, to its client and who uses it. The first byte: bit 0 the incremental protocol, the others the type that is asked for.
 * The rest is one message. It goes to a consumer that looks at all that mt_ads.h promises, and to the client of an identity agent.
 */
#include "fuzz.h"

#include "mt_grpc.h"

#include <string.h>

static int to_nowhere(struct mt_grpc_stream *s, const uint8_t *data, size_t len)
{
	return 0;
}

static void end_nothing(struct mt_grpc_stream *s)
{
}

/* The agent's client with a stream that takes everything. */
#define mt_grpc_send   to_nowhere
#define mt_grpc_cancel end_nothing
#include "sds.c"

#define MEMORY (4u << 20)

/* ---- any consumer --------------------------------------------------------------------------------- */

static void look_at(const struct mt_ads_update *u, const struct mt_ads_resource *r, bool delta)
{
	volatile size_t sum = 0;

	/* Who a resource is can be told by its name, or by what is in it. */
	MT_ASSERT(r->name || r->body);
	MT_ASSERT(!delta || r->name);
	MT_ASSERT(r->version && r->ttl_ns % MT_SEC == 0);
	sum += strlen(r->version) + (r->name ? strlen(r->name) : 0);
	if (!r->body)
		return;
	sum += strlen(r->body->type_url);
	for (size_t i = 0; i < r->body->value.len; i++)
		sum += r->body->value.data[i];
	(void)sum;
}

struct any {
	bool delta, refuse;
};

static enum mt_ads_verdict any_update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	const struct any *a = arg;

	MT_ASSERT(u->version && (unsigned int)u->type < MT_XDS_TYPES);
	for (uint32_t i = 0; i < u->n; i++) {
		look_at(u, &u->items[i], a->delta);
		u->items[i].refused = a->refuse;
	}
	for (uint32_t i = 0; i < u->n_gone; i++)
		MT_ASSERT(strlen(u->gone[i]) < MEMORY);
	if (!a->refuse)
		return MT_ADS_TAKEN;
	mt_err(why, 0, "no");
	return MT_ADS_REFUSED;
}

static int any_send(void *arg, const uint8_t *data, size_t len)
{
	return 0;
}

static void hear_any(enum mt_xds_type type, struct any how, const uint8_t *data, size_t size)
{
	static const struct mt_ads_events events = {any_send, any_update};
	static const Xds__Node node = XDS__NODE__INIT;
	const struct mt_ads_conf conf = {.delta = how.delta, .node = &node, .max_memory = MEMORY};
	struct mt_ads *a = mt_ads_new(&conf, &events, &how);
	uint64_t now = MT_SEC;

	MT_ASSERT(a);
	mt_ads_wildcard(a, type, true);
	(void)mt_ads_subscribe(a, type, "default");
	mt_ads_up(a, now);
	for (int i = 0; i < 2; i++) {
		mt_ads_message(a, data, size, now += MT_SEC);
		mt_ads_flush(a, now += 10 * MT_SEC);
	}
	mt_ads_up(a, now);
	mt_ads_free(a);
}

/* ---- an agent's client ---------------------------------------------------------------------------- */

static void nothing_changed(void *arg)
{
}

static void hear_agent(const uint8_t *data, size_t size)
{
	struct mt_identity_source *src =
		mt_identity_sds_new("/nonexistent", NULL, "n", nothing_changed, NULL);
	struct sds *d = (struct sds *)src;

	MT_ASSERT(d);
	d->call = (struct mt_grpc_stream *)d; /* not looked into */
	mt_ads_up(d->ads, MT_SEC);
	for (int i = 0; i < 2; i++) {
		d->now += 10 * MT_SEC;
		on_message(d, data, size);
		mt_ads_flush(d->ads, d->now);
	}
	d->call = NULL;
	sds_free(src);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum mt_xds_type type;

	if (!size)
		return 0;
	type = (enum mt_xds_type)((data[0] >> 1) % MT_XDS_TYPES);
	for (int refuse = 0; refuse < 2; refuse++)
		hear_any(type, (struct any){data[0] & 1, refuse}, data + 1, size - 1);
	hear_agent(data + 1, size - 1);
	return 0;
}
