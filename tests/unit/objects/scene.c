/* SPDX-License-Identifier: Apache-2.0 */
#include "objects_test.h"

#include <unistd.h>

#define NOW  1000000
#define WALL 1790000000

static const char node[] = "apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
			   "  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
			   "  tlsFiles: [{directory: %s}]\n";

static void open_all(struct scene *sc)
{
	struct mt_conf_options o = {.workers = 1, .state_dir = sc->state};
	struct mt_err e;

	sc->cache = mt_source_cache_new();
	sc->kept = mt_kept_open(sc->state, false);
	sc->conf = mt_conf_create(&o, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->cache);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->kept);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->conf);
}

static void close_load(struct scene *sc)
{
	if (sc->s)
		mt_conf_discard(sc->conf, sc->s, NOW);
	sc->s = NULL;
	mt_table_free(sc->t);
	sc->t = NULL;
	mt_diags_fini(&sc->diags);
}

static void close_all(struct scene *sc)
{
	close_load(sc);
	mt_conf_destroy(sc->conf);
	mt_kept_free(sc->kept);
	mt_source_cache_free(sc->cache);
}

void scene_begin(struct scene *sc)
{
	char cmd[80], text[sizeof(node) + sizeof(sc->dir)];

	*sc = (struct scene){.dir = "/tmp/mt_objects_XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(sc->dir));
	snprintf(sc->state, sizeof(sc->state), "%s/.state", sc->dir);
	snprintf(cmd, sizeof(cmd), "mkdir %s", sc->state);
	CU_ASSERT_EQUAL(system(cmd), 0);
	snprintf(text, sizeof(text), node, sc->dir);
	scene_write(sc, "0-node.yaml", text);
	open_all(sc);
}

void scene_end(struct scene *sc)
{
	char cmd[80];

	close_all(sc);
	snprintf(cmd, sizeof(cmd), "rm -r %s", sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

void scene_restart(struct scene *sc)
{
	close_all(sc);
	open_all(sc);
}

void scene_write(struct scene *sc, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", sc->dir, name);
	if (!text) {
		CU_ASSERT_EQUAL(unlink(path), 0);
		return;
	}
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* By a mistake in one of its fields, at any line, or by its name. */
static bool is_named_by(const struct mt_object_row *row, const struct mt_diag *e)
{
	const struct mt_object *o = row->o;
	char name[256];

	if (e->severity != MT_DIAG_ERROR || !e->origin.file ||
		strcmp(e->origin.file, o->origin.file) != 0)
		return false;
	(void)mt_object_str(o, name, sizeof(name));
	if (strncmp(e->message, name, strlen(name)) == 0)
		return e->origin.line == o->origin.line;
	/* A younger double may be a version that another row uses; errors are about that row. */
	return e->object == o->serial && !(row->double_ && o->status != MT_OBJECT_REFUSED);
}

/* What makes the exit code of --check 1 has an error that names its file, and its line or itself. */
static void errors_name_them(const struct scene *sc)
{
	for (uint32_t i = 0; i < sc->t->n; i++) {
		const struct mt_object_row *row = &sc->t->rows[i];
		bool named = row->status != MT_OBJECT_LAST_GOOD && row->status != MT_OBJECT_REFUSED;

		for (uint32_t k = 0; k < sc->diags.n && !named; k++)
			named = is_named_by(row, &sc->diags.items[k]);
		if (!named)
			printf("\n  no error names %s %s: %s", row->o->kind, row->o->name,
				row->why ? row->why : "");
		CU_ASSERT_TRUE(named);
	}
}

static void compile(struct scene *sc)
{
	struct mt_diags mark = sc->diags;
	int rc;

	sc->rounds = 0;
	while (!sc->t->node_refused) {
		struct mt_model *m = mt_table_model(sc->t, &rc);

		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		sc->rounds++;
		sc->s = mt_conf_compile(sc->conf, m, &sc->diags, NOW);
		if ((sc->s && !mt_table_may_fall_back(sc->t, &sc->diags)) ||
			!mt_table_refuse(sc->t, &sc->diags))
			break;
		if (sc->s)
			mt_conf_discard(sc->conf, sc->s, NOW);
		sc->s = NULL;
		mt_diags_rewind(&sc->diags, &mark);
	}
	mt_table_finish(sc->t, &sc->diags);
	mt_table_touch(sc->t);
}

void scene_compile(struct scene *sc)
{
	if (sc->s)
		mt_conf_discard(sc->conf, sc->s, NOW);
	sc->s = NULL;
	mt_diags_fini(&sc->diags);
	mt_diags_init(&sc->diags);
	compile(sc);
}

/* Adds entries about objects that no row has, 40 about each. */
static void fill(struct scene *sc)
{
	for (uint32_t i = 0; i < sc->fill; i++) {
		const struct mt_meta about = {
			.origin = {"f", 1}, .ns = "greedy", .serial = UINT64_MAX - i / 40};

		mt_diag_object(&sc->diags, MT_DIAG_NOTE, &about, i, NULL, NULL, "x");
	}
}

static void load(struct scene *sc, const char *file, const char *const *dirs, uint32_t n)
{
	struct mt_source_reading r = {0};

	close_load(sc);
	mt_diags_init(&sc->diags);
	CU_ASSERT_EQUAL_FATAL(mt_source_read(sc->cache, &r, &sc->diags, file, dirs, n), 0);
	sc->t = mt_table_new(&r, sc->kept);
	mt_source_reading_fini(&r);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->t);
	fill(sc);
	compile(sc);
	if (!sc->fill)
		errors_name_them(sc);
	if (sc->s)
		CU_ASSERT_EQUAL(mt_kept_update(sc->kept, sc->t, WALL), 0);
}

void scene_load(struct scene *sc)
{
	const char *const dirs[] = {sc->dir};

	load(sc, NULL, dirs, 1);
}

void scene_load_node(struct scene *sc)
{
	char file[64];

	snprintf(file, sizeof(file), "%s/0-node.yaml", sc->dir);
	load(sc, file, NULL, 0);
}

void scene_serve(struct scene *sc)
{
	struct mt_err e;

	scene_load_node(sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(sc->conf, sc->s, NOW, NULL, &e), 0);
	sc->s = NULL;
}

const struct mt_object_row *scene_row(const struct scene *sc, const char *kind, const char *name)
{
	for (uint32_t i = 0; i < sc->t->n; i++)
		if (strcmp(sc->t->rows[i].o->kind, kind) == 0 &&
			strcmp(sc->t->rows[i].o->name, name) == 0)
			return &sc->t->rows[i];
	return NULL;
}

const char *scene_status(const struct scene *sc, const char *kind, const char *name)
{
	const struct mt_object_row *row = scene_row(sc, kind, name);

	return row ? mt_object_status_str(row->status) : "";
}

int scene_endpoints(const struct scene *sc, const char *host)
{
	char name[128];

	snprintf(name, sizeof(name), "outbound|80||%s", host);
	for (uint32_t i = 0; sc->s && i < sc->s->n_clusters; i++)
		if (strcmp(sc->s->clusters[i].name, name) == 0)
			return sc->s->clusters[i].closed_by ? -2 : (int)sc->s->clusters[i].n_eps;
	return -1;
}

char *scene_json(const struct scene *sc)
{
	json_t *all = mt_table_json(sc->t), *row, *at;
	char *text;
	size_t i, k;

	json_array_foreach(all, i, row)
	{
		json_object_del(row, "file");
		json_object_del(row, "line");
		/* Words name the place of another one: they have files and lines in them, too. */
		json_array_foreach(json_object_get(row, "origins"), k, at) json_object_clear(at);
	}
	text = json_dumps(all, JSON_INDENT(1));
	json_decref(all);
	return text;
}

void scene_load_text(struct scene *sc, FILE *f, char **text)
{
	fclose(f);
	scene_begin(sc);
	scene_write(sc, "a.yaml", *text);
	scene_load(sc);
	free(*text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
}

bool scene_has(const struct scene *sc, const char *place, const char *words)
{
	char line[1024];

	for (uint32_t i = 0; i < sc->diags.n; i++) {
		(void)mt_diag_format(&sc->diags.items[i], line, sizeof(line));
		if (strstr(line, place) && strstr(line, words))
			return true;
	}
	return false;
}
