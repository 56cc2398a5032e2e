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

/* The list as printed, to be freed; NULL: no memory. */
static char *words_of(struct mt_diags *diags)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	mt_diags_print(diags, f);
	fclose(f);
	return text;
}

static void to_log(const struct mt_diags *diags)
{
	uint32_t all = diags->errors + diags->warnings + diags->left_out + diags->not_served;
	char line[2048];

	for (uint32_t i = 0; i < diags->n; i++) {
		bool error = diags->items[i].severity == MT_DIAG_ERROR;

		(void)mt_diag_format(&diags->items[i], line, sizeof(line));
		mt_log(error ? MT_LOG_ERROR : MT_LOG_WARN, "config", "%s", line);
	}
	if (all > diags->n)
		mt_log(MT_LOG_WARN, "config", "and %u more", all - diags->n);
}

/* Tells what was found, to who checks or to the log, and keeps it for `show config`. */
static void tell(struct daemon *d, struct mt_diags *diags)
{
	free(d->diagnostics);
	d->diagnostics = words_of(diags);
	if (d->args.check)
		mt_diags_print(diags, stderr);
	else
		to_log(diags);
}

/* Of documents that are not taken; to be freed. */
static char *errors_of(const struct mt_diags *diags)
{
	char *text = NULL, line[2048];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (uint32_t i = 0; i < diags->n; i++) {
		if (diags->items[i].severity != MT_DIAG_ERROR)
			continue;
		(void)mt_diag_format(&diags->items[i], line, sizeof(line));
		fprintf(f, "%s\n", line);
	}
	fclose(f);
	return text;
}

/* What was said of the documents still holds; it is not printed again, and of the rest only what is new. */
static void tell_again(struct daemon *d, struct mt_diags *diags)
{
	char *all = NULL, *words = words_of(diags);

	if (words && asprintf(&all, "%s%s%s", d->refused ? d->refused : "",
			     d->read_words ? d->read_words : "", words) < 0)
		all = NULL;
	if (!all || !d->diagnostics || strcmp(all, d->diagnostics) != 0)
		fputs(words ? words : "", stderr);
	free(words);
	free(d->diagnostics);
	d->diagnostics = all;
}

/* What documents and discovery servers say, together; NULL: no memory. */
static struct mt_model *join(
	struct daemon *d, struct mt_model *documents, struct mt_diags *diags, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	int rc = m ? mt_model_share(m, documents) : -ENOMEM;

	if (rc == 0) {
		m->node = documents->node;
		rc = mesh_share(d, m, now);
	}
	if (rc == -E2BIG)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){d->args.node, 0}, NULL,
			"the whole configuration may take 1 GiB", "the configuration is too large");
	if (rc == 0 || rc == -E2BIG)
		return m;
	mt_model_free(m);
	return NULL;
}

/* ---- compiled ----------------------------------------------------------------------------- */

/* Compiled, or NULL with the reasons in diags. */
static struct mt_snapshot *compile(
	struct daemon *d, struct mt_model *documents, struct mt_diags *diags, uint64_t now)
{
	struct mt_model *m = join(d, documents, diags, now);
	struct mt_snapshot *s =
		m && !diags->errors ? mt_conf_compile(d->conf, m, diags, now) : NULL;

	if (!m)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){0}, NULL, NULL,
			"no memory to join what the sources say");
	/* After the compiler, which says nothing when there is an error already. */
	if (m && m->node)
		check_machine(m->node, diags);
	mt_model_free(m);
	if (s && diags->errors) {
		mt_conf_discard(d->conf, s, now);
		s = NULL;
	}
	return s;
}

/* How often one load is compiled: what one round refuses may get in the way of what the next one has instead. */
#define ROUNDS 4

/*
 * Compiled with what servers say of late, or without what of that is wrong. `sound`: the documents were good before,
 * so that a refusal is the servers'. NULL with the reasons in diags.
 */
static struct mt_snapshot *load(struct daemon *d, struct mt_model *documents,
	struct mt_diags *diags, uint64_t now, bool sound)
{
	struct mt_diags mark = *diags;
	struct mt_snapshot *s;

