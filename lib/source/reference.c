/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the reference page of kinds and fields from the tables that read documents. */
#include "mt_fields.h"
#include "mt_source.h"

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

static const char *status_str(const struct mt_field *f)
{
	switch (f->type) {
	case MT_F_SKIP:
		return "accepted, no effect";
	case MT_F_LATER:
		return "accepted, not enforced (warning)";
	case MT_F_REFUSED:
		return "refused";
	default:
		break;
	}
	if (f->status == MT_S_LATER || f->status == MT_S_WARNS)
		return "checked, not enforced (warning)";
	if (f->status == MT_S_REFUSED)
		return "refused where it is served";
	if (f->status == MT_S_NOT_SERVED)
		return "not enforced: what has it is not served";
	if (f->status == MT_S_KEPT)
		return "kept, nothing depends on it";
	return f->required ? "enforced, required" : "enforced";
}

static void write_words(FILE *out, const char *const *words)
{
	for (uint32_t i = 0; words[i]; i++)
		fprintf(out, "%s`%s`", i ? ", " : "", words[i]);
}

static void write_row(FILE *out, const struct mt_field *f, const char *path)
{
	fprintf(out, "| `%s%s` | ", path, f->name);
	if (f->words)
		write_words(out, f->words);
	else
		fputs(type_str(f), out);
	if (f->type == MT_F_NUM && f->max)
		fprintf(out, " %u-%u", f->min, f->max);
	fprintf(out, " | %s | %s |\n", status_str(f), f->help ? f->help : "");
}

/* Most levels of nested sections; no section contains itself. */
#define NEST_MAX 8

static void write_section(FILE *out, const struct mt_section *s, const char *path, uint32_t depth)
{
	char below[MT_PATH_MAX];

	MT_ASSERT(depth < NEST_MAX);
	for (uint32_t i = 0; i < s->n_fields; i++) {
		const struct mt_field *f = &s->fields[i];
		bool list = f->type == MT_F_LIST || (f->type == MT_F_CUSTOM && f->sub);

		write_row(out, f, path);
		if (!f->sub)
			continue;
		snprintf(below, sizeof(below), "%s%s%s.", path, f->name, list ? "[]" : "");
		write_section(out, f->sub, below, depth + 1);
	}
}

static void write_kind(FILE *out, const struct mt_kind *k)
{
	fprintf(out, "\n### %s\n\n%s\n\n`apiVersion`: ", k->kind, k->note);
	for (uint32_t i = 0; k->versions[i]; i++)
		fprintf(out, "%s`%s%s%s`", i ? ", " : "", k->group, *k->group ? "/" : "",
			k->versions[i]);
	fputs("\n\n| field | value | what Meltemi does with it | meaning |\n|---|---|---|---|\n",
		out);
	write_section(out, k->spec, k->kubernetes ? "" : "spec.", 0);
}

static void write_others(FILE *out, const char *title, const char *words, bool restricts)
{
	fprintf(out, "\n### %s\n\n%s\n\n| kind | apiVersion | |\n|---|---|---|\n", title, words);
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (!k->spec && (k->restricts != NULL) == restricts)
			fprintf(out, "| `%s` | `%s/%s` | %s |\n", k->kind, k->group, k->versions[0],
				k->note);
}

void mt_source_reference(FILE *out)
{
	fputs("\n### Metadata of every document\n\n"
	      "| field | value | what Meltemi does with it | meaning |\n|---|---|---|---|\n",
		out);
	write_section(out, &mt_sec_metadata, "metadata.", 0);
	for (const struct mt_kind *k = mt_kinds; k->kind; k++)
		if (k->spec)
			write_kind(out, k);
	write_others(out, "Kinds that protect, and cannot be evaluated yet",
		"Those that would restrict callers close services: calls to them are denied. `show "
		"objects closed` lists both.",
		true);
	write_others(out, "Kinds without effect",
		"Their status is `no-effect`: [what becomes of an object](objects.md).", false);
}
