/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was told, by type and name. A resource that has not changed costs a comparison; one that is not sound leaves
 * the last good one in force, and the others of its response are taken all the same.
 */
#include "mt_xds_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More of them than any mesh has; what a hostile server could make us hold is bounded by this and by messages' size. */
#define RESOURCES_MAX 1000000u
#define NAME_MAX_LEN  2048u

/* ---- by name -------------------------------------------------------------------------------------- */

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
	if (xds_on_demand(x, type))
		xds_demand_renamed(x);
	return r;
}

static void free_res(struct mt_xds *x, struct xds_res *r)
{
	struct xds_type *t = &x->types[r->type];

	mt_strmap_del(&t->names, r->name);
	mt_list_del(&r->node);
	t->n--;
	if (xds_on_demand(x, r->type))
		xds_demand_renamed(x);
	xds_demand_drop(x, r);
	xds_dns_free(r);
	free(r->server);
	free(r->raw);
	free(r->version);
	free(r->refused);
	free(r->told);
	free(r);
}

void xds_put(struct mt_xds *x, struct xds_res *r)
{
	if (!r->wants && !r->live.mapped.part && !r->next.mapped.part && (!r->refused || r->gone))
		free_res(x, r);
}

/* A length on the wire; advances *p. False: there is none. */
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

/* Field 1 of every kind of resource is its name (Protocol Buffers, "Encoding"); the last one counts. */
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

/* ---- bodies and what they name -------------------------------------------------------------------- */

static void want(struct mt_xds *x, struct xds_body *b, uint32_t i)
{
	const struct mt_xds_ref *ref = &b->mapped.refs[i];
	struct xds_res *t = xds_get(x, ref->type, ref->name);

	b->targets[i] = t;
	if (!t || t->wants++)
		return;
	if (ref->server && !t->server)
		t->server = strdup(ref->server);
	t->server_delta = ref->delta;
	xds_ask(x, t);
}

static bool want_all(struct mt_xds *x, struct xds_body *b)
{
	b->targets = calloc(b->mapped.n_refs + 1, sizeof(*b->targets));
	for (uint32_t i = 0; b->targets && i < b->mapped.n_refs; i++)
		want(x, b, i);
	return b->targets != NULL;
}

static void unwant(struct mt_xds *x, struct xds_res *t)
{
	if (!t || --t->wants)
		return;
	xds_unask(t);
	xds_demand_drop(x, t);
	/* Of a type of which all is told, it stays until the server takes it away. */
	if (!xds_is_whole(x, t->type)) {
		x->changed |= t->live.mapped.part != NULL;
		xds_body_drop(x, &t->live);
		xds_body_drop(x, &t->next);
		t->gone = true;
	}
	xds_put(x, t);
}

void xds_body_drop(struct mt_xds *x, struct xds_body *b)
{
	struct xds_body old = *b;

	memset(b, 0, sizeof(*b));
	for (uint32_t i = 0; old.targets && i < old.mapped.n_refs; i++)
		unwant(x, old.targets[i]);
	free(old.targets);
	mt_model_free(old.mapped.part);
}

/* ---- one resource --------------------------------------------------------------------------------- */

static void set_text(char **text, const char *to)
{
	free(*text);
	*text = to && *to ? strdup(to) : NULL;
}

static bool refuse(struct mt_xds *x, struct xds_res *r, uint64_t hash, const char *why)
{
	/* The resource as a whole has no field to name. */
	if (strncmp(why, ": ", 2) == 0)
		why += 2;
	set_text(&r->refused, *why ? why : "it is not sound");
	r->refused_hash = hash;
	return false;
}

static void confirm(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item)
{
	if (r->restored || r->gone)
		xds_touch(x);
	r->gone = r->restored = false;
	r->expires_at = item->ttl_ns ? x->now + item->ttl_ns : 0;
	if (item->ttl_ns)
		x->settle_at = MT_MIN(x->settle_at, r->expires_at);
}

