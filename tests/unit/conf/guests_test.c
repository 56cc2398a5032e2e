/* SPDX-License-Identifier: Apache-2.0 */
/* Guests among WorkloadEntries: annotations, networks, and claims of several guests. */
#include "conf_test.h"

#include "mt_guests.h"

#include <errno.h>
#include <string.h>

#define MAC(n)	  "52:54:00:09:00:0" n
#define SOCKET(n) "/run/meltemi-guests/vm" n ".sock"
#define ENTRIES	  560

static struct mt_workload_entry entries[ENTRIES];
static struct mt_kv annotations[ENTRIES][5];
static const struct mt_workload_entry *list[ENTRIES];
static uint32_t n_entries;
static struct mt_region region;
static struct mt_guest_network networks[2];
static struct mt_guest_limits node_limits = {.packets = {1000, 7, true}};
static struct mt_node_guests guests;
static struct mt_guest_rules rules;
static struct mt_guests_found found;

static void start(void)
{
	static const char *const texts[] = {"10.9.0.1/24", "fd00::1/64"};

	mt_region_fini(&region);
	mt_region_init(&region, 0);
	memset(entries, 0, sizeof(entries));
	memset(annotations, 0, sizeof(annotations));
	n_entries = 0;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(networks); i++)
		CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(texts[i], &networks[i].address.addr,
					      &networks[i].address.prefix),
			0);
	guests = (struct mt_node_guests){
		.networks = networks,
		.n_networks = 2,
		.limits = &node_limits,
		.mac_text = {"02:00:00:00:00:01", 5},
		.mac = {2, 0, 0, 0, 0, 1},
	};
	rules = (struct mt_guest_rules){
		.node = "host-1", .guests = &guests, .directory = "/run/meltemi-guests"};
}

static void annotate(const char *key, const char *value)
{
	struct mt_labels *l = &entries[n_entries - 1].meta.annotations;

	l->kv[l->n_kv] = (struct mt_kv){key, value, {"guests.yaml", 20 + l->n_kv}};
	l->n_kv++;
}

/* Adds an entry; socket, mac NULL: without the annotation. */
static void add(const char *name, const char *address, const char *socket, const char *mac)
{
	struct mt_workload_entry *e = &entries[n_entries];

	e->meta = (struct mt_meta){.name = name, .ns = "shop", .origin = {"guests.yaml", 10}};
	e->meta.annotations.kv = annotations[n_entries];
	e->w.address_text = (struct mt_text){address, 12};
	if (mt_addr_parse(address, &e->w.address))
		e->w.address = (struct mt_addr){0};
	list[n_entries++] = e;
	if (socket)
		annotate(MT_GUEST_KEY_SOCKET, socket);
	if (mac)
		annotate(MT_GUEST_KEY_MAC, mac);
}

static void find(uint32_t n, uint32_t n_refused)
{
	CU_ASSERT_EQUAL_FATAL(mt_guests_find(&region, &rules, list, n_entries, &found), 0);
	CU_ASSERT_EQUAL_FATAL(found.n, n);
	CU_ASSERT_EQUAL(found.n_refused, n_refused);
}

/* The i-th guest is refused with this message, or (NULL) is not. */
static void refused(uint32_t i, const char *message)
{
	const char *is = found.v[i].refused;

	if ((is == NULL) != (message == NULL) || (is && strcmp(is, message) != 0))
		fprintf(stderr, "guest %u: %s\n", i, is ? is : "is not refused");
	CU_ASSERT((is == NULL) == (message == NULL));
	CU_ASSERT(!is || strcmp(is, message) == 0);
	CU_ASSERT(!is || (found.v[i].remedy && found.v[i].path && found.v[i].line));
}

