/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery servers as sources. They are created while the first documents are read, so that their
 * kept resources are in the first snapshot. They connect once the event loop exists, which then
 * runs them.
 */
#include "daemon.h"

#include "mt_identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS	64	     /* descriptors per loop iteration; the next one handles the rest */
#define OPEN_NS (2 * MT_SEC) /* between two attempts to open an identity */

/* ---- bootstraps ------------------------------------------------------------------------------ */

/*
 * Refuses a remote server without TLS. Its source gets nothing new, but kept resources stay in
 * force, and nothing else is affected.
 */
static void refuse_plaintext(struct daemon *d, struct mt_xds_bootstrap *b,
	const struct mt_node_xds *n, uint32_t i, struct mt_diags *diags)
{
	const struct mt_meta nobody = {.origin = n->origin, .serial = UINT64_MAX};
	const char *server = n->plaintext.v ? NULL : mt_xds_bootstrap_want_tls(b);
	char path[48];

	if (!server)
		return;
	d->sources_refused++;
	snprintf(path, sizeof(path), "spec.sources[%u].xds", i);
	mt_diag_object(diags, MT_DIAG_ERROR, &nobody, n->origin.line, path,
		"use TLS: roots, or a transport_socket in the bootstrap; or write plaintext: true",
		"%s is on another machine and its plaintext could be forged: not connected to",
		server);
}

/* Documents cannot use certificates and keys with which the node connects. */
static int refuse_to_documents(struct daemon *d, const struct mt_xds_bootstrap *b)
{
	int rc = 0;

	for (uint32_t i = 0; i < b->n_servers && rc == 0; i++) {
		const struct mt_xds_tls *t = b->servers[i].tls;

		if (t && t->chain.file)
			rc = mt_conf_own_file(d->conf, t->chain.file);
		if (t && t->key.file && rc == 0)
			rc = mt_conf_own_file(d->conf, t->key.file);
	}
	return rc;
}

static struct mt_xds_bootstrap *bootstrap_of(
	struct daemon *d, const struct mt_node_xds *n, uint32_t i, struct mt_diags *diags)
{
	struct mt_xds_bootstrap *b;
	uint32_t errors = diags->errors;
	char path[48];

	b = n->bootstrap.s ? mt_xds_bootstrap_read(diags, n->bootstrap.s)
			   : mt_xds_bootstrap_node(n);
	if (b && n->identity.s)
		mt_xds_bootstrap_identify(b, MT_SECRET_IDENTITY, MT_SECRET_ROOTS);
	if (b)
		refuse_plaintext(d, b, n, i, diags);
	if (b && refuse_to_documents(d, b)) {
		mt_xds_bootstrap_free(b);
		b = NULL;
	}
	if (b || diags->errors == errors)
		return b;
	snprintf(path, sizeof(path), "spec.sources[%u].xds.bootstrap", i);
	mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){n->origin.file, n->bootstrap.line},
		path, NULL, "%s cannot be used", n->bootstrap.s);
	return NULL;
}

/*
 * Logs how many fields are not used: at start and after a change only, because such files contain
 * much that is for other programs.
 */
static void tell_unused(const char *name, const struct mt_xds_bootstrap *b)
{
	if (b->n_unused)
		mt_log(MT_LOG_INFO, "xds",
			"%s: %s: %u fields are accepted and not used (`show xds` names them)", name,
			b->file, b->n_unused);
}

static void add_source(struct daemon *d, uint32_t i, struct mt_xds_bootstrap *b)
{
	const struct mt_node_xds *n = d->node->sources[i].xds;
	struct mesh_source *s = &d->mesh[d->n_mesh];
	struct mt_xds_conf conf = {.name = n->name.s, .state_dir = state_dir(d), .bootstrap = b};

	tell_unused(n->name.s, b);
	demand_settings(n, &conf.demand);
	*s = (struct mesh_source){.node = n, .index = i, .xds = mt_xds_new(&conf, 0)};
	if (s->xds)
		d->sources[d->n_mesh++] = s->xds;
}

void mesh_open(struct daemon *d, struct mt_diags *diags)
{
	uint32_t n_all = 0;

	for (uint32_t i = 0; i < d->node->n_sources; i++) {
		const struct mt_node_xds *n = d->node->sources[i].xds;
		struct mt_xds_bootstrap *b = n ? bootstrap_of(d, n, i, diags) : NULL;

		if (n && n_all++ == MESH_MAX)
			mt_diag_add(diags, MT_DIAG_ERROR, n->origin, "spec.sources", "8 at most",
				"too many discovery servers");
		if (b && !d->args.check && n_all <= MESH_MAX)
			add_source(d, i, b);
		else
			mt_xds_bootstrap_free(b);
	}
}

