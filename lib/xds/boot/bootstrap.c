/* SPDX-License-Identifier: Apache-2.0 */
/* What a bootstrap means: the servers, and who is asked for what. */
#include "mt_xds_boot_priv.h"

#include "mt_files.h"
#include "mt_strmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TLS_TYPE      "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
#define ADDRESSES_MAX 16
#define PATH_MAX_UN   107 /* bytes of a unix socket's path (unix(7)) */
#define HEADERS_MAX   8

static void wrong(struct boot_reader *r, const struct mt_origin *at, const char *path,
	const char *remedy, const char *what)
{
	mt_diag_add(r->c.diags, MT_DIAG_ERROR, *at, path, remedy, "%s", what);
}

static struct mt_region *region_of(struct boot_reader *r)
{
	return &r->b->model->region;
}

/* ---- TLS ------------------------------------------------------------------------------------------ */

static struct mt_xds_pem pem_of(const struct boot_data *d)
{
	struct mt_xds_pem p = {0};

	if (d) {
		p.file = d->filename.s;
		p.text = d->inline_string.s;
	}
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
	struct boot_reader *r, struct mt_xds_tls *t, const struct boot_validation *v)
{
	if (!v)
		return;
	t->roots = pem_of(v->roots);
	for (uint32_t i = 0; i < v->n_names; i++)
		add_san(r, t, v->names[i].exact.s);
	for (uint32_t i = 0; i < v->n_sans; i++)
		add_san(r, t, v->sans[i].matcher.exact.s);
}

static bool is_none(const struct mt_xds_pem *p)
{
	return !p->file && !p->text && !p->secret;
}

static void take_common(
	struct boot_reader *r, struct mt_xds_tls *t, const struct boot_common_tls *c)
{
	const struct boot_secret *roots = c->validation_secret;

	take_validation(r, t, c->validation);
	if (c->combined) {
		take_validation(r, t, c->combined->validation);
		roots = c->combined->secret ? c->combined->secret : roots;
	}
	if (roots && is_none(&t->roots))
		t->roots.secret = roots->name.s;
	if (c->n_certificates) {
		t->chain = pem_of(c->certificates[0].chain);
		t->key = pem_of(c->certificates[0].key);
	} else if (c->n_certificate_secrets) {
		t->chain.secret = t->key.secret = c->certificate_secrets[0].name.s;
	}
}

/* Whoever names a transport does not want plaintext by a slip of the pen. */
static bool is_plaintext(const struct boot_transport *t)
{
	const char *type = t->config && t->config->type.s ? t->config->type.s : NULL;

	if (type)
		return strstr(type, ".raw_buffer.") != NULL;
	return !t->config && t->name.s && strstr(t->name.s, "raw_buffer");
}

static bool is_tls(const struct boot_tls *t)
{
	return t && t->common && t->type.s && strcmp(t->type.s, TLS_TYPE) == 0;
}

/* Nobody can connect there. What no stream needs may be wrong, so that is told when somebody names it. */
static void cannot_be_used(
	struct mt_xds_server *s, const struct mt_origin *at, const char *remedy, const char *why)
{
	s->unusable = why;
	s->remedy = remedy;
	s->line = at->line;
}

/* NULL: plaintext, or nobody can connect. */
static struct mt_xds_tls *tls_of(
	struct boot_reader *r, const struct boot_cluster *c, struct mt_xds_server *s)
{
	const struct boot_tls *from = c->transport ? c->transport->config : NULL;
	struct mt_xds_tls *t;

	if (!c->transport || is_plaintext(c->transport))
		return NULL;
	if (!is_tls(from)) {
		cannot_be_used(s, &c->transport->origin,
			"its @type must be " TLS_TYPE
			", with a common_tls_context; or leave transport_socket out",
			"not a transport that is known here");
		return NULL;
	}
	t = mt_region_alloc(region_of(r), sizeof(*t));
	if (!t)
		return NULL;
	take_common(r, t, from->common);
	t->sni = from->sni.s;
	if (is_none(&t->roots))
		cannot_be_used(s, &from->origin,
			"add validation_context: {trusted_ca: {filename: FILE}}",
			"nobody is trusted: any server could answer");
	return t;
}

