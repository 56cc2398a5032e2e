/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Security policies. Fields and words are those of Istio 1.31. What Istio's admission rejects is
 * rejected here, too, so that no rule takes effect with a meaning that its author did not intend.
 */
#include "mt_fields.h"
#include "mt_jwks_store.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS(type, member) .offset = offsetof(type, member.v), .count = offsetof(type, member.n)

/* ---- selectors and targets ------------------------------------------------------------------- */

static const struct mt_field selector_fields[] = {
	{"matchLabels", MT_F_LABELS, AT(struct mt_policy_selector, labels), .length = MT_LABEL_TEXT,
		.help = "labels that endpoints must all have; none: all endpoints of the "
			"namespace"},
};

static const struct mt_section selector_section = {"selector", sizeof(struct mt_policy_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields};

static void check_scope(
	struct mt_fctx *c, const struct mt_ynode *n, const struct mt_policy_scope *s)
{
	const struct mt_policy_target *t = s->n_targets ? &s->targets[0] : s->target;

	if (s->selector && t)
		mt_f_error(c, t->origin.line, "keep one of them",
			"selector and targetRefs exclude each other");
	else if (s->target && s->n_targets)
		mt_f_error(c, t->origin.line, "keep targetRefs",
			"targetRef and targetRefs exclude each other");
}

#define SELECTOR_FIELD(type)                                                                       \
	{                                                                                          \
		"selector", MT_F_POINTER, AT(type, scope.selector),                                \
			.sub = &selector_section,                                                  \
			.help = "endpoints that the policy applies to; none: all of the namespace" \
	}
#define TARGET_FIELDS(type)                                                                        \
	{"targetRef", MT_F_POINTER, AT(type, scope.target), .sub = &mt_sec_policy_target,          \
		.help = "the older form of `targetRefs`"},                                         \
	{                                                                                          \
		"targetRefs", MT_F_LIST, .offset = offsetof(type, scope.targets),                  \
					 .count = offsetof(type, scope.n_targets),                 \
					 .sub = &mt_sec_policy_target, .max = MT_LIST_SHORT,       \
					 .help = "services (or Gateways) with their endpoints, "   \
						 "instead of a selector"                           \
	}

/* ---- formats of values ----------------------------------------------------------------------- */

static struct mt_texts *texts_at(void *obj, const struct mt_field *f)
{
	return (struct mt_texts *)((uint8_t *)obj + f->offset);
}

static void check_blocks(struct mt_fctx *c, const struct mt_texts *l)
{
	struct mt_addr a;
	uint8_t prefix;

	for (uint32_t i = 0; i < l->n; i++)
		if (mt_prefix_parse(l->v[i].s, &a, &prefix))
			mt_f_error(c, l->v[i].line, "write it like 192.0.2.0/24 or 192.0.2.7",
				"\"%.64s\" is neither an address nor a prefix", l->v[i].s);
}

static void check_ports(struct mt_fctx *c, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const char *s = l->v[i].s;
		size_t len = strlen(s);

		if (len == 0 || len > 5 || strspn(s, "0123456789") != len || atoi(s) > 65535)
			mt_f_error(c, l->v[i].line, "write numbers from 0 to 65535",
				"\"%.64s\" is not a port", s);
	}
}

/* Checks the format of address blocks and ports. */
static void check_section(struct mt_fctx *c, const struct mt_section *s, void *obj)
{
	for (uint32_t i = 0; i < s->n_fields; i++) {
		const struct mt_field *f = &s->fields[i];
		const struct mt_texts *l;
		uint32_t mark;

		if (f->type != MT_F_TEXTS)
			continue;
		l = texts_at(obj, f);
		mark = mt_path_push(c, f->name);
		if (strstr(f->name, "pBlocks"))
			check_blocks(c, l);
		else if (strcmp(f->name, "ports") == 0 || strcmp(f->name, "notPorts") == 0)
			check_ports(c, l);
		mt_path_pop(c, mark);
	}
}

