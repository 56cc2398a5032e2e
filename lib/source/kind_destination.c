/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#include <stdlib.h>

#define RING_MAX 8388608u /* limit of the field in the API */

static void read_cookie(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_hash_policy *)obj)->cookie = true;
	mt_f_warn(c, n->key_line, "use httpHeaderName with a metadata key",
		"accepted, not enforced: messages have no cookies");
}

static const struct mt_field ring_fields[] = {
	{"minimumRingSize", MT_F_NUM, AT(struct mt_ring_policy, min), .max = RING_MAX,
		.help = "points of the ring at least; default: 1024"},
};

static const struct mt_section ring_section = {"ringHash", sizeof(struct mt_ring_policy),
	MT_ARRAY_LEN(ring_fields), .fields = ring_fields};

static const struct mt_field hash_fields[] = {
	{"httpHeaderName", MT_F_TEXT, AT(struct mt_hash_policy, header),
		.help = "the metadata key with the value that selects the endpoint (exact case)"},
	{"useSourceIp", MT_F_BOOL, AT(struct mt_hash_policy, use_source_ip),
		.help = "the client's address chooses the instance"},
	{"httpCookie", MT_F_CUSTOM, .custom = read_cookie, .status = MT_S_WARNS,
		.help = "messages have no cookies"},
	{"httpQueryParameterName", MT_F_LATER, .help = "messages have no query parameters"},
	{"ringHash", MT_F_POINTER, AT(struct mt_hash_policy, ring), .sub = &ring_section,
		.help = "a ring, as proxies have it; default: a Maglev table"},
	{"maglev", MT_F_SKIP, .help = "the default; the table's size is chosen by Meltemi"},
	{"minimumRingSize", MT_F_NUM, AT(struct mt_hash_policy, ring_min), .max = RING_MAX,
		.help = "the same as ringHash.minimumRingSize"},
};

static const struct mt_section hash_section = {"consistentHash", sizeof(struct mt_hash_policy),
	MT_ARRAY_LEN(hash_fields), .fields = hash_fields};

static const char *const simple_words[] = {
	"UNSPECIFIED", "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "LEAST_CONN", "PASSTHROUGH", NULL};

/* Reads a number in hundredths. False after an error: it is not between `least` and `most`. */
static bool read_decimal(
	struct mt_fctx *c, const struct mt_ynode *n, double least, double most, struct mt_num *out)
{
	char *end;
	double v;

	if (!mt_want_scalar(c, n, "a number"))
		return false;
	v = strtod(n->text, &end);
	if (end == n->text || *end || !(v >= least && v <= most)) {
		mt_f_error(c, n->line, NULL, "\"%.64s\" is not a number from %g to %g", n->text,
			least, most);
		return false;
	}
	*out = (struct mt_num){(uint32_t)(v * 100 + 0.5), n->line, true};
	return true;
}

static void read_least(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)read_decimal(c, n, 0, 100, &((struct mt_warmup_policy *)obj)->least);
}

static void read_aggression(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)read_decimal(c, n, 1, 100, &((struct mt_warmup_policy *)obj)->aggression);
}

static const struct mt_field warmup_fields[] = {
	{"duration", MT_F_DURATION, AT(struct mt_warmup_policy, duration), .min = 1,
		.max = 86400000, .required = true, .help = "until it has all of its share"},
	{"minimumPercent", MT_F_CUSTOM, .custom = read_least,
		.help = "of its share that it begins with; default: 10"},
	{"aggression", MT_F_CUSTOM, .custom = read_aggression,
		.help = "1 (default): in proportion to its age; more: sooner"},
};

static const struct mt_section warmup_section = {"warmup", sizeof(struct mt_warmup_policy),
	MT_ARRAY_LEN(warmup_fields), .fields = warmup_fields};

