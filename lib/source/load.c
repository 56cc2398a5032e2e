/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one file or text, in UTF-8 or UTF-16, into objects or a model. */
#include "mt_fields.h"
#include "mt_file.h"
#include "mt_files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The error is about the file as a whole, so it has no line. It gets a serial that no object has,
 * so that it does not cause any object to be rejected.
 */
int mt_load_error(struct mt_diags *diags, const char *path, const char *remedy, int err)
{
	const struct mt_meta about = {.origin = {path, 0}, .serial = mt_object_serial()};
	char command[512];

	if (err == EXDEV)
		remedy = "make it a link to something below that directory, or add what it leads "
			 "to to the Node's spec.sources";
	else if (mt_file_remedy(path, MT_FILE_SHARED, err, command, sizeof(command))[0])
		remedy = command;
	mt_diag_object(diags, MT_DIAG_ERROR, &about, 0, NULL, remedy, "cannot be read: %s",
		err == EXDEV ? "it is a symbolic link that leads out of its source's directory"
			     : strerror(err));
	return -err;
}

/* Reports a path that exists but is not a regular file; no errno describes that. */
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
	int rc = mt_text_read(
		&objects, diags, &mt_source_anywhere, name, text, len, &ignored, NULL, NULL);

	if (rc == 0)
		rc = mt_objects_model(m, &objects, diags);
	mt_objects_fini(&objects);
	return rc;
}

