/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_ads_priv.h"

#include "mt_mutant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY	   (256u << 20)
#define REFUSE_MIN MT_SEC
/* Limited, because go-control-plane sends nothing more of the type until it gets the verdict. */
#define REFUSE_MAX (5 * MT_SEC)

static const struct {
	const char *url, *name;
} types[MT_XDS_TYPES] = {
	[MT_XDS_CDS] = {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "CDS"},
	[MT_XDS_EDS] = {"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
		"EDS"},
	[MT_XDS_LDS] = {"type.googleapis.com/envoy.config.listener.v3.Listener", "LDS"},
	[MT_XDS_RDS] = {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "RDS"},
	[MT_XDS_ECDS] = {"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", "ECDS"},
	[MT_XDS_SDS] = {"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
		"SDS"},
	[MT_XDS_NDS] = {"type.googleapis.com/istio.networking.nds.v1.NameTable", "NDS"},
};

const char *mt_xds_url(enum mt_xds_type type)
{
	return types[type].url;
}

const char *mt_xds_name(enum mt_xds_type type)
{
	return types[type].name;
}

bool mt_xds_is_whole(enum mt_xds_type type)
{
	return type == MT_XDS_CDS || type == MT_XDS_LDS || type == MT_XDS_NDS;
}

int mt_ads_type_of(const char *url)
{
	for (int i = 0; i < MT_XDS_TYPES; i++)
		if (strcmp(types[i].url, url) == 0)
			return i;
	return -1;
}

/* ---- names ----------------------------------------------------------------------------------- */

int mt_ads_set(char **text, const char *to)
{
	char *copy = to && *to ? strdup(to) : NULL;

	if (to && *to && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

struct mt_ads_name *mt_ads_name_get(struct mt_ads_type *t, const char *name)
{
	struct mt_ads_name *n = mt_strmap_get(&t->names, name);
	size_t len = strlen(name) + 1;

	if (n)
		return n;
	n = calloc(1, sizeof(*n) + len);
	if (!n)
		return NULL;
	memcpy(n->name, name, len);
	if (mt_strmap_put(&t->names, n->name, n, NULL) == 0)
		return n;
	free(n);
	return NULL;
}

void mt_ads_name_put(struct mt_ads_type *t, struct mt_ads_name *n)
{
	/* While `told` is set, the delta server has not received the unsubscription. */
	if (n->wants || n->version || n->told)
		return;
	mt_strmap_del(&t->names, n->name);
	free(n);
}

static void free_names(struct mt_ads_type *t)
{
	struct mt_ads_name *n;
	uint32_t pos = 0;

	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL) {
		free(n->version);
		free(n);
	}
	mt_strmap_fini(&t->names);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

struct mt_ads *mt_ads_new(
	const struct mt_ads_conf *conf, const struct mt_ads_events *events, void *arg)
{
	struct mt_ads *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->conf = *conf;
	if (!a->conf.max_memory)
		a->conf.max_memory = MEMORY;
	a->events = events;
	a->arg = arg;
	return a;
}

void mt_ads_free(struct mt_ads *a)
{
	if (!a)
		return;
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		free_names(&a->types[i]);
		free(a->types[i].version);
		free(a->types[i].nonce);
		free(a->types[i].judged_version);
	}
	free(a);
}

void mt_ads_wildcard(struct mt_ads *a, enum mt_xds_type type, bool on)
{
	a->types[type].changed |= a->types[type].wildcard != on;
	a->types[type].wildcard = on;
}

int mt_ads_subscribe(struct mt_ads *a, enum mt_xds_type type, const char *name)
{
	struct mt_ads_type *t = &a->types[type];
	struct mt_ads_name *n = mt_ads_name_get(t, name);

	if (!n)
		return -ENOMEM;
	if (n->wants++ == 0) {
		t->n_wanted++;
		t->changed = true;
		t->n_again += n->told && !n->again;
		n->again = n->told && !mt_mutant(MT_MUTANT_xds_wanted_again_unsaid);
	}
	return 0;
}

void mt_ads_mark_told(struct mt_ads_type *t)
{
	struct mt_ads_name *n;
	uint32_t pos = 0;

	t->n_again = 0;
	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL) {
		n->told = n->wants != 0;
		n->again = false;
		mt_ads_name_put(t, n);
	}
}

