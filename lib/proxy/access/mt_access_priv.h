/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of access/: authorization, tokens, calls that wait for a verdict. */
#pragma once

#include "pool/mt_pool_priv.h"

/* Events of calls that wait for verdicts, reported by access/. call/renew.c defines the table. */
struct mt_access_user {
	/*
	 * The wait ends, and the call continues in the newest snapshot: its token was verified
	 * (valid or not), an external service has allowed the call, or the verdict has to be
	 * requested again. `at_gate`: the call waited at a gateway's port.
	 */
	void (*decided)(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate);
	/* The call has timed out: its external decision came too late, or not at all. */
	void (*expired)(struct mt_proxy *p, struct mt_exchange *ex);
};
extern const struct mt_access_user mt_access_user;

/* ---- overlay.c ---- */

/* Adds `more` bytes, which may be negative, to what the client is charged for retained requests. */
void mt_retained_charge(struct mt_proxy *p, struct mt_exchange *ex, int64_t more);
/* Appends a change to a chain as bytes. 0, or -ENOMEM: a part of the change may be in the chain. */
int mt_overlay_put(struct mt_proxy *p, struct mt_chain *to, const struct mt_mutation *m);
/*
 * Reads the next change from position *at on. False: there is none. Its texts are valid until
 * mt_overlay_restore(); its key ends with a zero.
 */
bool mt_overlay_next(
	struct mt_proxy *p, const struct mt_chain *from, uint32_t *at, struct mt_mutation *m);
/* Replaces `old`, a chain of the exchange, by the content of `by`, which becomes empty. */
void mt_overlay_replace(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *old, struct mt_chain *by);
/*
 * Replaces the kept changes, which filters, gateway and route have made, with the n changes of `m`.
 * 0, or -ENOMEM.
 */
int mt_overlay_keep(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_mutation *m, uint32_t n);
/* Keeps the view's changes, as mt_overlay_keep(). */
static inline int mt_overlay_keep_view(struct mt_proxy *p, struct mt_exchange *ex)
{
	return mt_overlay_keep(p, ex, p->view.mutations, p->view.n_mutations);
}
/*
 * Replaces all changes of the view, which shows the exchange, by the kept changes by filters,
 * gateway and route.
 */
void mt_overlay_restore(struct mt_proxy *p, struct mt_exchange *ex);
/* Binds the view to the request of the exchange, without changes. `d` is its client, or NULL. */
static mt_inline void mt_call_view(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_down *d)
{
	struct mt_view *v = &p->view;

	mt_view_bind(v, ex->codec, &ex->msg, &ex->req);
	v->peer = mt_likely(d) ? mt_stream_ends(d->s)->remote : (struct mt_addr){0};
	v->rnd = ex->rnd;
	/* The view has no changes, so the texts of the call before are not used any more. */
	p->filters.text_used = 0;
}
/* Binds the view to the request of the exchange, and restores the kept changes in the view. */
void mt_call_show(struct mt_proxy *p, struct mt_exchange *ex);
/* Notes that the metadata have changed since the call was routed. */
static inline void mt_exchange_changed(struct mt_exchange *ex)
{
	if (ex->route)
		ex->routed = ex->route->id;
}
/* Frees the kept changes (mt_exchange.changes_kept). */
void mt_overlay_drop(struct mt_proxy *p, struct mt_exchange *ex);

/* True if the view's message has, or may have, metadata that cannot be read. */
bool mt_authorize_unreadable(struct mt_view *v);

/* True if the key can be read in another dialect of the call's protocol, but not in its own. */
bool mt_authorize_lacks(const struct mt_view *v, const struct mt_key *key);

/* Restores the changes that the view had before mt_authorize_call(). */
void mt_authorize_undo(struct mt_proxy *p);
/* True if mt_authorize_call() has changed the view. */
bool mt_authorize_changed(const struct mt_proxy *p);
/*
 * Id of the changes that these policies may make: equal for policies with the same token rules and
 * external services. 0 for policies that change nothing, and for NULL.
 */
