/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange and its service's filters; the end of mt_proxy_priv.h. */
#pragma once

/* filters.c */
static inline struct mt_exchange_side *mt_exchange_side(
	const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return &p->sides[ex->self.idx];
}
/* Of a service that has some, on a request that the view shows; from ex->filter_at on. false: it waits, or was answered. */
bool mt_exchange_filters_request(struct mt_proxy *p, struct mt_exchange *ex);
/* Its token is verified: the filter that waited for that judges it again, and it goes on. */
void mt_exchange_filters_again(struct mt_proxy *p, struct mt_exchange *ex);
/* Of an exchange that has some, on a reply that the view shows. false: one answers in its place (p->filter_ctx). */
bool mt_exchange_filters_reply(struct mt_proxy *p, struct mt_exchange *ex);
/* Of an exchange that has some: it is over for them. */
void mt_exchange_filters_end(struct mt_proxy *p, struct mt_exchange *ex, enum mt_filter_ended how);
/* The exchange moves from its service to this one (NULL: it has none any more) of another snapshot. */
void mt_exchange_filters_rebind(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_service *to);
/* Whether both have the same filters in the same places; b NULL: no. */
bool mt_exchange_filters_same(const struct mt_service *a, const struct mt_service *b);
/*
 * Whether an exchange that a filter of `a` suspended may wait on with those of `b`: they are the same, and those that keep
 * something of it, or have shown their configuration to other threads, have the same one.
 */
bool mt_exchange_filters_wait_on(const struct mt_service *a, const struct mt_service *b);
/* What other threads have told; how many. */
uint32_t mt_exchange_filters_turn(struct mt_proxy *p);
/* mt_filter_ctx.left: ns until the exchange of the context times out. */
uint64_t mt_exchange_filters_left(struct mt_filter_ctx *ctx);

/* What a call that waits holds: its request, and what filters have changed of it. */
static inline uint32_t mt_exchange_truesize(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	uint32_t n = ex->req.truesize;

	if (mt_unlikely(ex->changes_kept))
		n += mt_exchange_side(p, ex)->overlay.truesize;
	return n;
}

/* Its metadata are not those any more by which its route was found. */
static inline void mt_exchange_changed(struct mt_exchange *ex)
{
	if (ex->route)
		ex->routed = ex->route->id;
}

/* overlay.c */
/* Keeps the view's changes with an exchange that is suspended and has none yet. 0 or -ENOMEM. */
int mt_overlay_keep(struct mt_proxy *p, struct mt_exchange *ex);
/* Moves the kept changes to the view, which shows the exchange and has none of its own; they replace any that it has. */
void mt_overlay_restore(struct mt_proxy *p, struct mt_exchange *ex);
/* Frees the kept changes of an exchange that is answered or ends (mt_exchange.changes_kept). */
void mt_overlay_drop(struct mt_proxy *p, struct mt_exchange *ex);
/* Debug builds and the simulator: the index holds no changes of this exchange, or of an earlier one. */
static inline void mt_overlay_assert_empty(const struct mt_proxy *p, const struct mt_exchange *ex)
{
#if defined(MT_DEBUG_POOLS) || defined(MT_MUTANTS)
	const struct mt_chain *c = &mt_exchange_side(p, ex)->overlay;

	MT_ASSERT(!ex->changes_kept && !c->head && c->len == 0 && c->truesize == 0);
#endif
}
