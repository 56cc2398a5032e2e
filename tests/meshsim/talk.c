/* SPDX-License-Identifier: Apache-2.0 */
/* What a control plane says on a stream, and how it takes what it hears; both kinds of the protocol. */
#include "plane.h"

#include "discovery.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int type_of(const char *url)
{
	for (int i = 0; i < PLANE_TYPES; i++)
		if (strcmp(url, mt_xds_url((enum mt_xds_type)i)) == 0)
			return i;
	return -1;
}

static void post(struct session *s, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *buf = malloc(len + 1);

	protobuf_c_message_pack(m, buf);
	s->p->responses++;
	wire_say(s->call, buf, len);
	free(buf);
}

static bool is_wanted(const struct sub *t, uint32_t i)
{
	return t->wild || t->want[i];
}

/* It goes out now: the client may know of it from here on. */
static void said(struct plane *p, struct body *b)
{
	if (!b->first_at)
		b->first_at = p->now;
	b->said = ++p->counter;
	p->news += p->last_said[b->type][b->name] != b;
	p->last_said[b->type][b->name] = b;
	plane_trace(
		p, "says %s %s #%u", mt_xds_name(b->type), name_of(b->type, b->name), b->serial);
}

static void say_gone(struct plane *p, enum mt_xds_type type, uint32_t i)
{
	p->news += p->last_said[type][i] != NULL;
	p->last_said[type][i] = NULL;
	p->told_gone[type][i] = p->last_gone[type][i] = ++p->counter;
	plane_trace(p, "says no %s %s", mt_xds_name(type), name_of(type, i));
}

static struct answer *new_answer(struct session *s, struct sub *t)
{
	struct answer *a = &t->answers[t->n_answers++ % ANSWERS];

	memset(a, 0, sizeof(*a));
	a->open = true;
	a->at = s->p->now;
	snprintf(a->nonce, sizeof(a->nonce), "n%llu", (unsigned long long)++s->p->counter);
	return a;
}

/* ---- state of the world ---------------------------------------------------------------------------- */

static void say_world(struct session *s, enum mt_xds_type type)
{
	struct plane *p = s->p;
	struct sub *t = &s->t[type];
	struct answer *a = new_answer(s, t);
	Xds__DiscoveryResponse r = XDS__DISCOVERY_RESPONSE__INIT;
	Xds__Any *items[PLANE_NAMES];
	uint32_t first = (uint32_t)mt_rand_u64(p->rng) % names_of(type);
	bool all = type == MT_XDS_CDS || type == MT_XDS_LDS || !p->partial;

	for (uint32_t k = 0; k < names_of(type); k++) {
		uint32_t i = (first + k) % names_of(type);
		struct body *b = p->has[type][i];

		if (!b && all)
			say_gone(p, type, i);
		if (!b || !is_wanted(t, i) || !(all || t->fresh[i]))
			continue;
		a->items[i] = b;
		items[r.n_resources++] = &b->any[mt_rand_u64(p->rng) % 2];
		t->fresh[i] = false;
		said(p, b);
		a->said[i] = b->said;
	}
	r.resources = items;
	snprintf(t->version, sizeof(t->version), "v%llu", (unsigned long long)p->version);
	r.version_info = t->version;
	r.type_url = (char *)mt_xds_url(type);
	r.nonce = a->nonce;
	post(s, &r.base);
}

/* ---- delta ----------------------------------------------------------------------------------------- */

static void add_item(
	struct session *s, struct body *b, Xds__Resource *r, Xds__Duration *ttl, char version[16])
{
	xds__resource__init(r);
	xds__duration__init(ttl);
	snprintf(version, 16, "%u", b->serial);
	r->name = (char *)name_of(b->type, b->name);
	r->version = version;
	r->resource = &b->any[mt_rand_u64(s->p->rng) % 2];
	if (b->ttl_s) {
		ttl->seconds = b->ttl_s;
		r->ttl = ttl;
	}
	said(s->p, b);
}

