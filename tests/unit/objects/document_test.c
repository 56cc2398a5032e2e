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
	CU_ASSERT_EQUAL(again.v[0]->hash, o->hash);
	CU_ASSERT_EQUAL(again.v[0]->status, o->status);
	CU_ASSERT_STRING_EQUAL(again.v[0]->name, o->name);
	if (again.v[0]->hash != o->hash || again.v[0]->status != o->status)
		fprintf(stderr, "%s\n", text);
	mt_objects_fini(&again);
	mt_diags_fini(&diags);
	free(text);
}

static const char *const odd[] = {
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: 'a', "
	"annotations: {a: \"x\\ty\\n\\\"\\\\\"}}\n"
	"spec:\n  hosts: ['1', \"true\", ~x, '~', 'null', '']\n  ports: [{number: 080, name: "
	"'on'}]\n  addresses: [::1, 1.2.3.4/8]\n",
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b}\nspec: &x "
	"{hosts: [a], http: [{name: -1, "
	"timeout: 1e3, route: [{destination: {host: '*.x'}}]}, {name: \"\\x7f\\u00e9\"}]}\n",
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: |\n  x\n   y\n, b: ''}\n",
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

const struct mt_test document_tests[] = {
	{"odd_texts", odd_texts},
	{"documents_of_the_tree", documents_of_the_tree},
	{0},
};
