/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator has overridden at run time, over what documents and discovery services say: a set of overrides, each about
 * one target. lib/conf applies them while it compiles and publishes; the worker's knobs and the log's levels are the daemon's to apply. They
 * hold until they are dropped or the daemon ends; those that are kept are in the state directory and hold over restarts.
 *
 * Each has one line of text, the words behind `tune`, which is also how it is kept:
 *
 *	drain 192.0.2.1:20880 [CLUSTER]
 *	weight 192.0.2.1:20880 5 [CLUSTER]
 *	split SERVICE ROUTE SUBSET=90 SUBSET=10
 *	limit SERVICE:PORT [CONDITION] [max=N] [per-fill=N] [fill=10s] [report-only=on|off]
 *	fault SERVICE [delay=100ms] [delay-percent=5] [abort-percent=5]
 *	worker idle=poll|adaptive, worker burst=N, worker coalesce=N, worker sampling=5ms|off
 *	log [MODULE] LEVEL
 *
 * Control thread only.
 */
#pragma once

#include "mt_addr.h"
#include "mt_filter_fault.h"
#include "mt_filter_limit.h"
#include "mt_log.h"
#include "mt_service.h"

#define MT_OVERRIDES_MAX	 256
#define MT_OVERRIDE_TEXT	 2048 /* bytes of one as text */
#define MT_OVERRIDE_SHARES	 16
#define MT_OVERRIDE_WHO		 208
#define MT_OVERRIDE_BURST_MAX	 32u
#define MT_OVERRIDE_COALESCE_MAX 1400u
#define MT_OVERRIDE_SAMPLING_MAX 3600000u /* ms; 0: off */

enum mt_override_kind {
	MT_OVERRIDE_DRAIN,
	MT_OVERRIDE_WEIGHT,
	MT_OVERRIDE_SPLIT,
	MT_OVERRIDE_LIMIT,
	MT_OVERRIDE_FAULT,
	MT_OVERRIDE_WORKER,
	MT_OVERRIDE_LOG,
};

enum mt_override_knob {
	MT_KNOB_IDLE,
	MT_KNOB_BURST,
	MT_KNOB_COALESCE,
	MT_KNOB_SAMPLING,
	MT_N_KNOBS
};

struct mt_override {
	enum mt_override_kind kind;
	/* The target: DRAIN, WEIGHT: addr and port, cluster ("": any); SPLIT: service and route; LIMIT: service:port and
	 * condition ("*": the service's own); FAULT: service; WORKER: knob; LOG: module ("": all). */
	struct mt_addr addr;
	uint16_t port;
	enum mt_override_knob knob;
	char target[256], part[256];
	/* What it is set to. */
	uint32_t value; /* WEIGHT, WORKER (idle: 1 is adaptive), LOG (enum mt_log_level) */
	struct {
		char cluster[128]; /* or the subset's name */
		uint32_t weight;
	} shares[MT_OVERRIDE_SHARES];
	uint32_t n_shares;
	struct mt_limit_override limit;
	struct mt_fault_conf fault;

	/* Bookkeeping, not part of the text. */
	uint32_t id;
	bool keep;
	uint64_t wall; /* ns */
	char who[MT_OVERRIDE_WHO];
};

/*
 * From the words behind `tune`. Only the form is checked, not whether the target exists. 0 or -EINVAL with the reason in
 * e.
 */
int mt_override_parse(
	struct mt_override *o, const char *const *words, uint32_t n, struct mt_err *e);
/* The same from one line. */
int mt_override_parse_line(struct mt_override *o, const char *line, struct mt_err *e);
/* Back to text; returns buf. */
char *mt_override_str(const struct mt_override *o, char buf[MT_OVERRIDE_TEXT]);
/* Whether both are about the same thing: the newer one then takes the place of the older. */
bool mt_override_same_target(const struct mt_override *a, const struct mt_override *b);

/* A set, in the order in which they were set. */
struct mt_overrides {
	struct mt_override *v;
	uint32_t n;
	uint32_t next_id;
	uint64_t version; /* grows with each change */
};

/* Sets or replaces; *id: its number. 0, -ENOMEM or -E2BIG. */
int mt_overrides_set(struct mt_overrides *s, const struct mt_override *o, uint32_t *id);
/* By number; false: there is none. */
bool mt_overrides_drop(struct mt_overrides *s, uint32_t id);
struct mt_override *mt_overrides_find(const struct mt_overrides *s, uint32_t id);
const struct mt_override *mt_overrides_same(
	const struct mt_overrides *s, const struct mt_override *o);
/* 0 or -ENOMEM. `to` is overwritten, not freed. */
int mt_overrides_copy(struct mt_overrides *to, const struct mt_overrides *from);
void mt_overrides_fini(struct mt_overrides *s);

/*
 * Those that are kept, in STATE/overrides, written as mt_service_replace() does. Load: 0 also when there is no file; a
 * damaged line is left out and named in e, with -EINVAL, and the others hold.
 */
void mt_overrides_save(const struct mt_overrides *s, const char *state_dir,
	struct mt_service *service, mt_replaced_fn *fn, void *arg);
/* The file of these; free(). NULL: no memory. */
char *mt_overrides_text(const struct mt_overrides *s);
int mt_overrides_load(struct mt_overrides *s, const char *state_dir, struct mt_err *e);

/* What a compile asks: NULL or the value as given: nothing is overridden. */
uint32_t mt_overrides_weight(const struct mt_overrides *s, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint32_t weight);
bool mt_overrides_drains(const struct mt_overrides *s, const char *cluster,
	const struct mt_addr *addr, uint16_t port);
const struct mt_override *mt_overrides_split(
	const struct mt_overrides *s, const char *service, const char *route);
const struct mt_override *mt_overrides_fault(const struct mt_overrides *s, const char *service);
/* Of all that may be about this cluster, or this service; 0: nothing is. What is shared by snapshots holds it. */
uint64_t mt_overrides_cluster_stamp(const struct mt_overrides *s, const char *cluster);
uint64_t mt_overrides_service_stamp(const struct mt_overrides *s, const char *service);
