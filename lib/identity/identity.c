/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_identity.h"

#include "mt_ca.h"
#include "mt_cert.h"
#include "mt_file.h"
#include "mt_jwt.h"
#include "mt_service.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROOM	      "identity"
#define SAVE_AGAIN_NS (60 * MT_SEC) /* after a failed write */

struct mt_identity {
	struct mt_fds *fds;
	struct mt_resolver *names;
	struct mt_secrets *secrets;
	struct mt_identity_conf conf;
	char *pem_path, *token_path, *root_path; /* in the directory */
	char *pair_name, *root_name;		 /* names of the files in mt_secrets */
	struct mt_renew renew;
	uint64_t seen, seen_roots; /* serials of the versions last taken from the files */

	/* While a request is in progress. */
	struct mt_ca *ca;
	struct mt_grpc_tls tls;
	const struct mt_secret *shown, *trusted; /* secrets whose texts `tls` points to */
	const char *server, *san;
	char *token;

	/* Writes of the files. unsaved: a write is due; writing: one is in progress. */
	struct mt_service *service;
	bool unsaved, told_unsaved, writing;
	uint64_t save_at, now;
};

/* ---- files ----------------------------------------------------------------------------------- */

static void take_roots(struct mt_identity *id)
{
	struct mt_err e;
	const struct mt_secret *roots = mt_secrets_hold(id->secrets, id->root_name, &e);

	if (roots && roots->serial != id->seen_roots) {
		id->seen_roots = roots->serial;
		if (mt_secrets_set(id->secrets, MT_SECRET_ROOTS, NULL, NULL, roots->roots, &e))
			mt_log(MT_LOG_WARN, ROOM, "%s", e.text);
	}
	mt_secret_drop(roots);
}

/* Publishes new versions of the files as the secrets "default" and "ROOTCA". */
static void take_files(struct mt_identity *id, struct mt_rand *rng)
{
	struct mt_err e;
	const struct mt_secret *pair = mt_secrets_hold(id->secrets, id->pair_name, &e);

	take_roots(id);
	if (pair && pair->serial != id->seen) {
		id->seen = pair->serial;
		if (mt_secrets_set(
			    id->secrets, MT_SECRET_IDENTITY, pair->chain, pair->key, NULL, &e))
			mt_log(MT_LOG_WARN, ROOM, "%s", e.text);
		else if (pair->not_after != id->renew.not_after || !id->renew.not_after)
			mt_renew_have(&id->renew, pair->not_before, pair->not_after, rng);
	}
	mt_secret_drop(pair);
}

/* Task that writes both files, with copies of the secrets. */
struct writing {
	struct mt_task task;
	struct mt_identity *id;
	char *root_path, *pem_path, *roots, *chain, *key;
	struct mt_err why;
};

static void free_writing(struct writing *w)
{
	if (!w)
		return;
	free(w->root_path);
	free(w->pem_path);
	free(w->roots);
	free(w->chain);
	mt_wipe_free(w->key);
	free(w);
}

static int write_files(struct mt_task *t)
{
	struct writing *w = mt_container_of(t, struct writing, task);
	/* Roots first, so that a reader of the new pair can verify it. */
	int rc = mt_file_replace(w->root_path, w->roots, strlen(w->roots), 0600, &w->why);

	return rc ? rc : mt_identity_save(w->pem_path, w->chain, w->key, &w->why);
}

static void not_saved(struct mt_identity *id, const char *why)
{
	/* The certificate is in use all the same; only a restart would not find it. */
	if (!id->told_unsaved)
		mt_log(MT_LOG_WARN, ROOM, "the new certificate is used, but not kept: %s", why);
	id->unsaved = id->told_unsaved = true;
	id->save_at = id->now + SAVE_AGAIN_NS;
}

static void were_written(struct mt_task *t, int rc)
{
	struct writing *w = mt_container_of(t, struct writing, task);
	struct mt_identity *id = w->id;

	id->writing = false;
	if (rc)
		not_saved(id, w->why.text);
	else if (!id->unsaved)
		id->told_unsaved = false;
	free_writing(w);
}

/* Creates the task; NULL: no memory, or no certificate or roots. */
static struct writing *writing_of(struct mt_identity *id, struct mt_err *e)
{
	const struct mt_secret *pair = mt_secrets_hold(id->secrets, MT_SECRET_IDENTITY, e);
	const struct mt_secret *roots = mt_secrets_hold(id->secrets, MT_SECRET_ROOTS, e);
	struct writing *w = pair && roots ? calloc(1, sizeof(*w)) : NULL;

