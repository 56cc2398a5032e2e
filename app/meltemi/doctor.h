/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi doctor`: what the running daemon says of itself (`show health`), and what the host says: hugepages,
 * cores, clocks, devices. The host is read below a root directory, so that a tree of files can stand for it.
 */
#pragma once

#include "shell.h"

#include <jansson.h>

#define DOCTOR_CORES 64
#define DOCTOR_PORTS 16

struct doctor_port {
	char name[32], device[64], interface[32]; /* interface: the kernel's, or "" */
};

struct doctor {
	const char *root;		       /* "" or a directory that stands for / */
	bool daemon;			       /* it answered */
	uint32_t cores[DOCTOR_CORES], n_cores; /* of the workers; 0: not known */
	struct doctor_port ports[DOCTOR_PORTS];
	uint32_t n_ports;
	json_t *list; /* of findings, as in `show health` */
	const char *check;
	uint32_t n; /* findings of this check */
};

/* Shape and states of `show health`. */
enum doctor_state { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_FAULT };

void doctor_found(struct doctor *d, enum doctor_state s, const char *about, const char *remedy,
	const char *fmt, ...) mt_printf(5, 6);

/* doctor_read.c: a file of the kernel below the root, without the line break; false: it is not there. */
bool doctor_read(const struct doctor *d, char *buf, size_t size, const char *fmt, ...)
	mt_printf(4, 5);
/* The last part of where a link points, "vfio-pci". */
bool doctor_link(const struct doctor *d, char *buf, size_t size, const char *fmt, ...)
	mt_printf(4, 5);
/* Whether `n` is in a list as the kernel writes it, "0-3,8". */
bool doctor_listed(const char *list, uint32_t n);

/* doctor_host.c */
void doctor_pages(struct doctor *d);
void doctor_quota(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_steal(struct doctor *d);
/* doctor_cores.c */
void doctor_isolation(struct doctor *d);
void doctor_sleep(struct doctor *d);
void doctor_siblings(struct doctor *d);
/* doctor_devices.c */
void doctor_pci(struct doctor *d);
void doctor_iommu(struct doctor *d);
void doctor_interfaces(struct doctor *d);

/* What `meltemi --json doctor` prints. A new reference. */
json_t *doctor_findings(const char *socket);

/* The command; the exit code: 0 nothing is wrong, 1 a fault was found, 2 bad usage. */
int doctor_run(int argc, char **argv, const char *socket, bool json);
