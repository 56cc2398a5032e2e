/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of certificates, keys, roots and revocation lists that documents name. This process can
 * read more than the author of a document may use: keys of other programs, and the node's own. A
 * document may therefore name only files below the directories that the Node lists for its
 * namespace (spec.tlsFiles), wherever symbolic links lead, and never a certificate or a key of the
 * node's own identity, or with which the node itself serves or connects.
 */
#include "mt_conf_credentials_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- directories of the Node ---------------------------------------------------------------- */

static bool is_for(const struct mt_node_tls_files *f, const char *ns)
{
	for (uint32_t i = 0; ns && i < f->n_namespaces; i++)
		if (strcmp(f->namespaces[i].s, ns) == 0)
			return true;
	return !f->n_namespaces;
}

/* The part of a path below a directory, both absolute; NULL: it is elsewhere. */
static const char *below(const char *path, const char *directory)
{
	size_t n;

	do {
		directory += strspn(directory, "/");
		path += strspn(path, "/");
		n = strcspn(directory, "/");
		if (n && (strcspn(path, "/") != n || strncmp(path, directory, n) != 0))
			return NULL;
		directory += n;
		path += n;
	} while (n);
	return *path ? path : NULL;
}

/* The part of a path below a directory that the Node lists for the namespace; NULL: it is not. */
static const char *below_listed(const struct mt_node_tls_files *f, const char *ns, const char *path)
{
	return is_for(f, ns) ? below(path, f->directory.s) : NULL;
}

uint64_t mt_b_tls_lists(const struct mt_build *b, const char *ns, const char *path, uint64_t hash)
{
	const struct mt_node *node = b->model->node;

	for (uint32_t i = 0; node && i < node->n_tls_files; i++)
		if (below_listed(&node->tls_files[i], ns, path))
			hash = mt_hash_text(node->tls_files[i].directory.s, hash);
	return hash;
}

static int open_below(const char *directory, const char *path)
{
	int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	if (at < 0)
		return -errno;
	/* Non-blocking, so that opening a FIFO of that name does not block. */
	fd = mt_file_open_beneath(at, path, O_RDONLY | O_NONBLOCK, true);
	close(at);
	return fd;
}

/* A descriptor, or -errno of the first directory that has the path; *listed: one has it. */
static int open_listed(struct mt_build *b, const char *ns, const char *path, bool *listed)
{
	const struct mt_node *node = b->model->node;
	int rc = -EPERM;

	*listed = false;
	for (uint32_t i = 0; node && i < node->n_tls_files; i++) {
		const struct mt_node_tls_files *f = &node->tls_files[i];
		const char *rest = below_listed(f, ns, path);
		int fd;

		if (!rest)
			continue;
		if (!*listed)
			mt_watched_note(b->conf, ns, path);
		fd = open_below(f->directory.s, rest);
		if (fd >= 0 || !*listed)
			rc = fd;
		*listed = true;
		if (fd >= 0)
			break;
	}
	return rc;
}

/* ---- the node's own certificates ---------------------------------------------------------------- */

struct mt_own_file {
	dev_t dev;
	ino_t ino;
	const char *of; /* the Node's section that names it; NULL: it is of the node's identity */
};

static void add_own(struct mt_build *b, const char *path, const char *of)
{
	struct mt_own_file *slot;
	struct stat st;

	if (stat(path, &st))
		return;
	slot = mt_region_push(
		&b->tmp, (void **)&b->own_files, &b->n_own_files, sizeof(*b->own_files));
	if (slot)
		*slot = (struct mt_own_file){st.st_dev, st.st_ino, of};
}

/* As lib/identity names them: of an agent's directory, and of one that `meltemi join` filled. */
static void add_own_directory(struct mt_build *b, const struct mt_text *directory)
{
	static const char *const names[] = {"cert-chain.pem", "key.pem", "identity.pem"};

	for (size_t i = 0; directory->s && i < MT_ARRAY_LEN(names); i++) {
		const char *path = mt_region_printf(&b->tmp, "%s/%s", directory->s, names[i]);

		if (path)
			add_own(b, path, NULL);
	}
}

static void add_own_pair(struct mt_build *b, const struct mt_text *certificate,
	const struct mt_text *key, const char *of)
{
	if (certificate->s)
		add_own(b, certificate->s, of);
	if (key->s)
		add_own(b, key->s, of);
}

static void add_own_sources(struct mt_build *b, const struct mt_node *node)
{
	for (uint32_t i = 0; i < node->n_sources; i++) {
		const struct mt_node_xds *x = node->sources[i].xds;

		if (!x)
			continue;
		add_own_directory(b, &x->identity);
		add_own_pair(b, &x->certificate, &x->key, "spec.sources[].xds");
	}
}

struct mt_own_path {
	struct mt_own_path *next;
	char path[];
};

