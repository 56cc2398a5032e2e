/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of documents: their addresses and ports, the services that share one, and the object
 * that has an address and port which several objects claim.
 */
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *path_of(const struct mt_listen_port *at, char buf[MT_INDEX_PATH])
{
	return at->path ? at->path : mt_index_path(buf, "spec.ports", at->at, ".number");
}

static const char another[] = "give one of them another port or address";
static const char elsewhere[] = "name a Gateway with a port of its own";

/*
 * Refuses the port, or the document with its routes if that is a guest. The error names the service
 * that has the address and port, with its file and line, and ends with `why` and `also`. Returns
 * false.
 */
static bool refuse(struct mt_build *b, const struct mt_listen *l, const struct mt_listen_port *at,
	const char *remedy, const char *why, const char *also)
{
	const struct mt_meta *guest = at->guest;
	char path[MT_INDEX_PATH];

	mt_b_error(b, guest ? guest : at->meta, guest ? guest->origin.line : at->line,
		guest ? "spec.gateways" : path_of(at, path), guest ? elsewhere : remedy,
		"%s is in use by %.128s at %s:%u%s%s", l->text, mt_b_listen_name(l), l->origin.file,
		l->origin.line, why, also);
	return false;
}

/* True for a service of a refused object, which holds nothing and takes nothing from others. */
static bool is_void(const struct mt_build *b, const struct mt_service_slot *s)
{
	return (s->holder && mt_b_is_wrong(b, s->holder)) ||
	       (s->guest && mt_b_is_wrong(b, s->guest));
}

static bool is_void_chain(const struct mt_build *b, const struct mt_listen_chain *c)
{
	for (uint32_t i = 0; i < c->n_services; i++)
		if (!is_void(b, c->services[i]))
			return false;
	return c->n_services > 0;
}

/* Removes chains of refused objects, so that no object is refused because of them. */
static void forget_void(const struct mt_build *b, struct mt_listen *l)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_chains; i++)
		if (!is_void_chain(b, &l->chains[i]))
			l->chains[n++] = l->chains[i];
	l->n_chains = n;
	if (l->last && is_void_chain(b, l->last))
		l->last = NULL;
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* The port that takes a place from others. */
struct winner {
	const char *name;
	const struct mt_meta *meta;
	uint32_t line;
	unsigned int claim;
};

/* Refuses the object of a service, or `guest` for it, because another port has its place. */
static void lose(struct mt_build *b, const struct mt_listen *l, const struct mt_service_slot *s,
	const struct mt_meta *guest, const struct winner *to, const char *why, unsigned int claim)
{
	char buf[MT_INDEX_PATH];
	const char *path =
		s->at == MT_NO_PORT ? NULL : mt_index_path(buf, "spec.ports", s->at, ".number");

	if (!is_void(b, s))
		mt_b_error(b, guest ? guest : s->holder, guest ? guest->origin.line : s->line,
			guest ? "spec.gateways" : path, guest ? elsewhere : another,
			"%s is in use by %.128s at %s:%u%s%s", l->text, to->name,
			to->meta->origin.file, to->line, why, mt_claim_reason(to->claim, claim));
}

/* The best claim of a chain's services to the listener. Each service is examined once. */
static unsigned int claim_of_chain(
	struct mt_build *b, const struct mt_listen *l, struct mt_listen_chain *c)
{
	for (; c->n_claims < c->n_services; c->n_claims++) {
		const struct mt_meta *of = c->services[c->n_claims]->holder;
		unsigned int claim = of ? mt_b_claim(b, mt_place_id(l->text, NULL), of) : 0;

		c->claim = c->n_claims ? MT_MIN(c->claim, claim) : claim;
	}
	return c->n_services ? c->claim : 0;
}

static unsigned int claim_of(struct mt_build *b, struct mt_listen *l)
{
	unsigned int best = l->last ? claim_of_chain(b, l, l->last) : UINT_MAX;

	for (uint32_t i = 0; i < l->n_chains; i++)
		best = MT_MIN(best, claim_of_chain(b, l, &l->chains[i]));
	return best;
}

