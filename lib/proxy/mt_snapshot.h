/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled configuration as workers read it: listeners with their services, clusters, filters.
 * lib/conf builds, publishes and retires snapshots. The types are in lib/proxy because it reads
 * them and cannot use lib/conf. A snapshot is immutable after publish, except for `holds`.
 */
#pragma once

#include "mt_filter.h"
#include "mt_filter_chain.h"
#include "mt_model_forwarding.h"
#include "mt_route.h"
#include "mt_stream.h"
#include "mt_upstream.h"

struct mt_access_log;
struct mt_alog_scope;
struct mt_alog_sieve;
struct mt_call_tracing;
struct mt_caller_table;
struct mt_dns_table;
struct mt_l4_set;

/* Authorization at a gateway's port: which clients may use the port, whatever they call. */
struct mt_gate_guard {
	const struct mt_authz *rules;
	uint16_t port;
};

/*
 * Bits above MT_OWNER_NS identify the namespace, so that services of one namespace share a quota; the
 * others identify the service. `ns`: hash of the namespace; 0: not known.
 */
#define MT_OWNER_NS 48

static inline uint64_t mt_service_owner(uint64_t ns, uint64_t id)
{
	return ns << MT_OWNER_NS | (id & ((UINT64_C(1) << MT_OWNER_NS) - 1));
}

/* A service of a listener: name, routes, filters and time-out of its exchanges. */
struct mt_service {
	const char *name; /* host: "org.apache.dubbo.samples.basic.api.demoservice" */
	const char *key;  /* value of the service key for it on a shared port, in lower case */
	uint64_t id;	  /* mt_secret_hash_text() of "host:port"; identifies it in snapshots */
	/* For known methods (methods.c): mt_service_owner() of its namespace and id. */
	uint64_t owner;
	uint32_t index; /* small, stable across snapshots; for workers' counters */
	struct mt_route_table *routes;
	struct mt_filter_inst *filter_insts; /* in the configured order */
	uint32_t n_filter_insts;
	const struct mt_filters *filters; /* compiled from filter_insts; NULL: none */
	/*
	 * Routes, filters and hashes of this service read leading metadata only, and no route changes
	 * requests: a long message may be forwarded before it is complete.
	 */
	bool early_ok;
	/*
	 * Routes, limits, hashes or changes of this service need metadata that must be searched for. A
	 * request with more metadata than Meltemi searches is refused.
	 */
	bool searches;
	uint32_t timeout_ms;  /* of calls; 0: the message's deadline, else mt_snapshot.timeout_ms */
	uint32_t tcp_cluster; /* opaque TCP, which has no routes: index in clusters[] */
	struct mt_route_dest *tcp_dests; /* opaque TCP with weights, if n_tcp_dests > 0 */
	uint32_t n_tcp_dests, tcp_total_weight;
	uint32_t n_tcp_idle;
	const char **tcp_idle; /* as mt_route_action.idle */
	/*
	 * Authorization of a gateway's port; NULL: every client may use it. Checked by mt_gate_filter
	 * for calls, and by the proxy itself for opaque TCP.
	 */
	const struct mt_gate_guard *gate;
	/* Outputs of the access log for its calls; NULL: the general ones. */
	const struct mt_alog_scope *log_scope;
	const struct mt_call_tracing *tracing; /* of its calls; NULL: none */
	/*
	 * The service is a gateway's: for its clients the node presents its own identity to endpoints
	 * (mt_cluster.lend), whatever identity a client has.
	 */
	bool gateway;
	/* The node is the servers' own proxy: the listener is an inbound one of a control plane. */
	bool inbound;
	/* Istio's metrics that it does not have: a set of mt_istio_bit(). */
	uint16_t metrics_off;
	const struct mt_metric_tags *metric_tags; /* changes of their labels; NULL: none */
	const char *ns;				  /* its namespace; NULL: unknown */
	const char *file;			  /* origin of the ServiceEntry */
	uint32_t line;
	/* From a discovery server: names of its Listener and RouteConfiguration; else NULL. */
	const char *resource, *routes_resource;
};

/*
 * Maximum number of services of a snapshot, and size of workers' arrays of service counters.
 * mt_pair.service, an index plus 1, has 16 bits.
 */
#define MT_SNAPSHOT_SERVICES_MAX UINT16_MAX

/* Routes with a counter of their own; all further routes share counter 0. */
#define MT_SNAPSHOT_ROUTES_MAX (1u << 20)

/*
 * Protocol detection time-out, ms, for listeners where the server may speak first. If the client is
 * silent for this time, the connection counts as plaintext. The default leaves time to send a lost
 * ClientHello again. NEVER: silence does not decide; the first bytes may come as late as the idle
 * time-out of clients allows.
 */
