/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence of an endpoint's health beside connections: ICMP echo, and what clients' SYNs get. */
#include "checked.h"
#include "mt_l4_priv.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct ck c;

/* ---- ICMP ---------------------------------------------------------------------------------- */

/* The number of the host (192.0.2.x) that an echo request goes to; 0: it is another frame. */
static uint8_t requested(const struct fx_frame *f)
{
	const uint8_t *ip = f->b + 14;

	return ip[-2] == 8 && ip[-1] == 0 && ip[9] == 1 && ip[20] == 8 ? ip[19] : 0;
}

/* The last echo request to 192.0.2.`number`; NULL: none was kept. */
static const struct fx_frame *request_to(uint8_t number)
{
	const struct fx_port *p = &c.s.f.port[0];

	for (int i = MT_MIN(p->n, FX_SENT) - 1; i >= 0; i--)
		if (requested(&p->sent[i]) == number)
			return &p->sent[i];
	return NULL;
}

static const char *const hosts[] = {"192.0.2.21", "192.0.2.22", "192.0.2.23"};

/* A reply from `src` with the request's bytes, of which the one at `wrong` is changed (-1: none). */
static void reply(const struct fx_frame *q, const char *src, uint16_t worker, int wrong)
{
	uint8_t b[24];
	struct fx_pkt p = {0};

	memcpy(b, q->b + 34, sizeof(b));
	b[0] = b[2] = b[3] = 0;
	if (wrong >= 0)
		b[wrong] ^= 1;
	fx_ip(&p, src, "192.0.2.1", 1, b, sizeof(b), 2);
	fx_in(&c.s.f, worker, 0, p.b, p.len);
}

/* Hosts with a bit in `alive` answer requests, at `worker`. */
static void answer(uint32_t alive, uint16_t worker)
{
	const struct fx_port *p = &c.s.f.port[0];

	for (uint16_t i = 0; i < MT_MIN(p->n, FX_SENT); i++) {
		uint8_t to = requested(&p->sent[i]);

		if (to >= 21 && to <= 23 && alive & 1u << (to - 21))
			reply(&p->sent[i], hosts[to - 21], worker, -1);
	}
}

/* Lets time pass while they answer. */
static void live(uint64_t ns, uint32_t alive, uint16_t worker)
{
	for (uint64_t t = 0; t < ns; t += 25 * MT_MSEC) {
		fx_clear(&c.s.f);
		sc_turn(&c.s, 25 * MT_MSEC);
		answer(alive, worker);
	}
}

/* The reply may arrive at any worker. */
static void echo_fails_and_returns(void)
{
	for (uint16_t worker = 0; worker < 3; worker++) {
		ck_open(&c, 3, &ck_tcp, &ck_icmp);
		live(10 * MT_SEC, 7, worker);
		CU_ASSERT(sc_count(&c.s, MT_L4_checks_failed) == 0);
		live(9 * MT_SEC, 5, worker);
		CU_ASSERT(!c.unhealthy[CK_UDP] && c.unhealthy[CK_UDP + 1] &&
			  !c.unhealthy[CK_UDP + 2]);
		CU_ASSERT_STRING_EQUAL(c.why[CK_UDP + 1], "no ICMP echo reply");
		for (uint16_t i = 0; i < 30; i++) {
			int to = ck_udp_to(&c, (uint16_t)(2000 + i));

			CU_ASSERT(to == 21 || to == 23);
		}
		live(6 * MT_SEC, 7, worker);
		CU_ASSERT_EQUAL(c.unhealthy[CK_UDP + 1], 0);
		CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_echo_unexpected), 0);
		ck_close(&c);
	}
}

/* By default an endpoint of UDP that never answers echo requests stays healthy. */
static void filtered_echo(void)
{
	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	live(60 * MT_SEC, 3, 0);
	CU_ASSERT_EQUAL(c.changes[CK_UDP + 2], 0);
	live(9 * MT_SEC, 2, 0);
	CU_ASSERT(c.unhealthy[CK_UDP] && !c.unhealthy[CK_UDP + 1] && !c.unhealthy[CK_UDP + 2]);
	ck_close(&c);
	/* As configured: unhealthy at once. */
	ck_open(&c, 1, &ck_tcp, &ck_icmp);
	live(10 * MT_SEC, 3, 0);
	CU_ASSERT_EQUAL(c.unhealthy[CK_UDP + 2], 1);
	ck_close(&c);
}

