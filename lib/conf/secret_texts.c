/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names of secrets lead to, as PEM texts: resources of discovery services; and of documents alone Secrets and files, as a peer
 * that could name a file would choose what this process reads.
 */
#include "mt_conf_credentials_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

#define OF_SECRET  "kubernetes://"
#define OF_CHAIN   "file-cert:"
#define OF_ROOTS   "file-root:"
#define ONLY_ROOTS "-cacert"

#define BLANKS " \t\r\n"

static void wipe(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

void mt_secret_texts_fini(struct mt_secret_texts *t)
{
	wipe(t->chain);
	wipe(t->key);
	wipe(t->roots);
	wipe(t->crl);
	*t = (struct mt_secret_texts){NULL};
}

static const char *behind(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

static int put(char **to, const char *text, struct mt_err *e)
{
	wipe(*to);
	*to = text ? strdup(text) : NULL;
	return *to || !text ? 0 : mt_err(e, -ENOMEM, "no memory");
}

/* ---- files ------------------------------------------------------------------------------------------ */

static int read_all(int fd, char **out, const char *path, struct mt_err *e)
{
	char *text = malloc(TEXT_MAX + 1);
	size_t n = 0;
	ssize_t got = 0;

	if (!text)
		return mt_err(e, -ENOMEM, "no memory");
	while (n <= TEXT_MAX && (got = read(fd, text + n, TEXT_MAX + 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0) {
		got = errno;
		OPENSSL_cleanse(text, n);
		free(text);
		return mt_err(e, -EIO, "%s: %s", path, strerror((int)got));
	}
	if (n == 0 || n > TEXT_MAX || memchr(text, '\0', n)) {
		OPENSSL_cleanse(text, n);
		free(text);
		return mt_err(e, -EINVAL, "%s: no PEM text", path);
	}
	text[n] = '\0';
	wipe(*out);
	*out = text;
	return 0;
}

/* Reads an open descriptor, and closes it. */
static int read_open(int fd, const char *path, char **out, struct mt_err *e)
{
	struct stat st;
	int rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
			 ? read_all(fd, out, path, e)
			 : mt_err(e, -EINVAL, "%s: no file", path);

	close(fd);
	return rc;
}

/* Reads a file that a document names as part `t->part`. */
static int read_file(struct mt_build *b, const struct mt_res_tls *tls, const char *path, char **out,
	struct mt_secret_texts *t, struct mt_err *e)
{
	const struct mt_tls_file f = {.path = path,
		.ns = tls->ns,
		.kind = t->part == MT_SECRET_KEY ? MT_FILE_SECRET : MT_FILE_SHARED,
		.own_is_refused = t->part == MT_SECRET_CHAIN || t->part == MT_SECRET_KEY};
	int fd = mt_b_tls_file_open(b, &f, &t->refusal, e);

	return fd < 0 ? fd : read_open(fd, path, out, e);
}

/* "CHAIN~KEY" */
static int read_pair(struct mt_build *b, const struct mt_res_tls *tls, const char *files,
	struct mt_secret_texts *out, struct mt_err *e)
{
	const char *key = strchr(files, '~');
	char chain[1024];
	int rc;

	if (!key || (size_t)(key - files) >= sizeof(chain))
		return mt_err(e, -EINVAL, "%s: a certificate and its key come together", files);
	snprintf(chain, sizeof(chain), "%.*s", (int)(key - files), files);
	out->part = MT_SECRET_CHAIN;
	rc = read_file(b, tls, chain, &out->chain, out, e);
	if (rc)
		return rc;
	out->part = MT_SECRET_KEY;
	return read_file(b, tls, key + 1, &out->key, out, e);
}

/* This machine's own list. */
static int read_system(char **out, struct mt_err *e)
{
	static const char *const paths[] = {"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

	for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd >= 0 && read_open(fd, paths[i], out, e) == 0)
			return 0;
	}
	return mt_err(e, -ENOENT, "this machine has no list of roots (%s): write caCertificates",
		paths[0]);
}

/* "ROOTS", "ROOTS~CRL" */
static int read_roots(struct mt_build *b, const struct mt_res_tls *tls, const char *files,
	struct mt_secret_texts *out, struct mt_err *e)
{
	size_t n = strcspn(files, "~");
	char roots[1024];
	int rc;

	if (n >= sizeof(roots))
		return mt_err(e, -EINVAL, "%.64s...: too long", files);
	snprintf(roots, sizeof(roots), "%.*s", (int)n, files);
	out->part = MT_SECRET_TRUST;
	rc = strcmp(roots, "system") == 0 ? read_system(&out->roots, e)
					  : read_file(b, tls, roots, &out->roots, out, e);
	if (rc || !files[n])
		return rc;
	out->part = MT_SECRET_CRL;
	return read_file(b, tls, files + n + 1, &out->crl, out, e);
}

const char *mt_b_secret_file(
	struct mt_build *b, const struct mt_res_tls *tls, enum mt_secret_part part)
{
	bool pair = part == MT_SECRET_CHAIN || part == MT_SECRET_KEY;
	const char *name = pair ? tls->certificate : tls->trust;
	const char *files =
		name && part && tls->documents ? behind(name, pair ? OF_CHAIN : OF_ROOTS) : NULL;
	size_t first = files ? strcspn(files, "~") : 0;

	/* Documents do not name the file of the machine's own list. */
	if (!files || (part == MT_SECRET_TRUST && strncmp(files, "system", first) == 0))
		return NULL;
	if (part == MT_SECRET_CHAIN || part == MT_SECRET_TRUST)
		return mt_region_strndup(&b->tmp, files, first);
	return files[first] ? files + first + 1 : NULL;
}

/* ---- Secrets ---------------------------------------------------------------------------------------- */

/* Base64 may be written in lines. */
static char *decode(const char *text)
{
	size_t n = strlen(text), len = 0;
	char *clean = malloc(n + 1), *out = malloc(n + 4);
	int got = -1, pads = 0;

	for (size_t i = 0; clean && i < n; i++)
		if (!strchr(BLANKS, text[i]))
			clean[len++] = text[i];
	while (clean && pads < 2 && pads < (int)len && clean[len - 1 - (size_t)pads] == '=')
		pads++;
	if (clean && out && len && len % 4 == 0 && len < TEXT_MAX * 2)
		got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)clean, (int)len);
	if (clean)
		OPENSSL_cleanse(clean, len);
	free(clean);
	if (got <= pads || memchr(out, '\0', (size_t)(got - pads))) {
		free(out);
		return NULL;
	}
	out[got - pads] = '\0';
	return out;
}

/* Gets the first of these keys that has a value, which is not empty; *out NULL: none has. */
static int value_of(
	const struct mt_kube_secret *s, const char *const keys[2], char **out, struct mt_err *e)
{
	for (int i = 0; i < 2; i++) {
		const char *clear = mt_labels_get(&s->clear, keys[i]),
			   *coded = mt_labels_get(&s->data, keys[i]);

		if (clear && *clear)
			return put(out, clear, e);
		/* An API server replaces a key of `data` by that of `stringData`, even if empty. */
		if (clear || !coded || !coded[strspn(coded, BLANKS)])
			continue;
		wipe(*out);
		*out = decode(coded);
		return *out ? 0
			    : mt_err(e, -EINVAL, "Secret %s/%s: %s is not base64", s->meta.ns,
				      s->meta.name, keys[i]);
	}
	return 0;
}

/* "NAMESPACE/NAME", of which the last `cut` bytes do not count. Whoever is found is of use. */
static const struct mt_kube_secret *secret_of(struct mt_build *b, const char *name, size_t cut)
{
	const struct mt_objs *all = &b->model->secrets;
	const char *slash = strchr(name, '/');
	size_t ns = slash ? (size_t)(slash - name) : 0, len = slash ? strlen(slash + 1) - cut : 0;

	for (uint32_t i = 0; slash && i < all->n; i++) {
		const struct mt_kube_secret *s = all->v[i];

		if (strlen(s->meta.ns) == ns && strncmp(s->meta.ns, name, ns) == 0 &&
			strlen(s->meta.name) == len && strncmp(s->meta.name, slash + 1, len) == 0) {
			mt_b_secret_is_used(b, s);
			return s;
		}
	}
	return NULL;
}

static int pair_of_secret(
	struct mt_build *b, const char *name, struct mt_secret_texts *out, struct mt_err *e)
{
	static const char *const chains[2] = {"tls.crt", "cert"}, *const keys[2] = {
									  "tls.key", "key"};
	const struct mt_kube_secret *s = secret_of(b, name, 0);
	int rc;

	if (!s)
		return mt_err(
			e, -ENOENT, "Secret %s is not among the documents, or was refused", name);
	rc = value_of(s, chains, &out->chain, e);
	if (rc == 0)
		rc = value_of(s, keys, &out->key, e);
	if (rc == 0 && (!out->chain || !out->key))
		rc = mt_err(e, -EINVAL,
			"Secret %s has no certificate with a key (tls.crt, tls.key)", name);
	if (rc)
		mt_b_secret_is_bad(b, s, e->text);
	return rc;
}

/* A Secret of roots alone comes before those that stand beside the certificate. */
static int roots_of_secret(
	struct mt_build *b, const char *name, struct mt_secret_texts *out, struct mt_err *e)
{
	static const char *const roots[2] = {"ca.crt", "cacert"}, *const crls[2] = {
									  "ca.crl", "crl"};
	const struct mt_kube_secret *s = secret_of(b, name, 0);
	size_t n = strlen(name), cut = strlen(ONLY_ROOTS);
	int rc;

	if (!s && n > cut && strcmp(name + n - cut, ONLY_ROOTS) == 0)
		s = secret_of(b, name, cut);
	if (!s)
		return mt_err(
			e, -ENOENT, "Secret %s is not among the documents, or was refused", name);
	rc = value_of(s, roots, &out->roots, e);
	if (rc == 0)
		rc = value_of(s, crls, &out->crl, e);
	if (rc)
		mt_b_secret_is_bad(b, s, e->text);
	if (rc == 0 && !out->roots)
		rc = mt_err(
			e, -EINVAL, "Secret %s/%s has no roots (ca.crt)", s->meta.ns, s->meta.name);
	return rc;
}

/* ---- whose fault it is ------------------------------------------------------------------------------- */

static void blame(struct mt_build *b, const char *name, bool roots, const char *why)
{
	const char *of = name ? behind(name, OF_SECRET) : NULL;
	size_t n = of ? strlen(of) : 0, cut = strlen(ONLY_ROOTS);
	const struct mt_kube_secret *s = of ? secret_of(b, of, 0) : NULL;

	if (!s && roots && n > cut && strcmp(of + n - cut, ONLY_ROOTS) == 0)
		s = secret_of(b, of, cut);
	if (s)
		mt_b_secret_is_bad(b, s, why);
}

void mt_b_secret_blame(struct mt_build *b, const struct mt_res_tls *tls,
	const struct mt_secret_texts *t, const char *why)
{
	const struct mt_credential_texts pair = {.chain = t->chain, .key = t->key};
	struct mt_credential *c;
	struct mt_err e;

	if (!tls->documents)
		return;
	c = mt_credential_new(&pair, &e);
	if (!c)
		blame(b, tls->certificate, false, e.text);
	else if (why)
		blame(b, tls->trust, true, why);
	mt_credential_drop(c);
}

/* ---- resources --------------------------------------------------------------------------------------- */

static const struct mt_res_secret *resource_of(
	const struct mt_build *b, const char *name, struct mt_err *e)
{
	const struct mt_objs *all = &b->model->res_secrets;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_res_secret *s = all->v[i];

		if (strcmp(s->meta.name, name) == 0)
			return s;
	}
	mt_err(e, -ENOENT, "the secret \"%.128s\" is not here", name);
	return NULL;
}

