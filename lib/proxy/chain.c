/* SPDX-License-Identifier: Apache-2.0 */
/* Selects the filter chain of a connection among those of its listener. */
#include "mt_codec_registry.h"
#include "mt_secret_hash.h"
#include "mt_snapshot.h"
#include "mt_tls.h"

#include <string.h>

/*
 * The rank of a chain is a number with a field for each criterion, the first criterion in the
 * highest bits. A field is 0 if the connection does not match, 1 if the chain has no such
 * criterion, and greater for a more specific match. The greatest rank is therefore that of the
 * chain that Envoy finds by narrowing the set criterion by criterion. If a field of the greatest
 * rank is 0, no chain matches.
 */
enum criterion { DST_PORT, DST, SERVER_NAME, TRANSPORT, ALPN, SOURCE, SRC, SRC_PORT, N_CRITERIA };

static const uint8_t width[N_CRITERIA] = {
	[DST_PORT] = 2,
	[DST] = 8,
	[SERVER_NAME] = 9,
	[TRANSPORT] = 2,
	[ALPN] = 8,
	[SOURCE] = 2,
	[SRC] = 8,
	[SRC_PORT] = 2,
};

#define NOT_ASKED  1u
#define EXACT	   2u
#define EXACT_NAME 511u
#define FIRST_ALPN 255u
#define ALL_BITS   41u /* sum of the widths */

static uint32_t by_prefix(const struct mt_prefix *p, uint32_t n, const struct mt_addr *a)
{
	uint32_t best = n ? 0 : NOT_ASKED;

	for (uint32_t i = 0; i < n; i++)
		if (mt_prefix_contains(&p[i].addr, p[i].bits, a))
			best = MT_MAX(best, EXACT + p[i].bits);
	return best;
}

/* Of the names with a star, the longest suffix is the most specific. */
static uint32_t by_name(const struct mt_filter_chain_match *m, struct mt_slice name)
{
	uint32_t best = m->n_server_names ? 0 : NOT_ASKED;

	for (uint32_t i = 0; i < m->n_server_names; i++) {
		const char *want = m->server_names[i];
		uint32_t len = (uint32_t)strlen(want);

		if (len == name.len && memcmp(want, name.p, len) == 0)
			return EXACT_NAME;
		if (*want != '*' || name.len < len)
			continue;
		if (memcmp(want + 1, name.p + name.len - (len - 1), len - 1) == 0)
			best = MT_MAX(best, MT_MIN(len, EXACT_NAME - 1));
	}
	return best;
}

/*
 * Greater, the earlier the name is in the client's list; 0: it is not among the first
 * MT_FILTER_CHAIN_ALPN.
 */
static uint32_t alpn_rank(struct mt_slice sent, const char *name)
{
	uint32_t len = (uint32_t)strlen(name), at = 0;

	for (uint32_t i = 0; i < MT_FILTER_CHAIN_ALPN && at < sent.len; i++) {
		if (sent.p[at] == len && memcmp(sent.p + at + 1, name, len) == 0)
			return FIRST_ALPN - i;
		at += 1u + sent.p[at];
	}
	return 0;
}

/* The client lists its protocols in the order of preference. */
static uint32_t by_alpn(const struct mt_filter_chain_match *m, struct mt_slice sent)
{
	uint32_t best = m->n_alpn ? 0 : NOT_ASKED;

	for (uint32_t i = 0; i < m->n_alpn; i++)
		best = MT_MAX(best, alpn_rank(sent, m->alpn[i]));
	return best;
}

static bool from_here(const struct mt_filter_chain_facts *f)
{
	static const struct mt_addr loopback6 = {.b = {[15] = 1}};
	static const struct mt_addr loopback4 = {.b = {[10] = 0xff, [11] = 0xff, [12] = 127}};

	return mt_addr_eq(&f->remote, &f->local) || mt_addr_eq(&f->remote, &loopback6) ||
	       mt_prefix_contains(&loopback4, 8, &f->remote);
}

static uint32_t by_port(const uint16_t *list, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == port)
			return EXACT;
	return n ? 0 : NOT_ASKED;
}

static uint32_t by_transport(enum mt_transport_kind want, bool tls)
{
	if (want == MT_TRANSPORT_ANY)
		return NOT_ASKED;
	return (want == MT_TRANSPORT_TLS) == tls ? EXACT : 0;
}

static uint32_t by_source(enum mt_source_kind want, const struct mt_filter_chain_facts *f)
{
	if (want == MT_SOURCE_ANY)
		return NOT_ASKED;
	return (want == MT_SOURCE_LOCAL) == from_here(f) ? EXACT : 0;
}

static uint32_t rank(const struct mt_filter_chain_match *m, enum criterion k,
	const struct mt_filter_chain_facts *f)
{
	switch (k) {
	case DST_PORT:
		return by_port(&m->dst_port, m->dst_port != 0, f->lport);
	case DST:
		return by_prefix(m->dst, m->n_dst, &f->local);
	case SERVER_NAME:
		return by_name(m, f->name);
	case TRANSPORT:
		return by_transport(m->transport, f->tls);
	case ALPN:
		return by_alpn(m, f->alpn);
	case SOURCE:
		return by_source(m->source, f);
	case SRC:
		return by_prefix(m->src, m->n_src, &f->remote);
	case SRC_PORT:
		return by_port(m->src_ports, m->n_src_ports, f->rport);
	case N_CRITERIA:
		break;
	}
	return 0;
}

