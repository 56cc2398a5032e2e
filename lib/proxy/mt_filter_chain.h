/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener is a table of filter chains; which of them serves a connection is decided once, by addresses and
 * ports if they tell, else by the client's first bytes (undecided.c).
 *
 * The order of criteria is Envoy's (FilterChainMatch): destination port, destination address, server name,
 * transport protocol, application protocols, source type, source address, source port. Each step keeps those of
 * the chains that are left which match most specifically, and nothing goes back: a connection that the last
 * criterion of the only chain left does not fit has no chain, though another one would have fitted it otherwise.
 */
#pragma once

#include "mt_addr.h"
#include "mt_codec.h"

struct mt_listener;
struct mt_service;
struct mt_tls_context;

enum mt_transport_kind {
	MT_TRANSPORT_ANY,
	MT_TRANSPORT_PLAIN, /* "raw_buffer": the first bytes are no ClientHello */
	MT_TRANSPORT_TLS,
};

enum mt_source_kind {
	MT_SOURCE_ANY,
	MT_SOURCE_LOCAL,    /* from this host: loopback, or the address that was connected to */
	MT_SOURCE_EXTERNAL, /* from anywhere else */
};

struct mt_prefix {
	struct mt_addr addr;
	uint8_t bits; /* of the address as it is written: at most 32 for IPv4 */
};

/* Which connections a chain is for. A list that is empty, or a 0, asks nothing. */
struct mt_filter_chain_match {
	uint16_t dst_port;
	struct mt_prefix *dst; /* any of them */
	uint32_t n_dst;
	/* Lower case; "*.example.com": any name that ends in ".example.com". "*" is not written: ask nothing. */
	const char *const *server_names;
	uint32_t n_server_names;
	enum mt_transport_kind transport;
	const char *const *alpn; /* any of them; names as ALPN has them (RFC 7301) */
	uint32_t n_alpn;
	enum mt_source_kind source;
	struct mt_prefix *src; /* any of them */
	uint32_t n_src;
	const uint16_t *src_ports; /* any of them */
	uint32_t n_src_ports;
};

/* One protocol of a chain, and the services that its messages are for. */
struct mt_filter_chain_proto {
	const struct mt_codec *codec;
	uint8_t codec_opts;	      /* MT_CODEC_OPT_* */
	struct mt_key service_key;    /* name NULL: services[0] takes everything */
	struct mt_service **services; /* sorted by mt_service.key (bytes) */
	uint32_t n_services;
	/* Set by mt_snapshot_index(): */
	const struct mt_filter_chain *chain; /* whose it is */
	uint32_t idle_s;		     /* the chain's */
};

struct mt_filter_chain {
	const char *name; /* "": it has none */
	struct mt_filter_chain_match match;
	/*
	 * Not NULL: it cannot be served, for this reason, which nobody shows yet. Connections that it is for are refused;
	 * they never get another chain.
	 */
	const char *refuse;
	/*
	 * TLS is ended by it, and clear text that it gets is refused; the snapshot holds it. NULL: it is not ended: TLS is bytes like any
	 * others. The chain is chosen by what the hello says, so a connection has one before its handshake begins.
	 */
	struct mt_tls_context *tls;
	uint32_t
		n_protos; /* more than one: the client's first bytes say which (mt_codec.sniff), in this order */
	uint32_t idle_s; /* downstream idle (default 3,600) */
	/* Set by mt_snapshot_index(): */
	const struct mt_filter_chain_proto *protos; /* n_protos of mt_listener.protos */
	const struct mt_listener *listener;
	/* Of what it matches, and by what TLS judges clients: the same chain in another snapshot has the same. */
	uint64_t id;
	uint64_t kin; /* of what it matches, and of whether it ends TLS */
};

/* An exact server name of a chain, and its place in the listener. */
struct mt_chain_name {
	const char *name; /* NULL: a free slot */
	uint32_t len, hash, chain;
};

/* chain_names.c: chains that only clients of their names get, by these; open addressing. */
struct mt_chain_names {
	uint32_t mask, n_rest;
	uint32_t *rest; /* places of all others, behind the slots */
	bool asks;	/* none of those asks for an address: who comes is asked for his name */
	struct mt_chain_name slots[];
};

/* What is known of a connection. */
struct mt_filter_chain_facts {
	struct mt_addr local, remote;
	uint16_t lport, rport;
	bool tls;	      /* it began with a ClientHello: */
	struct mt_slice name; /* server name, lower case; empty: none was sent */
	struct mt_slice alpn; /* as sent (RFC 7301 §3.1): length byte and name, again and again */
};

/* So many of the application protocols that a client sends are looked at, its first ones. */
#define MT_FILTER_CHAIN_ALPN 32

/* The chain for a connection; NULL: none matches. Work is bounded by the listener's criteria, whatever was sent. */
const struct mt_filter_chain *mt_filter_chain_choose(
	const struct mt_listener *l, const struct mt_filter_chain_facts *f);

/*
 * Whether addresses and ports leave chains that ask for what only the first bytes tell (server name, transport,
 * application protocol).
 */
bool mt_filter_chain_asks_bytes(const struct mt_listener *l, const struct mt_filter_chain_facts *f);

/* The protocol with this codec and options, of the chain of this id; NULL: none, or the chain is refused. */
const struct mt_filter_chain_proto *mt_filter_chain_find(
	const struct mt_listener *l, uint64_t id, const struct mt_codec *codec, uint8_t opts);

/* The same, of the chain that another one of this `kin` has become whose TLS judges clients otherwise. */
const struct mt_filter_chain_proto *mt_filter_chain_heir(
	const struct mt_listener *l, uint64_t kin, const struct mt_codec *codec, uint8_t opts);

/*
 * Finds the protocol that serves a connection until its end when its chain is gone: one with the
 * codec and a service of `old`, of a chain for the connection's addresses and ports. Server names
 * and application protocols are not compared, because they chose the old chain. `f->tls`: TLS of
 * the connection is ended; chains that end TLS are preferred then, else one for plaintext serves
 * it. NULL: none.
 */
const struct mt_filter_chain_proto *mt_filter_chain_successor(const struct mt_listener *l,
	const struct mt_filter_chain_proto *old, const struct mt_filter_chain_facts *f);

/* What mt_snapshot_index() does for one listener. */
void mt_listener_link(struct mt_listener *l);
/* And this, where names are many: mt_listener.names, for its owner to free. 0 or -ENOMEM. */
int mt_chain_names_build(struct mt_listener *l);
/*
 * The next chain that the connection could get that asks for the name (empty: none): a place in the listener's. `at` begins as 0; false: there are
 * no more. One may come twice.
 */
bool mt_chain_names_next(
	const struct mt_chain_names *n, struct mt_slice name, uint32_t *at, uint32_t *chain);

/* The service for a message of this protocol, by its service key; NULL: none matches. */
struct mt_service *mt_filter_chain_proto_service(
	const struct mt_filter_chain_proto *p, struct mt_view *v);

/* The service of the same identity, perhaps of another snapshot; NULL: none. */
struct mt_service *mt_filter_chain_proto_same(
	const struct mt_filter_chain_proto *p, const struct mt_service *old);