static void say_delta(struct session *s, enum mt_xds_type type)
{
	struct plane *p = s->p;
	struct sub *t = &s->t[type];
	struct answer *a;
	Xds__DeltaDiscoveryResponse r = XDS__DELTA_DISCOVERY_RESPONSE__INIT;
	Xds__Resource items[PLANE_NAMES], *list[PLANE_NAMES];
	Xds__Duration ttls[PLANE_NAMES];
	char versions[PLANE_NAMES][16], names[PLANE_NAMES][16], *gone[PLANE_NAMES];
	struct body *told[PLANE_NAMES] = {NULL};

	for (uint32_t i = 0; i < names_of(type); i++) {
		struct body *b = p->has[type][i];

		if (b && is_wanted(t, i) && t->has[i] != b->serial) {
			add_item(s, b, &items[i], &ttls[i], versions[i]);
			snprintf(names[i], sizeof(names[i]), "%s", name_of(type, i));
			items[i].name = names[i];
			list[r.n_resources++] = &items[i];
			told[i] = b;
			t->has[i] = b->serial;
		} else if (!b && t->has[i]) {
			snprintf(names[i], sizeof(names[i]), "%s", name_of(type, i));
			gone[r.n_removed_resources++] = names[i];
			t->has[i] = 0;
			say_gone(p, type, i);
		}
	}
	if (!r.n_resources && !r.n_removed_resources && !t->delta_first)
		return;
	t->delta_first = false;
	a = new_answer(s, t);
	memcpy(a->items, told, sizeof(told));
	for (uint32_t i = 0; i < PLANE_NAMES; i++)
		a->said[i] = told[i] ? told[i]->said : 0;
	r.resources = list;
	r.removed_resources = gone;
	r.system_version_info = (char *)"";
	r.type_url = (char *)mt_xds_url(type);
	r.nonce = a->nonce;
	post(s, &r.base);
}

/* ---- requests -------------------------------------------------------------------------------------- */

static void ask(struct session *s, struct sub *t)
{
	if (!t->due)
		t->due_at =
			s->p->now +
			(s->p->latest_ms ? mt_rand_u64(s->p->rng) % s->p->latest_ms : 0) * MT_MSEC;
	t->due = true;
}

static void hear(struct plane *p, struct body *b, uint64_t said, uint64_t at)
{
	if (said > p->told_gone[b->type][b->name])
		p->told_gone[b->type][b->name] = 0;
	b->sure = true;
	b->heard = said;
	b->heard_at = at;
}

/* Everything that was said with it, and before it, is known now. */
static void judged(struct session *s, enum mt_xds_type type, const char *nonce, const char *refusal)
{
	struct sub *t = &s->t[type];
	struct plane *p = s->p;
	bool named = false;

	for (uint32_t k = 0; k < ANSWERS; k++) {
		struct answer *a = &t->answers[k];
		const struct body *bad = NULL;

		if (!a->open || strcmp(a->nonce, nonce) != 0)
			continue;
		a->open = false;
		plane_trace(p, "hears %s of %s %s", refusal ? "NACK" : "ACK", mt_xds_name(type),
			refusal ? refusal : "");
		for (uint32_t i = 0; i < PLANE_NAMES; i++) {
			struct body *b = a->items[i];

			if (!b)
				continue;
			if (!refusal || !b->bad)
				hear(p, b, a->said[i], a->at);
			if (b->bad && is_wanted(t, i))
				bad = b;
			named |= b->bad && refusal && strstr(refusal, name_of(type, i));
		}
		if (bad && !refusal && t->wild)
			plane_wrong(p, "%s %s, serial %u, cannot be taken and was acknowledged",
				mt_xds_name(type), name_of(type, bad->name), bad->serial);
		if (refusal && bad && !named)
			plane_wrong(p, "a NACK does not name %s %s: %s", mt_xds_name(type),
				name_of(type, bad->name), refusal);
	}
	if (!refusal) {
		p->acks++;
		return;
	}
	p->nacks++;
	minute_add(&p->nack_minute[type], p->now);
	if (p->resend) {
		for (uint32_t i = 0; i < PLANE_NAMES; i++)
			t->has[i] = t->has[i] ? UINT32_MAX : 0;
		memset(t->fresh, 1, sizeof(t->fresh));
		ask(s, t);
	}
}

static bool is_open(const struct sub *t)
{
	for (uint32_t k = 0; k < ANSWERS; k++)
		if (t->answers[k].open)
			return true;
	return false;
}

