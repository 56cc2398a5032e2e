/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives a card to another driver and returns it, by driver_override of sysfs. The earlier state is
 * in a record on disk, from which a process of its own restores it unless the operator confirms.
 */
#pragma once

#include "nic.h"

#define NIC_CONFIRM_MS	60000
#define NIC_TIMEOUT_MS	10000
#define NIC_STATE	"/run/meltemi-nic"
#define NIC_UNSAFE_FILE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

struct nic_task {
	struct nic *n;
	struct nic_card *c;
	char pci[NIC_PCI];   /* its address */
	const char *driver;  /* to bind */
	uint64_t confirm_ms; /* 0: no confirmation is necessary */
	uint64_t timeout_ms; /* of each write to sysfs, and for its effect */
	bool force, no_iommu;
	char why[512];	 /* the last error */
	char claim[512]; /* path of the record that this process works on; "": none */
	int binding;	 /* with confirm_ms: its close() starts the guard's time */
};

/* nic_sysfs.c. False with t->why. */
/*
 * Writes to a kernel file below the root. A child process does it, because the kernel may block the
 * writer for as long as another process has the device open.
 */
bool nic_sysfs_write(struct nic_task *t, const char *text, const char *fmt, ...) mt_printf(3, 4);
/*
 * Moves the card to the driver `want` by the override, or, if that is "", to one that the kernel
 * chooses. `want` NULL: any driver.
 */
bool nic_sysfs_move(struct nic_task *t, const char *override, const char *want);

/* Now, in ms; counts while the host sleeps. */
uint64_t nic_now(void);
void nic_sleep(uint64_t ms);

/* nic_record.c: what must be restored. */
/*
 * Makes a record of the card as it is, and saves it as one that waits for confirmation, with its
 * path in t->claim. Keeps the origin of an earlier record of the card, and VFIO's mode of the first
 * card that needs it. Returns the record, which the caller owns, or NULL with t->why.
 */
json_t *nic_record_make(struct nic_task *t);
/* True if the bind needs VFIO's mode without IOMMU. */
bool nic_needs_unsafe(const struct nic_task *t);
/* The record of a bound card, made since the host booted; NULL: none. The caller owns it. */
json_t *nic_record_read(const struct nic_task *t);
/*
 * Takes the record in t->claim, or a waiting one of the card, from every other process: as bound
 * (`confirm`), or to restore it. False if there is none, or another process was faster.
 */
bool nic_record_confirm(struct nic_task *t);
bool nic_record_claim(struct nic_task *t);
/* Deletes the claimed record and, with `all`, that of the bound card. */
void nic_record_drop(struct nic_task *t, bool all);
/* Keeps the result of a rollback for `show`; NULL: deletes it. */
void nic_record_result(const struct nic_task *t, const char *words);
/*
 * Restores a card and its interface from a record, and VFIO's mode if no other card needs it; then
 * deletes the records of the card. False with t->why.
 */
bool nic_record_restore(struct nic_task *t, const json_t *record);

/* nic_network.c: addresses, routes, state and master of the card's interface, as JSON. */
json_t *nic_network_save(const struct nic *n, const struct nic_card *c);
/* Waits for the interface, and sets what was saved by ip(8). False with t->why. */
bool nic_network_restore(struct nic_task *t, const json_t *network);

/*
 * nic_guard.c: starts the process that restores the record in t->claim t->confirm_ms after the
 * caller closes t->binding, or ends. It is independent of this process and its terminal. False with
 * t->why.
 */
bool nic_guard_start(struct nic_task *t, const json_t *record);

/* nic_write.c: adds the card to a Node document. Returns the exit code, after messages. */
struct nic_write {
	const char *node, *name;
	const char *addresses[16];
	uint32_t n_addresses;
	bool check;  /* show the change, write nothing */
	bool rights; /* also of the unit */
};
int nic_write(struct nic_task *t, const struct nic_write *w);

/* nic_bind.c. They return exit codes after messages. */
int nic_bind(struct nic_task *t);
int nic_release(struct nic_task *t);
/* `c` NULL: confirms all cards. */
int nic_confirm(struct nic_task *t);
