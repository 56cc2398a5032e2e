/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standing of each object among those that claim one address (mt_model.standings). A restart
 * has no configuration in force, so the last good versions stand for it. Also finds versions that
 * replace a last good one (mt_model.replacing).
 */
#include "mt_objects_priv.h"

/* True for an account that is one of the object's namespace in any trust domain. */
static bool is_name(const char *account)
{
	return account && *account && !strchr(account, '/');
}

/*
 * True for a version of a WorkloadEntry if the last good one gave the workload no principal: it has
 * another address, or no account of its namespace. Then it gives the new version no standing at the
 * address, which may be that of another namespace's workload. Sources without `namespaces` may add
 * an account.
 */
static bool gives_more(const struct mt_object_row *row)
{
	const struct mt_objs *entries = &row->used->part->workload_entries;
	const struct mt_objs *before = &row->good->part->workload_entries;
	const struct mt_workload *now, *good;
	const char *account;

	if (strcmp(row->used->kind, "WorkloadEntry") != 0 || entries->n != 1 || before->n != 1)
		return false;
	now = &((const struct mt_workload_entry *)entries->v[0])->w;
	good = &((const struct mt_workload_entry *)before->v[0])->w;
	account = now->service_account.s;
	if (!mt_addr_eq(&now->address, &good->address))
		return true;
	return row->used->only && account && !is_name(good->service_account.s) &&
	       (!good->service_account.s || strcmp(good->service_account.s, account) != 0);
}

static unsigned int standing_of(const struct mt_object_row *row)
{
	const struct mt_object *o = row->used;
	bool kept = row->good && mt_content_hash_same(&row->good->hash, &o->hash);
	bool known = row->good && (kept || !gives_more(row));

	return (kept ? 0 : MT_STANDING_NEW) | (known ? 0 : MT_STANDING_NEVER) |
	       (o->only ? MT_STANDING_LIMITED : 0) | (o->created ? 0 : MT_STANDING_UNDATED);
}

/* True if mt_row_fall_back() would use the last good version. */
static bool replaces(const struct mt_object_row *row)
{
	return row->used && row->good && row->good != row->used && !row->good_is_bad;
}

void mt_table_standings(struct mt_object_table *t, struct mt_model *m)
{
	mt_idmap_clear(&t->standings);
	mt_idmap_clear(&t->replacing);
	if (mt_idmap_reserve(&t->standings, t->n))
		t->region.failed = true;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object_row *row = &t->rows[i];

		if (row->used && mt_idmap_put(&t->standings, row->used->serial,
					 (void *)(uintptr_t)(standing_of(row) + 1)))
			t->region.failed = true;
		if (replaces(row) && mt_idmap_put(&t->replacing, row->used->serial, t))
			t->region.failed = true;
	}
	m->standings = &t->standings;
	m->replacing = &t->replacing;
}
