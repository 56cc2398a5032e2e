/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_diag.h"
#include "mt_log.h"

#include <string.h>

void mt_diags_init(struct mt_diags *d)
{
	*d = (struct mt_diags){0};
	mt_region_init(&d->region, 0);
	mt_region_init(&d->names, 0);
}

void mt_diags_fini(struct mt_diags *d)
{
	mt_region_fini(&d->region);
	mt_region_fini(&d->names);
	mt_strmap_fini(&d->owners);
	*d = (struct mt_diags){0};
}

/*
 * Escapes and copies a text. The text may contain words of documents and names of files, which must
 * not send commands to a terminal.
 */
static const char *copy(struct mt_diags *d, const char *s)
{
	char safe[2048];

	if (!s)
		return NULL;
	mt_escape(safe, sizeof(safe), s);
	return mt_region_strdup(&d->region, safe);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Returns the owner with this name; adds a new one. NULL: no name, or no memory. */
static struct mt_diag_owner *owner_of(struct mt_diags *d, const char *name)
{
	struct mt_diag_owner *o = name ? mt_strmap_get(&d->owners, name) : NULL;

	if (o || !name)
		return o;
	o = mt_region_alloc(&d->names, sizeof(*o));
	if (!o)
		return NULL;
	o->name = mt_region_strdup(&d->names, name);
	return o->name && mt_strmap_put(&d->owners, o->name, o, NULL) == 0 ? o : NULL;
}

static struct mt_diag_owner *owner_of_object(struct mt_diags *d, const struct mt_meta *meta)
{
	return owner_of(d, d->owner ? d->owner : meta->ns);
}

/* True if one more entry of the owner may be kept. */
static bool has_room(const struct mt_diags *d, const struct mt_diag_owner *owner)
{
	uint32_t owned = d->n - d->n_unowned;

	if (!owner)
		return d->n_unowned < MT_DIAG_KEEP;
	if (owned < MT_DIAG_KEEP - MT_DIAG_KEEP / 4 && d->bytes < MT_DIAG_BYTES - MT_DIAG_BYTES / 4)
		return true;
	return owned < MT_DIAG_KEEP && d->bytes < MT_DIAG_BYTES && owner->n < MT_DIAG_KEEP_OWNER;
}

static bool has_room_for_host(const struct mt_diags *d, const struct mt_diag_owner *owner)
{
	return d->n_hosts < MT_DIAG_HOSTS - MT_DIAG_HOSTS / 4 ||
	       (d->n_hosts < MT_DIAG_HOSTS && (!owner || owner->n_hosts < MT_DIAG_KEEP_OWNER));
}

/* True for severities that do not change an object's status beyond notes. */
static bool is_remark(enum mt_diag_severity s)
{
	return s == MT_DIAG_WARNING || s == MT_DIAG_NOTE || s == MT_DIAG_FIELDS ||
	       s == MT_DIAG_MACHINE;
}

/* Records object and severity of an entry without keeping its texts. */
static void add_beyond(struct mt_diags *d, enum mt_diag_severity severity, uint64_t object)
{
	const struct mt_diag_beyond *last = d->n_beyond ? &d->beyond[d->n_beyond - 1] : NULL;
	struct mt_diag_beyond *b;

	if (!object || is_remark(severity) ||
		(last && last->object == object && last->severity == severity))
		return;
	b = mt_region_push(&d->region, (void **)&d->beyond, &d->n_beyond, sizeof(*b));
	if (b)
		*b = (struct mt_diag_beyond){object, severity};
}

/* True if the list has fewer than 40 entries in a row of this severity about the object. */
static bool is_wanted(struct mt_diags *d, enum mt_diag_severity severity, uint64_t object)
{
	if (object != d->last_object)
		memset(d->n_last, 0, sizeof(d->n_last));
	d->last_object = object;
	return !object || d->n_last[severity]++ < MT_DIAG_KEEP_OBJECT;
}

const struct mt_diag *mt_diags_entry(const struct mt_diags *d, uint32_t i, struct mt_diag *room)
{
	if (i < d->n)
		return &d->items[i];
	*room = (struct mt_diag){.severity = d->beyond[i - d->n].severity,
		.object = d->beyond[i - d->n].object,
		.message = "there are too many messages to keep this one",
		.remedy = "correct the others first, or check its file alone"};
	return room;
}

/* ---- entries --------------------------------------------------------------------------------- */

static void count(struct mt_diags *d, enum mt_diag_severity severity)
{
	d->errors += severity == MT_DIAG_ERROR;
	d->warnings += severity == MT_DIAG_WARNING || severity == MT_DIAG_DISPUTED;
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
}

static struct mt_diag *add(struct mt_diags *d, enum mt_diag_severity severity,
	struct mt_origin origin, uint64_t object, struct mt_diag_owner *owner)
{
	struct mt_diag *e;

	count(d, severity);
	if (!is_wanted(d, severity, object))
		return NULL;
	if (!has_room(d, owner)) {
		add_beyond(d, severity, object);
		return NULL;
	}
	e = mt_region_push(&d->region, (void **)&d->items, &d->n, sizeof(*d->items));
	if (!e)
		return NULL;
	e->severity = severity;
	e->object = object;
	e->owner = owner;
	e->origin = (struct mt_origin){copy(d, origin.file), origin.line};
	d->n_unowned += owner == NULL;
	if (owner)
		owner->n++;
	return e;
}

static size_t length(const char *s)
{
	return s ? strlen(s) : 0;
}

/* Charges the texts of a new entry. */
static void charge(struct mt_diags *d, struct mt_diag *e)
{
	e->bytes = (uint32_t)(length(e->origin.file) + length(e->path) + length(e->remedy) +
			      length(e->message));
	if (e->owner)
		d->bytes += e->bytes;
}

static void say(struct mt_diags *d, struct mt_diag *e, const char *path, const char *remedy,
	const char *fmt, va_list ap)
{
	char text[1024];

	e->path = path && *path ? copy(d, path) : NULL;
	e->remedy = copy(d, remedy);
	vsnprintf(text, sizeof(text), fmt, ap);
	e->message = copy(d, text);
	charge(d, e);
}

void mt_diag_add(struct mt_diags *d, enum mt_diag_severity severity, struct mt_origin origin,
	const char *path, const char *remedy, const char *fmt, ...)
{
	struct mt_diag *e = add(d, severity, origin, 0, owner_of(d, d->owner));
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
	struct mt_diag *e = add(d, severity, (struct mt_origin){meta->origin.file, line},
		meta->serial, owner_of_object(d, meta));
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
	struct mt_diag *e = add(d, severity, meta->origin, meta->serial, NULL);
	va_list ap;

	if (!e)
		return;
	e->resource = copy(d, meta->name);
	e->kind = copy(d, meta->kind);
	va_start(ap, fmt);
	say(d, e, path, remedy, fmt, ap);
	va_end(ap);
}

bool mt_diag_host(struct mt_diags *d, const struct mt_meta *meta, const char *host)
{
	struct mt_diag_owner *owner = owner_of_object(d, meta);
	struct mt_diag_host *h;

	if (!has_room_for_host(d, owner))
		return false;
	h = mt_region_push(&d->region, (void **)&d->hosts, &d->n_hosts, sizeof(*d->hosts));
	if (!h)
		return false;
	h->object = meta->serial;
	h->host = copy(d, host);
	h->owner = owner;
	if (owner)
		owner->n_hosts++;
	return true;
}

void mt_diags_copy(struct mt_diags *d, const struct mt_diag *from, enum mt_diag_severity severity)
{
	struct mt_diag *e = add(d, severity, from->origin, from->object,
		from->owner ? owner_of(d, from->owner->name) : NULL);

	if (!e)
		return;
	/* The texts of an entry are already escaped. */
	e->path = copy(d, from->path);
	e->remedy = copy(d, from->remedy);
	e->message = copy(d, from->message);
	charge(d, e);
	e->resource = copy(d, from->resource);
	e->kind = copy(d, from->kind);
}

void mt_diags_copy_all(struct mt_diags *d, const struct mt_diags *from)
{
	for (uint32_t i = 0; i < from->n; i++)
		mt_diags_copy(d, &from->items[i], from->items[i].severity);
	for (uint32_t i = 0; i < from->n_beyond; i++) {
		count(d, from->beyond[i].severity);
		add_beyond(d, from->beyond[i].severity, from->beyond[i].object);
	}
}

int mt_diag_format(const struct mt_diag *e, char *buf, size_t size)
{
	static const char *const words[] = {"error", "warning", "left out", "not served",
		"no effect", "shadowed", "fails closed", "enforced elsewhere", "warning: no effect",
		"note", "note", "warning", "error", "warning", "warning"};
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
 * Orders errors first and notes last, so that no operator has to search hundreds of warnings for an
 * error.
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
	       severity == MT_DIAG_ABSENT || severity == MT_DIAG_DISPUTED;
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

/* ---- removal --------------------------------------------------------------------------------- */

static const char *move_text(struct mt_region *r, const char *s)
{
	return s ? mt_region_strdup(r, s) : NULL;
}

static void move_entries(struct mt_region *r, const struct mt_diags *d, struct mt_diags *to)
{
	for (uint32_t i = 0; i < d->n; i++) {
		struct mt_diag *e =
			mt_region_push(r, (void **)&to->items, &to->n, sizeof(*to->items));

		if (!e)
			return;
		*e = d->items[i];
		e->origin.file = move_text(r, e->origin.file);
		e->resource = move_text(r, e->resource);
		e->kind = move_text(r, e->kind);
		e->path = move_text(r, e->path);
		e->message = move_text(r, e->message);
		e->remedy = move_text(r, e->remedy);
	}
	for (uint32_t i = 0; i < d->n_hosts; i++) {
		struct mt_diag_host *h =
			mt_region_push(r, (void **)&to->hosts, &to->n_hosts, sizeof(*to->hosts));

		if (!h)
			return;
		*h = d->hosts[i];
		h->host = move_text(r, h->host);
	}
	for (uint32_t i = 0; i < d->n_beyond; i++) {
		struct mt_diag_beyond *b =
			mt_region_push(r, (void **)&to->beyond, &to->n_beyond, sizeof(*to->beyond));

		if (!b)
			return;
		*b = d->beyond[i];
	}
}

/*
 * Frees the memory of removed entries once they are most of the region. A load may compile hundreds
 * of times and remove the entries of each attempt.
 */
static void compact(struct mt_diags *d)
{
	struct mt_diags to = {0};
	struct mt_region r;

	if (d->region.used < 2 * d->compact + (1u << 20))
		return;
	mt_region_init(&r, 0);
	move_entries(&r, d, &to);
	if (r.failed) {
		mt_region_fini(&r);
		return;
	}
	mt_region_fini(&d->region);
	d->region = r;
	d->items = to.items;
	d->hosts = to.hosts;
	d->beyond = to.beyond;
	d->compact = r.used;
}

void mt_diags_rewind(struct mt_diags *d, const struct mt_diags *mark)
{
	struct mt_diags was = *d;

	for (uint32_t i = mark->n; i < was.n; i++)
		if (was.items[i].owner)
			was.items[i].owner->n--;
	for (uint32_t i = mark->n_hosts; i < was.n_hosts; i++)
		if (was.hosts[i].owner)
			was.hosts[i].owner->n_hosts--;
	*d = *mark;
	/* The lists may have grown and moved, but their first entries are the same as in `mark`. */
	d->region = was.region;
	d->items = was.items;
	d->hosts = was.hosts;
	d->beyond = was.beyond;
	d->owner = was.owner;
	d->owners = was.owners;
	d->names = was.names;
	d->compact = was.compact;
	d->last_object = 0;
	memset(d->n_last, 0, sizeof(d->n_last));
	compact(d);
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
