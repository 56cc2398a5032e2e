/* SPDX-License-Identifier: Apache-2.0 */
/* The discovery protocol, both kinds, against what a server may send. Requests are looked at as the server sees them. */
#include "mt_ads.h"
#include "mt_pb.h"
#include "suites.h"

#include "discovery.pb-c.h"

#include <stdio.h>
#include <string.h>

#define REQUESTS 512

/* A stream: what was sent is written down in a line each, and decoded. */
struct stream {
	struct mt_ads *a;
	struct mt_pb_arena arena;
	bool delta;
	uint64_t now;
	uint32_t n; /* requests */
	Xds__DiscoveryRequest *sotw[REQUESTS];
	Xds__DeltaDiscoveryRequest *incremental[REQUESTS];
	/* The owner's side. */
	bool refuse, later, complete;
	uint32_t updates, items, gone;
	char names[256], last_gone[64];
	uint64_t ttl_ns;
};

static int sent(void *arg, const uint8_t *data, size_t len)
{
	struct stream *s = arg;
	const char *why;

	CU_ASSERT_FATAL(s->n < REQUESTS);
	if (s->delta)
		s->incremental[s->n] = mt_pb_unpack(
			&s->arena, &xds__delta_discovery_request__descriptor, data, len, &why);
	else
		s->sotw[s->n] = mt_pb_unpack(
			&s->arena, &xds__discovery_request__descriptor, data, len, &why);
	s->n++;
	return 0;
}

static enum mt_ads_verdict update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	struct stream *s = arg;

	s->updates++;
	s->complete = u->complete;
	s->items = u->n;
	s->gone = u->n_gone;
	s->names[0] = '\0';
	for (uint32_t i = 0; i < u->n; i++)
		snprintf(s->names + strlen(s->names), sizeof(s->names) - strlen(s->names), "%s ",
			u->items[i].name ? u->items[i].name : "-");
	for (uint32_t i = 0; i < u->n; i++)
		u->items[i].refused = s->refuse;
	if (u->n)
		s->ttl_ns = u->items[0].ttl_ns;
	if (u->n_gone)
		snprintf(s->last_gone, sizeof(s->last_gone), "%s", u->gone[0]);
	if (s->refuse)
		mt_err(why, 0, "a: field x: bad");
	if (s->later)
		return MT_ADS_LATER;
	return s->refuse ? MT_ADS_REFUSED : MT_ADS_TAKEN;
}

static void begin(struct stream *s, bool delta)
{
	static const struct mt_ads_events events = {sent, update};
	static Xds__Node node = XDS__NODE__INIT;

	memset(s, 0, sizeof(*s));
	s->delta = delta;
	s->now = MT_SEC;
	mt_pb_arena_init(&s->arena, 64 << 20);
	node.id = (char *)"sidecar~192.0.2.1~a.b~c";
	s->a = mt_ads_new(&(struct mt_ads_conf){.delta = delta, .node = &node}, &events, s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->a);
}

static void finish(struct stream *s)
{
	mt_ads_free(s->a);
	mt_pb_arena_fini(&s->arena);
}

static void receive(struct stream *s, const ProtobufCMessage *m)
{
	uint8_t buf[4096];

	CU_ASSERT_FATAL(protobuf_c_message_get_packed_size(m) <= sizeof(buf));
	mt_ads_message(s->a, buf, protobuf_c_message_pack(m, buf), s->now);
}

/* A response of the type with one resource without a body. */
static void respond(struct stream *s, enum mt_xds_type type, const char *version, const char *nonce)
{
	Xds__DiscoveryResponse r = XDS__DISCOVERY_RESPONSE__INIT;
	Xds__Any any = XDS__ANY__INIT, *all = &any;

	any.type_url = (char *)mt_xds_url(type);
	r.type_url = (char *)mt_xds_url(type);
	r.version_info = (char *)version;
	r.nonce = (char *)nonce;
	r.n_resources = 1;
	r.resources = &all;
	receive(s, &r.base);
}

