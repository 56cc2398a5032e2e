/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was in force when: one entry for each configuration that was published, with who wanted it, from where, what it
 * changed, and what is needed to go back to it (the files' texts and the overrides as text). Bounded: old entries lose
 * their texts when there are too many bytes, and go when there are too many entries. Also the clock of `commit confirm`.
 * Control thread only; time is the caller's.
 */
#pragma once

#include "mt_ctl.h"
#include "mt_source.h"

#define MT_HISTORY_ENTRIES 100
#define MT_HISTORY_BYTES   (32u << 20)
#define MT_HISTORY_CHANGES 4096 /* bytes of one entry's list of changes */

struct mt_history_entry {
	uint64_t version; /* of the configuration */
	uint64_t wall;	  /* ns since 1970 */
	char from[24];	  /* "start", "files", "discovery", "tune", "rollback", "not confirmed" */
	char who[MT_WHO_LEN];
	char *what;    /* "2 services changed", or the override's words */
	char *changes; /* by name, "; " between them; "" when nothing more is known */
	struct mt_source_texts *texts; /* NULL: no longer kept */
	char *overrides;	       /* a line each; "": none */
	bool merges; /* takes the place of the newest one if that merges, too, and is younger than MT_HISTORY_MERGE */
	uint32_t
		merged; /* entries that it stands for beside itself; their changes follow its own */
};

/* Discovery servers may change something five times a second. */
#define MT_HISTORY_MERGE (10 * MT_SEC)

struct mt_history;

/* 0: the defaults. NULL: no memory. */
struct mt_history *mt_history_new(uint32_t entries, size_t bytes);
void mt_history_free(struct mt_history *h);

/* Copies the entry; takes texts over, also on failure. 0 or -ENOMEM. */
int mt_history_add(struct mt_history *h, const struct mt_history_entry *e);
/* The i-th, the newest first; NULL: there are not so many. */
const struct mt_history_entry *mt_history_at(const struct mt_history *h, uint32_t i);
/* By version; NULL: not (or no longer) there. */
const struct mt_history_entry *mt_history_find(const struct mt_history *h, uint64_t version);
/* Bytes that all entries take. */
size_t mt_history_bytes(const struct mt_history *h);

/*
 * Arms the clock: unless it is confirmed by `until` (ns, monotonic), what is current now comes back. Armed again: only the
 * time changes, the configuration to go back to stays. false: there is no entry yet.
 */
bool mt_history_arm(struct mt_history *h, uint64_t until);
/* false: nothing was to be confirmed. */
bool mt_history_confirm(struct mt_history *h);
/* The version that comes back when time is up, and when; 0: nothing is to be confirmed. */
uint64_t mt_history_armed(const struct mt_history *h, uint64_t *until);
/* Once, when the time has passed: the version to go back to; 0: not yet, or nothing has changed since. */
uint64_t mt_history_lapsed(struct mt_history *h, uint64_t now);

/*
 * What a line-by-line comparison finds: "-" lines of `a`, "+" lines of `b`, some that are common around them, appended to
 * `out`. name: of the file.
 */
struct mt_text_buf;
void mt_line_diff(const char *name, const char *a, size_t a_len, const char *b, size_t b_len,
	struct mt_text_buf *out);
/* All files of two entries, and their overrides. */
void mt_history_diff(const struct mt_history_entry *a, const struct mt_history_entry *b,
	struct mt_text_buf *out);
