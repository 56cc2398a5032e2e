/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hessian 2.0 (hessian.caucho.com/doc/hessian-serialization.html) as far as a proxy needs it: strings
 * that may arrive in any pieces, and stepping over any value without building it.
 */
#pragma once

#include "mt_codec_priv.h"

/* ---- strings ------------------------------------------------------------------------------ */

enum hs_phase { HS_TAG, HS_LEN1, HS_LEN2, HS_CHARS, HS_DONE, HS_BAD };

/*
 * A scanner over one string. Lengths on the wire count UTF-16 units, the text is UTF-8 with
 * supplementary characters as two 3-byte surrogates (or, from some encoders, as 4 bytes), so the end
 * is found only by walking the characters. All zero: at the tag.
 */
struct hs_str {
	uint32_t bytes; /* of text in the current chunk: the length, when DONE and not chunked */
	uint16_t units; /* UTF-16 units still to come in this chunk */
	uint8_t phase;	/* enum hs_phase */
	uint8_t cont;	/* bytes still to come of a character that has begun */
	bool more;	/* another chunk follows this one */
	bool chunked;	/* came in several chunks: the text is not contiguous */
	bool null;	/* was 'N' */
};

/* Feeds p[0..n); returns how many bytes belong to the string. Look at s->phase afterwards. */
uint32_t hs_str_feed(struct hs_str *s, const uint8_t *p, uint32_t n);

#define HS_HIGH_BITS 0x8080808080808080ull

static inline uint64_t hs_load8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline bool hs_ascii8(const uint8_t *p)
{
	return (hs_load8(p) & HS_HIGH_BITS) == 0;
}

/* How many of p[0..n) are ASCII from the start on, rounded down to whole steps of 32 or 8 bytes. */
static inline uint32_t hs_ascii_run(const uint8_t *p, uint32_t n)
{
	uint32_t i = 0;

	for (; n - i >= 32; i += 32)
		if ((hs_load8(p + i) | hs_load8(p + i + 8) | hs_load8(p + i + 16) |
			    hs_load8(p + i + 24)) &
			HS_HIGH_BITS)
			break;
	for (; n - i >= 8; i += 8)
		if (!hs_ascii8(p + i))
			break;
	return i;
}

/* Whether p[0..len) is ASCII; p[0..room) may be read, room >= len. */
static inline bool hs_ascii(const uint8_t *p, uint32_t len, uint32_t room)
{
	uint32_t run = hs_ascii_run(p, len);
	uint64_t v;

	p += run;
	len -= run;
	room -= run;
	if (len >= 8)
		return false;
	/* Little-endian: the first bytes are the low ones. */
	if (room >= 8)
		return (hs_load8(p) & HS_HIGH_BITS & ((1ull << (8 * len)) - 1)) == 0;
	for (v = 0; len > 0; len--)
		v |= p[len - 1];
	return v < 0x80;
}

/*
 * Names and most values: a short ASCII string that is all there in p[0..n), so its units are its
 * bytes. p[0..ascii) is known to be ASCII. Returns its whole length, 0: look closer.
 */
static inline uint32_t hs_short_str_in(
	const uint8_t *p, uint32_t n, uint32_t ascii, struct mt_slice *text)
{
	uint32_t len, head = 1;

	if (n == 0)
		return 0;
	len = p[0];
	if (len > 0x1f) {
		if (len < 0x30 || len > 0x33 || n < 2)
			return 0;
		len = (len & 3) << 8 | p[1];
		head = 2;
	}
	if (n - head < len || (head + len > ascii && !hs_ascii(p + head, len, n - head)))
		return 0;
	*text = (struct mt_slice){p + head, len};
	return head + len;
}

static inline uint32_t hs_short_str(const uint8_t *p, uint32_t n, struct mt_slice *text)
{
	return hs_short_str_in(p, n, 0, text);
}

/* UTF-16 units of UTF-8 text. */
uint32_t hs_units(const char *text, uint32_t len);

/*
 * Appends `text` (UTF-8, at most 65,535 units; what is longer is cut) as one string. 0 or -ENOMEM
 * (some of it may have been written then).
 */
int hs_write_str(struct mt_chain *out, const char *text, uint32_t len, struct mt_pools *p);

/* ---- values ------------------------------------------------------------------------------- */

#define HS_DEPTH     64	     /* nesting that is followed */
#define HS_CLASSES   256     /* class definitions that are remembered */
#define HS_VALUES    1048576 /* values in one message that are stepped over */
#define HS_UNBOUNDED UINT32_MAX

enum hs_kind {
	HS_STRING,  /* one chunk: text at off, len */
	HS_NUMBER,  /* int or long: in `number` */
	HS_SCALAR,  /* null, boolean, double, date, binary, chunked string */
	HS_COMPLEX, /* a container, an object, a reference: others may refer to it */
};

struct hs_value {
	enum hs_kind kind;
	uint32_t off, len;
	int64_t number;
};

struct hs_level {
	uint32_t left; /* values still to come, HS_UNBOUNDED: until 'Z' */
	bool map;      /* 'Z' may only stand where a key would */
	bool odd;      /* a key was read, its value is next */
};

/* A reader of values in a message that has completely arrived. */
struct hs_reader {
	struct mt_cursor cur;
	const uint8_t *p, *e; /* the run at the cursor: p moves, the cursor lags by p - run */
	const uint8_t *run;
	uint32_t budget;
	uint16_t n_classes;
	bool objects; /* an object was met since this was cleared: definitions are needed */
	uint16_t fields[HS_CLASSES];
	struct hs_level level[HS_DEPTH];
};

/* Reads [off, end) of the chain. */
void hs_open(struct hs_reader *r, const struct mt_chain *c, uint32_t off, uint32_t end);

/* Offset of the next byte. */
uint32_t hs_pos(const struct hs_reader *r);

/* The next byte without moving; -1 at the end. */
int hs_peek(struct hs_reader *r);

/* Steps over one value with all that is in it; v may be NULL. false: malformed or past a limit. */
bool hs_value(struct hs_reader *r, struct hs_value *v);

/* Steps over the head of a map ('H', or 'M' and its type). false: something else is there. */
bool hs_map_open(struct hs_reader *r);

/* Steps over the 'Z' that ends a map. false: an entry is there. */
bool hs_map_end(struct hs_reader *r);
