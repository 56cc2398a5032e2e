/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node served: the list that outlives it (STATE/served.json), so that the next start knows what has to be served
 * again before it calls itself ready. Filled and asked by the daemon, on the control thread.
 */
#pragma once

#include "mt_log.h"
#include "mt_region.h"
#include "mt_service.h"

struct mt_served_host {
	const char *host;
	const char *source; /* "documents", or the name of a discovery source */
	const char *where;  /* the file, or the listener's name there; "": not known */
};

/* Zero-filled is an empty list. */
struct mt_served {
	struct mt_region region;
	struct mt_served_host *v;
	uint32_t n;
	const char **without; /* sources that an operator accepted the node without */
	uint32_t n_without;
};

#define MT_SERVED_DOCUMENTS "documents"

/* All texts are copied. 0 or -ENOMEM. */
int mt_served_add(struct mt_served *l, const char *host, const char *source, const char *where);
int mt_served_add_without(struct mt_served *l, const char *source);
/* Sorts, and what is there twice is there once; before lists are compared or written. */
void mt_served_tidy(struct mt_served *l);
bool mt_served_equal(const struct mt_served *a, const struct mt_served *b);
void mt_served_fini(struct mt_served *l);

/* -ENOENT: there is none yet; other -errno, with the reason in err: it cannot be used. The list is empty then. */
int mt_served_load(struct mt_served *l, const char *state_dir, struct mt_err *err);
/* As mt_service_replace(). A crash before it is written costs what changed since: the start waits for what was served before. */
void mt_served_save(const struct mt_served *l, const char *state_dir, struct mt_service *s,
	mt_replaced_fn *fn, void *arg);
