/* SPDX-License-Identifier: Apache-2.0 */
#include "dist.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define TEXT_MAX 1024

static const struct {
	const char *name;
	enum blast_unit unit;
	double factor;
} suffixes[] = {
	{"", BLAST_BYTES, 1},
	{"B", BLAST_BYTES, 1},
	{"K", BLAST_BYTES, 1024},
	{"M", BLAST_BYTES, 1048576},
	{"ns", BLAST_TIME, 1},
	{"us", BLAST_TIME, 1e3},
	{"ms", BLAST_TIME, 1e6},
	{"s", BLAST_TIME, 1e9},
};

int blast_value_parse(const char *text, enum blast_unit unit, uint64_t *v, struct mt_err *e)
{
	static const char *const remedy[] = {"write bytes, like 120000, 10K or 1M",
		"write a time with its unit, like 250us, 5ms or 10s"};
	char *end;
	double number = strtod(text, &end);

	if (*text < '0' || *text > '9' || !(number >= 0 && number < 1e15))
		return mt_err(e, -EINVAL, "'%s' is not understood; %s", text, remedy[unit]);
	for (size_t i = 0; i < MT_ARRAY_LEN(suffixes); i++) {
		if (suffixes[i].unit != unit || strcmp(end, suffixes[i].name) != 0)
			continue;
		*v = (uint64_t)llround(number * suffixes[i].factor);
		return 0;
	}
	return mt_err(e, -EINVAL, "'%s' has no unit that fits; %s", text, remedy[unit]);
}

static int weight_parse(char *item, double *weight, struct mt_err *e)
{
	char *at = strchr(item, '@'), *end;

	*weight = 1;
	if (!at)
		return 0;
	*weight = strtod(at + 1, &end);
	if (end == at + 1 || *end || !(*weight > 0 && *weight < 1e12))
		return mt_err(
			e, -EINVAL, "'%s' is not a weight; write a number above 0 after @", at + 1);
	*at = '\0';
	return 0;
}

static int item_parse(char *item, enum blast_unit unit, struct blast_dist *d, struct mt_err *e)
{
	double weight;
	char *dash;
	int rc;

	if (d->n == BLAST_DIST_ITEMS)
		return mt_err(e, -EINVAL, "more than %d items; leave some out", BLAST_DIST_ITEMS);
	rc = weight_parse(item, &weight, e);
	if (rc)
		return rc;
	dash = strchr(item, '-');
	if (dash)
		*dash = '\0';
	rc = blast_value_parse(item, unit, &d->items[d->n].lo, e);
	if (!rc)
		rc = blast_value_parse(dash ? dash + 1 : item, unit, &d->items[d->n].hi, e);
	if (rc)
		return rc;
	if (d->items[d->n].hi < d->items[d->n].lo)
		return mt_err(e, -EINVAL,
			"%s-%s ends before it begins; put the smaller value first", item, dash + 1);
	d->items[d->n].upto = (d->n ? d->items[d->n - 1].upto : 0) + weight;
	d->n++;
	return 0;
}

int blast_dist_parse(const char *text, enum blast_unit unit, struct blast_dist *d, struct mt_err *e)
{
	char copy[TEXT_MAX], *rest = copy, *item;
	double total;
	int rc;

	if (strlen(text) >= sizeof(copy))
		return mt_err(
			e, -EINVAL, "longer than %d characters; leave items out", TEXT_MAX - 1);
	strcpy(copy, text);
	d->n = 0;
	while ((item = strsep(&rest, ","))) {
		rc = item_parse(item, unit, d, e);
		if (rc)
			return rc;
	}
	total = d->items[d->n - 1].upto;
	for (uint32_t i = 0; i < d->n; i++)
		d->items[i].upto /= total;
	return 0;
}

uint64_t blast_dist_pick(const struct blast_dist *d, struct mt_rand *r)
{
	uint32_t i = 0;
	double share;

	if (d->n > 1) {
		share = (double)(mt_rand_u64(r) >> 11) * 0x1p-53;
		while (i + 1 < d->n && share >= d->items[i].upto)
			i++;
	}
	if (d->items[i].lo == d->items[i].hi)
		return d->items[i].lo;
	return d->items[i].lo + mt_rand_u64(r) % (d->items[i].hi - d->items[i].lo + 1);
}

uint64_t blast_dist_min(const struct blast_dist *d)
{
	uint64_t v = UINT64_MAX;

	for (uint32_t i = 0; i < d->n; i++)
		v = MT_MIN(v, d->items[i].lo);
	return v;
}

uint64_t blast_dist_max(const struct blast_dist *d)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < d->n; i++)
		v = MT_MAX(v, d->items[i].hi);
	return v;
}

double blast_dist_mean(const struct blast_dist *d)
{
	double before = 0, mean = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		mean += (d->items[i].upto - before) *
			((double)d->items[i].lo + (double)d->items[i].hi) / 2;
		before = d->items[i].upto;
	}
	return mean;
}
