/* SPDX-License-Identifier: Apache-2.0 */
/* Received alerts (RFC 8446 §6, RFC 5246 §7.2). */
#include "record_priv.h"

enum level { WARNING = 1, FATAL = 2 };

static enum mt_tls_record_got over(
	struct mt_tls_record *r, enum mt_tls_record_got how, uint8_t alert)
{
	r->alert = alert;
	r->rx_over = (uint8_t)how;
	return how;
}

/*
 * True for alerts that end nothing: in TLS 1.3 only user_canceled, which announces a close_notify;
 * in TLS 1.2 every alert of level warning.
 */
static bool may_pass(const struct mt_tls_record *r, uint8_t level, uint8_t alert)
{
	return r->is_13 ? alert == MT_TLS_USER_CANCELED : level == WARNING;
}

enum mt_tls_record_got mt_tls_record_alert_in(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now)
{
	uint8_t a[2];

	if (o->len == 0)
		return mt_tls_record_bad(r, MT_TLS_UNEXPECTED_MESSAGE);
	if (o->len != sizeof(a))
		return mt_tls_record_bad(r, MT_TLS_DECODE_ERROR);
	if (o->flat)
		memcpy(a, o->flat, sizeof(a));
	else
		mt_chain_read(&o->out, 0, a, sizeof(a));
	if (a[1] == MT_TLS_CLOSE_NOTIFY)
		return over(r, MT_TLS_RECORD_CLOSED, a[1]);
	if (!r->is_13 && a[0] != WARNING && a[0] != FATAL)
		return mt_tls_record_bad(r, MT_TLS_ILLEGAL_PARAMETER);
	if (!may_pass(r, a[0], a[1]))
		return over(r, MT_TLS_RECORD_ALERT, a[1]);
	if (!mt_tls_record_may_be_empty(w, r, now))
		return mt_tls_record_bad(r, MT_TLS_UNEXPECTED_MESSAGE);
	return MT_TLS_RECORD_OWN;
}

const char *mt_tls_alert_str(uint8_t alert)
{
	static const char *const names[UINT8_MAX + 1] = {
		[MT_TLS_CLOSE_NOTIFY] = "close_notify",
		[MT_TLS_UNEXPECTED_MESSAGE] = "unexpected_message",
		[MT_TLS_BAD_RECORD_MAC] = "bad_record_mac",
		[MT_TLS_RECORD_OVERFLOW] = "record_overflow",
		[MT_TLS_HANDSHAKE_FAILURE] = "handshake_failure",
		[MT_TLS_BAD_CERTIFICATE] = "bad_certificate",
		[MT_TLS_UNSUPPORTED_CERTIFICATE] = "unsupported_certificate",
		[MT_TLS_CERTIFICATE_REVOKED] = "certificate_revoked",
		[MT_TLS_CERTIFICATE_EXPIRED] = "certificate_expired",
		[MT_TLS_CERTIFICATE_UNKNOWN] = "certificate_unknown",
		[MT_TLS_ILLEGAL_PARAMETER] = "illegal_parameter",
		[MT_TLS_UNKNOWN_CA] = "unknown_ca",
		[MT_TLS_ACCESS_DENIED] = "access_denied",
		[MT_TLS_DECODE_ERROR] = "decode_error",
		[MT_TLS_DECRYPT_ERROR] = "decrypt_error",
		[MT_TLS_PROTOCOL_VERSION] = "protocol_version",
		[MT_TLS_INSUFFICIENT_SECURITY] = "insufficient_security",
		[MT_TLS_INTERNAL_ERROR] = "internal_error",
		[MT_TLS_INAPPROPRIATE_FALLBACK] = "inappropriate_fallback",
		[MT_TLS_USER_CANCELED] = "user_canceled",
		[MT_TLS_NO_RENEGOTIATION] = "no_renegotiation",
		[MT_TLS_MISSING_EXTENSION] = "missing_extension",
		[MT_TLS_UNSUPPORTED_EXTENSION] = "unsupported_extension",
		[MT_TLS_UNRECOGNIZED_NAME] = "unrecognized_name",
		[MT_TLS_UNKNOWN_PSK_IDENTITY] = "unknown_psk_identity",
		[MT_TLS_CERTIFICATE_REQUIRED] = "certificate_required",
		[MT_TLS_NO_APPLICATION_PROTOCOL] = "no_application_protocol",
	};

	return names[alert] ? names[alert] : "alert";
}