/* Two Gateways are in conflict, or a Gateway and a service: guests would not end it. */
static void lose_chain(struct mt_build *b, const struct mt_listen *l,
	const struct mt_listen_chain *c, const struct winner *to, unsigned int claim)
{
	for (uint32_t i = 0; i < c->n_services; i++)
		lose(b, l, c->services[i], NULL, to, "", claim);
}

/* True if the winner's claim is better than all others at the listener, which then lose it. */
static bool win(struct mt_build *b, struct mt_listen *l, const struct winner *to)
{
	unsigned int claim = claim_of(b, l);

	if (to->claim >= claim)
		return false;
	for (uint32_t i = 0; i < l->n_chains; i++)
		lose_chain(b, l, &l->chains[i], to, claim);
	if (l->last)
		lose_chain(b, l, l->last, to, claim);
	l->n_chains = 0;
	l->last = NULL;
	return true;
}

bool mt_b_listen_win(struct mt_build *b, struct mt_listen *l, const struct mt_meta *meta,
	const char *name, uint32_t line, const char **why)
{
	struct winner to = {name, meta, line, mt_b_claim(b, mt_place_id(l->text, NULL), meta)};

	*why = "";
	if (l->discovered || mt_b_is_wrong(b, meta))
		return false;
	if (win(b, l, &to))
		return true;
	*why = mt_claim_reason(claim_of(b, l), to.claim);
	return false;
}

bool mt_b_listen_win_identity(struct mt_build *b, const struct mt_listen *l,
	const struct mt_listen_port *at, const char *name, unsigned int own, unsigned int other)
{
	static const char why[] = ", with another identity for clients by mutual TLS";
	uint64_t place = mt_place_id(l->text, NULL);
	struct winner to = {name, at->meta, at->line, mt_b_claim(b, place, at->meta)};
	unsigned int claim = mt_b_claim(b, place, l->shows_by);

	if (MT_MAX(to.claim, claim) < MT_CLAIM_NOT_HELD) {
		to.claim |= own;
		claim |= other;
	}
	if (to.claim >= claim)
		return refuse(b, l, at, another, why, mt_claim_reason(claim, to.claim));
	for (uint32_t i = 0; l->last && i < l->last->n_services; i++) {
		const struct mt_service_slot *s = l->last->services[i];

		if (s->holder && strcmp(s->holder->ns, at->meta->ns) != 0)
			lose(b, l, s, NULL, &to, why, claim);
	}
	return true;
}

/* ---- keys and names -------------------------------------------------------------------------- */

/*
 * The claims of a port and of the service that has its key. At one Gateway documents of its own
 * namespace precede guests, and of guests the one that is served there does.
 */
static void key_claims(struct mt_build *b, uint64_t place, const struct mt_service_slot *before,
	const struct mt_listen_port *at, unsigned int *claim, unsigned int *than)
{
	const struct mt_meta *own = at->meta, *other = before->holder;

	if (own == other && at->guest && before->guest) {
		own = at->guest;
		other = before->guest;
	}
	*claim = mt_b_claim(b, place, own);
	*than = other ? mt_b_claim(b, place, other) : 0;
	if (own == other && !at->guest != !before->guest)
		*(at->guest ? claim : than) |= MT_CLAIM_GUEST;
}

/* False: another service has the key, and `at` is refused. */
static bool put_key(struct mt_build *b, const struct mt_listen *l, const struct mt_listen_chain *c,
	struct mt_service_slot *s, const struct mt_listen_port *at)
{
	char *key = mt_region_printf(&b->tmp, "%s key %p %s", l->text, c->of, s->key);
	const struct mt_service_slot *before = key ? mt_strmap_get(&b->keys, key) : NULL;

