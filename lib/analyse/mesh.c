/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks settings of the Node for all objects (exceptions, use of the node's identity), and
 * certificates that end soon.
 */
#include "mt_analyse_priv.h"
#include "mt_x509.h"

#include <inttypes.h>
#include <string.h>

#define DAY_S  86400
#define SOON_S (7 * DAY_S)
#define ENDS_S (14 * DAY_S)
#define LONG_S (366 * (int64_t)DAY_S)
/* Mesh certificates last for a day and are renewed at half of it: report one in its last fifth. */
#define PART 5

/* ---- spec.unenforced ------------------------------------------------------------------------- */

static void check_unenforced(struct mt_analysis *a, const struct mt_node_unenforced *u)
{
	const struct mt_object_table *t = a->in->table;
	const struct mt_object_row *found = NULL;
	char hash[MT_CONTENT_HASH_TEXT] = "";
	bool same = false;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *o = t->rows[i].o;

		if (strcmp(u->kind.s, o->kind) != 0 || strcmp(u->ns.s, o->ns) != 0 ||
			strcmp(u->name.s, o->name) != 0 || !o->restricts || o->outside)
			continue;
		found = &t->rows[i];
		same |= !u->hash_void && mt_content_hash_same(&o->hash, &u->hash);
	}
	if (found)
		mt_content_hash_str(&found->o->hash, hash);
	if (u->until <= a->in->wall)
		mt_an_found(a, MT_FINDING_ID_unenforced_void, &a->m->node->meta, u->origin.line,
			"%s %s/%s: the day has passed (%s)", u->kind.s, u->ns.s, u->name.s,
			u->until_text.s);
	else if (!found)
		mt_an_found(a, MT_FINDING_ID_unenforced_void, &a->m->node->meta, u->origin.line,
			"%s %s/%s is not here, or protects nothing", u->kind.s, u->ns.s, u->name.s);
	else if (!same)
		mt_an_found(a, MT_FINDING_ID_unenforced_void, &a->m->node->meta, u->origin.line,
			u->hash_void ? "%s %s/%s has a hash of an earlier version of Meltemi; now "
				       "it is %s"
				     : "%s %s/%s has changed: hash %s",
			u->kind.s, u->ns.s, u->name.s, hash);
	else if (u->until - a->in->wall <= SOON_S)
		mt_an_found(a, MT_FINDING_ID_unenforced_soon, &a->m->node->meta, u->origin.line,
			"%s %s/%s is enforced again after %s", u->kind.s, u->ns.s, u->name.s,
			u->until_text.s);
	else if (u->until - a->in->wall > LONG_S)
		mt_an_found(a, MT_FINDING_ID_unenforced_long, &a->m->node->meta, u->origin.line,
			"%s %s/%s is not enforced until %s", u->kind.s, u->ns.s, u->name.s,
			u->until_text.s);
}

/* ---- spec.mesh.nodeIdentityUse --------------------------------------------------------------- */

static bool is_everybody(const char *s)
{
	struct mt_addr net;
	uint8_t bits;

	if (strcmp(s, "*") == 0 || strcmp(s, MT_SPIFFE "*") == 0)
		return true;
	return strchr(s, '/') && mt_prefix_parse(s, &net, &bits) == 0 && bits == 0;
}

static void check_lend(struct mt_analysis *a, const struct mt_node_lend *l)
{
	for (uint32_t i = 0; i < l->n_clients; i++)
		if (is_everybody(l->clients[i].s))
			mt_an_found(a, MT_FINDING_ID_lend_everybody, &a->m->node->meta,
				l->clients[i].line, "%s borrows the node's identity%s",
				l->clients[i].s, l->n_to ? "" : ", towards every namespace");
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* Reports a certificate that ends in at most `soon` seconds. */
static void tell_end(struct mt_analysis *a, const struct mt_meta *of, uint32_t line,
	const char *what, int64_t until, int64_t soon)
{
	int64_t left = until - a->in->wall;

	if (left <= 0)
		mt_an_found(a, MT_FINDING_ID_certificate_ends, of, line, "%s has ended", what);
	else if (left <= soon)
		mt_an_found(a, MT_FINDING_ID_certificate_ends, of, line,
			"%s ends in %" PRId64 " days", what, left / DAY_S);
}

/* Decodes base64; NULL if it is invalid. */
static char *plain_of(struct mt_analysis *a, const char *coded)
{
	size_t len = strlen(coded);
	unsigned char *out = mt_region_alloc(&a->region, len + 4);
	char *packed = mt_region_alloc(&a->region, len + 1);
	size_t n = 0;

	for (const char *p = coded; packed && *p; p++)
		if (*p != '\n' && *p != '\r' && *p != ' ')
			packed[n++] = *p;
	if (!out || !packed || EVP_DecodeBlock(out, (const unsigned char *)packed, (int)n) < 0)
		return NULL;
	return (char *)out;
}

static void check_secret(struct mt_analysis *a, const struct mt_kube_secret *s)
{
	static const char *const keys[] = {"tls.crt", "cert"};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		const char *coded = mt_labels_get(&s->data, keys[i]),
			   *pem = mt_labels_get(&s->clear, keys[i]);
		STACK_OF(X509) * list;

		if (!pem && coded)
			pem = plain_of(a, coded);
		list = pem ? mt_x509_list(pem, 1) : NULL;
		if (!list)
			continue;
		tell_end(a, &s->meta, 0, "the certificate in it",
			mt_x509_time(X509_get0_notAfter(sk_X509_value(list, 0))), ENDS_S);
		mt_x509_list_free(list);
		return;
	}
}

static void check_domain(struct mt_analysis *a, const struct mt_node *n)
{
	const struct mt_audit *all = a->in->audit;
	const char *p = a->in->principal;
	size_t len = p ? strcspn(p, "/") : 0;

	for (uint32_t i = 0; i < all->n_domains; i++)
		if (strlen(all->domains[i]) == len && strncmp(all->domains[i], p, len) == 0)
			return;
	if (len && all->n_domains)
		mt_an_found(a, MT_FINDING_ID_foreign_identity, &n->meta,
			n->mesh ? n->mesh->origin.line : 0,
			"the node is %s, and the mesh's trust domain is %s", p, all->domains[0]);
}

void mt_an_mesh(struct mt_analysis *a)
{
	const struct mt_node *n = a->m->node;

	for (uint32_t i = 0; i < a->m->secrets.n; i++) {
		const struct mt_kube_secret *s = a->m->secrets.v[i];
		const struct mt_object_row *row = mt_an_row(a, s->meta.serial);

		/* A Secret to which nothing refers is not used. */
		if (row && row->status <= MT_OBJECT_NOTES)
			check_secret(a, s);
	}
	if (!n)
		return;
	for (uint32_t i = 0; i < n->n_unenforced; i++)
		check_unenforced(a, &n->unenforced[i]);
	if (n->mesh && n->mesh->lend)
		check_lend(a, n->mesh->lend);
	check_domain(a, n);
	if (a->in->until)
		tell_end(a, &n->meta, n->identity ? n->identity->origin.line : 0,
			"the node's own certificate", a->in->until,
			MT_MIN((int64_t)ENDS_S, (a->in->until - a->in->since) / PART));
}
