/* SPDX-License-Identifier: Apache-2.0 */
/* A document as one line says the same; every document of the tree. */
#include "objects_test.h"

#include <dirent.h>

char *mt_document_text(const struct mt_ynode *root);

static void same_again(struct mt_object *o)
{
	struct mt_objects again = {0};
	char *text = mt_document_text(o->root);
	struct mt_diags diags;
	uint32_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NULL(strchr(text, '\n'));
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(
		mt_source_objects(&again, &diags, &mt_source_anywhere, "t", 1, text, &n), 0);
	CU_ASSERT_EQUAL_FATAL(again.n, 1);
	CU_ASSERT(mt_content_hash_same(&again.v[0]->hash, &o->hash));
	CU_ASSERT_EQUAL(again.v[0]->status, o->status);
	CU_ASSERT_STRING_EQUAL(again.v[0]->name, o->name);
	if (!mt_content_hash_same(&again.v[0]->hash, &o->hash) || again.v[0]->status != o->status)
		fprintf(stderr, "%s\n", text);
	mt_objects_fini(&again);
	mt_diags_fini(&diags);
	free(text);
}

#define LONG "a text of more than sixty-four bytes, which is written once if it is repeated"

static const char *const odd[] = {
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: 'a', "
	"annotations: {a: \"x\\ty\\n\\\"\\\\\"}}\n"
	"spec:\n  hosts: ['1', \"true\", ~x, '~', 'null', '']\n  ports: [{number: 080, name: "
	"'on'}]\n  addresses: [::1, 1.2.3.4/8]\n",
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\nspec: &x "
	"{hosts: [a], http: [{name: -1, "
	"timeout: 1e3, route: [{destination: {host: '*.x'}}]}, {name: \"\\x7f\\u00e9\"}]}\n",
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: |\n  x\n   y\n, b: ''}\n",
	/* Aliases of all types, also within one that is repeated, and as the last values. */
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e, annotations: &n {a: &t \"" LONG "\", "
	"b: *t}}\ndata: {x: {a: &l [1, '2', &m {k: [], l: {}}], b: *l, c: [*m, *t, *n, *l]}, "
	"y: *n, z: *t}\n",
	/* Line ends of YAML, a mark of byte order, and characters of two to four bytes. */
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\ndata: {\"a\\Nb\\Lc\\Pd\": "
	"\"a\\Nb\\Lc\\P  d\\uFEFF\\u0085\", "
	"e: \"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82 \\U0010FFFD\"}\n",
};

static void odd_texts(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(odd); i++) {
		struct mt_objects all = {0};
		struct mt_diags diags;
		uint32_t n;

		mt_diags_init(&diags);
		CU_ASSERT_EQUAL(
			mt_source_objects(&all, &diags, &mt_source_anywhere, "t", 1, odd[i], &n),
			0);
		for (uint32_t k = 0; k < all.n; k++)
			if (all.v[k]->root)
				same_again(all.v[k]);
		mt_objects_fini(&all);
		mt_diags_fini(&diags);
	}
}

/* A short document with a million values by aliases is written as a short text. */
static void many_aliases(void)
{
	char text[8192];
	size_t at = (size_t)snprintf(text, sizeof(text),
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  x0: &x0 [y]\n");
	struct mt_objects all = {0};
	struct mt_diags diags;
	uint32_t n;
	char *line;

	for (int i = 1; i <= 3; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "  x%d: &x%d [", i, i);
		for (int k = 0; k < 100; k++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "*x%d,", i - 1);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "]\n");
	}
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_objects(&all, &diags, &mt_source_anywhere, "t", 1, text, &n), 0);
	CU_ASSERT_EQUAL_FATAL(all.n, 1);
	line = mt_document_text(all.v[0]->root);
	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	CU_ASSERT(strlen(line) < 2 * strlen(text));
	free(line);
	same_again(all.v[0]);
	mt_objects_fini(&all);
	mt_diags_fini(&diags);
}

static void documents_of_the_tree(void)
{
	static const char *const dirs[] = {MT_SOURCE_ROOT "/tests/documents"};
	struct mt_source_reading r = {0};
	struct mt_diags diags;
	uint32_t n = 0;

	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_read(NULL, &r, &diags, NULL, dirs, 1), 0);
	for (uint32_t i = 0; i < r.objects.n; i++)
		if (r.objects.v[i]->root && r.objects.v[i]->status != MT_OBJECT_IGNORED) {
			same_again(r.objects.v[i]);
			n++;
		}
	CU_ASSERT(n > 30);
	mt_source_reading_fini(&r);
	mt_diags_fini(&diags);
}

