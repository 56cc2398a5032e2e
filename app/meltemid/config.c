/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: read, checked, compiled; again when they change. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

/* ---- one load ----------------------------------------------------------------------------- */

/* All documents into the model; what is wrong with them is in diags. */
static void read_documents(struct daemon *d, struct mt_model *m, struct mt_diags *diags)
{
	int rc = mt_source_load(m, diags, d->args.node, d->args.dirs, d->args.n_dirs);

	if (rc == 0 && diags->errors == 0 && !m->node)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){d->args.node, 0}, NULL,
			"write a document of kind Node, apiVersion meltemi.io/v1",
			"there is no Node document in it");
}

/* What only shows when devices are looked at, as far as it can be known without them. */
static void check_ports(const struct mt_node *node, struct mt_diags *diags)
{
	for (uint32_t i = 0; i < node->n_ports; i++) {
		const struct mt_node_port *p = &node->ports[i];
		struct mt_profile profile;
		struct mt_err e;

		if (!p->device.s ||
			mt_port_find_profile(p->device.s, p->profile.s, &profile, &e) == 0)
			continue;
		mt_diag_add(diags, MT_DIAG_ERROR,
			(struct mt_origin){
				p->origin.file, p->profile.s ? p->profile.line : p->device.line},
			"spec.ports", NULL, "port %s: %s", p->name.s ? p->name.s : "?", e.text);
	}
}

/* Prints what was found, and keeps it for `show config`. */
static void tell(struct daemon *d, struct mt_diags *diags)
{
	size_t size;
	FILE *f;

	mt_diags_print(diags, stderr);
	free(d->diagnostics);
	d->diagnostics = NULL;
	f = open_memstream(&d->diagnostics, &size);
	if (!f)
		return;
	mt_diags_print(diags, f);
	fclose(f);
}

/* ---- start -------------------------------------------------------------------------------- */

static int make_rcu(struct daemon *d)
{
	size_t size = rte_rcu_qsbr_get_memsize(d->n_workers);

	d->rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
	if (!d->rcu)
		return -ENOMEM;
	return rte_rcu_qsbr_init(d->rcu, d->n_workers);
}

/*
 * The compiler wants to know the number of workers, which is in the documents: they are read first, then
 * the compiler is made, then it compiles.
 */
static int first_load(struct daemon *d, struct mt_diags *diags, struct mt_err *e)
{
	struct mt_conf_options o = {.read_only = d->args.check};

	d->model = mt_model_new();
	if (!d->model)
		return mt_err(e, -ENOMEM, "no memory");
	read_documents(d, d->model, diags);
	if (!d->model->node)
		return -EINVAL;
	d->node = d->model->node;
	check_ports(d->node, diags);
	if (d->node->n_ports == 0)
		mt_diag_add(diags, MT_DIAG_ERROR, d->node->meta.origin, "spec.ports",
			"add at least one port", "the node has no port");
	d->n_workers = (uint16_t)d->node->workers.v;
	if (make_rcu(d))
		return mt_err(e, -ENOMEM, "no memory");
	o.workers = d->n_workers;
	o.rcu = d->rcu;
	o.state_dir = state_dir(d);
	d->conf = mt_conf_create(&o, e);
	if (!d->conf)
		return -EINVAL;
	d->first = mt_conf_compile(d->conf, d->model, diags, 0);
	return d->first && diags->errors == 0 ? 0 : -EINVAL;
}

int config_start(struct daemon *d, struct mt_err *e)
{
	struct mt_diags diags;
	int rc;

	mt_diags_init(&diags);
	rc = first_load(d, &diags, e);
	tell(d, &diags);
	if (rc == 0 && d->args.check)
		printf("%s: %u services, %u listeners, %u clusters, %u warnings\n", d->args.node,
			d->first->n_services, d->first->n_listeners, d->first->n_clusters,
			diags.warnings);
	mt_diags_fini(&diags);
	return rc;
}

void config_stop(struct daemon *d)
{
	if (d->first)
		mt_conf_discard(d->conf, d->first, 0);
	if (d->conf)
		mt_conf_destroy(d->conf);
	mt_model_free(d->model);
	free(d->rcu);
	free(d->diagnostics);
	d->diagnostics = NULL;
	d->first = NULL;
	d->conf = NULL;
	d->model = NULL;
	d->rcu = NULL;
}

