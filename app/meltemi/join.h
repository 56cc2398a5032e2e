/* SPDX-License-Identifier: Apache-2.0 */
/* `meltemi join`: from a bundle to an identity in a mesh, step by step, each of which says what it found. */
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
	uint32_t ttl_s; /* of the certificate, and of those that follow it; 0: as usual */
};

/* A server that must be reached: the control plane, and the authority when that is another one. */
struct join_target {
	const char *what;
	char host[256];
	uint16_t port;
	char server[320];	 /* what the connection is made to, "address:port" */
	const char *server_name; /* that its certificate must be for */
	const char *file, *field;
	struct mt_addr addrs[MT_LOOKUP_ADDRS];
	uint32_t n_addrs, line;
	bool from_hosts; /* the bundle's */
	struct mt_probe probe;
};

struct join {
	struct join_options o;
	struct mt_bundle bundle;
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct join_target targets[2]; /* the discovery server first */
	uint32_t n_targets;
	struct mt_ca *ca;
	char *roots; /* the bundle's and the authority's new one; NULL: the bundle's alone */
	const char *server, *server_name, *ca_server;
	struct mt_grpc_tls ca_tls, xds_tls;
	json_t *node;
	char ip[MT_ADDR_STRLEN], hostname[256];
};

/* One step: true and words of what was found, or false and the finding. */
typedef bool join_step_fn(struct join *j, char *words, size_t size, struct mt_finding *f);

/* join_local.c: what the files say. */
join_step_fn join_bundle, join_address, join_roots, join_token;
/* join_reach.c: what the network says. */
join_step_fn join_names, join_reach, join_clock, join_trust;
/* join_ask.c: what the control plane says. */
join_step_fn join_csr, join_identity, join_xds;
/* join_write.c */
join_step_fn join_write;

/* The time of the machine's clocks: Unix, s; monotonic, ns. */
int64_t join_wall(void);
uint64_t join_now(void);
/* Lets connections and lookups go on for about a tenth of a second. */
void join_wait(struct join *j);

static inline const char *join_trusted(const struct join *j)
{
	return j->roots ? j->roots : j->bundle.roots;
}

/* The command; the exit code. */
int join_run(int argc, char **argv, bool json);
