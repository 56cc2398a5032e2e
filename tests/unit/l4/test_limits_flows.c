/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, and what limits leave alone: flows that exist, replies, changes of the set. */
#include "allocations.h"
#include "checked.h"
#include "limited.h"
#include "mt_l4_priv.h"
#include "test_l4.h"

#include <stdio.h>

static const struct li_service *const nat = &li_services[MT_L4_NAT];

/* Connections of all workers together, of UDP and of TCP. */
static void connections(uint16_t workers, bool tcp)
{
	uint32_t service = tcp ? nat->tcp_id : nat->id, n = 0;
	char client[MT_ADDR_STRLEN];

	li_open(workers, 2000);
	sc_turn(&li, 60 * MT_SEC); /* flows of the neighbours end */
	for (uint32_t i = 0; i < 20000; i++)
		sc_turn(&li, MT_MSEC);
	li_limit(service, MT_L4_SERVICE_CONNECTIONS, 100);
	for (uint32_t i = 0; i < 300; i++)
		n += tcp ? li_syn(nat, li_client(i, client), 2000)
			 : li_datagram(nat, li_client(i, client), 2000, 10);
	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(li_refused(service, MT_L4_SERVICE_CONNECTIONS), 200);
	CU_ASSERT_EQUAL(sc_count(&li, MT_L4_limit_service_connections), 200);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, service), 100);
	/* Those that are there go on, and places come back when they end. */
	CU_ASSERT(tcp ? li_syn(nat, li_client(0, client), 2000)
		      : li_datagram(nat, li_client(0, client), 2000, 10));
	for (uint32_t i = 0; i < 90000; i++)
		sc_turn(&li, MT_MSEC);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, service), 0);
	CU_ASSERT(tcp ? li_syn(nat, li_client(299, client), 2000)
		      : li_datagram(nat, li_client(299, client), 2000, 10));
	li_close();
}

static void connections_of_one(void)
{
	connections(1, false);
	connections(1, true);
}

static void connections_of_three(void)
{
	connections(3, false);
	connections(3, true);
}

/* A closed connection gives its place back at once, and a SYN on its ports needs one. */
static void closed(void)
{
	struct cn c[3];

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 2);
	for (uint32_t i = 0; i < 3; i++)
		c[i] = cn_new("10.1.0.7", (uint16_t)(3000 + i), false);
	CU_ASSERT(cn_open(&li, &c[0]) && cn_open(&li, &c[1]));
	CU_ASSERT(!cn_open(&li, &c[2]));
	(void)cn_client(&li, &c[0], FIN | ACK, 0);
	(void)cn_server(&li, &c[0], FIN | ACK, 0);
	(void)cn_client(&li, &c[0], ACK, 0);
	CU_ASSERT_EQUAL(cn_state(&li, &c[0]), MT_L4_TIME_WAIT);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, SC_NAT_TCP), 1);
	c[2] = cn_new("10.1.0.7", 3002, false);
	CU_ASSERT(cn_open(&li, &c[2]));
	/* An old sequence number: the flow of the closed connection stays. */
	c[0].seq[0] -= 1000;
	CU_ASSERT_PTR_NULL(cn_client(&li, &c[0], SYN, 0));
	CU_ASSERT_EQUAL(li_refused(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS), 2);
	li_close();
}

/* A server's reset gives the place back; a flow that goes on takes one again. */
static void reset(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false);

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	(void)cn_server(&li, &c, RST, 0);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, SC_NAT_TCP), 0);
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, SC_NAT_TCP), 1);
	(void)cn_client(&li, &c, FIN | ACK, 0);
	(void)cn_server(&li, &c, ACK, 0);
	(void)cn_server(&li, &c, RST, 0);
	CU_ASSERT(li_syn(nat, "10.1.0.8", 3000));
	/* A SYN on the ports of a reset connection begins one. */
	CU_ASSERT(!li_syn(nat, "10.1.0.7", 3000));
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, SC_NAT_TCP), 1);
	li_close();
}

static uint32_t counted(void)
{
	return mt_l4_limiter_connections(li.limiter, SC_NAT_TCP);
}

/* Gives the client's reset, of which byte `at` of the frame is `value`. */
static void send_reset(struct cn *c, uint16_t at, uint8_t value)
{
	struct fx_pkt p = {0};

	cn_next(c, false, RST, 0, &p);
	if (at)
		p.b[at] = value;
	sc_receive(&li, 0, fx_mbuf(&li.f, p.b, p.len, 0));
}

/*
 * A reset that is right but for its hops: with few left it may not reach the server, so its client
 * may use the connection on, and the flow stays. With more it ends soon.
 */
