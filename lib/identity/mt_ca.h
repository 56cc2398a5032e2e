/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One certificate asked of Istio's certificate authority (istio.v1.auth.IstioCertificateService,
 * CreateCertificate): a key is made here and never leaves, the request goes over a connection of its own.
 * Control thread and tools; nothing blocks.
 */
#pragma once

#include "mt_grpc.h"

struct mt_ca_conf {
	const char *const *servers; /* like mt_grpc_conf's */
	uint32_t n_servers;
	const struct mt_grpc_tls *tls; /* with a certificate of ours: that speaks for us */
	const char *token;	       /* a bearer token; NULL: none */
	const char *cluster_id;	       /* NULL or "": not said */
	const char *uri;	       /* whom the certificate is for: "spiffe://..." */
	uint32_t validity_s;	       /* asked for; the authority may shorten it */
};

enum mt_ca_state { MT_CA_BUSY, MT_CA_ISSUED, MT_CA_FAILED };

struct mt_ca;

/* All that `conf` points to must live as long as the request. NULL with *e set. */
struct mt_ca *mt_ca_new(struct mt_fds *fds, struct mt_resolver *names,
	const struct mt_ca_conf *conf, struct mt_err *e);
/* Forgets the request; its key is overwritten. NULL is allowed. */
void mt_ca_free(struct mt_ca *ca);
/* Time passes: call at least ten times a second. `now` is monotonic, ns. The caller bounds how long it waits. */
enum mt_ca_state mt_ca_turn(struct mt_ca *ca, uint64_t now, struct mt_rand *rng);

/* After ISSUED: PEM texts that live as long as the request. */
const char *mt_ca_chain(const struct mt_ca *ca);
const char *mt_ca_key(const struct mt_ca *ca);
/*
 * After ISSUED: `roots` and those that the authority now signs with, as a new text (mt_cert_merge()); NULL: nothing
 * is new. An authority that we trust says whom else to trust: this is how a mesh changes its root.
 */
char *mt_ca_roots(const struct mt_ca *ca, const char *roots, int64_t wall);
/* After FAILED: in words; *status is gRPC's code, negative when no call came about. */
const char *mt_ca_why(const struct mt_ca *ca, int *status);

/*
 * Whether what was issued is what we need: the key's, signed by whom we trust, for `uri`, valid at `wall` (Unix, s).
 * 0; -EACCES with *e.
 */
int mt_ca_check(const char *chain, const char *key, const char *roots, const char *uri,
	int64_t wall, struct mt_err *e);
