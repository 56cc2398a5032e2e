/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the status of documents that protect or expose services: rejected ones, last good versions
 * in use, gateway servers that fail closed, unknown hosts.
 */
#include "mt_analyse_priv.h"

#include <stdio.h>
#include <string.h>

static struct mt_meta meta_of(const struct mt_object *o)
{
	return (struct mt_meta){.origin = o->origin, .kind = o->kind, .ns = o->ns, .name = o->name};
}

/* ---- rejected -------------------------------------------------------------------------------- */

static bool closes(const struct mt_analysis *a, const struct mt_object_row *row)
{
	for (uint32_t i = 0; i < a->m->n_closings; i++) {
		const struct mt_closing *c = &a->m->closings[i];

		if (!c->harmless && strcmp(c->about.kind, row->o->kind) == 0 &&
			strcmp(c->about.ns, row->o->ns) == 0 &&
			strcmp(c->about.name, row->o->name) == 0)
			return true;
	}
	return false;
}

/*
 * Reports an object that restricts calls and has the name of another one with other content: both
 * apply here.
 */
static void check_double(struct mt_analysis *a, const struct mt_object_row *row)
{
	const struct mt_object_row *first = row;
	const struct mt_meta m = meta_of(row->o);

	while (first > a->in->table->rows && first->double_)
		first--;
	if (row->double_ && row->used && row->o->restricts)
		mt_an_found(a, MT_FINDING_ID_same_name, &m, 0,
			"%s:%u has the same name and different content",
			first->o->origin.file ? first->o->origin.file : "", first->o->origin.line);
}

static void check_row(struct mt_analysis *a, const struct mt_object_row *row)
{
	const struct mt_meta m = meta_of(row->o);
	const char *why = row->why ? row->why : "it cannot be used";

	if (row->status == MT_OBJECT_LAST_GOOD)
		mt_an_found(a, MT_FINDING_ID_last_good, &m, 0,
			"%s; its last good version stays in use", why);
	else if (row->status == MT_OBJECT_REFUSED && mt_an_may(a, a->m->n_closings))
		mt_an_found(a, MT_FINDING_ID_refused, &m, 0, "%s%s", why,
			closes(a, row) ? "; until then what it may be about is closed" : "");
}

/* ---- servers of gateways --------------------------------------------------------------------- */

/* The compiler has noted the reason; its note names the server. */
static void check_servers(
	struct mt_analysis *a, const struct mt_gateway *g, const struct mt_object_row *row)
{
	for (uint32_t i = 0; i < row->n_notes; i++) {
		const struct mt_note *n = &row->notes[i];
		uint32_t at, line = 0;
		/*
		 * Repositories seldom contain Secrets; if there is none, the missing one is
		 * elsewhere.
		 */
		bool elsewhere = !a->m->secrets.n && strstr(n->text, "is not among the documents");

		if (!strstr(n->text, "TLS cannot be ended"))
			continue;
		if (n->field && sscanf(n->field, "spec.servers[%u]", &at) == 1 && at < g->n_servers)
			line = g->servers[at].tls ? g->servers[at].tls->origin.line
						  : g->servers[at].origin.line;
		mt_an_found(a,
			elsewhere ? MT_FINDING_ID_secret_unseen : MT_FINDING_ID_server_closed,
			&g->meta, line, "%s%s%s", n->field ? n->field : "", n->field ? ": " : "",
			n->text);
	}
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static bool is_host(const struct mt_analysis *a, const char *host, const char *ns)
{
	char name[MT_MEANT_HOST];

	if (strchr(host, '*') || mt_an_host(a, host, ns, name))
		return true;
	/* Also one of an object without effect. */
	return mt_strmap_get(&a->named,
		mt_long_name(host, ns, a->in->audit->domain, name, sizeof(name)) ? name : host);
}

/* True if `host` is NAME.NAMESPACE.svc.DOMAIN, where NAME has that length. */
static bool is_service(const struct mt_analysis *a, const char *host, size_t name)
{
	const char *behind = strchr(host + name + 1, '.');

	return behind && strncmp(behind, ".svc.", 5) == 0 &&
	       strcmp(behind + 5, a->in->audit->domain) == 0;
}

/*
 * The Service with this short name in another namespace. A short name means the document's own
 * namespace.
 */
static const char *of_another_namespace(struct mt_analysis *a, const char *word)
{
	const char *key, *best = NULL;
	size_t len = strlen(word);
	uint32_t pos = 0;

	if (strchr(word, '.') || !mt_an_may(a, a->named.n))
		return NULL;
	while (mt_strmap_next(&a->named, &pos, &key))
		if (strncmp(key, word, len) == 0 && key[len] == '.' && is_service(a, key, len) &&
			(!best || strcmp(key, best) < 0))
			best = key;
	return best;
}

static void check_host(struct mt_analysis *a, const struct mt_meta *of, const struct mt_text *host)
{
	const char *meant;

	if (!host->s || is_host(a, host->s, of->ns))
		return;
	meant = of_another_namespace(a, host->s);
	if (meant) {
		mt_an_found(a, MT_FINDING_ID_unknown_host, of, host->line,
			"%s is %s.%s.svc.%s here, which nothing has; there is %s", host->s, host->s,
			of->ns, a->in->audit->domain, meant);
		return;
	}
	meant = mt_an_near_of(a, &a->named, host->s);
	if (meant)
		mt_an_found(a, MT_FINDING_ID_unknown_host, of, host->line,
			"no object has the host %s, but there is %s", host->s, meant);
}

static void check_rules_of(struct mt_analysis *a, const struct mt_virtual_service *v)
{
	for (uint32_t i = 0; i < v->n_lists; i++)
		for (uint32_t k = 0; k < v->lists[i].n_rules; k++)
			for (uint32_t d = 0; d < v->lists[i].rules[k].n_dests; d++)
				check_host(a, &v->meta, &v->lists[i].rules[k].dests[d].dest.host);
}

void mt_an_status(struct mt_analysis *a)
{
	const struct mt_object_table *t = a->in->table;
	const struct mt_model *m = a->m;

	for (uint32_t i = 0; i < t->n; i++)
		if (!t->rows[i].o->is_node) {
			check_row(a, &t->rows[i]);
			check_double(a, &t->rows[i]);
		}
	for (uint32_t i = 0; i < m->gateways.n; i++) {
		const struct mt_gateway *g = m->gateways.v[i];
		const struct mt_object_row *row = mt_an_row(a, g->meta.serial);

		if (row)
			check_servers(a, g, row);
	}
	for (uint32_t i = 0; !a->mesh && i < m->destination_rules.n; i++) {
		const struct mt_destination_rule *d = m->destination_rules.v[i];

		check_host(a, &d->meta, &d->host);
	}
	for (uint32_t i = 0; !a->mesh && i < m->virtual_services.n; i++)
		check_rules_of(a, m->virtual_services.v[i]);
}
