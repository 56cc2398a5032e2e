/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS identity and trusted roots of a connection. They come from the table of secrets, by secret
 * name or by file (see roots_name(), chain_name()), or from texts in the bootstrap.
 */
#include "mt_xds_priv.h"

#include "mt_secrets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROOTS, CHAIN };

void xds_identity_drop(struct xds_conn *c)
{
	for (int i = 0; i < 2; i++) {
		mt_secret_drop(c->held[i]);
		c->held[i] = NULL;
	}
	c->tls = (struct mt_grpc_tls){0};
}

/* Name in the table of secrets; false if the roots are neither a secret nor a file. */
static bool roots_name(const struct mt_xds_tls *t, char *buf, size_t size)
{
	if (t->roots.secret)
		return snprintf(buf, size, "%s", t->roots.secret) < (int)size;
	return t->roots.file && snprintf(buf, size, "file-root:%s", t->roots.file) < (int)size;
}

static bool chain_name(const struct mt_xds_tls *t, char *buf, size_t size)
{
	if (t->chain.secret)
		return snprintf(buf, size, "%s", t->chain.secret) < (int)size;
	return t->chain.file && t->key.file &&
	       snprintf(buf, size, "file-cert:%s~%s", t->chain.file, t->key.file) < (int)size;
}

static int hold_roots(struct xds_conn *c, const struct mt_xds_tls *t)
{
	char name[4200];

	if (!roots_name(t, name, sizeof(name))) {
		c->tls.roots = t->roots.text;
		return 0;
	}
	c->held[ROOTS] = mt_secrets_hold(c->x->env.secrets, name, &c->why);
	if (!c->held[ROOTS])
		return -ENOENT;
	c->tls.roots = c->held[ROOTS]->roots;
	return c->tls.roots ? 0 : mt_err(&c->why, -ENOENT, "%.200s: holds no roots", name);
}

static int hold_chain(struct xds_conn *c, const struct mt_xds_tls *t)
{
	char name[8400];

	if (!chain_name(t, name, sizeof(name))) {
		c->tls.chain = t->chain.text;
		c->tls.key = t->key.text;
		return 0;
	}
	c->held[CHAIN] = mt_secrets_hold(c->x->env.secrets, name, &c->why);
	if (!c->held[CHAIN])
		return -ENOENT;
	c->tls.chain = c->held[CHAIN]->chain;
	c->tls.key = c->held[CHAIN]->key;
	return c->tls.chain ? 0 : mt_err(&c->why, -ENOENT, "%.200s: holds no certificate", name);
}

/* Logs changed files that cannot be used. The connection and the last good secret stay. */
static void look(struct xds_conn *c, const char *name)
{
	const char *why = mt_secrets_why(c->x->env.secrets, name);

	if (!*why || strcmp(why, c->why.text) == 0)
		return;
	mt_err(&c->why, 0, "%.700s", why);
	c->trouble_at = c->x->now;
	mt_log(MT_LOG_WARN, "xds", "%s: %s: %s; the previous one stays in use", c->x->name,
		c->server->name, c->why.text);
}

void xds_identity_look(struct xds_conn *c)
{
	const struct mt_xds_tls *t = c->server->tls;
	char name[8400];

	if (roots_name(t, name, sizeof(name)))
		look(c, name);
	if (chain_name(t, name, sizeof(name)))
		look(c, name);
}

int xds_identity_load(struct xds_conn *c)
{
	const struct mt_xds_tls *t = c->server->tls;
	struct xds_conn old = *c;
	int rc;

	memset(c->held, 0, sizeof(c->held));
	c->tls = (struct mt_grpc_tls){
		.server_name = t->sni ? t->sni : c->host, .sans = t->sans, .n_sans = t->n_sans};
	rc = c->x->env.secrets ? hold_roots(c, t) : mt_err(&c->why, -ENOENT, "no secrets");
	if (rc == 0)
		rc = hold_chain(c, t);
	if (rc) {
		/* Keep the last good secrets. */
		mt_secret_drop(c->held[0]);
		mt_secret_drop(c->held[1]);
		memcpy(c->held, old.held, sizeof(c->held));
		c->tls = old.tls;
		return rc;
	}
	mt_secret_drop(old.held[0]);
	mt_secret_drop(old.held[1]);
	return 0;
}
