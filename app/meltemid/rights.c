/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drops the privileges that needs.c has left, once ports and sockets are open: they are needed to
 * open these, and not by code that reads peers' data and control plane messages (capabilities(7),
 * seccomp(2)).
 */
#include "daemon.h"

#include "mt_crypto.h"
#include "mt_rights.h"

#include <linux/capability.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * True for drivers that share a device with its kernel driver: the kernel checks privileges again
 * at each of their requests, also when they stop.
 */
static bool shares_device(const char *driver)
{
	static const char *const with[] = {
		"mlx4", "mlx5", "net_mlx", "mana", "net_mana", "net_af_xdp"};

	for (size_t i = 0; i < MT_ARRAY_LEN(with); i++)
		if (strncmp(driver, with[i], strlen(with[i])) == 0)
			return true;
	return false;
}

static bool has_shared_device(void)
{
	uint16_t id;

	RTE_ETH_FOREACH_DEV(id)
	{
		struct rte_eth_dev_info info;

		if (rte_eth_dev_info_get(id, &info) == 0 && shares_device(info.driver_name))
			return true;
	}
	return false;
}

static uint64_t of_devices(void)
{
	uint64_t keep = has_shared_device() ? MT_RIGHT(CAP_NET_RAW) | MT_RIGHT(CAP_NET_ADMIN) : 0;

	/* Only this capability reveals the physical addresses of memory that is mapped later. */
	if (rte_eal_iova_mode() == RTE_IOVA_PA)
		keep |= MT_RIGHT(CAP_SYS_ADMIN);
	return keep;
}

/* A directory of another user can be written only with this capability. */
static uint64_t of_state(const struct daemon *d)
{
	struct stat st;

	if (!(mt_rights_now() & MT_RIGHT(CAP_DAC_OVERRIDE)) ||
		(stat(state_dir(d), &st) == 0 && st.st_uid == geteuid()))
		return 0;
	mt_log(MT_LOG_WARN, "boot",
		"%s is not the daemon's own: CAP_DAC_OVERRIDE is kept (make its owner the user "
		"that runs meltemid)",
		state_dir(d));
	return MT_RIGHT(CAP_DAC_OVERRIDE);
}

static const char *names(uint64_t rights, char buf[128])
{
	static const struct {
		int number;
		const char *name;
	} all[] = {{CAP_DAC_OVERRIDE, "cap_dac_override"},
		{CAP_DAC_READ_SEARCH, "cap_dac_read_search"}, {CAP_NET_ADMIN, "cap_net_admin"},
		{CAP_NET_RAW, "cap_net_raw"}, {CAP_IPC_LOCK, "cap_ipc_lock"},
		{CAP_SYS_ADMIN, "cap_sys_admin"}};
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		if (rights & MT_RIGHT(all[i].number))
			len += (size_t)snprintf(
				buf + len, 128 - len, "%s%s", len ? " " : "", all[i].name);
	return len ? buf : "none";
}

/*
 * Connecting to the socket of another user needs this capability, also when that user's program
 * starts again later.
 */
static uint64_t of_sockets(const struct daemon *d)
{
	bool connects = d->node->guests || (d->node->identity && d->node->identity->sds.s);

	for (uint32_t i = 0; i < d->node->n_identities; i++)
		connects |= d->node->identities[i].sds.s != NULL;
	for (uint32_t i = 0; i < d->node->n_sources; i++)
		connects |= d->node->sources[i].xds != NULL;
	for (uint32_t i = 0; i < d->node->n_ports; i++)
		connects |=
			d->node->ports[i].device.s && mt_port_connects(d->node->ports[i].device.s);
	return connects ? MT_RIGHT(CAP_DAC_OVERRIDE) : 0;
}

int keys_start(struct daemon *d, struct mt_err *e)
{
	(void)e;
	/*
	 * A core file contains all memory of the process. This also denies other users its files
	 * under /proc.
	 */
	if (!d->args.core_files)
		(void)prctl(PR_SET_DUMPABLE, 0);
	if (!mt_crypto_lock_keys() && !d->args.check)
		mt_log(MT_LOG_WARN, "boot",
			"private keys can be swapped to a disk: memory cannot be locked "
			"(LimitMEMLOCK=infinity, or ulimit -l)");
	return 0;
}

/* The locked memory ends with the process, because some keys may still be in use. */
void keys_stop(struct daemon *d)
{
	(void)d;
}

/* Refuses system calls, of all threads and more of them for workers. */
static int refuse_calls(const struct daemon *d, struct mt_err *e)
{
	const struct mt_rights_threads of = {d->n_workers, has_shared_device()};
	int rc;

	if (d->args.no_seccomp) {
		mt_log(MT_LOG_WARN, "boot",
			"--no-seccomp: the daemon does not limit its system calls");
		return 0;
	}
	rc = mt_rights_refuse_calls(d->calls, e);
	return rc ? rc : MT_MIN(mt_rights_confine_threads(&of, e), 0);
}

int rights_start(struct daemon *d, struct mt_err *e)
{
	/* Documents, certificates and keys are read whatever their owner is. */
	const uint64_t reading = MT_RIGHT(CAP_DAC_READ_SEARCH), now = mt_rights_now();
	uint64_t keep =
		MT_RIGHT(CAP_IPC_LOCK) | reading | of_devices() | of_state(d) | of_sockets(d);
	char left[128];
	int rc;

	if (!(now & reading))
		keep |= MT_RIGHT(CAP_DAC_OVERRIDE);
	rc = mt_rights_keep(keep, e);
	if (!rc)
		rc = refuse_calls(d, e);
	if (!rc)
		mt_log(MT_LOG_INFO, "boot", "ports are open; of the capabilities are left: %s; %s",
			names(mt_rights_now(), left),
			d->args.no_seccomp ? "programs can be started"
					   : "no program can be started any more");
	return rc;
}

/* Dropped privileges cannot be restored, and are not needed again. */
void rights_stop(struct daemon *d)
{
	(void)d;
}
