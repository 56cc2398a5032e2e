/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State while a bootstrap is read: fields.c converts the text to a message, bootstrap.c interprets
 * it.
 */
#pragma once

#include "mt_fields.h"
#include "mt_pb_json.h"
#include "mt_xds_boot.h"

#include "bootstrap.pb-c.h"

struct boot_reader {
	struct mt_fctx c; /* for the checks of document readers, and for diagnostics */
	struct mt_xds_bootstrap *b;
	Xds__Bootstrap *root; /* NULL: none was read, or it has an error, which was reported */
	bool read;	      /* the text has a document */
};

/* Reads a document into r->root. */
void boot_fields_read(struct boot_reader *r, const struct mt_ynode *n);

/* Creates an empty bootstrap; `name` becomes its `file`. NULL: no memory. */
struct mt_xds_bootstrap *boot_new(const char *name);
/* own.c: sets user_agent_name and user_agent_version to Meltemi's. */
void boot_of_ours(Xds__Node *n);
