/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a control plane: what it has, what it has said to whom and when, and what it does wrong. The
 * resources are symbols (clusters c0.., endpoints of each, tables r0.., listeners l0..); each content has a serial
 * that can be read back from what is in force (body.c).
 */
#pragma once

#include "wire.h"

#include "mt_ads.h"
#include "mt_rand.h"

#define PLANE_TYPES   4 /* CDS, EDS, LDS, RDS */
#define PLANE_NAMES   6
#define PLANE_TARGETS 2
#define FETCH_S	      15 /* what is waited for when nothing else is said */

enum badness { SOUND, BAD_FIELD, BAD_WIRE };

/* One content of a resource. It never changes. */
struct body {
	uint32_t serial, name;
	enum mt_xds_type type;
	enum badness bad;
	bool empty;				    /* RDS: without routes */
	bool meta;				    /* LDS: its target is a table, else clusters */
	bool fixed;				    /* CDS: its endpoints are its own */
	uint32_t targets[PLANE_TARGETS], n_targets; /* clusters of RDS and LDS; the table */
	uint32_t n_eps;
	uint32_t ttl_s, fetch_s; /* 0: none; FETCH_S */
	Xds__Any any[2];	 /* the same in two ways */
	uint64_t first_at;	 /* said first at; 0: never */
	uint64_t said;		 /* place of the last time among all that was said; 0: never */
	/* The client has surely heard it: it has judged it, or says that it has it. As of the last time. */
	bool sure;
	uint64_t heard, heard_at; /* as `said` */
	bool was_in_force;
};

uint32_t names_of(enum mt_xds_type type);
const char *name_of(enum mt_xds_type type, uint32_t i); /* until the fourth call after it */
/* -1: none of ours. */
int index_of(enum mt_xds_type type, const char *name);
/* Its bytes, by what it says. */
void body_encode(struct body *b);
void body_free(struct body *b);

/* What was said at once, until it is judged. */
struct answer {
	char nonce[16];
	struct body *items[PLANE_NAMES];
	uint64_t said[PLANE_NAMES], at;
	bool open;
};

#define ANSWERS 16

/* A type on a stream. */
struct sub {
	bool asked, wild, due, delta_first;
	uint64_t due_at;
	bool want[PLANE_NAMES], fresh[PLANE_NAMES];
	uint32_t has[PLANE_NAMES]; /* delta: serial */
	struct answer answers[ANSWERS];
	uint32_t n_answers;
	char version[24];
};

struct session {
	struct mt_list node;
	struct plane *p;
	struct wire_call *call;
	bool delta;
	struct sub t[PLANE_TYPES];
};

#define MINUTE_MAX 256

/* Times of the last events, to count those of a minute. */
struct minute {
	uint64_t at[MINUTE_MAX];
	uint32_t n, most;
};

struct plane {
	struct wire wire;
	struct mt_list sessions;
	struct mt_rand *rng;
	uint64_t now;
	struct body **bodies; /* by serial - 1 */
	uint32_t n_bodies;
	struct body *has[PLANE_TYPES][PLANE_NAMES]; /* NULL: not there */
	/* The client may know that it is gone: the place of that among all that was said; 0: it is there. */
	uint64_t told_gone[PLANE_TYPES][PLANE_NAMES], last_gone[PLANE_TYPES][PLANE_NAMES];
	uint64_t counter, version;
	struct body *last_said[PLANE_TYPES][PLANE_NAMES]; /* NULL: that it is gone */
	uint64_t news; /* how often something was said that was not said last of that resource */
	uint32_t latest_ms; /* answers wait so long at most */
	/* Faults. */
	bool resend;	/* a NACK is answered at once with the same again */
	bool impatient; /* answers without waiting for the verdict on the one before */
	bool partial;	/* EDS and RDS: only what changed, in the state of the world, too */
	bool mute;	/* requests lead to nothing */
	/* What was seen. */
	uint32_t acks, nacks, responses, requests;
	struct minute nack_minute[PLANE_TYPES];
	char wrong[256]; /* the first breach of the protocol; "" */
	bool trace;
};

void plane_init(struct plane *p, const char *path, struct mt_rand *rng);
void plane_fini(struct plane *p);
/* Time passes: answers that are due are written. */
void plane_turn(struct plane *p, uint64_t now);
/* A new content, which is what the plane has from now on (plane_set()), or not yet. */
struct body *plane_body(struct plane *p, enum mt_xds_type type, uint32_t name);
void plane_set(struct plane *p, struct body *b);
void plane_remove(struct plane *p, enum mt_xds_type type, uint32_t name);
/* Says everything again, as another version. */
void plane_again(struct plane *p);
/* Whether everybody has been told everything. */
bool plane_quiet(const struct plane *p);
/* The content of that serial; NULL: there is none. */
struct body *plane_find(
	const struct plane *p, enum mt_xds_type type, uint32_t name, uint32_t serial);
/* The client wants it no more: it may forget what it had of it. */
void plane_let_go(struct plane *p, enum mt_xds_type type, uint32_t name);
/*
 * The last sound one that the client surely has; NULL: none. Of endpoints and tables: that was in force, for what waits is
 * forgotten when nobody names it any more.
 */
struct body *plane_sure(const struct plane *p, enum mt_xds_type type, uint32_t name);

void minute_add(struct minute *m, uint64_t now);

/* talk.c: a request of a stream, and what is due on it. */
void talk_request(struct session *s, const uint8_t *data, size_t len);
void talk_turn(struct session *s);
/* A line of the replay (--log). */
void plane_trace(const struct plane *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void plane_wrong(struct plane *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
