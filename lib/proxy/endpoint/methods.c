/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns whether servers reply to the calls of a method, for serial protocols. oneway.c finds the
 * evidence. Each worker has MT_METHODS entries, in sets of four. Clients choose the names of
 * methods, so these rules keep one client from displacing what others have taught:
 * 1. A reply that is a protocol error teaches nothing, because any client can cause one, by a
 *    method that the server does not have or cannot run. Such a reply adds no entry, so there are
 *    at most as many names as servers have methods, unless a server accepts any name. A silent
 *    method stays silent.
 * 2. In a full set, an entry of the namespace with the most entries is replaced, and within this
 *    namespace one of the service with the most. So a namespace displaces entries of another one
 *    only while that has at least as many, the new entry included. Services are compared only
 *    within a namespace, because a namespace may have any number of services. Among the remaining
 *    entries, those without enough evidence go first, then the least recently used.
 * 3. The hash of a name starts with the worker's secret and is multiplied by it at each word, so
 *    clients can neither choose the set or key of a name nor find two names with one key.
 */
#include "endpoint/mt_endpoint_priv.h"
#include "mt_table.h"

#include <string.h>

#define WAYS 4
/*
 * Observations after which a method is silent: replies to later calls, or ends of connections,
 * while no reply to its own calls has come.
 */
#define SUSPECTS 3

/* Not used for names, because differences of two words can cancel each other under every secret. */
static uint64_t mix(uint64_t h, uint64_t w)
{
	h = (h ^ w) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 32;
}

uint64_t mt_method_hash(const struct mt_proxy *p, const uint8_t *s, uint32_t n)
{
	uint64_t factor = p->fair_salt | 1, h = mix(n, p->fair_salt), w;

	for (; n >= sizeof(w); n -= (uint32_t)sizeof(w), s += sizeof(w)) {
		memcpy(&w, s, sizeof(w));
		h = mt_fold64(h ^ w, factor);
	}
	for (w = 0; n; n--)
		w = w << 8 | *s++;
	return mt_fold64(h ^ w, factor) | 1;
}

/* Returns the hash of the method that the message at the start of `c` names; 0: it names none. */
static uint64_t method_of(struct mt_proxy *p, const struct mt_codec *codec,
	const struct mt_msg *msg, const struct mt_chain *c)
{
	struct mt_slice v;

	return mt_codec_leading(
		       codec, msg, c, codec->method_field, &codec->method_key, &v, p->view.scratch)
		       ? mt_method_hash(p, v.p, v.len)
		       : 0;
}

uint64_t mt_method_of_reply(struct mt_proxy *p, const struct mt_up *u)
{
	return method_of(p, u->lanes->codec, &u->msg, &u->s->rx);
}

uint64_t mt_method_key(uint64_t method, uint64_t owner)
{
	return mix(method, owner) | 1;
}

static struct mt_method *set_of(struct mt_proxy *p, uint64_t key)
{
	return &p->methods[(key >> 32) % (MT_METHODS / WAYS) * WAYS];
}

static struct mt_method *find(struct mt_proxy *p, uint64_t key)
{
	struct mt_method *m = set_of(p, key);

	for (uint32_t i = 0; i < WAYS; i++)
		if (m[i].key == key)
			return &m[i];
	return NULL;
}

static bool is_of_namespace(uint64_t a, uint64_t b)
{
	return a >> MT_OWNER_NS == b >> MT_OWNER_NS;
}

/* Numbers of entries that a namespace and a service have in a full set, the new entry included. */
struct share {
	uint32_t ns, service;
};

static struct share share_of(const struct mt_method *set, uint64_t owner, uint64_t new_owner)
{
	struct share n = {is_of_namespace(owner, new_owner), owner == new_owner};

	for (uint32_t i = 0; i < WAYS; i++) {
		n.ns += is_of_namespace(set[i].owner, owner);
		n.service += set[i].owner == owner;
	}
	return n;
}

/*
 * True if no namespace has more entries than that of entry i, and no service of this namespace has
 * more than that of entry i.
 */
