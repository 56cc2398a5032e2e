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
 * True if the map has only these keys, each once. Another key may be a misspelled one that would
 * have restricted, and of a key that is written twice other readers may take the other value.
 */
static bool has_only_of(const struct mt_ynode *n, const char *const *names)
{
	uint32_t seen = 0;

	if (is_empty(n))
		return true;
	if (n->type != MT_Y_MAP)
		return false;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t i = 0;

		while (names[i] && strcmp(names[i], k->key) != 0)
			i++;
		if (!names[i] || seen & 1u << i)
			return false;
		seen |= 1u << i;
	}
	return true;
}

/* The names, with NULL at the end, have a bit each. */
#define has_only(n, names)                                                                         \
	({                                                                                         \
		_Static_assert(MT_ARRAY_LEN(names) <= 33, "bits of has_only_of()");                \
		has_only_of(n, names);                                                             \
	})

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
	if (!is_empty(ports) && ports->type != MT_Y_MAP)
		return MT_RESTRICTS_CALLS;
	if (!is_empty(ports))
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

/* True if the node is the value of one of these keys. */
static bool is_at(const struct mt_ynode *n, const char *const *keys)
{
	for (; n->key && *keys; keys++)
		if (strcmp(n->key, *keys) == 0)
			return true;
	return false;
}

/* ---- filters --------------------------------------------------------------------------------- */

#define NETWORK	 "envoy.extensions.filters.network."
#define HTTP	 "envoy.extensions.filters.http."
#define LISTENER "envoy.extensions.filters.listener."
#define THRIFT	 NETWORK "thrift_proxy."

