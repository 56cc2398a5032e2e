/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vendor and device numbers: names in pci.ids, the device profile that fits, and what its DPDK
 * driver needs on the host. The numbers are those that the drivers of DPDK 22.11 contain.
 */
#include "nic.h"

#include "mt_log.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENA, GVE, I40E, ICE, IXGBE, MLX5, VIRTIO, VMXNET3, PROFILES };

static const struct nic_profile profiles[PROFILES] = {
	[ENA] = {"ena", "ena", "apt install librte-net-ena23"},
	[GVE] = {"gve", "gve", "apt install librte-net-gve23"},
	[I40E] = {"i40e", "i40e", "apt install librte-net-i40e23"},
	[ICE] = {"ice", "ice", "apt install librte-net-ice23"},
	[IXGBE] = {"ixgbe", "ixgbe", "apt install librte-net-ixgbe23"},
	[MLX5] = {"mlx5", "mlx5", "apt install librte-net-mlx5-23"},
	[VIRTIO] = {"virtio", "virtio", "apt install librte-net-virtio23"},
	[VMXNET3] = {"vmxnet3", "vmxnet3", "apt install librte-net-vmxnet3-23"},
};

/*
 * First and last device number. Virtual functions of Intel cards are missing, because no profile
 * describes their drivers (net_iavf, net_ixgbe_vf).
 */
static const struct {
	uint16_t vendor, first, last;
	uint8_t profile;
} numbers[] = {
	{0x1d0f, 0xec20, 0xec21, ENA},
	{0x1ae0, 0x0042, 0x0042, GVE},
	{0x15ad, 0x07b0, 0x07b0, VMXNET3},
	{0x1af4, 0x1000, 0x1000, VIRTIO},
	{0x1af4, 0x1041, 0x1041, VIRTIO},
	/* ConnectX-4 to ConnectX-7, and BlueField */
	{0x15b3, 0x1013, 0x101f, MLX5},
	{0x15b3, 0x1021, 0x1021, MLX5},
	{0x15b3, 0xa2d2, 0xa2d3, MLX5},
	{0x15b3, 0xa2d6, 0xa2d6, MLX5},
	{0x15b3, 0xa2dc, 0xa2dc, MLX5},
	/* E810, E822, E823, E824, E825 */
	{0x8086, 0x0dbd, 0x0dbd, ICE},
	{0x8086, 0x0dcd, 0x0dcd, ICE},
	{0x8086, 0x124c, 0x124f, ICE},
	{0x8086, 0x151d, 0x151d, ICE},
	{0x8086, 0x1591, 0x1593, ICE},
	{0x8086, 0x1599, 0x159b, ICE},
	{0x8086, 0x1888, 0x1888, ICE},
	{0x8086, 0x188a, 0x188e, ICE},
	{0x8086, 0x1890, 0x1894, ICE},
	{0x8086, 0x1897, 0x189a, ICE},
	{0x8086, 0x579c, 0x579f, ICE},
	/* X710, XL710, XXV710, X722 */
	{0x8086, 0x0cf8, 0x0cf8, I40E},
	{0x8086, 0x0d58, 0x0d58, I40E},
	{0x8086, 0x101f, 0x101f, I40E},
	{0x8086, 0x104e, 0x104f, I40E},
	{0x8086, 0x1572, 0x1572, I40E},
	{0x8086, 0x1574, 0x1574, I40E},
	{0x8086, 0x1580, 0x1581, I40E},
	{0x8086, 0x1583, 0x158b, I40E},
	{0x8086, 0x15ff, 0x15ff, I40E},
	{0x8086, 0x374c, 0x374c, I40E},
	{0x8086, 0x37ce, 0x37d3, I40E},
	/* 82598, 82599, X520, X540, X550, X552 */
	{0x8086, 0x10b6, 0x10b6, IXGBE},
	{0x8086, 0x10c6, 0x10c8, IXGBE},
	{0x8086, 0x10db, 0x10db, IXGBE},
	{0x8086, 0x10dd, 0x10dd, IXGBE},
	{0x8086, 0x10e1, 0x10e1, IXGBE},
	{0x8086, 0x10ec, 0x10ec, IXGBE},
	{0x8086, 0x10f1, 0x10f1, IXGBE},
	{0x8086, 0x10f4, 0x10f4, IXGBE},
	{0x8086, 0x10f7, 0x10f9, IXGBE},
	{0x8086, 0x10fb, 0x10fc, IXGBE},
	{0x8086, 0x1507, 0x1508, IXGBE},
	{0x8086, 0x150b, 0x150b, IXGBE},
	{0x8086, 0x1514, 0x1514, IXGBE},
	{0x8086, 0x1517, 0x1517, IXGBE},
	{0x8086, 0x151c, 0x151c, IXGBE},
	{0x8086, 0x1528, 0x152a, IXGBE},
	{0x8086, 0x154a, 0x154a, IXGBE},
	{0x8086, 0x154d, 0x154d, IXGBE},
	{0x8086, 0x1557, 0x1558, IXGBE},
	{0x8086, 0x155d, 0x155d, IXGBE},
	{0x8086, 0x1560, 0x1560, IXGBE},
	{0x8086, 0x1563, 0x1563, IXGBE},
	{0x8086, 0x15aa, 0x15ae, IXGBE},
	{0x8086, 0x15b0, 0x15b0, IXGBE},
	{0x8086, 0x15c2, 0x15c4, IXGBE},
	{0x8086, 0x15c6, 0x15c8, IXGBE},
	{0x8086, 0x15ca, 0x15ca, IXGBE},
	{0x8086, 0x15cc, 0x15cc, IXGBE},
	{0x8086, 0x15ce, 0x15ce, IXGBE},
	{0x8086, 0x15d1, 0x15d1, IXGBE},
	{0x8086, 0x15e4, 0x15e5, IXGBE},
};

