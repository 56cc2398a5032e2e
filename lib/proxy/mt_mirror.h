/* SPDX-License-Identifier: Apache-2.0 */
/* mirror.c: copies of a share of the calls that a route takes. The answer to a copy is read, counted and dropped. */
#pragma once

/* The copies of one call, while it is dispatched. */
struct mt_mirroring {
	uint32_t ms; /* for how long an answer is awaited */
	uint32_t n;
	struct {
		const struct mt_cluster *cluster;
		const struct mt_endpoint *ep;
		struct mt_exchange *copy;
		uint8_t shows; /* mt_exchange.shows */
	} to[MT_ROUTE_MIRRORS_MAX];
};

void mt_mirror_init(struct mt_proxy *p);
/* Which mirrors get a copy of the call, which the view shows with what filters and the route have changed. false: none. */
bool mt_mirror_choose(struct mt_proxy *p, struct mt_exchange *ex, struct mt_mirroring *m);
/* The request has what was changed: its copies are made. */
void mt_mirror_copy(struct mt_proxy *p, const struct mt_exchange *ex, struct mt_mirroring *m);
/* They go on their way if the call did (`out`); one that was answered natively, or denied, is nothing to mirror. */
void mt_mirror_send(struct mt_proxy *p, struct mt_mirroring *m, bool out);
/* The endpoint that was chosen for the copy that is dispatched. */
const struct mt_endpoint *mt_mirror_endpoint(struct mt_proxy *p);
/* In place of a native answer: the copy ends. */
void mt_mirror_failed(struct mt_proxy *p, struct mt_exchange *copy);
/* So much more, or less, of copies waits for connections. */
void mt_mirror_holds(struct mt_proxy *p, int32_t more);
/* The copy of this nobody has ended. */
void mt_mirror_ended(struct mt_proxy *p, const struct mt_down *nobody);
