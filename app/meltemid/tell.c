/* SPDX-License-Identifier: Apache-2.0 */
/* Reports what a load found: in the log, for --check, and for `show config`. */
#include "daemon.h"

#include <stdio.h>
#include <string.h>

/* Most lines of one load in the log; `show objects` has the rest. */
#define LOG_LINES 200

char *tell_words(struct mt_diags *diags)
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

static bool is_note(enum mt_diag_severity severity)
{
	return severity == MT_DIAG_NOTE || severity == MT_DIAG_FIELDS;
}

static void to_log(const struct mt_diags *diags)
{
	uint32_t all = mt_diags_count(diags), n = MT_MIN(diags->n, LOG_LINES);
	char line[2048];

	for (uint32_t i = 0; i < n; i++) {
		enum mt_diag_severity severity = diags->items[i].severity;
		bool grave = severity == MT_DIAG_ERROR || severity == MT_DIAG_CLOSED ||
			     severity == MT_DIAG_UNREADABLE;
		enum mt_log_level level = grave		      ? MT_LOG_ERROR
					  : is_note(severity) ? MT_LOG_INFO
							      : MT_LOG_WARN;

		(void)mt_diag_format(&diags->items[i], line, sizeof(line));
		mt_log(level, "config", "%s", line);
	}
	if (all > n)
		mt_log(MT_LOG_WARN, "config", "and %u more: `meltemi show objects` has them",
			all - n);
}

void tell(struct daemon *d, struct mt_diags *diags)
{
	free(d->diagnostics);
	d->diagnostics = tell_words(diags);
	if (!d->args.check)
		to_log(diags);
	else if (!d->args.json)
		mt_diags_print(diags, stderr);
}

/*
 * What was found when the documents were read still applies, but is not printed again. What this
 * load found is printed only if anything has changed.
 */
void tell_again(struct daemon *d, struct mt_diags *diags)
{
	char *all = NULL, *words = tell_words(diags);

	if (words && asprintf(&all, "%s%s", d->read_words ? d->read_words : "", words) < 0)
		all = NULL;
	if (!all || !d->diagnostics || strcmp(all, d->diagnostics) != 0)
		fputs(words ? words : "", stderr);
	free(words);
	free(d->diagnostics);
	d->diagnostics = all;
}

/* ---- --check -------------------------------------------------------------------------------- */

/* What is wrong with a file or directory as a whole, which is in no object's notes. */
static json_t *files(const struct mt_diags *diags)
{
	json_t *all = json_array(), *name; /* NULL if the path is not UTF-8 */
	char words[1024];

	for (uint32_t i = 0; i < diags->n; i++) {
		const struct mt_diag *e = &diags->items[i];

		if (e->resource || e->origin.line || !e->origin.file || e->path)
			continue;
		snprintf(words, sizeof(words), "%s%s%s%s", e->message, e->remedy ? " (" : "",
			e->remedy ? e->remedy : "", e->remedy ? ")" : "");
		name = json_string(e->origin.file);
		json_array_append_new(
			all, json_pack("{s:o, s:s, s:s}", "file", name ? name : json_string("?"),
				     "severity", mt_diag_severity_str(e->severity), "text", words));
	}
	return all;
}

static json_t *report(const struct daemon *d)
{
	json_t *all = json_object();

	json_object_set_new(all, "objects", mt_table_json(d->table));
	json_object_set_new(all, "services", mt_ctl_services_json(d->first));
	return all;
}

/* If the Node is unusable, prints what is known nevertheless. */
static void print_json(const struct daemon *d, const struct mt_diags *diags, int rc)
{
	json_t *all = d->table ? report(d) : json_pack("{s:[], s:[]}", "objects", "services");

	json_object_set_new(all, "files", files(diags));
	if (rc)
		json_object_set_new(all, "error",
			json_string(d->diagnostics ? d->diagnostics : "the Node cannot be used"));
	(void)json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

/* "12 objects: 10 in-force, 1 no-effect, 1 refused" */
static void print_counts(const struct daemon *d)
{
	uint32_t counts[MT_OBJECT_STATUSES];
	const char *before = "";

	mt_table_counts(d->table, counts);
	printf("%u objects: ", d->table->n);
	for (int i = 0; i < MT_OBJECT_STATUSES; i++)
		if (counts[i]) {
			printf("%s%u %s", before, counts[i],
				mt_object_status_str((enum mt_object_status)i));
			before = ", ";
		}
	putchar('\n');
}

/* True if the documents fail the check. */
static bool fails(const struct daemon *d, const struct mt_diags *diags)
{
	if (mt_table_has_trouble(d->table) || d->sources_refused)
		return true;
	return d->args.strict && mt_diags_strict(diags);
}

int check_report(struct daemon *d, const struct mt_diags *diags, int rc)
{
	d->exit_code = rc ? EXIT_CONFIG : fails(d, diags) ? EXIT_REFUSED_SOME : EXIT_OK;
	if (d->args.analyse && rc == 0) {
		d->exit_code = analyse_print(d);
	} else if (d->args.json) {
		print_json(d, diags, rc);
	} else if (rc == 0) {
		printf("%s: %u services, %u listeners, %u clusters, %u warnings, %u notes\n",
			d->args.node, d->first->n_services, d->first->n_listeners,
			d->first->n_clusters,
			mt_diags_strict(diags) - diags->unreadable + diags->machine, diags->notes);
		print_counts(d);
	}
	return rc;
}
