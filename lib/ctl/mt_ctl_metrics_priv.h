/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: the contents of the registry, and what one scrape gathers. */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_istio_metrics.h"
#include "mt_peer.h"
#include "mt_region.h"

/* ---- scrape.c: items with many series, gathered and bounded --------------------------------- */

enum mt_series_kind {
	MT_SERIES_SERVICE,  /* labels: service */
	MT_SERIES_ENDPOINT, /* cluster, endpoint */
	MT_SERIES_ROUTE,    /* service, route, match */
	MT_SERIES_LIMIT,    /* service, kind, rule */
	MT_SERIES_PORTION,  /* Istio's metrics of calls: host, workloads of endpoint and client */
	MT_SERIES_KINDS
};
#define MT_SERIES_LABELS 3

/*
 * Number of items per kind with series of their own; the others are summed up as MT_SERIES_OTHER.
 */
#define MT_SERIES_SERVICES  500
#define MT_SERIES_ENDPOINTS 2000
#define MT_SERIES_ROUTES    2000
#define MT_SERIES_LIMITS    1000
#define MT_SERIES_PORTIONS  500 /* unless mt_ctl_env.workload_series has another number */
#define MT_SERIES_OTHER	    "other"

/* Latency bounds of the exposition; each is the end of a histogram bucket (metrics_service.c). */
#define MT_LATENCY_BOUNDS_MAX 40

/* Values of a service or portion. lib/telemetry folds the counters, all before `stats`. */
struct mt_service_values {
	struct mt_service_stats calls;		     /* of the host's ports with messages */
	struct mt_service_stats tcp;		     /* of its ports with opaque TCP */
	uint64_t latency[MT_LATENCY_BOUNDS_MAX + 1]; /* per bucket of these bounds */
	uint64_t request[MT_SIZE_BUCKETS], reply[MT_SIZE_BUCKETS];
	struct mt_service_stats stats; /* sum of calls and tcp; series have it, keys do not */
};

/* Counters come first, because they are folded; then gauges that add up; then maxima. */
struct mt_endpoint_values {
	uint64_t requests, failures, conns_opened;
	uint64_t conns_active, outstanding;
	uint64_t oldest_call, silent; /* ns */
	uint64_t up;		      /* 1: it takes traffic */
};

struct mt_series {
	const char *label[MT_SERIES_LABELS];
	const char *made; /* labels as text */
	/*
	 * Istio's labels as text: services' of opaque TCP, portions' of calls. NULL: there are
	 * none, or the node does not report as this one.
	 */
	const char *istio[MT_ISTIO_REPORTERS];
	uint16_t istio_off; /* services and portions: mt_service.metrics_off */
	const uint64_t *values;
	/* services and portions: MT_EXEMPLARS; NULL: none were requested */
	const struct mt_series_example *examples;
};

/*
 * exemplars.c: newest exemplar of all workers for a power of two of latency, ready to be written.
 * labels NULL: none.
 */
struct mt_series_example {
	const char *labels;
	uint64_t us, wall;
};

/*
 * One scrape, from its first slice to its last. Its series are those of the configuration at its
 * start.
 */
struct mt_scrape;

struct mt_scrape *mt_scrape_new(struct mt_ctl *c, enum mt_format format);
void mt_scrape_free(struct mt_scrape *s);
/*
 * Appends the next slice to `out`; it may be empty. False: it was the last slice, or memory is
 * short (*failed).
 */
bool mt_scrape_next(struct mt_scrape *s, struct mt_sink *out, bool *failed);
/* For collectors, while a slice is made: series `i` of a kind; NULL after the last. */
const struct mt_series *mt_scrape_series(
	const struct mt_ctl *c, enum mt_series_kind kind, uint32_t i);
/*
 * Identifies a series for mt_fold_own(). Authors of documents choose the labels, so this hash has a
 * key: they cannot make labels that share an identity, or places in the fold's table.
 */
