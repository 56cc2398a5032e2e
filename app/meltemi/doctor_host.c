/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, CPU time and clocks of the host. */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

/* The number after "Name:" in /proc/meminfo; -1 if it is not there. */
static long meminfo(const char *all, const char *name)
{
	const char *at = strstr(all, name);

	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

void doctor_pages(struct doctor *d)
{
	char text[8192];
	long total, free_pages, kb;

	if (!doctor_read(d, text, sizeof(text), "/proc/meminfo"))
		return;
	total = meminfo(text, "HugePages_Total:");
	free_pages = meminfo(text, "HugePages_Free:");
	kb = meminfo(text, "Hugepagesize:");
	if (total <= 0)
		doctor_found(d, DOCTOR_WARNING, "",
			"sysctl -w vm.nr_hugepages=1024 (and in /etc/sysctl.d), then restart "
			"meltemid",
			"no hugepages are set aside: buffers are in small pages, which costs TLB "
			"misses, and devices bound to vfio-pci need them");
	else if (free_pages == 0 && !d->daemon)
		doctor_found(d, DOCTOR_WARNING, "", "raise vm.nr_hugepages",
			"all %ld hugepages of %ld KB are taken by other programs", total, kb);
}

/* "max 100000" or "50000 100000": microseconds of CPU time in each period. */
void doctor_quota(struct doctor *d)
{
	char text[128];
	long quota, period;

	if (!doctor_read(d, text, sizeof(text), "/sys/fs/cgroup/cpu.max"))
		return;
	if (sscanf(text, "%ld %ld", &quota, &period) == 2 && period > 0)
		doctor_found(d, DOCTOR_WARNING, "",
			"give the service no CPUQuota= (systemd) or CPU limit (container): a "
			"polling worker that is throttled stops for many milliseconds",
			"a CPU quota of %ld.%02ld cores is set for this control group",
			quota / period, quota % period * 100 / period);
}

static void check_source(struct doctor *d)
{
	char text[64];

	if (!doctor_read(d, text, sizeof(text),
		    "/sys/devices/system/clocksource/clocksource0/current_clocksource"))
		return;
	/* Paravirtual clocks cost no more, because they read the TSC in user space. */
	if (strcmp(text, "tsc") != 0 && strcmp(text, "kvm-clock") != 0 &&
		strcmp(text, "hyperv_clocksource_tsc_page") != 0)
		doctor_found(d, DOCTOR_WARNING, text,
			"see `dmesg | grep -i tsc` why the kernel gave the TSC up; workers count "
			"by it",
			"the kernel's clock is not the TSC");
}

/* Certificates and tokens are checked by the wall clock. */
static void check_synchronised(struct doctor *d)
{
	struct timex t = {.modes = 0};

	if (*d->root)
		return;
	if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
		doctor_found(d, DOCTOR_NOTE, "", "run chrony or systemd-timesyncd",
			"nothing keeps the wall clock right; certificates are checked by it");
}

void doctor_clock(struct doctor *d)
{
	char text[16384];

	check_source(d);
	if (doctor_read(d, text, sizeof(text), "/proc/cpuinfo") && strstr(text, "flags") &&
		!strstr(text, "constant_tsc") && !strstr(text, "hypervisor"))
		doctor_found(d, DOCTOR_WARNING, "", NULL,
			"the processor's TSC changes its pace; times in microseconds will be off");
	check_synchronised(d);
}

#define STEAL_PCT 2

/* "cpu user nice system idle iowait irq softirq steal": ticks since boot. */
void doctor_steal(struct doctor *d)
{
	unsigned long long v[8] = {0}, sum = 0;
	char text[1024];

	if (!doctor_read(d, text, sizeof(text), "/proc/stat"))
		return;
	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
		    &v[4], &v[5], &v[6], &v[7]) != 8)
		return;
	for (int i = 0; i < 8; i++)
		sum += v[i];
	if (sum && v[7] * 100 / sum >= STEAL_PCT)
		doctor_found(d, DOCTOR_WARNING, "",
			"pin the virtual machine's processors on the hypervisor, or move it",
			"the hypervisor took %llu %% of the processors' time away since the boot",
			v[7] * 100 / sum);
}
