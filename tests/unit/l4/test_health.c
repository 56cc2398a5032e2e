/* SPDX-License-Identifier: Apache-2.0 */
/* Health of endpoints: when they become unhealthy and healthy, and where new flows go meanwhile. */
#include "checked.h"
#include "mt_l4_priv.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <stdlib.h>

static struct ck c;

#define FLOWS 60

static void picks(uint16_t first, int to[FLOWS])
{
	for (uint16_t i = 0; i < FLOWS; i++)
		to[i] = ck_tcp_to(&c, (uint16_t)(first + i));
}

/* Time until the endpoint has another health, in ns, at most 30 s. */
static uint64_t until(uint32_t index, bool unhealthy)
{
	uint64_t began = c.s.f.now;

	while ((c.unhealthy[index] != 0) != unhealthy && c.s.f.now - began < 30 * MT_SEC)
		sc_turn(&c.s, 25 * MT_MSEC);
	CU_ASSERT_EQUAL(c.unhealthy[index] != 0, unhealthy);
	return c.s.f.now - began;
}

/* Opens the connection; returns the number of its endpoint. */
static int number_of_server(struct cn *n)
{
	CU_ASSERT(cn_open(&c.s, n));
	return n->seen.dst.b[15];
}

/* An endpoint fails, and returns: the flows of others never move, and its own return. */
static void fails_and_returns(void)
{
	int before[FLOWS], dead[FLOWS], after[FLOWS];
	struct cn live;
	uint32_t moved = 0;

	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	ck_pass(&c, 3 * MT_SEC);
	picks(1000, before);
	live = cn_new("10.1.1.1", 900, false);
	while (number_of_server(&live) != 21)
		live = cn_new("10.1.1.1", (uint16_t)(live.cport + 1), false);
	c.verdict[0] = MT_L4_FAILED;
	CU_ASSERT(until(0, true) <= 8 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(c.why[0], "refused");
	CU_ASSERT_PTR_NOT_NULL(cn_client(&c.s, &live, ACK, 10));
	CU_ASSERT_EQUAL(live.seen.dst.b[15], 21);
	ck_pass(&c, 61 * MT_SEC); /* flows without a SYN-ACK are over */
	picks(1000, dead);
	for (int i = 0; i < FLOWS; i++) {
		CU_ASSERT(dead[i] == before[i] || before[i] == 21);
		CU_ASSERT(dead[i] == 22 || dead[i] == 23);
		moved += before[i] == 21;
	}
	CU_ASSERT(moved > 5);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_moved), moved);
	c.verdict[0] = MT_L4_PASSED;
	CU_ASSERT(until(0, false) <= 5 * MT_SEC);
	CU_ASSERT_PTR_NULL(c.why[0]);
	ck_pass(&c, 61 * MT_SEC);
	picks(1000, after);
	for (int i = 0; i < FLOWS; i++)
		CU_ASSERT_EQUAL(after[i], before[i]);
	CU_ASSERT_EQUAL(c.changes[0], 2);
	CU_ASSERT_EQUAL(c.changes[1] + c.changes[2], 0);
	ck_close(&c);
}

/* Two failures and a success between them: nothing changes. One success is not enough to return. */
static void in_a_row(void)
{
	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	for (int i = 0; i < 20; i++) {
		uint32_t begun = c.begun[1];

		c.verdict[1] = i % 3 == 2 ? MT_L4_PASSED : MT_L4_FAILED;
		while (c.begun[1] == begun)
			sc_turn(&c.s, 25 * MT_MSEC);
	}
	CU_ASSERT_EQUAL(c.changes[1], 0);
	c.verdict[1] = MT_L4_FAILED;
	(void)until(1, true);
	for (int i = 0; i < 20; i++) {
		uint32_t begun = c.begun[1];

		c.verdict[1] = i % 2 ? MT_L4_PASSED : MT_L4_FAILED;
		while (c.begun[1] == begun)
			sc_turn(&c.s, 25 * MT_MSEC);
	}
	CU_ASSERT_EQUAL(c.changes[1], 1);
	ck_close(&c);
}

