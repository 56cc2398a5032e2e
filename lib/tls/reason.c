/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_tls.h"

static const struct {
	const char *name, *words, *failed;
} reasons[] = {
#define MT_TLS_REASON(name, words) {#name, words, "handshake failed: " words},
#include "mt_tls_reasons.def"
#undef MT_TLS_REASON
};

const char *mt_tls_reason_name(enum mt_tls_reason r)
{
	return reasons[r].name;
}

const char *mt_tls_reason_words(enum mt_tls_reason r)
{
	return reasons[r].words;
}

const char *mt_tls_reason_failed(enum mt_tls_reason r)
{
	return reasons[r].failed;
}
