/* SPDX-License-Identifier: Apache-2.0 */
/* Const lookups in a snapshot: listener by address and port. Holds of a worker's objects. */
#include "mt_addr_hash.h"
#include "mt_codec_registry.h"
#include "mt_mutant.h"
#include "mt_proxy_base.h"

#include <errno.h>
#include <string.h>

/* Open addressing, at most half full: slot values are listener index + 1. */
struct lookup {
	uint32_t mask;
	uint32_t slots[];
};

static uint32_t hash_of(const struct mt_addr *a, uint16_t port)
{
	return mt_addr_port_hash(a, port, 0);
}

const struct mt_codec *mt_snapshot_codec(const struct mt_snapshot *s, const struct mt_codec *codec)
{
	if (!codec->content)
		return codec;
	for (uint32_t i = 0; i < s->n_files; i++)
		if (mt_codec_same_file(s->files[i], codec))
			return s->files[i];
	return NULL;
}

/* Adds the codecs of the listener's protocols that are data to mt_snapshot.files. 0 or -ENOMEM. */
static int add_files(struct mt_snapshot *s, const struct mt_listener *l)
{
	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_codec *codec = l->protos[i].codec, **more;

		if (!codec || mt_snapshot_codec(s, codec))
			continue;
		more = realloc(s->files, (s->n_files + 1) * sizeof(codec));
		if (!more)
			return -ENOMEM;
		more[s->n_files++] = codec;
		s->files = more;
	}
	return 0;
}

int mt_snapshot_index(struct mt_snapshot *s)
{
	uint32_t size = 16;
	struct lookup *l;

	mt_addr_hash_ready();
	while (size < 2 * s->n_listeners)
		size *= 2;
	l = calloc(1, sizeof(*l) + size * sizeof(l->slots[0]));
	if (!l)
		return -ENOMEM;
	l->mask = size - 1;
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		uint32_t at = hash_of(&s->listeners[i].addr, s->listeners[i].port) & l->mask;

		while (l->slots[at])
			at = (at + 1) & l->mask;
		l->slots[at] = i + 1;
		mt_listener_link(&s->listeners[i]);
	}
	s->lookup = l;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (mt_chain_names_build(&s->listeners[i]) || add_files(s, &s->listeners[i])) {
			mt_snapshot_index_free(s);
			return -ENOMEM;
		}
	return 0;
}

void mt_snapshot_index_free(struct mt_snapshot *s)
{
	for (uint32_t i = 0; s->lookup && i < s->n_listeners; i++) {
		free(s->listeners[i].names);
		s->listeners[i].names = NULL;
	}
	free(s->lookup);
	s->lookup = NULL;
	free(s->files);
	s->files = NULL;
	s->n_files = 0;
}

static const struct mt_listener *find(
	const struct mt_snapshot *s, const struct mt_addr *a, uint16_t port)
{
	const struct lookup *l = s->lookup;

	for (uint32_t at = hash_of(a, port) & l->mask; l->slots[at]; at = (at + 1) & l->mask) {
		const struct mt_listener *lis = &s->listeners[l->slots[at] - 1];

		if (lis->port == port && mt_addr_eq(&lis->addr, a))
			return lis;
	}
	return NULL;
}

const struct mt_listener *mt_snapshot_listener(
	const struct mt_snapshot *s, const struct mt_addr *local, uint16_t port)
{
	static const struct mt_addr any6;
	const struct mt_addr any4 = mt_addr4(0);
	const struct mt_listener *l = find(s, local, port);

	if (!l && mt_addr_is4(local))
		l = find(s, &any4, port);
	if (!l)
		l = find(s, &any6, port);
	return l;
}

const struct mt_bound *mt_snapshot_bound_at(const struct mt_snapshot *s, const struct mt_addr *a)
{
	uint32_t from = 0, to = s->n_bound;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		const struct mt_bound *b = &s->bound[mid];
		int way = memcmp(a, &b->addr, sizeof(*a));

		if (way == 0)
			return b;
		if (way < 0)
			to = mid;
		else
			from = mid + 1;
	}
	return NULL;
}

const struct mt_bound *mt_snapshot_find_bound(
	const struct mt_snapshot *s, const struct mt_stream *from)
{
	const struct mt_tuple *ends = mt_stream_ends(from);
	const struct mt_bound *b = mt_snapshot_bound_at(s, &ends->remote);

	return b && b->port + 1 == ends->entry ? b : NULL;
}

void mt_snap_hold(struct mt_proxy *p, struct mt_snapshot *s)
{
	if (!mt_mutant(MT_MUTANT_snapshot_not_held))
		mt_snapshot_hold(s, p->worker);
}

void mt_snap_drop(struct mt_proxy *p, struct mt_snapshot *s)
{
	if (!mt_mutant(MT_MUTANT_snapshot_not_held) && !mt_mutant(MT_MUTANT_snapshot_held))
		mt_snapshot_drop(s, p->worker);
}

void mt_snap_switch(struct mt_proxy *p, struct mt_snapshot **held, struct mt_snapshot *to)
{
	if (to)
		mt_snap_hold(p, to);
	mt_snap_drop(p, *held);
	*held = to;
}
