/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/codec: what depends on one layer-7 protocol. The contract (struct mt_codec) has properties,
 * and five tables of pure functions over chains: no I/O, no clock, no allocation except from the
 * pools passed in. Called by lib/proxy; filters and routes see messages only through struct mt_view
 * (mt_view.h).
 */
#pragma once

#include "mt_base.h"
#include "mt_buf.h"
#include "mt_metadata.h"
#include "mt_mutant.h"

enum mt_dir {
	MT_DIR_DOWN, /* bytes from a client */
	MT_DIR_UP,   /* bytes from a server */
};

enum mt_msg_kind {
	MT_MSG_REQUEST,
	MT_MSG_REPLY,
	MT_MSG_ONEWAY,	  /* a request that is never answered */
	MT_MSG_HEARTBEAT, /* requests a heartbeat answer; hop by hop, never forwarded */
	MT_MSG_HEARTBEAT_REPLY,
	MT_MSG_EVENT, /* needs no answer; from a server: see `event` */
	MT_MSG_STREAM_OPEN,
	MT_MSG_STREAM_DATA,
	MT_MSG_STREAM_CLOSE,
	MT_MSG_CONN, /* connection-level: handshake, opaque bytes */
	MT_MSG_N_KINDS
};

enum mt_msg_event {
	MT_EVENT_NONE,
	MT_EVENT_DRAIN,	 /* the server wants no new requests on this connection (Dubbo READONLY) */
	MT_EVENT_RESUME, /* the server accepts requests again (Dubbo WRITEABLE) */
};

/*
 * Class of a reply: how it counts for the endpoint, and whether a retry policy may replace it.
 * decode() knows the first three; mt_codec_classify() finds the class of a server error.
 */
enum mt_msg_status {
	MT_STATUS_OK,
	MT_STATUS_APP_ERROR,	/* the service replied with an exception of its own */
	MT_STATUS_SERVER_ERROR, /* the framework at the server failed the call */
	MT_STATUS_OVERLOAD,	/* the server has too many calls */
	MT_STATUS_UNAVAILABLE,	/* the server cannot serve the call now */
	MT_STATUS_DEADLINE,	/* the server did not end the call in time */
	MT_STATUS_CALLER_ERROR, /* by the call's own fault: any server would reply so */
	MT_STATUS_REFUSED,	/* another Meltemi refused it: denied, over a limit, overload */
	MT_STATUS_N
};

const char *mt_msg_status_name(enum mt_msg_status status);

/* True if the reply counts as a failure of its endpoint. */
static inline bool mt_status_blames_server(enum mt_msg_status status)
{
	return status >= MT_STATUS_SERVER_ERROR && status <= MT_STATUS_DEADLINE;
}

/* How replies find their requests (design §6). */
enum mt_correlation {
	MT_CORR_SAFE,	   /* ids may be shared across clients on one upstream connection */
	MT_CORR_SERIAL,	   /* one outstanding per upstream connection */
	MT_CORR_ORDERED,   /* reply order is the correlation */
	MT_CORR_EXCLUSIVE, /* connection state: one upstream connection per client connection */
};

/* Why Meltemi replies in place of a server; each codec maps these to its native errors. */
enum mt_local_reply {
	MT_REPLY_NO_ROUTE,
	MT_REPLY_NO_CLUSTER,
	MT_REPLY_NO_ENDPOINT, /* no healthy endpoint, or connect failed */
	MT_REPLY_OVER_LIMIT,  /* a rate limit */
	MT_REPLY_OVERLOAD,    /* Meltemi's own queues or memory */
	MT_REPLY_TIMEOUT,
	MT_REPLY_CONN_LOST,   /* the upstream connection ended before the reply */
	MT_REPLY_BAD_REQUEST, /* malformed; the connection is closed after it */
	MT_REPLY_BAD_REPLY,   /* the server's reply was malformed */
	MT_REPLY_UNSUPPORTED, /* a feature that cannot be proxied (THeader transforms) */
	MT_REPLY_DENIED,      /* by policy */
	MT_REPLY_TOO_LARGE,   /* more metadata than the limits of the metadata index */
	MT_REPLY_NO_UPGRADE,  /* it requests an extension that changes all later messages */
	MT_REPLY_N
};

