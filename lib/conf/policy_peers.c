/* SPDX-License-Identifier: Apache-2.0 */
/* Which TLS callers must bring: PeerAuthentication, by workload, namespace and mesh. */
#include "mt_conf_policy_priv.h"

#include <string.h>

/* A selector in the root namespace, and targets, are nobody's: Istio ignores them. */
bool mt_policy_is_level(const struct mt_build *b, const struct mt_policy *p, bool workload)
{
	bool selects = mt_policy_selector(p) != NULL;

	return p->kind == MT_POLICY_OF_PEERS && selects == workload &&
	       !(selects && strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0);
}

/* Two of one name, which both count: the stricter one says. */
bool mt_policy_is_twin(const struct mt_policy *a, const struct mt_policy *b)
{
	return strcmp(a->meta->ns, b->meta->ns) == 0 && strcmp(a->meta->name, b->meta->name) == 0;
}

/* The oldest of one level; the others are in its shadow. */
static struct mt_policy *oldest(struct mt_build *b, const struct mt_host *h,
	const struct mt_workload *w, const char *ns, bool workload)
{
	struct mt_policy_bag *bag = mt_b_policies_of(b, ns);
	const struct mt_policies_found may = mt_policy_find(bag ? &bag->peers : NULL, h, w);
	struct mt_policy *first = NULL;

	for (uint32_t i = 0; i < may.n; i++) {
		struct mt_policy *p = may.v[i];

		if (!mt_policy_is_level(b, p, workload) || !mt_policy_selects(p, h, w))
			continue;
		if (first && mt_policy_is_twin(first, p) &&
			p->of.peers->mtls.mode.v == MT_MTLS_STRICT) {
			first->winner = p;
			first = p;
		} else if (first) {
			p->winner = p->winner ? p->winner : first;
		} else {
			first = p;
		}
	}
	return first;
}

#define LEVELS 3

/* Workload, namespace, mesh. */
static void levels(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w,
	struct mt_policy *at[LEVELS])
{
	const char *ns = mt_instance_meta(h, w)->ns;

	at[0] = oldest(b, h, w, ns, true);
	at[1] = oldest(b, h, w, ns, false);
	at[2] = oldest(b, h, w, mt_b_root_namespace(b), false);
}

struct mt_policy *mt_b_peer_policy(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	struct mt_policy *at[LEVELS];

	levels(b, h, w, at);
	return at[0] ? at[0] : at[1] ? at[1] : at[2];
}

static enum mt_mtls_mode port_mode(const struct mt_peer_authentication *p, uint16_t port)
{
	for (uint32_t i = 0; i < p->n_ports; i++)
		if (p->ports[i].port == port)
			return p->ports[i].mtls.mode.v;
	return MT_MTLS_UNSET;
}

enum mt_mtls_mode mt_b_peer_mode(struct mt_build *b, const struct mt_host *h,
	const struct mt_workload *w, uint16_t port, struct mt_policy **whose)
{
	struct mt_policy *at[LEVELS];
	enum mt_mtls_mode mode = MT_MTLS_UNSET;

	levels(b, h, w, at);
	*whose = at[0];
	if (at[0])
		mode = port_mode(at[0]->of.peers, port);
	for (int i = 0; i < LEVELS && mode == MT_MTLS_UNSET; i++) {
		if (!at[i])
			continue;
		mode = at[i]->of.peers->mtls.mode.v;
		*whose = at[i];
	}
	return mode;
}
