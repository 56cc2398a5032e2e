/* SPDX-License-Identifier: Apache-2.0 */
/* `meltemi nic bind`, `confirm` and `release`. */
#include "nic_bind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- reasons against it ---------------------------------------------------------------------- */

static void complain(const struct nic_task *t, const char *words, const char *remedy)
{
	fprintf(stderr, "meltemi: %s: %s\n", t->pci, words);
	if (remedy)
		fprintf(stderr, "  remedy: %s\n", remedy);
}

/* Uses of the card that end when its driver changes. Returns their number. */
static uint32_t refuse_uses(const struct nic_task *t)
{
	for (uint32_t i = 0; i < t->c->n_uses && !t->force; i++)
		complain(t, t->c->uses[i].words, NULL);
	if (t->c->n_uses && !t->force)
		fprintf(stderr, "  remedy: move these to another card, or give --force: all of "
				"this is cut off, until the rollback at least\n");
	return t->force ? 0 : t->c->n_uses;
}

static bool exists(const struct nic_task *t, const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s%s", t->n->host.root, directory, name);
	return access(path, F_OK) == 0;
}

static uint32_t refuse_group(const struct nic_task *t)
{
	if (t->c->group >= 0) {
		for (uint32_t i = 0; i < t->c->n_shares && !t->force; i++)
			complain(t, t->c->shares[i],
				"this device is in the same IOMMU group, and DPDK gets all or none "
				"of them: bind it, too (the first one with --force), or use "
				"another slot");
		return t->force ? 0 : t->c->n_shares;
	}
	if (!t->no_iommu)
		complain(t, "the card is in no IOMMU group: the IOMMU is off",
			"boot with intel_iommu=on iommu=pt (or amd_iommu=on), and VT-d in the "
			"firmware; or give --no-iommu: the card can then read and write all memory "
			"of the host, meltemid needs CAP_SYS_RAWIO, and keeps CAP_SYS_ADMIN");
	else if (!exists(t, NIC_UNSAFE_FILE, ""))
		complain(t, "the kernel has no mode without IOMMU",
			"modprobe vfio, and a kernel with CONFIG_VFIO_NOIOMMU");
	else
		return 0;
	return 1;
}

static uint32_t refuse_driver(const struct nic_task *t)
{
	char words[128], remedy[128];

	if (exists(t, "/sys/bus/pci/drivers/", t->driver))
		return 0;
	snprintf(words, sizeof(words), "the driver %.64s is not loaded", t->driver);
	snprintf(remedy, sizeof(remedy), "modprobe %.64s", t->driver);
	complain(t, words, remedy);
	return 1;
}

static uint32_t refuse_sysfs(const struct nic_task *t)
{
	char path[512];

	snprintf(path, sizeof(path), "%s" NIC_DEVICES "/%s/driver_override", t->n->host.root,
		t->pci);
	if (access(path, W_OK) == 0)
		return 0;
	complain(t, path,
		errno == EROFS ? "sysfs is read-only here: run this on the host, not in a container"
		: errno == ENOENT ? "the kernel has no driver_override for this device"
				  : "this user may not write it: run this as root");
	return 1;
}

static bool may_bind(const struct nic_task *t)
{
	char path[512];

	if (nic_is_bifurcated(t->c)) {
		complain(t,
			"cards of this kind keep their kernel driver, next to which DPDK uses "
			"them: they are not bound",
			"meltemi nic write");
		return false;
	}
	if (nic_waits(t->n, t->pci, path, sizeof(path))) {
		complain(t, "an earlier bind waits for confirmation",
			"meltemi nic confirm, or meltemi nic release");
		return false;
	}
	return refuse_uses(t) + refuse_driver(t) +
		       (strcmp(t->driver, NIC_VFIO) == 0 ? refuse_group(t) : 0) + refuse_sysfs(t) ==
	       0;
}

/* ---- bind ------------------------------------------------------------------------------------ */

static bool change(struct nic_task *t)
{
	if (nic_needs_unsafe(t) && !nic_sysfs_write(t, "Y", NIC_UNSAFE_FILE))
		return false;
	return nic_sysfs_move(t, t->driver, t->driver);
}

/*
 * True if the guard, on SIGTERM, or a release has taken the record. The card changes under a bind
 * that has not ended then, so that its own errors mislead.
 */
static bool is_taken(const struct nic_task *t)
{
	json_t *confirmed;
	bool taken;

	if (access(t->claim, F_OK) == 0)
		return false;
	confirmed = nic_record_read(t);
	taken = !confirmed;
	json_decref(confirmed);
	return taken;
}

