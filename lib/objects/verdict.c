/* SPDX-License-Identifier: Apache-2.0 */
/* Computes each object's status, reason and notes from the diagnostics of a compilation. */
#include "mt_objects_priv.h"

#include "mt_share.h"

#include <stdio.h>
#include <string.h>

/* ---- rows by serial -------------------------------------------------------------------------- */

/*
 * Returns the serial in diagnostics about this row: that of the version in use, else of the newest
 * version.
 */
static uint64_t serial_of(const struct mt_object_row *row)
{
	return row->used ? row->used->serial : row->o->serial;
}

/*
 * True if diagnostics with the row's serial are about this row. A refused duplicate may have a
 * version that is in use as the last good version of another row; then the diagnostics are about
 * the other row.
 */
static bool is_meant(const struct mt_object_table *t, const struct mt_object_row *row)
{
	return row->used || !mt_table_row(t, serial_of(row));
}

void mt_table_index(struct mt_object_table *t)
{
	mt_idmap_clear(&t->by_serial);
	if (mt_idmap_reserve(&t->by_serial, t->n))
		t->region.failed = true;
	for (uint32_t i = 0; i < t->n; i++)
		if (is_meant(t, &t->rows[i]) &&
			mt_idmap_put(&t->by_serial, serial_of(&t->rows[i]), &t->rows[i]))
			t->region.failed = true;
}

struct mt_object_row *mt_table_row(const struct mt_object_table *t, uint64_t serial)
{
	return mt_idmap_get(&t->by_serial, serial);
}

static char *words_of(struct mt_object_table *t, const struct mt_diag *e)
{
	return mt_region_printf(&t->words, "%s%s%s%s%s%s", e->path ? e->path : "",
		e->path ? ": " : "", e->message ? e->message : "no memory for the reason",
		e->remedy ? " (" : "", e->remedy ? e->remedy : "", e->remedy ? ")" : "");
}

/* ---- versions -------------------------------------------------------------------------------- */

void mt_row_fall_back(struct mt_object_table *t, struct mt_object_row *row)
{
	bool older = row->good && row->good != row->used && !row->good_is_bad;

	row->good_is_bad |= row->used == row->good;
	row->used = older ? row->good : NULL;
	row->status = row->used ? MT_OBJECT_LAST_GOOD : MT_OBJECT_REFUSED;
	mt_table_changed(t);
}

/*
 * True if the entry refuses the version in use. This is an error, or missing TLS material if
 * another last good version exists that requires no weaker TLS.
 */
static bool is_refusal(const struct mt_object_row *row, const struct mt_diag *e)
{
	if (e->severity == MT_DIAG_ERROR)
		return true;
	if (e->severity != MT_DIAG_UNREADABLE && e->severity != MT_DIAG_ABSENT)
		return false;
	return row->used && row->good && !row->good_is_bad &&
	       !mt_content_hash_same(&row->good->hash, &row->used->hash) &&
	       mt_object_demands(row->good, row->used);
}

bool mt_table_may_fall_back(struct mt_object_table *t, const struct mt_diags *diags)
{
	if (!diags->unreadable && !diags->absent)
		return false;
	mt_table_index(t);
	for (uint32_t i = 0; i < diags->n + diags->n_beyond; i++) {
		struct mt_diag room;
		const struct mt_diag *e = mt_diags_entry(diags, i, &room);
		const struct mt_object_row *row = e->object ? mt_table_row(t, e->object) : NULL;

		if (row && row->used && is_refusal(row, e))
			return true;
	}
	return false;
}

/*
 * Marks the rows whose versions in use have errors, and copies these errors for `show errors`.
 * Returns false if one of the rows is the Node.
 */
