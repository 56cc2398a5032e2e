/* SPDX-License-Identifier: Apache-2.0 */
/* Portions of services' calls by workload: found again, taken over when unused, never mixed up. */
#include "mt_callers.h"
#include "mt_portion.h"
#include "scene.h"

#include "mt_proxy_priv.h"
#include "mt_tls.h"

#include <stdlib.h>

#define NOW (5 * MT_PORTION_STALE)

static struct mt_portion *table_new(void)
{
	struct mt_portion *t = calloc(MT_PORTIONS + 1, sizeof(*t));

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

/* A call of the service at the workload, by an unknown caller. */
static struct mt_portion *call(
	struct mt_portion *table, uint64_t service, uint64_t workload, uint64_t now)
{
	struct mt_portion *p = mt_portion_of(table, service, workload, 0, now);

	p->stats.requests++;
	return p;
}

static uint64_t calls(const struct mt_portion *p, uint64_t service, uint64_t workload)
{
	struct mt_portion got;

	if (!mt_portion_read(p, mt_portion_key(service, workload, 0), &got))
		return 0;
	CU_ASSERT_EQUAL(got.service, service);
	CU_ASSERT_EQUAL(got.workload, workload);
	CU_ASSERT_EQUAL(got.caller, 0);
	return got.stats.requests;
}

#define A  0x100
#define B  0x200
#define V1 (2ull << 32)
#define V2 (3ull << 32)

static void found_again(void)
{
	struct mt_portion *t = table_new(), *a = call(t, A, V1, NOW), *b = call(t, A, V2, NOW),
			  *c = call(t, B, V1, NOW), *none = call(t, A, 0, NOW);

	CU_ASSERT(a != b && a != c && b != c && none != a && none != b && none != c);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(call(t, A, V1, NOW), a);
	CU_ASSERT_EQUAL(calls(a, A, V1), 4);
	CU_ASSERT_EQUAL(calls(b, A, V2), 1);
	CU_ASSERT_EQUAL(calls(a, A, V2), 0);
	CU_ASSERT_EQUAL(t[MT_PORTIONS].stats.requests, 0);
	free(t);
}

/* Calls by two workloads are two portions, also if one calls itself. */
static void by_caller(void)
{
	struct mt_portion *t = table_new(), *p[3], got;
	const uint64_t callers[3] = {0, V1, V2};

	for (int i = 0; i < 3; i++) {
		p[i] = mt_portion_of(t, A, V1, callers[i], NOW);
		p[i]->stats.requests += (uint64_t)i + 1;
	}
	CU_ASSERT(p[0] != p[1] && p[0] != p[2] && p[1] != p[2]);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_PTR_EQUAL(mt_portion_of(t, A, V1, callers[i], NOW), p[i]);
		CU_ASSERT_TRUE(mt_portion_read(p[i], mt_portion_key(A, V1, callers[i]), &got));
		CU_ASSERT_EQUAL(got.caller, callers[i]);
		CU_ASSERT_EQUAL(got.stats.requests, (uint64_t)i + 1);
	}
	CU_ASSERT_FALSE(mt_portion_read(p[1], mt_portion_key(A, V1, V2), &got));
	free(t);
}

/* The service and workload whose hashes cancel each other have a portion, too. */
static void key_of_zero(void)
{
	struct mt_portion *t = table_new(), *p = call(t, 7, 7ull << 32, NOW);

	CU_ASSERT_EQUAL(mt_portion_key(7, 7ull << 32, 0), 1);
	CU_ASSERT_PTR_EQUAL(call(t, 7, 7ull << 32, NOW), p);
	CU_ASSERT_EQUAL(calls(p, 7, 7ull << 32), 2);
	free(t);
}

/* Fills all places of the first service; returns the one of service `i` of them. */
static struct mt_portion *fill(struct mt_portion *t, uint64_t used, uint32_t i)
{
	struct mt_portion *p = NULL;

