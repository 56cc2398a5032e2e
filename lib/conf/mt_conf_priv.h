/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: the compiler's working state. */
#pragma once

#include "mt_conf_hash_priv.h"
#include "mt_conf_snap_priv.h"
#include "mt_idmap.h"
#include "mt_meant.h"

#include <string.h>

/* A protocol that ports can name. */
struct mt_proto {
	const char *name;
	const struct mt_codec *codec;
	uint8_t opts; /* MT_CODEC_OPT_* */
	/*
	 * The codec of a file: names of ports mean it only as tcp-metaprotocol-NAME, because other
	 * words may have been chosen before there was such a file.
	 */
	bool of_file;
};

/* A service as listeners name it before it is compiled. */
#define MT_NO_PORT UINT32_MAX
struct mt_service_slot {
	const char *unique; /* among those of documents */
	const char *name, *key;
	struct mt_origin origin;
	const struct mt_meta *holder; /* object that listens for it; NULL: none yet */
	const struct mt_meta *guest;  /* as in struct mt_listen_port */
	uint32_t line,
		at; /* of the port in that object; `at`: in spec.ports, MT_NO_PORT: elsewhere */
	struct mt_service *s; /* NULL: not compiled yet */
};

/* One port of a ServiceEntry that is served. */
struct mt_unit {
	const struct mt_service_entry *se;
	const struct mt_se_port *port;
	const char *host; /* se->hosts[0] */
	const char *protocol;
	const struct mt_codec *codec;
	uint8_t opts;
	uint8_t web; /* enum mt_port_web */
	struct mt_service_slot *service;
	uint8_t forwarding;			 /* enum mt_forwarding; of mt_host.forwards only */
	uint8_t transport;			 /* of those: IPPROTO_UDP or IPPROTO_TCP */
	struct mt_forward_route *route;		 /* of those: destinations; NULL: not yet */
	struct mt_unit *next;			 /* of the same ServiceEntry */
	const struct mt_shared_cluster *cluster; /* of all its instances; NULL: none, or not yet */
	const struct mt_proxy_patch *patch;
	const struct mt_meta *patch_meta;
};

/* The VirtualService that clients of a service's own address follow. */
struct mt_host_routes {
	const struct mt_virtual_service *vs;
	bool used; /* some port follows it */
};

struct mt_client_target;

/* A ServiceEntry with what belongs to it. */
struct mt_host {
	const struct mt_service_entry *se;
	struct mt_unit *units;	  /* ports that are terminated */
	struct mt_unit *forwards; /* ports that are forwarded; they have no service */
	const struct mt_service_entry *
		*joined; /* others of its namespace that have its host: their endpoints join */
	uint32_t n_joined;
	/* a host or an address of `se` that the Node gives to a source; NULL: none */
	const struct mt_owned_entry *owned;
	const struct mt_destination_rule *rule;
	const struct mt_meta_router *router;
	struct mt_host_routes bytes, messages; /* of ports that carry these */
	struct mt_client_target
		*limiter; /* the TrafficPolicy that limits its clients; NULL: none */
	bool router_used; /* some port follows it */
	const struct mt_workload **workloads;
	uint32_t n_workloads;
	struct mt_addr *addrs;
	uint32_t n_addrs, n_unnamed; /* the last ones are no name's: of networks */
	/* The node's first identity that is an account of its endpoints; NULL: none (held.c). */
	struct mt_held *held;
	bool held_by_others; /* also of endpoints that other documents give it */
	bool known;	     /* its endpoints can be known */
	bool own_address;    /* it is written, readable or not */
	bool holds;	     /* it was assigned one before, and keeps it */
	bool has_share;	     /* of the addresses that are assigned */
	bool over; /* closed, without endpoints and subsets: its work is too much (work.c) */
	/* The subsets of its rule are closed, because they are too much work (work.c). */
	bool no_subsets;
};

struct mt_service_deps;
struct mt_listen;
struct mt_document_service;

enum mt_port_kind {
	MT_PORT_NOT_SERVED,
	MT_PORT_MESSAGES,
	MT_PORT_BYTES,
	MT_PORT_DATAGRAMS, /* of UDP: served only by forwarding */
	MT_PORT_BAD,
};

