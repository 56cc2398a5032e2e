/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_diag.h"
#include "mt_log.h"

#include <string.h>

void mt_diags_init(struct mt_diags *d)
{
	*d = (struct mt_diags){0};
	mt_region_init(&d->region, 0);
}

void mt_diags_fini(struct mt_diags *d)
{
	mt_region_fini(&d->region);
	*d = (struct mt_diags){0};
}

/*
 * Escapes and copies a text. Words of documents and names of files are part of it, and none of that
 * may reach a terminal raw.
 */
static const char *copy(struct mt_diags *d, const char *s)
{
	char safe[2048];

	if (!s)
		return NULL;
	mt_escape(safe, sizeof(safe), s);
	return mt_region_strdup(&d->region, safe);
}

/* True if one more entry about this object may be kept. */
static bool has_room(struct mt_diags *d, enum mt_diag_severity severity, uint64_t object)
{
	if (object != d->last_object)
		memset(d->n_last, 0, sizeof(d->n_last));
	d->last_object = object;
	return d->n < MT_DIAG_KEEP && (!object || d->n_last[severity]++ < MT_DIAG_KEEP_OBJECT);
}

static struct mt_diag *add(struct mt_diags *d, enum mt_diag_severity severity,
	struct mt_origin origin, uint64_t object)
{
	struct mt_diag *e;

	d->errors += severity == MT_DIAG_ERROR;
	d->warnings += severity == MT_DIAG_WARNING;
	d->left_out += severity == MT_DIAG_LEFT_OUT;
	d->not_served += severity == MT_DIAG_NOT_SERVED;
	d->inert += severity == MT_DIAG_INERT || severity == MT_DIAG_UNUSED;
	d->shadowed += severity == MT_DIAG_SHADOWED;
	d->closed += severity == MT_DIAG_CLOSED;
	d->elsewhere += severity == MT_DIAG_ELSEWHERE;
	d->unused += severity == MT_DIAG_UNUSED;
	d->notes += severity == MT_DIAG_NOTE || severity == MT_DIAG_FIELDS;
	d->machine += severity == MT_DIAG_MACHINE;
	d->unreadable += severity == MT_DIAG_UNREADABLE;
	d->absent += severity == MT_DIAG_ABSENT;
	if (!has_room(d, severity, object))
		return NULL;
	e = mt_region_push(&d->region, (void **)&d->items, &d->n, sizeof(*d->items));
	if (!e)
		return NULL;
	e->severity = severity;
	e->object = object;
	e->origin = (struct mt_origin){copy(d, origin.file), origin.line};
	return e;
}

static void say(struct mt_diags *d, struct mt_diag *e, const char *path, const char *remedy,
	const char *fmt, va_list ap)
{
	char text[1024];

	e->path = path && *path ? copy(d, path) : NULL;
	e->remedy = copy(d, remedy);
	vsnprintf(text, sizeof(text), fmt, ap);
	e->message = copy(d, text);
}