static bool same_times(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*
 * Reads a whole regular file, NUL-terminated; the caller frees it. NULL with -errno in *rc, which
 * `diags` reports unless it is -ENOMEM; -EDQUOT (of the source); or -ENOENT below a root.
 */
static char *read_whole(struct mt_diags *diags, const struct mt_root *root, const char *path,
	struct stat *st, size_t *len, int *rc)
{
	int fd = mt_root_openat(root, path, O_RDONLY | O_NONBLOCK);
	struct stat before;
	char *buf = NULL;
	ssize_t n = 0;

	*rc = 0;
	*len = 0;
	if (fd == -EDQUOT || (fd == -ENOENT && root)) {
		*rc = fd;
	} else if (fd < 0 || fstat(fd, st)) {
		*rc = mt_load_error(
			diags, path, "check its name and permissions", fd < 0 ? -fd : errno);
	} else if (!S_ISREG(st->st_mode)) {
		*rc = not_a_file(diags, path, st);
	} else if (st->st_size > MT_SOURCE_FILE_MAX) {
		*rc = mt_load_error(diags, path, "split it: 16 MiB at most", EFBIG);
	} else if ((buf = malloc((size_t)st->st_size + 1)) == NULL) {
		*rc = -ENOMEM;
	} else {
		/* Data that is appended meanwhile is read after the watch reports the change. */
		while (*len < (size_t)st->st_size &&
			(n = read(fd, buf + *len, (size_t)st->st_size - *len)) > 0)
			*len += (size_t)n;
		before = *st;
		if (n < 0)
			*rc = mt_load_error(diags, path, NULL, errno);
		else if (*len < (size_t)st->st_size || fstat(fd, st) || !same_times(st, &before))
			*rc = MT_FILE_TORN;
		buf[*len] = '\0';
	}
	if (fd >= 0)
		close(fd);
	if (*rc < 0) {
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

/* JSON may be indented by tabs, which YAML rejects. JSON strings cannot contain raw tabs. */
static void blank_tabs(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\t')
			text[i] = ' ';
}

/* ---- encodings ------------------------------------------------------------------------------- */

/*
 * Index (0 or 1) of the low byte in each UTF-16 unit; -1: not UTF-16. Recognizes UTF-16 by its byte
 * order mark, or by zeros as every other byte of the first two characters (YAML 1.2 §5.2).
 */
static int utf16_low_byte(const unsigned char *p, size_t len)
{
	if (len < 2 || len % 2)
		return -1;
	if (p[0] == 0xff && p[1] == 0xfe)
		return len >= 4 && !p[2] && !p[3] ? -1 : 0;
	if (p[0] == 0xfe && p[1] == 0xff)
		return 1;
	if (len >= 4 && p[0] && !p[1] && p[2] && !p[3])
		return 0;
	return len >= 4 && !p[0] && p[1] && !p[2] && p[3] ? 1 : -1;
}

static size_t put_utf8(unsigned char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (unsigned char)(0xc0 | c >> 6);
		to[1] = (unsigned char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (unsigned char)(0xe0 | c >> 12);
		to[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (unsigned char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (unsigned char)(0xf0 | c >> 18);
	to[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (unsigned char)(0x80 | (c & 0x3f));
	return 4;
}

/*
 * Converts UTF-16 to UTF-8. Takes ownership of `text`; NULL: no memory. Half a surrogate pair
 * becomes invalid UTF-8, which the parser reports.
 */
static char *from_utf16(char *text, size_t *len, int low)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + *len;
	unsigned char *out = malloc(*len / 2 * 3 + 1);
	size_t n = 0;

	for (; out && p < end; p += 2) {
		uint32_t c = p[low] | (uint32_t)p[!low] << 8, d = 0;

		if (c >= 0xd800 && c < 0xdc00 && end - p >= 4)
			d = p[2 + low] | (uint32_t)p[2 + !low] << 8;
		if (d >= 0xdc00 && d < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (d - 0xdc00);
			p += 2;
		}
		n += put_utf8(out + n, c);
	}
	if (out)
		out[n] = '\0';
	free(text);
	*len = n;
	return (char *)out;
}

/*
 * Removes byte order marks, which some editors put at the start of a text. In joined texts they may
 * also be at the start of a line.
 */
static size_t without_marks(char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		bool first = n == 0 || text[n - 1] == '\n' || text[n - 1] == '\r';

		if (first && len - i >= 3 && memcmp(text + i, mark, 3) == 0)
			i += 2;
		else
			text[n++] = text[i];
	}
	text[n] = '\0';
	return n;
}

char *mt_file_text(struct mt_diags *diags, const struct mt_root *root, const char *path,
	struct stat *st, size_t *len, int *rc)
{
	char *text = read_whole(diags, root, path, st, len, rc);
	int low = text ? utf16_low_byte((const unsigned char *)text, *len) : -1;

	if (low >= 0) {
		text = from_utf16(text, len, low);
		*rc = text ? *rc : -ENOMEM;
	}
	if (text && memmem(text, *len, "\xef\xbb\xbf", 3))
		*len = without_marks(text, *len);
	if (text && ends_with(path, ".json"))
		blank_tabs(text, *len);
	return text;
}

int mt_source_file(struct mt_model *m, struct mt_diags *diags, const char *path)
{
	struct stat st;
	size_t len;
	int rc;
	char *text = mt_file_text(diags, NULL, path, &st, &len, &rc);

	if (!text)
		return rc;
	rc = mt_source_text(m, diags, path, text, len);
	free(text);
	return rc;
}

static const char *const endings[] = {".yaml", ".yml", ".json"};

bool mt_source_wants(const char *name)
{
	/* This and the suffix exclude .x.swp and .#x (hidden), #x# (Emacs), x~ and x.tmp. */
	if (name[0] == '.' || name[0] == '#')
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(endings); i++)
		if (ends_with(name, endings[i]))
			return true;
	return false;
}

/* True if the ending marks a file that is out of use, or not complete. */
static bool is_aside(const char *name)
{
	static const char *const asides[] = {"~", ".bak", ".backup", ".orig", ".old", ".new",
		".save", ".swp", ".swo", ".tmp", ".part", ".rej", ".lock", ".disabled", ".off",
		".rpmsave", ".rpmnew", ".rpmorig", ".example", ".sample", ".template", ".tmpl",
		".tpl", ".j2", ".in", ".gotmpl", ".gz", ".enc", ".asc", ".sig"};
	const char *last = strrchr(name, '.');

	for (size_t i = 0; i < MT_ARRAY_LEN(asides); i++)
		if (ends_with(name, asides[i]))
			return true;
	/* ".dpkg-dist" and others of its kind; ".~1~" ends as above. */
	return last && strncmp(last, ".dpkg-", 6) == 0;
}

/* True for the letters of `ending` in another order after its first one: ".ymal". */
static bool is_mixed_up(const char *text, const char *ending)
{
	size_t len = strlen(ending);
	int letters[UCHAR_MAX + 1] = {0};

	if (strlen(text) != len || strncasecmp(text, ending, 2) != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		letters[tolower((unsigned char)text[i])]++;
		letters[(unsigned char)ending[i]]--;
	}
	for (size_t i = 0; i < len; i++)
		if (letters[(unsigned char)ending[i]])
			return false;
	return true;
}

bool mt_source_is_misnamed(const char *name)
{
	const char *last = strrchr(name, '.');

	if (name[0] == '.' || name[0] == '#' || mt_source_wants(name) || is_aside(name))
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(endings); i++) {
		size_t len = strlen(endings[i]);

		if (last && last > name && is_mixed_up(last, endings[i]))
			return true;
		/* Other letters make another kind of file: ".jsonnet". */
		for (const char *at = name; (at = strcasestr(at, endings[i])) != NULL; at += len)
			if (at > name && (!at[len] || at[len] == '.' || at[len] == ' '))
				return true;
	}
	return false;
}
