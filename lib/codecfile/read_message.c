/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a document has about messages: kinds, ids, status, deadline and metadata. */
#include "read.h"

static const char *const event_words[] = {"ignore", "drain", "resume", NULL};
static const char *const unit_words[] = {"ms", "s", "us", "ns", NULL};
static const char *const part_words[] = {"before", "after", "prefix", "suffix", NULL};
static const char *const class_words[] = {
	"ok", "application", "server", "overload", "unavailable", "deadline", "caller", NULL};

#define KINDS_FIELD(type)                                                                          \
	static void read_##type##_for(struct mt_fctx *c, const struct mt_ynode *n, void *obj)      \
	{                                                                                          \
		read_kinds(c, n, &((struct cf_##type *)obj)->kinds);                               \
	}

/* ---- kinds ---------------------------------------------------------------------------------- */

static void read_kind(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_kinds *out = obj;
	struct mt_num word = {0};

	if (mt_read_word(c, n, cf_kind_words, &word))
		out->bits |= (uint16_t)(1u << cf_kind_of[word.v]);
}

/* A kind, or a list of them. */
static void read_kinds(struct mt_fctx *c, const struct mt_ynode *n, struct cf_kinds *out)
{
	out->line = n->line;
	if (n->type == MT_Y_SCALAR || mt_want_list(c, n, "a kind of message or a list of them"))
		cf_read_each(c, n, read_kind, out);
}

WHEN_FIELD(message, when)

static void check_message(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_message *m = obj;

	if (m->event.set && cf_kind_of[m->is.v] != MT_MSG_EVENT)
		mt_f_error(c, m->event.line, "remove it, or write \"is: event\"",
			"only events have an effect on the connection");
	if (!m->refuse.set)
		return;
	if (cf_kind_of[m->is.v] != MT_MSG_REQUEST && cf_kind_of[m->is.v] != MT_MSG_ONEWAY)
		mt_f_error(c, m->refuse.line, "remove it, or write \"is: request\"",
			"only requests and one-way requests are refused");
	else if (!m->from.set || m->from.v != 0)
		mt_f_error(c, m->refuse.line, "add \"from: client\"",
			"only calls of clients are refused");
}

static const struct mt_field message_fields[] = {
	{"is", MT_F_WORD, .required = true, AT(struct cf_message, is), .words = cf_kind_words,
		.help = "its kind"},
	{"from", MT_F_WORD, AT(struct cf_message, from), .words = cf_from_words},
	CUSTOM("when", message, when),
	{"event", MT_F_WORD, AT(struct cf_message, event), .words = event_words},
	{"refuse", MT_F_WORD, AT(struct cf_message, refuse), .words = cf_reason_words},
};
static const struct mt_section sec_message = {.what = "message",
	.size = sizeof(struct cf_message),
	.n_fields = MT_ARRAY_LEN(message_fields),
	.fields = message_fields,
	.after = check_message};

void cf_read_messages(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->messages = cf_read_many(c, &sec_message, n, &v->n_messages);
}

/* ---- ids, status, deadline ------------------------------------------------------------------- */

/* Reads items. A scalar is an item with a place alone, which is at this offset. */
static void *read_placed(struct mt_fctx *c, const struct mt_section *s, size_t place,
	const struct mt_ynode *n, uint32_t *count)
{
	uint8_t *item;

	if (n->type != MT_Y_SCALAR)
		return cf_read_many(c, s, n, count);
	item = mt_region_alloc(&c->model->region, s->size);
	if (!item)
		return NULL;
	*(struct mt_origin *)item = (struct mt_origin){c->file, n->line};
	cf_read_ref(c, n, (struct cf_ref *)(item + place));
	*count = 1;
	return item;
}

REF_FIELD(id, place)
KINDS_FIELD(id)

static void read_id_copies(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_id *id = obj;

	cf_read_refs(c, n, &id->copies, &id->n_copies);
}

static void check_id(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct cf_id *id = obj;

	(void)n;
	if (id->always.set && !id->n_copies)
		mt_f_error(c, id->always.line, "add copies, or remove always",
			"always is for copies of the id");
}

static const struct mt_field id_fields[] = {
	CUSTOM("place", id, place, .required = true, .help = "where the id is"),
	CUSTOM("for", id, for),
	CUSTOM("copies", id, copies),
	{"always", MT_F_BOOL, AT(struct cf_id, always)},
};
static const struct mt_section sec_id = {.what = "id",
	.size = sizeof(struct cf_id),
	.n_fields = MT_ARRAY_LEN(id_fields),
	.fields = id_fields,
	.after = check_id};

void cf_read_ids(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->ids = read_placed(c, &sec_id, offsetof(struct cf_id, place), n, &v->n_ids);
}

REF_FIELD(status, place)
KINDS_FIELD(status)

static void read_number(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_class *out = obj;

	out->n += cf_read_number(c, n, &out->values[out->n]);
}

static void read_class(struct mt_fctx *c, const struct mt_ynode *n, struct cf_class *out)
{
	uint32_t many = n->type == MT_Y_SEQ ? n->n : 1;

	out->line = n->line;
	if (n->type == MT_Y_MAP) {
		mt_f_error(c, n->line,
			"write the numbers, and the class of all further ones as other",
			"must be a number or a list of numbers, is a map");
		return;
	}
	if (many > 64) {
		mt_f_error(c, n->line, "write 64 at most", "too many numbers");
		return;
	}
	out->values = mt_region_alloc(&c->model->region, sizeof(*out->values) * (many ? many : 1));
	if (out->values)
		cf_read_each(c, n, read_number, out);
}

#define CLASS_FIELD(member, index)                                                                 \
	static void read_status_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj)   \
	{                                                                                          \
		read_class(c, n, &((struct cf_status *)obj)->classes[index]);                      \
	}
CLASS_FIELD(ok, MT_CT_CLASS_OK)
CLASS_FIELD(application, MT_CT_CLASS_APPLICATION)
CLASS_FIELD(server, MT_CT_CLASS_SERVER)
CLASS_FIELD(overload, MT_CT_CLASS_OVERLOAD)
CLASS_FIELD(unavailable, MT_CT_CLASS_UNAVAILABLE)
CLASS_FIELD(deadline, MT_CT_CLASS_DEADLINE)
CLASS_FIELD(caller, MT_CT_CLASS_CALLER)

static const struct mt_field status_fields[] = {
	CUSTOM("place", status, place, .required = true, .help = "where the status is"),
	CUSTOM("for", status, for),
	CUSTOM("ok", status, ok),
	CUSTOM("application", status, application),
	CUSTOM("server", status, server),
	CUSTOM("overload", status, overload),
	CUSTOM("unavailable", status, unavailable),
	CUSTOM("deadline", status, deadline),
	CUSTOM("caller", status, caller),
	{"other", MT_F_WORD, .required = true, AT(struct cf_status, other), .words = class_words,
		.help = "the class of all other numbers"},
};

static bool unknown_status(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)obj;
	if (strcmp(n->key, "when") != 0)
		return false;
	mt_f_error(c, n->key_line,
		"write a list of status: the first entry that is not ok decides; a place that only "
		"some replies have needs a default",
		"a status has no conditions");
	return true;
}

static const struct mt_section sec_status = {.what = "status",
	.size = sizeof(struct cf_status),
	.n_fields = MT_ARRAY_LEN(status_fields),
	.fields = status_fields,
	.unknown = unknown_status};

void cf_read_statuses(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->statuses = cf_read_many(c, &sec_status, n, &v->n_statuses);
}

REF_FIELD(deadline, place)
KINDS_FIELD(deadline)

static const struct mt_field deadline_fields[] = {
	CUSTOM("place", deadline, place, .required = true, .help = "where the time is"),
	CUSTOM("for", deadline, for),
	{"unit", MT_F_WORD, AT(struct cf_deadline, unit), .words = unit_words},
};
const struct mt_section cf_sec_deadline = {.what = "deadline",
	.size = sizeof(struct cf_deadline),
	.n_fields = MT_ARRAY_LEN(deadline_fields),
	.fields = deadline_fields};

/* ---- metadata -------------------------------------------------------------------------------- */

REF_FIELD(meta, place)
KINDS_FIELD(meta)

static void read_meta_names(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_meta *m = obj;

	if (!mt_want_map(c, n, "a map of numbers to names"))
		return;
	m->names = mt_region_alloc(&c->model->region, sizeof(*m->names) * (n->n ? n->n : 1));
	for (const struct mt_ynode *k = n->first; m->names && k; k = k->next) {
		struct cf_name *name = &m->names[m->n_names];
		struct mt_text text = {0};
		struct mt_ynode key = {.type = MT_Y_SCALAR, .line = k->key_line, .text = k->key};
		uint32_t mark = mt_path_push(c, k->key);

		if (cf_read_number(c, &key, &name->number) && mt_read_item(c, k, &text)) {
			name->text = text.s;
			m->n_names++;
		}
		mt_path_pop(c, mark);
	}
}

static void check_meta(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_meta *m = obj;

	if ((m->place.name != NULL) == (m->value.s != NULL))
		mt_f_error(c, n->line, "write one of place and value", "it needs one of both");
	if (m->split.s && strlen(m->split.s) != 1)
		mt_f_error(c, m->split.line, "write one character", "\"%.16s\" is not a character",
			m->split.s);
	if (m->part.set && !m->split.s)
		mt_f_error(c, m->part.line, "add split", "a part needs a character to split at");
}

static const struct mt_field meta_fields[] = {
	CUSTOM("place", meta, place),
	CUSTOM("for", meta, for),
	{"value", MT_F_TEXT, AT(struct cf_meta, value)},
	{"split", MT_F_TEXT, AT(struct cf_meta, split)},
	{"part", MT_F_WORD, AT(struct cf_meta, part), .words = part_words},
	CUSTOM("names", meta, names),
};
static const struct mt_section sec_meta = {.what = "metadata value",
	.size = sizeof(struct cf_meta),
	.n_fields = MT_ARRAY_LEN(meta_fields),
	.fields = meta_fields,
	.after = check_meta};

static void read_meta(struct mt_fctx *c, const struct mt_ynode *n, struct cf_meta *m)
{
	if (n->type != MT_Y_SCALAR) {
		mt_section_read(c, &sec_meta, n, m);
		return;
	}
	m->origin = (struct mt_origin){c->file, n->line};
	cf_read_ref(c, n, &m->place);
}

/* Adds a row for a key. False: there is no memory. */
static bool add_meta(
	struct mt_fctx *c, const char *key, const struct mt_ynode *n, struct cf_meta ***last)
{
	struct cf_meta *m = mt_region_alloc(&c->model->region, sizeof(*m));

	if (!m)
		return false;
	m->key = key;
	read_meta(c, n, m);
	**last = m;
	*last = &m->next;
	return true;
}

/* Several places of one key: a row for each. The first that is there gives the value. */
static bool add_metas(
	struct mt_fctx *c, const char *key, const struct mt_ynode *n, struct cf_meta ***last)
{
	uint32_t i = 0;

	if (n->n == 0 || n->n > 8) {
		mt_f_error(c, n->line, "write 1 to 8 places", "a value has no place, or too many");
		return true;
	}
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, i++);
		bool place = k->type == MT_Y_SCALAR;

		if (!place)
			mt_f_error(c, k->line, "write the names of places",
				"a list of places has nothing else");
		else if (!add_meta(c, key, k, last))
			return false;
		mt_path_pop(c, mark);
	}
	return true;
}

void cf_read_metas(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;
	struct cf_meta **last = &v->metas;

	if (!mt_want_map(c, n, "a map of names to places"))
		return;
	if (n->n > 64) {
		mt_f_error(c, n->line, "use search for others", "more than 64 metadata");
		return;
	}
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);
		bool done = k->type == MT_Y_SEQ ? add_metas(c, k->key, k, &last)
						: add_meta(c, k->key, k, &last);

		if (!done)
			return;
		mt_path_pop(c, mark);
	}
}

REF_FIELD(search, place)
KINDS_FIELD(search)

static const struct mt_field search_fields[] = {
	CUSTOM("in", search, place, .required = true, .help = "the container"),
	CUSTOM("for", search, for),
};
static const struct mt_section sec_search = {.what = "search",
	.size = sizeof(struct cf_search),
	.n_fields = MT_ARRAY_LEN(search_fields),
	.fields = search_fields};

void cf_read_searches(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->searches =
		read_placed(c, &sec_search, offsetof(struct cf_search, place), n, &v->n_searches);
}
