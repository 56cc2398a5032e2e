/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots over their lives: what changed, what is kept, who holds, when one is freed. */
#include "conf_test.h"
#include "mt_conf_priv.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdio.h>

static const char service_text[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: %s}\nspec:\n"
	"  hosts: [%s]\n  addresses: [192.0.2.%d]\n"
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"
	"  endpoints: [{address: 198.51.100.1}%s]\n---\n";

/* Service a, or a and b; one or two instances of a. */
static struct mt_snapshot *compile(struct mt_conf *c, bool with_b, const char *more)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	char text[2048];
	int len = snprintf(text, sizeof(text), service_text, "a", "a", 1, more);

	if (with_b)
		snprintf(text + len, sizeof(text) - (size_t)len, service_text, "b", "b", 2, "");
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	s = mt_conf_compile(c, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

static void publish(struct mt_conf *c, struct mt_snapshot *s, const char *expect)
{
	struct mt_conf_change change;
	struct mt_err err;
	char words[256];

	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, &change, &err), 0);
	CU_ASSERT_STRING_EQUAL(mt_conf_change_str(&change, words, sizeof(words)), expect);
	CU_ASSERT_EQUAL(mt_conf_change_none(&change), strcmp(expect, "no change") == 0);
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c), s);
	CU_ASSERT_PTR_EQUAL(*mt_conf_slot(c), s);
}

/* A route's number is its own over snapshots, and comes back to others only when no snapshot names it. */
static void route_numbers(void)
{
	struct mt_conf *c = new_conf();
	struct mt_route_indexes *x = &c->routes;
	struct mt_err err;
	uint32_t of_a, n;

	mt_conf_publish(c, compile(c, true, ""), NOW, NULL, &err);
	of_a = mt_route_at(mt_conf_current(c)->services[0]->routes, 0)->index;
	CU_ASSERT(of_a > 0);
	CU_ASSERT_NOT_EQUAL(mt_route_at(mt_conf_current(c)->services[1]->routes, 0)->index, of_a);
	mt_conf_publish(c, compile(c, false, ", {address: 198.51.100.2}"), NOW, NULL, &err);
	CU_ASSERT_EQUAL(mt_route_at(mt_conf_current(c)->services[0]->routes, 0)->index, of_a);
	n = x->next;
	for (uint64_t id = 1; id <= 5000; id++)
		CU_ASSERT_EQUAL_FATAL(mt_route_index_get(x, id << 40), n + id);
	CU_ASSERT_EQUAL(mt_route_index_get(x, 7ull << 40), n + 7);
	mt_conf_publish(c, compile(c, false, ""), NOW, NULL, &err);
	CU_ASSERT_EQUAL(x->n_free, x->next - x->n);
	CU_ASSERT(x->n < 3 && x->n_free >= 5000);
	CU_ASSERT_EQUAL(
		mt_route_index_get(x, mt_route_at(mt_conf_current(c)->services[0]->routes, 0)->id),
		of_a);
	/* New ones are preferred, whose counts begin at nothing. */
	CU_ASSERT_EQUAL(mt_route_index_get(x, 1ull << 50), n + 5001);
	x->next = MT_SNAPSHOT_ROUTES_MAX - 1;
	for (uint32_t i = x->n_free; i > 0; i--)
		CU_ASSERT_NOT_EQUAL_FATAL(mt_route_index_get(x, (uint64_t)i << 20), 0);
	CU_ASSERT_EQUAL(mt_route_index_get(x, 1ull << 51), 0);
	mt_conf_destroy(c);
}

/* "cluster +x, service -y", with what a change is in brackets. */
static const char *items(const struct mt_conf *c)
{
	static const char signs[] = "+-~";
	static char text[1024];
	const struct mt_conf_items *l = mt_conf_items(c);
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < l->n && len < sizeof(text); i++) {
		const struct mt_conf_item *it = &l->v[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %c%s%s%s%s",
			len ? ", " : "", it->kind, signs[it->verb], it->name,
			*it->fields ? " [" : "", it->fields, *it->fields ? "]" : "");
	}
	return text;
}

