/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run-time overrides by operators, which precede documents and discovery services. Each override
 * has one target. lib/conf applies overrides while it compiles and publishes; the daemon applies
 * those of workers and log levels. An override ends when it is dropped or the daemon ends, unless
 * it is kept: kept ones are stored in the state directory and survive restarts.
 *
 * The text of an override, also in its file, is a line with the words of its command, without
 * `tune`:
 *
 *	drain endpoint 192.0.2.1:20880 [CLUSTER]
 *	drain service SERVICE [refuse]
 *	drain listener 192.0.2.1:20880 [refuse]
 *	return endpoint 192.0.2.1:20880 CLUSTER
 *	weight 192.0.2.1:20880 5 [CLUSTER]
 *	split SERVICE ROUTE SUBSET=90 SUBSET=10
 *	limit SERVICE:PORT [CONDITION] [max=N] [per-fill=N] [fill=10s] [report-only=on|off]
 *	fault SERVICE [delay=100ms] [delay-percent=5] [abort-percent=5]
 *	worker idle=poll|adaptive, worker burst=N, worker coalesce=N, worker sampling=5ms|off,
 *	worker log-sample=PERCENT
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
#include "mt_snapshot.h"

#define MT_OVERRIDES_MAX	 256  /* overrides in a set */
#define MT_OVERRIDE_TEXT	 2048 /* bytes of an override's text, with the NUL */
#define MT_OVERRIDE_SHARES	 16
#define MT_OVERRIDE_WHO		 208 /* bytes of mt_override.who, with the NUL */
#define MT_OVERRIDE_BURST_MAX	 32u
#define MT_OVERRIDE_COALESCE_MAX 1400u
#define MT_OVERRIDE_SAMPLING_MAX 3600000u /* ms; 0: off */
#define MT_LOG_SAMPLE_ALL	 10000u	  /* percent * 100 */

enum mt_override_kind {
	MT_OVERRIDE_DRAIN, /* an endpoint */
	MT_OVERRIDE_DRAIN_SERVICE,
	MT_OVERRIDE_DRAIN_LISTENER,
	MT_OVERRIDE_RETURN, /* exempts a cluster from the drain of an endpoint in all clusters */
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
	MT_KNOB_LOG_SAMPLE, /* lib/conf applies it, as spec.accessLog.sample */
	MT_N_KNOBS
};

struct mt_override {
	enum mt_override_kind kind;
	/*
	 * The target, with its texts in `target` and `part`. DRAIN, WEIGHT: addr and port, and the
	 * cluster ("": any). RETURN: the same, never "". DRAIN_LISTENER: addr and port. SPLIT:
	 * service and route. LIMIT: service:port and condition ("*": the service's own limit).
	 * DRAIN_SERVICE, FAULT: service. WORKER: knob. LOG: module ("": all).
	 */
	struct mt_addr addr;
	uint16_t port;
	enum mt_override_knob knob;
	char target[256], part[256];
	/*
	 * The value. WEIGHT, WORKER (idle: 1 is adaptive; log-sample: percent * 100), LOG (enum
	 * mt_log_level), DRAIN_SERVICE and DRAIN_LISTENER (enum mt_listener_drain)
	 */
	uint32_t value;
	struct {
		char cluster[128]; /* name of the cluster or of the subset */
		uint32_t weight;
	} shares[MT_OVERRIDE_SHARES];
	uint32_t n_shares;
	struct mt_limit_override limit;
	struct mt_fault_conf fault;

	/* Not part of the text. */
	uint32_t id;
	bool keep;		   /* stored in the state directory */
	uint64_t wall;		   /* when it was set, ns since 1970 */
	char who[MT_OVERRIDE_WHO]; /* the operator; "": unknown */
};

/*
 * Sets *o from the words of a command, without `tune`. Checks their form, but not if the target
 * exists. 0, or -EINVAL with the reason in e.
 */
int mt_override_parse(
	struct mt_override *o, const char *const *words, uint32_t n, struct mt_err *e);
/* As mt_override_parse(), from a line of text. */
int mt_override_parse_line(struct mt_override *o, const char *line, struct mt_err *e);
/* Writes the override's text; returns buf. */
char *mt_override_str(const struct mt_override *o, char buf[MT_OVERRIDE_TEXT]);
/*
 * True if the words of an operator, or of a file of an earlier version, name the cluster. They may
 * have its host, which follows the last '|', in capitals.
 */
