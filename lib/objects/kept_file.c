/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/objects.jsonl: one JSON object a line, the later one of an identity counts, and one without "document" takes it
 * away. It grows by what changes and is written anew when most of it is stale. A last line that was cut off is left out.
 */
#include "mt_objects_priv.h"

#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Written anew when it has more than twice as many lines as there are objects, and more than this. */
#define STALE_MIN 1000

/* ---- read ------------------------------------------------------------------------------------------ */

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
	one->text = copy_of(j, "document");
	one->file = copy_of(j, "file");
	one->line = (uint32_t)json_integer_value(json_object_get(j, "line"));
	one->wall = json_integer_value(json_object_get(j, "time"));
	one->hash = strtoull(text_of(j, "hash"), NULL, 16);
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

/* ---- written --------------------------------------------------------------------------------------- */

static char *line_of(const struct mt_kept_one *one, bool gone)
{
	char *text = NULL, *line = NULL, hash[24];
	json_t *j;

	snprintf(hash, sizeof(hash), "%016" PRIx64, one->hash);
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
	if (j)
		line = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	free(text);
	return line;
}

static int put_line(FILE *f, const struct mt_kept_one *one, bool gone)
{
	char *line = line_of(one, gone);

	/* What is no UTF-8 is not kept: its object has no version of before, and nothing else is lost. */
	if (!line)
		return 0;
	fprintf(f, "%s\n", line);
	free(line);
	return 1;
}

static int append(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n)
{
	int fd = open(k->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "a") : NULL;
	bool failed;

	if (!f) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return rc;
	}
	/* A line that a full disk cut off must not swallow the next one. */
	if (k->lines)
		fputc('\n', f);
	for (uint32_t i = 0; i < n; i++)
		k->lines += (uint32_t)put_line(f, changed[i].one, changed[i].gone);
	failed = ferror(f) != 0;
	return fclose(f) || failed ? -(errno ? errno : EIO) : 0;
}

static bool is_gone(const struct mt_kept_one *one, const struct mt_kept_change *changed, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (changed[i].one == one)
			return changed[i].gone;
	return false;
}

static char *all_lines(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n,
	uint32_t *lines, size_t *size)
{
	struct mt_kept_one *one;
	uint32_t pos = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, size);

	*lines = 0;
	if (!f)
		return NULL;
	while ((one = mt_strmap_next(&k->all, &pos, NULL)) != NULL)
		if (!is_gone(one, changed, n))
			*lines += (uint32_t)put_line(f, one, false);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

int mt_kept_write(struct mt_kept *k, const struct mt_kept_change *changed, uint32_t n)
{
	struct mt_err e = {""};
	uint32_t lines;
	size_t size;
	char *text;
	int rc;

	if (k->lines + n <= STALE_MIN || k->lines + n <= 2 * k->all.n)
		return append(k, changed, n);
	text = all_lines(k, changed, n, &lines, &size);
	if (!text)
		return -ENOMEM;
	rc = mt_file_replace(k->path, text, size, 0600, &e);
	free(text);
	if (rc == 0)
		k->lines = lines;
	return rc;
}
