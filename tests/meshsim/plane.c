/* SPDX-License-Identifier: Apache-2.0 */
#include "plane.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void plane_wrong(struct plane *p, const char *fmt, ...)
{
	va_list ap;

	if (p->wrong[0])
		return;
	va_start(ap, fmt);
	vsnprintf(p->wrong, sizeof(p->wrong), fmt, ap);
	va_end(ap);
}

void plane_trace(const struct plane *p, const char *fmt, ...)
{
	va_list ap;

	if (!p->trace)
		return;
	printf("%9.3f ", (double)(p->now - MT_SEC) / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void minute_add(struct minute *m, uint64_t now)
{
	uint32_t n = 0;

	m->at[m->n++ % MINUTE_MAX] = now;
	for (uint32_t i = 0; i < MT_MIN(m->n, MINUTE_MAX); i++)
		n += m->at[i] + 60 * MT_SEC > now;
	m->most = MT_MAX(m->most, n);
}

/* ---- streams --------------------------------------------------------------------------------------- */

static void opened(void *arg, struct wire_call *c, const char *path)
{
	struct plane *p = arg;
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->p = p;
	s->call = c;
	s->delta = strstr(path, "/Delta") != NULL;
	mt_list_init(&s->node);
	mt_list_add_tail(&p->sessions, &s->node);
	wire_set_tag(c, s);
	plane_trace(p, "stream opened");
}

static void message(void *arg, struct wire_call *c, const uint8_t *data, size_t len)
{
	struct plane *p = arg;

	p->requests++;
	if (!p->mute)
		talk_request(wire_tag(c), data, len);
}

static void closed(void *arg, struct wire_call *c)
{
	struct session *s = wire_tag(c);

	plane_trace(s->p, "stream over");
	mt_list_del(&s->node);
	free(s);
}

void plane_init(struct plane *p, const char *path, struct mt_rand *rng)
{
	static const struct wire_events events = {opened, message, closed};

	memset(p, 0, sizeof(*p));
	p->rng = rng;
	mt_list_init(&p->sessions);
	wire_init(&p->wire, path, &events, p);
}

void plane_fini(struct plane *p)
{
	wire_fini(&p->wire);
	for (uint32_t i = 0; i < p->n_bodies; i++)
		body_free(p->bodies[i]);
	free(p->bodies);
}

void plane_turn(struct plane *p, uint64_t now)
{
	struct mt_list *n;

	p->now = now;
	mt_list_foreach (n, &p->sessions)
		talk_turn(mt_list_entry(n, struct session, node));
}

/* ---- what it has ------------------------------------------------------------------------------------ */

struct body *plane_body(struct plane *p, enum mt_xds_type type, uint32_t name)
{
	struct body *b = calloc(1, sizeof(*b));

	if ((p->n_bodies & (p->n_bodies + 1)) == 0)
		p->bodies = realloc(p->bodies, sizeof(*p->bodies) * 2 * (p->n_bodies + 1));
	if (!b || !p->bodies)
		abort();
	p->bodies[p->n_bodies++] = b;
	b->serial = p->n_bodies;
	b->type = type;
	b->name = name;
	b->fetch_s = FETCH_S;
	return b;
}

static void due(struct plane *p, enum mt_xds_type type)
{
	struct mt_list *n;

	mt_list_foreach (n, &p->sessions) {
		struct sub *t = &mt_list_entry(n, struct session, node)->t[type];

		if (!t->due)
			t->due_at =
				p->now +
				(p->latest_ms ? mt_rand_u64(p->rng) % p->latest_ms : 0) * MT_MSEC;
		t->due = true;
	}
}

void plane_set(struct plane *p, struct body *b)
{
	struct mt_list *n;

	if (!b->any[0].value.data)
		body_encode(b);
	p->has[b->type][b->name] = b;
	plane_trace(p, "has %s %s #%u%s%s%s eps %u ttl %u to %u %u (%u)", mt_xds_name(b->type),
		name_of(b->type, b->name), b->serial, b->bad ? " bad" : "",
		b->empty ? " empty" : "",
		b->fixed  ? " fixed"
		: b->meta ? " meta"
			  : "",
		b->n_eps, b->ttl_s, b->targets[0], b->targets[1], b->n_targets);
	p->version++;
	mt_list_foreach (n, &p->sessions)
		mt_list_entry(n, struct session, node)->t[b->type].fresh[b->name] = true;
	due(p, b->type);
}

void plane_remove(struct plane *p, enum mt_xds_type type, uint32_t name)
{
	if (!p->has[type][name])
		return;
	p->has[type][name] = NULL;
	plane_trace(p, "has no %s %s", mt_xds_name(type), name_of(type, name));
	p->version++;
	due(p, type);
}

void plane_again(struct plane *p)
{
	p->version++;
	for (int i = 0; i < PLANE_TYPES; i++)
		due(p, (enum mt_xds_type)i);
}

bool plane_quiet(const struct plane *p)
{
	const struct mt_list *n;

	mt_list_foreach (n, &p->sessions) {
		const struct session *s = mt_list_entry(n, struct session, node);

		for (int i = 0; i < PLANE_TYPES; i++)
			if (s->t[i].asked && s->t[i].due)
				return false;
	}
	return !mt_list_empty(&p->sessions);
}

struct body *plane_find(
	const struct plane *p, enum mt_xds_type type, uint32_t name, uint32_t serial)
{
	struct body *b = serial && serial <= p->n_bodies ? p->bodies[serial - 1] : NULL;

	return b && b->type == type && b->name == name ? b : NULL;
}

struct body *plane_sure(const struct plane *p, enum mt_xds_type type, uint32_t name)
{
	bool whole = type == MT_XDS_CDS || type == MT_XDS_LDS;
	struct body *best = NULL;

	for (uint32_t i = 0; i < p->n_bodies; i++) {
		struct body *b = p->bodies[i];

		if (b->type == type && b->name == name && b->sure && !b->bad && !b->empty &&
			(whole || b->was_in_force) && b->heard > p->last_gone[type][name] &&
			(!best || b->heard > best->heard))
			best = b;
	}
	return best;
}

void plane_let_go(struct plane *p, enum mt_xds_type type, uint32_t name)
{
	p->last_gone[type][name] = ++p->counter;
}
