/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which object has an address and port, or a host, that several objects claim. The place stays with the
 * object that is served there in the configuration in force, or with its namespace, so that no
 * author takes it from another by a document that looks older. Otherwise the standing of the
 * object's version decides (mt_model.standings), then the age.
 *
 * A snapshot stores the holders of its places. Two objects that claim one place cause an index of
 * these holders, by keyed hashes of the place with the object and with its namespace.
 */
#include "mt_conf_credentials_priv.h"
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"

/* Seeds of the kinds of places, so that none has the id of another kind. */
enum place {
	PLACE_KEY = 1,
	PLACE_TLS,
	PLACE_BIND,
	PLACE_CLIENTS,
	PLACE_IDENTITY,
	PLACE_WORKLOAD,
	PLACE_ACCOUNT,
	PLACE_HOST,
	PLACE_NAME,
	PLACE_GUEST
};

static uint64_t id(uint64_t h)
{
	return h ? h : 1;
}

uint64_t mt_place_id(const char *text, const char *key)
{
	return id(mt_secret_hash_text(text, key ? mt_secret_hash_text(key, PLACE_KEY) : 0));
}

uint64_t mt_place_of_tls(const char *text, const char *name)
{
	return id(mt_secret_hash_text(text, mt_secret_hash_text(name, PLACE_TLS)));
}

uint64_t mt_place_of_bind(const char *text)
{
	return id(mt_secret_hash_text(text, PLACE_BIND));
}

uint64_t mt_place_of_clients(const char *text)
{
	return id(mt_secret_hash_text(text, PLACE_CLIENTS));
}

uint64_t mt_place_of_identity(const char *text, const char *principal)
{
	return id(mt_secret_hash_text(text, mt_secret_hash_text(principal, PLACE_IDENTITY)));
}

uint64_t mt_place_of_account(const char *text, const char *principal)
{
	return id(mt_secret_hash_text(text, mt_secret_hash_text(principal, PLACE_ACCOUNT)));
}

uint64_t mt_place_of_workload(const char *text)
{
	return id(mt_secret_hash_text(text, PLACE_WORKLOAD));
}

uint64_t mt_place_of_host(const char *name)
{
	return id(mt_secret_hash_text(name, PLACE_HOST));
}

uint64_t mt_place_of_name(const char *name)
{
	return id(mt_secret_hash_text(name, PLACE_NAME));
}

uint64_t mt_place_of_guest(const char *claim)
{
	return id(mt_secret_hash_text(claim, PLACE_GUEST));
}

static uint64_t ns_id(const struct mt_meta *meta)
{
	return mt_secret_hash_text(meta->ns, 0);
}

static uint64_t object_id(const struct mt_meta *meta)
{
	return mt_secret_hash_text(meta->kind, mt_id_of_name(meta));
}

/* ---- the places of a snapshot ---------------------------------------------------------------- */

void mt_b_add_place(struct mt_build *b, uint64_t place, const struct mt_meta *meta)
{
	struct mt_held_place *p =
		mt_region_push(&b->tmp, (void **)&b->snap->places, &b->snap->n_places, sizeof(*p));

	if (!p)
		return;
	if (b->last_holder.meta != meta) {
		b->last_holder.meta = meta;
		b->last_holder.object = object_id(meta);
		b->last_holder.ns = ns_id(meta);
	}
	*p = (struct mt_held_place){place, b->last_holder.object, b->last_holder.ns};
}

static void add_names(struct mt_build *b, const struct mt_listen *l,
	const struct mt_listen_chain *c, const struct mt_meta *holder)
{
	const struct mt_res_match *m = c->match;

	for (uint32_t i = 0; i < m->n_server_names; i++)
		mt_b_add_place(b, mt_place_of_tls(l->text, m->server_names[i]), holder);
	if (!m->n_server_names)
		mt_b_add_place(b, mt_place_of_tls(l->text, "*"), holder);
}

