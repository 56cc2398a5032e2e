/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of kind Codec, as loads of the daemon compile them. */
#include "codecfile_test.h"

#include "mt_codec_registry.h"
#include "mt_source.h"

#define CODEC(name, min)                                                                           \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: " name "}\nspec:\n"              \
	"  calls: serial\n  places:\n    total: {at: 0, size: 1}\n    kind: {at: 1, size: 1}\n"    \
	"  frame: {length: total, min: " min ", max: 100}\n  messages:\n"                          \
	"  - {is: request, from: client, when: {kind: 1}}\n"                                       \
	"  - {is: reply, from: server, when: {kind: 2}}\n"

/* Its calls share connections. */
#define SHARED(min, comment)                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: shared}\nspec:\n" comment        \
	"  calls: multiplexed\n  places:\n    total: {at: 0, size: 1}\n"                           \
	"    kind: {at: 1, size: 1}\n    id: {at: 2, size: 4}\n"                                   \
	"  frame: {length: total, min: " min ", max: 100}\n  messages:\n"                          \
	"  - {is: request, from: client, when: {kind: 1}}\n"                                       \
	"  - {is: reply, from: server, when: {kind: 2}}\n  id: id\n"

struct scene {
	struct mt_codec_store *store;
	struct mt_objects objects;
	struct mt_diags diags;
};

static void begin(struct scene *sc)
{
	*sc = (struct scene){.store = mt_codec_store_new()};
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->store);
	mt_diags_init(&sc->diags);
}

static void end(struct scene *sc)
{
	mt_codec_store_free(sc->store);
	mt_objects_fini(&sc->objects);
	mt_diags_fini(&sc->diags);
}

/* Adds the object of a text, and returns its serial. */
static uint64_t add(
	struct scene *sc, enum mt_source_codecs codecs, const char *file, const char *text)
{
	const struct mt_source_place place = {.source = codecs == MT_CODECS_OF_NODE
								? MT_SOURCE_OF_CODECS
								: MT_SOURCE_INSTALLED_CODECS,
		.codecs = codecs};
	uint32_t n;

	CU_ASSERT_EQUAL_FATAL(
		mt_source_objects(&sc->objects, &sc->diags, &place, file, 1, text, &n), 0);
	CU_ASSERT_EQUAL_FATAL(sc->diags.errors, 0);
	return sc->objects.v[sc->objects.n - 1]->serial;
}

/* Compiles all objects from number `from` on. */
static void load(struct scene *sc, uint32_t from)
{
	struct mt_objects some = {sc->objects.v + from, sc->objects.n - from, 0};
	struct mt_model *m = mt_model_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	mt_diags_fini(&sc->diags);
	mt_diags_init(&sc->diags);
	CU_ASSERT_EQUAL(mt_objects_model(m, &some, &sc->diags), 0);
	CU_ASSERT_EQUAL(mt_codec_store_load(sc->store, m, &sc->diags), 0);
	mt_model_free(m);
}

static const struct mt_diag *told(const struct scene *sc, uint64_t serial)
{
	for (uint32_t i = 0; i < sc->diags.n; i++)
		if (sc->diags.items[i].object == serial)
			return &sc->diags.items[i];
	CU_FAIL_FATAL("nothing is reported about the object");
	return NULL;
}