static void changes(void)
{
	struct mt_conf *c = new_conf();
	const struct mt_ep_state *before;
	uint32_t index;

	publish(c, compile(c, false, ""),
		"1 listener added, 1 service added, 1 cluster added, 1 endpoint added");
	CU_ASSERT_EQUAL(mt_conf_current(c)->version, 1);
	before = mt_conf_current(c)->clusters[0].eps[0].state;
	index = mt_conf_current(c)->services[0]->index;
	publish(c, compile(c, false, ""), "no change");
	CU_ASSERT_EQUAL(mt_conf_current(c)->version, 2);
	publish(c, compile(c, true, ", {address: 198.51.100.2}"),
		"1 listener added, 1 service added, 1 cluster added, 1 cluster changed, 2 "
		"endpoints "
		"added");
	CU_ASSERT_STRING_EQUAL(items(c),
		"listener +192.0.2.2:1, service +b, cluster ~outbound|1||a [endpoints: "
		"+198.51.100.2:1], cluster +outbound|1||b");
	CU_ASSERT_STRING_EQUAL(mt_conf_items(c)->v[0].origin, "t:16");
	/* What outlives snapshots is found again. */
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c)->clusters[0].eps[0].state, before);
	CU_ASSERT_EQUAL(mt_conf_current(c)->services[0]->index, index);
	CU_ASSERT_EQUAL(mt_conf_current(c)->services[1]->index, index + 1);
	CU_ASSERT_EQUAL(mt_conf_current(c)->max_service_index, 2);
	publish(c, compile(c, false, ""),
		"1 listener removed, 1 service removed, 1 cluster removed, 1 cluster changed, 2 "
		"endpoints removed");
	CU_ASSERT_STRING_EQUAL(items(c),
		"listener -192.0.2.2:1, service -b, cluster ~outbound|1||a [endpoints: "
		"-198.51.100.2:1], cluster -outbound|1||b");
	publish(c, compile(c, false, ""), "no change");
	CU_ASSERT_EQUAL(mt_conf_items(c)->n, 0);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 0);
	mt_conf_destroy(c);
}

static void held_snapshots_live(void)
{
	struct mt_conf *c = new_conf();
	struct mt_snapshot *first = compile(c, false, "");

	publish(c, first, "1 listener added, 1 service added, 1 cluster added, 1 endpoint added");
	mt_snapshot_hold(first, 0);
	publish(c, compile(c, false, ""), "no change");
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 1);
	CU_ASSERT_STRING_EQUAL(first->services[0]->name, "a");
	mt_snapshot_drop(first, 0);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 0);
	mt_conf_destroy(c);
}

static void at_most_eight(void)
{
	struct mt_snapshot *s[MT_CONF_ALIVE_MAX + 1];
	struct mt_conf *c = new_conf();
	struct mt_err err;

	for (int i = 0; i < MT_CONF_ALIVE_MAX; i++) {
		s[i] = compile(c, false, "");
		CU_ASSERT_EQUAL(mt_conf_publish(c, s[i], NOW, NULL, &err), 0);
		mt_snapshot_hold(s[i], 0);
	}
	s[MT_CONF_ALIVE_MAX] = compile(c, false, "");
	CU_ASSERT_EQUAL(mt_conf_publish(c, s[MT_CONF_ALIVE_MAX], NOW, NULL, &err), -EBUSY);
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c), s[MT_CONF_ALIVE_MAX - 1]);
	/* Any of the old ones that is let go makes room. */
	mt_snapshot_drop(s[3], 0);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s[MT_CONF_ALIVE_MAX], NOW, NULL, &err), 0);
	mt_conf_destroy(c);
}

