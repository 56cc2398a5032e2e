/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <poll.h>

struct mt_ctl *test_ctl(const struct mt_ctl_env *env)
{
	const struct mt_ctl_env none = {.node = "edge-1"};
	struct mt_err e = {""};
	struct mt_ctl *c = mt_ctl_create(env ? env : &none, MT_SEC, &e);

	if (!c)
		printf("\n  %s\n", e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

char *test_run(struct mt_ctl *c, const char *line, int *code)
{
	struct mt_text_buf out = {0};

	*code = mt_ctl_command(c, NULL, line, strlen(line), &out);
	return out.p;
}

bool test_wait(struct mt_ctl *c, int fd)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = mt_ctl_fd(c), .events = POLLIN}};

	for (int i = 0; i < 200; i++) {
		if (poll(p, 2, 10) > 0 && p[0].revents)
			return true;
		mt_ctl_turn(c, MT_SEC);
	}
	return false;
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"close", close_tests}, {"command", command_tests},
		{"counters", counters_tests}, {"health", health_tests},
		{"health of objects", health_objects_tests}, {"events", events_tests},
		{"explain", explain_tests}, {"forwarding", forwarding_tests},
		{"guests", guests_tests}, {"history", history_tests}, {"identity", identity_tests},
		{"istio", istio_tests}, {"istio_tags", istio_tags_tests}, {"load", load_tests},
		{"mesh", mesh_tests}, {"pace", pace_tests}, {"socket", socket_tests},
		{"telemetry", telemetry_tests}, {"door", door_tests}, {"view", view_tests},
		{"http", http_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
