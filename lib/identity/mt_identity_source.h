/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this machine is, as somebody else on it keeps it fresh: in a directory of files, or over a socket. What cannot be used, or
 * does not belong together, is told, and the last good one goes on. Control thread only.
 */
#pragma once

#include "mt_credential.h"

#define MT_IDENTITY_SOURCE_CHAIN "cert-chain.pem"
#define MT_IDENTITY_SOURCE_KEY	 "key.pem"
#define MT_IDENTITY_SOURCE_ROOTS "root-cert.pem"
#define MT_IDENTITY_SOURCE_CRL	 "ca-crl.pem" /* need not be there */

struct mt_identity_source;
struct mt_service;

/* There is another credential, to be held anew. */
typedef void mt_identity_changed_fn(void *arg);

/*
 * A directory with cert-chain.pem, key.pem and root-cert.pem, which may hold several roots; and ca-crl.pem where authorities
 * revoke what they have signed: without it nothing is revoked, with it each authority on the way to a root needs a list that is valid
 * (RFC 5280 §6.3). They are read on a service thread, twice a second, and are in use within 2 s of their replacement.
 * Reads nothing yet: the first turn does. `s` NULL: turns read by themselves, as before there is a loop. NULL: no memory.
 */
struct mt_identity_source *mt_identity_directory_new(
	struct mt_service *s, const char *dir, mt_identity_changed_fn *fn, void *arg);
/*
 * A unix socket on which an agent serves the secrets `secret` (NULL: "default") and "ROOTCA" (Envoy's secret discovery service, state of the
 * world), as istio-agent and SPIRE do. `node` is who asks, for the agent. Connects at the first turn, and again when it ends. NULL: no memory.
 */
struct mt_identity_source *mt_identity_sds_new(const char *path, const char *secret,
	const char *node, mt_identity_changed_fn *fn, void *arg);
/*
 * Whom its certificates have to be for, before the first turn: "spiffe://...", copied, at most MT_CREDENTIAL_TEXT with its end. What is for
 * somebody else is told, and displaces nothing.
 */
void mt_identity_source_claim(struct mt_identity_source *src, const char *principal);
/* The same, of anybody's: 0; -EPERM with *e: whose it is. "": whoever's. */
int mt_identity_claimed(const struct mt_credential *c, const char *claim, struct mt_err *e);
/* From now on files are read there; between turns without a thread. */
void mt_identity_source_serve(struct mt_identity_source *src, struct mt_service *s);
/* Also while it is read; what is held lives on. NULL is allowed. */
void mt_identity_source_free(struct mt_identity_source *src);

/* Time passes; `now` is monotonic, ns. Ten times a second; mt_service_turn() calls back. */
void mt_identity_source_turn(struct mt_identity_source *src, uint64_t now);

/* The last good one, held for the caller; NULL: there was none yet. */
struct mt_credential *mt_identity_source_hold(struct mt_identity_source *src);
/* Grows with each credential; 0: there is none. */
uint64_t mt_identity_source_serial(const struct mt_identity_source *src);
/* Why what is there now is not what is used; "": it is. */
const char *mt_identity_source_why(const struct mt_identity_source *src);
/* What is not good of what is used: others can read the key, nobody renews it; "": nothing. */
const char *mt_identity_source_note(const struct mt_identity_source *src);
