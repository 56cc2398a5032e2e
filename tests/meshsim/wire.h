/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server on a Unix socket, in the simulator's own thread: connections, calls and messages, and what a
 * network does to them. It knows nothing of what the messages mean.
 */
#pragma once

#include "mt_base.h"
#include "mt_list.h"

struct wire_call; /* one stream of messages */

struct wire_events {
	void (*opened)(void *arg, struct wire_call *c, const char *path);
	/* One message, without its prefix. */
	void (*message)(void *arg, struct wire_call *c, const uint8_t *data, size_t len);
	/* It is over, whoever ended it; `c` is dead. */
	void (*closed)(void *arg, struct wire_call *c);
};

struct wire {
	char path[64];
	int listener; /* -1: connecting fails */
	const struct wire_events *events;
	void *arg;
	struct mt_list conns;
	/* Faults. */
	bool silent;	 /* connections are taken and nothing is read or written */
	bool slam;	 /* connections are taken and closed */
	int64_t cut;	 /* this many bytes, then the connection is closed; -1: never */
	uint32_t refuse; /* each call ends with this status; 0: none */
	uint32_t accepted, calls;
	uint64_t bytes; /* written */
};

void wire_init(struct wire *w, const char *path, const struct wire_events *events, void *arg);
void wire_fini(struct wire *w);
/* The server is there, or goes away with all of its connections. */
void wire_up(struct wire *w);
void wire_down(struct wire *w);
/* Ends all connections; the listener stays. */
void wire_hang_up(struct wire *w);
/* Accepts, reads and writes what can be; never waits. True: something has moved. */
bool wire_turn(struct wire *w);

void wire_say(struct wire_call *c, const uint8_t *data, size_t len);
/* The call ends with a status. */
void wire_end(struct wire_call *c, uint32_t status, const char *words);
void *wire_tag(const struct wire_call *c);
void wire_set_tag(struct wire_call *c, void *tag);