/* An object is compiled once; a load without it forgets it. */
static void once(void)
{
	const struct mt_codec_table *t;
	struct scene sc;
	uint64_t a, b;

	begin(&sc);
	a = add(&sc, MT_CODECS_OF_NODE, "a.yaml", CODEC("a", "2"));
	b = add(&sc, MT_CODECS_OF_NODE, "b.yaml", CODEC("b", "2"));
	load(&sc, 0);
	CU_ASSERT_EQUAL(sc.diags.errors, 0);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	t = mt_codec_store_find(sc.store, b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_STRING_EQUAL(t->codec.name, "b");
	load(&sc, 0);
	CU_ASSERT_PTR_EQUAL(mt_codec_store_find(sc.store, b), t);
	load(&sc, 1);
	CU_ASSERT_PTR_NULL(mt_codec_store_find(sc.store, a));
	CU_ASSERT_PTR_EQUAL(mt_codec_store_find(sc.store, b), t);
	end(&sc);
}

/* Mistakes are errors of their object, with file, line and path, in each load. */
static void mistakes(void)
{
	struct scene sc;
	uint64_t bad, taken, good;

	begin(&sc);
	bad = add(&sc, MT_CODECS_OF_NODE, "bad.yaml", CODEC("bad", "0x"));
	taken = add(&sc, MT_CODECS_OF_NODE, "t.yaml", CODEC("dubbo", "2"));
	good = add(&sc, MT_CODECS_OF_NODE, "good.yaml", CODEC("good", "2"));
	for (int i = 0; i < 2; i++) {
		load(&sc, 0);
		CU_ASSERT_EQUAL(told(&sc, bad)->severity, MT_DIAG_ERROR);
		CU_ASSERT_STRING_EQUAL(told(&sc, bad)->origin.file, "bad.yaml");
		CU_ASSERT_EQUAL(told(&sc, bad)->origin.line, 9);
		CU_ASSERT_STRING_EQUAL(told(&sc, bad)->path, "spec.frame.min");
		CU_ASSERT_EQUAL(told(&sc, taken)->severity, MT_DIAG_ERROR);
		CU_ASSERT_STRING_EQUAL(told(&sc, taken)->path, "metadata.name");
		CU_ASSERT_PTR_NULL(mt_codec_store_find(sc.store, bad));
		CU_ASSERT_PTR_NULL(mt_codec_store_find(sc.store, taken));
		CU_ASSERT_PTR_NOT_NULL(mt_codec_store_find(sc.store, good));
	}
	end(&sc);
}

/*
 * The registry has the codecs of the documents. It and the table stay if a document means
 * the same as before, and a table stays also after a change, for connections that use it.
 */
static void registry(void)
{
	struct mt_codec_registry *built_in = mt_codec_registry_built_in(), *r;
	const struct mt_codec_table *t;
	const struct mt_codec *codec;
	struct scene sc;
	uint64_t first, alike, other;

	begin(&sc);
	CU_ASSERT_PTR_EQUAL(mt_codec_store_registry(sc.store), built_in);
	add(&sc, MT_CODECS_OF_NODE, "a.yaml", CODEC("a", "2"));
	first = add(&sc, MT_CODECS_OF_NODE, "s.yaml", SHARED("6", ""));
	load(&sc, 0);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	r = mt_codec_store_registry(sc.store);
	CU_ASSERT_EQUAL(r->n, built_in->n + 2);
	CU_ASSERT_PTR_NOT_NULL(mt_codec_registry_find(r, "a"));
	t = mt_codec_store_find(sc.store, first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	codec = mt_codec_registry_find(r, "aeraki.meta_protocol.codec.shared");
	CU_ASSERT_PTR_EQUAL(codec, &t->codec);
	load(&sc, 0);
	CU_ASSERT_PTR_EQUAL(mt_codec_store_registry(sc.store), r);
	/* Only a comment. */
	add(&sc, MT_CODECS_OF_NODE, "a.yaml", CODEC("a", "2"));
	alike = add(&sc, MT_CODECS_OF_NODE, "s.yaml", SHARED("6", "  # of the shop\n"));
	load(&sc, 2);
	CU_ASSERT_PTR_EQUAL(mt_codec_store_find(sc.store, alike), t);
	CU_ASSERT_PTR_NULL(mt_codec_store_find(sc.store, first));
	CU_ASSERT_PTR_EQUAL(mt_codec_store_registry(sc.store), r);
	other = add(&sc, MT_CODECS_OF_NODE, "s.yaml", SHARED("7", ""));
	load(&sc, 4);
	CU_ASSERT_PTR_NOT_EQUAL(mt_codec_store_find(sc.store, other), t);
	CU_ASSERT_FALSE(mt_codec_same(
		mt_codec_registry_find(mt_codec_store_registry(sc.store), "shared"), codec));
	CU_ASSERT_STRING_EQUAL(codec->name, "shared");
	load(&sc, 5);
	CU_ASSERT_EQUAL(mt_codec_store_registry(sc.store)->n, built_in->n);
	end(&sc);
}

/* Two words of a message, which service and method may name. */
#define WORDS(names)                                                                               \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: words}\nspec:\n"                 \
	"  calls: serial\n" names "  places:\n    total: {at: 0, size: 1}\n"                       \
	"    kind: {at: 1, size: 1}\n    one: {at: 2, size: 2, type: text}\n"                      \
	"    two: {at: 4, size: 2, type: text}\n"                                                  \
	"  frame: {length: total, min: 6, max: 100}\n  messages:\n"                                \
	"  - {is: request, from: client, when: {kind: 1}}\n"                                       \
	"  - {is: reply, from: server, when: {kind: 2}}\n"                                         \
	"  metadata: {one: one, two: two}\n"

/* Codecs that differ only in the key of the service or method are different ones. */
static void named(void)
{
	static const char *const texts[] = {WORDS(""), WORDS("  method: one\n"),
		WORDS("  method: two\n"), WORDS("  service: one\n"), WORDS("  service: two\n"),
		WORDS("  service: two\n  method: one\n")};
	struct scene sc;

	begin(&sc);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		uint64_t serial = add(&sc, MT_CODECS_OF_NODE, "w.yaml", texts[i]);
		const struct mt_codec_table *t;

		load(&sc, i);
		t = mt_codec_store_find(sc.store, serial);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT_EQUAL(!t->codec.service_key, i < 3);
		CU_ASSERT_EQUAL(!t->codec.method_key.name, i == 0 || i == 3 || i == 4);
		if (i == 1 || i == 2)
			CU_ASSERT_STRING_EQUAL(t->codec.method_key.name, i == 1 ? "one" : "two");
		if (i >= 3)
			CU_ASSERT_STRING_EQUAL(t->codec.service_key, i == 3 ? "one" : "two");
	}
	end(&sc);
}

/* Each different table takes a place, and then a new one is refused. */
static void tables(void)
{
	char text[1024];
	struct scene sc;

	begin(&sc);
	for (uint32_t i = 0; i <= MT_CODECFILE_TABLES; i++) {
		snprintf(text, sizeof(text), CODEC("c%u", "2"), i);
		add(&sc, MT_CODECS_OF_NODE, "c.yaml", text);
		load(&sc, i);
		CU_ASSERT_EQUAL(sc.diags.errors, i == MT_CODECFILE_TABLES);
		CU_ASSERT_EQUAL(sc.diags.warnings, i + 1 >= MT_CODECFILE_TABLES_WARN);
		mt_diags_fini(&sc.diags);
		mt_diags_init(&sc.diags);
	}
	load(&sc, MT_CODECFILE_TABLES);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		told(&sc, sc.objects.v[MT_CODECFILE_TABLES]->serial)->message, "1024 versions"));
	/* An earlier one is there. */
	snprintf(text, sizeof(text), CODEC("c%u", "2"), 7);
	mt_diags_fini(&sc.diags);
	mt_diags_init(&sc.diags);
	add(&sc, MT_CODECS_OF_NODE, "c.yaml", text);
	load(&sc, MT_CODECFILE_TABLES + 1);
	CU_ASSERT_EQUAL(sc.diags.errors, 0);
	end(&sc);
}

