/* SPDX-License-Identifier: Apache-2.0 */
/* From what a route names to the cluster in the snapshot. */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_forward_priv.h"
#include "mt_conf_service_priv.h"
#include "mt_secret_hash.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* One place builds "path.field", so that all mistakes in references read alike. */
static void ref_error(struct mt_build *b, const struct mt_meta *meta, uint32_t line,
	const char *path, const char *field, const char *remedy, const char *fmt, const char *a,
	const char *c)
{
	char full[MT_CONF_PATH], text[384];

	snprintf(full, sizeof(full), "%s%s%s", path, *field ? "." : "", field);
	snprintf(text, sizeof(text), fmt, a, c);
	mt_b_error(b, meta, line, full, remedy, "%s", text);
}

static char *key_of(struct mt_build *b, const struct mt_meta *meta)
{
	return mt_region_printf(&b->tmp, "%lu", (unsigned long)meta->serial);
}

bool mt_b_leads_nowhere(struct mt_build *b, const struct mt_meta *meta)
{
	char *key = b->lost.n ? key_of(b, meta) : NULL;

	return key && mt_strmap_get(&b->lost, key);
}

/* Notes that the document leads to what is not here. */
static void lose(struct mt_build *b, const struct mt_meta *meta)
{
	char *key = key_of(b, meta);

	if (key && !mt_strmap_get(&b->lost, key))
		mt_strmap_put(&b->lost, key, b, NULL);
}

/*
 * A destination that is not here keeps its share, and what gets there fails, as everywhere in the field. It is told with each load:
 * what such a document refers to is looked up again, and its routes are compiled again.
 */
static void nowhere(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const char *field, const char *remedy, const char *words)
{
	char full[MT_CONF_PATH];

	lose(b, meta);
	snprintf(full, sizeof(full), "%.240s.%s", path, field);
	mt_b_warn(b, meta, line, full, remedy, "%s: what gets there fails", words);
}

/* ---- ports and subsets by number and name ---------------------------------------------------- */

/* Missing subsets that are compared with all of their rule. */
#define SUGGESTED_MOST 100

/* An id of something of a host or rule; `what` is its kind. */
static uint64_t id_of(const void *of, const char *what, uint64_t number)
{
	uint64_t h = mt_secret_hash(&of, sizeof(of), number);

	h = mt_secret_hash_text(what, h);
	return h ? h : 1;
}

/* The first port of a number is found. */
static void index_unit(
	struct mt_build *b, const struct mt_host *h, struct mt_unit *u, bool forwarded)
{
	uint64_t id = id_of(h, forwarded ? "forwarded" : "port", u->port->number.v);

	if (forwarded && u->transport != IPPROTO_TCP)
		return;
	if (!mt_idmap_get(&b->ports, id) && mt_idmap_put(&b->ports, id, u))
		b->tmp.failed = true;
}

/* Indexes the ports of a host when one is looked for first. */
static const struct mt_unit *find_port(
	struct mt_build *b, const struct mt_host *h, uint32_t port, bool forwarded)
{
	uint64_t all = id_of(h, "all", 0);

	if (!mt_idmap_get(&b->ports, all)) {
		for (struct mt_unit *u = h->units; u; u = u->next)
			index_unit(b, h, u, false);
		for (struct mt_unit *u = h->forwards; u; u = u->next)
			index_unit(b, h, u, true);
		if (mt_idmap_put(&b->ports, all, b))
			b->tmp.failed = true;
	}
	return mt_idmap_get(&b->ports, id_of(h, forwarded ? "forwarded" : "port", port));
}

/* The port that the destination means; NULL: the host serves no such port. */
static const struct mt_unit *find_unit(
	struct mt_build *b, const struct mt_host *h, const struct mt_dest *d, uint16_t default_port)
{
	uint32_t want = d->port.number.set ? d->port.number.v : default_port;
	const struct mt_unit *first = h->units, *u;

	if (!first || !want || first->port->number.v == want)
		return first;
	u = first->next ? find_port(b, h, want, false) : NULL;
	/* Without a written port the only one is meant. */
	if (!u && !d->port.number.set && !first->next)
		return first;
	return u;
}

