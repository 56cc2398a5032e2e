/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Secret (envoy.extensions.transport_sockets.tls.v3) as texts: a certificate with its key, or roots with revocation lists. Texts only: a name of a
 * file or of an environment variable that comes over the network would let a peer choose what this process reads.
 */
#pragma once

#include "mt_base.h"

#include "tls.pb-c.h"

#define MT_SECRET_TEXT_MAX (1u << 20)

/* Within the message, not ended; p NULL: it has none. None has a NUL byte, or is empty. */
struct mt_secret_message {
	struct mt_slice chain, key; /* both, or neither */
	struct mt_slice roots, crl; /* crl with roots only */
};

/* What is wrong: static texts; the field within `in` ("tls_certificate", "validation_context"), which may be NULL, as `field`. */
struct mt_secret_wrong {
	const char *in, *field, *words;
};

/* false: *wrong. Whether the texts are certificates nobody has asked. */
bool mt_secret_read(
	const Xds__Secret *s, struct mt_secret_message *out, struct mt_secret_wrong *wrong);
