/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source of configuration that lives: discovery servers (xDS) of a mesh. It connects, asks, and keeps what it was
 * told: resources by type and name, of which those that are sound and complete become parts of the model. It
 * never takes anything away because a server is away, and remembers over restarts what it was told last.
 *
 *	struct mt_xds *x = mt_xds_new(&conf, &err);	(what was kept is there at once)
 *	mt_xds_share(x, model);				(with every load)
 *	mt_xds_start(x, ...);				(from here on it connects)
 *	if (mt_xds_turn(x, now)) load again;		(often: it is where time passes)
 *
 * Control thread only. Nothing blocks, but for writing the state file.
 */
#pragma once

#include "mt_diag.h"
#include "mt_log.h"
#include "mt_model.h"
#include "mt_rand.h"
#include "mt_fds.h"
#include "mt_resolve.h"
#include "mt_xds_boot.h"

struct mt_xds;
struct mt_secrets;

/* Clusters are asked for by name, when a call leads to them. names 0: they are not, all are there at once. */
struct mt_xds_demand_conf {
	uint64_t timeout_ns; /* how long an answer may take */
	uint64_t idle_ns;    /* without use, then it leaves */
	uint64_t absent_ns;  /* how long it is remembered that there is none */
	uint32_t names;	     /* at most, also of those that do not exist */
	uint32_t per_second; /* new ones */
	bool routes;	     /* route tables as well */
};

struct mt_xds_conf {
	const char *name;		    /* "mesh"; copied */
	const char *state_dir;		    /* where what was told is kept; NULL: nowhere; copied */
	struct mt_xds_bootstrap *bootstrap; /* becomes the source's */
	struct mt_xds_demand_conf demand;
};

/* What it connects with; all of it outlives the source. */
struct mt_xds_env {
	struct mt_fds *fds;
	struct mt_resolver *names;
	struct mt_name_table
		*looked_up; /* what endpoints have names of; NULL: those have no addresses */
	struct mt_rand *rng;
	struct mt_service *service; /* writes what is kept; NULL: at once */
	struct mt_secrets *secrets; /* the node's certificates, and files of them */
	/*
	 * What became of a question (mt_xds_demand()): there is no such cluster as far as anybody knows, and nobody is
	 * asked again before `until`; 0: that does not hold any more. `why` is static. NULL: nobody asks.
	 */
	void (*answered)(void *arg, const char *name, uint64_t until, const char *why);
	void *arg;
};

/* What was kept is read and ready to be shared; `now` is monotonic. NULL: no memory (then the bootstrap is freed). */
struct mt_xds *mt_xds_new(const struct mt_xds_conf *conf, uint64_t now);
/* Closes everything; what was told and not kept yet is kept. NULL is allowed. */
void mt_xds_free(struct mt_xds *x);

/* Connects from now on. 0 or -errno. */
int mt_xds_start(struct mt_xds *x, const struct mt_xds_env *env, uint64_t now);
/* Another bootstrap: all connections are made anew, what was told stays until it is told otherwise. */
void mt_xds_rebootstrap(struct mt_xds *x, struct mt_xds_bootstrap *b, uint64_t now);
const struct mt_xds_bootstrap *mt_xds_bootstrap_of(const struct mt_xds *x);
/*
 * Of the metadata that the node tells of itself, which an Istio agent writes: a member that is a text ("NAMESPACE"), or a
 * label of LABELS. NULL: there is none. Valid until another bootstrap.
 */
const char *mt_xds_self(const struct mt_xds *x, const char *name);
const char *mt_xds_self_label(const struct mt_xds *x, const char *name);

/*
 * Time passes; before and after mt_fds_dispatch(), and ten times a second. True: what mt_xds_share() gives has
 * changed. Changes are gathered for 20 ms, 200 ms at most; for 2 ms when they come out of silence.
 */
bool mt_xds_turn(struct mt_xds *x, uint64_t now);

/* Everything that is in force becomes part of the model. 0, -ENOMEM or -E2BIG. */
int mt_xds_share(struct mt_xds *x, struct mt_model *m);

/*
 * A load: what was heard up to now comes into force (then mt_xds_share()), and what the load said of objects of this
 * source: who was left out of it (MT_DIAG_LEFT_OUT), is not served, or serves in part (MT_DIAG_WARNING), and why.
 */
void mt_xds_load_begin(struct mt_xds *x, uint64_t now);
void mt_xds_told(struct mt_xds *x, const char *kind, const char *name,
	enum mt_diag_severity severity, const char *words);
/*
 * The load is over; `failed`: nothing could be made of it at all, and why; else NULL. True: new bodies went back to what
 * was in force before them, so compile again (never when `last`). False: the servers' responses are answered.
 */
bool mt_xds_load_end(struct mt_xds *x, const char *failed, bool last);
/* The load was refused for reasons that are not this source's: what is new is tried with the next one. */
void mt_xds_load_abandon(struct mt_xds *x);