void mesh_close(struct daemon *d)
{
	while (d->n_mesh > 0) {
		struct mesh_source *s = &d->mesh[--d->n_mesh];

		mt_xds_free(s->xds);
		mt_secrets_free(s->secrets);
	}
}

static void reread(struct daemon *d, struct mesh_source *s, struct mt_diags *diags, uint64_t now)
{
	/* Settings in the Node itself take effect at a restart only. */
	struct mt_xds_bootstrap *b =
		s->node->bootstrap.s ? bootstrap_of(d, s->node, s->index, diags) : NULL;

	if (!b)
		return;
	if (b->hash == mt_xds_bootstrap_of(s->xds)->hash) {
		mt_xds_bootstrap_free(b);
		return;
	}
	mt_log(MT_LOG_INFO, "xds", "%s: %s has changed, connections are opened again",
		s->node->name.s, b->file);
	tell_unused(s->node->name.s, b);
	mt_xds_rebootstrap(s->xds, b, now);
}

void mesh_reread(struct daemon *d, struct mt_diags *diags, uint64_t now)
{
	for (uint32_t i = 0; i < d->n_mesh; i++)
		reread(d, &d->mesh[i], diags, now);
}

/* ---- connections ----------------------------------------------------------------------------- */

static int watch(struct daemon *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = d->mesh_fds.epoll};

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->mesh_fds.epoll, &ev) == 0 ? 0 : -errno;
}

/*
 * Opens the source's identity. A certificate that is not there yet is requested, and connections
 * that need it wait. Files that cannot be read are tried again, because a disk may be mounted
 * later, or the machine may join the mesh only now.
 */
static void open_identity(struct daemon *d, struct mesh_source *s, uint64_t now)
{
	struct mt_err e = {""};

	if (!s->node->identity.s || s->identity || now < s->open_at)
		return;
	s->open_at = now + OPEN_NS;
	s->identity = mt_identity_open(
		&d->mesh_fds, d->mesh_names, s->secrets, d->service, s->node->identity.s, &e);
	if (!s->identity && strcmp(e.text, s->no_identity.text) != 0)
		mt_log(MT_LOG_ERROR, "xds", "%s: %s", s->node->name.s, e.text);
	s->no_identity = e;
}

static bool reaches(void *arg, const struct mt_addr *a)
{
	const struct daemon *d = arg;

	return mt_node_reaches(d->node, a);
}

static int connect_one(struct daemon *d, struct mesh_source *s, uint64_t now)
{
	struct mt_xds_env env = {.fds = &d->mesh_fds,
		.names = d->mesh_names,
		.looked_up = d->looked_up,
		.reaches = reaches,
		.rng = &d->mesh_rng,
		.service = d->service,
		.answered = demand_answered,
		.arg = d};

	s->secrets = env.secrets = mt_secrets_new();
	if (!s->secrets)
		return -ENOMEM;
	open_identity(d, s, now);
	return mt_xds_start(s->xds, &env, now);
}

static int connect_all(struct daemon *d, uint64_t now)
{
	int rc = 0;

	for (uint32_t i = 0; i < d->n_mesh && rc == 0; i++)
		rc = connect_one(d, &d->mesh[i], now);
	return rc;
}

int mesh_start(struct daemon *d, struct mt_err *e)
{
	uint64_t seed;
	int rc;

	demand_start(d);
	d->mesh_fds.epoll = -1;
	rc = mt_fds_init(&d->mesh_fds);
	if (rc == 0)
		rc = watch(d);
	if (rc)
		return mt_err(e, rc, "event loop: %s", strerror(-rc));
	mt_rand_secret(&seed, sizeof(seed));
	mt_rand_seed(&d->mesh_rng, seed);
	d->mesh_names = mt_resolver_new(&d->mesh_fds, e);
	if (!d->mesh_names)
		return -EIO;
	mt_name_table_ask(d->looked_up, d->mesh_names);
	rc = connect_all(d, mt_clock_now(&d->clock));
	return rc ? mt_err(e, rc, "discovery servers: %s", strerror(-rc)) : 0;
}

void mesh_stop(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_mesh; i++)
		mt_identity_free(d->mesh[i].identity);
	mesh_close(d);
	if (d->looked_up)
		mt_name_table_ask(d->looked_up, NULL);
	mt_resolver_free(d->mesh_names);
	d->mesh_names = NULL;
	if (d->mesh_fds.epoll >= 0)
		mt_fds_fini(&d->mesh_fds);
}

/* ---- from the loop --------------------------------------------------------------------------- */

