/* SPDX-License-Identifier: Apache-2.0 */
/* Which namespace has the address of a workload while entries of others come and go. */
#include "mt_conf_guests.h"
#include "objects_test.h"

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24], side: workloads}]\n"   \
	"  sources: [{directory: all}, {directory: all/shop, namespaces: [shop]}, "                \
	"{directory: all/team, namespaces: [a]}]\n"
#define ENTRY(name, ns)                                                                            \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec: {address: 192.0.2.5, serviceAccount: y}\n"
#define GUEST(name, ns, more)                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: " name        \
	"\n  namespace: " ns "\n" more                                                             \
	"  annotations: {meltemi.io/vhost-user: /run/meltemi-guests/a.sock, "                      \
	"meltemi.io/mac: '52:54:00:09:00:0b'}\nspec: {address: 10.9.0.11}\n"
#define OF_SHOP "cluster.local/ns/shop/sa/y"

/* Loads what is written, and puts it into force. Returns the principal of the only workload. */
static const char *serve(struct scene *sc)
{
	const struct mt_snapshot *s;

	scene_serve(sc);
	s = mt_conf_current(sc->conf);
	CU_ASSERT_EQUAL_FATAL(s->n_bound, 1);
	return s->bound[0].principal ? s->bound[0].principal : "";
}

static void begin(struct scene *sc)
{
	char cmd[100];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/shop %s/all/team", sc->dir, sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", NODE);
	scene_write(sc, "all/shop/v.yaml", ENTRY("buyer", "shop"));
	CU_ASSERT_STRING_EQUAL(serve(sc), OF_SHOP);
}

/*
 * An entry of a source without `namespaces` that was written by mistake takes the address for its
 * time only, and gives it to no entry that was written meanwhile.
 */
static void a_mistake(void)
{
	static const char *const meanwhile[] = {ENTRY("buyer", "shop"), ENTRY("other", "shop")};

	for (size_t i = 0; i < MT_ARRAY_LEN(meanwhile); i++) {
		struct scene sc;

		begin(&sc);
		scene_write(&sc, "all/z.yaml", ENTRY("z", "infra"));
		CU_ASSERT_STRING_EQUAL(serve(&sc), "cluster.local/ns/infra/sa/y");
		CU_ASSERT(scene_has(&sc, "v.yaml",
			"(write the address of its own workload, or remove one of the two "
			"entries)"));
		scene_write(&sc, "all/team/x.yaml", ENTRY("x", "a"));
		scene_write(&sc, "all/shop/v.yaml", meanwhile[i]);
		for (int load = 0; load < 3; load++)
			CU_ASSERT_STRING_EQUAL(serve(&sc), "cluster.local/ns/infra/sa/y");
		scene_write(&sc, "all/z.yaml", NULL);
		for (int load = 0; load < 2; load++)
			CU_ASSERT_STRING_EQUAL(serve(&sc), OF_SHOP);
		scene_end(&sc);
	}
}

/* It keeps nothing for an entry that was not there before it, or that left. */
static void who_left(void)
{
	struct scene sc;

	begin(&sc);
	scene_write(&sc, "all/team/x.yaml", ENTRY("x", "a"));
	scene_write(&sc, "all/z.yaml", ENTRY("z", "infra"));
	CU_ASSERT_STRING_EQUAL(serve(&sc), "cluster.local/ns/infra/sa/y");
	scene_write(&sc, "all/shop/v.yaml", NULL);
	CU_ASSERT_STRING_EQUAL(serve(&sc), "cluster.local/ns/infra/sa/y");
	scene_write(&sc, "all/z.yaml", NULL);
	CU_ASSERT_STRING_EQUAL(serve(&sc), "");
	CU_ASSERT_STRING_EQUAL(mt_conf_current(sc.conf)->bound[0].why,
		"WorkloadEntry a/x waits, because until now an entry of another namespace had the "
		"address or disputed it");
	scene_end(&sc);
}

/* Loads what is written. Returns the only entry that is a virtual machine and not refused. */
static const char *guest_of(struct scene *sc)
{
	const struct mt_conf_guests *all;
	const char *name = "";

	scene_serve(sc);
	all = mt_conf_guests(mt_conf_current(sc->conf));
	CU_ASSERT_EQUAL(all->n, all->n_refused + 1);
	for (uint32_t i = 0; i < all->n; i++)
		if (!all->v[i].refused)
			name = all->v[i].name;
	return name;
}

/*
 * A virtual machine stays that of its entry, whatever date another author writes. An entry of a
 * source without `namespaces` takes it.
 */
static void a_guest(void)
{
	struct scene sc;

	begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE "  guests: {networks: [{address: 10.9.0.1/24}]}\n");
	scene_write(&sc, "all/shop/g.yaml", GUEST("vm1", "shop", ""));
	CU_ASSERT_STRING_EQUAL(guest_of(&sc), "shop/vm1");
	scene_write(&sc, "all/team/x.yaml",
		GUEST("x", "a", "  creationTimestamp: '2001-01-01T00:00:00Z'\n"));
	CU_ASSERT_STRING_EQUAL(guest_of(&sc), "shop/vm1");
	CU_ASSERT(scene_has(&sc, "x.yaml", "refused: WorkloadEntry shop/vm1 already has socket"));
	scene_write(&sc, "all/z.yaml", GUEST("z", "infra", ""));
	CU_ASSERT_STRING_EQUAL(guest_of(&sc), "infra/z");
	CU_ASSERT(scene_has(&sc, "g.yaml", "refused: WorkloadEntry infra/z already has socket"));
	scene_end(&sc);
}

const struct mt_test held_workloads_tests[] = {
	{"a_mistake", a_mistake}, {"who_left", who_left}, {"a_guest", a_guest}, {0}};
