/* SPDX-License-Identifier: Apache-2.0 */
/* spec.mesh: the node's place in a mesh; spec.unenforced: objects that are exempt for a while. */
#include "mt_fields.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LABEL_MAX 63
#define DAY_S	  86400

void mt_check_label(struct mt_fctx *c, const struct mt_text *t, const char *what)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = t->s ? strlen(t->s) : 1;

	if (!t->s || (len <= LABEL_MAX && strspn(t->s, chars) == len && t->s[0] != '-' &&
			     t->s[len - 1] != '-'))
		return;
	mt_f_error(c, t->line, "a-z, 0-9 and dashes between them, 63 at most",
		"\"%.64s\" cannot be a %s", t->s, what);
}

/* A trust domain: at most 253 lower-case letters, digits, dashes and dots. */
static void check_domain(struct mt_fctx *c, const struct mt_text *t)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

	if (t->s && (strlen(t->s) > 253 || t->s[strspn(t->s, chars)]))
		mt_f_error(c, t->line, "write it like cluster.local",
			"\"%.64s\" cannot be a trust domain", t->s);
}

/* ---- lend ------------------------------------------------------------------------------------ */

#define SCHEME "spiffe://"

static void check_principal(struct mt_fctx *c, const struct mt_text *t)
{
	const char *name = t->s + strlen(SCHEME), *star = strchr(name, '*');

	if (!*name || name[strcspn(name, " \t")])
		mt_f_error(c, t->line, "write it like spiffe://TRUST-DOMAIN/ns/NS/sa/NAME",
			"\"%.128s\" cannot be a principal", t->s);
	else if (star && star[1])
		mt_f_error(c, t->line,
			"an asterisk stands for the end only: spiffe://cluster.local/ns/shop/*",
			"\"%.128s\" has an asterisk within", t->s);
}

static void check_client(struct mt_fctx *c, const struct mt_text *t)
{
	struct mt_addr addr;
	uint8_t prefix;

	if (t->s && strncmp(t->s, SCHEME, strlen(SCHEME)) == 0)
		check_principal(c, t);
	else if (t->s && mt_prefix_parse(t->s, &addr, &prefix))
		mt_f_error(c, t->line,
			"write networks like 10.0.0.0/8, or spiffe://TRUST-DOMAIN/ns/NS/sa/NAME",
			"\"%.128s\" is neither a network nor a principal", t->s);
}

static void check_lend(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_lend *l = obj;

	for (uint32_t i = 0; i < l->n_clients; i++)
		check_client(c, &l->clients[i]);
	for (uint32_t i = 0; i < l->n_to; i++)
		mt_check_label(c, &l->to[i], "namespace");
}

static const struct mt_field lend_fields[] = {
	{"clients", MT_F_TEXTS, AT_LIST(struct mt_node_lend, clients), .required = true,
		.help = "networks, or principals (spiffe://..., with `*` at the end for any rest), "
			"that may use the node's identity"},
	{"to", MT_F_TEXTS, AT_LIST(struct mt_node_lend, to),
		.help = "namespaces of services that they may call by it; default: all"},
};

static const struct mt_section lend_section = {"use of the node's identity",
	sizeof(struct mt_node_lend), MT_ARRAY_LEN(lend_fields), .fields = lend_fields,
	.after = check_lend};

/* ---- mesh ------------------------------------------------------------------------------------ */

static void check_mesh(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_mesh *m = obj;

	mt_check_label(c, &m->ns, "namespace");
	mt_check_label(c, &m->root_ns, "namespace");
	check_domain(c, &m->trust_domain);
}

static const struct mt_field mesh_fields[] = {
	{"namespace", MT_F_TEXT, AT(struct mt_node_mesh, ns),
		.help = "the node's namespace: objects exported to it are visible, and its "
			"DestinationRules are used first; default: that of each service"},
	{"serviceAccount", MT_F_TEXT, AT(struct mt_node_mesh, service_account), .status = MT_S_KEPT,
		.help = "the node's account; default: by the certificate"},
	{"trustDomain", MT_F_TEXT, AT(struct mt_node_mesh, trust_domain),
		.help = "the mesh's trust domain; default: MeshConfig's, then the certificate's"},
	{"rootNamespace", MT_F_TEXT, AT(struct mt_node_mesh, root_ns),
		.help = "namespace of policies for all namespaces; default: MeshConfig's, then "
			"istio-system"},
	{"config", MT_F_TEXT, AT(struct mt_node_mesh, config),
		.help = "a file with a MeshConfig; a relative path counts from the Node's file; "
			"default: key `mesh` of ConfigMap `istio` in the root namespace among the "
			"documents"},
	{"nodeIdentityUse", MT_F_POINTER, AT(struct mt_node_mesh, lend), .sub = &lend_section,
		.was = "lend",
		.help = "use of the node's identity: the clients that the node connects for with "
			"its "
			"own certificate; default: none"},
};

