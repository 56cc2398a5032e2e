/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that are refused most often, for `show limits --top`. The table of buckets has no names
 * of keys. So each worker has 64 counters with names, which it changes only when it refuses.
 *
 * The counters are those of "space-saving" (Metwally, Agrawal, El Abbadi 2005), in eight sets of
 * eight: a key without a counter replaces the lowest one of its set, and begins with that count,
 * which is its possible error. So a key with more than an eighth of the refusals in its set has a
 * counter, however many other keys there are. Counts and errors are halved every 10 s.
 *
 * Names are at most 64 bytes, stay in these counters, and never become labels of metrics. For a
 * rule with `hidden` keys no name is stored.
 */
#pragma once

#include "mt_keyed.h"

#define MT_KEYED_NAME 64u

/*
 * Counts a refusal of a key and stores its name, cut off at MT_KEYED_NAME bytes. By the worker that
 * refused. `name` may have any bytes.
 */
void mt_keyed_note(struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, const void *name,
	size_t len, uint64_t now);
/* The same for a key that has a counter; false: it has none, so mt_keyed_note() needs its name. */
bool mt_keyed_note_again(struct mt_keyed_rule *r, uint16_t worker, uint64_t hash, uint64_t now);

struct mt_keyed_hot {
	const char *rule; /* valid as in struct mt_keyed_info */
	/*
	 * Not terminated, and of any bytes: escape it. If the keys of the rule are hidden, 12
	 * hexadecimal digits of a digest.
	 */
	char name[MT_KEYED_NAME];
	uint32_t len;
	bool hidden;
	uint64_t refused, error; /* refused - error <= the halved count <= refused */
	uint64_t last;		 /* ns: the last refusal */
};

/*
 * The keys that any worker refused in the last minute, those with the largest lower bounds first.
 * Returns their number, at most `n`. Without memory: 0.
 */
uint32_t mt_keyed_hottest(
	const struct mt_keyed *t, uint64_t now, struct mt_keyed_hot *hot, uint32_t n);