#define DOCUMENT(metadata, spec)                                                                   \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, " metadata    \
	"}\nspec: {" spec "}\n"

#define WORKLOAD(checks, status)                                                                   \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"                                \
	"metadata: {name: a, annotations: {proxy.istio.io/health-checks-enabled: " checks "}}\n"   \
	"spec: {address: 192.0.2.1}\n" status
#define HEALTHY(value) "status: {conditions: [{type: Healthy, status: " value "}]}\n"
#define POD(status)    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {" status "}\n"

/* Pairs of documents, and whether they have the same content. */
static const struct {
	const char *a, *b;
	bool same;
} pairs[] = {
	{DOCUMENT("labels: {a: x, b: y}", "hosts: [a, b]"),
		DOCUMENT("labels: {b: 'y', a: \"x\"}", "hosts: ['a',\n   \"b\"]"), true},
	{DOCUMENT("uid: a, labels: {a: x}", ""), DOCUMENT("uid: b, labels: {a: x}", ""), true},
	{DOCUMENT("", "a: b") "status: {a: x}\n", DOCUMENT("", "a: b"), true},
	{DOCUMENT("", "a: b") "status: {addresses: [], conditions: [{a: x}]}\n",
		DOCUMENT("", "a: b"), true},
	/* Fields of the status that are used. */
	{DOCUMENT("", "a: b") "status: {addresses: [{value: 240.240.0.1}]}\n",
		DOCUMENT("", "a: b") "status: {addresses: [{value: 240.240.0.2}]}\n", false},
	{DOCUMENT("", "a: b") "status: {addresses: [{value: 240.240.0.1}]}\n", DOCUMENT("", "a: b"),
		false},
	{DOCUMENT("", "a: b") "status: {addresses: [{value: 240.240.0.1, host: a}]}\n",
		DOCUMENT("", "a: b") "status: {addresses: [{value: '240.240.0.1'}], x: y}\n", true},
	{DOCUMENT("", "addresses: [192.0.2.1]") "status: {addresses: [{value: 240.240.0.1}]}\n",
		DOCUMENT("", "addresses: [192.0.2.1]"), true},
	{POD("podIP: 192.0.2.1"), POD("podIP: 192.0.2.2"), false},
	{POD("podIP: 192.0.2.1, podIPs: [{ip: 192.0.2.1}]"), POD("podIP: 192.0.2.1"), false},
	{POD("phase: Running"), POD("phase: Failed"), false},
	{POD(""), "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", false},
	{POD("conditions: [{type: Ready, status: 'True', lastProbeTime: a}]"),
		POD("conditions: [{type: Ready, status: 'False', lastProbeTime: a}]"), false},
	{POD("conditions: [{type: Ready, status: 'True', lastProbeTime: a}], qosClass: x"),
		POD("conditions: [{type: Ready, status: 'True', lastProbeTime: b}]"), true},
	{WORKLOAD("'true'", HEALTHY("'False'")), WORKLOAD("'true'", HEALTHY("'True'")), false},
	{WORKLOAD("'true'", HEALTHY("'False'")), WORKLOAD("'true'", ""), false},
	{WORKLOAD("'true'", HEALTHY("'True'")), WORKLOAD("'true'", ""), true},
	{WORKLOAD("'true'", HEALTHY("'False'")), WORKLOAD("'true'", HEALTHY("Unknown")), true},
	/* Without health checks it has no effect. */
	{WORKLOAD("'false'", HEALTHY("'False'")), WORKLOAD("'false'", ""), true},
	{DOCUMENT("annotations: {kubectl.kubernetes.io/last-applied-configuration: a}", ""),
		DOCUMENT("annotations: {}", ""), true},
	{DOCUMENT("", "hosts: [a, b]"), DOCUMENT("", "hosts: [b, a]"), false},
	{DOCUMENT("", "hosts: [a]"), DOCUMENT("", "hosts: a"), false},
	{DOCUMENT("", "hosts: []"), DOCUMENT("", "hosts: {}"), false},
	{DOCUMENT("", "hosts: []"), DOCUMENT("", "hosts:"), false},
	{DOCUMENT("", "hosts: [null]"), DOCUMENT("", "hosts: ['null']"), false},
	{DOCUMENT("", "hosts: [true]"), DOCUMENT("", "hosts: ['true']"), false},
	{DOCUMENT("", "hosts: [a, [b]]"), DOCUMENT("", "hosts: [a, b, []]"), false},
	{DOCUMENT("", "hosts: [{a: b}, {}]"), DOCUMENT("", "hosts: [{}, {a: b}]"), false},
	{DOCUMENT("", "a: b, c: d"), DOCUMENT("", "a: d, c: b"), false},
	{DOCUMENT("", "a: b, a: c"), DOCUMENT("", "a: c, a: b"), false},
	/* Only the object's own metadata holds an API server's records. */
	{DOCUMENT("", "metadata: {uid: a}"), DOCUMENT("", "metadata: {uid: b}"), false},
	{DOCUMENT("", "status: a"), DOCUMENT("", "status: b"), false},
	{DOCUMENT("labels: {uid: a}", ""), DOCUMENT("labels: {uid: b}", ""), false},
};

