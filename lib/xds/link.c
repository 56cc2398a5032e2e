/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections and streams: one connection for each server of the bootstrap that is used. It carries
 * an aggregated stream (ADS) or one stream for each type. A stream that ends is reopened with
 * exponential back-off, which a response resets.
 */
#include "mt_xds_priv.h"

#include "mt_mutant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MIN      (500 * MT_MSEC)
#define OPEN_MAX      (30 * MT_SEC)
#define IDENTITY_WAIT MT_SEC
/*
 * Pings are rare, because servers close connections that ping too often; TCP keep-alive detects a
 * dead host.
 */
#define PING_AFTER (60 * MT_SEC)
#define PING_WAIT  (10 * MT_SEC)

#define SERVICE "/envoy.service."
#define ADS	SERVICE "discovery.v3.AggregatedDiscoveryService/"

/* gRPC methods of each type: state of the world, delta. */
static const char *const paths[MT_XDS_TYPES][2] = {
	[MT_XDS_CDS] = {SERVICE "cluster.v3.ClusterDiscoveryService/StreamClusters",
		SERVICE "cluster.v3.ClusterDiscoveryService/DeltaClusters"},
	[MT_XDS_EDS] = {SERVICE "endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
		SERVICE "endpoint.v3.EndpointDiscoveryService/DeltaEndpoints"},
	[MT_XDS_LDS] = {SERVICE "listener.v3.ListenerDiscoveryService/StreamListeners",
		SERVICE "listener.v3.ListenerDiscoveryService/DeltaListeners"},
	[MT_XDS_RDS] = {SERVICE "route.v3.RouteDiscoveryService/StreamRoutes",
		SERVICE "route.v3.RouteDiscoveryService/DeltaRoutes"},
	[MT_XDS_ECDS] = {SERVICE "extension.v3.ExtensionConfigDiscoveryService/"
				 "StreamExtensionConfigs",
		SERVICE "extension.v3.ExtensionConfigDiscoveryService/DeltaExtensionConfigs"},
	[MT_XDS_SDS] = {SERVICE "secret.v3.SecretDiscoveryService/StreamSecrets",
		SERVICE "secret.v3.SecretDiscoveryService/DeltaSecrets"},
	/* Over ADS only. */
	[MT_XDS_NDS] = {ADS "StreamAggregatedResources", ADS "DeltaAggregatedResources"},
};

static const char *path_of(const struct xds_link *l)
{
	if (l->type < 0)
		return l->delta ? ADS "DeltaAggregatedResources" : ADS "StreamAggregatedResources";
	return paths[l->type][l->delta];
}

static void trouble(struct mt_err *why, uint64_t *at, uint64_t now, const char *words)
{
	mt_err(why, 0, "%s", words);
	*at = now;
}

/* ---- a stream -------------------------------------------------------------------------------- */

static int send_bytes(void *arg, const uint8_t *data, size_t len)
{
	struct xds_link *l = arg;

	return l->call ? mt_grpc_send(l->call, data, len) : -ENOTCONN;
}

static void open_later(struct xds_link *l)
{
	struct mt_rand *rng = l->x->env.rng;

	l->backoff = l->backoff ? MT_MIN(2 * l->backoff, OPEN_MAX) : OPEN_MIN;
	l->next_open = l->x->now + l->backoff / 2 + mt_rand_u64(rng) % (l->backoff / 2);
}

/*
 * A delta server reports removals only of resources that the client announces on a new stream. A
 * rejected resource without a good body is not announced, so a removal while the stream is down
 * would go unnoticed. Marks it unconfirmed, so that it is removed unless the server sends it again.
 */
static void doubt_refused(struct xds_link *l)
{
	for (int i = 0; i < MT_XDS_TYPES && l->delta; i++) {
		struct mt_list *n;

		mt_list_foreach (n, &l->x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			r->restored |= r->link == l && r->refused && !xds_newest(r);
		}
	}
}

static void over(struct xds_link *l, const char *words)
{
	l->call = NULL;
	mt_ads_down(l->ads);
	doubt_refused(l);
	xds_judge_forget(l);
	memset(l->heard_at, 0, sizeof(l->heard_at));
	l->since = l->x->now;
	/* on_down() logs the end of the connection. */
	if (strcmp(l->why.text, words) != 0 && mt_grpc_state(l->conn->grpc) == MT_GRPC_UP)
		mt_log(MT_LOG_WARN, "xds", "%s: %s: %s", l->x->name, l->conn->server->name, words);
	trouble(&l->why, &l->trouble_at, l->x->now, words);
	open_later(l);
}

/*
 * Reopens the stream after a message that could not be decoded. Some servers, such as
 * go-control-plane, send nothing more of a type until its last response got an ACK or NACK.
 */
