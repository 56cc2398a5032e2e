/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread's part of filters: they are compiled, and their metadata are named. */
#include "mt_alog_filter_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- names of metadata ---------------------------------------------------------------------- */

static bool add_key(struct mt_alog_filter *f, const struct mt_cel_name *use, enum mt_alog_from from,
	struct mt_err *e)
{
	if (use->name.p && f->n_keys < MT_ALOG_FILTER_KEYS) {
		f->keys[f->n_keys++] = (struct mt_alog_key){.from = from, .name = use->name};
		return true;
	}
	if (use->name.p)
		(void)mt_err(e, -E2BIG, "column %u: the filter reads metadata more than %d times",
			use->column, MT_ALOG_FILTER_KEYS);
	else
		(void)mt_err(e, -EINVAL,
			"column %u: the name of metadata must be a constant, as in "
			"request.headers[\"x-user\"]",
			use->column);
	return false;
}

static bool add_keys(struct mt_alog_filter *f, struct mt_err *e)
{
	struct mt_cel_name use;
	enum mt_alog_from from;

	for (uint32_t i = 0; i < mt_alog_attributes.n; i++)
		for (uint32_t k = 0;
			mt_alog_is_metadata(i, &from) && mt_cel_name(f->cel, i, k, &use); k++)
			if (!add_key(f, &use, from, e))
				return false;
	return true;
}

const struct mt_alog_key *mt_alog_filter_key(const struct mt_alog_filter *f, uint32_t i)
{
	return i < f->n_keys ? &f->keys[i] : NULL;
}

/* ---- filters -------------------------------------------------------------------------------- */

struct mt_alog_filter *mt_alog_filter_new(const char *text, struct mt_err *e)
{
	struct mt_cel *cel = mt_cel_new(text, strlen(text), &mt_alog_attributes, e);
	enum mt_cel_type type = cel ? mt_cel_result(cel) : MT_CEL_BOOL;
	struct mt_alog_filter *f;

	if (!cel)
		return NULL;
	f = type == MT_CEL_BOOL || type == MT_CEL_DYN ? calloc(1, sizeof(*f)) : NULL;
	if (f) {
		f->cel = cel;
		if (add_keys(f, e))
			return f;
		mt_alog_filter_free(f);
		return NULL;
	}
	mt_cel_free(cel);
	if (type == MT_CEL_BOOL || type == MT_CEL_DYN)
		(void)mt_err(e, -ENOMEM, "no memory for a filter");
	else
		(void)mt_err(e, -EINVAL,
			"column 1: the filter is of type %s; compare it, as in "
			"response.code >= 400",
			mt_cel_type_str(type));
	return NULL;
}

void mt_alog_filter_free(struct mt_alog_filter *f)
{
	if (!f)
		return;
	mt_cel_free(f->cel);
	free(f);
}

bool mt_alog_filter_is_for_workers(const struct mt_alog_filter *f)
{
	return !mt_cel_is_slow(f->cel) && mt_cel_steps(f->cel) <= MT_ALOG_WORKER_STEPS;
}