static void test_guest(void)
{
	const struct mt_guest_of *g;

	start();
	add("endpoint", "10.9.0.5", NULL, MAC("5"));
	add("vm1", "10.9.0.11", SOCKET("1"), MAC("b"));
	annotate(MT_GUEST_KEY_ADDRESSES, "10.9.0.12, fd00::b");
	annotate(MT_GUEST_KEY_LIMITS, "bytes=1000000/s, connections=50");
	annotate(MT_GUEST_KEY_NODE, "host-1");
	add("vm2", "fd00::c", SOCKET("2"), MAC("C"));
	add("elsewhere", "10.9.0.11", SOCKET("1"), MAC("b"));
	annotate(MT_GUEST_KEY_NODE, "host-2");
	find(2, 0);
	g = &found.v[0];
	refused(0, NULL);
	CU_ASSERT_PTR_EQUAL(g->entry, &entries[1]);
	CU_ASSERT_STRING_EQUAL(g->socket, SOCKET("1"));
	CU_ASSERT_EQUAL(memcmp(g->mac, "\x52\x54\0\x09\0\x0b", 6), 0);
	CU_ASSERT_EQUAL_FATAL(g->n_addresses, 3);
	CU_ASSERT(mt_addr_eq(&g->addresses[0], &entries[1].w.address));
	CU_ASSERT_EQUAL(g->addresses[1].b[15], 12);
	CU_ASSERT_EQUAL(g->addresses[2].b[15], 11);
	CU_ASSERT(g->limits.bytes.v == 1000000 && g->limits.connections.v == 50);
	CU_ASSERT(!g->limits.packets.set);
	refused(1, NULL);
	CU_ASSERT_EQUAL(found.v[1].limits.packets.v, 1000);
	CU_ASSERT_EQUAL(found.v[1].mac[5], 0x0c);
}

static void test_annotations(void)
{
	static const char *const bad_path =
		MT_GUEST_KEY_SOCKET ": the value is not the path of a socket";
	static const char *const bad_list =
		MT_GUEST_KEY_ADDRESSES ": the value is not a list of addresses";
	static const char *const bad_mac =
		MT_GUEST_KEY_MAC ": the value is not the Ethernet address of a station";
	static const struct {
		const char *address, *socket, *mac, *key, *value, *message;
	} rows[] = {
		{"10.9.0.11", "", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "vm1.sock", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "/run/meltemi-guests//vm1", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "/run/meltemi-guests/../vm1", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "/run/meltemi-guests/./vm1", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "/run/meltemi-guests/", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "/run/meltemi-guests/a\n", MAC("b"), 0, 0, bad_path},
		{"10.9.0.11", "/run/meltemi-guests/...", MAC("b"), 0, 0, NULL},
		{"10.9.0.11", "/run/docker.sock", MAC("b"), 0, 0,
			MT_GUEST_KEY_SOCKET ": the socket is not in /run/meltemi-guests"},
		{"10.9.0.11", "/run/meltemi-guests/a/b", MAC("b"), 0, 0,
			MT_GUEST_KEY_SOCKET ": the socket is not in /run/meltemi-guests"},
		{"10.9.0.11", "/run/meltemi-guests-2", MAC("b"), 0, 0,
			MT_GUEST_KEY_SOCKET ": the socket is not in /run/meltemi-guests"},
		{"10.9.0.11", SOCKET("1"), NULL, 0, 0, "it has no meltemi.io/mac"},
		{"10.9.0.11", SOCKET("1"), "52:54:00:09:00", 0, 0, bad_mac},
		{"10.9.0.11", SOCKET("1"), "01:00:5e:00:00:01", 0, 0, bad_mac},
		{"10.9.0.11", SOCKET("1"), "02:00:00:00:00:01", 0, 0,
			MT_GUEST_KEY_MAC ": the address is the node's own on guests' ports"},
		{"vm1.test", SOCKET("1"), MAC("b"), 0, 0, "a guest needs an address"},
		{"10.8.0.11", SOCKET("1"), MAC("b"), 0, 0,
			"10.8.0.11 is in none of the Node's spec.guests.networks"},
		{"10.9.0.1", SOCKET("1"), MAC("b"), 0, 0,
			"10.9.0.1 is the node's own address in the network"},
		{"10.9.0.0", SOCKET("1"), MAC("b"), 0, 0, "10.9.0.0 is the network itself"},
		{"10.9.0.255", SOCKET("1"), MAC("b"), 0, 0,
			"10.9.0.255 is the network's broadcast address"},
		{"fd00::", SOCKET("1"), MAC("b"), 0, 0, "fd00:: is the network itself"},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES, "", bad_list},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES, "10.9.0.12,",
			bad_list},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES, "10.9.0.12/24",
			bad_list},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES, "10.9.0.11",
			"10.9.0.11 is written twice"},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES, "10.9.1.1",
			"10.9.1.1 is in none of the Node's spec.guests.networks"},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES,
			"10.9.0.2,10.9.0.3,10.9.0.4,10.9.0.5,10.9.0.6,10.9.0.7,10.9.0.8", NULL},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_ADDRESSES,
			"10.9.0.2,10.9.0.3,10.9.0.4,10.9.0.5,10.9.0.6,10.9.0.7,10.9.0.8,10.9.0.9",
			"it has more than 8 addresses"},
		{"10.9.0.11", SOCKET("1"), MAC("b"), MT_GUEST_KEY_LIMITS, "calls=0/s",
			MT_GUEST_KEY_LIMITS
			": column 7: \"calls=0/s\" is not a rate from 1 to 4294967295 with /s"},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		start();
		add("vm1", rows[i].address, rows[i].socket, rows[i].mac);
		if (rows[i].key)
			annotate(rows[i].key, rows[i].value);
		find(1, rows[i].message != NULL);
		refused(0, rows[i].message);
	}
}

