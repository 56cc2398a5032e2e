/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts of objects that have something of a source (spec.sources[].owns). Calls at an object's
 * addresses follow the routes of any of its hosts. So routes of other authors for a host that no
 * source owns could lead the calls of an owned one.
 */
#include "mt_conf_priv.h"

#include "mt_owned.h"

static const struct mt_owned_entry *owned_host(const struct mt_build *b, const char *host)
{
	return mt_owned_host(b->model->owned, host, MT_OWNED_NO_SOURCE);
}

static const struct mt_owned_entry *owned_address(const struct mt_build *b, const char *text)
{
	struct mt_addr a;
	uint8_t prefix;

	return text && mt_prefix_parse(text, &a, &prefix) == 0
		       ? mt_owned_address(b->model->owned, &a, prefix, MT_OWNED_NO_SOURCE)
		       : NULL;
}

static const struct mt_owned_entry *find_owned(
	const struct mt_build *b, const struct mt_service_entry *se)
{
	const struct mt_owned_entry *e = NULL;

	for (uint32_t i = 0; i < se->n_hosts && !e; i++)
		e = owned_host(b, se->hosts[i].s);
	for (uint32_t i = 0; i < se->n_addresses && !e; i++)
		e = owned_address(b, se->addresses[i].s);
	return e;
}

static const char *directory_of(const struct mt_build *b, const struct mt_owned_entry *e)
{
	return b->model->node->sources[e->source].directory.s;
}

/* Warns of the first host that no source owns. A Service of Kubernetes precedes other objects. */
static void warn_of_others(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;
	char path[MT_INDEX_PATH];
	uint32_t i = 0;

	while (i < se->n_hosts && owned_host(b, se->hosts[i].s))
		i++;
	if (i == se->n_hosts || se->kubernetes)
		return;
	mt_b_warn(b, &se->meta, se->hosts[i].line, mt_index_path(path, "spec.hosts", i, ""),
		"add it to `owns` of that source, or give it a ServiceEntry of its own",
		"\"%.128s\" belongs to no source, although %.128s belongs to that of %.200s: an "
		"object of another source may have it%s",
		se->hosts[i].s, h->owned->text->s, directory_of(b, h->owned),
		i ? "" : ", and while it does, no host of this one is served");
}

void mt_b_note_owned(struct mt_build *b, struct mt_host *h)
{
	h->owned = b->model->owned && b->model->node ? find_owned(b, h->se) : NULL;
	if (h->owned)
		warn_of_others(b, h);
}

/*
 * True for the owner's routes of a directory that the Node does not name. They are last good
 * versions, and the owner's if no other owner has their namespace.
 */
static bool is_of_unnamed_owner(
	const struct mt_node *n, const struct mt_owned_entry *e, const struct mt_meta *routes)
{
	const char *ns = routes->ns;

	return mt_node_source_has(&n->sources[e->source], ns, strlen(ns)) &&
	       !mt_node_is_of_owner(n, e->source, ns, strlen(ns));
}

bool mt_b_is_kept_from(
	const struct mt_build *b, const struct mt_host *h, const struct mt_meta *routes)
{
	const struct mt_node *n = b->model->node;
	const char *clients = mt_b_client_ns(b, h->se->meta.ns);
	const struct mt_node_source *s;

	if (!h->owned || !mt_model_is_limited(b->model, routes))
		return false;
	s = mt_node_source_of(n, routes->origin.file);
	if (!s)
		return !is_of_unnamed_owner(n, h->owned, routes);
	if (s == &n->sources[h->owned->source])
		return false;
	return !mt_node_source_has(s, clients, strlen(clients)) ||
	       mt_node_is_of_owner(n, (uint32_t)(s - n->sources), clients, strlen(clients));
}

void mt_b_tell_kept(struct mt_build *b, const struct mt_host *h, const struct mt_meta *routes,
	const struct mt_text *host, const char *path, bool used)
{
	(used ? mt_b_warn : mt_b_unused)(b, routes, host->line, path,
		"an operator may write them in a source without `namespaces`",
		"these routes do not lead calls to \"%.128s\": %s %s/%s has it, with %.128s of the "
		"source of %.200s",
		host->s, h->se->meta.kind, h->se->meta.ns, h->se->meta.name, h->owned->text->s,
		directory_of(b, h->owned));
}
