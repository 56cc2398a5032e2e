/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS is spoken with: the node's own identity, or what secrets hold, each made once. */
#include "mt_conf_certificates.h"
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"

#include <errno.h>
#include <string.h>

static bool is(const char *name, const char *word)
{
	return name && strcmp(name, word) == 0;
}

static void drop(struct mt_conf_credential *x)
{
	mt_tls_context_drop(x->like);
	mt_credential_drop(x->credential);
	x->like = NULL;
	x->credential = NULL;
}

static void take(struct mt_conf_credential *x, struct mt_credential *credential, uint64_t stamp)
{
	drop(x);
	x->credential = credential;
	x->stamp = credential ? stamp : 0;
}

/* ---- the node's own -------------------------------------------------------------------------------- */

static void look_at_own(struct mt_build *b, struct mt_conf_credential *x)
{
	struct mt_credential *own = b->conf->identity;
	uint64_t stamp = mt_hash_u64(b->conf->identity_serial, 1) | 1;

	if (!own)
		mt_err(&x->why, -ENOENT,
			"the node has no identity: write spec.identity, of files that can be used");
	if (own && x->credential == own && x->stamp == stamp)
		return;
	take(x, own ? mt_credential_hold(own) : NULL, stamp);
}

/* ---- secrets --------------------------------------------------------------------------------------- */

static uint64_t stamp_of(const struct mt_secret_texts *t)
{
	uint64_t h = mt_hash_text(t->key, mt_hash_text(t->chain, 1));

	return mt_hash_text(t->crl, mt_hash_text(t->roots, h)) | 1;
}

static int read_texts(struct mt_build *b, const struct mt_res_tls *tls, struct mt_secret_texts *t,
	struct mt_err *e)
{
	int rc = 0;

	if (is(tls->certificate, MT_SECRET_OWN) || is(tls->trust, MT_SECRET_ROOTS))
		return mt_err(e, -EINVAL,
			"the node's identity and other secrets do not go together: either has a "
			"certificate and roots");
	if (tls->certificate)
		rc = mt_b_secret_certificate(b, tls, tls->certificate, t, e);
	if (rc == 0 && tls->trust)
		rc = mt_b_secret_roots(b, tls, tls->trust, t, e);
	/* Without roots it is of no use, but that it is no certificate is told as well. */
	if (rc && t->chain)
		mt_b_secret_blame(b, tls, t, NULL);
	return rc;
}

static bool is_file(const char *name)
{
	return name && strncmp(name, "file-", 5) == 0;
}

/* Changes with the directories of the Node's spec.tlsFiles that let the document name its files. */
static uint64_t lists_of(struct mt_build *b, const struct mt_res_tls *tls)
{
	uint64_t hash = 1;

	for (int part = MT_SECRET_CHAIN; part <= MT_SECRET_CRL; part++) {
		const char *file = mt_b_secret_file(b, tls, (enum mt_secret_part)part);

		if (file)
			hash = mt_b_tls_lists(b, tls->ns, file, mt_hash_u64((uint64_t)part, hash));
	}
	return hash;
}

/*
 * The names lead to nothing usable now: the last good one goes on. Not if its Secret is gone, or if
 * the Node lists other directories for its files than when they were read, because nothing shows
 * that these permit them.
 */
static void hold(struct mt_build *b, struct mt_conf_credential *x, const struct mt_res_tls *tls,
	bool found, const char *before)
{
	if (!x->credential || x->lists != lists_of(b, tls) ||
		(!found && !is_file(tls->certificate) && !is_file(tls->trust))) {
		take(x, NULL, 0);
		return;
	}
	if (strcmp(before, x->why.text) != 0)
		mt_log(MT_LOG_WARN, "config", "the last good certificate and roots stay in use: %s",
			x->why.text);
}

/* The part that cannot be used for a credential. */
static enum mt_secret_part bad_part(const struct mt_secret_texts *t, const char *why)
{
	const struct mt_credential_texts pair = {.chain = t->chain, .key = t->key};
	struct mt_credential *c;
	struct mt_err e;

	c = t->chain ? mt_credential_new(&pair, &e) : NULL;
	mt_credential_drop(c);
	if (t->chain && !c)
		return strstr(e.text, "chain") ? MT_SECRET_CHAIN : MT_SECRET_KEY;
	return strstr(why, "CRL") ? MT_SECRET_CRL : MT_SECRET_TRUST;
}