static bool condemn(struct mt_object_table *t, const struct mt_diags *diags)
{
	for (uint32_t i = 0; i < diags->n + diags->n_beyond; i++) {
		struct mt_diag room;
		const struct mt_diag *e = mt_diags_entry(diags, i, &room);
		struct mt_object_row *row = e->object ? mt_table_row(t, e->object) : NULL;

		/* The version in use may also be a last good one that now conflicts with others. */
		if (!row || !row->used || !is_refusal(row, e))
			continue;
		if (row->o->is_node)
			return false;
		/*
		 * For an entry without texts, report_silent() adds an error that names the object.
		 */
		if (i < diags->n)
			mt_diags_copy(&t->told, e, MT_DIAG_ERROR);
		if (!row->why)
			row->why = words_of(t, e);
		row->condemned = true;
	}
	return true;
}

/* ---- too many rounds ------------------------------------------------------------------------- */

/*
 * Limits of the rounds of a load. An object with an error may hide the error of another one, so an
 * author could write thousands of objects with errors that compilations find one at a time. For
 * ROUNDS_EXACT rounds only objects with errors are refused. After them, a namespace that had errors
 * in more than ROUNDS_OWN rounds loses all new versions of a kind with errors. Other namespaces
 * still lose one object for one error. After ROUNDS_ALL rounds all namespaces with errors lose
 * whole kinds, so that the number of namespaces does not multiply the rounds.
 */
#define ROUNDS_EXACT 64
#define ROUNDS_OWN   8
#define ROUNDS_ALL   256

/* A namespace with errors. */
struct trouble {
	uint32_t rounds; /* number of rounds with errors */
	uint32_t last;	 /* the last round with errors */
};

/* Counts this round for the namespaces of condemned versions. */
static void note_trouble(struct mt_object_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *o = t->rows[i].o;
		struct trouble *x;

		if (!t->rows[i].condemned)
			continue;
		x = mt_share_account(&t->troubles, &t->words, o->ns, sizeof(*x));
		if (!x) {
			t->region.failed = true;
			return;
		}
		x->rounds += x->last != t->n_rounds;
		x->last = t->n_rounds;
	}
}

static bool is_over(const struct mt_object_table *t, const struct mt_object *o)
{
	const struct trouble *x = mt_strmap_get(&t->troubles, o->ns);

	return t->n_rounds > ROUNDS_ALL || (x && x->rounds > ROUNDS_OWN);
}

static char *place_of(struct mt_region *r, const struct mt_object *o)
{
	return mt_region_printf(r, "%s\n%s\n%s", o->group, o->kind, o->ns);
}

static bool is_new(const struct mt_object_row *row)
{
	return row->used &&
	       !(row->good && mt_content_hash_same(&row->good->hash, &row->used->hash));
}

/*
 * Condemns all new versions of the kinds and namespaces that still have errors, if the namespace
 * had errors in too many rounds or the load took too many. Last good versions stay in use.
 */
static void condemn_alike(struct mt_object_table *t)
{
	struct mt_strmap places = {0};
	struct mt_region r;

	mt_region_init(&r, 0);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *o = t->rows[i].o;
		char *place = t->rows[i].condemned && is_over(t, o) ? place_of(&r, o) : NULL;

		if (place && mt_strmap_put(&places, place, t, NULL))
			t->region.failed = true;
	}
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];
		char *place;

		if (row->condemned || !is_new(row) || row->o->is_node)
			continue;
		place = place_of(&r, row->o);
		if (!place || !mt_strmap_get(&places, place))
			continue;
		row->condemned = true;
		if (!row->why)
			row->why = mt_region_printf(&t->words,
				"refused with its kind and namespace, which still had errors "
				"after %d compilations",
				ROUNDS_EXACT);
	}
	mt_strmap_fini(&places);
	mt_region_fini(&r);
}

/*
 * A version falls back once in a round, whatever number of its errors `diags` lists in whatever
 * order.
 */
bool mt_table_refuse(struct mt_object_table *t, const struct mt_diags *diags)
{
	bool changed = false, others;

	mt_table_index(t);
	others = condemn(t, diags);
	t->node_refused |= !others;
	t->n_rounds++;
	note_trouble(t);
	if (t->n_rounds > ROUNDS_EXACT)
		condemn_alike(t);
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		if (row->condemned && others) {
			mt_row_fall_back(t, row);
			changed = true;
		}
		row->condemned = false;
	}
	return changed;
}