const char *mt_type_of_url(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

/*
 * True for types of filters of Envoy, Istio and Aeraki that do not decide which callers may call:
 * proxies, routers, limits, statistics, metadata. A filter of another type may do so. Names do not
 * count, because Envoy finds a filter by its type, and authors choose names freely.
 */
static bool is_harmless_type(const struct mt_ynode *url)
{
	static const char *const types[] = {NETWORK
		"http_connection_manager.v3.HttpConnectionManager",
		"envoy.config.filter.network.http_connection_manager.v2.HttpConnectionManager",
		NETWORK "tcp_proxy.v3.TcpProxy",
		"envoy.config.filter.network.tcp_proxy.v2.TcpProxy",
		NETWORK "dubbo_proxy.v3.DubboProxy", NETWORK "redis_proxy.v3.RedisProxy",
		THRIFT "v3.ThriftProxy", "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy",
		HTTP "router.v3.Router", NETWORK "dubbo_proxy.router.v3.Router",
		THRIFT "router.v3.Router", HTTP "ratelimit.v3.RateLimit",
		"envoy.config.filter.http.rate_limit.v2.RateLimit",
		HTTP "local_ratelimit.v3.LocalRateLimit",
		HTTP "rate_limit_quota.v3.RateLimitQuotaFilterConfig",
		NETWORK "ratelimit.v3.RateLimit", NETWORK "local_ratelimit.v3.LocalRateLimit",
		LISTENER "local_ratelimit.v3.LocalRateLimit",
		NETWORK "connection_limit.v3.ConnectionLimit",
		THRIFT "filters.ratelimit.v3.RateLimit",
		THRIFT "filters.header_to_metadata.v3.HeaderToMetadata",
		THRIFT "filters.payload_to_metadata.v3.PayloadToMetadata",
		"envoy.tcp.metadataexchange.config.MetadataExchange",
		"io.istio.http.peer_metadata.Config", "stats.PluginConfig",
		"istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
		HTTP "upstream_codec.v3.UpstreamCodec", HTTP "grpc_stats.v3.FilterConfig",
		HTTP "grpc_web.v3.GrpcWeb", HTTP "compressor.v3.Compressor",
		HTTP "decompressor.v3.Decompressor", HTTP "fault.v3.HTTPFault",
		HTTP "set_filter_state.v3.Config", NETWORK "set_filter_state.v3.Config",
		NETWORK "sni_cluster.v3.SniCluster", LISTENER "tls_inspector.v3.TlsInspector",
		LISTENER "http_inspector.v3.HttpInspector", LISTENER "original_dst.v3.OriginalDst",
		LISTENER "proxy_protocol.v3.ProxyProtocol"};

	for (size_t i = 0; url->type == MT_Y_SCALAR && i < MT_ARRAY_LEN(types); i++)
		if (strcmp(mt_type_of_url(url->text), types[i]) == 0)
			return true;
	return false;
}

bool mt_is_typed_struct(const struct mt_ynode *url)
{
	const char *type = url && url->type == MT_Y_SCALAR ? mt_type_of_url(url->text) : "";

	return strcmp(type, "udpa.type.v1.TypedStruct") == 0 ||
	       strcmp(type, "xds.type.v3.TypedStruct") == 0;
}

/* True for a configuration of a harmless type, also inside a TypedStruct, which has the type. */
static bool is_harmless_config(const struct mt_ynode *config)
{
	static const char *const type[] = {"@type", NULL};
	static const char *const inner[] = {"type_url", "typeUrl", NULL};
	const char *const *keys = type;
	uint32_t n = 0;

	if (config->type != MT_Y_MAP)
		return false;
	if (mt_is_typed_struct(mt_yaml_get(config, "@type")))
		keys = inner;
	/* A map may have a key several times. */
	for (const struct mt_ynode *k = config->first; k; k = k->next) {
		if (!is_at(k, keys))
			continue;
		if (!is_harmless_type(k))
			return false;
		n++;
	}
	return n > 0;
}

/* True if a control plane may only send configurations of harmless types. */
static bool is_harmless_discovery(const struct mt_ynode *discovery)
{
	static const char *const lists[] = {"type_urls", "typeUrls", NULL};
	uint32_t n = 0;

	if (discovery->type != MT_Y_MAP)
		return false;
	for (const struct mt_ynode *k = discovery->first; k; k = k->next) {
		if (!is_at(k, lists))
			continue;
		if (k->type != MT_Y_SEQ)
			return false;
		for (const struct mt_ynode *url = k->first; url; url = url->next, n++)
			if (!is_harmless_type(url))
				return false;
	}
	return n > 0;
}

/*
 * True for a filter of a harmless type. Without a configuration only a router may have its
 * exact name, as is usual for those of Dubbo and Thrift; Envoy refuses other filters without a
 * type, and earlier versions of Envoy looked for such names.
 */
static bool is_harmless_filter(const struct mt_ynode *filter)
{
	static const char *const configs[] = {"typed_config", "typedConfig", "config", NULL};
	static const char *const discoveries[] = {"config_discovery", "configDiscovery", NULL};
	static const char *const routers[] = {"envoy.filters.http.router",
		"envoy.filters.dubbo.router", "envoy.filters.thrift.router"};
	bool configured = false;

	if (filter->type != MT_Y_MAP)
		return false;
	for (const struct mt_ynode *k = filter->first; k; k = k->next) {
		bool config = is_at(k, configs), discovery = is_at(k, discoveries);

		if ((config && !is_harmless_config(k)) || (discovery && !is_harmless_discovery(k)))
			return false;
		configured |= config || discovery;
	}
	for (size_t i = 0; !configured && i < MT_ARRAY_LEN(routers); i++)
		configured = is_word(mt_yaml_get(filter, "name"), routers[i]);
	return configured;
}

/* Aeraki finds the filters of a MetaProtocolProxy by their names. */
static bool is_harmless_meta_filter(const struct mt_ynode *filter)
{
	static const char prefix[] = "aeraki.meta_protocol.filters.";
	static const char *const names[] = {
		"router", "metadata_exchange", "istio_stats", "local_ratelimit", "ratelimit"};
	const struct mt_ynode *name = mt_yaml_get(filter, "name");
	const char *word = name && name->type == MT_Y_SCALAR ? name->text : "";

	if (strncmp(word, prefix, sizeof(prefix) - 1) == 0)
		word += sizeof(prefix) - 1;
	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		if (strcmp(word, names[i]) == 0)
			return true;
	return false;
}

/*
 * True if the name or type of a filter contains a word that means access control. `whole`: not as a
 * part of a longer word, as "lua" is of "evaluation".
 */
static bool names_protection(const struct mt_ynode *n, bool whole)
{
	static const char *const words[] = {
		"rbac", "ext_authz", "jwt_authn", "ext_proc", "lua", "wasm"};

	for (size_t i = 0; n->type == MT_Y_SCALAR && i < MT_ARRAY_LEN(words); i++) {
		const char *at = n->text;

		for (; (at = strcasestr(at, words[i])) != NULL; at++) {
			bool starts = at == n->text || !isalpha((unsigned char)at[-1]);

			if (!whole || (starts && !isalpha((unsigned char)at[strlen(words[i])])))
				return true;
		}
	}
	return false;
}

static bool has_protection(const struct mt_ynode *n)
{
	static const char *const name[] = {"name", NULL};
	static const char *const type[] = {"@type", "type_url", "typeUrl", NULL};
	static const char *const lists[] = {"type_urls", "typeUrls", NULL};
	bool types = is_at(n, lists);
	/* The name of a filter of a harmless type does not count. */
	bool harmless = is_harmless_filter(n);

	if (n->type == MT_Y_SCALAR)
		return (is_at(n, name) && names_protection(n, true)) ||
		       (is_at(n, type) && names_protection(n, false));
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		if (harmless && is_at(k, name))
			continue;
		if ((types && names_protection(k, false)) || has_protection(k))
			return true;
	}
	return false;
}

