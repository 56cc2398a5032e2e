/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and revocation lists that documents name, so that their end is reported in time. */
#pragma once

#include "mt_conf.h"

/*
 * A certificate that documents name: of a Gateway, a DestinationRule or a BackendTLSPolicy. Or the
 * revocation lists that one of them names, with the times of the list that ends first.
 */
struct mt_conf_certificate {
	const char *
		name; /* path of its file, or "kubernetes://SECRET"; valid until the next compile */
	size_t len;   /* of the name, which is not terminated */
	int64_t not_before, not_after; /* Unix time in s */
};
/*
 * The next certificate in use that documents name. Start with *pos = 0; false: there are no more. A
 * certificate that is used with different roots appears once for each of them. Control thread.
 */
bool mt_conf_certificate_next(
	const struct mt_conf *c, uint32_t *pos, struct mt_conf_certificate *out);
/*
 * The next revocation lists in use that documents name, likewise: those of a file or a Secret. A
 * list without an end is left out.
 */
bool mt_conf_revocations_next(
	const struct mt_conf *c, uint32_t *pos, struct mt_conf_certificate *out);
/*
 * True if a file of a certificate, key, roots or revocation list that documents name has changed
 * since a build read it, or since the last call: the next build reads all of them. Looks at each
 * file, so call it once a second. Control thread.
 */
bool mt_conf_files_changed(struct mt_conf *c);
