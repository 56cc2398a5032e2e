/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of session/: opaque TCP. */
#pragma once

#include "access/mt_access_priv.h"

/*
 * Users of an opaque stream's two connections; the context is the proxy, owner_idx the pair's
 * index.
 */
extern const struct mt_stream_user mt_pair_down_user, mt_pair_up_user,
	mt_pair_cut_user; /* of the one that is left (opaque_cut.c) */

/* The opaque stream that the connection is a side of. */
static inline struct mt_pair *mt_pair_of(const struct mt_stream *s)
{
	const struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->pairs, s->owner_idx);
}

/* NULL: both ends are connected. */
static inline struct mt_connecting *mt_connecting_of(
	const struct mt_proxy *p, const struct mt_pair *pr)
{
	return pr->connecting ? mt_slab_at(&p->connecting, pr->connecting - 1) : NULL;
}

/* Time of this loop iteration in ms, as in mt_pair.last_ms; it wraps after 49 days. */
static inline uint32_t mt_opaque_ms(const struct mt_proxy *p)
{
	return (uint32_t)(p->now / MT_MSEC);
}

/* ---- opaque.c: bytes in both directions, and the end ---- */

/* The lane group of an opaque stream's server connection; NULL: `s` is not such a connection. */
const struct mt_lanes *mt_opaque_lanes(const struct mt_stream *s);
/* Call when mt_pair.timer is due. The stream may have ended on return. */
void mt_opaque_timer(struct mt_proxy *p, struct mt_pair *pr);
/* Frees the stream. Its end was counted, and both connections are gone or detached. */
void mt_opaque_free(struct mt_proxy *p, struct mt_pair *pr);
/* Forgets the server connection, which is gone or detached. */
void mt_opaque_forget_up(struct mt_proxy *p, struct mt_pair *pr);
/* Counts the end of a stream; call while the client's side exists. */
void mt_opaque_count_closed(struct mt_proxy *p, struct mt_pair *pr);
/* Resets the client and ends the stream. */
void mt_opaque_abort_down(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why);
/* Resets both sides of a stream that the current rules deny, and ends it. */
void mt_opaque_end_denied(struct mt_proxy *p, struct mt_pair *pr);
/* Resets both sides and counts the stream as `why`, no fault of its servers. */
void mt_opaque_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_proxy_outcome why,
	enum mt_abort_reason reset);
/* Counts the stream for this service (NULL: for none) from now on, under the current snapshot. */
void mt_opaque_count_for(struct mt_proxy *p, struct mt_pair *pr, const struct mt_service *svc);
/*
 * Counters of the service to which the client's address leads in the current snapshot; NULL: none.
 * Looked up again for each snapshot, because a stream outlives the one that accepted it, and the
 * service's index may belong to another one then.
 */
struct mt_service_stats *mt_opaque_stats(struct mt_proxy *p, struct mt_pair *pr);

/*
 * Address that is charged for what both directions hold: the client's, or the server's if the
 * client is gone.
 */
struct mt_addr mt_opaque_client_of(const struct mt_stream *s);

/* ---- opaque_cut.c: one side was cut off ---- */

/*
 * Sends what `from` has received, and its FIN, to the other side, to which no FIN was passed on
 * yet.
 */
void mt_opaque_pass_rest(struct mt_stream *from, struct mt_stream *to);
/*
 * Call when one side is gone (NULL). Resets the other one when it has acknowledged all that was
 * sent to it.
 */
void mt_opaque_cut(struct mt_proxy *p, struct mt_pair *pr);
/* Call when mt_pair.timer is due and mt_pair.cut is set. */
void mt_opaque_cut_timer(struct mt_proxy *p, struct mt_pair *pr);

/* ---- opaque_connect.c: connecting to a server ---- */

/*
 * Starts the session of a client. `unheard`: see struct mt_pair. False: no server can be connected,
 * and the client is to be reset.
 */
bool mt_opaque_begin(struct mt_proxy *p, struct mt_stream *s,
	const struct mt_filter_chain_proto *proto, bool unheard);
/* Continues a stream that waits for its on-demand cluster, because the cluster may have changed. */
void mt_opaque_again(struct mt_proxy *p, struct mt_pair *pr);
/* Frees the data that a stream needs only until its server is connected. */
void mt_opaque_leave_connecting(struct mt_proxy *p, struct mt_pair *pr);
/* For the ledger: the client's bytes that a stream keeps while it is connected again. */
void mt_opaque_holds(struct mt_stream *s, struct mt_sums *sums);
/*
 * The server connection is open: counts that, and sends bytes that an earlier server has not read.
 */
void mt_opaque_joined(struct mt_proxy *p, struct mt_pair *pr);
/* The server connection could not be opened: tries another endpoint, or resets the client. */
void mt_opaque_not_connected(struct mt_proxy *p, struct mt_pair *pr, enum mt_close_reason reason);
/*
 * Call inside closed() of the server connection. If the server has sent nothing and provably has
 * read nothing, connects the stream again, or resets the client if that is not possible. False:
 * neither was done.
 */
bool mt_opaque_retry(struct mt_proxy *p, struct mt_pair *pr);
/*
 * The server has sent FIN and no byte. True if the FIN must be held back for now, because the
 * client's bytes crossed it and the server's answer to them will show if it has read them. Then the
 * timer is armed.
 */
bool mt_opaque_fin_waits(struct mt_proxy *p, struct mt_pair *pr);
/*
 * True if the stream was connected to a server before. It counts as open while it is connected
 * again.
 */
static inline bool mt_opaque_was_joined(const struct mt_pair *pr)
{
	return !pr->connecting || pr->again;
}
/*
 * Counts why a stream that has no server connection will be reset. Limits were counted before and
 * are not the servers' fault.
 */
void mt_opaque_joins_nobody(struct mt_proxy *p, struct mt_pair *pr);
/* The same, and resets the client. */
void mt_opaque_give_up(struct mt_proxy *p, struct mt_pair *pr);
