/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: how much is available, and whether it comes from hugepages. */
#include "mt_port_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* MB of hugepages of all sizes; `file` has how many there are of one. */
static uint32_t hugepages(const char *sys, const char *file)
{
	char dir[256], path[600];
	struct dirent *ent;
	uint64_t kb = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/kernel/mm/hugepages", sys);
	d = opendir(dir);
	if (!d)
		return 0;
	while ((ent = readdir(d))) {
		unsigned long long size;

		if (sscanf(ent->d_name, "hugepages-%llukB", &size) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, ent->d_name, file);
		kb += size * read_number(path);
	}
	closedir(d);
	return (uint32_t)(kb >> 10);
}

uint32_t mt_hugepages_free(const char *sys)
{
	return hugepages(sys, "free_hugepages");
}

uint32_t mt_hugepages_all(const char *sys)
{
	return hugepages(sys, "nr_hugepages");
}

/* The machine's memory that can be had without swapping, MB; UINT32_MAX: not known. */
static uint32_t available(const char *proc)
{
	char path[256], line[128];
	unsigned long long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/meminfo", proc);
	f = fopen(path, "re");
	if (!f)
		return UINT32_MAX;
	while (fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu kB", &kb) != 1)
		;
	fclose(f);
	return kb ? (uint32_t)MT_MIN(kb >> 10, UINT32_MAX - 1ull) : UINT32_MAX;
}

void mt_memory_free(const char *proc, const char *sys, struct mt_memory_bound *b)
{
	*b = (struct mt_memory_bound){.mb = available(proc), .of = "this machine"};
	mt_cgroup_memory(proc, sys, true, b);
}

void mt_memory_most(const char *proc, const char *sys, bool huge, struct mt_memory_bound *b)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t mb = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size >> 20 : UINT32_MAX;

	*b = (struct mt_memory_bound){
		.mb = (uint32_t)MT_MIN(mb, (uint64_t)UINT32_MAX), .of = "this machine"};
	if (!huge)
		mt_cgroup_memory(proc, sys, false, b);
}

int mt_memory_fits(uint32_t mb, const struct mt_memory_bound *b, struct mt_err *e)
{
	if (mb <= b->mb)
		return 0;
	return mt_err(e, -ENOMEM,
		"%u MB wanted, and %s has %u MB free, not in hugepages: lower "
		"spec.memory.mb, %s",
		mb, b->of, b->mb,
		b->cgroup ? "or raise the cgroup's limit (`systemctl edit meltemid`)"
			  : "or end what holds the rest (`ps aux --sort=-rss | head`)");
}

int mt_hugepages_choose(enum mt_eal_pages wanted, uint32_t mb, uint32_t free_mb, char *words,
	size_t room, struct mt_err *e)
{
	if (wanted == MT_EAL_PAGES_OFF) {
		snprintf(words, room, "%u MB without hugepages, as configured", mb);
		return 0;
	}
	if (free_mb >= mb) {
		snprintf(words, room, "%u MB in hugepages (%u MB are free)", mb, free_mb);
		return 1;
	}
	if (wanted == MT_EAL_PAGES_ON)
		return mt_err(e, -ENOMEM,
			"%u MB of hugepages wanted, %u MB are free: run `sysctl -w "
			"vm.nr_hugepages=%u`, or set spec.memory.hugepages to auto",
			mb, free_mb, (mb + 1) / 2 + 16);
	snprintf(words, room,
		"%u MB without hugepages: %u MB of them are free (`sysctl -w vm.nr_hugepages=%u` "
		"makes them, and packets faster)",
		mb, free_mb, (mb + 1) / 2 + 16);
	return 0;
}
