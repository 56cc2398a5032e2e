/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that the files of lib/image share. */
#pragma once

#include "mt_image.h"

/* ---- shared.c ---- */

/* True if other chains may have this view of a buffer, too. */
bool mt_image_is_shared(struct rte_mbuf *m);
/* Saving: the number of the mbuf's view, from 1 on; *first: it is a new one. 0: no memory. */
uint32_t mt_image_number(struct mt_image *im, struct rte_mbuf *m, bool *first);
/* Loading: this mbuf has the next number. */
void mt_image_numbered(struct mt_image *im, const struct rte_mbuf *m);
/* Loading: the mbuf with this number, which must be at most mt_image.shared.n. */
struct rte_mbuf *mt_image_by_number(const struct mt_image *im, uint32_t number);
void mt_image_shared_free(struct mt_image *im);
