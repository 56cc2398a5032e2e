/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#define RING_MAX 8388608u /* limit of the field in the API */

static void read_cookie(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_hash_policy *)obj)->cookie = true;
	mt_f_warn(c, n->key_line, "use httpHeaderName with a metadata key",
		"accepted, not enforced: messages have no cookies");
}

static const struct mt_field ring_fields[] = {
	{"minimumRingSize", MT_F_NUM, AT(struct mt_ring_policy, min), .max = RING_MAX,
		.help = "least number of points on the ring; default: 1024"},
};

static const struct mt_section ring_section = {"ringHash", sizeof(struct mt_ring_policy),
	MT_ARRAY_LEN(ring_fields), .fields = ring_fields};

static const struct mt_field hash_fields[] = {
	{"httpHeaderName", MT_F_TEXT, AT(struct mt_hash_policy, header),
		.help = "the metadata key (case-sensitive) whose value chooses the endpoint"},
	{"useSourceIp", MT_F_BOOL, AT(struct mt_hash_policy, use_source_ip),
		.help = "the client's address chooses the endpoint"},
	{"httpCookie", MT_F_CUSTOM, .custom = read_cookie, .status = MT_S_WARNS, .harms = true,
		.help = "messages have no cookies"},
	{"httpQueryParameterName", MT_F_LATER, .harms = true,
		.help = "messages have no query parameters"},
	{"ringHash", MT_F_POINTER, AT(struct mt_hash_policy, ring), .sub = &ring_section,
		.help = "a hash ring, as in Envoy; default: a Maglev table"},
	{"maglev", MT_F_SKIP, .help = "the default; Meltemi chooses the table's size"},
	{"minimumRingSize", MT_F_NUM, AT(struct mt_hash_policy, ring_min), .max = RING_MAX,
		.help = "the older form of `ringHash.minimumRingSize`"},
};

static const struct mt_section hash_section = {"consistentHash", sizeof(struct mt_hash_policy),
	MT_ARRAY_LEN(hash_fields), .fields = hash_fields};

static const char *const simple_words[] = {
	"UNSPECIFIED", "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "LEAST_CONN", "PASSTHROUGH", NULL};

static void read_least(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)mt_read_decimal(c, n, 0, 100, &((struct mt_warmup_policy *)obj)->least);
}

static void read_aggression(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)mt_read_decimal(c, n, 1, 100, &((struct mt_warmup_policy *)obj)->aggression);
}

static const struct mt_field warmup_fields[] = {
	{"duration", MT_F_DURATION, AT(struct mt_warmup_policy, duration), .min = 1,
		.max = 86400000, .required = true,
		.help = "time until the endpoint has its full share"},
	{"minimumPercent", MT_F_CUSTOM, .custom = read_least,
		.help = "percentage of its share at the start; default: 10"},
	{"aggression", MT_F_CUSTOM, .custom = read_aggression,
		.help = "1 (default): the share grows in proportion to age; more: faster at first"},
};

static const struct mt_section warmup_section = {"warmup", sizeof(struct mt_warmup_policy),
	MT_ARRAY_LEN(warmup_fields), .fields = warmup_fields};

static const struct mt_field lb_fields[] = {
	{"simple", MT_F_WORD, AT(struct mt_lb_policy, simple), .words = simple_words,
		.help = "the balancer; default: LEAST_REQUEST, the better of two random endpoints; "
			"PASSTHROUGH is an error"},
	{"consistentHash", MT_F_POINTER, AT(struct mt_lb_policy, hash), .sub = &hash_section,
		.help = "chooses endpoints by a hash of each call, at random without a key; a "
			"subset inherits `useSourceIp` only and needs a `consistentHash` of its "
			"own for a key"},
	{"localityLbSetting", MT_F_POINTER, AT(struct mt_lb_policy, locality),
		.sub = &mt_sec_locality,
		.help = "which endpoints are near; default: the MeshConfig's"},
	{"zoneAwareLbSetting", MT_F_LATER, .help = "write localityLbSetting"},
	{"warmupDurationSecs", MT_F_DURATION, AT(struct mt_lb_policy, warmup_ms), .min = 1,
		.max = 86400000, .help = "the older form of `warmup.duration`"},
	{"warmup", MT_F_POINTER, AT(struct mt_lb_policy, warmup), .sub = &warmup_section,
		.help = "slow start of a new or returned endpoint, with ROUND_ROBIN and "
			"LEAST_REQUEST only"},
};