/* What is written of a port; NULL: not. kubernetes: `protocol` is the transport's. */
struct mt_port_words {
	const char *name, *protocol, *app_protocol;
	bool kubernetes;
};
/* Whether a proxy of the mesh reads HTTP there; nothing says a protocol: it may find out. */
enum mt_port_web { MT_WEB_NOT, MT_WEB_MAYBE, MT_WEB };
struct mt_port_is {
	enum mt_port_kind kind;
	const struct mt_proto *proto; /* MESSAGES: not NULL */
	const char *told, *remedy;    /* what the operator is told of it; NULL: nothing */
	bool harms;		      /* `told`: it is not served, or loses its routes */
	enum mt_port_web web;
};

struct mt_empty_subset {
	const struct mt_host *host;
	const struct mt_subset *subset;
	const struct mt_meta *meta; /* of the rule that says it */
	uint32_t at;		    /* in that rule's list */
};

struct mt_range;
struct mt_guests_found;
struct mt_auto_server; /* passing.c */

struct mt_build {
	struct mt_conf *conf;
	const struct mt_model *model;
	struct mt_diags *diags;
	uint32_t errors; /* that were there before */
	uint32_t n_near; /* hosts that were compared with all that there are */
	/* the same of namespaces, services without endpoints, and selectors (unmatched.c) */
	uint32_t n_namespaces_looked, n_empty_looked, n_selectors_looked;
	uint32_t n_ports_looked;   /* names of ports that were compared with mistyped ones */
	uint32_t n_subsets_looked; /* the same of subsets (refs.c) */
	uint64_t now;
	struct mt_work work;
	struct mt_region tmp; /* dies with the build */
	struct mt_snap *snap;
	const struct mt_codec_registry *codecs;
	struct mt_strmap protocols; /* struct mt_proto, by lower-case name */
	struct mt_strmap hosts;	    /* struct mt_host, by lower-case host */
	struct mt_strmap gateways;  /* struct mt_gateway, by "NAMESPACE/NAME" (check.c) */
	struct mt_idmap subsets;    /* struct mt_subset, by rule and name (refs.c) */
	struct mt_idmap ports;	    /* struct mt_unit, by host and port (refs.c) */
	struct mt_strmap clusters;  /* position + 1, by name */
	struct mt_strmap growths;   /* by namespace of documents with new clusters (growth.c) */
	const struct growth *growth_refused; /* NULL: there was room for all clusters */
	struct mt_strmap listens;	     /* struct mt_listen, by "address:port" */
	struct mt_strmap keys;		     /* services, by "address:port key" */
	/* The resource that is being compiled: what is wrong is told of it and refuses nothing else. */
	const struct mt_meta *mesh;
	struct mt_mesh_build *mesh_build;
	struct mt_region *keep; /* the snapshot's, or that of what is shared */
	struct mt_strmap files; /* copies of file names in the snapshot */
	struct {
		const struct mt_region *kept_in;
		char *kept;
	} last_file;			/* in what outlives it */
	struct mt_idmap explicit_addrs; /* addresses that documents write, by their hash */
	struct mt_idmap
		resolved;	 /* instances with a name and an address in use, by their address */
	struct mt_idmap wrong;	 /* struct mt_meta of objects with errors, by serial */
	struct mt_idmap holders; /* of places in the current snapshot (holders.c), if known */
	bool holders_known;
	struct mt_idmap mesh_places; /* struct mt_meta, of the control plane (mesh_places.c) */
	bool mesh_places_known;
	/*
	 * struct namer (bound.c), by mt_place_of_workload(): the only namespace whose entries give
	 * the address a principal, or two that keep each other from that
	 */
	struct mt_idmap namers;
	struct {
		const struct mt_meta *meta;
		uint64_t object, ns;
	} last_holder;		 /* of the place that was added last */
	struct mt_range *ranges; /* of addresses; ranges.c */
	uint32_t n_ranges;
	struct mt_fair range_shares, vip_shares, forward_shares;
	struct mt_fair client_shares;	 /* rules of TrafficPolicies (client_limits.c) */
	struct mt_strmap client_targets; /* struct mt_client_target, by "KIND NAMESPACE/NAME" */
	struct mt_forward_used forward_used;
	struct mt_strmap forward_owners; /* struct mt_forward_used, by namespace of the service */
	uint64_t *vips_written;		 /* by number of an address: some document has it */
	struct mt_host *host_list;
	uint32_t n_hosts;
	struct mt_listen **listen_list; /* mt_conf_listener_priv.h */
	uint32_t n_listens;
	uint32_t n_binds;		 /* struct mt_bind of all listeners (binds.c) */
	struct mt_listen_closed *closed; /* servers of Gateways that serve nothing now */
	uint32_t n_closed;
	struct mt_document_service *bound; /* to gateways' ports and to server names */
	uint32_t n_bound;
	struct mt_service_deps *deps; /* of the service that is being compiled; NULL: none is */
	struct mt_cluster *clusters_v;
	uint32_t n_clusters;
	uint64_t
		topology, /* where names of hosts, subsets, gateways and protocols lead; by mt_b_topology() */
		clients; /* the node's namespace and labels, which routes ask for */
	/* telemetry_metrics.c: struct mt_metrics_of by namespace or gateway. */
	struct mt_strmap metrics_of;
	struct mt_idmap metric_values; /* telemetry_metrics.c: checked expressions, by place */
	struct mt_policies *policies;
	struct mt_log_sets *logs;   /* NULL: no memory */
	struct mt_strmap telemetry; /* struct mt_telemetry_levels, all Telemetry by namespace */
	struct mt_strmap traced;    /* tracing.c: settings by namespace or gateway */
	struct mt_idmap span_outputs, told_tracing; /* tracing.c: of providers, of objects */
	struct mt_span_tags *span_tags;		    /* with metadata (tracing_tags.c) */
	struct mt_port_words
		port_words; /* of the port that was looked at last; no name: none was */
	struct mt_port_is port_is;
	struct mt_empty_subset *empty_subsets;
	uint32_t n_empty_subsets;
	struct mt_inbound *inbound;
	uint32_t n_inbound;
	struct mt_strmap inbound_by_ns;	     /* those of a namespace (inbound.c) */
	bool *forwarding_used;		     /* by place in the Node's forwarding */
	struct mt_strmap forwards;	     /* rows of forward_rows.c, by "address:port of UDP" */
	struct mt_strmap closers;	     /* struct mt_closer, by its words */
	struct mt_tls_context *mesh_context; /* mt_b_mesh_context(); NULL: nobody has asked, or: */
	bool mesh_context_failed;	     /* it is told */
	struct mt_idmap secrets,
		bad_secrets; /* struct mt_kube_secret, by serial: that something names; that are refused */
	struct mt_idmap exports;	/* exports.c: words of long lists */
	struct mt_strmap lost;		/* serials of documents that lead to what is not here */
	struct mt_strmap callouts;	/* counts by namespace (grpc_providers.c) */
	struct mt_auto_server *passing; /* of this node, once they are found */
	uint32_t n_passing;
	bool passing_found;
	struct mt_own_file *own_files; /* tls_files.c: those of the node's identity */
	uint32_t n_own_files;
	bool own_files_found;
	struct mt_guests_found *guests; /* of the Node's `guests` (node_guests.c); NULL: none */
};

