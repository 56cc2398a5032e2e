/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the limit; gives a worker what its calls need. */
#include "global.h"

#include <stdio.h>
#include <string.h>

static void free_descriptor(struct mt_global_limit_descriptor *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		free(d->entry[i].key);
		free(d->entry[i].from);
		mt_matcher_free(d->entry[i].match);
	}
	free(d->entry);
	mt_tally_drop(d->tally);
}

void mt_global_free(void *conf)
{
	struct mt_global_limit *l = conf;

	if (!l)
		return;
	for (uint32_t i = 0; i < l->n; i++)
		free_descriptor(&l->of[i]);
	free(l->of);
	free(l->sets);
	if (l->routes)
		mt_route_table_free(l->routes);
	mt_tally_drop(l->tally);
	mt_matcher_free(l->match);
	mt_callout_drop(l->provider);
	free(l->words);
	free(l->domain);
	free(l);
}

static bool no_memory(char *errbuf, size_t errlen)
{
	snprintf(errbuf, errlen, "no memory");
	return false;
}

static bool too_many(char *errbuf, size_t errlen)
{
	snprintf(errbuf, errlen, "a global rate limit has at most %u descriptors of %u entries",
		MT_RLS_DESCRIPTORS, MT_RLS_ENTRIES);
	return false;
}

static bool list_ok(
	const struct mt_global_descriptor_def *d, uint32_t n, char *errbuf, size_t errlen)
{
	if (n > MT_RLS_DESCRIPTORS)
		return too_many(errbuf, errlen);
	for (uint32_t i = 0; i < n; i++)
		if (d[i].n > MT_RLS_ENTRIES)
			return too_many(errbuf, errlen);
	return true;
}