static struct mt_content_hash hash_of(const char *text)
{
	struct mt_content_hash h = {{0}};
	struct mt_objects all = {0};
	struct mt_diags diags;
	uint32_t n;

	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_objects(&all, &diags, &mt_source_anywhere, "t", 1, text, &n), 0);
	CU_ASSERT_EQUAL(all.n, 1);
	if (all.n == 1)
		h = all.v[0]->hash;
	mt_objects_fini(&all);
	mt_diags_fini(&diags);
	return h;
}

static void same_content(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(pairs); i++) {
		struct mt_content_hash a = hash_of(pairs[i].a), b = hash_of(pairs[i].b);

		CU_ASSERT_EQUAL(mt_content_hash_same(&a, &b), pairs[i].same);
		if (mt_content_hash_same(&a, &b) != pairs[i].same)
			fprintf(stderr, "%s%s", pairs[i].a, pairs[i].b);
	}
}

/* Times before 1970 are as old as none, and not older. */
static void times(void)
{
	static const struct {
		const char *text;
		int64_t created;
	} t[] = {{"1969-12-31T23:59:59Z", 0}, {"0001-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:01Z", 1}, {"2001-01-01T00:00:00Z", 978307200}, {"x", 0}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_objects all = {0};
		struct mt_diags diags;
		char text[200];
		uint32_t n;

		snprintf(text, sizeof(text), DOCUMENT("creationTimestamp: \"%s\"", ""), t[i].text);
		mt_diags_init(&diags);
		CU_ASSERT_EQUAL(
			mt_source_objects(&all, &diags, &mt_source_anywhere, "t", 1, text, &n), 0);
		CU_ASSERT_EQUAL_FATAL(all.n, 1);
		CU_ASSERT_EQUAL(all.v[0]->created, t[i].created);
		mt_objects_fini(&all);
		mt_diags_fini(&diags);
	}
}

/* A map of more fields than are sorted on the stack, and a text longer than the buffer. */
static void large_content(void)
{
	char *text[3] = {NULL, NULL, NULL};
	struct mt_content_hash h[3];

	for (int k = 0; k < 3; k++) {
		size_t size;
		FILE *f = open_memstream(&text[k], &size);

		fputs("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n", f);
		for (int i = 0; i < 1000; i++)
			fprintf(f, "  k%d: '%d'\n", k == 1 ? 999 - i : i, k == 1 ? 999 - i : i);
		fprintf(f, "  text: %09999d%d\n", 0, k == 2);
		fclose(f);
		h[k] = hash_of(text[k]);
		free(text[k]);
	}
	CU_ASSERT(mt_content_hash_same(&h[0], &h[1]));
	CU_ASSERT_FALSE(mt_content_hash_same(&h[0], &h[2]));
}

static void texts_of_hashes(void)
{
	struct mt_content_hash h = hash_of(DOCUMENT("", "")), again;
	char text[MT_CONTENT_HASH_TEXT + 1];

	mt_content_hash_str(&h, text);
	CU_ASSERT_EQUAL(strlen(text), 64);
	CU_ASSERT(mt_content_hash_parse(text, &again));
	CU_ASSERT(mt_content_hash_same(&h, &again));
	text[63] = 'g';
	CU_ASSERT_FALSE(mt_content_hash_parse(text, &again));
	strcpy(text + 63, "00");
	CU_ASSERT_FALSE(mt_content_hash_parse(text, &again));
	text[63] = '\0';
	CU_ASSERT_FALSE(mt_content_hash_parse(text, &again));
	CU_ASSERT_EQUAL(again.v[0] | again.v[31], 0);
}

const struct mt_test document_tests[] = {
	{"same_content", same_content},
	{"times", times},
	{"large_content", large_content},
	{"texts_of_hashes", texts_of_hashes},
	{"odd_texts", odd_texts},
	{"many_aliases", many_aliases},
	{"documents_of_the_tree", documents_of_the_tree},
	{0},
};
