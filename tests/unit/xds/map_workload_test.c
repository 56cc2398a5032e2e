/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads of endpoints, from Istio's metadata. */
#include "map_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(address, port)                                                                          \
	"'endpoint': {'address': {'socket_address': {'address': '" address                         \
	"', 'port_value': " port "}}}"
#define OF(ns)                                                                                     \
	"{'lb_endpoints': [{" AT("192.0.2.1",                                                      \
		"80") ", 'metadata': {'filter_metadata': {'istio': {'workload': '" ns "'}}}}]}"

/*
 * The metadata for Istio's telemetry have the namespace. Without them, or if endpoints have several
 * namespaces, the namespace is unknown.
 */
static void namespaces(void)
{
	static const struct {
		const char *text, *ns;
	} rows[] = {
		{OF("a;x;a;v1;Kubernetes"), "x"},
		{OF("a;x"), "x"},
		{OF("a;x;a") ", " OF("b;x;b"), "x"},
		{OF("a;x;a") ", {'lb_endpoints': []}", "x"},
		{OF("a;x;a") ", " OF("b;xy;b"), NULL},
		{OF("a;x;a") ", {'lb_endpoints': [{" AT("192.0.2.2", "80") "}]}", NULL},
		{"{'lb_endpoints': [{" AT("192.0.2.2", "80") "}]}, " OF("a;x;a"), NULL},
		{OF("a"), NULL},
		{OF("a;;a"), NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_res_endpoints *e;
		char text[1024];
		struct mapped m;

		snprintf(text, sizeof(text), "{'cluster_name': 'a', 'endpoints': [%s]}",
			rows[i].text);
		m = map_text(MT_XDS_EDS, text);
		e = (const void *)m.m.meta;
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_EQUAL(e->ns != NULL, rows[i].ns != NULL);
		if (e->ns && rows[i].ns)
			CU_ASSERT_STRING_EQUAL(e->ns, rows[i].ns);
		unmap(&m);
	}
}

/* Labels that all workloads of an assignment share, and which workload each endpoint has. */
static void workloads(void)
{
	static const struct {
		const char *text, *labels, *peers;
	} rows[] = {
		{OF("a;x;s;v1;c1"), "a;x;c1;-;-;s;v1", "1"},
		{OF("a;x;s;;"), "a;x;-;-;-;s;latest", "1"},
		{OF("a"), "a;-;-;-;-;-;latest", "1"},
		{OF(""), "-;-;-;-;-;-;latest", "0"},
		{OF("a;x;s;v1;c1") ", " OF("a;x;s;v1;c1"), "a;x;c1;-;-;s;v1", "11"},
		{OF("a;x;s;v1;c1") ", " OF("b;x;s;v2;c1") ", " OF("a;x;s;v1;c1"), "-;x;c1;-;-;s;-",
			"121"},
		{OF("a;x;s;v1;c1") ", {'lb_endpoints': [{" AT("192.0.2.2", "80") "}]}", NULL, "10"},
		{"{'lb_endpoints': [{" AT("192.0.2.2", "80") "}]}, " OF("a;x;s;v1;c1"), NULL, "01"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_res_endpoints *e;
		char text[1024], got[256] = "", peers[8] = "";
		struct mapped m;

		snprintf(text, sizeof(text), "{'cluster_name': 'a', 'endpoints': [%s]}",
			rows[i].text);
		m = map_text(MT_XDS_EDS, text);
		e = (const void *)m.m.meta;
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		CU_ASSERT_EQUAL(e->peer != NULL, rows[i].labels != NULL);
		for (int k = 0; e->peer && k < MT_PEER_SHOWN; k++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", k ? ";" : "",
				e->peer->label[k] ? e->peer->label[k] : "-");
		if (e->peer && rows[i].labels)
			CU_ASSERT_STRING_EQUAL(got, rows[i].labels);
		CU_ASSERT_FALSE(e->not_bare);
		for (uint32_t k = 0; k < e->n_localities; k++) {
			uint8_t peer = e->localities[k].eps[0].peer;

			peers[k] = (char)('0' + peer);
			if (peer)
				CU_ASSERT_EQUAL(
					e->peers[peer - 1].id, mt_peer_id(&e->peers[peer - 1].p));
		}
		CU_ASSERT_STRING_EQUAL(peers, rows[i].peers);
		unmap(&m);
	}
}

/* Labels of metrics are UTF-8, which control planes are not trusted to send. */
static void unreadable(void)
{
	char text[512];
	struct mapped m = {.why = {""}};
	char *at;

	snprintf(
		text, sizeof(text), "{'cluster_name': 'a', 'endpoints': [%s]}", OF("a?;x;s;v1;c1"));
	for (at = text; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	mt_pb_arena_init(&m.arena, 1u << 20);
	m.body = any_of_text(&m.arena, MT_XDS_EDS, text);
	at = memchr(m.body->value.data, '?', m.body->value.len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	*at = '\xff';
	m.rc = mt_xds_map(
		MT_XDS_EDS, m.body, &(struct mt_xds_from){"xds:t", NULL}, 7, &m.m, &m.why);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_EQUAL(((const struct mt_res_endpoints *)m.m.meta)->n_eps, 1);
	CU_ASSERT_PTR_NULL(((const struct mt_res_endpoints *)m.m.meta)->peer);
	unmap(&m);
}

/* Labels of up to 1,023 bytes are read, whatever is in them; a longer workload is unknown. */
static void long_ones(void)
{
	static const struct {
		uint32_t len;
		bool known;
	} rows[] = {{1023, true}, {1024, false}, {1u << 20, false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char *name = malloc(rows[i].len + 1), *text = malloc(rows[i].len + 512);
		const struct mt_res_endpoints *e;
		struct mapped m;

		CU_ASSERT_FATAL(name && text);
		memset(name, '{', rows[i].len);
		name[0] = 'x';
		name[rows[i].len] = 0;
		snprintf(text, rows[i].len + 512,
			"{'cluster_name': 'a', 'endpoints': [%s, " OF("%s") "]}", OF("b"), name);
		m = map_text(MT_XDS_EDS, text);
		CU_ASSERT_EQUAL_FATAL(m.rc, 0);
		e = (const void *)m.m.meta;
		CU_ASSERT_EQUAL(e->n_peers, rows[i].known ? 2 : 1);
		CU_ASSERT_EQUAL(e->localities[0].eps[0].peer, 1);
		CU_ASSERT_EQUAL(e->localities[1].eps[0].peer, rows[i].known ? 2 : 0);
		if (rows[i].known)
			CU_ASSERT_STRING_EQUAL(e->peers[1].p.label[MT_PEER_WORKLOAD], name);
		unmap(&m);
		free(text);
		free(name);
	}
}

const struct mt_test map_workload_tests[] = {{"namespaces", namespaces}, {"workloads", workloads},
	{"unreadable", unreadable}, {"long ones", long_ones}, {0}};
