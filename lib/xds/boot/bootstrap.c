/* SPDX-License-Identifier: Apache-2.0 */
/* Interprets a bootstrap: servers, config sources and node. */
#include "mt_xds_boot_priv.h"

#include "mt_files.h"
#include "mt_strmap.h"

#include "tls.pb-c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TLS_TYPE      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
#define ADDRESSES_MAX 16
#define PATH_MAX_UN   107 /* bytes of a unix socket's path (unix(7)) */
#define HEADERS_MAX   8
/* Values of ApiConfigSource.api_type that mean the delta protocol. */
#define API_DELTA	     3
#define API_AGGREGATED_DELTA 6
#define MEMORY_MAX	     (64u << 20)

static void wrong(struct boot_reader *r, uint32_t line, const char *path, const char *remedy,
	const char *what)
{
	mt_diag_add(r->c.diags, MT_DIAG_ERROR, (struct mt_origin){r->c.file, line}, path, remedy,
		"%s", what);
}

static struct mt_region *region_of(struct boot_reader *r)
{
	return &r->b->arena.region;
}

/* NULL for a string that is not set, which protobuf represents as an empty one. */
static const char *or_none(const char *text)
{
	return *text ? text : NULL;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static struct mt_xds_pem pem_of(const Xds__DataSource *d)
{
	struct mt_xds_pem p = {0};

	if (d && d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_FILENAME)
		p.file = d->filename;
	if (d && d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_STRING)
		p.text = d->inline_string;
	return p;
}

static void add_san(struct boot_reader *r, struct mt_xds_tls *t, const char *name)
{
	const char **slot =
		mt_region_push(region_of(r), (void **)&t->sans, &t->n_sans, sizeof(*slot));

	if (slot)
		*slot = name;
}

static void take_validation(
	struct boot_reader *r, struct mt_xds_tls *t, const Xds__CertificateValidationContext *v)
{
	if (!v)
		return;
	t->roots = pem_of(v->trusted_ca);
	for (size_t i = 0; i < v->n_match_subject_alt_names; i++)
		add_san(r, t, v->match_subject_alt_names[i]->exact);
	for (size_t i = 0; i < v->n_match_typed_subject_alt_names; i++)
		add_san(r, t, v->match_typed_subject_alt_names[i]->matcher->exact);
}

static bool is_none(const struct mt_xds_pem *p)
{
	return !p->file && !p->text && !p->secret;
}

static void take_trust(struct boot_reader *r, struct mt_xds_tls *t, const Xds__CommonTlsContext *c)
{
	const Xds__SdsSecretConfig *roots = NULL;

	switch (c->validation_context_type_case) {
	case XDS__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT:
		take_validation(r, t, c->validation_context);
		break;
	case XDS__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_COMBINED_VALIDATION_CONTEXT:
		take_validation(r, t, c->combined_validation_context->default_validation_context);
		roots = c->combined_validation_context->validation_context_sds_secret_config;
		break;
	case XDS__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT_SDS_SECRET_CONFIG:
		roots = c->validation_context_sds_secret_config;
		break;
	default:
		break;
	}
	if (roots && is_none(&t->roots))
		t->roots.secret = roots->name;
}

static void take_identity(struct mt_xds_tls *t, const Xds__CommonTlsContext *c)
{
	if (c->n_tls_certificates) {
		t->chain = pem_of(c->tls_certificates[0]->certificate_chain);
		t->key = pem_of(c->tls_certificates[0]->private_key);
	} else if (c->n_tls_certificate_sds_secret_configs) {
		t->chain.secret = t->key.secret = c->tls_certificate_sds_secret_configs[0]->name;
	}
}

/* True only for raw_buffer, so that a misspelled transport socket does not mean plaintext. */
static bool is_plaintext(const Xds__TransportSocket *t)
{
	if (t->typed_config)
		return strstr(t->typed_config->type_url, ".raw_buffer.") != NULL;
	return strstr(t->name, "raw_buffer") != NULL;
}

/*
 * Unpacks the TLS context; NULL if it is of another type or has no common_tls_context. The content
 * was validated when the bootstrap was read.
 */
static const Xds__UpstreamTlsContext *context_of(struct boot_reader *r, const Xds__Any *any)
{
	const Xds__UpstreamTlsContext *t = NULL;
	const char *why;

	if (any && strcmp(any->type_url, TLS_TYPE) == 0)
		t = mt_pb_unpack(&r->b->arena, &xds__upstream_tls_context__descriptor,
			any->value.data, any->value.len, &why);
	return t && t->common_tls_context ? t : NULL;
}

/*
 * Marks a server as unusable. This is an error if a config source names the server, else a warning.
 */
static void cannot_be_used(
	struct mt_xds_server *s, const void *message, const char *remedy, const char *why)
{
	s->unusable = why;
	s->remedy = remedy;
	s->line = mt_pb_line(message);
}

/* Returns TLS settings; NULL for plaintext, or for an unusable server. */
static struct mt_xds_tls *tls_of(
	struct boot_reader *r, const Xds__TransportSocket *socket, struct mt_xds_server *s)
{
	const Xds__UpstreamTlsContext *from;
	struct mt_xds_tls *t;

	if (!socket || is_plaintext(socket))
		return NULL;
	from = context_of(r, socket->typed_config);
	if (!from) {
		cannot_be_used(s, socket,
			"its @type must be " TLS_TYPE
			", with a common_tls_context; or leave transport_socket out",
			"not a transport that is known here");
		return NULL;
	}
	t = mt_region_alloc(region_of(r), sizeof(*t));
	if (!t)
		return NULL;
	take_trust(r, t, from->common_tls_context);
	take_identity(t, from->common_tls_context);
	t->sni = or_none(from->sni);
	if (is_none(&t->roots))
		cannot_be_used(s, socket->typed_config,
			"add validation_context: {trusted_ca: {filename: FILE}}",
			"no authority is trusted: any server could answer");
	return t;
}

static void tell_unusable(
	struct boot_reader *r, const struct mt_xds_server *s, enum mt_diag_severity severity)
{
	mt_diag_add(r->c.diags, severity, (struct mt_origin){r->c.file, s->line},
		"transport_socket.typed_config", s->remedy, "%s", s->unusable);
}

/* ---- servers --------------------------------------------------------------------------------- */

/* Warns about a part that is left out, such as one of several addresses; the rest may be enough. */
static void beware(struct boot_reader *r, const void *message, const char *remedy, const char *what)
{
	mt_diag_add(r->c.diags, MT_DIAG_WARNING, (struct mt_origin){r->c.file, mt_pb_line(message)},
		NULL, remedy, "%s", what);
}

static char *path_of(struct boot_reader *r, const Xds__Pipe *p)
{
	if (strlen(p->path) <= PATH_MAX_UN)
		return mt_region_printf(region_of(r), "unix:%s", p->path);
	beware(r, p, "107 bytes at most", "the path of the pipe is too long, it is left out");
	return NULL;
}

static char *address_of(struct boot_reader *r, const Xds__Address *a)
{
	const Xds__SocketAddress *s;

	if (a->address_case == XDS__ADDRESS__ADDRESS_PIPE)
		return path_of(r, a->pipe);
	if (a->address_case != XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS)
		return NULL;
	s = a->socket_address;
	if (!mt_host_is_sound(s->address)) {
		beware(r, s, "write address: HOST without scheme and port, and port_value: PORT",
			"the address is neither one nor a name, it is left out");
		return NULL;
	}
	return mt_region_printf(region_of(r), strchr(s->address, ':') ? "[%s]:%u" : "%s:%u",
		s->address, s->port_value);
}

static void add_address(struct boot_reader *r, struct mt_xds_server *s, const Xds__LbEndpoint *e)
{
	bool there = e->host_identifier_case == XDS__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT &&
		     e->endpoint->address;
	char *text = there ? address_of(r, e->endpoint->address) : NULL;
	const char **slot;

	if (!text)
		return;
	if (s->n_addresses == ADDRESSES_MAX) {
		beware(r, e, "16 at most", "a server more than can be used, it is left out");
		return;
	}
	slot = mt_region_push(region_of(r), (void **)&s->addresses, &s->n_addresses, sizeof(*slot));
	if (slot)
		*slot = text;
}

static void take_server(struct boot_reader *r, struct mt_xds_server *s, const Xds__Cluster *c)
{
	const Xds__ClusterLoadAssignment *a = c->load_assignment;

	if (mt_xds_server_find(r->b, c->name))
		beware(r, c, "keep one of them", "a second cluster of this name is not looked at");
	s->name = c->name;
	if (c->connect_timeout)
		s->connect_ns = (uint64_t)c->connect_timeout->seconds * MT_SEC +
				(uint64_t)c->connect_timeout->nanos;
	for (size_t i = 0; a && i < a->n_endpoints; i++)
		for (size_t k = 0; k < a->endpoints[i]->n_lb_endpoints; k++)
			add_address(r, s, a->endpoints[i]->lb_endpoints[k]);
	s->tls = tls_of(r, c->transport_socket, s);
	if (s->unusable)
		s->n_addresses = 0;
}

static void take_servers(struct boot_reader *r)
{
	const Xds__Bootstrap__StaticResources *st = r->root->static_resources;
	struct mt_xds_bootstrap *b = r->b;

	b->servers = mt_region_alloc(region_of(r), sizeof(*b->servers) * (st->n_clusters + 1));
	for (size_t i = 0; b->servers && i < st->n_clusters; i++)
		take_server(r, &b->servers[b->n_servers++], st->clusters[i]);
}

const struct mt_xds_server *mt_xds_server_find(const struct mt_xds_bootstrap *b, const char *name)
{
	for (uint32_t i = 0; i < b->n_servers; i++)
		if (b->servers[i].name && strcmp(b->servers[i].name, name) == 0)
			return &b->servers[i];
	return NULL;
}

/* ---- config sources -------------------------------------------------------------------------- */

/*
 * Checks a header of initial_metadata: gRPC's Custom-Metadata ("gRPC over HTTP2"), without reserved
 * names.
 */
static void check_header(struct boot_reader *r, const Xds__HeaderValue *h)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	static const char *const own[] = {"te", "content-type", "user-agent", "host"};
	size_t len = strlen(h->key);
	bool good = len && strspn(h->key, letters) == len && strncasecmp(h->key, "grpc-", 5) != 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		good &= strcasecmp(h->key, own[i]) != 0;
	if (!good)
		wrong(r, mt_pb_line(h), "initial_metadata",
			"letters, digits, _ - and ., and none of gRPC's own",
			"this cannot be the name of a header");
	for (const char *p = h->value; *p; p++)
		if (*p < ' ' || *p > '~') {
			wrong(r, mt_pb_line(h), "initial_metadata", "printable ASCII only",
				"this cannot be the value of a header");
			return;
		}
}

