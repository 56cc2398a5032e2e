/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside a living source: the store (store.c), what of it is in force (warm.c), what loads say of it (trial.c), what is
 * asked for when a call leads there (demand.c), connections and streams (link.c, identity of a connection: link_tls.c),
 * names (dns.c), the state file (keep.c).
 */
#pragma once

#include "mt_ads.h"
#include "mt_grpc.h"
#include "mt_heap.h"
#include "mt_list.h"
#include "mt_strmap.h"
#include "mt_xds.h"
#include "mt_xds_map.h"

#define XDS_NAME_MAX 2048u /* bytes of a resource's name, with its end */
#define XDS_FETCH_NS                                                                               \
	(15 * MT_SEC) /* how long an answer is waited for; Envoy's initial_fetch_timeout */

/* ---- resources ------------------------------------------------------------------------------------- */

/* A body that could be read: its part of the model, and the resources that it names, each wanted as long as this lives. */
struct xds_body {
	struct mt_xds_mapped mapped;
	uint64_t since;
	struct mt_xds_digest digest; /* 0: not made yet */
	uint64_t raw_hash;	     /* of the bytes as they came */
	uint8_t *raw;		     /* these, of mt_xds.raws; NULL: not in memory */
	uint32_t raw_len;
	uint32_t file_at,
		file_next; /* where the state file has them, and the one that is being written; 0: it has not */
	char *version;		   /* NULL: none */
	bool refused;		   /* by a load: it is not tried again before others change */
	struct xds_res *targets[]; /* [mapped.n_refs]; NULL: no memory for it */
};

/*
 * A resource that was told, or is wanted. `live` is in force; `next` came after it and waits for what it names, or
 * was refused by a load (next->refused).
 */
struct xds_res {
	/* What a pass over all of them looks at. */
	struct mt_list node; /* of its type, in the order in which they came */
	uint64_t expires_at; /* 0: never */
	enum mt_xds_type type : 8;
	bool gone;		      /* the server has it no more */
	bool restored;		      /* from the state file, not confirmed yet */
	bool blamed;		      /* the server was told that it is refused */
	bool named;		      /* restored, and a delta server is told that we have it */
	bool held;		      /* named by what is in force or will be (warm.c) */
	bool emptied;		      /* the last answer was empty, and not taken */
	bool left_out;		      /* of the last load: it is wrong */
	bool not_served;	      /* of the last load: it is sound, and cannot be served */
	bool server_delta;	      /* `server` speaks the delta protocol */
	struct xds_body *next, *live; /* NULL: none */

	struct xds_link *link; /* over which it is asked for; NULL: nowhere to ask */
	char *server;	       /* named by who wants it; NULL: the source's own */
	char *refused;	       /* why the newest body was; NULL: it was not */
	char *told;	       /* by the last load, of what it could not use; NULL: nothing */
	uint64_t refused_hash; /* of the body that was refused */
	/* Its place among x->trials + 1: the next load is the first one that has `live`; 0: it is not there. */
	uint32_t trial;
	/* Its place in link->judged[type] + 1: the verdict on what it came with is due; 0: it is not there. */
	uint32_t judged;
	uint32_t wants;	     /* bodies that name it */
	uint32_t round;	     /* the last response that had it */
	uint64_t updated_at; /* 0: never */
	struct xds_dns *dns; /* of a cluster of names; else NULL */
	struct xds_demand
		*demand; /* of a cluster or route table that a call asked for; else NULL */
	char name[];
};

/* A cluster, or route table, that a call asked for, until none uses it. */
struct xds_demand {
	struct mt_list node; /* xds_demands.all, in the order of the questions */
	struct xds_res *r;
	uint64_t since;	   /* the question */
	uint64_t asked_at; /* the server was asked; 0: waits for its turn */
	uint64_t used_at;
	uint64_t absent_until; /* it is known not to be there; 0: that is not known */
	uint64_t calls;	       /* as counted when last looked at */
	const char *why;       /* absent_until: static */
	bool told;	       /* it came into force */
};

/* Of all of them. */
struct xds_demands {
	struct mt_xds_demand_conf conf; /* names 0: clusters are not on demand */
	struct mt_list all;
	uint32_t n;
	uint64_t due;		/* when something may be due */
	uint64_t next_ask;	/* the rate */
	struct mt_model *named; /* clusters that are only named, for models; NULL: not made yet */
	struct mt_xds_demand_stats stats;
};

