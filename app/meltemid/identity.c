/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All TLS identities of the node. Its own one comes from spec.identity (a directory or an agent's
 * socket), else from the first source that has an identity. Those of spec.identities, which it uses
 * on behalf of other principals, have a source each. They are loaded at start, checked
 * periodically, and changed with the Node document.
 */
#include "identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOKS	3 /* attempts before the first load, because files may change while they are read */
#define LOOK_NS MT_SEC

static struct identity_place place_of_held(const struct mt_node_held *n)
{
	return (struct identity_place){n->directory.s, n->sds.s, n->secret.s, n->xds.s};
}

/* ---- periodic checks ------------------------------------------------------------------------- */

void identity_turn(struct daemon *d, uint64_t now)
{
	const struct mesh_source *s = d->identity.told ? NULL : identity_first_source(d);

	if (d->identity.told)
		identity_turn_told(&d->identity, now);
	else if (s)
		identity_turn_secrets(&d->identity, s);
	for (uint32_t i = 0; i < d->n_held; i++)
		identity_turn_held(d->held[i], now);
	if (d->held_untold)
		identity_tell_held(d);
}

/*
 * Uses the credential that a source stored when the node last ran, so that peers see the same
 * identity now and after the source has connected.
 */
static void load_joined(struct node_identity *id, const char *name)
{
	const struct mt_node *n = id->d->node;
	const struct mt_node_xds *x = NULL;
	struct mt_credential *c;
	struct mt_err e = {""};

	for (uint32_t i = 0; i < n->n_sources && !x; i++)
		if (n->sources[i].xds && n->sources[i].xds->identity.s &&
			(!name || strcmp(n->sources[i].xds->name.s, name) == 0))
			x = n->sources[i].xds;
	/* The event loop will try again, and report an identity that cannot be read. */
	c = x ? mt_identity_peek(x->identity.s, &e) : NULL;
	if (!c)
		return;
	e.text[0] = '\0';
	identity_take(id, c, x->name.s, &e);
}

static void look_at_files(struct node_identity *id)
{
	for (uint64_t i = 1; i <= LOOKS && !id->used; i++)
		identity_turn_told(id, i * LOOK_NS);
}

static bool is_asked(const struct node_identity *id)
{
	return id->told && !id->used && strncmp(id->where, "unix:", 5) == 0;
}

static bool ask(struct node_identity *id, uint64_t passed)
{
	if (is_asked(id))
		mt_identity_source_turn(id->told, passed);
	return is_asked(id);
}

/*
 * Waits for SDS agents, at most IDENTITY_AGENT_NS. An agent on this machine answers at once or does
 * not run yet; then its answer is compiled in when it comes. The daemon has no clock yet, so
 * sources get times that start at 0: those of the clock that they get later must not be smaller.
 */
static void wait_for_agents(struct daemon *d)
{
	const uint64_t began = mt_watch_clock();
	uint64_t passed = 0;

	for (bool waits = true; waits && passed < IDENTITY_AGENT_NS;) {
		waits = ask(&d->identity, passed);
		for (uint32_t i = 0; i < d->n_held; i++)
			waits |= ask(d->held[i], passed);
		if (waits)
			nanosleep(&(struct timespec){.tv_nsec = 10 * MT_MSEC}, NULL);
		passed = mt_watch_clock() - began;
	}
	if (is_asked(&d->identity))
		identity_turn_told(&d->identity, passed);
	for (uint32_t i = 0; i < d->n_held; i++)
		if (is_asked(d->held[i]))
			identity_turn_told(d->held[i], passed);
}

static int load_from(struct node_identity *id, const struct identity_place *p)
{
	/* --check does not connect to agents. */
	if (p->sds && id->d->args.check)
		return 0;
	if (identity_open(id, p))
		return -ENOMEM;
	if (p->xds)
		load_joined(id, p->xds);
	else if (p->directory)
		look_at_files(id);
	return 0;
}

static struct node_identity *held_new(struct daemon *d, const char *principal)
{
	struct node_identity *id = calloc(1, sizeof(*id));

