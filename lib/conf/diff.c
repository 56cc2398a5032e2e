/* SPDX-License-Identifier: Apache-2.0 */
/* What a publish changes, by names and by a hash of what each says. */
#include "mt_conf_mesh_priv.h"

#include <stdio.h>
#include <string.h>

/* A thing of the old side, and whether the new side has it too. */
struct item {
	uint64_t hash;
	uint32_t at; /* in its snapshot's list */
	bool seen;
};

struct counts {
	uint32_t added, removed, changed;
};

struct list {
	struct mt_region region;
	struct mt_strmap map;
};

static void add(struct list *l, const char *name, uint64_t hash, uint32_t at)
{
	struct item *i = mt_region_alloc(&l->region, sizeof(*i));
	char *key = mt_region_strdup(&l->region, name);

	if (!i || !key)
		return;
	i->hash = hash;
	i->at = at;
	mt_strmap_put(&l->map, key, i, NULL);
}

enum what { LISTENERS, SERVICES, N_WHAT };

static uint32_t count_of(const struct mt_snap *s, enum what what)
{
	return what == LISTENERS ? s->n_doc_listeners : s->n_doc_services;
}

/* Name and hash of the i-th thing. */
static const char *name_of(const struct mt_snap *s, enum what what, uint32_t i,
	char buf[MT_ADDR_STRLEN], uint64_t *hash)
{
	const struct mt_listener *l;

	if (what == SERVICES) {
		*hash = s->service_hash[i];
		return s->indexes[i]->name;
	}
	l = &s->pub.listeners[i];
	*hash = l->id;
	for (uint32_t k = 0; k < l->n_protos; k++)
		*hash = mt_hash_u64(
			l->protos[k].n_services, mt_hash_u64(l->protos[k].codec_opts, *hash));
	return mt_addr_port_str(&l->addr, l->port, buf);
}

/* Both sides of a comparison, and where what is different is noted. */
struct sides {
	struct mt_conf_items *items;
	const struct mt_snap *old, *new_;
};

/* One thing of either side, or both; NONE: that side has it not. */
#define NONE UINT32_MAX

static void note(const struct sides *x, enum what what, uint32_t old, uint32_t new_)
{
	const struct mt_snapshot *a = x->old ? &x->old->pub : NULL, *b = &x->new_->pub;

	if (what == LISTENERS)
		mt_items_listener(x->items, old == NONE ? NULL : &a->listeners[old],
			new_ == NONE ? NULL : &b->listeners[new_]);
	else
		mt_items_service(x->items, old == NONE ? NULL : a->services[old],
			new_ == NONE ? NULL : b->services[new_]);
}

/* Compares one thing of the new side with the old one. */
static void meet(struct list *old, const char *name, uint64_t hash, const struct sides *x,
	enum what what, uint32_t at, struct counts *c)
{
	struct item *i = mt_strmap_get(&old->map, name);

	if (!i) {
		c->added++;
		note(x, what, NONE, at);
		return;
	}
	if (!i->seen) {
		c->changed += i->hash != hash;
		if (i->hash != hash)
			note(x, what, i->at, at);
	}
	i->seen = true;
}

static void finish(struct list *old, const struct sides *x, enum what what, struct counts *c)
{
	struct item *i;
	uint32_t pos = 0;

	while ((i = mt_strmap_next(&old->map, &pos, NULL)) != NULL) {
		if (i->seen)
			continue;
		c->removed++;
		note(x, what, i->at, NONE);
	}
	mt_strmap_fini(&old->map);
	mt_region_fini(&old->region);
}

/* Without counts: the old side, into the list. */
static void each(const struct sides *x, enum what what, struct list *old, struct counts *c)
{
	const struct mt_snap *s = c ? x->new_ : x->old;

	for (uint32_t i = 0; i < count_of(s, what); i++) {
		char buf[MT_ADDR_STRLEN];
		uint64_t hash;
		const char *name = name_of(s, what, i, buf, &hash);

		if (c)
			meet(old, name, hash, x, what, i, c);
		else
			add(old, name, hash, i);
	}
}

void mt_snap_diff(struct mt_conf *conf, const struct mt_snap *old, const struct mt_snap *new_,
	struct mt_conf_change *out)
{
	const struct sides x = {&conf->items, old, new_};
	struct counts c[N_WHAT] = {0};

	mt_items_reset(&conf->items);
	for (enum what what = LISTENERS; what < N_WHAT; what++) {
		struct list l = {0};

		if (old)
			each(&x, what, &l, NULL);
		each(&x, what, &l, &c[what]);
		finish(&l, &x, what, &c[what]);
	}
	*out = (struct mt_conf_change){.listeners_added = c[LISTENERS].added,
		.listeners_removed = c[LISTENERS].removed,
		.listeners_changed = c[LISTENERS].changed,
		.services_added = c[SERVICES].added,
		.services_removed = c[SERVICES].removed,
		.services_changed = c[SERVICES].changed};
	mt_snap_diff_mesh(conf, old, new_, out);
}

bool mt_conf_change_none(const struct mt_conf_change *change)
{
	static const struct mt_conf_change none;

	return memcmp(change, &none, sizeof(none)) == 0;
}

char *mt_conf_change_str(const struct mt_conf_change *c, char *buf, size_t size)
{
	const struct {
		const char *what, *verb;
		uint32_t n;
	} parts[] = {
		{"listener", "added", c->listeners_added},
		{"listener", "removed", c->listeners_removed},
		{"listener", "changed", c->listeners_changed},
		{"service", "added", c->services_added},
		{"service", "removed", c->services_removed},
		{"service", "changed", c->services_changed},
		{"cluster", "added", c->clusters_added},
		{"cluster", "removed", c->clusters_removed},
		{"cluster", "changed", c->clusters_changed},
		{"endpoint", "added", c->endpoints_added},
		{"endpoint", "removed", c->endpoints_removed},
	};
	size_t len = 0;

	snprintf(buf, size, "no change");
	for (size_t i = 0; i < MT_ARRAY_LEN(parts) && len < size; i++)
		if (parts[i].n)
			len += (size_t)snprintf(buf + len, size - len, "%s%u %s%s %s",
				len ? ", " : "", parts[i].n, parts[i].what,
				parts[i].n == 1 ? "" : "s", parts[i].verb);
	return buf;
}