static void respond_delta(struct stream *s, enum mt_xds_type type, const char *nonce,
	const char *name, const char *version, const char *gone)
{
	Xds__DeltaDiscoveryResponse r = XDS__DELTA_DISCOVERY_RESPONSE__INIT;
	Xds__Resource one = XDS__RESOURCE__INIT, *all = &one;
	char *removed = (char *)gone;

	one.name = (char *)name;
	one.version = (char *)version;
	r.type_url = (char *)mt_xds_url(type);
	r.nonce = (char *)nonce;
	r.n_resources = name ? 1 : 0;
	r.resources = &all;
	r.n_removed_resources = gone ? 1 : 0;
	r.removed_resources = &removed;
	receive(s, &r.base);
}

#define LAST(s)	      ((s)->sotw[(s)->n - 1])
#define LAST_DELTA(s) ((s)->incremental[(s)->n - 1])

/* ---- state of the world --------------------------------------------------------------------------- */

static void first_requests(void)
{
	struct stream s;

	begin(&s, false);
	mt_ads_subscribe(s.a, MT_XDS_RDS, "r");
	mt_ads_wildcard(s.a, MT_XDS_LDS, true);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 0); /* no stream */
	CU_ASSERT_FALSE(mt_ads_synced(s.a));
	mt_ads_up(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 3);
	CU_ASSERT_STRING_EQUAL(s.sotw[0]->type_url, mt_xds_url(MT_XDS_CDS));
	CU_ASSERT_STRING_EQUAL(s.sotw[1]->type_url, mt_xds_url(MT_XDS_LDS));
	CU_ASSERT_STRING_EQUAL(s.sotw[2]->type_url, mt_xds_url(MT_XDS_RDS));
	CU_ASSERT_PTR_NOT_NULL(s.sotw[0]->node);
	CU_ASSERT_PTR_NULL(s.sotw[1]->node);
	CU_ASSERT_EQUAL(s.sotw[0]->n_resource_names, 0);
	CU_ASSERT_STRING_EQUAL(s.sotw[2]->resource_names[0], "r");
	finish(&s);
}

static void acknowledge(void)
{
	struct stream s;

	begin(&s, false);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_up(s.a, s.now);
	respond(&s, MT_XDS_CDS, "1", "n1");
	CU_ASSERT_TRUE(s.complete);
	CU_ASSERT_EQUAL(s.n, 2);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "1");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->response_nonce, "n1");
	CU_ASSERT_PTR_NULL(LAST(&s)->error_detail);
	CU_ASSERT_TRUE(mt_ads_synced(s.a));
	CU_ASSERT_EQUAL(mt_ads_status(s.a, MT_XDS_CDS).acks, 1);
	/* Endpoints: what is not in a response is not gone. */
	mt_ads_subscribe(s.a, MT_XDS_EDS, "e");
	CU_ASSERT_FALSE(mt_ads_synced(s.a));
	mt_ads_flush(s.a, s.now);
	respond(&s, MT_XDS_EDS, "1", "n2");
	CU_ASSERT_FALSE(s.complete);
	CU_ASSERT_TRUE(mt_ads_synced(s.a));
	finish(&s);
}

