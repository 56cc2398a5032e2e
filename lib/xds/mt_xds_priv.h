/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internals of the xDS client:
 * - store.c: resources by type and name
 * - warm.c: warming, activation and removal
 * - trial.c: verdicts of loads on resources
 * - demand.c: on-demand discovery
 * - link.c, link_tls.c: connections, streams, TLS identity
 * - dns.c: endpoints by host name
 * - keep.c: the state file
 *
 * A resource is "active" while models contain it, and "pending" while a newer body waits for the
 * resources that it references (Envoy: warming).
 */
#pragma once

#include "mt_ads.h"
#include "mt_grpc.h"
#include "mt_heap.h"
#include "mt_list.h"
#include "mt_strmap.h"
#include "mt_xds.h"
#include "mt_xds_map.h"

#define XDS_NAME_MAX 2048u /* bytes of a resource's name, with the NUL */
#define XDS_FETCH_NS                                                                               \
	(15 * MT_SEC) /* maximum wait for an answer: the default of Envoy's initial_fetch_timeout */

/* ---- resources ------------------------------------------------------------------------------- */

/*
 * A valid version of a resource: its part of the model, and its references. Each referenced
 * resource is counted as wanted (xds_res.wants) while this body exists.
 */
struct xds_body {
	struct mt_xds_mapped mapped;
	uint64_t since;
	struct mt_xds_digest digest; /* 0: not computed yet */
	uint64_t raw_hash;	     /* of the bytes as received */
	uint8_t *raw;		     /* these bytes, in mt_xds.raws; NULL: not in memory */
	uint32_t raw_len;
	uint32_t file_at,
		file_next; /* offsets in the state file and in the one being written; 0: absent */
	char *version;	   /* NULL: none */
	bool refused;	   /* rejected by a load; tried again when others change */
	struct xds_res *targets[]; /* [mapped.n_refs]; NULL: no memory for it */
};

/*
 * A resource that was received or is referenced. `live` is the active body. `next` is newer: it
 * waits for the resources that it references, or was rejected by a load (next->refused).
 */
struct xds_res {
	/* First the fields that a pass over all resources reads. */
	struct mt_list node; /* xds_type.all, in the order of creation */
	uint64_t expires_at; /* 0: never */
	enum mt_xds_type type : 8;
	bool gone;		      /* removed by the server, or expired */
	bool restored;		      /* from the state file or an earlier bootstrap; unconfirmed */
	bool blamed;		      /* a NACK for it was sent */
	bool named;		      /* restored, and announced to a delta server */
	bool held;		      /* referenced by an active, pending or rollback body */
	bool emptied;		      /* the last answer was empty and ignored */
	bool left_out;		      /* by the last load: it is wrong */
	bool not_served;	      /* by the last load: valid, but not supported */
	bool server_delta;	      /* `server` uses the delta protocol */
	struct xds_body *next, *live; /* NULL: none */

	struct xds_link *link; /* stream that provides it; NULL: none */
	char *server;	       /* from the newest reference; NULL: the default server */
	char *refused;	       /* why the newest body was rejected; NULL: it was not */
	char *told;	       /* diagnostic of the last load; NULL: none */
	uint64_t refused_hash; /* of the rejected body */
	/* Index in x->trials + 1 until a load has compiled `live`; 0: not on trial. */
	uint32_t trial;
	/* Index in link->judged[type] + 1 while the verdict on its response is due; 0: none is. */
	uint32_t judged;
	uint32_t wants;	     /* bodies that reference it */
	uint32_t queried;    /* of these references: mt_xds_ref.queried */
	uint32_t round;	     /* number of the last response with it */
	uint64_t updated_at; /* 0: never */
	struct xds_dns *dns; /* of a cluster with host names; else NULL */
	struct xds_demand
		*demand; /* of a cluster or route table that a call requested; else NULL */
	char name[];
};

/*
 * An on-demand cluster or route table: from the first call that requests it until it is no longer
 * used.
 */
struct xds_demand {
	struct mt_list node; /* xds_demands.all, in the order of the requests */
	struct xds_res *r;
	uint64_t since;	   /* when a call requested it */
	uint64_t asked_at; /* when it was subscribed to; 0: not yet (rate limit) */
	uint64_t used_at;
	uint64_t absent_until; /* remembered as missing; 0: it is not */
	uint64_t calls;	       /* mt_xds_use.calls at the last check */
	const char *why;       /* the reason for absent_until; static */
	bool told;	       /* it has become active */
};

