/* SPDX-License-Identifier: Apache-2.0 */
#include "toy_ids.h"

#include "mt_proxy_priv.h"
#include "toy_codec.h"

#include <string.h>

/* Calls sent on connections that carry one at a time, in order. */
static struct given {
	const struct fake_conn *on;
	uint64_t id, of; /* the proxy's; the client's */
	char method[5];
	bool answered;
} given[8192];
static uint32_t n_given;

/*
 * The client's id of the call that goes to this server by `id`; a mirror's copy is told by its
 * body.
 */
static uint64_t client_id(const struct mt_up *u, uint64_t id, uint8_t body)
{
	for (uint32_t i = 0; i < lab.n; i++) {
		struct fake_conn *c = &lab.conns[i];
		struct mt_list *n;

		if (!c->live || c->s.user != &mt_down_user)
			continue;
		mt_list_foreach (n, &mt_down_of(&c->s)->exchanges) {
			struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, down_node);
			struct mt_attempt *a = mt_exchange_attempt(ex);

			if (a && a->up_id == id && mt_ref_eq(a->up, u->self))
				return ex->seed.id;
		}
	}
	return body;
}

/* What clients' messages have become, on connections that carry one call at a time. */
static void note_id(const struct fake_conn *f, const struct mt_chain *c)
{
	struct given *g = &given[n_given];
	uint8_t head[TOY_HEADER + 1];
	uint64_t id;

	if (f->s.user != &mt_up_user || mt_up_shares(mt_up_of((struct mt_stream *)&f->s)) ||
		c->len < sizeof(head) || n_given == MT_ARRAY_LEN(given))
		return;
	mt_chain_read(c, 0, head, sizeof(head));
	if (head[0] != 'T' || (head[1] != 'Q' && head[1] != 'O'))
		return;
	id = toy_parse(head, sizeof(head)).id;
	*g = (struct given){.on = f,
		.id = id,
		.of = client_id(mt_up_of((struct mt_stream *)&f->s), id, head[TOY_HEADER])};
	memcpy(g->method, head + 16, 4);
	n_given++;
}

/* The first call that was not answered yet, or the last one; with a method: of that name. */
static struct given *find_given(const struct fake_conn *server, uint64_t id, const char *method)
{
	struct given *last = NULL;

	for (uint32_t i = 0; i < n_given; i++) {
		struct given *g = &given[i];

		if (g->on != server || g->of != id || (method && strcmp(g->method, method) != 0))
			continue;
		last = g;
		if (!g->answered)
			break;
	}
	return last;
}

static uint64_t id_of_reply(const struct fake_conn *server, const struct toy *t)
{
	struct given *g;

	for (uint32_t i = n_given; i > 0; i--)
		if (given[i - 1].on == server && given[i - 1].id == t->id)
			return t->id;
	g = find_given(server, t->id, t->method);
	if (!g)
		g = find_given(server, t->id, NULL);
	if (!g)
		return t->id;
	g->answered = true;
	return g->id;
}

uint64_t toy_ids_at(const struct fake_conn *server, uint64_t id)
{
	return id_of_reply(server, &(struct toy){.id = id});
}

uint64_t toy_ids_of(const struct fake_conn *server, uint64_t id)
{
	for (uint32_t i = 0; i < n_given; i++)
		if (given[i].on == server && given[i].id == id)
			return given[i].of;
	return id;
}

/* A reply by the client's id leaves by the one that its call came with. */
static uint32_t by_its_id(const struct fake_conn *c, const void *bytes, uint32_t n, uint8_t *head)
{
	struct toy t;
	uint64_t id;

	if (c->accepted || n < TOY_HEADER || memcmp(bytes, "TP", 2) != 0)
		return 0;
	memcpy(head, bytes, TOY_HEADER);
	t = toy_parse(head, TOY_HEADER);
	id = id_of_reply(c, &t);
	for (int i = 0; i < 8; i++)
		head[8 + i] = (uint8_t)(id >> (56 - 8 * i));
	return TOY_HEADER;
}

void toy_ids_start(void)
{
	_Static_assert(TOY_HEADER <= LAB_HEAD, "a whole header is replaced");
	n_given = 0;
	lab.on_send = note_id;
	lab.on_feed = by_its_id;
}

void toy_ids_stop(void)
{
	n_given = 0;
	lab.on_send = NULL;
	lab.on_feed = NULL;
}
