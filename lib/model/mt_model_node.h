/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own settings: Meltemi's kind `Node`, apiVersion meltemi.io/v1. */
#pragma once

#include "mt_content_hash.h"
#include "mt_log.h"
#include "mt_model_forwarding.h"
#include "mt_model_guest.h"
#include "mt_model_types.h"

/*
 * The proof that a server has not read a request when its connection ends: also reports of the
 * server's TCP, or (strict) only that nothing was sent or that the protocol reports it.
 */
enum mt_unread_mode { MT_UNREAD_BY_EVIDENCE, MT_UNREAD_STRICT };
/*
 * Explicit congestion notification: if the peer requests it, never, or also requested by this node.
 */
enum mt_ecn_mode { MT_ECN_ACCEPT, MT_ECN_OFF, MT_ECN_ASK };
enum mt_idle_mode { MT_IDLE_ADAPTIVE, MT_IDLE_POLL };
enum mt_hugepages { MT_HUGEPAGES_AUTO, MT_HUGEPAGES_ON, MT_HUGEPAGES_OFF };

#define MT_NODE_CONNECTIONS 32768u
#define MT_NODE_FLOWS	    65536u
#define MT_NODE_DRAIN_MS    30000u

/* A source address that the port accepts; with `mac_text` only from that station. */
struct mt_node_bound {
	struct mt_origin origin;
	struct mt_text address_text, mac_text;
	struct mt_addr address;
	uint8_t mac[6];
};

/* The other end of a port: a network, or workloads of this node. */
enum mt_node_side { MT_SIDE_NETWORK, MT_SIDE_WORKLOADS };

struct mt_node_port {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_text device;	/* PCI address or DPDK vdev string */
	struct mt_text profile; /* a profile of pmd-config; NULL: chosen by the device's kind */
	struct mt_node_addr *addresses;
	uint32_t n_addresses;
	struct mt_num mtu;  /* default 1500 */
	struct mt_num vlan; /* 802.1Q id of this port's network; not set: untagged */
	/* name of the port (TAP) that gets packets that are not for Meltemi */
	struct mt_text exception;
	/* Addresses and routes of the kernel's interface, if the driver creates one (TAP). */
	struct mt_text *kernel_addresses, *kernel_routes;
	uint32_t n_kernel_addresses, n_kernel_routes;
	struct mt_num side; /* enum mt_node_side */
	/*
	 * For MT_SIDE_WORKLOADS: the source addresses that the port accepts. Not written: the
	 * addresses of endpoints and WorkloadEntries in the port's networks.
	 */
	struct mt_node_bound *workloads;
	uint32_t n_workloads, workloads_line;
	bool workloads_set;
};

struct mt_node_route {
	struct mt_origin origin;
	struct mt_node_addr to;
	struct mt_text via_text;
	struct mt_addr via; /* next hop; zero: destinations are on the link of `port` */
	struct mt_text port;
};

/*
 * On-demand discovery: clusters, and route tables, are fetched when a call needs them. Times in ms.
 */
struct mt_node_demand {
	struct mt_origin origin;
	struct mt_num timeout, idle, absent;
	struct mt_num names, per_second;
	struct mt_num routes; /* also fetch route tables on demand */
};

/* A discovery server (xDS): by a bootstrap file in Envoy's format, or by its address. */
struct mt_node_xds {
	struct mt_origin origin;
	struct mt_text name;	  /* default "mesh"; used in origins and by the CLI */
	struct mt_text bootstrap; /* NULL: the fields below apply */
	struct mt_text identity;  /* directory of a joined node's certificate; NULL: none */
	struct mt_text *servers;  /* "host:port", in the order of attempts */
	uint32_t n_servers;
	struct mt_text node_id, node_cluster;
	struct mt_num delta, names;
	struct mt_num plaintext; /* also use a server on another machine without TLS */
	struct mt_text roots, certificate, key, server_name; /* TLS: files, and a name */
	/* NULL: all clusters are fetched at the start */
	struct mt_node_demand *on_demand;
};

