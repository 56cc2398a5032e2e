/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_priv.h"

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "port_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_port_outcomes = {"port", rows, MT_ARRAY_LEN(rows)};

uint64_t mt_port_count(const struct mt_port *p, enum mt_port_outcome o)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; p->workers && w < p->n_workers; w++)
		sum += mt_count_read(&p->workers[w].counters[o]);
	return sum;
}

const struct mt_profile *mt_port_profile(const struct mt_port *p)
{
	return &mt_container_of(p, const struct mt_ethdev, port)->profile;
}

const char *mt_port_interface(const struct mt_port *p)
{
	return mt_container_of(p, const struct mt_ethdev, port)->interface;
}
