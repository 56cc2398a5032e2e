/* SPDX-License-Identifier: Apache-2.0 */
/* The toy protocol (toy.h) as its clients and servers write it: not by the codec, but by hand. */
#include "dialect.h"
#include "link.h"
#include "toy.h"

static uint32_t length(const struct dialect *d, const uint8_t *p, uint32_t n)
{
	uint32_t total;

	if (n < TOY_HEAD)
		return 0;
	total = TOY_HEAD + sim_get32(p + 12);
	if (p[0] != 'T' || p[1] != 'Y' || total < TOY_HEAD + 1 || total > 2u << 20)
		return UINT32_MAX;
	return total;
}

static const char *read_kind(uint8_t kind, struct wire_msg *m)
{
	static const enum wire_kind kinds[] = {
		[TOY_REQUEST] = WIRE_CALL,
		[TOY_REPLY] = WIRE_REPLY,
		[TOY_ONEWAY] = WIRE_ONEWAY,
		[TOY_HEARTBEAT] = WIRE_HEARTBEAT,
		[TOY_HEARTBEAT_REPLY] = WIRE_HEARTBEAT_REPLY,
		[TOY_DRAIN] = WIRE_DRAIN,
	};

	if (kind < TOY_REQUEST || kind > TOY_DRAIN)
		return "an unknown kind";
	m->kind = kinds[kind];
	return NULL;
}

static const char *read(const struct dialect *d, const uint8_t *p, uint32_t n,
	struct rpc_bytes *flat, struct wire_msg *m)
{
	const char *bad = read_kind(p[2], m);
	uint32_t at = TOY_HEAD + 1 + p[TOY_HEAD];

	if (bad)
		return bad;
	if (at > n)
		return "a route longer than its message";
	m->id = (uint64_t)sim_get32(p + 4) << 32 | sim_get32(p + 8);
	m->route = p[TOY_HEAD] ? (char)p[TOY_HEAD + 1] : 0;
	m->status = p[3] >= TOY_NATIVE ? WIRE_NATIVE : p[3] ? WIRE_APP_ERROR : WIRE_OK;
	if (m->status == WIRE_NATIVE) {
		m->native = 1u << (p[3] - TOY_NATIVE);
		if (n != TOY_HEAD + 1)
			return "a native error of another length";
	}
	m->body = p + at;
	m->body_len = n - at;
	return NULL;
}

static void write(
	const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m, uint32_t salt)
{
	static const uint8_t kinds[] = {
		[WIRE_CALL] = TOY_REQUEST,
		[WIRE_ONEWAY] = TOY_ONEWAY,
		[WIRE_REPLY] = TOY_REPLY,
		[WIRE_HEARTBEAT] = TOY_HEARTBEAT,
		[WIRE_HEARTBEAT_REPLY] = TOY_HEARTBEAT_REPLY,
		[WIRE_DRAIN] = TOY_DRAIN,
	};
	/* Only requests name their route. */
	bool names = m->kind == WIRE_CALL || m->kind == WIRE_ONEWAY;

	rpc_put(out, "TY", 2);
	rpc_put8(out, kinds[m->kind]);
	rpc_put8(out, m->status == WIRE_APP_ERROR);
	rpc_put64(out, m->id);
	rpc_put32(out, 1 + names + m->body_len);
	rpc_put8(out, names);
	if (names)
		rpc_put8(out, (uint8_t)m->route);
	rpc_put(out, m->body, m->body_len);
}

const struct dialect dialect_toy = {
	.name = "toy",
	.index = DIALECT_TOY,
	.id_mask = UINT64_MAX,
	.oneway = true,
	.heartbeats = true,
	.drains = true,
	.half_close = true,
	.length = length,
	.read = read,
	.write = write,
};