/* ---- reload ------------------------------------------------------------------------------- */

static bool same_text(struct mt_text a, struct mt_text b)
{
	return a.s == b.s || (a.s && b.s && strcmp(a.s, b.s) == 0);
}

static bool same_port(const struct mt_node_port *a, const struct mt_node_port *b)
{
	if (!same_text(a->device, b->device) || !same_text(a->profile, b->profile) ||
		!same_text(a->exception, b->exception) || a->mtu.v != b->mtu.v ||
		a->vlan.v != b->vlan.v || a->n_addresses != b->n_addresses)
		return false;
	for (uint32_t i = 0; i < a->n_addresses; i++)
		if (!same_text(a->addresses[i].text, b->addresses[i].text))
			return false;
	return true;
}

static bool same_route(const struct mt_node_route *a, const struct mt_node_route *b)
{
	return same_text(a->to.text, b->to.text) && same_text(a->via_text, b->via_text) &&
	       same_text(a->port, b->port);
}

static bool same_machine(const struct mt_node *a, const struct mt_node *b)
{
	if (a->workers.v != b->workers.v || a->idle.v != b->idle.v || a->n_cores != b->n_cores ||
		a->memory.mb.v != b->memory.mb.v || a->memory.hugepages.v != b->memory.hugepages.v)
		return false;
	for (uint32_t i = 0; i < a->n_cores; i++)
		if (a->cores[i].v != b->cores[i].v)
			return false;
	return true;
}

/* Whether a reload takes over all of the Node that there is to take over. */
static bool same_node(const struct mt_node *a, const struct mt_node *b)
{
	if (!same_machine(a, b) || a->n_ports != b->n_ports || a->n_routes != b->n_routes ||
		a->n_sources != b->n_sources || a->n_source_addresses != b->n_source_addresses ||
		!same_text(a->state_dir, b->state_dir) ||
		!same_text(a->admin.socket, b->admin.socket) ||
		!same_text(a->admin.http, b->admin.http))
		return false;
	for (uint32_t i = 0; i < a->n_ports; i++)
		if (!same_port(&a->ports[i], &b->ports[i]))
			return false;
	for (uint32_t i = 0; i < a->n_routes; i++)
		if (!same_route(&a->routes[i], &b->routes[i]))
			return false;
	for (uint32_t i = 0; i < a->n_sources; i++)
		if (!same_text(a->sources[i].directory, b->sources[i].directory))
			return false;
	for (uint32_t i = 0; i < a->n_source_addresses; i++)
		if (!same_text(a->source_addresses[i].text, b->source_addresses[i].text))
			return false;
	return true;
}

/* The first error in words, for who asked by the shell. */
static int refused(struct daemon *d, const struct mt_diags *diags)
{
	char first[400] = "";

	for (uint32_t i = 0; i < diags->n && !first[0]; i++)
		if (diags->items[i].severity == MT_DIAG_ERROR)
			(void)mt_diag_format(&diags->items[i], first, sizeof(first));
	return publish_note(d, -EINVAL,
		"refused with %u errors, the last configuration goes on; %s", diags->errors, first);
}

int config_reload(struct daemon *d, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s = NULL;
	int rc;

	if (!m)
		return publish_note(d, -ENOMEM, "no memory");
	mt_diags_init(&diags);
	read_documents(d, m, &diags);
	/* What waited is no longer what the documents say. */
	publish_forget(d, now);
	if (m->node)
		s = mt_conf_compile(d->conf, m, &diags, now);
	tell(d, &diags);
	rc = s ? publish_snapshot(d, s, now) : refused(d, &diags);
	if ((rc == 0 || d->waiting) && !same_node(d->node, m->node))
		mt_log(MT_LOG_WARN, "config",
			"ports, routes, workers, memory, admin and state of the Node are taken "
			"over at the next start; new sources are watched from then on");
	mt_diags_fini(&diags);
	mt_model_free(m);
	return rc;
}