const struct nic_profile *nic_profile_of(uint32_t vendor, uint32_t device)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(numbers); i++)
		if (numbers[i].vendor == vendor && device >= numbers[i].first &&
			device <= numbers[i].last)
			return &profiles[numbers[i].profile];
	return NULL;
}

bool nic_is_bifurcated(const struct nic_card *c)
{
	return c->profile == &profiles[MLX5] || strncmp(c->driver, "mlx", 3) == 0 ||
	       strcmp(c->driver, "mana") == 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A number of four hexadecimal digits and two blanks at the start of a line; -1: there is none. */
static int number_at(const char *line, const char **name)
{
	unsigned int v;
	int used = 0;

	if (strspn(line, "0123456789abcdef") != 4 || sscanf(line, "%4x%n", &v, &used) != 1 ||
		used != 4)
		return -1;
	*name = line + 4 + strspn(line + 4, " ");
	return (int)v;
}

static void name_cards(struct nic *n, int vendor, int device, const char *maker, const char *name)
{
	for (uint32_t i = 0; i < n->n_cards; i++) {
		struct nic_card *c = &n->cards[i];

		if ((int)c->vendor == vendor && (device < 0 || (int)c->device == device))
			snprintf(c->name, sizeof(c->name), "%s%s%s", maker, *name ? " " : "", name);
	}
}

void nic_names(struct nic *n)
{
	static const char *const places[] = {
		"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"};
	char path[512], line[512], maker[96] = "", safe[152];
	const char *name;
	int vendor = -1, v;
	FILE *f = NULL;

	for (size_t i = 0; !f && i < MT_ARRAY_LEN(places); i++) {
		snprintf(path, sizeof(path), "%s%s", n->host.root, places[i]);
		f = fopen(path, "re");
	}
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if ((v = number_at(line, &name)) >= 0) {
			vendor = v;
			mt_escape(maker, sizeof(maker), name);
			name_cards(n, vendor, -1, maker, "");
		} else if (line[0] == '\t' && (v = number_at(line + 1, &name)) >= 0) {
			mt_escape(safe, sizeof(safe), name);
			name_cards(n, vendor, v, maker, safe);
		} else if (line[0] == 'C' && line[1] == ' ') {
			break; /* classes follow */
		}
	}
	if (f)
		fclose(f);
}

/* ---- packages -------------------------------------------------------------------------------- */

static bool any_file(const struct nic *n, const char *pattern)
{
	char path[512];
	glob_t g;
	bool any;

	if ((size_t)snprintf(path, sizeof(path), "%s%s", n->host.root, pattern) >= sizeof(path))
		return false;
	any = glob(path, GLOB_NOSORT, NULL, &g) == 0;
	globfree(&g);
	return any;
}

static void add_missing(struct nic_card *c, const char *what, const char *remedy)
{
	if (c->n_missing < NIC_MISSING)
		c->missing[c->n_missing++] = (struct nic_missing){what, remedy};
}

/* Reports nothing if the directory of DPDK's plugins is unknown: it may be linked statically. */
static void need_library(const struct nic *n, struct nic_card *c)
{
	static const char *const places[] = {
		"/usr/lib/*/dpdk/pmds-*", "/usr/local/lib/*/dpdk/pmds-*"};
	bool any = false;
	char pattern[160];

	for (size_t i = 0; i < MT_ARRAY_LEN(places); i++) {
		any |= any_file(n, places[i]);
		snprintf(pattern, sizeof(pattern), "%s/librte_net_%s.so*", places[i],
			c->profile->library);
		if (any_file(n, pattern))
			return;
	}
	if (any)
		add_missing(c, "the DPDK driver", c->profile->package);
}

void nic_needs(const struct nic *n, struct nic_card *c)
{
	if (!c->profile)
		return;
	need_library(n, c);
	if (c->profile == &profiles[ICE] && !any_file(n, "/lib/firmware/intel/ice/ddp/ice*.pkg*") &&
		!any_file(n, "/lib/firmware/updates/intel/ice/ddp/ice*.pkg*"))
		add_missing(c, "the DDP package: without it the card has one queue",
			"apt install firmware-misc-nonfree");
	if (c->profile != &profiles[MLX5])
		return;
	if (!any_file(n, "/usr/lib/*/libmlx5.so.1"))
		add_missing(c, "libmlx5", "apt install ibverbs-providers");
	if (!any_file(n, "/lib/udev/rules.d/*rdma*") &&
		!any_file(n, "/usr/lib/udev/rules.d/*rdma*"))
		add_missing(c, "rdma-core", "apt install rdma-core");
}
