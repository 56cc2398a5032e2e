/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mesh identities: the node's own and those of spec.identities, trusted roots, revocation lists,
 * and handshakes. Private keys are never shown.
 */
#include "mt_ctl_priv.h"

#include "mt_tls_pool.h"
#include "tune.h"

int64_t mt_ctl_until(const struct mt_ctl *c, int64_t at)
{
	uint64_t wall = mt_ctl_wall(c);

	return at - (int64_t)(wall / MT_SEC);
}

bool mt_ctl_identity_at(const struct mt_ctl *c, uint32_t which, struct mt_ctl_identity *out)
{
	*out = (struct mt_ctl_identity){.from = "", .why = "", .note = ""};
	return c->env.who && c->env.who(c->env.arg, which, out);
}

const char *mt_ctl_identity_state(const struct mt_ctl *c, const struct mt_ctl_identity *who)
{
	if (!who->credential)
		return "missing";
	if (mt_ctl_until(c, who->credential->not_after) <= 0)
		return "expired";
	return *who->why ? "last-good" : "good";
}

/* ---- show identity -------------------------------------------------------------------------- */

/* Adds when something ends, and in how many seconds. */
static void add_end(const struct mt_ctl *c, json_t *row, const char *name, int64_t at)
{
	mt_set_time(row, name, at * 1000);
	mt_json_set(row, MT_M("left_s", mt_ctl_until(c, at)));
}

static void add_leaf(const struct mt_ctl *c, const struct mt_ctl_identity *who, json_t *row)
{
	const struct mt_credential *cr = who->credential;
	struct mt_credential_leaf leaf;

	if (!cr || !mt_credential_leaf(cr, &leaf))
		return;
	mt_json_set(row, MT_M("principal", mt_json_known(leaf.principal)),
		MT_M("trust_domain", mt_json_known(leaf.trust_domain)),
		MT_M("serial", mt_json_known(leaf.serial)),
		MT_M("issuer", mt_json_known(leaf.issuer)));
	mt_set_time(row, "valid_from", cr->not_before * 1000);
	add_end(c, row, "valid_until", cr->not_after);
	mt_json_set(row, MT_M("source", mt_json_known(who->from)));
}

static json_t *holder_of(const struct mt_ctl_identity *who)
{
	return mt_json_text(who->held_for ? who->held_for : "node");
}

static json_t *identity_row(const struct mt_ctl *c, const struct mt_ctl_identity *who)
{
	json_t *row = mt_json_object(
		MT_M("for", holder_of(who)), MT_M("state", mt_ctl_identity_state(c, who)));

	add_leaf(c, who, row);
	mt_render_absent(row, "principal trust_domain serial issuer valid_from valid_from_unix_ms "
			      "valid_until valid_until_unix_ms left_s source");
	mt_json_set(row, MT_M("directory", mt_json_known(who->directory)),
		MT_M("changes", who->changes), MT_M("reason", mt_json_known(who->why)),
		MT_M("note", mt_json_known(who->note)));
	return row;
}

static void add_roots(const struct mt_ctl *c, const struct mt_ctl_identity *who, json_t *list)
{
	const struct mt_credential *cr = who->credential;
	struct mt_credential_root root;

	for (uint32_t i = 0; cr && mt_credential_root(cr, i, &root); i++) {
		json_t *row = mt_json_add(list, MT_M("for", holder_of(who)),
			MT_M("subject", mt_json_known(root.subject)),
			MT_M("serial", mt_json_known(root.serial)));

		add_end(c, row, "valid_until", root.not_after);
	}
}

static void add_crls(const struct mt_ctl *c, const struct mt_ctl_identity *who, json_t *list)
{
	const struct mt_credential *cr = who->credential;
	struct mt_credential_crl crl;

	for (uint32_t i = 0; cr && mt_credential_crl(cr, i, &crl); i++) {
		json_t *row = mt_json_add(list, MT_M("for", holder_of(who)),
			MT_M("issuer", mt_json_known(crl.issuer)));

		add_end(c, row, "next_update", crl.next_update);
	}
}

static json_t *handshakes(const struct mt_ctl *c)
{
	json_t *list = json_array();

	for (uint16_t i = 0; c->env.handshakes && i < c->env.n_workers; i++) {
		const struct mt_tls_lane *l = mt_tls_pool_lane(c->env.handshakes, i);

		mt_json_add(list, MT_M("worker", i),
			MT_M("under_way", __atomic_load_n(&l->n_used, __ATOMIC_RELAXED)),
			MT_M("begun", mt_count_read(&l->begun)),
			MT_M("done", mt_count_read(&l->done)),
			MT_M("failed", mt_count_read(&l->failed)),
			MT_M("cancelled", mt_count_read(&l->cancelled)),
			MT_M("deferred", mt_count_read(&l->full)),
			MT_M("stale", mt_count_read(&l->stale)));
	}
	return list;
}

json_t *mt_show_identity(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *self = json_array(), *roots = json_array(), *crls = json_array();
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(c, i, &who); i++) {
		if (who.credential || who.wanted)
			json_array_append_new(self, identity_row(c, &who));
		add_roots(c, &who, roots);
		add_crls(c, &who, crls);
	}
	return mt_json_object(MT_M("identity", self), MT_M("roots", roots),
		MT_M("revocations", crls), MT_M("handshakes", handshakes(c)));
}