/*
 * Addresses, networks and hosts ("*.x": all below x) that only objects of a source may have, and
 * those of sources without `namespaces`. mt_owned.h compares them.
 */
struct mt_node_owns {
	struct mt_origin origin;
	struct mt_node_addr *addresses;
	uint32_t n_addresses;
	struct mt_text *hosts;
	uint32_t n_hosts;
};

/*
 * A directory or a discovery server. For a directory, `name` is the source of its objects, `ns` the
 * namespace of objects without one, and `namespaces` the namespaces that it may have objects of (n
 * 0: all).
 */
struct mt_node_source {
	struct mt_origin origin;
	struct mt_text directory, name, ns;
	struct mt_text *namespaces;
	uint32_t n_namespaces;
	struct mt_node_owns *owns; /* NULL: nothing */
	struct mt_node_xds *xds;   /* NULL: a directory */
};

/* True if the source has the namespace in its list. */
bool mt_node_source_has(const struct mt_node_source *s, const char *ns, size_t len);
/* True if the path is the directory, or below it. */
bool mt_is_below(const char *path, const char *directory);

struct mt_node_memory {
	struct mt_origin origin;
	struct mt_num hugepages; /* enum mt_hugepages */
	struct mt_num mb;	 /* default 512 */
};

struct mt_node_locality {
	struct mt_origin origin;
	struct mt_text region, zone, subzone;
};

/* The initial levels of modules: enum mt_log_level. */
struct mt_node_log {
	struct mt_origin origin;
	struct mt_num level;
	struct mt_num modules[MT_LOG_MODULES];
};

/* The role of clients whose certificate has this name. */
struct mt_node_tls_role {
	struct mt_origin origin;
	struct mt_text identity;
	struct mt_num role; /* enum mt_node_role */
};

enum mt_node_role { MT_NODE_ROLE_VIEW, MT_NODE_ROLE_OPERATE };

/* Access to the CLI from other machines. Files are PEM. */
struct mt_node_tls {
	struct mt_origin origin;
	struct mt_text listen; /* as written */
	struct mt_addr addr;
	uint16_t port;
	struct mt_text certificate, key, client_roots, client_revocations;
	struct mt_node_tls_role *roles;
	uint32_t n_roles;
};

struct mt_node_call_limits {
	struct mt_origin origin;
	struct mt_num keys;  /* buckets of limits by key; not set: lib/keyed's default */
	struct mt_num lease; /* hits that a query of a rate limit service counts; not set: 1 */
};

struct mt_node_admin {
	struct mt_origin origin;
	struct mt_node_tls *tls;		/* NULL: no access from other machines */
	struct mt_text socket;			/* unix socket of the CLI */
	struct mt_text view_socket, view_group; /* for read-only access */
	struct mt_text http;			/* "127.0.0.1:15000", as written */
	struct mt_addr http_addr;
	uint16_t http_port; /* 0: no HTTP */
	struct mt_num
		envoy; /* clients that may read Envoy's administration pages: loopback, any, off */
	struct mt_text *http_names;
	uint32_t n_http_names;
	struct mt_num workload_series; /* not set: lib/ctl's default */
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
	/* address of the host's kernel, as written; not written: 127.0.0.1:15053 */
	struct mt_text listen;
	struct mt_addr listen_addr;
	uint16_t listen_port; /* 0: none */
	/* addresses to which clients send queries through the ports, at port 53 */
	struct mt_node_addr *addresses;
	uint32_t n_addresses;
	struct mt_node_addr *allow; /* networks whose clients get answers */
	uint32_t n_allow;
	struct mt_node_server *upstream;
	uint32_t n_upstream;
	/*
	 * Which lists are written. Defaults: `addresses` of the ports, `allow` the ports' networks
	 * and programs of the host, `upstream` the host's servers.
	 */
	bool addresses_set, allow_set, upstream_set;
	struct mt_num ttl;     /* ms */
	struct mt_text domain; /* default: cluster.local */
	struct mt_text *zones, *search;
	uint32_t n_zones, n_search;
	bool zones_set, search_set; /* not written: derived from `domain` */
};

