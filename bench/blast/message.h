/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocols. A call carries one string, the payload: 12 characters of token, 8 digits with the
 * requested length of the reply, then a fixed pattern. The reply's string starts with the same
 * token and its own length.
 */
#pragma once

#include "mt_base.h"

#define BLAST_TOKEN	12
#define BLAST_HEAD	20 /* token and length: the shortest payload */
#define BLAST_SIZE_MAX	(1u << 20)
#define BLAST_FRAME_MAX (4u << 20) /* a longer frame is invalid */
#define BLAST_PARTS	40	   /* hessian2 cuts a string every 32,768 characters */

/* Ids take four bytes as a varint, so that a compact Thrift message never changes its length. */
#define BLAST_ID_MIN  (1u << 21)
#define BLAST_ID_SPAN ((1u << 28) - BLAST_ID_MIN)

/* Names in a call. */
struct blast_names {
	const char *service; /* Dubbo's interface */
	const char *method;
	uint16_t command; /* awesomeRPC's req_cmd */
};

/* A complete message; its id and head are written in place each time it is sent. */
struct blast_message {
	uint8_t *bytes;
	uint32_t len, cap;
	uint32_t size; /* of its payload */
	uint32_t id_at, head_at;
};

enum blast_take { BLAST_MORE, BLAST_TAKEN, BLAST_MALFORMED };
enum blast_kind {
	BLAST_CALL,	 /* a call, or its successful answer */
	BLAST_ERROR,	 /* a protocol error reply */
	BLAST_EVENT,	 /* ignored (Dubbo's one-way events and answers to them) */
	BLAST_HEARTBEAT, /* answered with the bytes from `pong` */
};

/* Contents of one frame; slices point into the given bytes. */
struct blast_frame {
	enum blast_kind kind;
	uint32_t len; /* of the frame; with BLAST_MORE: its length if known, else 0 */
	uint64_t id;
	uint32_t size; /* of the payload, in all parts */
	uint32_t n_parts;
	struct mt_slice parts[BLAST_PARTS];
};

struct blast_proto {
	const char *name, *words;
	/* Appends a request or a reply with `size` bytes of payload to an empty message. */
	void (*make)(
		struct blast_message *m, const struct blast_names *n, bool request, uint32_t size);
	void (*set_id)(uint8_t *at, uint64_t id);
	uint16_t id_len; /* bytes that set_id writes */
	/* Parses the first frame of `len` bytes; `request`: it came from a client. */
	enum blast_take (*take)(
		const uint8_t *p, uint32_t len, bool request, struct blast_frame *f);
	/* Writes the 17 bytes that answer a heartbeat; NULL: the protocol has none. */
	void (*pong)(uint64_t id, uint8_t out[17]);
};

extern const struct blast_proto blast_dubbo, blast_thrift, blast_thrift_compact, blast_awesomerpc,
	blast_tcp;
extern const struct blast_proto *const blast_protos[]; /* ends with NULL */
const struct blast_proto *blast_proto_find(const char *name);

/* Building blocks of `make`. Running out of memory ends the program. */
void blast_put(struct blast_message *m, const void *bytes, uint32_t len);
void blast_put_be32(struct blast_message *m, uint32_t v);
/*
 * Writes payload bytes from..from+len: the first 20 are reserved for the head, the rest is the
 * pattern.
 */
void blast_put_payload(struct blast_message *m, uint32_t from, uint32_t len);
void blast_set_be32(struct blast_message *m, uint32_t at, uint32_t v);

static inline uint32_t blast_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Cache of messages by size, so that fixed sizes are built once. */
struct blast_cache {
	const struct blast_proto *proto;
	struct blast_names names;
	bool request;
	struct blast_message slots[64];
};

/*
 * Returns the message for `size`, with this id and head; owned by the cache, valid until the next
 * call.
 */
const struct blast_message *blast_cache_get(
	struct blast_cache *c, uint32_t size, uint64_t id, const uint8_t head[BLAST_HEAD]);
void blast_cache_fini(struct blast_cache *c);

void blast_head_write(uint8_t head[BLAST_HEAD], uint64_t token, uint32_t reply_size);
/* The length in a head; UINT32_MAX if the head has none. */
uint32_t blast_head_size(const uint8_t head[BLAST_HEAD]);
/* True if the payload after the head is the pattern. */
bool blast_frame_pattern(const struct blast_frame *f);
