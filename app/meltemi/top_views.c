/* SPDX-License-Identifier: Apache-2.0 */
#include "top.h"

#include <stdio.h>
#include <string.h>

static void connections_of(const char *addr, const char *port, char *line, size_t size)
{
	snprintf(line, size, "show connections (src=%s sport=%s) or (dst=%s dport=%s) top bytes",
		addr, port, addr, port);
}

static void exchanges_of(const char *addr, const char *port, char *line, size_t size)
{
	const char *open = strchr(addr, ':') ? "[" : "", *close = *open ? "]" : "";

	snprintf(line, size, "show exchanges (src=%s sport=%s) or endpoint=%s%s%s:%s", addr, port,
		open, addr, close, port);
}

const struct top_view top_views[] = {
	{'s', "services", "show services", "services", {"service", "listener"},
		{{"service", "SERVICE", TOP_TEXT, 30}, {"requests", "REQ/S", TOP_RATE, 8},
			{"local_replies", "LOCAL/S", TOP_RATE, 8},
			{"limited", "LIMITED/S", TOP_RATE, 9},
			{"timeouts", "TIMEOUT/S", TOP_RATE, 9},
			{"mean_us", "MEAN us", TOP_NUMBER, 8}, {"p50_us", "P50 us", TOP_NUMBER, 8},
			{"p99_us", "P99 us", TOP_NUMBER, 8}, {"bytes_in", "IN B/S", TOP_RATE, 9},
			{"bytes_out", "OUT B/S", TOP_RATE, 9}},
		.sort = 1, .below = 1, .narrows = "service"},
	{'r', "routes", "show routes", "routes", {"service", "place", "route"},
		{{"service", "SERVICE", TOP_TEXT, 22}, {"place", "PLACE", TOP_NUMBER, 5},
			{"hits", "HITS/S", TOP_RATE, 8}, {"match", "MATCH", TOP_TEXT, 22},
			{"destinations", "DESTINATIONS", TOP_TEXT, 40}},
		.sort = 2, .below = 2, .narrows = "destinations", .by = {"service"}},
	{'e', "endpoints", "show endpoints", "endpoints", {"cluster", "endpoint"},
		{{"cluster", "CLUSTER", TOP_TEXT, 26}, {"endpoint", "ENDPOINT", TOP_TEXT, 22},
			{"health", "HEALTH", TOP_TEXT, 10}, {"requests", "REQ/S", TOP_RATE, 8},
			{"failures", "FAIL/S", TOP_RATE, 7}, {"outstanding", "OUT", TOP_NUMBER, 5},
			{"connections", "CONNS", TOP_NUMBER, 6},
			{"ejections", "EJECTIONS", TOP_NUMBER, 9}},
		.sort = 3, .below = 3, .narrows = "endpoint", .by = {"cluster"}},
	{'c', "connections", "show connections", "connections", {"worker", "local", "remote"},
		{{"side", "SIDE", TOP_TEXT, 6}, {"remote", "REMOTE", TOP_TEXT, 21},
			{"state", "STATE", TOP_TEXT, 11}, {"bytes_in", "IN B/S", TOP_RATE, 8},
			{"bytes_out", "OUT B/S", TOP_RATE, 8}, {"srtt_us", "RTT us", TOP_NUMBER, 7},
			{"retransmits", "RETR", TOP_NUMBER, 5}, {"local", "LOCAL", TOP_TEXT, 21},
			{"calls", "CALLS", TOP_NUMBER, 5}, {"of", "OF", TOP_TEXT, 40}},
		.sort = 3, .below = 4, .narrows = "remote", .by = {"remote", "local"},
		.narrowed = connections_of},
	{'x', "exchanges", "show exchanges", "exchanges", {"exchange"},
		{{"service", "SERVICE", TOP_TEXT, 20}, {"method", "METHOD", TOP_TEXT, 12},
			{"state", "STATE", TOP_TEXT, 8}, {"age_us", "AGE us", TOP_NUMBER, 8},
			{"endpoint", "ENDPOINT", TOP_TEXT, 21}, {"client", "CLIENT", TOP_TEXT, 21},
			{"queue_us", "HERE us", TOP_NUMBER, 8},
			{"connect_us", "CONN us", TOP_NUMBER, 8},
			{"server_us", "SERVER us", TOP_NUMBER, 9}},
		.sort = 3, .below = 5, .narrows = "endpoint", .by = {"endpoint", "client"},
		.narrowed = exchanges_of},
	{'l', "slow calls", "show slow", "slow", {"exchange"},
		{{"service", "SERVICE", TOP_TEXT, 20}, {"method", "METHOD", TOP_TEXT, 12},
			{"status", "STATUS", TOP_TEXT, 8}, {"took_us", "TOOK us", TOP_NUMBER, 8},
			{"endpoint", "ENDPOINT", TOP_TEXT, 21}, {"client", "CLIENT", TOP_TEXT, 21},
			{"queue_us", "HERE us", TOP_NUMBER, 8},
			{"connect_us", "CONN us", TOP_NUMBER, 8},
			{"server_us", "SERVER us", TOP_NUMBER, 9}},
		.sort = 3, .below = -1, .by = {"endpoint"}},
	{'w', "workers", "show workers", "workers", {"worker"},
		{{"worker", "WORKER", TOP_NUMBER, 6}, {"core", "CORE", TOP_NUMBER, 5},
			{"work_ms", "BUSY ms/S", TOP_RATE, 9}, {"loops", "LOOPS/S", TOP_RATE, 10},
			{"busy_loops", "BUSY/S", TOP_RATE, 9},
			{"connections", "CONNS", TOP_NUMBER, 7},
			{"half_open", "HALF", TOP_NUMBER, 6},
			{"time_wait", "TIMEWAIT", TOP_NUMBER, 8}},
		.sort = 2, .below = -1},
};

const int top_n_views = (int)MT_ARRAY_LEN(top_views);
