/* SPDX-License-Identifier: Apache-2.0 */
/* Flat reader of a YAML file: reports each scalar with its dotted path. Enough for profiles. */
#include "mt_port_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#define DEPTH_MAX 4

struct level {
	bool list;
	bool have_key;	 /* a mapping has read a key and waits for its value */
	size_t path_len; /* length of the path without this level's key */
};

struct reader {
	const char *file;
	struct level levels[DEPTH_MAX];
	int depth;
	char path[128];
	int (*pair)(void *arg, const struct mt_yaml_pair *p);
	void *arg;
	struct mt_err *e;
};

static int refuse(struct reader *r, const yaml_event_t *ev, const char *why)
{
	return mt_err(
		r->e, -EINVAL, "%s:%lu: %s", r->file, (unsigned long)ev->start_mark.line + 1, why);
}

static int set_key(struct reader *r, struct level *l, const yaml_event_t *ev)
{
	size_t room = sizeof(r->path) - l->path_len;
	int n = snprintf(r->path + l->path_len, room, "%s%s", l->path_len ? "." : "",
		(const char *)ev->data.scalar.value);

	if (n < 0 || (size_t)n >= room)
		return refuse(r, ev, "the key is too long");
	l->have_key = true;
	return 0;
}

static int scalar(struct reader *r, const yaml_event_t *ev)
{
	struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
	struct mt_yaml_pair p = {.path = r->path,
		.value = (const char *)ev->data.scalar.value,
		.line = (uint32_t)ev->start_mark.line + 1};

	if (!l)
		return refuse(r, ev, "a mapping of settings is wanted");
	if (!l->list && !l->have_key)
		return set_key(r, l, ev);
	p.in_list = l->list;
	l->have_key = false;
	return r->pair(r->arg, &p);
}

static int open_level(struct reader *r, const yaml_event_t *ev, bool list)
{
	struct level *up = r->depth ? &r->levels[r->depth - 1] : NULL;

	if (r->depth == DEPTH_MAX || (up && up->list) || (up && !up->have_key) || (list && !up))
		return refuse(r, ev, "nothing nested is expected here");
	r->levels[r->depth++] = (struct level){.list = list, .path_len = up ? strlen(r->path) : 0};
	if (up)
		up->have_key = false;
	return 0;
}

static int event(struct reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		return scalar(r, ev);
	case YAML_MAPPING_START_EVENT:
		return open_level(r, ev, false);
	case YAML_SEQUENCE_START_EVENT:
		return open_level(r, ev, true);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->path[r->levels[--r->depth].path_len] = '\0';
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(r, ev, "aliases are not used in a profile");
	default:
		return 0;
	}
}

static int read_events(struct reader *r, yaml_parser_t *parser)
{
	for (;;) {
		yaml_event_t ev;
		bool end;
		int rc;

		if (!yaml_parser_parse(parser, &ev))
			return mt_err(r->e, -EINVAL, "%s:%lu: not YAML: %s", r->file,
				(unsigned long)parser->problem_mark.line + 1,
				parser->problem ? parser->problem : "unreadable");
		end = ev.type == YAML_STREAM_END_EVENT;
		rc = event(r, &ev);
		yaml_event_delete(&ev);
		if (rc || end)
			return rc;
	}
}

int mt_yaml_pairs(const char *file, int (*pair)(void *arg, const struct mt_yaml_pair *p), void *arg,
	struct mt_err *e)
{
	struct reader r = {.file = file, .pair = pair, .arg = arg, .e = e};
	yaml_parser_t parser;
	FILE *f = fopen(file, "re");
	int rc;

	if (!f)
		return mt_err(e, -errno, "%s: %s", file, strerror(errno));
	if (!yaml_parser_initialize(&parser)) {
		fclose(f);
		return mt_err(e, -ENOMEM, "%s: no memory", file);
	}
	yaml_parser_set_input_file(&parser, f);
	rc = read_events(&r, &parser);
	yaml_parser_delete(&parser);
	fclose(f);
	return rc;
}
