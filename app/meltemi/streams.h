/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams for `meltemi codec test`: the two directions of each TCP connection of a capture, in
 * the order of sequence numbers, or bytes that were written as text. A part that a capture lacks is
 * a gap, which the stream names and leaves out.
 */
#pragma once

#include "mt_base.h"

#include <stddef.h>

#define STREAMS_MAX 65536u

enum stream_from { STREAM_CLIENT, STREAM_SERVER, STREAM_EITHER };

/* Where a segment starts in a stream. */
struct stream_cut {
	uint32_t at;
	uint32_t gap; /* bytes that are missing before it */
};

struct stream {
	char name[160]; /* "line 3", or "10.0.0.1:40000 -> 10.0.0.2:8080" */
	enum stream_from from;
	bool whole; /* starts where its connection does */
	uint8_t *bytes;
	uint32_t n;
	struct stream_cut *cuts; /* sorted; one at 0 only for a gap */
	uint32_t n_cuts;
};

struct streams {
	struct stream *of;
	uint32_t n;
	/* Of a capture: packets that are not part of a stream, and why it could not be read on. */
	uint32_t others, fragments, truncated;
	char why[256];
};

/* Adds an empty stream, which may move the others; NULL: no memory, or STREAMS_MAX. */
struct stream *streams_add(struct streams *s);
/* Removes the last one. */
void streams_drop(struct streams *s);
void streams_free(struct streams *s);

/*
 * packets_streams.c: adds the TCP connections of a capture. `port`: only those to this port of the
 * server; 0: all, and the client is the one that sent SYN, or has the higher port.
 * False: no memory. s->why is set if the capture is damaged; what came before it is added.
 */
bool streams_capture(struct streams *s, const uint8_t *data, size_t n, uint32_t port);

/*
 * streams_text.c: adds bytes that are written as text: hex digits, or a dump with offsets. False:
 * s->why, with the line.
 */
bool streams_text(struct streams *s, const char *text, size_t n);
