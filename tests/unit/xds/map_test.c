/* SPDX-License-Identifier: Apache-2.0 */
/* What resources say, in the model: shapes as istiod and Aeraki send them, and what else the API has. */
#include "map_fixture.h"

#include "cluster.pb-c.h"
#include "heap_used.h"

#include <stdio.h>
#include <string.h>

/* ---- clusters -------------------------------------------------------------------------------------- */

/* A ServiceEntry with a DestinationRule, as istiod makes it. */
static const char istio_cluster[] =
	"{'name': 'outbound|20880|v1|org.example.demo', 'type': 'EDS', 'eds_cluster_config': "
	"{'eds_config': {'ads': {},"
	" 'initial_fetch_timeout': '0s', 'resource_api_version': 'V3'}, 'service_name': "
	"'outbound|20880|v1|org.example.demo'},"
	" 'connect_timeout': '10s', 'lb_policy': 'RING_HASH', 'ring_hash_lb_config': "
	"{'minimum_ring_size': 1024},"
	" 'circuit_breakers': {'thresholds': [{'max_connections': 100, 'max_pending_requests': "
	"4294967295, 'max_requests': 4294967295,"
	" 'max_retries': 4294967295, 'track_remaining': true}]},"
	" 'outlier_detection': {'consecutive_5xx': 7, 'interval': '1.5s', 'base_ejection_time': "
	"'15s', 'max_ejection_percent': 100,"
	" 'enforcing_consecutive_5xx': 100},"
	" 'common_lb_config': {'healthy_panic_threshold': {'value': 0}, "
	"'locality_weighted_lb_config': {}},"
	" 'metadata': {'filter_metadata': {'istio': {'config': "
	"'/apis/networking.istio.io/v1alpha3/x', 'services': [{'name': 'a'}]}}},"
	" 'filters': [{'name': 'istio.metadata_exchange', 'typed_config': {'@type':"
	" 'type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange'}}],"
	" 'transport_socket_matches': [{'name': 'tlsMode-istio', 'match': {'tlsMode': 'istio'}, "
	"'transport_socket': {'name':"
	" 'envoy.transport_sockets.tls', 'typed_config': {'@type':"
	" 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', "
	"'sni':"
	" 'outbound_.20880_.v1_.org.example.demo', 'common_tls_context': {'alpn_protocols': "
	"['istio-peer-exchange', 'istio'],"
	" 'tls_certificate_sds_secret_configs': [{'name': 'default', 'sds_config': "
	"{'api_config_source': {'api_type': 'GRPC',"
	" 'grpc_services': [{'envoy_grpc': {'cluster_name': 'sds-grpc'}}]}}}], "
	"'combined_validation_context':"
	" {'default_validation_context': {'match_typed_subject_alt_names': [{'san_type': 'URI', "
	"'matcher': {'exact':"
	" 'spiffe://cluster.local/ns/demo/sa/x'}}]}, 'validation_context_sds_secret_config': "
	"{'name': 'ROOTCA', 'sds_config':"
	" {'api_config_source': {'api_type': 'GRPC', 'grpc_services': [{'envoy_grpc': "
	"{'cluster_name': 'sds-grpc'}}]}}}}}}}},"
	" {'name': 'tlsMode-disabled', 'match': {}, 'transport_socket': {'name': "
	"'envoy.transport_sockets.raw_buffer', 'typed_config':"
	" {'@type': "
	"'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'}}}]}";

static void cluster_of_istio(void)
{
	struct mapped m = map_text(MT_XDS_CDS, istio_cluster);
	const struct mt_res_cluster *c = (const void *)m.m.meta;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_PTR_EQUAL(m.m.part->res_clusters.v[0], c);
	CU_ASSERT_STRING_EQUAL(c->meta.name, "outbound|20880|v1|org.example.demo");
	CU_ASSERT_STRING_EQUAL(c->meta.kind, "Cluster");
	CU_ASSERT_STRING_EQUAL(c->meta.origin.file, "xds:t");
	CU_ASSERT_EQUAL(c->meta.serial, 7);
	CU_ASSERT_EQUAL(c->discovery, MT_RES_EDS);
	CU_ASSERT_STRING_EQUAL(c->endpoints_name, "outbound|20880|v1|org.example.demo");
	CU_ASSERT_PTR_NULL(c->endpoints);
	CU_ASSERT_EQUAL(c->lb, MT_RES_RING_HASH);
	CU_ASSERT_EQUAL(c->ring_min, 1024);
	CU_ASSERT_EQUAL(c->ring_max, 0);
	CU_ASSERT_EQUAL(c->connect_ms, 10000);
	CU_ASSERT_EQUAL(c->max_connections, 100);
	CU_ASSERT_EQUAL(c->max_pending, 0); /* "no bound" is none of ours */
	CU_ASSERT_EQUAL(c->max_requests, 0);
	CU_ASSERT_TRUE(c->locality_weighted);
	CU_ASSERT_TRUE(c->panic_percent.set && c->panic_percent.v == 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->outlier);
	CU_ASSERT_EQUAL(c->outlier->failures.v, 7);
	CU_ASSERT_EQUAL(c->outlier->errors.v, 7);
	CU_ASSERT_EQUAL(c->outlier->interval_ms.v, 1500);
	CU_ASSERT_EQUAL(c->outlier->base_ejection_ms.v, 15000);
	CU_ASSERT_EQUAL(c->outlier->max_percent.v, 100);
	CU_ASSERT_FALSE(c->outlier->max_ejection_ms.set);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->tls);
	CU_ASSERT_TRUE(c->tls_by_endpoint);
	CU_ASSERT_STRING_EQUAL(c->tls->certificate, "default");
	CU_ASSERT_STRING_EQUAL(c->tls->trust, "ROOTCA");
	CU_ASSERT_STRING_EQUAL(c->tls->sni, "outbound_.20880_.v1_.org.example.demo");
	CU_ASSERT_EQUAL_FATAL(c->tls->n_sans, 1);
	CU_ASSERT_STRING_EQUAL(c->tls->sans[0].text, "spiffe://cluster.local/ns/demo/sa/x");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "SDS default @sds-grpc; SDS ROOTCA @sds-grpc; EDS "
					     "outbound|20880|v1|org.example.demo no limit");
	CU_ASSERT_PTR_NOT_NULL(strstr(ignored_str(&m), "filters: "));
	CU_ASSERT_EQUAL_FATAL(c->tls->n_alpn, 2);
	CU_ASSERT_STRING_EQUAL(c->tls->alpn[1], "istio");
	CU_ASSERT_PTR_NULL(c->tls->unmade);
	/* What means nothing here is not told. */
	CU_ASSERT_PTR_NULL(strstr(ignored_str(&m), "metadata: "));
	CU_ASSERT_PTR_NULL(strstr(ignored_str(&m), "track_remaining"));
	unmap(&m);
}

