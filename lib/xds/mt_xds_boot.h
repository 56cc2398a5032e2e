/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bootstrap of the xDS client: node, servers, TLS and config sources. It is read from a file in
 * Envoy's bootstrap format, or built from the xds fields of the Node document. Control thread only.
 */
#pragma once

#include "mt_diag.h"
#include "mt_model.h"
#include "mt_pb.h"

#include "core.pb-c.h"

/* Where a PEM text comes from: a file, inline text, or a secret by its name. All NULL: none. */
struct mt_xds_pem {
	const char *file, *text, *secret;
};

struct mt_xds_tls {
	struct mt_xds_pem roots, chain,
		key;	 /* if chain and key come from a secret, it is the same one */
	const char *sni; /* NULL: the server's host */
	const char **sans;
	uint32_t n_sans;
};

/* A cluster of discovery servers. */
struct mt_xds_server {
	const char *name;
	const char **addresses; /* in the format of mt_grpc_conf.servers */
	uint32_t n_addresses;
	uint64_t connect_ns;	/* 0: not set */
	struct mt_xds_tls *tls; /* NULL: plaintext */
	const char *unusable;	/* why it cannot be connected to; NULL: it can */
	const char *remedy;	/* what the operator can do about `unusable` */
	uint32_t line;		/* of the bootstrap: where `unusable` comes from */
};

struct mt_xds_pair {
	const char *name, *value;
};

/* A config source: the stream over which resources are requested. server NULL: none. */
struct mt_xds_way {
	const char *server; /* name of a mt_xds_server */
	bool delta, ads;    /* ads: over the aggregated stream (ADS) */
	struct mt_xds_pair *headers;
	uint32_t n_headers;
};

struct mt_xds_bootstrap {
	struct mt_pb_arena arena; /* holds everything */
	const char *file;
	uint64_t hash; /* of the text, to detect changes */
	Xds__Node *node;
	struct mt_xds_server *servers;
	uint32_t n_servers;
	struct mt_xds_way ads, lds, cds;
	bool names;	     /* subscribe to Istio's name table (NDS) */
	const char **unused; /* paths of fields without effect */
	uint32_t n_unused;
};

/*
 * Reads a bootstrap from a file, or from a text that messages call `name`. Returns NULL after
 * errors; each is in `diags` with file, line, field and remedy.
 */
struct mt_xds_bootstrap *mt_xds_bootstrap_read(struct mt_diags *diags, const char *path);
struct mt_xds_bootstrap *mt_xds_bootstrap_text(
	struct mt_diags *diags, const char *name, const char *text, size_t len);
/*
 * Builds a bootstrap from the Node document's fields, which the caller has checked. NULL: no
 * memory.
 */
struct mt_xds_bootstrap *mt_xds_bootstrap_node(const struct mt_node_xds *x);
void mt_xds_bootstrap_free(struct mt_xds_bootstrap *b);

/* Replaces the certificates and roots of all TLS servers by the secrets of these names. */
void mt_xds_bootstrap_identify(
	struct mt_xds_bootstrap *b, const char *certificate, const char *roots);

/*
 * Makes each server unusable that has no TLS and is on another host. Loopback addresses, unix
 * sockets and `localhost` are this host. Returns the first such address; NULL if there is none.
 */
const char *mt_xds_bootstrap_want_tls(struct mt_xds_bootstrap *b);

/* Returns the server of that name, or NULL. */
const struct mt_xds_server *mt_xds_server_find(const struct mt_xds_bootstrap *b, const char *name);
