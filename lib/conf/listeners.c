/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and ports that Meltemi answers for, and which services share one. */
#include "mt_conf_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DOWN_IDLE_S 3600u

struct mt_listen *mt_b_listen(struct mt_build *b, const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN];
	struct mt_listen *l, **slot;
	char *key;

	mt_addr_port_str(a, port, text);
	l = mt_strmap_get(&b->listens, text);
	if (l)
		return l;
	key = mt_region_strdup(&b->tmp, text);
	l = mt_region_alloc(&b->tmp, sizeof(*l));
	slot = mt_region_push(&b->tmp, (void **)&b->listen_list, &b->n_listens, sizeof(*slot));
	if (!key || !l || !slot)
		return NULL;
	*slot = l;
	l->addr = *a;
	l->text = key;
	l->port = port;
	l->idle_s = DOWN_IDLE_S;
	mt_strmap_put(&b->listens, key, l, NULL);
	return l;
}

/* Names both sides: the port that is refused and the file and line of the one that has it. */
static bool refuse(struct mt_build *b, const struct mt_listen *l, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *remedy, const char *why)
{
	char text[MT_ADDR_STRLEN];

	mt_b_error(b, meta, line, path, remedy, "%s is in use by %.128s at %s:%u%s",
		mt_addr_port_str(&l->addr, l->port, text), l->services[0]->name, l->origin.file,
		l->origin.line, why);
	return false;
}

/* Thousands of interfaces may share one port, so keys are looked up and not compared in turn. */
static bool first_with_key(struct mt_build *b, const struct mt_listen *l, struct mt_service_slot *s)
{
	char text[MT_ADDR_STRLEN];
	char *key = mt_region_printf(
		&b->tmp, "%s %s", mt_addr_port_str(&l->addr, l->port, text), s->key);
	void *before = NULL;

	if (key)
		mt_strmap_put(&b->keys, key, s, &before);
	return before == NULL;
}

bool mt_b_listen_add(struct mt_build *b, struct mt_listen *l, const struct mt_codec *codec,
	uint8_t opts, struct mt_service_slot *s, const struct mt_meta *meta, uint32_t line,
	const char *path)
{
	struct mt_service_slot **slot;

	if (!l->n_services) {
		l->codec = codec;
		l->opts = opts;
		l->origin = (struct mt_origin){meta->origin.file, line};
	} else if (l->codec != codec || l->opts != opts) {
		return refuse(b, l, meta, line, path, "give one of them another port or address",
			" with another protocol");
	} else if (!codec->service_key) {
		return refuse(
			b, l, meta, line, path, "give one of them another port or address", "");
	}
	if (!first_with_key(b, l, s))
		return refuse(b, l, meta, line, path, "annotate it with its own interface",
			" for the same service key");
	slot = mt_region_push(&b->tmp, (void **)&l->services, &l->n_services, sizeof(*slot));
	if (slot)
		*slot = s;
	return slot != NULL;
}

static void listen_unit(struct mt_build *b, const struct mt_host *h, struct mt_unit *u)
{
	char path[MT_INDEX_PATH];

	mt_index_path(path, "spec.ports", (uint32_t)(u->port - h->se->ports), ".number");
	for (uint32_t i = 0; i < h->n_addrs; i++) {
		struct mt_listen *l = mt_b_listen(b, &h->addrs[i], (uint16_t)u->port->number.v);

		if (!l || !mt_b_listen_add(b, l, u->codec, u->opts, u->service, &h->se->meta,
				  u->port->number.line, path))
			return;
		if (u->patch && u->patch->idle_ms.set)
			l->idle_s = (u->patch->idle_ms.v + 999) / 1000;
	}
}

void mt_b_listeners(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++)
		for (struct mt_unit *u = b->host_list[i].units; u; u = u->next)
			if (u->service)
				listen_unit(b, &b->host_list[i], u);
}

static int by_key(const void *a, const void *b)
{
	const struct mt_service *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

/* With several services the key decides, by binary search over what is sorted here. */
static int fill(struct mt_build *b, const struct mt_listen *l, struct mt_listener *out)
{
	struct mt_filter_chain *chain = mt_region_alloc(&b->snap->region, sizeof(*chain));
	struct mt_filter_chain_proto *p = mt_region_alloc(&b->snap->region, sizeof(*p));
	struct mt_service **services =
		mt_region_alloc(&b->snap->region, sizeof(struct mt_service *) * l->n_services);

	if (!chain || !p || !services)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_services; i++)
		services[i] = l->services[i]->s;
	*chain = (struct mt_filter_chain){.name = "", .n_protos = 1, .idle_s = l->idle_s};
	*p = (struct mt_filter_chain_proto){.codec = l->codec,
		.codec_opts = l->opts,
		.services = services,
		.n_services = l->n_services};
	out->addr = l->addr;
	out->port = l->port;
	out->id = mt_strhash(l->text, 0);
	out->chains = chain;
	out->protos = p;
	out->n_chains = out->n_protos = 1;
	out->file = l->mesh ? l->origin.file : mt_b_file(b, l->origin.file);
	out->line = l->origin.line;
	if (l->mesh)
		return mt_mesh_chains(b, l, out);
	if (l->n_services < 2)
		return 0;
	qsort(p->services, p->n_services, sizeof(*p->services), by_key);
	p->service_key = mt_key_make(l->codec, l->codec->service_key);
	return 0;
}

/* Those of documents, or of discovery services. */
static int fill_all(struct mt_build *b, bool mesh)
{
	struct mt_snapshot *s = &b->snap->pub;
	int rc = 0;

	for (uint32_t i = 0; i < b->n_listens && rc == 0; i++)
		if ((b->listen_list[i]->mesh != NULL) == mesh && b->listen_list[i]->n_services)
			rc = fill(b, b->listen_list[i], &s->listeners[s->n_listeners++]);
	return rc;
}

int mt_b_listeners_finish(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;

	s->listeners = mt_region_alloc(&b->snap->region, sizeof(*s->listeners) * b->n_listens);
	if (!s->listeners)
		return -ENOMEM;
	/* Addresses that the compiler met first for a document come first. */
	if (fill_all(b, false))
		return -ENOMEM;
	b->snap->n_doc_listeners = s->n_listeners;
	return fill_all(b, true) ? -ENOMEM : mt_snapshot_index(s);
}
