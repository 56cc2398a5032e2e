/* SPDX-License-Identifier: Apache-2.0 */
#include "nic_rights.h"

#include "daemon_path.h"

#include "mt_base.h"
#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *option, *directory, *name;
} kinds[NIC_RIGHTS] = {{"--unit", "/etc/systemd/system/meltemid.service.d", "rights.conf"},
	{"--udev", "/etc/udev/rules.d", "70-meltemi.rules"}};

static bool fail(const char *path, const char *words)
{
	fprintf(stderr, "meltemi: %s: %s\n", path, words);
	return false;
}

/* The same for an error of lib/base, which names the path. */
static bool fail_of(const struct mt_err *e)
{
	fprintf(stderr, "meltemi: %s\n", e->text);
	return false;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* The next line that is neither empty nor a comment, and its length; NULL: there is none. */
static const char *next_setting(const char **at, size_t *len)
{
	while (**at) {
		const char *line = *at;

		*len = strcspn(line, "\n");
		*at = line + *len + (line[*len] == '\n');
		if (*len && *line != '#')
			return line;
	}
	return NULL;
}

static bool same_settings(const char *a, const char *b)
{
	for (;;) {
		size_t a_len, b_len;
		const char *x = next_setting(&a, &a_len), *y = next_setting(&b, &b_len);

		if (!x || !y)
			return !x && !y;
		if (a_len != b_len || memcmp(x, y, a_len) != 0)
			return false;
	}
}

/* False for a text of comments and section names. */
static bool has_settings(const char *text)
{
	const char *line;
	size_t len;

	while ((line = next_setting(&text, &len)) != NULL)
		if (*line != '[')
			return true;
	return false;
}

/* Returns the text with `to` for each `from`, and frees it. NULL: no memory. */
static char *renamed(char *text, const char *from, const char *to)
{
	const char *at = text, *found;
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	for (; f && (found = strstr(at, from)); at = found + strlen(from))
		fprintf(f, "%.*s%s", (int)(found - at), at, to);
	if (f)
		fputs(at, f);
	if (f && fclose(f)) {
		free(out);
		out = NULL;
	}
	free(text);
	return out;
}

/* ---- read ------------------------------------------------------------------------------------ */

/*
 * Runs meltemid --rights. *text, which the caller frees, is the file's contents, or, if the result
 * is false, what meltemid reports.
 */
static bool query(const char *option, const char *document, char **text)
{
	const char *argv[] = {"meltemid", "--rights", option, "-c", document, NULL};

	*text = NULL;
	return daemon_run(NULL, argv, text) == 0 && *text && **text == '#';
}

/* Fills f->now. False, after a message, if the file has binary contents or cannot be read. */
static bool read_now(struct nic_rights_file *f)
{
	struct mt_err e;
	size_t len = 0;

	if (lstat(f->path, &f->st) && (errno == ENOENT || errno == ENOTDIR))
		return true;
	if (mt_file_read(f->path, MT_FILE_SMALL, O_NOFOLLOW, &f->now, &len, &e))
		return fail_of(&e);
	return strlen(f->now) == len || fail(f->path, "it is not a text");
}

/* True if meltemid printed the present file for the present document. */
static bool is_of_daemon(const struct nic_rights_file *f, const char *option, const char *document)
{
	char *text;
	bool same = query(option, document, &text) && same_settings(text, f->now);

	free(text);
	return same;
}

static bool read_file(
	struct nic_rights_file *f, const char *option, const char *document, const char *changed)
{
	bool known = query(option, changed, &f->wanted);

	f->wanted = f->wanted ? renamed(f->wanted, changed, document) : NULL;
	if (!known) {
		fputs(f->wanted ? f->wanted : "", stderr);
		return fail(document, "not changed, because `meltemid --rights` does not know the "
				      "rights of its ports");
	}
	if (!f->wanted)
		return fail(document, "no memory");
	if (!read_now(f))
		return false;
	f->changes = f->now ? !same_settings(f->now, f->wanted) : has_settings(f->wanted);
	if (!f->changes || !f->now || is_of_daemon(f, option, document))
		return true;
	fprintf(stderr,
		"meltemi: %s: not changed, because it differs from `meltemid --rights %s -c %s`: "
		"write that into it, and settings of your own into another file\n",
		f->path, option, document);
	return false;
}

bool nic_rights_read(
	struct nic_rights *r, const char *root, const char *document, const char *changed)
{
	for (int i = 0; i < NIC_RIGHTS; i++) {
		struct nic_rights_file *f = &r->files[i];

		if ((size_t)snprintf(f->directory, sizeof(f->directory), "%s%s", root,
			    kinds[i].directory) >= sizeof(f->directory) ||
			(size_t)snprintf(f->path, sizeof(f->path), "%s%s/%s", root,
				kinds[i].directory, kinds[i].name) >= sizeof(f->path))
			return fail(root, strerror(ENAMETOOLONG));
		if (!read_file(f, kinds[i].option, document, changed))
			return false;
	}
	return true;
}

/* ---- write ----------------------------------------------------------------------------------- */

/* Writes a text with owner and mode of the present file, as meltemid's if there is none. */
static bool put(struct nic_rights_file *f, const char *text)
{
	struct mt_err e;
	int rc;

	if (f->now)
		rc = mt_file_replace_like(f->path, text, strlen(text), &f->st, &e);
	else
		rc = mt_file_replace(f->path, text, strlen(text), 0644, &e);
	return rc == 0 || fail_of(&e);
}

static bool make_directory(struct nic_rights_file *f)
{
	struct mt_err e;

	if (access(f->directory, F_OK) == 0)
		return true;
	f->made = mt_file_directory(f->directory, 0755, &e) == 0;
	return f->made || fail_of(&e);
}

bool nic_rights_put(struct nic_rights *r)
{
	for (int i = 0; i < NIC_RIGHTS; i++) {
		struct nic_rights_file *f = &r->files[i];

		if (!f->changes)
			continue;
		f->written = make_directory(f) && put(f, f->wanted);
		if (!f->written) {
			nic_rights_undo(r);
			return false;
		}
	}
	return true;
}

void nic_rights_undo(struct nic_rights *r)
{
	for (int i = 0; i < NIC_RIGHTS; i++) {
		struct nic_rights_file *f = &r->files[i];

		if (f->written && f->now)
			(void)put(f, f->now);
		else if (f->written && unlink(f->path))
			(void)fail(f->path, strerror(errno));
		if (f->made)
			(void)rmdir(f->directory);
		f->written = f->made = false;
	}
}

void nic_rights_free(struct nic_rights *r)
{
	for (int i = 0; i < NIC_RIGHTS; i++) {
		free(r->files[i].now);
		free(r->files[i].wanted);
	}
	memset(r, 0, sizeof(*r));
}
