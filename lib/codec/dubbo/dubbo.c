/* SPDX-License-Identifier: Apache-2.0 */
#include "dubbo.h"

#include <errno.h>

static enum mt_sniff sniff(
	const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need)
{
	if ((n > 0 && p[0] != DUBBO_MAGIC_0) || (n > 1 && p[1] != DUBBO_MAGIC_1))
		return MT_SNIFF_NO;
	if (n < DUBBO_HEADER) {
		*need = DUBBO_HEADER;
		return MT_SNIFF_MORE;
	}
	if ((p[2] & DUBBO_SER_MASK) == 0 || mt_get_be32(p + 12) > DUBBO_MAX_MESSAGE - DUBBO_HEADER)
		return MT_SNIFF_NO;
	return MT_SNIFF_YES;
}

static void save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed)
{
	seed->id = msg->id;
	seed->variant = msg->variant;
	seed->flags = dubbo_reads_attachments(msg, c) ? DUBBO_SEED_READS_ATT : 0;
}

/*
 * Status bytes of org.apache.dubbo.remoting.exchange.Response. Java consumers report 30 and 31 as a
 * timeout and every other one as a network failure; 20 with a string body would break them.
 */
static uint8_t status_of(enum mt_local_reply what)
{
	switch (what) {
	case MT_REPLY_NO_ROUTE:
	case MT_REPLY_NO_CLUSTER:
		return 60; /* service not found */
	case MT_REPLY_OVER_LIMIT:
	case MT_REPLY_OVERLOAD:
		return 100; /* thread pool exhausted */
	case MT_REPLY_TIMEOUT:
		return 31; /* server timeout */
	case MT_REPLY_CONN_LOST:
		return 35; /* channel inactive */
	case MT_REPLY_BAD_REQUEST:
	case MT_REPLY_TOO_LARGE:
		return 40; /* bad request */
	case MT_REPLY_BAD_REPLY:
		return 50; /* bad response */
	case MT_REPLY_DENIED:
		return 70; /* service error; consumers send it, too, for a service that they lack */
	default:
		return 80; /* server error */
	}
}

static void put_header(uint8_t *h, uint8_t flags, uint8_t status, uint64_t id, uint32_t body)
{
	h[0] = DUBBO_MAGIC_0;
	h[1] = DUBBO_MAGIC_1;
	h[2] = flags;
	h[3] = status;
	mt_put_be64(h + 4, id);
	mt_put_be32(h + 12, body);
}

#define TEXT_MAX 1000

/* Writes an error reply: one string, in hessian2 whatever the request's serialization is. */
static int reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p)
{
	struct mt_chain r = {0}, body = {0};
	uint8_t h[DUBBO_HEADER];
	struct mt_cursor cur;
	char said[TEXT_MAX];

	if (hs_write_str(&body, said, mt_codec_local_text(what, text, said, sizeof(said)), p))
		goto nomem;
	put_header(h, DUBBO_SER_HESSIAN, status_of(what), seed->id, body.len);
	mt_cursor_init(&cur, &body, 0);
	if (mt_chain_write(&r, p, h, sizeof(h)) || mt_codec_copy(&cur, body.len, &r, p))
		goto nomem;
	mt_chain_free(&body);
	mt_chain_concat(out, &r);
	return 0;
nomem:
	mt_chain_free(&body);
	mt_chain_free(&r);
	return -ENOMEM;
}

/* The longest known null is protostuff's, 60 bytes. */
#define EVENT_BODY_MAX 256

static int heartbeat(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t buf[DUBBO_HEADER + 1];

	put_header(buf, DUBBO_REQUEST | DUBBO_TWO_WAY | DUBBO_EVENT | DUBBO_SER_HESSIAN, 0, id, 1);
	buf[DUBBO_HEADER] = 'N';
	return mt_chain_write(out, p, buf, sizeof(buf));
}

/*
 * The answer carries null in the request's serialization. A heartbeat's body is null, so it is
 * echoed for serializations that this codec does not read. If the body is too long to be null, the
 * answer carries hessian2's null. The heartbeat's sender then reports an error, but accepts the
 * answer as a sign of life.
 */
