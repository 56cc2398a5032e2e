/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of a host that the Node gives to one source. The host and its own address do not keep
 * the service: the addresses of its endpoints must be the source's, too.
 */
#include "objects_test.h"

#include <stdio.h>

#define NODE(addresses)                                                                            \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n  sources:\n"        \
	"  - {directory: shop, namespaces: [shop], owns: {hosts: [one.corp], addresses: "          \
	"[240.240.2.0/24" addresses "]}}\n"                                                        \
	"  - {directory: a, namespaces: [a]}\n"
#define SERVED(name, ns, host, address, endpoint)                                                  \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" host "]\n  addresses: [" address "]\n  resolution: STATIC\n"                  \
	"  ports: [{number: 80, name: tcp}]\n  endpoints: [{address: " endpoint "}]\n"
#define ONE   SERVED("one", "shop", "one.corp", "240.240.2.1", "198.51.100.11")
#define OTHER SERVED("s", "a", "s.a", "198.51.100.11", "198.51.100.66")

/* A service of another source at the endpoint's address, while the owner's object is absent. */
static void a_service_at_the_address(void)
{
	static const struct {
		const char *node, *one, *other;
	} rows[] = {
		{NODE(", 198.51.100.0/28"), "in-force", "refused"},
		{NODE(""), "refused", "in-force"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;
		char cmd[96];

		scene_begin(&sc);
		snprintf(cmd, sizeof(cmd), "mkdir %s/shop %s/a", sc.dir, sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, "0-node.yaml", rows[i].node);
		scene_write(&sc, "shop/one.yaml", ONE);
		scene_serve(&sc);
		IS_STATUS(&sc, "ServiceEntry", "one", "in-force");
		scene_write(&sc, "a/x.yaml", OTHER);
		scene_write(&sc, "shop/one.yaml", NULL);
		scene_serve(&sc);
		IS_STATUS(&sc, "ServiceEntry", "s", rows[i].other);
		scene_write(&sc, "shop/one.yaml", ONE);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			IS_STATUS(&sc, "ServiceEntry", "one", rows[i].one);
			IS_STATUS(&sc, "ServiceEntry", "s", rows[i].other);
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

const struct mt_test owns_endpoints_tests[] = {
	{"a_service_at_the_address", a_service_at_the_address},
	{0},
};
