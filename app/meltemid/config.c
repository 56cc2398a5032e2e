/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, checks and compiles the documents, at start and when they change. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

/* ---- one load ----------------------------------------------------------------------------- */

/* The Node that is used, the first one that was read; NULL: none. */
static struct mt_object *node_of(const struct mt_source_reading *r)
{
	for (uint32_t i = 0; i < r->objects.n; i++)
		if (r->objects.v[i]->is_node)
			return r->objects.v[i];
	return NULL;
}

/* Reads all objects of all files; what is wrong with them is in diags. */
static int read_documents(struct daemon *d, struct mt_source_reading *r, struct mt_diags *diags)
{
	int rc;

	d->read_at = mt_watch_clock();
	rc = mt_source_read(d->files, r, diags, d->args.node, d->args.dirs, d->args.n_dirs);
	if (rc == 0 && !node_of(r))
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){d->args.node, 0}, NULL,
			"write a document of kind Node, apiVersion meltemi.io/v1",
			"there is no Node document in it");
	return rc;
}

/*
 * The model of documents and discovery resources together. NULL with the reason in diags: no
 * memory, or too large.
 */
static struct mt_model *join(
	struct daemon *d, struct mt_object_table *t, struct mt_diags *diags, uint64_t now)
{
	struct mt_model *m = mt_model_new(), *documents;
	int rc = m ? 0 : -ENOMEM;

	documents = m ? mt_table_model(t, &rc) : NULL;
	if (documents)
		rc = mt_model_share(m, documents);
	if (rc == 0) {
		m->node = documents->node;
		m->mesh = documents->mesh;
		m->closings = documents->closings;
		m->n_closings = documents->n_closings;
		m->standings = documents->standings;
		m->owned = documents->owned;
		if (d->looked_up)
			m->names = (struct mt_model_names){mt_name_table_find, d->looked_up};
		rc = mesh_share(d, m, now);
	}
	if (rc == 0)
		return m;
	mt_model_free(m);
	mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){d->args.node, 0}, NULL,
		rc == -E2BIG ? "the whole configuration may take 1 GiB" : NULL,
		rc == -E2BIG ? "the configuration is too large" : "no memory to merge the sources");
	return NULL;
}

/* ---- compiled ----------------------------------------------------------------------------- */

/*
 * Gives the compiler the codecs of the model. False: some have mistakes. Then documents that name
 * them are not compiled, because they would be refused, too.
 */
static bool load_codecs(struct daemon *d, const struct mt_model *m, struct mt_diags *diags)
{
	uint32_t errors = diags->errors;

	if (mt_codec_store_load(d->codecs, m, diags))
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){0}, NULL, NULL, "no memory");
	mt_conf_set_codecs(d->conf, mt_codec_store_registry(d->codecs));
	return diags->errors == errors;
}

/* The compiled snapshot, or NULL with the reasons in diags. */
static struct mt_snapshot *compile(
	struct daemon *d, struct mt_object_table *t, struct mt_diags *diags, uint64_t now)
{
	uint32_t errors = diags->errors;
	struct mt_model *m = join(d, t, diags, now);
	bool good = m && load_codecs(d, m, diags);
	struct mt_snapshot *s = good ? mt_conf_compile(d->conf, m, diags, now) : NULL;

	if (m && m->node)
		check_machine(m->node, diags);
	if (m && m->node && d->args.check) {
		check_sources(d, m->node, diags);
		check_shell(m->node, diags);
		if (s)
			check_reach(m, s, diags);
	}
	mt_model_free(m);
	if (s && diags->errors != errors) {
		mt_conf_discard(d->conf, s, now);
		s = NULL;
	}
	return s;
}

struct mt_snapshot *config_compile(struct daemon *d, struct mt_diags *diags, uint64_t now)
{
	return d->table ? compile(d, d->table, diags, now) : NULL;
}

/*
 * Most compilations of one load because of discovery resources: the versions that replace refused
 * ones may conflict, too. Rounds that refuse objects of documents need no limit, because each
 * leaves fewer versions.
 */
#define ROUNDS	      4
#define OBJECTS_WORDS 128

/*
 * Compiles the good version of each document with the newest good version of each discovery
 * resource. NULL if the Node or the whole cannot be used, with the reasons in diags.
 */
