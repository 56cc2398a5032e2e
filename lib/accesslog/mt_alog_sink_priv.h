/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/accesslog: sink.c has the buffer and the thread, sink_file.c opens files. */
#pragma once

#include "mt_alog_sink.h"
#include "mt_byte_ring.h"

#include <pthread.h>
#include <sys/types.h>

enum mt_alog_target {
	MT_ALOG_CLOSED,	 /* not open */
	MT_ALOG_REGULAR, /* a regular file: writes do not wait for a reader */
	MT_ALOG_SOCKET,
	MT_ALOG_PIPE, /* or a terminal, or any other device */
};

struct mt_alog_sink {
	struct mt_byte_ring ring;
	void *memory; /* of the ring */
	struct mt_alog_place place;
	int event; /* wakes the thread */
	pthread_t thread;
	bool joined, hangs;
	/* Atomic: written by any thread, read by the sink's. */
	bool reopen, stop;
	uint64_t deadline; /* monotonic ns; written before `stop` */
	/* Of the thread that puts lines. */
	uint64_t wanted, accepted, lost[MT_ALOG_STATES];
	/* Of the sink's thread; the counters and `state` are read by others. */
	uint64_t written, torn[MT_ALOG_STATES], bytes, opened;
	enum mt_alog_state state;
	enum mt_alog_target target;
	int fd;
	dev_t dev;
	ino_t ino;
	uint32_t done;	   /* bytes of the first record that are written */
	uint64_t retry_at; /* monotonic ns; after an error */
	bool tried_at_stop;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool ended; /* the thread returns; under the lock, as `why` */
	struct mt_err why;
};

/* log_thread.c: ns of CLOCK_MONOTONIC. */
uint64_t mt_alog_monotonic(void);
/* Opens the file of the place, and sets fd, dev and ino. 0, or -errno with the reason in *e. */
int mt_alog_file_open(struct mt_alog_sink *s, struct mt_err *e);
/* True if the path still leads to the open file. */
bool mt_alog_file_same(const struct mt_alog_sink *s);
