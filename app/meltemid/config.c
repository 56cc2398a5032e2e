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
	int rc = mt_source_load(d->files, m, diags, d->args.node, d->args.dirs, d->args.n_dirs);

	if (rc == 0 && diags->errors == 0 && !m->node)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){d->args.node, 0}, NULL,
			"write a document of kind Node, apiVersion meltemi.io/v1",
			"there is no Node document in it");
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

	d->files = mt_source_cache_new();
	d->model = mt_model_new();
	if (!d->model || !d->files)
		return mt_err(e, -ENOMEM, "no memory");
	read_documents(d, d->model, diags);
	if (!d->model->node)
		return -EINVAL;
	d->node = d->model->node;
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
	/* After the compiler, which says nothing when there is an error already. */
	check_machine(d->node, diags);
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
	mt_source_cache_free(d->files);
	d->files = NULL;
	free(d->rcu);
	free(d->diagnostics);
	d->diagnostics = NULL;
	d->first = NULL;
	d->conf = NULL;
	d->model = NULL;
	d->rcu = NULL;
}

/* ---- reload ------------------------------------------------------------------------------- */

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

/* The Node is read again and used at the next start only; who changed it must not wait in vain. */
static void tell_restart(struct daemon *d, const struct mt_node *n)
{
	size_t len = strlen(d->reload_words);
	char fields[sizeof(d->restart_fields)];

	if (node_changes(d->node, n, fields, sizeof(fields)))
		snprintf(d->reload_words + len, sizeof(d->reload_words) - len,
			"; changed fields that need a restart: %s", fields);
	/* The log tells it once, the shell with every reload. */
	if (strcmp(fields, d->restart_fields) != 0 && fields[0])
		mt_log(MT_LOG_WARN, "config", "changed fields that need a restart: %s", fields);
	memcpy(d->restart_fields, fields, sizeof(fields));
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
	if (m->node)
		check_machine(m->node, &diags);
	if (s && diags.errors) {
		mt_conf_discard(d->conf, s, now);
		s = NULL;
	}
	tell(d, &diags);
	rc = s ? publish_snapshot(d, s, now) : refused(d, &diags);
	if (s)
		tell_restart(d, m->node);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return rc;
}
