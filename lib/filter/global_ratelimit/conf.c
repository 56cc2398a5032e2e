/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the limit; gives a worker what its calls need. */
#include "global.h"

#include <stdio.h>
#include <string.h>

void mt_global_free(void *conf)
{
	struct mt_global_limit *l = conf;

	if (!l)
		return;
	for (uint32_t i = 0; i < l->n; i++) {
		free(l->of[i].property);
		free(l->of[i].key);
		mt_tally_drop(l->of[i].tally);
	}
	mt_tally_drop(l->tally);
	mt_matcher_free(l->match);
	mt_callout_drop(l->provider);
	free(l->words);
	free(l->domain);
	free(l);
}

static bool def_ok(const struct mt_global_def *def, char *errbuf, size_t errlen)
{
	bool full = def->n_properties > MT_RLS_DESCRIPTORS;

	if (*def->domain && def->n_properties && !full)
		return true;
	if (full)
		snprintf(errbuf, errlen, "a global rate limit has at most %u descriptors",
			MT_RLS_DESCRIPTORS);
	else
		snprintf(errbuf, errlen, "a global rate limit needs a domain and descriptors");
	return false;
}

static bool copy_all(
	struct mt_global_limit *l, const struct mt_codec *codec, const struct mt_global_def *def)
{
	for (uint32_t i = 0; i < def->n_properties; i++) {
		l->of[i].property = strdup(def->properties[i].property);
		l->of[i].key = strdup(def->properties[i].key);
		l->n++;
		if (!l->of[i].property || !l->of[i].key)
			return false;
		l->of[i].compiled = mt_key_make(codec, l->of[i].property);
	}
	return true;
}

/* The count of a descriptor's refusals. NULL: no memory. */
static struct mt_tally *count_of(
	const struct mt_global_def *def, const char *domain, const char *key)
{
	struct mt_tally *tally = NULL;
	char *rule;

	if (asprintf(&rule, "%s: %s", domain, key) < 0)
		return NULL;
	tally = mt_tally_hold(def->tallies, def->limited, rule);
	free(rule);
	return tally;
}

/* Takes references to the counts of refusals. False: no memory. */
static bool count_all(struct mt_global_limit *l, const struct mt_global_def *def)
{
	if (!def->tallies)
		return true;
	l->tally = mt_tally_hold(def->tallies, def->limited, l->domain);
	if (!l->tally)
		return false;
	for (uint32_t i = 0; i < l->n; i++) {
		l->of[i].tally = count_of(def, l->domain, l->of[i].key);
		if (!l->of[i].tally)
			return false;
	}
	return true;
}

void *mt_global_compile(
	const struct mt_codec *codec, const struct mt_global_def *def, char *errbuf, size_t errlen)
{
	struct mt_global_limit *l;
	char words[512];

	if (!def_ok(def, errbuf, errlen))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l) {
		snprintf(errbuf, errlen, "no memory");
		return NULL;
	}
	l->provider = def->provider ? mt_callout_hold(def->provider) : NULL;
	l->fail_open = def->fail_open;
	l->domain = strdup(def->domain);
	(void)mt_matcher_str(def->match, def->n_match, words, sizeof(words));
	l->words = strdup(words);
	l->match = mt_matcher_compile(codec, def->match, def->n_match, errbuf, errlen);
	if (l->match && l->domain && l->words && copy_all(l, codec, def) && count_all(l, def))
		return l;
	if (l->match)
		snprintf(errbuf, errlen, "no memory");
	mt_global_free(l);
	return NULL;
}

/* ---- workers --------------------------------------------------------------------------------- */

bool mt_global_attach(struct mt_filter_worker *fw, struct mt_callout_lane *lane)
{
	fw->global = calloc(1, sizeof(*fw->global));
	if (!fw->global)
		return false;
	fw->global->lane = lane;
	mt_callout_wake(lane, mt_filter_inbox_ring, mt_filter_inbox_who(fw->inbox));
	return true;
}

void mt_global_detach(struct mt_filter_worker *fw)
{
	free(fw->global);
	fw->global = NULL;
}
