/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the EAL's arguments from the Node document, and forwards its messages to Meltemi's log. */
#include "compat.h"
#include "mt_port_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#define ARGS_MAX 64

struct arguments {
	int n;
	char *v[ARGS_MAX + 1];
	char text[4096];
	size_t used;
};

static void add(struct arguments *a, const char *arg)
{
	size_t len = strlen(arg) + 1;

	if (a->n == ARGS_MAX || a->used + len > sizeof(a->text))
		return;
	a->v[a->n++] = memcpy(a->text + a->used, arg, len);
	a->used += len;
}

/* ---- messages ----------------------------------------------------------------------------- */

static char complaint[256];

static ssize_t log_write(void *cookie, const char *text, size_t len)
{
	size_t n = MT_MIN(len, sizeof(complaint) - 1);

	(void)cookie;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n == 0)
		return (ssize_t)len;
	mt_log(MT_LOG_DEBUG, "dpdk", "%.*s", (int)n, text);
	/* The EAL only reports that a driver failed, after the message of the driver. */
	if (strncmp(text, "EAL: ", 5) == 0 && complaint[0] && strncmp(complaint, "EAL: ", 5) != 0)
		return (ssize_t)len;
	memcpy(complaint, text, n);
	complaint[n] = '\0';
	return (ssize_t)len;
}

static void log_open(void)
{
	static const cookie_io_functions_t io = {.write = log_write};
	FILE *f = fopencookie(NULL, "w", io);

	if (!f)
		return;
	setvbuf(f, NULL, _IOLBF, BUFSIZ);
	rte_openlog_stream(f);
}

const char *mt_eal_complaint(void)
{
	static char last[sizeof(complaint)];

	memcpy(last, complaint, sizeof(last));
	complaint[0] = '\0';
	return last;
}

/* ---- cores -------------------------------------------------------------------------------- */

/* Workers get the last cores, so that core 0, where most interrupts arrive, is used last. */
static int default_cores(struct mt_eal_info *info, uint16_t workers, const cpu_set_t *allowed)
{
	uint16_t cpus[CPU_SETSIZE], n = 0;

	for (int c = CPU_SETSIZE - 1; c >= 0; c--)
		if (CPU_ISSET(c, allowed))
			cpus[n++] = (uint16_t)c;
	if (n == 0)
		return -EINVAL;
	for (uint16_t i = 0; i < workers; i++)
		info->cores[i] = cpus[i % n];
	return 0;
}

static int choose_cores(const struct mt_eal_conf *c, struct mt_eal_info *info,
	const cpu_set_t *allowed, struct mt_err *e)
{
	if (c->workers == 0 || c->workers > MT_WORKERS_MAX)
		return mt_err(e, -EINVAL, "spec.workers: %u is not between 1 and %u", c->workers,
			MT_WORKERS_MAX);
	if (!c->cores)
		return default_cores(info, c->workers, allowed);
	if (c->n_cores < c->workers)
		return mt_err(
			e, -EINVAL, "spec.cores: %u cores for %u workers", c->n_cores, c->workers);
	for (uint16_t i = 0; i < c->workers; i++) {
		if (c->cores[i] >= CPU_SETSIZE || !CPU_ISSET(c->cores[i], allowed))
			return mt_err(e, -EINVAL,
				"spec.cores: core %u is not one that this process may run on (see "
				"`taskset -p $$`)",
				c->cores[i]);
		info->cores[i] = c->cores[i];
	}
	return 0;
}

/*
 * Builds "0@(0,2),1@3,2@1": workers are pinned; the control thread floats over the cores that no
 * worker has, or over all of them if workers have every core.
 */
