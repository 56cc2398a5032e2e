/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile: one sheet of pmd-config/, that is what a family of devices needs and what may be relied
 * on. Read on the control thread at boot; unknown keys and wrong values are refused with file and line.
 */
#pragma once

#include "mt_port.h"

#define MT_PROFILE_ARGS	   12
#define MT_PROFILE_DRIVERS 6

enum mt_port_switch {
	MT_SWITCH_AUTO, /* used when the device offers it */
	MT_SWITCH_ON,	/* required: bring-up fails without it */
	MT_SWITCH_OFF,
};

/* How receive queues come to be, and what spreads flows over them. */
enum mt_port_queues {
	MT_QUEUES_SINGLE, /* one queue; the software distributor spreads */
	MT_QUEUES_EACH, /* one per worker; what spreads is not ours to know: distributor re-checks */
	MT_QUEUES_RSS,	/* one per worker, spread by Toeplitz with our key and RETA */
};

/* How long a frame a driver takes, when that depends on one of its arguments. */
enum mt_port_framing {
	MT_FRAMING_MTU,	   /* the device takes what its MTU says */
	MT_FRAMING_RING,   /* af_packet: framesz less its headers */
	MT_FRAMING_BUFFER, /* one mbuf's data room */
};

/* What tells a sleeping worker that a packet has come. */
enum mt_port_wakeup {
	MT_WAKEUP_NONE,	     /* nothing: it has to look */
	MT_WAKEUP_SOCKET,    /* the packet sockets that the driver opens at its probe */
	MT_WAKEUP_INTERRUPT, /* the ethdev's receive interrupts */
};

struct mt_port_arg {
	char key[32];
	char value[96]; /* may name {workers}, {frame}, {frames}, {block} or {buffer} */
};

struct mt_profile {
	char name[32];
	char file[256];
	char drivers[MT_PROFILE_DRIVERS][32]; /* DPDK driver names that this sheet is for */
	uint16_t n_drivers;
	uint16_t rx_desc, tx_desc; /* 0: the driver's own choice */
	uint16_t burst;
	uint16_t mtu, mtu_min, mtu_max;
	enum mt_port_queues queues;
	uint16_t queues_max;
	enum mt_port_framing framing;
	uint16_t framing_overhead;
	enum mt_port_switch rx_checksum, tx_checksum, vlan_strip;
	bool tx_chains, rx_superframes, tx_holds, rx_shared;
	uint16_t tx_min_len;
	enum mt_port_wakeup wakeup;
	/* iface= names a kernel interface that must exist: always, if it is written, never */
	enum mt_port_switch interface;
	bool makes_interface; /* the driver makes the kernel interface named by iface= */
	bool set_mtu;	      /* rte_eth_dev_set_mtu() does something useful */
	bool link_restart; /* a port without link is stopped and started until its peer is there */
	struct mt_port_arg args[MT_PROFILE_ARGS];
	uint16_t n_args;
};

/* Reads one sheet. 0 or -errno; `e` names file, line and remedy. */
int mt_profile_read(const char *file, struct mt_profile *p, struct mt_err *e);

/*
 * Finds the sheet for a port: `profile` names a file (it has a slash), a sheet, or is NULL, and then
 * the sheet is the one for `driver` (a vdev's name without its number, or the ethdev's driver name).
 * Sheets are looked for in $MELTEMI_PMD_CONFIG, beside the installed program, and in the source tree
 * that the program was built from. 0 or -errno.
 */
int mt_profile_find(
	const char *profile, const char *driver, struct mt_profile *p, struct mt_err *e);
