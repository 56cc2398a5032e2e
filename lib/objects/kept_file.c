/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/objects.jsonl: one JSON object in each line. A later line replaces an earlier one of the
 * same identity; a line without "document" removes the object. "namespaces" are those that its
 * source is limited to, "" for all; earlier versions have not stored them. Changes are appended,
 * and the file is replaced when most of it is stale. A truncated last line is ignored.
 */
#include "mt_objects_priv.h"

#include "mt_file.h"
#include "mt_log.h"
#include "mt_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Replace the file if it has more lines than this, and more than twice as many as objects. */
#define STALE_MIN 1000

/* ---- read ------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s ? s : "";
}

static char *copy_of(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s ? strdup(s) : NULL;
}

static void take(struct mt_kept *k, const json_t *j)
{
	const char *key = text_of(j, "object");
	struct mt_kept_one *one;

	if (!*key)
		return;
	one = mt_kept_put(k, key);
	if (!one)
		return;
	free(one->text);
	free(one->file);
	free(one->only);
	one->known = json_is_string(json_object_get(j, "namespaces"));
	one->only = *text_of(j, "namespaces") ? copy_of(j, "namespaces") : NULL;
	one->text = copy_of(j, "document");
	one->file = copy_of(j, "file");
	one->line = (uint32_t)json_integer_value(json_object_get(j, "line"));
	one->wall = json_integer_value(json_object_get(j, "time"));
	/* The hash of an earlier version becomes 0, so that the next update writes the object. */
	(void)mt_content_hash_parse(text_of(j, "hash"), &one->hash);
	if (!one->text || !one->file)
		mt_kept_drop(k, one);
}

int mt_kept_read(struct mt_kept *k)
{
	FILE *f = fopen(k->path, "re");
	uint32_t bad = 0;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while ((len = getline(&line, &cap, f)) > 0) {
		json_t *j;

		/* Each append starts with an empty line. */
		if (len == 1)
			continue;
		j = json_loadb(line, (size_t)len, 0, NULL);
		k->lines++;
		bad += j == NULL;
		if (j)
			take(k, j);
		json_decref(j);
	}
	free(line);
	fclose(f);
	if (bad)
		mt_log(MT_LOG_WARN, "config", "%s: %u lines cannot be read and are left out",
			k->path, bad);
	return 0;
}

/* ---- written --------------------------------------------------------------------------------- */

static char *line_of(const struct mt_kept_one *one, bool gone)
{
	char *text = NULL, *line = NULL, hash[MT_CONTENT_HASH_TEXT];
	json_t *j;

	mt_content_hash_str(&one->hash, hash);
	if (gone) {
		j = json_pack("{s:s}", "object", one->key);
	} else {
		text = one->good ? mt_document_text(one->good->root)
				 : (one->text ? strdup(one->text) : NULL);
		j = text ? json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "object", one->key, "file",
				   one->file, "line", (json_int_t)one->line, "time",
				   (json_int_t)one->wall, "hash", hash, "document", text)
			 : NULL;
	}
	if (j && !gone && one->known &&
		json_object_set_new(j, "namespaces", json_string(one->only ? one->only : ""))) {
		json_decref(j);
		j = NULL;
	}
	if (j)
		line = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	free(text);
	return line;
}

static int put_line(FILE *f, const struct mt_kept_one *one, bool gone)
{
	char *line = line_of(one, gone);

	/*
	 * Skip objects that are not valid UTF-8, or that are too long. Such objects have no last
	 * good version after a restart.
	 */
	if (!line)
		return 0;
	fprintf(f, "%s\n", line);
	free(line);
	return 1;
}

/* A write in the queue of the service thread. */
struct kept_task {
	struct mt_task task;
	struct mt_kept *k;
	char *path, *text;
	size_t len;
	bool anew;
};