#define MT_LISTENER_DETECT_MS	 1000
#define MT_LISTENER_DETECT_NEVER UINT32_MAX

/* How an operator drains a listener; each includes what the one before does. */
enum mt_listener_drain {
	MT_LISTENER_SERVES,  /* not at all */
	MT_LISTENER_LEAVES,  /* its client connections drain, also those that come later */
	MT_LISTENER_REFUSES, /* new connections are refused by RST */
};

/* An address and port at which clients connect, with the filter chains that serve them. */
struct mt_listener {
	struct mt_addr addr; /* all zero: any address; 0.0.0.0: any IPv4 address */
	uint16_t port;
	uint64_t id; /* hash of address and port */
	struct mt_filter_chain *chains;
	uint32_t n_chains;
	bool has_fallback; /* the last chain is for connections that no other chain matches */
	struct mt_filter_chain_proto *protos; /* of all chains, in the order of the chains */
	uint32_t n_protos;
	/*
	 * Protocol detection time-out, ms, or MT_LISTENER_DETECT_NEVER. mt_snapshot_index() replaces
	 * 0 by MT_LISTENER_DETECT_MS.
	 */
	uint32_t detect_ms;
	/* The outputs that get refused connections; NULL: those of calls without a service. */
	const struct mt_alog_scope *log_scope;
	/*
	 * Not NULL: every connection is refused by RST, because objects that fail closed deny all
	 * services of the listener; this is the first of these objects. NULL: some service may be
	 * called, or calls get local replies.
	 */
	const struct mt_closer *closed_by;
	uint8_t drain;	   /* enum mt_listener_drain */
	uint32_t drain_ms; /* if it drains: time of its client connections */
	/* One chain with one protocol serves every connection. Set by mt_snapshot_index(). */
	bool decided;
	struct mt_chain_names *names; /* by mt_snapshot_index(); NULL: few names, no index */
	const char *file;
	uint32_t line;
};

/* An address that lib/net accepts at one workload port only, so that it identifies the caller. */
struct mt_bound {
	struct mt_addr addr; /* first member: mt_snapshot.bound is sorted by it */
	uint16_t port;	     /* index of the node's port */
	bool has_mac;	     /* accepted from the station `mac` only */
	uint8_t mac[6];
	bool disputed;	       /* no principal, because of entries of several namespaces */
	bool waits;	       /* none yet: until now, another namespace had the address */
	const char *principal; /* "cluster.local/ns/a/sa/b"; NULL: none, see `why` */
	/* `by`: first WorkloadEntry with the address, or NULL. `why`: why no principal, or NULL. */
	const char *by, *why;
	/* First WorkloadEntry that gives none because of another namespace; NULL: there is none. */
	const char *also;
};

/*
 * A port that is forwarded at layer 4: packets to this address and port go to endpoints of a
 * cluster, and no listener terminates them. If the cluster has a `closed_by`, they are dropped. The
 * endpoint depends on the source's address alone if the cluster hashes by it, else on all addresses
 * and ports of the packet.
 */
struct mt_forward {
	struct mt_addr
		addr; /* first member: mt_snapshot.forwards is sorted by it, then by port, protocol */
	uint16_t port;
	uint8_t protocol;    /* IPPROTO_UDP or IPPROTO_TCP */
	uint8_t mode;	     /* enum mt_forwarding */
	uint32_t cluster;    /* index in mt_snapshot.clusters */
	uint64_t id;	     /* hash of protocol, address and port */
	const char *service; /* host */
	const char *file;
	uint32_t line;
};

/* The metadata that access logs name, for calls of a codec: values of these keys are kept. */
struct mt_log_keys {
	const struct mt_codec *codec;
	const struct mt_key *request, *reply;
	uint32_t n_request, n_reply; /* at most MT_ALOG_NAMES each */
};