static void give_up_unreadable(struct xds_link *l, uint64_t before)
{
	const char *why;

	if (mt_ads_unreadable_count(l->ads, &why) == before || !l->call)
		return;
	mt_grpc_cancel(l->call);
	over(l, why);
}

/* Reopens a stream on which a request could not be sent: nothing more is sent or received on it. */
static void give_up_deaf(struct xds_link *l)
{
	if (!l->call || mt_ads_is_up(l->ads))
		return;
	mt_grpc_cancel(l->call);
	over(l, "the server does not take our requests: too many of them wait, or there is no "
		"memory");
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct xds_link *l = arg;
	const char *why;
	uint64_t before = mt_ads_unreadable_count(l->ads, &why);

	mt_ads_message(l->ads, data, len, l->x->now);
	give_up_unreadable(l, before);
	give_up_deaf(l);
}

static void on_end(void *arg, int status, const char *words)
{
	struct xds_link *l = arg;
	char text[400];

	snprintf(text, sizeof(text), "the server ended the stream: status %d%s%s", status,
		*words ? ": " : "", words);
	over(l, status == MT_GRPC_UNAVAILABLE && mt_grpc_state(l->conn->grpc) != MT_GRPC_UP ? words
											    : text);
}

static const struct mt_grpc_stream_events call_events = {.message = on_message, .end = on_end};

static void open_call(struct xds_link *l)
{
	struct mt_grpc *g = l->conn->grpc;

	if (l->call || !g || mt_grpc_state(g) != MT_GRPC_UP || l->x->now < l->next_open)
		return;
	l->call = mt_grpc_open(g, path_of(l), &call_events, l);
	if (!l->call) {
		open_later(l);
		return;
	}
	l->since = l->x->now;
	mt_ads_up(l->ads, l->x->now);
}

/* ---- a connection ---------------------------------------------------------------------------- */

static void on_up(void *arg)
{
	struct xds_conn *c = arg;
	struct mt_list *n;

	c->since = c->x->now;
	c->connects++;
	if (mt_mutant(MT_MUTANT_xds_backoff_forgotten))
		mt_grpc_useful(c->grpc);
	c->why.text[0] = '\0';
	mt_log(MT_LOG_INFO, "xds", "%s: %s (%s): connected", c->x->name, c->server->name,
		mt_grpc_server(c->grpc));
	mt_list_foreach (n, &c->x->links) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		/* The connection's back-off was enough for the stream as well. */
		if (l->conn == c) {
			l->next_open = 0;
			open_call(l);
		}
	}
}

static void on_down(void *arg, const char *why)
{
	struct xds_conn *c = arg;

	c->since = c->x->now;
	if (strcmp(c->why.text, why) != 0)
		mt_log(MT_LOG_WARN, "xds", "%s: %s (%s): %s", c->x->name, c->server->name,
			mt_grpc_server(c->grpc), why);
	trouble(&c->why, &c->trouble_at, c->x->now, why);
}

static const struct mt_grpc_events conn_events = {on_up, on_down};

/*
 * Sets c->host: "istiod.istio-system.svc" of "istiod.istio-system.svc:15012"; "localhost" for a
 * unix socket.
 */
static void host_of(struct xds_conn *c)
{
	const char *first = c->server->addresses[0];
	uint16_t port;

	if (mt_host_port(first, c->host, sizeof(c->host), &port))
		strcpy(c->host, "localhost");
}

static void connect_to(struct xds_conn *c)
{
	struct mt_grpc_conf conf = {.servers = c->server->addresses,
		.n_servers = c->server->n_addresses,
		.headers = c->headers,
		.n_headers = c->n_headers,
		.connect_ns = c->server->connect_ns,
		.ping_after_ns = PING_AFTER,
		.ping_wait_ns = PING_WAIT};

	if (c->grpc || c->x->now < c->next_identity)
		return;
	c->next_identity = c->x->now + IDENTITY_WAIT;
	if (c->server->unusable) {
		if (!c->why.text[0])
			mt_log(MT_LOG_ERROR, "xds", "%s: %s is not connected to: %s", c->x->name,
				c->server->name, c->server->unusable);
		mt_err(&c->why, -EPERM, "%s", c->server->unusable);
		c->trouble_at = c->x->now;
		return;
	}
	if (c->server->tls) {
		struct mt_err before = c->why;

		if (xds_identity_load(c)) {
			if (strcmp(before.text, c->why.text) != 0)
				mt_log(MT_LOG_WARN, "xds", "%s: %s: %s", c->x->name,
					c->server->name, c->why.text);
			c->trouble_at = c->x->now;
			return;
		}
		conf.tls = &c->tls;
	}
	c->grpc = mt_grpc_new(c->x->env.fds, c->x->env.names, &conf, &conn_events, c);
}

