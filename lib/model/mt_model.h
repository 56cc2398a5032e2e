/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/model: the configuration model, types only. Sources (files, later xDS and registries) fill it on
 * the control thread; lib/conf checks and compiles it. Strings and arrays live in the model's region and
 * die with it. Every object remembers where it was written, so that errors name file and line.
 */
#pragma once

#include "mt_region.h"
#include "mt_model_node.h"
#include "mt_model_route.h"
#include "mt_model_service.h"
#include "mt_model_types.h"

/* Everything that the sources of one load said. */
struct mt_model {
	struct mt_region region;
	struct mt_node *node; /* NULL: no Node document */
	struct mt_objs service_entries, workload_entries, destination_rules, virtual_services,
		meta_routers, app_protocols, gateways, envoy_filters;
};

struct mt_model *mt_model_new(void);
void mt_model_free(struct mt_model *m);

/* Appends to a list of the model. 0 or -ENOMEM. */
int mt_model_add(struct mt_model *m, struct mt_objs *list, void *obj);

/* The value of a label; NULL: not there. */
const char *mt_labels_get(const struct mt_labels *l, const char *key);
/* Whether `have` holds every label of `want` with its value. */
bool mt_labels_match(const struct mt_labels *want, const struct mt_labels *have);
