/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners, whoever says them: who has an address and port, and its filter chains as the data path chooses among them. Nobody gets
 * a chain that is not his: one that is not served refuses its own clients.
 */
#include "mt_conf_listener_priv.h"

#include <errno.h>
#include <string.h>

#define DOWN_IDLE_S 3600u

/* ---- addresses ---------------------------------------------------------------------------------- */

struct mt_listen *mt_b_listen_new(
	struct mt_build *b, const struct mt_addr *a, uint16_t port, const char *text)
{
	struct mt_listen *l = mt_region_alloc(&b->tmp, sizeof(*l)), **slot;

	slot = mt_region_push(&b->tmp, (void **)&b->listen_list, &b->n_listens, sizeof(*slot));
	if (!l || !slot || mt_strmap_put(&b->listens, text, l, NULL)) {
		b->tmp.failed = true;
		return NULL;
	}
	*slot = l;
	*l = (struct mt_listen){.addr = *a, .port = port, .text = text};
	return l;
}

struct mt_listen *mt_b_listen(struct mt_build *b, const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN], *key;
	struct mt_listen *l;

	mt_addr_port_str(a, port, text);
	l = mt_strmap_get(&b->listens, text);
	if (l)
		return l;
	key = mt_region_strdup(&b->tmp, text);
	return key ? mt_b_listen_new(b, a, port, key) : NULL;
}

static bool is_used(const struct mt_listen *l)
{
	return l->n_chains || l->last;
}

const struct mt_listen *mt_b_listen_at(const struct mt_build *b, const char *text)
{
	const struct mt_listen *l = mt_strmap_get(&b->listens, text);

	return l && is_used(l) ? l : NULL;
}

const char *mt_b_listen_name(const struct mt_listen *l)
{
	if (l->last && l->last->n_services)
		return l->last->services[0]->name;
	for (uint32_t i = 0; i < l->n_chains; i++)
		if (l->chains[i].n_services)
			return l->chains[i].services[0]->name;
	return "";
}

/* ---- whom a chain is for ------------------------------------------------------------------------ */

/* A snapshot outlives what it is made of. */
static int copy_prefixes(struct mt_build *b, const struct mt_res_prefix *from, uint32_t n,
	struct mt_prefix **to, uint32_t *n_to)
{
	struct mt_prefix *v = n ? mt_region_alloc(&b->snap->region, sizeof(*v) * n) : NULL;

	if (n && !v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct mt_prefix){from[i].addr, from[i].bits};
	*to = v;
	*n_to = n;
	return 0;
}

static int copy_names(
	struct mt_build *b, const char **from, uint32_t n, const char *const **to, uint32_t *n_to)
{
	const char **v = n ? mt_region_alloc(&b->snap->region, sizeof(*v) * n) : NULL;

	if (n && !v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		v[i] = mt_b_keep(b, from[i]);
	*to = v;
	*n_to = n;
	return 0;
}

static enum mt_transport_kind transport_of(const char *word)
{
	if (!word || !*word)
		return MT_TRANSPORT_ANY;
	return strcmp(word, "raw_buffer") == 0 ? MT_TRANSPORT_PLAIN : MT_TRANSPORT_TLS;
}

static int copy_match(
	struct mt_build *b, const struct mt_res_match *from, struct mt_filter_chain_match *to)
{
	to->dst_port = (uint16_t)from->port;
	to->transport = transport_of(from->transport);
	if (copy_prefixes(b, from->prefixes, from->n_prefixes, &to->dst, &to->n_dst) ||
		copy_prefixes(b, from->sources, from->n_sources, &to->src, &to->n_src) ||
		copy_names(b, from->server_names, from->n_server_names, &to->server_names,
			&to->n_server_names))
		return -ENOMEM;
	return copy_names(b, from->alpn, from->n_alpn, &to->alpn, &to->n_alpn);
}

/* Clear text names no application protocol: nobody gets it. */
static bool never_fits(const struct mt_res_match *m)
{
	return m && m->n_alpn && transport_of(m->transport) == MT_TRANSPORT_PLAIN &&
	       !m->n_server_names && !m->port && !m->n_prefixes;
}

/* Clear text of everybody. */
static bool is_plain(const struct mt_res_match *m)
{
	return transport_of(m->transport) == MT_TRANSPORT_PLAIN && !m->n_alpn &&
	       !m->n_server_names && !m->port && !m->n_prefixes && !m->n_sources;
}

/*
 * Chains that nobody gets are left out where that leads nobody elsewhere: then nobody has to wait for the client's first bytes. They
 * keep clear text from chains that do not ask for it, as in Envoy.
 */
static bool may_go(const struct mt_listen *l)
{
	bool others = false;

	for (uint32_t i = 0; i < l->n_chains; i++) {
		const struct mt_res_match *m = l->chains[i].match;

		if (m && is_plain(m))
			return true;
		others |= !never_fits(m);
	}
	return !others;
}

/* ---- into the snapshot -------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	const struct mt_service *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* With several services the key decides, by binary search over what is sorted here. */
static int fill_proto(
	struct mt_build *b, const struct mt_listen_chain *c, struct mt_filter_chain_proto *p)
{
	struct mt_service **services =
		mt_region_alloc(&b->snap->region, sizeof(struct mt_service *) * c->n_services);

