/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds a set from plain arrays: services with the groups of their endpoints first, then rows,
 * then the list of addresses. The cost is that of the Maglev tables, O(slots) each.
 */
#include "mt_l4_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void mt_l4_set_free(struct mt_l4_set *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_services; i++) {
		l4_group_free(s->services[i].v4);
		l4_group_free(s->services[i].v6);
		l4_sources_free(s->services[i].sources);
		l4_clients_free(&s->services[i]);
		free(s->services[i].name);
	}
	free(s->services);
	l4_limits_free(s->limits);
	free(s->rules);
	free(s->rows);
	free(s->addrs);
	free(s->servers);
	free(s->checks);
	free(s->check_ranges);
	free(s->nat4);
	free(s->nat6);
	free(s->slots);
	free(s);
}

/* ---- checks -------------------------------------------------------------------------------- */

static int check_service(const struct mt_l4_conf *c, const struct mt_l4_service_conf *s,
	uint32_t n4, uint32_t n6, struct mt_err *e)
{
	if (s->id >= MT_L4_SERVICES_MAX)
		return mt_err(e, -EINVAL, "%s: id %u is above %u", s->name, s->id,
			MT_L4_SERVICES_MAX - 1);
	if (s->proto != IPPROTO_UDP && s->proto != IPPROTO_TCP)
		return mt_err(e, -EINVAL, "%s: only UDP and TCP are forwarded", s->name);
	if ((unsigned int)s->mode >= MT_L4_MODES)
		return mt_err(e, -EINVAL, "%s: there is no forwarding mode %u", s->name,
			(unsigned int)s->mode);
	if (s->n_vips == 0 || s->port == 0)
		return mt_err(e, -EINVAL, "%s: it has no address and port", s->name);
	for (uint32_t i = 0; i < s->n_endpoints; i++)
		if (!s->endpoints[i].refuses &&
			(s->endpoints[i].port == 0 || mt_addr_is_zero(&s->endpoints[i].addr)))
			return mt_err(
				e, -EINVAL, "%s: endpoint %u has no address and port", s->name, i);
	for (uint32_t i = 0; mt_l4_is_one_way(s->mode) && i < s->n_endpoints; i++)
		if (!s->endpoints[i].refuses && s->endpoints[i].port != s->port)
			return mt_err(e, -EINVAL,
				"%s: endpoint %u has another port than the service, and its mode "
				"keeps the port",
				s->name, i);
	if (mt_l4_is_one_way(s->mode) && s->limits.max[MT_L4_SERVICE_CONNECTIONS])
		return mt_err(e, -EINVAL, "%s: its mode has no limit of connections", s->name);
	for (uint32_t i = 0; s->mode == MT_L4_NAT_FULL && i < s->n_vips; i++)
		if ((mt_addr_is4(&s->vips[i]) ? n4 : n6) == 0)
			return mt_err(e, -EINVAL,
				"%s: nat-full needs a NAT address of IPv%u; add one to the Node's "
				"nat.addresses",
				s->name, mt_addr_is4(&s->vips[i]) ? 4 : 6);
	return 0;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static int add_row(struct mt_l4_set *s, const struct mt_l4_row *r, struct mt_err *e)
{
	const struct mt_l4_row *same = mt_l4_row(s, &r->addr, r->port, r->proto);
	uint32_t i = mt_addr_port_hash(&r->addr, r->port, r->proto) & s->mask;
	char at[MT_ADDR_STRLEN];

	if (same)
		return mt_err(e, -EINVAL, "%s: service %s forwards it already",
			mt_addr_port_str(&r->addr, r->port, at),
			mt_l4_service(s, same->service)->name);
	while (s->slots[i])
		i = (i + 1) & s->mask;
	s->rows[s->n_rows++] = *r;
	s->slots[i] = s->n_rows;
	return 0;
}

static int add_rows(struct mt_l4_set *s, const struct mt_l4_service_conf *c, struct mt_err *e)
{
	const struct mt_l4_service *service = mt_l4_service(s, c->id);
	int rc = 0;

	s->nat_tcp |= c->mode == MT_L4_NAT_FULL && c->proto == IPPROTO_TCP;
	for (uint32_t i = 0; !rc && i < c->n_vips; i++) {
		struct mt_l4_row r = {.addr = c->vips[i],
			.port = c->port,
			.proto = c->proto,
			.mode = (uint8_t)c->mode,
			.closed = c->closed,
			.service = c->id,
			.sources = service->sources,
			.check = c->check,
			.limits = c->limits,
			.group = mt_addr_is4(&c->vips[i]) ? service->v4 : service->v6};

		rc = add_row(s, &r, e);
	}
	return rc;
}

static int by_server(const void *a, const void *b)
{
	const struct mt_l4_row *x = a, *y = b;
	int cmp = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (cmp)
		return cmp;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return (int)x->proto - y->proto;
}

/*
 * Lists the endpoints from which replies to foreign addresses come. Of each mode, because flows
 * that were made by MT_L4_NAT stay when the service gets another mode.
 */
static void list_servers(struct mt_l4_set *s, const struct mt_l4_conf *c)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->n_services; i++) {
		const struct mt_l4_service_conf *v = &c->services[i];

		for (uint32_t k = 0; k < v->n_endpoints; k++)
			if (!v->endpoints[k].refuses)
				s->servers[s->n_servers++] =
					(struct mt_l4_row){.addr = v->endpoints[k].addr,
						.port = v->endpoints[k].port,
						.proto = v->proto};
	}
	qsort(s->servers, s->n_servers, sizeof(*s->servers), by_server);
	for (uint32_t i = 0; i < s->n_servers; i++)
		if (kept == 0 || by_server(&s->servers[kept - 1], &s->servers[i]) != 0)
			s->servers[kept++] = s->servers[i];
	s->n_servers = kept;
}

