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

/* One name is one route's on a listener, as a connection asks for it once: the first one's. */
static bool first_with_name(struct mt_build *b, const struct mt_listen *l, const char *name)
{
	char *key = mt_region_printf(&b->tmp, "%s tls %s", l->text, name);
	void *before = NULL;

	if (key)
		mt_strmap_put(&b->keys, key, b, &before);
	return before == NULL;
}

void mt_b_listen_tls(struct mt_build *b, struct mt_listen *l, const struct mt_listen_tls *t,
	const struct mt_meta *meta, uint32_t line, const char *path)
{
	struct mt_listen_tls own = {.service = t->service}, *slot;

	if (l->n_services && !l->codec->opaque) {
		refuse(b, l, meta, line, path, "give one of them another port or address",
			" with another protocol");
		return;
	}
	own.names = mt_region_alloc(&b->tmp, sizeof(*own.names) * (t->n_names + 1));
	for (uint32_t i = 0; own.names && i < t->n_names; i++) {
		if (first_with_name(b, l, t->names[i]))
			own.names[own.n_names++] = t->names[i];
		else
			mt_b_warn(b, meta, line, path, NULL,
				"server name \"%.128s\" is that of an older one", t->names[i]);
	}
	if (t->n_names ? !own.n_names : !first_with_name(b, l, "*"))
		return;
	slot = mt_region_push(&b->tmp, (void **)&l->tls, &l->n_tls, sizeof(*slot));
	if (slot)
		*slot = own;
	if (!l->origin.file)
		l->origin = (struct mt_origin){meta->origin.file, line};
}

bool mt_b_listen_add(struct mt_build *b, struct mt_listen *l, const struct mt_codec *codec,
	uint8_t opts, struct mt_service_slot *s, const struct mt_meta *meta, uint32_t line,
	const char *path)
{
	struct mt_service_slot **slot;

	if (l->n_tls && !codec->opaque) {
		mt_b_error(b, meta, line, path, "give one of them another port or address",
			"%s is in use for TLS by %s:%u", l->text, l->origin.file, l->origin.line);
		return false;
	}
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
static int fill_own(struct mt_build *b, const struct mt_listen *l, struct mt_filter_chain_proto *p)
{
	struct mt_service **services =
		mt_region_alloc(&b->snap->region, sizeof(struct mt_service *) * l->n_services);

	if (!services)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_services; i++)
		services[i] = l->services[i]->s;
	*p = (struct mt_filter_chain_proto){.codec = l->codec,
		.codec_opts = l->opts,
		.services = services,
		.n_services = l->n_services};
	if (l->mesh || l->n_services < 2)
		return 0;
	qsort(p->services, p->n_services, sizeof(*p->services), by_key);
	p->service_key = mt_key_make(l->codec, l->codec->service_key);
	return 0;
}

static int fill_names(struct mt_build *b, const struct mt_listen_tls *t, struct mt_filter_chain *c,
	struct mt_filter_chain_proto *p)
{
	const char **names = mt_region_alloc(&b->snap->region, sizeof(*names) * (t->n_names + 1));
	struct mt_service **service = mt_region_alloc(&b->snap->region, sizeof(*service));

	if (!names || !service)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_names; i++)
		names[i] = mt_b_keep(b, t->names[i]);
	*service = t->service->s;
	c->match.transport = MT_TRANSPORT_TLS;
	c->match.server_names = names;
	c->match.n_server_names = t->n_names;
	*p = (struct mt_filter_chain_proto){
		.codec = mt_codec_find("tcp"), .services = service, .n_services = 1};
	return 0;
}

/* TLS by its names; what is left is the port's own, if it has any. */
static int fill(struct mt_build *b, const struct mt_listen *l, struct mt_listener *out)
{
	uint32_t n = l->n_tls + (l->n_services > 0);
	struct mt_filter_chain *chains = mt_region_alloc(&b->snap->region, sizeof(*chains) * n);
	struct mt_filter_chain_proto *p = mt_region_alloc(&b->snap->region, sizeof(*p) * n);

	if (!chains || !p)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		chains[i] =
			(struct mt_filter_chain){.name = "", .n_protos = 1, .idle_s = l->idle_s};
	for (uint32_t i = 0; i < l->n_tls; i++)
		if (fill_names(b, &l->tls[i], &chains[i], &p[i]))
			return -ENOMEM;
	if (l->n_services && fill_own(b, l, &p[n - 1]))
		return -ENOMEM;
	out->addr = l->addr;
	out->port = l->port;
	out->id = mt_strhash(l->text, 0);
	out->chains = chains;
	out->protos = p;
	out->n_chains = out->n_protos = n;
	out->file = l->mesh ? l->origin.file : mt_b_file(b, l->origin.file);
	out->line = l->origin.line;
	return l->mesh ? mt_mesh_chains(b, l, out) : 0;
}

/* Those of documents, or of discovery services. */
static int fill_all(struct mt_build *b, bool mesh)
{
	struct mt_snapshot *s = &b->snap->pub;
	int rc = 0;

	for (uint32_t i = 0; i < b->n_listens && rc == 0; i++)
		if ((b->listen_list[i]->mesh != NULL) == mesh &&
			(b->listen_list[i]->n_services || b->listen_list[i]->n_tls))
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
