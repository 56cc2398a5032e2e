/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node has to know before it can ask anybody: a bootstrap of Envoy's shape, read from a file, or made of the
 * few fields of the Node document. Control thread only.
 */
#pragma once

#include "mt_diag.h"
#include "mt_model.h"
#include "mt_pb.h"

#include "core.pb-c.h"

/* A text of PEM: in a file, written out, or a secret by its name. All NULL: none. */
struct mt_xds_pem {
	const char *file, *text, *secret;
};

struct mt_xds_tls {
	struct mt_xds_pem roots, chain,
		key;	 /* chain and key: of the same secret when they are one */
	const char *sni; /* NULL: the server's host */
	const char **sans;
	uint32_t n_sans;
};

/* Servers behind one name. */
struct mt_xds_server {
	const char *name;
	const char **addresses; /* as mt_grpc_conf.servers wants them */
	uint32_t n_addresses;
	uint64_t connect_ns;	/* 0: not said */
	struct mt_xds_tls *tls; /* NULL: plaintext */
	const char *unusable;	/* why nobody can connect to it; NULL: one can */
	const char *remedy;	/* for that */
	uint32_t line;		/* of that */
};

struct mt_xds_pair {
	const char *name, *value;
};

/* How something is asked for: a stream to a server. server NULL: not at all. */
struct mt_xds_way {
	const char *server; /* the name of one */
	bool delta, ads;    /* ads: over the stream of all types */
	struct mt_xds_pair *headers;
	uint32_t n_headers;
};

struct mt_xds_bootstrap {
	struct mt_pb_arena arena; /* holds everything */
	const char *file;
	uint64_t hash; /* of the text: whether it changed */
	Xds__Node *node;
	struct mt_xds_server *servers;
	uint32_t n_servers;
	struct mt_xds_way ads, lds, cds;
	bool names;	     /* the servers have a table of names for us (Istio's NDS) */
	const char **unused; /* paths of fields that were read and have no effect */
	uint32_t n_unused;
};

/* NULL after errors in `diags`: each names file, line, field and remedy. */
struct mt_xds_bootstrap *mt_xds_bootstrap_read(struct mt_diags *diags, const char *path);
struct mt_xds_bootstrap *mt_xds_bootstrap_text(
	struct mt_diags *diags, const char *name, const char *text, size_t len);
/* Of the Node's own fields, which were checked. NULL: no memory. */
struct mt_xds_bootstrap *mt_xds_bootstrap_node(const struct mt_node_xds *x);
void mt_xds_bootstrap_free(struct mt_xds_bootstrap *b);

/* Certificates of all servers are the secrets of these names, whatever files the bootstrap names. */
void mt_xds_bootstrap_identify(
	struct mt_xds_bootstrap *b, const char *certificate, const char *roots);

/*
 * Servers of other machines that would be spoken to in clear text become unusable. The first address; NULL: there is none.
 * Loopback addresses, unix sockets and `localhost` are this machine.
 */
const char *mt_xds_bootstrap_want_tls(struct mt_xds_bootstrap *b);

/* NULL: there is none of that name. */
const struct mt_xds_server *mt_xds_server_find(const struct mt_xds_bootstrap *b, const char *name);
