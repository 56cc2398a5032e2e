/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of cards that were bound, in NIC_STATE: ADDRESS.json of a bound card, and
 * ADDRESS.TOKEN.waiting until the operator confirms. The token keeps the process that restores one
 * record from taking a later one. A process owns a record after it renamed it, so that confirmation
 * and restoration exclude each other. Root obeys records, so that their directory is not below
 * /var/lib/meltemi, which belongs to the daemon's user.
 */
#include "nic_bind.h"

#include "mt_file.h"
#include "mt_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define WAITING ".waiting"

static void path_of(const struct nic_task *t, char *path, size_t size, const char *suffix)
{
	snprintf(path, size, "%s/%s%s", t->n->state, t->pci, suffix);
}

/* Overrides end with the boot, so that a record of an earlier one is out of date. */
static void boot_id(const struct nic *n, char id[64])
{
	if (!doctor_read(&n->host, id, 64, "/proc/sys/kernel/random/boot_id"))
		id[0] = '\0';
}

json_t *nic_record_read(const struct nic_task *t)
{
	char path[512], boot[64];
	json_t *record;

	path_of(t, path, sizeof(path), ".json");
	record = json_load_file(path, 0, NULL);
	boot_id(t->n, boot);
	if (record && strcmp(text_in(record, "boot"), boot) == 0)
		return record;
	json_decref(record);
	return NULL;
}

/* ---- VFIO's mode without IOMMU --------------------------------------------------------------- */

/*
 * Cards share this mode, so that the records of all that need it have its origin, and the last one
 * restores it. Excludes other processes that change such records; returns -1 without the directory.
 */
static int lock(const struct nic *n)
{
	int fd = open(n->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)flock(fd, LOCK_EX);
	return fd;
}

/* Child processes may have the descriptor as well. */
static void unlock(int fd)
{
	if (fd >= 0) {
		(void)flock(fd, LOCK_UN);
		close(fd);
	}
}

/* The origin in a record of this boot; "": the card does not need the mode. */
static void origin_in(const struct nic *n, const char *name, char origin[8])
{
	char path[512], boot[64];
	json_t *record;

	snprintf(path, sizeof(path), "%s/%.128s", n->state, name);
	record = json_load_file(path, 0, NULL);
	boot_id(n, boot);
	if (strcmp(text_in(record, "boot"), boot) == 0)
		snprintf(origin, 8, "%s", text_in(record, "unsafe"));
	json_decref(record);
}

/* Finds the origin in the records of other cards. False: no other card needs the mode. */
static bool origin_of_others(const struct nic_task *t, char origin[8])
{
	size_t len = strlen(t->pci);
	DIR *d = opendir(t->n->state);
	struct dirent *e;

	origin[0] = '\0';
	while (d && !origin[0] && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' &&
			(strncmp(e->d_name, t->pci, len) != 0 || e->d_name[len] != '.'))
			origin_in(t->n, e->d_name, origin);
	if (d)
		closedir(d);
	return origin[0] != '\0';
}

bool nic_needs_unsafe(const struct nic_task *t)
{
	return t->c->group < 0 && t->no_iommu && strcmp(t->driver, NIC_VFIO) == 0;
}

static void find_origin(const struct nic_task *t, const json_t *earlier, char origin[8])
{
	snprintf(origin, 8, "%s", text_in(earlier, "unsafe"));
	if (!origin[0] && nic_needs_unsafe(t) && !origin_of_others(t, origin))
		(void)doctor_read(&t->n->host, origin, 8, NIC_UNSAFE_FILE);
}

/* Restores the mode unless another card needs it. */
static bool restore_mode(struct nic_task *t, const json_t *record)
{
	const char *origin = text_in(record, "unsafe");
	char now[8], others[8];

	return !*origin || origin_of_others(t, others) ||
	       !doctor_read(&t->n->host, now, sizeof(now), NIC_UNSAFE_FILE) ||
	       strcmp(now, origin) == 0 || nic_sysfs_write(t, origin, NIC_UNSAFE_FILE);
}

/* ---- make, save ------------------------------------------------------------------------------ */

static json_t *make(const struct nic_task *t)
{
	const struct nic_card *c = t->c;
	json_t *earlier = nic_record_read(t), *record;
	char boot[64], unsafe[8];

	boot_id(t->n, boot);
	find_origin(t, earlier, unsafe);
	record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "boot", boot, "driver",
		earlier ? text_in(earlier, "driver") : c->driver, "override",
		earlier ? text_in(earlier, "override") : c->override, "bound", t->driver, "unsafe",
		unsafe, "network", nic_network_save(t->n, c));
	json_decref(earlier);
	return record;
}

