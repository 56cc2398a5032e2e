/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi doctor`: the running daemon's own findings (`show health`), and those about the host:
 * hugepages, cores, clocks, devices. Host files are read below a root directory, so that a tree of
 * files can stand in for them.
 */
#pragma once

#include "shell.h"

#define DOCTOR_CORES 64
#define DOCTOR_PORTS 16

struct doctor_port {
	char name[32], device[64], interface[32]; /* interface: that of the kernel, or "" */
};

struct doctor {
	const char *root;		       /* "", or a directory to be used as / */
	bool daemon;			       /* the daemon answered */
	uint32_t cores[DOCTOR_CORES], n_cores; /* of the workers; n_cores 0: unknown */
	struct doctor_port ports[DOCTOR_PORTS];
	uint32_t n_ports;
	json_t *list; /* the findings, as in `show health` */
	const char *check;
	uint32_t n; /* findings of the present check */
};

/* The states of findings, as in `show health`. */
enum doctor_state { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_FAULT };

void doctor_found(struct doctor *d, enum doctor_state s, const char *about, const char *remedy,
	const char *fmt, ...) mt_printf(5, 6);

/*
 * doctor_read.c: reads a kernel file below the root, without the final line break. False if it
 * cannot be read.
 */
bool doctor_read(const struct doctor *d, char *buf, size_t size, const char *fmt, ...)
	mt_printf(4, 5);
/* Reads the last component of a link's target, such as "vfio-pci". False if it cannot be read. */
bool doctor_link(const struct doctor *d, char *buf, size_t size, const char *fmt, ...)
	mt_printf(4, 5);
/* True if `n` is in a list in the kernel's format, "0-3,8". */
bool doctor_listed(const char *list, uint32_t n);

typedef void doctor_check_fn(struct doctor *d);
doctor_check_fn doctor_pages, doctor_quota, doctor_clock, doctor_steal; /* doctor_host.c */
doctor_check_fn doctor_isolation, doctor_sleep, doctor_siblings;	/* doctor_cores.c */
doctor_check_fn doctor_pci, doctor_iommu, doctor_interfaces;		/* doctor_devices.c */
/*
 * The NUMA node of a PCI device, with the list of its cores in `cores`; -1 if the kernel names
 * none.
 */
int doctor_numa(const struct doctor *d, const char *pci, char *cores, size_t size);
/* True if the kernel has IOMMU groups. */
bool doctor_has_iommu(const struct doctor *d);
/* Takes cores and ports from member "node" of the answer to `--json show health`. */
void doctor_take_node(struct doctor *d, const json_t *node);

/* The findings that `meltemi --json doctor` prints; the caller owns the reference. */
json_t *doctor_findings(const char *socket);

/* Runs the command. Returns the exit code: 0 no fault, 1 a fault was found, 2 bad usage. */
int doctor_run(int argc, char **argv, const char *socket, bool json);
