/* SPDX-License-Identifier: Apache-2.0 */
/* awesomeRPC, by hand from docs/protocols/awesomerpc.md. */
#include "dialect.h"
#include "link.h"

#include <string.h>

#define HEAD   13
#define NATIVE 1 /* rsp_code of the proxy's errors; the servers' own have another */
#define FAILED 7

static uint32_t length(const struct dialect *d, const uint8_t *p, uint32_t n)
{
	uint32_t total;

	if (n < HEAD)
		return 0;
	total = sim_get32(p + 5);
	return p[0] > 2 || total < HEAD || total > 8u << 20 ? UINT32_MAX : total;
}

/* Metadata in which the route stands somewhere, perhaps twice: the last one counts. */
static void metadata(struct rpc_bytes *out, char route, uint32_t salt)
{
	char text[96] = "user=sim\n";
	char line[] = "route=?\n";

	if (salt & 0x10) {
		line[6] = route ^ 3;
		strcat(text, line);
	}
	line[6] = route;
	strcat(text, line);
	if (salt & 0x20)
		strcat(text, "empty=\nroute2=x\n");
	rpc_put16(out, (uint16_t)strlen(text));
	rpc_put(out, text, (uint32_t)strlen(text));
}

/* The version says whether metadata stand in front of the body; replies are of version 1. */
static void write(
	const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m, uint32_t salt)
{
	bool call = m->kind == WIRE_CALL;
	uint32_t at = out->len - out->off;

	rpc_put8(out, call ? 2 : 1);
	rpc_put32(out, (uint32_t)m->id);
	rpc_put32(out, 0);
	rpc_put16(out, (uint16_t)(call ? salt >> 16 : 12));
	rpc_put16(out, m->status == WIRE_APP_ERROR ? FAILED : 0);
	if (call)
		metadata(out, m->route, salt);
	rpc_put(out, m->body, m->body_len);
	sim_put32(out->b + out->off + at + 5, out->len - out->off - at);
}

static const char *read_metadata(const uint8_t *p, uint32_t n, struct wire_msg *m)
{
	uint32_t len = n >= HEAD + 2 ? sim_get16(p + HEAD) : UINT32_MAX;
	const uint8_t *line = p + HEAD + 2, *end = line + len;

	if (len > n - HEAD - 2)
		return "metadata longer than their message";
	for (; end - line >= 8; line++)
		if (memcmp(line, "route=", 6) == 0)
			m->route = (char)line[6];
	m->body = end;
	m->body_len = (uint32_t)(p + n - end);
	return NULL;
}

static const char *read(const struct dialect *d, const uint8_t *p, uint32_t n,
	struct rpc_bytes *flat, struct wire_msg *m)
{
	uint32_t code = sim_get16(p + 11);

	m->id = sim_get32(p + 1);
	m->status = code == 0 ? WIRE_OK : code == NATIVE ? WIRE_NATIVE : WIRE_APP_ERROR;
	/* Requests are of version 2, and so are the errors that answer them; those have no metadata. */
	m->kind = p[0] == 2 && m->status != WIRE_NATIVE ? WIRE_CALL : WIRE_REPLY;
	if (m->kind == WIRE_CALL)
		return code == 0 ? read_metadata(p, n, m) : "a request with a result";
	m->body = p + HEAD;
	m->body_len = n - HEAD;
	if (m->status == WIRE_NATIVE) {
		m->native = (1u << MT_REPLY_N) - 1;
		return n == HEAD ? NULL : "a native error with a body";
	}
	return NULL;
}

const struct dialect dialect_awesome = {
	.name = "awesomerpc",
	.index = DIALECT_AWESOME,
	.id_mask = UINT32_MAX,
	.length = length,
	.read = read,
	.write = write,
};
