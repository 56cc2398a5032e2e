/* SPDX-License-Identifier: Apache-2.0 */
/* Identity from a directory of files that another process renews. */
#include "mt_identity_source_priv.h"

#include "mt_file.h"
#include "mt_secrets_priv.h"
#include "mt_service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_NS	   (500 * MT_MSEC)
#define LOOK_AGAIN 3 /* file times are coarse: more reads after a change, even with equal times */
#define UNSETTLED  2 /* reads in a row with a result that is left open */
#define FILES	   4
#define KEY	   1
#define CRL	   3

static const char *const names[FILES] = {MT_IDENTITY_SOURCE_CHAIN, MT_IDENTITY_SOURCE_KEY,
	MT_IDENTITY_SOURCE_ROOTS, MT_IDENTITY_SOURCE_CRL};

/* State of the reads. Only the task uses it between submission and done(). */
struct reading {
	struct mt_task task;
	struct directory *src; /* control thread only; NULL: freed */
	char *paths[FILES];
	struct mt_secret_stamp stamps[FILES]; /* of the files as last read */
	unsigned int look_again;
	unsigned int unsettled;	     /* reads in a row, up to the last one */
	bool in_use;		     /* a credential is in use; set before submission */
	struct mt_credential *found; /* NULL: not read, or unusable */
	struct mt_err why, note;
};

struct directory {
	struct mt_identity_source s;
	struct mt_service *service; /* NULL: turns read the files themselves */
	struct reading *reading;
	bool under_way;
	uint64_t next_look;
};

/* ---- on the service thread ------------------------------------------------------------------- */

static void look(const struct reading *r, struct mt_secret_stamp stamps[FILES])
{
	for (int i = 0; i < FILES; i++)
		stamps[i] = mt_secret_stamp(r->paths[i]);
}

static bool same(const struct mt_secret_stamp *a, const struct mt_secret_stamp *b)
{
	for (int i = 0; i < FILES; i++)
		if (!mt_secret_stamp_same(&a[i], &b[i]))
			return false;
	return true;
}

/* Reads a file. A NUL byte is an error, because a PEM reader would ignore what follows it. */
static int read_text(const char *path, bool secret, char **text, struct mt_err *e)
{
	size_t len;
	int rc = secret ? mt_file_read_secret(path, text, &len, e)
			: mt_file_read(path, MT_FILE_SMALL, 0, text, &len, e);

	if (rc == 0 && strlen(*text) != len)
		rc = mt_err(e, -EINVAL, "%s: it is not text", path);
	return rc;
}

/*
 * Warns if other users can access the key, also by the group of this process. It is used all the
 * same, because its owner decides.
 */
static void look_at_mode(struct reading *r)
{
	const char *path = r->paths[KEY];
	char remedy[512];
	struct stat st;

	r->note.text[0] = '\0';
	if (stat(path, &st) || !(st.st_mode & 077))
		return;
	if (st.st_uid == geteuid() ||
		!mt_file_remedy(path, MT_FILE_SECRET, EACCES, remedy, sizeof(remedy))[0])
		snprintf(remedy, sizeof(remedy), "chmod 600 %s", path);
	(void)mt_err(&r->note, 0, "%s: its mode is %04o, so others can use this key: %s", path,
		(unsigned int)st.st_mode & 07777, remedy);
}

static struct mt_credential *read_all(struct reading *r, char *texts[FILES])
{
	struct mt_err e;
	struct mt_credential *c;

	for (int i = 0; i < FILES; i++) {
		int rc = read_text(r->paths[i], i == KEY, &texts[i], &r->why);

		if (rc == -ENOENT && i == CRL)
			r->why.text[0] = '\0';
		else if (rc)
			return NULL;
	}
	c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = texts[0], .key = texts[1], .roots = texts[2], .crl = texts[CRL]},
		&e);
	if (!c)
		(void)mt_err(&r->why, -EINVAL, "%s: %s", r->paths[0], e.text);
	return c;
}

/*
 * True if files that have just changed cannot be used, although others can go on. Their writer may
 * be between two renames; the next look decides.
 */
