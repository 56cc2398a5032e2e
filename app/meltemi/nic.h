/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi nic`: the PCI network cards of this host, from sysfs; gives one to DPDK and returns it,
 * and writes it into the Node document. Needs no daemon. Kernel files are read by doctor_read(),
 * below the same root directory as those of `doctor`. Their contents are not trusted: names are
 * escaped, and numbers that do not fit count as missing.
 */
#pragma once

#include "doctor.h"

#include "mt_addr.h"

#include <net/if.h>
#include <stdio.h>

#define NIC_CARDS     256
#define NIC_ADDRESSES 4096
#define NIC_USES      12
#define NIC_MISSING   4
#define NIC_SHARES    16
#define NIC_PCI	      24 /* "0000:3b:00.0", and longer domains */
#define NIC_VFIO      "vfio-pci"
#define NIC_DEVICES   "/sys/bus/pci/devices"

/* An address of a kernel interface. */
struct nic_address {
	char interface[IF_NAMESIZE];
	struct mt_addr a;
	uint8_t bits;
};

/* How the rest of the host uses a card. All but NIC_USE_DPDK refuse `bind` without --force. */
enum nic_use_kind {
	NIC_USE_ROUTE,
	NIC_USE_SESSION,
	NIC_USE_ADDRESS,
	NIC_USE_TCP,
	NIC_USE_MEMBER,
	NIC_USE_MELTEMID,
	NIC_USE_DPDK, /* a process has the card's VFIO group open */
};

struct nic_use {
	enum nic_use_kind kind;
	char words[160];
};

/* A device profile of pmd-config/ and its DPDK driver. */
struct nic_profile {
	const char *name;
	const char *library; /* librte_net_NAME.so */
	const char *package; /* of Debian 12 */
};

struct nic_missing {
	const char *what, *remedy;
};

struct nic_card {
	char address[NIC_PCI];
	uint32_t vendor, device;
	char name[256]; /* of pci.ids; "" if unknown, as all texts here */
	char driver[64], override[64];
	char interface[IF_NAMESIZE];
	char link[16];		   /* "up" or "down" */
	int32_t mbps, queues, mtu; /* -1: unknown */
	int32_t node;		   /* -1: none */
	char cores[256];	   /* of the NUMA node */
	int32_t group;		   /* of the IOMMU; -1: none */
	char physical[NIC_PCI];	   /* the card that this one is a virtual function of */
	/* Other devices of the group that keep it from user space, with their drivers. */
	char shares[NIC_SHARES][NIC_PCI + 64];
	uint32_t n_shares;
	struct nic_use uses[NIC_USES];
	uint32_t n_uses;
	const struct nic_profile *profile; /* NULL: none fits */
	struct nic_missing missing[NIC_MISSING];
	uint32_t n_missing;
};

struct nic {
	struct doctor host; /* root directory; ports and cores of a running daemon */
	bool silent;	    /* a daemon is there, and did not answer: its ports are not known */
	struct nic_address addresses[NIC_ADDRESSES];
	uint32_t n_addresses;
	struct mt_addr session; /* local address of the operator's SSH session */
	bool in_session;
	char state[256]; /* directory of records about bound cards, below the root */
	struct nic_card cards[NIC_CARDS];
	uint32_t n_cards;
};

/* True for a PCI address as the kernel writes it. */
bool nic_is_address(const char *text);

/* nic_scan.c: fills n->cards, in the order of their addresses. */
void nic_scan(struct nic *n);
/* The card with this PCI address or interface; NULL: there is none. */
struct nic_card *nic_find(struct nic *n, const char *name);
/* Reads a card's driver again, which bind and release change. */
void nic_driver(const struct nic *n, struct nic_card *c);

/* nic_profile.c */
const struct nic_profile *nic_profile_of(uint32_t vendor, uint32_t device);
/* Finds the names of all cards in pci.ids. */
void nic_names(struct nic *n);
/* Lists packages and files that the card's DPDK driver needs and the host lacks. */
void nic_needs(const struct nic *n, struct nic_card *c);
/* True if DPDK uses the card next to its kernel driver, so that it is never bound. */
bool nic_is_bifurcated(const struct nic_card *c);

/* nic_use.c: reads the addresses of this network namespace. */
void nic_addresses(struct nic *n);
/* Finds the SSH session of the caller: SSH_CONNECTION of this process or of one above it. */
void nic_session(struct nic *n);
/* Fills c->uses. */
void nic_uses(const struct nic *n, struct nic_card *c);
/* A route of the main table. */
struct nic_route {
	char interface[IF_NAMESIZE];
	struct mt_addr to, via; /* via: with RTF_GATEWAY only */
	uint8_t bits;
	unsigned int flags, metric;
};
/* The kernel's table of routes of IPv4 (`version` 4) or IPv6; NULL: it cannot be read. */
FILE *nic_routes_open(const struct nic *n, int version);
/* nic_network.c: parses a line of it. */
bool nic_route_parse(const char *line, int version, struct nic_route *r);
/* The first process with the card's VFIO group open, as "process 7 (name)"; false: none. */
bool nic_holder(const struct nic *n, const struct nic_card *c, char *words, size_t size);

/* nic_page.c */
void nic_print_list(const struct nic *n, bool json);
void nic_print_card(const struct nic *n, const struct nic_card *c, bool json);
/* The next steps for a card, as a list of texts. The caller owns the reference. */
json_t *nic_next(const struct nic *n, const struct nic_card *c);

/* nic_record.c: true if this card is bound and waits for confirmation; *path is its record. */
bool nic_waits(const struct nic *n, const char *pci, char *path, size_t size);
/* The result of the last rollback of this card; false: there was none since the last bind. */
bool nic_rolled_back(const struct nic *n, const char *pci, char *words, size_t size);

/* Runs the command. `socket`: of the daemon that may have ports on the cards. */
int nic_run(int argc, char **argv, const char *socket, bool json);