/* The port of the host that is forwarded at layer 4; NULL: there is none. */
static const struct mt_unit *find_forward(
	struct mt_build *b, const struct mt_host *h, uint32_t port)
{
	return h->forwards ? find_port(b, h, port, true) : NULL;
}

/* From the last to the first, so that the first one of a name is found. */
static void index_subsets(struct mt_build *b, const struct mt_destination_rule *dr)
{
	for (uint32_t i = dr->n_subsets; i > 0; i--) {
		const struct mt_subset *s = &dr->subsets[i - 1];

		if (mt_idmap_put(&b->subsets, id_of(dr, s->name.s, 1), (void *)s))
			b->tmp.failed = true;
	}
	if (mt_idmap_put(&b->subsets, id_of(dr, "", 0), b))
		b->tmp.failed = true;
}

/* The first subset of this name; NULL: the rule (NULL: none) has none. */
static const struct mt_subset *find_subset(
	struct mt_build *b, const struct mt_destination_rule *dr, const char *name)
{
	if (!dr)
		return NULL;
	if (!mt_idmap_get(&b->subsets, id_of(dr, "", 0)))
		index_subsets(b, dr);
	return mt_idmap_get(&b->subsets, id_of(dr, name, 1));
}

/* ---- destinations ---------------------------------------------------------------------------- */

/* Returns NULL after a report that the port is forwarded, so that routes cannot reach it. */
static const struct mt_unit *tell_forwarded(struct mt_build *b, const struct mt_meta *meta,
	const char *path, const struct mt_dest *d, uint32_t port)
{
	bool written = d->port.number.set;
	char words[256];

	snprintf(words, sizeof(words),
		"port %u of %.128s is forwarded at layer 4, where terminated connections cannot go",
		port, d->host.s);
	nowhere(b, meta, written ? d->port.number.line : d->host.line, path,
		written ? "port.number" : "host", "name a port that is not forwarded", words);
	return NULL;
}

/* Reports a subset that is closed with all of its rule. */
static void closed_subset(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_dest *d, const struct mt_destination_rule *dr)
{
	char words[640];

	snprintf(words, sizeof(words),
		"subset \"%.64s\" of %.128s is closed, because DestinationRule %.128s/%.128s needs "
		"too much work",
		d->subset.s, d->host.s, dr->meta.ns, dr->meta.name);
	nowhere(b, meta, d->subset.line, path, "subset", "write fewer subsets there", words);
}

/*
 * Subsets are looked for in the rule and not among the clusters, so that a rule with another mistake in
 * it does not make every route to it look wrong as well.
 */
static bool check_subset(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_dest *d, const struct mt_host *h, bool tell)
{
	struct mt_suggest near = {.word = d->subset.s};
	const struct mt_destination_rule *dr = h->rule;
	char remedy[160], words[256];

	if (find_subset(b, dr, d->subset.s)) {
		if (h->no_subsets && tell)
			closed_subset(b, meta, path, d, dr);
		return !h->no_subsets;
	}
	if (!tell)
		return false;
	if (dr && b->n_subsets_looked++ < SUGGESTED_MOST)
		for (uint32_t i = 0; i < dr->n_subsets; i++)
			mt_suggest_offer(&near, dr->subsets[i].name.s);
	if (near.best)
		snprintf(remedy, sizeof(remedy), "did you mean %.64s?", near.best);
	else if (dr)
		snprintf(remedy, sizeof(remedy), "add it to the DestinationRule at %.96s:%u",
			dr->meta.origin.file, dr->meta.origin.line);
	else
		snprintf(remedy, sizeof(remedy), "add a DestinationRule with this subset");
	snprintf(words, sizeof(words), "no subset \"%.64s\" of %.128s", d->subset.s, d->host.s);
	nowhere(b, meta, d->subset.line, path, "subset", remedy, words);
	return false;
}

/* For "outbound|PORT|SUBSET|HOST" of a host that is closed: its cluster without a subset. */
static uintptr_t closed_cluster(const struct mt_build *b, const char *name)
{
	const char *host = strrchr(name, '|'), *port = strchr(name, '|');
	const char *subset = port ? strchr(port + 1, '|') : NULL;
	const struct mt_host *h = host ? mt_strmap_get(&b->hosts, host + 1) : NULL;
	char whole[512];

	if (!h || !h->over || !subset || subset >= host)
		return 0;
	snprintf(whole, sizeof(whole), "%.*s|%s", (int)(subset - name), name, host);
	return (uintptr_t)mt_strmap_get(&b->clusters, whole);
}

