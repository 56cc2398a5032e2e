/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/ctl: events of the traffic that the log reports: clusters without an endpoint,
 * endpoints that do not answer, closed services, limits that refuse, certificates that are not
 * renewed. Ejected endpoints are in
 * outliers.c. Workers do not log: the control thread compares their state once a second with that
 * of the last look. So an event has one line for the node (level warn), and one for its end
 * (info).
 */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_ctl_waiting_priv.h"
#include "mt_strmap.h"

/* ---- events.c ------------------------------------------------------------------------------- */

enum mt_edge { MT_EDGE_NONE, MT_EDGE_STARTS, MT_EDGE_ENDS };

#define MT_CTL_SPAN 32

/* A period as text: "300 ms", "15 s", "2 min 5 s". Returns buf. */
const char *mt_ctl_span(uint64_t ns, char buf[MT_CTL_SPAN]);

/* ---- clusters.c ----------------------------------------------------------------------------- */

/* State of an ejection, the same in all views. */
enum mt_ctl_ejection {
	MT_CTL_NOT_EJECTED,
	MT_CTL_EJECTED,	     /* its time is not over */
	MT_CTL_HEALTH_CHECK, /* its time is over; a worker sends heartbeats */
	MT_CTL_TRIAL,	     /* a trial call was sent, or the next call is one */
};
enum mt_ctl_ejection mt_ctl_ejection(const struct mt_ep_state *e, uint64_t now);
/* True if it was never ejected, or a change of the configuration ended the ejection. */
static inline bool mt_ctl_ep_is_forgiven(const struct mt_ep_state *e)
{
	return !__atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);
}
/* True if the balancer picks it: it is neither out nor leaving nor drained by an operator. */
bool mt_ctl_ep_takes_traffic(const struct mt_ep_state *e, uint64_t now);

/* State of a cluster that may lack an endpoint that takes traffic. */
struct mt_lack {
	uint64_t id;	/* mt_cluster.id; another cluster may get its index later */
	bool had;	/* it had such an endpoint */
	bool on;	/* it had one, and has none now */
	uint64_t since; /* ns */
};

/*
 * Takes the cluster's present state. A lack starts only after the cluster had an endpoint, because
 * meshes name many services without servers.
 */
enum mt_edge mt_lack_step(struct mt_lack *l, uint64_t id, bool lacks, uint64_t now);

/* Logs clusters that have lost their last endpoint, or have one again. */
void mt_events_clusters(struct mt_ctl *c);
/* The next cluster that lacks an endpoint. Start with *pos = 0; NULL at the end. */
const char *mt_events_lacking_next(const struct mt_ctl *c, uint32_t *pos);

/* ---- outliers.c ----------------------------------------------------------------------------- */

/*
 * Takes an event of a worker. An ejection of an endpoint that has not returned since the last one
 * belongs to the same row, and has no line of the log.
 */
void mt_outliers_note(struct mt_ctl *c, const struct mt_ep_event *a);

/*
 * When the endpoint ("ADDRESS:PORT") was ejected because it does not answer, ns; 0: it is not
 * ejected, for another reason, or has answered since.
 */
uint64_t mt_outliers_silent(const struct mt_ctl *c, const char *cluster, const char *endpoint);

/* ---- hangs.c -------------------------------------------------------------------------------- */

/* Logs endpoints that do not answer, or answer again. */
void mt_events_hangs(struct mt_ctl *c);
void mt_events_hangs_fini(struct mt_events *e);

/* ---- services.c ----------------------------------------------------------------------------- */

/* Logs services that a policy has closed, or that are open again. */
void mt_events_services(struct mt_ctl *c);
void mt_events_services_fini(struct mt_events *e);
/*
 * The next service that is closed now, and the object that closes it. Start with *pos = 0; NULL at
 * the end.
 */
const char *mt_events_closed_next(const struct mt_ctl *c, uint32_t *pos, const char **by);

/* ---- limits.c ------------------------------------------------------------------------------- */

/* Logs rate limits that start or stop to refuse calls. */
void mt_events_limits(struct mt_ctl *c);

/* ---- connections.c -------------------------------------------------------------------------- */

/* A limit of the node's connections. */
struct mt_full {
	bool on;
	uint64_t refused;     /* since the start of the process, at the last look */
	uint64_t before;      /* `refused` before it began */
	uint64_t since, last; /* ns: the first and the last refusal */
};
#define MT_FULL_LIMITS 2

