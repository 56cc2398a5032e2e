/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the reference page of kinds and fields from the tables that read documents. */
#include "mt_fields.h"
#include "mt_source.h"

#include <ctype.h>
#include <string.h>

static const char *type_str(const struct mt_field *f)
{
	static const char *const names[] = {
		[MT_F_TEXT] = "text",
		[MT_F_NUM] = "number",
		[MT_F_DURATION] = "duration",
		[MT_F_BOOL] = "true or false",
		[MT_F_WORD] = "word",
		[MT_F_TEXTS] = "list of texts",
		[MT_F_LABELS] = "map of texts",
		[MT_F_OBJECT] = "map",
		[MT_F_POINTER] = "map",
		[MT_F_LIST] = "list",
		[MT_F_CUSTOM] = "value",
		[MT_F_SKIP] = "any",
		[MT_F_LATER] = "any",
		[MT_F_REFUSED] = "any",
	};

	return f->type == MT_F_CUSTOM && f->sub ? "map or list" : names[f->type];
}

/* `noted`: fields without effect have a note in these documents. */
static const char *status_str(const struct mt_field *f, bool noted)
{
	switch (f->type) {
	case MT_F_SKIP:
		return noted && !f->quiet ? "accepted, no effect (note)" : "accepted, no effect";
	case MT_F_LATER:
		return f->harms ? "accepted, not enforced (warning)"
				: "accepted, not enforced (note)";
	case MT_F_REFUSED:
		return "refused";
	default:
		break;
	}
	if (f->status == MT_S_LATER || f->status == MT_S_WARNS)
		return f->harms ? "checked, not enforced (warning)"
				: "checked, not enforced (note)";
	if (f->status == MT_S_REFUSED)
		return "refused where it is served";
	if (f->status == MT_S_NOT_SERVED)
		return "not enforced: what has it is not served";
	if (f->status == MT_S_KEPT)
		return "kept, nothing depends on it";
	return f->required ? "enforced, required" : "enforced";
}

/* A table that is being written, and the sections that it has: each is written once. */
struct table {
	FILE *out;
	bool noted; /* status_str() */
	uint32_t n;
	struct {
		const struct mt_section *s;
		char path[MT_PATH_MAX];
	} seen[64];
};

/* The sections that have a table of their own, which other tables refer to. */
static const struct {
	const char *title;
	const struct mt_section *s, *user; /* user: the kind with the table before it */
	const char *note;
} shared[] = {
	{"Traffic policy", &mt_sec_traffic_policy, &mt_sec_destination_rule,
		"The fields of `trafficPolicy` in a DestinationRule, for the host and for each "
		"subset."},
	{"MeshConfig", &mt_sec_mesh_config, &mt_sec_config_map,
		"The fields of Istio's MeshConfig: a file that the Node names "
		"(`spec.mesh.config`), "
		"or key `mesh` of ConfigMap `istio` in the root namespace. Other fields get a "
		"warning."},
};

/* Writes the anchor that a Markdown reader makes of a heading. */
static void write_anchor(FILE *out, const char *title)
{
	for (const char *p = title; *p; p++)
		if (isalnum((unsigned char)*p))
			fputc(tolower((unsigned char)*p), out);
		else if (*p == ' ' || *p == '-')
			fputc('-', out);
}

static void write_link(FILE *out, const char *title)
{
	fprintf(out, "[%s](#", title);
	write_anchor(out, title);
	fputc(')', out);
}

static bool is_list(const struct mt_field *f)
{
	return f->type == MT_F_LIST || (f->type == MT_F_CUSTOM && f->sub);
}

static const char *shared_title(const struct mt_section *s)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(shared); i++)
		if (shared[i].s == s)
			return shared[i].title;
	return NULL;
}

/*
 * The row of this table that is followed by the section's; NULL: none yet, or the section has one
 * row, which is as short as a reference.
 */
