/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile: one file of pmd-config/ with the needs and properties of a family of devices. Read on
 * the control thread at boot; unknown keys and wrong values are rejected with file and line.
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

/* Number of receive queues, and what spreads flows over them. */
enum mt_port_queues {
	MT_QUEUES_SINGLE, /* one queue; the software distributor spreads flows */
	/*
	 * one per worker; the kernel or device spreads flows in an unknown way, so the distributor
	 * checks each
	 */
	MT_QUEUES_EACH,
	MT_QUEUES_RSS, /* one per worker, spread by Toeplitz with lib/steer's key and RETA */
};

/* What limits the length of a frame in the driver. */
enum mt_port_framing {
	MT_FRAMING_MTU,	   /* the MTU */
	MT_FRAMING_RING,   /* af_packet: framesz minus its headers */
	MT_FRAMING_BUFFER, /* the data room of one mbuf */
};

/* How a sleeping worker learns that a packet has arrived. */
enum mt_port_wakeup {
	MT_WAKEUP_NONE,	     /* not at all: it must poll */
	MT_WAKEUP_SOCKET,    /* the packet sockets that the driver opens during probe */
	MT_WAKEUP_INTERRUPT, /* the ethdev's receive interrupts */
};

struct mt_port_arg {
	char key[32];
	char value[96]; /* may be {workers}, {frame}, {frames}, {block} or {buffer} */
};

struct mt_profile {
	char name[32];
	char file[256];
	char drivers[MT_PROFILE_DRIVERS][32]; /* DPDK driver names that this profile is for */
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
	/*
	 * Whether iface= names a kernel interface that must exist: always, if it is given, never.
	 */
	enum mt_port_switch interface;
	bool makes_interface; /* the driver makes the kernel interface named by iface= */
	bool set_mtu;	      /* rte_eth_dev_set_mtu() has an effect */
	bool link_restart; /* a port without link is stopped and started until its peer answers */
	struct mt_port_arg args[MT_PROFILE_ARGS];
	uint16_t n_args;
};

/* Reads one profile. Returns 0 or -errno; `e` names file, line and remedy. */
int mt_profile_read(const char *file, struct mt_profile *p, struct mt_err *e);

/*
 * Finds the profile for a port. `profile` is a file (if it contains a slash), the name of a
 * profile, or NULL for the one that lists `driver` (a vdev's name without its number, or the
 * ethdev's driver name). Searches $MELTEMI_PMD_CONFIG, the directory next to the installed program,
 * and the source tree from which the program was built. Returns 0 or -errno.
 */
int mt_profile_find(
	const char *profile, const char *driver, struct mt_profile *p, struct mt_err *e);