static void check_lb(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_lb_policy *lb = obj;
	bool other = lb->hash || lb->simple.v == MT_SIMPLE_RANDOM;

	if (other && (lb->warmup || lb->warmup_ms.set))
		mt_f_warn(c, lb->warmup ? lb->warmup->origin.line : lb->warmup_ms.line,
			"use ROUND_ROBIN or LEAST_REQUEST",
			"accepted, not enforced: random and hash balancers have no slow start");
	if (lb->simple.set && lb->hash)
		mt_f_error(c, n->line, "keep one of them",
			"simple and consistentHash exclude each other");
	if (lb->simple.v == MT_SIMPLE_PASSTHROUGH)
		mt_f_error(c, lb->simple.line, "use LEAST_REQUEST",
			"PASSTHROUGH needs the address that the client meant, "
			"which is Meltemi's own");
}

static const struct mt_section lb_section = {"loadBalancer", sizeof(struct mt_lb_policy),
	MT_ARRAY_LEN(lb_fields), .fields = lb_fields, .after = check_lb};

static const struct mt_field tcp_fields[] = {
	{"maxConnections", MT_F_NUM, AT(struct mt_tcp_pool, max_connections), .min = 1,
		.max = INT32_MAX,
		.help = "most connections of the node to the cluster's endpoints, whatever the "
			"number of workers. Each worker may always have one to each endpoint, "
			"and one more for long messages where connections carry several calls, "
			"except with opaque TCP. Default: 256 per worker and endpoint where a "
			"connection carries one call at a time"},
	{"connectTimeout", MT_F_DURATION, AT(struct mt_tcp_pool, connect_timeout), .min = 1,
		.help = "longest time to open a connection; default: the MeshConfig's, else 1s"},
	{"tcpKeepalive", MT_F_LATER, .help = "Meltemi's own keep-alive is used"},
	{"maxConnectionDuration", MT_F_LATER, .help = "connections are kept while they are used"},
	{"idleTimeout", MT_F_LATER, .help = "an idle connection to an endpoint is kept for 60 s"},
};

static const struct mt_section tcp_section = {"connectionPool.tcp", sizeof(struct mt_tcp_pool),
	MT_ARRAY_LEN(tcp_fields), .fields = tcp_fields};

static const struct mt_field http_fields[] = {
	{"http2MaxRequests", MT_F_NUM, AT(struct mt_http_pool, max_requests), .min = 1,
		.max = INT32_MAX, .status = MT_S_LATER, .harms = true,
		.instead = "calls are not counted",
		.help = "most outstanding calls of the cluster"},
	{"http1MaxPendingRequests", MT_F_NUM, AT(struct mt_http_pool, max_pending), .min = 1,
		.max = INT32_MAX,
		.help = "most calls of the node that wait for a connection to the cluster, "
			"whatever the number of workers, which may exceed it for 10 ms while one "
			"makes room for another; default: 1,024 per worker and cluster"},
	{"maxRequestsPerConnection", MT_F_LATER,
		.help = "connections are kept while they are used"},
	{"maxRetries", MT_F_NUM, AT(struct mt_http_pool, max_retries), .max = INT32_MAX,
		.help = "most retries by policy that wait or are outstanding in the node; 0: none; "
			"default: no limit. `retryBudget` precedes it"},
	{"idleTimeout", MT_F_LATER, .help = "an idle connection to an endpoint is kept for 60 s"},
	{"h2UpgradePolicy", MT_F_SKIP, .help = "HTTP only"},
	{"useClientProtocol", MT_F_SKIP, .help = "HTTP only"},
	{"maxConcurrentStreams", MT_F_SKIP, .help = "HTTP only"},
	{"http2KeepAlive", MT_F_SKIP, .help = "HTTP only"},
};