/* ---- rules ----------------------------------------------------------------------------------- */

#define NOBODY                                                                                     \
	"by the caller's certificate, or its address on a port of `side: workloads`; other "       \
	"callers match none"
#define NO_TOKEN "`ISSUER/SUBJECT` of the caller's token; callers without one match none"
#define MATCH	 "`abc`, `abc*`, `*abc`, `*` (any)"

#define SOURCE(name, member, words)                                                                \
	{                                                                                          \
		name, MT_F_TEXTS, TEXTS(struct mt_policy_source, member), .help = words            \
	}

static const struct mt_field source_fields[] = {
	SOURCE("principals", principals, NOBODY),
	SOURCE("notPrincipals", not_principals, "also matches callers without one"),
	SOURCE("requestPrincipals", request_principals, NO_TOKEN),
	SOURCE("notRequestPrincipals", not_request_principals, "also matches callers without one"),
	SOURCE("namespaces", namespaces, NOBODY),
	SOURCE("notNamespaces", not_namespaces, "also matches callers without one"),
	SOURCE("serviceAccounts", service_accounts, NOBODY),
	SOURCE("notServiceAccounts", not_service_accounts, "also matches callers without one"),
	SOURCE("trustDomains", trust_domains, NOBODY),
	SOURCE("notTrustDomains", not_trust_domains, "also matches callers without one"),
	SOURCE("ipBlocks", ip_blocks, "the peer's address"),
	SOURCE("notIpBlocks", not_ip_blocks, "the peer's address"),
	SOURCE("remoteIpBlocks", remote_ip_blocks, "the peer's address"),
	SOURCE("notRemoteIpBlocks", not_remote_ip_blocks, "the peer's address"),
};

static const struct mt_section source_section;

static void check_source(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_policy_source *s = obj;

	check_section(c, &source_section, obj);
	if ((s->service_accounts.n || s->not_service_accounts.n) &&
		(s->principals.n || s->not_principals.n || s->namespaces.n || s->not_namespaces.n))
		mt_f_error(c, n->line, "keep one of them",
			"serviceAccounts excludes principals and namespaces");
}

static const struct mt_section source_section = {"source", sizeof(struct mt_policy_source),
	MT_ARRAY_LEN(source_fields), .fields = source_fields, .after = check_source};

#define OPERATION(name, member, words)                                                             \
	{                                                                                          \
		name, MT_F_TEXTS, TEXTS(struct mt_policy_operation, member), .help = words         \
	}

static const struct mt_field operation_fields[] = {
	OPERATION("hosts", hosts,
		"no protocol here has them: an ALLOW rule never matches, a DENY rule ignores the "
		"field"),
	OPERATION("notHosts", not_hosts, "as `hosts`"),
	OPERATION("ports", ports, "the endpoint's port; in DENY also the service's"),
	OPERATION("notPorts", not_ports, "the endpoint's port"),
	OPERATION("methods", methods, "of the RPC: " MATCH),
	OPERATION("notMethods", not_methods, "of the RPC"),
	OPERATION("paths", paths, "`/INTERFACE/METHOD`, with or without the first slash: " MATCH),
	OPERATION("notPaths", not_paths, "`/INTERFACE/METHOD`"),
};

static const struct mt_section operation_section;

static void check_operation(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	check_section(c, &operation_section, obj);
}

static const struct mt_section operation_section = {"operation", sizeof(struct mt_policy_operation),
	MT_ARRAY_LEN(operation_fields), .fields = operation_fields, .after = check_operation};

static void check_condition(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_policy_condition *w = obj;
	const char *key = w->key.s ? w->key.s : "";

	if (!w->values.n && !w->not_values.n)
		mt_f_error(c, n->line, "write values or notValues", "a condition without values");
	if (strcmp(key, "source.ip") == 0 || strcmp(key, "remote.ip") == 0 ||
		strcmp(key, "destination.ip") == 0) {
		check_blocks(c, &w->values);
		check_blocks(c, &w->not_values);
	} else if (strcmp(key, "destination.port") == 0) {
		check_ports(c, &w->values);
		check_ports(c, &w->not_values);
	}
}

