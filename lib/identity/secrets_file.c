/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_secrets_priv.h"

#include "mt_cert.h"
#include "mt_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define CERT_PREFIX "file-cert:"
#define ROOT_PREFIX "file-root:"
/*
 * File times are coarse: after a change the files are read so many times more, even with equal
 * times.
 */
#define LOOK_AGAIN 3

int mt_secret_file_name(struct mt_secret_name *n, struct mt_err *e)
{
	const char *paths = n->name + strlen(CERT_PREFIX), *tilde;

	if (strncmp(n->name, ROOT_PREFIX, strlen(ROOT_PREFIX)) == 0) {
		n->root_path = strdup(n->name + strlen(ROOT_PREFIX));
		return n->root_path ? 0 : mt_err(e, -ENOMEM, "no memory");
	}
	if (strncmp(n->name, CERT_PREFIX, strlen(CERT_PREFIX)) != 0)
		return 0;
	tilde = strchr(paths, '~');
	if (!tilde || tilde == paths || !tilde[1])
		return mt_err(e, -EINVAL, "%.128s is not like " CERT_PREFIX "CHAIN~KEY", n->name);
	n->chain_path = strndup(paths, (size_t)(tilde - paths));
	n->key_path = strdup(tilde + 1);
	return n->chain_path && n->key_path ? 0 : mt_err(e, -ENOMEM, "no memory");
}

/* ---- detection of changes -------------------------------------------------------------------- */

struct mt_secret_stamp mt_secret_stamp(const char *path)
{
	struct mt_secret_stamp s = {0};
	struct stat st;

	if (!path || stat(path, &st))
		return s;
	s.dev = st.st_dev;
	s.ino = st.st_ino;
	s.size = st.st_size;
	s.mtime = st.st_mtim;
	s.ctime = st.st_ctim;
	return s;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool mt_secret_stamp_same(const struct mt_secret_stamp *a, const struct mt_secret_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

static bool changed(struct mt_secret_name *n)
{
	struct mt_secret_stamp now[2] = {
		mt_secret_stamp(n->chain_path ? n->chain_path : n->root_path),
		mt_secret_stamp(n->key_path)};

	if (!mt_secret_stamp_same(&now[0], &n->stamps[0]) ||
		!mt_secret_stamp_same(&now[1], &n->stamps[1])) {
		n->stamps[0] = now[0];
		n->stamps[1] = now[1];
		n->look_again = LOOK_AGAIN;
		return true;
	}
	/*
	 * Read rejected files again even if they have not changed: the cause may be outside of
	 * them.
	 */
	return (n->look_again && n->look_again--) || n->why.text[0];
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads a file. A NUL byte is an error, because a PEM reader would ignore what follows it. */
static int read_text(const char *path, enum mt_file_kind kind, char **text, struct mt_err *e)
{
	size_t len;
	int rc;

	*text = NULL;
	if (!path)
		return 0;
	rc = kind == MT_FILE_SECRET ? mt_file_read_secret(path, text, &len, e)
				    : mt_file_read(path, MT_FILE_SMALL, 0, text, &len, e);
	if (rc == 0 && strlen(*text) != len)
		rc = mt_err(e, -EINVAL, "%s: it is not text", path);
	return rc;
}

void mt_secret_file_read(struct mt_secrets *s, struct mt_secret_name *n, bool first)
{
	char *chain = NULL, *key = NULL, *roots = NULL;
	struct mt_err e, why;

	if (!changed(n) && !first)
		return;
	if (read_text(n->chain_path, MT_FILE_SHARED, &chain, &e) ||
		read_text(n->key_path, MT_FILE_SECRET, &key, &e) ||
		read_text(n->root_path, MT_FILE_SHARED, &roots, &e))
		n->why = e;
	else if (mt_secrets_put(s, n, chain, key, roots, &why))
		/*
		 * Normal for a short time: between the writes of a new chain and key they do not
		 * match.
		 */
		mt_err(&n->why, 0, "%s: %s", n->chain_path ? n->chain_path : n->root_path,
			why.text);
	mt_wipe_free(chain);
	mt_wipe_free(key);
	mt_wipe_free(roots);
}