/* Whether the body is the one that was accepted last, however it is written. */
static bool is_same(struct xds_res *r, const Xds__Any *body, struct mt_xds_digest *digest)
{
	if (!r->raw)
		return false;
	if (r->raw_len == body->value.len && memcmp(r->raw, body->value.data, r->raw_len) == 0)
		return true;
	if (!digest->v[0] && !digest->v[1])
		*digest = mt_xds_digest(body);
	if (!r->digest.v[0] && !r->digest.v[1]) {
		Xds__Any old = *body;

		old.value = (ProtobufCBinaryData){.len = r->raw_len, .data = r->raw};
		r->digest = mt_xds_digest(&old);
	}
	return memcmp(digest, &r->digest, sizeof(*digest)) == 0;
}

/* Some servers answer for a route table that they know nothing of. */
static bool is_empty_routes(const struct xds_res *r, const struct mt_xds_mapped *m)
{
	const struct mt_mesh_routes *routes = (const struct mt_mesh_routes *)m->meta;

	return r->type == MT_XDS_RDS && routes->list.n_rules == 0;
}

static bool keep_raw(struct xds_res *r, const Xds__Any *body)
{
	uint8_t *raw = malloc(body->value.len + 1);

	if (!raw)
		return false;
	if (body->value.len)
		memcpy(raw, body->value.data, body->value.len);
	free(r->raw);
	r->raw = raw;
	r->raw_len = body->value.len;
	return true;
}

/* The body is sound: it waits until what it names is there. */
static bool accept_body(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item,
	struct mt_xds_mapped *mapped, struct mt_xds_digest digest)
{
	struct xds_body old = r->next, body = {.mapped = *mapped, .since = x->now};

	if (!keep_raw(r, item->body) || !want_all(x, &body)) {
		mt_model_free(mapped->part);
		free(body.targets);
		return refuse(x, r, 0, "no memory");
	}
	r->next = body;
	/* Behind the new one, so that what both name is wanted all the time. */
	xds_body_drop(x, &old);
	r->digest = digest;
	r->updated_at = x->now;
	set_text(&r->refused, NULL);
	r->emptied = false;
	if (r->type == MT_XDS_CDS)
		xds_dns_set(x, r);
	xds_touch(x);
	xds_keep_touch(x);
	return true;
}

bool xds_take(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item)
{
	struct mt_xds_digest digest = {{0, 0}};
	struct mt_xds_mapped mapped = {0};
	struct mt_err why = {""};
	uint64_t hash;

	confirm(x, r, item);
	/* Without a body: only its time to live is renewed. */
	if (!item->body)
		return true;
	if (is_same(r, item->body, &digest)) {
		set_text(&r->version, item->version);
		set_text(&r->refused, NULL);
		r->emptied = false;
		return true;
	}
	hash = mt_hash_bytes(item->body->value.data, item->body->value.len, 0);
	if (r->refused && r->refused_hash == hash)
		return false;
	if (mt_xds_map(r->type, item->body, x->origin, ++x->serial, &mapped, &why))
		return refuse(x, r, hash, why.text);
	if (is_empty_routes(r, &mapped)) {
		r->emptied = true;
		mt_model_free(mapped.part);
		return true;
	}
	set_text(&r->version, item->version);
	return accept_body(x, r, item, &mapped, digest);
}

/* ---- a response ----------------------------------------------------------------------------------- */

/* Who may be told of it over this link: what is asked for there, and of CDS and LDS everything that is `there`. */
static struct xds_res *addressee(
	struct xds_link *l, enum mt_xds_type type, const char *name, bool there)
{
	struct xds_res *r = xds_find(l->x, type, name);

	if (xds_is_whole(l->x, type)) {
		r = r || !there ? r : xds_get(l->x, type, name);
		if (r)
			r->link = l;
		return r;
	}
	return r && r->link == l ? r : NULL;
}

/* What a NACK says: as many resources as fit, each with its reason, and how many more there are. */
struct verdict {
	struct mt_err *why;
	uint32_t n, told;
};

