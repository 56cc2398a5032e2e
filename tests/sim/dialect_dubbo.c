/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dubbo2 with hessian2, by hand from Apache Dubbo's protocol document ("dubbo protocol"). A call's body
 * is its first argument; behind it stand arguments that nobody reads, then the attachments.
 */
#include "dialect.h"
#include "hessian.h"
#include "link.h"

#include <stdio.h>
#include <string.h>

#define HEAD	   16
#define REQUEST	   0x80
#define TWO_WAY	   0x40
#define EVENT	   0x20
#define HESSIAN2   2
#define SERIAL	   0x1f
#define OK	   20
#define APP_STATUS 70 /* "service error": of the server, or a denial by the proxy */

static uint32_t length(const struct dialect *d, const uint8_t *p, uint32_t n)
{
	if (n < HEAD)
		return 0;
	if (p[0] != 0xda || p[1] != 0xbb || (p[2] & SERIAL) != HESSIAN2 ||
		sim_get32(p + 12) > 8u << 20)
		return UINT32_MAX;
	return HEAD + sim_get32(p + 12);
}

/* ---- writing ---- */

static void arguments(struct hessian *h, const struct wire_msg *m, uint32_t n)
{
	char types[160];
	bool text = sim_one_in(h->rand, 2);

	snprintf(types, sizeof(types), "%s", text ? "Ljava/lang/String;" : "[B");
	for (uint32_t i = 0; i < n; i++)
		strcat(types, sim_one_in(h->rand, 2) ? "I" : "Ljava/lang/Object;");
	hessian_text(h->out, types);
	if (text)
		hessian_string(h, m->body, m->body_len);
	else
		hessian_binary(h, m->body, m->body_len);
	for (uint32_t i = 0; i < n; i++)
		hessian_junk(h, 3);
}

static void pair(struct rpc_bytes *out, const char *key, const char *value)
{
	hessian_text(out, key);
	hessian_text(out, value);
}

/* Of a key that stands twice the last one counts: the map is filled in that order. */
static void attachments(struct hessian *h, const struct wire_msg *m)
{
	const char route[] = {m->route, 0}, other[] = {m->route ^ 3, 0};
	bool before = sim_one_in(h->rand, 2), twice = sim_one_in(h->rand, 4);
	char ms[16];

	rpc_put8(h->out, 'H');
	pair(h->out, "path", "org.sim.Service");
	if (twice)
		pair(h->out, "tag", other);
	if (before)
		pair(h->out, "tag", route);
	if (sim_one_in(h->rand, 3)) {
		hessian_text(h->out, "context"); /* since 3.x values need not be text */
		hessian_junk(h, 2);
	}
	if (m->timeout_ms) {
		snprintf(ms, sizeof(ms), "%u", m->timeout_ms);
		pair(h->out, "timeout", ms);
	}
	for (uint32_t i = 0; i < h->many; i++) {
		snprintf(ms, sizeof(ms), "k%06u", i);
		pair(h->out, ms, "");
	}
	pair(h->out, "interface", "org.sim.Service");
	if (!before)
		pair(h->out, "tag", route);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(m->added) && m->added[i].key; i++)
		pair(h->out, m->added[i].key, m->added[i].value);
	rpc_put8(h->out, 'Z');
}

static void write_call(struct hessian *h, const struct wire_msg *m)
{
	const char method[] = {m->route, 0};

	hessian_text(h->out, "2.0.2");
	hessian_text(h->out, "org.sim.Service");
	hessian_text(h->out, sim_one_in(h->rand, 2) ? "1.0.0" : "0.0.0");
	hessian_text(h->out, method);
	arguments(h, m, sim_below(h->rand, 4));
	attachments(h, m);
}

/* What a reply says of its value: the byte in front of it. */
static uint8_t value_type(const struct wire_msg *m, bool attached)
{
	return (uint8_t)((m->status == WIRE_APP_ERROR ? 0x90 : 0x91) + (attached ? 3 : 0));
}

/* An error of the service is an exception as its value, or a status with words about it. */
static uint8_t write_reply(struct hessian *h, const struct wire_msg *m)
{
	bool attached = sim_one_in(h->rand, 2);

	if (m->status == WIRE_APP_ERROR && sim_one_in(h->rand, 2)) {
		hessian_string(h, m->body, m->body_len);
		return APP_STATUS;
	}
	rpc_put8(h->out, value_type(m, attached));
	if (sim_one_in(h->rand, 2))
		hessian_string(h, m->body, m->body_len);
	else
		hessian_binary(h, m->body, m->body_len);
	if (attached) {
		rpc_put8(h->out, 'H');
		pair(h->out, "dubbo", "2.0.2");
		rpc_put8(h->out, 'Z');
	}
	return OK;
}