static void add_chain(
	struct mt_build *b, const struct mt_listen *l, const struct mt_listen_chain *c)
{
	for (uint32_t i = 0; i < c->n_services; i++) {
		const struct mt_service_slot *s = c->services[i];

		if (!s->holder)
			continue;
		mt_b_add_place(b, mt_place_id(l->text, NULL), s->holder);
		if (l->shows)
			mt_b_add_place(
				b, mt_place_of_identity(l->text, l->shows->principal), s->holder);
		if (c->codec->service_key)
			mt_b_add_place(b, mt_place_id(l->text, s->key), s->holder);
		if (c->codec->service_key && s->guest)
			mt_b_add_place(b, mt_place_id(l->text, s->key), s->guest);
	}
	/* All services of a chain with server names are of one object. */
	if (c->by_name && c->n_services && c->services[0]->holder)
		add_names(b, l, c, c->services[0]->holder);
}

static void add_again(struct mt_build *b, const struct mt_listen_port *at, uint64_t place)
{
	if (mt_b_claim(b, place, at->meta) < MT_CLAIM_NOT_HELD)
		mt_b_add_place(b, place, at->meta);
}

/* Places of servers that serve nothing now stay with the objects that had them. */
static void add_closed(struct mt_build *b, const struct mt_listen_port *at)
{
	char text[MT_ADDR_STRLEN];

	mt_addr_port_str(at->addr, at->port, text);
	add_again(b, at, mt_place_id(text, NULL));
	for (uint32_t i = 0; at->end && i < at->end->n_names; i++)
		add_again(b, at, mt_place_of_tls(text, at->end->names[i]));
	if (at->end && !at->end->n_names)
		add_again(b, at, mt_place_of_tls(text, "*"));
}

/* The addresses and names of hosts. */
static void add_hosts(struct mt_build *b)
{
	const struct mt_host *h;
	const char *name;
	uint32_t pos = 0;

	for (uint32_t i = 0; i < b->n_hosts; i++) {
		h = &b->host_list[i];
		for (uint32_t k = 0; k < h->n_addrs; k++)
			mt_b_add_place(b, mt_id_of_addr(&h->addrs[k]), &h->se->meta);
	}
	while ((h = mt_strmap_next(&b->hosts, &pos, &name)) != NULL)
		mt_b_add_place(b, mt_place_of_host(name), &h->se->meta);
}

