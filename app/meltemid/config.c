/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: read, checked, compiled; again when they change. */
#include "daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#define RETRY_EVERY (100 * MT_MSEC)

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
	o.state_dir = d->node->state_dir.s ? d->node->state_dir.s : "/var/lib/meltemi";
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

	d->reload_at = MT_NEVER;
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

/* ---- publish ------------------------------------------------------------------------------ */

int publish_start(struct daemon *d, struct mt_err *e)
{
	int rc = mt_conf_publish(d->conf, d->first, mt_clock_now(&d->clock), NULL, e);

	if (rc == 0)
		d->first = NULL;
	return rc;
}

void publish_stop(struct daemon *d)
{
}

/* ---- reload ------------------------------------------------------------------------------- */

static bool same_text(struct mt_text a, struct mt_text b)
{
	return a.s == b.s || (a.s && b.s && strcmp(a.s, b.s) == 0);
}

static bool same_node(const struct mt_node *a, const struct mt_node *b)
{
	if (a->workers.v != b->workers.v || a->n_ports != b->n_ports ||
		a->memory.mb.v != b->memory.mb.v || a->idle.v != b->idle.v ||
		a->n_routes != b->n_routes)
		return false;
	for (uint32_t i = 0; i < a->n_ports; i++) {
		const struct mt_node_port *p = &a->ports[i], *q = &b->ports[i];

		if (!same_text(p->device, q->device) || !same_text(p->profile, q->profile) ||
			p->mtu.v != q->mtu.v || p->vlan.v != q->vlan.v ||
			p->n_addresses != q->n_addresses)
			return false;
		for (uint32_t k = 0; k < p->n_addresses; k++)
			if (!same_text(p->addresses[k].text, q->addresses[k].text))
				return false;
	}
	return true;
}

/* Notes how a reload ended, for the shell and the log; returns `rc`. */
static int note(struct daemon *d, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->reload_words, sizeof(d->reload_words), fmt, ap);
	va_end(ap);
	mt_log(rc ? MT_LOG_ERROR : MT_LOG_INFO, "config", "%s", d->reload_words);
	return rc;
}

/* Publishes, or discards; -EBUSY means again later. */
static int publish(struct daemon *d, struct mt_snapshot *s, uint64_t now)
{
	struct mt_conf_change change;
	struct mt_err e = {""};
	char words[512];
	int rc = net_check_vips(d, s, &e);

	if (rc == 0)
		rc = mt_conf_publish(d->conf, s, now, &change, &e);
	if (rc)
		mt_conf_discard(d->conf, s, now);
	if (rc == -EBUSY) {
		d->reload_at = now + RETRY_EVERY;
		return note(d, rc, "old configurations are still in use; trying again");
	}
	if (rc)
		return note(d, rc, "refused, the last configuration goes on: %s", e.text);
	/* Behind the publish, so that no address is answered for that nobody listens on. */
	if (net_set_vips(d, s, &e))
		mt_log(MT_LOG_ERROR, "config", "addresses of services: %s", e.text);
	return note(d, 0, "reloaded: %s", mt_conf_change_str(&change, words, sizeof(words)));
}

/* The first error in words, for who asked by the shell. */
static int refused(struct daemon *d, const struct mt_diags *diags)
{
	char first[400] = "";

	for (uint32_t i = 0; i < diags->n && !first[0]; i++)
		if (diags->items[i].severity == MT_DIAG_ERROR)
			(void)mt_diag_format(&diags->items[i], first, sizeof(first));
	return note(d, -EINVAL, "refused with %u errors, the last configuration goes on; %s",
		diags->errors, first);
}

int config_reload(struct daemon *d, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s = NULL;
	int rc;

	d->reload_at = MT_NEVER;
	if (!m)
		return note(d, -ENOMEM, "no memory");
	mt_diags_init(&diags);
	read_documents(d, m, &diags);
	if (m->node)
		s = mt_conf_compile(d->conf, m, &diags, now);
	tell(d, &diags);
	rc = s ? publish(d, s, now) : refused(d, &diags);
	if (rc == 0 && !same_node(d->node, m->node))
		mt_log(MT_LOG_WARN, "config",
			"ports, routes, workers and memory of the Node are taken over at the next "
			"start");
	mt_diags_fini(&diags);
	mt_model_free(m);
	return rc;
}