	for (uint32_t k = 0; k < MT_PORTION_WAYS; k++) {
		struct mt_portion *at = call(t, 8 + k * (uint64_t)MT_PORTIONS, 0, used + k);

		CU_ASSERT_TRUE(at >= &t[8] && at < &t[8 + MT_PORTION_WAYS]);
		p = k == i ? at : p;
	}
	return p;
}

#define LATE (1000 * (uint64_t)MT_PORTIONS)

/* Keys with the same first place get others; one too many counts as one of all others. */
static void too_many(void)
{
	struct mt_portion *t = table_new();

	fill(t, NOW, 0);
	CU_ASSERT_PTR_EQUAL(call(t, 8 + LATE, 0, NOW + MT_SEC), &t[MT_PORTIONS]);
	for (uint32_t k = 0; k < MT_PORTION_WAYS; k++)
		CU_ASSERT_EQUAL(calls(mt_portion_of(t, 8 + k * (uint64_t)MT_PORTIONS, 0, 0, NOW),
					8 + k * (uint64_t)MT_PORTIONS, 0),
			1);
	CU_ASSERT_EQUAL(t[MT_PORTIONS].stats.requests, 1);
	CU_ASSERT_EQUAL(t[MT_PORTIONS].key, 0);
	free(t);
}

/* The one without calls for longest gives way, and its calls are not those of the new one. */
static void taken_over(void)
{
	struct mt_portion *t = table_new(), *old = fill(t, NOW, 0);

	old->hist.latency[3] = 5;
	CU_ASSERT_PTR_EQUAL(call(t, 8 + LATE, 9, NOW + MT_PORTION_STALE - 1), &t[MT_PORTIONS]);
	CU_ASSERT_PTR_EQUAL(call(t, 8 + LATE, 0, NOW + MT_PORTION_STALE), old);
	CU_ASSERT_EQUAL(calls(old, 8, 0), 0);
	CU_ASSERT_EQUAL(calls(old, 8 + LATE, 0), 1);
	CU_ASSERT_EQUAL(old->hist.latency[3], 0);
	CU_ASSERT_EQUAL(old->stats.requests, 1);
	free(t);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/*
 * Calls of the first listener's service by the caller that ended at the workload, and how many of
 * them well.
 */
static void expect_by(uint64_t caller, uint64_t workload, uint64_t requests, uint64_t ok)
{
	uint64_t key = mt_portion_key(CONFIG_SAFE, workload, caller);
	struct mt_portion got = {0};

	CU_ASSERT_EQUAL(mt_portion_read(&mt_proxy_portions(lab.p)[key % MT_PORTIONS], key, &got),
		requests > 0);
	CU_ASSERT_EQUAL(got.stats.requests, requests);
	CU_ASSERT_EQUAL(got.stats.ok, ok);
}

static void expect(uint64_t workload, uint64_t requests, uint64_t ok)
{
	expect_by(0, workload, requests, ok);
}

/* Calls count for the workload that answered them. */
static void by_endpoint(void)
{
	struct fake_conn *c;

	scene_start(2);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 4; i++)
		scene_send_request(c, 'Q', i, 64);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct fake_conn *s = scene_connected_server(i);

		for (uint32_t k = 0; k < (i ? 2u : 1u); k++)
			scene_answer(s, scene_next_sent(s).id, 9, 40);
	}
	expect(0, 0, 0);
	CU_ASSERT_EQUAL(scene_portion(CONFIG_SAFE).stats.requests, 3);
	CU_ASSERT_EQUAL(scene_portion(CONFIG_SAFE).stats.ok, 3);
	CU_ASSERT_EQUAL(scene_portion(CONFIG_SAFE).stats.bytes_in, 3 * 64);
	CU_ASSERT_EQUAL(scene_portion(CONFIG_SAFE).stats.bytes_out, 3 * 40);
	lab_close(c, MT_CLOSE_RESET);
	/* The client has left one of them. */
	CU_ASSERT_EQUAL(scene_portion(CONFIG_SAFE).stats.client_left, 1);
	for (uint32_t i = 0; i < 2; i++)
		expect(config_workload(0, i), 2, i ? 2 : 1);
	scene_stop();
}