static int heartbeat_reply(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t buf[DUBBO_HEADER + EVENT_BODY_MAX];
	uint32_t body = 1;

	buf[DUBBO_HEADER] = 'N';
	if (msg->variant != DUBBO_SER_HESSIAN && msg->len <= sizeof(buf) && c->len >= msg->len) {
		body = msg->len - DUBBO_HEADER;
		mt_chain_read(c, DUBBO_HEADER, buf + DUBBO_HEADER, body);
	}
	put_header(buf, DUBBO_EVENT | msg->variant, DUBBO_STATUS_OK, msg->id, body);
	return mt_chain_write(out, p, buf, DUBBO_HEADER + body);
}

/*
 * Writes READONLY, as Apache's servers send it before they end (HeaderExchangeServer): an event
 * without an answer, the string "R" in hessian2, which consumers of all versions read.
 */
static int goaway(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t buf[DUBBO_HEADER + 2];

	put_header(buf, DUBBO_REQUEST | DUBBO_EVENT | DUBBO_SER_HESSIAN, 0, id, 2);
	buf[DUBBO_HEADER] = 1;
	buf[DUBBO_HEADER + 1] = 'R';
	return mt_chain_write(out, p, buf, sizeof(buf));
}

static const char *const keys[] = {
	[DUBBO_K_INTERFACE] = "interface",
	[DUBBO_K_METHOD] = "method",
	[DUBBO_K_VERSION] = "version",
	[DUBBO_K_GROUP] = "group",
	[DUBBO_K_TIMEOUT] = "timeout",
	NULL,
};

/*
 * If Apache's servers of 2.7 do not know the body's service, they run the one in these attachments.
 */
static const struct mt_key aliases[] = {
	{.name = "path", .len = 4, .id = -1, .hash = MT_KEY_HASH("path")},
	{.name = "interface", .len = 9, .id = -1, .hash = MT_KEY_HASH("interface")},
};

/*
 * Servers register services as "GROUP/NAME:VERSION", and find them by a name with the same parts.
 */
static const struct mt_key parts[] = {
	{.name = "group", .len = 5, .id = -1, .icase = true, .hash = MT_KEY_HASH("group")},
	{.name = "version", .len = 7, .id = -1, .icase = true, .hash = MT_KEY_HASH("version")},
};

const struct mt_codec mt_codec_dubbo = {
	.name = "dubbo",
	.aeraki_name = "aeraki.meta_protocol.codec.dubbo",
	.version = 1,
	.correlation = MT_CORR_SAFE,
	.correlation_mux = MT_CORR_SAFE,
	.max_message = DUBBO_MAX_MESSAGE,
	.id_min = 4096,
	.id_max = INT64_MAX,
	.whole_close = true,
	.executes_whole = true,
	.client_whole_close = true,
	.heartbeat_s = 60,
	.service_key = "interface",
	.service_aliases = aliases,
	.n_service_aliases = MT_ARRAY_LEN(aliases),
	.service_parts = parts,
	.n_service_parts = MT_ARRAY_LEN(parts),
	.dubbo_policies = true,
	/* consumers of 3.x send it */
	.method_key = {.name = "method",
		.len = 6,
		.id = DUBBO_K_METHOD,
		.hash = MT_KEY_HASH("method")},
	.method_field = DUBBO_F_METHOD,
	.service_field = DUBBO_F_INTERFACE,
	.deadline_key = {.name = "timeout",
		.len = 7,
		.id = DUBBO_K_TIMEOUT,
		.hash = MT_KEY_HASH("timeout")},
	.keys = keys,
	.leading_keys = 0x7,
	.frame.sniff = sniff,
	.frame.decode = dubbo_decode,
	.metadata.leading = dubbo_metadata,
	.metadata.index = dubbo_index,
	.metadata.seek = dubbo_seek,
	.metadata.carries = dubbo_carries,
	.metadata.inner_method = dubbo_inner_method,
	.correlate.id_at = 4,
	.correlate.id_width = 8,
	.correlate.save = save,
	.rewrite.mutate = dubbo_mutate,
	.rewrite.reads_added = dubbo_reads_added,
	.write.reply = reply,
	.write.heartbeat = heartbeat,
	.write.heartbeat_reply = heartbeat_reply,
	.write.goaway = goaway,
	.errors.classes = dubbo_classes,
	.errors.n_classes = DUBBO_CLASSES,
	.errors.others = MT_STATUS_CALLER_ERROR,
	.errors.read = dubbo_read_error,
};
