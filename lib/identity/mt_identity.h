/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/identity: gets and renews the certificate of this machine in a mesh, from Istio's certificate
 * authority, an agent's socket, or a directory of files. Used by `meltemi join` and by TLS in the
 * daemon. All functions run on the control thread or in a tool. Only mt_probe.h blocks, for tools.
 *
 * This header: the directory that `meltemi join` has written; it renews the certificate and
 * publishes it as the secret "default", and the roots as "ROOTCA". mt_identity_source.h: identities
 * that another process renews. mt_secrets.h: secrets by name. mt_bundle.h, mt_jwt.h: the files of
 * Istio's bundle; nothing in cluster.env is run. mt_ca.h, mt_renew.h: the authority, the schedule.
 *
 * Invariants:
 * - A key never leaves the machine. It is generated here, and its text is overwritten after its
 *   last use (mt_wipe_free()). Files with a key have mode 0600 from the first byte. Logs and
 *   findings contain names of key files, never their contents.
 * - The last good version stays in use. A secret changes only to texts that match each other; a
 *   rejected version is reported. A version never changes, and its users hold a reference
 *   (mt_secrets_hold()). A certificate that cannot be renewed stays in use even after it expires,
 *   so that the server's error is reported.
 * - Chain and key are one file (identity.pem), so a crash between two writes cannot separate them.
 *   A new certificate is used at once and written afterwards; a failed write is retried every
 *   minute.
 * - A new certificate is checked before use: it matches our key, chains to our roots, has our
 *   SPIFFE ID and is valid by our clock. Istio's authority uses the caller's names, so a bundle of
 *   another workload would otherwise be noticed late.
 * - The authority can add roots: its response ends with its root. A new, valid root that is a
 *   certificate authority is added to ROOTCA and root-cert.pem; expired roots are removed at that
 *   time, and 16 is the limit. The connection was verified with the previous roots, so no other
 *   peer can add one.
 * - Renewals authenticate by the certificate while it is valid, because tokens live for an hour and
 *   certificates for a day. After a failure the next attempt uses the token if it has not expired,
 *   and the one after that the certificate again.
 * - Renewal is due at a random 77 to 83 % of the lifetime, counted from the time of issue, because
 *   authorities backdate certificates by minutes. After a failure the delay is 2 s, doubling to 300
 *   s, and half of it is random. An attempt has a timeout of 30 s. The wall clock decides when a
 *   renewal is due; the monotonic clock paces attempts, so a clock change cannot cause a storm.
 * - An unreadable identity is read again every 2 s, because files may appear after the daemon
 *   starts.
 * - Directories of other processes are checked twice a second on the service thread, and new files
 *   are in use within 2 s. Rejected with a report: unreadable files, an expired certificate, a
 *   chain and key that do not match (two generations), and a certificate that is not yet valid if a
 *   good one is in use. Files that change during a read are read again without a report. A key that
 *   other users can read is used, and reported.
 *
 * The owner of a channel keeps a struct mt_grpc_tls and holds its secrets. It calls
 * mt_identity_turn() and mt_secrets_turn() ten times a second. When the number that the latter
 * returns has changed, it holds the secrets again, updates the struct in place and calls
 * mt_grpc_reconnect().
 *
 * A step of `join` is a function and a row in steps[] of join.c with its prerequisites. Not tested:
 * TokenReview, because an istiod in a cluster verifies tokens through its Kubernetes API server.
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