static struct mt_snapshot *load_rounds(
	struct daemon *d, struct mt_object_table *t, struct mt_diags *diags, uint64_t now)
{
	struct mt_diags mark = *diags;
	struct mt_snapshot *s;

	if (t->node_refused)
		return NULL;
	for (int round = 1;;) {
		s = compile(d, t, diags, now);
		if ((!s || mt_table_may_fall_back(t, diags)) && mt_table_refuse(t, diags)) {
			if (s)
				mt_conf_discard(d->conf, s, now);
			mt_diags_rewind(diags, &mark);
			continue;
		}
		if (!s && t->node_refused) {
			mesh_abandon(d, diags);
			return NULL;
		}
		if (!mesh_loaded(d, diags,
			    s ? NULL : "the configuration as a whole was refused because of it",
			    round++ == ROUNDS))
			break;
		if (s)
			mt_conf_discard(d->conf, s, now);
		mt_diags_rewind(diags, &mark);
	}
	mt_table_finish(t, diags);
	return s;
}

static struct mt_snapshot *load(
	struct daemon *d, struct mt_object_table *t, struct mt_diags *diags, uint64_t now)
{
	struct mt_snapshot *s;

	(void)net_kernel(d);
	if (d->looked_up)
		mt_name_table_begin(d->looked_up);
	s = load_rounds(d, t, diags, now);
	if (d->looked_up)
		mt_name_table_end(d->looked_up, s == NULL);
	return s;
}

