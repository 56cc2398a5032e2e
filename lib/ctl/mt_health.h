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
	uint32_t n;	   /* its findings other than MT_FOUND_OK */
};

/* Adds a finding. `about`: name of the object, or ""; `remedy`: NULL if there is nothing to do. */
void mt_found(struct mt_health *h, enum mt_finding_state s, const char *about, const char *remedy,
	const char *fmt, ...) mt_printf(5, 6);

/* health_node.c */
void mt_check_state(struct mt_health *h);
void mt_check_configuration(struct mt_health *h);
void mt_check_errors(struct mt_health *h);
void mt_check_workers(struct mt_health *h);
void mt_check_memory(struct mt_health *h);
/* health_net.c */
void mt_check_ports(struct mt_health *h);
void mt_check_spread(struct mt_health *h);
void mt_check_neighbours(struct mt_health *h);
void mt_check_names(struct mt_health *h);
/* health_traffic.c */
void mt_check_endpoints(struct mt_health *h);
void mt_check_limits(struct mt_health *h);
void mt_check_control_planes(struct mt_health *h);
void mt_check_certificates(struct mt_health *h);
/* health_waiting.c */
void mt_check_answers(struct mt_health *h);
/* health_identity.c */
void mt_check_jwks(struct mt_health *h);
void mt_check_asks(struct mt_health *h);
void mt_check_identity(struct mt_health *h);
