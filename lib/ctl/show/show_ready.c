/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness of the node and the conditions it waits for; used by /ready, the shell and others. */
#include "mt_ctl_priv.h"

void mt_ctl_ready(const struct mt_ctl *c, struct mt_ctl_ready *out)
{
	*out = (struct mt_ctl_ready){.ready = true};
	if (c->env.ready)
		c->env.ready(c->env.arg, out);
}

enum mt_ctl_state mt_ctl_state_now(const struct mt_ctl *c)
{
	struct mt_ctl_ready r;

	mt_ctl_ready(c, &r);
	return c->state == MT_CTL_SERVING && !r.ready ? MT_CTL_STARTING : c->state;
}

bool mt_ctl_answers_ready(const struct mt_ctl *c)
{
	return !c->ready_off && mt_ctl_state_now(c) == MT_CTL_SERVING;
}

json_t *mt_show_ready(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_ready ready;
	json_t *list = json_array();
	const char *why = c->ready_off			? "`ready off`; `ready on` ends it"
			  : c->state == MT_CTL_DRAINING ? "it drains"
			  : c->state == MT_CTL_STARTING ? "it starts"
							: NULL;

	mt_ctl_ready(c, &ready);
	for (uint32_t i = 0; !ready.ready && i < ready.n; i++)
		mt_json_add(list, MT_M("what", ready.waits[i].kind),
			MT_M("name", ready.waits[i].name), MT_M("source", ready.waits[i].source),
			MT_M("why", ready.waits[i].why));
	return mt_json_object(MT_M("ready", mt_ctl_answers_ready(c)),
		MT_M("why", why		    ? why
			    : ready.ready   ? "everything that is to be served is"
			    : ready.restart ? "it waits for what is below, and then for a restart"
					    : "it waits for what is below; `accept` makes what is "
					      "served now what is to be served"),
		MT_M("waits_for", list));
}
