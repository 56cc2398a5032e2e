/* SPDX-License-Identifier: Apache-2.0 */
/* Positions of records in the lower stream: a table of fixed size. */
#include "layer_priv.h"

/*
 * Merges pairs of neighbours, which frees five of the twelve notes. Notes merged often are old and
 * soon acknowledged. Never merges the first note, because the text of its record may be nowhere
 * else (op_reclaim()).
 */
static void merge(struct tls_notes *w)
{
	uint32_t n = 1, i = 1, many = w->many & 1;

	for (; i + 1 < w->n; i += 2, n++) {
		w->at[n] = (struct tls_note){w->at[i + 1].upper, w->at[i].first, w->at[i + 1].last};
		many |= 1u << n;
	}
	for (; i < w->n; i++, n++) {
		many |= (w->many >> i & 1) << n;
		w->at[n] = w->at[i];
	}
	w->n = n;
	w->many = many;
}

void tls_notes_add(struct tls_notes *w, struct tls_note note)
{
	if (mt_unlikely(w->n == TLS_NOTES))
		merge(w);
	w->at[w->n++] = note;
}

void tls_notes_acked(struct tls_notes *w, uint64_t acked)
{
	uint32_t gone = 0;

	while (gone < w->n && w->at[gone].last <= acked)
		w->floor = w->at[gone++].upper;
	if (gone == 0)
		return;
	w->n -= gone;
	w->many >>= gone;
	for (uint32_t i = 0; i < w->n; i++)
		w->at[i] = w->at[i + gone];
}

uint64_t tls_notes_whole(const struct tls_notes *w, uint64_t pos)
{
	uint64_t at = w->floor;

	for (uint32_t i = 0; i < w->n && w->at[i].last <= pos; i++)
		at = w->at[i].upper;
	return at;
}

uint64_t tls_notes_read(const struct tls_notes *w, uint64_t pos)
{
	uint64_t at = w->floor;

	for (uint32_t i = 0; i < w->n && w->at[i].first < pos; i++) {
		if (w->at[i].last > pos && !(w->many >> i & 1))
			break;
		at = w->at[i].upper;
	}
	return at;
}

uint64_t tls_notes_begun(const struct tls_notes *w, uint64_t pos)
{
	uint64_t at = w->floor;

	for (uint32_t i = 0; i < w->n && w->at[i].first < pos; i++)
		at = w->at[i].upper;
	return at;
}