static void write(
	const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m, uint32_t salt)
{
	static const uint8_t flags[] = {
		[WIRE_CALL] = REQUEST | TWO_WAY,
		[WIRE_ONEWAY] = REQUEST,
		[WIRE_REPLY] = 0,
		[WIRE_HEARTBEAT] = REQUEST | TWO_WAY | EVENT,
		[WIRE_HEARTBEAT_REPLY] = EVENT,
		[WIRE_DRAIN] = REQUEST | EVENT,
	};
	struct mt_rand rand;
	struct hessian h = {.out = out, .rand = &rand};
	uint32_t at = out->len - out->off;
	uint8_t *head = rpc_room(out, HEAD), status = 0;

	if ((salt & ~DUBBO_MANY_MASK) == DUBBO_MANY)
		h.many = salt & DUBBO_MANY_MASK;
	mt_rand_seed(&rand, salt);
	memcpy(head, (uint8_t[]){0xda, 0xbb, flags[m->kind] | HESSIAN2, 0}, 4);
	sim_put32(head + 4, (uint32_t)(m->id >> 32));
	sim_put32(head + 8, (uint32_t)m->id);
	if (m->kind == WIRE_CALL || m->kind == WIRE_ONEWAY)
		write_call(&h, m);
	else if (m->kind == WIRE_REPLY)
		status = write_reply(&h, m);
	else if (m->kind == WIRE_DRAIN)
		rpc_put(out, "\x01R", 2);
	else
		rpc_put8(out, 'N');
	if (m->kind == WIRE_HEARTBEAT_REPLY)
		status = OK;
	head = out->b + out->off + at;
	head[3] = status;
	sim_put32(head + 12, out->len - out->off - at - HEAD);
}

/* ---- reading ---- */

/* What a native error may stand for, by its status. */
static uint32_t native_of(uint8_t status)
{
	switch (status) {
	case 31:
		return 1u << MT_REPLY_TIMEOUT;
	case 35:
		return 1u << MT_REPLY_CONN_LOST;
	case 40:
		return 1u << MT_REPLY_BAD_REQUEST | 1u << MT_REPLY_TOO_LARGE;
	case 50:
		return 1u << MT_REPLY_BAD_REPLY;
	case 60:
		return 1u << MT_REPLY_NO_ROUTE | 1u << MT_REPLY_NO_CLUSTER;
	case APP_STATUS:
		return 1u << MT_REPLY_DENIED;
	case 80:
		return 1u << MT_REPLY_NO_ENDPOINT | 1u << MT_REPLY_UNSUPPORTED;
	case 100:
		return 1u << MT_REPLY_OVER_LIMIT | 1u << MT_REPLY_OVERLOAD;
	default:
		return 0;
	}
}

static void body_is(struct wire_msg *m, const struct rpc_bytes *flat, uint32_t from)
{
	m->body = flat->b + flat->off + from;
	m->body_len = flat->len - flat->off - from;
}

/* Version, path, version, method, the arguments' types, then the first argument, which is the body. */
static const char *read_call(
	const uint8_t *p, uint32_t n, struct rpc_bytes *flat, struct wire_msg *m)
{
	uint32_t at = HEAD, used;

	for (int i = 0; i < 6; i++) {
		rpc_clear(flat);
		used = hessian_take(p + at, n - at, flat);
		if (!used)
			return "a call whose strings cannot be read";
		if (i == 3)
			m->route = flat->len - flat->off == 1 ? (char)flat->b[flat->off] : 0;
		at += used;
	}
	body_is(m, flat, 0);
	return NULL;
}

/* A denial has the status of the service's own errors: their words begin with a token. */
static bool is_denial(const struct wire_msg *m)
{
	static const char words[] = "meltemi: denied by policy";

	return m->body_len == sizeof(words) - 1 && memcmp(m->body, words, m->body_len) == 0;
}

static const char *read_reply(
	const uint8_t *p, uint32_t n, struct rpc_bytes *flat, struct wire_msg *m)
{
	bool exception = p[HEAD] == 0x90 || p[HEAD] == 0x93;
	uint32_t at = HEAD, used;

	if (n == HEAD)
		return "a reply without a body";
	if (p[3] == OK)
		at++;
	rpc_clear(flat);
	used = hessian_take(p + at, n - at, flat);
	if (!used)
		return "a reply whose value cannot be read";
	body_is(m, flat, 0);
	m->native = native_of(p[3]);
	m->status = p[3] == OK && !exception ? WIRE_OK : WIRE_APP_ERROR;
	if (p[3] == OK || (p[3] == APP_STATUS && !is_denial(m)))
		return NULL;
	m->status = WIRE_NATIVE;
	if (at + used != n)
		return "an error with more than its one string";
	return m->body_len && m->native ? NULL : "an error without words, or of no known status";
}

static const char *read(const struct dialect *d, const uint8_t *p, uint32_t n,
	struct rpc_bytes *flat, struct wire_msg *m)
{
	uint8_t flags = p[2] & (REQUEST | TWO_WAY | EVENT);

	m->id = (uint64_t)sim_get32(p + 4) << 32 | sim_get32(p + 8);
	if (flags & EVENT) {
		m->kind = flags == EVENT	       ? WIRE_HEARTBEAT_REPLY
			  : flags == (REQUEST | EVENT) ? WIRE_DRAIN
						       : WIRE_HEARTBEAT;
		return NULL;
	}
	if (flags & REQUEST) {
		m->kind = flags & TWO_WAY ? WIRE_CALL : WIRE_ONEWAY;
		return read_call(p, n, flat, m);
	}
	m->kind = WIRE_REPLY;
	return read_reply(p, n, flat, m);
}

const struct dialect dialect_dubbo = {
	.name = "dubbo",
	.index = DIALECT_DUBBO,
	.id_mask = UINT64_MAX,
	.oneway = true,
	.heartbeats = true,
	.drains = true,
	.timeouts = true,
	.length = length,
	.read = read,
	.write = write,
};