const struct mt_section mt_sec_node_mesh = {"mesh setting", sizeof(struct mt_node_mesh),
	MT_ARRAY_LEN(mesh_fields), .fields = mesh_fields, .after = check_mesh};

/* ---- exemptions ------------------------------------------------------------------------------ */

static void read_hash(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_unenforced *u = obj;
	struct mt_text t = {0};

	if (!mt_read_text(c, n, &t))
		return;
	/* Accept the hash of an earlier version, so that an upgraded node still starts. */
	u->hash_void = strlen(t.s) == 16 && strspn(t.s, "0123456789abcdef") == 16;
	if (!mt_content_hash_parse(t.s, &u->hash) && !u->hash_void)
		mt_f_error(c, n->line, "copy it from `meltemi show objects --json`",
			"\"%.64s\" is not a hash: 64 digits of 0-9 and a-f", t.s);
}

/* Reads the last day of an exemption, which ends at the end of that day (UTC). */
static void read_until(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_unenforced *u = obj;
	struct tm tm = {0}, said;
	const char *end;
	time_t at;

	if (!mt_read_text(c, n, &u->until_text))
		return;
	end = strptime(n->text, "%Y-%m-%d", &tm);
	/* timegm() turns February 31 into March 3: compare the day to find dates that do not exist. */
	said = tm;
	at = end && !*end ? timegm(&tm) : -1;
	if (at < 0 || said.tm_mday != tm.tm_mday)
		mt_f_error(
			c, n->line, "write a day: YYYY-MM-DD", "\"%.64s\" is not a day", n->text);
	else
		u->until = (int64_t)at + DAY_S;
}

/* Checks that the entry names exactly one object, of a kind that can restrict access. */
static void check_one(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_unenforced *u = obj;
	const struct mt_text *const words[] = {&u->kind, &u->ns, &u->name};
	const struct mt_kind *k;

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (words[i]->s && strchr(words[i]->s, '*'))
			mt_f_error(c, words[i]->line, "name one object", "no wildcard stands here");
	for (k = mt_kinds; u->kind.s && k->kind; k++)
		if (k->restricts && strcmp(k->kind, u->kind.s) == 0)
			break;
	if (u->kind.s && !k->kind)
		mt_f_error(c, u->kind.line, "only what protects can be left out",
			"\"%.64s\" is not a kind that can close", u->kind.s);
}

static const struct mt_field unenforced_fields[] = {
	{"kind", MT_F_TEXT, AT(struct mt_node_unenforced, kind), .required = true,
		.help = "kind of the object, one that restricts access"},
	{"namespace", MT_F_TEXT, AT(struct mt_node_unenforced, ns), .required = true,
		.help = "namespace of the object"},
	{"name", MT_F_TEXT, AT(struct mt_node_unenforced, name), .required = true,
		.help = "name of one object, without wildcards"},
	{"hash", MT_F_CUSTOM, .custom = read_hash, .required = true,
		.help = "hash of its present content (`show objects --json`); after a change the "
			"object is enforced, or fails closed, again"},
	{"until", MT_F_CUSTOM, .custom = read_until, .required = true,
		.help = "last day of the exemption, YYYY-MM-DD (UTC)"},
	{"because", MT_F_TEXT, AT(struct mt_node_unenforced, because), .required = true,
		.help = "reason, for later readers"},
};

const struct mt_section mt_sec_node_unenforced = {"object that is not enforced",
	sizeof(struct mt_node_unenforced), MT_ARRAY_LEN(unenforced_fields),
	.fields = unenforced_fields, .after = check_one};

static bool is_same(const struct mt_node_unenforced *a, const struct mt_node_unenforced *b)
{
	const struct mt_text *const x[] = {&a->kind, &a->ns, &a->name};
	const struct mt_text *const y[] = {&b->kind, &b->ns, &b->name};

	for (size_t i = 0; i < MT_ARRAY_LEN(x); i++)
		if (!x[i]->s || !y[i]->s || strcmp(x[i]->s, y[i]->s) != 0)
			return false;
	return true;
}

void mt_check_unenforced(struct mt_fctx *c, const struct mt_node *node)
{
	for (uint32_t i = 1; i < node->n_unenforced; i++)
		for (uint32_t j = 0; j < i; j++)
			if (is_same(&node->unenforced[i], &node->unenforced[j]))
				mt_f_error(c, node->unenforced[i].origin.line, "keep one of them",
					"the object is already on line %u",
					node->unenforced[j].origin.line);
}