static void refuse(void)
{
	struct stream s;

	begin(&s, false);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_up(s.a, s.now);
	respond(&s, MT_XDS_CDS, "1", "n1");
	s.refuse = true;
	respond(&s, MT_XDS_CDS, "2", "n2");
	CU_ASSERT_EQUAL(s.n, 2);
	CU_ASSERT_TRUE(mt_ads_status(s.a, MT_XDS_CDS).pending_nack);
	s.now += MT_SEC - 1;
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 2);
	s.now += 1;
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 3);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "1");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->response_nonce, "n2");
	CU_ASSERT_PTR_NOT_NULL_FATAL(LAST(&s)->error_detail);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->error_detail->message, "a: field x: bad");
	CU_ASSERT_STRING_EQUAL(mt_ads_status(s.a, MT_XDS_CDS).version, "1");
	CU_ASSERT_STRING_EQUAL(mt_ads_status(s.a, MT_XDS_CDS).error, "a: field x: bad");
	/* The next one is sound: acknowledged at once. */
	s.refuse = false;
	respond(&s, MT_XDS_CDS, "3", "n3");
	CU_ASSERT_EQUAL(s.n, 4);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "3");
	CU_ASSERT_STRING_EQUAL(mt_ads_status(s.a, MT_XDS_CDS).error, "");
	finish(&s);
}

/* A server that pushes faster than it is refused hears of it nevertheless, and not more often. */
static void refused_again_and_again(void)
{
	struct stream s;

	begin(&s, false);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_up(s.a, s.now);
	s.refuse = true;
	for (int i = 0; i < 150; i++, s.now += MT_SEC / 10) {
		char nonce[16];

		snprintf(nonce, sizeof(nonce), "n%d", i);
		respond(&s, MT_XDS_CDS, "2", nonce);
		mt_ads_flush(s.a, s.now);
	}
	/* After 1 s, and 2 s to 5 s behind each. */
	CU_ASSERT(s.n >= 4 && s.n <= 7);
	CU_ASSERT_PTR_NOT_NULL(LAST(&s)->error_detail);
	finish(&s);
}

/* The verdict comes later: nothing that would be an answer is sent until then. */
static void judged_later(void)
{
	const struct mt_err bad = {"a: field x: bad"};
	struct stream s;

	begin(&s, false);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_up(s.a, s.now);
	s.later = true;
	respond(&s, MT_XDS_EDS, "1", "n1");
	mt_ads_subscribe(s.a, MT_XDS_EDS, "b");
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 1);
	CU_ASSERT_TRUE(mt_ads_status(s.a, MT_XDS_EDS).judging);
	/* The newest response is the one that is answered. */
	respond(&s, MT_XDS_EDS, "2", "n2");
	mt_ads_judged(s.a, MT_XDS_EDS, NULL, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "2");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->response_nonce, "n2");
	CU_ASSERT_EQUAL(LAST(&s)->n_resource_names, 2);
	mt_ads_judged(s.a, MT_XDS_EDS, NULL, s.now);
	CU_ASSERT_EQUAL(s.n, 2);
	respond(&s, MT_XDS_EDS, "3", "n3");
	mt_ads_judged(s.a, MT_XDS_EDS, &bad, s.now);
	CU_ASSERT_EQUAL(s.n, 2);
	s.now += MT_SEC;
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 3);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "2");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->error_detail->message, bad.text);
	/* A stream that is gone takes its verdict along. */
	respond(&s, MT_XDS_EDS, "4", "n4");
	mt_ads_up(s.a, s.now);
	mt_ads_judged(s.a, MT_XDS_EDS, NULL, s.now);
	CU_ASSERT_EQUAL(s.n, 4);
	CU_ASSERT_STRING_EQUAL(mt_ads_status(s.a, MT_XDS_EDS).version, "2");
	finish(&s);
}

/* Delta: subscriptions do not wait, and what was refused after all is asked for again. */
static void judged_later_delta(void)
{
	struct stream s;

	begin(&s, true);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_subscribe(s.a, MT_XDS_EDS, "b");
	mt_ads_up(s.a, s.now);
	s.later = true;
	respond_delta(&s, MT_XDS_EDS, "n1", "a", "1", NULL);
	respond_delta(&s, MT_XDS_EDS, "n2", "b", "1", NULL);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "c");
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->response_nonce, "");
	mt_ads_untake(s.a, MT_XDS_EDS, "a", NULL);
	mt_ads_judged(s.a, MT_XDS_EDS, &(struct mt_err){"a: bad"}, s.now);
	mt_ads_down(s.a);
	mt_ads_up(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(LAST_DELTA(&s)->n_initial_resource_versions, 1);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->initial_resource_versions[0]->key, "b");
	finish(&s);
}