static void tell_unusable(
	struct boot_reader *r, const struct mt_xds_server *s, enum mt_diag_severity severity)
{
	mt_diag_add(r->c.diags, severity, (struct mt_origin){r->c.file, s->line},
		"transport_socket.typed_config", s->remedy, "%s", s->unusable);
}

/* ---- servers -------------------------------------------------------------------------------------- */

/* Of one address out of several, or of a server that nobody asks: what is left may be enough. */
static void beware(
	struct boot_reader *r, const struct mt_origin *at, const char *remedy, const char *what)
{
	mt_diag_add(r->c.diags, MT_DIAG_WARNING, *at, NULL, remedy, "%s", what);
}

static char *path_of(struct boot_reader *r, const struct boot_pipe *p)
{
	if (strlen(p->path.s) <= PATH_MAX_UN)
		return mt_region_printf(region_of(r), "unix:%s", p->path.s);
	beware(r, &p->origin, "107 bytes at most",
		"the path of the pipe is too long, it is left out");
	return NULL;
}

static char *address_of(struct boot_reader *r, const struct boot_address *a)
{
	const char *host;

	if (a->pipe && a->pipe->path.s)
		return path_of(r, a->pipe);
	if (!a->socket || !a->socket->address.s)
		return NULL;
	host = a->socket->address.s;
	if (!mt_host_is_sound(host)) {
		beware(r, &a->socket->origin,
			"write address: HOST without scheme and port, and port_value: PORT",
			"the address is neither one nor a name, it is left out");
		return NULL;
	}
	return mt_region_printf(
		region_of(r), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, a->socket->port.v);
}

static void add_address(
	struct boot_reader *r, struct mt_xds_server *s, const struct boot_lb_endpoint *e)
{
	char *text =
		e->endpoint && e->endpoint->address ? address_of(r, e->endpoint->address) : NULL;
	const char **slot;

	if (!text)
		return;
	if (s->n_addresses == ADDRESSES_MAX) {
		beware(r, &e->origin, "16 at most",
			"a server more than can be used, it is left out");
		return;
	}
	slot = mt_region_push(region_of(r), (void **)&s->addresses, &s->n_addresses, sizeof(*slot));
	if (slot)
		*slot = text;
}

static void take_server(
	struct boot_reader *r, struct mt_xds_server *s, const struct boot_cluster *c)
{
	const struct boot_assignment *a = c->assignment;

	if (mt_xds_server_find(r->b, c->name.s))
		beware(r, &c->origin, "keep one of them",
			"a second cluster of this name is not looked at");
	s->name = c->name.s;
	s->connect_ns = c->connect_ms.v * MT_MSEC;
	for (uint32_t i = 0; a && i < a->n_localities; i++)
		for (uint32_t k = 0; k < a->localities[i].n_endpoints; k++)
			add_address(r, s, &a->localities[i].endpoints[k]);
	s->tls = tls_of(r, c, s);
	if (s->unusable)
		s->n_addresses = 0;
}

static void take_servers(struct boot_reader *r)
{
	const struct boot_static *st = r->root.statics;
	struct mt_xds_bootstrap *b = r->b;

	b->servers = mt_region_alloc(region_of(r), sizeof(*b->servers) * (st->n_clusters + 1));
	for (uint32_t i = 0; b->servers && i < st->n_clusters; i++)
		take_server(r, &b->servers[b->n_servers++], &st->clusters[i]);
}

const struct mt_xds_server *mt_xds_server_find(const struct mt_xds_bootstrap *b, const char *name)
{
	for (uint32_t i = 0; i < b->n_servers; i++)
		if (b->servers[i].name && strcmp(b->servers[i].name, name) == 0)
			return &b->servers[i];
	return NULL;
}