static const struct mt_section http_section = {"connectionPool.http", sizeof(struct mt_http_pool),
	MT_ARRAY_LEN(http_fields), .fields = http_fields};

static const struct mt_field pool_fields[] = {
	{"tcp", MT_F_OBJECT, AT(struct mt_conn_pool, tcp), .sub = &tcp_section,
		.help = "limits of connections"},
	{"http", MT_F_OBJECT, AT(struct mt_conn_pool, http), .sub = &http_section,
		.help = "limits of calls"},
};

static const struct mt_section pool_section = {"connectionPool", sizeof(struct mt_conn_pool),
	MT_ARRAY_LEN(pool_fields), .fields = pool_fields};

static const char *const tls_words[] = {"DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL", NULL};

static const struct mt_field tls_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_tls_settings, mode), .words = tls_words,
		.help = "`DISABLE`: plaintext; `SIMPLE`: TLS; `MUTUAL`: TLS with a client "
			"certificate; `ISTIO_MUTUAL`: with the node's identity (`spec.identity`). "
			"Without its files, or without an identity, endpoints are not called"},
	{"clientCertificate", MT_F_TEXT, AT(struct mt_tls_settings, chain),
		.help = "PEM file, for MUTUAL; files are in directories that the Node lists "
			"(`spec.tlsFiles`)"},
	{"privateKey", MT_F_TEXT, AT(struct mt_tls_settings, key),
		.help = "PEM file of the certificate's key"},
	{"caCertificates", MT_F_TEXT, AT(struct mt_tls_settings, roots),
		.help = "PEM file of trusted roots; default, and `system`: the roots of this host"},
	{"credentialName", MT_F_TEXT, AT(struct mt_tls_settings, credential),
		.help = "a Secret of the rule's namespace instead of these files: certificate and "
			"key for MUTUAL (tls.crt, tls.key), and roots (ca.crt, or the Secret "
			"NAME-cacert)"},
	{"subjectAltNames", MT_F_TEXTS, AT_LIST(struct mt_tls_settings, sans),
		.help = "the endpoint's certificate must have one of these names; default: the "
			"ServiceEntry's; if it has none, for ISTIO_MUTUAL the endpoints' service "
			"accounts, for SIMPLE and MUTUAL `sni`"},
	{"sni", MT_F_TEXT, AT(struct mt_tls_settings, sni), .host = true,
		.help = "server name to send; default: Istio's name for ISTIO_MUTUAL, else none"},
	{"insecureSkipVerify", MT_F_BOOL, AT(struct mt_tls_settings, anybody),
		.help = "true: accepts any certificate"},
	{"caCrl", MT_F_TEXT, AT(struct mt_tls_settings, crl),
		.help = "PEM file of revocation lists"},
};

static const struct mt_section tls_section = {
	"tls", sizeof(struct mt_tls_settings), MT_ARRAY_LEN(tls_fields), .fields = tls_fields};

