/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of kind Codec are read from directories of spec.codecs, and from no others. */
#include "source_test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODE(spec)                                                                                 \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n" spec
#define CODEC(name) "apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: " name "}\nspec: {}\n"
#define SERVICE                                                                                    \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s}\n"            \
	"spec: {hosts: [s.x], ports: [{number: 80, name: tcp}], resolution: STATIC}\n"

static char dir[32], installed[64];

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void begin(void)
{
	char cmd[128];

	strcpy(dir, "/tmp/mt_source_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(installed, sizeof(installed), "%s/installed", dir);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/codecs", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	mt_source_codecs = installed;
}

static void end(void)
{
	char cmd[64];

	mt_source_codecs = MT_SOURCE_CODECS;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

struct got {
	struct mt_source_reading r;
	struct mt_diags diags;
};

static void load(struct got *g, struct mt_source_cache *cache)
{
	char node[64];

	snprintf(node, sizeof(node), "%s/node.yaml", dir);
	*g = (struct got){0};
	mt_diags_init(&g->diags);
	CU_ASSERT_EQUAL(mt_source_read(cache, &g->r, &g->diags, node, NULL, 0), 0);
}

static void drop(struct got *g)
{
	mt_source_reading_fini(&g->r);
	mt_diags_fini(&g->diags);
}

/* The object that was taken with this name; NULL: none. */
static const struct mt_object *taken(const struct got *g, const char *name)
{
	for (uint32_t i = 0; i < g->r.objects.n; i++) {
		const struct mt_object *o = g->r.objects.v[i];

		if (strcmp(o->name, name) == 0 && o->status != MT_OBJECT_REFUSED)
			return o;
	}
	return NULL;
}

static bool is_told(const struct got *g, const char *file, const char *words)
{
	for (uint32_t i = 0; i < g->diags.n; i++)
		if (strstr(g->diags.items[i].origin.file, file) &&
			strstr(g->diags.items[i].message, words))
			return true;
	return false;
}

/* A source contains the directory of codecs, which is read as such. */
static void directories(void)
{
	const struct mt_codec_document *d;
	const struct mt_object *o;
	struct got g;

	begin();
	write_file("node.yaml", NODE("  codecs: [all/codecs]\n  sources: [{directory: all}]\n"));
	write_file("all/codecs/acme.yaml", CODEC("acme"));
	write_file("all/codecs/s.yaml", SERVICE);
	write_file("all/other.yaml", CODEC("other"));
	load(&g, NULL);
	o = taken(&g, "acme");
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_STRING_EQUAL(o->source, MT_SOURCE_OF_CODECS);
	CU_ASSERT_STRING_EQUAL(o->ns, "");
	CU_ASSERT_EQUAL_FATAL(o->part->codecs.n, 1);
	d = o->part->codecs.v[0];
	CU_ASSERT_FALSE(d->installed);
	CU_ASSERT_PTR_NOT_NULL(d->spec);
	CU_ASSERT_PTR_NULL(taken(&g, "other"));
	CU_ASSERT_PTR_NULL(taken(&g, "s"));
	CU_ASSERT(is_told(&g, "other.yaml", "codecs are read only from directories"));
	CU_ASSERT(is_told(&g, "s.yaml", "only documents of kind Codec are read from spec.codecs"));
	CU_ASSERT_EQUAL(g.diags.errors, 2);
	drop(&g);
	end();
}

/* The directory of packages may be missing, or come later; one of the Node may not. */
static void of_packages(void)
{
	struct mt_source_cache *cache = mt_source_cache_new();
	const struct mt_object *o;
	struct got g;

	begin();
	write_file("node.yaml", NODE(""));
	load(&g, cache);
	CU_ASSERT_EQUAL(g.diags.n, 0);
	drop(&g);
	CU_ASSERT_EQUAL(mkdir(installed, 0700), 0);
	write_file("installed/acme.yaml", CODEC("acme"));
	load(&g, cache);
	o = taken(&g, "acme");
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_STRING_EQUAL(o->source, MT_SOURCE_INSTALLED_CODECS);
	CU_ASSERT(((const struct mt_codec_document *)o->part->codecs.v[0])->installed);
	drop(&g);
	/* The same file as a codec of the Node. */
	write_file("node.yaml", NODE("  codecs: [installed, none]\n"));
	load(&g, cache);
	o = taken(&g, "acme");
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_STRING_EQUAL(o->source, MT_SOURCE_OF_CODECS);
	CU_ASSERT(is_told(&g, "none", "cannot be read"));
	drop(&g);
	mt_source_cache_free(cache);
	end();
}

/* Texts of a load, to which a node returns, are read again as what they were. */
static void texts(void)
{
	struct mt_source_cache *cache = mt_source_cache_new();
	struct mt_source_texts *t;
	struct got g;

	begin();
	write_file("node.yaml", NODE("  codecs: [all/codecs]\n"));
	write_file("all/codecs/acme.yaml", CODEC("acme"));
	load(&g, cache);
	drop(&g);
	t = mt_source_texts_new(cache);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	g = (struct got){0};
	mt_diags_init(&g.diags);
	CU_ASSERT_EQUAL(mt_source_texts_read(t, NULL, &g.r, &g.diags), 0);
	CU_ASSERT_PTR_NOT_NULL(taken(&g, "acme"));
	CU_ASSERT_EQUAL(g.diags.errors, 0);
	drop(&g);
	mt_source_texts_free(t);
	mt_source_cache_free(cache);
	end();
}

const struct mt_test codecs_tests[] = {
	{"directories of codecs", directories},
	{"codecs of packages", of_packages},
	{"texts of codecs", texts},
	{0},
};