/* NULL with the reason in `x`, which names the file that it is of. */
static struct mt_credential *new_of(struct mt_build *b, const struct mt_res_tls *tls,
	struct mt_conf_credential *x, const struct mt_secret_texts *t)
{
	const struct mt_credential_texts of = {
		.chain = t->chain, .key = t->key, .roots = t->roots, .crl = t->crl};
	struct mt_credential *c = mt_credential_new(&of, &x->why);
	const char *file;
	struct mt_err e;

	if (c)
		return c;
	mt_b_secret_blame(b, tls, t, x->why.text);
	x->part = bad_part(t, x->why.text);
	file = mt_b_secret_file(b, tls, x->part);
	if (file) {
		e = x->why;
		mt_err(&x->why, -EINVAL, "%s: %s", file, e.text);
	}
	return NULL;
}

/* Drops a copy of the node's own certificate and key in other files. */
static void refuse_own(
	struct mt_build *b, const struct mt_res_tls *tls, struct mt_conf_credential *x)
{
	const char *file = mt_b_secret_file(b, tls, MT_SECRET_KEY);
	struct mt_refusal r;

	if (!file || !x->credential || !mt_b_is_own_key(b, x->credential))
		return;
	(void)mt_b_refuse_own(&r, file, &x->why);
	x->part = MT_SECRET_KEY;
	x->remedy = r.remedy;
	take(x, NULL, 0);
}

static void look_at_secrets(
	struct mt_build *b, const struct mt_res_tls *tls, struct mt_conf_credential *x)
{
	const struct mt_err before = x->why;
	struct mt_credential *credential;
	struct mt_secret_texts t = {NULL};

	x->why.text[0] = '\0';
	x->part = MT_SECRET_NONE;
	x->remedy = NULL;
	if (read_texts(b, tls, &t, &x->why)) {
		x->part = t.part;
		x->remedy = t.refusal.remedy;
		if (t.refusal.refused)
			take(x, NULL, 0);
		else
			hold(b, x, tls, false, before.text);
	} else if (!x->credential || x->stamp != stamp_of(&t)) {
		credential = new_of(b, tls, x, &t);
		if (credential)
			take(x, credential, stamp_of(&t));
		else
			hold(b, x, tls, true, before.text);
	}
	if (!*x->why.text)
		x->lists = lists_of(b, tls);
	refuse_own(b, tls, x);
	mt_secret_texts_fini(&t);
}

/* ---- found or made --------------------------------------------------------------------------------- */

static struct mt_conf_credential *new_credential(struct mt_conf *c, const char *key)
{
	struct mt_conf_credential *x = calloc(1, sizeof(*x) + strlen(key) + 1);

	if (!x)
		return NULL;
	memcpy(x->key, key, strlen(key) + 1);
	if (mt_strmap_put(&c->credentials.all, x->key, x, NULL) == 0)
		return x;
	free(x);
	return NULL;
}

/* Most clusters of a mesh name the node's own. */
static struct mt_conf_credential *find_own(struct mt_conf *c)
{
	static const char key[] = MT_SECRET_OWN;

	if (!c->credentials.own)
		c->credentials.own = mt_strmap_get(&c->credentials.all, key);
	if (!c->credentials.own)
		c->credentials.own = new_credential(c, key);
	if (c->credentials.own)
		c->credentials.own->own = true;
	return c->credentials.own;
}

static struct mt_conf_credential *find(struct mt_build *b, const struct mt_res_tls *tls)
{
	struct mt_conf_credential *x;
	char *key;

	if (is(tls->certificate, MT_SECRET_OWN) && (!tls->trust || is(tls->trust, MT_SECRET_ROOTS)))
		return find_own(b->conf);
	/* The Node decides by namespace which files documents may name. */
	key = mt_region_printf(&b->tmp, "%d\n%s\n%s\n%s", tls->documents,
		tls->certificate ? tls->certificate : "", tls->trust ? tls->trust : "",
		tls->ns && (is_file(tls->certificate) || is_file(tls->trust)) ? tls->ns : "");
	x = key ? mt_strmap_get(&b->conf->credentials.all, key) : NULL;
	return x || !key ? x : new_credential(b->conf, key);
}

struct mt_conf_credential *mt_b_credential(struct mt_build *b, const struct mt_res_tls *tls)
{
	struct mt_conf_credential *x = find(b, tls);

