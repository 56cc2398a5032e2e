/* SPDX-License-Identifier: Apache-2.0 */
/* The list of findings: adds, sorts and prints them as JSON. */
#include "mt_analyse_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mt_finding_kind kinds[] = {
#define MT_FINDING(id, severity, meaning, remedy) {#id, MT_FINDING_##severity, meaning, remedy},
#include "findings.def"
#undef MT_FINDING
};

const struct mt_finding_kind *mt_finding_kind(enum mt_finding_id id)
{
	return &kinds[id];
}

const char *mt_finding_severity_str(enum mt_finding_severity s)
{
	static const char *const words[] = {"open", "plain", "shadowed", "dead", "risk", "note"};

	return words[s];
}

void mt_an_found(struct mt_analysis *a, enum mt_finding_id id, const struct mt_meta *of,
	uint32_t line, const char *fmt, ...)
{
	struct mt_finding *f = mt_region_push(&a->region, (void **)&a->v, &a->n, sizeof(*f));
	va_list ap;

	if (!f)
		return;
	va_start(ap, fmt);
	f->id = id;
	f->origin = (struct mt_origin){of->origin.file, mt_an_line_or(line, of)};
	f->object = mt_region_printf(&a->region, "%s %s/%s", of->kind, of->ns, of->name);
	f->text = mt_region_vprintf(&a->region, fmt, ap);
	va_end(ap);
}

bool mt_an_may(struct mt_analysis *a, uint64_t steps)
{
	uint64_t most = a->in->steps ? a->in->steps : MT_ANALYSE_STEPS;

	if (steps > most - a->steps) {
		a->bounded = true;
		return false;
	}
	a->steps += steps;
	return true;
}

/* ---- documents by their serial --------------------------------------------------------------- */

static void put_serial(struct mt_analysis *a, struct mt_strmap *m, uint64_t serial, const void *of)
{
	char *key = mt_region_printf(&a->region, "%" PRIu64, serial);

	if (key)
		(void)mt_strmap_put(m, key, (void *)of, NULL);
}

static void *by_serial(const struct mt_strmap *m, uint64_t serial)
{
	char key[32];

	snprintf(key, sizeof(key), "%" PRIu64, serial);
	return mt_strmap_get(m, key);
}

const struct mt_authorization_policy *mt_an_written(const struct mt_analysis *a, uint64_t serial)
{
	return by_serial(&a->written, serial);
}

const struct mt_object_row *mt_an_row(const struct mt_analysis *a, uint64_t serial)
{
	return serial ? by_serial(&a->rows, serial) : NULL;
}

void mt_an_begin(struct mt_analysis *a, const struct mt_analyse_in *in)
{
	const struct mt_object_table *t = in->table;
	int rc;

	*a = (struct mt_analysis){.in = in};
	mt_region_init(&a->region, 0);
	a->m = mt_table_model(in->table, &rc);
	for (uint32_t i = 0; a->m && i < a->m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *p = a->m->authorization_policies.v[i];

		put_serial(a, &a->written, p->meta.serial, p);
	}
	for (uint32_t i = 0; a->m && i < t->n; i++)
		if (t->rows[i].used)
			put_serial(a, &a->rows, t->rows[i].used->serial, &t->rows[i]);
}

void mt_an_end(struct mt_analysis *a)
{
	struct mt_strmap *maps[] = {&a->namespaces, &a->accounts, &a->interfaces, &a->methods,
		&a->served, &a->listed, &a->named, &a->owners, &a->hosts, &a->templates, &a->uses,
		&a->policies, &a->written, &a->rows};

	for (size_t i = 0; i < MT_ARRAY_LEN(maps); i++)
		mt_strmap_fini(maps[i]);
	mt_region_fini(&a->region);
}

