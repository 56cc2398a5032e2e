/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One identity, the node's own or one of spec.identities: the place where it is read, and the
 * credential in use. Only a good credential replaces another one. One that cannot be used is
 * reported, and does not affect other identities.
 */
#include "identity.h"

#include "mt_cert.h"
#include "mt_identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the credential in use ------------------------------------------------------------------- */

static bool is_same(const struct mt_credential *a, const struct mt_credential *b)
{
	if (!a || !b)
		return a == b;
	return memcmp(a->chain_digest, b->chain_digest, sizeof(a->chain_digest)) == 0 &&
	       memcmp(a->trust_digest, b->trust_digest, sizeof(a->trust_digest)) == 0;
}

static void say(const struct node_identity *id)
{
	struct mt_credential_leaf leaf;
	char until[32];

	if (id->d->args.check)
		return;
	if (!id->used) {
		mt_log(MT_LOG_WARN, "xds", "the node has no identity any more");
		return;
	}
	(void)mt_credential_leaf(id->used, &leaf);
	mt_log(MT_LOG_INFO, "xds", "%s, serial number %s, until %s, by %s",
		leaf.principal[0] ? leaf.principal : "a certificate without a SPIFFE ID",
		leaf.serial, mt_time_words(id->used->not_after, until, sizeof(until)), id->from);
}

void identity_tell_held(struct daemon *d)
{
	struct mt_conf_held v[MT_HELD_MAX];
	uint32_t n = 0;
	int rc;

	for (uint32_t i = 0; i < d->n_held; i++)
		if (!d->held[i]->fresh)
			v[n++] = (struct mt_conf_held){d->held[i]->claim, d->held[i]->used};
	rc = mt_conf_set_held(d->conf, v, n);
	d->held_untold = rc < 0;
	if (rc > 0)
		d->mesh_changed = d->identity_changed = true;
}

void identity_use(struct node_identity *id, struct mt_credential *c, const char *from)
{
	struct daemon *d = id->d;

	if (is_same(c, id->used)) {
		mt_credential_drop(c);
		return;
	}
	if (!id->claim)
		mt_conf_set_identity(d->conf, c);
	mt_credential_drop(id->used);
	id->used = c;
	id->fresh = false;
	id->changes++;
	snprintf(id->from, sizeof(id->from), "%s", from);
	d->mesh_changed = d->identity_changed = true;
	if (id->claim)
		identity_tell_held(d);
	say(id);
}

void identity_trouble(struct node_identity *id, const char *why)
{
	if (strcmp(id->why, why) == 0)
		return;
	snprintf(id->why, sizeof(id->why), "%s", why);
	if (id->d->args.check)
		return;
	if (*why && id->claim && !id->used)
		mt_log(MT_LOG_ERROR, "xds", "%s; what needs the identity of %s stays unused", why,
			id->claim);
	else if (*why)
		mt_log(MT_LOG_ERROR, "xds", "%s; %s", why,
			id->used ? "the last good identity stays in use"
				 : "the node has no identity, and what needs one stays unused");
	else
		mt_log(MT_LOG_INFO, "xds", "it is usable again");
}

/* ---- a directory or an agent ----------------------------------------------------------------- */

static void changed(void *arg)
{
	struct node_identity *id = arg;

	identity_use(id, mt_identity_source_hold(id->told), id->where);
}

void identity_turn_told(struct node_identity *id, uint64_t now)
{
	mt_identity_source_turn(id->told, now);
	identity_trouble(id, mt_identity_source_why(id->told));
	if (strcmp(id->note, mt_identity_source_note(id->told)) == 0)
		return;
	snprintf(id->note, sizeof(id->note), "%s", mt_identity_source_note(id->told));
	if (id->note[0] && !id->d->args.check)
		mt_log(MT_LOG_WARN, "xds", "%s", id->note);
}

void identity_close(struct node_identity *id)
{
	mt_identity_source_free(id->told);
	free(id->where);
	id->told = NULL;
	id->where = NULL;
	id->note[0] = '\0';
}

