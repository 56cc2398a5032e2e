/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of certificates, keys, roots and revocation lists that documents name, as they were
 * when a build last read them. One that nothing names any more stays in the list until the list is
 * full and the file is gone.
 */
#include "mt_conf_certificates.h"
#include "mt_conf_credentials_priv.h"
#include "mt_log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct file {
	uint64_t stamp;
	char path[];
};

/* Inode, size and time of the last change; 0 for what is not there. */
static uint64_t stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return 0;
	return mt_hash_u64((uint64_t)st.st_ino,
		mt_hash_u64((uint64_t)st.st_size, mt_hash_u64((uint64_t)st.st_ctim.tv_sec * MT_SEC +
								      (uint64_t)st.st_ctim.tv_nsec,
							  1)));
}

static bool has_place(struct mt_conf *c)
{
	struct mt_conf_credentials *all = &c->credentials;

	if (all->files.n < MT_CONF_FILES_WATCHED)
		return true;
	if (!all->files_full)
		mt_log(MT_LOG_WARN, "conf",
			"%u files of certificates and keys are watched; after a change of others "
			"`meltemi reload` is needed",
			MT_CONF_FILES_WATCHED);
	all->files_full = true;
	return false;
}

void mt_watched_note(struct mt_conf *c, const char *path)
{
	struct file *f = mt_strmap_get(&c->credentials.files, path);

	if (!f && has_place(c)) {
		f = malloc(sizeof(*f) + strlen(path) + 1);
		if (!f)
			return;
		strcpy(f->path, path);
		if (mt_strmap_put(&c->credentials.files, f->path, f, NULL)) {
			free(f);
			return;
		}
	}
	if (f)
		f->stamp = stamp_of(path);
}

/* Makes place: forgets files that do not exist any more, for example with a date in their name. */
static void forget_gone(struct mt_strmap *files)
{
	struct file **gone = calloc(files->n, sizeof(*gone)), *f;
	uint32_t pos = 0, n = 0;

	if (!gone)
		return;
	while ((f = mt_strmap_next(files, &pos, NULL)) != NULL)
		if (f->stamp == 0)
			gone[n++] = f;
	for (uint32_t i = 0; i < n; i++) {
		mt_strmap_del(files, gone[i]->path);
		free(gone[i]);
	}
	free(gone);
}

bool mt_conf_files_changed(struct mt_conf *c)
{
	struct mt_strmap *files = &c->credentials.files;
	const char *path;
	bool changed = false;
	uint32_t pos = 0;
	struct file *f;

	while ((f = mt_strmap_next(files, &pos, &path)) != NULL) {
		uint64_t stamp = stamp_of(path);

		changed |= stamp != f->stamp;
		f->stamp = stamp;
	}
	if (files->n == MT_CONF_FILES_WATCHED)
		forget_gone(files);
	return changed;
}

void mt_watched_fini(struct mt_conf *c)
{
	uint32_t pos = 0;
	struct file *f;

	while ((f = mt_strmap_next(&c->credentials.files, &pos, NULL)) != NULL)
		free(f);
	mt_strmap_fini(&c->credentials.files);
}
