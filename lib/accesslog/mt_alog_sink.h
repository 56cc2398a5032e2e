/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks of access logs: a file, or descriptor 1 or 2. Each has a buffer of 4 MiB and a thread, so
 * that a slow disk or a stopped reader delays only its own lines. One other thread puts lines.
 *
 * Invariants:
 * - A line is written whole or lost, and each lost line is counted with a reason:
 *   wanted = written + lost + lines in the buffer. If the buffer is full, the newest line is lost.
 * - Files are opened only below the directories that the node permits, by openat2() with
 *   RESOLVE_BENEATH and without links: a regular file with one name, O_APPEND, mode 0640. Any other
 *   file is not opened, and the sink tries again each second.
 * - Before each write the path is compared with the open file, and opened again after a rename or
 *   removal. A rest of a line goes to the old file, if it can be written there.
 * - After an error a line stays in the buffer and is written again a second later.
 * - Descriptors 1 and 2 are never opened, closed, or made non-blocking, because other processes may
 *   share them. A pipe gets at most PIPE_BUF bytes when poll() reports room.
 */
#pragma once

#include "mt_log.h"

#define MT_ALOG_DIRECTORY "/var/log/meltemi" /* permitted if the node names no directory */
#define MT_ALOG_BUFFER	  (4u << 20)	     /* bytes */
#define MT_ALOG_STOP	  (2 * MT_SEC)	     /* to write the buffers when the daemon stops */

/* Where lines go. */
struct mt_alog_place {
	char *directory, *path; /* path: below the directory; NULL: a descriptor */
	int fd;			/* if path is NULL */
};

/*
 * Finds the place of a path in a document. "/dev/stdout" and "/dev/stderr" are descriptors 1 and 2;
 * any other path must be below one of the directories. Returns 0, or -EINVAL or -ENOMEM with the
 * reason in *e.
 */
int mt_alog_place_of(const char *path, const char *const *directories, uint32_t n,
	struct mt_alog_place *place, struct mt_err *e);
void mt_alog_place_fini(struct mt_alog_place *place);

/* sink_states.def */
enum mt_alog_state {
#define MT_ALOG_STATE(name, loses, words) MT_ALOG_STATE_##name,
#include "sink_states.def"
#undef MT_ALOG_STATE
	MT_ALOG_STATES
};

const char *mt_alog_state_name(enum mt_alog_state s);
const char *mt_alog_state_words(enum mt_alog_state s);
/* True if lines are lost although there is space for them. */
bool mt_alog_state_loses(enum mt_alog_state s);

struct mt_alog_sink_stats {
	uint64_t wanted, written, lost[MT_ALOG_STATES]; /* lines */
	uint64_t bytes;					/* written */
	uint64_t opened;				/* times that the file was opened */
	enum mt_alog_state state;
	struct mt_err why; /* the last error; empty if there was none since the last write */
};

struct mt_alog_sink;

/* Starts a sink, which takes over the place. NULL with the reason in *e. Control thread. */
struct mt_alog_sink *mt_alog_sink_new(struct mt_alog_place *place, struct mt_err *e);
/* Opens the file again before the next line. Any thread. */
void mt_alog_sink_reopen(struct mt_alog_sink *s);
void mt_alog_sink_stats(struct mt_alog_sink *s, struct mt_alog_sink_stats *to);

/* Copies a line into the buffer. False: it is lost (counted). Only the thread that renders. */
bool mt_alog_sink_put(struct mt_alog_sink *s, const char *line, uint32_t len);
/* Lets the lines be written that were put. Call after each round of lines. The same thread. */
void mt_alog_sink_flush(struct mt_alog_sink *s);

/*
 * Ends the sink: no line may be put any more, and what the buffer has is written for at most `ns`.
 * Call it for all sinks, then mt_alog_sink_join() for each, so that they end together.
 */
void mt_alog_sink_stop(struct mt_alog_sink *s, uint64_t ns);
/* After mt_alog_sink_stop(): true if mt_alog_sink_join() does not wait. */
bool mt_alog_sink_may_join(struct mt_alog_sink *s);
/*
 * Waits for the end. Lines that were not written are counted as lost. False: the thread hangs in a
 * write; it and its memory stay until the process ends.
 */
bool mt_alog_sink_join(struct mt_alog_sink *s);
/* After mt_alog_sink_join(); NULL is allowed. */
void mt_alog_sink_free(struct mt_alog_sink *s);