int mt_conf_own_file(struct mt_conf *c, const char *path)
{
	struct mt_own_path *own = c->own_paths;
	size_t size = strlen(path) + 1;

	while (own && strcmp(own->path, path) != 0)
		own = own->next;
	if (own)
		return 0;
	own = malloc(sizeof(*own) + size);
	if (!own)
		return -ENOMEM;
	own->next = c->own_paths;
	memcpy(own->path, path, size);
	c->own_paths = own;
	return 0;
}

void mt_own_paths_fini(struct mt_conf *c)
{
	struct mt_own_path *next;

	for (struct mt_own_path *own = c->own_paths; own; own = next) {
		next = own->next;
		free(own);
	}
	c->own_paths = NULL;
}

/* Once in a build, because files may be replaced between two. */
static void find_own(struct mt_build *b)
{
	const struct mt_node *node = b->model->node;

	b->own_files_found = true;
	if (node->identity)
		add_own_directory(b, &node->identity->directory);
	for (uint32_t i = 0; i < node->n_identities; i++)
		add_own_directory(b, &node->identities[i].directory);
	add_own_sources(b, node);
	if (node->admin.tls)
		add_own_pair(
			b, &node->admin.tls->certificate, &node->admin.tls->key, "spec.admin.tls");
	if (node->otlp)
		add_own_pair(b, &node->otlp->certificate, &node->otlp->key, "spec.otlp");
	for (const struct mt_own_path *own = b->conf->own_paths; own; own = own->next)
		add_own(b, own->path, "spec.sources[].xds.bootstrap");
}

/* *of as in struct mt_own_file. */
static bool is_own_file(struct mt_build *b, int fd, const char **of)
{
	struct stat st;

	*of = NULL;
	if (!b->own_files_found)
		find_own(b);
	if (fstat(fd, &st))
		return true;
	for (uint32_t i = 0; i < b->n_own_files; i++) {
		if (b->own_files[i].dev != st.st_dev || b->own_files[i].ino != st.st_ino)
			continue;
		*of = b->own_files[i].of;
		return true;
	}
	return false;
}

static bool has_key_of(const struct mt_credential *own, const struct mt_credential *c)
{
	bool same = own && own->chain && c->key &&
		    X509_check_private_key(sk_X509_value(own->chain, 0), c->key) == 1;

	ERR_clear_error();
	return same;
}

bool mt_b_is_own_key(const struct mt_build *b, const struct mt_credential *c)
{
	if (has_key_of(b->conf->identity, c))
		return true;
	for (uint32_t i = 0; i < b->conf->n_held; i++)
		if (has_key_of(b->conf->held[i].credential, c))
			return true;
	return false;
}

int mt_b_refuse_own(struct mt_refusal *r, const char *path, struct mt_err *e)
{
	*r = (struct mt_refusal){true,
		"write mode: ISTIO_MUTUAL; the Node's spec.mesh.nodeIdentityUse lists the callers"};
	return mt_err(e, -EPERM, "%s: it is of the node's own identity, which documents cannot use",
		path);
}

static int refuse_nodes(struct mt_refusal *r, const char *path, const char *of, struct mt_err *e)
{
	*r = (struct mt_refusal){true, "write a certificate and a key of the documents' own"};
	return mt_err(
		e, -EPERM, "%s: it is of the Node's %s, which documents cannot use", path, of);
}

/* ---- both ----------------------------------------------------------------------------------- */

int mt_b_tls_file_open(
	struct mt_build *b, const struct mt_tls_file *f, struct mt_refusal *r, struct mt_err *e)
{
	const char *of;
	bool listed;
	int fd;

	*r = (struct mt_refusal){false, NULL};
	if (*f->path != '/')
		return mt_err(e, -EINVAL, "%s: a file is written with its whole path", f->path);
	fd = open_listed(b, f->ns, f->path, &listed);
	if (!listed) {
		*r = (struct mt_refusal){true,
			"list its directory in the Node's spec.tlsFiles, or write a Secret and "
			"credentialName"};
		return mt_err(e, -EPERM,
			"%s: it is in no directory that the Node's spec.tlsFiles lists for "
			"namespace %s",
			f->path, f->ns ? f->ns : "\"\"");
	}
	if (fd == -EXDEV) {
		r->remedy = "name the link's target, below a directory of the Node's "
			    "spec.tlsFiles, or make the link a relative one";
		return mt_err(e, fd,
			"%s: a symbolic link leads out of the directory of the Node's "
			"spec.tlsFiles",
			f->path);
	}
	if (fd == -ENOSYS)
		return mt_err(e, fd,
			"%s: this kernel cannot confine it to its directory (openat2() of Linux "
			"5.6)",
			f->path);
	if (fd < 0)
		return mt_file_not_opened(f->path, f->kind, -fd, e);
	if (f->own_is_refused && is_own_file(b, fd, &of)) {
		close(fd);
		return of ? refuse_nodes(r, f->path, of, e) : mt_b_refuse_own(r, f->path, e);
	}
	return fd;
}