/* Each says which of the old ones are to be let go, early enough that there is always room for two more. */
static void old_ones_are_called_in(void)
{
	struct mt_conf *c = new_conf();
	struct mt_err err;

	for (uint64_t v = 1; v <= 20; v++) {
		struct mt_snapshot *s = compile(c, false, "");

		CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
		CU_ASSERT_EQUAL(s->version, v);
		CU_ASSERT_EQUAL(
			s->keep_from, v > MT_CONF_ALIVE_MAX - 2 ? v - (MT_CONF_ALIVE_MAX - 3) : 0);
	}
	mt_conf_destroy(c);
}

/* A worker that has not passed a quiescent point may still look at the old snapshot. */
static void quiescence(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(1);
	struct rte_rcu_qsbr *rcu = aligned_alloc(64, (size + 63) & ~(size_t)63);
	struct mt_conf_options o = {.workers = 1, .rcu = rcu};
	struct mt_conf *c;
	struct mt_err err;

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(rcu, 1), 0);
	CU_ASSERT_EQUAL(rte_rcu_qsbr_thread_register(rcu, 0), 0);
	rte_rcu_qsbr_thread_online(rcu, 0);
	c = mt_conf_create(&o, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(mt_conf_publish(c, compile(c, false, ""), NOW, NULL, &err), 0);
	CU_ASSERT_EQUAL(mt_conf_publish(c, compile(c, false, ""), NOW, NULL, &err), 0);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 1);
	rte_rcu_qsbr_quiescent(rcu, 0);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 0);
	mt_conf_destroy(c);
	free(rcu);
}

static void refused_leaves_the_old(void)
{
	struct mt_conf *c = new_conf();
	struct mt_snapshot *s = compile(c, false, "");
	struct built b;

	publish(c, s, "1 listener added, 1 service added, 1 cluster added, 1 endpoint added");
	b = build_text(c, "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			  "metadata: {name: x}\nspec:\n  hosts: [b]\n"
			  "  ports: [{number: 1, name: tcp-metaprotocol}]\n  resolution: STATIC\n");
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c), s);
	unbuild(&b);
}

/* Documents of the services that `set` has, in an order that begins with service `first`. */
static struct mt_snapshot *compile_set(struct mt_conf *c, unsigned int set, unsigned int first)
{
	char text[4096] = "", name[2] = "";
	struct built b;
	int len = 0;

	for (unsigned int k = 0; k < 5; k++) {
		unsigned int i = (first + k) % 5;

		name[0] = (char)('a' + i);
		if (set >> i & 1)
			len += snprintf(text + len, sizeof(text) - (size_t)len, service_text, name,
				name, i + 1, "");
	}
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	b.conf = NULL;
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	return b.s;
}

/* From any of five services to any other, wherever they stand: no more and no fewer than what came and went. */
static void from_any_to_any(void)
{
	struct mt_conf *c = new_conf();
	struct mt_conf_change is;
	struct mt_err err;
	unsigned int was = 0;

	CU_ASSERT_EQUAL(mt_conf_publish(c, compile_set(c, 0, 0), NOW, NULL, &err), 0);
	for (unsigned int i = 0; i < 32 * 32; i++) {
		/* Each pair of sets once: a walk that takes every step. */
		unsigned int set = (was + i / 32) % 32;
		uint32_t came = (uint32_t)__builtin_popcount(set & ~was);
		uint32_t went = (uint32_t)__builtin_popcount(was & ~set);

		CU_ASSERT_EQUAL(mt_conf_publish(c, compile_set(c, set, i % 5), NOW, &is, &err), 0);
		CU_ASSERT(is.listeners_added == came && is.listeners_removed == went);
		CU_ASSERT(is.services_added == came && is.services_removed == went);
		CU_ASSERT(is.clusters_added == came && is.clusters_removed == went);
		CU_ASSERT(is.endpoints_added == came && is.endpoints_removed == went);
		CU_ASSERT(!is.clusters_changed && !is.services_changed && !is.listeners_changed);
		mt_conf_reap(c, NOW);
		was = set;
	}
	mt_conf_destroy(c);
}

