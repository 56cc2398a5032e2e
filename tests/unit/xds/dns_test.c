/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters whose endpoints are host names, with a table of names whose lookups end when the test says so: a copy of its own, as the
 * library's asks real servers.
 */
#define mt_lookup	 fake_lookup
#define mt_lookup_cancel fake_cancel
#include "name_table.c"
#include "xds_fixture.h"

#include <stdio.h>

#define LOOKUPS 16
#define WHILE	(100 * MT_MSEC)

struct mt_lookup {
	void (*done)(void *arg, const struct mt_lookup_result *result); /* NULL: over */
	void *arg;
	char name[64];
};

static struct mt_lookup lookups[LOOKUPS];
static uint32_t n_lookups;

struct mt_lookup *fake_lookup(struct mt_resolver *r, const char *name,
	void (*done)(void *arg, const struct mt_lookup_result *result), void *arg)
{
	struct mt_lookup *l = &lookups[n_lookups++ % LOOKUPS];

	(void)r;
	*l = (struct mt_lookup){.done = done, .arg = arg};
	snprintf(l->name, sizeof(l->name), "%s", name);
	return l;
}

void fake_cancel(struct mt_lookup *l)
{
	l->done = NULL;
}

/* "A B"; "": it fails. Whether somebody asked for the name. */
static bool answer(const char *name, const char *addresses)
{
	struct mt_lookup_result result = {.why = "no such name"};
	char text[128], *at = text, *one;
	struct mt_addr v[8];

	snprintf(text, sizeof(text), "%s", addresses);
	while ((one = strsep(&at, " ")) != NULL)
		if (*one)
			CU_ASSERT_EQUAL(mt_addr_parse(one, &v[result.n++]), 0);
	result.addrs = v;
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		struct mt_lookup l = lookups[i];

		if (!l.done || strcmp(l.name, name) != 0)
			continue;
		lookups[i].done = NULL;
		l.done(l.arg, &result);
		return true;
	}
	return false;
}

static void begin(struct mesh *m)
{
	memset(lookups, 0, sizeof(lookups));
	n_lookups = 0;
	mesh_begin(m);
}

#define AT(host, more)                                                                             \
	"{'endpoint': {'address': {'socket_address': {'address': '" host                           \
	"', 'port_value': 80}}}" more "}"
#define NAMED(name, type, endpoints)                                                               \
	"{'name': '" name "', 'type': '" type                                                      \
	"', 'connect_timeout': '1s', 'load_assignment': {'cluster_name': '" name                   \
	"', 'endpoints': [" endpoints "]}}"
#define IN(zone, endpoints) "{'locality': {'zone': '" zone "'}, 'lb_endpoints': [" endpoints "]}"

/* "ZONE ADDRESS weight health tls, ..." of the cluster's endpoints; "": it has none. */
static const char *endpoints(struct mesh *m, const char *name)
{
	static const char *const healths[] = {"", " degraded", " draining", " unhealthy"};
	static char text[512];
	bool answered;
	struct xds_res *r = xds_find(m->x, MT_XDS_CDS, name);
	struct mt_model *part = r ? xds_dns_part(r, &answered) : NULL;
	const struct mt_res_endpoints *e = part ? part->res_endpoints.v[0] : NULL;
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; e && i < e->n_localities; i++)
		for (uint32_t k = 0; k < e->localities[i].n_eps; k++) {
			const struct mt_res_endpoint *ep = &e->localities[i].eps[k];
			char a[MT_ADDR_STRLEN];

			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s %u%s%s",
				len ? ", " : "", e->localities[i].zone, mt_addr_str(&ep->addr, a),
				ep->weight, healths[ep->health], ep->tls ? " tls" : "");
		}
	return text;
}