/* State of on-demand discovery. */
struct xds_demands {
	struct mt_xds_demand_conf conf; /* names 0: clusters are not on demand */
	struct mt_list all;
	uint32_t n;
	uint64_t due;		/* when the next pass is due */
	uint64_t next_ask;	/* rate limit: time of the next request */
	struct mt_model *named; /* clusters and routes known only by name; NULL: not built yet */
	struct mt_xds_demand_stats stats;
};

/* Pending resources, so that a change of one among 20,000 needs no pass over all of them. */
struct xds_waiting {
	struct xds_res *v[32]; /* NULL: it was freed */
	uint32_t n;
	bool more; /* `v` was too small: check all resources of the type */
};

struct xds_type {
	struct mt_strmap names;
	struct mt_list all;
	uint32_t n;
	struct xds_waiting waiting;
};

/* ---- connections ----------------------------------------------------------------------------- */

/* The connection to one xds_server of the bootstrap. */
struct xds_conn {
	struct mt_list node;
	struct mt_xds *x;
	const struct mt_xds_server *server;
	struct mt_grpc *grpc; /* NULL: no TLS identity yet */
	struct mt_grpc_tls tls;
	const struct mt_secret *held[2]; /* secrets whose texts `tls` points to */
	struct mt_grpc_header headers[MT_GRPC_HEADERS];
	uint32_t n_headers;
	char host[256]; /* default TLS server name: the host of the first address */
	struct mt_err why;
	uint64_t since, trouble_at, next_identity;
	uint32_t connects;
};

/* Resources of one type whose verdict is due: new and rejected ones of responses. */
struct xds_judged {
	struct xds_res **v;
	uint32_t n, cap;
	bool pending;	      /* the verdict needs a load */
	bool late;	      /* some were already acknowledged */
	struct mt_err spoilt; /* error of an item that has no resource; "" */
};

/* One stream, for all types (ADS, type -1) or for one. */
struct xds_link {
	struct mt_list node;
	struct mt_xds *x;
	struct xds_conn *conn;
	int type;
	bool delta;
	bool anew; /* the stream is to be reopened */
	/*
	 * Delta, by type. named: some restored resources were announced. repeats: the server sends
	 * announced resources again although they have not changed.
	 */
	bool named[MT_XDS_TYPES], repeats[MT_XDS_TYPES];
	struct mt_ads *ads;
	struct mt_grpc_stream *call; /* NULL: not open */
	uint64_t next_open, backoff, since, trouble_at;
	uint64_t heard_at[MT_XDS_TYPES]; /* first response on this stream; 0: none */
	struct mt_err why;
	struct mt_err refused[MT_XDS_TYPES]; /* NACK of the last response; "" */
	struct xds_judged judged[MT_XDS_TYPES];
	uint64_t late[MT_XDS_TYPES]; /* number of NACKs after an ACK */
};

/* A resource whose `live` no load has compiled yet, and its previous active body. */
struct xds_trial {
	struct xds_res *r;
	struct xds_body *good; /* the body to roll back to; NULL: none */
};

/* A field that has no effect. */
struct xds_ignored {
	const char *field, *why;
	uint32_t n; /* resources that have it */
};

struct mt_xds {
	char name[40], origin[48], path[4096]; /* path "": no state file */
	struct mt_xds_bootstrap *b;
	struct mt_xds_env env; /* fds NULL: not started */
	uint64_t now, serial;
	uint64_t serial_base; /* less than every serial of a resource */
	uint32_t round;
	struct xds_type types[MT_XDS_TYPES];
	struct mt_heap raws; /* bodies as received, until the state file contains them */
	struct mt_list conns, links, dns;
	uint64_t dns_answers; /* mt_name_table_answers() + 1 at the last check; 0: check again */
	struct mt_fd_watch timer;
	struct xds_demands demand;

	/* Changes that are not active or not compiled yet. */
	bool dirty;   /* the store has changed */
	bool changed; /* the active set has changed since mt_xds_turn() returned true */
	uint64_t first_change, last_change, settled_at;
	uint64_t settle_at; /* when a timeout is due; MT_NEVER: none */
	bool may_end;	    /* some resources are gone, unconfirmed or have a TTL */
	uint64_t pushes;
	uint64_t looked;   /* number of resources checked by passes */
	bool loading;	   /* mt_xds_turn() returned true, and the load has not ended */
	bool held_by_good; /* resources are kept for a rollback; check again after the load */
	struct xds_trial *trials;
	uint32_t n_trials, cap_trials;
	uint32_t fresh;	    /* new bodies since memory was last trimmed */
	uint32_t n_told;    /* resources with a diagnostic of the last load */
	uint32_t n_refused; /* rejected bodies in `next` */
	uint32_t
		n_blamed; /* at least the number of resources for which the server was sent a NACK */
	bool newly_out;	  /* a load left out a resource without a NACK so far */
	bool moved
		[MT_XDS_TYPES]; /* a resource of this type has become active or left in this pass */

