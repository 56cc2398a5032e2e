/* SPDX-License-Identifier: Apache-2.0 */
/* Reads places of a message that was decoded. */
#pragma once

#include "run.h"

/* Where a decoded message is. */
struct table_source {
	const struct mt_codec *self;
	const struct mt_msg *msg;
	const struct mt_chain *chain; /* NULL: all of it is at `flat` */
	const uint8_t *flat;
};

/* Its bytes that lie in one piece with the first one. *n: how many. */
const uint8_t *table_near(const struct table_source *in, uint32_t *n);

/* A run that reads places of it. s and cur are for the run's use. */
struct table_run table_look(
	const struct table_source *in, struct table_state *s, struct mt_cursor *cur);

/* A binary number that lies in the message's first n bytes. False: it may be elsewhere. */
bool table_number_near(const uint8_t *p, uint32_t n, const struct mt_ct_place *place, uint64_t *v);
