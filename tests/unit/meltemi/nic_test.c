/* SPDX-License-Identifier: Apache-2.0 */
/* Network cards of made-up hosts: what list and show report, also of trees with garbage. */
#include "suites.h"

#include "nic_tree.h"

#include "mt_file.h"

#include <dirent.h>
#include <glob.h>
#include <unistd.h>

#define ICE  "8086:1592"
#define MLX5 "15b3:101d"
#define A    "0000:3b:00.0"
#define B    "0000:3b:00.1"

/* True if one of the uses is of this kind and has these words. */
static bool used(const struct nic_card *c, enum nic_use_kind kind, const char *words)
{
	for (uint32_t i = 0; i < c->n_uses; i++)
		if (c->uses[i].kind == kind && strcmp(c->uses[i].words, words) == 0)
			return true;
	return false;
}

/* True if a next step contains these words. */
static bool next_has(const struct nic *n, const struct nic_card *c, const char *words)
{
	json_t *list = nic_next(n, c), *row;
	bool any = false;
	size_t i;

	json_array_foreach(list, i, row) any |= strstr(json_string_value(row), words) != NULL;
	json_decref(list);
	return any;
}

static bool misses(const struct nic_card *c, const char *remedy)
{
	for (uint32_t i = 0; i < c->n_missing; i++)
		if (strcmp(c->missing[i].remedy, remedy) == 0)
			return true;
	return false;
}

static void test_ice(void)
{
	struct nic *n = tree_new();
	const struct nic_card *c;

	tree_card(n, A, ICE, "ice", 12);
	tree_interface(n, A, NULL, "ens1");
	tree_file(n, "1\n", "sys/bus/pci/devices/%s/numa_node", A);
	tree_file(n, "8-15\n", "sys/devices/system/node/node1/cpulist");
	tree_file(n, "# c\n8086  Intel Corporation\n\t1592  E810-C\n\t\t8086 0001  Sub\n15b3  M\n",
		"usr/share/misc/pci.ids");
	tree_file(n, "", "usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_ice.so.23");
	tree_file(n, "", "lib/firmware/intel/ice/ddp/ice-1.3.30.0.pkg");
	tree_directory(n, "sys/bus/pci/drivers/vfio-pci");
	tree_file(n, "0x010802\n", "sys/bus/pci/devices/0000:04:00.0/class");
	nic_scan(n);
	CU_ASSERT_EQUAL_FATAL(n->n_cards, 1);
	c = &n->cards[0];
	CU_ASSERT_STRING_EQUAL(c->address, A);
	CU_ASSERT_EQUAL(c->vendor, 0x8086);
	CU_ASSERT_EQUAL(c->device, 0x1592);
	CU_ASSERT_STRING_EQUAL(c->name, "Intel Corporation E810-C");
	CU_ASSERT_STRING_EQUAL(c->driver, "ice");
	CU_ASSERT_STRING_EQUAL(c->override, "");
	CU_ASSERT_STRING_EQUAL(c->interface, "ens1");
	CU_ASSERT_STRING_EQUAL(c->link, "up");
	CU_ASSERT_EQUAL(c->mbps, 25000);
	CU_ASSERT_EQUAL(c->mtu, 1500);
	CU_ASSERT_EQUAL(c->queues, 4);
	CU_ASSERT_EQUAL(c->node, 1);
	CU_ASSERT_STRING_EQUAL(c->cores, "8-15");
	CU_ASSERT_EQUAL(c->group, 12);
	CU_ASSERT_EQUAL(c->n_shares, 0);
	CU_ASSERT_EQUAL(c->n_uses, 0);
	CU_ASSERT_EQUAL(c->n_missing, 0);
	CU_ASSERT_STRING_EQUAL_FATAL(c->profile->name, "ice");
	CU_ASSERT_FALSE(nic_is_bifurcated(c));
	CU_ASSERT(next_has(n, c, "nic bind " A));
	CU_ASSERT_FALSE(next_has(n, c, "modprobe"));
	CU_ASSERT_PTR_EQUAL(nic_find(n, "3b:00.0"), c);
	CU_ASSERT_PTR_EQUAL(nic_find(n, "ens1"), c);
	CU_ASSERT_PTR_NULL(nic_find(n, "ens2"));
	tree_free(n);
}

