/* SPDX-License-Identifier: Apache-2.0 */
/* The profile of each kind of port, and the texts that are made of it. PCI devices are in a tree of files. */
#include "profile_test.h"

#include "mt_rights_profile.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char sys[64];

/* Makes a device: its driver, and the name of its IOMMU group's kind; NULL: it has no group. */
static void device(const char *address, const char *driver, const char *group, const char *kind)
{
	char command[1024];

	snprintf(command, sizeof(command),
		"d=%s/bus/pci/devices/%s; mkdir -p $d %s/drivers/%s %s/groups/%s && "
		"ln -s %s/drivers/%s $d/driver",
		sys, address, sys, driver, sys, group ? group : "none", sys, driver);
	CU_ASSERT_EQUAL(system(command), 0);
	if (!group)
		return;
	snprintf(command, sizeof(command),
		"ln -s %s/groups/%s %s/bus/pci/devices/%s/iommu_group && echo %s "
		">%s/groups/%s/name",
		sys, group, sys, address, kind, sys, group);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void make_sys(void)
{
	snprintf(sys, sizeof(sys), "/tmp/mt_rights_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(sys));
	device("0000:3b:00.0", "vfio-pci", "42", "dma");
	device("0000:3b:00.1", "vfio-pci", "43", "dma");
	device("0000:3b:00.2", "vfio-pci", "7", "vfio-noiommu");
	device("0000:3b:00.3", "uio_pci_generic", "44", "dma");
	device("0000:3b:00.4", "vfio-pci", NULL, NULL);
	device("0000:3b:00.5", "mlx5_core", "45", "dma");
}

static void remove_sys(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", sys);
	CU_ASSERT_EQUAL(system(command), 0);
}

#define ROOT_HAS                                                                                   \
	"CAP_NET_RAW CAP_NET_ADMIN CAP_IPC_LOCK CAP_SYS_ADMIN CAP_SYS_RAWIO "                      \
	"CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN"

void table_of_ports(void)
{
	static const struct {
		const char *device, *profile, *user, *capabilities, *devices, *families;
	} rows[] = {
		{"net_memif0,role=server,socket=/run/m.sock", NULL, "meltemi", "none", "none", ""},
		{"net_vhost1,iface=/run/meltemi/vm1.sock", NULL, "meltemi", "none", "none", ""},
		{"net_virtio_user0,path=/run/v.sock", NULL, "meltemi", "none", "none", ""},
		{"net_virtio_user0,path=/dev/vhost-net", NULL, "meltemi", "CAP_NET_ADMIN",
			"/dev/net/tun /dev/vhost-net", ""},
		{"net_ring0", NULL, "meltemi", "none", "none", ""},
		{"net_null0", NULL, "meltemi", "none", "none", ""},
		{"net_pcap0,rx_pcap=/tmp/a.pcap", NULL, "meltemi", "none", "none", ""},
		{"net_pcap0,iface=eth1", NULL, "meltemi", "CAP_NET_RAW CAP_NET_ADMIN", "none",
			" AF_PACKET"},
		{"net_af_packet12,iface=eth1", NULL, "meltemi", "CAP_NET_RAW CAP_NET_ADMIN", "none",
			" AF_PACKET"},
		{"net_af_xdp0,iface=eth1", NULL, "meltemi",
			"CAP_NET_RAW CAP_NET_ADMIN CAP_SYS_ADMIN", "none", " AF_XDP"},
		{"net_tap0,iface=app0", NULL, "meltemi", "CAP_NET_ADMIN", "/dev/net/tun", ""},
		{"0000:3b:00.0", "ice", "meltemi", "none", "/dev/vfio/vfio /dev/vfio/42", ""},
		{"3b:00.1,a=b:c", "ice", "meltemi", "none", "/dev/vfio/vfio /dev/vfio/43", ""},
		{"0000:3b:00.2", "ice", "root", ROOT_HAS, "/dev/vfio/vfio char-vfio", ""},
		{"0000:3b:00.3", "ice", "root", ROOT_HAS, "/dev/vfio/vfio char-uio char-vfio", ""},
		{"0000:3b:00.4", "ice", "root", ROOT_HAS, "/dev/vfio/vfio char-uio char-vfio", ""},
		{"0000:3b:00.5", NULL, "meltemi", "CAP_NET_RAW CAP_NET_ADMIN",
			"char-infiniband_verbs", ""},
		{"net_bonding0,slave=x", "null", "root", ROOT_HAS, "all", " AF_PACKET AF_XDP"},
	};

	make_sys();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_rights_profile p = {0};
		char want[512], *has = NULL;
		struct mt_err e = {""};
		size_t len;
		FILE *f = open_memstream(&has, &len);

		snprintf(want, sizeof(want),
			"user              %s\ncapabilities      %s\ndevices           %s\n"
			"address families  AF_UNIX AF_INET AF_INET6 AF_NETLINK%s\n"
			"locked memory     unlimited\n",
			rows[i].user, rows[i].capabilities, rows[i].devices, rows[i].families);
		CU_ASSERT_PTR_NOT_NULL(
			mt_rights_add_port(&p, rows[i].device, rows[i].profile, sys, &e));
		mt_rights_print(&p, f);
		fclose(f);
		if (strcmp(has, want) != 0)
			fprintf(stderr, "%s\n%s%s%s\n", rows[i].device, has, want, e.text);
		CU_ASSERT_STRING_EQUAL(has, want);
		free(has);
	}
	remove_sys();
}

/* The IOMMU decides, so a device of another host has no profile. */
void device_of_another_host(void)
{
	struct mt_rights_profile p = {0};
	struct mt_err e = {""};

	make_sys();
	CU_ASSERT_PTR_NULL(mt_rights_add_port(&p, "0000:99:00.0", NULL, sys, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "0000:99:00.0 is not on this host"));
	remove_sys();
}

static char *unit_of(const struct mt_rights_profile *p, bool udev)
{
	char *text = NULL, *at;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(udev ? mt_rights_print_udev : mt_rights_print_unit)(p, "n.yaml", f);
	fclose(f);
	at = strstr(text, "[Service]\n");
	if (at)
		memmove(text, at, strlen(at) + 1);
	return text;
}

static void gives(const char *const *devices, bool udev, const char *want)
{
	struct mt_rights_profile p = {0};
	struct mt_err e;
	char *text;

	for (; *devices; devices++)
		CU_ASSERT_PTR_NOT_NULL(mt_rights_add_port(&p, *devices, NULL, sys, &e));
	text = unit_of(&p, udev);
	if (strcmp(text, want) != 0)
		fprintf(stderr, "%s\n%s\n", text, want);
	CU_ASSERT_STRING_EQUAL(text, want);
	free(text);
}

/* Ports together need what each of them needs, once. */
void texts(void)
{
	make_sys();
	gives((const char *[]){"net_memif0", NULL}, false, "[Service]\n");
	gives((const char *[]){"net_af_packet0,iface=a", "net_tap0,iface=b", "net_af_xdp0,iface=c",
		      NULL},
		false,
		"[Service]\nCapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_SYS_ADMIN\n"
		"AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN CAP_SYS_ADMIN\nPrivateDevices=no\n"
		"DeviceAllow=/dev/net/tun rw\nRestrictAddressFamilies=AF_PACKET AF_XDP\n"
		"SystemCallFilter=capset bpf\n");
	gives((const char *[]){"0000:3b:00.0", "0000:3b:00.0", "0000:3b:00.1", NULL}, false,
		"[Service]\nPrivateDevices=no\nDeviceAllow=/dev/vfio/vfio rw\n"
		"DeviceAllow=/dev/vfio/42 rw\nDeviceAllow=/dev/vfio/43 rw\n");
	gives((const char *[]){"0000:3b:00.0", "0000:3b:00.1", NULL}, true,
		"# Written by: meltemid --rights --udev -c n.yaml\n"
		"# IOMMU groups of the ports; they may change with the host's hardware.\n"
		"SUBSYSTEM==\"vfio\", KERNEL==\"42\", GROUP=\"meltemi\", MODE=\"0660\"\n"
		"SUBSYSTEM==\"vfio\", KERNEL==\"43\", GROUP=\"meltemi\", MODE=\"0660\"\n");
	gives((const char *[]){"net_tap0", NULL}, true,
		"# Written by: meltemid --rights --udev -c n.yaml\n# The ports need no rule.\n");
	gives((const char *[]){"0000:3b:00.3", NULL}, false,
		"[Service]\nUser=root\nGroup=root\nCapabilityBoundingSet=" ROOT_HAS
		"\nPrivateDevices=no\nDeviceAllow=/dev/vfio/vfio rw\nDeviceAllow=char-uio rw\n"
		"DeviceAllow=char-vfio rw\n# PCI configuration space is in /sys.\n"
		"ProtectKernelTunables=no\nSystemCallFilter=capset\n");
	remove_sys();
}

void listeners(void)
{
	struct mt_rights_profile p = {.view_group = "ops"};
	char names[MT_RIGHTS_NAMES], *text;

	mt_rights_add_listener(&p, 0);
	mt_rights_add_listener(&p, 1024);
	CU_ASSERT_EQUAL(p.capabilities, 0);
	text = unit_of(&p, false);
	CU_ASSERT_STRING_EQUAL(
		text, "[Service]\nSupplementaryGroups=ops\nSystemCallFilter=@chown\n");
	free(text);
	CU_ASSERT(mt_rights_add_path(&p, NULL));
	CU_ASSERT(mt_rights_add_path(&p, "/var/lib/meltemi"));
	CU_ASSERT(mt_rights_add_path(&p, "/run/meltemi/x"));
	CU_ASSERT_EQUAL(p.n_paths, 0);
	CU_ASSERT(mt_rights_add_path(&p, "/var/lib/meltemi-2"));
	text = unit_of(&p, false);
	CU_ASSERT_STRING_EQUAL(text, "[Service]\nSupplementaryGroups=ops\n"
				     "ReadWritePaths=-/var/lib/meltemi-2\n"
				     "SystemCallFilter=@chown\n");
	free(text);
	CU_ASSERT_PTR_NULL(mt_rights_misfit(&p));
	CU_ASSERT(mt_rights_add_path(&p, "/srv/x\nExecStartPre=+/bin/sh"));
	CU_ASSERT_PTR_EQUAL(mt_rights_misfit(&p), p.paths[1]);
	p.n_paths = 0;
	p.view_group = "ops root";
	CU_ASSERT_PTR_EQUAL(mt_rights_misfit(&p), p.view_group);
	mt_rights_add_listener(&p, 1023);
	CU_ASSERT_STRING_EQUAL(mt_rights_names(p.capabilities, names), "CAP_NET_BIND_SERVICE");
}

/* Directories in others need no place; one more than there are places is reported. */
void directories(void)
{
	static char names[MT_RIGHTS_PATHS][16];
	struct mt_rights_profile p = {0};

	for (uint32_t i = 0; i < MT_RIGHTS_PATHS; i++) {
		snprintf(names[i], sizeof(names[i]), "/srv/%u", i);
		CU_ASSERT(mt_rights_add_path(&p, names[i]));
		CU_ASSERT(mt_rights_add_path(&p, names[i]));
	}
	CU_ASSERT(mt_rights_add_path(&p, "/srv/3/logs"));
	CU_ASSERT(mt_rights_add_path(&p, "/var/log/meltemi/calls"));
	CU_ASSERT(!mt_rights_add_path(&p, "/srv/3x"));
	CU_ASSERT(!mt_rights_add_path(&p, "/srv"));
	CU_ASSERT_EQUAL(p.n_paths, MT_RIGHTS_PATHS);
	CU_ASSERT_PTR_EQUAL(p.paths[MT_RIGHTS_PATHS - 1], names[MT_RIGHTS_PATHS - 1]);
}

/* System calls that are refused only when the ports are open. */
void calls_of_ports(void)
{
	static const struct {
		const char *device;
		uint32_t calls;
	} rows[] = {
		{"net_memif0", 0},
		{"net_tap0,iface=a", 0},
		{"0000:3b:00.0", 0},
		{"0000:3b:00.2", 0},
		{"0000:3b:00.5", 0},
		{"net_af_packet0,iface=a", MT_CALLS_PACKET},
		{"net_pcap0,iface=a", MT_CALLS_PACKET},
		{"net_af_xdp0,iface=a", MT_CALLS_XDP | MT_CALLS_BPF},
		{"0000:3b:00.3", MT_CALLS_IO_PORTS},
		{"", MT_CALLS_ALL & ~(uint32_t)MT_CALLS_OTHERS},
	};
	struct mt_err e;

	make_sys();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_rights_profile p = {0};

		CU_ASSERT_PTR_NOT_NULL(mt_rights_add_port(&p, rows[i].device, NULL, sys, &e));
		CU_ASSERT_EQUAL(mt_rights_calls(&p), rows[i].calls);
	}
	remove_sys();
}
