/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hessian 2.0 as the simulator's Dubbo peers write it, by the grammar of the Hessian 2.0 serialization
 * protocol: http://hessian.caucho.com/doc/hessian-serialization.html, section 3.
 */
#pragma once

#include "rpc_bytes.h"

#include "mt_rand.h"

struct hessian {
	struct rpc_bytes *out;
	uint32_t many;	      /* attachments more than usual */
	struct mt_rand *rand; /* which of several encodings */
	uint32_t defs;	      /* class definitions so far */
};

/* Text of printable ASCII in the shortest form. */
void hessian_text(struct rpc_bytes *out, const char *s);
/* n bytes as a string of as many characters (U+0000 to U+00FF), or as binary; in chunks if long. */
void hessian_string(struct hessian *h, const uint8_t *p, uint32_t n);
void hessian_binary(struct hessian *h, const uint8_t *p, uint32_t n);
/* Any value; `depth` levels of nesting at most. */
void hessian_junk(struct hessian *h, uint32_t depth);
/*
 * Reads the string or binary at p: its bytes are appended to flat. Returns its length on the wire; 0: it
 * is neither.
 */
uint32_t hessian_take(const uint8_t *p, uint32_t n, struct rpc_bytes *flat);
