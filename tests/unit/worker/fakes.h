/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rooms below a worker, faked at the link line: each call is written down, so that a test sees the
 * order of a turn and who got which packet.
 */
#pragma once

#include "mt_worker_image.h"
#include "mt_worker_priv.h"

struct fake {
	char calls[4096]; /* names of the calls, each with a blank behind */
	uint32_t net_input, tcp_input, handed_input;
	uint64_t tcp_next, proxy_next, net_next, l4_next;
	uint32_t l4_input;
	uint16_t coalesce;
	uint32_t sampling_ms;
	uint32_t timers;	/* that mt_tcp_timers() claims to have fired */
	uint32_t pressure_told; /* percent */
	struct mt_snapshot *adopted;
	uint32_t conns; /* that mt_tcp_reset_all() finds */
	/* datagrams */
	mt_net_udp_fn udp;
	void *udp_arg;
	struct mt_pools *pools; /* of answers; NULL: there are no buffers */
	uint16_t udp_room;	/* 0: all */
	uint32_t udp_sent;
	struct mt_net_from udp_to; /* of the last one */
	uint16_t udp_len;
	uint8_t udp_bytes[MT_NET_UDP_MAX];
	/* connections */
	struct mt_tuple tuple;
	const struct mt_listen_ops *listen;
	void *listen_arg;
	int proxy_listener; /* what lib/proxy answers for every address */
	uint32_t proxy_accepted;
	uint32_t proxy_asks; /* questions for clusters that were ever put */
};

#define FAKE_FORWARDED 90 /* length of packets that mt_net_input() leaves to lib/l4 */

/* [worker] */
extern struct fake fakes[2];
void fakes_reset(void);
