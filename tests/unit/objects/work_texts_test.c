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

const struct mt_test work_texts_tests[] = {{"words of gateways", words_of_gateways},
	{"labels of workloads", labels_of_workloads}, {0}};