static void test_missing(void)
{
	struct nic *n = tree_new();

	tree_card(n, A, ICE, "ice", -1);
	tree_card(n, B, MLX5, "mlx5_core", -1);
	nic_scan(n);
	/* DPDK's directory of drivers is unknown, so that nothing is reported about them. */
	CU_ASSERT_FALSE(misses(&n->cards[0], "apt install librte-net-ice23"));
	CU_ASSERT(misses(&n->cards[0], "apt install firmware-misc-nonfree"));
	tree_file(n, "", "usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_virtio.so.23");
	nic_scan(n);
	CU_ASSERT(misses(&n->cards[0], "apt install librte-net-ice23"));
	CU_ASSERT(next_has(n, &n->cards[0], "intel_iommu=on"));
	CU_ASSERT(next_has(n, &n->cards[0], "modprobe vfio-pci"));
	CU_ASSERT(misses(&n->cards[1], "apt install librte-net-mlx5-23"));
	CU_ASSERT(misses(&n->cards[1], "apt install ibverbs-providers"));
	CU_ASSERT(misses(&n->cards[1], "apt install rdma-core"));
	CU_ASSERT(nic_is_bifurcated(&n->cards[1]));
	CU_ASSERT_FALSE(next_has(n, &n->cards[1], "vfio"));
	CU_ASSERT_FALSE(next_has(n, &n->cards[1], "iommu"));
	tree_free(n);
}

static void test_virtio(void)
{
	struct nic *n = tree_new();

	tree_card(n, A, "1af4:1041", "virtio-pci", -1);
	tree_interface(n, A, "virtio3", "eth0");
	tree_card(n, B, "8086:1889", "iavf", -1);
	tree_link(n, "../0000:3b:00.0", "sys/bus/pci/devices/%s/physfn", B);
	nic_scan(n);
	CU_ASSERT_EQUAL_FATAL(n->n_cards, 2);
	CU_ASSERT_STRING_EQUAL(n->cards[0].interface, "eth0");
	CU_ASSERT_EQUAL(n->cards[0].queues, 4);
	CU_ASSERT_STRING_EQUAL(n->cards[0].profile->name, "virtio");
	/* An unset variable of a script is not the card without an interface. */
	CU_ASSERT_PTR_NULL(nic_find(n, ""));
	/* No profile describes the driver of Intel's virtual functions. */
	CU_ASSERT_STRING_EQUAL(n->cards[1].physical, A);
	CU_ASSERT_PTR_NULL(n->cards[1].profile);
	CU_ASSERT_EQUAL(n->cards[1].queues, -1);
	CU_ASSERT(next_has(n, &n->cards[1], "no device profile"));
	tree_free(n);
}

