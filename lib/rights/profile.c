/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what kinds of port need, and the lookup of PCI devices in /sys. */
#include "mt_rights_profile.h"

#include "mt_base.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAW   MT_RIGHT(CAP_NET_RAW)
#define ADMIN MT_RIGHT(CAP_NET_ADMIN)
#define SYS   MT_RIGHT(CAP_SYS_ADMIN)

/* Capabilities of root's profile: what the devices need, and files of other users. */
#define OF_ROOT                                                                                    \
	(RAW | ADMIN | SYS | MT_RIGHT(CAP_IPC_LOCK) | MT_RIGHT(CAP_SYS_RAWIO) |                    \
		MT_RIGHT(CAP_DAC_OVERRIDE) | MT_RIGHT(CAP_DAC_READ_SEARCH) | MT_RIGHT(CAP_CHOWN))

struct need {
	const char *name;
	const char *because;
	uint64_t capabilities;
	uint32_t devices, families;
	bool root;
};

/* Virtual devices, by the driver in the device string. */
static const struct need drivers[] = {
	/* clang-format off */
	{"net_memif",       "shared memory, by a socket",              0,           0, 0, false},
	{"net_vhost",       "shared memory of a guest, by a socket",   0,           0, 0, false},
	{"net_virtio_user", "shared memory, by a vhost-user socket",   0,           0, 0, false},
	{"net_ring",        "a link in this process",                  0,           0, 0, false},
	{"net_null",        "no link",                                 0,           0, 0, false},
	{"net_pcap",        "files of packets",                        0,           0, 0, false},
	{"net_af_packet",   "raw sockets of a kernel interface",       RAW | ADMIN, 0, MT_RIGHTS_PACKET, false},
	{"net_af_xdp",      "AF_XDP on a kernel interface",      RAW | ADMIN | SYS, 0, MT_RIGHTS_XDP, false},
	{"net_tap",         "a TAP interface of its own",              ADMIN, MT_RIGHTS_TUN, 0, false},
	/* clang-format on */
};

/* Kinds that arguments of the device or the host decide. */
enum { PCAP_INTERFACE, KERNEL_VHOST, SHARED, VFIO, NO_IOMMU, UIO, UNKNOWN };

static const struct need others[] = {
	/* clang-format off */
	[PCAP_INTERFACE] = {"", "libpcap on a kernel interface",            RAW | ADMIN, 0, MT_RIGHTS_PACKET, false},
	[KERNEL_VHOST]   = {"", "/dev/vhost-net of the kernel",             ADMIN, MT_RIGHTS_TUN | MT_RIGHTS_VHOST_NET, 0, false},
	[SHARED]         = {"", "a device shared with its kernel driver",   RAW | ADMIN, MT_RIGHTS_INFINIBAND, 0, false},
	[VFIO]           = {"", "vfio-pci with an IOMMU",                   0, MT_RIGHTS_VFIO, 0, false},
	[NO_IOMMU]       = {"", "vfio-pci without an IOMMU",                OF_ROOT, MT_RIGHTS_VFIO, 0, true},
	[UIO]            = {"", "uio, or no IOMMU",                         OF_ROOT, MT_RIGHTS_UIO | MT_RIGHTS_VFIO, 0, true},
	[UNKNOWN]        = {"", "a driver with unknown needs",       OF_ROOT, MT_RIGHTS_ANY, MT_RIGHTS_PACKET | MT_RIGHTS_XDP, true},
	/* clang-format on */
};

static const char *add(struct mt_rights_profile *p, const struct need *n)
{
	p->root |= n->root;
	p->capabilities |= n->capabilities;
	p->devices |= n->devices;
	p->families |= n->families;
	return n->because;
}

/* ---- PCI ------------------------------------------------------------------------------------ */

/* The last component of a link below the device's directory; false: there is no such link. */
static bool link_name(const char *dir, const char *link, char name[64])
{
	char path[PATH_MAX], to[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "%.3000s/%s", dir, link);
	len = readlink(path, to, sizeof(to) - 1);
	if (len <= 0)
		return false;
	to[len] = '\0';
	snprintf(name, 64, "%.63s", strrchr(to, '/') ? strrchr(to, '/') + 1 : to);
	return true;
}

/* True for a group that the kernel made for a device without an IOMMU. */
static bool is_unsafe(const char *dir)
{
	char path[PATH_MAX], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%.3000s/iommu_group/name", dir);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return strncmp(name, "vfio-noiommu", 12) == 0;
}