/* ---- final statuses -------------------------------------------------------------------------- */

static void note(struct mt_object_table *t, struct mt_object_row *row, const struct mt_diag *e)
{
	struct mt_note *n =
		mt_region_push(&t->words, (void **)&row->notes, &row->n_notes, sizeof(*n));

	if (!n)
		return;
	n->severity = e->severity;
	row->warned |= mt_diag_is_strict(e->severity);
	n->field = e->path ? mt_region_strdup(&t->words, e->path) : NULL;
	n->text = mt_region_printf(&t->words, "%s%s%s%s", e->message ? e->message : "",
		e->remedy ? " (" : "", e->remedy ? e->remedy : "", e->remedy ? ")" : "");
	if (row->status == MT_OBJECT_IN_FORCE && e->severity != MT_DIAG_FIELDS)
		row->status = MT_OBJECT_NOTES;
}

/*
 * Returns the status that a diagnostic of this severity gives an object; 0: the status does not
 * change.
 */
static enum mt_object_status status_of(enum mt_diag_severity s)
{
	switch (s) {
	case MT_DIAG_INERT:
	case MT_DIAG_UNUSED:
		return MT_OBJECT_NO_EFFECT;
	case MT_DIAG_CLOSED:
		return MT_OBJECT_FAIL_CLOSED;
	case MT_DIAG_ELSEWHERE:
		return MT_OBJECT_ELSEWHERE;
	case MT_DIAG_SHADOWED:
		return MT_OBJECT_SHADOWED;
	default:
		return MT_OBJECT_IN_FORCE;
	}
}

static void apply(struct mt_object_table *t, const struct mt_diag *e)
{
	struct mt_object_row *row = e->object ? mt_table_row(t, e->object) : NULL;

	if (!row)
		return;
	if (e->severity == MT_DIAG_UNREADABLE || e->severity == MT_DIAG_ABSENT) {
		row->unusable = true;
		t->n_unreadable += !row->unreadable && e->severity == MT_DIAG_UNREADABLE;
		row->unreadable |= e->severity == MT_DIAG_UNREADABLE;
		note(t, row, e);
	} else if (e->severity == MT_DIAG_WARNING || e->severity == MT_DIAG_NOTE ||
		   e->severity == MT_DIAG_FIELDS || e->severity == MT_DIAG_DISPUTED) {
		row->unusable |= e->severity == MT_DIAG_DISPUTED;
		note(t, row, e);
	} else if (row->status < MT_OBJECT_FAIL_CLOSED && status_of(e->severity)) {
		row->status = status_of(e->severity);
		row->why = words_of(t, e);
		row->warned |= mt_diag_is_strict(e->severity);
	}
}

/* Sets the reason of rows without one to the first error about their newest version. */
static void give_reasons(struct mt_object_table *t, const struct mt_diags *diags)
{
	struct mt_idmap newest = {0};

	if (!diags->errors)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		if (mt_idmap_put(&newest, t->rows[i].o->serial, &t->rows[i]))
			t->region.failed = true;
	for (uint32_t i = 0; i < diags->n + diags->n_beyond; i++) {
		struct mt_diag room;
		const struct mt_diag *e = mt_diags_entry(diags, i, &room);
		struct mt_object_row *row = NULL;

		if (e->severity == MT_DIAG_ERROR && e->object)
			row = mt_idmap_get(&newest, e->object);
		if (row && !row->why)
			row->why = words_of(t, e);
	}
	mt_idmap_fini(&newest);
}

static void touch(struct mt_object_table *t, struct mt_object_row *row, const char *host)
{
	const char **slot =
		mt_region_push(&t->words, (void **)&row->touches, &row->n_touches, sizeof(*slot));

	if (slot)
		*slot = host;
}

