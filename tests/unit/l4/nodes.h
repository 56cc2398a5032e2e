/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several nodes with the same configuration and a flow table each, as instances of lib/l4 behind a
 * router that spreads flows by their hash modulo the number of nodes, so that most flows move when
 * a node leaves. Services of one-way modes at 192.0.2.80:5440, endpoints 192.0.2.101 and up.
 */
#pragma once

#include "scene.h"

#define ND_NODES     4
#define ND_ENDPOINTS 16

struct nd {
	struct scene s;
	enum mt_l4_mode mode;
	uint32_t flows;
	struct mt_l4 *node[ND_NODES];
	struct mt_l4_set *set[ND_NODES];
	uint32_t up; /* nodes that the router uses, the first ones */
	/* By place: the weight, or ND_GONE. */
	uint32_t weights[ND_ENDPOINTS];
	uint8_t unhealthy[ND_NODES][ND_ENDPOINTS];
	/* Endpoints before the first change, until `before_until`. */
	struct mt_l4_endpoint_conf before[ND_ENDPOINTS];
	uint32_t n_before;
	uint64_t before_until;
	uint8_t *to;  /* endpoint to which each flow's last segment went */
	uint8_t *was; /* the endpoint with which it began */
	bool *strayed;
};

#define ND_GONE UINT32_MAX

/* Opens the nodes with this many endpoints of weight 1. */
void nd_open(struct nd *n, enum mt_l4_mode mode, uint32_t flows, uint32_t endpoints);
bool nd_close(struct nd *n);
/*
 * Around a change of n->weights or health that all nodes follow: notes the endpoints before it,
 * as lib/conf does, and compiles those after it.
 */
void nd_keep_before(struct nd *n);
void nd_changed(struct nd *n);
/* Begins flows `from` to `end` by a SYN and an ACK each. */
void nd_begin(struct nd *n, uint32_t from, uint32_t end);
/*
 * Each flow sends a segment. Returns how many flows have had one, now or in an earlier call, that
 * went to another endpoint than the one with which they began, although that one lived.
 */
uint32_t nd_strays(struct nd *n);
/* Time passes; no packet comes. */
void nd_pass(struct nd *n, uint64_t ns);