static bool has_most(const struct mt_method *set, const struct share *share, uint32_t i)
{
	for (uint32_t k = 0; k < WAYS; k++) {
		if (share[k].ns > share[i].ns)
			return false;
		if (is_of_namespace(set[k].owner, set[i].owner) &&
			share[k].service > share[i].service)
			return false;
	}
	return true;
}

/* True if `a` is replaced before `b`; has_most() is true for both. */
static bool gives_way(const struct mt_method *a, const struct mt_method *b)
{
	bool unknown = a->state == MT_METHOD_UNKNOWN;

	if (unknown != (b->state == MT_METHOD_UNKNOWN))
		return unknown;
	return a->used < b->used;
}

/* Returns the entry of the set that a new method of this owner gets. */
static struct mt_method *make_room(struct mt_method *set, uint64_t owner)
{
	struct mt_method *found = NULL;
	struct share share[WAYS];

	for (uint32_t i = 0; i < WAYS; i++) {
		if (!set[i].key)
			return &set[i];
		share[i] = share_of(set, set[i].owner, owner);
	}
	for (uint32_t i = 0; i < WAYS; i++)
		if (has_most(set, share, i) && (!found || gives_way(&set[i], found)))
			found = &set[i];
	return found;
}

static struct mt_method *add(struct mt_proxy *p, uint64_t key, uint64_t owner)
{
	struct mt_method *m = make_room(set_of(p, key), owner);

	*m = (struct mt_method){.key = key, .used = p->now, .owner = owner};
	return m;
}

enum mt_method_state mt_method_known(struct mt_proxy *p, const struct mt_attempt *a)
{
	const struct mt_method *m;

	if (!a->method)
		return MT_METHOD_ANSWERS;
	m = find(p, a->method_key);
	return m ? m->state : MT_METHOD_UNKNOWN;
}

bool mt_method_may_be_silent(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	const struct mt_method *m;
	uint64_t method;

	if (!ex->codec->method_key.name || !ex->codec->id_max)
		return false;
	if (a && a->method)
		return mt_method_known(p, a) != MT_METHOD_ANSWERS;
	/* The first parts of the request are sent, and the method was in them. */
	if (ex->req.len < ex->msg.lead_len)
		return true;
	method = method_of(p, ex->codec, &ex->msg, &ex->req);
	m = method ? find(p, mt_method_key(method, ex->service ? ex->service->owner : 0)) : NULL;
	return method && (!m || m->state != MT_METHOD_ANSWERS);
}

void mt_method_answers(struct mt_proxy *p, uint64_t key, uint64_t owner, bool adds)
{
	struct mt_method *m = find(p, key);

	if (!m && !adds)
		return;
	if (!m)
		m = add(p, key, owner);
	if (m->state == MT_METHOD_SILENT)
		mt_count(p->counters, MT_PROXY_method_unlearnt);
	m->state = MT_METHOD_ANSWERS;
	m->used = p->now;
}

void mt_method_silent(struct mt_proxy *p, uint64_t key, uint64_t owner)
{
	struct mt_method *m = find(p, key);

	if (!m)
		m = add(p, key, owner);
	m->used = p->now;
	if (m->state != MT_METHOD_UNKNOWN)
		return;
	if (++m->suspects < SUSPECTS)
		return;
	m->state = MT_METHOD_SILENT;
	mt_count(p->counters, MT_PROXY_method_learnt);
}

void mt_method_look(struct mt_proxy *p, const struct mt_exchange *ex, struct mt_attempt *a)
{
	struct mt_method *m;

	a->knows = MT_METHOD_ANSWERS;
	a->method = method_of(p, ex->codec, &ex->msg, &ex->req);
	/* Without ids of Meltemi's no reply shows that an earlier call had none. */
	if (!a->method || ex->oneway || !ex->codec->id_max)
		return;
	a->method_key = mt_method_key(a->method, ex->service ? ex->service->owner : 0);
	m = find(p, a->method_key);
	a->knows = m ? m->state : MT_METHOD_UNKNOWN;
	if (mt_likely(m))
		m->used = p->now;
}
