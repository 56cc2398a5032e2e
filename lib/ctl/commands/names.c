/* SPDX-License-Identifier: Apache-2.0 */
/* Names of objects that exist now, one walker per kind. */
#include "names.h"

#include "mt_objects.h"

#include <stdio.h>
#include <string.h>

void mt_offer(struct mt_offers *o, const char *word, const char *help)
{
	if (o->more || !word || !*word || strncmp(word, o->part, strlen(o->part)) != 0)
		return;
	/* A name with a blank cannot be typed as one word. */
	if (strpbrk(word, " \t") || json_object_get(o->words, word))
		return;
	if (json_object_size(o->words) == MT_OFFERS_MAX)
		o->more = true;
	else
		json_object_set_new(o->words, word, json_string(help));
}

static void services(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);

	for (uint32_t i = 0; s && i < s->n_services && !o->more; i++)
		mt_offer(o, s->services[i]->name, "service");
}

static void clusters(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);

	for (uint32_t i = 0; s && i < s->n_clusters && !o->more; i++)
		mt_offer(o, s->clusters[i].name, "cluster");
}

static void endpoints(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	char name[MT_ADDR_STRLEN];

	for (uint32_t i = 0; s && i < s->n_clusters; i++)
		for (uint32_t k = 0; k < s->clusters[i].n_eps && !o->more; k++) {
			mt_endpoint_name(&s->clusters[i].eps[k], name);
			mt_offer(o, name, s->clusters[i].name);
		}
}

static void routes(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);

	for (uint32_t i = 0; s && i < s->n_services; i++) {
		const struct mt_route_table *t = s->services[i]->routes;

		for (uint32_t k = 0; t && k < mt_route_count(t) && !o->more; k++)
			mt_offer(o, mt_route_at(t, k)->name, s->services[i]->name);
	}
}

static void listeners(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	char name[MT_ADDR_STRLEN];

	for (uint32_t i = 0; s && i < s->n_listeners && !o->more; i++) {
		const struct mt_listener *l = &s->listeners[i];
		const struct mt_service *only = mt_ctl_only_service(l);

		mt_offer(o, mt_addr_port_str(&l->addr, l->port, name),
			only ? only->name : "listener");
	}
}

static void forwards(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	char name[MT_ADDR_STRLEN];

	for (uint32_t i = 0; s && i < s->n_forwards && !o->more; i++)
		mt_offer(o, mt_addr_port_str(&s->forwards[i].addr, s->forwards[i].port, name),
			s->forwards[i].service);
}

static void ports(struct mt_ctl *c, struct mt_offers *o)
{
	for (uint16_t i = 0; i < c->env.n_ports; i++)
		mt_offer(o, c->env.ports[i]->name, "port");
}

static void workers(struct mt_ctl *c, struct mt_offers *o)
{
	char name[8];

	for (uint16_t i = 0; i < c->env.n_workers; i++) {
		snprintf(name, sizeof(name), "%u", i);
		mt_offer(o, name, "worker");
	}
}

static void counters(struct mt_ctl *c, struct mt_offers *o)
{
	char name[128];

	for (size_t s = 0; s < mt_n_ctl_sets; s++)
		for (uint32_t i = 0; i < mt_ctl_sets[s]->n && !o->more; i++) {
			snprintf(name, sizeof(name), "%s_%s", mt_ctl_sets[s]->room,
				mt_ctl_sets[s]->rows[i].name);
			mt_offer(o, name, mt_ctl_sets[s]->rows[i].words);
		}
}

static void versions(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)(s ? s->version : 0));
	mt_offer(o, name, "the configuration in use");
}

static void limits(struct mt_ctl *c, struct mt_offers *o)
{
	struct mt_limit_registry *reg = c->env.conf ? mt_conf_limits(c->env.conf) : NULL;
	struct mt_limit_info info;
	uint32_t idx = 0;

	while (reg && !o->more && mt_limit_next(reg, &idx, c->now, &info))
		mt_offer(o, info.service, info.match);
}

static void policies(struct mt_ctl *c, struct mt_offers *o)
{
	static const struct mt_request plain = {.n = 0};
	json_t *all = mt_show_policies(c, &plain), *row;
	size_t i;

	json_array_foreach(json_object_get(all, "policies"), i, row)
		mt_offer(o, json_string_value(json_object_get(row, "name")),
			json_string_value(json_object_get(row, "kind")));
	json_decref(all);
}

/* Offers the first words of commands, because `help` takes any of them. */
static void commands(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_command *cmd;
	char word[64];

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		size_t len = strcspn(cmd->words, " ");

		snprintf(word, sizeof(word), "%.*s", (int)len, cmd->words);
		mt_offer(o, word, cmd->words[len] ? "" : cmd->help);
	}
}

static void modules(struct mt_ctl *c, struct mt_offers *o)
{
	for (int i = 0; i < MT_LOG_MODULES; i++)
		mt_offer(o, mt_log_module_str((enum mt_log_module)i),
			mt_log_module_words((enum mt_log_module)i));
}

static void log_words(struct mt_ctl *c, struct mt_offers *o)
{
	for (int i = 0; i < MT_LOG_LEVELS; i++)
		mt_offer(o, mt_log_level_str((enum mt_log_level)i), "level");
	modules(c, o);
}

static void statuses(struct mt_ctl *c, struct mt_offers *o)
{
	for (int i = 0; i < MT_OBJECT_STATUSES; i++)
		mt_offer(o, mt_object_status_str((enum mt_object_status)i),
			mt_object_status_help((enum mt_object_status)i));
}

/* True for names that come from tables, and so exist without a running node. */
static bool from_tables(enum mt_names kind)
{
	return kind == MT_NAMES_COUNTER || kind == MT_NAMES_COMMAND || kind == MT_NAMES_STATUS ||
	       kind == MT_NAMES_MODULE || kind == MT_NAMES_LOG;
}

void mt_offer_names(struct mt_ctl *c, enum mt_names kind, struct mt_offers *o)
{
	static void (*const walkers[MT_N_NAMES])(struct mt_ctl *, struct mt_offers *) = {
		[MT_NAMES_SERVICE] = services,
		[MT_NAMES_CLUSTER] = clusters,
		[MT_NAMES_ENDPOINT] = endpoints,
		[MT_NAMES_ROUTE] = routes,
		[MT_NAMES_LISTENER] = listeners,
		[MT_NAMES_FORWARD] = forwards,
		[MT_NAMES_PORT] = ports,
		[MT_NAMES_WORKER] = workers,
		[MT_NAMES_COUNTER] = counters,
		[MT_NAMES_VERSION] = versions,
		[MT_NAMES_LIMIT] = limits,
		[MT_NAMES_COMMAND] = commands,
		[MT_NAMES_STATUS] = statuses,
		[MT_NAMES_POLICY] = policies,
		[MT_NAMES_MODULE] = modules,
		[MT_NAMES_LOG] = log_words,
	};

	if (walkers[kind] && (c || from_tables(kind)))
		walkers[kind](c, o);
}