/* Diagnostics. */
/* At a line of the object's file; the object is refused, the others are not. meta NULL: the whole load. */
void mt_b_error(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
/* True if the build has reported an error about the object, so that it is refused. */
bool mt_b_is_wrong(const struct mt_build *b, const struct mt_meta *meta);
/* At a line of the Node document. */
void mt_b_node_error(struct mt_build *b, uint32_t line, const char *path, const char *remedy,
	const char *fmt, ...) mt_printf(5, 6);
void mt_b_warn(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
/*
 * Warns that the object does not get what another one keeps. It stays in use, but its version never
 * becomes a last good one.
 */
void mt_b_dispute(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
/* For information: no call has another outcome than its documents specify. */
void mt_b_note(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
/*
 * The object names something that cannot be had: its last good version is used, and without one it
 * goes on as it is. `file`: a file, which is an error for the operator; otherwise a warning.
 */
void mt_b_unusable(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, bool file, const char *fmt, ...) mt_printf(7, 8);
/* It closes something; or it is others' to enforce, or another one of its kind counts instead. */
void mt_b_verdict(struct mt_build *b, enum mt_diag_severity severity, const struct mt_meta *meta,
	const char *remedy, const char *fmt, ...) mt_printf(5, 6);
/* It closes something, because of this field. */
void mt_b_closed(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
/* What the object selects is not here: it has no effect, and goes on having none. */
void mt_b_inert(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);
/* As mt_b_inert(), where that is probably a mistake; it fails --strict. */
void mt_b_unused(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);

/* Another object is used in its place. */
void mt_b_shadowed(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *remedy, const char *fmt, ...) mt_printf(6, 7);

/* build.c */
char *mt_b_lower(struct mt_build *b, const char *s);
char *mt_b_keep(struct mt_build *b, const char *s); /* a copy that lives as long as the snapshot */
const char *mt_b_file(struct mt_build *b, const char *file);
/* The host that a document of namespace `ns` means by this name (mt_meant_host()). NULL: none. */
struct mt_host *mt_b_host(const struct mt_build *b, const char *host, const char *ns);
/* True if it means a host by the long name of `word`, which is left in `full`. */
bool mt_b_means_long(
	const struct mt_build *b, const char *word, const char *ns, char full[MT_MEANT_HOST]);
/*
 * True if the word means a host by its long name, and therefore cannot also mean a host that is
 * called as the word is written. It can if the host with the long name is of another namespace than
 * `ns`, in a source with `namespaces`: otherwise an author of namespace "com" would take the name
 * example.com from all others.
 */
bool mt_b_means_only_long(const struct mt_build *b, const char *word, const char *ns);
/* "did you mean X?" over all hosts, in b->tmp; or what else to do. */
const char *mt_b_host_remedy(struct mt_build *b, const char *host);

/* mesh.c: what discovery services say. 0 or -ENOMEM. */
int mt_b_mesh(struct mt_build *b);
/* What a route's destination leads to; `at`: the document's cluster of this name. */
uint32_t mt_b_mesh_cluster(struct mt_build *b, const char *path, const char *name, uint32_t at);

/* index.c: documents by what they are about; duplicates. */
void mt_b_index(struct mt_build *b);
#define MT_B_NO_HOST "no ServiceEntry has the host \"%.128s\""

/* index_routes.c: which routes each host's clients follow; after ports and patches are known. */
void mt_b_index_routes(struct mt_build *b);

/* index_hosts.c: hosts by their names, each once. */
void mt_b_index_hosts(struct mt_build *b);
/*
 * owned_hosts.c: notes the host or address that the Node gives to a source (h->owned). Warns of
 * another host of the object, which the Node gives to no source.
 */
void mt_b_note_owned(struct mt_build *b, struct mt_host *h);
/* True if routes are of another source, and must not lead this host's calls for that. */
bool mt_b_is_kept_from(
	const struct mt_build *b, const struct mt_host *h, const struct mt_meta *routes);
/* Reports that to the object of the routes. `used`: it has other effects. */
void mt_b_tell_kept(struct mt_build *b, const struct mt_host *h, const struct mt_meta *routes,
	const struct mt_text *host, const char *path, bool used);
/* The namespace of clients of a service that is in namespace `ns`. */
const char *mt_b_client_ns(const struct mt_build *b, const char *ns);
/* True if clients of a Gateway, or of a service, in namespace `ns` see the service. */
bool mt_b_is_exported_to(struct mt_build *b, const struct mt_service_entry *se, const char *ns);
/* exports.c: true if an object of `ns` with this exportTo, which the model holds, is visible. */
bool mt_b_exports(
	struct mt_build *b, const struct mt_exports *to, const char *ns, const char *client_ns);
/* exportTo of a DestinationRule, or of a document that routes: `to`, or the mesh's default. Empty: all. */
struct mt_exports mt_b_rule_exports(
	const struct mt_build *b, const struct mt_exports *to, bool destination);
/* Whether clients of a service in `service_ns` see a DestinationRule, or a document that routes. */
bool mt_b_rule_visible(struct mt_build *b, const struct mt_exports *to, const struct mt_meta *meta,
	bool destination, const char *service_ns);
/* document_gateway.c: whether a selector's labels are all among the node's. */
bool mt_b_selects_node(const struct mt_build *b, const struct mt_labels *want);
/* index_rules.c: the DestinationRule of each host. */
void mt_b_index_rules(struct mt_build *b);

/* bound.c: whether a port is one of workloads; what is written of such ports; who may come in by them, once all clusters are there. */
bool mt_b_has_workload_ports(const struct mt_build *b);
void mt_b_bound_check(struct mt_build *b);
void mt_b_bound_owners(struct mt_build *b);
void mt_b_bound(struct mt_build *b);

/* node_guests.c: the virtual machines of the node. */
void mt_b_guests(struct mt_build *b);

/* names.c: what names may hold. */
/* "LIST[I]FIELD", made for each field of each document, most often for nothing; returns buf. */
#define MT_INDEX_PATH 64
char *mt_index_path(char buf[MT_INDEX_PATH], const char *list, uint32_t i, const char *field);
/* Letters, digits and dashes between them, 63 at most: a DNS label whose case is kept. */
bool mt_is_label(const char *s);
/* A label, or labels with dots between them, 253 bytes at most; `_` is allowed. */
bool mt_is_host(const char *s);
/* Reports a text that is no label; true: it is one. */
bool mt_b_label(struct mt_build *b, const struct mt_meta *meta, const struct mt_text *t,
	const char *path, const char *what);

/* addresses.c: which addresses can be used for what. */
/* Why nobody can have or be reached at this address ("a multicast address"), NULL: it is a host's. */
const char *mt_addr_unusable(const struct mt_addr *a);
/* kernel.c: why no service can be at an address of the host's kernel; NULL: it is no such address. */
const char *mt_b_of_kernel(const struct mt_build *b, const struct mt_addr *a);
/* Why a service cannot be at this address of this node's networks; NULL: it can. */
const char *mt_b_not_servable(const struct mt_build *b, const struct mt_addr *a);
/* Why no host in a network of this prefix has the address; NULL: one may. */
const char *mt_addr_not_a_host(const struct mt_addr *a, uint8_t prefix);
/* The port whose own address it is; NULL: none. */
const struct mt_node_port *mt_b_own_port(const struct mt_build *b, const struct mt_addr *a);
/* True if a port's network or a route leads to it, or if there is no Node. */
bool mt_b_reaches(const struct mt_build *b, const struct mt_addr *a);
/* An address that clients are to reach: reports what is wrong; true: it can be served. */
bool mt_b_serve_address(struct mt_build *b, const struct mt_meta *meta, uint32_t line,
	const char *path, const struct mt_addr *a);
/* After all services have their addresses: instances that would lead back to the node itself. */
void mt_b_instances(struct mt_build *b);

/* node.c: what the Node document says, as far as it can be known without the machine. */
void mt_b_node(struct mt_build *b);

/* access_log.c; mt_conf_log_priv.h has more */
void mt_b_access_log(struct mt_build *b);
/* The outputs of a proxy's calls, in `r`, which remembers a failure; NULL: the general ones. */
const struct mt_alog_scope *mt_b_chain_logs(struct mt_region *r, const struct mt_res_chain *c);
/*
 * The same for connections that no chain of the listener gets; NULL: those of calls without a
 * service.
 */
const struct mt_alog_scope *mt_b_refused_logs(struct mt_region *r, const struct mt_res_listener *l);

/* dns.c: the Node's `dns`, and the names that are answered for. */
void mt_b_dns_check(struct mt_build *b);
/* dns_mesh.c: hosts of a control plane's table, and of discovery services' listeners. 0 or -ENOMEM. */
struct mt_dns_builder;
int mt_b_dns_told(struct mt_build *b, struct mt_dns_builder *names);
int mt_b_dns_mesh(struct mt_build *b, struct mt_dns_builder *names);
/* Into the snapshot; the current one's table when it says the same. 0 or -ENOMEM. */
int mt_b_dns_table(struct mt_build *b);

/* protocols.c: which codec a port has. */
void mt_b_protocols(struct mt_build *b);
struct mt_proto *mt_b_protocol(struct mt_build *b, const char *name);
const char *mt_b_protocol_remedy(struct mt_build *b, const char *name);
const char *mt_b_codec_remedy(struct mt_build *b, const char *word);
/* Hash of what a protocol's name leads to: the codecs, and the documents that name protocols. */
uint64_t mt_b_protocols_hash(const struct mt_build *b, uint64_t h);
void mt_b_port(struct mt_build *b, const struct mt_port_words *w, struct mt_port_is *is);

/* client_limits.c: finds the TrafficPolicies of services and Gateways, and checks all of them. */
void mt_b_client_limits(struct mt_build *b);
void mt_b_check_clients(struct mt_build *b);

/* empty_subsets.c: subsets that nobody is in, and of those the ones that routes lead to. */
void mt_b_empty_subset(struct mt_build *b, const struct mt_host *h, const struct mt_subset *s,
	const struct mt_meta *meta, uint32_t at);
void mt_b_empty_subsets_tell(struct mt_build *b);

/* hosts.c: the instances of each service. */
void mt_b_hosts(struct mt_build *b);
/* "spec.endpoints[I].FIELD", or "spec.FIELD" for a WorkloadEntry; returns path. */
#define MT_NO_ENDPOINT UINT32_MAX
char *mt_b_endpoint_path(uint32_t i, const char *field, char path[MT_CONF_PATH]);
/* False: a host's name is written where the address should be. */
bool mt_b_has_address(const struct mt_workload *w);

/* units.c: which ports are served. */
void mt_b_units(struct mt_build *b);
/* True if its resolution makes its instances known. */
bool mt_b_knows_instances(const struct mt_service_entry *se);
/* assigned.c: the addresses of all hosts, once their ports are known. */
void mt_b_addresses(struct mt_build *b);
/* True if another host is assigned the address and keeps it. */
bool mt_b_is_held(const struct mt_build *b, const struct mt_host *h, const struct mt_addr *a);
/* Notes that a document has the address, so that no host is assigned it. */
void mt_b_note_written(struct mt_build *b, struct mt_host *h, const struct mt_addr *a);
/* ranges.c: the i-th of the host's addresses is a network; which addresses of networks are answered; and they are, from now on. */
void mt_b_range(
	struct mt_build *b, struct mt_host *h, uint32_t i, const struct mt_addr *a, uint8_t prefix);
void mt_b_ranges(struct mt_build *b);
void mt_b_ranges_add(struct mt_build *b);
/* units.c: the service name on shared ports, by the object's annotations. NULL: not annotated. */
const char *mt_b_annotated_key(const struct mt_meta *meta);
/* In b->tmp; `name` lives as long. NULL: no memory. */
struct mt_service_slot *mt_b_service_slot(struct mt_build *b, const char *name, const char *key,
	uint16_t port, struct mt_origin origin);

/* Number of subsets that have clusters. */
static inline uint32_t mt_host_subsets(const struct mt_host *h)
{
	return h->rule && !h->over && !h->no_subsets ? h->rule->n_subsets : 0;
}

/* True if some port of the host is served. */
static inline bool mt_host_is_served(const struct mt_host *h)
{
	return h->units || h->forwards;
}

/*
 * forwarding.c: the modes of a host's ports, by the Node and the annotation. Reports a mistake once
 * for each document.
 */
struct mt_forwarding_of {
	enum mt_forwarding all;	   /* of the annotation, for each port without a codec */
	enum mt_forwarding *ports; /* by the annotation, by place in se->ports; NULL: no memory */
	uint32_t line;		   /* of the annotation; 0: there is none */
};
void mt_b_forwarding_read(
	struct mt_build *b, const struct mt_service_entry *se, struct mt_forwarding_of *out);
/* The mode of a port of UDP, i-th of the service; MT_FORWARDING_NONE after a report. */
enum mt_forwarding mt_b_forwarding_udp(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_forwarding_of *of, uint32_t i);
/*
 * The mode of a port of TCP without a codec, i-th of the service; MT_FORWARDING_NONE: it is
 * terminated, because none was requested.
 */
enum mt_forwarding mt_b_forwarding_tcp(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_forwarding_of *of, uint32_t i);
/* Reports a mode that is requested for a port with a codec, which is terminated. */
void mt_b_forwarding_messages(struct mt_build *b, const struct mt_service_entry *se,
	const struct mt_forwarding_of *of, uint32_t i);
/* The Node's entry for this port; NULL: none. */
const struct mt_node_forwarding *mt_b_forwarding_entry(
	const struct mt_build *b, const struct mt_service_entry *se, const struct mt_se_port *port);
/* Reports entries of the Node that are for no port. After all ports are known. */
void mt_b_forwarding_unused(struct mt_build *b);
/* The annotation with this key; NULL: it is not written. */
const struct mt_kv *mt_b_annotation(const struct mt_service_entry *se, const char *key);
/*
 * forward_check.c: reports mistakes of the annotation for health checks, and one without a
 * forwarded port. Call it when all ports of the host are known.
 */
void mt_b_health_check_read(struct mt_build *b, const struct mt_host *h);
/* forward_rows.c: forwarded ports into the snapshot, after all clusters. */
void mt_b_forwards(struct mt_build *b);
/* forward_set.c: the set of lib/l4 into the snapshot. 0, -ENOMEM, or -EINVAL after an error. */
int mt_b_forward_set(struct mt_build *b);
/* Drops a snapshot's reference; NULL is allowed. */
void mt_forward_set_put(struct mt_conf *c, struct mt_forward_set *s);
/* True if the Node has the address for NAT, so that neither a service nor an endpoint has it. */
bool mt_b_is_nat(const struct mt_build *b, const struct mt_addr *a);
/*
 * The cluster of a forwarded port's endpoints: "udp|PORT||HOST" or "tcp|...", in b->tmp. NULL: no
 * memory.
 */
char *mt_b_forwarded_name(struct mt_build *b, const struct mt_unit *u);

/* patches.c: what EnvoyFilter documents change in units. */
void mt_b_patches(struct mt_build *b);

/* policies.c: who may call which instance, or closes it. */
void mt_b_policies_index(struct mt_build *b);
void mt_b_policies(struct mt_build *b);
/* The host of a policy and an instance of it as policies see them. */
struct mt_policed {
	const struct mt_host *h;
	const struct mt_workload *w;
	const struct mt_unit *u;
	uint16_t port;	/* the instance's */
	bool any_codec; /* messages of several protocols are led there: what protects closes */
};
/* A port of a gateway, and what comes in there. */
struct mt_gate {
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *server;
	const struct mt_codec *codec;
	enum mt_port_web web;
};
/* policy_gateways.c: who may come in; *gate NULL: everybody. false: no memory. */
bool mt_b_gate(struct mt_build *b, const struct mt_gate *at, const struct mt_gate_guard **gate,
	uint64_t *hash);
/*
 * policy_gateways.c: filters in the proxies of a service's clients stand in front of whatever its routes lead to. NULL: there are
 * none.
 */
const struct mt_gate_guard *mt_b_gate_of_clients(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u, uint64_t *hash);
/* What calls to it are judged by; NULL: everybody may. *hash follows what is said. */
const struct mt_authz *mt_b_guard(struct mt_build *b, const struct mt_policed *to, uint64_t *hash);
/*
 * The policies of an endpoint that two workloads have: calls must pass both. Policies that cannot
 * be joined fail closed. Of two limits of calls the first counts. NULL: it has none, or there is no
 * memory, which b->tmp has.
 */
const struct mt_authz *mt_b_guard_both(
	struct mt_build *b, const struct mt_authz *a, const struct mt_authz *other);
/* inbound.c: limits in servers' own proxies. */
void mt_b_inbound(struct mt_build *b);
/* Number of patches of a namespace. */
uint32_t mt_b_inbound_of(const struct mt_build *b, const char *ns);
/* What calls to the instance are judged by, and the limit of its own proxy, if that is this node. */
const struct mt_authz *mt_b_limited(struct mt_build *b, const struct mt_policed *to,
	const struct mt_authz *rules, uint64_t *hash);
/* Closed for everybody, whatever they call: by whom; NULL: it is not. */
const struct mt_closer *mt_b_guard_closes(const struct mt_authz *a);
/* closers.c: the object as one that closes; the snapshot's. NULL: no memory, which ends the build. */
const struct mt_closer *mt_b_closer(struct mt_build *b, const struct mt_meta *m);
/* audit.c: what instances are judged by, and ports of gateways, for who asks. */
void mt_b_audit(struct mt_build *b);
void mt_b_audit_gate(struct mt_build *b, const struct mt_gate *at, const struct mt_authz *rules);
/* closed_listeners.c: finds those behind which everybody is closed. */
void mt_b_closed_listeners(struct mt_build *b);
/* All of them are known. 0 or -ENOMEM. */
int mt_b_closers_finish(struct mt_build *b);
/* policy_mesh.c: some of a cluster that a discovery service says may be guarded, which its messages will show. */
bool mt_b_may_be_guarded(const struct mt_build *b, const char *ns);
/* After all listeners: guards the instances that discovery services name. 0 or -ENOMEM. */
int mt_b_mesh_policies(struct mt_build *b);
/* secret_status.c: after all that could name one. */
void mt_b_secrets_tell(struct mt_build *b);
/* After all clusters: what became of each policy. */
void mt_b_policies_tell(struct mt_build *b);
void mt_b_policies_fini(struct mt_build *b);
/* meshed.c: services whose instances expect mTLS are told. */
void mt_b_meshed(struct mt_build *b);
/* Whether Istio's client would speak mTLS to that port of the instance. */
bool mt_b_asks_for_mtls(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port);
/* The same, but by a tunnel of ambient meshes, which nobody here speaks: it is not called. */
bool mt_b_asks_for_hbone(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port);

/* clusters.c */
void mt_b_clusters(struct mt_build *b);
/* The instance's own number for the port's name, else targetPort, else the same number. */
uint16_t mt_b_endpoint_port(const struct mt_unit *u, const struct mt_workload *w);

/* refs.c: destinations to clusters. `path` is the destination's. */
#define MT_NO_CLUSTER UINT32_MAX
/* default_port 0: any port will do, nothing is routed yet. MT_NO_CLUSTER: it is not here, which is told. */
uint32_t mt_b_dest(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_dest *d, uint16_t default_port);
/* The same without diagnostics: where it leads now; *codec: of that port, or NULL. */
uint32_t mt_b_find_dest(struct mt_build *b, const struct mt_dest *d, const char *ns,
	uint16_t default_port, const struct mt_codec **codec);
uint32_t mt_b_find_cluster(const struct mt_build *b, const char *name);
/* subset NULL: of all its instances. */
uint32_t mt_b_unit_cluster(struct mt_build *b, const struct mt_unit *u, const char *subset);
/* Whether some destination of the document was told to be nowhere. */
bool mt_b_leads_nowhere(struct mt_build *b, const struct mt_meta *meta);
/* "outbound|PORT|SUBSET|HOST" */
uint32_t mt_b_named_cluster(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_text *name);
struct mt_route_for;
/* Warns of a destination that has messages of another protocol than the calls `f` is about. */
void mt_b_tell_protocol(struct mt_build *b, const struct mt_route_for *f,
	const struct mt_rule_dest *d, const char *path);
uint32_t mt_b_rule_dest(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_rule_dest *d, uint16_t default_port);

/* share.c: what the current snapshot has that this one would make again. */
void mt_b_topology(struct mt_build *b);
/*
 * True if all references of a document with these lists of rules were found good, and lead where
 * they led then.
 */
bool mt_b_was_checked(const struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_list *lists, uint32_t n);
/* After a build without errors. */
void mt_b_remember_checked(struct mt_build *b);
/* check.c: what every document refers to, used or not. */
void mt_b_check(struct mt_build *b);

/* rules.c: rules to a route table or to the destinations of a port of bytes. */
struct mt_route_for {
	const struct mt_meta *meta;	 /* of the document that routes */
	const struct mt_rule_list *list; /* NULL: everything to `fallback` */
	const char *gateway;		 /* NULL: the service's own address */
	const char *ns;			 /* of the service; NULL: at a gateway */
	const struct mt_codec *codec;
	uint16_t port;
	uint32_t fallback;
	/* Policy of routes that have none; NULL: none. */
	const struct mt_rule_retries *retries;
	const char *service; /* by mt_b_route_service() */
};

/* clients.c: whether a match is for this port, and for clients in the node's namespace and with its labels. */
bool mt_b_is_of_clients(
	const struct mt_build *b, const struct mt_route_for *f, const struct mt_rule_match *m);
/* Whether a match of a document in `ns` is for that port of that gateway (NAMESPACE/NAME). */
bool mt_b_is_from(
	const struct mt_rule_match *m, uint16_t port, const char *ns, const char *gateway);
/* Whether some rule is for that port of that gateway (NAMESPACE/NAME). */
bool mt_b_leads_from(
	const struct mt_rule_list *list, uint16_t port, const char *ns, const char *gateway);
/* Whether a match's word, NAMESPACE/NAME or NAME in `ns`, is this gateway (NAMESPACE/NAME). */
bool mt_b_is_gateway(const char *word, const char *ns, const char *gateway);
/* Whether NAMESPACE/HOST of a Gateway's server is for VirtualServices of that namespace. */
bool mt_b_is_routes_namespace(const char *word, const char *ns, const struct mt_gateway *g);
/* True if one of the hosts of a document in `ns` is among those of a Gateway's server. */
bool mt_b_hosts_are_of_server(struct mt_build *b, const struct mt_text *hosts, uint32_t n,
	const char *ns, const struct mt_gateway *g, const struct mt_gateway_server *server);
/* The same for the hosts of a VirtualService. */
bool mt_b_is_of_server(struct mt_build *b, const struct mt_virtual_service *vs,
	const struct mt_gateway *g, const struct mt_gateway_server *server);

/* rules.c: whether clients of this listener are meant. */
bool mt_b_applies(
	const struct mt_build *b, const struct mt_route_for *f, const struct mt_rule_match *m);
/*
 * True if all rules of the list that apply can be compiled for the codec. `tell`: reports each one
 * that cannot as an error of its document.
 */
bool mt_b_can_route(struct mt_build *b, const struct mt_route_for *f, bool tell);
/*
 * The rule of the list that connections of opaque TCP follow: the first one that applies, because
 * they have nothing to match by but the port. Its place in the list is in *at. NULL: none.
 */
const struct mt_rule *mt_b_tcp_rule(
	const struct mt_build *b, const struct mt_route_for *f, uint32_t *at);
/* Reports what the rule of opaque TCP has without effect. */
void mt_b_tcp_tell(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_rule *r, const char *path);
/* Fills routes or tcp_*. 0, -EINVAL after an error, -ENOMEM. */
int mt_b_route_service(
	struct mt_build *b, const struct mt_route_for *f, struct mt_service *s, uint64_t *hash);
/* The list that counts for a protocol (NULL: bytes); NULL: the document has none. */
const struct mt_rule_list *mt_b_rule_list(
	const struct mt_virtual_service *vs, const char *protocol);
struct mt_matcher_def *mt_b_defs(struct mt_build *b, const struct mt_rule_match *m);
