/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `clear counters`: `show counters` and `show errors` count from now on. The counters go on, and so
 * do metrics, which must never decrease; their values of now are kept and subtracted.
 */
#include "tune.h"

#include <stdlib.h>
#include <string.h>

uint64_t mt_cleared_count(const struct mt_ctl *c, uint32_t i, uint64_t value)
{
	const struct mt_cleared *k = &c->cleared;

	return i < k->n && k->base[i] <= value ? value - k->base[i] : value;
}

void mt_cleared_since(const struct mt_ctl *c, json_t *answer)
{
	if (c->cleared.base)
		mt_set_time(answer, "counted_since", (int64_t)(c->cleared.wall / MT_MSEC));
}

void mt_cleared_fini(struct mt_ctl *c)
{
	free(c->cleared.base);
	c->cleared = (struct mt_cleared){NULL, 0, 0};
}

static bool clear(struct mt_ctl *c)
{
	struct mt_cleared k = {NULL, 0, mt_ctl_wall(c)};
	struct mt_metric m;
	uint64_t pos = 0;
	uint32_t n = 0;

	while (mt_metrics_next(c->metrics, &pos, &m))
		n++;
	k.base = malloc((n + 1) * sizeof(*k.base));
	if (!k.base)
		return false;
	for (pos = 0; k.n < n && mt_metrics_next(c->metrics, &pos, &m);)
		k.base[k.n++] = m.value;
	mt_cleared_fini(c);
	c->cleared = k;
	return true;
}

json_t *mt_run_clear(struct mt_ctl *c, const struct mt_request *r)
{
	char cleared[] = "`show counters` and `show errors` count from now on";
	char undone[] = "`show counters` and `show errors` count from the start again";
	bool undo = r->n_args && strcmp(r->args[0], "undo") == 0;
	json_t *j;

	if (r->n_args && !undo)
		return mt_ctl_error("usage: clear counters [undo]");
	if (undo && !c->cleared.base)
		return mt_ctl_error("nothing was changed: the counters are not cleared");
	if (undo)
		mt_cleared_fini(c);
	else if (!clear(c))
		return NULL;
	mt_ctl_acted(c, r->who, "clear", undo ? undone : cleared);
	j = mt_json_object(MT_M("clear", undo ? undone : cleared));
	mt_cleared_since(c, j);
	mt_render_absent(j, "counted_since counted_since_unix_ms");
	return j;
}