void config_keep(struct daemon *d)
{
	int64_t wall = (int64_t)(mt_clock_wall(&d->clock, mt_clock_now(&d->clock)) / MT_SEC);

	if (mt_kept_update(d->kept, d->table, wall))
		mt_log(MT_LOG_ERROR, "config", "no memory to keep the documents that are in force");
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

/* Keeps the Node of the start, whose settings stay whatever the files contain later. */
static int take_node(struct daemon *d, const struct mt_source_reading *r)
{
	struct mt_object *o = node_of(r);

	if (o) {
		d->node = o->part->node;
		d->node_part = o->part;
		if (d->node)
			o->part->refs++;
	}
	return d->node ? 0 : -EINVAL;
}

/*
 * The daemon has dropped rights by the Node in the file of -c (needs.c), and authors of other
 * documents must not write the Node: one in a directory of -d does not take its place.
 */
static int check_place(
	const struct daemon *d, const struct mt_source_reading *r, struct mt_diags *diags)
{
	const struct mt_object *o = node_of(r);

	if (!o || (o->origin.file && strcmp(o->origin.file, d->args.node) == 0))
		return 0;
	mt_diag_add(diags, MT_DIAG_ERROR, o->origin, NULL, "name its file with -c",
		"a Node document in a directory is not used");
	return -EINVAL;
}

static int64_t wall_now(const struct daemon *d)
{
	return (int64_t)(mt_clock_wall(&d->clock, mt_clock_now(&d->clock)) / MT_SEC);
}

static int make_table(struct daemon *d, struct mt_source_reading *r, struct mt_err *e)
{
	d->kept = mt_kept_open(state_dir(d), d->args.check);
	if (d->kept)
		mt_kept_clock(d->kept, wall_now(d));
	d->table = d->kept ? mt_table_new(r, d->kept) : NULL;
	return d->table ? 0 : mt_err(e, -ENOMEM, "no memory");
}

static int make_conf(struct daemon *d, struct mt_diags *diags, struct mt_err *e)
{
	struct mt_conf_options o = {.read_only = d->args.check, .asks = true};

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
	mt_conf_set_ports(d->conf, d->node);
	return 0;
}

/*
 * The compiler needs the number of workers, which is in the documents: read them, create the
 * compiler, then compile.
 */
static int first_load(
	struct daemon *d, struct mt_source_reading *r, struct mt_diags *diags, struct mt_err *e)
{
	uint32_t errors;
	int rc;

	d->files = mt_source_cache_new();
	d->codecs = mt_codec_store_new();
	if (!d->files || !d->codecs)
		return mt_err(e, -ENOMEM, "no memory");
	rc = read_documents(d, r, diags);
	d->read_words = tell_words(diags);
	if (rc == 0)
		rc = take_node(d, r);
	if (rc == 0)
		rc = check_place(d, r, diags);
	if (rc == 0)
		rc = make_table(d, r, e);
	errors = diags->errors;
	if (rc == 0)
		rc = make_conf(d, diags, e);
	if (rc)
		return rc;
	if (identity_load(d))
		return mt_err(e, -ENOMEM, "no memory");
	override_load(d);
	override_log(d);
	history_documents(d, mt_source_texts_new(d->files), 0);
	mesh_open(d, diags);
	/*
	 * Stop for errors in the Node or in files that it names, but not for sources that need TLS.
	 */
	if (diags->errors != errors + d->sources_refused)
		return -EINVAL;
	d->first = load(d, d->table, diags, 0);
	if (d->args.check) {
		check_partial(r, diags);
		check_connections(d->node, d->first, diags);
		check_access_log(d->first, diags);
		check_identity(d->node, diags);
	}
	return d->first ? 0 : -EINVAL;
}

int config_start(struct daemon *d, struct mt_err *e)
{
	struct mt_source_reading r = {0};
	struct mt_diags diags;
	int rc;

	d->looked_up = d->args.check ? NULL : mt_name_table_new();
	if (!d->looked_up && !d->args.check)
		return mt_err(e, -ENOMEM, "no memory");
	mt_diags_init(&diags);
	rc = first_load(d, &r, &diags, e);
	tell(d, &diags);
	if (d->args.check)
		rc = check_report(d, &diags, rc);
	mt_diags_fini(&diags);
	mt_source_reading_fini(&r);
	return rc;
}

int config_first_again(struct daemon *d, struct mt_err *e)
{
	struct mt_diags diags;

	mt_conf_discard(d->conf, d->first, 0);
	mt_diags_init(&diags);
	mt_table_reset(d->table);
	d->first = load(d, d->table, &diags, 0);
	tell_again(d, &diags);
	mt_diags_fini(&diags);
	return d->first ? 0 : mt_err(e, -EINVAL, "the configuration cannot be compiled again");
}

static void forget_read(struct config_reading *p)
{
	if (!p->is)
		return;
	mt_diags_fini(&p->diags);
	mt_source_reading_fini(&p->r);
	mt_source_texts_free(p->texts);
	*p = (struct config_reading){0};
}

void config_stop(struct daemon *d)
{
	forget_read(&d->reading);
	mesh_close(d);
	if (d->first)
		mt_conf_discard(d->conf, d->first, 0);
	if (d->conf)
		mt_conf_destroy(d->conf);
	identity_forget(d);
	mt_name_table_free(d->looked_up);
	d->looked_up = NULL;
	mt_table_free(d->table);
	mt_table_free(d->in_force);
	mt_kept_free(d->kept);
	if (d->node)
		mt_model_free(d->node_part);
	mt_source_cache_free(d->files);
	d->files = NULL;
	mt_codec_store_free(d->codecs);
	d->codecs = NULL;
	free(d->rcu);
	free(d->diagnostics);
	free(d->read_words);
	d->diagnostics = d->read_words = NULL;
	d->table = d->in_force = NULL;
	d->kept = NULL;
	d->node = NULL;
	d->first = NULL;
	d->conf = NULL;
	d->rcu = NULL;
}

/* ---- reload ------------------------------------------------------------------------------- */

/* The first error in words, for the answer to a shell command; "" if there is none. */
static void first_error(const struct mt_diags *diags, char *buf, size_t size)
{
	buf[0] = '\0';
	for (uint32_t i = 0; i < diags->n && !buf[0]; i++)
		if (diags->items[i].severity == MT_DIAG_ERROR ||
			diags->items[i].severity == MT_DIAG_UNREADABLE)
			(void)mt_diag_format(&diags->items[i], buf, size);
}

typedef int note_fn(struct daemon *d, int rc, const char *fmt, ...) mt_printf(3, 4);

/* "2 objects are refused, 1 stays in force in its last good version"; returns buf. */
static const char *unusable(const uint32_t *counts, char buf[OBJECTS_WORDS])
{
	uint32_t refused = counts[MT_OBJECT_REFUSED], last = counts[MT_OBJECT_LAST_GOOD];
	const char *what = refused ? "" : last == 1 ? "object " : "objects ";
	int n = 0;

	buf[0] = '\0';
	if (refused)
		n = snprintf(buf, OBJECTS_WORDS, "%u %s refused%s", refused,
			refused == 1 ? "object is" : "objects are", last ? ", and " : "");
	if (last)
		snprintf(buf + n, OBJECTS_WORDS - (size_t)n, "%u %s%s good version", last, what,
			last == 1 ? "stays in force in its last" : "stay in force in their last");
	return buf;
}

/* Reports that a load was refused as a whole; logs it unless tell() has logged a new error. */
static int refused(struct daemon *d, const struct mt_diags *diags)
{
	note_fn *report = d->error_logged ? publish_note_logged : publish_note;
	char first[400];

	first_error(diags, first, sizeof(first));
	return report(d, -EINVAL, "refused with %u errors, the last configuration stays in use; %s",
		diags->errors, first);
}

/* True if a file could not be read for another reason than a change during the load. */
static bool has_unreadable_files(const struct mt_object_table *t)
{
	return t->n_files_bad > t->n_files_changing;
}

/*
 * Reports what is not used although the rest is in force, so that the reload does not count as a
 * success; logs it unless tell() has logged a new error.
 */
static int some_refused(struct daemon *d)
{
	note_fn *report = d->error_logged ? publish_note_logged : publish_note;
	uint32_t counts[MT_OBJECT_STATUSES];
	char words[sizeof(d->reload_words)], objects[OBJECTS_WORDS];

	mt_table_counts(d->table, counts);
	counts[MT_OBJECT_LAST_GOOD] = mt_table_fallen_back(d->table);
	snprintf(words, sizeof(words), "%s", d->reload_words);
	if (d->table->unread)
		return report(d, -EINVAL,
			"%.400s; but %.200s cannot be read: no object is removed until it can be "
			"read (`show last-good`); %s",
			words, d->table->unread, d->reload_first);
	if (!counts[MT_OBJECT_REFUSED] && !counts[MT_OBJECT_LAST_GOOD] &&
		has_unreadable_files(d->table))
		return report(d, -EINVAL,
			"%.400s; but %u files could not be read to their end (`show config`); %s",
			words, d->table->n_files_bad - d->table->n_files_changing, d->reload_first);
	if (!counts[MT_OBJECT_REFUSED] && !counts[MT_OBJECT_LAST_GOOD])
		return report(d, -EINVAL,
			"%.400s; but %u objects name files that cannot be used (`show objects`); "
			"%s",
			words, d->table->n_unreadable, d->reload_first);
	return report(d, -EINVAL, "%.400s; but %s (`show objects`); %s", words,
		unusable(counts, objects), d->reload_first);
}

/*
 * Reports changed fields of the Node that take effect only at the next start, so that the operator
 * does not wait for them.
 */
static void tell_restart(struct daemon *d, const struct mt_node *n)
{
	size_t len = strlen(d->reload_words);
	char fields[sizeof(d->restart_fields)];

	if (node_changes(d->node, n, fields, sizeof(fields)))
		snprintf(d->reload_words + len, sizeof(d->reload_words) - len,
			"; changed fields that need a restart: %s", fields);
	/* The log reports them once, the shell after every reload. */
	if (strcmp(fields, d->restart_fields) != 0 && fields[0])
		mt_log(MT_LOG_WARN, "config", "changed fields that need a restart: %s", fields);
	memcpy(d->restart_fields, fields, sizeof(fields));
}

/* A file that changes during a load needs no operator, so that the load counts as a success. */
static void tell_changing(struct daemon *d)
{
	size_t len = strlen(d->reload_words);

	if (d->table->n_files_changing)
		snprintf(d->reload_words + len, sizeof(d->reload_words) - len,
			"; %u files or directories changed meanwhile and are read again",
			d->table->n_files_changing);
}

static struct mt_model *node_part(const struct mt_object_table *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].used && t->rows[i].used->part->node)
			return t->rows[i].used->part;
	return NULL;
}