static void kinds_of_clusters(void)
{
	static const struct {
		const char *text;
		enum mt_res_discovery discovery;
		enum mt_res_lb lb;
		const char *refs;
	} rows[] = {
		{"{'name': 'a'}", MT_RES_STATIC, MT_RES_ROUND_ROBIN, ""},
		{"{'name': 'PassthroughCluster', 'type': 'ORIGINAL_DST', 'lb_policy': "
		 "'CLUSTER_PROVIDED'}",
			MT_RES_ORIGINAL_DST, MT_RES_ROUND_ROBIN, ""},
		{"{'name': 'a', 'type': 'STRICT_DNS', 'lbPolicy': 'LEAST_REQUEST'}",
			MT_RES_STRICT_DNS, MT_RES_LEAST_REQUEST, ""},
		{"{'name': 'a', 'lb_policy': 'MAGLEV', 'maglev_lb_config': {'table_size': 65537}}",
			MT_RES_STATIC, MT_RES_MAGLEV, ""},
		{"{'name': 'a', 'lb_policy': 'LOAD_BALANCING_POLICY_CONFIG', "
		 "'load_balancing_policy': {'policies': ["
		 "{'typed_extension_config': {'name': 'new', 'typed_config': {'@type': "
		 "'type.googleapis.com/a.New'}}},"
		 "{'typed_extension_config': {'name': 'w', 'typed_config': {'@type':"
		 " 'type.googleapis.com/"
		 "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality', "
		 "'endpoint_picking_policy':"
		 " {'policies': [{'typed_extension_config': {'name': 'l', 'typed_config': {'@type':"
		 " 'type.googleapis.com/"
		 "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest'}}}]}}}}]}"
		 "}",
			MT_RES_STATIC, MT_RES_LEAST_REQUEST, ""},
		{"{'name': 'a', 'lb_policy': 'RANDOM'}", MT_RES_STATIC, MT_RES_RANDOM, ""},
		{"{'name': 'a', 'type': 'EDS', 'eds_cluster_config': {'eds_config': {'self': {}}}}",
			MT_RES_EDS, MT_RES_ROUND_ROBIN, "EDS a"},
		{"{'name': 'a', 'type': 'EDS', 'eds_cluster_config': {'service_name': 'b', "
		 "'eds_config': {'initial_fetch_timeout': '2.5s',"
		 " 'api_config_source': {'api_type': 'DELTA_GRPC', 'grpc_services': "
		 "[{'envoy_grpc': {'cluster_name': 'x'}}]}}}}",
			MT_RES_EDS, MT_RES_ROUND_ROBIN, "EDS b @x delta 2500ms"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_CDS, rows[i].text);
		const struct mt_res_cluster *c = (const void *)m.m.meta;

		if (m.rc)
			printf("\n  %s: %s\n", rows[i].text, m.why.text);
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_EQUAL(c->discovery, rows[i].discovery);
		CU_ASSERT_EQUAL(c->lb, rows[i].lb);
		CU_ASSERT_STRING_EQUAL(refs_str(&m), rows[i].refs);
		unmap(&m);
	}
}

