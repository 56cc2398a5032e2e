/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"
#include "mt_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * There is no line to name: the file as a whole is the trouble. It costs nobody else: it counts as an object of its own,
 * of which nobody else knows.
 */
int mt_load_error(struct mt_diags *diags, const char *path, const char *remedy, int err)
{
	const struct mt_meta about = {.origin = {path, 0}, .serial = mt_object_serial()};

	mt_diag_object(
		diags, MT_DIAG_ERROR, &about, 0, NULL, remedy, "cannot be read: %s", strerror(err));
	return -err;
}

/* There is no errno for what is there and cannot be read as a document. */
static int not_a_file(struct mt_diags *diags, const char *path, const struct stat *st)
{
	const struct mt_meta about = {.origin = {path, 0}, .serial = mt_object_serial()};
	bool dir = S_ISDIR(st->st_mode);

	mt_diag_object(diags, MT_DIAG_ERROR, &about, 0, NULL,
		dir ? "name a file in it; -d takes a directory" : "name a file",
		"cannot be read: it is %s and not a file",
		dir			? "a directory"
		: S_ISCHR(st->st_mode)	? "a device"
		: S_ISFIFO(st->st_mode) ? "a pipe"
					: "a socket or device");
	return dir ? -EISDIR : -EINVAL;
}

int mt_objects_model(struct mt_model *m, const struct mt_objects *l, struct mt_diags *diags)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct mt_object *o = l->v[i];
		int rc = mt_model_share(m, o->part);

		if (rc)
			return rc;
		if (!o->part->node)
			continue;
		if (m->node)
			mt_diag_object(diags, MT_DIAG_ERROR, &o->part->node->meta, o->origin.line,
				NULL, "keep one of them", "a second Node; the first is %s:%u",
				m->node->meta.origin.file, m->node->meta.origin.line);
		else
			m->node = o->part->node;
	}
	return 0;
}

int mt_source_text(
	struct mt_model *m, struct mt_diags *diags, const char *name, const char *text, size_t len)
{
	struct mt_objects objects = {0};
	uint32_t ignored;
	int rc = mt_text_read(&objects, diags, name, text, len, &ignored);

	if (rc == 0)
		rc = mt_objects_model(m, &objects, diags);
	mt_objects_fini(&objects);
	return rc;
}

/* A regular file whole, NUL-terminated, to be freed; NULL after an entry in `diags`. */
static char *read_whole(
	struct mt_diags *diags, const char *path, struct stat *st, size_t *len, int *rc)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *buf = NULL;
	ssize_t n = 0;

	*rc = 0;
	*len = 0;
	if (fd < 0 || fstat(fd, st)) {
		*rc = mt_load_error(diags, path, "check its name and permissions", errno);
	} else if (!S_ISREG(st->st_mode)) {
		*rc = not_a_file(diags, path, st);
	} else if (st->st_size > MT_SOURCE_FILE_MAX) {
		*rc = mt_load_error(diags, path, "split it: 16 MiB at most", EFBIG);
	} else if ((buf = malloc((size_t)st->st_size + 1)) == NULL) {
		*rc = -ENOMEM;
	} else {
		/* What is written to the file meanwhile is read after the watch tells. */
		while (*len < (size_t)st->st_size &&
			(n = read(fd, buf + *len, (size_t)st->st_size - *len)) > 0)
			*len += (size_t)n;
		if (n < 0)
			*rc = mt_load_error(diags, path, NULL, errno);
		buf[*len] = '\0';
	}
	if (fd >= 0)
		close(fd);
	if (*rc) {
		free(buf);
		return NULL;
	}
	return buf;
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len > n && strcmp(s + len - n, end) == 0;
}

/* JSON may be indented by tabs, which YAML refuses; its texts cannot hold any. */
static void blank_tabs(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\t')
			text[i] = ' ';
}

char *mt_file_text(struct mt_diags *diags, const char *path, struct stat *st, size_t *len, int *rc)
{
	char *text = read_whole(diags, path, st, len, rc);

	if (text && ends_with(path, ".json"))
		blank_tabs(text, *len);
	return text;
}

int mt_source_file(struct mt_model *m, struct mt_diags *diags, const char *path)
{
	struct stat st;
	size_t len;
	int rc;
	char *text = mt_file_text(diags, path, &st, &len, &rc);

	if (!text)
		return rc;
	rc = mt_source_text(m, diags, path, text, len);
	free(text);
	return rc;
}

bool mt_source_wants(const char *name)
{
	static const char *const wanted[] = {".yaml", ".yml", ".json"};

	/* Hidden files (.x.swp, .#x), emacs's #x# and every x~ and x.tmp fail one of these two. */
	if (name[0] == '.' || name[0] == '#')
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(wanted); i++)
		if (ends_with(name, wanted[i]))
			return true;
	return false;
}