	for (int round = 1;; round++) {
		s = compile(d, documents, diags, now);
		if (!s && !sound) {
			mesh_abandon(d, diags);
			return NULL;
		}
		if (!mesh_loaded(d, diags,
			    s ? NULL : "the configuration as a whole was refused because of it",
			    round == ROUNDS))
			return s;
		if (s)
			mt_conf_discard(d->conf, s, now);
		mt_diags_rewind(diags, &mark);
	}
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
	d->documents = d->model;
	read_documents(d, d->model, diags);
	d->read_words = words_of(diags);
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
	turn_load(d);
	turn_log(d);
	history_documents(d, mt_source_texts_new(d->files), 0);
	mesh_open(d, diags);
	d->first = load(d, d->model, diags, 0, false);
	if (d->args.check)
		check_connections(d->node, diags);
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
	mesh_close(d);
	if (d->first)
		mt_conf_discard(d->conf, d->first, 0);
	if (d->conf)
		mt_conf_destroy(d->conf);
	if (d->documents != d->model)
		mt_model_free(d->documents);
	mt_model_free(d->model);
	mt_source_cache_free(d->files);
	d->files = NULL;
	free(d->rcu);
	free(d->diagnostics);
	free(d->read_words);
	free(d->refused);
	d->diagnostics = d->read_words = d->refused = NULL;
	d->documents = NULL;
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

/* They are what a discovery server's words are joined with from now on. */
static void adopt(struct daemon *d, struct mt_model *documents, char *words)
{
	if (d->documents != d->model)
		mt_model_free(d->documents);
	free(d->read_words);
	free(d->refused);
	d->refused = NULL;
	d->documents = documents;
	d->read_words = words;
}

int config_reload(struct daemon *d, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s = NULL;
	char *words;
	int rc;

	if (!m)
		return publish_note(d, -ENOMEM, "no memory");
	mt_diags_init(&diags);
	read_documents(d, m, &diags);
	words = words_of(&diags);
	mesh_reread(d, &diags, now);
	/* What waited is no longer what the documents say. */
	publish_forget(d, now);
	if (m->node)
		s = load(d, m, &diags, now, false);
	tell(d, &diags);
	if (!s) {
		rc = refused(d, &diags);
		free(d->refused);
		d->refused = errors_of(&diags);
		mt_model_free(m);
		free(words);
	} else {
		adopt(d, m, words);
		history_documents(d, mt_source_texts_new(d->files), 0);
		rc = publish_snapshot(d, s, now);
		tell_restart(d, m->node);
	}
	mt_diags_fini(&diags);
	return rc;
}

int config_from_texts(struct daemon *d, struct mt_source_texts *t, uint64_t version, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s = NULL;
	struct mt_diags diags;
	char *words;
	int rc = m ? 0 : -ENOMEM;

	if (rc)
		return publish_note(d, rc, "no memory");
	mt_diags_init(&diags);
	rc = mt_source_texts_load(t, m, &diags);
	words = words_of(&diags);
	if (rc == 0 && m->node)
		s = load(d, m, &diags, now, true);
	tell(d, &diags);
	if (!s) {
		rc = refused(d, &diags);
		mt_model_free(m);
		free(words);
	} else {
		adopt(d, m, words);
		history_documents(d, mt_source_texts_ref(t), version);
		rc = publish_snapshot(d, s, now);
	}
	mt_diags_fini(&diags);
	return rc;
}

int config_refresh(struct daemon *d, uint64_t now)
{
	struct mt_diags diags;
	struct mt_snapshot *s;
	int rc;

	d->refreshing = true;
	mt_diags_init(&diags);
	s = load(d, d->documents, &diags, now, true);
	tell_again(d, &diags);
	if (s) {
		publish_forget(d, now);
		rc = publish_snapshot(d, s, now);
	} else {
		rc = refused(d, &diags);
	}
	d->refreshing = false;
	mt_diags_fini(&diags);
	return rc;
}