	if (before == s)
		return true;
	if (before && !is_void(b, before) && (is_void(b, s) || mt_b_is_wrong(b, at->meta)))
		return false;
	if (before && !is_void(b, before)) {
		uint64_t place = mt_place_id(l->text, s->key);
		struct winner to = {s->name, at->meta, at->line, 0};
		unsigned int claim;

		key_claims(b, place, before, at, &to.claim, &claim);
		if (to.claim >= claim)
			return refuse(b, l, at, "annotate it with its own interface",
				" for the same service key", mt_claim_reason(claim, to.claim));
		lose(b, l, before, before->guest, &to, " for the same service key", claim);
	}
	if (key)
		mt_strmap_put(&b->keys, key, s, NULL);
	return true;
}

/*
 * True if no other service of the chain has the service's key; else the port is refused. Thousands
 * of services may share a port, so keys are in a map, which the only service of a chain does not
 * need.
 */
static bool first_with_key(struct mt_build *b, const struct mt_listen *l,
	const struct mt_listen_chain *c, struct mt_service_slot *s, const struct mt_listen_port *at)
{
	if (c->n_services && !c->codec->service_key)
		return refuse(b, l, at, "annotate it with its own interface",
			" for the same service key", "");
	if (c->n_services == 1)
		(void)put_key(b, l, c, c->services[0], at);
	return !c->n_services || put_key(b, l, c, s, at);
}

static struct mt_origin origin(struct mt_build *b, const struct mt_listen_port *at)
{
	return (struct mt_origin){mt_b_file(b, at->meta->origin.file), at->line};
}

/* ---- TLS by server names ------------------------------------------------------------------------ */

/* A server name at a listener, and the chain that has it. */
struct tls_name {
	const char *name;
	struct mt_res_match *match;
	const struct mt_meta *meta;
	uint32_t line;
};

/* Removes the name from its chain, and a chain without a name left, which would match all names. */
static void free_name(struct mt_listen *l, const struct tls_name *n)
{
	struct mt_res_match *m = n->match;
	uint32_t i = 0;

	while (i < m->n_server_names && m->server_names[i] != n->name)
		i++;
	if (i < m->n_server_names)
		m->server_names[i] = m->server_names[--m->n_server_names];
	for (i = 0; !m->n_server_names && i < l->n_chains; i++)
		if (l->chains[i].match == m)
			l->chains[i--] = l->chains[--l->n_chains];
}

/* True if the port's claim to a name is better than that of its chain, which then loses it. */
static bool win_name(struct mt_build *b, struct mt_listen *l, const struct tls_name *n,
	const struct mt_listen_port *at)
{
	uint64_t place = mt_place_of_tls(l->text, n->name);
	unsigned int claim = mt_b_claim(b, place, at->meta), before = mt_b_claim(b, place, n->meta);
	bool wins = claim < before;
	const struct mt_meta *loser = wins ? n->meta : at->meta, *other = wins ? at->meta : n->meta;
	char path[MT_INDEX_PATH];

	if (mt_b_is_wrong(b, at->meta))
		return false;
	if (!mt_b_is_wrong(b, n->meta))
		mt_b_warn(b, loser, wins ? n->line : at->line, wins ? NULL : path_of(at, path),
			"give one of them another name or port",
			"server name \"%.128s\" is in use by %s %.64s/%.128s at %.128s:%u%s",
			n->name, other->kind, other->ns, other->name,
			other->origin.file ? other->origin.file : "?", wins ? at->line : n->line,
			wins ? mt_claim_reason(claim, before) : mt_claim_reason(before, claim));
	else
		wins = true;
	if (wins)
		free_name(l, n);
	return wins;
}

/*
 * Gives the chain of a port a server name, or with "*" all that no other chain has. False: another
 * chain keeps the name, which is reported.
 */
static bool take_name(struct mt_build *b, struct mt_listen *l, const struct mt_listen_port *at,
	struct mt_res_match *m, const char *name)
{
	char *key = mt_region_printf(&b->tmp, "%s tls %s", l->text, name);
	struct tls_name *n = key ? mt_strmap_get(&b->keys, key) : NULL;

