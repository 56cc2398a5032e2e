/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi join`: takes a bundle, and gets an identity in a mesh for it. Works in steps, each of
 * which reports what it found.
 */
#pragma once

#include "mt_bundle.h"
#include "mt_ca.h"
#include "mt_node.h"
#include "mt_probe.h"
#include "mt_grpc.h"

#include <jansson.h>

#define JOIN_OUT_DEFAULT "/etc/meltemi/mesh"

struct join_options {
	const char *dir, *out;
	bool check; /* write nothing */
	bool json;
	bool delta;
	uint32_t ttl_s; /* of this certificate and its successors; 0: default */
};

#define JOIN_ADDRS 32 /* addresses of a server that are tried */

/* A server that must be reached: the control plane, or a certificate authority elsewhere. */
struct join_target {
	const char *what;
	char host[256];
	uint16_t port;
	char server[320];	 /* "address:port" to connect to */
	const char *server_name; /* the name that its certificate must have */
	const char *file, *field;
	struct mt_addr addrs[JOIN_ADDRS];
	uint32_t n_addrs, line;
	bool from_hosts; /* from the bundle's hosts file */
	struct mt_probe probe;
};

struct join {
	struct join_options o;
	struct mt_bundle bundle;
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct join_target targets[2]; /* the discovery server comes first */
	uint32_t n_targets;
	struct mt_ca *ca;
	char *roots; /* the bundle's roots and new ones of the authority; NULL: the bundle's only */
	const char *server, *server_name, *ca_server;
	struct mt_grpc_tls ca_tls, xds_tls;
	json_t *node;
	char ip[MT_ADDR_STRLEN], hostname[256];
};

/* One step: returns true with the result in words, or false with a finding. */
typedef bool join_step_fn(struct join *j, char *words, size_t size, struct mt_finding *f);

/* join_local.c: checks the files. */
join_step_fn join_bundle, join_address, join_roots, join_token;
/* join_reach.c: checks the network. */
join_step_fn join_names, join_reach, join_clock, join_trust;
/* join_ask.c: requests to the control plane. */
join_step_fn join_csr, join_identity, join_xds;
/* join_write.c */
join_step_fn join_write;

/* The host's clocks: Unix time in s; monotonic time in ns. */
int64_t join_wall(void);
uint64_t join_now(void);
/* Runs connections and lookups for at most 100 ms. */
void join_wait(struct join *j);

static inline const char *join_trusted(const struct join *j)
{
	return j->roots ? j->roots : j->bundle.roots;
}

/* Runs the command; returns the exit code. */
int join_run(int argc, char **argv, bool json);