	if (!id)
		return NULL;
	id->d = d;
	id->claim = strdup(principal);
	if (id->claim)
		return id;
	free(id);
	return NULL;
}

static void held_free(struct node_identity *id)
{
	if (!id)
		return;
	identity_close(id);
	mt_credential_drop(id->used);
	free(id->claim);
	free(id);
}

static int load_held(struct daemon *d, const struct mt_node_held *n)
{
	const struct identity_place p = place_of_held(n);
	struct node_identity *id = held_new(d, n->principal.s);

	if (!id)
		return -ENOMEM;
	d->held[d->n_held++] = id;
	return load_from(id, &p);
}

int identity_load(struct daemon *d)
{
	const struct mt_node_identity *n = d->node->identity;
	int rc = 0;

	d->identity.d = d;
	if (n)
		rc = load_from(&d->identity,
			&(struct identity_place){.directory = n->directory.s, .sds = n->sds.s});
	else
		load_joined(&d->identity, NULL);
	for (uint32_t i = 0; i < d->node->n_identities && rc == 0; i++)
		rc = load_held(d, &d->node->identities[i]);
	if (rc)
		return rc;
	wait_for_agents(d);
	identity_tell_held(d);
	/* The load that follows includes them. */
	d->mesh_changed = d->identity_changed = false;
	return d->held_untold ? -ENOMEM : 0;
}

int identity_start(struct daemon *d, struct mt_err *e)
{
	if (d->identity.told)
		mt_identity_source_serve(d->identity.told, d->service);
	for (uint32_t i = 0; i < d->n_held; i++)
		if (d->held[i]->told)
			mt_identity_source_serve(d->held[i]->told, d->service);
	return 0;
}

void identity_stop(struct daemon *d)
{
	identity_close(&d->identity);
	for (uint32_t i = 0; i < d->n_held; i++)
		identity_close(d->held[i]);
}

void identity_forget(struct daemon *d)
{
	identity_close(&d->identity);
	mt_credential_drop(d->identity.used);
	d->identity.used = NULL;
	while (d->n_held)
		held_free(d->held[--d->n_held]);
}

/* ---- changes of the Node document ------------------------------------------------------------ */

/*
 * spec.identity was removed: use the secrets of the first source that has an identity. The node has
 * none if they are not good.
 */
static void leave_told(struct daemon *d)
{
	const struct mesh_source *s = identity_first_source(d);
	uint32_t changes = d->identity.changes;

	identity_close(&d->identity);
	memset(d->identity.serials, 0, sizeof(d->identity.serials));
	if (s)
		identity_turn_secrets(&d->identity, s);
	else
		identity_trouble(&d->identity, "");
	if (d->identity.changes == changes)
		identity_use(&d->identity, NULL, "");
}

/* Watches the new place; the present credential stays until there is a good one. */
static void aim(struct node_identity *id, const struct identity_place *p)
{
	char *where = identity_words(p);

	if ((!where || !id->where || strcmp(id->where, where) != 0) && identity_open(id, p))
		identity_trouble(id, "no memory to look at another place for an identity");
	free(where);
}

/* Removes the identity of that principal from d->held and returns it. NULL: there is none. */
static struct node_identity *take_held(struct daemon *d, const char *principal)
{
	for (uint32_t i = 0; i < d->n_held; i++) {
		struct node_identity *id = d->held[i];

		if (id && strcmp(id->claim, principal) == 0) {
			d->held[i] = NULL;
			return id;
		}
	}
	return NULL;
}

/*
 * Existing identities keep their credentials and get the order of the document; those that it no
 * longer names are freed.
 */
static void aim_held(struct daemon *d, const struct mt_node *node)
{
	struct node_identity *now[MT_HELD_MAX], *id;
	uint32_t n = 0;

	for (uint32_t i = 0; i < node->n_identities; i++) {
		const struct identity_place p = place_of_held(&node->identities[i]);

		id = take_held(d, node->identities[i].principal.s);
		if (!id) {
			id = held_new(d, node->identities[i].principal.s);
			if (!id)
				continue;
			id->fresh = true;
		}
		aim(id, &p);
		now[n++] = id;
	}
	for (uint32_t i = 0; i < d->n_held; i++) {
		if (d->held[i])
			mt_log(MT_LOG_INFO, "xds", "%s is not held any more", d->held[i]->claim);
		held_free(d->held[i]);
	}
	memcpy(d->held, now, sizeof(now[0]) * n);
	d->n_held = n;
	identity_tell_held(d);
}

