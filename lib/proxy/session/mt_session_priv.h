/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of session/: opaque TCP. */
#pragma once

#include "access/mt_access_priv.h"

/*
 * Users of an opaque stream's two connections. Their user_ctx is the proxy, and owner_idx the index
 * of the pair.
 */
extern const struct mt_stream_user mt_pair_down_user, mt_pair_up_user,
	mt_pair_cut_user; /* of the remaining side after the other was cut off */

/* The opaque stream to which the connection belongs. */
static inline struct mt_pair *mt_pair_of(const struct mt_stream *s)
{
	const struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->pairs, s->owner_idx);
}

/* NULL: the stream is not connecting to a server. */
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
/*
 * Frees the stream, whose end was counted. Each of its connections is gone, or the caller ends the
 * connection.
 */
void mt_opaque_free(struct mt_proxy *p, struct mt_pair *pr);
/* Drops the stream's server connection, which is gone, or which the caller detaches or aborts. */
void mt_opaque_forget_up(struct mt_proxy *p, struct mt_pair *pr);
/* Counts the end of a stream; call while the client's side exists. */
void mt_opaque_count_closed(struct mt_proxy *p, struct mt_pair *pr);
/* Resets the client and ends the stream. */
void mt_opaque_abort_down(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why);
/* Resets both sides of a stream that the current rules deny, and ends it. */
void mt_opaque_end_denied(struct mt_proxy *p, struct mt_pair *pr);
/* Resets both sides and counts `why`, for which the servers are not at fault. */
void mt_opaque_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_proxy_outcome why,
	enum mt_abort_reason reset);
/* Counts the stream for this service (NULL: for none) from now on, under the current snapshot. */
void mt_opaque_count_for(struct mt_proxy *p, struct mt_pair *pr, const struct mt_service *svc);
/*
 * Counters of the stream's service in the current snapshot (chain_opaque.c); NULL: none. The
 * service is looked up again for each snapshot, because a stream outlives its first snapshot, and a
 * later one may have another service at the same index.
 */
struct mt_service_stats *mt_opaque_stats(struct mt_proxy *p, struct mt_pair *pr);

/*
 * Address that is charged for the memory of both directions: the client's, or the server's if the
 * client is gone.
 */
struct mt_addr mt_opaque_client_of(const struct mt_stream *s);

/* ---- opaque_cut.c: one side was cut off ---- */

/*
 * Sends the bytes received from `from`, then FIN if `from` has sent one, to the other side. No FIN
 * was forwarded to the other side before.
 */
void mt_opaque_pass_rest(struct mt_stream *from, struct mt_stream *to);
/*
 * Call when one side was cut off (its pointer is NULL). Resets the other side when that has
 * acknowledged all bytes sent to it.
 */
void mt_opaque_cut(struct mt_proxy *p, struct mt_pair *pr);
/* Call when mt_pair.timer is due and mt_pair.cut is set. */
void mt_opaque_cut_timer(struct mt_proxy *p, struct mt_pair *pr);

/* ---- opaque_filters.c: rate limits ---- */

/* The longest wait for a filter. */
#define MT_OPAQUE_FILTERS_WAIT (600 * MT_SEC)

/* True for endings of streams that are over a limit. */
static inline bool mt_opaque_is_limited(enum mt_ending why)
{
	return why == MT_ENDING_connection_limited || why == MT_ENDING_connection_over_global;
}

/* Takes a token of an endpoint's rate limit. False: there is none, and j->refused is set. */
bool mt_opaque_is_within(struct mt_proxy *p, const struct mt_pair *pr, struct mt_connecting *j,
	const struct mt_filter_inst *limit);
/*
 * Runs the filters of the stream's service from j->filter_at on. MT_FILTER_SUSPEND: it waits for
 * j->filter_at, and the timer is armed. Another verdict than MT_FILTER_NEXT: it is refused, and
 * j->refused is set.
 */
enum mt_filter_verdict mt_opaque_filters(struct mt_proxy *p, struct mt_pair *pr,
	struct mt_connecting *j, const struct mt_service *svc);
/* The service of a stream that is connecting, in this snapshot; NULL: none. */
const struct mt_service *mt_opaque_service_in(
	const struct mt_snapshot *s, const struct mt_stream *down, const struct mt_connecting *j);
/* Implements mt_proxy_resume() for streams. */
bool mt_opaque_resume(struct mt_proxy *p, const struct mt_filter_resume *r);
/* Ends a stream that waits for a filter, which it can wait for no more. */
void mt_opaque_filters_void(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j);
/* Call when mt_pair.timer is due and the stream waits for a filter. */
void mt_opaque_filters_timer(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j);
/* Call after an image was loaded: no answer comes, so filters for which streams wait run again. */
void mt_opaque_filters_again(struct mt_proxy *p);

/* ---- opaque_connect.c: connecting to a server ---- */

/*
 * Starts the session of a client, which may wait for a filter. `unheard`: see struct mt_pair.
 * False: no server can be connected, and the client is to be reset.
 */
bool mt_opaque_begin(struct mt_proxy *p, struct mt_stream *s,
	const struct mt_filter_chain_proto *proto, bool unheard);
/*
 * Continues a stream that waits for its on-demand cluster, because the cluster may have changed, or
 * that has waited for a filter. The stream may have ended on return.
 */
void mt_opaque_again(struct mt_proxy *p, struct mt_pair *pr);
/* Frees the data that a stream needs only until its server is connected. */
void mt_opaque_leave_connecting(struct mt_proxy *p, struct mt_pair *pr);
/* Reports to the ledger the client's bytes that a stream keeps while it reconnects to a server. */
void mt_opaque_holds(struct mt_stream *s, struct mt_sums *sums);
/*
 * The server connection is open: counts the stream, unless it was open before, and sends bytes that
 * an earlier server has not read.
 */
void mt_opaque_joined(struct mt_proxy *p, struct mt_pair *pr);
/* The server connection could not be opened: tries another endpoint, or resets the client. */
void mt_opaque_not_connected(struct mt_proxy *p, struct mt_pair *pr, enum mt_close_reason reason);
/*
 * Call inside closed() of the server connection. If the server has sent nothing and provably has
 * read nothing, connects the stream again, or resets the client if no server can be connected.
 * False: neither was done.
 */
bool mt_opaque_retry(struct mt_proxy *p, struct mt_pair *pr);
/*
 * Call when the server has sent FIN. True if the FIN must be held back for now: the server has sent
 * no byte, the client's bytes crossed the FIN, and the response of the server's TCP stack will show
 * whether these bytes were read. If true, the timer is armed.
 */
bool mt_opaque_fin_waits(struct mt_proxy *p, struct mt_pair *pr);
/*
 * True if the stream is or was connected to a server. It counts as open while it reconnects.
 */
static inline bool mt_opaque_was_joined(const struct mt_pair *pr)
{
	return !pr->connecting || pr->again;
}
/*
 * Counts why a stream without a server connection will be reset. If a limit is the reason, the
 * limit was counted before, and the stream does not count as opaque_no_endpoint.
 */
void mt_opaque_joins_nobody(struct mt_proxy *p, struct mt_pair *pr);
/* Counts the stream as mt_opaque_joins_nobody() does, and resets the client. */
void mt_opaque_give_up(struct mt_proxy *p, struct mt_pair *pr);
