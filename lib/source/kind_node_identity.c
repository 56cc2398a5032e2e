/* SPDX-License-Identifier: Apache-2.0 */
/* spec.identity: the node's own identity; spec.identities: identities of callers that it holds. */
#include "mt_fields.h"

#include <string.h>

#define SCHEME "spiffe://"

/* ---- spec.identity --------------------------------------------------------------------------- */

static void check_identity(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_identity *i = obj;

	mt_beside_the_node(c, &i->directory);
	mt_beside_the_node(c, &i->sds);
	if (!i->directory.s == !i->sds.s)
		mt_f_error(c, n->line, "write directory: DIR or sds: SOCKET, one of them",
			"an identity is in a directory, or is served by an agent");
}

static const struct mt_field identity_fields[] = {
	{"directory", MT_F_TEXT, AT(struct mt_node_identity, directory),
		.help = "directory of the PEM files cert-chain.pem, key.pem and root-cert.pem (one "
			"or more roots), and optionally ca-crl.pem (revocation lists); replace "
			"them by rename; changes are used within 2 s; a relative path starts at "
			"the Node's file"},
	{"sds", MT_F_TEXT, AT(struct mt_node_identity, sds),
		.help = "instead of directory: unix socket of an agent with the secrets `default` "
			"and `ROOTCA` of Envoy's secret discovery service (istio-agent, SPIRE); a "
			"relative path starts at the Node's file"},
};

const struct mt_section mt_sec_node_identity = {"identity", sizeof(struct mt_node_identity),
	MT_ARRAY_LEN(identity_fields), .fields = identity_fields, .after = check_identity};

/* ---- spec.identities ------------------------------------------------------------------------- */

static void check_principal(struct mt_fctx *c, const struct mt_text *t)
{
	const char *domain = t->s ? t->s + strlen(SCHEME) : NULL;

	if (!t->s)
		return;
	if (strlen(t->s) > MT_HELD_PRINCIPAL_MAX || strncmp(t->s, SCHEME, strlen(SCHEME)) != 0 ||
		*domain == '/' || !strchr(domain, '/') || t->s[strcspn(t->s, " \t*")])
		mt_f_error(c, t->line, "write it like spiffe://TRUST-DOMAIN/ns/NS/sa/NAME",
			"\"%.128s\" cannot be one principal", t->s);
}

static void check_held(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_held *h = obj;

	mt_beside_the_node(c, &h->directory);
	mt_beside_the_node(c, &h->sds);
	check_principal(c, &h->principal);
	if ((h->directory.s != NULL) + (h->sds.s != NULL) + (h->xds.s != NULL) != 1)
		mt_f_error(c, n->line,
			"write directory: DIR, sds: SOCKET or xds: SOURCE, one of them",
			"an identity is in a directory, is served by an agent, or is a source's");
	if (h->secret.s && !h->sds.s)
		mt_f_error(c, h->secret.line, "leave it out",
			"only an agent's (sds) secrets have names");
}

static const struct mt_field held_fields[] = {
	{"principal", MT_F_TEXT, AT(struct mt_node_held, principal), .required = true,
		.help = "the identity, spiffe://..., which the certificate must have"},
	{"directory", MT_F_TEXT, AT(struct mt_node_held, directory),
		.help = "a directory of PEM files, as `identity.directory`"},
	{"sds", MT_F_TEXT, AT(struct mt_node_held, sds),
		.help = "instead of directory: unix socket of an agent, as `identity.sds`"},
	{"secret", MT_F_TEXT, AT(struct mt_node_held, secret),
		.help = "with `sds`: name of the secret with certificate and key; SPIRE's agent "
			"has one for each principal; default: default"},
	{"xds", MT_F_TEXT, AT(struct mt_node_held, xds),
		.help = "instead of both: name of a source with an identity "
			"(`sources[].xds.identity`)"},
};

const struct mt_section mt_sec_node_held = {"identity in addition to the node's own",
	sizeof(struct mt_node_held), MT_ARRAY_LEN(held_fields), .fields = held_fields,
	.after = check_held};

static bool has_source(const struct mt_node *n, const char *name)
{
	for (uint32_t i = 0; i < n->n_sources; i++) {
		const struct mt_node_xds *x = n->sources[i].xds;

		if (x && x->identity.s && x->name.s && strcmp(x->name.s, name) == 0)
			return true;
	}
	return false;
}

void mt_check_identities(struct mt_fctx *c, const struct mt_node *node)
{
	for (uint32_t i = 0; i < node->n_identities; i++) {
		const struct mt_node_held *h = &node->identities[i];

		if (i == MT_HELD_MAX)
			mt_f_error(c, h->origin.line, "64 at most", "too many identities");
		if (h->xds.s && !has_source(node, h->xds.s))
			mt_f_error(c, h->xds.line, "name a source that has an `identity`",
				"\"%.64s\" is not a source with an identity of its own", h->xds.s);
		for (uint32_t k = 0; h->principal.s && k < i; k++)
			if (node->identities[k].principal.s &&
				strcmp(node->identities[k].principal.s, h->principal.s) == 0)
				mt_f_error(c, h->principal.line, "keep one of them",
					"\"%.128s\" is already on line %u", h->principal.s,
					node->identities[k].origin.line);
	}
}
