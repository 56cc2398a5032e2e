/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity of this machine that another process renews, in a directory of files or over a socket. A
 * new certificate that cannot be used is reported (mt_identity_source_why()), and the last good
 * credential stays in use. Control thread only.
 */
#pragma once

#include "mt_credential.h"

#define MT_IDENTITY_SOURCE_CHAIN "cert-chain.pem"
#define MT_IDENTITY_SOURCE_KEY	 "key.pem"
#define MT_IDENTITY_SOURCE_ROOTS "root-cert.pem"
#define MT_IDENTITY_SOURCE_CRL	 "ca-crl.pem" /* optional */

struct mt_identity_source;
struct mt_service;

/* Reports a new credential: hold it with mt_identity_source_hold(). */
typedef void mt_identity_changed_fn(void *arg);

/*
 * Creates a source for a directory with cert-chain.pem, key.pem, root-cert.pem (one or more roots)
 * and, optionally, ca-crl.pem. Without ca-crl.pem nothing is revoked. With it each authority of a
 * chain needs a valid revocation list (RFC 5280 §6.3).
 *
 * The files are checked twice a second on the service thread, and are in use within 2 s after they
 * were replaced. The first turn starts to read. If `s` is NULL, the turns read the files, as before
 * there is an event loop. NULL: no memory.
 */
struct mt_identity_source *mt_identity_directory_new(
	struct mt_service *s, const char *dir, mt_identity_changed_fn *fn, void *arg);
/*
 * Creates a source for an agent's unix socket (Envoy's secret discovery service, state of the
 * world), such as istio-agent's or SPIRE's. The agent serves the secrets `secret` (NULL: "default")
 * and "ROOTCA". `node` is the node id that the agent gets. The first turn connects; a connection
 * that ends is reopened. NULL: no memory.
 */
struct mt_identity_source *mt_identity_sds_new(const char *path, const char *secret,
	const char *node, mt_identity_changed_fn *fn, void *arg);
/*
 * Sets the SPIFFE ID that certificates must have: "spiffe://...", copied, at most
 * MT_CREDENTIAL_TEXT bytes with the NUL. A certificate with another ID is reported and not used.
 * Call before the first turn.
 */
void mt_identity_source_claim(struct mt_identity_source *src, const char *principal);
/*
 * Checks the SPIFFE ID of any credential. Returns 0, or -EPERM with its ID in *e. `claim` "": any
 * ID is allowed.
 */
int mt_identity_claimed(const struct mt_credential *c, const char *claim, struct mt_err *e);
/*
 * Sets the service that reads files from now on. Call between turns, while the source has no
 * service.
 */
void mt_identity_source_serve(struct mt_identity_source *src, struct mt_service *s);
/*
 * Frees the source, also while files are read. Credentials that are held stay valid. NULL is
 * allowed.
 */
void mt_identity_source_free(struct mt_identity_source *src);

/*
 * Runs the source. Call ten times a second; `now` is monotonic, ns. Files that were read arrive by
 * mt_service_turn().
 */
void mt_identity_source_turn(struct mt_identity_source *src, uint64_t now);

/* Returns the last good credential, held for the caller; NULL: none yet. */
struct mt_credential *mt_identity_source_hold(struct mt_identity_source *src);
/* Returns a number that grows with each new credential; 0: none yet. */
uint64_t mt_identity_source_serial(const struct mt_identity_source *src);
/* Returns why the newest certificate is not used; "": it is used. */
const char *mt_identity_source_why(const struct mt_identity_source *src);
/*
 * Returns a warning about the credential in use: other users can read the key, or it is not
 * renewed; "": none.
 */
const char *mt_identity_source_note(const struct mt_identity_source *src);
