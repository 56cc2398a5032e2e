/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity of this machine in a mesh, from a directory that `meltemi join` has written. Renews the
 * certificate and publishes it as the secret "default", and the roots as "ROOTCA". Control thread
 * only.
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
	86400 /* default requested lifetime; Istio's own agent requests the same */
#define MT_IDENTITY_TTL_MIN_S 60
#define MT_IDENTITY_TTL_MAX_S (30 * 86400)

struct mt_identity;
struct mt_credential;
struct mt_service;

/*
 * Reads the directory and sets the secrets. If the certificate is missing or cannot be used, the
 * first turn requests one. Returns NULL with *e set if identity.json or the roots cannot be used.
 * `fds`, `names`, `secrets` and `service`, which writes the files, must outlive the identity.
 */
struct mt_identity *mt_identity_open(struct mt_fds *fds, struct mt_resolver *names,
	struct mt_secrets *secrets, struct mt_service *service, const char *dir, struct mt_err *e);
/* Frees the identity, after writes in progress have ended; the secrets stay. NULL is allowed. */
void mt_identity_free(struct mt_identity *id);

/*
 * Requests a new certificate when it is due, and publishes it; publishes files that another process
 * has replaced in the directory. Call ten times a second; `now` is monotonic and `wall` is Unix
 * time, both ns. mt_secrets_turn() reports changes of the secrets.
 */
void mt_identity_turn(struct mt_identity *id, uint64_t now, uint64_t wall, struct mt_rand *rng);

/* Returns the SPIFFE ID: "spiffe://cluster.local/ns/shop/sa/default". */
const char *mt_identity_uri(const struct mt_identity *id);
const struct mt_renew *mt_identity_renew(const struct mt_identity *id);
/* Writes a text for the operator: "valid for 19 h 12 min, renewed in 14 h 24 min". Returns buf. */
const char *mt_identity_words(
	const struct mt_identity *id, uint64_t now, uint64_t wall, char *buf, size_t size);

/*
 * Reads the current certificate, key and roots once, for use before there is an event loop. NULL
 * with *e.
 */
struct mt_credential *mt_identity_peek(const char *dir, struct mt_err *e);

/* Content of identity.json, which join writes and the daemon reads. */
struct mt_identity_conf {
	char ca[280];	       /* "host:port" */
	char server_name[256]; /* name that the authority's certificate must have */
	char uri[256], cluster_id[128];
	uint32_t ttl_s; /* requested lifetime of certificates; 0: MT_IDENTITY_VALIDITY_S */
};

/* Read and write identity.json. Return 0, or -errno with *e. */
int mt_identity_conf_read(const char *path, struct mt_identity_conf *out, struct mt_err *e);
int mt_identity_conf_write(const char *path, const struct mt_identity_conf *c, struct mt_err *e);
/* Writes chain and key to one file. Returns 0, or -errno with *e. */
int mt_identity_save(const char *path, const char *chain, const char *key, struct mt_err *e);