/* Endpoints that warm up: by the configuration of the balancer that the cluster has. */
static void slow_starts(void)
{
#define SLOW(more) "{'slow_start_config': {'slow_start_window': '60s'" more "}}"
	static const struct {
		const char *text;
		uint32_t ms, least, aggression;
		const char *words;
	} rows[] = {
		{"{'name': 'a', 'round_robin_lb_config': " SLOW("") "}", 60000, 1000, 100, ""},
		{"{'name': 'a', 'lb_policy': 'LEAST_REQUEST', 'least_request_lb_config': " SLOW(
			 ", 'aggression': {'default_value': 1.5}, 'min_weight_percent': {'value': "
			 "2.5}") "}",
			60000, 250, 150, ""},
		{"{'name': 'a', 'lb_policy': 'LEAST_REQUEST', 'round_robin_lb_config': " SLOW(
			 "") "}",
			0, 0, 0, ""},
		{"{'name': 'a', 'lb_policy': 'RANDOM', 'round_robin_lb_config': " SLOW("") "}", 0,
			0, 0, ""},
		{"{'name': 'a', 'lb_policy': 'LEAST_REQUEST', 'least_request_lb_config': "
		 "{'active_request_bias': {'default_value': 2}}}",
			0, 0, 0,
			"least_request_lb_config.active_request_bias: of two endpoints the one "
			"with "
			"fewer calls is taken\n"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_CDS, rows[i].text);
		const struct mt_res_cluster *c = (const void *)m.m.meta;

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_EQUAL(c->warmup_ms, rows[i].ms);
		CU_ASSERT_EQUAL(c->warmup_least, rows[i].least);
		CU_ASSERT_EQUAL(c->warmup_aggression, rows[i].aggression);
		CU_ASSERT_STRING_EQUAL(ignored_str(&m), rows[i].words);
		unmap(&m);
	}
}

#define AT(address, port)                                                                          \
	"'endpoint': {'address': {'socket_address': {'address': '" address                         \
	"', 'port_value': " port "}}}"

static void names_of_a_dns_cluster(void)
{
	struct mapped m = map_text(MT_XDS_CDS,
		"{'name': 'a', 'type': 'STRICT_DNS', 'dns_lookup_family': 'V4_PREFERRED', "
		"'dns_refresh_rate': '5s', 'respect_dns_ttl':"
		" true, 'load_assignment': {'endpoints': [{'lb_endpoints': [{" AT(
			"192.0.2.1", "80") "}]}, {'priority': 1,"
					   " 'lb_endpoints': [{" AT("db.example.org",
						   "5432") ", 'load_balancing_weight': 3}]}]}}");
	const struct mt_res_cluster *c = (const void *)m.m.meta;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_PTR_NULL(c->endpoints);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->dns);
	CU_ASSERT_EQUAL(c->dns->family, MT_RES_V4_FIRST);
	CU_ASSERT_EQUAL(c->dns->refresh_ms, 5000);
	CU_ASSERT_TRUE(c->dns->respect_ttl);
	CU_ASSERT_EQUAL(c->dns->fixed->n_eps, 1);
	CU_ASSERT_EQUAL_FATAL(c->dns->n_names, 1);
	CU_ASSERT_STRING_EQUAL(c->dns->names[0].host, "db.example.org");
	CU_ASSERT_EQUAL(c->dns->names[0].port, 5432);
	CU_ASSERT_EQUAL(c->dns->names[0].weight, 3);
	CU_ASSERT_EQUAL(c->dns->names[0].locality, 1);
	CU_ASSERT_EQUAL(c->dns->fixed->localities[1].priority, 1);
	unmap(&m);
}

/* What of a cluster is taken and told: "" nothing is. */
static void clusters_taken_with_words(void)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"{'name': 'a', 'common_lb_config': {}}", ""},
		{"{'name': 'a', 'common_lb_config': {'healthy_panic_threshold': {'value': 100}}}",
			""},
		{"{'name': 'a', 'maglev_lb_config': {'table_size': 2}}",
			"maglev_lb_config.table_size: shown, not enforced: 65,537 entries up to "
			"4,000 endpoints\n"},
		{"{'name': 'a', 'ring_hash_lb_config': {'hash_function': 'MURMUR_HASH_2'}}",
			"ring_hash_lb_config.hash_function: MURMUR_HASH_2: XXH64 is used\n"},
		{"{'name': 'a', 'ring_hash_lb_config': {'hash_function': 'XX_HASH'}}", ""},
		{"{'name': 'a', 'lb_policy': 'CLUSTER_PROVIDED'}",
			"lb_policy: CLUSTER_PROVIDED: round robin\n"},
		{"{'name': 'a', 'type': 'ORIGINAL_DST', 'lb_policy': 'CLUSTER_PROVIDED'}", ""},
		{"{'name': 'a', 'circuit_breakers': {'thresholds': [{'priority': 'HIGH', "
		 "'max_connections': 7}]}}",
			"circuit_breakers.thresholds[0].priority: HIGH: messages have no "
			"priorities; the thresholds of DEFAULT apply\n"},
		{"{'name': 'a', 'transport_socket_matches': [{'match': {'a': 'b'}}]}",
			"transport_socket_matches[0].match: keys other than tlsMode: never used\n"},
		{"{'name': 'a', 'transport_socket_matches': [{'match': {}}]}", ""},
		{"{'name': 'a', 'transport_socket': {'name': 'x', 'typed_config': {'@type': "
		 "'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'}"
		 "}}",
			""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_CDS, rows[i].text);
		const struct mt_res_cluster *c = (const void *)m.m.meta;

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_STRING_EQUAL(ignored_str(&m), rows[i].words);
		CU_ASSERT_EQUAL(c->max_connections, 0);
		unmap(&m);
	}
}