static const struct mt_field lb_fields[] = {
	{"simple", MT_F_WORD, AT(struct mt_lb_policy, simple), .words = simple_words,
		.help = "default: LEAST_REQUEST (the better of two random instances)"},
	{"consistentHash", MT_F_POINTER, AT(struct mt_lb_policy, hash), .sub = &hash_section},
	{"localityLbSetting", MT_F_POINTER, AT(struct mt_lb_policy, locality),
		.sub = &mt_sec_locality,
		.help = "which instances are near; default: the MeshConfig's"},
	{"zoneAwareLbSetting", MT_F_LATER, .help = "write localityLbSetting"},
	{"warmupDurationSecs", MT_F_DURATION, AT(struct mt_lb_policy, warmup_ms), .min = 1,
		.max = 86400000, .help = "the older form of `warmup.duration`"},
	{"warmup", MT_F_POINTER, AT(struct mt_lb_policy, warmup), .sub = &warmup_section,
		.help = "the share of a new instance, or of an ejected one that has "
			"returned, grows; with ROUND_ROBIN and LEAST_REQUEST only"},
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
		.help = "the maximum of the node's connections to the cluster's endpoints, divided "
			"evenly among workers; one to each endpoint is always allowed, except for "
			"opaque TCP. Default: 256 per worker and endpoint where a connection "
			"carries one call at a time"},
	{"connectTimeout", MT_F_DURATION, AT(struct mt_tcp_pool, connect_timeout), .min = 1,
		.help = "default: 1s"},
	{"tcpKeepalive", MT_F_LATER, .help = "Meltemi's own keep-alive is used"},
	{"maxConnectionDuration", MT_F_LATER, .help = "connections are kept while they are used"},
	{"idleTimeout", MT_F_LATER, .help = "an idle connection to an instance is kept for 60 s"},
};

static const struct mt_section tcp_section = {"connectionPool.tcp", sizeof(struct mt_tcp_pool),
	MT_ARRAY_LEN(tcp_fields), .fields = tcp_fields};

static const struct mt_field http_fields[] = {
	{"http2MaxRequests", MT_F_NUM, AT(struct mt_http_pool, max_requests), .min = 1,
		.max = INT32_MAX, .status = MT_S_LATER, .instead = "calls are not counted",
		.help = "calls outstanding at the cluster at most"},
	{"http1MaxPendingRequests", MT_F_NUM, AT(struct mt_http_pool, max_pending), .min = 1,
		.max = INT32_MAX,
		.help = "calls that may wait for a connection, of the whole node; default: 1,024 "
			"per worker and cluster"},
	{"maxRequestsPerConnection", MT_F_LATER,
		.help = "connections are kept while they are used"},
	{"maxRetries", MT_F_LATER,
		.help = "only calls that no instance has read are sent again, "
			"with a bound of Meltemi's own"},
	{"idleTimeout", MT_F_LATER, .help = "an idle connection to an instance is kept for 60 s"},
	{"h2UpgradePolicy", MT_F_SKIP, .help = "HTTP only"},
	{"useClientProtocol", MT_F_SKIP, .help = "HTTP only"},
	{"maxConcurrentStreams", MT_F_SKIP, .help = "HTTP only"},
	{"http2KeepAlive", MT_F_SKIP, .help = "HTTP only"},
};

static const struct mt_section http_section = {"connectionPool.http", sizeof(struct mt_http_pool),
	MT_ARRAY_LEN(http_fields), .fields = http_fields};

static const struct mt_field pool_fields[] = {
	{"tcp", MT_F_OBJECT, AT(struct mt_conn_pool, tcp), .sub = &tcp_section},
	{"http", MT_F_OBJECT, AT(struct mt_conn_pool, http), .sub = &http_section},
};

static const struct mt_section pool_section = {"connectionPool", sizeof(struct mt_conn_pool),
	MT_ARRAY_LEN(pool_fields), .fields = pool_fields};

static const char *const tls_words[] = {"DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL", NULL};