/* True if a list of filters in the value has one that may protect. */
static bool has_unknown_filter(const struct mt_ynode *n)
{
	static const char *const lists[] = {"filters", "http_filters", "httpFilters",
		"upstream_http_filters", "upstreamHttpFilters", "listener_filters",
		"listenerFilters", "thrift_filters", "thriftFilters", "dubbo_filters",
		"dubboFilters", NULL};
	static const char *const meta[] = {"meta_protocol_filters", "metaProtocolFilters", NULL};
	/* Their `filters` are conditions of access logs. */
	static const char *const logs[] = {
		"and_filter", "andFilter", "or_filter", "orFilter", NULL};
	bool (*is_harmless)(const struct mt_ynode *) = NULL;

	if (n->type == MT_Y_SCALAR || is_at(n, logs))
		return false;
	if (n->type == MT_Y_SEQ && is_at(n, lists))
		is_harmless = is_harmless_filter;
	else if (n->type == MT_Y_SEQ && is_at(n, meta))
		is_harmless = is_harmless_meta_filter;
	for (const struct mt_ynode *k = n->first; k; k = k->next)
		if ((is_harmless && !is_harmless(k)) || has_unknown_filter(k))
			return true;
	return false;
}

/*
 * True for a value of a listener or filter chain that accepts some callers only: by TLS, as its
 * settings may require certificates of certain callers, or by the source of connections.
 */
static bool selects_callers(const struct mt_ynode *n)
{
	static const char *const all[] = {"transport_socket", "transportSocket",
		"filter_chain_matcher", "filterChainMatcher", NULL};
	static const char *const matches[] = {"filter_chain_match", "filterChainMatch", NULL};
	/* Conditions that do not depend on the caller. */
	static const char *const known[] = {"destination_port", "destinationPort", "prefix_ranges",
		"prefixRanges", "server_names", "serverNames", "transport_protocol",
		"transportProtocol", "application_protocols", "applicationProtocols", NULL};

	if ((is_at(n, all) && !is_empty(n)) || (is_at(n, matches) && !has_only(n, known)))
		return true;
	for (const struct mt_ynode *k = n->type == MT_Y_SCALAR ? NULL : n->first; k; k = k->next)
		if (selects_callers(k))
			return true;
	return false;
}

static bool is_one_of(const struct mt_ynode *n, const char *const *words)
{
	while (*words && !is_word(n, *words))
		words++;
	return *words != NULL;
}

/* True for a patch with fields of Istio only, each once. */
static bool is_well_formed(const struct mt_ynode *p)
{
	static const char *const known[] = {"applyTo", "match", "patch", NULL};
	static const char *const inner[] = {"operation", "value", "filterClass", NULL};

	return has_only(p, known) && has_only(mt_yaml_get(p, "patch"), inner);
}

/*
 * Only what a patch adds can restrict; what it removes or matches does not. A patch with a mistake
 * around its value restricts, and an unknown `applyTo` counts as one of filters and of listeners.
 */
bool mt_patch_restricts(const struct mt_ynode *p)
{
	static const char *const others[] = {
		"ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE", "CLUSTER", "BOOTSTRAP", NULL};
	static const char *const listeners[] = {"LISTENER", "FILTER_CHAIN", NULL};
	static const char *const filters[] = {
		"NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER", "EXTENSION_CONFIG", NULL};
	const struct mt_ynode *patch = mt_yaml_get(p, "patch"), *to = mt_yaml_get(p, "applyTo");
	const struct mt_ynode *value = mt_yaml_get(patch, "value");
	bool other = is_one_of(to, others);
	bool filter = !other && !is_one_of(to, listeners);
	bool callers = !other && !is_one_of(to, filters);

	if (!is_well_formed(p))
		return true;
	if (!patch || is_word(mt_yaml_get(patch, "operation"), "REMOVE"))
		return false;
	if (value && mt_yaml_is_null(value))
		value = NULL;
	return has_protection(patch) || (filter && value && !is_harmless_filter(value)) ||
	       (value && has_unknown_filter(value)) || (callers && value && selects_callers(value));
}

/* True if the spec has another list than that of the patches, which may be a misspelled one. */
static bool has_other_list(const struct mt_ynode *spec, const struct mt_ynode *patches)
{
	static const char *const targets[] = {"targetRefs", NULL};

	if (!spec || spec->type != MT_Y_MAP)
		return !is_empty(spec);
	for (const struct mt_ynode *k = spec->first; k; k = k->next)
		if (k != patches && k->type == MT_Y_SEQ && k->n && !is_at(k, targets))
			return true;
	return false;
}

enum mt_object_restricts mt_restricts_patch(
	const struct mt_ynode *meta, const struct mt_ynode *spec)
{
	const struct mt_ynode *patches = mt_yaml_get(spec, "configPatches");

	if (has_other_list(spec, patches))
		return MT_RESTRICTS_CALLS;
	if (is_empty(patches))
		return MT_RESTRICTS_NOT;
	if (patches->type != MT_Y_SEQ)
		return MT_RESTRICTS_CALLS;
	for (const struct mt_ynode *p = patches->first; p; p = p->next)
		if (p->type != MT_Y_MAP || mt_patch_restricts(p))
			return MT_RESTRICTS_CALLS;
	return MT_RESTRICTS_NOT;
}
