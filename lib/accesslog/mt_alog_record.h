/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values of a call, an opaque stream or a refused connection, as formats read them. It is a
 * view: texts belong to its maker and are valid while a line is rendered. All zero: no value is
 * known; what is not known is "-" in a line.
 */
#pragma once

#include "mt_ending.h"
#include "mt_value.h"

/* Texts about the TLS of one side. */
enum mt_alog_tls {
	MT_ALOG_TLS_VERSION,
	MT_ALOG_TLS_CIPHER,
	MT_ALOG_TLS_SESSION,
	MT_ALOG_TLS_PEER_URI,
	MT_ALOG_TLS_PEER_DNS,
	MT_ALOG_TLS_PEER_SUBJECT,
	MT_ALOG_TLS_PEER_ISSUER,
	MT_ALOG_TLS_PEER_FINGERPRINT, /* SHA-256 */
	MT_ALOG_TLS_PEER_SERIAL,
	MT_ALOG_TLS_LOCAL_URI,
	MT_ALOG_TLS_CLOSE,   /* how the connection was closed */
	MT_ALOG_TLS_FAILURE, /* why TLS or the connect failed */
	MT_ALOG_TLS_N
};

enum mt_alog_text {
	MT_ALOG_PROTOCOL,  /* name of the codec, "tcp" for opaque streams */
	MT_ALOG_INTERFACE, /* as the client sent it; not set: the protocol has none */
	MT_ALOG_METHOD,
	MT_ALOG_AUTHORITY, /* host of the service */
	MT_ALOG_ROUTE,
	MT_ALOG_CLUSTER,     /* outbound|PORT|SUBSET|HOST */
	MT_ALOG_REASON,	     /* added to the details of the ending */
	MT_ALOG_SERVER_NAME, /* requested by the client's TLS */
	MT_ALOG_FILTER_CHAIN,
	MT_ALOG_ATTEMPTED, /* endpoints of all attempts, with commas between them */
	MT_ALOG_STREAM_ID, /* name of the exchange or connection */
	MT_ALOG_TRACE_ID,
	MT_ALOG_SPAN_ID,
	MT_ALOG_DOWNSTREAM_TLS,					       /* + enum mt_alog_tls */
	MT_ALOG_UPSTREAM_TLS = MT_ALOG_DOWNSTREAM_TLS + MT_ALOG_TLS_N, /* + enum mt_alog_tls */
	MT_ALOG_TEXTS = MT_ALOG_UPSTREAM_TLS + MT_ALOG_TLS_N
};

enum mt_alog_number {
	MT_ALOG_BYTES_RECEIVED, /* of the request; opaque streams: from the client */
	MT_ALOG_BYTES_SENT,
	MT_ALOG_DOWN_WIRE_RECEIVED, /* the same with heartbeats and the like, without TLS and TCP */
	MT_ALOG_DOWN_WIRE_SENT,
	MT_ALOG_UP_WIRE_RECEIVED,
	MT_ALOG_UP_WIRE_SENT,
	MT_ALOG_ATTEMPTS,
	MT_ALOG_CONNECTION, /* id of the client's connection */
	MT_ALOG_UP_CONNECTION,
	MT_ALOG_NUMBERS
};

/* Points in time: downstream (client's side) and upstream, first and last byte. */
enum mt_alog_point {
	MT_ALOG_DS_CX_BEG,
	MT_ALOG_DS_CX_END,
	MT_ALOG_DS_RX_BEG,
	MT_ALOG_DS_RX_END,
	MT_ALOG_US_CX_BEG,
	MT_ALOG_US_CX_END,
	MT_ALOG_US_HS_END, /* end of the handshake */
	MT_ALOG_US_TX_BEG,
	MT_ALOG_US_TX_END,
	MT_ALOG_US_RX_BEG,
	MT_ALOG_US_RX_END,
	MT_ALOG_DS_TX_BEG,
	MT_ALOG_DS_TX_END,
	MT_ALOG_POOL_READY, /* a connection to the endpoint was available */
	MT_ALOG_STARTED,
	MT_ALOG_ENDED,
	MT_ALOG_POINTS
};

enum mt_alog_end {
	MT_ALOG_CLIENT,	       /* the client's address */
	MT_ALOG_CLIENT_DIRECT, /* the same without PROXY protocol */
	MT_ALOG_DOWN_LOCAL,    /* the address that the client connected to */
	MT_ALOG_UP_LOCAL,      /* Meltemi's address towards the endpoint */
	MT_ALOG_ENDPOINT,
	MT_ALOG_ENDS
};

/* When a line is written; only opaque streams have others than END. */
enum mt_alog_type {
	MT_ALOG_DOWNSTREAM_END,
	MT_ALOG_TCP_END,
	MT_ALOG_TCP_PERIODIC,
	MT_ALOG_TCP_START,
	MT_ALOG_TCP_CONNECTED,
	MT_ALOG_TYPES
};

/* Where a named value comes from. */
enum mt_alog_from {
	MT_ALOG_REQUEST,  /* the request's metadata; names are compared without case */
	MT_ALOG_RESPONSE, /* the reply's metadata; names are compared without case */
	MT_ALOG_DYNAMIC,  /* DYNAMIC_METADATA(space:name) */
	MT_ALOG_PEER,	  /* FILTER_STATE(space:FIELD:name): downstream_peer, upstream_peer */
};

struct mt_alog_named {
	enum mt_alog_from from;
	struct mt_slice space; /* DYNAMIC, PEER */
	struct mt_slice name;
	struct mt_value value; /* TEXT, INT or BOOL */
};

struct mt_alog_end_value {
	struct mt_addr addr; /* all zero: not known */
	uint16_t port;
};

struct mt_alog_record {
	enum mt_alog_type type;
	enum mt_ending ending;
	bool oneway;			 /* the client awaits no reply */
	uint32_t flags;			 /* enum mt_response_flag, added to those of the ending */
	uint16_t code;			 /* replaces that of the ending; 0: does not */
	uint16_t points_known;		 /* bits by enum mt_alog_point */
	uint32_t numbers_known;		 /* bits by enum mt_alog_number */
	uint64_t wall;			 /* ns since 1970: STARTED */
	uint64_t points[MT_ALOG_POINTS]; /* ns, of one clock */
	uint64_t numbers[MT_ALOG_NUMBERS];
	struct mt_slice texts[MT_ALOG_TEXTS]; /* p NULL: not set */
	struct mt_alog_end_value ends[MT_ALOG_ENDS];
	const struct mt_alog_named *named;
	uint32_t n_named;
};

static inline void mt_alog_set_point(
	struct mt_alog_record *r, enum mt_alog_point point, uint64_t ns)
{
	r->points[point] = ns;
	r->points_known |= (uint16_t)(1u << point);
}

static inline void mt_alog_set_number(
	struct mt_alog_record *r, enum mt_alog_number which, uint64_t n)
{
	r->numbers[which] = n;
	r->numbers_known |= 1u << which;
}

/* NULL: not set. The text is not copied. */
static inline void mt_alog_set_text(
	struct mt_alog_record *r, enum mt_alog_text which, const char *text)
{
	r->texts[which] =
		(struct mt_slice){(const uint8_t *)text, text ? (uint32_t)strlen(text) : 0};
}
