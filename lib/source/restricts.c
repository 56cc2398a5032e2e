/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides whether an object of a kind that restricts access can change the outcome of some call.
 * Works on the document as written, before its fields are read, so that errors in other fields do
 * not make it harmless. In doubt the object restricts.
 */
#include "mt_fields.h"

#include <ctype.h>
#include <string.h>

static bool is_word(const struct mt_ynode *n, const char *word)
{
	return n && n->type == MT_Y_SCALAR && strcmp(n->text, word) == 0;
}

static bool is_empty(const struct mt_ynode *n)
{
	return !n || mt_yaml_is_null(n) || (n->type != MT_Y_SCALAR && n->n == 0);
}

/*
 * True if the map has only these keys. Another key may be a misspelled one that would have
 * restricted.
 */
static bool has_only(const struct mt_ynode *n, const char *const *names)
{
	if (is_empty(n))
		return true;
	if (n->type != MT_Y_MAP)
		return false;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		const char *const *name = names;

		while (*name && strcmp(*name, k->key) != 0)
			name++;
		if (!*name)
			return false;
	}
	return true;
}

/* AuthorizationPolicy: istio.io/latest/docs/reference/config/security/authorization-policy */
enum mt_object_restricts mt_restricts_authorization(
	const struct mt_ynode *meta, const struct mt_ynode *spec)
{
	static const char *const known[] = {
		"selector", "targetRef", "targetRefs", "action", "rules", "provider", NULL};
	const struct mt_ynode *action = mt_yaml_get(spec, "action");
	const struct mt_ynode *rules = mt_yaml_get(spec, "rules");
	bool allow = is_empty(action) || is_word(action, "ALLOW");

	if (is_word(mt_yaml_get(mt_yaml_get(meta, "annotations"), "istio.io/dry-run"), "true") ||
		is_word(action, "AUDIT"))
		return MT_RESTRICTS_NOT;
	if (!has_only(spec, known))
		return MT_RESTRICTS_CALLS;
	/* DENY without rules denies nothing; an ALLOW rule without conditions allows everything. */
	if (!allow)
		return is_empty(rules) && is_word(action, "DENY") ? MT_RESTRICTS_NOT
								  : MT_RESTRICTS_CALLS;
	if (rules && rules->type == MT_Y_SEQ)
		for (const struct mt_ynode *r = rules->first; r; r = r->next)
			if (r->type == MT_Y_MAP && r->n == 0)
				return MT_RESTRICTS_NOT;
	return MT_RESTRICTS_CALLS;
}

/*
 * True if the mode accepts plaintext, alone or besides TLS. A node without certificates does the
 * same anyway.
 */
static bool is_lax(const struct mt_ynode *mtls)
{
	static const char *const lax[] = {"PERMISSIVE", "DISABLE", "UNSET"};
	static const char *const known[] = {"mode", NULL};
	const struct mt_ynode *mode = mt_yaml_get(mtls, "mode");

	if (!has_only(mtls, known))
		return false;
	if (is_empty(mtls) || is_empty(mode))
		return true;
	for (size_t i = 0; i < MT_ARRAY_LEN(lax); i++)
		if (is_word(mode, lax[i]))
			return true;
	return false;
}

enum mt_object_restricts mt_restricts_peers(
	const struct mt_ynode *meta, const struct mt_ynode *spec)
{
	static const char *const known[] = {"selector", "mtls", "portLevelMtls", NULL};
	const struct mt_ynode *ports = mt_yaml_get(spec, "portLevelMtls");

	if (!has_only(spec, known) || !is_lax(mt_yaml_get(spec, "mtls")))
		return MT_RESTRICTS_CALLS;
	if (ports && ports->type == MT_Y_MAP)
		for (const struct mt_ynode *p = ports->first; p; p = p->next)
			if (!is_lax(p))
				return MT_RESTRICTS_CALLS;
	return MT_RESTRICTS_NOT;
}

enum mt_object_restricts mt_restricts_tokens(
	const struct mt_ynode *meta, const struct mt_ynode *spec)
{
	static const char *const known[] = {
		"selector", "targetRef", "targetRefs", "jwtRules", NULL};

	return has_only(spec, known) && is_empty(mt_yaml_get(spec, "jwtRules"))
		       ? MT_RESTRICTS_NOT
		       : MT_RESTRICTS_MESSAGES;
}

enum mt_object_restricts mt_restricts_always(
	const struct mt_ynode *meta, const struct mt_ynode *spec)
{
	return MT_RESTRICTS_CALLS;
}