	if (w)
		*w = (struct writing){.task = {.run = write_files, .done = were_written},
			.id = id,
			.root_path = strdup(id->root_path),
			.pem_path = strdup(id->pem_path),
			.roots = strdup(roots->roots),
			.chain = strdup(pair->chain),
			.key = strdup(pair->key)};
	mt_secret_drop(pair);
	mt_secret_drop(roots);
	if (w && w->root_path && w->pem_path && w->roots && w->chain && w->key)
		return w;
	free_writing(w);
	return NULL;
}

/* Writes the files. If a write is in progress, `unsaved` causes another one after it. */
static void save(struct mt_identity *id)
{
	struct mt_err e = {"no memory"};
	struct writing *w;

	id->unsaved = true;
	id->save_at = 0;
	if (id->writing)
		return;
	w = writing_of(id, &e);
	if (!w) {
		not_saved(id, e.text);
		return;
	}
	id->unsaved = false;
	id->writing = true;
	if (mt_service_submit(id->service, &w->task)) {
		(void)mt_err(&w->why, -EAGAIN, "too many files wait for the disk");
		were_written(&w->task, -EAGAIN);
	}
}

/* ---- requests for certificates --------------------------------------------------------------- */

static void forget_request(struct mt_identity *id)
{
	mt_ca_free(id->ca);
	id->ca = NULL;
	mt_secret_drop(id->shown);
	mt_secret_drop(id->trusted);
	id->shown = id->trusted = NULL;
	mt_wipe_free(id->token);
	id->token = NULL;
}

static void failed(struct mt_identity *id, uint64_t now, struct mt_rand *rng, const char *why)
{
	mt_renew_failed(&id->renew, now, why, rng);
	mt_log(MT_LOG_WARN, ROOM, "no new certificate for %s: %s", id->conf.uri, why);
	forget_request(id);
}

/* Reads the token; NULL with *e if there is none or it has expired. The caller wipes it. */
static char *read_token(const struct mt_identity *id, int64_t wall, struct mt_err *e)
{
	struct mt_jwt t;
	char *text;
	size_t len;

	if (mt_file_read_secret(id->token_path, &text, &len, e))
		return NULL;
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	if (mt_jwt_read(text, len, &t, e) == 0) {
		if (!t.expires || wall < t.expires)
			return text;
		mt_err(e, -EACCES, "the token has expired");
	}
	mt_wipe_free(text);
	return NULL;
}

/*
 * Chooses how to authenticate: by the certificate while it is valid, because tokens live for an
 * hour and certificates for a day. After an odd number of consecutive failures the token is used
 * instead, if there is one. Returns false with *e if there is neither, or no roots.
 */
static bool choose_credentials(struct mt_identity *id, int64_t wall, struct mt_err *e)
{
	bool valid = id->renew.not_after && wall < id->renew.not_after;
	struct mt_err why;

	if (!valid || id->renew.failures % 2)
		id->token = read_token(id, wall, e);
	if (!id->token && valid)
		id->shown = mt_secrets_hold(id->secrets, MT_SECRET_IDENTITY, e);
	id->trusted = mt_secrets_hold(id->secrets, MT_SECRET_ROOTS, e);
	if (!id->trusted)
		return false;
	if (id->token || id->shown)
		return true;
	why = *e;
	mt_err(e, -EACCES,
		"neither a valid certificate nor a token (%.200s): run meltemi join with a new "
		"bundle",
		why.text);
	return false;
}

static void ask(struct mt_identity *id, uint64_t now, int64_t wall, struct mt_rand *rng)
{
	struct mt_ca_conf c = {.servers = &id->server,
		.n_servers = 1,
		.tls = &id->tls,
		.cluster_id = id->conf.cluster_id,
		.uri = id->conf.uri,
		.validity_s = id->conf.ttl_s ? id->conf.ttl_s : MT_IDENTITY_VALIDITY_S};
	struct mt_err e = {""};

	if (!choose_credentials(id, wall, &e)) {
		failed(id, now, rng, e.text);
		return;
	}
	id->tls = (struct mt_grpc_tls){.roots = id->trusted->roots,
		.chain = id->shown ? id->shown->chain : NULL,
		.key = id->shown ? id->shown->key : NULL,
		.server_name = id->conf.server_name,
		.sans = &id->san,
		.n_sans = 1};
	c.token = id->token;
	id->ca = mt_ca_new(id->fds, id->names, &c, &e);
	if (!id->ca)
		failed(id, now, rng, e.text);
}

