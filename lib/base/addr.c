/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 253u /* of a name (RFC 1035 section 3.1), without the last dot */

int mt_addr_parse(const char *text, struct mt_addr *a)
{
	uint32_t v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*a = mt_addr4(v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, a->b) == 1 ? 0 : -EINVAL;
}

/* Digits and dots alone are not a name (RFC 1123 section 2.1). */
bool mt_host_is_sound(const char *text)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(text);
	struct mt_addr a;

	if (mt_addr_parse(text, &a) == 0)
		return true;
	return len && len <= HOST_MAX && strspn(text, letters) == len &&
	       strspn(text, "0123456789.") < len;
}

int mt_host_port(const char *text, char *host, size_t size, uint16_t *port)
{
	const char *colon = strrchr(text, ':'), *from = text, *to = colon;
	unsigned long n;
	char *end;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	n = strtoul(colon + 1, &end, 10);
	if (*end || n == 0 || n > UINT16_MAX)
		return -EINVAL;
	if (*from == '[' && to > from && to[-1] == ']') {
		from++;
		to--;
	} else if (memchr(from, ':', (size_t)(to - from))) {
		return -EINVAL; /* an IPv6 address without its brackets */
	}
	if (to <= from || (size_t)(to - from) >= size)
		return -EINVAL;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	*port = (uint16_t)n;
	return mt_host_is_sound(host) ? 0 : -EINVAL;
}

static int parse_bits(const char *text, unsigned int max, uint8_t *bits)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoul(text, &end, 10);
	if (*end != '\0' || n > max)
		return -EINVAL;
	*bits = (uint8_t)n;
	return 0;
}

int mt_prefix_parse(const char *text, struct mt_addr *a, uint8_t *prefix)
{
	const char *slash = strchr(text, '/');
	char addr[MT_ADDR_STRLEN];
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned int max;
	int rc;

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';
	rc = mt_addr_parse(addr, a);
	if (rc)
		return rc;
	max = strchr(addr, ':') ? 128 : 32;
	*prefix = (uint8_t)max;
	rc = slash ? parse_bits(slash + 1, max, prefix) : 0;
	if (rc || max == 32 || !mt_addr_is4(a))
		return rc;
	/* The value is an IPv4 address, whose prefixes are counted from its own first bit. */
	if (*prefix < 96)
		return -EINVAL;
	*prefix = (uint8_t)(*prefix - 96);
	return 0;
}

bool mt_prefix_contains(const struct mt_addr *net, uint8_t prefix, const struct mt_addr *a)
{
	unsigned int bits = prefix + (mt_addr_is4(net) ? 96u : 0u);
	unsigned int bytes = bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));

	if (mt_addr_is4(net) != mt_addr_is4(a))
		return false;
	if (memcmp(net->b, a->b, bytes) != 0)
		return false;
	return bits % 8 == 0 || ((net->b[bytes] ^ a->b[bytes]) & mask) == 0;
}

/* Each snapshot writes ten thousand of them, so this does not use printf(). Returns the end. */
static char *put_number(char *p, unsigned int v)
{
	char digits[10];
	unsigned int n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = digits[--n];
	return p;
}

static char *put_addr4(char *p, const uint8_t *b)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		p = put_number(p, b[i]);
	}
	*p = '\0';
	return p;
}

char *mt_addr_str(const struct mt_addr *a, char buf[MT_ADDR_STRLEN])
{
	if (mt_addr_is4(a))
		put_addr4(buf, &a->b[12]);
	else
		inet_ntop(AF_INET6, a->b, buf, MT_ADDR_STRLEN);
	return buf;
}

char *mt_addr_port_str(const struct mt_addr *a, uint16_t port, char buf[MT_ADDR_STRLEN])
{
	char *p = buf;

	if (mt_addr_is4(a)) {
		p = put_addr4(p, &a->b[12]);
	} else {
		*p++ = '[';
		inet_ntop(AF_INET6, a->b, p, INET6_ADDRSTRLEN);
		p += strlen(p);
		*p++ = ']';
	}
	*p++ = ':';
	p = put_number(p, port);
	*p = '\0';
	return buf;
}
