/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Needs of a node that its service manager must grant: user, capabilities, devices and address
 * families. A table maps each kind of port to them (profile.c), so that the installed unit grants
 * nothing and a drop-in of this node grants what its ports need. `meltemid --rights` prints it.
 *
 * The kinds of port:
 * - memif, vhost-user, ring, null and files of pcap need no capability.
 * - PCI devices with an IOMMU need the group file below /dev/vfio, which a udev rule gives to the
 *   group of the service, and locked memory (LimitMEMLOCK= of the unit). Other PCI devices need
 *   root, because such a device can write to all memory of the host.
 * - Kernel interfaces need CAP_NET_RAW and CAP_NET_ADMIN, TAP only the latter. AF_XDP also needs
 *   CAP_SYS_ADMIN until it is open, because libxdp finds maps and programs by their numbers
 *   (measured with libxdp 1.3.1 on Linux 6.18: CAP_BPF and CAP_PERFMON do not suffice).
 *
 * Any thread; the functions keep no state.
 */
#pragma once

#include "mt_rights.h"

#include <stdio.h>

/* User and group of the service. The package and sysusers.d create them. */
#define MT_RIGHTS_USER "meltemi"

#define MT_RIGHTS_GROUPS 64
#define MT_RIGHTS_PATHS	 16

/* Bits of mt_rights_profile.devices. */
enum {
	MT_RIGHTS_TUN = 1,	  /* /dev/net/tun */
	MT_RIGHTS_VHOST_NET = 2,  /* /dev/vhost-net */
	MT_RIGHTS_INFINIBAND = 4, /* /dev/infiniband of mlx5 and mana */
	MT_RIGHTS_VFIO = 8,	  /* /dev/vfio; `groups` lists those of a user */
	MT_RIGHTS_UIO = 16,	  /* /dev/uio*, and PCI configuration space in /sys */
	MT_RIGHTS_ANY = 32,	  /* not known: all devices */
};

/* Bits of mt_rights_profile.families, besides AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK. */
enum { MT_RIGHTS_PACKET = 1, MT_RIGHTS_XDP = 2 };

/* Zero-initialized it is the profile of a node with ports that need nothing. */
struct mt_rights_profile {
	bool root; /* only root can open the devices */
	uint64_t capabilities;
	uint32_t devices, families;
	uint32_t groups[MT_RIGHTS_GROUPS]; /* IOMMU groups of the PCI devices */
	uint32_t n_groups;
	const char *paths[MT_RIGHTS_PATHS]; /* directories to write to, besides those of the unit */
	uint32_t n_paths;
	const char *view_group; /* spec.admin.viewGroup, which the user must belong to; or NULL */
};

/*
 * Adds the needs of a port. `device` is the Node's device string, `profile` the port's device
 * profile or NULL, `sys` is "/sys" except in tests. Returns the reason in words, or NULL with the
 * reason in *e: a PCI device that is not on this host. "" is a device with unknown needs.
 */
const char *mt_rights_add_port(struct mt_rights_profile *p, const char *device, const char *profile,
	const char *sys, struct mt_err *e);

/* Groups of calls (MT_CALLS_*) that the ports need until they are open; 0: none. */
uint32_t mt_rights_calls(const struct mt_rights_profile *p);

/* Adds the needs of a kernel socket that listens at this port; 0: none. */
void mt_rights_add_listener(struct mt_rights_profile *p, uint16_t port);

/*
 * Adds a directory that the daemon writes to, unless it is in one of the unit's or of the
 * profile's; NULL: none. The text must outlive the profile. False: it has MT_RIGHTS_PATHS others
 * already.
 */
bool mt_rights_add_path(struct mt_rights_profile *p, const char *path);

/* Names of capabilities, separated by blanks ("CAP_NET_RAW CAP_NET_ADMIN"); "": none. */
#define MT_RIGHTS_NAMES 256
const char *mt_rights_names(uint64_t capabilities, char buf[MT_RIGHTS_NAMES]);

/*
 * The first path or group that a unit cannot have: with blanks, quotes, backslashes, "%" or control
 * characters, which separate or replace words there. NULL: none.
 */
const char *mt_rights_misfit(const struct mt_rights_profile *p);

/* Prints the profile as rows of name and value. */
void mt_rights_print(const struct mt_rights_profile *p, FILE *out);
/*
 * Prints a drop-in of the unit, to be merged with the installed one. `from` names the Node
 * document. A node that needs nothing has a drop-in without settings.
 */
void mt_rights_print_unit(const struct mt_rights_profile *p, const char *from, FILE *out);
/* Prints the udev rule, or only a comment if the profile needs none. */
void mt_rights_print_udev(const struct mt_rights_profile *p, const char *from, FILE *out);
