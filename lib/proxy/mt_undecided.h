/* SPDX-License-Identifier: Apache-2.0 */
/* chain_selection.c: clients of which it is not known yet what serves them. */
#pragma once

#include "mt_proxy_types.h"

/* Of its connection; the context is the proxy, owner_idx the object's. */
extern const struct mt_stream_user mt_undecided_user;

/* A client of a listener that has to be chosen from; `chain`: which it is, if that is known. false: it is refused. */
bool mt_undecided_accept(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
	const struct mt_filter_chain *chain);
/* Its timer: silence decides, or its time is over. It may be gone on return, as behind the two below. */
void mt_undecided_timer(struct mt_proxy *p, struct mt_undecided *u);
/* Another snapshot: it is decided anew, under its listener there. */
void mt_undecided_rebind(struct mt_proxy *p, struct mt_undecided *u);
/* The node drains: it is reset. */
void mt_undecided_drain(struct mt_proxy *p, struct mt_undecided *u);