/* The map holds positions plus one: a NULL is "not there". */
uint32_t mt_b_find_cluster(const struct mt_build *b, const char *name)
{
	uintptr_t at = (uintptr_t)mt_strmap_get(&b->clusters, name);

	if (!at && b->work.closed.n)
		at = closed_cluster(b, name);
	return at ? (uint32_t)(at - 1) : MT_NO_CLUSTER;
}

uint32_t mt_b_unit_cluster(struct mt_build *b, const struct mt_unit *u, const char *subset)
{
	char *name;

	if (!subset || !*subset)
		return u->cluster ? u->cluster->place : MT_NO_CLUSTER;
	name = mt_region_printf(&b->tmp, "outbound|%u|%s|%s", u->port->number.v, subset, u->host);
	return name ? mt_b_find_cluster(b, name) : MT_NO_CLUSTER;
}

/* Whatever can be told without the service's port is told before routes are compiled, and once. */
static const struct mt_unit *find_dest(struct mt_build *b, const struct mt_meta *meta,
	const char *path, const struct mt_dest *d, uint16_t default_port)
{
	bool ported = default_port && !d->port.number.set;
	bool tell = default_port ? ported : d->port.number.set;
	uint32_t port = ported ? default_port : d->port.number.v;
	struct mt_host *h = mt_b_host(b, d->host.s, meta->ns);
	const struct mt_unit *u;
	char words[256];

	if (d->refused)
		return NULL;
	if (!h) {
		snprintf(words, sizeof(words), MT_B_NO_HOST, d->host.s);
		if (!default_port)
			nowhere(b, meta, d->host.line, path, "host", mt_b_host_remedy(b, d->host.s),
				words);
		return NULL;
	}
	if (d->subset.s && !check_subset(b, meta, path, d, h, !default_port))
		return NULL;
	u = find_unit(b, h, d, default_port);
	if (!u && find_forward(b, h, port))
		return default_port ? tell_forwarded(b, meta, path, d, port) : NULL;
	/* Of a host that is not served its own entry tells. */
	if (u || !tell || !mt_b_knows_instances(h->se))
		return u;
	snprintf(words, sizeof(words), "%.128s has no served port %u", d->host.s, port);
	nowhere(b, meta, ported ? d->host.line : d->port.number.line, path,
		ported ? "host" : "port.number", "name a port of its ServiceEntry that is served",
		words);
	return NULL;
}

bool mt_b_forward_dest(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_dest *d, uint16_t default_port, struct mt_forward_dest *to)
{
	uint32_t port = d->port.number.set ? d->port.number.v : default_port;
	const struct mt_host *h = d->refused ? NULL : mt_b_host(b, d->host.s, meta->ns);

	/* Missing hosts and subsets were reported before. */
	to->h = h;
	to->subset = h && d->subset.s ? find_subset(b, h->rule, d->subset.s) : NULL;
	if (!h || (d->subset.s && !to->subset))
		return false;
	to->u = find_forward(b, h, port);
	if (!to->u)
		to->u = find_dest(b, meta, path, d, default_port);
	return to->u != NULL;
}

uint32_t mt_b_dest(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_dest *d, uint16_t default_port)
{
	const struct mt_unit *u = find_dest(b, meta, path, d, default_port);
	uint32_t at = u ? mt_b_unit_cluster(b, u, d->subset.s) : MT_NO_CLUSTER;
	struct mt_service_dep *dep;

	if (!b->deps || at == MT_NO_CLUSTER)
		return at;
	dep = mt_b_note_dep(b, b->deps->joined ? MT_DEP_JOINED : MT_DEP_DESTINATION, at);
	if (dep) {
		dep->of.destination = d;
		dep->port = default_port;
		dep->codec = u->codec;
	}
	return at;
}

