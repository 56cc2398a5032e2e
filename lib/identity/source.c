/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_identity_source.h"

#include "mt_file.h"
#include "mt_secrets_priv.h"
#include "mt_service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOOK_NS	   (500 * MT_MSEC)
#define LOOK_AGAIN 3 /* times of files are coarse: a change is looked at again, whatever they say */
#define FILES	   3

static const char *const names[FILES] = {
	MT_IDENTITY_SOURCE_CHAIN, MT_IDENTITY_SOURCE_KEY, MT_IDENTITY_SOURCE_ROOTS};

/* What is read, and by what; the task's alone between submit and done. */
struct reading {
	struct mt_task task;
	struct mt_identity_source *src; /* control thread; NULL: it is gone */
	char *paths[FILES];
	struct mt_secret_stamp stamps[FILES]; /* of what was read last */
	unsigned int look_again;
	struct mt_credential *found; /* NULL: nothing new, or it cannot be used */
	struct mt_err why, note;
};

struct mt_identity_source {
	struct mt_service *service;
	struct reading *reading;
	bool under_way;
	uint64_t next_look, serial;
	struct mt_credential *current;
	struct mt_err why, note;
	mt_identity_changed_fn *fn;
	void *arg;
};

/* ---- on the service thread -------------------------------------------------------------------------- */

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

/* NUL bytes inside would hide what follows them from every PEM reader. */
static int read_text(const char *path, char **text, struct mt_err *e)
{
	size_t len;
	int rc = mt_file_read(path, MT_FILE_SMALL, 0, text, &len, e);

	if (rc == 0 && strlen(*text) != len)
		rc = mt_err(e, -EINVAL, "%s: it is no text", path);
	return rc;
}

/* A key is its owner's: who else reads it is told of, and it is used, as its owner wants. */
static void look_at_mode(struct reading *r)
{
	struct stat st;

	r->note.text[0] = '\0';
	if (stat(r->paths[1], &st) == 0 && (st.st_mode & 077))
		(void)mt_err(&r->note, 0,
			"%s: its mode is %04o, so others can use this key: chmod 600", r->paths[1],
			(unsigned int)st.st_mode & 07777);
}

static struct mt_credential *read_all(struct reading *r, char *texts[FILES])
{
	struct mt_err e;
	struct mt_credential *c;

	for (int i = 0; i < FILES; i++)
		if (read_text(r->paths[i], &texts[i], &r->why))
			return NULL;
	c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = texts[0], .key = texts[1], .roots = texts[2]},
		&e);
	if (!c) {
		(void)mt_err(&r->why, -EINVAL, "%s: %s", r->paths[0], e.text);
	} else if (c->not_after < (int64_t)time(NULL)) {
		/* One that has expired is no reason to give up another one, which may have not. */
		(void)mt_err(&r->why, -EINVAL, "%s: it has expired", r->paths[0]);
		mt_credential_drop(c);
		c = NULL;
	}
	return c;
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
	if (same(before, after))
		return 0;
	/* Files of two generations, perhaps: the next look sees that they have changed. */
	mt_credential_drop(r->found);
	r->found = NULL;
	return -EAGAIN;
}

/* ---- on the control thread --------------------------------------------------------------------------- */

static void reading_free(struct reading *r)
{
	for (int i = 0; r && i < FILES; i++)
		free(r->paths[i]);
	free(r);
}

static bool is_new(const struct mt_credential *a, const struct mt_credential *b)
{
	return !b || memcmp(a->chain_digest, b->chain_digest, sizeof(a->chain_digest)) != 0 ||
	       memcmp(a->trust_digest, b->trust_digest, sizeof(a->trust_digest)) != 0;
}

static void done(struct mt_task *t, int rc)
{
	struct reading *r = mt_container_of(t, struct reading, task);
	struct mt_identity_source *src = r->src;
	struct mt_credential *found = r->found;

	r->found = NULL;
	if (!src) {
		mt_credential_drop(found);
		reading_free(r);
		return;
	}
	src->under_way = false;
	/* Of what is between two generations nothing is told: soon there is one. */
	if (rc)
		return;
	src->why = r->why;
	src->note = r->note;
	if (!found || !is_new(found, src->current)) {
		mt_credential_drop(found);
		return;
	}
	mt_credential_drop(src->current);
	src->current = found;
	src->serial++;
	src->fn(src->arg);
}

static struct reading *reading_new(struct mt_identity_source *src, const char *dir)
{
	struct reading *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->task = (struct mt_task){.run = run, .done = done};
	r->src = src;
	r->look_again = 1; /* files that are not there look as files that were never read */
	for (int i = 0; i < FILES; i++)
		if (asprintf(&r->paths[i], "%s/%s", dir, names[i]) < 0) {
			r->paths[i] = NULL;
			reading_free(r);
			return NULL;
		}
	return r;
}

struct mt_identity_source *mt_identity_source_new(
	struct mt_service *s, const char *dir, mt_identity_changed_fn *fn, void *arg)
{
	struct mt_identity_source *src = calloc(1, sizeof(*src));

	if (!src)
		return NULL;
	*src = (struct mt_identity_source){.service = s, .fn = fn, .arg = arg};
	src->reading = reading_new(src, dir);
	if (src->reading)
		return src;
	free(src);
	return NULL;
}

void mt_identity_source_serve(struct mt_identity_source *src, struct mt_service *s)
{
	src->service = s;
}

void mt_identity_source_free(struct mt_identity_source *src)
{
	if (!src)
		return;
	/* What is under way is the task's own, and ends with it. */
	src->reading->src = NULL;
	if (!src->under_way)
		reading_free(src->reading);
	mt_credential_drop(src->current);
	free(src);
}

void mt_identity_source_turn(struct mt_identity_source *src, uint64_t now)
{
	if (src->under_way || now < src->next_look)
		return;
	src->next_look = now + LOOK_NS;
	src->under_way = true;
	/* Too many tasks: at the next look. */
	if (mt_service_submit(src->service, &src->reading->task))
		src->under_way = false;
}

struct mt_credential *mt_identity_source_hold(struct mt_identity_source *src)
{
	return src->current ? mt_credential_hold(src->current) : NULL;
}

uint64_t mt_identity_source_serial(const struct mt_identity_source *src)
{
	return src->serial;
}

const char *mt_identity_source_why(const struct mt_identity_source *src)
{
	return src->why.text;
}

const char *mt_identity_source_note(const struct mt_identity_source *src)
{
	return src->note.text;
}