#define UPSTREAM_TLS                                                                               \
	"'transport_socket': {'name': 'tls', 'typed_config': {'@type': "                           \
	"'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', "     \
	"'sni': 'a.test'}}"

/* TLS for endpoints that nobody can tell: none is called in clear text, whatever else is said. */
static void sockets_by_other_metadata(void)
{
	static const struct {
		const char *text;
		bool by_endpoint, unmade;
	} rows[] = {
		{"[{'match': {'tlsMode': 'istio'}, " UPSTREAM_TLS "}, {'match': {}}]", true, false},
		{"[{'match': {}, " UPSTREAM_TLS "}]", false, true},
		{"[{'match': {'a': 'b'}, " UPSTREAM_TLS "}]", false, true},
		{"[{'match': {'a': 'b'}, " UPSTREAM_TLS
		 "}, {'match': {'tlsMode': 'istio'}, " UPSTREAM_TLS "}]",
			false, true},
		{"[{'match': {'tlsMode': 'istio'}, " UPSTREAM_TLS "}, {'match': {}, " UPSTREAM_TLS
		 "}]",
			false, true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[2048];
		struct mapped m;
		const struct mt_res_cluster *c;

		snprintf(text, sizeof(text), "{'name': 'a', 'transport_socket_matches': %s}",
			rows[i].text);
		m = map_text(MT_XDS_CDS, text);
		c = (const void *)m.m.meta;
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c->tls);
		CU_ASSERT_EQUAL(c->tls_by_endpoint, rows[i].by_endpoint);
		CU_ASSERT_EQUAL(c->tls->unmade != NULL, rows[i].unmade);
		unmap(&m);
	}
}

#define ROUTE(rest)                                                                                \
	"{'name': 'r', 'virtual_hosts': [{'routes': [{'route': {'cluster': 'c'" rest "}]}]}"
#define RULE "virtual_hosts[0].routes[0]."

static void routes_taken_with_words(void)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ROUTE("}"), ""},
		{ROUTE(", 'request_mirror_policies': [{'cluster': 'd'}]}"), ""},
		{ROUTE("}, 'request_headers_to_add': [{'header': {'key': 'k', 'value': 'v'}, "
		       "'append_action': 'OVERWRITE_IF_EXISTS_OR_ADD'}]"),
			""},
		{ROUTE("}, 'request_headers_to_add': [{'header': {'key': 'k', 'value': 'v'}, "
		       "'append_action': 'ADD_IF_ABSENT'}]"),
			RULE "request_headers_to_add[0].append_action: ADD_IF_ABSENT and "
			     "OVERWRITE_IF_EXISTS: the value is set in any case\n"},
		{ROUTE(", 'hash_policy': [{'header': {'header_name': 'a'}}, {'header': "
		       "{'header_name': 'b'}}, {'header': {'header_name': 'c'}}, {'header': "
		       "{'header_name': 'd'}}]}"),
			""},
		{ROUTE(", 'hash_policy': [{'header': {'header_name': 'a'}}, {'header': "
		       "{'header_name': 'b'}}, {'header': {'header_name': 'c'}}, {'header': "
		       "{'header_name': 'd'}}, {'header': {'header_name': 'e'}}]}"),
			RULE "route.hash_policy[4]: more than four keys: the first four\n"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_RDS, rows[i].text);

		CU_ASSERT_STRING_EQUAL(m.why.text, "");
		CU_ASSERT_STRING_EQUAL(ignored_str(&m), rows[i].words);
		unmap(&m);
	}
}

/* "1 on 0 each 0, 0-0, other hosts 0": attempts, reasons, time, back-off; "none". */
static const char *retries_str(const struct mt_rule_retries *r)
{
	static char text[200];

	if (!r)
		return "none";
	snprintf(text, sizeof(text), "%u on %u each %u, %u-%u, other hosts %u", r->attempts.v,
		r->on, r->per_try.v, r->backoff.v, r->backoff_max.v, r->other_hosts.v);
	CU_ASSERT_TRUE(r->on_written && r->other_hosts.set && r->attempts.set);
	return text;
}

#define RETRY(policy) ROUTE(", 'retry_policy': {" policy "}}")
#define LATER	      RULE "route.retry_policy."
#define HOSTS(name)   "'retry_host_predicate': [{'name': 'envoy.retry_host_predicates." name "'}]"
#define STATUSES                                                                                   \
	"retriable_status_codes: statuses other than 500, 503 and 504, or without "                \
	"retriable-status-codes in retry_on: left out\n"

