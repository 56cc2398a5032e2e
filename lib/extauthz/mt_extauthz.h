/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External authorization: a service outside is asked by gRPC whether a call may pass (envoy.service.auth.v3.Authorization). Workers
 * fill questions, a thread of its own asks and hands them back answered; nobody waits for the other. A worker has so many
 * questions under way at most, each of so many bytes.
 */
#pragma once

#include "mt_addr.h"
#include "mt_grpc.h"
#include "mt_log.h"
#include "mt_outcome.h"

enum mt_extauthz_outcome {
#define MT_OUTCOME(n, s, w) MT_EXTAUTHZ_##n,
#include "extauthz_outcomes.def"
#undef MT_OUTCOME
	MT_EXTAUTHZ_N_OUTCOMES
};

extern const struct mt_outcome_set mt_extauthz_outcomes;

/* ---- providers: control thread --------------------------------------------------------------------- */

struct mt_extauthz_provider;

struct mt_extauthz_conf {
	const char *name; /* "sample-ext-authz-grpc" */
	/* "host:port", "192.0.2.1:9000", "unix:/path"; tried in this order. */
	const char *const *servers;
	uint32_t n_servers;
	uint64_t timeout; /* ns for a question, whatever it waits for */
	bool fail_open;	  /* what cannot be judged passes */
	/* NULL: in plain text. Else by a credential, which is held; no texts. */
	const struct mt_grpc_tls *tls;
};

/* Copied; held once. NULL: no memory. */
struct mt_extauthz_provider *mt_extauthz_provider_new(const struct mt_extauthz_conf *conf);
/* Any thread. The last one to drop it ends its connection, a little later. */
struct mt_extauthz_provider *mt_extauthz_hold(struct mt_extauthz_provider *p);
void mt_extauthz_drop(struct mt_extauthz_provider *p);
/* Of no other one in this process, ever; not 0. */
uint32_t mt_extauthz_id(const struct mt_extauthz_provider *p);
const char *mt_extauthz_name(const struct mt_extauthz_provider *p);
bool mt_extauthz_fails_open(const struct mt_extauthz_provider *p);

/* ---- questions: worker ----------------------------------------------------------------------------- */

#define MT_EXTAUTHZ_SLOTS   128	 /* questions of one worker under way */
#define MT_EXTAUTHZ_BYTES   8192 /* of all texts of one question, and then of its answer's changes */
#define MT_EXTAUTHZ_ENTRIES 96	 /* entries of metadata in a question */
#define MT_EXTAUTHZ_CHANGES 16	 /* in an answer */

struct mt_extauthz_text {
	uint16_t at, len; /* in the slot's bytes */
};

struct mt_extauthz_entry {
	struct mt_extauthz_text key, value;
};

/* Changes a call's metadata as the service wants it, before anybody else looks at it. */
struct mt_extauthz_change {
	struct mt_extauthz_text key, value;
	bool remove; /* the key, with all its values; there is no value */
};

enum mt_extauthz_verdict {
	MT_EXTAUTHZ_ALLOW, /* with changes */
	MT_EXTAUTHZ_DENY,
	MT_EXTAUTHZ_UNJUDGED, /* by `why`; the provider says what becomes of it */
	/* The call's own time ended first. Callers choose that, so it never passes, whatever the provider says. */
	MT_EXTAUTHZ_EXPIRED,
};

/*
 * The worker's, from when its lane gives it until it is asked, and from when it is taken until it is given back. Texts are put by
 * mt_extauthz_put().
 */
struct mt_extauthz_slot {
	/* The question. */
	struct mt_addr source, destination;
	uint16_t source_port, destination_port;
	struct mt_extauthz_text source_principal, destination_principal,
		service,  /* called, "orders.shop.svc.cluster.local" */
		protocol, /* "dubbo" */
		interface, method, sni;
	struct mt_extauthz_entry entry[MT_EXTAUTHZ_ENTRIES];
	uint32_t n_entries;
	uint64_t id;	  /* for the service's log */
	uint64_t timeout; /* ns that the call has left; the provider's may be shorter */
	/* The answer, and who was asked. */
	uint32_t asked; /* mt_extauthz_id() */
	bool fails_open;
	enum mt_extauthz_verdict verdict;
	enum mt_extauthz_outcome why; /* which is counted */
	struct mt_extauthz_change change[MT_EXTAUTHZ_CHANGES];
	uint32_t n_changes;
	/* Texts of both. */
	uint32_t used;
	char bytes[MT_EXTAUTHZ_BYTES];
	struct mt_extauthz_provider *provider; /* held while it is asked */
};

struct mt_extauthz_lane;

/* How many are free. */
uint32_t mt_extauthz_room(const struct mt_extauthz_lane *l);
/* A slot without texts; NULL: all are under way. */
struct mt_extauthz_slot *mt_extauthz_slot(struct mt_extauthz_lane *l);
/* false: there is no room for it. */
bool mt_extauthz_put(
	struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const void *text, size_t len);
/* It is filled: the provider is asked, on the thread, which is woken if it sleeps. Each one comes back, once. */
void mt_extauthz_ask(
	struct mt_extauthz_lane *l, struct mt_extauthz_slot *s, struct mt_extauthz_provider *p);
/* The next one that is answered; NULL: none now. */
struct mt_extauthz_slot *mt_extauthz_take(struct mt_extauthz_lane *l);
/* Of one that was taken, or not asked. */
void mt_extauthz_give_back(struct mt_extauthz_lane *l, struct mt_extauthz_slot *s);

/* Under MT_EXTAUTHZ_SLOTS. */
uint32_t mt_extauthz_index(const struct mt_extauthz_lane *l, const struct mt_extauthz_slot *s);

static inline const char *mt_extauthz_text(
	const struct mt_extauthz_slot *s, struct mt_extauthz_text t)
{
	return s->bytes + t.at;
}

/* ---- the thread: boot ------------------------------------------------------------------------------ */

struct mt_extauthz;

/* NULL with *e. */
struct mt_extauthz *mt_extauthz_new(uint32_t n_workers, struct mt_err *e);
/* When workers have ended; questions that are under way are nobody's. NULL is allowed. */
void mt_extauthz_free(struct mt_extauthz *x);
struct mt_extauthz_lane *mt_extauthz_lane(struct mt_extauthz *x, uint32_t worker);
/* Who is told, by the thread, that something is answered; before the first question. */
void mt_extauthz_wake(struct mt_extauthz_lane *l, void (*wake)(uint64_t who), uint64_t who);
/* Any thread. */
uint64_t mt_extauthz_counter(const struct mt_extauthz *x, enum mt_extauthz_outcome o);
const uint64_t *mt_extauthz_counters(const struct mt_extauthz *x);
/* The i-th provider that was asked and has no connection now, and why; false: there are no more. Any thread. */
struct mt_extauthz_trouble {
	char name[128], why[200];
	bool fails_open;
};
bool mt_extauthz_trouble(struct mt_extauthz *x, uint32_t i, struct mt_extauthz_trouble *t);