void mt_xds_bootstrap_identify(
	struct mt_xds_bootstrap *b, const char *certificate, const char *roots)
{
	for (uint32_t i = 0; i < b->n_servers; i++) {
		struct mt_xds_tls *t = b->servers[i].tls;

		if (!t)
			continue;
		t->chain = t->key = (struct mt_xds_pem){.secret = certificate};
		t->roots = (struct mt_xds_pem){.secret = roots};
	}
}

/* ---- ways ----------------------------------------------------------------------------------------- */

/* What gRPC lets a client add ("gRPC over HTTP2", Custom-Metadata); the rest is the protocol's own. */
static void check_header(struct boot_reader *r, const struct boot_header *h)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
	static const char *const own[] = {"te", "content-type", "user-agent", "host"};
	size_t len = strlen(h->key.s);
	bool good =
		len && strspn(h->key.s, letters) == len && strncasecmp(h->key.s, "grpc-", 5) != 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		good &= strcasecmp(h->key.s, own[i]) != 0;
	if (!good)
		wrong(r, &h->origin, "initial_metadata",
			"letters, digits, _ - and ., and none of gRPC's own",
			"this cannot be the name of a header");
	for (const char *p = h->value.s; *p; p++)
		if (*p < ' ' || *p > '~') {
			wrong(r, &h->origin, "initial_metadata", "printable ASCII only",
				"this cannot be the value of a header");
			return;
		}
}

