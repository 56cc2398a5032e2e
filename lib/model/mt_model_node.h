/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own settings: Meltemi's kind `Node`, apiVersion meltemi.io/v1. */
#pragma once

#include "mt_log.h"
#include "mt_model_types.h"

/* What tells that a server has not read what it was sent, when its connection ends. */
enum mt_unread_mode { MT_UNREAD_BY_EVIDENCE, MT_UNREAD_STRICT };
/* Explicit congestion notification: when the peer asks, never, or asked for as well. */
enum mt_ecn_mode { MT_ECN_ACCEPT, MT_ECN_OFF, MT_ECN_ASK };
enum mt_idle_mode { MT_IDLE_ADAPTIVE, MT_IDLE_POLL };
enum mt_hugepages { MT_HUGEPAGES_AUTO, MT_HUGEPAGES_ON, MT_HUGEPAGES_OFF };

#define MT_NODE_CONNECTIONS 32768u

/* "192.0.2.1/24" */
struct mt_node_addr {
	struct mt_text text;
	struct mt_addr addr;
	uint8_t prefix; /* bits of the written family */
};

/* An address that enters by its port, and from one station if `mac_text` is written. */
struct mt_node_bound {
	struct mt_origin origin;
	struct mt_text address_text, mac_text;
	struct mt_addr address;
	uint8_t mac[6];
};

/* Who is at the other end of a port: anybody, or workloads of ours. */
enum mt_node_side { MT_SIDE_NETWORK, MT_SIDE_WORKLOADS };

struct mt_node_port {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_text device;	/* PCI address or DPDK vdev string */
	struct mt_text profile; /* a sheet of pmd-config; NULL: by the device's kind */
	struct mt_node_addr *addresses;
	uint32_t n_addresses;
	struct mt_num mtu;	  /* default 1500 */
	struct mt_num vlan;	  /* 802.1Q id of this port's network; not set: untagged */
	struct mt_text exception; /* name of the port (TAP) that gets what is not for Meltemi */
	/* Of the kernel's side, where the driver makes it (TAP). */
	struct mt_text *kernel_addresses, *kernel_routes;
	uint32_t n_kernel_addresses, n_kernel_routes;
	struct mt_num side; /* enum mt_node_side */
	/* Of MT_SIDE_WORKLOADS: who enters; not written: the instances and WorkloadEntries in the port's networks. */
	struct mt_node_bound *workloads;
	uint32_t n_workloads, workloads_line;
	bool workloads_set;
};

struct mt_node_route {
	struct mt_origin origin;
	struct mt_node_addr to;
	struct mt_text via_text;
	struct mt_addr via; /* zero: on the link of `port` */
	struct mt_text port;
};

/* Clusters of a discovery server, and route tables, that are fetched when a call leads to them. Times in ms. */
struct mt_node_demand {
	struct mt_origin origin;
	struct mt_num timeout, idle, absent;
	struct mt_num names, per_second;
	struct mt_num routes; /* these as well */
};

/* A discovery server (xDS): by a bootstrap file of Envoy's shape, or by its address. */
struct mt_node_xds {
	struct mt_origin origin;
	struct mt_text name;	  /* default "mesh": what origins and the shell call it */
	struct mt_text bootstrap; /* NULL: what follows */
	struct mt_text identity;  /* directory of a joined node's certificate; NULL: none */
	struct mt_text *servers;  /* "host:port", in the order in which they are tried */
	uint32_t n_servers;
	struct mt_text node_id, node_cluster;
	struct mt_num delta, names;
	struct mt_num
		plaintext; /* what a server says in clear text from another machine is taken */
	struct mt_text roots, certificate, key, server_name; /* TLS: files, and a name */
	struct mt_node_demand *on_demand;		     /* NULL: all clusters, at once */
};

/* One of both. `name` and `ns` are a directory's: what its objects are of, and where those are that say no namespace. */
struct mt_node_source {
	struct mt_origin origin;
	struct mt_text directory, name, ns;
	struct mt_node_xds *xds; /* NULL: a directory */
};

struct mt_node_memory {
	struct mt_origin origin;
	struct mt_num hugepages; /* enum mt_hugepages */
	struct mt_num mb;	 /* default 512 */
};

struct mt_node_locality {
	struct mt_origin origin;
	struct mt_text region, zone, subzone;
};

/* With which levels modules start: enum mt_log_level. */
struct mt_node_log {
	struct mt_origin origin;
	struct mt_num level;
	struct mt_num modules[MT_LOG_MODULES];
};

/* What clients whose certificate has that name may do. */
struct mt_node_tls_role {
	struct mt_origin origin;
	struct mt_text identity;
	struct mt_num role; /* enum mt_node_role */
};

enum mt_node_role { MT_NODE_ROLE_VIEW, MT_NODE_ROLE_OPERATE };

/* The shell from other machines. Files are PEM. */
struct mt_node_tls {
	struct mt_origin origin;
	struct mt_text listen; /* as written */
	struct mt_addr addr;
	uint16_t port;
	struct mt_text certificate, key, client_roots, client_revocations;
	struct mt_node_tls_role *roles;
	uint32_t n_roles;
};

struct mt_node_admin {
	struct mt_origin origin;
	struct mt_node_tls *tls;		/* NULL: not from other machines */
	struct mt_text socket;			/* unix socket of the shell */
	struct mt_text view_socket, view_group; /* of those who may only look */
	struct mt_text http;			/* "127.0.0.1:15000", as written */
	struct mt_addr http_addr;
	uint16_t http_port; /* 0: no HTTP */
	struct mt_num
		envoy; /* clients that may read Envoy's administration pages: loopback, any, off */
	struct mt_text *http_names;
	uint32_t n_http_names;
	struct mt_node_log log;
};