	/* kept_in_force: the state file was restored; delivered: see mt_xds_delivered() */
	bool delivered, kept_in_force;
	bool kept_from_these; /* the state file is from the servers of this bootstrap */
	uint64_t synced_at;   /* when all types had been answered; 0: not yet */

	/* The state file. */
	bool keep_dirty, keep_failed;
	bool keep_writing; /* the service thread writes a file */
	bool keep_use;	   /* a new file is written, but bodies are still read from the old one */
	bool keep_spoilt;  /* it was damaged and is still incomplete */
	uint32_t
		keep_lost; /* bodies whose bytes are lost, and that have not been requested again */
	uint64_t keep_first, keep_last, keep_next, keep_ask;
	struct mt_err kept;
	int keep_fd; /* the open state file, for bodies not in memory; -1: none */

	struct mt_err words;	     /* result text of mt_xds_info() and the like */
	struct xds_ignored *ignored; /* see mt_xds_ignored() */
	uint32_t n_ignored;
	uint64_t secrets_serial, look_at;
};

/* store.c */
struct xds_res *xds_find(const struct mt_xds *x, enum mt_xds_type type, const char *name);
/* Finds or creates a resource. NULL: no memory, or too many of the type. */
struct xds_res *xds_get(struct mt_xds *x, enum mt_xds_type type, const char *name);
/* Copies the name that a body contains into buf. False if it has none that fits. */
bool xds_name_of(const Xds__Any *body, char *buf, size_t size);
/* Result of xds_take(): unchanged, new body, or rejected (reason: xds_why_refused()). */
enum xds_taken { XDS_SAME, XDS_FRESH, XDS_REFUSED };
/* Processes a resource of a response or of the state file. */
enum xds_taken xds_take(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item);
/* Processes a whole response on a stream (struct mt_ads_events.update). */
enum mt_ads_verdict xds_update(void *arg, const struct mt_ads_update *u, struct mt_err *why);
/* Frees *b, which may be NULL, and its references, and sets it to NULL. */
void xds_body_drop(struct mt_xds *x, struct xds_body **b);
/* Makes `b` current again: its references decide again which server provides their resources. */
void xds_body_again(struct mt_xds *x, const struct xds_body *b);
/*
 * Returns the bytes of a body, or NULL if they are neither in memory nor in the state file. The
 * caller frees *own, which may be NULL.
 */
const uint8_t *xds_body_bytes(const struct mt_xds *x, const struct xds_body *b, uint8_t **own);
/* True if the bytes belong in the state file but are lost. Secrets are never saved. */
static inline bool xds_body_is_lost(const struct xds_res *r, const struct xds_body *b)
{
	return !b->raw && !b->file_at && r->type != MT_XDS_SDS;
}
/* Frees the bytes of a body; they are in the state file, or no longer needed. */
void xds_body_unload(struct mt_xds *x, struct xds_body *b);
/* Returns the newest body that no load has rejected; NULL: none. */
const struct xds_body *xds_newest(const struct xds_res *r);
void xds_set_text(char **text, const char *to);
/* Frees a resource that has no body and no references, unless it was rejected and is not gone. */
void xds_put(struct mt_xds *x, struct xds_res *r);
void xds_free_all(struct mt_xds *x);
void xds_touch(struct mt_xds *x); /* the store has changed */

/* warm.c: activates complete resources and removes gone ones. */
void xds_settle(struct mt_xds *x);
/* Adds `r`, which has a pending body, to the list for the next pass. */
void xds_wait(struct mt_xds *x, struct xds_res *r);
void xds_wait_forget(struct mt_xds *x, const struct xds_res *r);
/* Marks a resource as gone: it is removed when no active resource references it. */
static inline void xds_set_gone(struct mt_xds *x, struct xds_res *r)
{
	r->gone = x->may_end = true;
}
/* `restored`: no server has confirmed the resource; it is removed if none does in time. */
static inline void xds_set_restored(struct mt_xds *x, struct xds_res *r, bool restored)
{
	r->restored = restored;
	x->may_end |= restored;
}
/* Returns what the pending body of `r` waits for, as text; "" if it does not wait. */
const char *xds_waits_for(struct mt_xds *x, const struct xds_res *r);
/* Removes the bodies of a resource; frees it if nothing references it. */
void xds_leave(struct mt_xds *x, struct xds_res *r);

