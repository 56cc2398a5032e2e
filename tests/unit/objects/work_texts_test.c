/* SPDX-License-Identifier: Apache-2.0 */
/* Long texts and words that aliases repeat, which a compilation must not copy each time. */
#include "work_test.h"

#define ALIASES 4000

/* Writes a list with a text of 500 bytes that begins with `start`, ALIASES times. */
static void put_repeated(FILE *f, const char *start)
{
	fprintf(f, "[&a '%s%0*d'", start, 500 - (int)strlen(start), 0);
	for (int i = 1; i < ALIASES; i++)
		fputs(", *a", f);
	fputs("]\n", f);
}

/* Loads with a limit of memory. */
static void load_small(struct scene *sc, uint64_t bytes, FILE *f, char **text)
{
	const uint64_t most = mt_conf_memory;

	mt_conf_memory = bytes;
	scene_load_text(sc, f, text);
	mt_conf_memory = most;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
}

/* Names of Gateways take no memory for each word, and time that counts as work. */
static void words_of_gateways(void)
{
	struct scene sc;
	char *text;
	size_t size;

	for (int few = 0; few < 2; few++) {
		FILE *f = open_memstream(&text, &size);

		fputs("---\n" ISTIO(
			      "Gateway", "g", "other") "  selector: {}\n  servers:\n"
						       "  - {port: {number: 1000, name: tcp}, "
						       "hosts: ['*']}\n",
			f);
		put_services(f, "other", 2, 1, 1);
		fputs("---\n" ISTIO(
			      "VirtualService", "o", "other") "  hosts: [h.example]\n"
							      "  gateways: [g]\n"
							      "  tcp: [{route: [{destination: "
							      "{host: s0.other.example}}]}]\n",
			f);
		for (int i = 0; i < 4; i++) {
			fprintf(f,
				"---\n" ISTIO("VirtualService", "v%d",
					"greedy") "  hosts: [h%d.example]\n  tcp: [{route: [{"
						  "destination: {host: s0.other.example}}]}]\n"
						  "  gateways: ",
				i, i);
			put_repeated(f, "g");
		}
		if (few) {
			load(&sc, 30000, f, &text);
			CU_ASSERT(scene_has(&sc, "name fewer gateways", OVER));
		} else {
			load_small(&sc, 4u << 20, f, &text);
		}
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED) > 0, few);
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 4);
		scene_end(&sc);
	}
}

/* Labels of WorkloadEntries are found without a copy of their texts. */
static void labels_of_workloads(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_services(f, "other", 2, 1, 1);
	for (int i = 0; i < 10; i++) {
		fprintf(f,
			"---\n" ISTIO(
				"WorkloadEntry", "w%d", "greedy") "  address: 198.51.100.%d\n  "
								  "labels:\n    a: &a 'v%0250d'\n",
			i, i + 1, 0);
		for (int k = 0; k < ALIASES; k++)
			fprintf(f, "    k%d: *a\n", k);
	}
	fputs("---\n" ISTIO("ServiceEntry", "s", "greedy") "  hosts: [s.greedy.example]\n"
							   "  resolution: STATIC\n"
							   "  ports: [{number: 80, name: "
							   "tcp-metaprotocol-dubbo}]\n"
							   "  workloadSelector: {labels: {k7: ",
		f);
	fprintf(f, "'v%0250d'}}\n", 0);
	load_small(&sc, 6u << 20, f, &text);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.greedy.example"), 10);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 2);
	scene_end(&sc);
}

/* Writes 5 services and a VirtualService of them with `n` rules of one match. */
static void put_matches(FILE *f, int n, const char *op, const char *value)
{
	put_services(f, "other", 1, 1, 1);
	put_services(f, "greedy", 5, 1, 1);
	fputs("---\n" ISTIO("VirtualService", "v", "greedy") "  hosts: ['*.greedy.example']\n"
							     "  http:\n",
		f);
	for (int i = 0; i < n; i++)
		fprintf(f,
			"  - {match: [{headers: {k: {%s: '%s%d'}}}], route: [{destination: {host: "
			"s0.greedy.example}}]}\n",
			op, value, i);
}

/* Regular expressions count by the size of their programs. */
static void regular_expressions(void)
{
	static const struct {
		const char *value;
		bool refused;
	} rows[] = {{"a.*", false}, {"(?i)say.*|list[A-Z]+", false},
		{"[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}", false},
		{"com\\.example\\.(Order|Price|Item)Service", false}, {"\\pL{1,30}", true},
		{"\\p{Greek}{30}", true}, {"[^a]{1,1000}", true}, {"[\\pL\\pN]{9,}x", true},
		{"(?i)[^a]{900}[^b]{900}", true}, {"(((((a{10}){10}){10})?){1,9})", true}};
	struct scene sc;
	char *text;
	size_t size;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		FILE *f = open_memstream(&text, &size);

		put_matches(f, 10, "regex", rows[i].value);
		load(&sc, 50000, f, &text);
		IS_STATUS(&sc, "VirtualService", "v", rows[i].refused ? "refused" : "in-force");
		CU_ASSERT_EQUAL(scene_has(&sc, "write fewer rules", OVER), rows[i].refused);
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_IN_FORCE), 1);
		scene_end(&sc);
	}
}

/* Texts of routes are copied for each service. */
static void values_of_routes(void)
{
	struct scene sc;
	char *text, value[10001];
	size_t size;

	for (int few = 0; few < 2; few++) {
		FILE *f = open_memstream(&text, &size);

		memset(value, 'x', sizeof(value) - 1);
		value[few ? 40 : sizeof(value) - 1] = '\0';
		put_matches(f, 50, "exact", value);
		load(&sc, 30000, f, &text);
		IS_STATUS(&sc, "VirtualService", "v", few ? "in-force" : "refused");
		scene_end(&sc);
	}
}

const struct mt_test work_texts_tests[] = {{"regular expressions", regular_expressions},
	{"values of routes", values_of_routes}, {"words of gateways", words_of_gateways},
	{"labels of workloads", labels_of_workloads}, {0}};
