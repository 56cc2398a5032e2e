/* SPDX-License-Identifier: Apache-2.0 */
/* The server with real sockets on the loopback, in virtual time; other servers are sockets of the test. */
#pragma once

#include "mt_dns_server.h"
#include "wire.h"

#include <sys/socket.h>

struct lab {
	struct mt_dns_server *s;
	struct mt_dns_table *t;
	uint64_t now;
	uint16_t id; /* of the last query: answers must have it */
	struct mt_dns_address listen;
	int client;		    /* UDP, connected to it */
	int upstream[2], stream[2]; /* UDP, and TCP listeners on the same ports */
};

void lab_open(struct lab *l, uint32_t servers, uint16_t workers);
void lab_close(struct lab *l);
void lab_turn(struct lab *l);
/* Time passes. */
void lab_wait(struct lab *l, uint64_t ns);
uint64_t lab_count(const struct lab *l, enum mt_dns_outcome o);

/* The client sends a query; the text of the next answer, "" when there is none. */
void lab_ask(struct lab *l, int fd, const struct wire_query *q);
const char *lab_answer(struct lab *l, int fd, char text[4096]);
int lab_connect(struct lab *l); /* TCP */
void lab_ask_stream(struct lab *l, int fd, const struct wire_query *q);
const char *lab_answer_stream(struct lab *l, int fd, char text[4096]);

/* A query at another server. */
struct asked {
	uint8_t b[2048];
	uint32_t len;
	struct sockaddr_storage from;
};
bool lab_asked(struct lab *l, int server, struct asked *a);
/* A probe there (loop.c); lab_asked() skips them. */
bool lab_probed(struct lab *l, int server, struct asked *a);
/*
 * Answers it: code and bits of the header's second word; with `n` addresses, and the question's letters as
 * they are, or in capitals.
 */
void lab_reply(struct lab *l, int server, const struct asked *a, uint16_t flags, uint32_t n,
	bool capitals);
uint32_t lab_make_reply(
	const struct asked *a, uint16_t flags, uint32_t n, bool capitals, uint8_t *out);
