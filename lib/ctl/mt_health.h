/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/ctl: findings about the running node in words, each with a remedy. A check examines
 * one aspect of the node and reports its findings. `show health` runs all checks, and `meltemi
 * doctor` adds those of the host.
 */
#pragma once

#include "mt_ctl_priv.h"

enum mt_finding_state {
	MT_FOUND_OK,
	MT_FOUND_NOTE,	  /* worth knowing; nothing is wrong */
	MT_FOUND_WARNING, /* it works, but not as well as it could, or not for long */
	MT_FOUND_FAULT,	  /* traffic suffers */
};

/* The findings so far. */
struct mt_health {
	const struct mt_ctl *c;
	json_t *list;
	const char *check; /* the one that runs */
	/* Of the next finding: other counters that count the same; NULL: none. */
	const char *also;
	uint32_t n; /* its findings other than MT_FOUND_OK */
};

/* Adds a finding. `about`: name of the object, or ""; `remedy`: NULL if there is nothing to do. */
void mt_found(struct mt_health *h, enum mt_finding_state s, const char *about, const char *remedy,
	const char *fmt, ...) mt_printf(5, 6);

#define MT_FIRST_OF 64
/*
 * Words in front of a finding about the first of `n` things, in `words`: how many there are, and
 * the command that lists them; "" if there is one. They are in front because long names may cut off
 * the end. Without the number, an author of the first thing would hide those of others.
 */
const char *mt_first_of(
	char words[MT_FIRST_OF], uint32_t n, const char *things, const char *command);

typedef void mt_check_fn(struct mt_health *h);

mt_check_fn mt_check_access_log, mt_check_state, mt_check_state_directory, mt_check_configuration,
	mt_check_errors, mt_check_workers, mt_check_memory; /* health_node.c */
mt_check_fn mt_check_ports, mt_check_spread, mt_check_neighbours, mt_check_names; /* health_net.c */
/* health_traffic.c */
mt_check_fn mt_check_endpoints, mt_check_limits, mt_check_control_planes, mt_check_certificates;
mt_check_fn mt_check_answers; /* health_waiting.c */
/* health_identity.c */
mt_check_fn mt_check_jwks, mt_check_asks, mt_check_limit_services, mt_check_identity;
