/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that control groups (version 2) leave this process: systemd's MemoryMax=, a
 * container's limit. The kernel charges a process to its group and to all groups above it, so the
 * tightest one counts. Hugepages are not charged.
 */
#include "mt_port_priv.h"

#include <stdio.h>
#include <string.h>

#define PATH_MOST 1024 /* a longer path of a group is not looked at */

/* Reads the path of the process's group, without a slash at its end; false: it has none. */
static bool own_group(const char *proc, char group[PATH_MOST])
{
	char path[256], line[PATH_MOST];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/cgroup", proc);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, "0::/", 4) == 0 && strchr(line, '\n');
	fclose(f);
	/* "/../x" is a group outside of what is mounted here. */
	if (!found || strstr(line, "/.."))
		return false;
	line[strcspn(line, "\n")] = '\0';
	snprintf(group, PATH_MOST, "%s", strcmp(line, "0::/") == 0 ? "" : line + strlen("0::"));
	return true;
}

static FILE *open_file(const char *sys, const char *group, const char *name)
{
	char path[PATH_MOST + 256];

	snprintf(path, sizeof(path), "%s/fs/cgroup%s/%s", sys, group, name);
	return fopen(path, "re");
}

/* A number of bytes; UINT64_MAX: "max", or there is no such file. */
static uint64_t read_bytes(const char *sys, const char *group, const char *name)
{
	FILE *f = open_file(sys, group, name);
	unsigned long long n;

	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%llu", &n) != 1)
		n = UINT64_MAX;
	fclose(f);
	return n;
}

/* Bytes of files that the kernel drops before it refuses memory. */
static uint64_t reclaimable(const char *sys, const char *group)
{
	FILE *f = open_file(sys, group, "memory.stat");
	unsigned long long n;
	uint64_t sum = 0;
	char name[64];

	if (!f)
		return 0;
	while (fscanf(f, "%63s %llu", name, &n) == 2)
		if (strcmp(name, "inactive_file") == 0 || strcmp(name, "active_file") == 0)
			sum += n;
	fclose(f);
	return sum;
}

static void lower(struct mt_memory_bound *b, uint64_t bytes, const char *group)
{
	if (bytes >> 20 >= b->mb)
		return;
	b->mb = (uint32_t)(bytes >> 20);
	b->cgroup = true;
	snprintf(b->of, sizeof(b->of), "cgroup %.96s (memory.max, systemd's MemoryMax=)",
		*group ? group : "/");
}

/* Returns what the group has left of `max` bytes. */
static uint64_t left_of(const char *sys, const char *group, uint64_t max)
{
	uint64_t used = read_bytes(sys, group, "memory.current");

	if (used == UINT64_MAX)
		return max;
	used -= MT_MIN(used, reclaimable(sys, group));
	return max - MT_MIN(max, used);
}

void mt_cgroup_memory(const char *proc, const char *sys, bool left, struct mt_memory_bound *b)
{
	char group[PATH_MOST], *slash;

	if (!own_group(proc, group))
		return;
	do {
		uint64_t max = read_bytes(sys, group, "memory.max");

		if (max != UINT64_MAX)
			lower(b, left ? left_of(sys, group, max) : max, group);
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}