/* Takes the number of refusals. The end comes 60 s after the last one. */
enum mt_edge mt_full_step(struct mt_full *f, uint64_t refused, uint64_t now);
/* Logs limits of the node's connections that start or stop to refuse. */
void mt_events_connections(struct mt_ctl *c);

/* ---- one_way.c ------------------------------------------------------------------------------ */

#define MT_ONE_WAY_NS (30 * MT_SEC)

/* Packets of a service, by its number. */
struct mt_one_way {
	uint64_t owner; /* mt_l4_service.owner; 0: none was seen */
	uint64_t sent, answered;
	uint64_t since; /* ns: the first packet of clients after the last answer; 0: none */
	uint64_t late;	/* ns: the first one MT_ONE_WAY_NS after that; 0: none */
};

struct mt_l4_service;
struct mt_l4_stats;
/* Notes the service's counters. */
void mt_one_way_look(struct mt_one_way *l, const struct mt_l4_service *s,
	const struct mt_l4_stats *st, uint64_t now);
/*
 * Time, ns, since the first packet without an answer; 0: there is none, or clients have sent
 * nothing MT_ONE_WAY_NS after it: they may wait for no answer.
 */
uint64_t mt_one_way_ns(const struct mt_one_way *l, uint64_t now);
/* Looks which forwarded services get no replies through this node. */
void mt_events_one_way(struct mt_ctl *c);
/*
 * Time, ns, for which clients of the service have sent and its endpoints have not: mt_one_way_ns(),
 * 0 unless the mode is `nat`.
 */
uint64_t mt_events_one_way_for(const struct mt_ctl *c, const struct mt_l4_service *s);

/* ---- certificates.c ------------------------------------------------------------------------- */

/* How far a certificate's lifetime is over. */
enum mt_cert_age {
	MT_CERT_FRESH,
	MT_CERT_THIRD, /* less than a third is left */
	MT_CERT_TENTH, /* less than a tenth is left */
	MT_CERT_OVER,
};

/* A certificate, or a revocation list, by its name, as it was at the last look. */
struct mt_cert_look {
	int64_t not_before, not_after; /* Unix time in s */
	enum mt_cert_age age;
	bool still; /* it is in use */
	bool own;   /* of an identity of the node */
	bool list;  /* a revocation list */
	char name[];
};

/* `left`: seconds until it expires. */
enum mt_cert_age mt_cert_age(int64_t not_before, int64_t not_after, int64_t left);
/*
 * Takes the present certificate. STARTS: it is older than at the last look, so that its renewal is
 * late; ENDS: another one has replaced an old one. Authorities replace lists late in their
 * lifetime, so a list is late at a tenth.
 */
enum mt_edge mt_cert_step(
	struct mt_cert_look *l, int64_t not_before, int64_t not_after, int64_t left);

/* Logs certificates that are not renewed in time. */
void mt_events_certificates(struct mt_ctl *c);
/* The next certificate or list that documents name. Start with *pos = 0; NULL at the end. */
const struct mt_cert_look *mt_events_certificate_next(const struct mt_ctl *c, uint32_t *pos);
void mt_events_certificates_fini(struct mt_events *e);

/* ---- the object ----------------------------------------------------------------------------- */

struct mt_events {
	uint64_t next; /* ns: when to look again */
	/* clusters.c */
	struct mt_lack *lacks;	   /* by mt_cluster.index */
	uint32_t n_lacks, lacking; /* lacking: number of clusters that lack an endpoint */
	uint64_t clusters_of;	   /* version of the last look */
	/* hangs.c */
	struct mt_hang *hangs;	    /* those that the log has reported */
	uint32_t n_hangs, hangs_at; /* hangs_at: number of clusters that were looked at */
	/* services.c */
	struct mt_strmap closed; /* struct mt_closed, by the service's name */
	uint64_t services_of;	 /* version of the last look */
	/* limits.c */
	uint64_t refused;    /* calls that any limit refused, at the last look */
	uint32_t n_refusing; /* limits that refuse at present */
	/* connections.c */
	struct mt_full full[MT_FULL_LIMITS];
	/* one_way.c */
	struct mt_one_way *one_way; /* by mt_l4_service.id; NULL: nothing was forwarded yet */
	/* certificates.c */
	struct mt_strmap certificates; /* struct mt_cert_look, by its name */
	uint64_t certificates_next;    /* ns: when to look again */
};