static void reset_of_hops(uint8_t ttl, bool reaches)
{
	struct cn c = cn_new("10.1.0.7", 3000, false);
	struct fx_pkt p = {0};

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	cn_next(&c, false, RST, 0, &p);
	p.b[14 + 8] = ttl;
	fx_resum(&p, 14);
	sc_receive(&li, 0, fx_mbuf(&li.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 1);
	for (uint32_t k = 0; k < 22; k++)
		sc_turn(&li, MT_SEC);
	CU_ASSERT_EQUAL(cn_state(&li, &c), reaches ? MT_L4_STATELESS : MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 0);
	li_close();
}

static void reset_of_few_hops(void)
{
	reset_of_hops(8, false);
	reset_of_hops(9, true);
}

/* A reset that the server does not accept frees no place: its client may use the connection on. */
static void wrong_reset(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false), wrong;
	struct fx_pkt p = {0};

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	/* With a wrong checksum, then with another number. */
	wrong = c;
	cn_next(&wrong, false, RST, 0, &p);
	send_reset(&wrong, (uint16_t)(p.len - 1), (uint8_t)(p.b[p.len - 1] ^ 1));
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 1);
	wrong.seq[0] += 1u << 30;
	send_reset(&wrong, 0, 0);
	CU_ASSERT_EQUAL(counted(), 1);
	/* With the number after the handshake, after data. */
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, ACK, 10));
	wrong = c;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
	send_reset(&wrong, 0, 0);
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 1);
	CU_ASSERT(!li_syn(nat, "10.1.0.8", 3000));
	/* The client sends on, without an answer so far. */
	for (uint32_t i = 0; i < 10; i++) {
		for (uint32_t k = 0; k < 9; k++)
			sc_turn(&li, MT_SEC);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
		CU_ASSERT_EQUAL(counted(), 1);
	}
	/* A silent one gives its place, and takes it again when it goes on. */
	for (uint32_t k = 0; k < 22; k++)
		sc_turn(&li, MT_SEC);
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 0);
	li_warm();
	send_reset(&wrong, 0, 0);
	CU_ASSERT_EQUAL(counted(), 0);
	CU_ASSERT(li_syn(nat, "10.1.0.8", 3000));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, ACK, 10));
	CU_ASSERT_EQUAL(counted(), 2);
	li_close();
}

/*
 * A server that restarts resets with a number that is not known here once it has sent data. The
 * place is free soon, but not while the client shows that the reset was forged.
 */
static void server_reset_after_data(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false);

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, ACK, 10));
	for (uint32_t i = 0; i < 5; i++) {
		CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, RST, 0));
		CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
		for (uint32_t k = 0; k < 9; k++)
			sc_turn(&li, MT_SEC);
		CU_ASSERT_EQUAL(counted(), 1);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
		CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_ESTABLISHED);
	}
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, RST, 0));
	CU_ASSERT(!li_syn(nat, "10.1.0.8", 3000));
	for (uint32_t k = 0; k < 22; k++)
		sc_turn(&li, MT_SEC);
	CU_ASSERT_EQUAL(counted(), 0);
	li_warm();
	CU_ASSERT(li_syn(nat, "10.1.0.8", 3000));
	li_close();
}

/*
 * Before the handshake is complete a server ignores a reset with a wrong acknowledgement, and the
 * client may go on. One that does not gives its place when the flow ends.
 */
static void half_open_reset(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false), wrong;

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_client(&li, &c, SYN, 0) && cn_server(&li, &c, SYN | ACK, 0));
	wrong = c;
	wrong.seq[1] += 1000;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &wrong, RST | ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 1);
	CU_ASSERT(!li_syn(nat, "10.1.0.8", 3000));
	/* The client's acknowledgements come every 5 s, and the server says nothing. */
	for (uint32_t k = 0; k < 40; k++) {
		if (k % 5 == 0)
			CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
		sc_turn(&li, MT_SEC);
		CU_ASSERT_EQUAL(counted(), 1);
	}
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, ACK, 10));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_ESTABLISHED);
	CU_ASSERT_EQUAL(counted(), 1);
	li_close();
}

/* A client's reset with the right number gives the place when the flow ends, 10 s later. */
static void client_reset(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false);

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, RST, 0));
	CU_ASSERT_EQUAL(counted(), 1);
	for (uint32_t k = 0; k < 22; k++)
		sc_turn(&li, MT_SEC);
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_STATELESS);
	CU_ASSERT_EQUAL(counted(), 0);
	li_close();
}

