/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests a certificate from Istio's certificate authority (istio.v1.auth.IstioCertificateService,
 * CreateCertificate), over a connection of its own. The private key is generated here and never
 * sent. Control thread and tools; no call blocks.
 */
#pragma once

#include "mt_grpc.h"

struct mt_ca_conf {
	const char *const *servers; /* as in mt_grpc_conf */
	uint32_t n_servers;
	const struct mt_grpc_tls *tls; /* if it has a certificate, that authenticates us */
	const char *token;	       /* a bearer token; NULL: none */
	const char *cluster_id;	       /* NULL or "": not sent */
	const char *uri;	       /* requested name: "spiffe://..." */
	uint32_t validity_s;	       /* requested; the authority may shorten it */
};

enum mt_ca_state { MT_CA_BUSY, MT_CA_ISSUED, MT_CA_FAILED };

struct mt_ca;

/*
 * Generates a key and creates a request. All that `conf` points to must outlive it. NULL with *e
 * set.
 */
struct mt_ca *mt_ca_new(struct mt_fds *fds, struct mt_resolver *names,
	const struct mt_ca_conf *conf, struct mt_err *e);
/* Cancels and frees the request; overwrites its key. NULL is allowed. */
void mt_ca_free(struct mt_ca *ca);
/*
 * Runs the request and returns its state. Call at least ten times a second; `now` is monotonic, ns.
 * The caller limits how long it waits.
 */
enum mt_ca_state mt_ca_turn(struct mt_ca *ca, uint64_t now, struct mt_rand *rng);

/* After ISSUED: chain and key as PEM texts, valid until mt_ca_free(). */
const char *mt_ca_chain(const struct mt_ca *ca);
const char *mt_ca_key(const struct mt_ca *ca);
/*
 * After ISSUED: returns `roots` and the roots in the authority's answer as a new text
 * (mt_cert_merge()); NULL: none is new. A trusted authority may add roots, because this is how a
 * mesh changes its root.
 */
char *mt_ca_roots(const struct mt_ca *ca, const char *roots, int64_t wall);
/* After FAILED: returns the reason. *status is the gRPC status; negative if there was no call. */
const char *mt_ca_why(const struct mt_ca *ca, int *status);

/*
 * Checks an issued certificate: it belongs to the key, is signed under `roots`, is for `uri` and is
 * valid at `wall` (Unix time, s). Returns 0, or -EACCES with *e.
 */
int mt_ca_check(const char *chain, const char *key, const char *roots, const char *uri,
	int64_t wall, struct mt_err *e);