/* Settings for the fetch of keys that verify tokens (JWKS). */
struct mt_node_jwks {
	struct mt_origin origin;
	struct mt_text
		roots; /* authorities of the servers' certificates, in addition to the machine's */
	struct mt_num local; /* servers may be at addresses of this host or of the link */
};

/* A collector of OpenTelemetry's protocol. */
struct mt_node_otlp {
	struct mt_origin origin;
	struct mt_text endpoint;	 /* "http://HOST:PORT", "https://HOST:PORT" */
	struct mt_num interval, timeout; /* ms; default: 60 s, 10 s */
	struct mt_labels headers, resource;
	struct mt_text roots, certificate, key, server_name;
};

/*
 * The node's identity: either a directory of PEM files that another program renews, or the socket
 * of an agent that renews the certificate (SDS).
 */
struct mt_node_identity {
	struct mt_origin origin;
	struct mt_text directory, sds;
};

#define MT_HELD_MAX	      64  /* identities of a node besides its own */
#define MT_HELD_PRINCIPAL_MAX 255 /* bytes */

/* An identity that the node uses besides its own, from one of directory, agent and source. */
struct mt_node_held {
	struct mt_origin origin;
	struct mt_text principal; /* "spiffe://..." */
	struct mt_text directory, sds;
	struct mt_text secret; /* of `sds`; default: "default" */
	struct mt_text xds;    /* a source with an identity */
};

/*
 * A directory in which documents may name files of certificates, keys, roots and revocation lists.
 */
struct mt_node_tls_files {
	struct mt_origin origin;
	struct mt_text directory;
	struct mt_text *namespaces; /* namespaces of these documents; none: all */
	uint32_t n_namespaces;
};

/* Clients for which the node connects with its own certificate. */
struct mt_node_lend {
	struct mt_origin origin;
	/* `clients`: prefixes or spiffe://...; `to`: namespaces, none: all */
	struct mt_text *clients, *to;
	uint32_t n_clients, n_to;
};

/* The mesh of the node. */
struct mt_node_mesh {
	struct mt_origin origin;
	struct mt_text ns, service_account, trust_domain, root_ns, config;
	struct mt_node_lend *lend; /* NULL: no clients */
};

/* An object that is exempt from enforcement until a day, while its content does not change. */
struct mt_node_unenforced {
	struct mt_origin origin;
	struct mt_text kind, ns, name, until_text, because;
	/* hash of the exempt content; with `hash_void` all 0, which no content has */
	struct mt_content_hash hash;
	int64_t until;	/* seconds since 1970: the end of that day, UTC */
	bool hash_void; /* the hash has 16 digits, the form of earlier versions */
};

/* spec.accessLog */
struct mt_node_access_log {
	struct mt_origin origin;
	struct mt_text *directories; /* for files that documents name; none: the default one */
	uint32_t n_directories;
	struct mt_num sample; /* percent * 100 of calls that leave a line; default: all */
};

/* Defaults for calls without a setting of their own. */
struct mt_node_defaults {
	struct mt_num timeout; /* ms; 0: mt_proxy_conf.exchange_ms */
};

/* How the node drains. Of both: followed without a restart. */
enum mt_drain_then { MT_DRAIN_RESET, MT_DRAIN_WAIT };

struct mt_node_drain {
	struct mt_num time; /* ms; default MT_NODE_DRAIN_MS */
	struct mt_num then; /* enum mt_drain_then */
};