/* What is said of a name is said of each of its addresses, and stands beside what is written as addresses. */
static void words(void)
{
	struct mesh m;

	begin(&m);
	mesh_say(&m, MT_XDS_CDS,
		NAMED("d", "STRICT_DNS",
			IN("a", AT("n1.x", ", 'load_balancing_weight': 3, 'health_status': "
					   "'DEGRADED'") ", " AT("192.0.2.9", "")) ", " IN("b",
				AT("n2.x", ", 'metadata': {'filter_metadata': "
					   "{'envoy.transport_socket_match': {'tlsMode': "
					   "'istio'}}}"))),
		NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "a 192.0.2.9 1");
	CU_ASSERT_TRUE(answer("n1.x", "192.0.2.2 192.0.2.1"));
	CU_ASSERT_TRUE(answer("n2.x", "2001:db8::1"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "a 192.0.2.9 1, a 192.0.2.1 3 degraded, a "
						   "192.0.2.2 3 degraded, b 2001:db8::1 1 tls");
	mesh_finish(&m);
}

/* Labels of workloads are those of the names and addresses together. */
static void workloads(void)
{
#define OF(workload) ", 'metadata': {'filter_metadata': {'istio': {'workload': '" workload "'}}}"
	struct mesh m;
	bool answered;
	struct mt_model *part;
	const struct mt_res_endpoints *e;
	const struct mt_peer *p;

	begin(&m);
	mesh_say(&m, MT_XDS_CDS,
		NAMED("d", "STRICT_DNS",
			IN("a", AT("n1.x", OF("w;shop;s;v1;c")) ", " AT(
					"192.0.2.9", OF("w;shop;s;v2;c")))),
		NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_TRUE(answer("n1.x", "192.0.2.1"));
	(void)mesh_wait(&m, WHILE);
	part = xds_dns_part(xds_find(m.x, MT_XDS_CDS, "d"), &answered);
	CU_ASSERT_PTR_NOT_NULL_FATAL(part);
	e = part->res_endpoints.v[0];
	p = e->peer;
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_STRING_EQUAL(p->label[MT_PEER_WORKLOAD], "w");
	CU_ASSERT_STRING_EQUAL(p->label[MT_PEER_NAMESPACE], "shop");
	CU_ASSERT_PTR_NULL(p->label[MT_PEER_REVISION]);
	CU_ASSERT_EQUAL_FATAL(e->n_peers, 2);
	CU_ASSERT_EQUAL_FATAL(e->localities[0].n_eps, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct mt_res_endpoint *ep = &e->localities[0].eps[i];
		bool named = ep->addr.b[15] == 1; /* 192.0.2.1: the address of the name */

		CU_ASSERT_FATAL(ep->peer > 0);
		CU_ASSERT_STRING_EQUAL(
			e->peers[ep->peer - 1].p.label[MT_PEER_REVISION], named ? "v1" : "v2");
	}
	mesh_finish(&m);
}

/* Addresses of the families that are asked for; of those that are only preferred, others where there are none. */
static void families_of(void)
{
	static const struct {
		const char *family, *both, *four, *six;
	} t[] = {
		{"AUTO", "a 2001:db8::1 1", "a 192.0.2.1 1", "a 2001:db8::1 1"},
		{"V4_ONLY", "a 192.0.2.1 1", "a 192.0.2.1 1", ""},
		{"V6_ONLY", "a 2001:db8::1 1", "", "a 2001:db8::1 1"},
		{"V4_PREFERRED", "a 192.0.2.1 1", "a 192.0.2.1 1", "a 2001:db8::1 1"},
		{"ALL", "a 192.0.2.1 1, a 2001:db8::1 1", "a 192.0.2.1 1", "a 2001:db8::1 1"},
	};
	static const char *const answers[] = {"192.0.2.1 2001:db8::1", "192.0.2.1", "2001:db8::1"};

	for (size_t i = 0; i < MT_ARRAY_LEN(t) * 3; i++) {
		const char *const want[] = {t[i / 3].both, t[i / 3].four, t[i / 3].six};
		char text[512];
		struct mesh m;

		begin(&m);
		snprintf(text, sizeof(text), "{'dns_lookup_family': '%s', %s", t[i / 3].family,
			NAMED("d", "STRICT_DNS", IN("a", AT("n1.x", ""))) + 1);
		mesh_say(&m, MT_XDS_CDS, text, NULL);
		(void)mesh_wait(&m, WHILE);
		CU_ASSERT_TRUE(answer("n1.x", answers[i % 3]));
		(void)mesh_wait(&m, WHILE);
		CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), want[i % 3]);
		mesh_finish(&m);
	}
}

/* Addresses that the node does not reach are as if they were not there, and a note says so. */
static void unreached(void)
{
	static const struct {
		const char *family;
		char lost;
		const char *want, *told;
	} t[] = {
		{"AUTO", 6, "a 192.0.2.1 1", "n1.x: 1 of its 2 addresses are not used"},
		{"AUTO", 4, "a 2001:db8::1 1", "n1.x: 1 of its 2 addresses are not used"},
		{"V4_PREFERRED", 4, "a 2001:db8::1 1", "n1.x: 1 of its 2 addresses are not used"},
		{"ALL", 6, "a 192.0.2.1 1", "n1.x: 1 of its 2 addresses are not used"},
		{"V6_ONLY", 6, "", "n1.x: 1 of its 2 addresses are not used"},
		{"ALL", 0, "a 192.0.2.1 1, a 2001:db8::1 1", ""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const struct xds_res *r;
		char text[512];
		struct mesh m;

		begin(&m);
		m.lost = t[i].lost;
		snprintf(text, sizeof(text), "{'dns_lookup_family': '%s', %s", t[i].family,
			NAMED("d", "STRICT_DNS", IN("a", AT("n1.x", ""))) + 1);
		mesh_say(&m, MT_XDS_CDS, text, NULL);
		(void)mesh_wait(&m, WHILE);
		CU_ASSERT_TRUE(answer("n1.x", "192.0.2.1 2001:db8::1"));
		(void)mesh_wait(&m, WHILE);
		CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), t[i].want);
		r = xds_find(m.x, MT_XDS_CDS, "d");
		CU_ASSERT_EQUAL(strncmp(xds_dns_note(r), t[i].told, strlen(t[i].told)), 0);
		CU_ASSERT_EQUAL(*xds_dns_note(r) == '\0', *t[i].told == '\0');
		CU_ASSERT_STRING_EQUAL(xds_dns_why(r), "");
		mesh_finish(&m);
	}
}

