/* SPDX-License-Identifier: Apache-2.0 */
#include "checked.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

const struct mt_l4_check_conf ck_tcp = {MT_L4_CHECK_TCP, false, 3, 2000};
const struct mt_l4_check_conf ck_icmp = {MT_L4_CHECK_ICMP, false, 3, 2000};
const struct mt_l4_check_conf ck_lenient = {MT_L4_CHECK_ICMP, true, 3, 2000};

static bool begin(void *arg, const struct mt_l4_check *k, uint32_t token, uint32_t timeout_ms)
{
	struct ck *c = mt_container_of((struct scene *)arg, struct ck, s);
	uint32_t i = k->health.index;

	if (c->busy)
		return false;
	c->token[i] = token;
	c->begun[i]++;
	if (c->verdict[i])
		mt_l4_checked(c->s.l[i % c->s.f.workers], i, token, c->verdict[i], "refused");
	return true;
}

static void changed(void *arg, const struct mt_l4_check *k, const char *why)
{
	struct ck *c = mt_container_of((struct scene *)arg, struct ck, s);
	uint32_t i = k->health.index;

	c->unhealthy[i] = why != NULL;
	c->why[i] = why;
	c->changes[i]++;
}

static const struct mt_l4_check_ops ops = {.connect = begin, .changed = changed};

static void echoed(void *arg, const struct mt_net_echo *e)
{
	mt_l4_echo(arg, e);
}

static void neigh(void *arg, uint32_t index, bool ok)
{
}

static const struct mt_net_events events = {.neigh = neigh, .echo = echoed};

static void fill(struct ck *c, struct mt_l4_endpoint_conf *e, uint16_t port, uint32_t first)
{
	static const char *const at[] = {"192.0.2.21", "192.0.2.22", "192.0.2.23"};

	for (uint32_t i = 0; i < 3; i++)
		e[i] = (struct mt_l4_endpoint_conf){.addr = fx_addr(at[i]),
			.port = port,
			.weight = 1,
			.health = {&c->unhealthy[first + i], first + i + 100, first + i, NULL}};
}

void ck_configure(
	struct ck *c, const struct mt_l4_check_conf *tcp, const struct mt_l4_check_conf *udp)
{
	const struct mt_addr vip = fx_addr("192.0.2.80");
	struct mt_l4_endpoint_conf e[6];
	const struct mt_l4_service_conf list[] = {{.id = SC_NAT_TCP,
							  .name = "nat-tcp",
							  .vips = &vip,
							  .n_vips = 1,
							  .port = 5432,
							  .proto = IPPROTO_TCP,
							  .endpoints = e,
							  .n_endpoints = 3,
							  .limits = c->s.limits[SC_NAT_TCP],
							  .check = *tcp},
		{.id = SC_NAT,
			.name = "nat",
			.vips = &vip,
			.n_vips = 1,
			.port = 4000,
			.proto = IPPROTO_UDP,
			.endpoints = e + 3,
			.n_endpoints = 3,
			.limits = c->s.limits[SC_NAT],
			.check = *udp}};
	const struct mt_l4_conf conf = {.services = list, .n_services = 2};
	struct mt_l4_set *set;
	struct mt_err err;

	fill(c, e, 5000, CK_TCP);
	fill(c, e + 3, 5000, CK_UDP);
	if (mt_l4_compile(&conf, &set, &err))
		abort();
	mt_l4_set_free(c->s.set);
	c->s.set = set;
}

void ck_open(struct ck *c, uint16_t workers, const struct mt_l4_check_conf *tcp,
	const struct mt_l4_check_conf *udp)
{
	memset(c, 0, sizeof(*c));
	for (uint32_t i = 0; i < 6; i++)
		c->verdict[i] = MT_L4_PASSED;
	c->s.health = mt_l4_health_new(workers, (const uint8_t *)CK_SECRET);
	if (!c->s.health)
		abort();
	c->s.checks = &ops;
	sc_open(&c->s, workers, 4096);
	for (uint16_t i = 0; i < workers; i++)
		mt_netw_set_events(c->s.f.w[i], &events, c->s.l[i]);
	ck_configure(c, tcp, udp);
}

void ck_close(struct ck *c)
{
	if (!sc_close(&c->s))
		abort();
	mt_l4_health_free(c->s.health);
}

void ck_pass(struct ck *c, uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += 25 * MT_MSEC)
		sc_turn(&c->s, 25 * MT_MSEC);
}

static int number_of(const struct mt_addr *a)
{
	return a->b[15];
}

int ck_tcp_to(struct ck *c, uint16_t cport)
{
	struct cn n = cn_new("10.1.1.1", cport, false);
	const struct fx_frame *f = cn_client(&c->s, &n, SYN, 0);

	return f ? number_of(&n.seen.dst) : 0;
}

int ck_udp_to(struct ck *c, uint16_t cport)
{
	const struct sc_udp u = {"10.1.1.1", "192.0.2.80", cport, 4000, 40, 0, false};
	const struct fx_frame *f = sc_pass(&c->s, &u);
	struct sc_ends e;

	if (!f)
		return 0;
	e = sc_ends(f);
	return number_of(&e.dst);
}