/* Returns to the earlier state after a failure, unless another process has begun to do so. */
static void undo(struct nic_task *t, const json_t *record)
{
	if (is_taken(t)) {
		complain(t, "rolled back before it was done", NULL);
		return;
	}
	complain(t, t->why, NULL);
	if (!nic_record_claim(t))
		return;
	if (nic_record_restore(t, record)) {
		fprintf(stderr, "  the card is as it was before\n");
		return;
	}
	complain(t, t->why, "meltemi nic release");
	(void)nic_record_confirm(t);
}

static void report(const struct nic_task *t, const char *before)
{
	printf("%s: bound to %s (before: %s)\n", t->pci, t->driver, *before ? before : "no driver");
	if (t->confirm_ms)
		printf("It returns in %llu s unless you run: meltemi nic confirm %s\n",
			(unsigned long long)(t->confirm_ms / 1000), t->pci);
	fflush(stdout);
}

int nic_bind(struct nic_task *t)
{
	char before[64];
	json_t *record;
	bool ok;

	snprintf(before, sizeof(before), "%s", t->c->driver);
	if (strcmp(before, t->driver) == 0) {
		printf("%s: has the driver %s already\n", t->pci, before);
		return EXIT_DONE;
	}
	if (!may_bind(t))
		return EXIT_REFUSED;
	record = nic_record_make(t);
	if (!record || (t->confirm_ms && !nic_guard_start(t, record))) {
		complain(t, t->why, NULL);
		nic_record_drop(t, false);
		json_decref(record);
		return EXIT_REFUSED;
	}
	nic_record_result(t, NULL);
	ok = change(t) && !is_taken(t);
	if (t->confirm_ms)
		close(t->binding);
	if (!ok)
		undo(t, record);
	else if (!t->confirm_ms)
		(void)nic_record_confirm(t);
	if (ok)
		report(t, before);
	json_decref(record);
	return ok ? EXIT_DONE : EXIT_REFUSED;
}

/* ---- confirm, release ------------------------------------------------------------------------ */

int nic_confirm(struct nic_task *t)
{
	struct nic_card *only = t->c;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n->n_cards; i++) {
		t->c = &t->n->cards[i];
		snprintf(t->pci, sizeof(t->pci), "%s", t->c->address);
		t->claim[0] = '\0';
		if ((only && t->c != only) || !nic_record_confirm(t))
			continue;
		printf("%s: keeps the driver %s\n", t->pci, t->c->driver);
		n++;
	}
	if (n)
		return EXIT_DONE;
	fprintf(stderr, "meltemi: no card waits for confirmation: `meltemi nic show ADDRESS` shows "
			"whether a rollback has happened\n");
	return EXIT_REFUSED;
}

/* A write to unbind would block until that process closes the card. */
static bool may_release(const struct nic_task *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->c->n_uses && !t->force; i++) {
		if (t->c->uses[i].kind != NIC_USE_MELTEMID && t->c->uses[i].kind != NIC_USE_DPDK)
			continue;
		complain(t, t->c->uses[i].words, "stop that program first, or give --force");
		n++;
	}
	return n + refuse_sysfs(t) == 0;
}

int nic_release(struct nic_task *t)
{
	bool waits = nic_record_claim(t), ok;
	json_t *record;

	if (!waits && !may_release(t))
		return EXIT_REFUSED;
	record = waits ? json_load_file(t->claim, 0, NULL) : nic_record_read(t);
	if (!record && !t->c->override[0] && t->c->driver[0] &&
		strcmp(t->c->driver, NIC_VFIO) != 0) {
		printf("%s: has the driver %s, and no override\n", t->pci, t->c->driver);
		return EXIT_DONE;
	}
	/* Addresses of an earlier time may have other owners now. */
	if (!waits && record)
		(void)json_object_set_new(record, "network", json_null());
	ok = record ? nic_record_restore(t, record) : nic_sysfs_move(t, "", NULL);
	if (ok && !record)
		nic_record_drop(t, true);
	json_decref(record);
	nic_driver(t->n, t->c);
	if (ok) {
		printf("%s: returned to %s\n", t->pci,
			t->c->driver[0] ? t->c->driver : "no driver");
		return EXIT_DONE;
	}
	complain(t, t->why, NULL);
	if (waits)
		(void)nic_record_confirm(t);
	return EXIT_REFUSED;
}
