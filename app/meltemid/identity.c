/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the node is to its peers: by spec.identity, a directory or an agent's socket, else by the first source that has an identity of its own. Only a
 * good credential takes the place of another one; what cannot be used is told. Without any, nothing speaks the mesh's TLS.
 */
#include "daemon.h"

#include "mt_cert.h"
#include "mt_identity.h"
#include "mt_identity_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOKS	 3 /* before the first documents: files may change while they are read */
#define LOOK_NS	 MT_SEC
#define AGENT_NS (2 * MT_SEC) /* how long the first documents wait for an agent */

/* ---- what is used -------------------------------------------------------------------------------------- */

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

	if (id->quiet)
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

/* From the next compile on, which follows at once where there is a loop; `c` is taken over. */
static void use(struct daemon *d, struct mt_credential *c, const char *from)
{
	struct node_identity *id = &d->identity;

	if (is_same(c, id->used)) {
		mt_credential_drop(c);
		return;
	}
	mt_conf_set_identity(d->conf, c);
	mt_credential_drop(id->used);
	id->used = c;
	id->changes++;
	snprintf(id->from, sizeof(id->from), "%s", from);
	d->mesh_changed = true;
	say(id);
}

/* Once for each reason. */
static void trouble(struct node_identity *id, const char *why)
{
	if (strcmp(id->why, why) == 0)
		return;
	snprintf(id->why, sizeof(id->why), "%s", why);
	if (id->quiet)
		return;
	if (*why)
		mt_log(MT_LOG_ERROR, "xds", "%s; %s", why,
			id->used ? "the last good identity goes on"
				 : "the node has no identity, and what needs one stays unused");
	else
		mt_log(MT_LOG_INFO, "xds", "what could not be used is in order");
}

/* ---- a directory, an agent ------------------------------------------------------------------------------ */

static void changed(void *arg)
{
	struct daemon *d = arg;

	use(d, mt_identity_source_hold(d->identity.told), d->identity.where);
}

static void turn_told(struct daemon *d, uint64_t now)
{
	struct node_identity *id = &d->identity;

	mt_identity_source_turn(id->told, now);
	trouble(id, mt_identity_source_why(id->told));
	if (strcmp(id->note, mt_identity_source_note(id->told)) == 0)
		return;
	snprintf(id->note, sizeof(id->note), "%s", mt_identity_source_note(id->told));
	if (id->note[0] && !id->quiet)
		mt_log(MT_LOG_WARN, "xds", "%s", id->note);
}

static void close_told(struct node_identity *id)
{
	mt_identity_source_free(id->told);
	free(id->where);
	id->told = NULL;
	id->where = NULL;
	id->note[0] = '\0';
}

/* What is asked, in words; to be freed. */
static char *place_of(const struct mt_node_identity *n)
{
	char *words = NULL;

	if (n->directory.s)
		return strdup(n->directory.s);
	return asprintf(&words, "unix:%s", n->sds.s) < 0 ? NULL : words;
}

/* In place of what was looked at before, if there is memory for it. */
static int open_told(struct daemon *d, const struct mt_node_identity *n)
{
	struct node_identity *id = &d->identity;
	char *where = place_of(n);
	struct mt_identity_source *told = NULL;

	if (where)
		told = n->directory.s
			       ? mt_identity_directory_new(d->service, n->directory.s, changed, d)
			       : mt_identity_sds_new(n->sds.s, d->node->meta.name, changed, d);
	if (!told) {
		free(where);
		return -ENOMEM;
	}
	close_told(id);
	id->told = told;
	id->where = where;
	return 0;
}

/* ---- a source's ------------------------------------------------------------------------------------------ */

static struct mesh_source *first_of(struct daemon *d)
{
	for (uint32_t i = 0; i < d->n_mesh; i++)
		if (d->mesh[i].node->identity.s && d->mesh[i].secrets)
			return &d->mesh[i];
	return NULL;
}

static void take_secrets(struct daemon *d, const struct mesh_source *s,
	const struct mt_secret *self, const struct mt_secret *roots)
{
	struct mt_err e = {""};
	struct mt_credential *c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = self->chain, .key = self->key, .roots = roots->roots},
		&e);
	char from[sizeof(d->identity.from)];

	trouble(&d->identity, e.text);
	snprintf(from, sizeof(from), "xds:%s", s->node->name.s);
	if (c)
		use(d, c, from);
}

/* Its certificate is renewed by itself; a version of a secret never changes, and has a number of its own. */
static void turn_secrets(struct daemon *d, const struct mesh_source *s)
{
	struct node_identity *id = &d->identity;
	struct mt_err e = {""};
	const struct mt_secret *self = mt_secrets_hold(s->secrets, MT_SECRET_IDENTITY, &e);
	const struct mt_secret *roots =
		self ? mt_secrets_hold(s->secrets, MT_SECRET_ROOTS, &e) : NULL;

	if (!roots) {
		trouble(id, s->identity ? e.text : s->no_identity.text);
	} else if (self->serial != id->serials[0] || roots->serial != id->serials[1]) {
		id->serials[0] = self->serial;
		id->serials[1] = roots->serial;
		take_secrets(d, s, self, roots);
	}
	mt_secret_drop(self);
	mt_secret_drop(roots);
}

/* ---- the room -------------------------------------------------------------------------------------------- */