static void turn_all(struct daemon *d, uint64_t now)
{
	uint64_t wall = mt_clock_wall(&d->clock, now);

	for (uint32_t i = 0; i < d->n_mesh; i++) {
		open_identity(d, &d->mesh[i], now);
		if (d->mesh[i].identity)
			mt_identity_turn(d->mesh[i].identity, now, wall, &d->mesh_rng);
		if (mt_xds_turn(d->mesh[i].xds, now)) {
			d->mesh_changed = true;
			d->refresh_from = "discovery";
		}
	}
}

/* Loads changes. However fast a server pushes, most of the time is left for other work. */
static void load_changes(struct daemon *d, uint64_t now)
{
	uint64_t end;

	if (!d->mesh_changed || now < d->mesh_next)
		return;
	if (!d->refresh_from)
		d->refresh_from = d->identity_changed ? "identity" : "names";
	d->mesh_changed = d->identity_changed = false;
	(void)config_refresh(d, now);
	d->refresh_from = NULL;
	end = mt_clock_now(&d->clock);
	d->mesh_next = end + load_pause(end - now);
}

void mesh_turn(struct daemon *d, uint64_t now)
{
	turn_all(d, now);
	mt_fds_dispatch(&d->mesh_fds, EVENTS, 0);
	mt_resolver_turn(d->mesh_names);
	turn_all(d, now);
	d->mesh_changed |= mt_name_table_turn(
		d->looked_up, now, (int64_t)(mt_clock_wall(&d->clock, now) / MT_SEC));
	load_changes(d, now);
}

const char *mesh_identity(struct daemon *d, uint32_t i)
{
	static char words[512];
	uint64_t now = mt_clock_now(&d->clock);
	const struct mt_identity *id = d->mesh[i].identity;
	size_t n;

	if (!id)
		return d->mesh[i].node->identity.s ? d->mesh[i].no_identity.text : NULL;
	n = (size_t)snprintf(words, sizeof(words), "%s, ", mt_identity_uri(id));
	if (n < sizeof(words))
		(void)mt_identity_words(
			id, now, mt_clock_wall(&d->clock, now), words + n, sizeof(words) - n);
	return words;
}

bool mesh_identity_left(struct daemon *d, uint32_t i, int64_t *left)
{
	uint64_t now = mt_clock_now(&d->clock);
	const struct mt_identity *id = d->mesh[i].identity;

	if (!id || mt_identity_renew(id)->not_after == 0)
		return false;
	*left = mt_identity_renew(id)->not_after -
		(int64_t)(mt_clock_wall(&d->clock, now) / MT_SEC);
	return true;
}

/* ---- part of a load -------------------------------------------------------------------------- */

int mesh_share(struct daemon *d, struct mt_model *m, uint64_t now)
{
	int rc = 0;

	for (uint32_t i = 0; i < d->n_mesh && rc == 0; i++) {
		mt_xds_load_begin(d->mesh[i].xds, now);
		rc = mt_xds_share(d->mesh[i].xds, m);
	}
	return rc;
}

/* The source of a diagnostic, by its origin "xds:NAME"; NULL: it is about no source. */
static struct mt_xds *source_of(struct daemon *d, const struct mt_diag *e)
{
	static const char prefix[] = "xds:";
	const char *file = e->origin.file;

	if (!e->resource || !file || strncmp(file, prefix, strlen(prefix)) != 0)
		return NULL;
	for (uint32_t i = 0; i < d->n_mesh; i++)
		if (strcmp(d->mesh[i].node->name.s, file + strlen(prefix)) == 0)
			return d->mesh[i].xds;
	return NULL;
}

/* Passes to the sources what a load found in their resources. */
static void mesh_told(struct daemon *d, const struct mt_diags *diags)
{
	for (uint32_t i = 0; i < diags->n && d->n_mesh; i++) {
		const struct mt_diag *e = &diags->items[i];
		struct mt_xds *x = source_of(d, e);
		char words[600];

		if (!x)
			continue;
		snprintf(words, sizeof(words), "%s%s%s", e->path ? e->path : "",
			e->path ? ": " : "", e->message);
		mt_xds_told(x, e->kind, e->resource, e->severity, words);
	}
}

bool mesh_loaded(struct daemon *d, const struct mt_diags *diags, const char *failed, bool last)
{
	bool again = false;

	mesh_told(d, diags);
	for (uint32_t i = 0; i < d->n_mesh; i++)
		again |= mt_xds_load_end(d->mesh[i].xds, failed, last);
	return again;
}

void mesh_abandon(struct daemon *d, const struct mt_diags *diags)
{
	mesh_told(d, diags);
	for (uint32_t i = 0; i < d->n_mesh; i++)
		mt_xds_load_abandon(d->mesh[i].xds);
}
