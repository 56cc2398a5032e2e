/* SPDX-License-Identifier: Apache-2.0 */
/* The Node's `guests`. */
#include "source_test.h"

#include "mt_model_guest.h"

#define NODE   "apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: a}\nspec:\n"
#define GUESTS NODE "  guests:\n    networks: [{address: 10.9.0.1/24}]\n"

static void test_whole(void)
{
	struct loaded l = load_text(
		GUESTS "    default: deny\n    mac: '02:00:00:00:00:01'\n"
		       "    limits: {packets: 1000/s, bytes: 100000/s, newConnections: 20/s, "
		       "connections: 30, calls: 40/s}\n");
	const struct mt_node_guests *g = l.m->node ? l.m->node->guests : NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_STRING_EQUAL(first_diag(&l),
		"9: warning: spec.guests.limits: accepted, not enforced: guests have no limits "
		"yet");
	CU_ASSERT_EQUAL_FATAL(g->n_networks, 1);
	CU_ASSERT(g->networks[0].address.prefix == 24 && !g->networks[0].nat.v);
	CU_ASSERT_EQUAL(g->by_default.v, MT_GUEST_DEFAULT_DENY);
	CU_ASSERT_EQUAL(memcmp(g->mac, "\2\0\0\0\0\1", 6), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g->limits);
	CU_ASSERT(g->limits->packets.v == 1000 && g->limits->bytes.v == 100000);
	CU_ASSERT(g->limits->new_connections.v == 20 && g->limits->connections.v == 30);
	CU_ASSERT(g->limits->calls.v == 40);
	unload(&l);
}

static void test_bad(void)
{
	static const struct {
		const char *text, *expect;
	} rows[] = {
		{NODE "  guests: {}\n",
			"5: error: spec.guests: the setting of guests is missing its networks"},
		{NODE "  guests: {networks: []}\n",
			"5: error: spec.guests.networks: there is no network"},
		{NODE "  guests: {networks: [{nat: true}]}\n",
			"5: error: spec.guests.networks[0]: the guests' network is missing its "
			"address"},
		{NODE "  guests: {networks: [{address: 10.9.0.0/33}]}\n",
			"5: error: spec.guests.networks[0].address: \"10.9.0.0/33\" is not an"},
		{NODE "  guests: {networks: [{address: 10.9.0.1}]}\n",
			"5: error: spec.guests.networks[0].address: \"10.9.0.1\" has no addresses "
			"for guests"},
		{NODE "  guests: {networks: [{address: 10.9.0.1/31}]}\n",
			"5: error: spec.guests.networks[0].address: \"10.9.0.1/31\" has no"},
		{NODE "  guests: {networks: [{address: 'fd00::1/127'}]}\n",
			"5: error: spec.guests.networks[0].address: \"fd00::1/127\" has no"},
		{NODE "  guests: {networks: [{address: 10.9.0.1/24}, {address: 10.9.0.129/25}]}\n",
			"5: error: spec.guests.networks[1].address: 10.9.0.129/25 overlaps "
			"10.9.0.1/24 on line 5"},
		{NODE "  ports: [{name: p, device: d, addresses: [10.9.1.1/16]}]\n  guests: "
		      "{networks: [{address: 10.9.0.1/24}]}\n",
			"6: error: spec.guests.networks[0].address: 10.9.0.1/24 overlaps "
			"10.9.1.1/16 "
			"on line 5"},
		{GUESTS "    default: block\n", "7: error: spec.guests.default: \"block\""},
		{GUESTS "    mac: '03:00:00:00:00:01'\n",
			"7: error: spec.guests.mac: \"03:00:00:00:00:01\" is not the Ethernet"},
		{GUESTS "    limits: {}\n", "7: error: spec.guests.limits: it limits nothing"},
		{GUESTS "    limits: {packets: 1000}\n", "7: error: spec.guests.limits.packets: "
							 "\"1000\" is not such a rate (write a "
							 "whole number from 1 to"},
		{GUESTS "    limits: {bytes: 9999/s}\n", "7: error: spec.guests.limits.bytes: "
							 "\"9999/s\" is not such a rate (write a "
							 "whole number from 10000 to"},
		{GUESTS "    limits: {calls: 0/s}\n",
			"7: error: spec.guests.limits.calls: \"0/s\" is not such a rate"},
		{GUESTS "    limits: {newConnections: 4294967296/s}\n",
			"7: error: spec.guests.limits.newConnections: \"4294967296/s\" is not"},
		{GUESTS "    limits: {packets: 1/s, newConnections: 2/s}\n",
			"7: error: spec.guests.limits: newConnections=2/s has no effect"},
		{GUESTS "    identities: []\n", "7: error: spec.guests.identities: unknown field"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct loaded l = load_text(rows[i].text);
		bool same = strncmp(first_diag(&l), rows[i].expect, strlen(rows[i].expect)) == 0;

		CU_ASSERT(same);
		if (!same)
			fprintf(stderr, "row %zu: %s\n", i, first_diag(&l));
		unload(&l);
	}
}

/* Neighbouring networks, both families, and a port's network next to them. */
static void test_good(void)
{
	struct loaded l = load_text(NODE
		"  ports: [{name: p, device: d, addresses: [10.9.2.1/24, 'fd01::1/64']}]\n"
		"  guests: {networks: [{address: 10.9.0.1/24, nat: true}, {address: 10.9.1.1/24}, "
		"{address: 'fd00::1/64'}]}\n");

	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l.m->node);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l.m->node->guests);
	CU_ASSERT_EQUAL(l.m->node->guests->n_networks, 3);
	CU_ASSERT(l.m->node->guests->networks[0].nat.v);
	CU_ASSERT_PTR_NULL(l.m->node->guests->limits);
	unload(&l);
}

const struct mt_test node_guests_tests[] = {{"node_guests_whole", test_whole},
	{"node_guests_bad", test_bad}, {"node_guests_good", test_good}, {0}};