/* demand.c */
/* Counts restored resources as used if referenced, up to conf.names of them; removes the others. */
void xds_demand_restore(struct mt_xds *x);
/* The node itself queries the cluster: it is requested as if a call had been routed to it. */
void xds_demand_queried(struct mt_xds *x, struct xds_res *r);
/* Starts the timers, because no call could use the resources before. */
void xds_demand_start(struct mt_xds *x);
void xds_demand_turn(struct mt_xds *x);
/* Records and reports that the server does not have the resource. */
void xds_demand_absent(struct mt_xds *x, struct xds_res *r);
/* Unsubscribes from the resource and frees r->demand; does nothing if there is none. */
void xds_demand_drop(struct mt_xds *x, struct xds_res *r);
/* Call when a resource appears or leaves: invalidates the placeholders if its type is on demand. */
void xds_demand_changed(struct mt_xds *x, const struct xds_res *r);
/* Adds the placeholders to the model. */
int xds_demand_share(struct mt_xds *x, struct mt_model *m);
static inline bool xds_on_demand(const struct mt_xds *x, enum mt_xds_type type)
{
	return x->demand.conf.names &&
	       (type == MT_XDS_CDS || (type == MT_XDS_RDS && x->demand.conf.routes));
}
/* True if the type is subscribed to by wildcard: a resource that is not sent does not exist. */
static inline bool xds_is_whole(const struct mt_xds *x, enum mt_xds_type type)
{
	return mt_xds_is_whole(type) && !xds_on_demand(x, type);
}

/*
 * trial.c: a body that becomes active is on trial until a load has compiled it. If the load leaves
 * it out, it is rejected and the previous body is active again. The response is answered after
 * that.
 */
/* Puts `r->live`, which is new, on trial; owns the previous body `before`. */
void xds_trial_add(struct mt_xds *x, struct xds_res *r, struct xds_body *before);
/* Removes a resource that leaves from the trials and from the due verdicts. */
void xds_trial_forget(struct mt_xds *x, struct xds_res *r);
/* Removes `r` from the due verdicts. Call before r->link changes. */
void xds_unjudge(struct xds_res *r);
/* Adds `r` to the due verdicts of the stream: it is new, or rejected (r->refused, r->left_out). */
void xds_judge_later(struct xds_link *l, struct xds_res *r);
/* Returns why the newest body of `r` is rejected; NULL: it is not. */
const char *xds_why_refused(const struct xds_res *r);
/*
 * Decides on all due resources of the type and clears the list. Returns true if none is rejected;
 * else *why is the text of the NACK.
 */
bool xds_judge(struct xds_link *l, enum mt_xds_type type, struct mt_err *why);
/* Answers all due responses. Call when no load is in progress. */
void xds_judge_rest(struct mt_xds *x);
/* Clears all due verdicts of a stream that has ended. */
void xds_judge_forget(struct xds_link *l);

/* link.c */
int xds_links_start(struct mt_xds *x);
void xds_links_stop(struct mt_xds *x);
void xds_links_turn(struct mt_xds *x);
/* Subscribes to a referenced resource on the stream of r->server, or unsubscribes from it. */
void xds_ask(struct mt_xds *x, struct xds_res *r);
void xds_unask(struct xds_res *r);
/* After a response of the type: confirms announced resources that the server did not mention. */
void xds_confirm_named(struct xds_link *l, enum mt_xds_type type);
/* Requests resources with lost bytes again: reopens their streams. `why` is shown as the reason. */
void xds_ask_anew(struct mt_xds *x, const char *why);

/*
 * link_tls.c: sets c->tls from the secrets or files of the bootstrap. 0, or -ENOENT with c->why
 * set.
 */
int xds_identity_load(struct xds_conn *c);
/* Logs a newer identity that cannot be used. */
void xds_identity_look(struct xds_conn *c);
void xds_identity_drop(struct xds_conn *c);

/* dns.c */
void xds_dns_set(
	struct mt_xds *x, struct xds_res *r, const struct xds_body *b); /* `b` is the newest */
void xds_dns_free(struct xds_res *r);
void xds_dns_turn(struct mt_xds *x);
/*
 * Returns the endpoints of the host names; NULL: none. *answered: each lookup succeeded or failed.
 */
struct mt_model *xds_dns_part(const struct xds_res *r, bool *answered);
const char *xds_dns_why(const struct xds_res *r); /* the first lookup error; "" */
/* Words about the first name with unused addresses; "": there is none. */
const char *xds_dns_note(const struct xds_res *r);

/* keep.c */
void xds_keep_load(struct mt_xds *x);
void xds_keep_touch(struct mt_xds *x);
void xds_keep_turn(struct mt_xds *x);
void xds_keep_flush(struct mt_xds *x);
void xds_keep_close(struct mt_xds *x);
/* Reads `len` bytes at offset `at` of the state file. False if they are not there. */
bool xds_keep_read(const struct mt_xds *x, uint32_t at, uint8_t *to, uint32_t len);