void mt_b_places(struct mt_build *b)
{
	struct mt_snap *s = b->snap;
	struct mt_held_place *kept;

	for (uint32_t i = 0; i < b->n_listens; i++) {
		const struct mt_listen *l = b->listen_list[i];

		for (uint32_t k = 0; k < l->n_chains && !l->discovered; k++)
			add_chain(b, l, &l->chains[k]);
		if (l->last && !l->discovered)
			add_chain(b, l, l->last);
	}
	mt_b_forward_places(b, mt_b_add_place);
	mt_b_bind_places(b, mt_b_add_place);
	mt_b_bound_places(b, mt_b_add_place);
	mt_b_guest_places(b, mt_b_add_place);
	mt_b_dns_places(b, mt_b_add_place);
	for (uint32_t i = 0; i < b->n_closed; i++)
		add_closed(b, &b->closed[i].at);
	add_hosts(b);
	/* The build's memory ends before the snapshot does. */
	kept = mt_region_alloc(&s->region, sizeof(*kept) * MT_MAX(s->n_places, 1u));
	if (kept && s->n_places)
		memcpy(kept, s->places, sizeof(*kept) * s->n_places);
	s->places = kept;
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* Instead of the hashes of an object and its namespace: of anybody, and of several namespaces. */
#define BY_ANYBODY 1u
#define BY_SEVERAL 2u

static uint64_t pair(uint64_t place, uint64_t whose)
{
	return id(mt_hash_u64(whose, place));
}

static void put(struct mt_build *b, uint64_t pair)
{
	if (mt_idmap_put(&b->holders, pair, b))
		b->tmp.failed = true;
}

static void index_holders(struct mt_build *b)
{
	const struct mt_snap *now = mt_container_of(b->conf->current, struct mt_snap, pub);

	b->holders_known = true;
	if (mt_idmap_reserve(&b->holders, 3 * now->n_places))
		b->tmp.failed = true;
	for (uint32_t i = 0; i < now->n_places; i++) {
		put(b, pair(now->places[i].at, now->places[i].object));
		put(b, pair(now->places[i].at, now->places[i].ns));
		put(b, pair(now->places[i].at, BY_ANYBODY));
	}
}

/* Parts of a claim above the bits of enum mt_standing. */
#define OF_NAMESPACE 16u
#define OF_NOBODY    MT_CLAIM_NOT_HELD

/* The first part of a claim; 0: the object has the place in the configuration in force. */
static unsigned int held(struct mt_build *b, uint64_t place, const struct mt_meta *meta)
{
	if (!b->conf->current)
		return OF_NOBODY;
	if (!b->holders_known)
		index_holders(b);
	if (mt_idmap_get(&b->holders, pair(place, object_id(meta))))
		return 0;
	return mt_idmap_get(&b->holders, pair(place, ns_id(meta))) ? OF_NAMESPACE : OF_NOBODY;
}

/* enum mt_standing of the object's version; `unknown`: of one without a standing. */
static unsigned int standing_of(
	const struct mt_build *b, const struct mt_meta *meta, unsigned int unknown)
{
	const struct mt_idmap *m = b->model->standings;
	uintptr_t known = m ? (uintptr_t)mt_idmap_get(m, meta->serial) : 0;

	return known ? (unsigned int)known - 1 : unknown;
}

unsigned int mt_b_standing(const struct mt_build *b, const struct mt_meta *meta)
{
	return standing_of(b, meta, 0);
}

unsigned int mt_b_claim(struct mt_build *b, uint64_t place, const struct mt_meta *meta)
{
	unsigned int standing = standing_of(b, meta, 0);

	/* An object of a configuration in force has its places; elsewhere it is as new as others. */
	if (b->conf->current)
		standing &= ~(unsigned int)MT_STANDING_NEVER;
	return held(b, place, meta) + standing;
}

bool mt_b_is_reserved(struct mt_build *b, uint64_t place, const struct mt_meta *meta)
{
	return held(b, place, meta) == OF_NOBODY && b->conf->current &&
	       mt_idmap_get(&b->holders, pair(place, BY_ANYBODY));
}

static void push_place(struct mt_build *b, struct mt_held_place place)
{
	struct mt_held_place *p =
		mt_region_push(&b->tmp, (void **)&b->snap->places, &b->snap->n_places, sizeof(*p));

	if (p)
		*p = place;
}

void mt_b_add_disputed(struct mt_build *b, uint64_t place)
{
	push_place(b, (struct mt_held_place){place, BY_SEVERAL, BY_SEVERAL});
}

void mt_b_carry_places(
	struct mt_build *b, const struct mt_idmap *of, const struct mt_idmap *disputed)
{
	const struct mt_snap *now =
		b->conf->current ? mt_container_of(b->conf->current, struct mt_snap, pub) : NULL;

	for (uint32_t i = 0; now && of->n && i < now->n_places; i++) {
		const struct mt_held_place *p = &now->places[i];

		if (mt_idmap_get(of, p->at) &&
			(p->ns != BY_SEVERAL || !mt_idmap_get(disputed, p->at)))
			push_place(b, *p);
	}
}

bool mt_b_was_applied(const struct mt_build *b, const struct mt_meta *meta)
{
	return !(standing_of(b, meta, MT_STANDING_NEW) & MT_STANDING_NEW);
}

bool mt_b_were_applied(
	const struct mt_build *b, const struct mt_meta *one, const struct mt_meta *other)
{
	return !b->conf->current && mt_b_was_applied(b, one) && mt_b_was_applied(b, other);
}

const char *mt_claim_reason(unsigned int winner, unsigned int loser)
{
	unsigned int other = winner ^ loser;

	if (other & MT_CLAIM_CHANGED)
		return ", which it had before";
	if (other & MT_CLAIM_GUEST)
		return ", in the namespace of the Gateway";
	if (other & OF_NOBODY)
		return winner & OF_NAMESPACE ? ", in a namespace that is served there"
					     : ", which is served there";
	if (other & OF_NAMESPACE)
		return ", which is served there";
	if (other & MT_STANDING_NEVER)
		return winner & MT_STANDING_NEW ? ", applied before in another version"
						: ", which was applied before";
	if (other & MT_STANDING_NEW)
		return ", which was applied before";
	if (other & MT_STANDING_LIMITED)
		return ", of a source that is not limited to namespaces";
	return other ? ", which has a creationTimestamp" : "";
}