static void test_long_path(void)
{
	char path[110];

	for (uint32_t len = 107; len <= 108; len++) {
		start();
		rules.directory = NULL;
		memset(path, 'a', sizeof(path));
		path[0] = '/';
		path[len] = '\0';
		add("vm1", "10.9.0.11", path, MAC("b"));
		find(1, len == 108);
		refused(0, len == 107 ? NULL
				      : MT_GUEST_KEY_SOCKET ": the path has more than 107 bytes");
	}
}

/* The first of two has what both claim; a refused one claims nothing. */
static void test_claims(void)
{
	start();
	add("first", "10.9.0.11", SOCKET("1"), MAC("b"));
	annotate(MT_GUEST_KEY_ADDRESSES, "10.9.0.21");
	add("address", "10.9.0.11", SOCKET("2"), MAC("c"));
	add("more", "10.9.0.13", SOCKET("3"), MAC("d"));
	annotate(MT_GUEST_KEY_ADDRESSES, "10.9.0.22,10.9.0.21");
	add("mac", "10.9.0.14", SOCKET("4"), "52:54:00:09:00:0B");
	add("socket", "10.9.0.15", SOCKET("1"), MAC("f"));
	add("swapped", "10.9.0.21", SOCKET("6"), MAC("6"));
	/* with claims of refused guests */
	add("free", "10.9.0.13", SOCKET("2"), MAC("c"));
	annotate(MT_GUEST_KEY_ADDRESSES, "10.9.0.22");
	find(7, 5);
	refused(0, NULL);
	refused(1, "WorkloadEntry shop/first already has address 10.9.0.11");
	refused(2, "WorkloadEntry shop/first already has address 10.9.0.21");
	CU_ASSERT(found.v[1].line == 12 && found.v[2].line == 22);
	refused(3, "WorkloadEntry shop/first already has Ethernet address 52:54:00:09:00:0b");
	refused(4, "WorkloadEntry shop/first already has socket " SOCKET("1"));
	refused(5, "WorkloadEntry shop/first already has address 10.9.0.21");
	refused(6, NULL);
}