/* What was acknowledged is refused after all: with the last nonce, in the version that is had, after the wait of all refusals. */
static void refused_behind_the_verdict(void)
{
	const struct mt_err bad = {"a: in use"};
	struct stream s;

	begin(&s, false);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_up(s.a, s.now);
	/* Nothing was said yet. */
	mt_ads_refuse(s.a, MT_XDS_EDS, &bad, s.now);
	s.now += MT_SEC;
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 1);
	respond(&s, MT_XDS_EDS, "1", "n1");
	CU_ASSERT_EQUAL(s.n, 2);
	mt_ads_refuse(s.a, MT_XDS_EDS, &bad, s.now);
	CU_ASSERT_EQUAL(s.n, 2);
	s.now += MT_SEC;
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 3);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->response_nonce, "n1");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "1");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->error_detail->message, bad.text);
	/* The verdict on the next response is its own. */
	s.later = true;
	respond(&s, MT_XDS_EDS, "2", "n2");
	mt_ads_refuse(s.a, MT_XDS_EDS, &bad, s.now);
	mt_ads_judged(s.a, MT_XDS_EDS, NULL, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 4);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->response_nonce, "n2");
	CU_ASSERT_PTR_NULL(LAST(&s)->error_detail);
	finish(&s);
}

/* A server that answers each refusal at once with the same: ten minutes, and how often it is refused. */
static void no_refusal_loop(void)
{
	struct stream s;
	uint32_t seen;

	begin(&s, false);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_up(s.a, s.now);
	s.refuse = true;
	seen = s.n;
	respond(&s, MT_XDS_CDS, "1", "n");
	for (int i = 0; i < 6000; i++) {
		s.now += MT_SEC / 10;
		mt_ads_flush(s.a, s.now);
		if (s.n > seen)
			respond(&s, MT_XDS_CDS, "1", "n");
		seen = s.n;
	}
	/* 1, 2, 4, 5, 5 … s apart. */
	CU_ASSERT(s.n >= 110 && s.n <= 125);
	finish(&s);
}

static void names(void)
{
	struct stream s;

	begin(&s, false);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_subscribe(s.a, MT_XDS_EDS, "b");
	mt_ads_up(s.a, s.now);
	CU_ASSERT_EQUAL(LAST(&s)->n_resource_names, 2);
	mt_ads_unsubscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 1); /* somebody wants it still */
	mt_ads_unsubscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_unsubscribe(s.a, MT_XDS_EDS, "never");
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	CU_ASSERT_EQUAL_FATAL(LAST(&s)->n_resource_names, 1);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->resource_names[0], "b");
	/* The last one: the server has to hear that nothing is wanted. */
	mt_ads_unsubscribe(s.a, MT_XDS_EDS, "b");
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 3);
	CU_ASSERT_EQUAL(LAST(&s)->n_resource_names, 0);
	finish(&s);
}

static void again(void)
{
	struct stream s;

	begin(&s, false);
	mt_ads_wildcard(s.a, MT_XDS_LDS, true);
	mt_ads_up(s.a, s.now);
	respond(&s, MT_XDS_LDS, "7", "n1");
	mt_ads_down(s.a);
	CU_ASSERT_FALSE(mt_ads_synced(s.a));
	respond(&s, MT_XDS_LDS, "8", "n2"); /* of a stream that is gone */
	CU_ASSERT_EQUAL(s.updates, 1);
	mt_ads_up(s.a, s.now);
	CU_ASSERT_EQUAL(s.n, 3);
	CU_ASSERT_STRING_EQUAL(LAST(&s)->version_info, "7");
	CU_ASSERT_STRING_EQUAL(LAST(&s)->response_nonce, "");
	CU_ASSERT_PTR_NOT_NULL(LAST(&s)->node);
	finish(&s);
}

