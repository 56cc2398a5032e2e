/* SPDX-License-Identifier: Apache-2.0 */
/* Reports what a load found: in the log, for --check, and for `show config`. */
#include "daemon.h"

#include <stdio.h>
#include <string.h>

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

void tell(struct daemon *d, struct mt_diags *diags)
{
	char *words = tell_words(diags);

	if (!d->args.check)
		d->error_logged = tell_log(diags, d->diagnostics, words);
	else if (!d->args.json)
		mt_diags_print(diags, stderr);
	free(d->diagnostics);
	d->diagnostics = words;
}

/* What was found when the documents were read still applies. */
void tell_again(struct daemon *d, struct mt_diags *diags)
{
	char *all = NULL, *words = tell_words(diags);

	if (words && asprintf(&all, "%s%s", d->read_words ? d->read_words : "", words) < 0)
		all = NULL;
	d->error_logged = tell_log(diags, d->diagnostics, all);
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

static json_t *memory_json(const struct daemon *d)
{
	struct memory_use u;

	check_memory_use(d->node, d->first, &u);
	return json_pack("{s:b, s:I, s:I, s:I, s:I}", "hugepages", u.hugepages, "buffer_bytes",
		(json_int_t)u.buffers, "program_bytes", (json_int_t)u.program, "connection_bytes",
		(json_int_t)u.connections, "flow_bytes", (json_int_t)u.flows);
}

static void print_memory(const struct daemon *d)
{
	struct memory_use u;

	check_memory_use(d->node, d->first, &u);
	printf("memory: about %u MiB of %s and %u MiB outside of them at start; with %u "
	       "connections "
	       "on each of %u workers up to %u MiB more",
		(uint32_t)(u.buffers >> 20), u.hugepages ? "buffers in hugepages" : "buffers",
		(uint32_t)(u.program >> 20), (uint32_t)d->node->connections.v,
		(uint32_t)d->node->workers.v, (uint32_t)(u.connections >> 20));
	if (u.flows)
		printf(", with %u flows up to %u MiB", (uint32_t)d->node->flows.v,
			(uint32_t)(u.flows >> 20));
	putchar('\n');
}

static json_t *report(const struct daemon *d)
{
	json_t *all = json_object();

	if (d->node && d->first)
		json_object_set_new(all, "memory", memory_json(d));
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
	if (mt_table_has_trouble(d->table) || d->table->n_files_bad || d->sources_refused)
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
		print_memory(d);
	}
	return rc;
}