/* A bond on the card, a VLAN on the bond; routes, addresses and connections are theirs. */
static void test_uses(void)
{
	struct nic *n = tree_new();
	const struct nic_card *c = &n->cards[0];

	tree_card(n, A, ICE, "ice", 1);
	tree_interface(n, A, NULL, "ens1");
	tree_link(n, "../bond0", "sys/class/net/ens1/master");
	tree_link(n, "../bond0", "sys/class/net/ens1/upper_bond0");
	tree_link(n, "../bond0.5", "sys/class/net/bond0/upper_bond0.5");
	tree_link(n, "../ens1", "sys/class/net/bond0.5/upper_ens1");
	tree_card(n, B, ICE, "ice", 2);
	tree_interface(n, B, NULL, "ens2");
	tree_address(n, "bond0.5", "198.51.100.7/24");
	tree_address(n, "ens1", "fe80::1/64");
	tree_address(n, "ens2", "2001:db8::7/64");
	tree_address(n, "lo", "127.0.0.1/8");
	tree_file(n,
		"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
		"bond0.5\t00000000\t016433C6\t0003\t0\t0\t0\t00000000\n"
		"ens2\t0064A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
		"ens2\t00000000\t00000000\t0200\t0\t0\t0\t00000000\n",
		"proc/net/route");
	tree_file(n,
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		"20010db8000000000000000000000001 00000400 00000001 00000000 00000003     ens2\n",
		"proc/net/ipv6_route");
	tree_file(n,
		"  sl  local_address rem_address   st\n"
		"   0: 076433C6:0016 0A6433C6:D431 01\n"
		"   1: 076433C6:1F90 0A6433C6:D432 01\n"
		"   2: 076433C6:1F90 00000000:0000 0A\n"
		"   3: 0100007F:0016 0100007F:D433 01\n",
		"proc/net/tcp");
	tree_file(n,
		"  sl  local_address rem_address   st\n"
		"   0: B80D0120000000000000000007000000:0016 00000000000000000000000000000000:0001 "
		"01\n",
		"proc/net/tcp6");
	n->in_session = mt_addr_parse("198.51.100.7", &n->session) == 0;
	nic_scan(n);
	CU_ASSERT_EQUAL(c[0].n_uses, 5);
	CU_ASSERT(used(&c[0], NIC_USE_ROUTE, "default route of IPv4 by bond0.5"));
	CU_ASSERT(used(&c[0], NIC_USE_SESSION, "this SSH session"));
	CU_ASSERT(used(&c[0], NIC_USE_MEMBER, "member of bond0"));
	CU_ASSERT(used(&c[0], NIC_USE_ADDRESS, "address 198.51.100.7/24 of bond0.5"));
	CU_ASSERT(used(&c[0], NIC_USE_TCP, "2 TCP connections, 1 to port 22"));
	CU_ASSERT(next_has(n, &c[0], "move addresses"));
	CU_ASSERT_EQUAL(c[1].n_uses, 3);
	CU_ASSERT(used(&c[1], NIC_USE_ROUTE, "default route of IPv6"));
	CU_ASSERT(used(&c[1], NIC_USE_ADDRESS, "address 2001:db8::7/64"));
	CU_ASSERT(used(&c[1], NIC_USE_TCP, "1 TCP connection, 1 to port 22"));
	tree_free(n);
}

/* What the lists have no place for refuses a bind, as one of it may be in use. */
static void test_many(void)
{
	struct nic *n = tree_new();
	const struct nic_card *c = &n->cards[0];

	tree_card(n, A, ICE, "ice", 1);
	tree_interface(n, A, NULL, "ens1");
	for (int i = 0; i < 300; i++)
		tree_link(n, "../v", "sys/class/net/ens1/upper_v%d", i);
	nic_scan(n);
	CU_ASSERT(used(c, NIC_USE_MEMBER, "more than 255 interfaces on top of it"));
	while (n->n_addresses < NIC_ADDRESSES)
		tree_address(n, "lo", "127.0.0.1/8");
	nic_scan(n);
	CU_ASSERT(used(c, NIC_USE_ADDRESS, "perhaps one of the host's more than 4095 addresses"));
	tree_free(n);
}

static void test_session(void)
{
	struct nic *n = tree_new();
	char stat[128];

	/* The parent is sudo, without the variable; above it is the operator's shell. */
	unsetenv("SSH_CONNECTION");
	snprintf(stat, sizeof(stat), "%d (su) do) S 4711 1 1\n", getppid());
	tree_file(n, stat, "proc/%d/stat", getppid());
	tree_file(n, "A=b", "proc/%d/environ", getppid());
	tree_file(n, "SSH_CONNECTION=192.0.2.9 50000 2001:db8::7 22", "proc/4711/environ");
	nic_session(n);
	CU_ASSERT(n->in_session);
	setenv("SSH_CONNECTION", "192.0.2.9 50000 192.0.2.1 22", 1);
	nic_session(n);
	CU_ASSERT(n->in_session && mt_addr_is4(&n->session));
	setenv("SSH_CONNECTION", "fe80::9%ens1 50000 fe80::1%ens1 22", 1);
	nic_session(n);
	CU_ASSERT(n->in_session && n->session.b[15] == 1);
	setenv("SSH_CONNECTION", "garbage", 1);
	tree_file(n, "", "proc/4711/environ");
	tree_file(n, "7 (loop) S 4711 1\n", "proc/4711/stat");
	nic_session(n);
	CU_ASSERT_FALSE(n->in_session);
	unsetenv("SSH_CONNECTION");
	tree_free(n);
}

