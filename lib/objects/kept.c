/* SPDX-License-Identifier: Apache-2.0 */
/* The last good version of each object, by identity; kept_file.c stores them in a file. */
#include "mt_objects_priv.h"

#include <errno.h>
#include <string.h>

struct mt_kept *mt_kept_open(const char *state_dir, bool read_only)
{
	struct mt_kept *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->read_only = read_only;
	if (state_dir && asprintf(&k->path, "%s/objects.jsonl", state_dir) < 0)
		k->path = NULL;
	if (k->path)
		(void)mt_kept_read(k);
	return k;
}

static void free_one(struct mt_kept_one *one)
{
	if (one->good)
		mt_object_put(one->good);
	free(one->text);
	free(one->file);
	free(one->only);
	free(one->key);
	free(one);
}

void mt_kept_drop(struct mt_kept *k, struct mt_kept_one *one)
{
	mt_strmap_del(&k->all, one->key);
	free_one(one);
}

void mt_kept_free(struct mt_kept *k)
{
	struct mt_kept_one *one;
	uint32_t pos = 0;

	if (!k)
		return;
	while ((one = mt_strmap_next(&k->all, &pos, NULL)) != NULL)
		free_one(one);
	mt_strmap_fini(&k->all);
	mt_strmap_fini(&k->secret_of);
	mt_objects_fini(&k->secrets);
	free(k->path);
	free(k);
}

void mt_kept_clock(struct mt_kept *k, int64_t wall)
{
	k->wall = wall;
}

uint32_t mt_kept_count(const struct mt_kept *k)
{
	return k->all.n;
}

struct mt_kept_one *mt_kept_put(struct mt_kept *k, const char *key)
{
	struct mt_kept_one *one = mt_strmap_get(&k->all, key);

	if (one)
		return one;
	one = calloc(1, sizeof(*one));
	if (!one)
		return NULL;
	one->key = strdup(key);
	if (one->key && mt_strmap_put(&k->all, one->key, one, NULL) == 0)
		return one;
	free_one(one);
	return NULL;
}

/* ---- lookup ---------------------------------------------------------------------------------- */

/*
 * Returns the context for parsing a kept text, from the lines of the object's key: source, group,
 * kind, namespace, name.
 */
static struct mt_source_place place_of(char *key)
{
	struct mt_source_place p = {.source = key};
	char *lines[5] = {key};

	for (size_t i = 1; i < MT_ARRAY_LEN(lines); i++) {
		char *end = lines[i - 1] ? strchr(lines[i - 1], '\n') : NULL;

		lines[i] = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
	}
	p.mesh_config = lines[2] && strcmp(lines[2], "MeshConfig") == 0;
	p.ns = lines[3] && *lines[3] ? lines[3] : NULL;
	if (lines[2] && strcmp(lines[2], "Codec") == 0)
		p.codecs = strcmp(lines[0], MT_SOURCE_INSTALLED_CODECS) == 0 ? MT_CODECS_INSTALLED
									     : MT_CODECS_OF_NODE;
	return p;
}

