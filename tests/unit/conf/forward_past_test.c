/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that forwarded services had before changes of the last minutes. */
#include "conf_test.h"

#include "mt_conf_forward_priv.h"
#include "mt_l4.h"

#include <netinet/in.h>

/* What is remembered of a service with one endpoint more at each change, at these times in s. */
static void past_of_changes(void)
{
	static const struct {
		uint64_t at;
		uint32_t n;		   /* endpoints from then on */
		uint32_t before, before_s; /* endpoints before, and until when */
	} steps[] = {{10, 1, 0, 0}, {500, 2, 1, 800}, {600, 3, 1, 900}, {700, 3, 1, 900},
		{850, 4, 2, 1150}, {1100, 4, 2, 1150}, {1150, 4, 0, 0}, {1200, 5, 4, 1500},
		{1201, 6, 4, 1501}, {1202, 7, 4, 1502}, {1203, 8, 4, 1503}, {1204, 9, 4, 1504},
		{1205, 10, 4, 1505}, {1206, 11, 4, 1506}, {1207, 12, 4, 1507}, {1208, 13, 4, 1508},
		{1209, 14, 4, 1509}, {1509, 15, 14, 1809}};
	struct mt_l4_endpoint_conf e[16] = {0};
	struct mt_forward_past *was = NULL, *past;

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		struct mt_l4_service_conf s[2] = {
			{.id = 3, .proto = IPPROTO_TCP}, {.id = 7,
								 .proto = IPPROTO_TCP,
								 .mode = MT_L4_IPIP,
								 .endpoints = e,
								 .n_endpoints = steps[i].n}};

		CU_ASSERT_EQUAL(mt_forward_past_next(was, s, 2, steps[i].at * MT_SEC, &past), 0);
		CU_ASSERT_EQUAL(s[1].n_before, steps[i].before);
		CU_ASSERT_EQUAL(s[1].before_until, steps[i].before_s * MT_SEC);
		CU_ASSERT_EQUAL(s[0].n_before, 0);
		mt_forward_past_free(was);
		was = past;
	}
	mt_forward_past_free(was);
}

/*
 * A service that changes every 10 s for 20 minutes, by an endpoint more each time. At each time, no
 * change of the last five minutes is forgotten, except for such of the first 43 s of them.
 */
static void past_of_many_changes(void)
{
	static struct mt_l4_endpoint_conf e[128];
	struct mt_forward_past *was = NULL, *past;

	for (uint32_t i = 0; i < 120; i++) {
		uint64_t at = 1000 + 10ull * i, least = at < 1300 ? 0 : at - 300;
		struct mt_l4_service_conf s = {.id = 7,
			.proto = IPPROTO_TCP,
			.mode = MT_L4_IPIP,
			.endpoints = e,
			.n_endpoints = i + 1};

		CU_ASSERT_EQUAL(mt_forward_past_next(was, &s, 1, at * MT_SEC, &past), 0);
		mt_forward_past_free(was);
		was = past;
		if (i == 0)
			continue;
		/* The endpoints before were in force from this change on; the next is remembered. */
		at = 1000 + 10ull * (s.n_before - 1);
		CU_ASSERT(s.n_before == 1 || at < least + 43);
		CU_ASSERT(at + 10 > least);
	}
	mt_forward_past_free(was);
}

#define DIRECT(endpoints)                                                                          \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [10.0.0.1/24]}]\n"                     \
	"  forwarding: [{host: a.x, port: 5432, mode: dsr}]\n"                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"       \
	"spec: {hosts: [a.x], addresses: [192.0.2.1], resolution: STATIC, ports: [{number: 5432, " \
	"name: tcp-sql}], endpoints: [" endpoints "]}\n"

static const struct mt_l4_group *published(struct mt_conf *c, const char *text)
{
	struct built b = build_text(c, text);
	struct mt_conf_change changes;
	struct mt_err err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, &changes, &err), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	return mt_conf_current(c)->l4->rows[0].group;
}

/* A set knows which endpoints a service of mode dsr had before its last change. */
static void before_change(void)
{
	struct mt_conf *c = new_conf();
	const struct mt_l4_group *g;

	g = published(c, DIRECT("{address: 10.0.0.21}, {address: 10.0.0.22}"));
	CU_ASSERT_PTR_NULL(g->before_at);
	g = published(c, DIRECT("{address: 10.0.0.21}, {address: 10.0.0.23}"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(g->before_at);
	CU_ASSERT_EQUAL(g->before_at[0], 0);
	CU_ASSERT_EQUAL(g->before_at[1], UINT32_MAX);
	CU_ASSERT_EQUAL(g->before_until, NOW + 300 * MT_SEC);
	mt_conf_destroy(c);
}

const struct mt_test forward_past_tests[] = {{"forward_past_of_changes", past_of_changes},
	{"forward_past_of_many_changes", past_of_many_changes},
	{"forward_past_before_change", before_change}, {0}};
