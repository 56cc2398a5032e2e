/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of certificates, keys, roots and revocation lists that documents name, as they were
 * when a build last read them. One that no build has named since the published one is forgotten. If
 * the list is full, a namespace with fewer files takes places of the one with the most, so that an
 * author of documents cannot keep others' files out.
 */
#include "mt_conf_certificates.h"
#include "mt_conf_credentials_priv.h"
#include "mt_log.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The files of one namespace. */
struct share {
	uint32_t n;
	char ns[];
};

struct file {
	uint64_t stamp;
	uint64_t turn; /* the last build that named it */
	struct share *of;
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

/* Writes an absolute path without repeated slashes and `.`; false: it is too long. */
static bool one_spelling(const char *path, char to[PATH_MAX])
{
	size_t n, len = 0;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		n = strcspn(path, "/");
		if (n != 1 || *path != '.') {
			if (len + n + 2 > PATH_MAX)
				return false;
			to[len++] = '/';
			memcpy(to + len, path, n);
			len += n;
		}
		path += n;
	}
	to[len] = '\0';
	return true;
}

/* ---- shares of namespaces -------------------------------------------------------------------- */

static struct share *share_of(struct mt_conf_credentials *all, const char *ns)
{
	struct share *s = mt_strmap_get(&all->shares, ns);

	if (s)
		return s;
	s = calloc(1, sizeof(*s) + strlen(ns) + 1);
	if (!s)
		return NULL;
	strcpy(s->ns, ns);
	if (mt_strmap_put(&all->shares, s->ns, s, NULL) == 0)
		return s;
	free(s);
	return NULL;
}

static void drop(struct mt_conf_credentials *all, struct file *f)
{
	f->of->n--;
	mt_strmap_del(&all->files, f->path);
	free(f);
}

static struct share *largest(const struct mt_conf_credentials *all)
{
	struct share *most = NULL, *s;
	uint32_t pos = 0;

	while ((s = mt_strmap_next(&all->shares, &pos, NULL)) != NULL)
		if (!most || s->n > most->n)
			most = s;
	return most;
}

/* Drops a file of the namespace with the most; false if that has no more than `s` would have. */
static bool make_place(struct mt_conf_credentials *all, const struct share *s)
{
	const struct share *most;
	uint32_t pos = 0;
	struct file *f;

	/* Documents may name 100,000 files, so search only if that may find a place. */
	if (all->files_most && all->files_most <= s->n + 1)
		return false;
	most = largest(all);
	all->files_most = most ? most->n : 0;
	if (!most || most->n <= s->n + 1)
		return false;
	while ((f = mt_strmap_next(&all->files, &pos, NULL)) != NULL)
		if (f->of == most) {
			drop(all, f);
			return true;
		}
	return false;
}

static bool has_place(struct mt_conf_credentials *all, const struct share *s)
{
	if (all->files.n < MT_CONF_FILES_WATCHED)
		return true;
	if (!all->files_full)
		mt_log(MT_LOG_WARN, "conf",
			"documents name more than %u files of certificates and keys: those of the "
			"namespaces with the most are not all watched; after a change of the rest "
			"`meltemi reload` is needed",
			MT_CONF_FILES_WATCHED);
	all->files_full = true;
	return make_place(all, s);
}

/* ---- the list -------------------------------------------------------------------------------- */

static struct file *add(struct mt_conf_credentials *all, struct share *s, const char *path)
{
	struct file *f;

	if (!has_place(all, s))
		return NULL;
	f = calloc(1, sizeof(*f) + strlen(path) + 1);
	if (!f)
		return NULL;
	strcpy(f->path, path);
	if (mt_strmap_put(&all->files, f->path, f, NULL)) {
		free(f);
		return NULL;
	}
	f->of = s;
	s->n++;
	return f;
}

void mt_watched_note(struct mt_conf *c, const char *ns, const char *path)
{
	struct mt_conf_credentials *all = &c->credentials;
	struct share *s = share_of(all, ns ? ns : "");
	char name[PATH_MAX];
	struct file *f;

	if (!s || !one_spelling(path, name))
		return;
	f = mt_strmap_get(&all->files, name);
	if (!f)
		f = add(all, s, name);
	if (!f)
		return;
	/* It counts for the namespace with fewer files, which keeps its places. */
	if (f->of->n > s->n + 1) {
		f->of->n--;
		f->of = s;
		s->n++;
	}
	f->turn = all->turn;
	f->stamp = stamp_of(name);
}

void mt_watched_forget(struct mt_conf *c, uint64_t turn)
{
	struct mt_conf_credentials *all = &c->credentials;
	uint32_t pos = 0;
	struct share *s;
	struct file *f;

	while ((f = mt_strmap_next(&all->files, &pos, NULL)) != NULL)
		if (f->turn < turn)
			drop(all, f);
	pos = 0;
	while ((s = mt_strmap_next(&all->shares, &pos, NULL)) != NULL)
		if (!s->n) {
			mt_strmap_del(&all->shares, s->ns);
			free(s);
		}
	all->files_full &= all->files.n == MT_CONF_FILES_WATCHED;
	all->files_most = 0;
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
	return changed;
}

void mt_watched_fini(struct mt_conf *c)
{
	mt_watched_forget(c, UINT64_MAX);
	mt_strmap_fini(&c->credentials.files);
	mt_strmap_fini(&c->credentials.shares);
}
