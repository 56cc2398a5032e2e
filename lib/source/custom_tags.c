/* SPDX-License-Identifier: Apache-2.0 */
/*
 * customTags of Telemetry and MeshConfig: a map of names to tags of spans. Each service has a copy
 * of its tags, so a map has limits. A tag of a type that is not known is not sent.
 */
#include "mt_fields.h"

#include <string.h>

#define MOST_TAGS 32u
#define NAME_LEN  256u	/* bytes of the name of a tag, variable or key */
#define MOST	  4096u /* bytes of all names and values of a map */

static const struct mt_field literal_fields[] = {
	{"value", MT_F_TEXT, AT(struct mt_tag_source, value), .required = true,
		.help = "the value in all spans"},
};

static const struct mt_section literal_section = {"literal", sizeof(struct mt_tag_source),
	MT_ARRAY_LEN(literal_fields), .fields = literal_fields, .unknown = mt_unknown_told};

static const struct mt_field environment_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_tag_source, name), .required = true,
		.help = "a variable of meltemid; only the MeshConfig and objects of the root "
			"namespace read it"},
	{"defaultValue", MT_F_TEXT, AT(struct mt_tag_source, value),
		.help = "the value without the variable; default: no tag"},
};

static const struct mt_section environment_section = {"environment", sizeof(struct mt_tag_source),
	MT_ARRAY_LEN(environment_fields), .fields = environment_fields, .unknown = mt_unknown_told};

static const struct mt_field header_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_tag_source, name), .required = true,
		.help = "a key of the request's metadata, without regard to case, as of `%REQ()%`"},
	{"defaultValue", MT_F_TEXT, AT(struct mt_tag_source, value),
		.help = "the value of calls without it; default: no tag"},
};

static const struct mt_section header_section = {"header", sizeof(struct mt_tag_source),
	MT_ARRAY_LEN(header_fields), .fields = header_fields, .unknown = mt_unknown_told};

static bool is_long(const struct mt_tag_source *s)
{
	return s && s->name.s && strlen(s->name.s) > NAME_LEN;
}

static void check_tag(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_custom_tag *t = obj;
	int sources = !!t->literal + !!t->environment + !!t->header;

	if (sources > 1)
		mt_f_error(c, n->line, "keep one of them",
			"has more than one of literal, environment and header");
	if (is_long(t->environment) || is_long(t->header))
		mt_f_error(c, n->line, "write at most 256 bytes", "its name is too long");
	if (!sources && !mt_yaml_get(n, "formatter"))
		mt_f_warn(c, n->line, "write literal, environment or header",
			"not sent: it has no value");
}

static const struct mt_field tag_fields[] = {
	{"literal", MT_F_POINTER, AT(struct mt_custom_tag, literal), .sub = &literal_section,
		.help = "a fixed value"},
	{"environment", MT_F_POINTER, AT(struct mt_custom_tag, environment),
		.sub = &environment_section, .help = "the value of a variable"},
	{"header", MT_F_POINTER, AT(struct mt_custom_tag, header), .sub = &header_section,
		.help = "a value of the request's metadata"},
	{"formatter", MT_F_LATER, .help = "the tag is not sent"},
};

const struct mt_section mt_sec_custom_tag = {"tag", sizeof(struct mt_custom_tag),
	MT_ARRAY_LEN(tag_fields), .fields = tag_fields, .unknown = mt_unknown_told,
	.after = check_tag};

static bool has_name(const struct mt_custom_tags *tags, const char *name)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (strcmp(tags->v[i].name.s, name) == 0)
			return true;
	return false;
}

static void read_tag(struct mt_fctx *c, const struct mt_ynode *n, struct mt_custom_tags *to)
{
	struct mt_custom_tag *t;

	if (!*n->key || strlen(n->key) > NAME_LEN) {
		mt_f_error(c, n->key_line, "write 1 to 256 bytes", "not a name of a tag");
		return;
	}
	if (has_name(to, n->key)) {
		mt_f_error(c, n->key_line, "keep one of them", "written twice");
		return;
	}
	t = &to->v[to->n++];
	t->name = (struct mt_text){n->key, n->key_line};
	mt_section_read(c, &mt_sec_custom_tag, n, t);
}

static size_t len_of(const char *s)
{
	return s ? strlen(s) : 0;
}

static size_t bytes_of(const struct mt_tag_source *s)
{
	return s ? len_of(s->name.s) + len_of(s->value.s) : 0;
}

void mt_read_custom_tags(struct mt_fctx *c, const struct mt_ynode *n, struct mt_custom_tags *to)
{
	size_t bytes = 0;

	if (!mt_want_map(c, n, "a map of names and tags") || !n->n)
		return;
	if (n->n > MOST_TAGS) {
		mt_f_error(c, n->line, "write at most 32", "%u tags are too many", n->n);
		return;
	}
	to->v = mt_region_alloc(&c->model->region, n->n * sizeof(*to->v));
	for (const struct mt_ynode *k = n->first; k && to->v; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		read_tag(c, k, to);
		mt_path_pop(c, mark);
	}
	for (uint32_t i = 0; i < to->n; i++)
		bytes += len_of(to->v[i].name.s) + bytes_of(to->v[i].literal) +
			 bytes_of(to->v[i].environment) + bytes_of(to->v[i].header);
	if (bytes > MOST)
		mt_f_error(c, n->line, "write at most 4096 bytes",
			"names and values of all tags have %zu bytes", bytes);
}
