/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hessian 2.0 (hessian.caucho.com/doc/hessian-serialization.html) as far as a proxy needs it: scans
 * strings that arrive in pieces, and steps over any value without building it.
 */
#pragma once

#include "mt_codec_priv.h"

/* ---- strings ------------------------------------------------------------------------------ */

enum hs_phase { HS_TAG, HS_LEN1, HS_LEN2, HS_CHARS, HS_DONE, HS_BAD };

/*
 * A scanner for one string. Lengths on the wire count UTF-16 units, but the text is UTF-8.
 * Supplementary characters are two 3-byte surrogates (or, from some encoders, 4 bytes), so the end
 * is found only by walking the characters. A character in more bytes than it needs is refused (RFC
 * 3629 section 3), because Java's readers accept it, and would read another text than Meltemi. All
 * zero: at the tag.
 */
struct hs_str {
	uint32_t bytes; /* of text in the current chunk: the length, if DONE and not chunked */
	uint32_t slow;	/* steps for bytes read one by one; the caller that counts them clears it */
	uint16_t units; /* UTF-16 units still to come in this chunk */
	uint8_t phase;	/* enum hs_phase */
	uint8_t cont;	/* bytes still to come of the current character */
	uint8_t least;	/* the least value of its next byte */
	bool more;	/* another chunk follows this one */
	bool chunked;	/* in several chunks: the text is not contiguous */
	bool null;	/* was 'N' */
};

/* Feeds p[0..n). Returns how many bytes belong to the string. Check s->phase afterwards. */
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

/* The number of leading ASCII bytes in p[0..n), rounded down to whole steps of 32 or 8 bytes. */
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

/* True if p[0..len) is ASCII. p[0..room) must be readable, room >= len. */
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
 * Names and most values: a short ASCII string that is complete in p[0..n), so that its units are
 * its bytes. p[0..ascii) is known to be ASCII. Returns its whole length; 0: use the scanner.
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

/* As hs_short_str_in(), for at most 31 bytes at p[at], where p[0..ascii) is there and ASCII. */
static inline uint32_t hs_tiny_str(
	const uint8_t *p, uint32_t at, uint32_t ascii, struct mt_slice *text)
{
	uint32_t len;

	if (mt_unlikely(at >= ascii))
		return 0;
	len = p[at];
	if (mt_unlikely(len > 0x1f || at + 1 + len > ascii))
		return 0;
	*text = (struct mt_slice){p + at + 1, len};
	return 1 + len;
}

static inline uint32_t hs_short_str(const uint8_t *p, uint32_t n, struct mt_slice *text)
{
	return hs_short_str_in(p, n, 0, text);
}

/* UTF-16 units of UTF-8 text. */
uint32_t hs_units(const char *text, uint32_t len);

/*
 * Appends `text` (UTF-8) as one string, cut after 65,535 units. Returns 0 or -ENOMEM (some of it
 * may have been written then).
 */
int hs_write_str(struct mt_chain *out, const char *text, uint32_t len, struct mt_pools *p);

/* ---- values ------------------------------------------------------------------------------- */

#define HS_DEPTH     64	     /* maximum nesting */
#define HS_CLASSES   256     /* maximum class definitions */
#define HS_VALUES    1048576 /* maximum values in one message */
#define HS_UNBOUNDED UINT32_MAX

enum hs_kind {
	HS_STRING,  /* one chunk: the last str.bytes of the value are its text */
	HS_NUMBER,  /* int or long: in `number` */
	HS_SCALAR,  /* null, boolean, double, date, binary, chunked string */
	HS_COMPLEX, /* a container, an object, a reference: other values may refer to it */
};

enum hs_rc {
	HS_MORE,   /* out of bytes or of steps */
	HS_END,	   /* a value, or the head of a map, has ended */
	HS_BROKEN, /* malformed, or over a limit */
};

struct hs_level {
	uint32_t left; /* values still to come; HS_UNBOUNDED: until 'Z' */
	bool map;      /* 'Z' is allowed only in place of a key */
	bool odd;      /* a key was read, its value is next */
};

/*
 * Steps over values without building them: a push machine with an explicit stack. It resumes at any
 * byte, allocates nothing, and reads nothing twice, except up to 9 bytes of a head that is
 * incomplete.
 */
struct hs_walk {
	struct mt_cursor cur;
	const uint8_t *p, *e; /* the run at the cursor: p moves, the cursor lags by p - run */
	const uint8_t *run;   /* NULL: none is open, as between calls */
	uint32_t steps;	      /* left; each is a few ns */
	uint32_t budget;      /* values left */
	uint32_t skip;	      /* bytes to skip before the next step */
	uint32_t names;	      /* P_DEF_FIELD: names still to come */
	struct hs_str str;
	int64_t number;
	uint8_t kind;  /* enum hs_kind of the last value that started at depth 0 */
	uint8_t phase; /* enum phase in skip.c */
	uint8_t tag;   /* of the container whose type or length is read */
	uint8_t depth;
	uint16_t n_classes;
	uint16_t fields[HS_CLASSES];
	struct hs_level level[HS_DEPTH];
};

/* Reads [off, end) of the chain. */
void hs_open(struct hs_walk *w, const struct mt_chain *c, uint32_t off, uint32_t end);

/* Finds the walk's position again. Call if the bytes may have moved since the last call. */
void hs_reopen(struct hs_walk *w, const struct mt_chain *c);

/* Offset of the next byte. */
static inline uint32_t hs_pos(const struct hs_walk *w)
{
	return w->cur.pos + (uint32_t)(w->p - w->run);
}

/* Moves w->cur to the next byte, for a caller that reads there. The walk continues from it. */
void hs_settle(struct hs_walk *w);

/* The next byte without moving; -1 at the end. Only between values. */
int hs_peek(struct hs_walk *w);

/* Moves over a byte returned by hs_peek(). */
static inline void hs_pass(struct hs_walk *w)
{
	w->p++;
}

/* Continues a value that has started, or starts one, with everything in it. */
enum hs_rc hs_value(struct hs_walk *w);

/* Reads the head of a map ('H', or 'M' and its type). HS_BROKEN: something else is there. */
enum hs_rc hs_map_head(struct hs_walk *w);
