/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter chains of a listener. One chain is selected for each connection, once: by its addresses
 * and ports if these suffice, else by the client's first bytes (chain_selection.c).
 *
 * The criteria have the order of Envoy's FilterChainMatch: destination port, destination address,
 * server name, transport protocol, application protocols, source type, source address, source port.
 * Each step keeps the most specific matches among the remaining chains and never returns to the
 * others. So a connection has no chain if a later criterion rejects the last remaining chain, even
 * if a chain dropped earlier matches all criteria.
 */
#pragma once

#include "mt_addr.h"
#include "mt_codec.h"

struct mt_listener;
struct mt_service;
struct mt_tls_context;

enum mt_transport_kind {
	MT_TRANSPORT_ANY,
	MT_TRANSPORT_PLAIN, /* "raw_buffer": the first bytes are not a ClientHello */
	MT_TRANSPORT_TLS,
};

enum mt_source_kind {
	MT_SOURCE_ANY,
	MT_SOURCE_LOCAL,    /* from this host: loopback, or equal to the destination address */
	MT_SOURCE_EXTERNAL, /* from another host */
};

struct mt_prefix {
	struct mt_addr addr;
	uint8_t bits; /* counted in the family as written: at most 32 for IPv4 */
};

/*
 * Connections that a chain matches. A list matches if one of its entries does; an empty list, a 0
 * or ANY matches every connection.
 */
struct mt_filter_chain_match {
	uint16_t dst_port;
	struct mt_prefix *dst;
	uint32_t n_dst;
	/*
	 * Lower case; "*.example.com" matches names that end in ".example.com". An empty list stands
	 * for "*", which is not allowed here.
	 */
	const char *const *server_names;
	uint32_t n_server_names;
	enum mt_transport_kind transport;
	const char *const *alpn; /* ALPN protocol names (RFC 7301) */
	uint32_t n_alpn;
	enum mt_source_kind source;
	struct mt_prefix *src;
	uint32_t n_src;
	const uint16_t *src_ports;
	uint32_t n_src_ports;
};

/* A protocol of a chain, and the services to which its messages belong. */
struct mt_filter_chain_proto {
	const struct mt_codec *codec;
	uint8_t codec_opts;	      /* MT_CODEC_OPT_* */
	struct mt_key service_key;    /* name NULL: services[0] gets all messages */
	struct mt_service **services; /* sorted by mt_service.key (bytes) */
	uint32_t n_services;
	/* Set by mt_snapshot_index(): */
	const struct mt_filter_chain *chain; /* the chain that has this protocol */
	uint32_t idle_s;		     /* mt_filter_chain.idle_s */
	struct mt_key interface_key;	     /* codec->service_key, if leading; else name NULL */
};

struct mt_filter_chain {
	const char *name; /* "": none */
	struct mt_filter_chain_match match;
	/*
	 * Why the chain cannot serve; no command shows this text yet. Connections that select the chain
	 * are refused and never get another chain. NULL: it can serve.
	 */
	const char *refuse;
	/*
	 * Context with which the chain terminates TLS; it then refuses plaintext. The snapshot holds
	 * the reference. NULL: TLS is forwarded like other bytes. The ClientHello selects the chain, so
	 * a connection has a chain before its handshake starts.
	 */
	struct mt_tls_context *tls;
	/*
	 * If there are several protocols, the client's first bytes select one (frame.sniff); they are
	 * tried in this order.
	 */
	uint32_t n_protos;
	uint32_t idle_s; /* idle time-out of client connections, s; 0: mt_proxy_conf.down_idle_s */
	/* Set by mt_snapshot_index(): */
	const struct mt_filter_chain_proto *protos; /* n_protos of mt_listener.protos */
	const struct mt_listener *listener;
	/*
	 * Secret hash (mt_secret_hash.h) of `match` and of how TLS authenticates clients; identifies
	 * the chain across snapshots.
	 */
	uint64_t id;
	uint64_t kin; /* secret hash of `match` and of whether the chain terminates TLS */
};

