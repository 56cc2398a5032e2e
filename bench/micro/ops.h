/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations whose instructions are counted. Each op creates its setup with fixed inputs and
 * integer time, and does its work in one function named op_..., so that callgrind can count that
 * function alone (run.py). No op reads a clock.
 */
#pragma once

#include "mt_buf.h"

#define OPS_ROUNDS 200
#define OPS_BURST  32

/* Runs the op OPS_ROUNDS times; returns the total number of operations. */
struct ops_case {
	const char *name; /* the measured function is op_<name> */
	uint32_t (*run)(struct mt_pools *p);
};

#define OPS_MEASURED __attribute__((noinline, noclone))

uint32_t ops_authz(struct mt_pools *p); /* authz.c */
/* accesslog.c: a line in Istio's default format */
uint32_t ops_accesslog_text(struct mt_pools *p);
uint32_t ops_accesslog_json(struct mt_pools *p);
/* keyed.c */
uint32_t ops_keyed(struct mt_pools *p);
uint32_t ops_keyed_limit(struct mt_pools *p);
/* table.c: heads of requests by a codec file, and one by the codec of this build */
uint32_t ops_dubbo_by_file(struct mt_pools *p);
uint32_t ops_awesome_by_file(struct mt_pools *p);
uint32_t ops_awesome_decode(struct mt_pools *p);
/* tcp.c */
uint32_t ops_net_input(struct mt_pools *p);
uint32_t ops_tcp_input(struct mt_pools *p);
uint32_t ops_tcp_output(struct mt_pools *p);
uint32_t ops_lookup(struct mt_pools *p);
