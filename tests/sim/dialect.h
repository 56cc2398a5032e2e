/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocols that the simulator's clients and servers speak, written by hand from the protocols'
 * documents and without lib/codec, so that a defect of a codec shows. A dialect wraps the application's
 * bytes (app_rpc.h) into messages and takes them out again. Both sides know what the other one must
 * have written: a message is a function of its struct wire_msg and a salt, so a receiver writes it once
 * more and compares all bytes.
 */
#pragma once

/* A salt of this begin stands for so many attachments more as its last 12 bits say. */
#define DUBBO_MANY	0xa7c35000u
#define DUBBO_MANY_MASK 0x00000fffu

#include "mt_codec.h"
#include "rpc_bytes.h"

enum wire_kind {
	WIRE_CALL,
	WIRE_ONEWAY,
	WIRE_REPLY,
	WIRE_HEARTBEAT,
	WIRE_HEARTBEAT_REPLY,
	WIRE_DRAIN, /* the server asks for no new requests */
};

enum wire_status {
	WIRE_OK,
	WIRE_APP_ERROR, /* made by the server; carries a body like WIRE_OK */
	WIRE_NATIVE,	/* made by the proxy */
};

struct wire_msg {
	enum wire_kind kind;
	enum wire_status status;
	uint32_t
		native; /* WIRE_NATIVE: bit 1 << enum mt_local_reply for each that it may stand for */
	uint64_t id;
	char route;	     /* 'a' or 'b'; 0: the message does not say */
	uint32_t timeout_ms; /* that a call carries; 0: none */
	/* Metadata that the proxy has added to a call, in this order; key NULL: none (Dubbo). */
	struct {
		const char *key, *value;
	} added[2];
	const uint8_t *body;
	uint32_t body_len;
};

struct dialect {
	const char *name;
	uint32_t index;	  /* in sim_stats.dialect */
	uint64_t id_mask; /* bits of an id */
	bool oneway, heartbeats, drains, timeouts;
	bool half_close; /* a server may end its sending side alone and read on; else it reads nothing behind its FIN */
	uint32_t variant; /* the dialect's own */
	/* Bytes of the message at the head; 0: more are needed to tell; UINT32_MAX: it is none. */
	uint32_t (*length)(const struct dialect *d, const uint8_t *p, uint32_t n);
	/* Reads a whole message; m->body may lie in `flat`. NULL, or what is wrong with it. */
	const char *(*read)(const struct dialect *d, const uint8_t *p, uint32_t n,
		struct rpc_bytes *flat, struct wire_msg *m);
	/* Appends it. WIRE_NATIVE is never written: only the proxy makes such errors. */
	void (*write)(const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m,
		uint32_t salt);
};

/* What a listener offers: a codec with options, and the dialects that its clients may speak. */
struct protocol {
	const struct mt_codec *codec;
	uint8_t opts;
	bool serial;	/* servers take one call at a time on a connection */
	bool ordered;	/* clients want their replies in the order of their requests */
	bool keeps_ids; /* servers see the clients' ids, and have to answer with them */
	const char *route_key;
	bool route_leads; /* the key is known before the message is complete */
	const struct dialect *dialects;
	uint32_t n_dialects;
	/* Which one a connection's first bytes are in; NULL: more bytes are needed. */
	const struct dialect *(*of)(const uint8_t *p, uint32_t n);
};

enum protocol_want { WANT_SAFE, WANT_SERIAL, WANT_THRIFT, WANT_DUBBO, WANT_ANY };

/* Chooses by seed. */
void protocol_draw(struct protocol *p, struct mt_rand *r, enum protocol_want want);

/* A message that nobody could have written so. `again` is scratch. */
bool dialect_same(const struct dialect *d, const uint8_t *p, uint32_t n, const struct wire_msg *m,
	uint32_t salt, struct rpc_bytes *again);

/* Their places in sim_stats.dialect and dialect_names. */
#define DIALECT_TOY	 0
#define DIALECT_DUBBO	 1
#define DIALECT_AWESOME	 2
#define DIALECT_THRIFT	 3
#define DIALECT_THRIFT_N 8
#define DIALECT_VARINTS	 (DIALECT_THRIFT + DIALECT_THRIFT_N)
#define DIALECT_LINES	 (DIALECT_VARINTS + 1)
#define DIALECTS	 (DIALECT_LINES + 1)

const char *dialect_name(uint32_t index);
/* The dialect that a codec file describes, by the codec's name; NULL: there is none. */
const struct dialect *dialect_of_file(const char *codec);
/* Whether seeds may draw the dialect: only codec files describe some, and they take the place of others. */
bool dialect_is_drawn(uint32_t index);
extern const struct dialect dialect_toy, dialect_dubbo, dialect_awesome, dialect_varints,
	dialect_lines;
extern const struct dialect dialect_thrift[DIALECT_THRIFT_N];
const struct dialect *dialect_thrift_of(const uint8_t *p, uint32_t n);