static void lcores_arg(const struct mt_eal_info *info, uint16_t workers, const cpu_set_t *allowed,
	char *out, size_t room)
{
	cpu_set_t rest = *allowed;
	size_t n;

	for (uint16_t i = 0; i < workers; i++)
		CPU_CLR(info->cores[i], &rest);
	if (CPU_COUNT(&rest) == 0)
		rest = *allowed;
	n = (size_t)snprintf(out, room, "--lcores=0@(");
	for (int c = 0, first = 1; c < CPU_SETSIZE && n < room; c++)
		if (CPU_ISSET(c, &rest)) {
			n += (size_t)snprintf(out + n, room - n, "%s%d", first ? "" : ",", c);
			first = 0;
		}
	if (n < room)
		n += (size_t)snprintf(out + n, room - n, ")");
	for (uint16_t i = 0; i < workers && n < room; i++)
		n += (size_t)snprintf(out + n, room - n, ",%u@%u", i + 1u, info->cores[i]);
}

/* ---- start -------------------------------------------------------------------------------- */

static void memory_args(struct arguments *a, bool huge, uint32_t mb)
{
	static const char *const with[] = {MT_EAL_HUGE_ARGS};
	static const char *const without[] = {MT_EAL_NO_HUGE_ARGS};
	const char *const *args = huge ? with : without;
	size_t n = huge ? MT_ARRAY_LEN(with) : MT_ARRAY_LEN(without);
	char text[32];

	for (size_t i = 0; i < n; i++)
		add(a, args[i]);
	snprintf(text, sizeof(text), "%u", mb);
	add(a, "-m");
	add(a, text);
}

/*
 * PCI devices are probed one by one with their profile's arguments. The allow list has an address
 * that no device has, which keeps the EAL from probing all others.
 */
static void pci_args(struct arguments *a, bool pci)
{
	add(a, pci ? "--allow=0000:00:00.0" : "--no-pci");
}

static int eal_failed(const struct mt_eal_conf *c, struct mt_err *e)
{
	int err = rte_errno;
	const char *words = mt_eal_complaint();

	if (err == EACCES || err == EPERM)
		return mt_err(e, -err,
			"not permitted (%s): run as root, or with the rights that `meltemid "
			"--rights -c NODE` prints",
			words);
	return mt_err(e, err ? -err : -EIO,
		"DPDK did not start with %u MB (%s): run again with --log-level debug for its "
		"whole output",
		c->mb, words[0] ? words : rte_strerror(err));
}

static int init_held(const struct mt_eal_conf *c, struct arguments *a, struct mt_err *e)
{
	int rc = mt_run_dir_hold(c->prefix, e);

	if (rc)
		return rc;
	rc = rte_eal_init(a->n, a->v) < 0 ? eal_failed(c, e) : 0;
	mt_run_dir_let(rc == 0 ? rte_eal_get_runtime_dir() : NULL);
	return rc;
}

int mt_eal_start(const struct mt_eal_conf *c, struct mt_eal_info *info, struct mt_err *e)
{
	/* Static, because the EAL may keep pointers into its arguments. */
	static struct arguments args;
	struct arguments *a = &args;
	struct mt_memory_bound left;
	cpu_set_t allowed;
	char text[1024];
	int huge, rc;

	memset(info, 0, sizeof(*info));
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		CPU_SET(0, &allowed);
	rc = choose_cores(c, info, &allowed, e);
	huge = rc ? rc
		  : mt_hugepages_choose(c->hugepages, c->mb, mt_hugepages_free("/sys"),
			    info->memory, sizeof(info->memory), e);
	if (huge == 0) {
		mt_memory_free("/proc", "/sys", &left);
		rc = mt_memory_fits(c->mb, &left, e);
		if (rc)
			return rc;
	}
	if (huge < 0)
		return huge;
	info->hugepages = huge;
	add(a, "meltemid");
	lcores_arg(info, c->workers, &allowed, text, sizeof(text));
	add(a, text);
	add(a, "--main-lcore=0");
	snprintf(text, sizeof(text), "--file-prefix=%s", c->prefix);
	add(a, text);
	memory_args(a, huge, c->mb);
	pci_args(a, c->pci);
	add(a, c->debug ? "--log-level=info" : "--log-level=warning");
	log_open();
	/*
	 * Registered before the EAL's own handlers, so it runs after them: until then the directory
	 * has a socket.
	 */
	atexit(mt_run_dir_remove);
	return init_held(c, a, e);
}

void mt_eal_stop(void)
{
	(void)rte_eal_cleanup();
}
