/* SPDX-License-Identifier: Apache-2.0 */
/* A bootstrap on its way in: a text, a message (by fields.c), and what bootstrap.c makes of it. */
#pragma once

#include "mt_fields.h"
#include "mt_pb_json.h"
#include "mt_xds_boot.h"

#include "bootstrap.pb-c.h"

struct boot_reader {
	struct mt_fctx c; /* for what documents' readers check, and for what is told */
	struct mt_xds_bootstrap *b;
	Xds__Bootstrap *root; /* NULL: none was read, or it has a mistake, which was told */
	bool read;	      /* a document was there */
};

/* The message that a document says, into r->root. */
void boot_fields_read(struct boot_reader *r, const struct mt_ynode *n);

/* NULL: no memory. */
struct mt_xds_bootstrap *boot_new(const char *name);
/* own.c: the node is Meltemi. */
void boot_of_ours(Xds__Node *n);