/* Without a healthy endpoint flows go where they would if all were healthy. */
static void all_unhealthy(void)
{
	int before[FLOWS], after[FLOWS];

	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	ck_pass(&c, 3 * MT_SEC);
	picks(1000, before);
	for (uint32_t i = 0; i < 3; i++)
		c.verdict[i] = MT_L4_FAILED;
	for (uint32_t i = 0; i < 3; i++)
		(void)until(i, true);
	ck_pass(&c, 61 * MT_SEC);
	picks(1000, after);
	for (int i = 0; i < FLOWS; i++)
		CU_ASSERT_EQUAL(after[i], before[i]);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_unhealthy), FLOWS);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_moved), 0);
	ck_close(&c);
}

/* Results that say nothing: of the node itself, of an earlier check, of one that is over. */
static void worthless_results(void)
{
	uint32_t token;

	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	c.verdict[0] = MT_L4_VOID;
	ck_pass(&c, 20 * MT_SEC);
	CU_ASSERT(sc_count(&c.s, MT_L4_checks_void) >= 9);
	CU_ASSERT_EQUAL(c.changes[0], 0);
	c.verdict[0] = 0;
	ck_pass(&c, 3 * MT_SEC);
	token = c.token[0];
	for (uint32_t i = 0; i < 30; i++) {
		mt_l4_checked(c.s.l[0], 0, token - 1 - i, MT_L4_FAILED, "late");
		ck_pass(&c, 50 * MT_MSEC);
	}
	/* No second one begins while there is no result. */
	CU_ASSERT_EQUAL(c.token[0], token);
	CU_ASSERT_EQUAL(c.changes[0], 0);
	mt_l4_checked(c.s.l[0], 0, token, MT_L4_PASSED, NULL);
	ck_pass(&c, 3 * MT_SEC);
	CU_ASSERT_EQUAL(c.token[0], token + 1);
	c.busy = true;
	mt_l4_checked(c.s.l[0], 0, token + 1, MT_L4_PASSED, NULL);
	ck_pass(&c, 5 * MT_SEC);
	CU_ASSERT_EQUAL(c.changes[0], 0);
	ck_close(&c);
}

/* ---- flows of an unhealthy endpoint -------------------------------------------------------- */

/* Passes a datagram of the client, or its endpoint's answer; the number of the endpoint, or 0. */
static int datagram(uint16_t cport, struct sc_ends *seen)
{
	const struct sc_udp u = {"10.1.1.1", "192.0.2.80", cport, 4000, 40, 0, false};
	const struct fx_frame *f = sc_pass(&c.s, &u);

	if (!f)
		return 0;
	*seen = sc_ends(f);
	return seen->dst.b[15];
}

static bool answer(const struct sc_ends *seen)
{
	char text[2][MT_ADDR_STRLEN];
	const struct sc_udp u = {.src = mt_addr_str(&seen->dst, text[0]),
		.dst = mt_addr_str(&seen->src, text[1]),
		.sport = seen->dport,
		.dport = seen->sport,
		.data = 10};

	return sc_pass(&c.s, &u) != NULL;
}

/* Of UDP: without an answer, with one before the endpoint became unhealthy, with later ones. */
static void datagrams_leave(void)
{
	struct sc_ends seen[FLOWS];
	int before[FLOWS];
	uint32_t left = 0;

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	ck_pass(&c, 3 * MT_SEC);
	for (uint16_t i = 0; i < FLOWS; i++) {
		before[i] = datagram((uint16_t)(1000 + i), &seen[i]);
		CU_ASSERT(i % 3 == 0 || answer(&seen[i]));
	}
	c.verdict[CK_UDP] = MT_L4_FAILED;
	(void)until(CK_UDP, true);
	ck_pass(&c, 1500 * MT_MSEC); /* the sweep */
	for (uint16_t i = 2; i < FLOWS; i += 3)
		CU_ASSERT(answer(&seen[i]));
	for (int round = 0; round < 3; round++)
		for (uint16_t i = 0; i < FLOWS; i++) {
			int to = datagram((uint16_t)(1000 + i), &seen[i]);
			bool leaves = before[i] == 21 && i % 3 != 2;

			CU_ASSERT(leaves ? to == 22 || to == 23 : to == before[i]);
			left += leaves && round == 0;
		}
	CU_ASSERT(left > 5);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), left);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_moved), left);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_ended), 0);
	/* It returns, and no flow moves for that. */
	c.verdict[CK_UDP] = MT_L4_PASSED;
	(void)until(CK_UDP, false);
	ck_pass(&c, 1500 * MT_MSEC);
	for (uint16_t i = 0; i < FLOWS; i++) {
		int to = datagram((uint16_t)(1000 + i), &seen[i]);

		CU_ASSERT((to == 21) == (before[i] == 21 && i % 3 == 2));
	}
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), left);
	ck_close(&c);
}