/* Resources that wait to come into force: of 20,000 one has changed. */
struct xds_waiting {
	struct xds_res *v[32]; /* NULL: it is gone */
	uint32_t n;
	bool more; /* than these: all of the type are looked at */
};

struct xds_type {
	struct mt_strmap names;
	struct mt_list all;
	uint32_t n;
	struct xds_waiting waiting;
};

/* ---- connections ----------------------------------------------------------------------------------- */

/* The servers behind one name. */
struct xds_conn {
	struct mt_list node;
	struct mt_xds *x;
	const struct mt_xds_server *server;
	struct mt_grpc *grpc; /* NULL: no identity yet */
	struct mt_grpc_tls tls;
	const struct mt_secret *held[2]; /* whose texts tls points to */
	struct mt_grpc_header headers[MT_GRPC_HEADERS];
	uint32_t n_headers;
	char host[256]; /* what is asked for when nothing else is said */
	struct mt_err why;
	uint64_t since, trouble_at, next_identity;
	uint32_t connects;
};

/* Resources of responses of one type whose verdict is due: new ones, and refused ones. */
struct xds_judged {
	struct xds_res **v;
	uint32_t n, cap;
	bool pending;	      /* a load has to say it */
	bool late;	      /* some were acknowledged before */
	struct mt_err spoilt; /* of a resource that has no name; "" */
};

/* One stream: of all types (type -1), or of one. */
struct xds_link {
	struct mt_list node;
	struct mt_xds *x;
	struct xds_conn *conn;
	int type;
	bool delta;
	bool anew; /* the stream is to begin again */
	/* Delta: some of the type are named; and the server says such ones again, though they are as they were. */
	bool named[MT_XDS_TYPES], repeats[MT_XDS_TYPES];
	struct mt_ads *ads;
	struct mt_grpc_stream *call; /* NULL: not open */
	uint64_t next_open, backoff, since, trouble_at;
	uint64_t heard_at[MT_XDS_TYPES]; /* first response on this call */
	struct mt_err why;
	struct mt_err refused[MT_XDS_TYPES]; /* of the last response */
	struct xds_judged judged[MT_XDS_TYPES];
	uint64_t late[MT_XDS_TYPES]; /* refusals of what had been acknowledged */
};

/* A resource whose `live` no load has seen yet, and what was in force before. */
struct xds_trial {
	struct xds_res *r;
	struct xds_body *good; /* NULL: nothing */
};

/* A field of resources that has no effect. */
struct xds_ignored {
	const char *field, *why;
	uint32_t n; /* resources that have it */
};

struct mt_xds {
	char name[40], origin[48], path[4096]; /* path "": nothing is kept */
	struct mt_xds_bootstrap *b;
	struct mt_xds_env env; /* fds NULL: not started */
	uint64_t now, serial;
	uint64_t serial_base; /* below all of them */
	uint32_t round;
	struct xds_type types[MT_XDS_TYPES];
	struct mt_heap raws; /* bodies as they came: all leave when the state file has them */
	struct mt_list conns, links, dns;
	uint64_t dns_answers; /* of the table of names + 1, as `dns` knows them; 0: not at all */
	struct mt_fd_watch timer;
	struct xds_demands demand;

	/* Changes on their way. */
	bool dirty;   /* the store has changed */
	bool changed; /* what is in force has changed since mt_xds_turn() told */
	uint64_t first_change, last_change, settled_at;
	uint64_t settle_at; /* settle_at: something may be due by itself; MT_NEVER */
	bool may_end;	    /* some are gone, not confirmed or have a time to live */
	uint64_t pushes;
	uint64_t looked;   /* at how many resources passes have */
	bool loading;	   /* mt_xds_turn() told of a change, and the load has not ended */
	bool held_by_good; /* something is gone that a body of a trial named */
	struct xds_trial *trials;
	uint32_t n_trials, cap_trials;
	uint32_t fresh;	    /* bodies since memory was tidied up */
	uint32_t n_told;    /* resources of which the last load said something */
	uint32_t n_refused; /* bodies that wait refused */
	uint32_t
		n_blamed; /* resources that a server was told to be refused; not fewer than there are */
	bool newly_out; /* a load left something out that no server was told of */
	bool moved
		[MT_XDS_TYPES]; /* something of the type has come into force or left, in this pass */

