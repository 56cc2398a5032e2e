/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHellos for tests, right ones and wrong ones. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HELLO_ROOM 131072

struct hello_how {
	const char *names[3]; /* of server_name; the first one NULL: none is sent */
	const char *alpn[4];  /* the first one NULL: none is sent */
	uint32_t padding;     /* of an extension of no meaning, so many bytes; 0: without */
	uint32_t record;      /* bytes of the message in a record; 0: as many as go in */
	bool no_extensions;   /* ends behind the compression methods */
	bool twice;	      /* both extensions a second time */
	bool grease;	      /* extensions and a protocol without meaning (RFC 8701) */
	const uint8_t *ext;   /* an extension as it is, in front */
	uint32_t ext_len;
	uint32_t trailing; /* bytes behind the extensions, in the message */
};

/* Writes it with its records to `out` (HELLO_ROOM bytes); how long it is. */
uint32_t hello_make(uint8_t *out, const struct hello_how *how);