/* A codec of the Node precedes an installed one, in any order. */
static void shadowed(void)
{
	struct scene sc;
	uint64_t installed, own;

	begin(&sc);
	installed = add(&sc, MT_CODECS_INSTALLED, "installed.yaml", CODEC("a", "2"));
	own = add(&sc, MT_CODECS_OF_NODE, "own.yaml", CODEC("a", "3"));
	load(&sc, 0);
	CU_ASSERT_EQUAL(told(&sc, installed)->severity, MT_DIAG_SHADOWED);
	CU_ASSERT_PTR_NOT_NULL(strstr(told(&sc, installed)->message, "own.yaml"));
	CU_ASSERT_PTR_NULL(mt_codec_store_find(sc.store, installed));
	CU_ASSERT_PTR_NOT_NULL(mt_codec_store_find(sc.store, own));
	end(&sc);
}

/* Documents beyond the limit are refused. */
static void limit(void)
{
	char text[1024];
	struct scene sc;

	begin(&sc);
	for (uint32_t i = 0; i <= MT_CODECFILE_MAX; i++) {
		snprintf(text, sizeof(text), CODEC("c%u", "2"), i);
		add(&sc, MT_CODECS_OF_NODE, "c.yaml", text);
	}
	load(&sc, 0);
	CU_ASSERT_EQUAL(sc.diags.errors, 1);
	CU_ASSERT_EQUAL(told(&sc, sc.objects.v[MT_CODECFILE_MAX]->serial)->severity, MT_DIAG_ERROR);
	/* Those that the last load had stay, whatever comes before them. */
	load(&sc, 1);
	CU_ASSERT_EQUAL(sc.diags.errors, 0);
	load(&sc, 0);
	CU_ASSERT_EQUAL(sc.diags.errors, 1);
	CU_ASSERT_EQUAL(told(&sc, sc.objects.v[0]->serial)->severity, MT_DIAG_ERROR);
	CU_ASSERT_PTR_NOT_NULL(
		mt_codec_store_find(sc.store, sc.objects.v[MT_CODECFILE_MAX]->serial));
	/* Others that take the places of all. */
	for (uint32_t i = 0; i < MT_CODECFILE_MAX; i++) {
		snprintf(text, sizeof(text), CODEC("d%u", "2"), i);
		mt_diags_fini(&sc.diags);
		mt_diags_init(&sc.diags);
		add(&sc, MT_CODECS_OF_NODE, "d.yaml", text);
	}
	load(&sc, MT_CODECFILE_MAX + 1);
	CU_ASSERT_EQUAL(sc.diags.errors, 0);
	end(&sc);
}

const struct mt_test store_tests[] = {
	{"an object is compiled once", once},
	{"mistakes of objects", mistakes},
	{"installed codecs", shadowed},
	{"most documents", limit},
	{"the registry", registry},
	{"service and method", named},
	{"most tables", tables},
	{0},
};