/* The endpoint's last answer, and the sweep that marks its flow, in the same millisecond. */
static void answered_with_the_mark(void)
{
	struct sc_ends seen;
	uint16_t cport = 1000;

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	ck_pass(&c, 3 * MT_SEC);
	while (datagram(cport, &seen) != 21)
		cport++;
	CU_ASSERT(answer(&seen));
	c.verdict[CK_UDP] = MT_L4_FAILED;
	(void)until(CK_UDP, true);
	CU_ASSERT(answer(&seen));
	c.s.l[0]->swept = 0;
	sc_turn(&c.s, 0);
	CU_ASSERT_EQUAL(c.s.l[0]->to_check, 0);
	ck_pass(&c, MT_SEC);
	CU_ASSERT_NOT_EQUAL(datagram(cport, &seen), 21);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), 1);
	ck_close(&c);
}

/*
 * Marks the flow of a client's port as one of an unhealthy endpoint, which is 192.0.2.21. `kept`:
 * the flow is within its share.
 */
static uint16_t marked(struct sc_ends *seen, bool kept)
{
	uint16_t cport = 1000;

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	if (!kept)
		c.s.l[0]->shares.max = 0;
	ck_pass(&c, 3 * MT_SEC);
	while (datagram(cport, seen) != 21)
		cport++;
	CU_ASSERT(answer(seen));
	c.verdict[CK_UDP] = MT_L4_FAILED;
	(void)until(CK_UDP, true);
	ck_pass(&c, 1500 * MT_MSEC);
	return cport;
}

/* The endpoint sends once more after the mark, and then nothing: the flow leaves after 5 s. */
static void answered_once_more_if(bool kept)
{
	struct sc_ends seen, other;
	uint16_t cport = marked(&seen, kept);
	int to = 21, s = 0;

	CU_ASSERT(answer(&seen));
	for (; to == 21 && s < 60; s++) {
		to = datagram(cport, &other);
		CU_ASSERT(to == 21 || s >= 5);
		ck_pass(&c, MT_SEC);
	}
	CU_ASSERT(to == 22 || to == 23);
	CU_ASSERT(s <= 7);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), 1);
	ck_close(&c);
}

static void answered_once_more(void)
{
	answered_once_more_if(true);
	answered_once_more_if(false);
}

/* One that answers each packet keeps the flow, whatever the pauses, also in one millisecond. */
static void answers_go_on_if(bool kept)
{
	struct sc_ends seen;
	uint16_t cport = marked(&seen, kept);

	CU_ASSERT(answer(&seen));
	for (int i = 0; i < 12; i++) {
		CU_ASSERT_EQUAL(datagram(cport, &seen), 21);
		/* Two packets after a pause do not wait 5 s for their answers. */
		CU_ASSERT_EQUAL(datagram(cport, &seen), 21);
		CU_ASSERT(answer(&seen));
		ck_pass(&c, i % 3 == 0 ? 20 * MT_SEC : 4 * MT_SEC);
	}
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), 0);
	ck_close(&c);
}

static void answers_go_on(void)
{
	answers_go_on_if(true);
	answers_go_on_if(false);
}