static int append(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;

	if (fd < 0)
		return -errno;
	while (len && rc == 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			rc = n ? -errno : -EIO;
		text += MT_MAX(n, 0);
		len -= (size_t)MT_MAX(n, 0);
	}
	if (rc == 0 && fsync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

static int put_text(struct mt_task *task)
{
	struct kept_task *t = mt_container_of(task, struct kept_task, task);
	struct mt_err e;

	if (!t->anew)
		return append(t->path, t->text, t->len);
	return mt_file_replace(t->path, t->text, t->len, 0600, &e);
}

static void was_put(struct mt_task *task, int rc)
{
	struct kept_task *t = mt_container_of(task, struct kept_task, task);

	if (rc && !t->k->spoilt)
		mt_log(MT_LOG_ERROR, "config",
			"%s cannot be written: %s; after a restart an older version of what "
			"changed "
			"would go on where its document is wrong",
			t->path, strerror(-rc));
	if (rc == 0 && t->k->spoilt && t->anew)
		mt_log(MT_LOG_INFO, "config", "%s is written again", t->path);
	t->k->spoilt = rc != 0 || (t->k->spoilt && !t->anew);
	free(t->path);
	free(t->text);
	free(t);
}

/* Queues the write and takes ownership of the text. Returns 0 or -ENOMEM. */
static int hand_over(struct mt_kept *k, char *text, size_t len, bool anew)
{
	struct kept_task *t = calloc(1, sizeof(*t));

	if (t)
		*t = (struct kept_task){
			.task = {.run = put_text, .done = was_put, .state_bytes = MT_MAX(len, 1)},
			.k = k,
			.path = strdup(k->path),
			.text = text,
			.len = len,
			.anew = anew};
	if (!t || !t->path) {
		free(t);
		free(text);
		k->spoilt = true;
		return -ENOMEM;
	}
	if (mt_service_submit(k->service, &t->task))
		was_put(&t->task, -EAGAIN);
	return 0;
}

void mt_kept_serve(struct mt_kept *k, struct mt_service *s)
{
	k->service = s;
}

static char *changed_lines(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n,
	uint32_t *lines, size_t *size)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, size);

	*lines = 0;
	if (!f)
		return NULL;
	/* Start on a new line, because a full disk may have truncated the last one. */
	fputc('\n', f);
	for (uint32_t i = 0; i < n; i++)
		*lines += (uint32_t)put_line(f, changed[i].one, changed[i].gone);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* Adds the objects that the changes remove, by address. False: no memory. */
static bool find_gone(struct mt_idmap *gone, const struct mt_kept_change *changed, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (changed[i].gone &&
			mt_idmap_put(gone, (uintptr_t)changed[i].one, (void *)changed[i].one))
			return false;
	return true;
}

static char *lines_without(
	struct mt_kept *k, const struct mt_idmap *gone, uint32_t *lines, size_t *size)
{
	struct mt_kept_one *one;
	uint32_t pos = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, size);

	*lines = 0;
	if (!f)
		return NULL;
	while ((one = mt_strmap_next(&k->all, &pos, NULL)) != NULL)
		if (!mt_idmap_get(gone, (uintptr_t)one))
			*lines += (uint32_t)put_line(f, one, false);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static char *all_lines(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n,
	uint32_t *lines, size_t *size)
{
	struct mt_idmap gone = {0};
	char *text = find_gone(&gone, changed, n) ? lines_without(k, &gone, lines, size) : NULL;

	mt_idmap_fini(&gone);
	return text;
}

int mt_kept_write(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n)
{
	bool anew = k->spoilt || (k->lines + n > STALE_MIN && k->lines + n > 2 * k->all.n);
	uint32_t lines;
	size_t size;
	char *text = anew ? all_lines(k, changed, n, &lines, &size)
			  : changed_lines(k, changed, n, &lines, &size);

	if (!text)
		return -ENOMEM;
	k->lines = anew ? lines : k->lines + lines;
	return hand_over(k, text, size, anew);
}
