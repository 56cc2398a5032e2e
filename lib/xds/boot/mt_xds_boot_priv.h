/* SPDX-License-Identifier: Apache-2.0 */
/* A bootstrap file as it is written (fields.c), before bootstrap.c makes sense of it. */
#pragma once

#include "mt_fields.h"
#include "mt_xds_boot.h"

/* Names of Envoy's bootstrap, but for what is left out. Every struct begins with its origin. */
struct boot_data {
	struct mt_origin origin;
	struct mt_text filename, inline_string;
};

struct boot_certificate {
	struct mt_origin origin;
	struct boot_data *chain, *key;
};

struct boot_matcher {
	struct mt_origin origin;
	struct mt_text exact;
};

struct boot_san {
	struct mt_origin origin;
	struct boot_matcher matcher;
};

struct boot_validation {
	struct mt_origin origin;
	struct boot_data *roots;
	struct boot_matcher *names;
	struct boot_san *sans;
	uint32_t n_names, n_sans;
};

struct boot_secret {
	struct mt_origin origin;
	struct mt_text name;
};

struct boot_combined {
	struct mt_origin origin;
	struct boot_validation *validation;
	struct boot_secret *secret;
};

struct boot_common_tls {
	struct mt_origin origin;
	struct boot_certificate *certificates;
	struct boot_secret *certificate_secrets;
	uint32_t n_certificates, n_certificate_secrets;
	struct boot_validation *validation;
	struct boot_secret *validation_secret;
	struct boot_combined *combined;
};

struct boot_tls {
	struct mt_origin origin;
	struct mt_text type, sni;
	struct boot_common_tls *common;
};

struct boot_transport {
	struct mt_origin origin;
	struct mt_text name;
	struct boot_tls *config;
};

struct boot_socket {
	struct mt_origin origin;
	struct mt_text address;
	struct mt_num port;
};

struct boot_pipe {
	struct mt_origin origin;
	struct mt_text path;
};

struct boot_address {
	struct mt_origin origin;
	struct boot_socket *socket;
	struct boot_pipe *pipe;
};

struct boot_endpoint {
	struct mt_origin origin;
	struct boot_address *address;
};

struct boot_lb_endpoint {
	struct mt_origin origin;
	struct boot_endpoint *endpoint;
};

struct boot_locality_endpoints {
	struct mt_origin origin;
	struct boot_lb_endpoint *endpoints;
	uint32_t n_endpoints;
};

struct boot_assignment {
	struct mt_origin origin;
	struct boot_locality_endpoints *localities;
	uint32_t n_localities;
};

struct boot_cluster {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_num connect_ms;
	struct boot_assignment *assignment;
	struct boot_transport *transport;
};

struct boot_header {
	struct mt_origin origin;
	struct mt_text key, value;
};

struct boot_envoy_grpc {
	struct mt_origin origin;
	struct mt_text cluster;
};

struct boot_grpc {
	struct mt_origin origin;
	struct boot_envoy_grpc *envoy;
	struct boot_header *headers;
	uint32_t n_headers;
};

enum boot_api { BOOT_GRPC, BOOT_DELTA_GRPC, BOOT_AGGREGATED_GRPC, BOOT_AGGREGATED_DELTA_GRPC };

struct boot_api_source {
	struct mt_origin origin;
	struct mt_num api; /* enum boot_api */
	struct mt_num version;
	struct boot_grpc *services;
	uint32_t n_services;
};

struct boot_source {
	struct mt_origin origin;
	bool ads;
	struct boot_api_source *api;
};

struct boot_dynamic {
	struct mt_origin origin;
	struct boot_source *lds, *cds;
	struct boot_api_source *ads;
};

struct boot_static {
	struct mt_origin origin;
	struct boot_cluster *clusters;
	uint32_t n_clusters;
};

struct boot_locality {
	struct mt_origin origin;
	struct mt_text region, zone, subzone;
};

struct boot_node {
	struct mt_origin origin;
	struct mt_text id, cluster;
	struct boot_locality *locality;
	Xds__Struct *metadata;
};

struct boot_root {
	struct mt_origin origin;
	struct boot_node *node;
	struct boot_dynamic *dynamic;
	struct boot_static *statics;
};

/* One file on its way in; the engine of documents reads it. */
struct boot_reader {
	struct mt_fctx c; /* first: callbacks get it */
	struct mt_xds_bootstrap *b;
	struct boot_root root;
	bool read; /* a document was there */
};

extern const struct mt_section boot_root_section;
