/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of guests' annotations: Ethernet addresses, rates and limits. */
#include "mt_model_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PACKET_MIN 28u /* bytes of the smallest IP packet with a transport header */
#define REASON_MAX 192

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mt_mac_parse(const char *text, uint8_t mac[6])
{
	uint8_t any = 0;

	for (int i = 0; i < 6; i++, text += 3) {
		int high = hex_of(text[0]), low = high < 0 ? -1 : hex_of(text[1]);

		if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
		any |= mac[i];
	}
	return !any || mac[0] & 1 ? -EINVAL : 0;
}

/* Reads digits; *used is their number. Returns more than UINT32_MAX for any larger number. */
static uint64_t number_of(const char *text, size_t len, size_t *used)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < len && text[n] >= '0' && text[n] <= '9'; n++)
		if (v <= UINT32_MAX)
			v = v * 10 + (uint64_t)(text[n] - '0');
	*used = n;
	return v;
}

int mt_rate_parse(const char *text, size_t len, uint32_t *v)
{
	size_t used;
	uint64_t n = number_of(text, len, &used);

	if (!used || len - used != 2 || memcmp(text + used, "/s", 2) != 0)
		return -EINVAL;
	if (n > UINT32_MAX)
		return -ERANGE;
	*v = (uint32_t)n;
	return 0;
}

/* ---- limits --------------------------------------------------------------------------------- */

static const struct limit {
	const char *name;
	size_t at;
	uint32_t min;
	bool rate;
} limits[] = {
	{"packets", offsetof(struct mt_guest_limits, packets), 1, true},
	{"bytes", offsetof(struct mt_guest_limits, bytes), MT_GUEST_BYTES_MIN, true},
	{"newConnections", offsetof(struct mt_guest_limits, new_connections), 1, true},
	{"connections", offsetof(struct mt_guest_limits, connections), 1, false},
	{"calls", offsetof(struct mt_guest_limits, calls), 1, true},
};

/* A text that is read. */
struct reader {
	const char *text;
	struct mt_guest_limits *out;
	char *why;
	size_t size;			      /* of `why` */
	size_t columns[MT_ARRAY_LEN(limits)]; /* of each limit that was read, from 1 on */
};

static const struct limit *find(const char *name, size_t len)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(limits); i++)
		if (strlen(limits[i].name) == len && memcmp(limits[i].name, name, len) == 0)
			return &limits[i];
	return NULL;
}

static bool parse_value(const struct limit *l, const char *text, size_t len, uint32_t *v)
{
	size_t used;
	uint64_t n;

	if (l->rate)
		return mt_rate_parse(text, len, v) == 0 && *v >= l->min;
	n = number_of(text, len, &used);
	*v = (uint32_t)MT_MIN(n, UINT32_MAX);
	return used && used == len && n >= l->min && n <= UINT32_MAX;
}

/* Reads "NAME=VALUE", and notes the column of its limit. */
static bool read_item(struct reader *r, const char *item, size_t len, uint32_t line)
{
	const char *is = memchr(item, '=', len);
	size_t name = is ? (size_t)(is - item) : len;
	size_t column = (size_t)(item - r->text) + 1;
	const struct limit *l = find(item, name);
	struct mt_num *to;
	uint32_t v = 0;

	if (!l || !is) {
		snprintf(r->why, r->size,
			"column %zu: \"%.*s\" is not one of packets=N/s, bytes=N/s, "
			"newConnections=N/s, connections=N, calls=N/s",
			column, (int)MT_MIN(len, 64u), item);
		return false;
	}
	if (!parse_value(l, is + 1, len - name - 1, &v)) {
		snprintf(r->why, r->size, "column %zu: \"%.*s\" is not %s from %u to 4294967295%s",
			column + name + 1, (int)MT_MIN(len, 64u), item,
			l->rate ? "a rate" : "a number", l->min, l->rate ? " with /s" : "");
		return false;
	}
	to = (struct mt_num *)((char *)r->out + l->at);
	if (to->set) {
		snprintf(r->why, r->size, "column %zu: %s is written twice", column, l->name);
		return false;
	}
	*to = (struct mt_num){v, line, true};
	r->columns[l - limits] = column;
	return true;
}

/* Writes the reason why one of the limits has no effect. Returns that limit; NULL: all have one. */
static const struct mt_num *find_useless(const struct mt_guest_limits *l, char *why, size_t size)
{
	if (l->new_connections.set && l->packets.set && l->new_connections.v > l->packets.v) {
		snprintf(why, size,
			"newConnections=%u/s has no effect, because each has a packet, and packets "
			"is %u/s",
			l->new_connections.v, l->packets.v);
		return &l->new_connections;
	}
	if (l->packets.set && l->bytes.set && (uint64_t)l->packets.v * PACKET_MIN > l->bytes.v) {
		snprintf(why, size,
			"packets=%u/s has no effect, because packets have at least %u bytes, and "
			"bytes is %u/s",
			l->packets.v, PACKET_MIN, l->bytes.v);
		return &l->packets;
	}
	return NULL;
}

/* Checks the limits together. */
static const char *check(const struct reader *r)
{
	char reason[REASON_MAX];
	const struct mt_num *useless = find_useless(r->out, reason, sizeof(reason));

	if (!useless)
		return NULL;
	for (size_t i = 0; i < MT_ARRAY_LEN(limits); i++)
		if ((const char *)useless == (const char *)r->out + limits[i].at)
			snprintf(r->why, r->size, "column %zu: %s", r->columns[i], reason);
	return r->why;
}

const char *mt_guest_limits_parse(
	const char *text, uint32_t line, struct mt_guest_limits *out, char *why, size_t size)
{
	struct reader r = {.text = text, .out = out, .why = why, .size = size};

	*out = (struct mt_guest_limits){.origin.line = line};
	for (;;) {
		size_t len;

		text += strspn(text, " ");
		len = strcspn(text, ",");
		if (!read_item(&r, text, len, line))
			return why;
		text += len;
		if (!*text)
			return check(&r);
		text++;
	}
}

const char *mt_guest_limits_wrong(const struct mt_guest_limits *l, char *why, size_t size)
{
	return find_useless(l, why, size) ? why : NULL;
}