/*
 * Adds the hosts that the compiler reported. Policies need this, because they select by labels and
 * name no hosts.
 */
static void touch_told(struct mt_object_table *t, const struct mt_diags *diags)
{
	for (uint32_t i = 0; i < diags->n_hosts; i++) {
		struct mt_object_row *row = mt_table_row(t, diags->hosts[i].object);

		if (row)
			touch(t, row, mt_region_strdup(&t->words, diags->hosts[i].host));
	}
}

static void say(struct mt_object_table *t, struct mt_object_row *row, const char *words)
{
	const struct mt_diag e = {.severity = MT_DIAG_WARNING, .message = words};

	note(t, row, &e);
}

/*
 * Removes the hosts of objects without effect. Gives duplicates and their first row a note about
 * each other. `first`: the first row of this identity, which precedes its duplicates.
 */
static void settle(
	struct mt_object_table *t, struct mt_object_row *row, struct mt_object_row *first)
{
	if (row->status == MT_OBJECT_NO_EFFECT || row->status == MT_OBJECT_SHADOWED)
		row->n_touches = 0;
	if (!row->double_ || !row->why)
		return;
	say(t, first,
		row->used ? "another object of its name differs: a call must pass both"
			  : "another one of its name is refused");
	if (row->used)
		say(t, row, row->why);
}

/*
 * Adds an error for each refused or last-good object that no error names, so that --check prints a
 * line for every cause of exit code 1. A note is enough if the object's file changed while it was
 * read, because the watch causes the next load.
 */
static void report_silent(struct mt_object_table *t, struct mt_diags *diags)
{
	struct mt_idmap named = {0};
	char name[512];

	for (uint32_t i = 0; i < diags->n; i++)
		if (diags->items[i].severity == MT_DIAG_ERROR && diags->items[i].object &&
			mt_idmap_put(&named, diags->items[i].object, t))
			t->region.failed = true;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object_row *row = &t->rows[i];
		const struct mt_object *o = row->o;
		const struct mt_meta about = {
			.origin = o->origin, .serial = o->serial, .ns = mt_object_owner(o)};
		bool moving = row->moving && row->status == MT_OBJECT_LAST_GOOD;

		if (row->status != MT_OBJECT_LAST_GOOD && row->status != MT_OBJECT_REFUSED)
			continue;
		/*
		 * The errors of a version that another row uses are not about this row, a younger
		 * duplicate.
		 */
		if (mt_idmap_get(&named, o->serial) &&
			!(row->double_ && o->status != MT_OBJECT_REFUSED))
			continue;
		(void)mt_object_str(o, name, sizeof(name));
		mt_diag_object(diags, moving ? MT_DIAG_NOTE : MT_DIAG_ERROR, &about, o->origin.line,
			NULL, NULL, "%s is %s: %s", name, mt_object_status_str(row->status),
			row->why ? row->why : "no reason is known");
	}
	mt_idmap_fini(&named);
}

void mt_table_finish(struct mt_object_table *t, struct mt_diags *diags)
{
	struct mt_object_row *first = NULL;
	struct mt_diag room;

	mt_table_index(t);
	mt_table_mesh_tell(t, diags);
	mt_table_unenforced_tell(t, mt_table_node(t), diags);
	mt_table_plugins_tell(t, diags);
	mt_diags_copy_all(diags, &t->translated);
	mt_diags_copy_all(diags, &t->owns);
	for (uint32_t i = 0; i < t->n; i++)
		t->rows[i].n_touches = 0;
	touch_told(t, diags);
	touch_told(t, &t->translated);
	for (uint32_t i = 0; i < diags->n + diags->n_beyond; i++)
		apply(t, mt_diags_entry(diags, i, &room));
	mt_table_delegates_settle(t);
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];

		first = row->double_ && first ? first : row;
		settle(t, row, first);
	}
	mt_diags_copy_all(diags, &t->told);
	t->touched = false;
	give_reasons(t, diags);
	report_silent(t, diags);
}
