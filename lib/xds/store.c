/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource store, by type and name. An unchanged resource costs a comparison. An invalid one is
 * rejected: its last good body stays active, and the other resources of the response are accepted.
 */
#include "mt_xds_priv.h"

#include "mt_mutant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Limit for each type, more than any mesh has. It and the size of messages bound the memory a
 * hostile server can use.
 */
#define RESOURCES_MAX 1000000u
/* Name in the store of the name table: a server has only one, and sends it without a name. */
#define NAMES "names"

/* ---- by name --------------------------------------------------------------------------------- */

struct xds_res *xds_find(const struct mt_xds *x, enum mt_xds_type type, const char *name)
{
	return mt_strmap_get(&x->types[type].names, name);
}

struct xds_res *xds_get(struct mt_xds *x, enum mt_xds_type type, const char *name)
{
	struct xds_type *t = &x->types[type];
	struct xds_res *r = xds_find(x, type, name);
	size_t len = strlen(name) + 1;

	if (r)
		return r;
	if (t->n >= RESOURCES_MAX)
		return NULL;
	r = calloc(1, sizeof(*r) + len);
	if (!r)
		return NULL;
	memcpy(r->name, name, len);
	r->type = type;
	if (mt_strmap_put(&t->names, r->name, r, NULL)) {
		free(r);
		return NULL;
	}
	mt_list_init(&r->node);
	mt_list_add_tail(&t->all, &r->node);
	t->n++;
	xds_demand_changed(x, r);
	return r;
}

static void free_res(struct mt_xds *x, struct xds_res *r)
{
	struct xds_type *t = &x->types[r->type];

	mt_strmap_del(&t->names, r->name);
	mt_list_del(&r->node);
	t->n--;
	xds_wait_forget(x, r);
	xds_demand_changed(x, r);
	xds_demand_drop(x, r);
	xds_dns_free(r);
	free(r->server);
	free(r->refused);
	free(r->told);
	free(r);
}

void xds_put(struct mt_xds *x, struct xds_res *r)
{
	if (r->wants || r->live || r->next || (r->refused && !r->gone))
		return;
	xds_trial_forget(x, r);
	free_res(x, r);
}