static struct xds_conn *conn_for(struct mt_xds *x, const struct mt_xds_server *server)
{
	struct xds_conn *c;
	struct mt_list *n;

	mt_list_foreach (n, &x->conns) {
		c = mt_list_entry(n, struct xds_conn, node);
		if (c->server == server)
			return c;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->x = x;
	c->server = server;
	c->since = x->now;
	mt_list_init(&c->node);
	mt_list_add_tail(&x->conns, &c->node);
	host_of(c);
	return c;
}

/* ---- streams of resources -------------------------------------------------------------------- */

static struct xds_link *new_link(
	struct mt_xds *x, const struct mt_xds_server *s, int type, bool delta)
{
	static const struct mt_ads_events events = {send_bytes, xds_update};
	const struct mt_ads_conf conf = {.delta = delta, .node = x->b->node};
	struct xds_conn *c = conn_for(x, s);
	struct xds_link *l = c ? calloc(1, sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	l->x = x;
	l->conn = c;
	l->type = type;
	l->delta = delta;
	l->since = x->now;
	l->ads = mt_ads_new(&conf, &events, l);
	if (!l->ads) {
		free(l);
		return NULL;
	}
	mt_list_init(&l->node);
	mt_list_add_tail(&x->links, &l->node);
	return l;
}

static struct xds_link *link_to(struct mt_xds *x, const char *server, int type, bool delta)
{
	const struct mt_xds_server *s = mt_xds_server_find(x->b, server);
	struct mt_list *n;

	mt_list_foreach (n, &x->links) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		if (l->conn->server == s && l->type == type && l->delta == delta)
			return l;
	}
	return s && s->n_addresses ? new_link(x, s, type, delta) : NULL;
}

/* Config source of resources whose reference names no server. */
static const struct mt_xds_way *base_way(const struct mt_xds_bootstrap *b)
{
	if (b->ads.server)
		return &b->ads;
	return b->cds.server ? &b->cds : &b->lds;
}

static struct xds_link *link_for(
	struct mt_xds *x, enum mt_xds_type type, const char *server, bool delta)
{
	const struct mt_xds_way *w = base_way(x->b);

	if (server)
		return link_to(x, server, (int)type, delta);
	if (type == MT_XDS_CDS && x->b->cds.server)
		w = &x->b->cds;
	else if (type == MT_XDS_LDS && x->b->lds.server)
		w = &x->b->lds;
	return w->server ? link_to(x, w->server, w->ads ? -1 : (int)type, w->delta) : NULL;
}

/*
 * True if `r` is subscribed to by name. An on-demand resource is subscribed to only after it was
 * requested (asked_at).
 */
static bool is_asked_by_name(const struct mt_xds *x, const struct xds_res *r)
{
	if (xds_on_demand(x, r->type))
		return r->demand && r->demand->asked_at;
	return !xds_is_whole(x, r->type);
}

void xds_ask(struct mt_xds *x, struct xds_res *r)
{
	/* Before mt_xds_start() nothing is requested; xds_links_start() does so later. */
	if (!x->env.fds || !is_asked_by_name(x, r))
		return;
	r->link = link_for(x, r->type, r->server, r->server_delta);
	if (r->link)
		(void)mt_ads_subscribe(r->link->ads, r->type, r->name);
}

void xds_unask(struct xds_res *r)
{
	/* A resource of a wildcard type stays bound to its stream, which may still remove it. */
	if (r->link && !is_asked_by_name(r->link->x, r)) {
		if (mt_mutant(MT_MUTANT_xds_stream_forgotten))
			r->link = NULL;
		return;
	}
	xds_unjudge(r);
	if (r->link)
		mt_ads_unsubscribe(r->link->ads, r->type, r->name);
	r->link = NULL;
}

/*
 * The server sends every resource that a new stream does not announce, so the streams are reopened.
 */
void xds_ask_anew(struct mt_xds *x, const char *why)
{
	struct mt_list *n;

	for (int i = 0; i < MT_XDS_TYPES; i++) {
		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			if (!r->link || !((r->live && xds_body_is_lost(r, r->live)) ||
						(r->next && xds_body_is_lost(r, r->next))))
				continue;
			mt_ads_lose(r->link->ads, r->type, r->name);
			r->link->anew = true;
			/* It is no longer announced, so the server would not report its removal. */
			xds_set_restored(x, r, xds_is_whole(x, r->type));
		}
	}
	mt_list_foreach (n, &x->links) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		if (l->anew && l->call) {
			mt_grpc_cancel(l->call);
			over(l, why);
		}
		l->anew = false;
	}
}

/* ---- start, stop, time ----------------------------------------------------------------------- */

