/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of lines.yaml: a line of words, and a block behind the lines of calls and replies. */
#include "dialect.h"
#include "link.h"

#include <stdio.h>
#include <string.h>

#define LINE   96
#define END    2  /* bytes: CR and LF */
#define NATIVE 64 /* status of errors that the proxy makes: 64 + enum mt_local_reply */

static const char *const verbs[] = {
	[WIRE_CALL] = "CALL",
	[WIRE_ONEWAY] = "NOTE",
	[WIRE_REPLY] = "REPLY",
	[WIRE_HEARTBEAT] = "PING",
	[WIRE_HEARTBEAT_REPLY] = "PONG",
	[WIRE_DRAIN] = "STOP",
};

struct line {
	char verb[8], method;
	uint32_t kind, id, size, status;
	uint32_t len; /* with its end */
};

static bool has_block(uint32_t kind)
{
	return kind <= WIRE_REPLY;
}

/* 0: its end is not there; -1: it is none. */
static int parse(struct line *l, const uint8_t *p, uint32_t n)
{
	const uint8_t *end = memmem(p, MT_MIN(n, (uint32_t)LINE), "\r\n", END);
	char text[LINE];
	int words;

	if (!end)
		return n < LINE ? 0 : -1;
	*l = (struct line){.len = (uint32_t)(end - p) + END};
	memcpy(text, p, l->len - END);
	text[l->len - END] = 0;
	words = sscanf(text, "%7s %u %c %u %u", l->verb, &l->id, &l->method, &l->size, &l->status);
	while (l->kind < MT_ARRAY_LEN(verbs) && strcmp(l->verb, verbs[l->kind]) != 0)
		l->kind++;
	if (l->kind == MT_ARRAY_LEN(verbs) || words < (has_block(l->kind) ? 5 : 2))
		return -1;
	return l->size > 8u << 20 ? -1 : 1;
}

static uint32_t length(const struct dialect *d, const uint8_t *p, uint32_t n)
{
	struct line l;
	int rc = parse(&l, p, n);

	if (rc <= 0)
		return rc ? UINT32_MAX : 0;
	return l.len + (has_block(l.kind) ? l.size + END : 0);
}

/* The salt says how many blanks there are, and whether there is a word that nobody reads. */
static void write(
	const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m, uint32_t salt)
{
	const char *blank = salt & 0x10 ? "  " : " ", *more = salt & 0x20 ? " more" : "";
	char line[LINE];

	if (!has_block(m->kind)) {
		snprintf(line, sizeof(line), "%s %u\r\n", verbs[m->kind], (uint32_t)m->id);
		rpc_put(out, line, (uint32_t)strlen(line));
		return;
	}
	snprintf(line, sizeof(line), "%s%s%u %c %u %u%s\r\n", verbs[m->kind], blank,
		(uint32_t)m->id, m->route, m->body_len, m->status == WIRE_APP_ERROR, more);
	rpc_put(out, line, (uint32_t)strlen(line));
	rpc_put(out, m->body, m->body_len);
	rpc_put(out, "\r\n", END);
}

static const char *read_status(struct wire_msg *m, uint32_t status)
{
	m->status = status >= NATIVE ? WIRE_NATIVE : status ? WIRE_APP_ERROR : WIRE_OK;
	if (m->status != WIRE_NATIVE)
		return NULL;
	if (status >= NATIVE + MT_REPLY_N)
		return "an unknown status";
	m->native = 1u << (status - NATIVE);
	return m->body_len ? "a native error with a body" : NULL;
}

static const char *read(const struct dialect *d, const uint8_t *p, uint32_t n,
	struct rpc_bytes *flat, struct wire_msg *m)
{
	struct line l;

	if (parse(&l, p, n) != 1)
		return "no line";
	m->kind = (enum wire_kind)l.kind;
	m->id = l.id;
	if (!has_block(l.kind))
		return NULL;
	if (memcmp(p + n - END, "\r\n", END) != 0)
		return "a block without its end";
	m->route = l.method == '-' ? 0 : l.method;
	m->body = p + l.len;
	m->body_len = l.size;
	return read_status(m, l.status);
}

const struct dialect dialect_lines = {
	.name = "lines",
	.index = DIALECT_LINES,
	.id_mask = UINT32_MAX,
	.oneway = true,
	.heartbeats = true,
	.drains = true,
	.half_close = true,
	.length = length,
	.read = read,
	.write = write,
};
