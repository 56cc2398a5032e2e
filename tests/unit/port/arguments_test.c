/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_priv.h"
#include "suites.h"

#include <ifaddrs.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void device_strings(void)
{
	static const struct {
		const char *device, *driver;
		bool pci;
	} rows[] = {
		{"net_af_packet0,iface=eth0", "net_af_packet", false},
		{"net_tap12", "net_tap", false},
		{"net_ring", "net_ring", false},
		{"0000:3b:00.0", "", true},
		{"3b:00.1,mprq_en=0", "", true},
		{"3b:00.x", "3b:00.x", false},
	};
	char driver[64];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		mt_devargs_driver(rows[i].device, driver, sizeof(driver));
		CU_ASSERT_STRING_EQUAL(driver, rows[i].driver);
		CU_ASSERT_EQUAL(mt_port_is_pci(rows[i].device), rows[i].pci);
	}
}

static void values(void)
{
	char v[8];

	CU_ASSERT_TRUE(mt_devargs_value("net_x0,a=1,iface=e0", "iface", v, sizeof(v)));
	CU_ASSERT_STRING_EQUAL(v, "e0");
	CU_ASSERT_TRUE(mt_devargs_value("net_x0,a=1,iface=e0", "a", v, sizeof(v)));
	CU_ASSERT_STRING_EQUAL(v, "1");
	CU_ASSERT_FALSE(mt_devargs_value("net_x0,iface2=e0", "iface", v, sizeof(v)));
	CU_ASSERT_FALSE(mt_devargs_value("net_x0", "iface", v, sizeof(v)));
	CU_ASSERT_FALSE(mt_devargs_value("net_x0,iface=12345678", "iface", v, sizeof(v)));
	CU_ASSERT_TRUE(mt_devargs_value("net_x0,iface=", "iface", v, sizeof(v)));
	CU_ASSERT_STRING_EQUAL(v, "");
}

static void profile_arguments_are_added(void)
{
	struct mt_profile p;
	struct mt_err e;
	char out[256];

	CU_ASSERT_EQUAL_FATAL(mt_profile_read(PMD_CONFIG "/af_packet.yaml", &p, &e), 0);
	CU_ASSERT_EQUAL(
		mt_devargs_make("net_af_packet0,iface=e0", &p, 2, 1500, out, sizeof(out), &e), 0);
	CU_ASSERT_STRING_EQUAL(out, "net_af_packet0,iface=e0,qpairs=2,blocksz=4096,framesz=2048,"
				    "framecnt=2048,qdisc_bypass=1");
	/* Rings of 4 MB, but 512 frames at least. */
	CU_ASSERT_EQUAL(
		mt_devargs_make("net_af_packet0,iface=e0", &p, 1, 9000, out, sizeof(out), &e), 0);
	CU_ASSERT_STRING_EQUAL(out, "net_af_packet0,iface=e0,qpairs=1,blocksz=16384,framesz=16384,"
				    "framecnt=512,qdisc_bypass=1");
	/* What the operator wrote stays; jumbo frames get larger rings. */
	CU_ASSERT_EQUAL(mt_devargs_make("net_af_packet0,iface=e0,framecnt=64,qdisc_bypass=0", &p, 1,
				9000, out, sizeof(out), &e),
		0);
	CU_ASSERT_STRING_EQUAL(out, "net_af_packet0,iface=e0,framecnt=64,qdisc_bypass=0,qpairs=1,"
				    "blocksz=16384,framesz=16384");
	CU_ASSERT_EQUAL(mt_devargs_make("net_af_packet0,iface=e0", &p, 1, 1500, out, 40, &e),
		-ENAMETOOLONG);
	CU_ASSERT_EQUAL(mt_devargs_frame(1963, 66), 2048);
	CU_ASSERT_EQUAL(mt_devargs_frame(1964, 66), 4096);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/kernel/mm/hugepages/%s", dir, name);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/kernel/mm/hugepages/%s/free_hugepages", dir, name);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	snprintf(path, sizeof(path), "%s/kernel/mm/hugepages/%s/nr_hugepages", dir, name);
	f = fopen(path, "w");
	fputs("300\n", f);
	fclose(f);
}

