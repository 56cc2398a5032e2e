/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool put(struct archive *a, const char *name, const char *text)
{
	struct archive_entry *e = archive_entry_new();
	size_t len = strlen(text);
	char path[192];
	bool ok;

	if (!e)
		return false;
	snprintf(path, sizeof(path), "meltemi-support/%s", name);
	archive_entry_set_pathname(e, path);
	archive_entry_set_size(e, (la_int64_t)len);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_mtime(e, time(NULL), 0);
	ok = archive_write_header(a, e) == ARCHIVE_OK &&
	     archive_write_data(a, text, len) == (la_ssize_t)len;
	archive_entry_free(e);
	return ok;
}

static bool put_all(struct archive *a, const struct support *s, const char *manifest)
{
	if (!put(a, "MANIFEST", manifest))
		return false;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->items[i].text && !put(a, s->items[i].name, s->items[i].text))
			return false;
	return archive_write_close(a) == ARCHIVE_OK;
}

static bool write_to(int fd, const struct support *s, const char *manifest, char why[256])
{
	struct archive *a = archive_write_new();
	bool ok = a && archive_write_add_filter_gzip(a) == ARCHIVE_OK &&
		  archive_write_set_format_pax_restricted(a) == ARCHIVE_OK &&
		  archive_write_open_fd(a, fd) == ARCHIVE_OK && put_all(a, s, manifest);

	if (!ok)
		snprintf(why, 256, "%s",
			a && archive_error_string(a) ? archive_error_string(a) : "no memory");
	archive_write_free(a);
	return ok;
}

bool support_pack(const struct support *s, const char *path, const char *manifest, char why[256])
{
	char scratch[4096];
	bool ok;
	int fd;

	if ((size_t)snprintf(scratch, sizeof(scratch), "%s.part", path) >= sizeof(scratch)) {
		snprintf(why, 256, "the name is too long");
		return false;
	}
	/*
	 * The archive is as private as its contents. O_NOFOLLOW and O_EXCL keep another user's link
	 * from redirecting it.
	 */
	fd = open(scratch, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		snprintf(why, 256, "%.180s: %s", scratch, strerror(errno));
		return false;
	}
	ok = write_to(fd, s, manifest, why);
	if (close(fd) != 0 && ok) {
		snprintf(why, 256, "%s", strerror(errno));
		ok = false;
	}
	if (ok && rename(scratch, path) != 0) {
		snprintf(why, 256, "%s", strerror(errno));
		ok = false;
	}
	if (!ok)
		unlink(scratch);
	return ok;
}
