/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps Listener (LDS): addresses, filter chains and the terminal filter of each chain;
 * TypedExtensionConfig (ECDS).
 */
#include "mt_xds_map_priv.h"

#include <string.h>

#define CHAINS_MAX    10000u
#define ADDRESSES_MAX 256u
#define FILTERS_MAX   64u
#define MATCHES_MAX   4096u

#define NETWORK	  "envoy.extensions.filters.network."
#define LISTENING "envoy.extensions.filters.listener."

#define GLOBAL_LIMIT NETWORK "ratelimit.v3.RateLimit"
#define LOCAL_LIMIT  NETWORK "local_ratelimit.v3.LocalRateLimit"

/* ---- filter_chain_match ---------------------------------------------------------------------- */

static bool prefixes(struct mt_xmap *m, const char *field, Xds__CidrRange *const *r, size_t n,
	struct mt_res_prefix **list, uint32_t *n_list)
{
	if (n > MATCHES_MAX)
		return mt_xm_bad(m, field, "more than %u", MATCHES_MAX);
	*list = n ? mt_xm_array(m, n, sizeof(**list)) : NULL;
	if (n && !*list)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, field, i), bits = 0, most;
		struct mt_res_prefix *p = &(*list)[(*n_list)++];

		if (mt_addr_parse(r[i]->address_prefix, &p->addr))
			return mt_xm_bad(m, "address_prefix", "\"%.64s\" is not an IP address",
				r[i]->address_prefix);
		most = mt_addr_is4(&p->addr) ? 32 : 128;
		if (!mt_xm_u32(m, "prefix_len", r[i]->prefix_len, 0, most, &bits))
			return false;
		p->bits = (uint8_t)bits;
		mt_xm_out(m, mark);
	}
	return true;
}

/* Maps a list of server names (wildcards as well) or ALPN protocols. */
static bool names(struct mt_xmap *m, const char *field, char *const *from, size_t n,
	const char ***list, uint32_t *n_list)
{
	if (n > MATCHES_MAX)
		return mt_xm_bad(m, field, "more than %u", MATCHES_MAX);
	*list = n ? mt_xm_array(m, n, sizeof(**list)) : NULL;
	if (n && !*list)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, field, i);

		if (!mt_xm_name(m, NULL, from[i], &(*list)[(*n_list)++]))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

/*
 * As in Envoy, a wildcard must be the whole first label, and other labels must follow. Clients'
 * names are compared in lower case.
 */
static bool server_names(
	struct mt_xmap *m, const Xds__FilterChainMatch *f, struct mt_res_match *out)
{
	if (!names(m, "server_names", f->server_names, f->n_server_names, &out->server_names,
		    &out->n_server_names))
		return false;
	for (uint32_t i = 0; i < out->n_server_names; i++) {
		const char *name = mt_host_name(m->r, out->server_names[i]),
			   *star = name ? strrchr(name, '*') : NULL;

		if (!name)
			return mt_xm_no_memory(m);
		out->server_names[i] = name;
		if (!star || (star == name && name[1] == '.'))
			continue;
		mt_xm_at(m, "server_names", i);
		return mt_xm_bad(m, NULL, "\"%.64s\" has a star that is not the first label", name);
	}
	return true;
}

