/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene with one endpoint for which an external service decides about calls; the test is the
 * thread that queries it.
 */
#pragma once

#include "scene.h"

#include "mt_extauthz_priv.h"
#include "mt_authorize.h"
#include "mt_proxy_priv.h"

struct judged {
	struct mt_extauthz_lane *lane;
	struct mt_extauthz_provider *provider;
	struct mt_authz guard, other_guard; /* by the service; a denial */
	const struct mt_authz *guards[CONFIG_EPS], *other_guards[CONFIG_EPS];
};

extern struct judged judged;

void judged_start_with(bool fail_open, uint32_t max_exchanges);
void judged_start(bool fail_open);
/* No call waits, and no query is left. */
void judged_stop(void);
/* The endpoints of the snapshot's first cluster have these policies, in this array. */
void judged_guard_all(struct mt_snapshot *s, const struct mt_authz *a, const struct mt_authz **v);
/* All services of the snapshot have these filters. */
void judged_filter_all(struct mt_snapshot *s, struct mt_filter_inst *chain, uint32_t n);
/* The next query, which exists. */
struct mt_extauthz_slot *judged_question(void);
/* The service decides. */
void judged_say(
	struct mt_extauthz_slot *c, enum mt_extauthz_verdict v, enum mt_extauthz_outcome why);
/* The first server has the call, and answers. */
void judged_answered(struct fake_conn *c, uint64_t id);
/* The client gets this local reply. */
void judged_is_told(struct fake_conn *c, uint64_t id, enum mt_local_reply what);