/*
 * Returns the chain's rank; *fits: no criterion failed. Stops at the first criterion that does not
 * match, because later ones cannot change the result, or when the rank falls below `best`.
 * Therefore server names are not compared for chains that the connection's address has excluded.
 */
static uint64_t rank_all(const struct mt_filter_chain_match *m,
	const struct mt_filter_chain_facts *f, uint64_t best, bool *fits)
{
	uint32_t left = ALL_BITS;
	uint64_t sum = 0;

	*fits = true;
	for (int k = 0; k < N_CRITERIA && *fits && sum >= best >> left; k++) {
		uint32_t r = rank(m, (enum criterion)k, f);

		left -= width[k];
		sum = sum << width[k] | r;
		*fits = r != 0;
	}
	return sum << left;
}

/* Number of chains with match criteria: all except the default chain. */
static uint32_t n_matching(const struct mt_listener *l)
{
	return l->n_chains - l->has_fallback;
}

/* The best chain so far. */
struct choice {
	const struct mt_filter_chain *found;
	uint64_t best;
};

/* Keeps the chain with the greater rank; of equal ranks, the first one in the listener. */
static void consider(
	struct choice *c, const struct mt_filter_chain *one, const struct mt_filter_chain_facts *f)
{
	bool fits;
	uint64_t sum = rank_all(&one->match, f, c->best, &fits);

	/* A chain that a later criterion rejects still excludes chains of lower rank. */
	if (sum > c->best || (sum == c->best && fits && c->found && one < c->found)) {
		c->best = sum;
		c->found = fits ? one : NULL;
	}
}

const struct mt_filter_chain *mt_filter_chain_choose(
	const struct mt_listener *l, const struct mt_filter_chain_facts *f)
{
	struct choice c = {NULL, 0};
	uint32_t at = 0, i;

	if (l->names)
		while (mt_chain_names_next(l->names, f->name, &at, &i))
			consider(&c, &l->chains[i], f);
	else
		for (i = 0; i < n_matching(l); i++)
			consider(&c, &l->chains[i], f);
	return c.found || !l->has_fallback ? c.found : &l->chains[l->n_chains - 1];
}

static bool asks(const struct mt_filter_chain_match *m)
{
	return m->n_server_names || m->n_alpn || m->transport != MT_TRANSPORT_ANY;
}

bool mt_filter_chain_asks_bytes(const struct mt_listener *l, const struct mt_filter_chain_facts *f)
{
	bool any = false, last = l->has_fallback && l->chains[l->n_chains - 1].tls;
	uint32_t best = 0;

	if (l->names && l->names->asks)
		return true;
	for (uint32_t i = 0; i < n_matching(l); i++) {
		const struct mt_filter_chain_match *m = &l->chains[i].match;
		uint32_t dst = by_prefix(m->dst, m->n_dst, &f->local);
		uint32_t port = by_port(&m->dst_port, m->dst_port != 0, f->lport);

		if (!dst || !port || (port << width[DST] | dst) < best)
			continue;
		if ((port << width[DST] | dst) > best)
			any = false;
		best = port << width[DST] | dst;
		any |= asks(m) || l->chains[i].tls;
	}
	return any || last;
}

/* ---- identity ---------------------------------------------------------------------------------- */

/*
 * The hashes are keyed, because they alone decide which chain serves a connection after its
 * handshake or in a new snapshot, and teams choose the names of their chains.
 */
static uint64_t hash_texts(const char *const *list, uint32_t n, uint64_t h)
{
	h = mt_secret_hash(&n, sizeof(n), h);
	for (uint32_t i = 0; i < n; i++)
		h = mt_secret_hash_text(list[i], h);
	return h;
}

static uint64_t hash_prefixes(const struct mt_prefix *p, uint32_t n, uint64_t h)
{
	h = mt_secret_hash(&n, sizeof(n), h);
	for (uint32_t i = 0; i < n; i++) {
		h = mt_secret_hash(&p[i].addr, sizeof(p[i].addr), h);
		h = mt_secret_hash(&p[i].bits, sizeof(p[i].bits), h);
	}
	return h;
}

/*
 * Returns a hash that identifies the chain. `tls`: hash of its TLS rules; 0: none. Other rules make
 * another chain, because they might have decided differently about the chain's clients.
 */
static uint64_t identity(const struct mt_filter_chain *c, bool fallback, uint64_t tls)
{
	const struct mt_filter_chain_match *m = &c->match;
	const uint32_t numbers[] = {m->dst_port, m->transport, m->source, fallback};
	uint64_t h = mt_secret_hash(numbers, sizeof(numbers), tls);

	h = hash_prefixes(m->dst, m->n_dst, h);
	h = hash_texts(m->server_names, m->n_server_names, h);
	h = hash_texts(m->alpn, m->n_alpn, h);
	h = hash_prefixes(m->src, m->n_src, h);
	return mt_secret_hash(m->src_ports, sizeof(*m->src_ports) * m->n_src_ports, h);
}

