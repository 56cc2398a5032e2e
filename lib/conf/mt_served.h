/* SPDX-License-Identifier: Apache-2.0 */
/*
 * List of the hosts that a node served, stored in STATE/served.json. After a restart the node
 * reports ready only when it serves them again. The daemon fills and reads the list. Control thread
 * only.
 */
#pragma once

#include "mt_log.h"
#include "mt_region.h"
#include "mt_service.h"

struct mt_served_host {
	const char *host;
	const char *source; /* "documents", or the name of a discovery source */
	const char *where;  /* the file, or the listener's name at the source; "": unknown */
};

/* Zero-filled is an empty list. */
struct mt_served {
	struct mt_region region;
	struct mt_served_host *v;
	uint32_t n;
	const char **without; /* sources without which an operator accepted the node as ready */
	uint32_t n_without;
};

/* mt_served_host.source of hosts in documents. */
#define MT_SERVED_DOCUMENTS "documents"

/* Adds a host, or a source to `without`; copies the texts. 0 or -ENOMEM. */
int mt_served_add(struct mt_served *l, const char *host, const char *source, const char *where);
int mt_served_add_without(struct mt_served *l, const char *source);
/* Sorts the list and removes duplicate hosts. Call before lists are compared or written. */
void mt_served_tidy(struct mt_served *l);
/* True if two sorted lists are equal. */
bool mt_served_equal(const struct mt_served *a, const struct mt_served *b);
/* Frees the texts and makes the list empty. */
void mt_served_fini(struct mt_served *l);

/*
 * Reads the file into *l, which is overwritten. 0; -ENOENT: there is no file yet; other -errno with
 * the reason in err: it cannot be read or is damaged. On an error the list is empty.
 */
int mt_served_load(struct mt_served *l, const char *state_dir, struct mt_err *err);
/*
 * Writes the file by mt_service_replace(). After a crash before the write is done, the next start
 * waits for the hosts of the older file.
 */
void mt_served_save(const struct mt_served *l, const char *state_dir, struct mt_service *s,
	mt_replaced_fn *fn, void *arg);