static void hugepages_are_counted(void)
{
	char dir[] = "/tmp/mt_sys_XXXXXX", path[256];
	static const char *const parts[] = {"kernel", "kernel/mm", "kernel/mm/hugepages"};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL(mt_hugepages_free(dir), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, parts[i]);
		mkdir(path, 0700);
	}
	write_file(dir, "hugepages-2048kB", "100\n");
	CU_ASSERT_EQUAL(mt_hugepages_all(dir), 600);
	write_file(dir, "hugepages-1048576kB", "1\n");
	CU_ASSERT_EQUAL(mt_hugepages_free(dir), 1224);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(path), 0);
}

static void hugepages_are_chosen(void)
{
	static const struct {
		enum mt_eal_pages wanted;
		uint32_t mb, free_mb;
		int rc;
		const char *words;
	} rows[] = {
		{MT_EAL_PAGES_AUTO, 512, 512, 1, "in hugepages"},
		{MT_EAL_PAGES_AUTO, 512, 511, 0, "vm.nr_hugepages=272"},
		{MT_EAL_PAGES_ON, 512, 600, 1, "in hugepages"},
		{MT_EAL_PAGES_ON, 512, 0, -ENOMEM, "vm.nr_hugepages=272"},
		{MT_EAL_PAGES_OFF, 512, 600, 0, "as configured"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_err e = {""};
		char words[192] = "";

		CU_ASSERT_EQUAL(mt_hugepages_choose(rows[i].wanted, rows[i].mb, rows[i].free_mb,
					words, sizeof(words), &e),
			rows[i].rc);
		CU_ASSERT_PTR_NOT_NULL(strstr(rows[i].rc < 0 ? e.text : words, rows[i].words));
	}
}

static void memory_is_not_overdrawn(void)
{
	static const struct {
		const char *meminfo;
		uint32_t free_mb, most;
	} rows[] = {
		{"MemTotal: 8388608 kB\nMemFree: 1024 kB\nMemAvailable:    2097152 kB\n", 2048,
			2048},
		{"MemAvailable: 99999999999999 kB\n", UINT32_MAX - 1, UINT32_MAX - 1},
		{"MemTotal: 8388608 kB\n", UINT32_MAX, UINT32_MAX},
		{"", UINT32_MAX, UINT32_MAX},
	};
	char dir[] = "/tmp/mt_proc_XXXXXX", path[64];
	struct mt_memory_bound left;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	mt_memory_free(dir, dir, &left);
	CU_ASSERT_EQUAL(left.mb, UINT32_MAX);
	snprintf(path, sizeof(path), "%s/meminfo", dir);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_err e = {""};
		FILE *f = fopen(path, "w");

		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		fputs(rows[i].meminfo, f);
		fclose(f);
		mt_memory_free(dir, dir, &left);
		CU_ASSERT(left.mb == rows[i].free_mb && !left.cgroup);
		CU_ASSERT_EQUAL(mt_memory_fits(rows[i].most, &left, &e), 0);
		if (rows[i].most == UINT32_MAX)
			continue;
		CU_ASSERT_EQUAL(mt_memory_fits(rows[i].most + 1, &left, &e), -ENOMEM);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "this machine has"));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "lower spec.memory.mb"));
	}
	unlink(path);
	rmdir(dir);
}

