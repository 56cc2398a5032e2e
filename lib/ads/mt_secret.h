/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a Secret (envoy.extensions.transport_sockets.tls.v3): a certificate with its key, or roots
 * with revocation lists. Only inline texts are accepted, because a file name or environment
 * variable from the network would let a peer choose what this process reads.
 */
#pragma once

#include "mt_base.h"

#include "tls.pb-c.h"

#define MT_SECRET_TEXT_MAX (1u << 20)

/*
 * Texts in the message's memory, without a NUL at the end; p NULL: absent. A text is not empty and
 * has no NUL byte.
 */
struct mt_secret_message {
	struct mt_slice chain, key; /* both or neither */
	struct mt_slice roots, crl; /* crl only with roots */
};

/*
 * An error, in static texts: `field` is in `in` ("tls_certificate", "validation_context"). Both may
 * be NULL.
 */
struct mt_secret_wrong {
	const char *in, *field, *words;
};

/* Reads a Secret. Returns false with *wrong set. Does not check that the texts are certificates. */
bool mt_secret_read(
	const Xds__Secret *s, struct mt_secret_message *out, struct mt_secret_wrong *wrong);