/* Reads a protobuf varint and advances *p. False if it is incomplete or too long. */
static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (unsigned int shift = 0; *p < end && shift < 64; shift += 7) {
		uint8_t b = *(*p)++;

		*v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

/*
 * Field 1 of every kind of resource is its name (Protocol Buffers, "Encoding"); the last one
 * counts.
 */
bool xds_name_of(const Xds__Any *body, char *buf, size_t size)
{
	const uint8_t *p = body->value.data, *end = p + body->value.len;
	uint64_t tag, v;

	buf[0] = '\0';
	while (p < end && varint(&p, end, &tag)) {
		switch (tag & 7) {
		case 0:
			if (!varint(&p, end, &v))
				return buf[0];
			continue;
		case 1:
			v = 8;
			break;
		case 5:
			v = 4;
			break;
		case 2:
			if (varint(&p, end, &v))
				break;
			return buf[0];
		default:
			return buf[0];
		}
		if (v > (uint64_t)(end - p))
			return buf[0];
		if (tag == (1 << 3 | 2) && v < size && !memchr(p, '\0', v)) {
			memcpy(buf, p, v);
			buf[v] = '\0';
		}
		p += v;
	}
	return buf[0];
}

void xds_touch(struct mt_xds *x)
{
	if (!x->dirty)
		x->first_change = x->now;
	x->last_change = x->now;
	x->dirty = true;
}

/* ---- bodies and references ------------------------------------------------------------------- */

/* True if `t` is requested from the server that the reference specifies. */
static bool is_from(const struct xds_res *t, const struct mt_xds_ref *ref)
{
	if (!ref->server || !t->server)
		return ref->server == t->server;
	return strcmp(ref->server, t->server) == 0 && t->server_delta == ref->delta;
}

static void ask_of(struct mt_xds *x, struct xds_res *t, const struct mt_xds_ref *ref)
{
	free(t->server);
	t->server = ref->server ? strdup(ref->server) : NULL;
	t->server_delta = ref->delta;
	xds_ask(x, t);
}

/*
 * The newest reference decides on the server. The current body stays until the new server answers.
 */
static void ask_another(struct mt_xds *x, struct xds_res *t, const struct mt_xds_ref *ref)
{
	if (is_from(t, ref))
		return;
	xds_unask(t);
	ask_of(x, t, ref);
}

static void want(struct mt_xds *x, struct xds_body *b, uint32_t i)
{
	const struct mt_xds_ref *ref = &b->mapped.refs[i];
	struct xds_res *t = xds_get(x, ref->type, ref->name);

	b->targets[i] = t;
	if (!t)
		return;
	if (t->wants++)
		ask_another(x, t, ref);
	else
		ask_of(x, t, ref);
	if (ref->queried && !t->queried++)
		xds_demand_queried(x, t);
}

void xds_body_again(struct mt_xds *x, const struct xds_body *b)
{
	for (uint32_t i = 0; i < b->mapped.n_refs; i++)
		if (b->targets[i])
			ask_another(x, b->targets[i], &b->mapped.refs[i]);
}

static void unwant(struct mt_xds *x, struct xds_res *t, const struct mt_xds_ref *ref)
{
	if (!t)
		return;
	t->queried -= ref->queried;
	if (--t->wants)
		return;
	xds_unask(t);
	xds_demand_drop(x, t);
	/* A resource of a wildcard type stays until the server removes it. */
	if (!xds_is_whole(x, t->type)) {
		x->changed |= t->live != NULL;
		xds_trial_forget(x, t);
		xds_body_drop(x, &t->live);
		xds_body_drop(x, &t->next);
		xds_set_gone(x, t);
	}
	xds_put(x, t);
}

static void free_body(struct mt_xds *x, struct xds_body *b)
{
	if (!b)
		return;
	mt_model_free(b->mapped.part);
	xds_body_unload(x, b);
	free(b->version);
	free(b);
}

const uint8_t *xds_body_bytes(const struct mt_xds *x, const struct xds_body *b, uint8_t **own)
{
	*own = NULL;
	if (b->raw)
		return b->raw;
	*own = b->file_at ? malloc(b->raw_len + 1) : NULL;
	if (*own && xds_keep_read(x, b->file_at, *own, b->raw_len) &&
		mt_xds_bytes_hash(*own, b->raw_len) == b->raw_hash)
		return *own;
	free(*own);
	*own = NULL;
	return NULL;
}

void xds_body_unload(struct mt_xds *x, struct xds_body *b)
{
	mt_heap_free(&x->raws, b->raw, b->raw_len);
	b->raw = NULL;
}

void xds_body_drop(struct mt_xds *x, struct xds_body **at)
{
	struct xds_body *b = *at;

	*at = NULL;
	if (!b)
		return;
	x->n_refused -= b->refused;
	for (uint32_t i = 0; i < b->mapped.n_refs && !mt_mutant(MT_MUTANT_xds_names_leaked); i++)
		unwant(x, b->targets[i], &b->mapped.refs[i]);
	free_body(x, b);
}

const struct xds_body *xds_newest(const struct xds_res *r)
{
	return r->next && !r->next->refused ? r->next : r->live;
}

/* Creates a body that owns mapped->part, which is freed on failure. NULL: no memory. */
static struct xds_body *new_body(struct mt_xds *x, const struct mt_ads_resource *item,
	const struct mt_xds_mapped *mapped, struct mt_xds_digest digest)
{
	size_t len = item->body->value.len;
	struct xds_body *b = calloc(1, sizeof(*b) + mapped->n_refs * sizeof(b->targets[0]));

	if (b)
		b->raw = mt_heap_alloc(&x->raws, len);
	if (!b || !b->raw) {
		mt_model_free(mapped->part);
		free(b);
		return NULL;
	}
	if (len)
		memcpy(b->raw, item->body->value.data, len);
	b->raw_len = (uint32_t)len;
	b->raw_hash = mt_xds_bytes_hash(b->raw, len);
	b->mapped = *mapped;
	b->digest = digest;
	b->since = x->now;
	xds_set_text(&b->version, item->version);
	return b;
}

/* ---- one resource ---------------------------------------------------------------------------- */

void xds_set_text(char **text, const char *to)
{
	free(*text);
	*text = to && *to ? strdup(to) : NULL;
}

static enum xds_taken refuse(struct xds_res *r, uint64_t hash, const char *why)
{
	/* The path is empty if the error is about the whole resource. */
	if (strncmp(why, ": ", 2) == 0)
		why += 2;
	xds_set_text(&r->refused, *why ? why : "it is not sound");
	r->refused_hash = hash;
	return XDS_REFUSED;
}

/*
 * Applies the TTL of an accepted body. The TTL of a rejected one must not change that of the good
 * one.
 */
static void set_life(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item)
{
	r->expires_at = item->ttl_ns ? x->now + item->ttl_ns : 0;
	if (item->ttl_ns)
		x->settle_at = MT_MIN(x->settle_at, r->expires_at);
	x->may_end |= item->ttl_ns != 0;
}

static void confirm(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item)
{
	if (r->restored || r->gone)
		xds_touch(x);
	r->gone = r->restored = false;
	if (mt_mutant(MT_MUTANT_xds_life_of_refused))
		set_life(x, r, item);
}

/*
 * Computes b->digest. Without its bytes it stays 0, so that the next body counts as different and
 * is mapped.
 */
static void digest_of(const struct mt_xds *x, struct xds_body *b, char *type_url)
{
	uint8_t *own;
	const uint8_t *bytes = xds_body_bytes(x, b, &own);
	Xds__Any old = {.type_url = type_url,
		.value = {.len = b->raw_len, .data = (uint8_t *)(uintptr_t)bytes}};

	if (bytes)
		b->digest = mt_xds_digest(&old);
	free(own);
}

/* True if `body` has the content of `b`, in the same or in another serialization. */
static bool is_same(const struct mt_xds *x, struct xds_body *b, const Xds__Any *body, uint64_t hash,
	struct mt_xds_digest *digest)
{
	if (!b)
		return false;
	if (b->raw_len == body->value.len && b->raw_hash == hash)
		return true;
	if (mt_mutant(MT_MUTANT_xds_bytes_compared))
		return false;
	if (!digest->v[0] && !digest->v[1])
		*digest = mt_xds_digest(body);
	if (!b->digest.v[0] && !b->digest.v[1])
		digest_of(x, b, body->type_url);
	return memcmp(digest, &b->digest, sizeof(*digest)) == 0;
}

/*
 * Rejects a resource whose own name differs from the name it was sent under: it would replace
 * another one.
 */
static bool is_named_so(const struct xds_res *r, const struct mt_xds_mapped *m, struct mt_err *why)
{
	if (strcmp(r->name, m->meta->name) == 0)
		return true;
	mt_err(why, 0, "name: the resource calls itself \"%.100s\"", m->meta->name);
	return false;
}

/* True for a route table without routes: some servers send one for a name that they do not know. */
static bool is_empty_routes(const struct xds_res *r, const struct mt_xds_mapped *m)
{
	const struct mt_res_routes *routes = (const struct mt_res_routes *)m->meta;

	return r->type == MT_XDS_RDS && routes->list.n_rules == 0 &&
	       !mt_mutant(MT_MUTANT_xds_empty_routes_taken);
}

/* Accepts a valid body: it becomes r->next and waits for the resources that it references. */
static enum xds_taken accept_body(struct mt_xds *x, struct xds_res *r,
	const struct mt_ads_resource *item, const struct mt_xds_mapped *mapped,
	struct mt_xds_digest digest)
{
	struct xds_body *old = r->next, *b = new_body(x, item, mapped, digest);

	if (!b)
		return refuse(r, 0, "no memory");
	r->next = b;
	xds_wait(x, r);
	for (uint32_t i = 0; i < b->mapped.n_refs; i++)
		want(x, b, i);
	/* After the new one, so that resources that both reference stay subscribed to. */
	xds_body_drop(x, &old);
	r->updated_at = x->now;
	set_life(x, r, item);
	xds_set_text(&r->refused, NULL);
	r->emptied = false;
	if (r->type == MT_XDS_CDS)
		xds_dns_set(x, r, b);
	x->fresh++;
	/*
	 * Secrets are not saved, so only the digest is needed: erase the bytes, which contain a
	 * key.
	 */
	if (r->type == MT_XDS_SDS) {
		digest_of(x, b, item->body->type_url);
		explicit_bzero(b->raw, b->raw_len);
		xds_body_unload(x, b);
	}
	xds_touch(x);
	xds_keep_touch(x);
	return XDS_FRESH;
}

/* Stores the received bytes in `b`, which has the same content but has lost its bytes (keep.c). */
static void find_again(struct mt_xds *x, struct xds_body *b, const Xds__Any *body)
{
	b->raw = mt_heap_alloc(&x->raws, body->value.len);
	if (!b->raw)
		return;
	if (body->value.len)
		memcpy(b->raw, body->value.data, body->value.len);
	b->raw_len = (uint32_t)body->value.len;
	b->raw_hash = mt_xds_bytes_hash(b->raw, b->raw_len);
	xds_keep_touch(x);
}

/* Processes a received body with the same content as `b`, which is r->next or r->live. */
static enum xds_taken taken_again(
	struct mt_xds *x, struct xds_res *r, struct xds_body *b, const struct mt_ads_resource *item)
{
	xds_set_text(&b->version, item->version);
	r->emptied = false;
	if (xds_body_is_lost(r, b))
		find_again(x, b, item->body);
	if (b == r->next && b->refused)
		return XDS_REFUSED;
	set_life(x, r, item);
	/* The server has returned to the active body: drop the newer one. */
	if (b == r->live && r->next) {
		xds_body_drop(x, &r->next);
		xds_body_again(x, b);
		if (r->type == MT_XDS_CDS)
			xds_dns_set(x, r, b);
	}
	xds_set_text(&r->refused, NULL);
	return r->left_out ? XDS_REFUSED : XDS_SAME;
}

enum xds_taken xds_take(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item)
{
	const struct mt_xds_from from = {x->origin, x->b->node ? x->b->node->cluster : NULL};
	struct mt_xds_digest digest = {{0, 0}};
	struct mt_xds_mapped mapped = {0};
	struct mt_err why = {""};
	uint64_t hash;

	confirm(x, r, item);
	/* Without a body only the TTL is renewed. */
	if (!item->body) {
		set_life(x, r, item);
		return XDS_SAME;
	}
	hash = mt_xds_bytes_hash(item->body->value.data, item->body->value.len);
	if (is_same(x, r->next, item->body, hash, &digest))
		return taken_again(x, r, r->next, item);
	if (is_same(x, r->live, item->body, hash, &digest))
		return taken_again(x, r, r->live, item);
	if (r->refused && r->refused_hash == hash)
		return XDS_REFUSED;
	if (mt_xds_map(r->type, item->body, &from, ++x->serial, &mapped, &why)) {
		if (r->next && r->next->refused)
			xds_body_drop(x, &r->next);
		return refuse(r, hash, why.text);
	}
	if (!is_named_so(r, &mapped, &why)) {
		mt_model_free(mapped.part);
		return refuse(r, hash, why.text);
	}
	if (is_empty_routes(r, &mapped)) {
		r->emptied = true;
		mt_model_free(mapped.part);
		return XDS_SAME;
	}
	return accept_body(x, r, item, &mapped, digest);
}

/* ---- a response ------------------------------------------------------------------------------ */

/*
 * Returns the resource that an item of this stream updates; NULL: ignore the item. For a wildcard
 * type it is created if the item has a body (`there`). Otherwise it must be subscribed to on this
 * stream.
 */
static struct xds_res *addressee(
	struct xds_link *l, enum mt_xds_type type, const char *name, bool there)
{
	struct xds_res *r = xds_find(l->x, type, name);

	if (xds_is_whole(l->x, type)) {
		r = r || !there ? r : xds_get(l->x, type, name);
		if (r && r->link != l)
			xds_unjudge(r);
		if (r)
			r->link = l;
		return r;
	}
	return r && r->link == l ? r : NULL;
}

/* Processes an item of a response. Returns false if it has no usable name. */
static bool take_item(struct xds_link *l, enum mt_xds_type type, struct mt_ads_resource *item)
{
	struct xds_judged *j = &l->judged[type];
	char buf[XDS_NAME_MAX];
	const char *name = item->name;
	enum xds_taken taken;
	struct xds_res *r;
	bool named;

	if (type == MT_XDS_NDS)
		name = NAMES;
	else if (!name && item->body && xds_name_of(item->body, buf, sizeof(buf)))
		name = buf;
	if (!name || !*name || strlen(name) >= XDS_NAME_MAX) {
		mt_err(&j->spoilt, 0, "a resource without a usable name");
		item->refused = true;
		return false;
	}
	r = addressee(l, type, name, item->body != NULL);
	/* Not subscribed to, or over the limit: do not record it as received. */
	if (!r) {
		item->refused = true;
		if (item->body && xds_is_whole(l->x, type))
			mt_err(&j->spoilt, 0, "%s: there are %u resources, more are not taken",
				name, l->x->types[type].n);
		return true;
	}
	r->round = l->x->round;
	named = r->named && r->restored;
	taken = xds_take(l->x, r, item);
	l->repeats[type] |= named && taken == XDS_SAME && item->body;
	/* A TTL renewal does not create a resource that we do not have. */
	item->refused = taken == XDS_REFUSED || (!item->body && !xds_newest(r));
	j->pending |= taken == XDS_FRESH;
	if (taken != XDS_SAME)
		xds_judge_later(l, r);
	return true;
}

/*
 * Marks a resource as removed. Returns true if it was active: this may unblock one that was left
 * out.
 */
static bool take_away(struct mt_xds *x, struct xds_res *r)
{
	if (r->gone || mt_mutant(MT_MUTANT_xds_removal_ignored))
		return false;
	if (r->demand && !xds_newest(r)) {
		xds_demand_absent(x, r);
		return false;
	}
	xds_set_gone(x, r);
	xds_touch(x);
	xds_keep_touch(x);
	return r->live != NULL;
}

/*
 * After a complete list: removes every resource that was not in it. Returns true if any was active.
 */
static bool take_away_rest(struct xds_link *l, enum mt_xds_type type)
{
	struct mt_list *n, *tmp;
	bool any = false;

	mt_list_foreach_safe (n, tmp, &l->x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		/* Skip a resource that is only referenced and was never received. */
		if (r->round != l->x->round && (r->live || r->next || r->refused))
			any |= take_away(l->x, r);
	}
	return any;
}

enum mt_ads_verdict xds_update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	struct xds_link *l = arg;
	bool complete = u->complete, away = false;

	l->x->round++;
	if (!l->heard_at[u->type])
		l->heard_at[u->type] = l->x->now;
	l->why.text[0] = '\0';
	if (l->conn->grpc)
		mt_grpc_useful(l->conn->grpc);
	l->backoff = 0;
	/* An item without a name may be any resource that seems to be missing: remove none then. */
	for (uint32_t i = 0; i < u->n; i++)
		complete &= take_item(l, u->type, &u->items[i]);
	if (complete)
		away = take_away_rest(l, u->type);
	for (uint32_t i = 0; i < u->n_gone; i++) {
		struct xds_res *r = xds_find(l->x, u->type, u->gone[i]);

		if (r && r->link == l)
			away |= take_away(l->x, r);
	}
	xds_confirm_named(l, u->type);
	/*
	 * New bodies must be compiled before the verdict, and so must left-out ones after a
	 * removal.
	 */
	l->judged[u->type].pending |= away && l->judged[u->type].n > 0;
	if (l->judged[u->type].pending)
		return MT_ADS_LATER;
	return xds_judge(l, u->type, why) ? MT_ADS_TAKEN : MT_ADS_REFUSED;
}

/* ---- the end --------------------------------------------------------------------------------- */

void xds_free_all(struct mt_xds *x)
{
	for (uint32_t i = 0; i < x->n_trials; i++)
		free_body(x, x->trials[i].good);
	free(x->trials);
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *n;

		while ((n = mt_list_first(&x->types[i].all)) != NULL) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			/* Without xds_body_drop(): the targets are freed as well. */
			free_body(x, r->live);
			free_body(x, r->next);
			free_res(x, r);
		}
		mt_strmap_fini(&x->types[i].names);
	}
}