	/* Since the start: all has been told once; when all types were answered, 0: not yet; what was kept is in force. */
	bool delivered, kept_in_force;
	bool kept_from_these; /* what was kept is of the servers that are asked now */
	uint64_t synced_at;

	/* The state file. */
	bool keep_dirty, keep_failed;
	bool keep_writing; /* a file is on its way to the disk */
	bool keep_use;	   /* it is there, and bodies are still read from the one before */
	bool keep_spoilt;  /* it was damaged, and does not hold everything again yet */
	uint32_t
		keep_lost; /* bodies whose bytes are nowhere, and that are not asked for again yet */
	uint64_t keep_first, keep_last, keep_next, keep_ask;
	struct mt_err kept;
	int keep_fd; /* the state file, for bodies that are not in memory; -1: none */

	struct mt_err words;	     /* of mt_xds_info() and its like */
	struct xds_ignored *ignored; /* of all resources, by path; made when asked for */
	uint32_t n_ignored;
	uint64_t secrets_serial, look_at;
};

/* store.c */
struct xds_res *xds_find(const struct mt_xds *x, enum mt_xds_type type, const char *name);
/* Made when it is not there; NULL: no memory. */
struct xds_res *xds_get(struct mt_xds *x, enum mt_xds_type type, const char *name);
/* The name that a body says, into buf; false: it says none. */
bool xds_name_of(const Xds__Any *body, char *buf, size_t size);
/* What became of a resource: nothing new, or something; or it was refused, and xds_why_refused() says why. */
enum xds_taken { XDS_SAME, XDS_FRESH, XDS_REFUSED };
/* A resource of a response, or of the state file. */
enum xds_taken xds_take(struct mt_xds *x, struct xds_res *r, const struct mt_ads_resource *item);
/* A whole response on a link (struct mt_ads_events.update). */
enum mt_ads_verdict xds_update(void *arg, const struct mt_ads_update *u, struct mt_err *why);
/* Takes *b out (NULL: nothing to do); what it named is no longer wanted by it. */
void xds_body_drop(struct mt_xds *x, struct xds_body **b);
/* It counts again, after a newer one that may have named other servers for the same resources. */
void xds_body_again(struct mt_xds *x, const struct xds_body *b);
/* The bytes of a body, of x or in memory to be freed (*own, which may be NULL); NULL: nobody has them any more. */
const uint8_t *xds_body_bytes(const struct mt_xds *x, const struct xds_body *b, uint8_t **own);
/* They should be kept, and nobody has them any more. */
static inline bool xds_body_is_lost(const struct xds_res *r, const struct xds_body *b)
{
	return !b->raw && !b->file_at && r->type != MT_XDS_SDS;
}
/* They are in the file, or nobody will ask for them: out of memory with them. */
void xds_body_unload(struct mt_xds *x, struct xds_body *b);
/* The newest body that is not refused; NULL: none. */
const struct xds_body *xds_newest(const struct xds_res *r);
void xds_set_text(char **text, const char *to);
/* Frees it when nobody wants it and nothing of it is in force. */
void xds_put(struct mt_xds *x, struct xds_res *r);
void xds_free_all(struct mt_xds *x);
void xds_touch(struct mt_xds *x); /* the store has changed */

/* warm.c: what is complete comes into force, what is gone leaves. */
void xds_settle(struct mt_xds *x);
/* `r` has a body that is not in force yet. */
void xds_wait(struct mt_xds *x, struct xds_res *r);
void xds_wait_forget(struct mt_xds *x, const struct xds_res *r);
/* The server, or nobody yet, has it no more or still: it leaves when nothing in force names it. */
static inline void xds_set_gone(struct mt_xds *x, struct xds_res *r)
{
	r->gone = x->may_end = true;
}
/* Not confirmed by a server: it leaves when none does so in time. */
static inline void xds_set_restored(struct mt_xds *x, struct xds_res *r, bool restored)
{
	r->restored = restored;
	x->may_end |= restored;
}
/* Why `r` is not in force, in words; "" when it is. */
const char *xds_waits_for(struct mt_xds *x, const struct xds_res *r);
/* All that was told of it goes; it is freed when nobody wants it. */
void xds_leave(struct mt_xds *x, struct xds_res *r);