static void not_asked(void)
{
	struct stream s;
	const char *why;

	begin(&s, false);
	mt_ads_wildcard(s.a, MT_XDS_LDS, true);
	mt_ads_up(s.a, s.now);
	respond(&s, MT_XDS_CDS, "1", "n");
	mt_ads_message(s.a, (const uint8_t *)"\xff\xff", 2, s.now);
	CU_ASSERT_EQUAL(s.updates, 0);
	CU_ASSERT_EQUAL(s.n, 1);
	CU_ASSERT_EQUAL(mt_ads_unreadable_count(s.a, &why), 2);
	CU_ASSERT_STRING_EQUAL(why, "its bytes are no such message");
	finish(&s);
}

/* Envelopes: the name and the time to live of what is in them; a broken one is refused, the others are taken. */
static void envelopes(void)
{
	Xds__DiscoveryResponse r = XDS__DISCOVERY_RESPONSE__INIT;
	Xds__Any inner = XDS__ANY__INIT, outer = XDS__ANY__INIT, bad, *all[2] = {&outer, &bad};
	Xds__Resource envelope = XDS__RESOURCE__INIT;
	Xds__Duration ttl = XDS__DURATION__INIT;
	struct stream s;
	uint8_t buf[256];

	begin(&s, false);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "e");
	mt_ads_up(s.a, s.now);
	ttl.seconds = 5;
	inner.type_url = (char *)mt_xds_url(MT_XDS_EDS);
	envelope.name = (char *)"e";
	envelope.ttl = &ttl;
	envelope.resource = &inner;
	outer.type_url = (char *)"type.googleapis.com/envoy.service.discovery.v3.Resource";
	outer.value.data = buf;
	outer.value.len = xds__resource__pack(&envelope, buf);
	bad = outer;
	bad.value.len--;
	r.type_url = inner.type_url;
	r.resources = all;
	r.n_resources = 1;
	receive(&s, &r.base);
	CU_ASSERT_STRING_EQUAL(s.names, "e ");
	CU_ASSERT_EQUAL(s.ttl_ns, 5 * MT_SEC);
	CU_ASSERT_EQUAL(mt_ads_status(s.a, MT_XDS_EDS).acks, 1);
	r.n_resources = 2;
	receive(&s, &r.base);
	CU_ASSERT_STRING_EQUAL(s.names, "e ");
	CU_ASSERT_EQUAL(mt_ads_status(s.a, MT_XDS_EDS).nacks, 1);
	CU_ASSERT_STRING_EQUAL(mt_ads_status(s.a, MT_XDS_EDS).error,
		"a resource's envelope: its bytes are no such message");
	/* Nor is anybody gone: it may be the one that is in there. */
	inner.type_url = r.type_url = (char *)mt_xds_url(MT_XDS_CDS);
	outer.value.len = xds__resource__pack(&envelope, buf);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_flush(s.a, s.now);
	receive(&s, &r.base);
	CU_ASSERT_FALSE(s.complete);
	r.n_resources = 1;
	receive(&s, &r.base);
	CU_ASSERT_TRUE(s.complete);
	finish(&s);
}

/* ---- delta ---------------------------------------------------------------------------------------- */

static void delta_names(void)
{
	struct stream s;

	begin(&s, true);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_up(s.a, s.now);
	CU_ASSERT_EQUAL(LAST_DELTA(&s)->n_resource_names_subscribe, 1);
	respond_delta(&s, MT_XDS_EDS, "n1", "a", "v1", NULL);
	CU_ASSERT_EQUAL(s.n, 2);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->response_nonce, "n1");
	CU_ASSERT_EQUAL(LAST_DELTA(&s)->n_resource_names_subscribe, 0);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "b");
	mt_ads_unsubscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 3);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->response_nonce, "");
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->resource_names_subscribe[0], "b");
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->resource_names_unsubscribe[0], "a");
	finish(&s);
}

