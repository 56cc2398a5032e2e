/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a layer's own bytes lie where in the lower stream: one note for each piece (a record, a frame) that is not acknowledged.
 * Between pieces the lower stream has bytes of the layer's own.
 */
#pragma once

#include "mt_base.h"

struct layer_note {
	uint64_t upper;	      /* end of the piece in the upper stream */
	uint64_t first, last; /* [first, last) of the lower one */
};

struct layer_notes {
	struct layer_note *at; /* a ring */
	uint32_t cap, head, n;
	uint64_t floor; /* what is acknowledged of the upper stream: where the first note begins */
};

void layer_notes_free(struct layer_notes *w);
void layer_notes_add(struct layer_notes *w, struct layer_note note);
/* The lower stream's bytes before `acked` are acknowledged: forgets those pieces. */
void layer_notes_acked(struct layer_notes *w, uint64_t acked);
/* Where the upper stream is when all of the lower one before `pos` is there: a part of a piece is nothing. */
uint64_t layer_notes_whole(const struct layer_notes *w, uint64_t pos);
/* The same, but a part of a piece is all of it. */
uint64_t layer_notes_begun(const struct layer_notes *w, uint64_t pos);