char *identity_words(const struct identity_place *p)
{
	char *words = NULL;

	if (p->directory)
		return strdup(p->directory);
	if (p->xds)
		return asprintf(&words, "xds:%s", p->xds) < 0 ? NULL : words;
	return asprintf(&words, "unix:%s%s%s", p->sds, p->secret ? "#" : "",
		       p->secret ? p->secret : "") < 0
		       ? NULL
		       : words;
}

static struct mt_identity_source *source_of(
	struct node_identity *id, const struct identity_place *p)
{
	struct daemon *d = id->d;

	if (p->directory)
		return mt_identity_directory_new(d->service, p->directory, changed, id);
	return mt_identity_sds_new(p->sds, p->secret, d->node->meta.name, changed, id);
}

int identity_open(struct node_identity *id, const struct identity_place *p)
{
	char *where = identity_words(p);
	struct mt_identity_source *told = where && !p->xds ? source_of(id, p) : NULL;

	if (!where || (!told && !p->xds)) {
		free(where);
		return -ENOMEM;
	}
	if (told && id->claim)
		mt_identity_source_claim(told, id->claim);
	identity_close(id);
	memset(id->serials, 0, sizeof(id->serials));
	id->told = told;
	id->where = where;
	return 0;
}

/* ---- secrets of a source --------------------------------------------------------------------- */

struct mesh_source *identity_first_source(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_mesh; i++)
		if (d->mesh[i].node->identity.s && d->mesh[i].secrets)
			return &d->mesh[i];
	return NULL;
}

/* The source whose name is in `where`; NULL: there is none. */
static struct mesh_source *named(struct node_identity *id)
{
	struct daemon *d = id->d;

	for (uint32_t i = 0; i < d->n_mesh; i++)
		if (d->mesh[i].node->identity.s &&
			strcmp(d->mesh[i].node->name.s, id->where + strlen("xds:")) == 0)
			return &d->mesh[i];
	return NULL;
}

/* A credential of another principal replaces nothing. */
void identity_take(
	struct node_identity *id, struct mt_credential *c, const char *source, struct mt_err *e)
{
	char from[sizeof(id->from)];

	snprintf(from, sizeof(from), "xds:%s", source);
	if (c && id->claim && mt_identity_claimed(c, id->claim, e)) {
		mt_credential_drop(c);
		c = NULL;
	}
	identity_trouble(id, e->text);
	if (c)
		identity_use(id, c, from);
}

static void take_secrets(struct node_identity *id, const struct mesh_source *s,
	const struct mt_secret *self, const struct mt_secret *roots)
{
	struct mt_err e = {""};
	struct mt_credential *c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = self->chain, .key = self->key, .roots = roots->roots},
		&e);

	identity_take(id, c, s->node->name.s, &e);
}

/*
 * Each version of a secret is immutable and has its own serial number, so other numbers mean
 * renewed secrets.
 */
void identity_turn_secrets(struct node_identity *id, const struct mesh_source *s)
{
	struct mt_err e = {""};
	const struct mt_secret *self = mt_secrets_hold(s->secrets, MT_SECRET_IDENTITY, &e);
	const struct mt_secret *roots =
		self ? mt_secrets_hold(s->secrets, MT_SECRET_ROOTS, &e) : NULL;

	if (!roots) {
		identity_trouble(id, s->identity ? e.text : s->no_identity.text);
	} else if (self->serial != id->serials[0] || roots->serial != id->serials[1]) {
		id->serials[0] = self->serial;
		id->serials[1] = roots->serial;
		take_secrets(id, s, self, roots);
	}
	mt_secret_drop(self);
	mt_secret_drop(roots);
}
/* ---- identities of spec.identities ----------------------------------------------------------- */

void identity_turn_held(struct node_identity *id, uint64_t now)
{
	const struct mesh_source *s = id->told ? NULL : named(id);

	if (id->told)
		identity_turn_told(id, now);
	else if (s && s->secrets)
		identity_turn_secrets(id, s);
	else if (!s)
		identity_trouble(id, "its source is used from the next start on");
	if (!id->fresh)
		return;
	id->fresh_until = id->fresh_until ? id->fresh_until : now + IDENTITY_AGENT_NS;
	id->fresh = !*id->why && now < id->fresh_until;
	id->d->held_untold |= !id->fresh;
}