void identity_turn(struct daemon *d, uint64_t now)
{
	const struct mesh_source *s = d->identity.told ? NULL : first_of(d);

	if (d->identity.told)
		turn_told(d, now);
	else if (s)
		turn_secrets(d, s);
}

/* What a source wrote down when the node last ran: who connects now and who connects in a moment meet the same node. */
static void load_joined(struct daemon *d)
{
	const struct mt_node_xds *x = NULL;
	struct mt_credential *c;
	char from[sizeof(d->identity.from)];
	struct mt_err e;

	for (uint32_t i = 0; i < d->node->n_sources && !x; i++)
		if (d->node->sources[i].xds && d->node->sources[i].xds->identity.s)
			x = d->node->sources[i].xds;
	/* That it cannot be read is told once there is a loop, which tries again. */
	c = x ? mt_identity_peek(x->identity.s, &e) : NULL;
	if (!c)
		return;
	snprintf(from, sizeof(from), "xds:%s", x->name.s);
	use(d, c, from);
}

static void look_at_files(struct daemon *d)
{
	for (uint64_t i = 1; i <= LOOKS && !d->identity.used; i++)
		turn_told(d, i * LOOK_NS);
}

/*
 * An agent on this machine answers at once, or is not there yet: then its answer is compiled in when it comes. There is no clock yet, and
 * what is made now with this one's times goes on by another: so they are small.
 */
static void wait_for_agent(struct daemon *d)
{
	const uint64_t began = mt_watch_clock();
	uint64_t passed = 0;

	while (!d->identity.used && passed < AGENT_NS) {
		mt_identity_source_turn(d->identity.told, passed);
		nanosleep(&(struct timespec){.tv_nsec = 10 * MT_MSEC}, NULL);
		passed = mt_watch_clock() - began;
	}
	turn_told(d, passed);
}

static int load_told(struct daemon *d, const struct mt_node_identity *n)
{
	/* Nobody is asked who only checks. */
	if (n->sds.s && d->args.check)
		return 0;
	if (open_told(d, n))
		return -ENOMEM;
	if (n->sds.s)
		wait_for_agent(d);
	else
		look_at_files(d);
	return 0;
}

int identity_load(struct daemon *d)
{
	const struct mt_node_identity *n = d->node->identity;
	int rc = 0;

	d->identity.quiet = d->args.check;
	if (n)
		rc = load_told(d, n);
	else
		load_joined(d);
	/* The load that follows has it. */
	d->mesh_changed = false;
	return rc;
}

int identity_start(struct daemon *d, struct mt_err *e)
{
	if (d->identity.told)
		mt_identity_source_serve(d->identity.told, d->service);
	return 0;
}

void identity_stop(struct daemon *d)
{
	close_told(&d->identity);
}

void identity_forget(struct daemon *d)
{
	close_told(&d->identity);
	mt_credential_drop(d->identity.used);
	d->identity.used = NULL;
}

/* ---- another Node document ------------------------------------------------------------------------------- */

/* The sources' word counts now, and no directory's any more. */
static void leave_told(struct daemon *d)
{
	const struct mesh_source *s = first_of(d);
	uint32_t changes = d->identity.changes;

	close_told(&d->identity);
	memset(d->identity.serials, 0, sizeof(d->identity.serials));
	if (s)
		turn_secrets(d, s);
	else
		trouble(&d->identity, "");
	if (d->identity.changes == changes)
		use(d, NULL, "");
}

void identity_aim(struct daemon *d, const struct mt_node *node)
{
	const struct mt_node_identity *n = node->identity;
	const char *now = d->identity.where;
	char *where = n ? place_of(n) : NULL;

	if (!n && now)
		leave_told(d);
	else if (n && (!where || !now || strcmp(now, where) != 0) && open_told(d, n))
		trouble(&d->identity, "no memory to look at another spec.identity");
	free(where);
}

/* ---- told ------------------------------------------------------------------------------------------------ */

/* Of "spiffe://TD/ns/NS/sa/NAME"; "": it has none. */
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

/* What is not good of what is used: as its source says, and as the Node says otherwise. Until the next question. */
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

void identity_ask(void *arg, struct mt_ctl_identity *out)
{
	struct daemon *d = arg;
	const struct node_identity *id = &d->identity;

	*out = (struct mt_ctl_identity){.credential = id->used,
		.wanted = id->told || first_of(d),
		.from = id->from,
		.directory = id->where,
		.why = id->why,
		.note = notes(d),
		.changes = id->changes};
}

static void nobody(void *arg)
{
}

void check_identity(const struct mt_node *n, struct mt_diags *diags)
{
	const struct mt_node_identity *i = n->identity;
	struct mt_identity_source *s =
		i && i->directory.s ? mt_identity_directory_new(NULL, i->directory.s, nobody, NULL)
				    : NULL;
	const char *why, *note;

	if (!s)
		return;
	mt_identity_source_turn(s, LOOK_NS);
	why = mt_identity_source_why(s);
	note = mt_identity_source_note(s);
	if (*why || *note)
		mt_diag_add(diags, MT_DIAG_WARNING,
			(struct mt_origin){n->meta.origin.file, i->directory.line},
			"spec.identity.directory",
			*why ? "a node runs without, and what needs its identity stays unused"
			     : NULL,
			"%s", *why ? why : note);
	mt_identity_source_free(s);
}
