/* SPDX-License-Identifier: Apache-2.0 */
/* Streams in memory: two ends of a wire that loses nothing, brings few bytes at a time and acknowledges when it is told to. */
#pragma once

#include "mt_stream.h"
#include "tls_test.h"

#define PIPE_ENDS   64
#define PIPE_WINDOW 4000

struct pipe_end {
	struct mt_stream s; /* first */
	struct pipe_end *peer;
	struct mt_chain tx; /* not acknowledged */
	uint64_t accepted, sent, acked;
	bool live, connected, told, fin_in, eof_told, reset_in, let_go;
	bool again, shut, touched;
	uint32_t refuses; /* 1 + the words that are not refused */
	uint32_t rx_most; /* bytes beyond what was kept */
};

struct pipes {
	struct pipe_end ends[PIPE_ENDS];
	struct mt_transport transport; /* opens */
	const struct mt_listen_ops *listen;
	void *listen_arg;
	uint32_t cut;	/* bytes that arrive in a step; 0: all */
	bool deaf;	/* nobody acknowledges */
	bool unplugged; /* nothing arrives */
	uint32_t resets, fins;
};

extern struct pipes pipes;

void pipes_begin(const struct mt_listen_ops *listen, void *arg);
/* One round: what is under way arrives, users are told. Whether something happened. */
bool pipes_step(void);
/* Nothing is left of any. */
bool pipes_over(void);