static const struct mt_field tls_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_tls_settings, mode), .words = tls_words,
		.help = "`DISABLE`: plaintext; `SIMPLE`: TLS; `MUTUAL`: with a certificate; "
			"`ISTIO_MUTUAL`: with the node's own (`spec.identity`). Endpoints are not "
			"called where it cannot be established"},
	{"clientCertificate", MT_F_TEXT, AT(struct mt_tls_settings, chain),
		.help = "a PEM file of this machine, for MUTUAL"},
	{"privateKey", MT_F_TEXT, AT(struct mt_tls_settings, key), .help = "a PEM file"},
	{"caCertificates", MT_F_TEXT, AT(struct mt_tls_settings, roots),
		.help = "a PEM file; default, and `system`: the roots of this machine"},
	{"credentialName", MT_F_TEXT, AT(struct mt_tls_settings, credential),
		.help = "a Secret of the rule's namespace in place of these files: its certificate "
			"and key for MUTUAL (tls.crt, tls.key), and its roots (ca.crt), or those "
			"of the Secret NAME-cacert"},
	{"subjectAltNames", MT_F_TEXTS, AT_LIST(struct mt_tls_settings, sans),
		.help = "one of them is in the instance's certificate; default: "
			"the ServiceEntry's, else the instances' service accounts for ISTIO_MUTUAL "
			"and `sni` for the others"},
	{"sni", MT_F_TEXT, AT(struct mt_tls_settings, sni), .host = true,
		.help = "default: for ISTIO_MUTUAL as Istio has it, else none"},
	{"insecureSkipVerify", MT_F_BOOL, AT(struct mt_tls_settings, anybody),
		.help = "any certificate will do"},
	{"caCrl", MT_F_TEXT, AT(struct mt_tls_settings, crl),
		.help = "a PEM file of revocation lists"},
};

static const struct mt_section tls_section = {
	"tls", sizeof(struct mt_tls_settings), MT_ARRAY_LEN(tls_fields), .fields = tls_fields};

static const struct mt_field outlier_fields[] = {
	{"consecutive5xxErrors", MT_F_NUM, AT(struct mt_outlier_policy, errors), .max = INT32_MAX,
		.help = "so many calls in a row that fail, or are answered by an error "
			"of the server's framework (no exception of the service's own), "
			"eject an instance; 0: error replies do not count. Default: 5"},
	{"consecutiveGatewayErrors", MT_F_NUM, AT(struct mt_outlier_policy, gateway),
		.max = INT32_MAX,
		.help = "so many failures in a row do, except error replies: connections that fail "
			"or break, calls that time out. Default: consecutive5xxErrors"},
	{"consecutiveLocalOriginFailures", MT_F_NUM, AT(struct mt_outlier_policy, local),
		.max = INT32_MAX, .help = "the same; the smaller of both holds"},
	{"baseEjectionTime", MT_F_DURATION, AT(struct mt_outlier_policy, base_ejection), .min = 1,
		.help = "times how often it came of late: so long an instance is ejected at least. "
			"Default: 30s, and 300s at most"},
	{"interval", MT_F_SKIP,
		.help = "an instance is ejected with the last of its failures, and is on trial "
			"when its time is over: nobody looks at intervals"},
	{"maxEjectionPercent", MT_F_NUM, AT(struct mt_outlier_policy, most), .max = 100,
		.help = "of the instances that are ejected at once at most, but one always may be; "
			"default, and 0: 100"},
	{"minHealthPercent", MT_F_NUM, AT(struct mt_outlier_policy, least), .max = 100,
		.help = "of the instances: with fewer of them in rotation ejected ones are used "
			"like the others. Default, and 0: when all are ejected all are used"},
	{"splitExternalLocalOriginErrors", MT_F_LATER, .help = "failures of all sorts count alike"},
	{"consecutiveErrors", MT_F_LATER, .help = "write consecutive5xxErrors"},
	{"outlierDetectionHttpErrorCodes", MT_F_LATER, .help = "replies have no codes of HTTP"},
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
		.required = true, .help = "which port"},
	{"loadBalancer", MT_F_POINTER, AT(struct mt_port_policy, policy.lb), .sub = &lb_section},
	{"connectionPool", MT_F_POINTER, AT(struct mt_port_policy, policy.pool),
		.sub = &pool_section},
	{"tls", MT_F_POINTER, AT(struct mt_port_policy, policy.tls), .sub = &tls_section},
	{"outlierDetection", MT_F_POINTER, AT(struct mt_port_policy, policy.outlier),
		.sub = &outlier_section},
};