void mt_ads_unsubscribe(struct mt_ads *a, enum mt_xds_type type, const char *name)
{
	struct mt_ads_type *t = &a->types[type];
	struct mt_ads_name *n = mt_strmap_get(&t->names, name);

	if (!n || !n->wants || --n->wants)
		return;
	t->n_wanted--;
	t->changed = true;
	if (!t->wildcard)
		(void)mt_ads_set(&n->version, NULL);
	mt_ads_name_put(t, n);
}

/* ---- the stream ------------------------------------------------------------------------------ */

static void forget_stream(struct mt_ads_type *t)
{
	struct mt_ads_name *n;
	uint32_t pos = 0;

	(void)mt_ads_set(&t->nonce, NULL);
	t->asked = t->heard = t->refused = t->judging = t->wildcard_told = false;
	t->refusal_due = false;
	t->changed = mt_ads_is_wanted(t);
	t->n_again = 0;
	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL) {
		n->told = n->told && mt_mutant(MT_MUTANT_xds_names_not_said_anew);
		n->again = false;
		mt_ads_name_put(t, n);
	}
}

void mt_ads_down(struct mt_ads *a)
{
	a->up = a->node_sent = false;
	for (int i = 0; i < MT_XDS_TYPES; i++)
		forget_stream(&a->types[i]);
}

void mt_ads_up(struct mt_ads *a, uint64_t now)
{
	mt_ads_down(a);
	a->up = true;
	mt_ads_flush(a, now);
}

Xds__Node *mt_ads_node(struct mt_ads *a)
{
	return a->node_sent ? NULL : (Xds__Node *)a->conf.node;
}

void mt_ads_post(struct mt_ads *a, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *buf = malloc(len ? len : 1);

	if (!buf)
		return;
	protobuf_c_message_pack(m, buf);
	if (a->events->send(a->arg, buf, len) == 0)
		a->node_sent = true;
	else
		a->up = false;
	free(buf);
}

static void request(struct mt_ads *a, enum mt_xds_type type, bool ack, const char *error)
{
	struct mt_ads_type *t = &a->types[type];

	if (a->conf.delta)
		mt_delta_request(a, type, ack, error);
	else
		mt_sotw_request(a, type, error);
	t->asked = true;
	t->changed = false;
	if (error)
		t->refused = t->refusal_due = false;
}

void mt_ads_flush(struct mt_ads *a, uint64_t now)
{
	for (int i = 0; i < MT_XDS_TYPES && a->up; i++) {
		struct mt_ads_type *t = &a->types[i];

		if (!t->asked && !mt_ads_is_wanted(t))
			continue;
		/*
		 * The nonce would make the request an answer to a response whose verdict is still
		 * due. Servers do not understand a request without a nonce.
		 */
		if (t->judging && !a->conf.delta)
			continue;
		if (t->changed || (t->refused && now >= t->refuse_at))
			request(a, (enum mt_xds_type)i, false, t->refused ? t->error.text : NULL);
	}
}

/* ---- responses ------------------------------------------------------------------------------- */

void mt_ads_message(struct mt_ads *a, const uint8_t *data, size_t len, uint64_t now)
{
	struct mt_pb_arena arena;

	if (!a->up)
		return;
	mt_pb_arena_init(&arena, a->conf.max_memory);
	if (a->conf.delta)
		mt_delta_message(a, &arena, data, len, now);
	else
		mt_sotw_message(a, &arena, data, len, now);
	mt_pb_arena_fini(&arena);
}

static void accepted(struct mt_ads_type *t, const char *version, uint64_t now)
{
	if (version != t->version)
		(void)mt_ads_set(&t->version, version);
	t->error.text[0] = '\0';
	t->refused = t->refusal_due = false;
	t->wait_ns = 0;
	t->counts.acks++;
	t->counts.acked_at = now;
}

static void refused(struct mt_ads_type *t, uint64_t now)
{
	uint64_t reason = mt_strhash(t->error.text, 0);

	/* Double the delay only for a repeated reason: another one is not a loop. */
	if (!t->wait_ns || reason != t->refused_for)
		t->wait_ns = REFUSE_MIN;
	else
		t->wait_ns = MT_MIN(2 * t->wait_ns, REFUSE_MAX);
	t->refused_for = reason;
	/* More rejections do not postpone a due NACK, even if the server pushes continuously. */
	if (!t->refusal_due)
		t->refuse_at = now + t->wait_ns;
	if (mt_mutant(MT_MUTANT_xds_refused_at_once))
		t->refuse_at = now;
	t->refusal_due = true;
	t->refused = true;
	t->counts.nacks++;
	t->counts.nacked_at = now;
}

static void verdict(
	struct mt_ads *a, enum mt_xds_type type, bool ok, const char *version, uint64_t now)
{
	struct mt_ads_type *t = &a->types[type];