/* Whether every type that is asked for was answered once since the start, and all that the answers name has come, or its time is over. */
bool mt_xds_delivered(struct mt_xds *x);
/* Whether it has, or what was kept of it is in force; else *why says what is missing. */
bool mt_xds_whole(struct mt_xds *x, const char **why);

/* ---- clusters on demand -------------------------------------------------------------------------------- */

/*
 * A call leads to a cluster of which only the name is there: it is asked for. False: none of this source's. What
 * comes of it is a change like others (mt_xds_turn()), or env.answered.
 */
bool mt_xds_demand(struct mt_xds *x, const char *name, uint64_t now);

struct mt_xds_use {
	uint64_t calls; /* another number when there was one */
	bool busy;	/* something is under way */
};

/* False: no such cluster is in use. */
typedef bool mt_xds_use_fn(void *arg, const char *name, struct mt_xds_use *use);
/* Asks how each cluster that was fetched is used; once a second. */
void mt_xds_use(struct mt_xds *x, mt_xds_use_fn *use, void *arg, uint64_t now);

/* ---- for the shell: texts live until the next call of anything here --------------------------------------- */

/* Clusters on demand, since the start. */
struct mt_xds_demand_stats {
	uint64_t asked;	     /* names that a call asked for */
	uint64_t told;	     /* came into force */
	uint64_t absent;     /* the server says that there is none */
	uint64_t unanswered; /* nobody said anything in time */
	uint64_t full;	     /* not asked for: as many as are allowed are */
	uint64_t left;	     /* because no call used them */
};

struct mt_xds_info {
	const char *name, *bootstrap;
	const char *state; /* "synced", "waiting for answers", "not connected", ... */
	uint32_t n_known, n_live, n_waiting, n_refused, n_restored, n_left_out, n_not_served;
	size_t bytes;		   /* of resources as they were received */
	uint64_t pushes;	   /* times that what is in force changed */
	const char *kept;	   /* of the state file: what happened last */
	bool kept_troubled;	   /* ... and that somebody should look at it */
	const char *kept_path;	   /* NULL: none */
	const char *const *unused; /* fields of the bootstrap */
	uint32_t n_unused;
	/* Clusters on demand: names that nobody asked for, and what became of those that somebody did. */
	bool on_demand;
	uint32_t n_named, n_asked;
	struct mt_xds_demand_stats demand;
};

void mt_xds_info(struct mt_xds *x, struct mt_xds_info *out);

/* A stream to a server. */
struct mt_xds_stream_info {
	const char *server, *cluster; /* address, name */
	const char *stream;	      /* "ADS", "RDS", ... */
	bool delta, tls;
	const char *state;	       /* "up", "connecting", "waiting" */
	const char *why;	       /* the last trouble; "" */
	uint64_t since_ns, trouble_ns; /* times; 0: never */
	uint32_t connects;
	uint64_t unreadable;
};

/* Iterates: *pos starts at 0; false at the end. */
bool mt_xds_stream_next(struct mt_xds *x, uint32_t *pos, struct mt_xds_stream_info *out);

/* A type on a stream. */
struct mt_xds_type_info {
	const char *cluster, *stream, *type; /* "CDS" */
	const char *version, *error;
	bool wildcard, refusing;
	uint32_t wanted;
	uint64_t responses, acks, nacks, bytes;
	uint64_t acked_ns, nacked_ns; /* times; 0: never */
};

bool mt_xds_type_next(struct mt_xds *x, uint32_t *pos, struct mt_xds_type_info *out);

struct mt_xds_resource_info {
	const char *type, *name, *version, *server;
	const char *state;   /* "active", "waiting", "refused", "gone", "requested", "kept", ... */
	const char *reason;  /* "" */
	uint64_t updated_ns; /* time; 0: never */
	size_t bytes;
	uint32_t n_ignored;
	bool troubled; /* somebody should look at it */
	bool restored; /* from the state file, and not confirmed yet */
	bool out;      /* of the last load: wrong, or cannot be served */
	/* ... and not because anything is wrong: what it asks for is not done here, or not all of it. */
	bool beyond;
	/* Of a cluster that a call asked for: times; 0: none did. */
	uint64_t asked_ns, used_ns;
};

/* *pos NULL at first; nothing may change the source in between. */
bool mt_xds_resource_next(struct mt_xds *x, const void **pos, struct mt_xds_resource_info *out);

/* The one of that type ("CDS") and name; false: there is none. */
bool mt_xds_resource_find(
	struct mt_xds *x, const char *type, const char *name, struct mt_xds_resource_info *out);

/* Field i of those that resources have and that have no effect: each path once; NULL: there is none. */
const char *mt_xds_ignored(struct mt_xds *x, uint32_t i, const char **why, uint32_t *resources);