static void hear_world(struct session *s, const Xds__DiscoveryRequest *q)
{
	int type = type_of(q->type_url);
	bool want[PLANE_NAMES] = {false};
	struct sub *t;

	if (type < 0)
		return;
	t = &s->t[type];
	for (size_t i = 0; i < q->n_resource_names; i++) {
		int at = index_of((enum mt_xds_type)type, q->resource_names[i]);

		if (at >= 0)
			want[at] = true;
	}
	t->wild = type == MT_XDS_CDS || type == MT_XDS_LDS;
	/* Names that are new are answered; so is the first request. */
	for (uint32_t i = 0; i < PLANE_NAMES; i++)
		if (want[i] && !t->want[i]) {
			t->fresh[i] = true;
			ask(s, t);
		} else if (t->want[i] && !want[i]) {
			plane_let_go(s->p, (enum mt_xds_type)type, i);
		}
	memcpy(t->want, want, sizeof(want));
	if (!t->asked) {
		memset(t->fresh, 1, sizeof(t->fresh));
		ask(s, t);
	}
	t->asked = true;
	if (*q->response_nonce)
		judged(s, (enum mt_xds_type)type, q->response_nonce,
			q->error_detail ? q->error_detail->message : NULL);
}

static void hear_initial(struct session *s, int type, const Xds__DeltaDiscoveryRequest *q)
{
	for (size_t i = 0; i < q->n_initial_resource_versions; i++) {
		const char *name = q->initial_resource_versions[i]->key;
		int at = index_of((enum mt_xds_type)type, name);
		uint32_t serial = (uint32_t)atoi(q->initial_resource_versions[i]->value);
		struct body *b;

		if (at < 0)
			continue;
		b = plane_find(s->p, (enum mt_xds_type)type, (uint32_t)at, serial);
		if (!b || b->bad)
			plane_wrong(s->p, "%s %s is said to be had in version %u, which %s",
				mt_xds_name((enum mt_xds_type)type), name, serial,
				b ? "cannot be taken" : "never was");
		else
			b->sure = true;
		plane_trace(s->p, "hears that %s %s #%u is had",
			mt_xds_name((enum mt_xds_type)type), name, serial);
		s->t[type].has[at] = serial;
	}
}

static void hear_delta(struct session *s, const Xds__DeltaDiscoveryRequest *q)
{
	int type = type_of(q->type_url);
	struct sub *t;

	if (type < 0)
		return;
	t = &s->t[type];
	for (size_t i = 0; i < q->n_resource_names_subscribe; i++) {
		const char *name = q->resource_names_subscribe[i];
		int at = index_of((enum mt_xds_type)type, name);

		t->wild |= strcmp(name, "*") == 0;
		if (at < 0)
			continue;
		t->want[at] = true;
		plane_trace(s->p, "hears that %s %s is wanted", mt_xds_name((enum mt_xds_type)type),
			name);
		t->has[at] = t->asked ? 0 : t->has[at];
		ask(s, t);
	}
	for (size_t i = 0; i < q->n_resource_names_unsubscribe; i++) {
		int at = index_of((enum mt_xds_type)type, q->resource_names_unsubscribe[i]);

		if (at < 0)
			continue;
		t->want[at] = false;
		plane_let_go(s->p, (enum mt_xds_type)type, (uint32_t)at);
		plane_trace(s->p, "hears that %s %s is not wanted",
			mt_xds_name((enum mt_xds_type)type), q->resource_names_unsubscribe[i]);
		t->has[at] = 0;
	}
	if (!t->asked) {
		t->wild |= type == MT_XDS_CDS || type == MT_XDS_LDS;
		t->delta_first = true;
		hear_initial(s, type, q);
		ask(s, t);
	}
	t->asked = true;
	if (*q->response_nonce)
		judged(s, (enum mt_xds_type)type, q->response_nonce,
			q->error_detail ? q->error_detail->message : NULL);
}

void talk_request(struct session *s, const uint8_t *data, size_t len)
{
	if (s->delta) {
		Xds__DeltaDiscoveryRequest *q =
			xds__delta_discovery_request__unpack(NULL, len, data);

		if (q)
			hear_delta(s, q);
		else
			plane_wrong(s->p, "a request cannot be read");
		xds__delta_discovery_request__free_unpacked(q, NULL);
	} else {
		Xds__DiscoveryRequest *q = xds__discovery_request__unpack(NULL, len, data);

		if (q)
			hear_world(s, q);
		else
			plane_wrong(s->p, "a request cannot be read");
		xds__discovery_request__free_unpacked(q, NULL);
	}
}

void talk_turn(struct session *s)
{
	for (int i = 0; i < PLANE_TYPES; i++) {
		struct sub *t = &s->t[i];

		if (!t->asked || !t->due || s->p->now < t->due_at)
			continue;
		if (!s->p->impatient && is_open(t))
			continue;
		t->due = false;
		if (s->delta)
			say_delta(s, (enum mt_xds_type)i);
		else
			say_world(s, (enum mt_xds_type)i);
	}
}
