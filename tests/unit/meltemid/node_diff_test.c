/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the fields that a load of another Node document changes. */
#include "daemon.h"
#include "suites.h"

/* A Node whose sources are `sources`, with `more` fields. */
static struct mt_model *node_with(const char *sources, const char *more)
{
	static const char form[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  sources: [{directory: all}, {directory: shop, namespaces: [shop]%s}]%s\n";
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	char text[1024];

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	snprintf(text, sizeof(text), form, sources, more);
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "n", text, strlen(text));
	if (diags.errors)
		mt_diags_print(&diags, stdout);
	CU_ASSERT_EQUAL(diags.errors, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->node);
	mt_diags_fini(&diags);
	return m;
}

static struct mt_model *node(const char *sources)
{
	return node_with(sources, "");
}

/* Whatever changes of the addresses and hosts that a source owns, a load applies it. */
static void owns(void)
{
	static const char *const rows[] = {
		"",
		", owns: {addresses: [192.0.2.4/30]}",
		", owns: {addresses: [192.0.2.4/31]}",
		", owns: {addresses: [192.0.2.4/30, 192.0.2.9]}",
		", owns: {addresses: [192.0.2.4/30], hosts: [a.x]}",
		", owns: {hosts: [a.x]}",
		", owns: {hosts: [b.x]}",
		", owns: {hosts: [a.x, b.x]}",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(rows); k++) {
			struct mt_model *a = node(rows[i]), *b = node(rows[k]);
			char buf[256];

			CU_ASSERT_FALSE(node_changes(a->node, b->node, buf, sizeof(buf)));
			CU_ASSERT_EQUAL(node_followed(a->node, b->node, buf, sizeof(buf)), i != k);
			CU_ASSERT_STRING_EQUAL(buf, i == k ? "" : "spec.sources (directories)");
			mt_model_free(a);
			mt_model_free(b);
		}
}

/* The hits of a lease count from a restart; without the field there are no leases. */
static void lease(void)
{
	static const struct {
		const char *limits;
		uint32_t hits;
	} rows[] = {{"", 1}, {"\n  limits: {keys: 65536}", 1}, {"\n  limits: {lease: 1}", 1},
		{"\n  limits: {lease: 20}", 20}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(rows); k++) {
			struct mt_model *a = node_with("", rows[i].limits);
			struct mt_model *b = node_with("", rows[k].limits);
			bool differs = rows[i].hits != rows[k].hits;
			char buf[256];

			CU_ASSERT_EQUAL(lease_of(a->node), rows[i].hits);
			CU_ASSERT_EQUAL(node_changes(a->node, b->node, buf, sizeof(buf)), differs);
			CU_ASSERT_STRING_EQUAL(buf, differs ? "spec.limits.lease" : "");
			mt_model_free(a);
			mt_model_free(b);
		}
}

const struct mt_test node_diff_tests[] = {{"owns", owns}, {"lease", lease}, {0}};