/* The constants of mt_hash_words(), which adds a word by the halves of a product. */
#define HASH_K 0x9e3779b97f4a7c15ull
#define HASH_M 0xe7037ed1a0b428dbull

/* The word after `first` (0: none) that makes this product 0, so that all before it is lost. */
static uint64_t canceller(uint64_t seed, uint64_t len, uint64_t first)
{
	uint64_t h = seed ^ len * HASH_K;
	unsigned __int128 r = (unsigned __int128)(h ^ first ^ HASH_K) * HASH_M;

	return (first ? (uint64_t)r ^ (uint64_t)(r >> 64) : h) ^ HASH_K;
}

static uint64_t quick_u64(uint64_t v, uint64_t h)
{
	return mt_hash_words(&v, sizeof(v), h);
}

static uint64_t quick_text(const char *s, uint64_t h)
{
	return mt_hash_words(s, strlen(s) + 1, h);
}

/* Addresses that an author makes for one quick hash have different ids. */
static void ids_of_addresses(void)
{
	struct mt_addr a[2];

	for (uint64_t i = 0; i < 2; i++) {
		a[i].q[0] = 0xb80d0120 + (i << 32);
		a[i].q[1] = canceller(quick_u64(a[i].q[0], 0), 8, 0);
	}
	CU_ASSERT_EQUAL(quick_u64(a[0].q[1], quick_u64(a[0].q[0], 0)),
		quick_u64(a[1].q[1], quick_u64(a[1].q[0], 0)));
	CU_ASSERT_EQUAL(mt_id_of_addr(&a[0]), mt_id_of_addr(&a[0]));
	CU_ASSERT_NOT_EQUAL(mt_id_of_addr(&a[0]), mt_id_of_addr(&a[1]));
}

/* The same of names, two of which are made. */
static void ids_of_names(void)
{
	uint64_t of = quick_text("x", quick_text("Gateway", 0)), words[2];
	char names[2][sizeof(words) + 1];
	struct mt_meta metas[2];
	uint32_t n = 0;

	for (words[0] = 0x6161616161616161ull; n < 2; words[0]++) {
		words[1] = canceller(of, sizeof(names[n]), words[0]);
		memcpy(names[n], words, sizeof(words));
		names[n][sizeof(words)] = '\0';
		metas[n] = (struct mt_meta){.kind = "Gateway", .ns = "x", .name = names[n]};
		n += strlen(names[n]) == sizeof(words);
	}
	CU_ASSERT_EQUAL(quick_text(names[0], of), quick_text(names[1], of));
	CU_ASSERT_EQUAL(mt_id_of_name(&metas[0]), mt_id_of_name(&metas[0]));
	CU_ASSERT_NOT_EQUAL(mt_id_of_name(&metas[0]), mt_id_of_name(&metas[1]));
	metas[0].name = metas[1].name;
	CU_ASSERT_EQUAL(mt_id_of_name(&metas[0]), mt_id_of_name(&metas[1]));
	metas[0].ns = "y";
	CU_ASSERT_NOT_EQUAL(mt_id_of_name(&metas[0]), mt_id_of_name(&metas[1]));
}

const struct mt_test publish_tests[] = {
	{"changes", changes},
	{"ids_of_addresses", ids_of_addresses},
	{"ids_of_names", ids_of_names},
	{"from any to any", from_any_to_any},
	{"route numbers", route_numbers},
	{"held_snapshots_live", held_snapshots_live},
	{"at_most_eight", at_most_eight},
	{"old ones are called in", old_ones_are_called_in},
	{"quiescence", quiescence},
	{"refused_leaves_the_old", refused_leaves_the_old},
	{0},
};
