/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the claims of a JSON web token (RFC 7519), to report errors before a server rejects the
 * token. The signature is not verified, because only the server can do so, and its decision counts.
 */
#pragma once

#include "mt_log.h"

#define MT_JWT_MAX	 16384 /* bytes of a token */
#define MT_JWT_AUDIENCES 8     /* others are ignored */

struct mt_jwt {
	char issuer[256], subject[256];
	char audiences[MT_JWT_AUDIENCES][128];
	uint32_t n_audiences;
	int64_t issued_at, not_before, expires;	  /* Unix time, s; 0: absent */
	char namespace[64], service_account[256]; /* Kubernetes' claims; "": absent */
};

/*
 * Reads a token. Returns 0, or -EINVAL with the invalid part in *e. Texts are truncated to the
 * members' sizes.
 */
int mt_jwt_read(const char *token, size_t len, struct mt_jwt *out, struct mt_err *e);
bool mt_jwt_is_for(const struct mt_jwt *t, const char *audience);
