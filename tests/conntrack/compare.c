/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the states after each segment, and finds the rule that explains a difference. */
#include "rules.h"

#include <string.h>

#define GOES_ON false
#define ENDS	true

static const struct ct_rule rules[] = {
#define EXPLAINED(name, ends, least, most, document, text) {#name, document, text, least, most},
#include "explained.def"
#undef EXPLAINED
};

static const struct {
	bool (*explains)(const struct ct_event *e);
	bool ends;
} predicates[] = {
#define EXPLAINED(name, ends, least, most, document, text) {ct_##name, ends},
#include "explained.def"
#undef EXPLAINED
};

uint32_t ct_rules(const struct ct_rule **r)
{
	*r = rules;
	return MT_ARRAY_LEN(rules);
}

bool ct_corresponds(uint8_t kernel, uint8_t ours)
{
	static const uint8_t same[CT_KERNELS] = {
		[CT_NONE] = MT_L4_STATELESS,
		[CT_SYN_SENT] = MT_L4_SYN_SENT,
		[CT_SYN_RECV] = MT_L4_SYN_RECEIVED,
		[CT_ESTABLISHED] = MT_L4_ESTABLISHED,
		[CT_FIN_WAIT] = MT_L4_HALF_CLOSED,
		[CT_CLOSE_WAIT] = MT_L4_HALF_CLOSED,
		[CT_LAST_ACK] = MT_L4_CLOSING,
		[CT_TIME_WAIT] = MT_L4_TIME_WAIT,
		[CT_CLOSE] = MT_L4_RESET,
		[CT_SYN_SENT2] = MT_L4_STATES,
		[CT_REVERSED] = MT_L4_STATES,
	};

	/* The kernel removes an entry when a reset is the only answer. */
	return same[kernel] == ours || (kernel == CT_NONE && ours == MT_L4_RESET);
}

/* True if the comparison goes on. */
static bool explain(const struct ct_event *e, struct ct_result *r, uint32_t i)
{
	for (uint32_t k = 0; k < MT_ARRAY_LEN(predicates); k++)
		if (predicates[k].explains(e)) {
			r->rules |= 1ull << k;
			return !predicates[k].ends;
		}
	r->different = i;
	return false;
}

void ct_compare(const struct ct_sequence *q, const struct ct_states *states, struct ct_result *r)
{
	struct ct_event e = {0};

	*r = (struct ct_result){.different = CT_EQUAL};
	for (uint32_t i = 0; i < q->n; i++) {
		e.g = &q->at[i];
		e.k0 = e.k;
		e.l0 = e.l;
		e.k = states->kernel[i];
		e.l = states->ours[i];
		e.was = e.now;
		ct_history_add(&e);
		r->compared = i + 1;
		if (!ct_corresponds(e.k, e.l) && !explain(&e, r, i))
			return;
		/* Such flags may have changed what no state shows, and so may segments unread. */
		if (ct_is_bad(e.g->flags) ||
			(e.l0 == MT_L4_RESET && e.l != MT_L4_RESET && e.was.missed))
			return;
	}
}