static const char *seen_at(const struct table *t, const struct mt_section *s)
{
	if (s->n_fields < 2 || shared_title(s))
		return NULL;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->seen[i].s == s)
			return t->seen[i].path;
	return NULL;
}

static void remember(struct table *t, const struct mt_section *s, const char *path)
{
	MT_ASSERT(t->n < MT_ARRAY_LEN(t->seen));
	t->seen[t->n].s = s;
	snprintf(t->seen[t->n++].path, MT_PATH_MAX, "%s", path);
}

static void write_words(FILE *out, const char *const *words)
{
	for (uint32_t i = 0; words[i]; i++)
		fprintf(out, "%s`%s`", i ? ", " : "", words[i]);
}

static void write_value(struct table *t, const struct mt_field *f, const char *as)
{
	const char *title = f->sub ? shared_title(f->sub) : NULL;

	if (f->words)
		write_words(t->out, f->words);
	else if (title) {
		fputs(is_list(f) ? "list of " : "", t->out);
		write_link(t->out, title);
	} else
		fputs(type_str(f), t->out);
	if (as)
		fprintf(t->out, " as `%s`", as);
	if (f->type == MT_F_NUM && f->max)
		fprintf(t->out, " %u-%u", f->min, f->max);
	if ((f->type == MT_F_LIST || f->type == MT_F_TEXTS) && f->max)
		fprintf(t->out, ", at most %u", f->max);
}

/*
 * The row of `n` fields that differ only in their names. `as`: an earlier row of the table with the
 * same fields, which follow there; or NULL.
 */
static void write_row(
	struct table *t, const struct mt_field *f, uint32_t n, const char *path, const char *as)
{
	fputs("| ", t->out);
	for (uint32_t i = 0; i < n; i++)
		fprintf(t->out, "%s`%s%s`", i ? ", " : "", path, f[i].name);
	fputs(" | ", t->out);
	write_value(t, f, as);
	fprintf(t->out, " | %s | ", status_str(f, t->noted));
	for (const char *p = f->help ? f->help : ""; *p; p++)
		fprintf(t->out, "%s%c", *p == '|' ? "\\" : "", *p);
	fputs(" |\n", t->out);
}

/* How many of the `n` fields have one row, because only their names differ. */
static uint32_t alike(const struct table *t, const struct mt_field *f, uint32_t n)
{
	uint32_t k = 1;

	if (f->sub || f->words || f->max)
		return 1;
	while (k < n && !f[k].sub && !f[k].words && !f[k].max &&
		strcmp(type_str(&f[k]), type_str(f)) == 0 &&
		strcmp(status_str(&f[k], t->noted), status_str(f, t->noted)) == 0 && f[k].help &&
		f->help && strcmp(f[k].help, f->help) == 0)
		k++;
	return k;
}

/* Most levels of nested sections; no section contains itself. */
#define NEST_MAX 8

static void write_section(
	struct table *t, const struct mt_section *s, const char *path, uint32_t depth)
{
	char at[MT_PATH_MAX], below[MT_PATH_MAX];

	MT_ASSERT(depth < NEST_MAX);
	for (uint32_t i = 0, n; i < s->n_fields; i += n) {
		const struct mt_field *f = &s->fields[i];
		const char *as = f->sub ? seen_at(t, f->sub) : NULL;

		n = alike(t, f, s->n_fields - i);
		write_row(t, f, n, path, as);
		if (!f->sub || as || shared_title(f->sub))
			continue;
		snprintf(at, sizeof(at), "%s%s", path, f->name);
		remember(t, f->sub, at);
		snprintf(below, sizeof(below), "%s%s%s.", path, f->name, is_list(f) ? "[]" : "");
		write_section(t, f->sub, below, depth + 1);
	}
}

static void write_table(FILE *out, const struct mt_section *s, const char *path, bool noted)
{
	struct table t = {.out = out, .noted = noted};

	fputs("\n| field | value | effect | meaning |\n|---|---|---|---|\n", out);
	write_section(&t, s, path, 0);
}