	if (!x) {
		b->tmp.failed = true;
		return NULL;
	}
	if (x->turn == b->conf->credentials.turn)
		return x;
	x->turn = b->conf->credentials.turn;
	if (x->own)
		look_at_own(b, x);
	else
		look_at_secrets(b, tls, x);
	return x;
}

/* Finds the certificate's name in a key of find(): of files only the path of the chain. */
static bool certificate_of(const char *key, struct mt_conf_certificate *out)
{
	static const char prefix[] = "file-cert:";
	const char *name = strncmp(key, "1\n", 2) == 0 ? key + 2 : "";
	bool file = strncmp(name, prefix, strlen(prefix)) == 0;

	out->name = file ? name + strlen(prefix) : name;
	out->len = strcspn(out->name, file ? "~\n" : "\n");
	return out->len > 0;
}

bool mt_conf_certificate_next(
	const struct mt_conf *c, uint32_t *pos, struct mt_conf_certificate *out)
{
	const struct mt_conf_credential *x;

	while ((x = mt_strmap_next(&c->credentials.all, pos, NULL)) != NULL) {
		if (x->own || !x->credential || !x->credential->not_after ||
			!certificate_of(x->key, out))
			continue;
		out->not_before = x->credential->not_before;
		out->not_after = x->credential->not_after;
		return true;
	}
	return false;
}

/*
 * Finds the name of the lists in a key of find(): the path of their file, or the Secret of the
 * roots. Without `-cacert`: the key has this ending also if the roots are in the Secret without it.
 */
static bool lists_in(const char *key, struct mt_conf_certificate *out)
{
	static const char prefix[] = "file-root:", ending[] = "-cacert";
	const size_t cut = strlen(ending);
	const char *line = strncmp(key, "1\n", 2) == 0 ? strchr(key + 2, '\n') : NULL;

	if (!line)
		return false;
	line++;
	if (strncmp(line, prefix, strlen(prefix)) == 0) {
		line += strcspn(line, "~\n");
		line += *line == '~';
	}
	out->name = line;
	out->len = strcspn(line, "\n");
	if (*line != '/' && out->len > cut && strncmp(line + out->len - cut, ending, cut) == 0)
		out->len -= cut;
	return out->len > 0;
}

/* The times of the list that ends first; false if there is none. */
static bool first_to_end(const struct mt_credential *c, struct mt_conf_certificate *out)
{
	struct mt_credential_crl crl;
	bool found = false;

	for (uint32_t i = 0; mt_credential_crl(c, i, &crl); i++) {
		if (!crl.next_update || (found && crl.next_update >= out->not_after))
			continue;
		out->not_before = crl.this_update;
		out->not_after = crl.next_update;
		found = true;
	}
	return found;
}

bool mt_conf_revocations_next(
	const struct mt_conf *c, uint32_t *pos, struct mt_conf_certificate *out)
{
	const struct mt_conf_credential *x;

	while ((x = mt_strmap_next(&c->credentials.all, pos, NULL)) != NULL)
		if (!x->own && x->credential && lists_in(x->key, out) &&
			first_to_end(x->credential, out))
			return true;
	return false;
}

/* ---- their life ------------------------------------------------------------------------------------ */

void mt_credentials_begin(struct mt_conf *c)
{
	c->credentials.turn++;
	c->credentials.own = NULL;
}

/* Drops those that no build from `turn` on has needed. */
static void forget(struct mt_conf *c, uint64_t turn)
{
	struct mt_conf_credential *x;
	uint32_t pos = 0;

	while ((x = mt_strmap_next(&c->credentials.all, &pos, NULL)) != NULL) {
		if (x->turn >= turn)
			continue;
		mt_strmap_del(&c->credentials.all, x->key);
		drop(x);
		free(x);
	}
}

void mt_credentials_end(struct mt_conf *c)
{
	c->credentials.own = NULL;
}

void mt_credentials_published(struct mt_conf *c, const struct mt_snap *s)
{
	forget(c, s->credentials);
	mt_watched_forget(c, s->credentials);
}

void mt_credentials_fini(struct mt_conf *c)
{
	forget(c, UINT64_MAX);
	for (int i = 0; i < 2; i++)
		mt_conf_lend_put(c->credentials.lend[i]);
	mt_strmap_fini(&c->credentials.all);
	mt_watched_fini(c);
}