static bool same_namespaces(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Notes the namespaces of the source that holds the object now. False: no memory. */
static bool limit(struct mt_kept_one *one, const char *only)
{
	char *copy = only ? strdup(only) : NULL;

	if (only && !copy)
		return false;
	one->stale |= !one->known || !same_namespaces(one->only, only);
	one->known = true;
	free(one->only);
	one->only = copy;
	return true;
}

/* Parses a text of the object as one of a source with these namespaces; NULL: it is not usable. */
static struct mt_object *parse(const struct mt_kept_one *one, const char *text, const char *only)
{
	struct mt_objects objects = {0};
	struct mt_object *good = NULL;
	struct mt_source_place place;
	struct mt_diags ignored;
	char *key = strdup(one->key);
	uint32_t n;

	if (!key)
		return NULL;
	place = place_of(key);
	/* An earlier version of Meltemi has not stored them: assume the narrowest limit. */
	place.only = one->known ? only : place.ns;
	mt_diags_init(&ignored);
	if (mt_source_objects(&objects, &ignored, &place, one->file, one->line, text, &n) == 0 &&
		objects.n == 1 && objects.v[0]->status != MT_OBJECT_REFUSED) {
		good = objects.v[0];
		good->part->refs++;
	}
	mt_objects_fini(&objects);
	mt_diags_fini(&ignored);
	free(key);
	return good;
}

/* The last good version as one of a source with the namespaces one->only. */
static struct mt_object *good_of(struct mt_kept_one *one)
{
	struct mt_object *was = one->good;
	char *text;

	if (was && (!one->known || same_namespaces(was->only, one->only)))
		return was;
	if (!was && !one->text)
		return NULL;
	/* Parse a text only once. One that this version of Meltemi rejects is of no further use. */
	text = was ? mt_document_text(was->root) : one->text;
	one->good = text ? parse(one, text, one->only) : NULL;
	one->text = NULL;
	free(text);
	if (was)
		mt_object_put(was);
	return one->good;
}

struct mt_object *mt_kept_absent_good(struct mt_kept_one *one, const struct mt_source_reading *r)
{
	const char *only;

	if (mt_source_limit(r, one->file, &only) && !limit(one, only))
		return NULL;
	return good_of(one);
}

/* True if the object that was read is the kept version. */
static bool is_version(const struct mt_kept_one *one, const struct mt_object *o)
{
	return mt_content_hash_same(&one->hash, &o->hash) && o->root && !o->illegible &&
	       o->status != MT_OBJECT_REFUSED;
}

static void adopt(struct mt_kept_one *one, struct mt_object *o)
{
	if (one->good)
		mt_object_put(one->good);
	one->good = o;
	o->part->refs++;
	free(one->text);
	one->text = NULL;
}

/* True for Secrets: keys must not be stored outside of the files that the operator manages. */
static bool is_secret(const struct mt_object *o)
{
	return !*o->group && strcmp(o->kind, "Secret") == 0;
}

/* The version in use of a Secret of the same source; NULL after a restart. */
static struct mt_object *good_secret(const struct mt_kept *k, const struct mt_object *o)
{
	struct mt_object *good = mt_strmap_get(&k->secret_of, mt_object_key(o));

	return good && same_namespaces(good->only, o->only) ? good : NULL;
}

struct mt_object *mt_kept_good(struct mt_kept *k, struct mt_object *o)
{
	struct mt_kept_one *one = mt_strmap_get(&k->all, mt_object_key(o));

	if (is_secret(o))
		return good_secret(k, o);
	if (!one)
		return NULL;
	if (!limit(one, o->only))
		return NULL;
	/*
	 * After a restart most files still contain the kept version. Use the object that was just
	 * read instead of parsing the kept text.
	 */
	if (is_version(one, o) &&
		(one->good ? !same_namespaces(one->good->only, o->only) : one->text != NULL))
		adopt(one, o);
	return good_of(one);
}

/* ---- update ---------------------------------------------------------------------------------- */

struct update {
	struct mt_kept *k;
	struct mt_kept_change *changes;
	uint32_t n, cap;
	int64_t wall;
	int rc;
};

static void changed(struct update *u, const struct mt_kept_one *one, bool gone)
{
	if (u->n == u->cap) {
		uint32_t cap = u->cap ? 2 * u->cap : 64;
		struct mt_kept_change *v = realloc(u->changes, cap * sizeof(*v));

		if (!v) {
			u->rc = -ENOMEM;
			return;
		}
		u->changes = v;
		u->cap = cap;
	}
	u->changes[u->n++] = (struct mt_kept_change){one, gone};
}

/*
 * Replaces the references to Secrets by references to those that the table uses. Returns 0 or
 * -ENOMEM.
 */
static int keep_secrets(struct mt_kept *k, const struct mt_object_table *t)
{
	struct mt_objects now = {0};
	struct mt_strmap keys = {0};
	int rc = 0;

	for (uint32_t i = 0; i < t->n && rc == 0; i++) {
		struct mt_object *used = t->rows[i].used;

		if (!used || t->rows[i].double_ || !is_secret(used))
			continue;
		rc = mt_objects_add(&now, used);
		if (rc == 0)
			rc = mt_strmap_put(&keys, mt_object_key(used), used, NULL);
	}
	mt_strmap_fini(&k->secret_of);
	mt_objects_fini(&k->secrets);
	k->secrets = now;
	k->secret_of = keys;
	return rc;
}

/* A new service that is closed for its work is still new after a restart. */
static bool is_closed_service(const struct mt_object_row *row)
{
	return row->status == MT_OBJECT_FAIL_CLOSED && !row->o->may_restrict;
}

/*
 * True for a service if an object of another namespace has its host. After a restart it must not
 * look like one that had the host.
 */
static bool is_shadowed_service(const struct mt_object_row *row)
{
	return row->status == MT_OBJECT_SHADOWED && strcmp(row->o->kind, "ServiceEntry") == 0;
}

static bool is_good(const struct mt_object_row *row)
{
	if (is_closed_service(row) || is_shadowed_service(row))
		return false;
	return row->used == row->o && !row->unusable && !row->absent && row->o->root &&
	       !row->o->is_node && row->status != MT_OBJECT_IGNORED;
}

static void keep(struct update *u, const struct mt_object_row *row)
{
	struct mt_object *o = row->o;
	struct mt_kept_one *one;
	const char *key = mt_object_key(o);
	char *file;
	bool same, stale;

	if (strlen(key) >= MT_OBJECT_KEY_MAX)
		return;
	one = mt_kept_put(u->k, key);
	if (!one) {
		u->rc = -ENOMEM;
		return;
	}
	one->mark = true;
	stale = one->stale && (one->good || one->text);
	one->stale = false;
	if (!is_good(row)) {
		if (stale)
			changed(u, one, false);
		return;
	}
	if (!limit(one, o->only)) {
		u->rc = -ENOMEM;
		return;
	}
	same = !stale && !one->stale && (one->good || one->text) &&
	       mt_content_hash_same(&one->hash, &o->hash) && one->file &&
	       strcmp(one->file, o->origin.file) == 0;
	one->stale = false;
	one->line = o->origin.line;
	if (one->good != o) {
		if (one->good)
			mt_object_put(one->good);
		one->good = o;
		o->part->refs++;
	}
	if (same)
		return;
	file = strdup(o->origin.file);
	if (!file) {
		u->rc = -ENOMEM;
		return;
	}
	free(one->file);
	free(one->text);
	one->file = file;
	one->text = NULL;
	one->hash = o->hash;
	one->wall = u->wall;
	changed(u, one, false);
}

int mt_kept_update(struct mt_kept *k, const struct mt_object_table *t, int64_t wall)
{
	struct update u = {.k = k, .wall = wall, .rc = keep_secrets(k, t)};
	struct mt_kept_one *one;
	uint32_t pos = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].o->status != MT_OBJECT_IGNORED && *t->rows[i].o->name &&
			!t->rows[i].double_ && !t->rows[i].apart && !t->rows[i].o->outside &&
			!is_secret(t->rows[i].o))
			keep(&u, &t->rows[i]);
	while ((one = mt_strmap_next(&k->all, &pos, NULL)) != NULL)
		if (!one->mark || (!one->good && !one->text))
			changed(&u, one, true);
		else
			one->mark = false;
	if (u.rc == 0 && k->path && !k->read_only && u.n)
		u.rc = mt_kept_write(k, u.changes, u.n);
	for (uint32_t i = 0; i < u.n; i++)
		if (u.changes[i].gone)
			mt_kept_drop(k, (struct mt_kept_one *)u.changes[i].one);
	free(u.changes);
	return u.rc;
}

