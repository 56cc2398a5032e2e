/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content of files as they were last read, so that a change of one file in a thousand costs reading
 * one. The cache also bridges the moment between a writer's truncation of a file and its first
 * write.
 */
#include "mt_fields.h"
#include "mt_files.h"

#include "mt_strmap.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/*
 * A file that was changed less than this before it was read may change again within the same tick
 * of its file system's clock. Its times then prove nothing, so its content is compared.
 */
#define RACY (2 * MT_SEC)

struct entry {
	char *path;
	struct mt_file_identity id;
	uint64_t read_at; /* ns, mt_file_clock() */
	size_t len;	  /* of the content that the objects come from */
	bool read;	  /* the objects are those of that content */
	struct mt_objects objects;
	struct mt_pieces pieces;     /* their places in the blob's text */
	struct mt_source_blob *blob; /* the text that they come from */
	uint32_t order;		     /* among the files of the load */
	struct mt_diags diags;	     /* of its last parse */
	uint32_t documents;
	bool torn;    /* it changed while it was read */
	bool emptied; /* it is empty now; the objects are those of its previous content */
	uint64_t round;
};

struct mt_source_cache {
	struct mt_strmap by_path;  /* struct entry */
	struct mt_strmap listings; /* struct mt_listing, by path */
	uint64_t round;		   /* number of the current load */
	uint32_t n_read;	   /* files of that load so far */
};

struct mt_source_cache *mt_source_cache_new(void)
{
	return calloc(1, sizeof(struct mt_source_cache));
}

static void free_entry(struct entry *e)
{
	mt_objects_fini(&e->objects);
	mt_pieces_fini(&e->pieces);
	mt_blob_put(e->blob);
	mt_diags_fini(&e->diags);
	free(e->path);
	free(e);
}

void mt_source_cache_free(struct mt_source_cache *c)
{
	struct mt_listing *l;
	struct entry *e;
	uint32_t pos = 0;

	if (!c)
		return;
	while ((e = mt_strmap_next(&c->by_path, &pos, NULL)) != NULL)
		free_entry(e);
	mt_strmap_fini(&c->by_path);
	pos = 0;
	while ((l = mt_strmap_next(&c->listings, &pos, NULL)) != NULL) {
		mt_listing_fini(l);
		free(l);
	}
	mt_strmap_fini(&c->listings);
	free(c);
}

void mt_source_cache_doubt(struct mt_source_cache *c)
{
	struct mt_listing *l;
	uint32_t pos = 0;

	while ((l = mt_strmap_next(&c->listings, &pos, NULL)) != NULL)
		l->read_at = 0;
}

void mt_cache_begin(struct mt_source_cache *c)
{
	c->round++;
	c->n_read = 0;
}

static void forget_listings(struct mt_source_cache *c)
{
	struct mt_listing *l;
	uint32_t pos = 0;

	while ((l = mt_strmap_next(&c->listings, &pos, NULL)) != NULL) {
		if (l->round == c->round)
			continue;
		mt_strmap_del(&c->listings, l->path);
		mt_listing_fini(l);
		free(l);
	}
}

/*
 * Forgets files that this load did not read, because they are gone. Keeps them if there is no valid
 * Node (!all), because then the load did not know all directories.
 */
void mt_cache_end(struct mt_source_cache *c, bool all)
{
	struct entry *e;
	uint32_t pos = 0;

	forget_listings(c);
	while (all && (e = mt_strmap_next(&c->by_path, &pos, NULL)) != NULL) {
		if (e->round == c->round)
			continue;
		mt_strmap_del(&c->by_path, e->path);
		free_entry(e);
	}
}

/* ---- detecting changes ----------------------------------------------------------------------- */

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * MT_SEC + (uint64_t)t->tv_nsec;
}

struct mt_file_identity mt_file_identity(const struct stat *st)
{
	return (struct mt_file_identity){
		st->st_dev, st->st_ino, st->st_size, ns_of(&st->st_mtim), ns_of(&st->st_ctim)};
}

bool mt_file_settled(
	const struct mt_file_identity *was, const struct mt_file_identity *now, uint64_t read_at)
{
	return was->dev == now->dev && was->ino == now->ino && was->size == now->size &&
	       was->mtime == now->mtime && was->ctime == now->ctime && read_at >= now->ctime + RACY;
}