int mt_b_secret_certificate(struct mt_build *b, const struct mt_res_tls *tls, const char *name,
	struct mt_secret_texts *out, struct mt_err *e)
{
	const struct mt_res_secret *s;
	const char *of;
	int rc;

	if (tls->documents && (of = behind(name, OF_CHAIN)) != NULL)
		return read_pair(b, tls, of, out, e);
	if (tls->documents && (of = behind(name, OF_SECRET)) != NULL)
		return pair_of_secret(b, of, out, e);
	s = resource_of(b, name, e);
	if (!s)
		return -ENOENT;
	if (!s->chain || !s->key)
		return mt_err(e, -EINVAL, "the secret \"%.128s\" holds no certificate", name);
	rc = put(&out->chain, s->chain, e);
	return rc ? rc : put(&out->key, s->key, e);
}

int mt_b_secret_roots(struct mt_build *b, const struct mt_res_tls *tls, const char *name,
	struct mt_secret_texts *out, struct mt_err *e)
{
	const struct mt_res_secret *s;
	const char *of;
	int rc;

	if (tls->documents && (of = behind(name, OF_ROOTS)) != NULL)
		return read_roots(b, tls, of, out, e);
	if (tls->documents && (of = behind(name, OF_SECRET)) != NULL)
		return roots_of_secret(b, of, out, e);
	s = resource_of(b, name, e);
	if (!s)
		return -ENOENT;
	if (!s->roots)
		return mt_err(e, -EINVAL, "the secret \"%.128s\" holds no roots", name);
	rc = put(&out->roots, s->roots, e);
	return rc ? rc : put(&out->crl, s->crl, e);
}