	if (n && (n->match == m || !win_name(b, l, n, at)))
		return false;
	if (!n) {
		n = mt_region_alloc(&b->tmp, sizeof(*n));
		if (!key || !n || mt_strmap_put(&b->keys, key, n, NULL)) {
			b->tmp.failed = true;
			return false;
		}
	}
	*n = (struct tls_name){name, m, at->meta, at->line};
	return true;
}

/*
 * The match of a chain for these server names; n = 0: for all names. NULL: other chains have all of
 * the names, or no memory.
 */
static struct mt_res_match *match_names(struct mt_build *b, struct mt_listen *l,
	const struct mt_listen_port *at, const char **names, uint32_t n)
{
	struct mt_res_match *m = mt_region_alloc(&b->tmp, sizeof(*m));
	const char **own = mt_region_alloc(&b->tmp, sizeof(*own) * (n + 1));

	if (!m || !own)
		return NULL;
	*m = (struct mt_res_match){.transport = "tls", .server_names = own};
	for (uint32_t i = 0; i < n; i++)
		if (take_name(b, l, at, m, names[i]))
			own[m->n_server_names++] = names[i];
	if (n ? !m->n_server_names : !take_name(b, l, at, m, "*"))
		return NULL;
	return m;
}

/* True if TLS chains can be at the listener. False: the port is refused, or there is no memory. */
static bool takes_tls(
	struct mt_build *b, struct mt_listen *l, const struct mt_listen_port *at, const char *name)
{
	const char *why;

	if (l->last && !l->last->codec->opaque)
		forget_void(b, l);
	if (!l->last || l->last->codec->opaque)
		return true;
	if (!mt_b_listen_win(b, l, at->meta, name, at->line, &why)) {
		struct mt_listen_port own = *at;

		own.guest = NULL;
		return refuse(b, l, &own, another, " with another protocol", why);
	}
	l->origin = (struct mt_origin){0};
	return true;
}

void mt_b_listen_tls(
	struct mt_build *b, const struct mt_listen_port *at, const struct mt_listen_tls *t)
{
	struct mt_listen *l = mt_b_listen(b, at->addr, at->port);
	struct mt_service_slot **services = mt_region_alloc(&b->tmp, sizeof(*services));
	struct mt_res_match *m;
	struct mt_listen_chain *c;

	if (!l || !services || !takes_tls(b, l, at, t->service->name))
		return;
	m = match_names(b, l, at, t->names, t->n_names);
	c = m ? mt_region_push(&b->tmp, (void **)&l->chains, &l->n_chains, sizeof(*c)) : NULL;
	if (!c)
		return;
	if (t->of_mesh)
		m->alpn = mt_b_alpn_of_mesh(&m->n_alpn);
	*services = t->service;
	t->service->holder = at->meta;
	t->service->line = at->line;
	t->service->at = MT_NO_PORT;
	*c = (struct mt_listen_chain){.match = m,
		.by_name = true,
		.codec = mt_codec_bytes(),
		.services = services,
		.n_services = 1};
	if (!l->origin.file)
		l->origin = origin(b, at);
}

/* ---- places of closed servers ------------------------------------------------------------------ */

void mt_b_listen_closed(struct mt_build *b, const struct mt_listen_closed *closed)
{
	struct mt_listen_closed *slot =
		mt_region_push(&b->tmp, (void **)&b->closed, &b->n_closed, sizeof(*slot));

	if (slot)
		*slot = *closed;
}

/* Takes the name from the chain that has it, unless that is of the same namespace or was served. */
static void keep_name(
	struct mt_build *b, struct mt_listen *l, const struct mt_listen_port *at, const char *name)
{
	char *key = mt_region_printf(&b->tmp, "%s tls %s", l->text, name);
	struct tls_name *n = key ? mt_strmap_get(&b->keys, key) : NULL;
	uint64_t place = mt_place_of_tls(l->text, name);