/*
 * Replies that answer nothing: another identifier, index, sequence number or hash, from another
 * address, a copy of an older one, too short ones. None keeps the endpoint healthy.
 */
static void forged_echo(void)
{
	static const int wrong[] = {4, 8, 12, 16, 23};
	struct fx_frame old, *first = NULL;
	uint64_t unexpected;
	struct fx_pkt p = {0};

	ck_open(&c, 1, &ck_tcp, &ck_icmp);
	live(3 * MT_SEC, 0, 0);
	for (int round = 0; round < 40 && !c.unhealthy[CK_UDP]; round++) {
		const struct fx_frame *q;

		fx_clear(&c.s.f);
		for (int i = 0; i < 80 && !request_to(21); i++)
			sc_turn(&c.s, 25 * MT_MSEC);
		q = request_to(21);
		if (!q)
			break;
		for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++)
			reply(q, "192.0.2.21", 0, wrong[i]);
		reply(q, "192.0.2.22", 0, -1);
		if (first)
			reply(first, "192.0.2.21", 0, -1);
		old = *q;
		first = &old;
	}
	CU_ASSERT_EQUAL(c.unhealthy[CK_UDP], 1);
	unexpected = sc_count(&c.s, MT_L4_echo_unexpected);
	CU_ASSERT(unexpected >= 12);
	fx_echo(&p, "192.0.2.21", "192.0.2.1", 8);
	p.b[34] = 0;
	fx_resum(&p, 14);
	fx_in(&c.s.f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_echo_unexpected), unexpected);
	CU_ASSERT(fx_count(&c.s.f, MT_NET_icmp_ignored) > 0);
	ck_close(&c);
}

/* Copies of an older reply come after each new one: they hide none. */
static void replayed_echo(void)
{
	struct fx_frame first;
	bool heard = false;

	ck_open(&c, 1, &ck_tcp, &ck_icmp);
	for (int i = 0; i < 800; i++) {
		const struct fx_frame *q;

		fx_clear(&c.s.f);
		sc_turn(&c.s, 25 * MT_MSEC);
		q = request_to(21);
		if (q && !heard) {
			first = *q;
			heard = true;
		}
		answer(7, 0);
		if (heard)
			reply(&first, "192.0.2.21", 0, -1);
	}
	CU_ASSERT(heard);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_checks_failed), 0);
	CU_ASSERT_EQUAL(c.changes[CK_UDP], 0);
	ck_close(&c);
}

/* Lets 10 s pass for a service of one endpoint, without the scene's neighbours. */
static void check_far(const char *addr)
{
	static uint8_t unhealthy;
	const struct mt_addr vip = fx_addr("192.0.2.80");
	const struct mt_l4_endpoint_conf e = {
		.addr = fx_addr(addr), .port = 53, .weight = 1, .health = {&unhealthy, 1, 3, NULL}};
	const struct mt_l4_service_conf one = {.id = SC_NAT,
		.name = "far",
		.vips = &vip,
		.n_vips = 1,
		.port = 4000,
		.proto = IPPROTO_UDP,
		.endpoints = &e,
		.n_endpoints = 1,
		.check = ck_icmp};
	const struct mt_l4_conf conf = {.services = &one, .n_services = 1};
	struct mt_err err;

	ck_open(&c, 1, &ck_tcp, &ck_icmp);
	mt_l4_set_free(c.s.set);
	CU_ASSERT_EQUAL_FATAL(mt_l4_compile(&conf, &c.s.set, &err), 0);
	for (int i = 0; i < 400; i++)
		fx_turn(&c.s.f, 25 * MT_MSEC), mt_l4_begin(c.s.l[0], c.s.f.now, c.s.set),
			mt_l4_tick(c.s.l[0]);
}

