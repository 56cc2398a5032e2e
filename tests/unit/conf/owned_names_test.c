/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts that the Node gives to a source, and DNS: of a host that another source may have, no client
 * gets an answer to a name that it queries for an owned host.
 */
#include "conf_test.h"
#include "mt_dns.h"
#include "mt_owned.h"

#include <stdio.h>

#define DOMAIN "cluster.local"

static uint32_t below(uint64_t *state, uint32_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % n;
}

/* Few labels, so that many names have something to do with each other. */
static size_t put_labels(uint64_t *state, char *buf, uint32_t n)
{
	static const char *const labels[] = {"a", "b", "svc", "default"};
	size_t at = 0;

	for (uint32_t i = 0; i < n; i++)
		at += (size_t)sprintf(
			buf + at, "%s%s", i ? "." : "", labels[below(state, MT_ARRAY_LEN(labels))]);
	return at;
}

static const char *random_end(uint64_t *state)
{
	static const char *const ends[] = {"", ".default", ".svc", ".svc." DOMAIN,
		".default.svc." DOMAIN, ".a.svc." DOMAIN, "." DOMAIN, ".a.b", ".b"};

	return ends[below(state, MT_ARRAY_LEN(ends))];
}

/* A host that is probably queried for the owned one, with more or fewer labels at its end. */
static void random_host(uint64_t *state, const char *owned, char buf[256])
{
	size_t len = strlen(owned);
	size_t at = below(state, 3) ? 0 : (size_t)sprintf(buf, "*.");

	if (below(state, 2) && at)
		at += (size_t)sprintf(buf + at, "%s", strchr(owned, '.') + 1);
	else if (below(state, 2))
		at += (size_t)sprintf(buf + at, "%.*s",
			(int)(below(state, 2) ? len : strcspn(owned, ".")), owned);
	else
		at += put_labels(state, buf + at, 1 + below(state, 3));
	sprintf(buf + at, "%s", random_end(state));
}

/* A Node with dns, whose first source owns a host, and may have namespace a. */
struct scene {
	char owned[256], search[3][64];
	struct mt_text host, searches[3], namespace;
	struct mt_node_owns owns;
	struct mt_node_source source;
	struct mt_node_dns dns;
	struct mt_node node;
};

static void begin(struct scene *sc, uint64_t *state)
{
	size_t at;

	memset(sc, 0, sizeof(*sc));
	at = put_labels(state, sc->owned, 2 + below(state, 2));
	sprintf(sc->owned + at, "%s", random_end(state));
	sc->host.s = sc->owned;
	sc->owns = (struct mt_node_owns){.hosts = &sc->host, .n_hosts = 1};
	sc->source.owns = &sc->owns;
	sc->namespace.s = "a";
	sc->source.namespaces = &sc->namespace;
	sc->source.n_namespaces = below(state, 2);
	sc->dns.domain.s = DOMAIN;
	sc->dns.search = sc->searches;
	sc->dns.search_set = below(state, 2);
	for (uint32_t i = 0; sc->dns.search_set && i < MT_ARRAY_LEN(sc->search); i++) {
		at = put_labels(state, sc->search[i], 1 + below(state, 2));
		sprintf(sc->search[i] + at, "%s", random_end(state));
		sc->searches[sc->dns.n_search++].s = sc->search[i];
	}
	sc->node.meta.ns = "default";
	sc->node.dns = &sc->dns;
	sc->node.sources = &sc->source;
	sc->node.n_sources = 1;
}

/* Search domains as lib/conf/dns.c has them; returns their number. */
static uint32_t domains_of(const struct scene *sc, const char *out[3])
{
	static const char *const by_domain[] = {"default.svc." DOMAIN, "svc." DOMAIN, DOMAIN};

	for (uint32_t i = 0; i < 3; i++)
		out[i] = sc->dns.search_set ? sc->search[i] : by_domain[i];
	return 3;
}

static struct mt_dns_table *table_of(const struct scene *sc, const char *host)
{
	const char *search[3];
	const struct mt_dns_rules rules = {.owned = true,
		.domain = DOMAIN,
		.ns = "default",
		.search = search,
		.n_search = domains_of(sc, search),
		.ttl = 1};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	struct mt_addr a = mt_addr4(1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, host, &a, 1), 0);
	return mt_dns_builder_finish(b, NULL);
}

static bool is_answered(const struct mt_dns_table *t, const char *name)
{
	const struct mt_dns_ask ask = {.datagram = true, .recursion = true};
	uint64_t counters[MT_DNS_N_OUTCOMES] = {0};
	uint8_t q[300] = {0, 1, 1, 0, 0, 1}, out[MT_DNS_UDP_MAX];
	uint32_t len = 12, n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		q[len] = (uint8_t)label;
		memcpy(q + len + 1, name, label);
		len += (uint32_t)label + 1;
		name += label + (name[label] == '.');
	}
	memcpy(q + len, "\0\0\1\0\1", 5);
	return mt_dns_respond(t, &ask, q, len + 5, out, sizeof(out), &n, counters) ==
		       MT_DNS_REPLY &&
	       out[7];
}

/*
 * True if clients get an answer to the host, or to the host with a search domain after it, which may
 * be that of a namespace that is not the Node's.
 */
static bool clients_get(const struct scene *sc, const struct mt_dns_table *t, const char *host)
{
	const char *search[4];
	uint32_t n = domains_of(sc, search);
	char name[256];

	search[n++] = "a.svc." DOMAIN;
	if (is_answered(t, host))
		return true;
	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%.120s.%.120s", host, search[i]);
		if (is_answered(t, name))
			return true;
	}
	return false;
}

static void at_random(void)
{
	static struct scene sc;
	uint64_t state = 11;
	uint32_t answered = 0, permitted = 0;

	for (int round = 0; round < 20000; round++) {
		struct mt_dns_table *t;
		struct mt_region r;
		struct mt_owned *o;
		char host[256];
		bool has;

		begin(&sc, &state);
		random_host(&state, sc.owned, host);
		t = table_of(&sc, host);
		mt_region_init(&r, 0);
		o = mt_owned_new(&r, &sc.node, NULL, NULL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(o);
		has = mt_owned_name(o, host, 1) != NULL;
		permitted += !has;
		if (clients_get(&sc, t, sc.owned)) {
			answered++;
			if (!has)
				printf("\n  round %d: %s, %s", round, sc.owned, host);
			CU_ASSERT_TRUE(has);
		}
		mt_region_fini(&r);
		mt_dns_table_put(t);
	}
	CU_ASSERT(answered > 1000 && permitted > 1000);
}

const struct mt_test owned_names_tests[] = {
	{"at_random", at_random},
	{0},
};