/* A call without an endpoint has no workload; one that was lost has that of its endpoint. */
static void without_reply(void)
{
	struct fake_conn *c;

	scene_start(1);
	lab.snap->clusters[0].n_eps = 0;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	expect(0, 1, 0);
	lab.snap->clusters[0].n_eps = 1;
	scene_send_request(c, 'Q', 2, 64);
	lab_close(scene_connected_server(0), MT_CLOSE_RESET);
	expect(0, 1, 0);
	expect(config_workload(0, 0), 1, 0);
	scene_bye(c);
	scene_stop();
}

/* An endpoint that becomes another workload's keeps the calls that were sent to the old one. */
static void relabelled(void)
{
	struct fake_conn *c[2], *s;
	uint64_t ids[2];

	scene_start(1);
	c[0] = lab_client(CONFIG_SAFE);
	scene_send_request(c[0], 'Q', 1, 64);
	s = scene_connected_server(0);
	ids[0] = scene_next_sent(s).id;
	lab.snap = config_make(1, 2, 1, true);
	mt_proxy_adopt(lab.p, lab.snap);
	lab_advance(MT_MSEC);
	c[1] = lab_client(CONFIG_SAFE);
	scene_send_request(c[1], 'Q', 2, 64);
	ids[1] = scene_next_sent(s).id;
	for (int i = 0; i < 2; i++)
		scene_answer(s, ids[i], 9, 40);
	for (int gen = 0; gen < 2; gen++)
		expect(config_workload(gen, 0), 1, 1);
	for (int i = 0; i < 2; i++)
		scene_bye(c[i]);
	scene_stop();
	config_free(1);
}

/* ---- callers --------------------------------------------------------------------------------- */

/* A caller whose portions have first places of their own. */
#define CALLER(n) ((uint64_t)(n) << 47)