const char *mt_local_reply_str(enum mt_local_reply r);

#define MT_MSG_FIELDS 12

/*
 * One message: a range of bytes at the head of a connection's receive chain. Offsets count from the
 * message's first byte. Fields are offsets to what the decoder has passed, so nothing is read
 * twice; each codec defines its own indices.
 *
 * The decoder clears the struct at a message's start and fills it over several calls. Pass the same
 * struct to decode() until DONE.
 */
struct mt_msg {
	enum mt_msg_kind kind;
	enum mt_msg_status status; /* replies */
	enum mt_msg_event event;
	uint32_t len;	   /* whole message in bytes; 0 while unknown (unframed Thrift) */
	uint32_t lead_len; /* bytes that hold the leading metadata and the id */
	uint64_t id; /* the client's id (requests) or ours (replies); 0 if the codec has none */
	uint32_t timeout_ms; /* the deadline that the message carries; 0: none */
	struct {
		uint32_t off, len;
	} field[MT_MSG_FIELDS];
	/*
	 * Requests of different classes never share an upstream connection, not even one after the
	 * other, because servers detect a connection's dialect once (Thrift: transport and
	 * protocol).
	 */
	uint8_t lane_class;
	/* Kind and id are known: save() and reply() work, even if decode() then returns BAD. */
	bool can_reply;
	/*
	 * 0, or 1 + enum mt_local_reply: the message's end is known but it cannot be proxied. Send
	 * this local reply and go on with the next message.
	 */
	uint8_t refuse;
	uint8_t variant; /* the codec's own: transport, protocol, serialization */
	uint8_t flags;	 /* the codec's own */
	uint16_t aux;	 /* the codec's own */
	uint32_t aux32;	 /* the codec's own */
};

enum mt_decode {
	MT_DECODE_MORE, /* all bytes were read; more are needed */
	/*
	 * Kind, id, status, leading metadata and len are known; the rest is still to come. With len
	 * 0 only DONE will show the length. At most once for each message, requests and replies
	 * alike, and not at all if the message is complete in the same call. Call again for DONE.
	 */
	MT_DECODE_LEADING,
	MT_DECODE_DONE, /* the message is complete: its first msg->len bytes of the chain */
	MT_DECODE_BAD,	/* malformed: see dec->why; the connection cannot go on */
};

#define MT_DECODER_STATE 96

/*
 * A push decoder for one direction of one connection. It reads its chain at the cursor and never
 * moves bytes. After DONE the caller takes msg->len bytes off the chain's head and calls
 * mt_decoder_next(). The result of variant detection (Thrift transport) stays in `conn`.
 *
 * Cut-through: after LEADING the caller may take bytes of this message off the chain's head and
 * report them by mt_decoder_taken(). If msg->len is known, it may take all of them, and then it may
 * also skip the call for DONE. If len is 0, it may take at most d->cur.pos bytes, because only what
 * the decoder has passed is known to belong to the message.
 */
struct mt_decoder {
	const struct mt_codec *codec;
	enum mt_dir dir;
	/* the codec's state machine; 0 at a message's start, when `state` is unused */
	uint8_t step;
	uint8_t opts;	      /* MT_CODEC_OPT_* */
	bool too_long;	      /* with MT_DECODE_BAD: because of max_message */
	uint32_t max_message; /* longer messages are refused before memory is spent */
	uint32_t taken;	      /* bytes of this message that were already taken off the chain */
	/*
	 * Work that this call may do; a step is a few ns. decode() subtracts what it did. At 0 it
	 * may return MORE although there are bytes. Set by the caller.
	 */
	uint32_t steps;
	struct mt_cursor cur;
	const char *why;  /* static text, set with MT_DECODE_BAD */
	uint64_t conn[2]; /* the codec's, for the connection's lifetime; initially zero */
	uint8_t state[MT_DECODER_STATE]
		__attribute__((aligned(8))); /* per message; zeroed by next() */
};

