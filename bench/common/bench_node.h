/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setup shared by all benches around Meltemi's workers: memory, a network of two ports (10.1.0.1/16
 * to the clients, 10.2.0.1/16 to the servers), configuration from documents like an operator's.
 * Boot only; a failure ends the program with the reason.
 */
#pragma once

#include "bench_wire.h"

#include "mt_conf.h"
#include "mt_worker.h"

#include <stdio.h>

#define BENCH_PORT    9090 /* port of every service */
#define BENCH_CLIENTS "10.1.0.1"

void bench_die(const char *what, const struct mt_err *e) __attribute__((noreturn));
/* No progress: prints the worker's counters, which show where it stopped, and ends the program. */
void bench_die_stalled(struct mt_worker *w, const char *what) __attribute__((noreturn));

void bench_eal(enum mt_eal_pages pages, uint32_t mb, uint32_t workers, struct mt_eal_info *info);

struct mt_net *bench_node_net(const struct bench_wire wire[2], uint32_t workers,
	const struct mt_steer *steer, const struct mt_addr *vips, uint32_t n_vips);

/*
 * Loads, compiles and publishes the document that `write` writes, from a directory of its own.
 * Keeps a reference to `identity`; NULL: the node has no mesh identity. `codecs` NULL: those of the
 * build.
 */
struct mt_conf *bench_node_conf(uint32_t workers, struct mt_credential *identity,
	struct mt_codec_registry *codecs, void (*write)(FILE *f, const void *arg), const void *arg,
	uint64_t now);

/*
 * Writes a Node document followed by a line of dashes. Clients may use the node's identity,
 * selected by their address or by their own certificate.
 */
void bench_node_document(FILE *f);
/*
 * Attributes of an endpoint, appended to its address: bench_tls.h's server, which requires the
 * mesh's mutual TLS.
 */
#define BENCH_MESHED ", serviceAccount: echo, labels: {security.istio.io/tlsMode: istio}"