/* Without a healthy endpoint they stay, and leave when there is one again. */
static void datagrams_stay(void)
{
	struct sc_ends seen;
	int before[FLOWS];

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	ck_pass(&c, 3 * MT_SEC);
	for (uint16_t i = 0; i < FLOWS; i++)
		before[i] = datagram((uint16_t)(1000 + i), &seen);
	for (int i = 0; i < 3; i++)
		c.verdict[CK_UDP + i] = MT_L4_FAILED;
	for (uint32_t i = 0; i < 3; i++)
		(void)until(CK_UDP + i, true);
	ck_pass(&c, 1500 * MT_MSEC);
	for (uint16_t i = 0; i < FLOWS; i++)
		CU_ASSERT_EQUAL(datagram((uint16_t)(1000 + i), &seen), before[i]);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), 0);
	c.verdict[CK_UDP + 1] = MT_L4_PASSED;
	(void)until(CK_UDP + 1, false);
	ck_pass(&c, 1500 * MT_MSEC);
	for (uint16_t i = 0; i < FLOWS; i++)
		CU_ASSERT_EQUAL(datagram((uint16_t)(1000 + i), &seen), 22);
	ck_close(&c);
}

/* Of TCP: a repeated SYN leaves, a connection stays, and so does a handshake with a SYN-ACK. */
static void connections_stay(void)
{
	struct cn n[FLOWS];
	uint32_t left = 0;

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	ck_pass(&c, 3 * MT_SEC);
	for (uint16_t i = 0; i < FLOWS; i++) {
		n[i] = cn_new("10.1.1.1", (uint16_t)(1000 + i), false);
		if (i % 3 == 0) {
			CU_ASSERT(cn_open(&c.s, &n[i]));
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL(cn_client(&c.s, &n[i], SYN, 0));
		if (i % 3 == 1)
			CU_ASSERT_PTR_NOT_NULL(cn_server(&c.s, &n[i], SYN | ACK, 0));
	}
	c.verdict[0] = MT_L4_FAILED;
	(void)until(0, true);
	for (uint16_t i = 0; i < FLOWS; i++) {
		struct cn was = n[i];
		bool leaves = was.seen.dst.b[15] == 21 && i % 3 == 2;

		n[i].seq[0]--;
		CU_ASSERT_PTR_NOT_NULL(cn_client(&c.s, &n[i], SYN, 0));
		CU_ASSERT_EQUAL(mt_addr_eq(&was.seen.dst, &n[i].seen.dst), !leaves);
		CU_ASSERT_NOT_EQUAL(leaves && n[i].seen.dst.b[15] == 21, true);
		left += leaves;
	}
	CU_ASSERT(left > 3);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), left);
	ck_close(&c);
}

/* A packet that waits for its neighbour makes no flow yet, so it is counted once only. */
static void counted_with_its_flow(void)
{
	int to[FLOWS];
	uint64_t moved, home = 0;

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	c.unhealthy[0] = 1;
	picks(1000, to);
	moved = sc_count(&c.s, MT_L4_flows_moved);
	CU_ASSERT(sc_count(&c.s, MT_L4_neighbour_wait) > 0);
	c.unhealthy[0] = 0;
	ck_pass(&c, 75 * MT_SEC);
	picks(1000, to);
	for (int i = 0; i < FLOWS; i++)
		home += to[i] == 21;
	CU_ASSERT(home > 0);
	CU_ASSERT_EQUAL(moved, home);
	ck_close(&c);
}

/* ---- the checks ---------------------------------------------------------------------------- */

/* An operator ends the ejection: the endpoint has all of its failures again. */
static void returned_by_an_operator(void)
{
	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	c.verdict[2] = MT_L4_FAILED;
	(void)until(2, true);
	c.unhealthy[2] = 0;
	CU_ASSERT(until(2, true) > 3900 * MT_MSEC);
	ck_close(&c);
}