	if (n && strcmp(n->meta->ns, at->meta->ns) != 0 && !mt_b_is_wrong(b, at->meta) &&
		mt_b_claim(b, place, at->meta) < MT_CLAIM_NOT_HELD &&
		mt_b_claim(b, place, n->meta) >= MT_CLAIM_NOT_HELD)
		(void)win_name(b, l, n, at);
}

/* True if a service of this codec can share the chain, because their keys differ. */
static bool may_share(const struct mt_listen_chain *c, const struct mt_codec *codec, uint8_t opts)
{
	return mt_codec_same(c->codec, codec) && c->opts == opts && codec->service_key;
}

/* True if the port and its codec cannot share the listener. */
static bool conflicts(const struct mt_listen *l, const struct mt_codec *codec, uint8_t opts)
{
	return (l->n_chains && !codec->opaque) || (l->last && !may_share(l->last, codec, opts));
}

/* True if the server could not be at the listener again beside what is there. */
static bool excludes(const struct mt_listen *l, const struct mt_listen_closed *c)
{
	return c->at.end ? l->last && !l->last->codec->opaque : conflicts(l, c->codec, c->opts);
}

/* Refuses objects of other namespaces that got the address and port only now. */
static void keep_port(struct mt_build *b, struct mt_listen *l, const struct mt_listen_closed *c)
{
	const struct mt_listen_port *at = &c->at;
	const char *why;

	if (excludes(l, c) &&
		mt_b_claim(b, mt_place_id(l->text, NULL), at->meta) < MT_CLAIM_NOT_HELD &&
		claim_of(b, l) >= MT_CLAIM_NOT_HELD)
		(void)mt_b_listen_win(b, l, at->meta, at->meta->name, at->line, &why);
}

void mt_b_keep_closed(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_closed; i++) {
		const struct mt_listen_port *at = &b->closed[i].at;
		char text[MT_ADDR_STRLEN];
		struct mt_listen *l;

		mt_addr_port_str(at->addr, at->port, text);
		l = mt_b_listen_at(b, text) ? mt_b_listen(b, at->addr, at->port) : NULL;
		if (l)
			keep_port(b, l, &b->closed[i]);
		for (uint32_t k = 0; l && at->end && k < at->end->n_names; k++)
			keep_name(b, l, at, at->end->names[k]);
		if (l && at->end && !at->end->n_names)
			keep_name(b, l, at, "*");
	}
}

/* ---- TLS that is ended ---------------------------------------------------------------------------- */

/*
 * The chain that terminates the TLS of a Gateway's server, with its names that no other chain has.
 * NULL: other chains have all of them, the port is refused because of another protocol, or no
 * memory.
 */
static struct mt_listen_chain *end_chain(struct mt_build *b, struct mt_listen *l,
	const struct mt_listen_port *at, const struct mt_codec *codec, uint8_t opts,
	const char *name)
{
	const struct mt_res_match *m;
	struct mt_listen_chain *c;

	for (uint32_t i = 0; i < l->n_chains; i++)
		if (l->chains[i].of == at->end)
			return &l->chains[i];
	if (l->nameless == at->end || !takes_tls(b, l, at, name))
		return NULL;
	m = match_names(b, l, at, at->end->names, at->end->n_names);
	l->nameless = m ? l->nameless : at->end;
	c = m ? mt_region_push(&b->tmp, (void **)&l->chains, &l->n_chains, sizeof(*c)) : NULL;
	if (!c)
		return NULL;
	*c = (struct mt_listen_chain){.match = m,
		.by_name = true,
		.codec = codec,
		.opts = opts,
		.tls = at->end->tls,
		.of = at->end};
	if (!l->origin.file)
		l->origin = origin(b, at);
	return c;
}

/* ---- what is left of a port --------------------------------------------------------------------- */