/* True if the content is certainly unchanged since it was read. */
static bool is_settled(const struct entry *e, const struct stat *st)
{
	struct mt_file_identity now = mt_file_identity(st);

	return e->read && mt_file_settled(&e->id, &now, e->read_at);
}

uint64_t mt_file_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return ns_of(&t);
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct entry *find(struct mt_source_cache *c, const char *path)
{
	struct entry *e = mt_strmap_get(&c->by_path, path);

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	mt_diags_init(&e->diags);
	e->path = strdup(path);
	if (!e->path || mt_strmap_put(&c->by_path, e->path, e, NULL)) {
		free_entry(e);
		return NULL;
	}
	return e;
}

struct mt_listing *mt_cache_listing(struct mt_source_cache *c, const char *path)
{
	struct mt_listing *l = mt_strmap_get(&c->listings, path);

	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return NULL;
		mt_region_init(&l->region, 0);
		l->path = strdup(path);
		if (!l->path || mt_strmap_put(&c->listings, l->path, l, NULL)) {
			mt_listing_fini(l);
			free(l);
			return NULL;
		}
	}
	l->round = c->round;
	return l;
}

/*
 * Reports a file without a document at each load. All commented out is a note. An empty one is an
 * error: it may be about to be written, or its objects may be lost (see is_legible()).
 */
static void tell_no_document(struct entry *e)
{
	/* As in mt_load_error(), a serial that no object has: no object is rejected. */
	const struct mt_meta about = {.origin = {e->path, 0}, .serial = mt_object_serial()};

	if (e->documents || e->objects.n || e->diags.errors)
		return;
	mt_diag_object(&e->diags, e->len ? MT_DIAG_NOTE : MT_DIAG_ERROR, &about, 0, NULL,
		"write one, or delete the file", e->len ? "holds no document" : "is empty");
}

static int parse(struct entry *e, const struct mt_source_place *place, const char *text, size_t len,
	uint64_t most)
{
	struct mt_objects objects = {0};
	struct mt_pieces now = {.most = most};
	int rc;

	mt_diags_fini(&e->diags);
	mt_diags_init(&e->diags);
	e->pieces.text = e->read && e->blob ? e->blob->text : NULL;
	e->pieces.objects = &e->objects;
	rc = mt_text_read(
		&objects, &e->diags, place, e->path, text, len, &e->documents, &e->pieces, &now);
	mt_objects_fini(&e->objects);
	mt_pieces_fini(&e->pieces);
	e->pieces = now;
	/* After a failure the objects are incomplete, so parse again next time. */
	e->read = rc == 0;
	if (rc) {
		mt_objects_fini(&objects);
		return rc;
	}
	e->objects = objects;
	e->len = len;
	tell_no_document(e);
	return 0;
}

/*
 * True if the file is empty but held documents before. Editors and copies truncate a file before
 * they write it, and a full disk leaves it empty. Nobody removes services in this way on purpose,
 * so the last content stays until the file has new content or is deleted.
 */
static bool is_being_written(const struct entry *e, size_t len)
{
	return len == 0 && e->read && e->documents > 0;
}

