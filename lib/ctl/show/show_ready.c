/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness of the node and the conditions it waits for; used by /ready, the shell and others. */
#include "mt_ctl_priv.h"
#include "mt_objects.h"

#include <stdio.h>

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

const char *mt_ctl_not_served(const struct mt_ctl *c, char *buf, size_t size)
{
	const struct mt_object_table *t = c->env.objects ? c->env.objects(c->env.arg) : NULL;
	const struct mt_object_row *first = NULL;
	char name[512];
	uint32_t n = 0;

	for (uint32_t i = t ? t->n : 0; i-- > 0;)
		if (t->rows[i].status == MT_OBJECT_REFUSED) {
			first = &t->rows[i];
			n++;
		}
	if (!first)
		return NULL;
	(void)mt_object_str(first->o, name, sizeof(name));
	snprintf(buf, size, "%s (%s:%u) is refused%s: `show objects where status=refused`", name,
		first->o->origin.file, first->o->origin.line, n > 1 ? ", and others are" : "");
	return buf;
}

json_t *mt_show_ready(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_ready ready;
	char refused[800], but[900] = "everything that is to be served is";
	json_t *list = json_array();
	const char *why = c->ready_off			? "`ready off`; `ready on` ends it"
			  : c->state == MT_CTL_DRAINING ? "it drains"
			  : c->state == MT_CTL_STARTING ? "it starts"
							: NULL;

	mt_ctl_ready(c, &ready);
	if (mt_ctl_not_served(c, refused, sizeof(refused)))
		snprintf(but, sizeof(but), "it serves what it can; %s", refused);
	for (uint32_t i = 0; !ready.ready && i < ready.n; i++)
		mt_json_add(list, MT_M("what", ready.waits[i].kind),
			MT_M("name", ready.waits[i].name), MT_M("source", ready.waits[i].source),
			MT_M("why", ready.waits[i].why));
	return mt_json_object(MT_M("ready", mt_ctl_answers_ready(c)),
		MT_M("why", why		    ? why
			    : ready.ready   ? but
			    : ready.restart ? "it waits for what is below, and then for a restart"
					    : "it waits for what is below; `accept` makes what is "
					      "served now what is to be served"),
		MT_M("waits_for", list));
}