/* The cluster of the subset is there if its rule has it. */
uint32_t mt_b_find_dest(struct mt_build *b, const struct mt_dest *d, const char *ns,
	uint16_t default_port, const struct mt_codec **codec)
{
	const struct mt_host *h = mt_b_host(b, d->host.s, ns);
	const struct mt_unit *u = h ? find_unit(b, h, d, default_port) : NULL;

	*codec = u ? u->codec : NULL;
	return u ? mt_b_unit_cluster(b, u, d->subset.s) : MT_NO_CLUSTER;
}

/* True for "outbound|PORT|SUBSET|HOST" of a host whose subsets are closed, which is reported. */
static bool names_closed_subset(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_text *name, const char *found)
{
	const char *host = strrchr(found, '|');
	const struct mt_host *h = host ? mt_strmap_get(&b->hosts, host + 1) : NULL;

	if (!h || !h->no_subsets || host == found || host[-1] == '|')
		return false;
	if (!mt_b_leads_nowhere(b, meta))
		mt_b_warn(b, meta, name->line, path, "write fewer subsets there",
			"%.128s is closed, because DestinationRule %.128s/%.128s needs too much "
			"work: what gets there fails",
			found, h->rule->meta.ns, h->rule->meta.name);
	lose(b, meta);
	return true;
}

/* The name as clusters of documents have it, with the host in lower case; kept as long as b->deps. */
static const char *in_lower_case(struct mt_build *b, const char *name)
{
	char *copy = mt_region_strdup(b->deps ? b->deps->region : &b->tmp, name);
	char *host = copy ? strrchr(copy, '|') : NULL;

	if (host)
		mt_host_fold(host);
	return copy ? copy : name;
}

uint32_t mt_b_named_cluster(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_text *name)
{
	struct mt_suggest near = {.word = name->s};
	const char *found = name->s;
	uint32_t at = found ? mt_b_find_cluster(b, found) : MT_NO_CLUSTER;
	struct mt_service_dep *dep;

	if (b->mesh)
		return mt_b_mesh_cluster(b, path, name->s, at);
	if (at == MT_NO_CLUSTER && found) {
		found = in_lower_case(b, found);
		at = mt_b_find_cluster(b, found);
	}
	if (at != MT_NO_CLUSTER) {
		dep = mt_b_note_dep(b, MT_DEP_CLUSTER, at);
		if (dep)
			dep->of.cluster = found;
		return at;
	}
	if (found && names_closed_subset(b, meta, path, name, found))
		return MT_NO_CLUSTER;
	for (uint32_t i = 0; i < b->n_clusters && b->diags->errors < 100; i++)
		mt_suggest_offer(&near, b->clusters_v[i].name);
	ref_error(b, meta, name->line, path, "",
		near.best ? mt_region_printf(&b->tmp, "did you mean %s?", near.best)
			  : "write outbound|PORT|SUBSET|HOST of a ServiceEntry",
		"no cluster \"%.128s\"%s", name->s, "");
	return MT_NO_CLUSTER;
}

void mt_b_tell_protocol(struct mt_build *b, const struct mt_route_for *f,
	const struct mt_rule_dest *d, const char *path)
{
	const struct mt_host *h = d->cluster.s || b->mesh || d->dest.refused
					  ? NULL
					  : mt_b_host(b, d->dest.host.s, f->meta->ns);
	const struct mt_unit *u = h ? find_unit(b, h, &d->dest, f->port) : NULL;
	char field[MT_CONF_PATH], words[256];

	if (!u || u->codec->opaque || f->codec->opaque || mt_codec_same(u->codec, f->codec))
		return;
	snprintf(field, sizeof(field), "%.200s.destination", path);
	snprintf(words, sizeof(words), "port %u of %.128s has %s, and these are calls of %s",
		u->port->number.v, d->dest.host.s, u->codec->name, f->codec->name);
	nowhere(b, f->meta, d->dest.host.line, field, "host",
		"route to a port of the same protocol", words);
}

uint32_t mt_b_rule_dest(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_rule_dest *d, uint16_t default_port)
{
	char below[MT_CONF_PATH];

	if (d->cluster.s || b->mesh)
		return mt_b_named_cluster(b, meta, path, &d->cluster);
	snprintf(below, sizeof(below), "%s.destination", path);
	return mt_b_dest(b, meta, below, &d->dest, default_port);
}