static const struct mt_field condition_fields[] = {
	{"key", MT_F_TEXT, AT(struct mt_policy_condition, key), .required = true,
		.help = "`source.ip`, `remote.ip`, `source.namespace`, `source.principal`, "
			"`source.serviceAccount`, `request.auth...`, `request.headers[KEY]` "
			"(metadata), `destination.ip`, `destination.port` or `connection.sni`; "
			"with an unknown key the rule fails closed"},
	{"values", MT_F_TEXTS, TEXTS(struct mt_policy_condition, values), .help = MATCH},
	{"notValues", MT_F_TEXTS, TEXTS(struct mt_policy_condition, not_values), .help = MATCH},
};

static const struct mt_section condition_section = {"condition", sizeof(struct mt_policy_condition),
	MT_ARRAY_LEN(condition_fields), .fields = condition_fields, .after = check_condition};

static const struct mt_field from_fields[] = {
	{"source", MT_F_POINTER, AT(struct mt_policy_from, source), .sub = &source_section,
		.help = "conditions on the caller, which must all match"},
};

static const struct mt_section from_section = {
	"from", sizeof(struct mt_policy_from), MT_ARRAY_LEN(from_fields), .fields = from_fields};

static const struct mt_field to_fields[] = {
	{"operation", MT_F_POINTER, AT(struct mt_policy_to, operation), .sub = &operation_section,
		.help = "conditions on the call, which must all match"},
};

static const struct mt_section to_section = {
	"to", sizeof(struct mt_policy_to), MT_ARRAY_LEN(to_fields), .fields = to_fields};

static const struct mt_field rule_fields[] = {
	{"from", MT_F_LIST, AT_LIST(struct mt_policy_rule, from), .sub = &from_section,
		.max = MT_LIST_LONG, .help = "callers, of which one must match; default: all"},
	{"to", MT_F_LIST, AT_LIST(struct mt_policy_rule, to), .sub = &to_section,
		.max = MT_LIST_LONG, .help = "calls, of which one must match; default: all"},
	{"when", MT_F_LIST, AT_LIST(struct mt_policy_rule, when), .sub = &condition_section,
		.help = "conditions that must all match"},
};

static const struct mt_section rule_section = {
	"rule", sizeof(struct mt_policy_rule), MT_ARRAY_LEN(rule_fields), .fields = rule_fields};

static const struct mt_field provider_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_policy_provider, name),
		.help = "one of MeshConfig's extensionProviders with envoyExtAuthzGrpc, which "
			"decides about messages; without one, and for opaque TCP, matching calls "
			"are denied"},
};

static const struct mt_section provider_section = {"provider", sizeof(struct mt_policy_provider),
	MT_ARRAY_LEN(provider_fields), .fields = provider_fields};

/* ---- AuthorizationPolicy --------------------------------------------------------------------- */

static const char *const actions[] = {"ALLOW", "DENY", "AUDIT", "CUSTOM", NULL};

static const struct mt_field authorization_fields[] = {
	SELECTOR_FIELD(struct mt_authorization_policy),
	TARGET_FIELDS(struct mt_authorization_policy),
	{"action", MT_F_WORD, AT(struct mt_authorization_policy, action), .words = actions,
		.help = "default: ALLOW; AUDIT neither denies nor logs; CUSTOM lets a provider "
			"decide"},
	{"provider", MT_F_OBJECT, AT(struct mt_authorization_policy, provider),
		.sub = &provider_section, .help = "the provider of CUSTOM"},
	{"rules", MT_F_LIST, AT_LIST(struct mt_authorization_policy, rules), .sub = &rule_section,
		.help = "rules of which one must match; an ALLOW policy without rules denies all "
			"calls"},
};