/* The directory, and the one above it, which a host without a daemon lacks. */
static int make_directory(const char *path, struct mt_err *e)
{
	char above[256];
	int rc;

	snprintf(above, sizeof(above), "%s", path);
	*strrchr(above, '/') = '\0';
	rc = mt_file_directory(above, 0700, e);
	return rc ? rc : mt_file_directory(path, 0700, e);
}

static int save(struct nic_task *t, const json_t *record, struct mt_err *e)
{
	char suffix[32], *text = json_dumps(record, JSON_INDENT(2));
	uint32_t token = 0;
	int rc;

	(void)!getrandom(&token, sizeof(token), 0);
	snprintf(suffix, sizeof(suffix), ".%08x" WAITING, token);
	path_of(t, t->claim, sizeof(t->claim), suffix);
	rc = text ? mt_file_replace(t->claim, text, strlen(text), 0600, e)
		  : mt_err(e, -ENOMEM, "no memory");
	free(text);
	return rc;
}

json_t *nic_record_make(struct nic_task *t)
{
	json_t *record = NULL;
	struct mt_err e;
	int rc = make_directory(t->n->state, &e), fd;

	if (rc == 0) {
		fd = lock(t->n);
		record = make(t);
		rc = save(t, record, &e);
		unlock(fd);
	}
	if (rc == 0)
		return record;
	snprintf(t->why, sizeof(t->why), "%s", e.text);
	json_decref(record);
	return NULL;
}

/* True if the record is of this boot. Otherwise deletes it, because the boot undid the bind. */
static bool is_fresh(const struct nic *n, const char *path)
{
	json_t *record = json_load_file(path, 0, NULL);
	char boot[64];
	bool fresh;

	boot_id(n, boot);
	fresh = record && strcmp(text_in(record, "boot"), boot) == 0;
	json_decref(record);
	if (!fresh)
		(void)unlink(path);
	return fresh;
}

bool nic_waits(const struct nic *n, const char *pci, char *path, size_t size)
{
	size_t len = strlen(pci), end = sizeof(WAITING) - 1;
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(n->state);

	while (d && !found && (e = readdir(d)) != NULL) {
		size_t name = strlen(e->d_name);

		if (name <= len + end || strncmp(e->d_name, pci, len) != 0 ||
			e->d_name[len] != '.' || strcmp(e->d_name + name - end, WAITING) != 0)
			continue;
		snprintf(path, size, "%s/%.128s", n->state, e->d_name);
		found = is_fresh(n, path);
	}
	if (d)
		closedir(d);
	return found;
}

bool nic_rolled_back(const struct nic *n, const char *pci, char *words, size_t size)
{
	char path[512], raw[512];
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.last", n->state, pci);
	f = fopen(path, "re");
	if (f) {
		len = fread(raw, 1, sizeof(raw) - 1, f);
		fclose(f);
	}
	raw[len] = '\0';
	mt_escape(words, size, raw);
	return len > 0;
}

void nic_record_result(const struct nic_task *t, const char *words)
{
	char path[512];
	struct mt_err e;

	path_of(t, path, sizeof(path), ".last");
	if (words)
		(void)mt_file_replace(path, words, strlen(words), 0600, &e);
	else
		(void)unlink(path);
}

bool nic_record_confirm(struct nic_task *t)
{
	char to[512];

	path_of(t, to, sizeof(to), ".json");
	return (t->claim[0] || nic_waits(t->n, t->pci, t->claim, sizeof(t->claim))) &&
	       rename(t->claim, to) == 0;
}

bool nic_record_claim(struct nic_task *t)
{
	char to[sizeof(t->claim)];
	size_t n;

	if (!t->claim[0] && !nic_waits(t->n, t->pci, t->claim, sizeof(t->claim)))
		return false;
	n = strlen(t->claim) - (sizeof(WAITING) - 1);
	snprintf(to, sizeof(to), "%.*s.undo", (int)n, t->claim);
	if (rename(t->claim, to))
		return false;
	memcpy(t->claim, to, sizeof(to));
	return true;
}

void nic_record_drop(struct nic_task *t, bool all)
{
	char path[512];

	path_of(t, path, sizeof(path), ".json");
	if (t->claim[0])
		(void)unlink(t->claim);
	if (all)
		(void)unlink(path);
	t->claim[0] = '\0';
}

bool nic_record_restore(struct nic_task *t, const json_t *record)
{
	bool ok;
	int fd;

	if (!nic_sysfs_move(t, text_in(record, "override"), text_in(record, "driver")))
		return false;
	ok = nic_network_restore(t, json_object_get(record, "network"));
	fd = lock(t->n);
	ok &= restore_mode(t, record);
	if (ok)
		nic_record_drop(t, true);
	unlock(fd);
	return ok;
}
