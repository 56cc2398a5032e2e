/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_secrets_priv.h"

#include "mt_cert.h"

#include <errno.h>
#include <string.h>

#define LOOK_NS MT_SEC /* between two checks of the files */

/* A version with its reference count. */
struct version {
	struct mt_secret public;
	uint32_t refs;
};

/* ---- versions -------------------------------------------------------------------------------- */

void mt_secret_drop(const struct mt_secret *secret)
{
	struct version *v = (struct version *)secret;

	if (!v || --v->refs)
		return;
	mt_wipe_free((char *)v->public.key);
	free((char *)v->public.chain);
	free((char *)v->public.roots);
	free(v);
}

/*
 * Creates a version. Chain and key are serialized again, so that the same content gives the same
 * text: one file may contain both, and comments. NULL with *e set.
 */
static struct mt_secret *version_new(
	const char *chain, const char *key, const char *roots, struct mt_err *e)
{
	struct version *v = calloc(1, sizeof(*v));

	mt_err(e, -ENOMEM, "no memory");
	if (!v)
		return NULL;
	v->refs = 1;
	if ((!chain || (v->public.chain = mt_cert_chain((char *const *)&chain, 1, e))) &&
		(!key || (v->public.key = mt_key_text(key, e))) &&
		(!roots || (v->public.roots = strdup(roots))))
		return &v->public;
	mt_secret_drop(&v->public);
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Checks that the texts can be used together, and reads the first certificate into *c. */
static int check(
	const char *chain, const char *key, const char *roots, struct mt_cert *c, struct mt_err *e)
{
	if (!chain != !key)
		return mt_err(e, -EINVAL, "a certificate and its key come together");
	if (!chain && !roots)
		return mt_err(e, -EINVAL, "there is neither a certificate nor a root");
	if (roots && !mt_cert_count(roots))
		return mt_err(e, -EINVAL, "the roots hold no PEM certificate");
	if (chain && mt_cert_fits(chain, key, e))
		return -EINVAL;
	return mt_cert_read(chain ? chain : roots, 0, c, e);
}

int mt_secrets_put(struct mt_secrets *s, struct mt_secret_name *n, const char *chain,
	const char *key, const char *roots, struct mt_err *e)
{
	struct mt_secret *old = n->current, *v = NULL;
	struct mt_cert c;
	int rc = check(chain, key, roots, &c, e);

	if (rc == 0)
		v = version_new(chain, key, roots, e);
	if (!v) {
		n->why = *e;
		return rc ? rc : -ENOMEM;
	}
	n->why.text[0] = '\0';
	if (old && same_text(old->chain, v->chain) && same_text(old->key, v->key) &&
		same_text(old->roots, v->roots)) {
		mt_secret_drop(v);
		return 0;
	}
	v->not_before = c.not_before;
	v->not_after = c.not_after;
	v->serial = ++s->serial;
	n->current = v;
	mt_secret_drop(old);
	return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static struct mt_secret_name *find(const struct mt_secrets *s, const char *name)
{
	struct mt_list *l;

	mt_list_foreach (l, &s->names) {
		struct mt_secret_name *n = mt_list_entry(l, struct mt_secret_name, node);

		if (strcmp(n->name, name) == 0)
			return n;
	}
	return NULL;
}

static void name_free(struct mt_secret_name *n)
{
	mt_secret_drop(n->current);
	free(n->chain_path);
	free(n->key_path);
	free(n->root_path);
	free(n->name);
	free(n);
}

/* Adds a name, and reads its files if it names files. NULL with *e set. */
static struct mt_secret_name *name_new(struct mt_secrets *s, const char *name, struct mt_err *e)
{
	struct mt_secret_name *n = calloc(1, sizeof(*n));

	if (n)
		n->name = strdup(name);
	if (!n || !n->name) {
		free(n);
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	if (mt_secret_file_name(n, e)) {
		name_free(n);
		return NULL;
	}
	mt_list_add_tail(&s->names, &n->node);
	if (n->chain_path || n->root_path)
		mt_secret_file_read(s, n, true);
	return n;
}

/* ---- interface ------------------------------------------------------------------------------- */

struct mt_secrets *mt_secrets_new(void)
{
	struct mt_secrets *s = calloc(1, sizeof(*s));

	if (s)
		mt_list_init(&s->names);
	return s;
}

void mt_secrets_free(struct mt_secrets *s)
{
	struct mt_list *l;

	if (!s)
		return;
	while ((l = mt_list_first(&s->names)) != NULL) {
		mt_list_del(l);
		name_free(mt_list_entry(l, struct mt_secret_name, node));
	}
	free(s);
}

int mt_secrets_set(struct mt_secrets *s, const char *name, const char *chain, const char *key,
	const char *roots, struct mt_err *e)
{
	struct mt_secret_name *n = find(s, name);

	if (!n)
		n = name_new(s, name, e);
	if (!n)
		return -EINVAL;
	if (n->chain_path || n->root_path)
		return mt_err(e, -EINVAL, "%.128s is the name of files", name);
	return mt_secrets_put(s, n, chain, key, roots, e);
}

const struct mt_secret *mt_secrets_hold(struct mt_secrets *s, const char *name, struct mt_err *e)
{
	struct mt_secret_name *n = find(s, name);

	if (!n && (strncmp(name, "file-", 5) == 0)) {
		n = name_new(s, name, e);
		if (!n)
			return NULL;
	}
	if (!n || !n->current) {
		mt_err(e, -ENOENT, "%s",
			n && n->why.text[0] ? n->why.text : "there is no secret of this name");
		return NULL;
	}
	((struct version *)n->current)->refs++;
	return n->current;
}

uint64_t mt_secrets_turn(struct mt_secrets *s, uint64_t now)
{
	struct mt_list *l;

	if (now < s->next_look)
		return s->serial;
	s->next_look = now + LOOK_NS;
	mt_list_foreach (l, &s->names) {
		struct mt_secret_name *n = mt_list_entry(l, struct mt_secret_name, node);

		if (n->chain_path || n->root_path)
			mt_secret_file_read(s, n, false);
	}
	return s->serial;
}

const char *mt_secrets_why(const struct mt_secrets *s, const char *name)
{
	const struct mt_secret_name *n = find(s, name);

	return n ? n->why.text : "";
}

void mt_secrets_each(const struct mt_secrets *s,
	void (*row)(void *arg, const struct mt_secret_status *status), void *arg)
{
	struct mt_list *l;

	mt_list_foreach (l, &s->names) {
		const struct mt_secret_name *n = mt_list_entry(l, struct mt_secret_name, node);
		struct mt_secret_status status = {.name = n->name,
			.secret = n->current,
			.why = n->why.text,
			.from_files = n->chain_path || n->root_path};

		row(arg, &status);
	}
}