	t->judging = false;
	if (!ok && !mt_mutant(MT_MUTANT_xds_refused_acknowledged)) {
		refused(t, now);
		return;
	}
	accepted(t, version, now);
	request(a, type, true, NULL);
}

void mt_ads_judge(struct mt_ads *a, const struct mt_ads_update *u, const char *nonce,
	const char *broken, size_t len, uint64_t now)
{
	struct mt_ads_type *t = &a->types[u->type];
	enum mt_ads_verdict v;

	(void)mt_ads_set(&t->nonce, nonce);
	t->heard = true;
	t->counts.responses++;
	t->counts.bytes += len;
	t->error.text[0] = '\0';
	v = a->events->update(a->arg, u, &t->error);
	if (v != MT_ADS_REFUSED && broken)
		mt_err(&t->error, 0, "%s", broken);
	t->broken = broken != NULL;
	if (v != MT_ADS_LATER) {
		verdict(a, u->type, v == MT_ADS_TAKEN && !broken, u->version, now);
		return;
	}
	t->judging = true;
	/* This verdict replaces a NACK of the previous response that was not sent yet. */
	t->refused = false;
	(void)mt_ads_set(&t->judged_version, u->version);
}

void mt_ads_judged(struct mt_ads *a, enum mt_xds_type type, const struct mt_err *why, uint64_t now)
{
	struct mt_ads_type *t = &a->types[type];

	if (!t->judging || !a->up)
		return;
	if (why)
		t->error = *why;
	verdict(a, type, !why && !t->broken, t->judged_version, now);
}

void mt_ads_refuse(struct mt_ads *a, enum mt_xds_type type, const struct mt_err *why, uint64_t now)
{
	struct mt_ads_type *t = &a->types[type];

	/* If a verdict is due, it answers the last response. */
	if (!a->up || !t->nonce || t->judging)
		return;
	t->error = *why;
	refused(t, now);
}

void mt_ads_untake(struct mt_ads *a, enum mt_xds_type type, const char *name, const char *version)
{
	struct mt_ads_type *t = &a->types[type];
	/*
	 * A server may have removed a resource and then sent an invalid one. The entry is then
	 * missing although the old version is still in use. Create it, so that a new stream
	 * announces the version and learns of a removal.
	 */
	struct mt_ads_name *n = a->conf.delta && t->wildcard && version
					? mt_ads_name_get(t, name)
					: mt_strmap_get(&t->names, name);

	if (!n)
		return;
	if (version && mt_mutant(MT_MUTANT_xds_good_is_not_had))
		version = NULL;
	(void)mt_ads_set(&n->version, version);
	mt_ads_name_put(t, n);
}

void mt_ads_have(struct mt_ads *a, enum mt_xds_type type, const char *name, const char *version)
{
	struct mt_ads_type *t = &a->types[type];
	struct mt_ads_name *n = a->conf.delta && t->wildcard ? mt_ads_name_get(t, name) : NULL;

	if (!n)
		return;
	(void)mt_ads_set(&n->version, version);
	mt_ads_name_put(t, n);
}

void mt_ads_lose(struct mt_ads *a, enum mt_xds_type type, const char *name)
{
	mt_ads_untake(a, type, name, NULL);
	/* A SotW server sends nothing if the request contains its current version. */
	(void)mt_ads_set(&a->types[type].version, NULL);
}

void mt_ads_unreadable(struct mt_ads *a, const char *why)
{
	a->unreadable++;
	mt_err(&a->unreadable_why, 0, "%s", why);
}

uint64_t mt_ads_unreadable_count(const struct mt_ads *a, const char **why)
{
	*why = a->unreadable_why.text;
	return a->unreadable;
}

bool mt_ads_is_up(const struct mt_ads *a)
{
	return a->up;
}

bool mt_ads_synced(const struct mt_ads *a)
{
	for (int i = 0; i < MT_XDS_TYPES; i++)
		if (mt_ads_is_wanted(&a->types[i]) && !a->types[i].heard)
			return false;
	return a->up;
}

struct mt_ads_status mt_ads_status(const struct mt_ads *a, enum mt_xds_type type)
{
	const struct mt_ads_type *t = &a->types[type];
	struct mt_ads_status s = t->counts;

	s.version = t->version ? t->version : "";
	s.error = t->error.text;
	s.wanted = t->n_wanted;
	s.wildcard = t->wildcard;
	s.pending_nack = t->refused;
	s.judging = t->judging;
	return s;
}