static void take_headers(struct boot_reader *r, struct mt_xds_way *w, const Xds__GrpcService *g)
{
	size_t n = MT_MIN(g->n_initial_metadata, (size_t)HEADERS_MAX);

	if (g->n_initial_metadata > HEADERS_MAX)
		wrong(r, mt_pb_line(g), "initial_metadata", "8 at most", "too many headers");
	w->headers = mt_region_alloc(region_of(r), sizeof(*w->headers) * (n + 1));
	for (size_t i = 0; w->headers && i < n; i++) {
		const Xds__HeaderValue *h = g->initial_metadata[i];
		char *name = mt_region_strdup(region_of(r), h->key);

		check_header(r, h);
		for (char *p = name; p && *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		w->headers[w->n_headers++] = (struct mt_xds_pair){name, h->value};
	}
}

static bool is_delta(const Xds__ApiConfigSource *a)
{
	return a->api_type == API_DELTA || a->api_type == API_AGGREGATED_DELTA;
}

static void take_way(struct boot_reader *r, struct mt_xds_way *w, const Xds__ApiConfigSource *a,
	const char *path)
{
	const Xds__GrpcService *g = a->n_grpc_services ? a->grpc_services[0] : NULL;
	const struct mt_xds_server *s;

	if (!g) {
		wrong(r, mt_pb_line(a), path,
			"add grpc_services: [{envoy_grpc: {cluster_name: NAME}}]",
			"no server is named");
		return;
	}
	if (a->n_grpc_services > 1)
		beware(r, a->grpc_services[1], "name more servers as addresses of the cluster",
			"only the first of grpc_services is used");
	w->delta = is_delta(a);
	s = mt_xds_server_find(r->b, g->envoy_grpc->cluster_name);
	if (!s)
		wrong(r, mt_pb_line(g->envoy_grpc), path, "add it to static_resources.clusters",
			"there is no static cluster of this name");
	else if (s->unusable)
		tell_unusable(r, s, MT_DIAG_ERROR);
	else if (!s->n_addresses)
		wrong(r, mt_pb_line(g->envoy_grpc), path,
			"add load_assignment with a socket_address or a pipe",
			"the static cluster has no address");
	else
		w->server = s->name;
	take_headers(r, w, g);
}

static void take_source(
	struct boot_reader *r, struct mt_xds_way *w, const Xds__ConfigSource *s, const char *path)
{
	bool ads;

	if (!s)
		return;
	if (s->config_source_specifier_case ==
		XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_API_CONFIG_SOURCE) {
		take_way(r, w, s->api_config_source, path);
		return;
	}
	ads = s->config_source_specifier_case == XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS;
	if (ads && !r->root->dynamic_resources->ads_config)
		wrong(r, mt_pb_line(s), path, "add ads_config", "there is no server for all types");
	else if (!ads)
		wrong(r, mt_pb_line(s), path, "write ads: {}, or api_config_source: {...}",
			"it names no discovery service");
	*w = r->b->ads;
	w->ads = true;
}

static void take_dynamic(struct boot_reader *r)
{
	const Xds__Bootstrap__DynamicResources *d = r->root->dynamic_resources;

	if (d->ads_config)
		take_way(r, &r->b->ads, d->ads_config, "dynamic_resources.ads_config");
	r->b->ads.ads = true;
	take_source(r, &r->b->lds, d->lds_config, "dynamic_resources.lds_config");
	take_source(r, &r->b->cds, d->cds_config, "dynamic_resources.cds_config");
	if (!d->lds_config && !d->cds_config)
		wrong(r, mt_pb_line(d), "dynamic_resources",
			"add lds_config: {ads: {}} and cds_config: {ads: {}}",
			"nothing is requested");
}

/* ---- node ------------------------------------------------------------------------------------ */

/*
 * True if the node subscribes to the name table. As in Istio's agent, a node that answers DNS
 * queries does so (ISTIO_META_DNS_CAPTURE of cluster.env).
 */
static bool wants_names(const Xds__Struct *metadata)
{
	for (size_t i = 0; metadata && i < metadata->n_fields; i++) {
		const Xds__Value *v = metadata->fields[i]->value;

		if (strcmp(metadata->fields[i]->key, "DNS_CAPTURE") != 0 || !v)
			continue;
		if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE)
			return strcasecmp(v->string_value, "true") == 0;
		return v->kind_case == XDS__VALUE__KIND_BOOL_VALUE && v->bool_value;
	}
	return false;
}