static void check_authorization(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_authorization_policy *p = obj;

	check_scope(c, n, &p->scope);
}

const struct mt_section mt_sec_authorization = {"AuthorizationPolicy",
	sizeof(struct mt_authorization_policy), MT_ARRAY_LEN(authorization_fields),
	.fields = authorization_fields, .after = check_authorization};

/* ---- DubboAuthorizationPolicy: aeraki.net/docs/v1.x/reference -------------------------------- */

static const struct mt_field dubbo_source_fields[] = {
	SOURCE("principals", principals, NOBODY),
	SOURCE("notPrincipals", not_principals, "also matches callers without one"),
	SOURCE("namespaces", namespaces, NOBODY),
	SOURCE("notNamespaces", not_namespaces, "also matches callers without one"),
};

static const struct mt_section dubbo_source_section = {"source", sizeof(struct mt_policy_source),
	MT_ARRAY_LEN(dubbo_source_fields), .fields = dubbo_source_fields};

static const struct mt_field dubbo_operation_fields[] = {
	OPERATION("interfaces", interfaces, "of the RPC: " MATCH),
	OPERATION("notInterfaces", not_interfaces, "of the RPC"),
	OPERATION("methods", methods, "of the RPC: " MATCH),
	OPERATION("notMethods", not_methods, "of the RPC"),
};

static const struct mt_section dubbo_operation_section = {"operation",
	sizeof(struct mt_policy_operation), MT_ARRAY_LEN(dubbo_operation_fields),
	.fields = dubbo_operation_fields};

static const struct mt_field dubbo_from_fields[] = {
	{"source", MT_F_POINTER, AT(struct mt_policy_from, source), .sub = &dubbo_source_section,
		.help = "conditions on the caller, which must all match"},
};

static const struct mt_section dubbo_from_section = {"from", sizeof(struct mt_policy_from),
	MT_ARRAY_LEN(dubbo_from_fields), .fields = dubbo_from_fields};

static const struct mt_field dubbo_to_fields[] = {
	{"operation", MT_F_POINTER, AT(struct mt_policy_to, operation),
		.sub = &dubbo_operation_section,
		.help = "conditions on the call, which must all match"},
};

static const struct mt_section dubbo_to_section = {"to", sizeof(struct mt_policy_to),
	MT_ARRAY_LEN(dubbo_to_fields), .fields = dubbo_to_fields};

static const struct mt_field dubbo_rule_fields[] = {
	{"from", MT_F_LIST, AT_LIST(struct mt_policy_rule, from), .sub = &dubbo_from_section,
		.max = MT_LIST_LONG, .help = "callers, of which one must match; default: all"},
	{"to", MT_F_LIST, AT_LIST(struct mt_policy_rule, to), .sub = &dubbo_to_section,
		.max = MT_LIST_LONG, .help = "calls, of which one must match; default: all"},
};

static const struct mt_section dubbo_rule_section = {"rule", sizeof(struct mt_policy_rule),
	MT_ARRAY_LEN(dubbo_rule_fields), .fields = dubbo_rule_fields};

static const char *const dubbo_actions[] = {"ALLOW", "DENY", NULL};

static const struct mt_field dubbo_fields[] = {
	{"action", MT_F_WORD, AT(struct mt_authorization_policy, action), .words = dubbo_actions,
		.help = "default: ALLOW"},
	{"rules", MT_F_LIST, AT_LIST(struct mt_authorization_policy, rules),
		.sub = &dubbo_rule_section,
		.help = "rules of which one must match; an ALLOW policy without rules denies all "
			"calls"},
};

static void mark_dubbo(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_authorization_policy *)obj)->dubbo = true;
}

const struct mt_section mt_sec_dubbo_authorization = {"DubboAuthorizationPolicy",
	sizeof(struct mt_authorization_policy), MT_ARRAY_LEN(dubbo_fields), .fields = dubbo_fields,
	.after = mark_dubbo};