/* A number of errors of a protocol, and its class. */
struct mt_error_class {
	uint16_t number;
	uint8_t status;	      /* enum mt_msg_status */
	const char *name;     /* in the protocol's specification */
	const char *contains; /* only if the error's text contains this; NULL: always */
};

#define MT_ERROR_TEXT 256

/* Contents of an error reply. */
struct mt_error {
	uint32_t number; /* UINT32_MAX: it is not known (yet) */
	uint32_t len;
	char text[MT_ERROR_TEXT]; /* its beginning, not terminated */
};

#define MT_CODEC_OPT_MULTIPLEXING 0x01 /* ApplicationProtocol spec.multiplexing: true */

/* Set or remove one metadata value; value NULL removes. */
struct mt_mutation {
	const char *key, *value;
	uint16_t key_len, value_len;
};

enum mt_sniff { MT_SNIFF_NO, MT_SNIFF_YES, MT_SNIFF_MORE };

/*
 * Kept of a request, to send a local reply and to restore the client's id after its bytes are gone.
 * Only the codec reads it.
 */
#define MT_SEED_SIZE 104
struct mt_seed {
	uint64_t id;
	uint8_t len, variant, flags, pad;
	uint32_t aux;
	uint8_t bytes[MT_SEED_SIZE - 16];
};

struct mt_codec {
	const char *name;	 /* "dubbo": third word of tcp-metaprotocol-<name> */
	const char *aeraki_name; /* "aeraki.meta_protocol.codec.dubbo" */
	/*
	 * Input of mt_codec_identity(). A codec that is code has `content` 0; its version
	 * changes when mt_msg, a seed or a decoder's state get another meaning. A codec that is
	 * data has a hash of all that it consists of, its name included.
	 */
	uint32_t version;
	uint64_t content;
	enum mt_correlation correlation;
	enum mt_correlation correlation_mux; /* with MT_CODEC_OPT_MULTIPLEXING */
	bool server_speaks_first;
	bool opaque;	      /* bytes, no messages: lib/proxy's opaque path */
	bool ordered_replies; /* downstream clients want replies in request order */
	uint32_t max_message; /* default cap */
	/*
	 * Range of ids that Meltemi may choose, both ends included; id_max 0: the codec has no id.
	 * id_min and id_max + 1 are multiples of 4,096, so that a wrapping counter keeps its place
	 * in an id ring. A codec with varint ids uses a range of constant width.
	 */
	uint64_t id_min, id_max;
	/* Servers never half-close: after their FIN they read nothing that we send. */
	bool whole_close;
	/* Servers execute a call only when they have its last byte. */
	bool executes_whole;
	/*
	 * Clients never half-close: a client that has sent FIN reads no reply, so its FIN ends the
	 * calls that wait for one.
	 */
	bool client_whole_close;
	/* s: longest pause between heartbeats to a server while a call waits (lib/proxy) */
	uint32_t heartbeat_s;
	const char *service_key; /* metadata that names the service on a shared port, or NULL */
	/*
	 * Metadata, found by search, from which servers may take the service's name as well; for
	 * authorization.
	 */
	const struct mt_key *service_aliases;
	uint32_t n_service_aliases;
	/*
	 * Servers accept "GROUP/NAME:VERSION" for NAME as well, with or without GROUP and VERSION.
	 * These are the metadata that the two parts replace; for authorization.
	 */
	const struct mt_key *service_parts;
	uint32_t n_service_parts;
	/*
	 * Servers may execute another service or method than the metadata name (the body of a
	 * SOFABolt request names them again), and use other metadata. Authorization by them denies.
	 */
	bool executes_other;
	/*
	 * With executes_other: the metadata that servers do take from where the codec finds them,
	 * NULL-terminated; "*": all but service and method. Authorization by others denies.
	 */
	const char *const *executed_keys;
	/* Objects of kind DubboAuthorizationPolicy authorize its calls. */
	bool dubbo_policies;
	/*
	 * Metadata with the caller's time-out in ms as decimal text, for complete requests. name
	 * NULL: the protocol has none, or decode() sets msg->timeout_ms.
	 */
	struct mt_key deadline_key;
	/* Metadata with the method's name, a leading key; name NULL: there is none. */
	struct mt_key method_key;
	/* Its index in mt_msg.field after decode(), off 0: no request has it; 0: use leading(). */
	uint8_t method_field;
	uint8_t service_field;	 /* the same of service_key, if it is a leading key */
	const char *const *keys; /* well-known keys, NULL-terminated; index = mt_key.id */
	uint32_t leading_keys;	 /* bit i: keys[i] is known at MT_DECODE_LEADING */