static void take_headers(struct boot_reader *r, struct mt_xds_way *w, const struct boot_grpc *g)
{
	if (g->n_headers > HEADERS_MAX)
		wrong(r, &g->origin, "initial_metadata", "8 at most", "too many headers");
	w->headers = mt_region_alloc(region_of(r), sizeof(*w->headers) * (g->n_headers + 1));
	for (uint32_t i = 0; w->headers && i < MT_MIN(g->n_headers, (uint32_t)HEADERS_MAX); i++) {
		char *name = mt_region_strdup(region_of(r), g->headers[i].key.s);

		check_header(r, &g->headers[i]);
		for (char *p = name; p && *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		w->headers[w->n_headers++] = (struct mt_xds_pair){name, g->headers[i].value.s};
	}
}

static void take_way(struct boot_reader *r, struct mt_xds_way *w, const struct boot_api_source *a,
	const char *path)
{
	const struct boot_grpc *g = a->n_services ? &a->services[0] : NULL;
	const struct mt_xds_server *s;

	if (!g || !g->envoy || !g->envoy->cluster.s) {
		wrong(r, &a->origin, path,
			"add grpc_services: [{envoy_grpc: {cluster_name: NAME}}]",
			"no server is named");
		return;
	}
	if (a->n_services > 1)
		beware(r, &a->services[1].origin, "name more servers as addresses of the cluster",
			"only the first of grpc_services is asked");
	w->delta = a->api.v == BOOT_DELTA_GRPC || a->api.v == BOOT_AGGREGATED_DELTA_GRPC;
	s = mt_xds_server_find(r->b, g->envoy->cluster.s);
	if (!s)
		wrong(r, &g->envoy->origin, path, "add it to static_resources.clusters",
			"there is no static cluster of this name");
	else if (s->unusable)
		tell_unusable(r, s, MT_DIAG_ERROR);
	else if (!s->n_addresses)
		wrong(r, &g->envoy->origin, path,
			"add load_assignment with a socket_address or a pipe",
			"the static cluster has no address");
	else
		w->server = s->name;
	take_headers(r, w, g);
}

static void take_source(
	struct boot_reader *r, struct mt_xds_way *w, const struct boot_source *s, const char *path)
{
	if (!s)
		return;
	if (s->api) {
		take_way(r, w, s->api, path);
		return;
	}
	if (s->ads && !r->root.dynamic->ads)
		wrong(r, &s->origin, path, "add ads_config", "there is no server for all types");
	else if (!s->ads)
		wrong(r, &s->origin, path, "write ads: {}, or api_config_source: {...}",
			"it names no discovery service");
	*w = r->b->ads;
	w->ads = true;
}

static void take_dynamic(struct boot_reader *r)
{
	const struct boot_dynamic *d = r->root.dynamic;

	if (d->ads)
		take_way(r, &r->b->ads, d->ads, "dynamic_resources.ads_config");
	r->b->ads.ads = true;
	take_source(r, &r->b->lds, d->lds, "dynamic_resources.lds_config");
	take_source(r, &r->b->cds, d->cds, "dynamic_resources.cds_config");
	if (!d->lds && !d->cds)
		wrong(r, &d->origin, "dynamic_resources",
			"add lds_config: {ads: {}} and cds_config: {ads: {}}",
			"nothing is asked for");
}

/* ---- who asks ------------------------------------------------------------------------------------- */

static Xds__Node *new_node(struct mt_region *region, const char *id, const char *cluster)
{
	Xds__Node *n = mt_region_alloc(region, sizeof(*n));

	if (!n)
		return NULL;
	xds__node__init(n);
	n->id = (char *)id;
	if (cluster)
		n->cluster = (char *)cluster;
	n->user_agent_name = (char *)"meltemi";
	n->user_agent_version = (char *)MT_VERSION;
	return n;
}

static char *or_empty(const struct mt_text *t)
{
	return t->s ? (char *)t->s : (char *)protobuf_c_empty_string;
}

/* As Istio's own agent decides it: who answers for names asks for them (ISTIO_META_DNS_CAPTURE of cluster.env). */
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
	const struct boot_node *from = r->root.node;
	Xds__Node *n = new_node(region_of(r), from->id.s, from->cluster.s);

	r->b->node = n;
	if (!n)
		return;
	n->metadata = from->metadata;
	r->b->names = wants_names(from->metadata);
	if (!from->locality)
		return;
	n->locality = mt_region_alloc(region_of(r), sizeof(*n->locality));
	if (!n->locality)
		return;
	xds__locality__init(n->locality);
	n->locality->region = or_empty(&from->locality->region);
	n->locality->zone = or_empty(&from->locality->zone);
	n->locality->sub_zone = or_empty(&from->locality->subzone);
}

/* ---- from outside --------------------------------------------------------------------------------- */

static void on_document(void *arg, const struct mt_ynode *root)
{
	struct boot_reader *r = arg;

	if (r->read) {
		wrong(r, &(struct mt_origin){r->c.file, root->line}, NULL, "keep one of them",
			"a second document");
		return;
	}
	r->read = true;
	mt_section_read(&r->c, &boot_root_section, root, &r->root);
}

static struct mt_xds_bootstrap *new_bootstrap(const char *name)
{
	struct mt_xds_bootstrap *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->model = mt_model_new();
	b->file = b->model ? mt_region_strdup(&b->model->region, name) : NULL;
	if (b->file)
		return b;
	mt_xds_bootstrap_free(b);
	return NULL;
}

void mt_xds_bootstrap_free(struct mt_xds_bootstrap *b)
{
	if (!b)
		return;
	mt_model_free(b->model);
	free(b);
}