void mt_diag_add(struct mt_diags *d, enum mt_diag_severity severity, struct mt_origin origin,
	const char *path, const char *remedy, const char *fmt, ...)
{
	struct mt_diag *e = add(d, severity, origin, 0);
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	say(d, e, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_diag_object(struct mt_diags *d, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *remedy, const char *fmt, ...)
{
	struct mt_diag *e =
		add(d, severity, (struct mt_origin){meta->origin.file, line}, meta->serial);
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	say(d, e, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_diag_resource(struct mt_diags *d, enum mt_diag_severity severity,
	const struct mt_meta *meta, const char *path, const char *remedy, const char *fmt, ...)
{
	struct mt_diag *e = add(d, severity, meta->origin, meta->serial);
	va_list ap;

	if (!e)
		return;
	e->resource = copy(d, meta->name);
	e->kind = copy(d, meta->kind);
	va_start(ap, fmt);
	say(d, e, path, remedy, fmt, ap);
	va_end(ap);
}

void mt_diag_host(struct mt_diags *d, const struct mt_meta *meta, const char *host)
{
	struct mt_diag_host *h =
		mt_region_push(&d->region, (void **)&d->hosts, &d->n_hosts, sizeof(*d->hosts));

	if (!h)
		return;
	h->object = meta->serial;
	h->host = copy(d, host);
}

void mt_diags_copy(struct mt_diags *d, const struct mt_diag *from, enum mt_diag_severity severity)
{
	struct mt_diag *e = add(d, severity, from->origin, from->object);

	if (!e)
		return;
	/* These texts are safe for a terminal. */
	e->path = copy(d, from->path);
	e->remedy = copy(d, from->remedy);
	e->message = copy(d, from->message);
	e->resource = copy(d, from->resource);
	e->kind = copy(d, from->kind);
}

int mt_diag_format(const struct mt_diag *e, char *buf, size_t size)
{
	static const char *const words[] = {"error", "warning", "left out", "not served",
		"no effect", "shadowed", "fails closed", "enforced elsewhere", "warning: no effect",
		"note", "note", "warning", "error", "warning"};
	const char *file = e->origin.file ? e->origin.file : "configuration";
	char line[16] = "";

	if (e->origin.line)
		snprintf(line, sizeof(line), ":%u", e->origin.line);
	return snprintf(buf, size, "%s%s: %s: %s%s%s%s%s%s%s%s%s%s", file, line, words[e->severity],
		e->kind ? e->kind : "", e->kind ? " " : "", e->resource ? e->resource : "",
		e->resource ? ": " : "", e->path ? e->path : "", e->path ? ": " : "",
		e->message ? e->message : "(no memory for the message)", e->remedy ? " (" : "",
		e->remedy ? e->remedy : "", e->remedy ? ")" : "");
}

static int rank(const struct mt_diag *e)
{
	switch (e->severity) {
	case MT_DIAG_ERROR:
	case MT_DIAG_UNREADABLE:
		return 0;
	case MT_DIAG_NOTE:
	case MT_DIAG_FIELDS:
		return 2;
	default:
		return 1;
	}
}

/*
 * Sorts errors first, so that they need not be searched for among hundreds of warnings, and notes
 * last.
 */
static int by_place(const void *a, const void *b)
{
	const struct mt_diag *x = a, *y = b;
	int c = rank(x) - rank(y);

	if (!c)
		c = strcmp(
			x->origin.file ? x->origin.file : "", y->origin.file ? y->origin.file : "");
	if (!c)
		c = (x->origin.line > y->origin.line) - (x->origin.line < y->origin.line);
	if (!c)
		c = strcmp(x->path ? x->path : "", y->path ? y->path : "");
	return c ? c : strcmp(x->message ? x->message : "", y->message ? y->message : "");
}

uint32_t mt_diags_count(const struct mt_diags *d)
{
	return d->errors + d->warnings + d->left_out + d->not_served + d->inert + d->closed +
	       d->elsewhere + d->shadowed + d->notes + d->machine + d->unreadable + d->absent;
}

const char *mt_diag_severity_str(enum mt_diag_severity severity)
{
	switch (severity) {
	case MT_DIAG_ERROR:
	case MT_DIAG_UNREADABLE:
		return "error";
	case MT_DIAG_INERT:
	case MT_DIAG_SHADOWED:
	case MT_DIAG_ELSEWHERE:
	case MT_DIAG_NOTE:
	case MT_DIAG_FIELDS:
		return "note";
	default:
		return "warning";
	}
}

bool mt_diag_is_strict(enum mt_diag_severity severity)
{
	return severity == MT_DIAG_WARNING || severity == MT_DIAG_UNUSED ||
	       severity == MT_DIAG_CLOSED || severity == MT_DIAG_UNREADABLE ||
	       severity == MT_DIAG_ABSENT;
}

uint32_t mt_diags_strict(const struct mt_diags *d)
{
	return d->warnings + d->unused + d->closed + d->unreadable + d->absent;
}

void mt_diags_sort(struct mt_diags *d)
{
	if (d->n)
		qsort(d->items, d->n, sizeof(*d->items), by_place);
}

void mt_diags_rewind(struct mt_diags *d, const struct mt_diags *mark)
{
	struct mt_region region = d->region;

	/* The list may have grown and moved; its first entries are the same. */
	*d = (struct mt_diags){.region = region,
		.items = d->items,
		.n = mark->n,
		.hosts = d->hosts,
		.n_hosts = mark->n_hosts,
		.errors = mark->errors,
		.warnings = mark->warnings,
		.left_out = mark->left_out,
		.not_served = mark->not_served,
		.inert = mark->inert,
		.closed = mark->closed,
		.elsewhere = mark->elsewhere,
		.shadowed = mark->shadowed,
		.unused = mark->unused,
		.notes = mark->notes,
		.machine = mark->machine,
		.unreadable = mark->unreadable,
		.absent = mark->absent};
}

void mt_diags_print(struct mt_diags *d, FILE *out)
{
	uint32_t all = mt_diags_count(d);
	char line[2048];

	mt_diags_sort(d);
	for (uint32_t i = 0; i < d->n; i++) {
		mt_diag_format(&d->items[i], line, sizeof(line));
		fprintf(out, "%s\n", line);
	}
	if (all > d->n)
		fprintf(out, "and %u more\n", all - d->n);
}