/* Data with the acknowledgement of the SYN-ACK: the server expects another number afterwards. */
static void reset_after_early_data(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false), wrong;

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_client(&li, &c, SYN, 0) && cn_server(&li, &c, SYN | ACK, 0));
	wrong = c;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 10));
	send_reset(&wrong, 0, 0);
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	CU_ASSERT_EQUAL(counted(), 1);
	li_close();
}

/* A FIN with an old number, after the server's: the client may send on. */
static void wrong_fin(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false), wrong;

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	wrong = c;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 500));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, FIN | ACK, 0));
	wrong.seq[1] = c.seq[1];
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &wrong, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_TIME_WAIT);
	CU_ASSERT_EQUAL(counted(), 1);
	for (uint32_t k = 0; k < 75; k++)
		sc_turn(&li, MT_SEC);
	CU_ASSERT_EQUAL(counted(), 0);
	li_close();
}

/*
 * A FIN with the number of the last byte, which the server has already: its acknowledgement of that
 * byte looks like that of the FIN. The client sends on, whole segments or fragments (`part`).
 */
static void sends_on_after_fin(bool part)
{
	struct cn c = cn_new("10.1.0.7", 3000, false), wrong;
	struct fx_pkt whole = {0}, p = {0};

	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 1);
	CU_ASSERT(cn_open(&li, &c));
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 500));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, FIN | ACK, 0));
	wrong = c;
	wrong.seq[0]--;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &wrong, FIN | ACK, 0));
	CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, ACK, 0));
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_TIME_WAIT);
	CU_ASSERT_EQUAL(counted(), 0);
	if (part) {
		c.stamp = 1; /* a header of 32 bytes: the first fragment has no data */
		cn_next(&c, false, ACK, 500, &whole);
		sc_fragment(&whole, &(struct sc_part){.len = 32, .more = true, .id = 7}, &p);
		sc_receive(&li, 0, fx_mbuf(&li.f, p.b, p.len, 0));
	} else {
		CU_ASSERT_PTR_NOT_NULL(cn_client(&li, &c, ACK, 1));
	}
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_HALF_CLOSED);
	CU_ASSERT_EQUAL(counted(), 1);
	CU_ASSERT(!li_syn(nat, "10.1.0.8", 3000));
	li_close();
}

static void data_after_fin(void)
{
	sends_on_after_fin(false);
	sends_on_after_fin(true);
}

/* Flows from before the limit are counted, and none of them ends. */
static void adopted(void)
{
	char client[MT_ADDR_STRLEN];
	uint32_t flows;

	li_open(3, 2000);
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT(li_syn(nat, li_client(i, client), 3000));
	flows = sc_flows(&li);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 20);
	for (uint32_t i = 0; i < 2000; i++)
		sc_turn(&li, MT_MSEC);
	CU_ASSERT_EQUAL(sc_flows(&li), flows);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(li.limiter, SC_NAT_TCP), 50);
	CU_ASSERT(!li_syn(nat, li_client(60, client), 3000));
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 51);
	CU_ASSERT(li_syn(nat, li_client(60, client), 3000));
	CU_ASSERT(!li_syn(nat, li_client(61, client), 3000));
	li_close();
}

/* The places that a connection has if a limit comes after a reset. */
static uint32_t adopted_after(bool server, bool wrong)
{
	struct cn c = cn_new("10.1.0.7", 3000, false);
	uint32_t n;

	li_open(1, 2000);
	CU_ASSERT(cn_open(&li, &c));
	if (wrong)
		c.seq[0] += 1u << 30;
	if (server) {
		CU_ASSERT_PTR_NOT_NULL(cn_server(&li, &c, RST, 0));
	} else {
		send_reset(&c, 0, 0);
	}
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	li_limit(SC_NAT_TCP, MT_L4_SERVICE_CONNECTIONS, 5);
	for (uint32_t i = 0; i < 2000; i++)
		sc_turn(&li, MT_MSEC);
	CU_ASSERT_EQUAL(cn_state(&li, &c), MT_L4_RESET);
	n = counted();
	li_close();
	return n;
}

/* A new limit counts what a former one would: not a connection that is over at its server. */
static void adopted_reset(void)
{
	CU_ASSERT_EQUAL(adopted_after(true, false), 0);
	CU_ASSERT_EQUAL(adopted_after(false, false), 1);
	CU_ASSERT_EQUAL(adopted_after(false, true), 1);
}