	/*
	 * If a key is repeated, the servers of this protocol use the first value; false: the last.
	 */
	bool first_counts;

	/*
	 * The functions, by what they work on. `self` is the codec itself, so that one function
	 * can serve several codecs that differ in their content.
	 */
	struct mt_codec_frame {
		/*
		 * Checks whether a connection's first bytes belong to this codec. *need: bytes
		 * needed for MORE.
		 */
		enum mt_sniff (*sniff)(
			const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need);

		enum mt_decode (*decode)(
			const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg);
	} frame;

	struct mt_codec_correlate {
		/*
		 * Place of the id if it is the same in every message, big-endian: its offset, and
		 * its width of 4 or 8 bytes. Then set_id() and restore_id() are NULL, and
		 * mt_codec_set_id() writes it. 0: they do.
		 */
		uint8_t id_at, id_width;

		/* Saves what reply() and restore_id() need; the client's id in seed->id. */
		void (*save)(const struct mt_codec *self, const struct mt_msg *msg,
			const struct mt_chain *c, struct mt_seed *seed);

		/*
		 * Writes Meltemi's id into the message that `c` starts with and of which at least
		 * lead_len bytes are there. The length may change; msg is updated. Returns 0, or
		 * with nothing changed -ENOMEM, or -ENOTSUP: the message has no room for the id.
		 * NULL if the codec has no ids. Call it by mt_codec_set_id().
		 */
		int (*set_id)(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
			uint64_t id, struct mt_pools *p);
		/* Writes the client's own id back into a reply. Call mt_codec_restore_id(). */
		int (*restore_id)(const struct mt_codec *self, struct mt_msg *msg,
			struct mt_chain *c, const struct mt_seed *seed, struct mt_pools *p);
	} correlate;

	struct mt_codec_metadata {
		/*
		 * The value of a key that needs no search: a leading one, after LEADING. `c` starts
		 * with the message. A value that crosses mbufs is copied to scratch
		 * (MT_META_SCRATCH bytes; a longer one is not found). Whole numbers are returned as
		 * decimal text. false: not there; then the index is searched. A mutation never
		 * changes the result.
		 */
		bool (*leading)(const struct mt_codec *self, const struct mt_msg *msg,
			const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
			uint8_t *scratch);

		/*
		 * Reads all other metadata of a message into an empty index, by one walk that only
		 * goes forward, sets meta->state, and adds its work to meta->took (a step is a few
		 * ns). NULL: there are none.
		 */
		void (*index)(const struct mt_codec *self, struct mt_msg *msg,
			const struct mt_chain *c, struct mt_metadata *meta);

		/*
		 * For a message longer than MT_SCAN_AT_ONCE, which may be incomplete: continues the
		 * search for the position where index() starts. Subtracts its work from *steps (a
		 * step is a few ns) and stops at 0. NULL: the metadata come first in a message.
		 */
		enum mt_scan_rc (*seek)(const struct mt_codec *self, struct mt_scan *s,
			struct mt_msg *msg, const struct mt_chain *c, uint32_t *steps);
		/*
		 * True if such a request carries metadata. Without an index Meltemi cannot read
		 * them, but a server may. NULL: no request has to carry metadata.
		 */
		bool (*carries)(const struct mt_codec *self, const struct mt_msg *msg);
		/*
		 * True if the codec cannot find the key in such a request, but finds it in those of
		 * another dialect, which the client chooses. NULL: no dialects differ in that.
		 */
		bool (*lacks)(const struct mt_codec *self, const struct mt_msg *msg,
			const struct mt_key *key);
		/*
		 * The method that a complete call names in its arguments (Dubbo's $invoke), and
		 * that the server runs instead of the call's own: returns 1. 0: it names none. -1:
		 * it may name one, which cannot be read. NULL: the protocol has no such calls.
		 */
		int (*inner_method)(const struct mt_codec *self, const struct mt_msg *msg,
			const struct mt_chain *c, struct mt_slice *value, uint8_t *scratch);
	} metadata;