static void test_dpdk(void)
{
	struct nic *n = tree_new();

	tree_card(n, A, ICE, "vfio-pci", 7);
	tree_link(n, "/dev/vfio/17", "proc/300/fd/9");
	nic_scan(n);
	CU_ASSERT_EQUAL(n->cards[0].n_uses, 0);
	tree_link(n, "/dev/vfio/7", "proc/321/fd/9");
	tree_file(n, "dpdk-\033testpmd\n", "proc/321/comm");
	n->host.n_ports = 1;
	strcpy(n->host.ports[0].name, "uplink");
	strcpy(n->host.ports[0].device, A);
	n->host.n_cores = 2;
	n->host.cores[1] = 9;
	tree_file(n, "1\n", "sys/bus/pci/devices/%s/numa_node", A);
	tree_file(n, "8-15\n", "sys/devices/system/node/node1/cpulist");
	nic_scan(n);
	CU_ASSERT(used(&n->cards[0], NIC_USE_DPDK, "open in process 321 (dpdk-\\x1btestpmd)"));
	CU_ASSERT(used(&n->cards[0], NIC_USE_MELTEMID, "port uplink of meltemid"));
	CU_ASSERT(next_has(n, &n->cards[0], "cores of NUMA node 1: 8-15"));
	tree_free(n);
}

/* Bridges and devices without a driver do not keep a group from user space. */
static void test_group(void)
{
	struct nic *n = tree_new();

	tree_card(n, A, ICE, "ice", 3);
	tree_card(n, B, ICE, "ice", 3);
	tree_card(n, "0000:00:01.0", ICE, "pcieport", 3);
	tree_file(n, "0x060400\n", "sys/bus/pci/devices/0000:00:01.0/class");
	tree_card(n, "0000:3b:00.2", ICE, NULL, 3);
	tree_card(n, "0000:3b:00.3", ICE, "vfio-pci", 3);
	nic_scan(n);
	CU_ASSERT_EQUAL_FATAL(n->cards[0].n_shares, 1);
	CU_ASSERT_STRING_EQUAL(n->cards[0].shares[0], B " (ice)");
	CU_ASSERT(next_has(n, &n->cards[0], "IOMMU group 3"));
	tree_free(n);
}

static void test_hostile(void)
{
	static const char *const not_cards[] = {"0000:3b:00", "0000:3b:00.0x", "..0:3b:00.0",
		"0000:3b:0g.0", "000000000:3b:00.0", "\033[2J", "000:3b:00.0"};
	struct nic *n = tree_new();
	char line[4096];
	const struct nic_card *c;

	for (size_t i = 0; i < MT_ARRAY_LEN(not_cards); i++) {
		CU_ASSERT_FALSE(nic_is_address(not_cards[i]));
		tree_file(n, "0x020000\n", "sys/bus/pci/devices/%s/class", not_cards[i]);
	}
	CU_ASSERT(nic_is_address("10000:01:00.0"));
	tree_card(n, A, "zzzz:ffff", NULL, -1);
	tree_link(n, "x/\033[31mice\n", "sys/bus/pci/devices/%s/driver", A);
	tree_link(n, "x/99999999999", "sys/bus/pci/devices/%s/iommu_group", A);
	tree_file(n, "99999999999999999999\n", "sys/bus/pci/devices/%s/numa_node", A);
	tree_interface(n, A, NULL, "bad\033name");
	tree_interface(n, A, NULL, "ens1");
	tree_file(n, "99999999999999999999", "sys/bus/pci/devices/%s/net/ens1/speed", A);
	tree_file(n, "-1", "sys/bus/pci/devices/%s/net/ens1/mtu", A);
	tree_file(n, "\033]0;x\a", "sys/bus/pci/devices/%s/net/ens1/operstate", A);
	tree_directory(n, "sys/bus/pci/devices/%s/driver_override/x", B);
	tree_file(n, "0x02000000000000\n", "sys/bus/pci/devices/%s/class", B);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line, "8086  ", 6);
	tree_file(n, line, "usr/share/misc/pci.ids");
	tree_file(n, line, "proc/net/route");
	tree_file(n, line, "proc/net/tcp");
	nic_scan(n);
	CU_ASSERT_EQUAL_FATAL(n->n_cards, 1);
	c = &n->cards[0];
	CU_ASSERT_STRING_EQUAL(c->driver, "\\x1b[31mice\\n");
	CU_ASSERT_STRING_EQUAL(c->interface, "ens1");
	CU_ASSERT_STRING_EQUAL(c->link, "down");
	CU_ASSERT_EQUAL(c->vendor, 0);
	CU_ASSERT_EQUAL(c->device, 0xffff);
	CU_ASSERT_EQUAL(c->mbps, -1);
	CU_ASSERT_EQUAL(c->mtu, -1);
	CU_ASSERT_EQUAL(c->node, -1);
	CU_ASSERT_EQUAL(c->group, -1);
	CU_ASSERT_PTR_NULL(c->profile);
	tree_free(n);
}

