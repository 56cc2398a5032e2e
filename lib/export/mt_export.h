/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/export: records for collectors over gRPC or HTTP, such as lines of access logs. One other
 * thread puts encoded records into the queue of a provider, and the library's thread `mt-export`
 * sends them. Retry rules, also for the export of metrics, are in mt_export_retry.h.
 *
 * Path of a record:
 * 1. mt_export_put() copies it into the queue, a ring of MT_EXPORT_QUEUE bytes.
 * 2. When MT_EXPORT_FULL bytes wait, or after `flush`, the thread makes a message of up to
 *    MT_EXPORT_BATCH bytes and sends it by a call of its own: it opens a stream, sends the message,
 *    closes its side, and waits for the status. A service of streams (ALS) ends a stream with a
 *    status too, so that the status confirms the records. By HTTP a message is a request, and its
 *    status confirms the records.
 * 3. Only then the records leave the queue, and the next message is made.
 *
 * Invariants:
 * - Each record is counted once: wanted = sent + lost + records in the queue. Lost records have a
 *   reason (export_states.def).
 * - A full queue drops the newest record. Memory of a queue is its ring and one message.
 * - After a temporary failure the message is sent again, so a collector that took it without an
 *   answer has its records twice. It is lost after `patience` since its first call and three
 *   calls, because a message on which a collector fails must not stop all others. A delay that the
 *   collector specifies is at most half of `patience`, and ends with a connection of gRPC.
 * - While there is no connection, records wait.
 * - The producer never waits, and no queue waits for another one: a collector that hangs delays
 *   only its own records.
 * - The close of a connection without a call is not a failure, because servers close idle
 *   connections. By gRPC the thread connects again at once, unless the connection lasted under a
 *   second, and by HTTP for the next message.
 */
#pragma once

#include "mt_grpc_target.h"
#include "mt_log.h"

#define MT_EXPORT_QUEUE	 (4u << 20)   /* bytes of a queue */
#define MT_EXPORT_BATCH	 (256u << 10) /* bytes of records in a message, and of the largest record */
#define MT_EXPORT_FULL	 (16u << 10)  /* so many bytes are sent without a wait */
#define MT_EXPORT_FRAMES 3

/* export_states.def */
enum mt_export_state {
#define MT_EXPORT_STATE(name) MT_EXPORT_##name,
#include "export_states.def"
#undef MT_EXPORT_STATE
	MT_EXPORT_STATES
};

/*
 * A message that contains the records, or contains such a message: `before`, other fields; then the
 * tag and the length of a field with all that follows. Tag 0: only `before`, in the message around.
 */
struct mt_export_frame {
	const uint8_t *before;
	uint32_t len;
	uint8_t tag;
};

/*
 * Requests of HTTP/1.1: POST, with TLS if the target has it. None of the texts has control
 * characters, but for the line ends of `lines`.
 */
struct mt_export_http {
	const char *authority; /* header Host */
	const char *content_type;
	const char *lines; /* further headers: "NAME: VALUE" with line ends between; NULL: none */
};

struct mt_export_conf {
	const char *name;	       /* of the provider, for *e */
	struct mt_grpc_target *target; /* the queue takes a reference */
	/* "/package.Service/Method"; static. Of HTTP: the path, which is copied. */
	const char *path;
	const struct mt_export_http *http; /* is copied; NULL: gRPC */
	bool is_list;			   /* a message is a list of JSON, without frames */
	/* From the outermost to the one around the records, which have tags of their own. */
	struct mt_export_frame frames[MT_EXPORT_FRAMES];
	uint32_t n_frames;
	/*
	 * Reads the answer, of HTTP its body: how many records the collector rejected, and its
	 * words. 0, or a negative value if it cannot be read. NULL: calls need no answer, only a
	 * status; UNKNOWN with the words "EOF" is one too, because services in Go return the end of
	 * the stream as an error.
	 */
	int (*answer)(const uint8_t *data, size_t len, uint64_t *rejected, char *words,
		size_t words_size);
	/* Only tests set these; 0: the values of the daemon. */
	uint64_t timeout;  /* ns for a call; 0: 10 s */
	uint64_t flush;	   /* ns that a record waits for others; 0: 1 s */
	uint64_t patience; /* ns to try a message, three times at least; 0: 300 s */
};

struct mt_export_stats {
	uint64_t wanted, sent, lost[MT_EXPORT_STATES]; /* records */
	uint64_t bytes;				       /* of the records sent */
	uint64_t calls;				       /* failed ones, too; for tests */
	enum mt_export_state state;
	char why[256]; /* the last failure; "" if there was none since the last success */
};

struct mt_export;
struct mt_export_queue;

/* ---- control thread -------------------------------------------------------------------------- */

/* NULL with the reason in *e. The thread starts with the first queue. */
struct mt_export *mt_export_new(struct mt_err *e);
/* Ends the thread. Call after all queues are freed. NULL is allowed. */
void mt_export_free(struct mt_export *x);

/* Copies `conf`. NULL with the reason in *e. */
struct mt_export_queue *mt_export_queue_new(
	struct mt_export *x, const struct mt_export_conf *conf, struct mt_err *e);
/* Sends to this target from now on; a message that was not confirmed is sent there again. */
void mt_export_queue_move(struct mt_export_queue *q, struct mt_grpc_target *target);
/* No record may be put any more; those in the queue are sent for at most `ns`. Does not wait. */
void mt_export_queue_stop(struct mt_export_queue *q, uint64_t ns);
/* After mt_export_queue_stop(): true if mt_export_queue_join() does not wait. */
bool mt_export_queue_ended(struct mt_export_queue *q);
/* Waits for the end. Records that were not sent are counted as lost. */
void mt_export_queue_join(struct mt_export_queue *q);
/* After mt_export_queue_join(); NULL is allowed. */
void mt_export_queue_free(struct mt_export_queue *q);

/* Any thread. */
void mt_export_stats(struct mt_export_queue *q, struct mt_export_stats *to);

/* ---- the thread that puts records ------------------------------------------------------------ */

/*
 * Copies a record: fields of the innermost frame, at most MT_EXPORT_BATCH bytes. False: it is lost
 * (counted).
 */
bool mt_export_put(struct mt_export_queue *q, const uint8_t *data, uint32_t len);
/* Lets the records be sent that were put. Call after each round of records. */
void mt_export_flush(struct mt_export_queue *q);