/* No station answers for the host: no request can be sent. */
static void unreachable_host(void)
{
	check_far("10.9.9.9");
	CU_ASSERT_EQUAL(c.changes[3], 1);
	CU_ASSERT_STRING_EQUAL(c.why[3], "host unreachable");
	ck_close(&c);
}

/* The node has no way to ask, which says nothing about the endpoint. */
static void node_cannot_ask(void)
{
	check_far("192.0.2.255");
	CU_ASSERT_EQUAL(c.changes[3], 0);
	CU_ASSERT(sc_count(&c.s, MT_L4_checks_void) >= 4);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_checks_failed), 0);
	ck_close(&c);
}

/* The identifier, which any host on the way sees, has no part of the secret. */
static void identifier(void)
{
	const struct fx_frame *q;

	ck_open(&c, 1, &ck_tcp, &ck_icmp);
	live(5 * MT_SEC, 0, 0);
	fx_clear(&c.s.f);
	for (int i = 0; i < 80 && !request_to(21); i++)
		sc_turn(&c.s, 25 * MT_MSEC);
	q = request_to(21);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	for (int i = 0; i < 15; i++) {
		CU_ASSERT_NOT_EQUAL(memcmp(q->b + 38, CK_SECRET + i, 2), 0);
		CU_ASSERT(q->b[38] != CK_SECRET[i + 1] || q->b[39] != CK_SECRET[i]);
	}
	ck_close(&c);
}

/* ---- SYNs of clients ----------------------------------------------------------------------- */

static const char *client[] = {"10.1.1.2", "10.1.1.3"};

/*
 * SYNs to all endpoints, each repeated after `wait`, so many times; `answered`: by SYN-ACKs. All
 * hosts answer echo requests.
 */
static void clients(uint16_t first, uint64_t wait, int times, bool answered)
{
	struct cn n[24];

	for (uint16_t i = 0; i < MT_ARRAY_LEN(n); i++) {
		n[i] = cn_new(client[i % 2], (uint16_t)(first + i / 2), false);
		(void)cn_client(&c.s, &n[i], SYN, 0);
		answer(7, 0);
		if (answered)
			(void)cn_server(&c.s, &n[i], SYN | ACK, 0);
	}
	for (int t = 0; t < times; t++) {
		live(wait, 7, 0);
		for (uint16_t i = 0; i < MT_ARRAY_LEN(n); i++) {
			n[i].seq[0]--;
			(void)cn_client(&c.s, &n[i], SYN, 0);
			answer(7, 0);
		}
	}
}

/* Rounds of the endpoint's checks, which fail, until it is unhealthy. */
static uint32_t failed_checks(uint32_t index)
{
	uint32_t begun = c.begun[index];

	c.verdict[index] = MT_L4_FAILED;
	for (int i = 0; i < 20 && !c.unhealthy[index]; i++) {
		clients((uint16_t)(10000 + 20 * i), MT_SEC, 1, false);
		ck_pass(&c, MT_SEC);
	}
	return c.begun[index] - begun;
}

/* Beside failed checks, SYNs without an answer count as well, so that two checks are enough. */
static void syns_count_with_failed_checks(void)
{
	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	ck_pass(&c, 3 * MT_SEC);
	CU_ASSERT_EQUAL(failed_checks(1), 2);
	CU_ASSERT(sc_count(&c.s, MT_L4_syns_unanswered) >= 12);
	ck_close(&c);
}

/* A client cannot make an endpoint unhealthy that accepts the node's connections. */
static void syns_prove_nothing_against_a_connection(void)
{
	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	for (uint16_t i = 0; i < 10; i++)
		clients((uint16_t)(20000 + 20 * i), MT_SEC, 3, false);
	CU_ASSERT(sc_count(&c.s, MT_L4_syns_unanswered) > 300);
	CU_ASSERT_EQUAL(c.changes[0] + c.changes[1] + c.changes[2], 0);
	ck_close(&c);
}

/* Faster than a host repeats them they are not counted. */
static void fast_syns(void)
{
	ck_open(&c, 1, &ck_icmp, &ck_lenient);
	live(3 * MT_SEC, 7, 0);
	clients(30000, 100 * MT_MSEC, 50, false);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_syns_unanswered), 0);
	ck_close(&c);
}