static void retry_policies(void)
{
	static const struct {
		const char *text, *want, *words;
	} rows[] = {
		{ROUTE("}"), "none", ""},
		{RETRY(""), "1 on 0 each 0, 0-0, other hosts 0", ""},
		{RETRY("'retry_on': 'connect-failure,refused-stream,unavailable,cancelled,"
		       "retriable-status-codes', 'num_retries': 2, 'retriable_status_codes': [503],"
		       " 'host_selection_retry_max_attempts': 5, " HOSTS("previous_hosts")),
			"2 on 27 each 0, 0-0, other hosts 1",
			LATER "retry_on: reasons that are not known, or that replies of RPC "
			      "protocols never have: left out\n"},
		{RETRY("'retry_on': '5xx', 'num_retries': 0, 'per_try_timeout': '0.25s', "
		       "'retry_back_off': {'base_interval': '0.01s', 'max_interval': '1s'}"),
			"0 on 127 each 250, 10-1000, other hosts 0", ""},
		{RETRY("'retry_on': 'reset', 'num_retries': 101, 'retry_back_off': "
		       "{'base_interval': '0.0001s'}"),
			"100 on 7 each 0, 1-0, other hosts 0",
			LATER "num_retries: more than 100: 100\n"},
		{RETRY("'retry_on': 'retriable-status-codes', 'retriable_status_codes': [409, "
		       "504, 100503]"),
			"1 on 32 each 0, 0-0, other hosts 0", LATER STATUSES},
		{RETRY("'retry_on': 'reset-before-request'"), "1 on 3 each 0, 0-0, other hosts 0",
			""},
		{RETRY("'retry_on': 'reset', 'retriable_status_codes': [503]"),
			"1 on 7 each 0, 0-0, other hosts 0", LATER STATUSES},
		{RETRY("'retry_on': 'reset', " HOSTS("omit_canary_hosts")),
			"1 on 7 each 0, 0-0, other hosts 0",
			LATER "retry_host_predicate[0].name: any but previous_hosts: left out\n"},
		{RETRY("'retry_on': 'reset', 'retriable_request_headers': [{'name': 'x'}]"),
			"0 on 7 each 0, 0-0, other hosts 0",
			LATER "retriable_request_headers: a policy for some requests only: there "
			      "are no retries by it\n"},
		{RETRY("'retry_on': 'reset', 'per_try_idle_timeout': '1s'"),
			"1 on 7 each 0, 0-0, other hosts 0",
			LATER "per_try_idle_timeout: per_try_timeout limits an attempt\n"},
		/* The virtual host's, for routes that have none. */
		{"{'name': 'r', 'virtual_hosts': [{'retry_policy': {'retry_on': '5xx'}, 'routes': "
		 "[{'route': {'cluster': 'c'}}]}]}",
			"1 on 127 each 0, 0-0, other hosts 0", ""},
		{"{'name': 'r', 'virtual_hosts': [{'retry_policy': {'retry_on': '5xx'}, 'routes': "
		 "[{'route': {'cluster': 'c', 'retry_policy': {}}}]}]}",
			"1 on 0 each 0, 0-0, other hosts 0", ""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_RDS, rows[i].text);
		const struct mt_res_routes *r = (const void *)m.m.meta;

		CU_ASSERT_STRING_EQUAL(m.why.text, "");
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		if (strcmp(retries_str(r->list.rules->retries), rows[i].want) != 0)
			printf("\n  %zu: %s\n", i, retries_str(r->list.rules->retries));
		CU_ASSERT_STRING_EQUAL(retries_str(r->list.rules->retries), rows[i].want);
		CU_ASSERT_STRING_EQUAL(ignored_str(&m), rows[i].words);
		unmap(&m);
	}
}