void identity_aim(struct daemon *d, const struct mt_node *node)
{
	const struct mt_node_identity *n = node->identity;

	if (!n && d->identity.where)
		leave_told(d);
	else if (n)
		aim(&d->identity,
			&(struct identity_place){.directory = n->directory.s, .sds = n->sds.s});
	aim_held(d, node);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* The service account in "spiffe://TD/ns/NS/sa/NAME"; "" if there is none. */
static const char *account_of(const char *principal)
{
	const char *at = strstr(principal, "/sa/");

	return at ? at + strlen("/sa/") : "";
}

static void differs(
	const struct mt_text *said, const char *is, const char *field, char *buf, size_t size)
{
	size_t len = strlen(buf);

	if (said->s && *is && strcmp(said->s, is) != 0)
		snprintf(buf + len, size - len,
			"%sspec.mesh.%s of the Node is %s, and the certificate's is %s",
			len ? "; " : "", field, said->s, is);
}

/*
 * Warnings about the credential in use: those of its source, and where the Node differs from it.
 * Valid until the next call.
 */
static const char *notes(struct daemon *d)
{
	static char words[1024];
	const struct node_identity *id = &d->identity;
	const struct mt_node_mesh *mesh = config_node(d)->mesh;
	struct mt_credential_leaf leaf;

	snprintf(words, sizeof(words), "%s", id->note);
	if (!id->used || !mesh || !mt_credential_leaf(id->used, &leaf))
		return words;
	differs(&mesh->trust_domain, leaf.trust_domain, "trustDomain", words, sizeof(words));
	differs(&mesh->service_account, account_of(leaf.principal), "serviceAccount", words,
		sizeof(words));
	return words;
}

bool identity_ask(void *arg, uint32_t which, struct mt_ctl_identity *out)
{
	struct daemon *d = arg;
	const struct node_identity *id = which ? NULL : &d->identity;

	if (which > d->n_held)
		return false;
	id = which ? d->held[which - 1] : id;
	*out = (struct mt_ctl_identity){.credential = id->used,
		.held_for = id->claim,
		.wanted = id->claim || id->told || identity_first_source(d),
		.from = id->from,
		.directory = id->told ? id->where : NULL,
		.why = id->why,
		.note = which ? id->note : notes(d),
		.changes = id->changes};
	return true;
}

static void nobody(void *arg)
{
}

static void check_directory(const struct mt_node *n, const struct mt_text *directory,
	const char *claim, const char *path, struct mt_diags *diags)
{
	struct mt_identity_source *s =
		directory->s ? mt_identity_directory_new(NULL, directory->s, nobody, NULL) : NULL;
	const char *why, *note;

	if (!s)
		return;
	if (claim)
		mt_identity_source_claim(s, claim);
	mt_identity_source_turn(s, LOOK_NS);
	why = mt_identity_source_why(s);
	note = mt_identity_source_note(s);
	if (*why || *note)
		mt_diag_add(diags, MT_DIAG_MACHINE,
			(struct mt_origin){n->meta.origin.file, directory->line}, path,
			*why ? "a node runs without, and what needs its identity stays unused"
			     : NULL,
			"%s", *why ? why : note);
	mt_identity_source_free(s);
}

void check_identity(const struct mt_node *n, struct mt_diags *diags)
{
	char path[64];

	if (n->identity)
		check_directory(n, &n->identity->directory, NULL, "spec.identity.directory", diags);
	for (uint32_t i = 0; i < n->n_identities; i++) {
		snprintf(path, sizeof(path), "spec.identities[%u].directory", i);
		check_directory(
			n, &n->identities[i].directory, n->identities[i].principal.s, path, diags);
	}
}
