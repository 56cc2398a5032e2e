/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator of bench/peers: a client that keeps so many exchanges outstanding on so many
 * connections, and a server that answers at once. One thread each, kernel sockets, epoll. It speaks just
 * enough of each protocol to find frames and to match replies by id; what it sends is what the real
 * libraries send for sayHello(string).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

enum proto {
	PROTO_DUBBO,
	PROTO_THRIFT, /* framed, strict binary */
};

/* One message to send again and again: only the id in it changes. */
struct message {
	uint8_t *bytes;
	uint32_t len;
	uint32_t id_off, id_len;
};

/* A request or a reply that carries a string of `size` bytes. */
struct message message_make(enum proto proto, bool request, uint32_t size);
void message_set_id(struct message *m, uint64_t id);

/*
 * Looks at a stream's first bytes: the length of the frame there, 0 if more bytes are needed to tell, or
 * UINT32_MAX if it is none. *id is its id when the length is known.
 */
uint32_t frame_length(enum proto proto, const uint8_t *bytes, uint32_t len, uint64_t *id);

/* A byte queue in front of or behind a socket. */
struct queue {
	uint8_t *bytes;
	uint32_t head, tail, size;
};

void queue_put(struct queue *q, const void *bytes, uint32_t len);
/* Reads what the socket has; false at its end. */
bool queue_read(struct queue *q, int fd);
/* Writes what the socket takes; false when it is broken. */
bool queue_write(struct queue *q, int fd);

uint64_t now_ns(void);
void nodelay(int fd);

struct load_options {
	enum proto proto;
	const char *host;
	uint16_t port;
	uint32_t connections, outstanding, size;
	double seconds, warm_up;
	double rate; /* exchanges per second, open loop; 0: closed loop */
};

int load_client(const struct load_options *o);
int load_server(const struct load_options *o);