/* Only what was read without a mistake is made sense of. */
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
	struct mt_xds_bootstrap *b = new_bootstrap(name);
	uint32_t before = diags->errors;
	struct boot_reader r = {.b = b};
	int rc;

	if (!b)
		return NULL;
	b->hash = mt_hash_bytes(text, len, 0);
	r.c = (struct mt_fctx){.model = b->model, .diags = diags, .file = b->file};
	rc = mt_yaml_parse(&b->model->region, diags, b->file, text, len, on_document, &r);
	if (rc == 0 && !r.read && diags->errors == before)
		wrong(&r, &(struct mt_origin){b->file, 0}, NULL,
			"write {node: ..., dynamic_resources: ..., static_resources: ...}",
			"holds no document");
	if (rc == 0 && diags->errors == before)
		make_sense(&r);
	if (rc == 0 && diags->errors == before && !b->model->region.failed)
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
	char *text = mt_file_text(diags, path, &st, &len, &rc);

	if (!text)
		return NULL;
	b = mt_xds_bootstrap_text(diags, path, text, len);
	free(text);
	return b;
}

static struct mt_xds_tls *tls_of_node(struct mt_region *region, const struct mt_node_xds *x)
{
	struct mt_xds_tls *t = x->roots.s ? mt_region_alloc(region, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->roots.file = mt_region_strdup(region, x->roots.s);
	if (x->certificate.s) {
		t->chain.file = mt_region_strdup(region, x->certificate.s);
		t->key.file = mt_region_strdup(region, x->key.s);
	}
	if (x->server_name.s)
		t->sni = mt_region_strdup(region, x->server_name.s);
	return t;
}

struct mt_xds_bootstrap *mt_xds_bootstrap_node(const struct mt_node_xds *x)
{
	struct mt_xds_bootstrap *b = new_bootstrap(x->origin.file);
	struct mt_region *region;

	if (!b)
		return NULL;
	region = &b->model->region;
	b->servers = mt_region_alloc(region, sizeof(*b->servers));
	if (b->servers)
		b->servers->addresses = mt_region_alloc(region, sizeof(char *) * x->n_servers);
	b->node = new_node(region, mt_region_strdup(region, x->node_id.s),
		x->node_cluster.s ? mt_region_strdup(region, x->node_cluster.s) : NULL);
	if (region->failed) {
		mt_xds_bootstrap_free(b);
		return NULL;
	}
	b->n_servers = 1;
	b->servers->name = "servers";
	for (uint32_t i = 0; i < x->n_servers; i++)
		b->servers->addresses[b->servers->n_addresses++] =
			mt_region_strdup(region, x->servers[i].s);
	b->servers->tls = tls_of_node(region, x);
	b->ads = (struct mt_xds_way){.server = "servers", .delta = x->delta.v, .ads = true};
	b->lds = b->cds = b->ads;
	b->names = x->names.v;
	return b;
}

/* HOST:PORT, [IPV6]:PORT or unix:PATH. */
static bool is_here(const char *address)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1/128"};
	struct mt_addr a, net;
	char host[256];
	uint16_t port;
	uint8_t bits;

	if (strncmp(address, "unix:", 5) == 0)
		return true;
	if (mt_host_port(address, host, sizeof(host), &port))
		return false;
	if (mt_addr_parse(host, &a))
		return strcmp(host, "localhost") == 0;
	for (size_t i = 0; i < MT_ARRAY_LEN(loopback); i++)
		if (mt_prefix_parse(loopback[i], &net, &bits) == 0 &&
			mt_addr_is4(&a) == mt_addr_is4(&net) && mt_prefix_contains(&net, bits, &a))
			return true;
	return false;
}

/* The first address in clear text on another machine; NULL: none. */
static const char *exposed(const struct mt_xds_server *s)
{
	for (uint32_t i = 0; i < s->n_addresses && !s->tls && !s->unusable; i++)
		if (!is_here(s->addresses[i]))
			return s->addresses[i];
	return NULL;
}

const char *mt_xds_bootstrap_want_tls(struct mt_xds_bootstrap *b)
{
	const char *first = NULL;

	for (uint32_t i = 0; i < b->n_servers; i++) {
		struct mt_xds_server *s = &b->servers[i];
		const char *address = exposed(s);

		if (!address)
			continue;
		s->unusable = "another machine in clear text: whoever is on the way could decide "
			      "where calls go";
		first = first ? first : address;
	}
	return first;
}
