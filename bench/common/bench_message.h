/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and one reply of a protocol, as its client libraries encode them; ids are patched in
 * place.
 */
#pragma once

#include "mt_buf.h"

/* BENCH_TCP sends Thrift's messages too, as opaque bytes for Meltemi. */
enum bench_codec { BENCH_THRIFT, BENCH_DUBBO, BENCH_TCP, BENCH_AWESOMERPC, BENCH_CODECS };
extern const char *const bench_codec_names[BENCH_CODECS + 1]; /* ends with NULL */
extern const char *const bench_ports[BENCH_CODECS];	      /* names of such a service's port */

#define BENCH_ID_MAX 8

struct bench_message {
	uint8_t *bytes;
	uint32_t len;
	uint32_t id_at, id_len;
};

/* Builds a message with a string of `size` bytes. Release it with free(m->bytes). */
void bench_request(enum bench_codec codec, uint32_t size, struct bench_message *m);
void bench_reply(enum bench_codec codec, uint32_t size, struct bench_message *m);

/* Length of the frame that starts with these bytes; 0: more bytes are needed. */
uint32_t bench_frame_len(enum bench_codec codec, const struct mt_chain *c);
void bench_get_id(
	const struct bench_message *like, const struct mt_chain *c, uint8_t id[BENCH_ID_MAX]);
void bench_put_id(struct bench_message *m, const uint8_t id[BENCH_ID_MAX]);