static const struct mt_section port_policy_section = {"portLevelSettings",
	sizeof(struct mt_port_policy), MT_ARRAY_LEN(port_policy_fields),
	.fields = port_policy_fields};

static const struct mt_field policy_fields[] = {
	{"loadBalancer", MT_F_POINTER, AT(struct mt_traffic_policy, lb), .sub = &lb_section},
	{"connectionPool", MT_F_POINTER, AT(struct mt_traffic_policy, pool), .sub = &pool_section},
	{"tls", MT_F_POINTER, AT(struct mt_traffic_policy, tls), .sub = &tls_section},
	{"outlierDetection", MT_F_POINTER, AT(struct mt_traffic_policy, outlier),
		.sub = &outlier_section,
		.help = "without it 3 connect failures or resets within 10 s, "
			"or 5 time-outs in a row, eject any instance"},
	{"portLevelSettings", MT_F_LIST, AT_LIST(struct mt_traffic_policy, ports),
		.sub = &port_policy_section,
		.help = "for one port: the host's in place of all of its policy, a subset's in "
			"place of what they write"},
	{"tunnel", MT_F_LATER, .help = "connections go straight to the instances"},
	{"proxyProtocol", MT_F_LATER, .help = "no PROXY header is sent"},
	{"retryBudget", MT_F_LATER,
		.help = "only calls that no instance has read are sent again, "
			"with a bound of Meltemi's own"},
};

static const struct mt_section policy_section = {"trafficPolicy", sizeof(struct mt_traffic_policy),
	MT_ARRAY_LEN(policy_fields), .fields = policy_fields};

static const struct mt_field subset_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_subset, name), .required = true,
		.help = "the subset's name in routes"},
	{"labels", MT_F_LABELS, AT(struct mt_subset, labels),
		.help = "instances that carry all of them belong to the subset"},
	{"trafficPolicy", MT_F_POINTER, AT(struct mt_subset, policy), .sub = &policy_section},
};

static const struct mt_section subset_section = {
	"subset", sizeof(struct mt_subset), MT_ARRAY_LEN(subset_fields), .fields = subset_fields};

static const struct mt_field selector_fields[] = {
	{"matchLabels", MT_F_LABELS, AT(struct mt_selector, labels),
		.help = "all of them must be among the Node's metadata.labels"},
};

static const struct mt_section selector_section = {"workloadSelector", sizeof(struct mt_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields};

static const struct mt_field rule_fields[] = {
	{"host", MT_F_TEXT, AT(struct mt_destination_rule, host), .required = true, .host = true,
		.help = "the service that the rule is for"},
	{"trafficPolicy", MT_F_POINTER, AT(struct mt_destination_rule, policy),
		.sub = &policy_section},
	{"subsets", MT_F_LIST, AT_LIST(struct mt_destination_rule, subsets),
		.sub = &subset_section},
	{"exportTo", MT_F_TEXTS, AT(struct mt_destination_rule, export_to.v),
		.count = offsetof(struct mt_destination_rule, export_to.n),
		.help = "as in a ServiceEntry"},
	{"workloadSelector", MT_F_POINTER, AT(struct mt_destination_rule, selector),
		.sub = &selector_section, .help = "clients: the Node's labels"},
};

const struct mt_section mt_sec_destination_rule = {"DestinationRule",
	sizeof(struct mt_destination_rule), MT_ARRAY_LEN(rule_fields), .fields = rule_fields};