/* By `none` an endpoint is not checked, and flows go to it whatever was found before. */
static void without_checks(void)
{
	const struct mt_l4_check_conf none = {0};
	uint32_t begun;
	int to[FLOWS];
	bool again = false;

	ck_open(&c, 1, &ck_tcp, &ck_lenient);
	c.verdict[0] = MT_L4_FAILED;
	(void)until(0, true);
	ck_configure(&c, &none, &none);
	begun = c.begun[0];
	ck_pass(&c, 10 * MT_SEC);
	CU_ASSERT_EQUAL(c.begun[0], begun);
	CU_ASSERT_EQUAL(mt_l4_next(c.s.l[0]), MT_NEVER);
	picks(2000, to);
	for (int i = 0; i < FLOWS; i++)
		again |= to[i] == 21;
	CU_ASSERT(again);
	/* Checked again, by another interval. */
	ck_configure(&c, &(struct mt_l4_check_conf){MT_L4_CHECK_TCP, false, 1, 500}, &none);
	ck_pass(&c, 10 * MT_SEC);
	CU_ASSERT(c.begun[0] - begun >= 18 && c.begun[0] - begun <= 21);
	ck_close(&c);
}

/*
 * Failures, and a check that waits for its result, do not count when the endpoint leaves the
 * configuration and returns; that it is unhealthy does.
 */
static void returns_after_an_absence(const struct mt_l4_check_conf *udp)
{
	const struct mt_l4_check_conf none = {0};
	uint32_t begun, token;

	ck_open(&c, 1, &ck_tcp, udp);
	ck_pass(&c, 3 * MT_SEC);
	c.verdict[0] = MT_L4_FAILED;
	for (begun = c.begun[0]; c.begun[0] < begun + 2;)
		sc_turn(&c.s, 25 * MT_MSEC);
	c.verdict[0] = 0;
	for (begun = c.begun[0]; c.begun[0] == begun;)
		sc_turn(&c.s, 25 * MT_MSEC);
	token = c.token[0];
	ck_configure(&c, &none, udp);
	ck_pass(&c, 500 * MT_MSEC);
	mt_l4_checked(c.s.l[0], 0, token, MT_L4_FAILED, "late");
	ck_pass(&c, 500 * MT_MSEC);
	ck_configure(&c, &ck_tcp, udp);
	c.verdict[0] = MT_L4_FAILED;
	for (begun = c.begun[0]; c.begun[0] < begun + 2;)
		sc_turn(&c.s, 25 * MT_MSEC);
	CU_ASSERT_EQUAL(c.unhealthy[0], 0);
	(void)until(0, true);
	CU_ASSERT_EQUAL(c.begun[0], begun + 3);
	ck_configure(&c, &none, udp);
	ck_pass(&c, MT_SEC);
	ck_configure(&c, &ck_tcp, udp);
	c.verdict[0] = MT_L4_PASSED;
	CU_ASSERT(until(0, false) > MT_SEC);
	CU_ASSERT_EQUAL(c.changes[0], 2);
	ck_close(&c);
}

static void absent(void)
{
	/* Others are checked meanwhile, or none. */
	returns_after_an_absence(&ck_tcp);
	returns_after_an_absence(&(struct mt_l4_check_conf){0});
}

/* Each endpoint is checked by one of three workers, at its interval. */
static void by_one_worker(void)
{
	ck_open(&c, 3, &ck_tcp, &ck_lenient);
	ck_pass(&c, 20 * MT_SEC);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT(c.begun[i] >= 9 && c.begun[i] <= 10);
	c.verdict[1] = MT_L4_FAILED;
	CU_ASSERT(until(1, true) <= 8 * MT_SEC);
	for (uint16_t i = 0; i < FLOWS; i++)
		CU_ASSERT(ck_tcp_to(&c, (uint16_t)(3000 + i)) != 22);
	ck_close(&c);
}

const struct mt_test health_tests[] = {{"fails_and_returns", fails_and_returns},
	{"in_a_row", in_a_row}, {"all_unhealthy", all_unhealthy},
	{"datagrams_leave", datagrams_leave}, {"answered_with_the_mark", answered_with_the_mark},
	{"answered_once_more", answered_once_more}, {"answers_go_on", answers_go_on},
	{"datagrams_stay", datagrams_stay}, {"connections_stay", connections_stay},
	{"counted_with_its_flow", counted_with_its_flow}, {"worthless_results", worthless_results},
	{"returned_by_an_operator", returned_by_an_operator}, {"without_checks", without_checks},
	{"absent", absent}, {"by_one_worker", by_one_worker}, {0}};