static bool same_name(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_place(const struct mt_source_place *a, const struct mt_source_place *b)
{
	return strcmp(a->source, b->source) == 0 && same_name(a->ns, b->ns) &&
	       same_name(a->only, b->only) && a->mesh_config == b->mesh_config &&
	       a->codecs == b->codecs;
}

/* If the place of the file changed, its content means something else: forces a new parse. */
static void move(struct entry *e, const struct mt_source_place *place)
{
	struct mt_source_place was = {0};

	if (e->blob)
		was = mt_blob_place(e->blob);
	if (e->blob && !same_place(&was, place))
		e->read = false;
}

/* True if the objects are those of this text. */
static bool is_same(const struct entry *e, const char *text, size_t len)
{
	return e->read && e->blob && e->blob->len == len && memcmp(e->blob->text, text, len) == 0;
}

static int refresh(struct entry *e, const struct mt_source_place *place, const struct mt_root *root,
	struct mt_diags *diags, uint64_t most)
{
	uint64_t at = mt_file_clock();
	struct stat st;
	size_t len;
	int rc;
	char *text = mt_file_text(diags, root, e->path, &st, &len, &rc);

	if (!text)
		return rc;
	e->torn = rc == MT_FILE_TORN;
	e->emptied = is_being_written(e, len);
	e->id = mt_file_identity(&st);
	/* 0: the next load reads the file again. */
	e->read_at = e->torn ? 0 : at;
	if (e->emptied || is_same(e, text, len)) {
		free(text);
		return 0;
	}
	rc = parse(e, place, text, len, most);
	mt_blob_put(e->blob);
	e->blob = mt_blob_new(place, e->path, text, len);
	return e->blob ? rc : -ENOMEM;
}

/* ---- objects and diagnostics of a load ------------------------------------------------------- */

static void tell(const struct entry *e, struct mt_diags *diags)
{
	uint32_t errors = diags->errors + e->diags.errors;
	uint32_t warnings = diags->warnings + e->diags.warnings;
	uint32_t notes = diags->notes + e->diags.notes;

	mt_diags_copy_all(diags, &e->diags);
	/* Include diagnostics that were counted but not kept. */
	diags->errors = errors;
	diags->warnings = warnings;
	diags->notes = notes;
	if (e->emptied)
		mt_diag_add(diags, MT_DIAG_WARNING, (struct mt_origin){e->path, 0}, NULL,
			"write it again; to remove its object, delete the file",
			"is empty: taken as being written, its last content stays in force");
}

/*
 * True if objects that are missing from the file are certainly deleted. An unreadable piece without
 * a name may be any earlier object. An empty or partly read file may still hold them.
 */
static bool is_legible(const struct entry *e)
{
	for (uint32_t i = 0; i < e->objects.n; i++)
		if (e->objects.v[i]->illegible && !*e->objects.v[i]->name)
			return false;
	return !e->torn && (e->documents || e->len);
}

static int adopt(const struct entry *e, struct mt_source_reading *r)
{
	int rc = 0;

	for (uint32_t i = 0; i < e->objects.n && rc == 0; i++)
		rc = mt_objects_add(&r->objects, e->objects.v[i]);
	if (rc || is_legible(e))
		return rc;
	return e->torn ? mt_reading_changing(r, e->path) : mt_reading_partial(r, e->path);
}

/* Records a file that cannot be read, or that is gone since it was listed. rc, or -ENOMEM. */
static int not_read(struct mt_source_reading *r, const char *path, int rc, bool gone)
{
	int no_memory = gone ? mt_reading_changing(r, path) : mt_reading_partial(r, path);

	return no_memory ? no_memory : rc;
}

int mt_cache_read(struct mt_source_cache *c, struct mt_source_reading *r, struct mt_diags *diags,
	const struct mt_source_place *place, const struct mt_root *root, const char *path,
	const struct stat *st, uint64_t most, uint64_t *memory)
{
	struct entry *e = find(c, path);
	int rc = 0;

	if (!e)
		return -ENOMEM;
	e->round = c->round;
	e->order = c->n_read++;
	move(e, place);
	if (!is_settled(e, st))
		rc = refresh(e, place, root, diags, most);
	*memory = sizeof(*e) + 3 * strlen(path) + e->pieces.memory;
	/* An unchanged file is not read again, but files before it may leave less for it. */
	if (rc == 0 && *memory > most)
		rc = -EOVERFLOW;
	if (rc) {
		if (rc == -E2BIG || rc == -EOVERFLOW)
			tell(e, diags);
		return not_read(r, path, rc, rc == -ENOENT && root);
	}
	tell(e, diags);
	return adopt(e, r);
}

/* ---- texts of the last load ------------------------------------------------------------------ */

uint32_t mt_cache_count(const struct mt_source_cache *c)
{
	return c->n_read;
}

void mt_cache_each(const struct mt_source_cache *c,
	void (*cb)(void *arg, uint32_t order, struct mt_source_blob *b), void *arg)
{
	const struct entry *e;
	uint32_t pos = 0;

	while ((e = mt_strmap_next(&c->by_path, &pos, NULL)) != NULL)
		if (e->round == c->round && e->blob)
			cb(arg, e->order, e->blob);
}