/* Envoy's default is a limit of three; Istio writes that there is none. */
static void retry_budgets(void)
{
#define LIMITS(x) "{'name': 'a', 'circuit_breakers': {'thresholds': [{" x "}]}}"
	static const struct {
		const char *text;
		int64_t most, percent, least; /* -1: not set; percent -2: no budget */
	} rows[] = {
		{"{'name': 'a'}", 3, -2, -1},
		{LIMITS(""), 3, -2, -1},
		{LIMITS("'priority': 'HIGH', 'max_retries': 9"), 3, -2, -1},
		{LIMITS("'max_retries': 0"), 0, -2, -1},
		{LIMITS("'max_retries': 14"), 14, -2, -1},
		{LIMITS("'max_retries': 4294967295"), -1, -2, -1},
		{LIMITS("'retry_budget': {}"), 3, -1, -1},
		{LIMITS("'max_retries': 5, 'retry_budget': {'budget_percent': {'value': 12.345}, "
			"'min_retry_concurrency': 0}"),
			5, 1235, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mapped m = map_text(MT_XDS_CDS, rows[i].text);
		const struct mt_res_cluster *c = (const void *)m.m.meta;
		const struct mt_retry_budget_policy *p;
		int64_t percent = -2;

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		p = c->retry_budget;
		if (p)
			percent = p->percent.set ? (int64_t)p->percent.v : -1;
		CU_ASSERT_EQUAL(c->max_retries.set ? (int64_t)c->max_retries.v : -1, rows[i].most);
		CU_ASSERT_EQUAL(percent, rows[i].percent);
		CU_ASSERT_EQUAL(p && p->least.set ? (int64_t)p->least.v : -1, rows[i].least);
		unmap(&m);
	}
}

/* ---- endpoints ------------------------------------------------------------------------------------- */

static void assignment(void)
{
	struct mapped m = map_text(MT_XDS_EDS,
		"{'cluster_name': 'a', 'policy': {'overprovisioning_factor': 200, "
		"'drop_overloads': [{'category': 'x'}]}, 'endpoints': ["
		"{'locality': {'region': 'r', 'zone': 'z'}, 'load_balancing_weight': 7, "
		"'lb_endpoints': ["
		"{" AT("192.0.2.1",
			"80") ", 'load_balancing_weight': 5, 'metadata': {'filter_metadata': "
			      "{'istio': {'workload': 'x'}, 'envoy.transport_socket_match':"
			      " {'tlsMode': 'istio'}}}},"
			      "{" AT("2001:db8::1",
				      "8080") ", 'health_status': 'DRAINING'},"
					      "{'endpoint': {'address': {'pipe': {'path': "
					      "'/run/x'}}}}, {'endpoint_name': 'e'},"
					      "{" AT("192.0.2.2",
						      "80") ", 'health_status': 'TIMEOUT'}]},"
							    "{'priority': 1, 'lb_endpoints': [{" AT(
								    "192.0.2.3",
								    "80") ", 'health_status': "
									  "'DEGRADED'}]}]}");
	const struct mt_res_endpoints *e = (const void *)m.m.meta;
	const struct mt_res_endpoint *ep;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(e->meta.kind, "ClusterLoadAssignment");
	CU_ASSERT_EQUAL(e->overprovisioning, 200);
	CU_ASSERT_EQUAL_FATAL(e->n_localities, 2);
	CU_ASSERT_EQUAL(e->n_eps, 4);
	CU_ASSERT_STRING_EQUAL(e->localities[0].region, "r");
	CU_ASSERT_STRING_EQUAL(e->localities[0].zone, "z");
	CU_ASSERT_PTR_NULL(e->localities[0].subzone);
	CU_ASSERT_EQUAL(e->localities[0].weight, 7);
	CU_ASSERT_EQUAL(e->localities[1].priority, 1);
	CU_ASSERT_EQUAL_FATAL(e->localities[0].n_eps, 3);
	ep = e->localities[0].eps;
	CU_ASSERT_EQUAL(ep[0].weight, 5);
	CU_ASSERT_TRUE(ep[0].tls);
	CU_ASSERT_TRUE(e->not_bare);
	CU_ASSERT_EQUAL(ep[0].health, MT_RES_HEALTHY);
	CU_ASSERT_EQUAL(ep[1].port, 8080);
	CU_ASSERT_EQUAL(ep[1].weight, 1);
	CU_ASSERT_EQUAL(ep[1].health, MT_RES_DRAINING);
	CU_ASSERT_FALSE(ep[1].tls);
	CU_ASSERT_EQUAL(ep[2].health, MT_RES_UNHEALTHY);
	CU_ASSERT_EQUAL(e->localities[1].eps[0].health, MT_RES_DEGRADED);
	CU_ASSERT_STRING_EQUAL(ignored_str(&m),
		"policy.drop_overloads: nothing is dropped\n"
		"endpoints[0].lb_endpoints[2].endpoint: a pipe or an internal listener: left out, "
		"only IP addresses are connected to\n"
		"endpoints[0].lb_endpoints[3].endpoint_name: left out: no endpoints by name\n");
	unmap(&m);
}

/* A hundred thousand endpoints: what they take in the part, beyond its fixed cost. */
#define MANY 100000u

struct many {
	Xds__LbEndpoint e;
	Xds__Endpoint at;
	Xds__Address address;
	Xds__SocketAddress socket;
	char ip[16];
};

static void one_of_many(struct many *m, uint32_t i)
{
	xds__lb_endpoint__init(&m->e);
	xds__endpoint__init(&m->at);
	xds__address__init(&m->address);
	xds__socket_address__init(&m->socket);
	snprintf(m->ip, sizeof(m->ip), "10.%u.%u.%u", i >> 16, i >> 8 & 0xff, i & 0xff);
	m->socket.address = m->ip;
	m->socket.port_specifier_case = XDS__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
	m->socket.port_value = 20880;
	m->address.address_case = XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS;
	m->address.socket_address = &m->socket;
	m->at.address = &m->address;
	m->e.host_identifier_case = XDS__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT;
	m->e.endpoint = &m->at;
}

static Xds__Any many_in(struct mt_region *r)
{
	struct many *all = mt_region_alloc(r, sizeof(*all) * MANY);
	Xds__LbEndpoint **list = mt_region_alloc(r, sizeof(*list) * MANY);
	Xds__LocalityLbEndpoints l = XDS__LOCALITY_LB_ENDPOINTS__INIT, *ls = &l;
	Xds__ClusterLoadAssignment a = XDS__CLUSTER_LOAD_ASSIGNMENT__INIT;
	Xds__Any any = XDS__ANY__INIT;

	for (uint32_t i = 0; i < MANY; i++) {
		one_of_many(&all[i], i);
		list[i] = &all[i].e;
	}
	l.lb_endpoints = list;
	l.n_lb_endpoints = MANY;
	a.cluster_name = (char *)"x";
	a.endpoints = &ls;
	a.n_endpoints = 1;
	any.type_url = (char *)mt_xds_url(MT_XDS_EDS);
	any.value.len = xds__cluster_load_assignment__get_packed_size(&a);
	any.value.data = mt_region_alloc(r, any.value.len);
	xds__cluster_load_assignment__pack(&a, any.value.data);
	return any;
}

static void many_endpoints(void)
{
	struct mt_err why = {""};
	struct mt_xds_mapped out;
	struct mt_region r;
	Xds__Any any;

	mt_region_init(&r, 0);
	any = many_in(&r);
	CU_ASSERT_EQUAL_FATAL(
		mt_xds_map(MT_XDS_EDS, &any, &(struct mt_xds_from){"xds:t", NULL}, 1, &out, &why),
		0);
	CU_ASSERT_EQUAL(((struct mt_res_endpoints *)out.meta)->n_eps, MANY);
	CU_ASSERT(out.part->region.used <= MANY * sizeof(struct mt_res_endpoint) + 1024);
	CU_ASSERT(sizeof(struct mt_res_endpoint) <= 24);
	mt_model_free(out.part);
	mt_region_fini(&r);
}

/* What a thousand idle clusters take, each with an assignment of one endpoint: their parts and nothing else. */
static void idle_clusters(void)
{
	enum { N = 1000 };
	static struct mapped c[N], e[N];
	size_t before, each;
	struct mt_pb_arena a;
	struct mt_err why = {""};
	Xds__Any *cluster, *endpoints;

	mt_pb_arena_init(&a, 1u << 20);
	cluster = any_of_text(&a, MT_XDS_CDS,
		"{\"name\": \"outbound|20880||service-12345.namespace.svc.cluster.local\", "
		"\"type\": \"EDS\", \"connect_timeout\": \"1s\","
		"\"eds_cluster_config\": {\"eds_config\": {\"ads\": {}}, \"service_name\": "
		"\"outbound|20880||service-12345.namespace.svc.cluster.local\"},"
		"\"circuit_breakers\": {\"thresholds\": [{\"max_connections\": 4294967295}]}}");
	endpoints = any_of_text(&a, MT_XDS_EDS,
		"{\"cluster_name\": \"outbound|20880||service-12345.namespace.svc.cluster.local\", "
		"\"endpoints\": [{\"locality\": {\"region\": \"r1\","
		"\"zone\": \"z1\"}, \"lb_endpoints\": [{\"endpoint\": {\"address\": "
		"{\"socket_address\": {\"address\": \"10.1.2.3\", \"port_value\":"
		"20880}}}}]}]}");
	before = heap_used();
	for (int i = 0; i < N; i++) {
		mt_xds_map(MT_XDS_CDS, cluster, &(struct mt_xds_from){"xds:mesh", NULL}, 1, &c[i].m,
			&why);
		mt_xds_map(MT_XDS_EDS, endpoints, &(struct mt_xds_from){"xds:mesh", NULL}, 1,
			&e[i].m, &why);
	}
	each = (heap_used() - before) / N;
	if (each > 2048 || getenv("MT_PRINT"))
		printf("\n  %zu bytes for a cluster and its assignment; used %zu %zu\n", each,
			c[0].m.part->region.used, e[0].m.part->region.used);
	CU_ASSERT(each <= 2048);
	for (int i = 0; i < N; i++) {
		mt_model_free(c[i].m.part);
		mt_model_free(e[i].m.part);
	}
	mt_pb_arena_fini(&a);
}

/* ---- routes ------------------------------------------------------------------------------------------- */

/* The envelope in which Aeraki sends MetaProtocol routes. */
static const char aeraki_routes[] = "{'name': 'org.example.demo_20880', 'virtual_hosts': [{'name': "
				    "'dummy', 'domains': ['*'], 'routes': [%s]}]}";

static const struct {
	const char *text, *want;
} route_rows[] = {
	{"{'name': 'v-split', 'match': {'prefix': '/', 'headers': [{'name': 'interface', "
	 "'exact_match': 'org.example.Demo'},"
	 " {'name': 'method', 'prefix_match': 'say'}]}, 'route': {'weighted_clusters': "
	 "{'clusters': [{'name': 'outbound|20880|v1|d',"
	 " 'weight': 90}, {'name': 'outbound|20880|v2|d', 'weight': 10}], 'total_weight': 100}}}",
		"v-split: interface exact org.example.Demo, method prefix say -> "
		"outbound|20880|v1|d=90 outbound|20880|v2|d=10"},
	{"{'name': 'default', 'match': {'prefix': '/'}, 'route': {'cluster': 'c'}}",
		"default:  -> c"},
	{"{'match': {'headers': [{'name': 'a', 'suffix_match': 'x'}, {'name': 'b', "
	 "'contains_match': 'y'}, {'name': 'c',"
	 " 'safe_regex_match': {'regex': 'v[0-9]+'}}, {'name': 'd', 'range_match': {'start': '-5', "
	 "'end': 10}}]}, 'route': {'cluster': 'c'}}",
		": a suffix x, b contains y, c regex v[0-9]+, d range [-5,10) -> c"},
	{"{'match': {'headers': [{'name': 'a', 'present_match': true}, {'name': 'b', "
	 "'present_match': false}, {'name': 'c'}, {'name': 'd',"
	 " 'present_match': false, 'invert_match': true}, {'name': 'e', 'exact_match': 'x', "
	 "'invert_match': true}]}, 'route': {'cluster': 'c'}}",
		": a present, !b present, c present, d present, !e exact x -> c"},
	{"{'match': {'headers': [{'name': 'a', 'string_match': {'exact': 'X', 'ignore_case': "
	 "true}}, {'name': 'b', 'string_match':"
	 " {'prefix': 'p'}}, {'name': 'c', 'string_match': {'suffix': 's'}}, {'name': 'd', "
	 "'string_match': {'contains': 'k'}}, {'name':"
	 " 'e', 'string_match': {'safe_regex': {'regex': '.*'}, 'ignore_case': true}}, {'name': "
	 "'f', 'string_match': {'exact': ''},"
	 " 'treat_missing_header_as_empty': true}]}, 'route': {'cluster': 'c'}}",
		": a exact X nocase, b prefix p, c suffix s, d contains k, e regex .*, f exact  or "
		"missing -> c"},
	{"{'match': {'prefix': '/'}, 'route': {'cluster': 'c', 'timeout': '1.2345s', "
	 "'hash_policy': [{'header': {'header_name': 'user'}},"
	 " {'header': {'header_name': 'tenant'}, 'terminal': true}, {'connection_properties': "
	 "{'source_ip': true}}],"
	 " 'request_mirror_policies': [{'cluster': 'm', 'runtime_fraction': {'default_value': "
	 "{'numerator': 25, 'denominator': 'HUNDRED'}}}]}}",
		":  -> c 1235ms hash user hash tenant hash source 250000 copied to m"},
	{"{'match': {'prefix': '/'}, 'route': {'cluster': 'c', 'request_mirror_policies': "
	 "[{'cluster': 'm'}]}, 'request_headers_to_add':"
	 " [{'header': {'key': 'k', 'value': 'v w'}, 'append_action': "
	 "'OVERWRITE_IF_EXISTS_OR_ADD'}], 'request_headers_to_remove': ['old'],"
	 " 'response_headers_to_add': [{'header': {'key': 'r', 'value': ''}}]}",
		":  -> c req -old req k=v w rsp r= 1000000 copied to m"},
	{"{'match': {'prefix': '/'}, 'route': {'cluster': 'c', 'request_mirror_policies': "
	 "[{'cluster': 'm', 'runtime_fraction':"
	 " {'default_value': {'numerator': 0}}}]}}",
		":  -> c 0 copied to m"},
	{"{'match': {'prefix': '/'}, 'route': {'weighted_clusters': {'clusters': [{'name': 'a', "
	 "'weight': 4294967295}, {'name': 'b'}]}}}",
		":  -> a=4294967295 b=0"},
};

static void routes(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(route_rows); i++) {
		struct mapped m = map_text(MT_XDS_RDS, in_text(aeraki_routes, route_rows[i].text));
		const struct mt_res_routes *r = (const void *)m.m.meta;

		if (m.rc || strcmp(rules_str(&r->list), route_rows[i].want) != 0)
			printf("\n  %s\n  %s\n", route_rows[i].want,
				m.rc ? m.why.text : rules_str(&r->list));
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_STRING_EQUAL(rules_str(&r->list), route_rows[i].want);
		CU_ASSERT_STRING_EQUAL(r->meta.name, "org.example.demo_20880");
		unmap(&m);
	}
}