/* True if the name or type URL of a filter contains a word that means access control. */
static bool names_protection(const struct mt_ynode *n)
{
	static const char *const words[] = {
		"rbac", "ext_authz", "jwt_authn", "ext_proc", "lua", "wasm"};
	char low[256];
	size_t len = 0;

	for (const char *p = n->text; *p && len < sizeof(low) - 1; p++)
		low[len++] = (char)tolower((unsigned char)*p);
	low[len] = '\0';
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strstr(low, words[i]))
			return true;
	return false;
}

static bool has_protection(const struct mt_ynode *n)
{
	if (n->key &&
		(strcmp(n->key, "name") == 0 || strcmp(n->key, "@type") == 0 ||
			strcmp(n->key, "type_url") == 0) &&
		n->type == MT_Y_SCALAR)
		return names_protection(n);
	for (const struct mt_ynode *k = n->type == MT_Y_SCALAR ? NULL : n->first; k; k = k->next)
		if (has_protection(k))
			return true;
	return false;
}

/* ---- filters --------------------------------------------------------------------------------- */

/*
 * True for filters of Envoy, Istio and Aeraki that are known not to decide which callers may call.
 * Any other filter may do so.
 */
static bool is_known(const char *type)
{
	static const char *const from[] = {"envoy.", "istio.", "io.istio.", "stats.", "aeraki."};
	static const char *const words[] = {"http_connection_manager", "tcp_proxy",
		"meta_protocol_proxy", "dubbo_proxy", "thrift_proxy", "redis_proxy", "router",
		"ratelimit", "rate_limit", "connection_limit", "metadata_exchange",
		"metadataexchange", "peer_metadata", "istio.stats", "istio_stats",
		"stats.PluginConfig", "grpc_stats", "grpc_web", "compressor", "fault", "alpn",
		"sni_cluster", "set_filter_state", "tls_inspector", "http_inspector",
		"original_dst", "proxy_protocol"};
	static const char url[] = "type.googleapis.com/";
	bool ours = false;

	if (strncmp(type, url, sizeof(url) - 1) == 0)
		type += sizeof(url) - 1;
	for (size_t i = 0; i < MT_ARRAY_LEN(from); i++)
		ours |= strncmp(type, from[i], strlen(from[i])) == 0;
	for (size_t i = 0; ours && i < MT_ARRAY_LEN(words); i++)
		if (strstr(type, words[i]))
			return true;
	return false;
}

static const char *text_of(const struct mt_ynode *n)
{
	return n && n->type == MT_Y_SCALAR ? n->text : NULL;
}

/*
 * True unless the filter is known by the type of its configuration, as in Envoy, or else by its
 * name.
 */
static bool is_unknown_filter(const struct mt_ynode *filter)
{
	const struct mt_ynode *config = mt_yaml_get(filter, "typed_config");
	const char *type = text_of(mt_yaml_get(config, "type_url"));

	if (!type)
		type = text_of(mt_yaml_get(config, "@type"));
	if (!type)
		type = text_of(mt_yaml_get(filter, "name"));
	return type && !is_known(type);
}

static bool has_unknown_filter(const struct mt_ynode *n)
{
	bool filters = n->key && n->type == MT_Y_SEQ &&
		       (strcmp(n->key, "filters") == 0 || strcmp(n->key, "http_filters") == 0);

	for (const struct mt_ynode *k = n->type == MT_Y_SCALAR ? NULL : n->first; k; k = k->next)
		if ((filters && is_unknown_filter(k)) || has_unknown_filter(k))
			return true;
	return false;
}

/* Only what a patch adds can restrict; what it removes or matches does not. */
bool mt_patch_restricts(const struct mt_ynode *p)
{
	const struct mt_ynode *patch = mt_yaml_get(p, "patch"), *to = mt_yaml_get(p, "applyTo");
	const struct mt_ynode *value = mt_yaml_get(patch, "value");
	bool filter = is_word(to, "NETWORK_FILTER") || is_word(to, "HTTP_FILTER");

	if (!patch || is_word(mt_yaml_get(patch, "operation"), "REMOVE"))
		return false;
	return has_protection(patch) || (filter && value && is_unknown_filter(value)) ||
	       (value && has_unknown_filter(value));
}

enum mt_object_restricts mt_restricts_patch(
	const struct mt_ynode *meta, const struct mt_ynode *spec)
{
	const struct mt_ynode *patches = mt_yaml_get(spec, "configPatches");

	if (is_empty(patches))
		return MT_RESTRICTS_NOT;
	if (patches->type != MT_Y_SEQ)
		return MT_RESTRICTS_CALLS;
	for (const struct mt_ynode *p = patches->first; p; p = p->next)
		if (p->type != MT_Y_MAP || mt_patch_restricts(p))
			return MT_RESTRICTS_CALLS;
	return MT_RESTRICTS_NOT;
}
