/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata index: a message's metadata, found by one scan. It lies in a worker's scratch and is
 * valid for one message, while the message's bytes stay where they are. All duplicates of a key are
 * kept. Entries and bytes are bounded, whatever a peer sends; a message with more is too large.
 */
#pragma once

#include "mt_buf.h"

#define MT_META_ENTRIES 128
#define MT_META_BYTES	32768 /* of all keys and values, with their framing */

/* A compiled metadata key: matched by `id` (the codec's field) or by name. */
struct mt_key {
	const char *name;
	uint16_t len;
	int16_t id;    /* index in codec->keys, -1: search by name */
	bool icase;    /* a search compares names without case (route matchers; not hash keys) */
	uint32_t hash; /* of the name: mt_key_hash() */
};

/*
 * Distinguishes most keys: the length and three letters, whatever their case. Names with equal
 * hashes cost one comparison each; MT_META_BYTES bounds the bytes compared.
 */
#define MT_KEY_HASH_OF(len, first, middle, last)                                                   \
	(((uint32_t)(first) | (uint32_t)(middle) << 8 | (uint32_t)(last) << 16 | 0x202020u) ^      \
		(uint32_t)(len) << 24)

/* The same for a literal of at least one letter, for initializers. */
#define MT_KEY_HASH(text)                                                                          \
	MT_KEY_HASH_OF(sizeof(text) - 1, (text)[0], (text)[(sizeof(text) - 1) / 2],                \
		(text)[sizeof(text) - 2])

static inline uint32_t mt_key_hash(const uint8_t *p, uint32_t len)
{
	return len ? MT_KEY_HASH_OF(len, p[0], p[len / 2], p[len - 1]) : 0;
}

/*
 * A walk through a message to the start of its trailing metadata. It continues where it stopped,
 * after more bytes have come or in a later loop iteration. All zero: not started. Only `step` is
 * not the codec's own.
 */
#define MT_SCAN_STATE 1280
struct mt_scan {
	uint8_t step; /* 0: not started */
	uint8_t state[MT_SCAN_STATE] __attribute__((aligned(8)));
};

enum mt_scan_rc {
	MT_SCAN_MORE, /* out of bytes or of steps */
	MT_SCAN_DONE, /* the message records where they are, or that there are none */
};

/*
 * A message that is longer has to be scanned by its owner. Without such a scan the index gives up
 * after MT_SCAN_STEPS, and there are no metadata; no shorter message needs so many.
 */
#define MT_SCAN_AT_ONCE 4096
#define MT_SCAN_STEPS	16384

enum mt_meta_state {
	MT_META_UNREAD,
	MT_META_ABSENT, /* there are none, or they cannot be read */
	MT_META_READ,
	/* of tables (mt_codec_table.h): a container of them contradicts its format */
	MT_META_BROKEN,
	/* more than MT_META_ENTRIES or MT_META_BYTES, or too much work to read them again */
	MT_META_TOO_LARGE,
};

enum mt_meta_kind {
	MT_META_TEXT,
	MT_META_NUMBER, /* returned as decimal text */
	MT_META_OTHER,	/* has no text; may be removed */
	MT_META_KEPT,	/* has no text, and others may refer to it: must stay */
};

struct mt_meta_entry {
	const uint8_t *key; /* NULL: the key is not a text */
	union {
		const uint8_t *text;
		int64_t number;
	} value;
	uint32_t value_len; /* TEXT */
	uint16_t key_len;
	uint8_t kind;	   /* enum mt_meta_kind */
	uint8_t group;	   /* the codec's own */
	uint32_t off, end; /* the entry, from the message's start */
};

struct mt_metadata {
	uint8_t state;	    /* enum mt_meta_state */
	uint32_t n;	    /* READ: entries, in the message's order */
	uint32_t end;	    /* READ: where the codec stopped reading, from the message's start */
	uint32_t text_used; /* of text[] */
	/*
	 * Steps that indexes took and that are not charged yet: of this message, and of those that the
	 * view showed before it in the same run. Only code that charges them sets it to 0.
	 */
	uint32_t took;
	uint32_t hash[MT_META_ENTRIES];
	struct mt_meta_entry entry[MT_META_ENTRIES];
	struct mt_scan scan;	     /* of this message */
	uint8_t text[MT_META_BYTES]; /* copies of texts that cross buffers */
};

/* Prepares the index for another message, or for this one after a change. Keeps `took`. */
static inline void mt_meta_clear(struct mt_metadata *m)
{
	m->state = MT_META_UNREAD;
	m->scan.step = 0;
}

/*
 * For codecs: the next entry, which takes a step. NULL: there are MT_META_ENTRIES already; sets the
 * state.
 */
static inline struct mt_meta_entry *mt_meta_add(struct mt_metadata *m, struct mt_slice key)
{
	struct mt_meta_entry *e;

	m->took++;
	if (mt_unlikely(m->n == MT_META_ENTRIES)) {
		m->state = MT_META_TOO_LARGE;
		return NULL;
	}
	e = &m->entry[m->n];
	m->hash[m->n++] = mt_key_hash(key.p, key.len);
	e->key = key.p;
	e->key_len = (uint16_t)key.len;
	return e;
}

/*
 * For codecs: the `len` bytes after the cursor in one piece, without moving it: in place, or a
 * copy, which takes a step for each buffer. NULL: they are not there, or text[] is full, which sets
 * the state.
 */
const uint8_t *mt_meta_text(struct mt_metadata *m, struct mt_cursor *cur, uint32_t len);