#define MORE_ROOM   24 /* for " (and 4294967295 more)" */
#define REASON_ROOM 240

static void add_reason(struct verdict *v, const char *name, const char *why)
{
	char one[REASON_ROOM];
	size_t len = v->told ? strlen(v->why->text) : 0;
	size_t room = sizeof(v->why->text) - MORE_ROOM - len;
	int n = snprintf(one, sizeof(one), "%s%.100s: %s", v->told ? "; " : "", name, why);

	v->n++;
	n = MT_MIN(n, (int)sizeof(one) - 1);
	if ((size_t)n >= room)
		return;
	memcpy(v->why->text + len, one, (size_t)n + 1);
	v->told++;
}

static void add_more(struct verdict *v)
{
	size_t len = strlen(v->why->text);

	if (v->n > v->told)
		snprintf(v->why->text + len, sizeof(v->why->text) - len, " (and %u more)",
			v->n - v->told);
}

static void take_item(struct xds_link *l, enum mt_xds_type type, const struct mt_ads_resource *item,
	struct verdict *v)
{
	char buf[NAME_MAX_LEN];
	const char *name = item->name;
	struct xds_res *r;

	if (!name && item->body && xds_name_of(item->body, buf, sizeof(buf)))
		name = buf;
	if (!name || strlen(name) >= NAME_MAX_LEN) {
		add_reason(v, mt_xds_name(type), "a resource without a usable name");
		return;
	}
	r = addressee(l, type, name, item->body != NULL);
	if (!r)
		return;
	r->round = l->x->round;
	if (!xds_take(l->x, r, item))
		add_reason(v, name, r->refused);
}

static void take_away(struct mt_xds *x, struct xds_res *r)
{
	if (r->gone)
		return;
	if (r->demand && !r->raw) {
		xds_demand_absent(x, r);
		return;
	}
	r->gone = true;
	xds_touch(x);
	xds_keep_touch(x);
}

/* All that the server has was told: what was not among it is gone. */
static void take_away_rest(struct xds_link *l, enum mt_xds_type type)
{
	struct mt_list *n, *tmp;

	mt_list_foreach_safe (n, tmp, &l->x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		/* One that is only named was never there to be gone. */
		if (r->round != l->x->round && (r->raw || r->refused))
			take_away(l->x, r);
	}
}

bool xds_update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	struct xds_link *l = arg;
	struct verdict v = {why, 0, 0};

	l->x->round++;
	if (!l->heard_at[u->type])
		l->heard_at[u->type] = l->x->now;
	l->why.text[0] = '\0';
	if (l->conn->grpc)
		mt_grpc_useful(l->conn->grpc);
	l->backoff = 0;
	for (uint32_t i = 0; i < u->n; i++)
		take_item(l, u->type, &u->items[i], &v);
	if (u->complete)
		take_away_rest(l, u->type);
	for (uint32_t i = 0; i < u->n_gone; i++) {
		struct xds_res *r = xds_find(l->x, u->type, u->gone[i]);

		if (r && r->link == l)
			take_away(l->x, r);
	}
	add_more(&v);
	/* A server that says the same again is not told about again. */
	if (v.n && strcmp(l->refused[u->type].text, why->text) != 0)
		mt_log(MT_LOG_WARN, "xds", "%s: %s refused: %s", l->x->name, mt_xds_name(u->type),
			why->text);
	if (v.n)
		l->refused[u->type] = *why;
	else
		l->refused[u->type].text[0] = '\0';
	return v.n == 0;
}

/* ---- the end -------------------------------------------------------------------------------------- */

void xds_free_all(struct mt_xds *x)
{
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *n;

		while ((n = mt_list_first(&x->types[i].all)) != NULL) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			/* Counts of those that die as well do not matter any more. */
			free(r->live.targets);
			free(r->next.targets);
			mt_model_free(r->live.mapped.part);
			mt_model_free(r->next.mapped.part);
			free_res(x, r);
		}
		mt_strmap_fini(&x->types[i].names);
	}
}