static bool chain_match(struct mt_xmap *m, const Xds__FilterChainMatch *f, struct mt_res_match *out)
{
	uint32_t mark = mt_xm_in(m, "filter_chain_match");

	if (!f) {
		mt_xm_out(m, mark);
		return true;
	}
	if (*f->transport_protocol &&
		!mt_xm_name(m, "transport_protocol", f->transport_protocol, &out->transport))
		return false;
	if (!mt_xm_u32(m, "destination_port", f->destination_port, 1, 65535, &out->port) ||
		!server_names(m, f, out) ||
		!names(m, "application_protocols", f->application_protocols,
			f->n_application_protocols, &out->alpn, &out->n_alpn) ||
		!prefixes(m, "prefix_ranges", f->prefix_ranges, f->n_prefix_ranges, &out->prefixes,
			&out->n_prefixes) ||
		!prefixes(m, "source_prefix_ranges", f->source_prefix_ranges,
			f->n_source_prefix_ranges, &out->sources, &out->n_sources))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/* ---- filters --------------------------------------------------------------------------------- */

static bool tcp_clusters(struct mt_xmap *m, const Xds__TcpProxy *p, struct mt_xm_weights *w)
{
	const Xds__TcpProxy__WeightedCluster *all = p->weighted_clusters;

	if (p->cluster_specifier_case == XDS__TCP_PROXY__CLUSTER_SPECIFIER_CLUSTER)
		return mt_xm_weigh(m, w, p->cluster, 1);
	if (p->cluster_specifier_case != XDS__TCP_PROXY__CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS)
		return mt_xm_bad(m, "cluster", "missing");
	for (size_t i = 0; i < all->n_clusters; i++) {
		uint32_t mark = mt_xm_at(m, "weighted_clusters.clusters", i);

		if (!mt_xm_weigh(m, w, all->clusters[i]->name, all->clusters[i]->weight))
			return false;
		mt_xm_out(m, mark);
	}
	return mt_xm_weighed(m, "weighted_clusters", w);
}

static bool tcp_proxy(struct mt_xmap *m, const Xds__TcpProxy *p, struct mt_res_chain *c)
{
	struct mt_xm_weights w = {0};

	if (!tcp_clusters(m, p, &w) ||
		!mt_xm_ms(m, "idle_timeout", p->idle_timeout, 0, &c->idle_ms) ||
		!mt_xm_access_logs(m, p->access_log, p->n_access_log, &c->logs))
		return false;
	if (p->idle_timeout && !c->idle_ms)
		mt_xm_note(m, MT_XDS_NOTE_idle_never, "idle_timeout");
	c->dests = w.dests;
	c->n_dests = w.n;
	return true;
}

static bool meta_proxy(struct mt_xmap *m, const void *msg, struct mt_res_chain *c)
{
	return mt_xm_meta_proxy(m, msg, c);
}

static bool thrift_proxy(struct mt_xmap *m, const void *msg, struct mt_res_chain *c)
{
	return mt_xm_thrift_proxy(m, msg, c);
}

static bool dubbo_proxy(struct mt_xmap *m, const void *msg, struct mt_res_chain *c)
{
	return mt_xm_dubbo_proxy(m, msg, c);
}

static bool bytes_proxy(struct mt_xmap *m, const void *msg, struct mt_res_chain *c)
{
	return tcp_proxy(m, msg, c);
}

static const struct terminal {
	const char *type;
	const ProtobufCMessageDescriptor *message;
	bool (*map)(struct mt_xmap *m, const void *msg, struct mt_res_chain *c);
} terminals[] = {
	{NETWORK "tcp_proxy.v3.TcpProxy", &xds__tcp_proxy__descriptor, bytes_proxy},
	{"aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy",
		&xds__meta_protocol_proxy__descriptor, meta_proxy},
	{NETWORK "thrift_proxy.v3.ThriftProxy", &xds__thrift_proxy__descriptor, thrift_proxy},
	{NETWORK "dubbo_proxy.v3.DubboProxy", &xds__dubbo_proxy__descriptor, dubbo_proxy},
};

static const struct terminal *terminal_of(const char *type)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(terminals); i++)
		if (strcmp(terminals[i].type, type) == 0)
			return &terminals[i];
	return NULL;
}

bool mt_xm_is_terminal(const char *type)
{
	return terminal_of(type) != NULL;
}

bool mt_xm_terminal(struct mt_xmap *m, const char *field, const struct mt_xm_any *config,
	struct mt_res_chain *chain, bool *known)
{
	const struct terminal *t = terminal_of(config->type);
	uint32_t mark;
	void *msg;