/* ---- PeerAuthentication ---------------------------------------------------------------------- */

static const char *const modes[] = {"UNSET", "DISABLE", "PERMISSIVE", "STRICT", NULL};

static const struct mt_field mtls_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_mtls, mode), .words = modes,
		.help = "STRICT: callers without a certificate are denied; on a node without an "
			"identity, where callers cannot present one, it fails closed"},
};

static const struct mt_section mtls_section = {
	"mtls", sizeof(struct mt_mtls), MT_ARRAY_LEN(mtls_fields), .fields = mtls_fields};

static void read_ports(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_peer_authentication *p = obj;

	if (!mt_want_map(c, n, "a map of port numbers"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);
		struct mt_port_mtls *port = mt_region_push(
			&c->model->region, (void **)&p->ports, &p->n_ports, sizeof(*port));
		char *end;
		unsigned long v = strtoul(k->key, &end, 10);

		if (end == k->key || *end || v == 0 || v > 65535)
			mt_f_error(c, k->key_line, "write the endpoint's port, 1 to 65535",
				"\"%.64s\" is not a port", k->key);
		else if (port && !mt_yaml_is_null(k)) {
			mt_section_read(c, &mtls_section, k, &port->mtls);
			port->port = (uint16_t)v;
		}
		mt_path_pop(c, mark);
	}
}

static const struct mt_field peer_fields[] = {
	SELECTOR_FIELD(struct mt_peer_authentication),
	{"mtls", MT_F_OBJECT, AT(struct mt_peer_authentication, mtls), .sub = &mtls_section,
		.help = "mode of all ports"},
	{"portLevelMtls", MT_F_CUSTOM, .custom = read_ports,
		.help = "map of endpoint ports to `{mode: ...}`; only with a selector"},
};

const struct mt_section mt_sec_peers = {"PeerAuthentication", sizeof(struct mt_peer_authentication),
	MT_ARRAY_LEN(peer_fields), .fields = peer_fields};

/* ---- RequestAuthentication ------------------------------------------------------------------- */

static const struct mt_field header_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_jwt_header, name), .required = true,
		.help = "a metadata key with a token"},
	{"prefix", MT_F_TEXT, AT(struct mt_jwt_header, prefix), .help = "text before the token"},
};

static const struct mt_section header_section = {"header", sizeof(struct mt_jwt_header),
	MT_ARRAY_LEN(header_fields), .fields = header_fields};

static const struct mt_field output_fields[] = {
	{"header", MT_F_TEXT, AT(struct mt_jwt_output, header), .required = true,
		.help = "the metadata key; a caller's own value is removed"},
	{"claim", MT_F_TEXT, AT(struct mt_jwt_output, claim), .required = true,
		.help = "a claim with a text, number or boolean; `a.b` is b inside a"},
};

static const struct mt_section output_section = {"output", sizeof(struct mt_jwt_output),
	MT_ARRAY_LEN(output_fields), .fields = output_fields};

