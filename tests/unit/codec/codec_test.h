/* SPDX-License-Identifier: Apache-2.0 */
/* What the codec suites share: an environment of mbufs, vectors, and decoding in any pieces. */
#pragma once

#include "mt_codec_priv.h"
#include "mt_rand.h"
#include "mt_test.h"
#include "mt_view.h"

#define VECTOR_MAX 8192

extern struct mt_pools env_pools;

/* EAL and a small pool, once. 0 or -1. */
int env_init(void);

/* Data and control mbufs in use. */
uint32_t env_in_use(void);

/* Takes all data mbufs but n; give back by env_release(). */
void env_starve(uint32_t n);
void env_release(void);

/* Reads tests/vectors/<name>.hex. Returns its length (0: none, the test has failed). */
uint32_t env_vector(const char *name, uint8_t buf[VECTOR_MAX]);

/* Appends p[0..n) in mbufs of at most `piece` bytes (0: one mbuf's worth). */
void env_append(struct mt_chain *c, const uint8_t *p, uint32_t n, uint32_t piece);

/* Whether the chain holds exactly these bytes. */
bool env_equal(const struct mt_chain *c, const uint8_t *p, uint32_t n);

/* The value of a key as text in a static buffer, or "-". */
const char *env_meta(const struct mt_codec *codec, struct mt_msg *msg, const struct mt_chain *c,
	const char *key);

/* An index that nothing is known of yet. */
struct mt_metadata *env_index(void);

/*
 * Decodes one message that lies in the chain as a whole. Returns decode()'s answer, LEADING skipped.
 */
enum mt_decode env_decode(const struct mt_codec *codec, enum mt_dir dir, const struct mt_chain *c,
	struct mt_msg *msg);

/* What decoding of a vector must give. */
struct expect {
	const char *vector;
	enum mt_dir dir;
	enum mt_msg_kind kind;
	enum mt_msg_status status;
	enum mt_msg_event event;
	uint64_t id;
	const char *meta; /* "key=value ..." with - for "not there" */
};

/* Decodes the vector whole, in two pieces cut at every byte, byte by byte and in tiny mbufs. */
void env_expect(const struct mt_codec *codec, const struct expect *e);

/* Sets ids, and puts back the client's: every byte as before (vectors of replies). */
void env_round_trip(const struct mt_codec *codec, const struct expect *e, uint64_t id);

/* Runs op(arg, chain, msg) over the vector with 0, 1, 2 ... mbufs left: -ENOMEM changes nothing. */
void env_nomem(const struct mt_codec *codec, const struct expect *e, uint32_t piece,
	int (*op)(void *arg, struct mt_msg *msg, struct mt_chain *c), void *arg);

extern const struct mt_test codec_tests[], invoke_tests[], thrift_value_tests[], meta_tests[],
	quick_tests[], random_tests[], golden_tests[], ending_tests[], error_tests[];

/* Each codec's own suite. */
#define MT_CODEC(folder) extern const struct mt_test folder##_tests[];
#include "codecs.def"
#undef MT_CODEC