/* Refuses the port, because its object's claim is not better than that of the listener. */
static void lose_port(struct mt_build *b, struct mt_listen *l, const struct mt_listen_port *at,
	const struct mt_codec *codec, uint8_t opts, const char *why)
{
	const struct mt_listen_chain *c = l->last;
	struct mt_listen_port own = *at;
	char path[MT_INDEX_PATH];

	/* The Gateway itself is in conflict with others. */
	if (!c || !c->n_services || c->services[0]->holder != at->meta)
		own.guest = NULL;
	if (l->n_chains && !codec->opaque)
		mt_b_error(b, at->meta, at->line, path_of(at, path), another,
			"%s is in use for TLS by %s:%u%s", l->text, l->origin.file, l->origin.line,
			why);
	else
		refuse(b, l, &own, another,
			mt_codec_same(c->codec, codec) && c->opts == opts
				? ""
				: " with another protocol",
			why);
}

/*
 * The listener's chain for clients that no server name leads elsewhere. NULL: the port is refused
 * because it cannot share that chain, or no memory.
 */
static struct mt_listen_chain *own_chain(struct mt_build *b, struct mt_listen *l,
	const struct mt_listen_port *at, const struct mt_codec *codec, uint8_t opts,
	const char *name)
{
	struct mt_listen_chain *c;
	const char *why;

	if (conflicts(l, codec, opts))
		forget_void(b, l);
	if (conflicts(l, codec, opts) && !mt_b_listen_win(b, l, at->meta, name, at->line, &why)) {
		lose_port(b, l, at, codec, opts, why);
		return NULL;
	}
	if (l->last)
		return l->last;
	c = l->last = mt_region_alloc(&b->tmp, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct mt_listen_chain){.codec = codec, .opts = opts};
	l->origin = origin(b, at);
	return c;
}

bool mt_b_listen_add(struct mt_build *b, const struct mt_listen_port *at,
	const struct mt_codec *codec, uint8_t opts, struct mt_service_slot *s)
{
	struct mt_listen *l = mt_b_listen(b, at->addr, at->port);
	struct mt_listen_chain *c = NULL;
	struct mt_service_slot **slot;

	s->guest = at->guest;
	if (l)
		c = at->end ? end_chain(b, l, at, codec, opts, s->name)
			    : own_chain(b, l, at, codec, opts, s->name);
	if (!c || !first_with_key(b, l, c, s, at))
		return false;
	slot = mt_region_push(&b->tmp, (void **)&c->services, &c->n_services, sizeof(*slot));
	if (!slot)
		return false;
	*slot = s;
	s->holder = at->meta;
	s->line = at->line;
	s->at = at->path ? MT_NO_PORT : at->at;
	if (at->idle_s)
		c->idle_s = at->idle_s;
	return true;
}

/* ---- services' own addresses -------------------------------------------------------------------- */

static void listen_unit(struct mt_build *b, const struct mt_host *h, struct mt_unit *u)
{
	struct mt_listen_port at = {.port = (uint16_t)u->port->number.v,
		.meta = &h->se->meta,
		.line = u->port->number.line,
		.at = (uint32_t)(u->port - h->se->ports)};

	if (u->patch && u->patch->idle_ms.set)
		at.idle_s = (u->patch->idle_ms.v + 999) / 1000;
	for (uint32_t i = 0; i < h->n_addrs; i++) {
		at.addr = &h->addrs[i];
		mt_b_bind(b, &at, true);
		if (!mt_b_listen_add(b, &at, u->codec, u->opts, u->service))
			return;
		if (!b->conf->identity && !b->conf->n_held)
			continue;
		mt_b_listen_mtls(b, mt_b_listen(b, at.addr, at.port), h, u);
		mt_b_listen_shows(b, &at, h, u->service->name);
	}
}

void mt_b_listeners(struct mt_build *b)
{
	if (mt_strmap_reserve(&b->listens, b->n_hosts + b->model->res_listeners.n))
		b->tmp.failed = true;
	for (uint32_t i = 0; i < b->n_hosts && !b->work.full; i++) {
		(void)mt_b_pay(b, &b->host_list[i].se->meta);
		for (struct mt_unit *u = b->host_list[i].units; u; u = u->next)
			if (u->service)
				listen_unit(b, &b->host_list[i], u);
	}
	(void)mt_b_pay(b, NULL);
}