/* ---- addresses ----------------------------------------------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	return memcmp(&((const struct mt_l4_addr *)a)->addr, &((const struct mt_l4_addr *)b)->addr,
		sizeof(struct mt_addr));
}

static void add_addr(struct mt_l4_set *s, const struct mt_addr *a, uint32_t bits)
{
	s->addrs[s->n_addrs++] = (struct mt_l4_addr){*a, bits};
}

/* Lists each address once, with all its bits. */
static int list_addrs(struct mt_l4_set *s, const struct mt_l4_conf *c, struct mt_err *e)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->n_rows; i++)
		add_addr(s, &s->rows[i].addr, MT_L4_ADDR_ROWS);
	for (uint32_t i = 0; i < s->n_servers; i++)
		add_addr(s, &s->servers[i].addr, MT_L4_ADDR_SERVER);
	for (uint32_t i = 0; i < c->n_nat; i++)
		add_addr(s, &c->nat[i], MT_L4_ADDR_NAT);
	qsort(s->addrs, s->n_addrs, sizeof(*s->addrs), by_addr);
	for (uint32_t i = 0; i < s->n_addrs; i++) {
		if (kept > 0 && by_addr(&s->addrs[kept - 1], &s->addrs[i]) == 0)
			s->addrs[kept - 1].bits |= s->addrs[i].bits;
		else
			s->addrs[kept++] = s->addrs[i];
	}
	s->n_addrs = kept;
	for (uint32_t i = 0; i < s->n_addrs; i++) {
		char text[MT_ADDR_STRLEN];

		if (s->addrs[i].bits & MT_L4_ADDR_NAT && s->addrs[i].bits & MT_L4_ADDR_ROWS)
			return mt_err(e, -EINVAL, "NAT address %s: it is an address of a service",
				mt_addr_str(&s->addrs[i].addr, text));
		if (s->addrs[i].bits & MT_L4_ADDR_NAT && s->addrs[i].bits & MT_L4_ADDR_SERVER)
			return mt_err(e, -EINVAL, "NAT address %s: it is an endpoint's",
				mt_addr_str(&s->addrs[i].addr, text));
	}
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int set_nat(struct mt_l4_set *s, const struct mt_l4_conf *c, struct mt_err *e)
{
	if (c->n_nat && (c->nat_lo == 0 || c->nat_hi < c->nat_lo))
		return mt_err(
			e, -EINVAL, "NAT ports: %u to %u is not a range", c->nat_lo, c->nat_hi);
	s->nat_lo = c->nat_lo;
	s->nat_hi = c->nat_hi;
	s->nat_tcp = c->nat_tcp;
	for (uint32_t i = 0; i < c->n_nat; i++) {
		if (mt_addr_is4(&c->nat[i]))
			s->nat4[s->n_nat4++] = c->nat[i];
		else
			s->nat6[s->n_nat6++] = c->nat[i];
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct mt_l4_service *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Differs between services that have one id in sets after each other. */
static uint64_t owner_of(const struct mt_l4_service_conf *c)
{
	const char *key = c->key ? c->key : c->name;

	return mt_balance_hash(key, strlen(key), 1) | 1;
}

static int add_services(struct mt_l4_set *s, const struct mt_l4_conf *c, struct mt_err *e)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < c->n_services; i++) {
		const struct mt_l4_service_conf *v = &c->services[i];
		struct mt_l4_service *to = &s->services[s->n_services++];

		to->id = v->id;
		to->owner = owner_of(v);
		to->port = v->port;
		to->proto = v->proto;
		to->mode = (uint8_t)v->mode;
		to->closed = v->closed;
		to->name = strdup(v->name);
		rc = check_service(c, v, s->n_nat4, s->n_nat6, e);
		if (!rc && !to->name)
			rc = -ENOMEM;
		if (!rc)
			rc = l4_clients_copy(v, to);
		if (!rc)
			rc = l4_group_make(v, true, to->clients, &to->v4);
		if (!rc)
			rc = l4_group_make(v, false, to->clients, &to->v6);
		if (!rc)
			rc = l4_sources_make(v, &to->sources);
		if (rc == -E2BIG)
			rc = mt_err(e, -EINVAL, "%s: %u endpoints are too many", v->name,
				v->n_endpoints);
	}
	qsort(s->services, s->n_services, sizeof(*s->services), by_id);
	for (uint32_t i = 1; !rc && i < s->n_services; i++)
		if (s->services[i].id == s->services[i - 1].id)
			return mt_err(e, -EINVAL, "%s and %s have the same id",
				s->services[i - 1].name, s->services[i].name);
	return rc;
}