/* A host that answers echo requests, while nothing listens at the port or a filter is in front. */
static void syns_count_against_echo(void)
{
	ck_open(&c, 1, &ck_icmp, &ck_lenient);
	live(3 * MT_SEC, 7, 0);
	for (uint16_t i = 0; i < 12 && !c.unhealthy[0]; i++) {
		clients((uint16_t)(40000 + 20 * i), MT_SEC, 1, false);
		live(MT_SEC, 7, 0);
	}
	CU_ASSERT_EQUAL(c.unhealthy[0], 1);
	CU_ASSERT_STRING_EQUAL(c.why[0], "SYNs are not answered");
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_checks_failed), 0);
	ck_close(&c);
}

/* One client alone, however many SYNs it repeats, makes no endpoint unhealthy. */
static void one_client(void)
{
	for (uint16_t workers = 1; workers <= 3; workers += 2) {
		client[1] = client[0];
		ck_open(&c, workers, &ck_icmp, &ck_lenient);
		live(3 * MT_SEC, 7, 0);
		for (uint16_t i = 0; i < 12; i++) {
			clients((uint16_t)(40000 + 20 * i), MT_SEC, 1, false);
			live(MT_SEC, 7, 0);
		}
		CU_ASSERT(sc_count(&c.s, MT_L4_syns_unanswered) > 100);
		CU_ASSERT_EQUAL(c.changes[0] + c.changes[1] + c.changes[2], 0);
		ck_close(&c);
	}
	client[1] = "10.1.1.3";
	/* Two, of which each sends once an interval. */
	ck_open(&c, 3, &ck_icmp, &ck_lenient);
	live(3 * MT_SEC, 7, 0);
	for (uint16_t i = 0; i < 12 && !c.unhealthy[1]; i++) {
		clients((uint16_t)(40000 + 20 * i), MT_SEC, 1, false);
		live(MT_SEC, 7, 0);
	}
	CU_ASSERT_EQUAL(c.unhealthy[1], 1);
	ck_close(&c);
}

/* The endpoint drops SYNs with a wrong checksum, so they prove nothing. */
static void damaged_syns(void)
{
	ck_open(&c, 1, &ck_icmp, &ck_lenient);
	live(3 * MT_SEC, 7, 0);
	for (int round = 0; round < 12; round++) {
		for (uint16_t i = 0; i < 24; i++) {
			const struct cn_segment g = {.src = client[i % 2],
				.dst = "192.0.2.80",
				.sport = (uint16_t)(40000 + i),
				.dport = 5432,
				.flags = SYN};
			struct fx_pkt p = {0};

			cn_frame(&g, &p);
			p.b[14 + 20 + 16] ^= 1;
			sc_receive(&c.s, 0, fx_mbuf(&c.s.f, p.b, p.len, 0));
		}
		live(MT_SEC, 7, 0);
	}
	CU_ASSERT(sc_flows(&c.s) >= 24);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_syns_unanswered), 0);
	CU_ASSERT_EQUAL(c.changes[0] + c.changes[1] + c.changes[2], 0);
	ck_close(&c);
}

/* A first fragment of a SYN, without the others; the checksum fits its own bytes. */
static void first_fragment(const char *src, uint16_t sport, uint16_t id)
{
	const struct cn_segment g = {.src = src,
		.dst = "192.0.2.80",
		.sport = sport,
		.dport = 5432,
		.flags = SYN,
		.data = 380};
	struct fx_pkt p = {0};

	cn_frame(&g, &p);
	p.b[14 + 4] = (uint8_t)(id >> 8);
	p.b[14 + 5] = (uint8_t)id;
	p.b[14 + 6] = 0x20;
	fx_resum(&p, 14);
	sc_receive(&c.s, 0, fx_mbuf(&c.s.f, p.b, p.len, 0));
}

/* An endpoint cannot answer a SYN of which it receives only a part. */
static void parts_of_syns(void)
{
	uint16_t id = 0;

	ck_open(&c, 1, &ck_icmp, &ck_lenient);
	live(3 * MT_SEC, 7, 0);
	for (int round = 0; round < 12; round++) {
		for (uint16_t i = 0; i < 24; i++)
			first_fragment(client[i % 2], (uint16_t)(40000 + i), ++id);
		live(MT_SEC, 7, 0);
	}
	CU_ASSERT(sc_flows(&c.s) >= 24);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_syns_unanswered), 0);
	CU_ASSERT_EQUAL(c.changes[0] + c.changes[1] + c.changes[2], 0);
	ck_close(&c);
}