struct mt_node {
	struct mt_meta meta;
	struct mt_num workers; /* default 1 */
	struct mt_num idle;    /* enum mt_idle_mode */
	struct mt_num ecn;     /* enum mt_ecn_mode */
	struct mt_num unread;  /* enum mt_unread_mode */
	/* ms of silence before a TCP keepalive; 0: none; not set: two hours */
	struct mt_num keepalive;
	struct mt_num connections; /* of clients, per worker; default MT_NODE_CONNECTIONS */
	struct mt_num flows;	   /* forwarded at layer 4, per worker; default MT_NODE_FLOWS */
	/* nodes of one group choose alike at layer 4; s NULL: the default one */
	struct mt_text group;
	/* consecutive ones before a connection ends; 0: lib/tcp's default */
	struct mt_num retransmissions;
	struct mt_num hop_limit; /* of sent packets; 0: lib/net's default */
	struct mt_num dscp;
	struct mt_num *cores; /* of the workers; n_cores 0: the last ones */
	uint32_t n_cores;
	struct mt_node_addr *source_addresses; /* additional addresses for upstream connections */
	uint32_t n_source_addresses;
	struct mt_node_forwarding *forwarding;
	uint32_t n_forwarding;
	struct mt_node_nat *nat;	    /* NULL: not written */
	struct mt_node_guests *guests;	    /* NULL: not written */
	struct mt_node_call_limits *limits; /* NULL: not written */
	struct mt_node_memory memory;
	struct mt_node_locality locality;
	struct mt_node_defaults defaults;
	struct mt_node_drain drain;
	struct mt_node_port *ports;
	uint32_t n_ports;
	struct mt_node_route *routes;
	uint32_t n_routes;
	struct mt_node_source *sources;
	uint32_t n_sources;
	struct mt_node_identity *identity; /* NULL: the identity of a source, if any has one */
	struct mt_node_held *identities;
	uint32_t n_identities;
	struct mt_node_tls_files *tls_files;
	uint32_t n_tls_files;
	struct mt_text *codecs; /* directories of documents of kind Codec */
	uint32_t n_codecs;
	struct mt_node_mesh *mesh; /* NULL: not written */
	struct mt_node_unenforced *unenforced;
	uint32_t n_unenforced;
	struct mt_text state_dir;
	struct mt_node_admin admin;
	struct mt_node_dns *dns;	       /* NULL: DNS is not served */
	struct mt_node_jwks *jwks;	       /* NULL: not written */
	struct mt_node_otlp *otlp;	       /* NULL: metrics are not exported */
	struct mt_node_access_log *access_log; /* NULL: not written */
};

/*
 * The source with the innermost directory that contains a file; NULL: none. Needs no reading, so
 * that it knows the sources of texts of earlier loads, too.
 */
const struct mt_node_source *mt_node_source_of(const struct mt_node *n, const char *file);
/*
 * True if another source with `owns` than `self` (an index) has the namespace. Then it counts as
 * that one's, because its clients follow the owner's routes.
 */
bool mt_node_is_of_owner(const struct mt_node *n, uint32_t self, const char *ns, size_t len);
/* The network of spec.guests that contains the address; NULL: none does. */
const struct mt_guest_network *mt_node_guest_network(
	const struct mt_node *n, const struct mt_addr *a);
/* True if the address is the node's own in such a network. */
bool mt_node_is_gateway(const struct mt_node *n, const struct mt_addr *a);
/*
 * True if the address belongs to a workload on a port of `side: workloads`, or is in a network of
 * guests. The port's list of workloads has the address; without a list one of the port's networks
 * contains it.
 */
bool mt_node_has_workload(const struct mt_node *n, const struct mt_addr *a);
/*
 * True if a network of guests, a port's network or a route contains the address, and for a route a
 * port has a source address of the same family. True for every address if the node has no ports.
 */
bool mt_node_reaches(const struct mt_node *n, const struct mt_addr *a);
/*
 * True if the node itself answers DNS at that address and port, by spec.dns.listen or on its ports.
 * The node must not forward queries to such a server, because they would come back.
 */
bool mt_node_answers_names(const struct mt_node *n, const struct mt_addr *a, uint16_t port);