uint64_t mt_series_identity(const char *const label[MT_SERIES_LABELS]);
/* Number of items without series of their own. */
uint32_t mt_scrape_folded(const struct mt_ctl *c, enum mt_series_kind kind);

/* ---- collectors ----------------------------------------------------------------------------- */

/* One call of a collector, which writes samples of a family. */
struct mt_collect {
	const struct mt_ctl *c;
	struct mt_sink *out;
	const struct mt_family *f;
	/*
	 * The member that the family reports, an uint64_t: in the values of its kind, in
	 * mt_xds_type_info or in mt_ledger_numbers.
	 */
	size_t offset;
	/* First 0. With `more`, the item at which the next call continues. */
	uint32_t pos;
	bool more; /* false before the call */
};

/* A family, as in struct mt_family, and its collector. */
struct mt_family_row {
	const char *name;
	enum mt_family_type type;
	const char *unit, *labels, *help;
	void (*collect)(struct mt_collect *k);
	size_t offset;
};

/* Writes a sample with the labels {NAME, VALUE}, ... */
#define mt_emit(k, value, ...)                                                                     \
	mt_sample((k)->out, (k)->f, (const struct mt_label[]){__VA_ARGS__},                        \
		sizeof((const struct mt_label[]){__VA_ARGS__}) / sizeof(struct mt_label),          \
		(double)(value))

static inline void mt_emit_made(
	struct mt_collect *k, const char *labels, const char *more, uint64_t value)
{
	mt_sample_made(k->out, k->f, labels, more, value);
}

/* The family's member of `values`. */
static inline uint64_t mt_collect_member(const struct mt_collect *k, const void *values)
{
	return *(const uint64_t *)((const char *)values + k->offset);
}

/*
 * metrics_service.c: the next series of a kind; NULL after the last, and with k->more if the slice
 * is full.
 */
const struct mt_series *mt_collect_next(struct mt_collect *k, enum mt_series_kind kind);
/* Of a service or portion. */
static inline const struct mt_service_values *mt_service_of(const struct mt_series *s)
{
	return (const struct mt_service_values *)s->values;
}
/* metrics_service.c: adds the statistics of a port. */
void mt_add_service_stats(struct mt_service_stats *to, const struct mt_service_stats *st);
/* Writes the latency histogram of a service; `unit`: parts of a second, 1 or 1,000. */
void mt_emit_durations(
	struct mt_collect *k, const struct mt_series *s, const char *labels, double unit);

/* Each table ends with a row without a name. */
extern const struct mt_family_row mt_families_service[], mt_families_istio[], mt_families_node[],
	mt_families_load[], mt_families_mesh[], mt_families_identity[], mt_families_forwarding[],
	mt_families_log[];
extern const struct mt_family_row *const mt_family_tables[]; /* all of them, then NULL */

/* metrics_service.c: writes the bounds in microseconds; returns their number. */
uint32_t mt_latency_bounds(uint64_t bounds[MT_LATENCY_BOUNDS_MAX]);
/*
 * Adds the histograms of a service to `v`: latency by the bounds of the exposition, sizes by
 * bucket.
 */
void mt_fill_service_values(struct mt_service_values *v, const struct mt_service_hist *h);
/* Selects the exemplars of a service or portion. */
struct mt_examples_of {
	uint32_t index; /* mt_service.index */
	uint64_t id;	/* mt_service.id */
	bool portion;	/* only those by `caller` that ended at `workload` */
	uint64_t workload, caller;
};
/* exemplars.c: adds the exemplars of a service or portion; labels are allocated in `r`. */
void mt_examples_add(const struct mt_ctl *c, const struct mt_examples_of *of, struct mt_region *r,
	struct mt_series_example to[MT_EXEMPLARS]);
/*
 * Assigns exemplars to the n + 1 buckets of the `n` bounds that mt_latency_bounds() makes. Their
 * values are in units of which `unit` make a second. NULL: the series has none.
 */
const struct mt_example *mt_examples_of(const struct mt_series *s, const uint64_t *bounds,
	uint32_t n, double unit, struct mt_example to[MT_LATENCY_BOUNDS_MAX + 1]);