static const struct mt_field jwt_fields[] = {
	{"issuer", MT_F_TEXT, AT(struct mt_jwt_rule, issuer), .required = true,
		.help = "`iss` of the tokens, exactly"},
	{"audiences", MT_F_TEXTS, TEXTS(struct mt_jwt_rule, audiences), .max = MT_LIST_TOKENS,
		.help = "accepted values of `aud`, without regard to `http://`, `https://` and a "
			"slash at the end; default: any"},
	{"jwksUri", MT_F_TEXT, AT(struct mt_jwt_rule, jwks_uri),
		.help = "http or https URL of the issuer's keys; default: from "
			"ISSUER/.well-known/openid-configuration"},
	{"jwks_uri", MT_F_TEXT, AT(struct mt_jwt_rule, jwks_uri), .help = "the same as `jwksUri`"},
	{"jwks", MT_F_TEXT, AT(struct mt_jwt_rule, jwks),
		.help = "the keys themselves, as JSON in a text"},
	{"fromHeaders", MT_F_LIST, AT_LIST(struct mt_jwt_rule, headers), .sub = &header_section,
		.max = MT_LIST_TOKENS,
		.help = "metadata with tokens; default: `authorization` with prefix `Bearer `"},
	{"fromParams", MT_F_TEXTS, TEXTS(struct mt_jwt_rule, params), .max = MT_LIST_TOKENS,
		.help = "calls have no query parameters: without `fromHeaders` no token is "
			"accepted"},
	{"fromCookies", MT_F_TEXTS, TEXTS(struct mt_jwt_rule, cookies), .max = MT_LIST_TOKENS,
		.help = "calls have no cookies: without `fromHeaders` no token is accepted"},
	{"outputPayloadToHeader", MT_F_TEXT, AT(struct mt_jwt_rule, payload_to),
		.help = "metadata key for the claims, in base64url, towards the server; a caller's "
			"own value is removed"},
	{"outputClaimToHeaders", MT_F_LIST, AT_LIST(struct mt_jwt_rule, outputs),
		.sub = &output_section, .max = MT_LIST_TOKENS,
		.help = "metadata keys for single claims, towards the server"},
	{"forwardOriginalToken", MT_F_BOOL, AT(struct mt_jwt_rule, forward),
		.help = "true: the server gets the token; default: false"},
	{"timeout", MT_F_DURATION, AT(struct mt_jwt_rule, timeout), .min = 1, .max = 60000,
		.help = "longest time of a fetch, at most 10s; default: 5s"},
	{"spaceDelimitedClaims", MT_F_TEXTS, TEXTS(struct mt_jwt_rule, spaced),
		.max = MT_LIST_TOKENS,
		.help = "claims with a list of words, in addition to `scope` and `permission`"},
};

static void check_jwt(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_jwt_rule *r = obj;
	struct mt_err e = {""};
	struct mt_jwks *k;

	if (r->jwks.s && r->jwks_uri.s)
		mt_f_error(
			c, r->jwks.line, "keep one of them", "jwks and jwksUri exclude each other");
	if (r->jwks_uri.s && strncmp(r->jwks_uri.s, "http://", 7) != 0 &&
		strncmp(r->jwks_uri.s, "https://", 8) != 0)
		mt_f_error(c, r->jwks_uri.line, "write it like https://issuer.example/keys",
			"\"%.64s\" is not fetched: by http or https alone", r->jwks_uri.s);
	if (r->timeout.set && r->timeout.v > MT_JWKS_TIMEOUT_MAX_MS)
		mt_f_warn(c, r->timeout.line, "write 10s at most",
			"no fetch of keys takes longer than 10s: it is ended then");
	k = r->jwks.s ? mt_jwks_parse(r->jwks.s, strlen(r->jwks.s), &e) : NULL;
	if (r->jwks.s && !k)
		mt_f_error(c, r->jwks.line, "write a JSON Web Key Set: {\"keys\": [...]}",
			"these are not keys: %s", e.text);
	mt_jwks_drop(k);
}

static const struct mt_section jwt_section = {"rule for tokens", sizeof(struct mt_jwt_rule),
	MT_ARRAY_LEN(jwt_fields), .fields = jwt_fields, .after = check_jwt};

static const struct mt_field token_fields[] = {
	SELECTOR_FIELD(struct mt_request_authentication),
	TARGET_FIELDS(struct mt_request_authentication),
	{"jwtRules", MT_F_LIST, AT_LIST(struct mt_request_authentication, rules),
		.sub = &jwt_section, .max = MT_LIST_SHORT,
		.help = "issuers and their tokens; a call's token must match one of them"},
};

static void check_tokens(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_request_authentication *r = obj;

	check_scope(c, n, &r->scope);
}

const struct mt_section mt_sec_tokens = {"RequestAuthentication",
	sizeof(struct mt_request_authentication), MT_ARRAY_LEN(token_fields),
	.fields = token_fields, .after = check_tokens};
