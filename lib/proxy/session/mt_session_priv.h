/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of session/: byte streams. */
#pragma once

#include "access/mt_access_priv.h"

/* Of a byte stream's two connections; the context is the proxy, owner_idx the pair's. */
extern const struct mt_stream_user mt_pair_down_user, mt_pair_up_user,
	mt_pair_cut_user; /* of the one that is left (opaque_cut.c) */

/* The byte stream that the connection is a side of. */
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

/* The turn's time as mt_pair.last_ms has it: it wraps after 49 days. */
static inline uint32_t mt_opaque_ms(const struct mt_proxy *p)
{
	return (uint32_t)(p->now / MT_MSEC);
}

/* ---- opaque.c: what becomes of its bytes, and its end ---- */

/* The lanes of a byte stream's connection to its server; NULL: it is none such. */
const struct mt_lanes *mt_opaque_lanes(const struct mt_stream *s);
/* mt_pair.timer is due; the stream may be over on return. */
void mt_opaque_timer(struct mt_proxy *p, struct mt_pair *pr);
/* It is over, and counted: both connections are gone or let go. */
void mt_opaque_free(struct mt_proxy *p, struct mt_pair *pr);
/* The server's connection is gone or let go. */
void mt_opaque_forget_up(struct mt_proxy *p, struct mt_pair *pr);
/* It ends; the client's side is still there. */
void mt_opaque_count_closed(struct mt_proxy *p, struct mt_pair *pr);
/* The client is reset and the stream is over. */
void mt_opaque_abort_down(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why);
/* Its rules deny it now: both sides are reset, and the stream is over. */
void mt_opaque_end_denied(struct mt_proxy *p, struct mt_pair *pr);
/* Resets both sides and counts the stream as `why`, no fault of its servers. */
void mt_opaque_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_proxy_outcome why,
	enum mt_abort_reason reset);
/* The stream's numbers are this service's from now on, under the current snapshot. NULL: nobody's. */
void mt_opaque_count_for(struct mt_proxy *p, struct mt_pair *pr, const struct mt_service *svc);
/*
 * What the client's address names now; NULL: nothing any more. A stream lives on without the snapshot that it was
 * accepted under, and in a later one the service's number may belong to another.
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

/* ---- opaque_connect.c: how it comes to a server ---- */

/*
 * Starts the session of a client. `unheard`: see struct mt_pair. False: no server can be connected,
 * and the client is to be reset.
 */
bool mt_opaque_begin(struct mt_proxy *p, struct mt_stream *s,
	const struct mt_filter_chain_proto *proto, bool unheard);
/* What is known of its cluster may have changed. */
void mt_opaque_again(struct mt_proxy *p, struct mt_pair *pr);
/* Connected, or never: nothing of a snapshot is needed any more. */
void mt_opaque_leave_connecting(struct mt_proxy *p, struct mt_pair *pr);
/* For the ledger: what a stream that is joined again keeps of its client's. */
void mt_opaque_holds(struct mt_stream *s, struct mt_sums *sums);
/* Its server is there. */
void mt_opaque_joined(struct mt_proxy *p, struct mt_pair *pr);
/* The connection to the server did not come up: the next one, or the end. */
void mt_opaque_not_connected(struct mt_proxy *p, struct mt_pair *pr, enum mt_close_reason reason);
/*
 * Inside closed() of the server's connection: if the server can have read nothing and has said nothing, the stream is joined
 * again, or reset where that cannot be. false: it is neither.
 */
bool mt_opaque_retry(struct mt_proxy *p, struct mt_pair *pr);
/*
 * The server's FIN is there, before any byte of its. Whether it is not to be passed on yet, because the client's bytes crossed
 * it and the answer to them will tell what it is; the timer is armed then.
 */
bool mt_opaque_fin_waits(struct mt_proxy *p, struct mt_pair *pr);
/* It was connected to a server, and still is for who counts it. */
static inline bool mt_opaque_was_joined(const struct mt_pair *pr)
{
	return !pr->connecting || pr->again;
}
/* It is being joined and is going to be reset: counts why. A limit has counted itself and is no fault of the servers. */
void mt_opaque_joins_nobody(struct mt_proxy *p, struct mt_pair *pr);
/* That, and resets it. */
void mt_opaque_give_up(struct mt_proxy *p, struct mt_pair *pr);
