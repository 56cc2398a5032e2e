/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts by their numbers (RFC 8446 §6, RFC 5246 §7.2, RFC 7301 §3.2). */
#pragma once

#include <stdint.h>

enum mt_tls_alert {
	MT_TLS_CLOSE_NOTIFY = 0,
	MT_TLS_UNEXPECTED_MESSAGE = 10,
	MT_TLS_BAD_RECORD_MAC = 20,
	MT_TLS_RECORD_OVERFLOW = 22,
	MT_TLS_HANDSHAKE_FAILURE = 40,
	MT_TLS_BAD_CERTIFICATE = 42,
	MT_TLS_UNSUPPORTED_CERTIFICATE = 43,
	MT_TLS_CERTIFICATE_REVOKED = 44,
	MT_TLS_CERTIFICATE_EXPIRED = 45,
	MT_TLS_CERTIFICATE_UNKNOWN = 46,
	MT_TLS_ILLEGAL_PARAMETER = 47,
	MT_TLS_UNKNOWN_CA = 48,
	MT_TLS_ACCESS_DENIED = 49,
	MT_TLS_DECODE_ERROR = 50,
	MT_TLS_DECRYPT_ERROR = 51,
	MT_TLS_PROTOCOL_VERSION = 70,
	MT_TLS_INSUFFICIENT_SECURITY = 71,
	MT_TLS_INTERNAL_ERROR = 80,
	MT_TLS_INAPPROPRIATE_FALLBACK = 86,
	MT_TLS_USER_CANCELED = 90,
	MT_TLS_NO_RENEGOTIATION = 100,
	MT_TLS_MISSING_EXTENSION = 109,
	MT_TLS_UNSUPPORTED_EXTENSION = 110,
	MT_TLS_UNRECOGNIZED_NAME = 112,
	MT_TLS_UNKNOWN_PSK_IDENTITY = 115,
	MT_TLS_CERTIFICATE_REQUIRED = 116,
	MT_TLS_NO_APPLICATION_PROTOCOL = 120,
};

/*
 * A fatal alert in plaintext, as a whole record, for a client whose hello was read: it has no keys
 * yet.
 */
#define MT_TLS_ALERT_IN_CLEAR(alert)                                                               \
	{                                                                                          \
		21, 3, 1, 0, 2, 2, (uint8_t)(alert)                                                \
	}

/* "bad_record_mac", ...; "alert" for a number without a name. */
const char *mt_tls_alert_str(uint8_t alert);
