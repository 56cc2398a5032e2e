/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations that the simulator found, as literal segments. */
#include "world.h"

/* A repeated segment that acknowledges new data moves the window's left edge, not its right one. */
static void repeat_that_acknowledges(void)
{
	up(NULL);
	accepted();
	rx(.flags = PA, .seq = 1, .ack = 1, .wnd = 2000, .len = 100);
	rx(.flags = A, .seq = 101, .ack = 1, .wnd = 2000);
	read_all();
	pass(100);
	skip_all();
	send_bytes(4000);
	tx(.flags = A, .seq = 1, .ack = 101, .len = 1440);
	none();
	rx(.flags = PA, .seq = 1, .ack = 1441, .wnd = 560, .len = 100);
	tx(.flags = A, .seq = 1441, .ack = 101);
	none();
	down();
}

/* The segment that carries the cookie is late: the data before it must not reset the connection. */
static void data_overtakes_cookie(void)
{
	const struct mt_tcp_conf conf = {.cookies_always = true};

	up(&conf);
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 50);
	none();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	events("accept readable:100 ");
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 50);
	events("readable:50 ");
	CU_ASSERT_EQUAL(counter(MT_TCP_cookies_bad), 1);
	down();
}

const struct mt_test found_tests[] = {
	{"repeat_that_acknowledges", repeat_that_acknowledges},
	{"data_overtakes_cookie", data_overtakes_cookie},
	{0},
};