/* It comes into force when each name was asked; one that cannot be looked up keeps its addresses, and says so. */
static void waits(void)
{
	struct mesh m;

	begin(&m);
	mesh_say(&m, MT_XDS_CDS,
		NAMED("d", "STRICT_DNS", IN("a", AT("n1.x", "") ", " AT("n2.x", ""))), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	CU_ASSERT_TRUE(answer("n1.x", "192.0.2.1"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	CU_ASSERT_TRUE(answer("n2.x", ""));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS d, EDS d");
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "a 192.0.2.1 1");
	CU_ASSERT_STRING_EQUAL(xds_dns_why(xds_find(m.x, MT_XDS_CDS, "d")),
		"n2.x cannot be looked up: no such name");
	(void)mesh_wait(&m, 20 * MT_SEC);
	CU_ASSERT_TRUE(answer("n2.x", "192.0.2.2"));
	CU_ASSERT_STRING_EQUAL(xds_dns_why(xds_find(m.x, MT_XDS_CDS, "d")), "");
	(void)mesh_wait(&m, 20 * MT_SEC);
	CU_ASSERT_TRUE(answer("n1.x", ""));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "a 192.0.2.1 1, a 192.0.2.2 1");
	CU_ASSERT_STRING_EQUAL(xds_dns_why(xds_find(m.x, MT_XDS_CDS, "d")),
		"n1.x cannot be looked up: no such name");
	mesh_finish(&m);
}

/* Several clusters of one name ask once; the last one that goes forgets it. */
static void shared(void)
{
	struct mt_name_state other;
	struct mesh m;

	begin(&m);
	mesh_say(&m, MT_XDS_CDS, NAMED("d", "STRICT_DNS", IN("a", AT("n1.x", ""))),
		NAMED("e", "LOGICAL_DNS", IN("a", AT("n1.x", ""))), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(n_lookups, 1);
	CU_ASSERT_TRUE(answer("n1.x", "192.0.2.2 192.0.2.1"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "a 192.0.2.1 1, a 192.0.2.2 1");
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "e"), "a 192.0.2.1 1");
	mesh_say(&m, MT_XDS_CDS, NAMED("e", "LOGICAL_DNS", IN("a", AT("n1.x", ""))), NULL);
	(void)mesh_wait(&m, 40 * MT_SEC);
	CU_ASSERT_TRUE(answer("n1.x", "192.0.2.3"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "e"), "a 192.0.2.3 1");
	mt_name_table_find(m.looked_up, "other.x", &other);
	CU_ASSERT_EQUAL(other.n, 0);
	mesh_say(&m, MT_XDS_CDS, NULL);
	(void)mesh_wait(&m, 40 * MT_SEC);
	CU_ASSERT_FALSE(answer("n1.x", "192.0.2.4"));
	CU_ASSERT_TRUE(answer("other.x", "192.0.2.4"));
	mesh_finish(&m);
}

/* A cluster that is said anew leads where it led until its own names are answered. */
static void said_anew(void)
{
	struct mesh m;

	begin(&m);
	mesh_say(&m, MT_XDS_CDS, NAMED("d", "STRICT_DNS", IN("a", AT("n1.x", ""))), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_TRUE(answer("n1.x", "192.0.2.1"));
	(void)mesh_wait(&m, WHILE);
	mesh_say(&m, MT_XDS_CDS, NAMED("d", "STRICT_DNS", IN("b", AT("n2.x", ""))), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "a 192.0.2.1 1");
	CU_ASSERT_TRUE(answer("n2.x", "192.0.2.2"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "b 192.0.2.2 1");
	/* The same name again has its address at once. */
	mesh_say(&m, MT_XDS_CDS,
		NAMED("d", "STRICT_DNS", IN("c", AT("n2.x", "") ", " AT("n3.x", ""))), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(endpoints(&m, "d"), "c 192.0.2.2 1");
	mesh_finish(&m);
}

const struct mt_test dns_tests[] = {
	{"words", words},
	{"workloads", workloads},
	{"families_of", families_of},
	{"unreached", unreached},
	{"waits", waits},
	{"shared", shared},
	{"said_anew", said_anew},
	{0},
};
