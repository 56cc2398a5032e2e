/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History of applied configurations: an entry for each one that was published. It has the author,
 * the source, the changes, and what a rollback needs (the texts of the files, and the overrides as
 * text). Bounded: old entries lose their texts when there are too many bytes, and are dropped when
 * there are too many entries. Also keeps the time limit of `commit confirm`. Control thread only;
 * the caller supplies the time.
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
	/* "start", "files", "discovery", "tune", "rollback", "not confirmed"; of actions "close" .. */
	char from[24];
	char who[MT_WHO_LEN];
	char *what;		       /* "2 services changed", or the text of the override */
	char *changes;		       /* by name, "; " between them; "": unknown */
	struct mt_source_texts *texts; /* NULL: no longer kept */
	char *overrides;	       /* one line each; "": none */
	/*
	 * An operator's action that changed no configuration: it has the version of the entry before
	 * it, and no texts. It is merged into an action of the same kind that is the newest entry, so
	 * that many of them do not displace configurations.
	 */
	bool action;
	/* Replaces the newest entry if that merges, too, and is younger than MT_HISTORY_MERGE. */
	bool merges;
	uint32_t
		merged; /* number of entries merged into this entry; their changes follow its own */
};

/* Discovery servers may change the configuration five times a second. */
#define MT_HISTORY_MERGE (10 * MT_SEC)

struct mt_history;

/* 0 selects the defaults, MT_HISTORY_ENTRIES and MT_HISTORY_BYTES. NULL: no memory. */
struct mt_history *mt_history_new(uint32_t entries, size_t bytes);
void mt_history_free(struct mt_history *h);

/* Copies the entry; takes its texts over, even on failure. 0 or -ENOMEM. */
int mt_history_add(struct mt_history *h, const struct mt_history_entry *e);
/* Entry i, newest first; NULL: there are fewer entries. */
const struct mt_history_entry *mt_history_at(const struct mt_history *h, uint32_t i);
/* The configuration of that version, no action; NULL: unknown, or no longer kept. */
const struct mt_history_entry *mt_history_find(const struct mt_history *h, uint64_t version);
/* Bytes of all entries. */
size_t mt_history_bytes(const struct mt_history *h);

/*
 * Starts the time limit of `commit confirm`: unless it is confirmed by `until` (ns, monotonic), the
 * current configuration comes back. If a limit is running only the time changes, and the
 * configuration to return to stays. False: there is no entry yet.
 */
bool mt_history_arm(struct mt_history *h, uint64_t until);
/* Ends the time limit and keeps the current configuration. False: no limit was running. */
bool mt_history_confirm(struct mt_history *h);
/* The version that comes back at *until; 0: no limit is running. */
uint64_t mt_history_armed(const struct mt_history *h, uint64_t *until);
/*
 * Once, when the time has passed: the version to return to; 0: not yet, or nothing has changed
 * since.
 */
uint64_t mt_history_lapsed(struct mt_history *h, uint64_t now);

/*
 * Appends a row for each object and each override that only one of two entries has, and for each
 * object with different content: {change: added, removed or changed, object, origin}. `b` is the
 * later one. Both have texts. Rows name objects but show no value, because a document may contain a
 * secret. 0, -ENOMEM or -E2BIG.
 */
struct json_t;
int mt_history_diff(
	const struct mt_history_entry *a, const struct mt_history_entry *b, struct json_t *rows);
