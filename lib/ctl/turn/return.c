/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `return`: ends the drain of an endpoint, service or listener, which is an override; and the
 * ejection of an endpoint, which workers began. Worker 0 ends ejections, because the events of an
 * endpoint's health come from workers.
 */
#include "ask.h"
#include "tune.h"

#include <stdio.h>

static bool drains(const struct mt_ctl *c, const struct mt_override *o)
{
	return mt_overrides_returns(mt_conf_overrides(c->env.conf), o);
}

/* A cluster that is exempt from a drain has the endpoint; false with the reason in e. */
static bool may_return(const struct mt_ctl *c, const struct mt_override *o, struct mt_err *e)
{
	struct mt_override r = *o;

	if (!mt_overrides_exempts(mt_conf_overrides(c->env.conf), o))
		return true;
	r.kind = MT_OVERRIDE_RETURN;
	return mt_conf_override_applies(c->env.conf, &r, e);
}

/* Adds the ejected endpoints that the words name. */
static void find_ejected(struct mt_ctl *c, const struct mt_override *o, struct mt_ask *a)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);

	for (uint32_t i = 0; s && i < s->n_clusters; i++) {
		const struct mt_cluster *cl = &s->clusters[i];

		if (o->target[0] && !mt_override_names(o->target, cl->name))
			continue;
		for (uint32_t k = 0; k < cl->n_eps && a->n < MT_ASK_ROWS; k++) {
			const struct mt_endpoint *ep = &cl->eps[k];

			if (ep->port != o->port || !mt_addr_eq(&ep->addr, &o->addr) ||
				!mt_ep_is_out(ep->state))
				continue;
			a->returns[a->n++] = (struct mt_ask_return){
				ep->state, ep->state->id, cl->index, ep->addr, ep->port, false};
		}
	}
}

/* Ends ejections. Returns how many; *silent: the worker does not answer. */
static uint32_t end_ejections(struct mt_ctl *c, const struct mt_override *o, bool *silent)
{
	struct mt_ask *a = c->env.n_workers ? mt_ask_for(c, 0, MT_ASK_RETURN) : NULL;
	uint32_t n = 0;

	*silent = !a;
	if (!a)
		return 0;
	find_ejected(c, o, a);
	if (a->n == 0)
		return 0;
	*silent = !mt_ask_run(c, 0);
	for (uint32_t i = 0; !*silent && i < a->n; i++)
		n += a->returns[i].done;
	return n;
}

static json_t *answer_of(struct mt_ctl *c, const struct mt_request *r, const struct mt_override *o,
	uint32_t returned)
{
	struct mt_ctl_tune t = {.what = MT_TUNE_RETURN, .set = o};
	char text[MT_OVERRIDE_TEXT], words[MT_OVERRIDE_TEXT + 64], note[64];
	json_t *j;

	mt_override_str(o, text);
	snprintf(words, sizeof(words), "%s: its ejection ended", text + strlen("drain "));
	if (returned)
		mt_ctl_acted(c, r->who, "return", words);
	snprintf(note, sizeof(note), "its ejection ended, too");
	if (drains(c, o))
		return mt_ask_tune(c, r, &t, "return", NULL, returned ? note : NULL);
	j = mt_json_object(
		MT_M("return", words), MT_M("version", mt_conf_overrides(c->env.conf)->version));
	mt_render_absent(j, "in_place_of note");
	return j;
}

json_t *mt_run_return(struct mt_ctl *c, const struct mt_request *r)
{
	const char *words[MT_COMMAND_ARGS + 2] = {"drain", mt_command_noun(r->command)};
	struct mt_override o;
	struct mt_err e = {""};
	uint32_t returned = 0;
	bool silent = false;

	if (!c->env.conf)
		return mt_ctl_error("there is no configuration");
	for (uint32_t i = 0; i < MT_MIN(r->n_args, (uint32_t)MT_COMMAND_ARGS); i++)
		words[2 + i] = r->args[i];
	if (mt_override_parse(&o, words, 2 + MT_MIN(r->n_args, (uint32_t)MT_COMMAND_ARGS), &e) ||
		!may_return(c, &o, &e))
		return mt_ctl_error("%s", e.text);
	mt_who_str(r->who, o.who);
	o.wall = mt_ctl_wall(c);
	if (o.kind == MT_OVERRIDE_DRAIN)
		returned = end_ejections(c, &o, &silent);
	if (!returned && !drains(c, &o))
		return silent ? mt_ctl_error("worker 0 does not answer")
			      : mt_ctl_error("nothing was changed: %s is not drained%s", r->args[0],
					o.kind == MT_OVERRIDE_DRAIN ? " and not ejected" : "");
	return answer_of(c, r, &o, returned);
}