static const struct mt_field outlier_fields[] = {
	{"consecutive5xxErrors", MT_F_NUM, AT(struct mt_outlier_policy, errors), .max = INT32_MAX,
		.help = "consecutive failures and error replies of the server's framework (not "
			"exceptions of the service) that eject an endpoint; 0: error replies do "
			"not count; default: 5"},
	{"consecutiveGatewayErrors", MT_F_NUM, AT(struct mt_outlier_policy, gateway),
		.max = INT32_MAX,
		.help = "consecutive failures that eject, without error replies: connections that "
			"fail or break, and timeouts; default: consecutive5xxErrors"},
	{"consecutiveLocalOriginFailures", MT_F_NUM, AT(struct mt_outlier_policy, local),
		.max = INT32_MAX, .help = "the same; the smaller of both applies"},
	{"baseEjectionTime", MT_F_DURATION, AT(struct mt_outlier_policy, base_ejection), .min = 1,
		.help = "shortest ejection; multiplied by the number of recent ejections, at most "
			"300s; default: 30s"},
	{"interval", MT_F_SKIP,
		.help = "not used: the last failure ejects at once, and the endpoint is tried when "
			"its "
			"ejection time is over"},
	{"maxEjectionPercent", MT_F_NUM, AT(struct mt_outlier_policy, most), .max = 100,
		.help = "largest percentage of endpoints ejected at once; one always may be; "
			"default, and 0: 100"},
	{"minHealthPercent", MT_F_NUM, AT(struct mt_outlier_policy, least), .max = 100,
		.help = "with a smaller percentage of endpoints in rotation, ejected ones are used "
			"as well; default, and 0: when all are ejected"},
	{"splitExternalLocalOriginErrors", MT_F_LATER, .help = "failures of all kinds count alike"},
	{"consecutiveErrors", MT_F_LATER, .help = "write consecutive5xxErrors"},
	{"outlierDetectionHttpErrorCodes", MT_F_LATER, .help = "replies have no HTTP codes"},
};

static const struct mt_section outlier_section = {"outlierDetection",
	sizeof(struct mt_outlier_policy), MT_ARRAY_LEN(outlier_fields), .fields = outlier_fields};

static const struct mt_field port_number_fields[] = {
	{"number", MT_F_NUM, AT(struct mt_port_number, v), .min = 1, .max = 65535, .required = true,
		.help = "a port of the service"},
};

static const struct mt_section port_number_section = {"port", sizeof(struct mt_port_number),
	MT_ARRAY_LEN(port_number_fields), .fields = port_number_fields};

static const struct mt_field port_policy_fields[] = {
	{"port", MT_F_OBJECT, AT(struct mt_port_policy, port), .sub = &port_number_section,
		.required = true, .help = "the port that the settings apply to"},
	{"loadBalancer", MT_F_POINTER, AT(struct mt_port_policy, policy.lb), .sub = &lb_section,
		.help = "the port's balancer"},
	{"connectionPool", MT_F_POINTER, AT(struct mt_port_policy, policy.pool),
		.sub = &pool_section, .help = "the port's limits"},
	{"tls", MT_F_POINTER, AT(struct mt_port_policy, policy.tls), .sub = &tls_section,
		.help = "the port's TLS"},
	{"outlierDetection", MT_F_POINTER, AT(struct mt_port_policy, policy.outlier),
		.sub = &outlier_section, .help = "the port's outlier detection"},
};

static const struct mt_section port_policy_section = {"portLevelSettings",
	sizeof(struct mt_port_policy), MT_ARRAY_LEN(port_policy_fields),
	.fields = port_policy_fields};

static void read_budget_percent(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)mt_read_decimal(c, n, 0, 100, &((struct mt_retry_budget_policy *)obj)->percent);
}

static const struct mt_field budget_fields[] = {
	{"percent", MT_F_CUSTOM, .custom = read_budget_percent,
		.help = "of the cluster's outstanding calls in the node; default: 20"},
	{"minRetryConcurrency", MT_F_NUM, AT(struct mt_retry_budget_policy, least),
		.max = INT32_MAX, .help = "so many retries are allowed in any case; default: 3"},
	{"budgetInterval", MT_F_LATER, .help = "calls count while they are outstanding"},
};

static const struct mt_section budget_section = {"retryBudget",
	sizeof(struct mt_retry_budget_policy), MT_ARRAY_LEN(budget_fields),
	.fields = budget_fields};

static void read_proxy_protocol(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_traffic_policy *)obj)->proxy_protocol = n->key_line;
	mt_f_warn(c, n->key_line, NULL, "accepted, not enforced: no PROXY header is sent");
}