static void issued(struct mt_identity *id, uint64_t now, int64_t wall, struct mt_rand *rng)
{
	const char *chain = mt_ca_chain(id->ca), *key = mt_ca_key(id->ca);
	char *more = mt_ca_roots(id->ca, id->trusted->roots, wall);
	const char *roots = more ? more : id->trusted->roots;
	struct mt_cert c;
	struct mt_err e;

	if (mt_ca_check(chain, key, roots, id->conf.uri, wall, &e) ||
		mt_cert_read(chain, 0, &c, &e) ||
		(more && mt_secrets_set(id->secrets, MT_SECRET_ROOTS, NULL, NULL, more, &e)) ||
		mt_secrets_set(id->secrets, MT_SECRET_IDENTITY, chain, key, NULL, &e)) {
		failed(id, now, rng, e.text);
	} else {
		mt_renew_have(&id->renew, wall, c.not_after, rng);
		forget_request(id);
		save(id);
		mt_log(MT_LOG_INFO, ROOM, "a new certificate for %s%s", id->conf.uri,
			more ? ", and a new root" : "");
	}
	free(more);
}

/* ---- interface ------------------------------------------------------------------------------- */

void mt_identity_turn(struct mt_identity *id, uint64_t now, uint64_t wall_ns, struct mt_rand *rng)
{
	int64_t wall = (int64_t)(wall_ns / MT_SEC);
	enum mt_ca_state state;
	int status;

	id->now = now;
	take_files(id, rng);
	if (id->ca) {
		state = mt_ca_turn(id->ca, now, rng);
		if (state == MT_CA_ISSUED)
			issued(id, now, wall, rng);
		else if (state == MT_CA_FAILED)
			failed(id, now, rng, mt_ca_why(id->ca, &status));
	}
	if (mt_renew_turn(&id->renew, now, wall, rng))
		ask(id, now, wall, rng);
	else if (id->ca && id->renew.state != MT_RENEW_ASKING)
		forget_request(id); /* it timed out */
	if (id->unsaved && now >= id->save_at)
		save(id);
}

const char *mt_identity_uri(const struct mt_identity *id)
{
	return id->conf.uri;
}

const struct mt_renew *mt_identity_renew(const struct mt_identity *id)
{
	return &id->renew;
}

const char *mt_identity_words(
	const struct mt_identity *id, uint64_t now, uint64_t wall, char *buf, size_t size)
{
	return mt_renew_words(&id->renew, now, (int64_t)(wall / MT_SEC), buf, size);
}

void mt_identity_free(struct mt_identity *id)
{
	if (!id)
		return;
	if (id->writing)
		mt_service_drain(id->service);
	forget_request(id);
	free(id->pem_path);
	free(id->token_path);
	free(id->root_path);
	free(id->pair_name);
	free(id->root_name);
	free(id);
}

/* Builds paths and secret names from the directory's name. */
static bool name_files(struct mt_identity *id, const char *dir)
{
	return asprintf(&id->pem_path, "%s/" MT_IDENTITY_FILE, dir) >= 0 &&
	       asprintf(&id->token_path, "%s/" MT_IDENTITY_TOKEN, dir) >= 0 &&
	       asprintf(&id->root_path, "%s/" MT_IDENTITY_ROOTS, dir) >= 0 &&
	       asprintf(&id->pair_name, "file-cert:%s~%s", id->pem_path, id->pem_path) >= 0 &&
	       asprintf(&id->root_name, "file-root:%s", id->root_path) >= 0;
}

struct mt_identity *mt_identity_open(struct mt_fds *fds, struct mt_resolver *names,
	struct mt_secrets *secrets, struct mt_service *service, const char *dir, struct mt_err *e)
{
	struct mt_identity *id = calloc(1, sizeof(*id));
	const struct mt_secret *roots = NULL;
	char path[4096];
	struct mt_rand rng;

	snprintf(path, sizeof(path), "%s/" MT_IDENTITY_CONF, dir);
	if (!id || !name_files(id, dir)) {
		mt_err(e, -ENOMEM, "no memory");
	} else if (mt_identity_conf_read(path, &id->conf, e) == 0) {
		id->fds = fds;
		id->names = names;
		id->secrets = secrets;
		id->service = service;
		id->server = id->conf.ca;
		id->san = id->conf.server_name;
		roots = mt_secrets_hold(secrets, id->root_name, e);
	}
	if (!roots) {
		mt_identity_free(id);
		return NULL;
	}
	mt_secret_drop(roots);
	mt_rand_secret(&rng, sizeof(rng));
	take_files(id, &rng);
	return id;
}