struct mt_snapshot {
	uint64_t version; /* grows by one with each publish */
	/*
	 * Workers that adopt this snapshot move objects to it that hold a snapshot with a version below
	 * this number, so that the old snapshots can retire. 0: all objects may finish under their own
	 * snapshot.
	 */
	uint64_t keep_from;
	/*
	 * Time-out of a call for which nothing else specifies one; 0: mt_proxy_conf.exchange_ms.
	 * timeout_file and timeout_line are its place in the Node document.
	 */
	uint32_t timeout_ms, timeout_line;
	const char *timeout_file;
	struct mt_listener *listeners;
	uint32_t n_listeners;
	struct mt_cluster *clusters;
	uint32_t n_clusters;
	struct mt_service **services; /* all, in the order of mt_service.index */
	uint32_t n_services;
	const struct mt_closer **closers; /* objects that fail closed, sorted by name */
	uint32_t n_closers;
	/* One past the largest index ever used. Only tests read them: workers' arrays are fixed. */
	uint32_t max_cluster_index, max_ep_index, max_service_index;
	const struct mt_forward *forwards; /* sorted by address, port and protocol */
	uint32_t n_forwards;
	struct mt_l4_set *l4;	      /* `forwards` as lib/l4 reads them; NULL: none */
	const struct mt_bound *bound; /* sorted by address */
	uint32_t n_bound;
	const struct mt_caller_table *callers; /* of all snapshots; NULL: none */
	/* For the principals of callers: the trust domain of the mesh; this node's, "spiffe://...". */
	const char *trust_domain, *principal; /* NULL: unknown */
	struct mt_dns_table *dns;	 /* names that the node's DNS service answers; NULL: none */
	const struct mt_access_log *log; /* outputs of lines and spans; NULL: none */
	bool logged; /* some output gets lines of the calls that begin under this snapshot */
	bool log_general, log_unserved; /* ... of services without a scope; without a service */
	uint64_t log_skips; /* of 2^32 calls and opaque streams, those that leave no line */
	struct mt_alog_sieve *log_sieve;    /* filters of the outputs; NULL: none is for workers */
	const struct mt_log_keys *log_keys; /* by codec; none if no output names metadata */
	uint32_t n_log_keys;
	bool log_reads_replies; /* some of log_keys are of replies */
	/* Built by mt_snapshot_index(): */
	void *lookup;		       /* hash table of listeners */
	const struct mt_codec **files; /* codecs of protocols that are data, each once */
	uint32_t n_files;
	/* [worker * MT_HOLD_STRIDE]: objects that hold this snapshot; written by the worker. */
	uint32_t *holds;
	void *arena; /* lib/conf's memory */
};

/* Configured time-out of a call, ms: the route's, else the service's. 0: none, see timeout_ms. */
static inline uint32_t mt_snapshot_timeout(
	const struct mt_route_action *route, const struct mt_service *service)
{
	return route->timeout_ms ? route->timeout_ms : service->timeout_ms;
}

#define MT_HOLD_STRIDE (MT_CACHE_LINE / sizeof(uint32_t))

/* Holds the snapshot for an object that outlives a loop iteration. On the worker's thread. */
static inline void mt_snapshot_hold(struct mt_snapshot *s, uint16_t worker)
{
	uint32_t *h = &s->holds[worker * MT_HOLD_STRIDE];

	__atomic_store_n(h, *h + 1, __ATOMIC_RELAXED);
}

static inline void mt_snapshot_drop(struct mt_snapshot *s, uint16_t worker)
{
	uint32_t *h = &s->holds[worker * MT_HOLD_STRIDE];

	/* Release: the worker's reads of the snapshot precede its release by the control thread. */
	__atomic_store_n(h, *h - 1, __ATOMIC_RELEASE);
}

/*
 * The listener for a local address and port: with that very address, else for any address. NULL:
 * none. Any thread that holds the snapshot.
 */
const struct mt_listener *mt_snapshot_listener(
	const struct mt_snapshot *s, const struct mt_addr *local, uint16_t port);

/* The binding of an address, whatever its port; NULL: none. */
const struct mt_bound *mt_snapshot_bound_at(const struct mt_snapshot *s, const struct mt_addr *a);
/*
 * The binding of a stream's remote address; NULL: none, or the stream entered by another port.
 * mt_snapshot_bound() returns the same, but does not search a snapshot without bindings.
 */
const struct mt_bound *mt_snapshot_find_bound(
	const struct mt_snapshot *s, const struct mt_stream *from);
static inline const struct mt_bound *mt_snapshot_bound(
	const struct mt_snapshot *s, const struct mt_stream *from)
{
	return mt_likely(!s->n_bound) ? NULL : mt_snapshot_find_bound(s, from);
}

/*
 * Finds the version of a codec file that protocols of the snapshot have, by the name of `codec`. A
 * codec of this build is its own only version. NULL: no protocol has the file. Any thread that
 * holds the snapshot.
 */
const struct mt_codec *mt_snapshot_codec(const struct mt_snapshot *s, const struct mt_codec *codec);

/*
 * Builds `lookup`, `files` and the listeners' links and names. lib/conf calls it once, when the
 * listeners are final. mt_snapshot_index_free() frees what it built. 0 or -ENOMEM.
 */
int mt_snapshot_index(struct mt_snapshot *s);
void mt_snapshot_index_free(struct mt_snapshot *s);