	*known = t != NULL;
	if (!t)
		return true;
	msg = mt_xm_read(m, field, config, t->message);
	mark = mt_xm_in(m, field);
	if (!msg || !t->map(m, msg, chain))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/*
 * True for types of filters that do not enforce access: statistics, limits, metadata exchange. A
 * filter of another type, or without one, may do so and must not be skipped, so its chain is not
 * served. Names do not count, because a control plane chooses them freely.
 */
static bool is_harmless(const char *type)
{
	static const char *const types[] = {"envoy.tcp.metadataexchange.config.MetadataExchange",
		"stats.PluginConfig", GLOBAL_LIMIT, LOCAL_LIMIT,
		NETWORK "connection_limit.v3.ConnectionLimit", NETWORK "sni_cluster.v3.SniCluster",
		NETWORK "set_filter_state.v3.Config"};

	for (size_t i = 0; i < MT_ARRAY_LEN(types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

static void other_filter(struct mt_xmap *m, bool harmless, struct mt_res_chain *c)
{
	if (harmless) {
		mt_xm_note(m, MT_XDS_NOTE_network_filter, NULL);
		return;
	}
	mt_xm_note(m, MT_XDS_NOTE_network_protection, NULL);
	c->unserved = "one of its filters is not run here and may protect";
}

/*
 * Maps a filter with config_discovery: its configuration is an ECDS resource of the filter's name.
 */
static bool from_elsewhere(struct mt_xmap *m, const Xds__Filter *f, struct mt_res_chain *c)
{
	const Xds__ExtensionConfigSource *e = f->config_discovery;
	uint32_t mark = mt_xm_in(m, "config_discovery");
	bool ours = false, harmless = e->n_type_urls > 0, known;
	struct mt_xm_any any;

	/* The resource may have any of these types. */
	for (size_t i = 0; i < e->n_type_urls; i++) {
		ours |= mt_xm_is_terminal(mt_pb_type_name(e->type_urls[i]));
		harmless &= is_harmless(mt_pb_type_name(e->type_urls[i]));
	}
	if (!ours) {
		other_filter(m, harmless, c);
		mt_xm_out(m, mark);
		return true;
	}
	if (!mt_xm_name(m, NULL, f->name, &c->extension) ||
		!mt_xm_ref(m, "config_source", e->config_source, MT_XDS_ECDS, c->extension))
		return false;
	if (e->default_config) {
		if (!mt_xm_open(m, "default_config", e->default_config, &any) ||
			!mt_xm_terminal(m, "default_config", &any, c, &known))
			return false;
		if (!known)
			return mt_xm_bad(m, "default_config", "no proxy that is known here");
	}
	mt_xm_out(m, mark);
	return true;
}

/* True if the last filter, which is not fetched, is tcp_proxy. */
static bool ends_in_tcp(struct mt_xmap *m, const Xds__FilterChain *f, bool *tcp)
{
	const Xds__Filter *last = f->filters[f->n_filters - 1];
	struct mt_xm_any any;

	*tcp = false;
	if (last->config_type_case != XDS__FILTER__CONFIG_TYPE_TYPED_CONFIG)
		return true;
	if (!mt_xm_open(m, NULL, last->typed_config, &any))
		return false;
	*tcp = strcmp(any.type, NETWORK "tcp_proxy.v3.TcpProxy") == 0;
	return true;
}

/* Maps Envoy's rate limits of connections. Before other proxies than tcp_proxy they are not run. */
static bool limit(struct mt_xmap *m, const Xds__FilterChain *f, const struct mt_xm_any *config,
	struct mt_res_chain *c)
{
	bool local = strcmp(config->type, LOCAL_LIMIT) == 0, runs;
	void *msg;

	if (!ends_in_tcp(m, f, &runs))
		return false;
	if (runs) {
		msg = mt_xm_read(m, "typed_config", config,
			local ? &xds__network_local_rate_limit__descriptor
			      : &xds__network_rate_limit__descriptor);
		mt_xm_in(m, "typed_config");
		if (!msg || !(local ? mt_xm_network_local(m, msg, &c->local)
				    : mt_xm_network_global(m, msg, &c->global, &runs)))
			return false;
		if (!local)
			c->global_first = !c->local;
	}
	if (!runs)
		other_filter(m, true, c);
	return true;
}

static bool is_http(const char *type)
{
	return strcmp(type, NETWORK "http_connection_manager.v3.HttpConnectionManager") == 0;
}

static bool ends(const struct mt_res_chain *c)
{
	return c->proxy || c->n_dests || c->extension;
}

/*
 * Maps the filter at this place of the chain. One that is not supported is noted for the operator
 * and not run; the chain is not served if it is HTTP, the last filter, or may enforce access.
 */
static bool filter(
	struct mt_xmap *m, const Xds__FilterChain *all, size_t at, struct mt_res_chain *c)
{
	const Xds__Filter *f = all->filters[at];
	struct mt_xm_any any;
	bool known;

	if (ends(c))
		return mt_xm_bad(m, NULL, "is after the proxy that ends the chain");
	if (f->config_type_case == XDS__FILTER__CONFIG_TYPE_CONFIG_DISCOVERY)
		return from_elsewhere(m, f, c);
	if (!mt_xm_open(m, "typed_config",
		    f->config_type_case == XDS__FILTER__CONFIG_TYPE_TYPED_CONFIG ? f->typed_config
										 : NULL,
		    &any) ||
		!mt_xm_terminal(m, "typed_config", &any, c, &known))
		return false;
	if (known)
		return true;
	if (is_http(any.type)) {
		mt_xm_note(m, MT_XDS_NOTE_http, NULL);
		c->unserved = "HTTP is not served";
	} else if (at + 1 == all->n_filters) {
		mt_xm_note(m, MT_XDS_NOTE_other_proxy, NULL);
		c->unserved = "it ends in no known proxy";
	} else if (strcmp(any.type, GLOBAL_LIMIT) == 0 || strcmp(any.type, LOCAL_LIMIT) == 0) {
		return limit(m, all, &any, c);
	} else {
		other_filter(m, is_harmless(any.type), c);
	}
	return true;
}

static bool filters(struct mt_xmap *m, const Xds__FilterChain *f, struct mt_res_chain *c)
{
	if (f->n_filters > FILTERS_MAX)
		return mt_xm_bad(m, "filters", "more than %u", FILTERS_MAX);
	if (!f->n_filters) {
		mt_xm_note(m, MT_XDS_NOTE_no_filters, "filters");
		c->unserved = "it has no filters";
	}
	for (size_t i = 0; i < f->n_filters; i++) {
		uint32_t mark = mt_xm_at(m, "filters", i);

		if (!filter(m, f, i, c))
			return false;
		mt_xm_out(m, mark);
	}
	if (!ends(c) && !c->unserved)
		c->unserved = "it ends in no known proxy";
	return true;
}

static bool chain(struct mt_xmap *m, const Xds__FilterChain *f, struct mt_res_chain *c)
{
	struct mt_text name = {0};

	c->origin.file = m->out->meta->origin.file;
	if (*f->name && !mt_xm_words(m, "name", f->name, MT_XM_NAME_MAX, &name))
		return false;
	c->name = name.s;
	return chain_match(m, f->filter_chain_match, &c->match) &&
	       mt_xm_downstream_tls(m, "transport_socket", f->transport_socket, &c->tls) &&
	       filters(m, f, c);
}

/* ---- addresses and chains -------------------------------------------------------------------- */

static bool address(
	struct mt_xmap *m, const char *field, const Xds__Address *a, struct mt_res_address *out)
{
	const char *host;

	if (!mt_xm_socket(m, field, a, &host, &out->port))
		return false;
	if (mt_addr_parse(host, &out->addr))
		return mt_xm_bad(m, field, "\"%.64s\" is not an IP address", host);
	/* 0.0.0.0 as well as :: means any local address. */
	if (mt_addr_is4(&out->addr) && !mt_addr_v4(&out->addr))
		out->addr = (struct mt_addr){0};
	return true;
}

static bool addresses(struct mt_xmap *m, const Xds__Listener *l, struct mt_res_listener *out)
{
	if (l->n_additional_addresses >= ADDRESSES_MAX)
		return mt_xm_bad(m, "additional_addresses", "more than %u", ADDRESSES_MAX);
	out->addresses = mt_xm_array(m, 1 + l->n_additional_addresses, sizeof(*out->addresses));
	if (!out->addresses || !address(m, "address", l->address, &out->addresses[0]))
		return false;
	out->n_addresses = 1;
	for (size_t i = 0; i < l->n_additional_addresses; i++) {
		uint32_t mark = mt_xm_at(m, "additional_addresses", i);

		if (!address(m, "address", l->additional_addresses[i]->address,
			    &out->addresses[out->n_addresses++]))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

/*
 * True for types of listener filters that do not decide which clients may connect. As with filters
 * of chains, names do not count; but without a type a filter may have the exact name of one of
 * Envoy's.
 */
static bool is_harmless_listening(const char *type, const char *name)
{
	static const char *const types[] = {LISTENING "tls_inspector.v3.TlsInspector",
		LISTENING "http_inspector.v3.HttpInspector",
		LISTENING "original_dst.v3.OriginalDst", LISTENING "original_src.v3.OriginalSrc",
		LISTENING "local_ratelimit.v3.LocalRateLimit"};
	static const char *const names[] = {"envoy.filters.listener.tls_inspector",
		"envoy.filters.listener.http_inspector", "envoy.filters.listener.original_dst",
		"envoy.filters.listener.original_src"};

	for (size_t i = 0; i < MT_ARRAY_LEN(types); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	for (size_t i = 0; !*type && name && i < MT_ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* True if a control plane may only send configurations of harmless types. */
static bool is_harmless_discovery(const Xds__ExtensionConfigSource *e)
{
	bool harmless = e->n_type_urls > 0;

	for (size_t i = 0; i < e->n_type_urls; i++)
		harmless &= is_harmless_listening(mt_pb_type_name(e->type_urls[i]), NULL);
	return harmless;
}

static bool listener_filter(struct mt_xmap *m, const Xds__ListenerFilter *f, bool *protects)
{
	bool here = f->config_type_case == XDS__LISTENER_FILTER__CONFIG_TYPE_TYPED_CONFIG;
	bool harmless;
	struct mt_xm_any any;

	if (!mt_xm_open(m, "typed_config", here ? f->typed_config : NULL, &any))
		return false;
	if (strcmp(any.type, LISTENING "proxy_protocol.v3.ProxyProtocol") == 0)
		return mt_xm_bad(m, NULL, "the PROXY protocol is not read");
	if (f->config_type_case == XDS__LISTENER_FILTER__CONFIG_TYPE_CONFIG_DISCOVERY)
		harmless = is_harmless_discovery(f->config_discovery);
	else
		harmless = is_harmless_listening(any.type, f->name);
	mt_xm_note(
		m, harmless ? MT_XDS_NOTE_listener_filter : MT_XDS_NOTE_listener_protection, NULL);
	*protects |= !harmless;
	return true;
}

/*
 * Listener filters are noted and not run. PROXY protocol is rejected, because it consumes bytes of
 * a connection. *protects: one of them may refuse clients.
 */
static bool listener_filters(struct mt_xmap *m, const Xds__Listener *l, bool *protects)
{
	for (size_t i = 0; i < l->n_listener_filters; i++) {
		uint32_t mark = mt_xm_at(m, "listener_filters", i);

		if (!listener_filter(m, l->listener_filters[i], protects))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

/* A chain that is not served for another reason keeps it. */
static void close_chains(struct mt_res_listener *l)
{
	static const char why[] = "a filter of its listener is not run here and may protect";

	for (uint32_t i = 0; i < l->n_chains; i++)
		if (!l->chains[i].unserved)
			l->chains[i].unserved = why;
	if (l->fallback && !l->fallback->unserved)
		l->fallback->unserved = why;
}

static bool chains(struct mt_xmap *m, const Xds__Listener *l, struct mt_res_listener *out)
{
	uint32_t mark;

	if (l->n_filter_chains > CHAINS_MAX)
		return mt_xm_bad(m, "filter_chains", "more than %u", CHAINS_MAX);
	if (!l->n_filter_chains && !l->default_filter_chain)
		return mt_xm_bad(m, "filter_chains", "there are none");
	out->chains = mt_xm_array(m, l->n_filter_chains, sizeof(*out->chains));
	if (!out->chains)
		return false;
	for (size_t i = 0; i < l->n_filter_chains; i++) {
		mark = mt_xm_at(m, "filter_chains", i);
		if (!chain(m, l->filter_chains[i], &out->chains[out->n_chains++]) ||
			!mt_xm_label_limit(m, out->meta.name, i, out->chains[i].local))
			return false;
		mt_xm_out(m, mark);
	}
	if (!l->default_filter_chain)
		return true;
	out->fallback = mt_xm_alloc(m, sizeof(*out->fallback));
	mt_xm_in(m, "default_filter_chain");
	return out->fallback && chain(m, l->default_filter_chain, out->fallback) &&
	       mt_xm_label_limit(m, out->meta.name, MT_XM_FALLBACK, out->fallback->local);
}

/* In Envoy, connections that a chain gets leave lines there, too. */
static bool listener_logs(struct mt_xmap *m, const Xds__Listener *l, struct mt_res_listener *out)
{
	if (!l->n_access_log)
		return true;
	mt_xm_note(m, MT_XDS_NOTE_listener_log, "access_log");
	return mt_xm_access_logs(m, l->access_log, l->n_access_log, &out->logs);
}

bool mt_xm_listener(struct mt_xmap *m, const Xds__Listener *l)
{
	struct mt_res_listener *out = mt_xm_alloc(m, sizeof(*out));
	bool protects = false;

	if (!out || !mt_xm_add(m, &m->out->part->res_listeners, &out->meta, "Listener", l->name))
		return false;
	if (l->traffic_direction < 0 || l->traffic_direction > MT_RES_OUTBOUND)
		return mt_xm_bad(m, "traffic_direction", "%d is not known", l->traffic_direction);
	out->direction = (enum mt_res_direction)l->traffic_direction;
	out->bound = !l->bind_to_port || l->bind_to_port->value;
	out->detect.set = l->listener_filters_timeout != NULL;
	if (!mt_xm_ms(m, "listener_filters_timeout", l->listener_filters_timeout, 0,
		    &out->detect.v) ||
		!addresses(m, l, out) || !listener_filters(m, l, &protects) ||
		!listener_logs(m, l, out) || !chains(m, l, out))
		return false;
	if (protects)
		close_chains(out);
	return true;
}

/* Maps an ECDS resource, for a filter with config_discovery. */
bool mt_xm_extension(struct mt_xmap *m, const Xds__TypedExtensionConfig *e)
{
	struct mt_res_extension *out = mt_xm_alloc(m, sizeof(*out));
	struct mt_xm_any any;
	bool known;

	if (!out || !mt_xm_add(m, &m->out->part->res_extensions, &out->meta, "TypedExtensionConfig",
			    e->name))
		return false;
	out->chain.origin = out->meta.origin;
	if (!e->typed_config)
		return mt_xm_bad(m, "typed_config", "missing");
	if (!mt_xm_open(m, "typed_config", e->typed_config, &any) ||
		!mt_xm_terminal(m, "typed_config", &any, &out->chain, &known))
		return false;
	return known || mt_xm_bad(m, "typed_config", "no such filter \"%.100s\"", any.type);
}