const struct mt_node *config_node(const struct daemon *d)
{
	const struct mt_model *part = d->table ? node_part(d->table) : NULL;

	return part ? part->node : d->node;
}

/* Adopts the table: resources of discovery servers are joined with it from now on. */
static void adopt(struct daemon *d, struct mt_object_table *t, char *words)
{
	const struct mt_model *part = node_part(t);

	if (part)
		(void)node_followed(
			config_node(d), part->node, d->node_fields, sizeof(d->node_fields));
	/* One that never came into force is forgotten. */
	if (d->table != t && d->in_force)
		mt_table_free(d->table);
	else if (d->table != t)
		d->in_force = d->table;
	free(d->read_words);
	d->refused = mt_table_has_trouble(t);
	d->table = t;
	d->read_words = words;
	config_keep(d);
}

void config_in_force(struct daemon *d)
{
	struct mt_model *part = d->reload_node ? node_part(d->table) : NULL;

	d->reload_unsaid = d->reload_node = false;
	if (part) {
		tell_restart(d, part->node);
		admin_roles(d, part->node);
		identity_aim(d, part->node);
	}
	tell_changing(d);
	if (d->refused)
		(void)some_refused(d);
}

/* Compiles and publishes what was read, and adopts it if it can be used. */
static int take(struct daemon *d, struct mt_source_reading *r, struct mt_source_texts *texts,
	uint64_t version, struct mt_diags *diags, uint64_t now)
{
	struct mt_object_table *t;
	char *words = tell_words(diags);
	struct mt_snapshot *s = NULL;
	struct mt_model *part = NULL;
	bool placed;
	int rc;

	mt_kept_clock(d->kept, wall_now(d));
	placed = check_place(d, r, diags) == 0;
	t = mt_table_new(r, d->kept);
	/* A waiting snapshot is older than these documents. */
	publish_forget(d, now);
	if (t && placed)
		s = load(d, t, diags, now);
	else if (!t)
		mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){0}, NULL, NULL, "no memory");
	tell(d, diags);
	if (!s) {
		rc = refused(d, diags);
		d->refused = true;
		mt_table_free(t);
		mt_source_texts_free(texts);
		free(words);
		return rc;
	}
	history_documents(d, texts, version);
	/* The table owns its Node. */
	adopt(d, t, words);
	if (version == 0 && (part = node_part(t)) != NULL)
		control_watch(d, part);
	d->reload_node = part != NULL;
	d->reload_unsaid = version == 0;
	first_error(diags, d->reload_first, sizeof(d->reload_first));
	return publish_snapshot(d, s, now);
}

