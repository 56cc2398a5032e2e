/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of one family of a service, and the tables that choose among them: the current one,
 * and the one that was in force before the changes of the last minutes.
 */
#include "mt_l4_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of a backend in the table: address with port, a line feed, and the key. */
#define NAME_MAX_LEN 256

/* Endpoints of one family, sorted by address and port. */
struct sorted {
	struct mt_l4_endpoint_conf *v;
	uint32_t n;
};

void l4_group_free(struct mt_l4_group *g)
{
	if (!g)
		return;
	mt_maglev_free(&g->table);
	mt_maglev_free(&g->before);
	free(g->before_at);
	free(g->members);
	free(g->parts);
	free(g->endpoints);
	free(g);
}

static int by_endpoint(const void *a, const void *b)
{
	const struct mt_l4_endpoint_conf *x = a, *y = b;
	int cmp = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return cmp ? cmp : (int)x->port - y->port;
}

/* 0 or -ENOMEM; s->v is the caller's, and NULL if there are none. */
static int sort(const struct mt_l4_endpoint_conf *from, uint32_t n, bool is4, struct sorted *s)
{
	*s = (struct sorted){.n = 0};
	for (uint32_t i = 0; i < n; i++)
		s->n += mt_addr_is4(&from[i].addr) == is4;
	if (s->n == 0)
		return 0;
	s->v = calloc(s->n, sizeof(*s->v));
	if (!s->v)
		return -ENOMEM;
	s->n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (mt_addr_is4(&from[i].addr) == is4)
			s->v[s->n++] = from[i];
	qsort(s->v, s->n, sizeof(*s->v), by_endpoint);
	return 0;
}

/* Builds a table of at least one. A backend's name is its address with the service's key. */
static int fill_table(struct mt_maglev *table, const struct sorted *s, const char *key)
{
	char(*text)[NAME_MAX_LEN] = calloc(s->n, sizeof(*text));
	const char **names = calloc(s->n, sizeof(*names));
	uint32_t *weights = calloc(s->n, sizeof(*weights));
	int rc = text && names && weights ? 0 : -ENOMEM;

	for (uint32_t i = 0; !rc && i < s->n; i++) {
		char addr[MT_ADDR_STRLEN];

		mt_addr_port_str(&s->v[i].addr, s->v[i].port, addr);
		snprintf(
			text[i], sizeof(text[i]), "%s\n%.*s", addr, (int)sizeof(text[i]) - 80, key);
		names[i] = text[i];
		weights[i] = s->v[i].weight;
	}
	if (!rc)
		rc = mt_maglev_build(table, names, weights, s->n);
	free(weights);
	free(names);
	free(text);
	return rc;
}

/* Finds the current index of each endpoint of the table before; L4_NONE: it is gone. */
static void find_current(struct mt_l4_group *g, const struct sorted *before)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < before->n; i++) {
		const struct mt_l4_endpoint_conf *e = &before->v[i];
		int cmp = -1;

		for (; at < g->n_endpoints; at++) {
			const struct mt_l4_endpoint *now = &g->endpoints[at];

			cmp = memcmp(&now->addr, &e->addr, sizeof(e->addr));
			cmp = cmp ? cmp : (int)now->port - e->port;
			if (cmp >= 0)
				break;
		}
		g->before_at[i] = at < g->n_endpoints && cmp == 0 ? at : L4_NONE;
	}
}

static int make_before(const struct mt_l4_service_conf *c, bool is4, struct mt_l4_group *g)
{
	struct sorted s;
	int rc = sort(c->before, c->n_before, is4, &s);

	if (rc || s.n == 0)
		return rc;
	g->before_at = calloc(s.n, sizeof(*g->before_at));
	rc = g->before_at ? fill_table(&g->before, &s, c->key ? c->key : c->name) : -ENOMEM;
	if (!rc) {
		find_current(g, &s);
		g->before_until = c->before_until;
	}
	free(s.v);
	return rc;
}

/* Lists the endpoints that the table has by their parts. 0 or -ENOMEM. */
static int list_parts(struct mt_l4_group *g)
{
	uint32_t n = 0, first = 0;

	for (uint32_t i = 0; i < g->table.size; i++)
		g->endpoints[mt_maglev_at(&g->table, i)].chosen = true;
	for (uint32_t i = 0; i < g->n_endpoints; i++)
		n = MT_MAX(n, g->endpoints[i].part + 1u);
	g->members = calloc(g->n_endpoints, sizeof(*g->members));
	g->parts = calloc(n, sizeof(*g->parts));
	if (!g->members || !g->parts)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->n_endpoints; i++)
		g->parts[g->endpoints[i].part].n += g->endpoints[i].chosen;
	for (uint32_t i = 0; i < n; i++) {
		g->parts[i].first = first;
		first += g->parts[i].n;
		g->parts[i].n = 0;
	}
	for (uint32_t i = 0; i < g->n_endpoints; i++) {
		struct mt_l4_part *p = &g->parts[g->endpoints[i].part];

		if (g->endpoints[i].chosen)
			g->members[p->first + p->n++] = i;
	}
	return 0;
}

int l4_group_make(const struct mt_l4_service_conf *c, bool is4,
	const struct mt_addr_ranges *clients, struct mt_l4_group **out)
{
	struct mt_l4_group *g;
	struct sorted s;
	int rc = sort(c->endpoints, c->n_endpoints, is4, &s);

	if (rc || s.n == 0)
		return rc;
	g = *out = calloc(1, sizeof(*g));
	if (g)
		g->endpoints = calloc(s.n, sizeof(*g->endpoints));
	if (!g || !g->endpoints) {
		free(s.v);
		return -ENOMEM;
	}
	g->n_endpoints = s.n;
	g->by_source = c->by_source;
	for (uint32_t i = 0; i < s.n; i++) {
		g->endpoints[i] = l4_endpoint_of(c, &s.v[i]);
		g->endpoints[i].clients = s.v[i].clients ? &clients[s.v[i].clients - 1] : NULL;
	}
	rc = fill_table(&g->table, &s, c->key ? c->key : c->name);
	if (!rc)
		rc = list_parts(g);
	free(s.v);
	return rc ? rc : make_before(c, is4, g);
}