/* "192.0.2.53" or "192.0.2.53:5353" */
struct mt_node_server {
	struct mt_text text;
	struct mt_addr addr;
	uint16_t port;
};

struct mt_node_dns {
	struct mt_origin origin;
	struct mt_text listen; /* of the host's kernel, as written; not written: 127.0.0.1:15053 */
	struct mt_addr listen_addr;
	uint16_t listen_port;		/* 0: none */
	struct mt_node_addr *addresses; /* where clients ask by the ports, at port 53 */
	uint32_t n_addresses;
	struct mt_node_addr *allow; /* networks whose clients are answered */
	uint32_t n_allow;
	struct mt_node_server *upstream;
	uint32_t n_upstream;
	/* not written: the ports' own; their networks, and the host's programs; the host's */
	bool addresses_set, allow_set, upstream_set;
	struct mt_num ttl;     /* ms */
	struct mt_text domain; /* default: cluster.local */
	struct mt_text *zones, *search;
	uint32_t n_zones, n_search;
	bool zones_set, search_set; /* not written: by `domain` */
};

/* A collector of OpenTelemetry's protocol. */
/* How keys that tokens are verified by are fetched. */
struct mt_node_jwks {
	struct mt_origin origin;
	struct mt_text
		roots; /* who may sign certificates of who has them, besides the machine's authorities */
	struct mt_num local; /* whether they may be at the loopback, or on the link */
};

struct mt_node_otlp {
	struct mt_origin origin;
	struct mt_text endpoint;	 /* "http://HOST:PORT", "https://HOST:PORT" */
	struct mt_num interval, timeout; /* ms; default: 60 s, 10 s */
	struct mt_labels headers, resource;
	struct mt_text roots, certificate, key, server_name;
};

/* Who the node is: a directory of PEM files that somebody else keeps fresh, or the socket of an agent that does. One of both. */
struct mt_node_identity {
	struct mt_origin origin;
	struct mt_text directory, sds;
};

#define MT_HELD_MAX	      64  /* of a node, beside its own */
#define MT_HELD_PRINCIPAL_MAX 255 /* bytes */

/* Whom the node stands for beside itself, by what one of directory, agent and source has. */
struct mt_node_held {
	struct mt_origin origin;
	struct mt_text principal; /* "spiffe://..." */
	struct mt_text directory, sds;
	struct mt_text secret; /* of `sds`; default: "default" */
	struct mt_text xds;    /* a source with an identity */
};

/* For whom connections are made by the node's own certificate. */
struct mt_node_lend {
	struct mt_origin origin;
	struct mt_text *clients, *to; /* prefixes or spiffe://...; namespaces, none: all */
	uint32_t n_clients, n_to;
};

/* The mesh that the node stands in. */
struct mt_node_mesh {
	struct mt_origin origin;
	struct mt_text ns, service_account, trust_domain, root_ns, config;
	struct mt_node_lend *lend; /* NULL: to nobody */
};

/* An object that is not enforced until a day, as long as it says what it says now. */
struct mt_node_unenforced {
	struct mt_origin origin;
	struct mt_text kind, ns, name, until_text, because;
	uint64_t hash;
	int64_t until; /* seconds since 1970: the end of that day, UTC */
	bool hash_set;
};

struct mt_node {
	struct mt_meta meta;
	struct mt_num workers;	   /* default 1 */
	struct mt_num idle;	   /* enum mt_idle_mode */
	struct mt_num ecn;	   /* enum mt_ecn_mode */
	struct mt_num unread;	   /* enum mt_unread_mode */
	struct mt_num keepalive;   /* ms of silence before a probe; 0: none; not set: two hours */
	struct mt_num connections; /* of clients, per worker; default MT_NODE_CONNECTIONS */
	struct mt_num retransmissions; /* in a row, then a connection ends; 0: lib/tcp's default */
	struct mt_num hop_limit;       /* of what we send; 0: lib/net's default */
	struct mt_num dscp;
	struct mt_num *cores; /* of the workers; none: the last ones */
	uint32_t n_cores;
	struct mt_node_addr *source_addresses; /* more of them for upstream connections */
	uint32_t n_source_addresses;
	struct mt_node_memory memory;
	struct mt_node_locality locality;
	struct mt_node_port *ports;
	uint32_t n_ports;
	struct mt_node_route *routes;
	uint32_t n_routes;
	struct mt_node_source *sources;
	uint32_t n_sources;
	struct mt_node_identity *identity; /* NULL: that of a source, if there is one */
	struct mt_node_held *identities;
	uint32_t n_identities;
	struct mt_node_mesh *mesh; /* NULL: not written */
	struct mt_node_unenforced *unenforced;
	uint32_t n_unenforced;
	struct mt_text state_dir;
	struct mt_node_admin admin;
	struct mt_node_dns *dns;   /* NULL: none is served */
	struct mt_node_jwks *jwks; /* NULL: nothing is said of it */
	struct mt_node_otlp *otlp; /* NULL: metrics are not exported */
};

/*
 * Whether the node itself answers DNS at that address and port: at its own (spec.dns.listen), or on its ports. Asked there
 * for others' names it would ask itself.
 */
/* Whether the address is of one who lives on a port of `side: workloads`: it is listed there, or in its networks where none is. */
bool mt_node_has_workload(const struct mt_node *n, const struct mt_addr *a);
bool mt_node_answers_names(const struct mt_node *n, const struct mt_addr *a, uint16_t port);