/* An exact server name of a chain. */
struct mt_chain_name {
	const char *name;	   /* NULL: a free slot */
	uint32_t len, hash, chain; /* chain: index in mt_listener.chains */
};

/*
 * Hash table, with open addressing, of the chains that only an exact server name selects
 * (chain_names.c).
 */
struct mt_chain_names {
	uint32_t mask, n_rest;
	uint32_t *rest; /* indexes of all other chains; stored after the slots */
	/*
	 * True if no chain in `rest` has a destination address or port. The server name is then
	 * needed for every connection.
	 */
	bool asks;
	struct mt_chain_name slots[];
};

/* The properties of a connection that select its chain. */
struct mt_filter_chain_facts {
	struct mt_addr local, remote;
	uint16_t lport, rport;
	bool tls;	      /* it started with a ClientHello, which contained: */
	struct mt_slice name; /* server name, lower case; empty: none was sent */
	struct mt_slice alpn; /* as sent (RFC 7301 §3.1): pairs of length byte and name */
};

/* How many of the ALPN names that a client sends are compared; further ones are ignored. */
#define MT_FILTER_CHAIN_ALPN 32

/*
 * Selects the chain for a connection; NULL: none matches. The listener's criteria bound the work,
 * whatever the client sent. Any thread that holds the snapshot may call the lookups in this header.
 */
const struct mt_filter_chain *mt_filter_chain_choose(
	const struct mt_listener *l, const struct mt_filter_chain_facts *f);

/*
 * True if chains remain, after comparing destination address and port, that match by the first
 * bytes (server name, transport, application protocol) or terminate TLS.
 */
bool mt_filter_chain_asks_bytes(const struct mt_listener *l, const struct mt_filter_chain_facts *f);

/*
 * The protocol with this codec, or another version of it (mt_codec_is_version()), and these options
 * in the chain with this id. NULL: none, or the chain cannot serve.
 */
const struct mt_filter_chain_proto *mt_filter_chain_find(
	const struct mt_listener *l, uint64_t id, const struct mt_codec *codec, uint8_t opts);

/*
 * As mt_filter_chain_find(), in a chain that terminates TLS and has this `kin`. It finds a chain
 * after a change of how TLS authenticates clients, which changes the id.
 */
const struct mt_filter_chain_proto *mt_filter_chain_heir(
	const struct mt_listener *l, uint64_t kin, const struct mt_codec *codec, uint8_t opts);

/*
 * Finds the protocol that serves a connection until it closes if its chain is gone: one with a
 * service of `old` and its codec or another version of it, of a chain for the connection's
 * addresses and ports. Server names and application protocols are not compared, because they
 * selected the old chain. `f->tls`: the node terminated TLS of the connection; a chain that
 * terminates TLS is then preferred to one for plaintext. NULL: none.
 */
const struct mt_filter_chain_proto *mt_filter_chain_successor(const struct mt_listener *l,
	const struct mt_filter_chain_proto *old, const struct mt_filter_chain_facts *f);

/* Sets the derived fields of a listener, its chains and protocols. Part of mt_snapshot_index(). */
void mt_listener_link(struct mt_listener *l);
/*
 * Builds mt_listener.names if the listener has at least 16 exact names; the listener's owner frees
 * it. Part of mt_snapshot_index(). 0 or -ENOMEM.
 */
int mt_chain_names_build(struct mt_listener *l);
/*
 * Sets *chain to the index of the next chain that may match a connection with this server name
 * (empty: none was sent). Start with *at = 0; false: there are no more. A chain may occur twice.
 */
bool mt_chain_names_next(
	const struct mt_chain_names *n, struct mt_slice name, uint32_t *at, uint32_t *chain);

/* The service to which a message of this protocol belongs, by its service key; NULL: none. */
struct mt_service *mt_filter_chain_proto_service(
	const struct mt_filter_chain_proto *p, struct mt_view *v);

/* The service with the identity of `old`, which may be of another snapshot; NULL: none. */
struct mt_service *mt_filter_chain_proto_same(
	const struct mt_filter_chain_proto *p, const struct mt_service *old);
