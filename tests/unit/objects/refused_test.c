/* SPDX-License-Identifier: Apache-2.0 */
/* What the compiler refuses, one version at a time, and what is enforced and served instead. */
#include "objects_test.h"

#define N_TOKENS 258

static char *text_of(FILE *f, char **text)
{
	fclose(f);
	return *text;
}

/* More sources of keys than a node may have: what their policies protect is closed, as when a policy cannot be read. */
static void tokens_not_verified(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	uint32_t refused = 0, closed = 0;
	struct scene sc;

	for (int i = 0; i < N_TOKENS; i++)
		fprintf(f,
			SERVICE("s%d", "n%d", "198.51.100.1") "---\n" SECURITY(
				"RequestAuthentication", "r%d", "n%d",
				"{jwtRules: [{issuer: i, jwksUri: 'http://192.0.2.9/%d'}]}") "---"
											     "\n",
			i, i, i, i, i, i, i);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text_of(f, &text));
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	for (int i = 0; i < N_TOKENS; i++) {
		char name[16], host[16];
		bool is_refused;

		snprintf(name, sizeof(name), "r%d", i);
		snprintf(host, sizeof(host), "s%d.n%d", i, i);
		is_refused =
			strcmp(scene_status(&sc, "RequestAuthentication", name), "refused") == 0;
		CU_ASSERT_EQUAL(scene_endpoints(&sc, host), is_refused ? -2 : 1);
		refused += is_refused;
		closed += scene_endpoints(&sc, host) == -2;
	}
	CU_ASSERT_EQUAL(refused, 2);
	CU_ASSERT_EQUAL(closed, 2);
	/* A later resource of a discovery server changes nothing of that, and takes no memory of the table. */
	for (int i = 0; i < 4; i++) {
		size_t used = sc.t->region.used;

		mt_table_reset(sc.t);
		scene_compile(&sc);
		CU_ASSERT_EQUAL(sc.t->region.used, used);
		CU_ASSERT_EQUAL(sc.diags.closed, 2);
	}
	scene_end(&sc);
	free(text);
}

/* Errors of one version, with those of another one between them: it falls back once. */
static void errors_in_turn(bool again)
{
	static const char bad[] = SERVICE("%s", "x", "%s") "  addresses: [%s]\n";
	char text[2048];
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\n" SERVICE("b", "x", "198.51.100.2"));
	scene_load(&sc);
	if (again)
		scene_restart(&sc);
	/* Addresses of a and b are reported before endpoints of a and b. */
	snprintf(text, sizeof(text), bad, "a", "a", "127.0.0.2", "127.0.0.1");
	strcat(text, "---\n");
	snprintf(text + strlen(text), sizeof(text) - strlen(text), bad, "b", "b", "127.0.0.4",
		"127.0.0.3");
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "held");
	IS_STATUS(&sc, "ServiceEntry", "b", "held");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.x"), 1);
	/* All four are reported. */
	CU_ASSERT_EQUAL(sc.diags.errors, 4);
	scene_end(&sc);
}

static void errors_in_turns(void)
{
	errors_in_turn(false);
	errors_in_turn(true);
}

const struct mt_test refused_tests[] = {
	{"tokens_not_verified", tokens_not_verified},
	{"errors_in_turns", errors_in_turns},
	{0},
};
