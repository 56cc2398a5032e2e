/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that give the daemon the rights of its ports: the drop-in of the unit and the rule of
 * udev. meltemid computes them from a Node document.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#define NIC_RIGHTS 2

struct nic_rights_file {
	char directory[PATH_MAX], path[PATH_MAX];
	char *now;	/* NULL: there is no such file */
	struct stat st; /* of it */
	char *wanted;
	bool changes;	    /* nic_rights_put() writes it */
	bool written, made; /* the file; its directory */
};

/* Zero-initialized it is empty. */
struct nic_rights {
	struct nic_rights_file files[NIC_RIGHTS];
};

/*
 * Reads the files below `root`, and what they must contain for the new text of the Node document,
 * which is in the file `changed`. A file that differs from what meltemid prints for the present
 * document has settings of the operator. False, after a message, if it would have to change.
 */
bool nic_rights_read(
	struct nic_rights *r, const char *root, const char *document, const char *changed);
/* Writes the files that change. False, after a message, with all of them as before. */
bool nic_rights_put(struct nic_rights *r);
/* Restores what nic_rights_put() has written. */
void nic_rights_undo(struct nic_rights *r);
void nic_rights_free(struct nic_rights *r);
