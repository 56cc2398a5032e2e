/* SPDX-License-Identifier: Apache-2.0 */
/* The Node's `admin.tls`: access to the shell from other machines. */
#include "mt_dns_server.h"
#include "mt_fields.h"

#include <string.h>

#define IDENTITY_MAX 120 /* bytes, so that the audit log keeps all of it */

static void read_listen(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_tls *t = obj;
	struct mt_dns_address a;

	if (!mt_read_text(c, n, &t->listen))
		return;
	if (mt_dns_address_parse(t->listen.s, 0, &a) || !a.port) {
		mt_f_error(c, n->line, "write it like 0.0.0.0:15443",
			"\"%.64s\" is not an address with a port", n->text);
		return;
	}
	t->addr = a.addr;
	t->port = a.port;
}

static const char *const role_words[] = {
	[MT_NODE_ROLE_VIEW] = "view", [MT_NODE_ROLE_OPERATE] = "operate", NULL};

static void check_role(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_tls_role *r = obj;
	size_t len = r->identity.s ? strlen(r->identity.s) : 0;
	const char *star = len ? strchr(r->identity.s, '*') : NULL;

	if (len > IDENTITY_MAX)
		mt_f_error(c, r->identity.line, "names of certificates for operators are shorter",
			"the identity is longer than %u bytes", IDENTITY_MAX);
	else if (star && star[1])
		mt_f_error(c, r->identity.line, "an asterisk stands for the end only: spiffe://x/*",
			"\"%.64s\" has an asterisk within", r->identity.s);
	else if (len && strcmp(r->identity.s, "*") == 0 && r->role.v == MT_NODE_ROLE_OPERATE)
		mt_f_error(c, r->identity.line, "list the operators; `*` may have role view",
			"every client with a certificate could operate the node");
}

static const struct mt_field role_fields[] = {
	{"identity", MT_F_TEXT, AT(struct mt_node_tls_role, identity), .required = true,
		.help = "a URI or DNS name of the client's certificate (its common name if it has "
			"neither); `*` at the end matches any rest"},
	{"role", MT_F_WORD, AT(struct mt_node_tls_role, role), .words = role_words,
		.required = true, .help = "`view`: view and not change; `operate`: all"},
};

static const struct mt_section role_section = {"role", sizeof(struct mt_node_tls_role),
	MT_ARRAY_LEN(role_fields), .fields = role_fields, .after = check_role};

static void check_tls(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_tls *t = obj;

	if (!t->n_roles)
		mt_f_error(c, n->line, "add roles: [{identity: NAME, role: view}]",
			"no client would be accepted");
	mt_beside_the_node(c, &t->certificate);
	mt_beside_the_node(c, &t->key);
	mt_beside_the_node(c, &t->client_roots);
	mt_beside_the_node(c, &t->client_revocations);
}

static const struct mt_field tls_fields[] = {
	{"listen", MT_F_CUSTOM, .custom = read_listen, .required = true,
		.help = "ADDRESS:PORT of the host's kernel"},
	{"certificate", MT_F_TEXT, AT(struct mt_node_tls, certificate), .required = true,
		.help = "PEM file of the node's certificate and its intermediates; read again when "
			"it changes"},
	{"key", MT_F_TEXT, AT(struct mt_node_tls, key), .required = true,
		.help = "PEM file of the certificate's key"},
	{"clientRoots", MT_F_TEXT, AT(struct mt_node_tls, client_roots), .required = true,
		.help = "PEM file of authorities for clients' certificates"},
	{"clientRevocations", MT_F_TEXT, AT(struct mt_node_tls, client_revocations),
		.help = "PEM file of revocation lists, one of each authority; read again when it "
			"changes; default: none is revoked"},
	{"roles", MT_F_LIST, AT_LIST(struct mt_node_tls, roles), .sub = &role_section,
		.help = "roles of clients by identity: the first match is used, and a client "
			"without one is refused; changed by a reload"},
};

const struct mt_section mt_sec_node_tls = {"remote shell", sizeof(struct mt_node_tls),
	MT_ARRAY_LEN(tls_fields), .fields = tls_fields, .after = check_tls};