static const struct mt_field policy_fields[] = {
	{"loadBalancer", MT_F_POINTER, AT(struct mt_traffic_policy, lb), .sub = &lb_section,
		.help = "how calls are spread over endpoints"},
	{"connectionPool", MT_F_POINTER, AT(struct mt_traffic_policy, pool), .sub = &pool_section,
		.help = "limits of connections and waiting calls"},
	{"tls", MT_F_POINTER, AT(struct mt_traffic_policy, tls), .sub = &tls_section,
		.help = "TLS to the endpoints; default: mutual TLS of the mesh for endpoints with "
			"a proxy of their own, else plaintext"},
	{"outlierDetection", MT_F_POINTER, AT(struct mt_traffic_policy, outlier),
		.sub = &outlier_section,
		.help = "when failing endpoints are ejected; default: 3 connect failures or resets "
			"within 10 s, or 5 timeouts in a row"},
	{"portLevelSettings", MT_F_LIST, AT_LIST(struct mt_traffic_policy, ports),
		.sub = &port_policy_section,
		.help = "settings of one port: those of the host replace its whole policy at that "
			"port, those of a subset replace the members that they contain"},
	{"tunnel", MT_F_LATER, .harms = true, .help = "connections go directly to the endpoints"},
	{"proxyProtocol", MT_F_CUSTOM, .custom = read_proxy_protocol, .status = MT_S_WARNS,
		.harms = true,
		.help = "no PROXY header is sent; with a forwarded port of TCP the service is "
			"refused"},
	{"retryBudget", MT_F_POINTER, AT(struct mt_traffic_policy, retry_budget),
		.sub = &budget_section,
		.help = "limits retries by policy that wait or are outstanding in the node, "
			"relative to the cluster's outstanding calls; default: "
			"`connectionPool.http.maxRetries`. Also applies with portLevelSettings, "
			"which cannot contain it"},
};

const struct mt_section mt_sec_traffic_policy = {"trafficPolicy", sizeof(struct mt_traffic_policy),
	MT_ARRAY_LEN(policy_fields), .fields = policy_fields};

static const struct mt_field subset_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_subset, name), .required = true,
		.help = "the name that routes refer to"},
	{"labels", MT_F_LABELS, AT(struct mt_subset, labels), .length = MT_LABEL_TEXT,
		.help = "endpoints with all of these labels belong to the subset"},
	{"trafficPolicy", MT_F_POINTER, AT(struct mt_subset, policy), .sub = &mt_sec_traffic_policy,
		.help = "policy of calls to the subset; each member that it contains replaces the "
			"host's"},
};

static const struct mt_section subset_section = {
	"subset", sizeof(struct mt_subset), MT_ARRAY_LEN(subset_fields), .fields = subset_fields};

static const struct mt_field selector_fields[] = {
	{"matchLabels", MT_F_LABELS, AT(struct mt_selector, labels), .length = MT_LABEL_TEXT,
		.help = "labels that must all be among the Node's metadata.labels"},
};

static const struct mt_section selector_section = {"workloadSelector", sizeof(struct mt_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields};

static const struct mt_field rule_fields[] = {
	{"host", MT_F_TEXT, AT(struct mt_destination_rule, host), .required = true, .host = true,
		.help = "the service that the rule applies to"},
	{"trafficPolicy", MT_F_POINTER, AT(struct mt_destination_rule, policy),
		.sub = &mt_sec_traffic_policy,
		.help = "policy of calls to the host, and of subsets for members that they do not "
			"contain"},
	{"subsets", MT_F_LIST, AT_LIST(struct mt_destination_rule, subsets), .sub = &subset_section,
		.max = MT_LIST_LONG, .help = "named groups of the service's endpoints"},
	{"exportTo", MT_F_TEXTS, AT(struct mt_destination_rule, export_to.v),
		.count = offsetof(struct mt_destination_rule, export_to.n), .max = MT_LIST_SHORT,
		.help = "namespaces of clients, as in a ServiceEntry"},
	{"workloadSelector", MT_F_POINTER, AT(struct mt_destination_rule, selector),
		.sub = &selector_section, .help = "nodes that the rule applies to"},
};

const struct mt_section mt_sec_destination_rule = {"DestinationRule",
	sizeof(struct mt_destination_rule), MT_ARRAY_LEN(rule_fields), .fields = rule_fields};
