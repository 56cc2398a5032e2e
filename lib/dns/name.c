/* SPDX-License-Identifier: Apache-2.0 */
/* Names in messages (RFC 1035 §3.1, §4.1.4) and as text. */
#include "mt_dns_priv.h"

#include <string.h>

#define POINTER 0xc0

static bool append(struct dns_name *n, const uint8_t *label)
{
	/* The root's 0 must still fit. */
	if (n->len + 1u + label[0] + 1u > DNS_NAME_MAX)
		return false;
	for (uint32_t i = 0; i <= label[0]; i++)
		n->b[n->len + i] = dns_lower(label[i]);
	n->len = (uint8_t)(n->len + 1 + label[0]);
	n->labels++;
	return true;
}

/*
 * The question's name is the first of its message, so there is no earlier name that a compression
 * pointer could refer to. A pointer is therefore malformed here, and there can be no loops.
 */
bool dns_name_read(const uint8_t *msg, uint32_t len, uint32_t *off, struct dns_name *n)
{
	uint32_t at = *off;

	n->len = n->labels = 0;
	while (at < len && msg[at] != 0) {
		uint8_t c = msg[at];

		if (c > 63 || at + 1 + c > len || !append(n, msg + at))
			return false;
		at += 1u + c;
	}
	if (at >= len)
		return false;
	n->b[n->len++] = 0;
	*off = at + 1;
	return true;
}

bool dns_name_skip(const uint8_t *msg, uint32_t len, uint32_t *off)
{
	uint32_t at = *off;

	while (at < len) {
		uint8_t c = msg[at];

		if (c >= POINTER || c == 0) {
			*off = at + (c ? 2 : 1);
			return *off <= len;
		}
		if (c > 63)
			return false;
		at += 1u + c;
	}
	return false;
}

bool dns_name_of(const char *text, struct dns_name *n)
{
	n->len = n->labels = 0;
	if (strcmp(text, ".") == 0)
		text = "";
	while (*text) {
		size_t len = strcspn(text, ".");
		uint8_t label[64];

		if (len == 0 || len > 63)
			return false;
		label[0] = (uint8_t)len;
		memcpy(label + 1, text, len);
		if (!append(n, label))
			return false;
		text += len;
		if (*text == '.')
			text++;
	}
	n->b[n->len++] = 0;
	return true;
}

bool mt_dns_is_name(const char *text)
{
	struct dns_name n;

	return dns_name_of(text, &n) && n.labels > 0;
}

void dns_name_text(const uint8_t *b, char *text)
{
	if (*b == 0)
		*text++ = '.';
	while (*b) {
		memcpy(text, b + 1, *b);
		text += *b;
		b += 1 + *b;
		if (*b)
			*text++ = '.';
	}
	*text = '\0';
}

int dns_name_ends(const struct dns_name *n, const struct dns_name *suffix)
{
	uint32_t at = 0, want;

	if (suffix->len > n->len || suffix->labels > n->labels)
		return -1;
	want = (uint32_t)(n->len - suffix->len);
	if (memcmp(n->b + want, suffix->b, suffix->len) != 0)
		return -1;
	/* The bytes are equal; check that they start at the start of a label. */
	while (at < want)
		at += 1u + n->b[at];
	return at == want ? (int)at : -1;
}

void dns_name_cut(const struct dns_name *n, uint32_t at, struct dns_name *out)
{
	memcpy(out->b, n->b, at);
	out->b[at] = 0;
	out->len = (uint8_t)(at + 1);
	out->labels = 0;
	for (uint32_t i = 0; i < at; i += 1u + n->b[i])
		out->labels++;
}

bool dns_name_join(const struct dns_name *a, const struct dns_name *b, struct dns_name *out)
{
	uint32_t front = a->len - 1u;

	if (front + b->len > DNS_NAME_MAX)
		return false;
	memcpy(out->b, a->b, front);
	memcpy(out->b + front, b->b, b->len);
	out->len = (uint8_t)(front + b->len);
	out->labels = (uint8_t)(a->labels + b->labels);
	return true;
}