bool mt_override_names(const char *words, const char *cluster);
/* True if both have the same target, so that the newer one replaces the older. */
bool mt_override_same_target(const struct mt_override *a, const struct mt_override *b);

/* A set of overrides, in the order in which they were set; zero-filled: empty. */
struct mt_overrides {
	struct mt_override *v;
	uint32_t n;
	uint32_t next_id;
	uint64_t version; /* increases with each change */
};

/*
 * Copies *o into the set, or over the one with the same target, which keeps its id and stays kept.
 * *id: its number. A drain ends the exemptions of its clusters. 0, -ENOMEM or -E2BIG
 * (MT_OVERRIDES_MAX).
 */
int mt_overrides_set(struct mt_overrides *s, const struct mt_override *o, uint32_t *id);
/*
 * Removes the override with this id, and the exemptions from it if it drains an endpoint in all
 * clusters. False: there is none.
 */
bool mt_overrides_drop(struct mt_overrides *s, uint32_t id);
/*
 * True if the return of *o changes the set: it ends the same drain; if *o has no cluster, drains of
 * its endpoint in any cluster; if it has one, the part of a drain in all clusters.
 */
bool mt_overrides_returns(const struct mt_overrides *s, const struct mt_override *o);
/* True if *o has a cluster, and returns its endpoint from a drain in all clusters. */
bool mt_overrides_exempts(const struct mt_overrides *s, const struct mt_override *o);
/*
 * Applies the return of *o: removes drains, or exempts its cluster from the drain in all clusters
 * (MT_OVERRIDE_RETURN), which is kept if the drain is. 0, -ENOMEM or -E2BIG.
 */
int mt_overrides_return(struct mt_overrides *s, const struct mt_override *o);
/* The override with this id; NULL: none. Valid until the set changes. */
struct mt_override *mt_overrides_find(const struct mt_overrides *s, uint32_t id);
/* The override with the same target as *o; NULL: none. Valid until the set changes. */
const struct mt_override *mt_overrides_same(
	const struct mt_overrides *s, const struct mt_override *o);
/* Copies a set. 0 or -ENOMEM. `to` is overwritten, not freed. */
int mt_overrides_copy(struct mt_overrides *to, const struct mt_overrides *from);
/* Frees the overrides and makes the set empty. */
void mt_overrides_fini(struct mt_overrides *s);

/* Writes the kept overrides to STATE/overrides by mt_service_replace(), which also calls fn. */
void mt_overrides_save(const struct mt_overrides *s, const char *state_dir,
	struct mt_service *service, mt_replaced_fn *fn, void *arg);
/* Contents of that file, for the caller to free(). NULL: no memory. */
char *mt_overrides_text(const struct mt_overrides *s);
/*
 * Adds the overrides in STATE/overrides to the set. Returns 0, also if there is no file. -EINVAL:
 * the file has another format, or damaged lines were left out; e names the first one. Other -errno:
 * the file cannot be read.
 */
int mt_overrides_load(struct mt_overrides *s, const char *state_dir, struct mt_err *e);

/*
 * Lookups by a compile. Without an override they return NULL, false, or `weight` unchanged. An
 * override for this cluster precedes one for all clusters.
 */
uint32_t mt_overrides_weight(const struct mt_overrides *s, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint32_t weight);
bool mt_overrides_drains(const struct mt_overrides *s, const char *cluster,
	const struct mt_addr *addr, uint16_t port);
enum mt_listener_drain mt_overrides_drains_service(
	const struct mt_overrides *s, const char *service);
enum mt_listener_drain mt_overrides_drains_listener(
	const struct mt_overrides *s, const struct mt_addr *addr, uint16_t port);
const struct mt_override *mt_overrides_split(
	const struct mt_overrides *s, const char *service, const char *route);
const struct mt_override *mt_overrides_fault(const struct mt_overrides *s, const char *service);
/* Percent * 100 of calls that leave a line, where documents have `sample`. */
uint32_t mt_overrides_log_sample(const struct mt_overrides *s, uint32_t sample);
/*
 * Hash of the overrides that change a compiled cluster (weights) or service (splits, limits,
 * faults); 0: none. Objects that snapshots share contain it, so that a change makes a new object.
 */
uint64_t mt_overrides_cluster_stamp(const struct mt_overrides *s, const char *cluster);
uint64_t mt_overrides_service_stamp(const struct mt_overrides *s, const char *service);