static const char *claimed; /* the entry with this name has a worse standing for `worse` */
static const char *worse;

static unsigned int standing(void *arg, const struct mt_workload_entry *e, const char *claim)
{
	CU_ASSERT_PTR_EQUAL(arg, &found);
	return strcmp(e->meta.name, claimed) == 0 && strcmp(claim, worse) == 0;
}

/* The worst standing of an entry decides, then the order; results stay in the order. */
static void test_standing(void)
{
	static const char *const claims[] = {"socket " SOCKET("1"), "Ethernet address " MAC("b"),
		"address 10.9.0.11", "address fd00::b"};

	for (size_t i = 0; i < MT_ARRAY_LEN(claims); i++) {
		start();
		rules.standing = standing;
		rules.arg = &found;
		claimed = "first";
		worse = claims[i];
		add("first", "10.9.0.11", SOCKET("1"), MAC("b"));
		annotate(MT_GUEST_KEY_ADDRESSES, "fd00::b");
		add("second", "10.9.0.12", SOCKET("1"), MAC("c"));
		find(2, 1);
		refused(0, "WorkloadEntry shop/second already has socket " SOCKET("1"));
		refused(1, NULL);
		CU_ASSERT(found.v[0].lost && !found.v[1].lost);
		claimed = "neither";
		find(2, 1);
		refused(0, NULL);
		refused(1, "WorkloadEntry shop/first already has socket " SOCKET("1"));
	}
}

static bool is_of_shop(void *arg, const struct mt_workload_entry *e)
{
	(void)arg;
	return strcmp(e->meta.ns, "shop") == 0;
}

static void test_many(void)
{
	static char names[ENTRIES][16], sockets[ENTRIES][40], macs[ENTRIES][20],
		addresses[ENTRIES][20];

	start();
	for (uint32_t i = 0; i < ENTRIES; i++) {
		snprintf(names[i], sizeof(names[i]), "vm%u", i);
		snprintf(sockets[i], sizeof(sockets[i]), "/run/meltemi-guests/%u", i);
		snprintf(macs[i], sizeof(macs[i]), "52:54:00:00:%02x:%02x", i >> 8, i & 255);
		snprintf(addresses[i], sizeof(addresses[i]), "fd00::%x", i + 16);
		add(names[i], addresses[i], sockets[i], macs[i]);
	}
	find(ENTRIES, ENTRIES - MT_GUESTS_MAX);
	refused(MT_GUESTS_MAX - 1, NULL);
	refused(MT_GUESTS_MAX, "the node has 512 guests already");
	CU_ASSERT_STRING_EQUAL(found.v[77].entry->meta.name, "vm77");
	/* A limited source has some of them in each of its namespaces; other sources have the rest. */
	rules.is_limited = is_of_shop;
	find(ENTRIES, ENTRIES - MT_GUESTS_OF_NAMESPACE);
	refused(MT_GUESTS_OF_NAMESPACE - 1, NULL);
	refused(MT_GUESTS_OF_NAMESPACE, "namespace shop has 128 guests already");
	for (uint32_t i = 0; i < 200; i++)
		entries[ENTRIES - 1 - i].meta.ns = "bank";
	find(ENTRIES, ENTRIES - 200 - MT_GUESTS_OF_NAMESPACE);
	refused(ENTRIES - 201, "namespace shop has 128 guests already");
	refused(ENTRIES - 200, NULL);
	/* Without memory. */
	mt_region_fini(&region);
	mt_region_init(&region, 4096);
	CU_ASSERT_EQUAL(mt_guests_find(&region, &rules, list, n_entries, &found), -ENOMEM);
	mt_region_fini(&region);
}

const struct mt_test guests_tests[] = {
	{"guests_guest", test_guest},
	{"guests_annotations", test_annotations},
	{"guests_long_path", test_long_path},
	{"guests_claims", test_claims},
	{"guests_standing", test_standing},
	{"guests_many", test_many},
	{0},
};