static void take_node(struct boot_reader *r)
{
	Xds__Node *n = r->root->node;

	boot_of_ours(n);
	r->b->node = n;
	r->b->names = wants_names(n->metadata);
}

/* ---- interface ------------------------------------------------------------------------------- */

static void on_document(void *arg, const struct mt_ynode *root)
{
	struct boot_reader *r = arg;

	if (r->read) {
		wrong(r, root->line, NULL, "keep one of them", "a second document");
		return;
	}
	r->read = true;
	boot_fields_read(r, root);
}

struct mt_xds_bootstrap *boot_new(const char *name)
{
	struct mt_xds_bootstrap *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	mt_pb_arena_init(&b->arena, MEMORY_MAX);
	b->file = mt_region_strdup(&b->arena.region, name);
	if (b->file)
		return b;
	mt_xds_bootstrap_free(b);
	return NULL;
}

void mt_xds_bootstrap_free(struct mt_xds_bootstrap *b)
{
	if (!b)
		return;
	mt_pb_arena_fini(&b->arena);
	free(b);
}

/* Interprets a bootstrap that was read without errors. */
static void make_sense(struct boot_reader *r)
{
	uint32_t before = r->c.diags->errors;

	take_servers(r);
	take_node(r);
	take_dynamic(r);
	for (uint32_t i = 0; i < r->b->n_servers && r->c.diags->errors == before; i++)
		if (r->b->servers[i].unusable)
			tell_unusable(r, &r->b->servers[i], MT_DIAG_WARNING);
}