/*
 * Announces a restored resource to a delta server (initial_resource_versions), so that the server
 * reports a removal that happened while this process was down. Otherwise the resource would serve
 * until its confirmation times out. Resources requested by name are not announced, because the
 * server sends each of them again.
 */
static void say_had(struct xds_link *l, struct xds_res *r)
{
	const struct xds_body *b = xds_newest(r);

	r->named =
		l->delta && l->x->kept_from_these && r->restored && b && b->version && *b->version;
	if (!r->named)
		return;
	l->named[r->type] = true;
	mt_ads_have(l->ads, r->type, r->name, b->version);
}

/*
 * The first response after the announcement contains all changes and removals, so announced
 * resources that it does not mention are unchanged. A server that resends unchanged resources
 * (l->repeats) resends all of them. Those that it does not resend are then removed by the
 * confirmation timeout, whether or not it understood the announcement.
 */
void xds_confirm_named(struct xds_link *l, enum mt_xds_type type)
{
	struct mt_list *n;

	if (!l->named[type] || l->repeats[type])
		return;
	l->named[type] = false;
	mt_list_foreach (n, &l->x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		if (r->link == l && r->named && !r->gone)
			r->restored = r->named = false;
	}
	xds_touch(l->x);
}

static void ask_for_all(struct mt_xds *x, enum mt_xds_type type, const struct mt_xds_way *w)
{
	struct xds_link *l = w->server ? link_for(x, type, NULL, false) : NULL;
	struct mt_list *n;

	/* link_for() has created the connection and stream, which are needed in any case. */
	if (!l || !xds_is_whole(x, type))
		return;
	mt_ads_wildcard(l->ads, type, true);
	mt_list_foreach (n, &x->types[type].all) {
		struct xds_res *r = mt_list_entry(n, struct xds_res, node);

		r->link = l;
		say_had(l, r);
	}
}

/*
 * Subscribes to the name table only if the bootstrap requests it. Other servers than Istio have
 * none, and a server may end a stream that requests an unknown type.
 */
static void ask_for_names(struct mt_xds *x)
{
	struct mt_list *n;

	if (x->b->names && x->b->ads.server) {
		ask_for_all(x, MT_XDS_NDS, &x->b->ads);
		return;
	}
	/* Remove a table that was received while it was subscribed to. */
	mt_list_foreach (n, &x->types[MT_XDS_NDS].all) {
		xds_set_gone(x, mt_list_entry(n, struct xds_res, node));
		xds_touch(x);
	}
}

static void take_headers(struct mt_xds *x, const struct mt_xds_way *w)
{
	const struct mt_xds_server *s = w->server ? mt_xds_server_find(x->b, w->server) : NULL;
	struct xds_conn *c = s ? conn_for(x, s) : NULL;

	if (!c || c->n_headers)
		return;
	for (uint32_t i = 0; i < w->n_headers && i < MT_GRPC_HEADERS; i++)
		c->headers[c->n_headers++] =
			(struct mt_grpc_header){w->headers[i].name, w->headers[i].value};
}

int xds_links_start(struct mt_xds *x)
{
	take_headers(x, &x->b->ads);
	take_headers(x, &x->b->cds);
	take_headers(x, &x->b->lds);
	ask_for_all(x, MT_XDS_CDS, &x->b->cds);
	ask_for_all(x, MT_XDS_LDS, &x->b->lds);
	ask_for_names(x);
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *n;

		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			if (r->wants)
				xds_ask(x, r);
		}
	}
	return mt_list_empty(&x->links) ? -ENOMEM : 0;
}

void xds_links_stop(struct mt_xds *x)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->links)
		xds_judge_forget(mt_list_entry(n, struct xds_link, node));
	for (int i = 0; i < MT_XDS_TYPES; i++)
		mt_list_foreach (n, &x->types[i].all)
			mt_list_entry(n, struct xds_res, node)->link = NULL;
	/* Connections first: their streams then end without callbacks. */
	while ((n = mt_list_first(&x->conns)) != NULL) {
		struct xds_conn *c = mt_list_entry(n, struct xds_conn, node);

		mt_list_del(&c->node);
		mt_grpc_free(c->grpc);
		xds_identity_drop(c);
		free(c);
	}
	while ((n = mt_list_first(&x->links)) != NULL) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		mt_list_del(&l->node);
		mt_ads_free(l->ads);
		free(l);
	}
}

void xds_links_turn(struct mt_xds *x)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->conns) {
		struct xds_conn *c = mt_list_entry(n, struct xds_conn, node);

		connect_to(c);
		if (c->grpc)
			mt_grpc_turn(c->grpc, x->now, x->env.rng);
	}
	mt_list_foreach (n, &x->links) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		open_call(l);
		mt_ads_flush(l->ads, x->now);
		give_up_deaf(l);
	}
}