	struct mt_codec_rewrite {
		/*
		 * Sets or removes metadata in a complete message whose bytes are exactly `c`; msg
		 * is updated. Returns 0, -ENOMEM, or -ENOTSUP if this variant has no metadata that
		 * can be changed; on an error nothing is changed. `meta` is the message's index,
		 * read or not; after a change it is not valid. NULL: the protocol has no metadata.
		 */
		int (*mutate)(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
			struct mt_metadata *meta, const struct mt_mutation *m, uint32_t n,
			struct mt_pools *p);

		/*
		 * True if the client whose request `seed` was saved from can read this reply with
		 * metadata added. NULL: each client can read each reply.
		 */
		bool (*reads_added)(const struct mt_codec *self, const struct mt_seed *seed,
			const struct mt_msg *reply);
	} rewrite;

	struct mt_codec_write {
		/*
		 * Appends a native error for the saved request. Returns 0, -ENOMEM, or -ENOTSUP
		 * (close instead).
		 */
		int (*reply)(const struct mt_codec *self, const struct mt_seed *seed,
			enum mt_local_reply what, const char *text, struct mt_chain *out,
			struct mt_pools *p);

		/*
		 * Appends Meltemi's own heartbeat to a server, with `id`. Returns 0, or -ENOMEM.
		 * NULL: servers get no heartbeats.
		 */
		int (*heartbeat)(const struct mt_codec *self, uint64_t id, struct mt_chain *out,
			struct mt_pools *p);
		/*
		 * Appends the answer to the heartbeat `msg` at the start of `c`. Returns 0,
		 * -ENOMEM, or -ENOTSUP: there is none for this heartbeat. NULL: heartbeats are not
		 * answered.
		 */
		int (*heartbeat_reply)(const struct mt_codec *self, const struct mt_msg *msg,
			const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p);

		/*
		 * Appends a message that stops a client from sending more requests on its
		 * connection; those already sent are answered. Returns 0, or -ENOMEM. NULL: the
		 * protocol has no such message.
		 */
		int (*goaway)(const struct mt_codec *self, uint64_t id, struct mt_chain *out,
			struct mt_pools *p);
	} write;

	struct mt_codec_errors {
		/*
		 * Classes of the numbers that errors have; of rows with one number the first that
		 * applies counts. The page of the protocol in docs/protocols has the same rows.
		 */
		const struct mt_error_class *classes;
		uint32_t n_classes;
		uint8_t others; /* class of other numbers */

		/*
		 * Reads an error reply (MT_STATUS_SERVER_ERROR) at the start of `c`, which has at
		 * least the leading bytes. NULL: errors have no classes.
		 */
		void (*read)(const struct mt_codec *self, const struct mt_msg *msg,
			const struct mt_chain *c, struct mt_error *e);
	} errors;
};

#define MT_META_SCRATCH 4096

/* All codecs of this build, in the order used by sniffing; NULL-terminated. */
extern const struct mt_codec *const mt_codecs[];

/*
 * Finds a codec of this build, as mt_codec_registry_find(). A configuration may have more codecs:
 * what documents and operators name is found in its registry.
 */
const struct mt_codec *mt_codec_find(const char *name);

/* The codec of opaque TCP. */
const struct mt_codec *mt_codec_bytes(void);

/*
 * A number that codecs share only if they treat messages alike, wherever they are in memory.
 * Connections keep such a codec over a reload, and an image names it.
 */
uint64_t mt_codec_identity(const struct mt_codec *codec);

/* Finds the codec of this build with the identity; NULL: there is none. */
const struct mt_codec *mt_codec_of(uint64_t identity);

/* mt_codec_same() for different objects. */
bool mt_codec_alike(const struct mt_codec *a, const struct mt_codec *b);

