/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cores on which workers poll: no other program should run there, and they should not enter
 * deep sleep states.
 */
#include "doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU	"/sys/devices/system/cpu"
#define DEEP_US 50 /* wake-up time that exceeds the latency budget at the tail */
#define STATES	10

void doctor_isolation(struct doctor *d)
{
	char isolated[512] = "", quiet[512] = "", names[256] = "";
	size_t n = 0;

	(void)doctor_read(d, isolated, sizeof(isolated), CPU "/isolated");
	(void)doctor_read(d, quiet, sizeof(quiet), CPU "/nohz_full");
	for (uint32_t i = 0; i < d->n_cores && n < sizeof(names); i++)
		if (!doctor_listed(isolated, d->cores[i]))
			n += (size_t)snprintf(
				names + n, sizeof(names) - n, "%s%u", n ? "," : "", d->cores[i]);
	if (n)
		doctor_found(d, DOCTOR_WARNING, names,
			"boot with isolcpus=, nohz_full= and rcu_nocbs= for the workers' cores",
			"the kernel runs other programs on the workers' cores: each costs the "
			"traffic milliseconds");
	else if (d->n_cores && !doctor_listed(quiet, d->cores[0]))
		doctor_found(d, DOCTOR_NOTE, "", "boot with nohz_full= for the workers' cores",
			"the timer tick interrupts the workers' cores");
}

/* The deepest sleep state that the core may enter, and its wake-up time in us; 0: there is none. */
static long deepest(const struct doctor *d, uint32_t core, char *name, size_t size)
{
	long worst = 0;

	for (int s = 0; s < STATES; s++) {
		char text[64], off[8] = "0";
		long us;

		if (!doctor_read(
			    d, text, sizeof(text), CPU "/cpu%u/cpuidle/state%d/latency", core, s))
			break;
		us = strtol(text, NULL, 10);
		(void)doctor_read(
			d, off, sizeof(off), CPU "/cpu%u/cpuidle/state%d/disable", core, s);
		if (us <= worst || off[0] == '1')
			continue;
		worst = us;
		if (!doctor_read(d, name, size, CPU "/cpu%u/cpuidle/state%d/name", core, s))
			snprintf(name, size, "state%d", s);
	}
	return worst;
}

void doctor_sleep(struct doctor *d)
{
	for (uint32_t i = 0; i < d->n_cores; i++) {
		char about[24], state[64] = "", governor[64];
		long us = deepest(d, d->cores[i], state, sizeof(state));

		snprintf(about, sizeof(about), "core %u", d->cores[i]);
		if (us > DEEP_US)
			doctor_found(d, DOCTOR_NOTE, about,
				"processor.max_cstate=1 at boot, or cpupower idle-set -D 10; it "
				"matters "
				"where workers sleep when idle (spec.workers.idle: adaptive)",
				"may sleep as deep as %s, from which it wakes in %ld us", state,
				us);
		if (doctor_read(d, governor, sizeof(governor),
			    CPU "/cpu%u/cpufreq/scaling_governor", d->cores[i]) &&
			strcmp(governor, "performance") != 0)
			doctor_found(d, DOCTOR_WARNING, about,
				"cpupower frequency-set -g performance",
				"its frequency governor is %s", governor);
	}
}

void doctor_siblings(struct doctor *d)
{
	for (uint32_t i = 0; i < d->n_cores; i++) {
		char list[128];

		if (!doctor_read(d, list, sizeof(list), CPU "/cpu%u/topology/thread_siblings_list",
			    d->cores[i]))
			continue;
		for (uint32_t k = 0; k < i; k++)
			if (doctor_listed(list, d->cores[k]))
				doctor_found(d, DOCTOR_WARNING, list,
					"give each worker a physical core of its own "
					"(spec.workers.cores)",
					"workers on cores %u and %u share one physical core",
					d->cores[k], d->cores[i]);
	}
}