/* A response may come while subscriptions changed: one request acknowledges it and says what is wanted. */
static void delta_both(void)
{
	struct stream s;

	begin(&s, true);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "a");
	mt_ads_up(s.a, s.now);
	mt_ads_subscribe(s.a, MT_XDS_EDS, "b");
	respond_delta(&s, MT_XDS_EDS, "n1", "a", "v1", NULL);
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->response_nonce, "n1");
	CU_ASSERT_EQUAL_FATAL(LAST_DELTA(&s)->n_resource_names_subscribe, 1);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->resource_names_subscribe[0], "b");
	finish(&s);
}

static void delta_again(void)
{
	struct stream s;

	begin(&s, true);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_up(s.a, s.now);
	CU_ASSERT_EQUAL(LAST_DELTA(&s)->n_resource_names_subscribe, 0);
	respond_delta(&s, MT_XDS_CDS, "n1", "a", "v1", NULL);
	respond_delta(&s, MT_XDS_CDS, "n2", "b", "v1", NULL);
	respond_delta(&s, MT_XDS_CDS, "n3", NULL, NULL, "a");
	CU_ASSERT_STRING_EQUAL(s.last_gone, "a");
	s.refuse = true;
	respond_delta(&s, MT_XDS_CDS, "n4", "b", "v2", NULL);
	mt_ads_down(s.a);
	mt_ads_up(s.a, s.now);
	/* What we have: b as it was accepted; a is gone, and b's second version was refused. */
	CU_ASSERT_EQUAL_FATAL(LAST_DELTA(&s)->n_initial_resource_versions, 1);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->initial_resource_versions[0]->key, "b");
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->initial_resource_versions[0]->value, "v1");
	finish(&s);
}

static void delta_wildcard(void)
{
	struct stream s;

	begin(&s, true);
	mt_ads_subscribe(s.a, MT_XDS_CDS, "x");
	mt_ads_up(s.a, s.now);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(LAST_DELTA(&s)->n_resource_names_subscribe, 1);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->resource_names_subscribe[0], "*");
	mt_ads_wildcard(s.a, MT_XDS_CDS, false);
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(LAST_DELTA(&s)->n_resource_names_unsubscribe, 1);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->resource_names_unsubscribe[0], "*");
	finish(&s);
}

static void delta_refuse(void)
{
	struct stream s;

	begin(&s, true);
	mt_ads_wildcard(s.a, MT_XDS_CDS, true);
	mt_ads_up(s.a, s.now);
	s.refuse = true;
	respond_delta(&s, MT_XDS_CDS, "n1", "a", "v1", NULL);
	CU_ASSERT_EQUAL(s.n, 1);
	s.now += MT_SEC;
	mt_ads_flush(s.a, s.now);
	CU_ASSERT_EQUAL_FATAL(s.n, 2);
	CU_ASSERT_STRING_EQUAL(LAST_DELTA(&s)->response_nonce, "n1");
	CU_ASSERT_PTR_NOT_NULL(LAST_DELTA(&s)->error_detail);
	finish(&s);
}

const struct mt_test ads_tests[] = {
	{"first_requests", first_requests},
	{"acknowledge", acknowledge},
	{"refuse", refuse},
	{"refused_again_and_again", refused_again_and_again},
	{"judged_later", judged_later},
	{"judged_later_delta", judged_later_delta},
	{"refused_behind_the_verdict", refused_behind_the_verdict},
	{"no_refusal_loop", no_refusal_loop},
	{"names", names},
	{"again", again},
	{"not_asked", not_asked},
	{"envelopes", envelopes},
	{"delta_names", delta_names},
	{"delta_both", delta_both},
	{"delta_again", delta_again},
	{"delta_wildcard", delta_wildcard},
	{"delta_refuse", delta_refuse},
	{0},
};
