/* SPDX-License-Identifier: Apache-2.0 */
/* A process that is about to end leaves SYNs to the next one. */
#include "world.h"

/* A SYN and its repetition get no answer; a handshake under way comes to its end. */
static void syns_ignored(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .ack = 1, .mss = 1440);
	mt_tcp_ignore_syns(w.t);
	w.rport = 4001;
	rx(.flags = S, .mss = 1460);
	rx(.flags = S, .mss = 1460);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_syns_ignored), 2);
	CU_ASSERT_EQUAL(counter(MT_TCP_no_connection), 0);
	w.rport = 4000;
	rx(.flags = A, .seq = 1, .ack = 1);
	events("accept ");
	rx(.flags = R, .seq = 1);
	down();
}

/* Anything else without a connection is still reset, so that its sender learns at once that it is gone. */
static void others_are_reset(void)
{
	up(NULL);
	mt_tcp_ignore_syns(w.t);
	rx(.flags = FA, .seq = 1, .ack = 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_syns_ignored), 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_no_connection), 1);
	skip_all();
	down();
}

const struct mt_test ignore_tests[] = {
	{"SYNs ignored", syns_ignored},
	{"others are reset", others_are_reset},
	{0},
};
