/* SPDX-License-Identifier: Apache-2.0 */
#include "join.h"

#include "mt_file.h"
#include "mt_identity.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static int write_identity(struct join *j, const char *dir, struct mt_err *e)
{
	const struct join_target *t = &j->targets[j->n_targets - 1];
	const char *id = mt_env_get(&j->bundle.env, "ISTIO_META_CLUSTER_ID");
	struct mt_identity_conf c = {.ttl_s = j->o.ttl_s};
	char path[PATH_MAX + 64];
	int rc;

	/* The address is used if only the bundle's hosts file has the name. */
	snprintf(c.ca, sizeof(c.ca), "%.270s", t->from_hosts ? t->server : j->bundle.ca);
	snprintf(c.server_name, sizeof(c.server_name), "%s", t->server_name);
	snprintf(c.uri, sizeof(c.uri), "%s", j->bundle.spiffe);
	snprintf(c.cluster_id, sizeof(c.cluster_id), "%s", id ? id : "");
	snprintf(path, sizeof(path), "%s/" MT_IDENTITY_ROOTS, dir);
	rc = mt_file_replace(path, join_trusted(j), strlen(join_trusted(j)), 0600, e);
	snprintf(path, sizeof(path), "%s/" MT_IDENTITY_TOKEN, dir);
	rc = rc ? rc : mt_file_replace(path, j->bundle.token, strlen(j->bundle.token), 0600, e);
	snprintf(path, sizeof(path), "%s/" MT_IDENTITY_FILE, dir);
	rc = rc ? rc : mt_identity_save(path, mt_ca_chain(j->ca), mt_ca_key(j->ca), e);
	snprintf(path, sizeof(path), "%s/" MT_IDENTITY_CONF, dir);
	return rc ? rc : mt_identity_conf_write(path, &c, e);
}

static int write_bootstrap(struct join *j, const char *dir, struct mt_err *e)
{
	const struct join_target *t = &j->targets[0];
	char path[PATH_MAX + 64], identity[PATH_MAX + 64], roots[PATH_MAX + 64],
		addr[MT_ADDR_STRLEN];
	struct mt_bootstrap_facts facts = {
		.host = t->from_hosts ? mt_addr_str(&t->addrs[0], addr) : t->host,
		.port = t->port,
		.server_name = t->server_name,
		.identity = identity,
		.roots = roots,
		.delta = j->o.delta};
	json_t *o;
	char *text;
	int rc;

	snprintf(identity, sizeof(identity), "%s/" MT_IDENTITY_FILE, dir);
	snprintf(roots, sizeof(roots), "%s/" MT_IDENTITY_ROOTS, dir);
	o = mt_bootstrap_json(json_incref(j->node), &facts);
	text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	json_decref(o);
	snprintf(path, sizeof(path), "%s/bootstrap.json", dir);
	rc = text ? mt_file_replace(path, text, strlen(text), 0600, e) : mt_err(e, -1, "no memory");
	free(text);
	return rc;
}

/* Writes the part for the Node document. */
static int write_snippet(const char *dir, struct mt_err *e)
{
	char path[PATH_MAX + 64], *text;
	int rc;

	if (asprintf(&text,
		    "# Into the Node's spec:\n"
		    "sources:\n"
		    "  - xds:\n"
		    "      bootstrap: %s/bootstrap.json\n"
		    "      identity: %s\n",
		    dir, dir) < 0)
		return mt_err(e, -1, "no memory");
	snprintf(path, sizeof(path), "%s/node.yaml", dir);
	rc = mt_file_replace(path, text, strlen(text), 0600, e);
	free(text);
	return rc;
}

bool join_write(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	char dir[PATH_MAX];
	struct mt_err e;
	int rc = mt_file_directory(j->o.out, 0700, &e);

	if (rc == 0 && !realpath(j->o.out, dir))
		rc = mt_err(&e, -1, "%s: the path cannot be resolved", j->o.out);
	/* The bootstrap comes last, so that the files that it names exist. */
	if (rc || write_identity(j, dir, &e) || write_snippet(dir, &e) ||
		write_bootstrap(j, dir, &e)) {
		mt_find(f, "", 0, "", "choose a directory that this user may write: -o OUTDIR",
			"%s", e.text);
		return false;
	}
	snprintf(words, size,
		"%s: bootstrap.json and its files; node.yaml has the settings for the Node", dir);
	return true;
}