static void add_group(struct mt_rights_profile *p, uint32_t group)
{
	for (uint32_t i = 0; i < p->n_groups; i++)
		if (p->groups[i] == group)
			return;
	if (p->n_groups < MT_RIGHTS_GROUPS)
		p->groups[p->n_groups++] = group;
}

static const char *add_pci(struct mt_rights_profile *p, const char *device, const char *profile,
	const char *sys, struct mt_err *e)
{
	int len = (int)strcspn(device, ",");
	/* The domain may be missing: "3b:00.0". */
	bool domain = len > 12 || (len == 12 && device[4] == ':');
	char dir[PATH_MAX], driver[64] = "", group[64];

	snprintf(dir, sizeof(dir), "%.2000s/bus/pci/devices/%s%.*s", sys,
		domain ? "" : "0000:", MT_MIN(len, 32), device);
	if (access(dir, F_OK) != 0) {
		(void)mt_err(e, -ENODEV,
			"device %.*s is not on this host, and its rights depend on the IOMMU: run "
			"this on the node",
			len, device);
		return NULL;
	}
	(void)link_name(dir, "driver", driver);
	if ((profile && strcmp(profile, "mlx5") == 0) || strncmp(driver, "mlx", 3) == 0 ||
		strcmp(driver, "mana") == 0)
		return add(p, &others[SHARED]);
	if (strstr(driver, "uio") || !link_name(dir, "iommu_group", group))
		return add(p, &others[UIO]);
	if (is_unsafe(dir))
		return add(p, &others[NO_IOMMU]);
	add_group(p, (uint32_t)strtoul(group, NULL, 10));
	return add(p, &others[VFIO]);
}

/* ---- ports and listeners -------------------------------------------------------------------- */

static const struct need *of_driver(const char *device)
{
	size_t len = strcspn(device, ",");

	while (len > 0 && isdigit((unsigned char)device[len - 1]))
		len--;
	for (size_t i = 0; i < MT_ARRAY_LEN(drivers); i++)
		if (strlen(drivers[i].name) == len && strncmp(device, drivers[i].name, len) == 0)
			return &drivers[i];
	return &others[UNKNOWN];
}

static const char *add_virtual(struct mt_rights_profile *p, const char *device)
{
	const struct need *n = of_driver(device);

	if (strcmp(n->name, "net_pcap") == 0 && strstr(device, "iface="))
		n = &others[PCAP_INTERFACE];
	if (strcmp(n->name, "net_virtio_user") == 0 && strstr(device, ",path=/dev/vhost-net"))
		n = &others[KERNEL_VHOST];
	return add(p, n);
}

const char *mt_rights_add_port(struct mt_rights_profile *p, const char *device, const char *profile,
	const char *sys, struct mt_err *e)
{
	/* Virtual devices begin with another letter than a hexadecimal digit ("net_"). */
	if (isxdigit((unsigned char)device[0]) && strchr(device, ':'))
		return add_pci(p, device, profile, sys, e);
	return add_virtual(p, device);
}

uint32_t mt_rights_calls(const struct mt_rights_profile *p)
{
	uint32_t calls = 0;

	if (p->devices & MT_RIGHTS_ANY)
		return MT_CALLS_ALL & ~(uint32_t)MT_CALLS_OTHERS;
	if (p->families & MT_RIGHTS_PACKET)
		calls |= MT_CALLS_PACKET;
	if (p->families & MT_RIGHTS_XDP)
		calls |= MT_CALLS_XDP | MT_CALLS_BPF;
	if (p->devices & MT_RIGHTS_UIO)
		calls |= MT_CALLS_IO_PORTS;
	return calls;
}

void mt_rights_add_listener(struct mt_rights_profile *p, uint16_t port)
{
	if (port > 0 && port < 1024)
		p->capabilities |= MT_RIGHT(CAP_NET_BIND_SERVICE);
}

/* True if the path is the directory or in it. */
static bool is_in(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 && (!path[len] || path[len] == '/');
}

static bool is_in_one(const char *path, const char *const *directories, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_in(path, directories[i]))
			return true;
	return false;
}

bool mt_rights_add_path(struct mt_rights_profile *p, const char *path)
{
	static const char *const own[] = {"/run/meltemi", "/var/lib/meltemi", "/var/log/meltemi"};

	if (!path || is_in_one(path, own, MT_ARRAY_LEN(own)) ||
		is_in_one(path, p->paths, p->n_paths))
		return true;
	if (p->n_paths == MT_RIGHTS_PATHS)
		return false;
	p->paths[p->n_paths++] = path;
	return true;
}
