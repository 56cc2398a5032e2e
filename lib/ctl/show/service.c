/* SPDX-License-Identifier: Apache-2.0 */
/* Details of one service: its rows from several commands. Lists are bounded. */
#include "mt_ctl_priv.h"

#include <string.h>

#define ROUTES	 50u
#define SLOW	 16u
#define OUTLIERS 16u

static const struct mt_service *named(const struct mt_filter_chain_proto *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_services; i++)
		if (strcmp(p->services[i]->name, name) == 0)
			return p->services[i];
	return NULL;
}

static const struct mt_service *find(const struct mt_snapshot *snap, const char *name,
	const char *listener, const struct mt_filter_chain_proto **at)
{
	char where[MT_ADDR_STRLEN];

	for (uint32_t i = 0; snap && i < snap->n_listeners; i++) {
		const struct mt_listener *l = &snap->listeners[i];

		if (strcmp(mt_addr_port_str(&l->addr, l->port, where), listener) != 0)
			continue;
		for (uint32_t k = 0; k < l->n_protos; k++) {
			const struct mt_service *s = named(&l->protos[k], name);

			if (s) {
				*at = &l->protos[k];
				return s;
			}
		}
	}
	return NULL;
}

/* Rows of a command's table whose `field` equals one of these texts, at most `max`. */
static json_t *some(struct mt_ctl *c, const char *words, const char *table, const char *field,
	const json_t *texts, uint32_t max)
{
	json_t *all = mt_command_look(c, words), *out = json_array(), *row, *text;
	size_t i, k;

	json_array_foreach(json_object_get(all, table), i, row)
	{
		json_array_foreach((json_t *)texts, k, text)
		{
			if (json_array_size(out) < max &&
				json_equal(json_object_get(row, field), text)) {
				json_array_append(out, row);
				break;
			}
		}
	}
	json_decref(all);
	return out;
}

/* Records of slow calls keep only the start of a long name. */
static json_t *slow_of(struct mt_ctl *c, const struct mt_service *s)
{
	char kept[sizeof(((struct mt_record *)0)->service)];
	json_t *names, *rows;

	mt_record_text(kept, MT_RECORD_SERVICE, s->name, strlen(s->name));
	names = json_pack("[o]", mt_json_text(kept));
	rows = some(c, "show slow", "slow", "service", names, SLOW);
	json_decref(names);
	return rows;
}

static json_t *outliers_of(struct mt_ctl *c, const json_t *links)
{
	json_t *names = json_array(), *rows, *link;
	size_t i;

	json_array_foreach((json_t *)links, i, link)
		json_array_append(names, json_object_get(link, "cluster"));
	rows = some(c, "show outliers", "outliers", "cluster", names, OUTLIERS);
	json_decref(names);
	return rows;
}

json_t *mt_service_detail(struct mt_ctl *c, const char *name, const char *listener)
{
	const struct mt_filter_chain_proto *p = NULL;
	const struct mt_service *s = find(mt_ctl_snapshot(c), name, listener, &p);
	json_t *routes = json_array(), *all;
	uint32_t left;

	if (!s) {
		json_decref(routes);
		return json_pack("{s:[], s:[], s:[], s:[], s:[], s:i, s:[], s:[]}", "services",
			"links", "clusters", "endpoints", "routes", "routes_left_out", 0, "slow",
			"outliers");
	}
	all = mt_topology_of(c, p, s);
	left = mt_rows_routes(c, routes, s, ROUTES);
	mt_json_set(all, MT_M("routes", routes), MT_M("routes_left_out", left),
		MT_M("slow", slow_of(c, s)),
		MT_M("outliers", outliers_of(c, json_object_get(all, "links"))));
	return all;
}