static struct mt_l4_set *new_set(const struct mt_l4_conf *c)
{
	static _Atomic uint64_t generations;
	struct mt_l4_set *s = calloc(1, sizeof(*s));
	uint32_t rows = 0, servers = 0, slots = 8;

	if (!s)
		return NULL;
	mt_addr_hash_ready();
	s->generation = ++generations;
	for (uint32_t i = 0; i < c->n_services; i++) {
		rows += c->services[i].n_vips;
		servers += c->services[i].n_endpoints;
	}
	while (slots < 2 * rows)
		slots *= 2;
	s->mask = slots - 1;
	s->slots = calloc(slots, sizeof(*s->slots));
	s->services = calloc(c->n_services + 1, sizeof(*s->services));
	s->rows = calloc(rows + 1, sizeof(*s->rows));
	s->servers = calloc(servers + 1, sizeof(*s->servers));
	s->checks = calloc(servers + 1, sizeof(*s->checks));
	s->check_ranges =
		calloc(MT_MIN(servers + 1u, MT_L4_CHECK_QUEUES), sizeof(*s->check_ranges));
	s->addrs = calloc(rows + servers + c->n_nat + 1, sizeof(*s->addrs));
	s->nat4 = calloc(c->n_nat + 1, sizeof(*s->nat4));
	s->nat6 = calloc(c->n_nat + 1, sizeof(*s->nat6));
	if (s->slots && s->services && s->rows && s->servers && s->checks && s->check_ranges &&
		s->addrs && s->nat4 && s->nat6)
		return s;
	mt_l4_set_free(s);
	return NULL;
}

int mt_l4_compile(const struct mt_l4_conf *c, struct mt_l4_set **set, struct mt_err *e)
{
	struct mt_l4_set *s = new_set(c);
	int rc = s ? set_nat(s, c, e) : -ENOMEM;

	if (!rc)
		rc = add_services(s, c, e);
	if (!rc)
		rc = l4_limits_make(c, &s->limits);
	if (!rc)
		rc = l4_rules_list(s, c);
	for (uint32_t i = 0; !rc && i < c->n_services; i++)
		rc = add_rows(s, &c->services[i], e);
	if (!rc) {
		list_servers(s, c);
		rc = l4_checks_list(s, c);
	}
	if (!rc)
		rc = list_addrs(s, c, e);
	if (rc) {
		mt_l4_set_free(s);
		return rc == -ENOMEM ? mt_err(e, -ENOMEM, "no memory for forwarded services") : rc;
	}
	*set = s;
	return 0;
}

/* ---- for lib/net --------------------------------------------------------------------------- */

static struct mt_net_row *net_rows(const struct mt_l4_row *r, uint32_t n)
{
	struct mt_net_row *to = calloc(n + 1, sizeof(*to));

	for (uint32_t i = 0; to && i < n; i++)
		to[i] = (struct mt_net_row){r[i].addr, r[i].port, r[i].proto};
	return to;
}

int mt_l4_expose(const struct mt_l4_set *s, struct mt_net_vips *v)
{
	struct mt_net_row *rows = net_rows(s->rows, s->n_rows);
	struct mt_net_row *servers = net_rows(s->servers, s->n_servers);
	uint32_t n_nat = s->n_nat4 + s->n_nat6;
	struct mt_addr *nat = calloc(n_nat + 1, sizeof(*nat));
	int rc = -ENOMEM;

	if (rows && servers && nat) {
		memcpy(nat, s->nat4, s->n_nat4 * sizeof(*nat));
		memcpy(nat + s->n_nat4, s->nat6, s->n_nat6 * sizeof(*nat));
		rc = mt_net_vips_forward(
			v, &(struct mt_net_forwards){rows, s->n_rows, servers, s->n_servers, nat,
				   n_nat, s->nat_lo, s->nat_hi, s->nat_tcp});
	}
	free(rows);
	free(servers);
	free(nat);
	return rc;
}