	if (!services)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_services; i++)
		services[i] = c->services[i]->s;
	*p = (struct mt_filter_chain_proto){.codec = c->codec,
		.codec_opts = c->opts,
		.services = services,
		.n_services = c->n_services};
	if (c->n_services < 2)
		return 0;
	qsort(p->services, p->n_services, sizeof(*p->services), by_key);
	p->service_key = mt_key_make(c->codec, c->codec->service_key);
	return 0;
}

/* Behind the chains and protocols that are there already. */
static int fill_chain(struct mt_build *b, const struct mt_listen *l,
	const struct mt_listen_chain *c, struct mt_listener *out)
{
	struct mt_filter_chain *to = &out->chains[out->n_chains];

	if (c->refuse && never_fits(c->match) && may_go(l))
		return 0;
	*to = (struct mt_filter_chain){.name = "", .refuse = c->refuse};
	if (c->match && copy_match(b, c->match, &to->match))
		return -ENOMEM;
	out->n_chains++;
	if (c->refuse)
		return 0;
	to->tls = c->tls;
	to->idle_s = c->idle_s ? c->idle_s : DOWN_IDLE_S;
	to->n_protos = 1;
	return fill_proto(b, c, &out->protos[out->n_protos++]);
}

static uint32_t count_served(const struct mt_listen *l)
{
	uint32_t n = l->last && !l->last->refuse;

	for (uint32_t i = 0; i < l->n_chains; i++)
		n += !l->chains[i].refuse;
	return n;
}

/* Protocol detection time-out as in mt_listener; 0 in a document or resource means none. */
static uint32_t detect_ms(const struct mt_build *b, const struct mt_listen *l)
{
	const struct mt_mesh_config *mesh = b->model->mesh.config;
	struct mt_num ms = l->detect.set || !mesh ? l->detect : mesh->detect_timeout;

	return ms.set && !ms.v ? MT_LISTENER_DETECT_NEVER : ms.v;
}

static int fill(struct mt_build *b, const struct mt_listen *l, struct mt_listener *out)
{
	struct mt_region *r = &b->snap->region;

	out->addr = l->addr;
	out->port = l->port;
	out->id = mt_strhash(l->text, 0);
	out->chains = mt_region_alloc(r, sizeof(*out->chains) * (l->n_chains + (l->last != NULL)));
	out->protos = mt_region_alloc(r, sizeof(*out->protos) * count_served(l));
	out->has_fallback = l->fallback;
	out->detect_ms = detect_ms(b, l);
	out->log_scope = l->log_scope;
	out->file = l->origin.file;
	out->line = l->origin.line;
	if (!out->chains || !out->protos)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_chains; i++)
		if (fill_chain(b, l, &l->chains[i], out))
			return -ENOMEM;
	return l->last ? fill_chain(b, l, l->last, out) : 0;
}

/* Those of documents, or of discovery services. */
static int fill_all(struct mt_build *b, bool discovered)
{
	struct mt_snapshot *s = &b->snap->pub;
	int rc = 0;

	for (uint32_t i = 0; i < b->n_listens && rc == 0; i++) {
		struct mt_listen *l = b->listen_list[i];

		if (l->discovered != discovered || !is_used(l))
			continue;
		rc = mt_b_listen_split(b, l);
		if (rc == 0)
			rc = fill(b, l, &s->listeners[s->n_listeners++]);
	}
	return rc;
}

int mt_b_listeners_finish(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;

	s->listeners = mt_region_alloc(&b->snap->region, sizeof(*s->listeners) * b->n_listens);
	if (!s->listeners)
		return -ENOMEM;
	/* Addresses that the compiler met first for a document come first. */
	if (fill_all(b, false))
		return -ENOMEM;
	b->snap->n_doc_listeners = s->n_listeners;
	return fill_all(b, true) ? -ENOMEM : mt_snapshot_index(s);
}
