/* SPDX-License-Identifier: Apache-2.0 */
/* A profile as rows, as a drop-in of the unit, and as a udev rule. */
#include "mt_rights_profile.h"

#include "mt_base.h"

#include <linux/capability.h>
#include <string.h>

const char *mt_rights_names(uint64_t capabilities, char buf[MT_RIGHTS_NAMES])
{
	static const struct {
		int number;
		const char *name;
	} all[] = {{CAP_NET_RAW, "CAP_NET_RAW"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"}, {CAP_IPC_LOCK, "CAP_IPC_LOCK"},
		{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {CAP_SYS_RAWIO, "CAP_SYS_RAWIO"},
		{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
		{CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"}, {CAP_CHOWN, "CAP_CHOWN"}};
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		if (capabilities & MT_RIGHT(all[i].number))
			len += (size_t)snprintf(buf + len, MT_RIGHTS_NAMES - len, "%s%s",
				len ? " " : "", all[i].name);
	return buf;
}

/* Prints each device as systemd names it, with `before` and `after`; false: there is none. */
static bool devices(
	const struct mt_rights_profile *p, const char *before, const char *after, FILE *out)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} all[] = {{MT_RIGHTS_TUN, "/dev/net/tun"}, {MT_RIGHTS_VHOST_NET, "/dev/vhost-net"},
		{MT_RIGHTS_INFINIBAND, "char-infiniband_verbs"}, {MT_RIGHTS_VFIO, "/dev/vfio/vfio"},
		{MT_RIGHTS_UIO, "char-uio"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		if (p->devices & all[i].bit)
			fprintf(out, "%s%s%s", before, all[i].name, after);
	for (uint32_t i = 0; i < p->n_groups; i++)
		fprintf(out, "%s/dev/vfio/%u%s", before, p->groups[i], after);
	/* The names of groups without an IOMMU depend on the order in which they are opened. */
	if ((p->devices & MT_RIGHTS_VFIO) && p->root)
		fprintf(out, "%schar-vfio%s", before, after);
	return p->devices != 0;
}

static const char *families(const struct mt_rights_profile *p)
{
	static const char *const names[] = {"", "AF_PACKET", "AF_XDP", "AF_PACKET AF_XDP"};

	return names[p->families & (MT_RIGHTS_PACKET | MT_RIGHTS_XDP)];
}

void mt_rights_print(const struct mt_rights_profile *p, FILE *out)
{
	char names[MT_RIGHTS_NAMES];

	fprintf(out, "user              %s\n", p->root ? "root" : MT_RIGHTS_USER);
	mt_rights_names(p->capabilities, names);
	fprintf(out, "capabilities      %s\n", names[0] ? names : "none");
	fprintf(out, "devices          ");
	if (p->devices & MT_RIGHTS_ANY)
		fprintf(out, " all");
	else if (!devices(p, " ", "", out))
		fprintf(out, " none");
	fprintf(out, "\naddress families  AF_UNIX AF_INET AF_INET6 AF_NETLINK%s%s\n",
		p->families ? " " : "", families(p));
	/* for private keys, and for rings of af_packet, buffers of af_xdp and vfio */
	fprintf(out, "locked memory     unlimited\n");
	for (uint32_t i = 0; i < p->n_paths; i++)
		fprintf(out, "writes to         %s\n", p->paths[i]);
	if (p->view_group)
		fprintf(out, "groups            %s\n", p->view_group);
}

static bool is_word(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f || strchr("\"'\\%", *text))
			return false;
	return true;
}

const char *mt_rights_misfit(const struct mt_rights_profile *p)
{
	for (uint32_t i = 0; i < p->n_paths; i++)
		if (!is_word(p->paths[i]))
			return p->paths[i];
	return p->view_group && !is_word(p->view_group) ? p->view_group : NULL;
}

/* ---- drop-in -------------------------------------------------------------------------------- */

static void print_devices(const struct mt_rights_profile *p, FILE *out)
{
	if (!p->devices)
		return;
	fprintf(out, "PrivateDevices=no\n");
	/* ProtectClock= is an entry of a device list, and so would exclude all other devices. */
	if (p->devices & MT_RIGHTS_ANY)
		fprintf(out, "DevicePolicy=auto\nProtectClock=no\n");
	else
		(void)devices(p, "DeviceAllow=", " rw\n", out);
	if (p->devices & (MT_RIGHTS_UIO | MT_RIGHTS_ANY))
		fprintf(out, "# PCI configuration space is in /sys.\nProtectKernelTunables=no\n");
}

/* The unit permits no privileged calls; these belong to the capabilities. */
static void print_calls(const struct mt_rights_profile *p, FILE *out)
{
	if (!p->capabilities && !p->view_group)
		return;
	fprintf(out, "SystemCallFilter=%s%s%s%s\n", p->capabilities ? "capset" : "",
		(p->families & MT_RIGHTS_XDP) ? " bpf" : "",
		p->capabilities && p->view_group ? " " : "", p->view_group ? "@chown" : "");
}

void mt_rights_print_unit(const struct mt_rights_profile *p, const char *from, FILE *out)
{
	char names[MT_RIGHTS_NAMES];

	fprintf(out,
		"# The rights that the ports and listeners of %s need, besides those of the unit.\n"
		"# Written by: meltemid --rights --unit -c %s\n[Service]\n",
		from, from);
	if (p->root)
		fprintf(out, "User=root\nGroup=root\n");
	if (p->capabilities)
		fprintf(out, "CapabilityBoundingSet=%s\n", mt_rights_names(p->capabilities, names));
	if (p->capabilities && !p->root)
		fprintf(out, "AmbientCapabilities=%s\n", names);
	if (p->view_group)
		fprintf(out, "SupplementaryGroups=%s\n", p->view_group);
	print_devices(p, out);
	for (uint32_t i = 0; i < p->n_paths; i++)
		fprintf(out, "ReadWritePaths=-%s\n", p->paths[i]);
	if (p->families)
		fprintf(out, "RestrictAddressFamilies=%s\n", families(p));
	print_calls(p, out);
}

void mt_rights_print_udev(const struct mt_rights_profile *p, const char *from, FILE *out)
{
	fprintf(out, "# Written by: meltemid --rights --udev -c %s\n", from);
	if (p->root || !p->n_groups) {
		fprintf(out, "# The ports need no rule.\n");
		return;
	}
	fprintf(out, "# IOMMU groups of the ports; they may change with the host's hardware.\n");
	for (uint32_t i = 0; i < p->n_groups; i++)
		fprintf(out,
			"SUBSYSTEM==\"vfio\", KERNEL==\"%u\", GROUP=\"" MT_RIGHTS_USER
			"\", MODE=\"0660\"\n",
			p->groups[i]);
}