/* Notes of two clients, weeks ago, do not come back when ticks wrap around. */
static void old_notes(void)
{
	const struct mt_addr a[2] = {fx_addr("10.1.1.1"), fx_addr("10.1.1.2")};
	uint32_t noted;

	ck_open(&c, 1, &ck_icmp, &ck_lenient);
	l4_note_unanswered(c.s.l[0], 0, &a[0]);
	l4_note_unanswered(c.s.l[0], 0, &a[1]);
	noted = c.s.l[0]->tick;
	CU_ASSERT(l4_heard_unanswered(c.s.l[0], 0, noted));
	CU_ASSERT(l4_heard_unanswered(c.s.l[0], 0, noted - 1000));
	/* The clock of another worker is ahead. */
	c.s.l[0]->tick = noted - 3;
	CU_ASSERT(l4_heard_unanswered(c.s.l[0], 0, noted - 1000));
	for (uint32_t days = 1; days < 49; days++) {
		c.s.l[0]->tick = noted + days * L4_TICKS(86400 * MT_SEC);
		CU_ASSERT(!l4_heard_unanswered(c.s.l[0], 0, c.s.l[0]->tick - 2000));
	}
	ck_close(&c);
}

/* Lets the next check of each endpoint begin, and fail after `answered` (SYN-ACKs to clients). */
static void fail_all(uint16_t first, bool answered)
{
	uint32_t begun[3] = {c.begun[0], c.begun[1], c.begun[2]};

	for (uint32_t i = 0; i < 3; i++)
		c.verdict[i] = 0;
	for (int t = 0; t < 100; t++) {
		bool all = true;

		sc_turn(&c.s, 25 * MT_MSEC);
		for (uint32_t i = 0; i < 3; i++)
			all &= c.begun[i] > begun[i];
		if (all)
			break;
	}
	if (answered)
		clients(first, 0, 0, true);
	for (uint32_t i = 0; i < 3; i++)
		mt_l4_checked(c.s.l[i % 3], i, c.token[i], MT_L4_FAILED, "refused");
	ck_pass(&c, 100 * MT_MSEC);
}

/*
 * An endpoint that takes connections of clients only stays healthy. What it answered before the
 * check does not count.
 */
static void answers_excuse_failed_checks(void)
{
	ck_open(&c, 3, &ck_tcp, &ck_lenient);
	for (uint16_t i = 0; i < 10; i++)
		fail_all((uint16_t)(50000 + 20 * i), true);
	CU_ASSERT(sc_count(&c.s, MT_L4_checks_failed) >= 30);
	CU_ASSERT_EQUAL(c.changes[0] + c.changes[1] + c.changes[2], 0);
	for (uint16_t i = 0; i < 3; i++) {
		clients((uint16_t)(51000 + 20 * i), 0, 0, true);
		fail_all(0, false);
	}
	CU_ASSERT_EQUAL(c.changes[0] + c.changes[1] + c.changes[2], 3);
	ck_close(&c);
}

const struct mt_test health_heard_tests[] = {{"echo_fails_and_returns", echo_fails_and_returns},
	{"filtered_echo", filtered_echo}, {"forged_echo", forged_echo},
	{"replayed_echo", replayed_echo}, {"unreachable_host", unreachable_host},
	{"node_cannot_ask", node_cannot_ask}, {"identifier", identifier},
	{"syns_count_with_failed_checks", syns_count_with_failed_checks},
	{"syns_prove_nothing", syns_prove_nothing_against_a_connection}, {"fast_syns", fast_syns},
	{"syns_count_against_echo", syns_count_against_echo}, {"one_client", one_client},
	{"old_notes", old_notes}, {"damaged_syns", damaged_syns}, {"parts_of_syns", parts_of_syns},
	{"answers_excuse", answers_excuse_failed_checks}, {0}};