/* True if both have the same identity, or both are NULL. */
static inline bool mt_codec_same(const struct mt_codec *a, const struct mt_codec *b)
{
	return mt_likely(a == b) || mt_codec_alike(a, b);
}

/* mt_codec_set_id() where ids have a fixed place. */
int mt_codec_put_id(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c,
	uint64_t id, struct mt_pools *p);

/* Writes Meltemi's id into a message, as correlate.set_id(). 0 if the codec has no ids. */
static inline int mt_codec_set_id(const struct mt_codec *codec, struct mt_msg *msg,
	struct mt_chain *c, uint64_t id, struct mt_pools *p)
{
	if (codec->correlate.id_width)
		return mt_codec_put_id(codec, msg, c, id, p);
	if (!codec->correlate.set_id)
		return 0;
	return codec->correlate.set_id(codec, msg, c, id, p);
}

/* Writes the client's id into a reply, as correlate.restore_id(). 0 if the codec has no ids. */
static inline int mt_codec_restore_id(const struct mt_codec *codec, struct mt_msg *msg,
	struct mt_chain *c, const struct mt_seed *seed, struct mt_pools *p)
{
	if (codec->correlate.id_width) {
		if (mt_mutant(MT_MUTANT_fixed_id_not_restored))
			return 0;
		return mt_codec_put_id(codec, msg, c, seed->id, p);
	}
	if (!codec->correlate.restore_id)
		return 0;
	return codec->correlate.restore_id(codec, msg, c, seed, p);
}

/*
 * Returns the class of a reply at the start of `c`, which has at least the leading bytes. A number
 * or text of the error that has not arrived does not count.
 */
enum mt_msg_status mt_codec_classify(
	const struct mt_codec *codec, const struct mt_msg *msg, const struct mt_chain *c);

/* Reads a message's index, whatever it contained before. */
void mt_meta_read(struct mt_metadata *m, const struct mt_codec *codec, struct mt_msg *msg,
	const struct mt_chain *c);

/*
 * Index of a key's next entry, from `from` on; UINT32_MAX: there is none. A caller that needs all
 * duplicates continues after it.
 */
uint32_t mt_meta_next(const struct mt_metadata *m, const struct mt_key *key, uint32_t from);

/*
 * The value of entry i; whole numbers as decimal text in scratch (MT_META_SCRATCH). false: it has
 * no text.
 */
bool mt_meta_value(
	const struct mt_metadata *m, uint32_t i, struct mt_slice *value, uint8_t *scratch);

/*
 * The value that counts (first_counts), from an index that was read. false: not there, or without
 * text. scratch: MT_META_SCRATCH bytes.
 */
bool mt_meta_find(const struct mt_metadata *m, const struct mt_codec *codec,
	const struct mt_key *key, struct mt_slice *value, uint8_t *scratch);

/* Compiles a key for this codec. `name` must outlive the key. */
struct mt_key mt_key_make(const struct mt_codec *codec, const char *name);
/* The same for a key that compares without case, also with keys that the codec knows. */
struct mt_key mt_key_make_icase(const struct mt_codec *codec, const char *name);

void mt_decoder_init(struct mt_decoder *d, const struct mt_codec *codec, enum mt_dir dir,
	uint8_t opts, const struct mt_chain *c);

/* Prepares for the next message. Call after taking the message off the chain's head. */
void mt_decoder_next(struct mt_decoder *d);

/* Call after taking n bytes of the current message off the chain's head. */
void mt_decoder_taken(struct mt_decoder *d, uint32_t n);

static inline enum mt_decode mt_decoder_run(struct mt_decoder *d, struct mt_msg *msg)
{
	return d->codec->frame.decode(d->codec, d, msg);
}

/* Sets `why` and returns MT_DECODE_BAD. */
static inline enum mt_decode mt_decode_bad(struct mt_decoder *d, const char *why)
{
	d->why = why;
	return MT_DECODE_BAD;
}

/* As mt_decode_bad(), for a message longer than d->max_message, which is counted separately. */
static inline enum mt_decode mt_decode_too_long(struct mt_decoder *d, const char *why)
{
	d->too_long = true;
	return mt_decode_bad(d, why);
}
