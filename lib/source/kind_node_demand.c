/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the `onDemand` of a discovery server. */
#include "mt_fields.h"

#define TIMEOUT_MS     1000
#define TIMEOUT_MAX_MS 30000
#define IDLE_MS	       600000
#define IDLE_MIN_MS    1000
#define IDLE_MAX_MS    (7u * 86400 * 1000)
#define ABSENT_MS      10000
#define ABSENT_MAX_MS  3600000
#define NAMES	       1000
#define NAMES_MAX      50000
#define PER_SECOND     100

static void set_default(struct mt_num *n, uint32_t v)
{
	if (!n->set)
		n->v = v;
}

static void defaults(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_demand *d = obj;

	set_default(&d->timeout, TIMEOUT_MS);
	set_default(&d->idle, IDLE_MS);
	set_default(&d->absent, ABSENT_MS);
	set_default(&d->names, NAMES);
	set_default(&d->per_second, PER_SECOND);
}

static const struct mt_field demand_fields[] = {
	{"timeout", MT_F_DURATION, AT(struct mt_node_demand, timeout), .min = 10,
		.max = TIMEOUT_MAX_MS,
		.help = "how long a call waits for its cluster before a local reply; default: 1s, "
			"at most 30s"},
	{"idle", MT_F_DURATION, AT(struct mt_node_demand, idle), .min = IDLE_MIN_MS,
		.max = IDLE_MAX_MS,
		.help = "a cluster without calls for this time is dropped; default: 10m"},
	{"absent", MT_F_DURATION, AT(struct mt_node_demand, absent), .min = 100,
		.max = ABSENT_MAX_MS,
		.help = "time until a name that does not exist, or got no answer, is requested "
			"again; its calls get a local reply at once; default: 10s"},
	{"names", MT_F_NUM, AT(struct mt_node_demand, names), .min = 1, .max = NAMES_MAX,
		.help = "most names requested at a time, including names that do not exist; "
			"default: 1000"},
	{"perSecond", MT_F_NUM, AT(struct mt_node_demand, per_second), .min = 1, .max = 10000,
		.help = "most new names requested in a second; default: 100"},
	{"routes", MT_F_BOOL, AT(struct mt_node_demand, routes),
		.help = "true: also route tables, so that only a service's listener exists before "
			"its first call; default: false"},
};

const struct mt_section mt_sec_node_demand = {"setting of on-demand discovery",
	sizeof(struct mt_node_demand), MT_ARRAY_LEN(demand_fields), .fields = demand_fields,
	.after = defaults};
