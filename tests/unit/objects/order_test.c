/* SPDX-License-Identifier: Apache-2.0 */
/* The same documents in any order and in any files become the same. */
#include "objects_test.h"

#include "mt_rand.h"

static const char *const documents[] = {
	SERVICE("a", "x", "198.51.100.1"),
	SERVICE("b", "x", "198.51.100.2"),
	SERVICE("c", "y", "198.51.100.3"),
	SERVICE("a", "x", "198.51.100.4"), /* another one of the name */
	ISTIO("ServiceEntry", "d",
		"y") "  hosts: [b.x]\n  ports: [{number: 80, name: tcp}]\n  resolution: STATIC\n",
	ISTIO("DestinationRule", "a",
		"x") "  host: a.x\n  subsets: [{name: v1, labels: {v: '1'}}]\n",
	ISTIO("DestinationRule", "b", "x") "  host: a.x\n",
	ISTIO("DestinationRule", "c", "x") "  host: nowhere.x\n",
	ROUTE("r", "x", "a.x", ", subset: v1"),
	ROUTE("s", "x", "a.x", ""),
	ROUTE("t", "y", "c.y", ", subset: v9"),
	SECURITY("PeerAuthentication", "p", "y", "{mtls: {mode: STRICT}}"),
	SECURITY("PeerAuthentication", "p", "y", "{mtls: {mode: DISABLE}}"),
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n",
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g\n",
};

#define N MT_ARRAY_LEN(documents)

static void shuffle(struct mt_rand *r, uint32_t v[N])
{
	for (uint32_t i = 0; i < N; i++)
		v[i] = i;
	for (uint32_t i = N - 1; i > 0; i--) {
		uint32_t k = (uint32_t)(mt_rand_u64(r) % (i + 1)), tmp = v[i];

		v[i] = v[k];
		v[k] = tmp;
	}
}

/* Into one to four files, in any order. */
static void write_all(struct scene *sc, struct mt_rand *r)
{
	static const char *const names[] = {"a.yaml", "b.yaml", "c.yaml", "d.yaml"};
	static char text[4][16384];
	uint32_t order[N], files = 1 + (uint32_t)(mt_rand_u64(r) % 4);

	for (uint32_t i = 0; i < 4; i++)
		strcpy(text[i], "# \n");
	shuffle(r, order);
	for (uint32_t i = 0; i < N; i++) {
		char *t = text[mt_rand_u64(r) % files];

		strcat(t, "---\n");
		strcat(t, documents[order[i]]);
	}
	for (uint32_t i = 0; i < 4; i++)
		scene_write(sc, names[i], text[i]);
}

/* Reasons name the file and line of the other object. */
static void without_places(char *text)
{
	for (char *p = text; (p = strstr(p, "/tmp/mt_objects_")) != NULL;) {
		char *end = p + strcspn(p, " \"");

		memset(p, '?', (size_t)(end - p));
		/* Their lengths differ. */
		memmove(p + 1, end, strlen(end) + 1);
	}
}

static void any_order(void)
{
	char *first = NULL;
	struct mt_rand r;
	uint64_t hash = 0;

	mt_rand_seed(&r, 7);
	for (int i = 0; i < 300; i++) {
		struct scene sc;
		char *text;

		scene_begin(&sc);
		write_all(&sc, &r);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		text = scene_json(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		without_places(text);
		if (!first) {
			first = strdup(text);
			hash = sc.s->n_clusters;
			CU_ASSERT_EQUAL(sc.t->n, N + 1);
		}
		CU_ASSERT_STRING_EQUAL_FATAL(text, first);
		CU_ASSERT_EQUAL(sc.s->n_clusters, hash);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "c.y"), -2);
		free(text);
		scene_end(&sc);
	}
	free(first);
}

const struct mt_test order_tests[] = {
	{"any_order", any_order},
	{0},
};