static bool def_ok(const struct mt_global_def *def, char *errbuf, size_t errlen)
{
	if (!*def->domain || (!def->n_routes && !def->n_properties && !def->n_fixed)) {
		snprintf(errbuf, errlen, "a global rate limit needs a domain and descriptors");
		return false;
	}
	if (def->n_properties > MT_RLS_DESCRIPTORS)
		return too_many(errbuf, errlen);
	for (uint32_t i = 0; i < def->n_routes; i++)
		if (!list_ok(def->routes[i].descriptors, def->routes[i].n, errbuf, errlen))
			return false;
	return list_ok(def->fixed, def->n_fixed, errbuf, errlen);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* A limit while it is compiled. */
struct making {
	struct mt_global_limit *l;
	const struct mt_codec *codec;
	const struct mt_global_def *def;
	char *errbuf;
	size_t errlen;
};

static bool make_entry(const struct making *m, const struct mt_global_entry_def *from,
	struct mt_global_limit_entry *e)
{
	e->source = from->source;
	e->unless = from->unless;
	e->key = strdup(from->key);
	e->from = from->from ? strdup(from->from) : NULL;
	if (!e->key || (from->from && !e->from))
		return no_memory(m->errbuf, m->errlen);
	if (e->source == MT_GLOBAL_METHOD && m->codec->service_key)
		e->compiled = mt_key_make(m->codec, m->codec->service_key);
	else if (e->from)
		e->compiled = mt_key_make(m->codec, e->from);
	if (!from->n_match && !from->unless)
		return true;
	e->match = mt_matcher_compile(m->codec, from->match, from->n_match, m->errbuf, m->errlen);
	return e->match;
}

/* The count of a descriptor's refusals, "DOMAIN: KEY, KEY". NULL: no memory. */
static struct mt_tally *count_of(
	const struct mt_global_def *def, const struct mt_global_limit_descriptor *d)
{
	size_t len = strlen(def->domain) + 1, at;
	struct mt_tally *tally;
	char *rule;

	for (uint32_t i = 0; i < d->n; i++)
		len += 2 + strlen(d->entry[i].key);
	rule = malloc(len);
	if (!rule)
		return NULL;
	at = (size_t)snprintf(rule, len, "%s", def->domain);
	for (uint32_t i = 0; i < d->n; i++)
		at += (size_t)snprintf(
			rule + at, len - at, "%s%s", i ? ", " : ": ", d->entry[i].key);
	tally = mt_tally_hold(def->tallies, def->limited, rule);
	free(rule);
	return tally;
}

static bool make_descriptor(const struct making *m, const struct mt_global_descriptor_def *from)
{
	struct mt_global_limit_descriptor *d = &m->l->of[m->l->n++];

	d->entry = calloc(from->n + 1u, sizeof(*d->entry));
	if (!d->entry)
		return no_memory(m->errbuf, m->errlen);
	for (uint32_t i = 0; i < from->n; i++) {
		d->n++;
		if (!make_entry(m, &from->entries[i], &d->entry[i]))
			return false;
	}
	if (!m->def->tallies)
		return true;
	d->tally = count_of(m->def, d);
	return d->tally || no_memory(m->errbuf, m->errlen);
}

/* ---- descriptors of each call ---------------------------------------------------------------- */

static bool make_properties(const struct making *m)
{
	const struct mt_global_def *def = m->def;

	m->l->of = calloc(def->n_properties, sizeof(*m->l->of));
	if (!m->l->of)
		return no_memory(m->errbuf, m->errlen);
	for (uint32_t i = 0; i < def->n_properties; i++) {
		const struct mt_global_entry_def e = {.source = MT_GLOBAL_PROPERTY,
			.key = def->properties[i].key,
			.from = def->properties[i].property};
		const struct mt_global_descriptor_def d = {&e, 1};

		if (!make_descriptor(m, &d))
			return false;
	}
	return true;
}

/* ---- descriptors of streams ------------------------------------------------------------------ */

static bool make_fixed(const struct making *m)
{
	const struct mt_global_def *def = m->def;

	m->l->of_streams = true;
	m->l->of = calloc(def->n_fixed, sizeof(*m->l->of));
	if (!m->l->of)
		return no_memory(m->errbuf, m->errlen);
	for (uint32_t i = 0; i < def->n_fixed; i++)
		if (!make_descriptor(m, &def->fixed[i]))
			return false;
	return true;
}

/* ---- descriptors of routes ------------------------------------------------------------------- */

static bool add_route(const struct making *m, struct mt_route_builder *b, uint32_t i)
{
	const struct mt_global_route_def *r = &m->def->routes[i];
	const struct mt_route_action none = {.name = ""};
	bool again = i && r->n == r[-1].n && r->descriptors == r[-1].descriptors;

	if (mt_route_builder_add(b, r->match, r->n_match, &none, m->errbuf, m->errlen))
		return false;
	/* Alternatives of one rule are several routes. */
	m->l->sets[i] = again ? m->l->sets[i - 1] : (struct mt_global_set){m->l->n, r->n};
	for (uint32_t k = 0; !again && k < r->n; k++)
		if (!make_descriptor(m, &r->descriptors[k]))
			return false;
	return true;
}

static bool make_routes(const struct making *m)
{
	const struct mt_global_def *def = m->def;
	struct mt_route_builder *b = mt_route_builder_new(m->codec);
	size_t n = 1;

	for (uint32_t i = 0; i < def->n_routes; i++)
		n += def->routes[i].n;
	m->l->of = calloc(n, sizeof(*m->l->of));
	m->l->sets = calloc(def->n_routes, sizeof(*m->l->sets));
	if (!b || !m->l->of || !m->l->sets) {
		if (b)
			mt_route_builder_free(b);
		return no_memory(m->errbuf, m->errlen);
	}
	for (uint32_t i = 0; i < def->n_routes; i++) {
		if (!add_route(m, b, i)) {
			mt_route_builder_free(b);
			return false;
		}
	}
	m->l->routes = mt_route_builder_done(b);
	return m->l->routes || no_memory(m->errbuf, m->errlen);
}

/* ---- the limit ------------------------------------------------------------------------------- */

static bool make(const struct making *m)
{
	const struct mt_global_def *def = m->def;
	struct mt_global_limit *l = m->l;
	char words[512];

	l->provider = def->provider ? mt_callout_hold(def->provider) : NULL;
	l->fail_open = def->fail_open;
	l->method = m->codec->method_key;
	l->domain = strdup(def->domain);
	(void)mt_matcher_str(def->match, def->n_match, words, sizeof(words));
	l->words = strdup(words);
	if (!l->domain || !l->words)
		return no_memory(m->errbuf, m->errlen);
	l->match = mt_matcher_compile(m->codec, def->match, def->n_match, m->errbuf, m->errlen);
	if (!l->match)
		return false;
	if (def->tallies) {
		l->tally = mt_tally_hold(def->tallies, def->limited, l->domain);
		if (!l->tally)
			return no_memory(m->errbuf, m->errlen);
	}
	if (def->n_fixed)
		return make_fixed(m);
	return def->n_routes ? make_routes(m) : make_properties(m);
}

void *mt_global_compile(
	const struct mt_codec *codec, const struct mt_global_def *def, char *errbuf, size_t errlen)
{
	struct making m = {.codec = codec, .def = def, .errbuf = errbuf, .errlen = errlen};

	if (!def_ok(def, errbuf, errlen))
		return NULL;
	m.l = calloc(1, sizeof(*m.l));
	if (m.l && make(&m))
		return m.l;
	if (!m.l)
		no_memory(errbuf, errlen);
	mt_global_free(m.l);
	return NULL;
}

/* ---- workers --------------------------------------------------------------------------------- */

bool mt_global_attach(
	struct mt_filter_worker *fw, struct mt_callout_lane *lane, struct mt_rls_grants *grants)
{
	fw->global = calloc(1, sizeof(*fw->global));
	if (!fw->global)
		return false;
	fw->global->lane = lane;
	fw->global->grants = grants;
	mt_callout_wake(lane, mt_filter_inbox_ring, mt_filter_inbox_who(fw->inbox));
	return true;
}

void mt_global_detach(struct mt_filter_worker *fw)
{
	free(fw->global);
	fw->global = NULL;
}