/* demand.c */
/* What was kept is in use again, as far as there is room. */
void xds_demand_restore(struct mt_xds *x);
/* Time begins: until then nobody could use it. */
void xds_demand_start(struct mt_xds *x);
void xds_demand_turn(struct mt_xds *x);
/* The server has no such cluster. */
void xds_demand_absent(struct mt_xds *x, struct xds_res *r);
/* Nobody asks for it any more. */
void xds_demand_drop(struct mt_xds *x, struct xds_res *r);
/* The resource comes or goes: if it is such a cluster, the names that models have are not the same as before. */
void xds_demand_changed(struct mt_xds *x, const struct xds_res *r);
int xds_demand_share(struct mt_xds *x, struct mt_model *m);
static inline bool xds_on_demand(const struct mt_xds *x, enum mt_xds_type type)
{
	return x->demand.conf.names &&
	       (type == MT_XDS_CDS || (type == MT_XDS_RDS && x->demand.conf.routes));
}
/* All of the type is asked for as a whole: what is not told is not there. */
static inline bool xds_is_whole(const struct mt_xds *x, enum mt_xds_type type)
{
	return mt_xds_is_whole(type) && !xds_on_demand(x, type);
}

/*
 * trial.c: what comes into force has to be compiled first. A body that the load leaves out is refused and the one
 * before it goes on; the responses that it came with are answered then.
 */
/* `r->live` is new; takes over the one before. */
void xds_trial_add(struct mt_xds *x, struct xds_res *r, struct xds_body *before);
/* The resource leaves: nothing of it is tried or judged any more. */
void xds_trial_forget(struct mt_xds *x, struct xds_res *r);
/* No verdict on it is due any more; before r->link changes. */
void xds_unjudge(struct xds_res *r);
/* Of a response on the link: `r` is new, or refused (r->refused, r->left_out). */
void xds_judge_later(struct xds_link *l, struct xds_res *r);
/* Why the newest body of `r` is refused; NULL: it is not. */
const char *xds_why_refused(const struct xds_res *r);
/* All of the judged resources of the type; true: none is refused. Else *why for the server. They are forgotten. */
bool xds_judge(struct xds_link *l, enum mt_xds_type type, struct mt_err *why);
/* When no load is under way: verdicts that wait for none. */
void xds_judge_rest(struct mt_xds *x);
/* The stream has ended: nobody is there to hear it. */
void xds_judge_forget(struct xds_link *l);

/* link.c */
int xds_links_start(struct mt_xds *x);
void xds_links_stop(struct mt_xds *x);
void xds_links_turn(struct mt_xds *x);
/* Somebody wants it: asked for over the stream of r->server; and no longer. */
void xds_ask(struct mt_xds *x, struct xds_res *r);
void xds_unask(struct xds_res *r);
/* A response of the type was heard: what the server was told that we have and it said nothing of is confirmed. */
void xds_confirm_named(struct xds_link *l, enum mt_xds_type type);
/* What is lost of bodies is asked for once more, over streams that begin again; `why` is shown. */
void xds_ask_anew(struct mt_xds *x, const char *why);

/* link_tls.c: c->tls, from what the bootstrap names. 0, or -ENOENT with c->why set. */
int xds_identity_load(struct xds_conn *c);
/* A newer identity that cannot be used is told. */
void xds_identity_look(struct xds_conn *c);
void xds_identity_drop(struct xds_conn *c);

/* dns.c */
void xds_dns_set(
	struct mt_xds *x, struct xds_res *r, const struct xds_body *b); /* it is the newest */
void xds_dns_free(struct xds_res *r);
void xds_dns_turn(struct mt_xds *x);
/* Endpoints that the names led to; NULL: none. *answered: whether each was looked up, with or without success. */
struct mt_model *xds_dns_part(const struct xds_res *r, bool *answered);
const char *xds_dns_why(const struct xds_res *r); /* "" */

/* keep.c */
void xds_keep_load(struct mt_xds *x);
void xds_keep_touch(struct mt_xds *x);
void xds_keep_turn(struct mt_xds *x);
void xds_keep_flush(struct mt_xds *x);
void xds_keep_close(struct mt_xds *x);
/* Bytes of the state file into `to`; false: they are not there. */
bool xds_keep_read(const struct mt_xds *x, uint32_t at, uint8_t *to, uint32_t len);