/* "Gateway", or with its group if two kinds have this name. */
static const char *title_of(const struct mt_kind *k, char *buf, size_t len)
{
	uint32_t same = 0;

	for (const struct mt_kind *o = mt_kinds; o <= k; o++)
		same += strcmp(o->kind, k->kind) == 0;
	snprintf(buf, len, same > 1 ? "%s (%s)" : "%s", k->kind, k->group);
	return buf;
}

static void write_kind(FILE *out, const struct mt_kind *k)
{
	char title[128];

	fprintf(out, "\n### %s\n\n%s\n\n`apiVersion`: ", title_of(k, title, sizeof(title)),
		k->note);
	for (uint32_t i = 0; k->versions[i]; i++)
		fprintf(out, "%s`%s%s%s`", i ? ", " : "", k->group, *k->group ? "/" : "",
			k->versions[i]);
	fputc('\n', out);
	/* Other code reads the fields of some kinds; their notes lead to a page. */
	if (k->spec->n_fields)
		write_table(out, k->spec, k->kubernetes ? "" : "spec.", !k->kubernetes);
}

/* Writes the tables that a kind's own refers to. */
static void write_shared(FILE *out, const struct mt_kind *k)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(shared); i++)
		if (shared[i].user == k->spec) {
			fprintf(out, "\n### %s\n\n%s\n", shared[i].title, shared[i].note);
			write_table(out, shared[i].s, "", !k->kubernetes);
		}
}

static void write_others(FILE *out, const char *title, const char *words, bool restricts)
{
	fprintf(out, "\n### %s\n\n%s\n\n| kind | apiVersion | reason |\n|---|---|---|\n", title,
		words);
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (!k->spec && (k->restricts != NULL) == restricts)
			fprintf(out, "| `%s` | `%s/%s` | %s |\n", k->kind, k->group, k->versions[0],
				k->note);
}

#define METADATA "Metadata of every document"
#define CLOSING	 "Kinds that protect and are not evaluated"
#define IGNORED	 "Kinds without effect"

/* True for the first kind of its group in the table of kinds. */
static bool is_first_of_group(const struct mt_kind *k)
{
	for (const struct mt_kind *o = mt_kinds; o < k; o++)
		if (strcmp(o->group, k->group) == 0)
			return false;
	return true;
}

static void write_group(FILE *out, const char *group)
{
	const char *comma = "";
	char title[128];

	fprintf(out, "| %s%s%s | ", *group ? "`" : "", *group ? group : "Kubernetes",
		*group ? "`" : "");
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (strcmp(k->group, group) == 0) {
			fputs(comma, out);
			if (k->spec)
				write_link(out, title_of(k, title, sizeof(title)));
			else
				fprintf(out, "%s", k->kind);
			comma = ", ";
		}
	fputs(" |\n", out);
}

void mt_source_index(FILE *out)
{
	fputs("| group | kinds |\n|---|---|\n", out);
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (is_first_of_group(k))
			write_group(out, k->group);
	fputs("\nTables of their own: ", out);
	write_link(out, METADATA);
	for (size_t i = 0; i < MT_ARRAY_LEN(shared); i++) {
		fputs(", ", out);
		write_link(out, shared[i].title);
	}
	fputs(". Kinds without a link have none: ", out);
	write_link(out, CLOSING);
	fputs(", ", out);
	write_link(out, IGNORED);
	fputs(".\n", out);
}

void mt_source_reference(FILE *out)
{
	fputs("\n### " METADATA "\n", out);
	write_table(out, &mt_sec_metadata, "metadata.", false);
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (k->spec) {
			write_kind(out, k);
			write_shared(out, k);
		}
	write_others(out, CLOSING,
		"An object of these kinds that would restrict callers fails closed: calls to what "
		"it selects are denied. `show objects fail-closed` lists both.",
		true);
	write_others(out, IGNORED, "Their [status](objects.md) is `no-effect`.", false);
}
