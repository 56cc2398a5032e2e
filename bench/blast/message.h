/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocols. A call carries one string, the payload: 12 characters of token, 8 digits that ask for the
 * reply's length, then a fixed pattern. The reply's string begins with the same token and its own length.
 */
#pragma once

#include "mt_base.h"

#define BLAST_TOKEN	12
#define BLAST_HEAD	20 /* token and length: the shortest payload */
#define BLAST_SIZE_MAX	(1u << 20)
#define BLAST_FRAME_MAX (4u << 20) /* a longer frame is not one of ours */
#define BLAST_PARTS	40	   /* hessian2 cuts a string every 32,768 characters */

/* Ids are four bytes as a varint, so that a compact Thrift message never changes its length. */
#define BLAST_ID_MIN  (1u << 21)
#define BLAST_ID_SPAN ((1u << 28) - BLAST_ID_MIN)

/* Whom a call names. */
struct blast_names {
	const char *service; /* Dubbo's interface */
	const char *method;
	uint16_t command; /* awesomeRPC's req_cmd */
};

/* A whole message whose id and head are put in place each time it is sent. */
struct blast_message {
	uint8_t *bytes;
	uint32_t len, cap;
	uint32_t size; /* of its payload */
	uint32_t id_at, head_at;
};

enum blast_take { BLAST_MORE, BLAST_TAKEN, BLAST_MALFORMED };
enum blast_kind {
	BLAST_CALL,	 /* or its good answer */
	BLAST_ERROR,	 /* a reply that is the protocol's error */
	BLAST_EVENT,	 /* to be passed over (Dubbo's one-way events and answers to them) */
	BLAST_HEARTBEAT, /* to be answered by what `pong` writes */
};

/* What one frame holds; slices lie in the bytes that were given. */
struct blast_frame {
	enum blast_kind kind;
	uint32_t len; /* of the frame; also with BLAST_MORE when known, else 0 */
	uint64_t id;
	uint32_t size; /* of the payload, all parts together */
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
	/* Looks at the first frame of `len` bytes; `request`: it came from a client. */
	enum blast_take (*take)(
		const uint8_t *p, uint32_t len, bool request, struct blast_frame *f);
	/* The 17 bytes that answer a heartbeat; NULL: the protocol has none. */
	void (*pong)(uint64_t id, uint8_t out[17]);
};

extern const struct blast_proto blast_dubbo, blast_thrift, blast_thrift_compact, blast_awesomerpc,
	blast_tcp;
extern const struct blast_proto *const blast_protos[]; /* ends with NULL */
const struct blast_proto *blast_proto_find(const char *name);

/* Building blocks of `make`. Memory that cannot be had ends the program. */
void blast_put(struct blast_message *m, const void *bytes, uint32_t len);
void blast_put_be32(struct blast_message *m, uint32_t v);
/* Payload bytes from..from+len: the first 20 are left for the head, the rest is the pattern. */
void blast_put_payload(struct blast_message *m, uint32_t from, uint32_t len);
void blast_set_be32(struct blast_message *m, uint32_t at, uint32_t v);

static inline uint32_t blast_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Messages by size, so that fixed sizes are built once. */
struct blast_cache {
	const struct blast_proto *proto;
	struct blast_names names;
	bool request;
	struct blast_message slots[64];
};

/* The message for `size`, with this id and head; the cache's until the next call. */
const struct blast_message *blast_cache_get(
	struct blast_cache *c, uint32_t size, uint64_t id, const uint8_t head[BLAST_HEAD]);
void blast_cache_fini(struct blast_cache *c);

void blast_head_write(uint8_t head[BLAST_HEAD], uint64_t token, uint32_t reply_size);
/* The length in a head; UINT32_MAX: there is none. */
uint32_t blast_head_size(const uint8_t head[BLAST_HEAD]);
/* Whether what follows the head is the pattern. */
bool blast_frame_pattern(const struct blast_frame *f);