/* Sets the workload at 192.0.2.HOST; 0: none. */
static void set_caller(struct mt_caller_table *t, uint8_t host, uint64_t id, uint64_t account)
{
	struct mt_addr a;
	struct mt_caller_place *p;

	mt_addr_parse("192.0.2.0", &a);
	a.b[15] = host;
	p = mt_caller_place(t, mt_caller_address(&a), true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	if (id)
		mt_caller_set(p, id, account);
	else
		mt_caller_give_up(t, p);
}

/* A call has the workload that the client's address had when the client connected. */
static void of_clients(void)
{
	struct mt_caller_table *t = calloc(1, sizeof(*t));
	struct fake_conn *c[3], *s;
	uint64_t ids[3];

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	scene_start(1);
	lab.snap->callers = t;
	set_caller(t, 7, CALLER(7), 0);
	set_caller(t, 8, CALLER(8), 0);
	for (uint8_t i = 0; i < 3; i++) {
		c[i] = lab_client_from(CONFIG_SAFE, (uint8_t)(7 + i));
		scene_send_request(c[i], 'Q', i, 64);
	}
	set_caller(t, 7, 0, 0);
	s = scene_connected_server(0);
	for (int i = 0; i < 3; i++)
		ids[i] = scene_next_sent(s).id;
	for (int i = 0; i < 3; i++)
		scene_answer(s, ids[i], 9, 40);
	expect_by(CALLER(7), config_workload(0, 0), 1, 1);
	expect_by(CALLER(8), config_workload(0, 0), 1, 1);
	expect_by(0, config_workload(0, 0), 1, 1);
	for (int i = 0; i < 3; i++)
		scene_bye(c[i]);
	scene_stop();
	free(t);
}

/* A client that moves to another snapshot has its workload there; a call under way keeps its own. */
static void moved(void)
{
	struct mt_caller_table *t = calloc(1, sizeof(*t));
	struct fake_conn *c, *s;
	uint64_t ids[2];

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	scene_start(1);
	lab.snap->callers = t;
	set_caller(t, 7, CALLER(7), 0);
	c = lab_client_from(CONFIG_SAFE, 7);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	ids[0] = scene_next_sent(s).id;
	set_caller(t, 7, CALLER(9), 0);
	lab.snap = config_make(1, 2, 1, true);
	lab.snap->callers = t;
	mt_proxy_adopt(lab.p, lab.snap);
	lab_advance(MT_MSEC);
	scene_send_request(c, 'Q', 2, 64);
	ids[1] = scene_next_sent(s).id;
	for (int i = 0; i < 2; i++)
		scene_answer(s, ids[i], 9, 40);
	expect_by(CALLER(7), config_workload(0, 0), 1, 1);
	expect_by(CALLER(9), config_workload(1, 0), 1, 1);
	scene_bye(c);
	scene_stop();
	config_free(1);
	free(t);
}

static void set_place(struct mt_caller_table *t, uint64_t key, uint64_t id)
{
	struct mt_caller_place *p = mt_caller_place(t, key, true);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	mt_caller_set(p, id, 0);
}

/*
 * A principal decides, and the address only among the workloads of its account. Calls with
 * a certificate of the mesh are counted apart from those of the same workload in clear text.
 */
static const struct {
	const char *principal;
	bool member, own; /* own: the workload at the address has the account ns/a/sa/b */
	uint64_t caller;
} identities[] = {
	{"spiffe://td/ns/a/sa/b", true, true, CALLER(7)},
	{"spiffe://td/ns/a/sa/b", true, false, CALLER(2)},
	{"spiffe://td/ns/a/sa/c", true, true, CALLER(3)},
	{"spiffe://td/ns/c/sa/b", true, true, MT_CALLER_NOBODY},
	{"spiffe://td/a/b", true, true, MT_CALLER_NOBODY},
	{"spiffe://td/ns/a/sa/", true, true, MT_CALLER_NOBODY},
	{"spiffe://td/ns/a/x/sa/b", true, true, MT_CALLER_NOBODY},
	{"spiffe://td/ns/a/sa/c", false, true, CALLER(7) | MT_CALLER_CLEAR},
	{"https://td/ns/a/sa/c", true, true, CALLER(7) | MT_CALLER_CLEAR},
};

static void by_identity(void)
{
	struct mt_caller_table *t = calloc(1, sizeof(*t));
	struct mt_tls_peer safe = {
		.principal = "spiffe://td/ns/a/sa/b", .certificate = true, .member = true};
	const uint64_t account = mt_caller_account("a", 1, "b", 1);
	struct fake_conn *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	scene_start(1);
	lab.snap->callers = t;
	c = lab_client_from(CONFIG_SAFE, 7);
	CU_ASSERT_EQUAL(mt_caller_of(lab.p, &c->s), 0);
	/* Only asked whether it is there. */
	lab.p->tls = (struct mt_tls_layer *)&lab;
	scene_shown = &safe;
	CU_ASSERT_EQUAL(mt_caller_of(lab.p, &c->s), MT_CALLER_NOBODY);
	scene_shown = NULL;
	set_place(t, account, CALLER(2) | MT_CALLER_CLEAR);
	set_place(t, mt_caller_namespace("a", 1), CALLER(3) | MT_CALLER_CLEAR);
	for (size_t i = 0; i < MT_ARRAY_LEN(identities); i++) {
		struct mt_tls_peer peer = {.certificate = true, .member = identities[i].member};

		snprintf(peer.principal, sizeof(peer.principal), "%s", identities[i].principal);
		set_caller(t, 7, CALLER(7) | MT_CALLER_CLEAR,
			identities[i].own ? account : account + 2);
		scene_shown = &peer;
		CU_ASSERT_EQUAL(mt_caller_of(lab.p, &c->s), identities[i].caller);
		scene_shown = NULL;
	}
	lab.p->tls = NULL;
	scene_bye(c);
	scene_stop();
	free(t);
}

const struct mt_test portion_tests[] = {{"found again", found_again}, {"by caller", by_caller},
	{"key of zero", key_of_zero}, {"too many", too_many}, {"taken over", taken_over},
	{"by endpoint", by_endpoint}, {"without a reply", without_reply},
	{"relabelled", relabelled}, {"of clients", of_clients}, {"moved", moved},
	{"by identity", by_identity}, {0}};
