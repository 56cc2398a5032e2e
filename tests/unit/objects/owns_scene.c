/* SPDX-License-Identifier: Apache-2.0 */
#include "owns_test.h"

void owns_begin(struct scene *sc, const char *node)
{
	char cmd[160];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir %s/shop %s/a %s/ops", sc->dir, sc->dir, sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", node);
	scene_write(sc, "shop/w.yaml", BUYER);
	scene_write(sc, "shop/one.yaml", ONE);
}

const char *owns_principal(const struct scene *sc, const char *address)
{
	const struct mt_snapshot *s = sc->s ? sc->s : mt_conf_current(sc->conf);
	char text[MT_ADDR_STRLEN];

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	for (uint32_t i = 0; i < s->n_bound; i++)
		if (strcmp(mt_addr_str(&s->bound[i].addr, text), address) == 0)
			return s->bound[i].principal ? s->bound[i].principal : "-";
	return "";
}

const char *owns_leads_to(const struct scene *sc, const char *host)
{
	const struct mt_snapshot *s = sc->s ? sc->s : mt_conf_current(sc->conf);
	static char text[MT_ADDR_STRLEN];
	char name[128];

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	snprintf(name, sizeof(name), "outbound|80||%s", host);
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, name) == 0 && s->clusters[i].n_eps == 1)
			return mt_addr_str(&s->clusters[i].eps[0].addr, text);
	return "-";
}

void owns_victims_are_served(const struct scene *sc)
{
	IS_PRINCIPAL(sc, "192.0.2.5", "cluster.local/ns/shop/sa/buyer");
	LEADS_TO(sc, "one.corp", "198.51.100.11");
	IS_STATUS(sc, "WorkloadEntry", "buyer", "in-force");
	IS_STATUS(sc, "ServiceEntry", "one", "in-force");
}