/* newConnections never drops a packet of a flow, however many begin. */
static void established(void)
{
	struct cn c = cn_new("10.1.0.7", 3000, false);
	uint32_t lost = 0;

	li_open(1, 2000);
	li.limits[SC_NAT_TCP].max[MT_L4_SOURCE_NEW_CONNECTIONS] = 5;
	li.limits[SC_NAT_TCP].max[MT_L4_SERVICE_NEW_CONNECTIONS] = 9;
	sc_swap(&li);
	CU_ASSERT(cn_open(&li, &c));
	for (uint32_t i = 0; i < 200; i++) {
		(void)li_syn(nat, "10.1.0.7", (uint16_t)(4000 + i));
		lost += cn_client(&li, &c, ACK, 100) == NULL;
		lost += cn_server(&li, &c, ACK, 100) == NULL;
	}
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT(li_refused(SC_NAT_TCP, MT_L4_SOURCE_NEW_CONNECTIONS) >= 190);
	li_close();
}

/* A SYN that was dropped passes when the client repeats it after a second. */
static void repeated_syn(void)
{
	li_open(1, 2000);
	li_limit(SC_NAT_TCP, MT_L4_SOURCE_NEW_CONNECTIONS, 1);
	CU_ASSERT(li_syn(nat, "10.1.0.7", 3000));
	CU_ASSERT(!li_syn(nat, "10.1.0.7", 3001));
	CU_ASSERT(li_syn(nat, "10.1.0.7", 3000)); /* of the same flow: no new connection */
	sc_turn(&li, MT_SEC);
	CU_ASSERT(li_syn(nat, "10.1.0.7", 3001));
	li_close();
}

/* A connection that began at another node (one-way modes) is not a new one. */
static void rest_of_connection(void)
{
	const struct li_service *v = &li_services[MT_L4_DSR];
	struct cn_segment g = {.src = "10.1.0.7",
		.dst = v->vip,
		.sport = 3000,
		.dport = v->tcp_port,
		.seq = 1000,
		.flags = ACK,
		.data = 10};

	li_open(1, 2000);
	li_limit(v->tcp_id, MT_L4_SOURCE_NEW_CONNECTIONS, 1);
	CU_ASSERT(li_syn(v, "10.1.0.7", 2999));
	for (uint32_t i = 0; i < 20; i++) {
		g.sport++;
		CU_ASSERT_PTR_NOT_NULL(cn_pass(&li, &g));
	}
	CU_ASSERT(!li_syn(v, "10.1.0.7", 2998));
	li_close();
}

/* Another set with the same limits leaves buckets as they are, and so do other numbers. */
static void swap(void)
{
	uint32_t n = 0;

	li_open(3, 2000);
	li.limits[SC_NAT].max[MT_L4_SOURCE_PACKETS] = 60;
	li.limits[SC_NAT].max[MT_L4_SERVICE_PACKETS] = 90;
	sc_swap(&li);
	for (uint32_t i = 0; i < 400; i++)
		n += li_datagram(
			nat, i % 2 ? "10.1.0.7" : "10.1.0.8", (uint16_t)(2000 + i % 60), 10);
	CU_ASSERT(n >= 85 && n <= 90);
	for (uint32_t k = 0; k < 50; k++) {
		sc_swap(&li);
		n += li_datagram(nat, "10.1.0.7", (uint16_t)(2000 + k), 10);
	}
	CU_ASSERT(n <= 90);
	/* Twice the rate: buckets are as empty as before, and fill twice as fast. */
	li.limits[SC_NAT].max[MT_L4_SERVICE_PACKETS] = 180;
	sc_swap(&li);
	CU_ASSERT(!li_datagram(nat, "10.1.0.9", 2000, 10));
	n = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		n += li_datagram(
			nat, li_client(i, (char[MT_ADDR_STRLEN]){0}), (uint16_t)(2000 + i), 10);
		sc_turn(&li, MT_MSEC);
	}
	CU_ASSERT(n >= 175 && n <= 185);
	/* Without limits all pass. */
	li_limit(SC_NAT, MT_L4_SERVICE_PACKETS, 0);
	for (uint32_t i = 0; i < 400; i++)
		CU_ASSERT(li_datagram(nat, "10.1.0.7", 2000, 10));
	li_close();
}

/* A packet that waits for a neighbour is charged once, when it comes. */
static void parked(void)
{
	for (uint32_t m = 0; m < LI_SERVICES; m++) {
		const struct li_service *v = &li_services[m];
		struct sc_udp u = {.src = "10.1.0.7",
			.dst = v->vip,
			.sport = 2000,
			.dport = v->port,
			.data = 10};

		memset(li.limits, 0, sizeof(li.limits));
		li.limits[v->id].max[MT_L4_SOURCE_NEW_CONNECTIONS] = 1;
		li.limits[v->id].max[MT_L4_SERVICE_PACKETS] = 1;
		sc_open(&li, 1, 1000);
		(void)sc_pass(&li, &u);
		CU_ASSERT_EQUAL(sc_count(&li, MT_L4_forwarded), 1);
		CU_ASSERT(sc_count(&li, MT_L4_neighbour_wait) > 0);
		(void)sc_pass(&li, &u);
		CU_ASSERT_EQUAL(sc_count(&li, MT_L4_forwarded), 1);
		li_close();
	}
}