struct mt_xds_bootstrap *mt_xds_bootstrap_text(
	struct mt_diags *diags, const char *name, const char *text, size_t len)
{
	struct mt_xds_bootstrap *b = boot_new(name);
	uint32_t before = diags->errors;
	struct boot_reader r = {.b = b};
	int rc;

	if (!b)
		return NULL;
	b->hash = mt_hash_bytes(text, len, 0);
	r.c = (struct mt_fctx){.diags = diags, .file = b->file};
	rc = mt_yaml_parse(region_of(&r), diags, b->file, text, len, on_document, &r);
	if (rc == 0 && !r.read && diags->errors == before)
		wrong(&r, 0, NULL,
			"write {node: ..., dynamic_resources: ..., static_resources: ...}",
			"holds no document");
	if (rc == 0 && diags->errors == before && r.root)
		make_sense(&r);
	if (region_of(&r)->failed && diags->errors == before)
		wrong(&r, 0, NULL, "it may take 64 MiB", "it needs too much memory");
	if (rc == 0 && diags->errors == before)
		return b;
	mt_xds_bootstrap_free(b);
	return NULL;
}

struct mt_xds_bootstrap *mt_xds_bootstrap_read(struct mt_diags *diags, const char *path)
{
	struct mt_xds_bootstrap *b;
	struct stat st;
	size_t len;
	int rc;
	char *text = mt_file_text(diags, NULL, path, &st, &len, &rc);

	if (!text)
		return NULL;
	b = mt_xds_bootstrap_text(diags, path, text, len);
	free(text);
	return b;
}