static bool takes_all(const struct mt_filter_chain_match *m)
{
	return !asks(m) && !m->dst_port && !m->n_dst && m->source == MT_SOURCE_ANY && !m->n_src &&
	       !m->n_src_ports;
}

/* The key of the codec's service key; without a name if that is not a leading key. */
static struct mt_key interface_key(const struct mt_codec *codec)
{
	struct mt_key key = {.id = -1};

	if (codec && codec->service_key)
		key = mt_key_make(codec, codec->service_key);
	return key.id >= 0 && codec->leading_keys >> key.id & 1 ? key : (struct mt_key){0};
}

void mt_listener_link(struct mt_listener *l)
{
	struct mt_filter_chain_proto *p = l->protos;

	for (uint32_t i = 0; i < l->n_chains; i++) {
		struct mt_filter_chain *c = &l->chains[i];
		bool fallback = l->has_fallback && i + 1 == l->n_chains;

		MT_ASSERT(c->refuse || c->n_protos);
		c->listener = l;
		c->id = identity(c, fallback, c->tls ? mt_tls_context_id(c->tls) : 0);
		c->kin = identity(c, fallback, c->tls != NULL);
		c->protos = p;
		for (uint32_t k = 0; k < c->n_protos; k++, p++) {
			p->chain = c;
			p->idle_s = c->idle_s;
			p->interface_key = interface_key(p->codec);
		}
	}
	MT_ASSERT(p == l->protos + l->n_protos);
	/* A chain that ends TLS does not take plaintext clients. */
	l->decided = l->n_chains == 1 && l->n_protos == 1 && !l->chains[0].refuse &&
		     !l->chains[0].tls && takes_all(&l->chains[0].match);
	if (!l->detect_ms)
		l->detect_ms = MT_LISTENER_DETECT_MS;
}

/* True if the protocol's rules are right for the messages of `codec`. */
static bool has_rules_for(
	const struct mt_filter_chain_proto *to, const struct mt_codec *codec, uint8_t opts)
{
	return to->codec_opts == opts &&
	       (mt_codec_same(to->codec, codec) || mt_codec_is_version(to->codec, codec));
}

const struct mt_filter_chain_proto *mt_filter_chain_find(
	const struct mt_listener *l, uint64_t id, const struct mt_codec *codec, uint8_t opts)
{
	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_filter_chain_proto *p = &l->protos[i];

		if (p->chain->id == id && !p->chain->refuse && has_rules_for(p, codec, opts))
			return p;
	}
	return NULL;
}

const struct mt_filter_chain_proto *mt_filter_chain_heir(
	const struct mt_listener *l, uint64_t kin, const struct mt_codec *codec, uint8_t opts)
{
	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_filter_chain_proto *p = &l->protos[i];

		if (p->chain->kin == kin && p->chain->tls && !p->chain->refuse &&
			has_rules_for(p, codec, opts))
			return p;
	}
	return NULL;
}

/* True if the chain matches the addresses and ports, whatever the first bytes are. */
static bool is_for_ends(
	const struct mt_filter_chain_match *m, const struct mt_filter_chain_facts *f)
{
	return rank(m, DST_PORT, f) && rank(m, DST, f) && rank(m, SOURCE, f) && rank(m, SRC, f) &&
	       rank(m, SRC_PORT, f);
}

/*
 * True if the protocol has the service of `old`, or a service key, by which each message finds its
 * service.
 */
static bool has_its_service(
	const struct mt_filter_chain_proto *to, const struct mt_filter_chain_proto *old)
{
	return to->service_key.name ||
	       (to->n_services && mt_filter_chain_proto_same(old, to->services[0]));
}

static bool is_for_tls(const struct mt_filter_chain *c)
{
	return c->match.transport == MT_TRANSPORT_TLS;
}

const struct mt_filter_chain_proto *mt_filter_chain_successor(const struct mt_listener *l,
	const struct mt_filter_chain_proto *old, const struct mt_filter_chain_facts *f)
{
	const struct mt_filter_chain_proto *plain = NULL;

	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_filter_chain_proto *p = &l->protos[i];
		const struct mt_filter_chain *c = p->chain;
		bool ends = c->tls != NULL;

		if (!has_rules_for(p, old->codec, old->codec_opts) || c->refuse ||
			!is_for_ends(&c->match, f) || !has_its_service(p, old))
			continue;
		/*
		 * If TLS is forwarded as bytes, the node does not terminate it and f->tls is false.
		 * The old chain then shows whether the bytes are TLS.
		 */
		if (ends == f->tls && (ends || !is_for_tls(c) || is_for_tls(old->chain)))
			return p;
		/*
		 * Without a better chain, one for plaintext serves a client whose TLS was
		 * terminated. A chain with transport TLS never serves plaintext.
		 */
		if (!ends && !plain && !is_for_tls(c))
			plain = p;
	}
	return plain;
}