/*
 * Returns the part of the key that follows the lines of source and group, so it starts with the
 * kind.
 */
static const char *after_group(const char *key)
{
	for (int i = 0; i < 2 && key; i++) {
		key = strchr(key, '\n');
		key = key ? key + 1 : NULL;
	}
	return key;
}

static bool forget_secret(struct mt_kept *k, const char *ns, const char *name)
{
	struct mt_object *o;
	uint32_t pos = 0;

	while ((o = mt_strmap_next(&k->secret_of, &pos, NULL)) != NULL) {
		if (strcmp(o->ns, ns) != 0 || strcmp(o->name, name) != 0)
			continue;
		mt_strmap_del(&k->secret_of, mt_object_key(o));
		return true;
	}
	return false;
}

bool mt_kept_forget(struct mt_kept *k, const char *kind, const char *ns, const char *name)
{
	char named[MT_OBJECT_KEY_MAX];
	size_t len = (size_t)snprintf(named, sizeof(named), "%s\n%s\n%s", kind, ns, name);
	struct mt_kept_one *one;
	uint32_t pos = 0;

	if (strcmp(kind, "Secret") == 0)
		return forget_secret(k, ns, name);
	while ((one = mt_strmap_next(&k->all, &pos, NULL)) != NULL) {
		/*
		 * Compare from the kind on, because a comparison of the key's end would also match
		 * a name that contains line ends.
		 */
		const char *own = after_group(one->key);
		struct mt_kept_change gone = {one, true};

		if (len >= sizeof(named) || !own || strcmp(own, named) != 0)
			continue;
		if (k->path && !k->read_only)
			(void)mt_kept_write(k, &gone, 1);
		mt_kept_drop(k, one);
		return true;
	}
	return false;
}