/* ---- DPDK's drivers -------------------------------------------------------------------------- */

/* Checks the numbers of one driver. Returns how many of them have the profile. */
static uint32_t check_numbers(const json_t *driver, const char *profile)
{
	uint32_t n = 0;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(driver, "pci_ids"), i, row)
	{
		uint32_t vendor = (uint32_t)json_integer_value(json_array_get(row, 0));
		uint32_t device = (uint32_t)json_integer_value(json_array_get(row, 1));
		const struct nic_profile *p = nic_profile_of(vendor, device);

		n += p && strcmp(p->name, profile) == 0;
	}
	return n;
}

/* The JSON objects in a driver's library that dpdk-pmdinfo.py prints. */
static void check_library(const char *library, const char *name, const char *profile)
{
	static const char mark[] = "PMD_INFO_STRING= ";
	char pattern[160], *text = NULL, *at;
	bool found = false;
	struct mt_err e;
	glob_t g;
	size_t len = 0;

	snprintf(pattern, sizeof(pattern), "/usr/lib/*/dpdk/pmds-*/librte_net_%s.so", library);
	CU_ASSERT_EQUAL_FATAL(glob(pattern, 0, NULL, &g), 0);
	CU_ASSERT_EQUAL_FATAL(mt_file_read(g.gl_pathv[0], 64u << 20, 0, &text, &len, &e), 0);
	for (char *p = text; (at = memmem(p, len - (size_t)(p - text), mark, sizeof(mark) - 1));
		p = at + 1) {
		json_t *o = json_loads(at + sizeof(mark) - 1, 0, NULL);
		const char *driver = json_string_value(json_object_get(o, "name"));
		size_t all = json_array_size(json_object_get(o, "pci_ids"));

		if (driver && strcmp(driver, name) == 0) {
			found = all > 0;
			CU_ASSERT_EQUAL(check_numbers(o, profile), all);
		} else {
			CU_ASSERT_EQUAL(check_numbers(o, profile), 0);
		}
		json_decref(o);
	}
	CU_ASSERT(found);
	free(text);
	globfree(&g);
}

/* The profile fits exactly the devices that the installed driver of DPDK accepts. */
static void test_numbers(void)
{
	check_library("ena", "net_ena", "ena");
	check_library("gve", "net_gve", "gve");
	check_library("i40e", "net_i40e", "i40e");
	check_library("ice", "net_ice", "ice");
	check_library("ixgbe", "net_ixgbe", "ixgbe");
	check_library("mlx5", "mlx5_eth", "mlx5");
	check_library("virtio", "net_virtio", "virtio");
	check_library("vmxnet3", "net_vmxnet3", "vmxnet3");
	CU_ASSERT_PTR_NULL(nic_profile_of(0x8086, 0x1889));
	CU_ASSERT_PTR_NULL(nic_profile_of(0x15b3, 0x1003));
}

const struct mt_test nic_tests[] = {{"ice", test_ice}, {"missing", test_missing},
	{"virtio", test_virtio}, {"uses", test_uses}, {"many", test_many},
	{"session", test_session}, {"dpdk", test_dpdk}, {"group", test_group},
	{"hostile", test_hostile}, {"numbers", test_numbers}, {0}};
