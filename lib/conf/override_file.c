/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overrides that are kept: STATE/overrides, a line each: when (ns since 1970), who, and the words behind `tune`.
 */
#include "mt_conf_priv.h"

#include "mt_overrides.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME  "overrides"
#define HEADER	   "meltemi overrides 1\n"
#define LINE_BYTES (MT_OVERRIDE_TEXT + MT_OVERRIDE_WHO + 32)

static void path_of(const char *state_dir, char path[MT_CONF_PATH + 32])
{
	snprintf(path, MT_CONF_PATH + 32, "%s/" FILE_NAME, state_dir);
}

static void write_lines(const struct mt_overrides *s, FILE *f)
{
	char text[MT_OVERRIDE_TEXT];

	fputs(HEADER, f);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].keep)
			fprintf(f, "%llu\t%s\t%s\n", (unsigned long long)s->v[i].wall,
				s->v[i].who[0] ? s->v[i].who : "-",
				mt_override_str(&s->v[i], text));
}

char *mt_overrides_text(const struct mt_overrides *s)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	write_lines(s, f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

void mt_overrides_save(const struct mt_overrides *s, const char *state_dir,
	struct mt_service *service, mt_replaced_fn *fn, void *arg)
{
	char *text = mt_overrides_text(s);
	char path[MT_CONF_PATH + 32];

	path_of(state_dir, path);
	mt_service_replace(service, path, text, text ? strlen(text) : 0, 0600, fn, arg);
}

/* "WALL\tWHO\tTEXT" */
static int parse_line(struct mt_override *o, char *line, struct mt_err *e)
{
	char *who = strchr(line, '\t'), *text = who ? strchr(who + 1, '\t') : NULL;
	unsigned long long wall;
	char *end;

	if (!text || *line < '0' || *line > '9')
		return mt_err(e, -EINVAL, "no line of overrides");
	*who++ = *text++ = '\0';
	wall = strtoull(line, &end, 10);
	if (*end)
		return mt_err(e, -EINVAL, "no time at its start");
	if (mt_override_parse_line(o, text, e))
		return -EINVAL;
	o->wall = wall;
	o->keep = true;
	snprintf(o->who, sizeof(o->who), "%s", who);
	return 0;
}

/* One line into the set; -EINVAL with the reason in e. */
static int take_line(struct mt_overrides *s, char *line, struct mt_err *e)
{
	size_t len = strcspn(line, "\n");
	struct mt_override o;
	uint32_t id;

	if (!line[len])
		return mt_err(e, -EINVAL, "truncated, or too long");
	line[len] = '\0';
	if (parse_line(&o, line, e))
		return -EINVAL;
	return mt_overrides_set(s, &o, &id) ? mt_err(e, -EINVAL, "there is no room for it") : 0;
}

static int read_lines(struct mt_overrides *s, FILE *f, const char *path, struct mt_err *e)
{
	char line[LINE_BYTES];
	int rc = 0;

	if (!fgets(line, sizeof(line), f) || strcmp(line, HEADER) != 0)
		return mt_err(e, -EINVAL, "%s:1: not a file of overrides", path);
	for (uint32_t number = 2; fgets(line, sizeof(line), f); number++) {
		struct mt_err why = {""};

		/* The first one is told. */
		if (take_line(s, line, &why) && rc == 0)
			rc = mt_err(e, -EINVAL, "%s:%u: %s", path, number, why.text);
	}
	return rc;
}

int mt_overrides_load(struct mt_overrides *s, const char *state_dir, struct mt_err *e)
{
	char path[MT_CONF_PATH + 32];
	FILE *f;
	int rc;

	path_of(state_dir, path);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : mt_err(e, -errno, "%s cannot be read: %s", path, strerror(errno));
	rc = read_lines(s, f, path, e);
	fclose(f);
	return rc;
}