/* Neither packets nor connections within and beyond limits allocate memory. */
static void no_allocation(void)
{
	uint64_t before;
	char client[MT_ADDR_STRLEN];

	li_open(1, 2000);
	for (uint32_t i = 0; i < MT_L4_LIMITS; i++)
		li.limits[SC_NAT].max[i] = i % L4_KINDS == MT_L4_SOURCE_BYTES ? 20000 : 50;
	sc_swap(&li);
	before = allocations();
	CU_ASSERT(before > 0);
	for (uint32_t i = 0; i < 3000; i++) {
		(void)li_datagram(nat, li_client(i % 70, client), (uint16_t)(2000 + i % 9), 100);
		sc_turn(&li, MT_MSEC);
	}
	CU_ASSERT_EQUAL(allocations(), before);
	li_close();
}

#define MOVING 20

static int sends(struct ck *c, bool tcp, uint16_t cport)
{
	return tcp ? ck_tcp_to(c, cport) : ck_udp_to(c, cport);
}

static void limit_moving(struct ck *c, bool tcp, uint32_t connections)
{
	uint32_t *max = c->s.limits[tcp ? SC_NAT_TCP : SC_NAT].max;

	max[MT_L4_SERVICE_NEW_CONNECTIONS] = 2;
	max[MT_L4_SERVICE_CONNECTIONS] = connections;
	ck_configure(c, &ck_tcp, &ck_tcp);
}

/* Flows that leave an unhealthy endpoint begin no connection, and keep their places. */
static void leaving(bool tcp)
{
	static struct ck c;
	uint32_t service = tcp ? SC_NAT_TCP : SC_NAT, moved = 0;
	int before[MOVING];

	ck_open(&c, 1, &ck_tcp, &ck_tcp);
	limit_moving(&c, tcp, MOVING);
	for (uint16_t i = 0; i < MOVING; i++) {
		ck_pass(&c, 600 * MT_MSEC);
		before[i] = sends(&c, tcp, (uint16_t)(1000 + i));
		CU_ASSERT(before[i] > 0);
	}
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(c.s.limiter, service), MOVING);
	limit_moving(&c, tcp, MOVING / 4);
	c.verdict[tcp ? CK_TCP : CK_UDP] = MT_L4_FAILED;
	ck_pass(&c, 9 * MT_SEC);
	for (uint16_t i = 0; i < MOVING; i++) {
		int to = sends(&c, tcp, (uint16_t)(1000 + i));

		CU_ASSERT(before[i] == 21 ? to == 22 || to == 23 : to == before[i]);
		moved += before[i] == 21;
	}
	CU_ASSERT(moved > 4);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_flows_left), moved);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(c.s.limiter, service), MOVING);
	CU_ASSERT_EQUAL(sends(&c, tcp, 2000), 0);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_limit_service_connections), 1);
	CU_ASSERT_EQUAL(sc_count(&c.s, MT_L4_limit_service_new_connections), 0);
	ck_pass(&c, 100 * MT_SEC);
	CU_ASSERT_EQUAL(mt_l4_limiter_connections(c.s.limiter, service), 0);
	ck_close(&c);
}

static void leaving_datagrams(void)
{
	leaving(false);
}

static void leaving_syns(void)
{
	leaving(true);
}

const struct mt_test limit_flow_tests[] = {{"connections, one worker", connections_of_one},
	{"connections, three workers", connections_of_three}, {"closed", closed}, {"reset", reset},
	{"reset of few hops", reset_of_few_hops}, {"wrong reset", wrong_reset},
	{"server's reset after data", server_reset_after_data},
	{"half-open reset", half_open_reset}, {"client's reset", client_reset},
	{"reset after early data", reset_after_early_data}, {"wrong FIN", wrong_fin},
	{"data after a FIN", data_after_fin}, {"adopted", adopted},
	{"adopted after a reset", adopted_reset}, {"established", established},
	{"repeated SYN", repeated_syn}, {"rest of a connection", rest_of_connection},
	{"swap", swap}, {"parked", parked}, {"no allocation", no_allocation},
	{"leaving datagrams", leaving_datagrams}, {"leaving SYNs", leaving_syns}, {0}};
