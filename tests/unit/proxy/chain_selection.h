/* SPDX-License-Identifier: Apache-2.0 */
/* Clients whose filter chain is not known yet: chains of the first listener, and their clients. */
#pragma once

#include "../tls/hello_make.h"
#include "scene.h"

#define PLAIN "T" /* begins a message of the toy protocol */

/* What a chain serves; several are asked in this order. */
enum serves { TOY = 1, SERIAL = 2, DUBBO = 4, THRIFT = 8, TCP = 16 };

struct undecided_row {
	struct mt_filter_chain chain;
	uint32_t serves;
};

extern uint8_t undecided_bytes[HELLO_ROOM], undecided_got[HELLO_ROOM];

/* Chains for TLS to a.example; for b.example, refused; for any TLS; for plaintext. */
extern const struct undecided_row undecided_tls_to_a, undecided_refused_b, undecided_any_tls,
	undecided_plain_toy, undecided_plain_tcp;

/* The snapshot's first listener has these chains. */
void undecided_chains(
	struct mt_snapshot *s, uint32_t gen, uint32_t n, const struct undecided_row *const *rows);

#define CHAINS(s, gen, ...)                                                                        \
	undecided_chains(s, gen,                                                                   \
		MT_ARRAY_LEN(((const struct undecided_row *const[]){__VA_ARGS__})),                \
		(const struct undecided_row *const[]){__VA_ARGS__})

#define START(...)                                                                                 \
	do {                                                                                       \
		scene_start(1);                                                                    \
		CHAINS(lab.snap, 0, __VA_ARGS__);                                                  \
	} while (0)

/* Another configuration: the usual one, with these chains. */
#define PUBLISH(gen, ...)                                                                          \
	do {                                                                                       \
		struct mt_snapshot *next_ = config_make(gen, lab.p->snap->version + 1, 1, true);   \
		CHAINS(next_, gen, __VA_ARGS__);                                                   \
		mt_proxy_adopt(lab.p, next_);                                                      \
		lab_advance(MT_MSEC);                                                              \
	} while (0)

/* Ends the scene, and frees the configurations of PUBLISH(). */
void undecided_stop(void);
/* Makes a ClientHello for that name in undecided_bytes; returns its length. */
uint32_t undecided_hello(const char *name);
struct fake_conn *undecided_client(void);
/* The i-th server's connection, which has got just `n` of `undecided_bytes`. */
void undecided_passed(uint32_t i, uint32_t n);
/* The client's next message is served as the toy protocol. */
void undecided_toy(struct fake_conn *c);
