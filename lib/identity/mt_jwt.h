/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a JSON web token claims (RFC 7519), as far as it tells a user what is wrong before a server does. The
 * signature is not verified: only the server can, and only its word counts.
 */
#pragma once

#include "mt_log.h"

#define MT_JWT_MAX	 16384 /* bytes of a token */
#define MT_JWT_AUDIENCES 8     /* further ones are not kept */

struct mt_jwt {
	char issuer[256], subject[256];
	char audiences[MT_JWT_AUDIENCES][128];
	uint32_t n_audiences;
	int64_t issued_at, not_before, expires;	  /* Unix, s; 0: not said */
	char namespace[64], service_account[256]; /* Kubernetes' own claims; "" none */
};

/* 0; -EINVAL with *e saying which part is not as it has to be. Texts are cut to the members' sizes. */
int mt_jwt_read(const char *token, size_t len, struct mt_jwt *out, struct mt_err *e);
bool mt_jwt_is_for(const struct mt_jwt *t, const char *audience);