/* ---- in order -------------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
	const struct mt_finding *a = x, *b = y;
	int c = (int)kinds[a->id].severity - (int)kinds[b->id].severity;

	if (c == 0)
		c = strcmp(
			a->origin.file ? a->origin.file : "", b->origin.file ? b->origin.file : "");
	if (c == 0)
		c = (a->origin.line > b->origin.line) - (a->origin.line < b->origin.line);
	if (c == 0)
		c = (int)a->id - (int)b->id;
	return c ? c : strcmp(a->text, b->text);
}

/* Sorts the findings and removes duplicates. */
static void sort(struct mt_analysis *a)
{
	uint32_t n = 0;

	if (a->n)
		qsort(a->v, a->n, sizeof(*a->v), compare);
	for (uint32_t i = 0; i < a->n; i++)
		if (n == 0 || compare(&a->v[n - 1], &a->v[i]) != 0)
			a->v[n++] = a->v[i];
	a->n = n;
}

/*
 * Joins findings about unknown clients, which many documents may name: each is reported once, with
 * the number of places.
 */
static void join(struct mt_analysis *a)
{
	struct mt_strmap first = {0};
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		struct mt_finding *f = &a->v[i], *before;
		bool unseen = f->id == MT_FINDING_ID_principal_unseen ||
			      f->id == MT_FINDING_ID_namespace_unseen;
		char *key = unseen ? mt_region_strdup(&a->region, f->text) : NULL;

		before = key ? mt_strmap_get(&first, key) : NULL;
		if (before) {
			before->more++;
			continue;
		}
		a->v[n] = *f;
		if (key)
			(void)mt_strmap_put(&first, key, &a->v[n], NULL);
		n++;
	}
	a->n = n;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->v[i].more)
			a->v[i].text = mt_region_printf(&a->region, "%s, as in %u other places",
				a->v[i].text, a->v[i].more);
	mt_strmap_fini(&first);
}

/* File names need not be valid UTF-8. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_string("?");
}

static json_t *finding_json(const struct mt_finding *f)
{
	const struct mt_finding_kind *k = &kinds[f->id];
	json_t *j = json_object();
	char id[48], where[600];

	snprintf(id, sizeof(id), "%s", k->id);
	for (char *p = id; *p; p++)
		if (*p == '_')
			*p = '-';
	snprintf(where, sizeof(where), "%s:%u", f->origin.file ? f->origin.file : "",
		f->origin.line);
	json_object_set_new(j, "severity", json_string(mt_finding_severity_str(k->severity)));
	json_object_set_new(j, "finding", json_string(id));
	json_object_set_new(j, "where", text(where));
	json_object_set_new(j, "object", text(f->object));
	json_object_set_new(j, "reason", text(f->text));
	json_object_set_new(j, "remedy", k->remedy ? json_string(k->remedy) : json_null());
	return j;
}

static json_t *answer(struct mt_analysis *a)
{
	json_t *list = json_array(), *services = mt_an_services_json(a);
	json_int_t found = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		found += kinds[a->v[i].id].severity != MT_FINDING_NOTE;
		json_array_append_new(list, finding_json(&a->v[i]));
	}
	return json_pack("{s:I, s:I, s:b, s:o, s:o}", "found", found, "notes",
		(json_int_t)a->n - found, "bounded", a->bounded, "services", services, "findings",
		list);
}

json_t *mt_analyse(const struct mt_analyse_in *in)
{
	struct mt_analysis a;
	json_t *j = NULL;

	mt_an_begin(&a, in);
	if (a.m) {
		mt_table_touch(in->table);
		mt_an_names_gather(&a);
		mt_an_uses_gather(&a);
		mt_an_policies(&a);
		mt_an_status(&a);
		mt_an_selects(&a);
		mt_an_rules(&a);
		mt_an_clear(&a);
		mt_an_unequal(&a);
		mt_an_gateways(&a);
		mt_an_tokens(&a);
		mt_an_tls(&a);
		mt_an_drops(&a);
		mt_an_claims(&a);
		mt_an_mesh(&a);
		sort(&a);
		join(&a);
		j = a.region.failed ? NULL : answer(&a);
	}
	mt_an_end(&a);
	return j;
}
