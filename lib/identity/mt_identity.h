/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this machine is in a mesh: a directory that `meltemi join` has written, its certificate kept fresh. The
 * certificate and the roots are the secrets "default" and "ROOTCA". Control thread only.
 */
#pragma once

#include "mt_renew.h"
#include "mt_secrets.h"
#include "mt_grpc.h"

/* Files of the directory. Chain and key are one file, so that they change together. */
#define MT_IDENTITY_FILE  "identity.pem"
#define MT_IDENTITY_ROOTS "root-cert.pem"
#define MT_IDENTITY_TOKEN "istio-token"
#define MT_IDENTITY_CONF  "identity.json"

#define MT_IDENTITY_VALIDITY_S                                                                     \
	86400 /* asked for unless told; Istio's own agent asks for the same */
#define MT_IDENTITY_TTL_MIN_S 60
#define MT_IDENTITY_TTL_MAX_S (30 * 86400)

struct mt_identity;
struct mt_credential;
struct mt_service;

/*
 * Reads the directory. The secrets are set before it returns, unless the certificate is not there or cannot be
 * used: then the first turn asks for one. NULL with *e set when identity.json or the roots cannot be used. `fds`,
 * `names`, `secrets` and `service` (what writes the files) must live longer.
 */
struct mt_identity *mt_identity_open(struct mt_fds *fds, struct mt_resolver *names,
	struct mt_secrets *secrets, struct mt_service *service, const char *dir, struct mt_err *e);
/* The secrets stay. NULL is allowed. */
void mt_identity_free(struct mt_identity *id);

/*
 * Time passes: asks for a new certificate when it is time to, takes over what was issued, or what somebody else has
 * written to the directory. Call ten times a second; `now` is monotonic, `wall` Unix time, both ns. Sooner or
 * later mt_secrets_turn() tells of a change.
 */
void mt_identity_turn(struct mt_identity *id, uint64_t now, uint64_t wall, struct mt_rand *rng);

/* "spiffe://cluster.local/ns/shop/sa/default". */
const char *mt_identity_uri(const struct mt_identity *id);
const struct mt_renew *mt_identity_renew(const struct mt_identity *id);
/* For an operator: "valid for 19 h 12 min, renewed in 14 h 24 min". Returns buf. */
const char *mt_identity_words(
	const struct mt_identity *id, uint64_t now, uint64_t wall, char *buf, size_t size);

/* What its certificate, key and roots are now, without keeping them fresh: before there is a loop. NULL with *e. */
struct mt_credential *mt_identity_peek(const char *dir, struct mt_err *e);

/* identity.json, as join writes it and the daemon reads it. */
struct mt_identity_conf {
	char ca[280];	       /* "host:port" */
	char server_name[256]; /* that the authority's certificate must be for */
	char uri[256], cluster_id[128];
	uint32_t ttl_s; /* that certificates are asked for; 0: MT_IDENTITY_VALIDITY_S */
};

/* 0; -errno with *e. */
int mt_identity_conf_read(const char *path, struct mt_identity_conf *out, struct mt_err *e);
int mt_identity_conf_write(const char *path, const struct mt_identity_conf *c, struct mt_err *e);
/* Chain and key to the one file. 0, or -errno with *e. */
int mt_identity_save(const char *path, const char *chain, const char *key, struct mt_err *e);
