/* SPDX-License-Identifier: Apache-2.0 */
/* A control plane's table of names: what of it is used, when it is asked for, and how long it lives. */
#include "map_fixture.h"
#include "xds_fixture.h"

#include <stdio.h>
#include <string.h>

#define ROW(host, ips) "'" host "': {'ips': [" ips "], 'registry': 'External'}"
#define WHILE	       (300 * MT_MSEC)

static const char *rows_of(const struct mt_res_names *t)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < t->n_names; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", t->names[i].host);
		for (uint32_t k = 0; k < t->names[i].n_addrs; k++) {
			char a[MT_ADDR_STRLEN];

			len += (size_t)snprintf(text + len, sizeof(text) - len, " %s",
				mt_addr_str(&t->names[i].addrs[k], a));
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, ";");
	}
	return text;
}

/* One row that cannot be used costs the others nothing. */
static void rows(void)
{
	static const struct {
		const char *text, *want, *told;
	} cases[] = {
		{"{}", "", ""},
		{"{'table': {" ROW("B.x", "'192.0.2.1'") ", " ROW(
			 "a.X", "'2001:db8::1', '192.0.2.2'") "}}",
			"a.x 2001:db8::1 192.0.2.2;b.x 192.0.2.1;", ""},
		{"{'table': {" ROW(
			 "*.w.x", "'192.0.2.1'") ", 'k.ns.svc.cluster.local': {'ips': "
						 "['192.0.2.9'], 'registry': 'Kubernetes', "
						 "'shortname': 'k', 'namespace': 'ns'}}}",
			"*.w.x 192.0.2.1;k.ns.svc.cluster.local 192.0.2.9;", ""},
		{"{'table': {" ROW("a x", "'192.0.2.1'") ", " ROW("a..x", "'192.0.2.1'") ", " ROW(
			 "", "'192.0.2.1'") ", " ROW("ok.x", "'192.0.2.1'") "}}",
			"ok.x 192.0.2.1;", "table: a host that DNS cannot name is left out"},
		{"{'table': {" ROW("a.x", "'10.0.0.0/8', '0.0.0.0', '::', 'no', '192.0.2.1'") "}}",
			"a.x 192.0.2.1;", "table.ips: values other than addresses are left out"},
		{"{'table': {" ROW("a.x", "") ", " ROW("b.x", "'0.0.0.0'") "}}", "",
			"table.ips: values other than addresses are left out"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct mapped m = map_text(MT_XDS_NDS, cases[i].text);

		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_STRING_EQUAL(
			rows_of((const struct mt_res_names *)m.m.meta), cases[i].want);
		CU_ASSERT_EQUAL(strncmp(ignored_str(&m), cases[i].told, strlen(cases[i].told)), 0);
		CU_ASSERT_EQUAL(*ignored_str(&m) == '\0', *cases[i].told == '\0');
		unmap(&m);
	}
}

/* Servers write a map in any order: it is the same table. */
static void order(void)
{
	struct mapped a = map_text(MT_XDS_NDS,
		"{'table': {" ROW("a.x", "'192.0.2.1'") ", " ROW("b.x", "'192.0.2.2'") "}}");
	struct mapped b = map_text(MT_XDS_NDS,
		"{'table': {" ROW("b.x", "'192.0.2.2'") ", " ROW("a.x", "'192.0.2.1'") "}}");
	struct mapped c = map_text(MT_XDS_NDS,
		"{'table': {" ROW("b.x", "'192.0.2.1'") ", " ROW("a.x", "'192.0.2.2'") "}}");
	struct mt_xds_digest of_a = mt_xds_digest(a.body), of_b = mt_xds_digest(b.body),
			     of_c = mt_xds_digest(c.body);

	CU_ASSERT_EQUAL(memcmp(&of_a, &of_b, sizeof(of_a)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(&of_a, &of_c, sizeof(of_a)), 0);
	unmap(&a);
	unmap(&b);
	unmap(&c);
}

/* Bytes that lie about lengths and nest without end. */
static void hostile(void)
{
	static const char *const bytes[] = {"\x0a\xff\xff\xff\xff\x0f",
		"\x0a\x05\x0a\x7f"
		"abc",
		"\x0a\x02\x12\x10", "\x08\x01\x0a\x03\x0a\x01"};

	for (size_t i = 0; i < MT_ARRAY_LEN(bytes); i++) {
		Xds__Any any = XDS__ANY__INIT;
		struct mt_xds_mapped out;
		struct mt_err why = {""};

		any.type_url = (char *)mt_xds_url(MT_XDS_NDS);
		any.value = (ProtobufCBinaryData){strlen(bytes[i]), (uint8_t *)bytes[i]};
		CU_ASSERT_EQUAL(mt_xds_map(MT_XDS_NDS, &any, &(struct mt_xds_from){"xds:t", NULL},
					1, &out, &why),
			-EINVAL);
		CU_ASSERT_NOT_EQUAL(why.text[0], '\0');
	}
}

static bool is_asked_for(struct mesh *m)
{
	struct mt_xds_type_info info;
	uint32_t pos = 0;

	while (mt_xds_type_next(m->x, &pos, &info))
		if (strcmp(info.type, "NDS") == 0)
			return info.wildcard;
	return false;
}

/* The same node with other metadata. */
static void be(struct mesh *m, const char *metadata)
{
	static const char rest[] =
		"dynamic_resources:\n"
		"  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: s}}]}\n"
		"  lds_config: {ads: {}}\n"
		"  cds_config: {ads: {}}\n"
		"static_resources:\n"
		"  clusters:\n"
		"  - name: s\n"
		"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: "
		"{path: /nonexistent/a}}}}]}]}\n";
	struct mt_xds_bootstrap *b;
	struct mt_diags diags;
	char text[1024];

	snprintf(text, sizeof(text), "node: {id: n, metadata: %s}\n%s", metadata, rest);
	mt_diags_init(&diags);
	b = mt_xds_bootstrap_text(&diags, "b", text, strlen(text));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	mt_diags_fini(&diags);
	mt_xds_rebootstrap(m->x, b, m->now);
}

/* As Istio's own agent: by the node's metadata. */
static void who_asks(void)
{
	static const struct {
		const char *metadata;
		bool asks;
	} cases[] = {
		{"{DNS_CAPTURE: \"true\"}", true},
		{"{DNS_CAPTURE: true}", true},
		{"{DNS_CAPTURE: \"false\"}", false},
		{"{DNS_CAPTURE: 1}", false},
		{"{}", false},
	};
	struct mesh m;

	mesh_begin(&m);
	CU_ASSERT_FALSE(is_asked_for(&m));
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		be(&m, cases[i].metadata);
		CU_ASSERT_EQUAL(is_asked_for(&m), cases[i].asks);
	}
	mesh_finish(&m);
}

/* A table lives over restarts, is replaced as a whole, and goes when it is not asked for any more. */
static void life(void)
{
	struct mesh m;

	mesh_begin(&m);
	be(&m, "{DNS_CAPTURE: \"true\"}");
	mesh_say(&m, MT_XDS_NDS, "{'table': {" ROW("a.x", "'192.0.2.1'") "}}", NULL);
	CU_ASSERT_TRUE(m.ok);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "NDS names");
	(void)mesh_wait(&m, 5 * MT_SEC);
	mesh_restart(&m);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "NDS names");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_NDS, "names"), "active, as kept");
	be(&m, "{DNS_CAPTURE: \"true\"}");
	mesh_start(&m);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "NDS names");
	mesh_say(&m, MT_XDS_NDS, "{'table': {" ROW("b.x", "'192.0.2.2'") "}}", NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_NDS, "names"), "active");
	be(&m, "{}");
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	mesh_finish(&m);
}

const struct mt_test names_tests[] = {{"rows", rows}, {"order", order}, {"hostile", hostile},
	{"who_asks", who_asks}, {"life", life}, {0}};
