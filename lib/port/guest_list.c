/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_guest_list.h"

#include "mt_port_priv.h"
#include "mt_strmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

/* One number; free without a name. */
struct member {
	char *name, *socket;
	struct mt_port *port; /* NULL: not opened */
	bool wanted;
	struct mt_err why; /* why it was not opened */
};

struct mt_guest_list {
	struct mt_guest_list_conf c;
	struct mt_strmap by_name; /* struct member */
	struct member v[MT_VHOST_MAX];
};

struct mt_guest_list *mt_guest_list_create(const struct mt_guest_list_conf *conf)
{
	struct mt_guest_list *l = calloc(1, sizeof(*l));

	if (l)
		l->c = *conf;
	return l;
}

static uint16_t number_of(const struct mt_guest_list *l, const struct member *m)
{
	return (uint16_t)(m - l->v);
}

/* ---- detach ---------------------------------------------------------------------------------- */

static void forget(struct mt_guest_list *l, struct member *m)
{
	(void)mt_strmap_del(&l->by_name, m->name);
	free(m->name);
	free(m->socket);
	memset(m, 0, sizeof(*m));
}

/* Detaches all that are not wanted. Workers use none of their ports when it is closed. */
static void drop_unwanted(struct mt_guest_list *l)
{
	bool hidden = false;

	for (uint32_t i = 0; i < MT_VHOST_MAX; i++)
		if (l->v[i].port && !l->v[i].wanted)
			hidden |= mt_guests_detach(l->c.guests, (uint16_t)i, NULL) != NULL;
	if (hidden && l->c.qsbr)
		rte_rcu_qsbr_check(l->c.qsbr, rte_rcu_qsbr_start(l->c.qsbr), true);
	for (uint32_t i = 0; i < MT_VHOST_MAX; i++) {
		if (!l->v[i].name || l->v[i].wanted)
			continue;
		mt_vhost_close(l->v[i].port);
		forget(l, &l->v[i]);
	}
}

void mt_guest_list_destroy(struct mt_guest_list *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < MT_VHOST_MAX; i++)
		l->v[i].wanted = false;
	drop_unwanted(l);
	mt_strmap_fini(&l->by_name);
	free(l);
}

/* ---- attach ---------------------------------------------------------------------------------- */

static void look(struct member *m)
{
	m->port->link_up = mt_vhost_is_up(m->port);
	m->port->wait = m->port->link_up ? MT_PORT_WAITS_NOT : mt_socket_wait(m->socket);
}

static void open_port(struct mt_guest_list *l, struct member *m)
{
	struct mt_vhost_conf c = {.name = m->name,
		.socket = m->socket,
		.number = number_of(l, m),
		.pairs = l->c.pairs,
		.mtu = l->c.mtu,
		.n_workers = l->c.n_workers,
		.mac = l->c.mac,
		.pools = l->c.pools,
		.qsbr = l->c.qsbr};

	if (mt_vhost_open(&c, &m->port, &m->why)) {
		m->port = NULL;
		return;
	}
	look(m);
	(void)mt_guests_attach(l->c.guests, number_of(l, m), m->port);
}

static struct member *find_free(struct mt_guest_list *l)
{
	for (uint32_t i = 0; i < MT_VHOST_MAX; i++)
		if (!l->v[i].name)
			return &l->v[i];
	return NULL;
}

static int add(struct mt_guest_list *l, const struct mt_guest_wanted *w)
{
	struct member *m = find_free(l);

	if (!m)
		return -ENOSPC;
	m->name = strdup(w->name);
	m->socket = strdup(w->socket);
	if (!m->name || !m->socket || mt_strmap_put(&l->by_name, m->name, m, NULL)) {
		free(m->name);
		free(m->socket);
		memset(m, 0, sizeof(*m));
		return -ENOMEM;
	}
	m->wanted = true;
	open_port(l, m);
	return 0;
}

int mt_guest_list_follow(struct mt_guest_list *l, const struct mt_guest_wanted *v, uint32_t n)
{
	int rc = 0;

	for (uint32_t i = 0; i < MT_VHOST_MAX; i++)
		l->v[i].wanted = false;
	for (uint32_t i = 0; i < n; i++) {
		struct member *m = mt_strmap_get(&l->by_name, v[i].name);

		if (m)
			m->wanted = strcmp(m->socket, v[i].socket) == 0;
	}
	drop_unwanted(l);
	for (uint32_t i = 0; i < n && !rc; i++)
		if (!mt_strmap_get(&l->by_name, v[i].name))
			rc = add(l, &v[i]);
	return rc;
}

void mt_guest_list_watch(struct mt_guest_list *l)
{
	for (uint32_t i = 0; i < MT_VHOST_MAX; i++) {
		struct member *m = &l->v[i];

		if (m->port) {
			mt_vhost_watch(m->port);
			look(m);
		} else if (m->name) {
			open_port(l, m);
		}
	}
}

bool mt_guest_list_next(const struct mt_guest_list *l, uint32_t *at, struct mt_guest_attached *out)
{
	while (*at < MT_VHOST_MAX && !l->v[*at].name)
		++*at;
	if (*at == MT_VHOST_MAX)
		return false;
	*out = (struct mt_guest_attached){.name = l->v[*at].name,
		.socket = l->v[*at].socket,
		.number = (uint16_t)*at,
		.port = l->v[*at].port,
		.why = l->v[*at].port ? NULL : l->v[*at].why.text};
	++*at;
	return true;
}