/* Writes DIR/NAME, with the directories on the way. */
static void put(const char *dir, const char *name, const char *text)
{
	char path[1200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *at = path + strlen(dir) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* The tightest cgroup on the way to the root bounds the process, if it is below the machine. */
static void memory_of_a_cgroup(void)
{
	static const struct {
		const char *own, *of; /* of NULL: the machine */
		uint32_t left, most;
	} rows[] = {
		{"0::/system.slice/m.service\n", "cgroup /system.slice/m.service (memory.max", 300,
			400},
		{"1:cpu:/\n0::/system.slice/m.service\n2:name=systemd:/\n",
			"cgroup /system.slice/m.service (memory.max", 300, 400},
		/* The group itself has no limit; one above it has. */
		{"0::/system.slice\n", "cgroup /system.slice (memory.max", 600, 600},
		{"0::/system.slice/x/y\n", "cgroup /system.slice (memory.max", 600, 600},
		{"0::/other\n", NULL, 2048, 0},
		{"0::/\n", NULL, 2048, 0},
		/* A group outside of the namespace, no version 2, and no line. */
		{"0::/../system.slice\n", NULL, 2048, 0},
		{"4:memory:/system.slice/m.service\n", NULL, 2048, 0},
		{"0::/system.slice/m.service", NULL, 2048, 0},
		{"", NULL, 2048, 0},
	};
	char dir[] = "/tmp/mt_cgroup_XXXXXX", command[64];
	struct mt_memory_bound left, most;
	struct mt_err e = {""};

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	put(dir, "meminfo", "MemAvailable: 2097152 kB\n");
	put(dir, "fs/cgroup/system.slice/memory.max", "629145600\n");
	put(dir, "fs/cgroup/system.slice/m.service/memory.max", "419430400\n");
	/* 150 MB are used, of which 50 are files that can be dropped. */
	put(dir, "fs/cgroup/system.slice/m.service/memory.current", "157286400\n");
	put(dir, "fs/cgroup/system.slice/m.service/memory.stat",
		"anon 1\nfile 52428800\ninactive_file 31457280\nactive_file 20971520\n");
	put(dir, "fs/cgroup/system.slice/x/memory.max", "max\n");
	put(dir, "fs/cgroup/other/memory.max", "max\n");
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		put(dir, "self/cgroup", rows[i].own);
		mt_memory_free(dir, dir, &left);
		CU_ASSERT_EQUAL(left.mb, rows[i].left);
		CU_ASSERT_EQUAL(left.cgroup, rows[i].of != NULL);
		CU_ASSERT_PTR_NOT_NULL(strstr(left.of, rows[i].of ? rows[i].of : "this machine"));
		mt_memory_most(dir, dir, false, &most);
		CU_ASSERT(rows[i].of ? most.mb == rows[i].most : !most.cgroup);
		mt_memory_most(dir, dir, true, &most);
		CU_ASSERT_FALSE(most.cgroup);
	}
	put(dir, "self/cgroup", rows[0].own);
	mt_memory_free(dir, dir, &left);
	CU_ASSERT_EQUAL(mt_memory_fits(300, &left, &e), 0);
	CU_ASSERT_EQUAL(mt_memory_fits(301, &left, &e), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "cgroup /system.slice/m.service"));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void kernel_addresses(void)
{
	struct mt_addr lo = mt_addr4(htonl(INADDR_LOOPBACK)), other = mt_addr4(htonl(0xc6336401));
	struct mt_err e = {""};
	struct ifaddrs *kernel;

	CU_ASSERT_EQUAL_FATAL(mt_kernel_addresses(&kernel, &e), 0);
	CU_ASSERT_EQUAL(mt_kernel_address_free(kernel, &other, "VIP of x", NULL, &e), 0);
	CU_ASSERT_EQUAL(mt_kernel_address_free(kernel, &lo, "VIP of x", "lo", &e), 0);
	CU_ASSERT_EQUAL(mt_kernel_address_free(kernel, &lo, "VIP of x", NULL, &e), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "VIP of x"));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "ip addr del 127.0.0.1/8 dev lo"));
	freeifaddrs(kernel);
}

const struct mt_test arguments_tests[] = {
	{"device_strings", device_strings},
	{"values", values},
	{"profile_arguments_are_added", profile_arguments_are_added},
	{"hugepages_are_counted", hugepages_are_counted},
	{"hugepages_are_chosen", hugepages_are_chosen},
	{"memory_is_not_overdrawn", memory_is_not_overdrawn},
	{"memory_of_a_cgroup", memory_of_a_cgroup},
	{"kernel_addresses", kernel_addresses},
	{0},
};
