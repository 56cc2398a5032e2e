/* SPDX-License-Identifier: Apache-2.0 */
/* A namespace changes nearly all clusters or endpoints that fit, while another one adds a service. */
#include "conf_test.h"

#include "mt_upstream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VICTIM                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a, namespace: v}\nspec:\n  hosts: [a.v]\n  addresses: [240.240.8.1]\n"   \
	"  resolution: STATIC\n  location: MESH_INTERNAL\n"                                        \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"                                   \
	"  endpoints: [{address: 198.51.100.1}]\n"

struct text {
	char *p;
	size_t n, room;
};

static void put(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->n += (size_t)vsnprintf(t->p + t->n, t->room - t->n, format, args);
	va_end(args);
	CU_ASSERT_FATAL(t->n < t->room);
}

/* A service with ports, endpoints of one label, and subsets with it. */
struct big {
	uint32_t ports, endpoints, net, subsets;
	const char *word;
};

static void put_service(struct text *t, uint32_t i, const struct big *x)
{
	put(t,
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: s%u, namespace: m}\nspec:\n  hosts: [s%u.m]\n"
		"  addresses: [240.240.9.%u]\n  location: MESH_INTERNAL\n"
		"  resolution: STATIC\n  ports:\n",
		i, i, i + 1);
	for (uint32_t k = 0; k < x->ports; k++)
		put(t, "  - {number: %u, name: tcp-metaprotocol-dubbo-%u}\n", 1000 + k, k);
	put(t, "  endpoints:\n");
	for (uint32_t k = 0; k < x->endpoints; k++)
		put(t, "  - {address: 10.%u.%u.%u, labels: {v: a}}\n", x->net, k >> 8, k & 255);
	put(t,
		"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
		"metadata: {name: s%u, namespace: m}\nspec:\n  host: s%u.m\n  subsets:\n",
		i, i);
	for (uint32_t k = 0; k < x->subsets; k++)
		put(t, "  - {name: %s%u, labels: {v: a}}\n", x->word, k);
}

static char *text_of(uint32_t services, const struct big *first, const struct big *rest)
{
	struct text t = {.p = malloc(4u << 20), .room = 4u << 20};

	CU_ASSERT_PTR_NOT_NULL_FATAL(t.p);
	for (uint32_t i = 0; i < services; i++)
		put_service(&t, i, i ? rest : first);
	put(&t, VICTIM);
	return t.p;
}

/* True if the object with the serial is of the namespace. */
static bool is_of(const struct mt_model *m, uint64_t serial, const char *ns)
{
	const struct mt_objs *all[] = {&m->service_entries, &m->destination_rules};

	for (size_t k = 0; k < MT_ARRAY_LEN(all); k++)
		for (uint32_t i = 0; i < all[k]->n; i++) {
			const struct mt_meta *meta = all[k]->v[i];

			if (meta->serial == serial)
				return strcmp(meta->ns, ns) == 0;
		}
	return false;
}

/* Compiles `now` without the victim, then `then` with it: only documents of m are refused. */
static void grows(char *now, char *then)
{
	struct mt_conf *c = new_conf();
	struct mt_err err;
	struct built b;

	*strstr(now, VICTIM) = '\0';
	b = build_text(c, now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = build_text(c, then);
	CU_ASSERT(b.diags.errors > 0);
	for (uint32_t i = 0; i < b.diags.n; i++)
		if (b.diags.items[i].severity == MT_DIAG_ERROR) {
			CU_ASSERT_PTR_NOT_NULL(
				strstr(b.diags.items[i].message, "no room for its new clusters"));
			CU_ASSERT(is_of(b.m, b.diags.items[i].object, "m"));
		}
	unbuild(&b);
	free(now);
	free(then);
}

static void clusters(void)
{
	const struct big old = {60, 1, 1, 250, "old"}, new = {60, 1, 1, 250, "new"};

	grows(text_of(3, &old, &old), text_of(3, &new, &new));
}

static void endpoints(void)
{
	const struct big old = {1, 800, 1, 249, "s"}, new = {1, 800, 2, 249, "s"};
	const struct big few_old = {4, 1, 1, 249, "s"}, few_new = {4, 1, 2, 249, "s"};

	grows(text_of(2, &old, &few_old), text_of(2, &new, &few_new));
}

const struct mt_test growth_tests[] = {
	{"renamed subsets", clusters}, {"other addresses", endpoints}, {0}};