uint64_t mt_authorize_changes_id(const struct mt_authz *a);

/* ---- denied.c ---- */

#define MT_DENIED_BY_POLICY   "denied by policy"
#define MT_DENIED_NO_IDENTITY "this node's identity is not permitted for you"
/* Before the reason why a token is refused. */
#define MT_DENIED_TOKEN "unauthenticated: "
/*
 * Add a denied call or opaque stream to the table of denied callers. The policy of a call is
 * p->denied.by, that of a stream `by`; NULL: none.
 */
void mt_denied_call(struct mt_proxy *p, const struct mt_exchange *ex, const char *reason);
void mt_denied_stream(
	struct mt_proxy *p, const struct mt_pair *pr, const char *by, const char *reason);

/* ---- authorize*.c ---- */

/* Counts a denial with this effect by the policy, and sets p->denied.by for mt_denied_call(). */
void mt_authorize_count(
	struct mt_proxy *p, enum mt_authz_effect e, const struct mt_authz_policy *by);
/*
 * Authorizes the call at an endpoint that has policies, and adds their changes to the view. False:
 * the call was answered, or waits for a verdict.
 */
bool mt_authorize_call(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/*
 * True if a copy of the call may go to the endpoint `ep` of `c`. Sends no local reply, and counts
 * no denial by policies.
 */
bool mt_authorize_copy(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_cluster *c,
	const struct mt_endpoint *ep);
void mt_authorize_count_closed_opaque(struct mt_proxy *p, const struct mt_closer *by);
/*
 * Authorize an opaque stream at the cluster's endpoint with index `at`, or at a gateway's port.
 * Count a denial.
 */
bool mt_authorize_opaque(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_cluster *c, uint32_t at);
bool mt_authorize_opaque_at_gateway(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_gate_guard *gate);
/*
 * True if the current rules deny a stream that is connected or connecting; counts the denial. Adds
 * the number of endpoints that it searched to *cost.
 */
bool mt_authorize_opaque_ends(struct mt_proxy *p, const struct mt_pair *pr, uint32_t *cost);

/* ---- tokens.c ---- */

enum mt_tokens_verdict {
	MT_TOKENS_PASS,	  /* the call may go on, with `claims` if it has a token */
	MT_TOKENS_WAITS,  /* the call waits; mt_call_run() resumes it */
	MT_TOKENS_UNREAD, /* the metadata cannot be read, and may contain a token */
	MT_TOKENS_ANSWER, /* denied or refused: `ending` and `text` */
};

struct mt_tokens_judged {
	const struct mt_claims *claims; /* valid until the call has been authorized */
	struct mt_token_known *known;	/* cache entry of `claims`; NULL: none */
	const char *by;			/* the policy that denies */
	enum mt_ending ending;
	bool reply_given; /* the call was answered, or waits */
	char text[96];
};

void mt_tokens_init(struct mt_proxy *p);
void mt_tokens_fini(struct mt_proxy *p);
/*
 * Checks the token of the call that the view shows, and counts the result. PASS: the view, or the
 * message already, has the token's metadata changes.
 */
enum mt_tokens_verdict mt_tokens_judge(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authorize_request *ask, const struct mt_authz_tokens *t,
	struct mt_tokens_judged *j);
/*
 * Holds the token's cache entry in mt_exchange.token until mt_tokens_drop(), because the message
 * may be sent without the token. Without claims in `j`: drops the entry that the call holds.
 */
void mt_tokens_hold(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_tokens_judged *j);
void mt_tokens_drop(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * tokens_metadata.c. sanitize: removes the keys that only Meltemi may set. adorn: sanitizes, adds
 * the claims of a valid token, and removes the token unless its rule forwards it or the protocol's
 * metadata cannot be changed. `len`: length of the token in p->tokens.token. False: a change could
 * not be made, for example for lack of room.
 */
bool mt_tokens_sanitize(struct mt_proxy *p, const struct mt_authz_tokens *t);
bool mt_tokens_adorn(struct mt_proxy *p, const struct mt_authz_tokens *t, uint32_t rule,
	const struct mt_claims *claims, uint32_t len);
/*
 * Removes the key, which has `icase`, from the view's metadata in every spelling. The spellings are
 * copied to p->filters.text. False: there is no room, or the message may have the key in metadata
 * that cannot be read, or has the key at a place of its own (codec files), which is not changed, or
 * servers may take it from elsewhere.
 */
bool mt_metadata_strip(struct mt_proxy *p, const struct mt_key *key);
/* Resumes the calls whose tokens were verified. Returns the number of results. */
uint32_t mt_tokens_turn(struct mt_proxy *p);

/*
 * Marks the claims of a loaded exchange as lost, because they are in the cache of the worker that
 * was saved. A check that needs the claims refuses the call, unless the call is sent from its
 * retained request, which still contains the token.
 */
void mt_tokens_forget(struct mt_exchange *ex);

/* ---- verdict.c ---- */

/*
 * may_wait: false if the call's attempt has waited as often as it may; the caller answers the call
 * with the text too_often. wait: suspends the call until its token is verified (tokens.c), or an
 * external service decides (ext_authz.c); the caller adds the call to a list. False: too many calls
 * wait, or no memory; the call is not suspended. go_on: removes the call from its list, ends the
 * wait, and calls mt_access_user.decided().
 */
extern const char mt_verdict_too_often[];
bool mt_verdict_may_wait(const struct mt_proxy *p, const struct mt_exchange *ex);
bool mt_verdict_wait(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate);
void mt_verdict_go_on(struct mt_proxy *p, struct mt_exchange *ex);
void mt_verdict_init(struct mt_proxy *p);
/*
 * Loaded calls that wait for a verdict, which the worker that was saved had requested. moved: adds
 * a call to the list of these; turn: resumes all of them, so that each requests its verdict again,
 * and returns their number.
 */
void mt_verdict_moved(struct mt_proxy *p, struct mt_exchange *ex);
uint32_t mt_verdict_turn(struct mt_proxy *p);
/* Ends the wait of a call that has left its list: the call no longer counts for the limits. */
void mt_verdict_left(struct mt_proxy *p, struct mt_exchange *ex);
/* Counts the time-out of a suspended call, and returns the text of its local reply. */
const char *mt_verdict_expired(struct mt_proxy *p, const struct mt_exchange *ex);
/* True if the call waits for a verdict at an endpoint, not at a gateway's port. */
bool mt_verdict_in_front(const struct mt_proxy *p, const struct mt_exchange *ex);

/* ---- ext_authz.c ---- */

void mt_ext_authz_init(struct mt_proxy *p);
/* The local reply if the service cannot be queried. */
struct mt_unasked {
	enum mt_ending ending;
	const char *text;
};
/*
 * Queries the external authorization service of `by` about the call that the view shows. True: the
 * call waits for the decision. False: the caller answers the call with *why.
 */
bool mt_ext_authz_begin(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authorize_request *ask, const struct mt_authz_policy *by,
	struct mt_unasked *why);
/*
 * Adds the changes of the call's external authorization to the view, if a policy of `a` queries the
 * same service. False: a change could not be made, for example for lack of room.
 */
bool mt_ext_authz_changes(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_authz *a);
/*
 * Call if mt_exchange.asked is set. Forgets the external authorization, in `ask`, too, if the
 * service was sent metadata that other token rules than those of `ask` had changed.
 */
void mt_ext_authz_compare(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_authorize_request *ask);
/* Forgets the external authorization. Call only if the message does not have its changes. */
void mt_ext_authz_forget(struct mt_proxy *p, struct mt_exchange *ex);
/* Resumes or answers the calls whose decisions have come. Returns the number of decisions. */
uint32_t mt_ext_authz_turn(struct mt_proxy *p);
/*
 * ext_authz_request.c: fills the slot with a description of the call. False: there is no room, a
 * text is not UTF-8, or the call cannot be read as exactly one call.
 */
bool mt_ext_authz_describe(const struct mt_authorize_request *ask, struct mt_extauthz_slot *s);
