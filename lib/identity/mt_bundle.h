/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and checks the files that `istioctl x workload entry configure` writes for a machine
 * outside the cluster: cluster.env, mesh.yaml, root-cert.pem, istio-token and hosts. An error has
 * file, line and field. Nothing here opens a connection.
 */
#pragma once

#include "mt_addr.h"
#include "mt_jwt.h"
#include "mt_region.h"

/* Istio's default address of the control plane. */
#define MT_ISTIOD_DEFAULT "istiod.istio-system.svc:15012"

/* An assignment of cluster.env, unquoted. */
struct mt_env_row {
	const char *key, *value;
	uint32_t line;
};

struct mt_env {
	struct mt_env_row *rows;
	uint32_t n;
};

/* A name of the hosts file. */
struct mt_host_row {
	const char *name;
	struct mt_addr addr;
	uint32_t line;
};

struct mt_hosts {
	struct mt_host_row *rows;
	uint32_t n;
};

/* An error for the operator: one clause, and what to do. */
struct mt_finding {
	char file[32];	/* of the bundle; "": none */
	uint32_t line;	/* 0: the file as a whole */
	char field[64]; /* "POD_NAMESPACE", "defaultConfig.discoveryAddress"; "": none */
	char words[512];
	char remedy[400];
};

/*
 * Parses cluster.env: shell assignments with quoting (POSIX shell §2.2) and without expansions.
 * Returns 0, or -EINVAL with *f.
 */
int mt_env_parse(struct mt_region *region, const char *text, size_t len, struct mt_env *out,
	struct mt_finding *f);
/* Return the value or row of a key; NULL: there is none. */
const char *mt_env_get(const struct mt_env *env, const char *key);
const struct mt_env_row *mt_env_row(const struct mt_env *env, const char *key);

/* Parses a file in the format of hosts(5). Returns 0, or -EINVAL with *f. */
int mt_hosts_parse(struct mt_region *region, const char *text, size_t len, struct mt_hosts *out,
	struct mt_finding *f);
const struct mt_host_row *mt_hosts_find(const struct mt_hosts *hosts, const char *name);

/* The fields of mesh.yaml that are used. */
struct mt_mesh_file {
	const char *discovery, *ca; /* "host:port"; NULL: not set */
	uint32_t discovery_line, ca_line;
	struct mt_env metadata; /* proxyMetadata */
};

/* Parses mesh.yaml. Returns 0, or -EINVAL with *f. */
int mt_mesh_parse(struct mt_region *region, const char *text, size_t len, struct mt_mesh_file *out,
	struct mt_finding *f);

struct mt_bundle {
	struct mt_region region; /* memory of everything below except the token */
	const char *dir;
	struct mt_env env;
	struct mt_mesh_file mesh;
	struct mt_hosts hosts;
	const char *roots; /* PEM */
	char *token;	   /* wiped when the bundle is freed */
	struct mt_jwt jwt;

	const char *discovery, *ca; /* "host:port"; defaults filled in */
	char host[256];		    /* of `discovery` */
	uint16_t port;
	const char *namespace, *service_account, *trust_domain, *workload;
	char spiffe[256]; /* SPIFFE ID that this machine will have */
	char note[256];	  /* warning; "": none */
};

/*
 * Reads all files, checks each by itself, and checks that they agree. Returns 0, or -errno with *f.
 * Call mt_bundle_free() in both cases.
 */
int mt_bundle_read(struct mt_bundle *b, const char *dir, struct mt_finding *f);
void mt_bundle_free(struct mt_bundle *b);

/*
 * Check the addresses, roots and token of a bundle without a connection. `now` is Unix time, s.
 * Return 0, or -EINVAL with *f. Call mt_bundle_check_address() first; it sets `discovery`, `ca`,
 * `host` and `port`.
 */
int mt_bundle_check_address(struct mt_bundle *b, struct mt_finding *f);
int mt_bundle_check_roots(struct mt_bundle *b, int64_t now, struct mt_finding *f);
int mt_bundle_check_token(struct mt_bundle *b, int64_t now, struct mt_finding *f);

/*
 * Fills a finding, with control characters escaped. Always returns -EINVAL, for use in a return
 * statement.
 */
int mt_find(struct mt_finding *f, const char *file, uint32_t line, const char *field,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
