/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "../../../lib/ctl/mt_ctl_priv.h"
#include "mt_test.h"
#include "mt_ctl_waiting_priv.h"

extern const struct mt_test close_tests[], command_tests[], counters_tests[], door_tests[],
	health_tests[], health_objects_tests[], http_tests[], mesh_tests[], socket_tests[],
	view_tests[];

extern const struct mt_test events_tests[], explain_tests[], forwarding_tests[], guests_tests[],
	history_tests[], identity_tests[], istio_tags_tests[], istio_tests[], load_tests[],
	pace_tests[], telemetry_tests[];

/* A ctl of a node without ports, workers and configuration, over `env` (may be NULL). */
struct mt_ctl *test_ctl(const struct mt_ctl_env *env);

/* The text of one command and its exit code; the caller frees it. */
char *test_run(struct mt_ctl *c, const char *line, int *code);

/*
 * What waits at endpoints, by mt_ep_state.index (the last entry: at all others), in place of what
 * workers report; NULL: that.
 */
#define MADE_UP 30
extern const struct mt_ctl_waiting *made_up_waiting;

/* Connections of a made-up worker (close_test.c), which has no proxy; 0: workers are real. */
extern uint32_t made_up_connections;

/* Turns the ctl until `fd` is readable (or 2 s have passed: false). */
bool test_wait(struct mt_ctl *c, int fd);