/* The order of routes is their precedence, and every cluster that they name is referred to once. */
static void order_and_clusters(void)
{
	struct mapped m = map_text(MT_XDS_RDS,
		in_text(aeraki_routes, "{'name': 'b', 'route': {'cluster': 'y', "
				       "'request_mirror_policies': [{'cluster': 'm'}]}},"
				       "{'name': 'a', 'route': {'cluster': 'x'}}, {'name': 'c', "
				       "'route': {'cluster': 'y'}}"));
	const struct mt_res_routes *r = (const void *)m.m.meta;

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(
		rules_str(&r->list), "b:  -> y 1000000 copied to m | a:  -> x | c:  -> y");
	CU_ASSERT_STRING_EQUAL(refs_str(&m), "CDS y; CDS m; CDS x");
	unmap(&m);
	/* What istiod answers when it is asked for a MetaProtocol route by mistake. */
	m = map_text(MT_XDS_RDS, "{'name': 'x'}");
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_EQUAL(((const struct mt_res_routes *)m.m.meta)->list.n_rules, 0);
	unmap(&m);
}

const struct mt_test map_tests[] = {{"cluster_of_istio", cluster_of_istio},
	{"clusters_taken_with_words", clusters_taken_with_words},
	{"sockets_by_other_metadata", sockets_by_other_metadata},
	{"routes_taken_with_words", routes_taken_with_words}, {"retry_policies", retry_policies},
	{"retry_budgets", retry_budgets}, {"kinds_of_clusters", kinds_of_clusters},
	{"slow_starts", slow_starts}, {"names_of_a_dns_cluster", names_of_a_dns_cluster},
	{"assignment", assignment}, {"many_endpoints", many_endpoints},
	{"idle_clusters", idle_clusters}, {"routes", routes},
	{"order_and_clusters", order_and_clusters}, {0}};