bool config_is_due(const struct daemon *d)
{
	return d->table && mt_table_is_due(d->table, wall_now(d));
}

/* 0, or -errno if nothing was read, which is reported. */
static int read_files(struct daemon *d)
{
	struct config_reading *p = &d->reading;
	int rc;

	forget_read(p);
	mt_diags_init(&p->diags);
	p->is = p->fresh = true;
	rc = read_documents(d, &p->r, &p->diags);
	if (rc == 0) {
		p->texts = mt_source_texts_new(d->files);
		return 0;
	}
	forget_read(p);
	return publish_note(d, rc, "no memory");
}

static int take_read(struct daemon *d, uint64_t now)
{
	struct config_reading *p = &d->reading;
	struct mt_source_texts *texts = p->texts;
	int rc;

	mesh_reread(d, &p->diags, now);
	p->texts = NULL;
	rc = take(d, &p->r, texts, 0, &p->diags, now);
	forget_read(p);
	return rc ? rc : d->reload_rc;
}

int config_reload(struct daemon *d, uint64_t now)
{
	int rc;

	mt_source_cache_doubt(d->files);
	rc = read_files(d);
	return rc ? rc : take_read(d, now);
}

void config_read(struct daemon *d, uint64_t now)
{
	(void)read_files(d);
}

void config_take_read(struct daemon *d, uint64_t now)
{
	if (d->reading.is && !d->reading.fresh)
		(void)take_read(d, now);
	d->reading.fresh = false;
}

int config_from_texts(struct daemon *d, struct mt_source_texts *t, uint64_t version, uint64_t now)
{
	struct mt_source_reading r = {0};
	struct mt_diags diags;
	int rc;

	mt_diags_init(&diags);
	rc = mt_source_texts_read(t, NULL, &r, &diags);
	if (rc == 0)
		rc = take(d, &r, mt_source_texts_ref(t), version, &diags, now);
	else
		rc = publish_note(d, rc, "no memory");
	/* A rollback that is taken supersedes documents that were read just before it. */
	if (rc == 0 || d->waiting)
		forget_read(&d->reading);
	mt_diags_fini(&diags);
	mt_source_reading_fini(&r);
	return rc;
}

int config_refresh(struct daemon *d, uint64_t now)
{
	struct mt_diags diags;
	struct mt_snapshot *s;
	int rc;

	d->refreshing = true;
	mt_diags_init(&diags);
	mt_table_reset(d->table);
	s = load(d, d->table, &diags, now);
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
