/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_tls.h"

static const struct {
	const char *name, *failed;
} reasons[] = {
#define MT_TLS_REASON(name, words) {#name, "handshake failed: " words},
#include "mt_tls_reasons.def"
#undef MT_TLS_REASON
};

const char *mt_tls_reason_name(enum mt_tls_reason r)
{
	return reasons[r].name;
}

const char *mt_tls_reason_failed(enum mt_tls_reason r)
{
	return reasons[r].failed;
}
