/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_node.h"

#define CLUSTER	 "xds-grpc"
#define TLS_URL	 "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
#define HTTP_URL "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

/* Builds the TLS context: our certificate, trusted roots, and the expected server name. */
static json_t *tls_context(const struct mt_bootstrap_facts *f)
{
	json_t *certificate = json_pack("{s:{s:s}, s:{s:s}}", "certificate_chain", "filename",
		f->identity, "private_key", "filename", f->identity);
	json_t *validation = json_pack("{s:{s:s}, s:[{s:s, s:{s:s}}]}", "trusted_ca", "filename",
		f->roots, "match_typed_subject_alt_names", "san_type", "DNS", "matcher", "exact",
		f->server_name);

	return json_pack("{s:s, s:s, s:{s:[s], s:[o], s:o}}", "@type", TLS_URL, "sni",
		f->server_name, "common_tls_context", "alpn_protocols", "h2", "tls_certificates",
		certificate, "validation_context", validation);
}

static json_t *cluster(const struct mt_bootstrap_facts *f)
{
	struct mt_addr a;
	json_t *endpoint = json_pack("{s:{s:{s:{s:s, s:i}}}}", "endpoint", "address",
		"socket_address", "address", f->host, "port_value", (int)f->port);
	json_t *options = json_pack("{s:{s:s, s:{s:{}}}}",
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions", "@type", HTTP_URL,
		"explicit_http_config", "http2_protocol_options");

	return json_pack("{s:s, s:s, s:s, s:{s:s, s:[{s:[o]}]}, s:o, s:{s:s, s:o}}", "name",
		CLUSTER, "type", mt_addr_parse(f->host, &a) ? "STRICT_DNS" : "STATIC",
		"connect_timeout", "10s", "load_assignment", "cluster_name", CLUSTER, "endpoints",
		"lb_endpoints", endpoint, "typed_extension_protocol_options", options,
		"transport_socket", "name", "envoy.transport_sockets.tls", "typed_config",
		tls_context(f));
}

json_t *mt_bootstrap_json(json_t *node, const struct mt_bootstrap_facts *f)
{
	json_t *ads = json_pack("{s:s, s:s, s:b, s:[{s:{s:s}}]}", "api_type",
		f->delta ? "DELTA_GRPC" : "GRPC", "transport_api_version", "V3",
		"set_node_on_first_message_only", 1, "grpc_services", "envoy_grpc", "cluster_name",
		CLUSTER);

	return json_pack("{s:o, s:{s:o, s:{s:{}, s:s, s:s}, s:{s:{}, s:s, s:s}}, s:{s:[o]}}",
		"node", node, "dynamic_resources", "ads_config", ads, "cds_config", "ads",
		"initial_fetch_timeout", "0s", "resource_api_version", "V3", "lds_config", "ads",
		"initial_fetch_timeout", "0s", "resource_api_version", "V3", "static_resources",
		"clusters", cluster(f));
}