/*
 * Requests of a service without a good reply, and its opaque TCP connections that got no server, by
 * the flags of access logs; rows[0] has no flags.
 */
struct mt_istio_bad {
	uint32_t n;
	struct {
		uint32_t flags; /* enum mt_response_flag */
		uint64_t requests;
	} rows[MT_N_ENDINGS];
};
void mt_istio_bad_requests(const struct mt_service_stats *st, struct mt_istio_bad *to);

/* istio_labels.c: what Istio's labels show of a service besides its host. */
struct mt_istio_service {
	struct mt_peer peer; /* labels that all its endpoints share */
	const char *ns;	     /* NULL: unknown */
	/* of its ports with messages; NULL: it has none; "unknown": several, or not known */
	const char *protocol;
	bool called;   /* it has endpoints */
	bool not_bare; /* mt_cluster.not_bare of some cluster */
	bool inbound;  /* mt_service.inbound */
	/* of an inbound one: this node's, as "spiffe://..."; NULL: unknown */
	const char *principal;
	uint16_t off;				/* mt_service.metrics_off */
	const struct mt_istio_changes *changes; /* of labels (istio_merge.c); NULL: none */
};
/* The client of calls. */
struct mt_istio_caller {
	struct mt_peer peer;   /* its workload; all NULL: unknown */
	const char *principal; /* "spiffe://..."; NULL: unknown, or not verified */
	bool tls;	       /* it has a certificate of the mesh */
	/* Those with the same id have the same labels. 0: nothing is known. */
	uint64_t id;
};
/* A portion of a service's calls. */
struct mt_istio_served {
	const struct mt_istio_service *of; /* also what its host's other services joined */
	struct mt_peer peer;		   /* the workload where the calls ended */
	struct mt_istio_caller caller;
	struct mt_examples_of examples;
};
/* Made in `r`, which must outlive it, with copies of the snapshot's texts. NULL: no memory. */
struct mt_istio_service *mt_istio_service_of(
	struct mt_region *r, const struct mt_snapshot *snap, const struct mt_service *s);
/* Copies the workloads' labels, but not the principal. NULL: no memory. */
struct mt_istio_served *mt_istio_served_of(struct mt_region *r, const struct mt_istio_service *of,
	const struct mt_examples_of *examples, const struct mt_peer *peer,
	const struct mt_istio_caller *caller);
/* Adds another service of the same host. */
void mt_istio_service_join(struct mt_istio_service *to, const struct mt_istio_service *more);
bool mt_istio_reports(const struct mt_istio_service *s, enum mt_istio_reporter r);
/*
 * Appends the labels as text. served: the workload where the calls ended; NULL: for opaque TCP,
 * with the labels that all endpoints share. caller NULL: unknown, also how it connects.
 */
void mt_istio_labels(const struct mt_ctl *c, const char *host, const struct mt_istio_service *s,
	const struct mt_peer *served, const struct mt_istio_caller *caller,
	enum mt_istio_reporter r, struct mt_text_buf *out);

/* istio_portions.c: a portion with a service and workloads that the configuration has. */
#define MT_NO_SERVICE UINT32_MAX
struct mt_istio_portion {
	uint64_t key, service, workload, caller; /* as in mt_portion */
	uint16_t worker, at;			 /* the worker, and the place in its table */
	uint32_t of;				 /* mt_snapshot.services[of] */
	const struct mt_peer *peer;		 /* in the snapshot; all NULL: unknown */
	const struct mt_peer *by; /* the caller's (mt_conf_caller()); all NULL: unknown */
};
/* The caller of a portion of the snapshot; its principal is made in `r`. */
struct mt_istio_caller mt_istio_caller_of(
	struct mt_region *r, const struct mt_snapshot *snap, const struct mt_istio_portion *p);
/* For free(). NULL: no memory. */
struct mt_istio_portion *mt_istio_portions(
	const struct mt_ctl *c, const struct mt_snapshot *snap, uint32_t *n);
