/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that objects of several namespaces list. The policies of an endpoint are those of the
 * namespace of the object that lists it, so that calls to another object's service at the same
 * address and port do not pass them. Reports this at the object whose service is more open.
 *
 * Of the objects that list an endpoint one is kept to compare others with it: the first with
 * policies, else the first one.
 */
#include "mt_conf_hash_priv.h"
#include "mt_conf_policy_priv.h"

#include <string.h>

struct listed {
	struct mt_addr addr;
	uint16_t port;
	const struct mt_meta *of;
	const char *host;
	const struct mt_authz *rules;
};

/* Reports a policy of `guarded` that calls to `open` do not pass, once for each object. */
static void compare(struct mt_build *b, const struct listed *guarded, const struct listed *open)
{
	const struct mt_authz_policy *p;
	char text[MT_ADDR_STRLEN];

	if (mt_idmap_get(&b->policies->warned, open->of->serial))
		return;
	p = mt_authz_bypassed(guarded->rules, open->rules, false);
	if (!p)
		return;
	if (mt_idmap_put(&b->policies->warned, open->of->serial, b))
		b->tmp.failed = true;
	mt_b_warn(b, open->of, open->of->origin.line, NULL,
		"write the policy in this namespace, too, or remove the endpoint",
		"calls to %.128s bypass %.200s: its endpoint %s:%u is also one of %.128s in "
		"namespace %.64s, which has that policy",
		open->host, p->by, mt_addr_str(&open->addr, text), open->port, guarded->host,
		guarded->of->ns);
}

static void add(struct mt_build *b, uint64_t id, const struct listed *now)
{
	struct listed *first = mt_region_alloc(&b->tmp, sizeof(*first));

	if (!first || mt_idmap_put(&b->policies->listed, id, first))
		b->tmp.failed = true;
	else
		*first = *now;
}

static void look(struct mt_build *b, const struct listed *now)
{
	uint64_t h = mt_hash_u64(now->port, mt_id_of_addr(&now->addr)), id = h ? h : 1;
	struct listed *first = mt_idmap_get(&b->policies->listed, id);

	if (!first) {
		add(b, id, now);
		return;
	}
	if (!mt_addr_eq(&first->addr, &now->addr) || first->port != now->port)
		return;
	if (strcmp(first->of->ns, now->of->ns) != 0) {
		compare(b, first, now);
		compare(b, now, first);
	}
	if (!first->rules && now->rules)
		*first = *now;
}

void mt_b_policy_shared(
	struct mt_build *b, const struct mt_policed *to, const struct mt_authz *rules)
{
	const struct mt_workload *w = to->w;

	if (b->policies && !mt_addr_is_zero(&w->address))
		look(b, &(const struct listed){w->address, to->port, mt_instance_meta(to->h, w),
				to->h->se->hosts[0].s, rules});
}