static bool is_between(const struct reading *r)
{
	return r->in_use && !r->found && r->look_again == LOOK_AGAIN;
}

/* Files that cannot be used are reported at last, even if they change before each read. */
static bool is_settled(const struct reading *r, bool unchanged)
{
	if (!r->found && r->unsettled >= UNSETTLED)
		return true;
	return unchanged && !is_between(r);
}

static int run(struct mt_task *t)
{
	struct reading *r = mt_container_of(t, struct reading, task);
	struct mt_secret_stamp before[FILES], after[FILES];
	char *texts[FILES] = {NULL};

	r->found = NULL;
	look(r, before);
	if (!same(before, r->stamps))
		r->look_again = LOOK_AGAIN;
	else if (r->look_again)
		r->look_again--;
	else if (!r->why.text[0])
		return -EALREADY;
	r->why.text[0] = '\0';
	r->found = read_all(r, texts);
	for (int i = 0; i < FILES; i++)
		mt_wipe_free(texts[i]);
	look_at_mode(r);
	look(r, after);
	memcpy(r->stamps, before, sizeof(before));
	if (is_settled(r, same(before, after))) {
		r->unsettled = 0;
		return 0;
	}
	r->unsettled++;
	/* The files may be of two generations: the next look reads them again. */
	mt_credential_drop(r->found);
	r->found = NULL;
	return -EAGAIN;
}

/* ---- on the control thread ------------------------------------------------------------------- */

static void reading_free(struct reading *r)
{
	for (int i = 0; r && i < FILES; i++)
		free(r->paths[i]);
	free(r);
}

static void done(struct mt_task *t, int rc)
{
	struct reading *r = mt_container_of(t, struct reading, task);
	struct directory *d = r->src;
	struct mt_credential *found = r->found;

	r->found = NULL;
	if (!d) {
		mt_credential_drop(found);
		reading_free(r);
		return;
	}
	d->under_way = false;
	/* Nothing new, or files that changed during the read: keep the last result. */
	if (rc)
		return;
	d->s.note = r->note;
	(void)mt_identity_source_take(&d->s, found, &r->why, r->paths[0]);
	/*
	 * While there is an error, for example an expired certificate, the task reads the files
	 * again even if they have not changed.
	 */
	r->why = d->s.why;
}

static struct reading *reading_new(struct directory *src, const char *dir)
{
	struct reading *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->task = (struct mt_task){.run = run, .done = done};
	r->src = src;
	r->look_again = 1; /* missing files have the same stamps as files never read */
	for (int i = 0; i < FILES; i++)
		if (asprintf(&r->paths[i], "%s/%s", dir, names[i]) < 0) {
			r->paths[i] = NULL;
			reading_free(r);
			return NULL;
		}
	return r;
}

static void serve(struct mt_identity_source *src, struct mt_service *s)
{
	((struct directory *)src)->service = s;
}

static void directory_free(struct mt_identity_source *src)
{
	struct directory *d = (struct directory *)src;

	/* A read in progress owns `reading`, and done() frees it. */
	d->reading->src = NULL;
	if (!d->under_way)
		reading_free(d->reading);
	free(d);
}

static void turn(struct mt_identity_source *src, uint64_t now)
{
	struct directory *d = (struct directory *)src;

	if (d->under_way || now < d->next_look)
		return;
	d->next_look = now + LOOK_NS;
	d->under_way = true;
	d->reading->in_use = d->s.current != NULL;
	/* If the queue is full, the next check tries again. */
	if (mt_service_submit(d->service, &d->reading->task))
		d->under_way = false;
}

struct mt_identity_source *mt_identity_directory_new(
	struct mt_service *s, const char *dir, mt_identity_changed_fn *fn, void *arg)
{
	static const struct mt_identity_source_ops ops = {turn, serve, directory_free};
	struct directory *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	*d = (struct directory){.s = {.ops = &ops, .fn = fn, .arg = arg}, .service = s};
	d->reading = reading_new(d, dir);
	if (d->reading)
		return &d->s;
	free(d);
	return NULL;
}
