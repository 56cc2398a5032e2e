/* SPDX-License-Identifier: Apache-2.0 */
/* A port follows the MTU of its kernel interface. */
#include "mt_port_priv.h"
#include "suites.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77

static struct mt_ethdev port_at(const char *interface, uint16_t mtu)
{
	struct mt_ethdev d = {.mtu = mtu};

	snprintf(d.interface, sizeof(d.interface), "%s", interface);
	return d;
}

/* Exit status 0 if the port has the MTU of interface lo in a network namespace of its own. */
static int by_interface(void)
{
	static const struct {
		uint16_t interface, port;
	} rows[] = {{1400, 1400}, {1500, 1500}, {9000, 1500}, {200, 576}};
	struct mt_ethdev d = port_at("lo", 1500);
	struct mt_err e;

	if (unshare(CLONE_NEWNET) != 0)
		return SKIPPED;
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (mt_kernel_set_mtu("lo", rows[i].interface, &e) != 0 ||
			mt_interface_mtu(&d) != rows[i].port)
			return 1;
	return 0;
}

static void interface_mtu(void)
{
	struct mt_ethdev none = port_at("", 1500), gone = port_at("mt-none", 1500);
	struct mt_ethdev tap = port_at("lo", 1500);
	int status;
	pid_t child;

	CU_ASSERT_EQUAL(mt_interface_mtu(&none), 1500);
	CU_ASSERT_EQUAL(mt_interface_mtu(&gone), 1500);
	/* The kernel takes longer packets from a TAP than its MTU. */
	tap.profile.makes_interface = true;
	tap.mtu = 65535;
	CU_ASSERT_EQUAL(mt_interface_mtu(&tap), 65535);
	child = geteuid() == 0 ? fork() : -1;
	if (child == 0)
		_exit(by_interface());
	if (child < 0)
		return;
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(
		WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == SKIPPED));
}

/* The MTU of lo is higher than both, so that of the start is the one in use. */
static void watched(void)
{
	struct mt_port_conf c = {.name = "p0", .device = "net_null7"};
	struct mt_port *p = NULL;
	struct mt_ethdev *d;
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_port_open(&c, 0, 1, &p, &e), 0);
	CU_ASSERT_EQUAL_FATAL(mt_port_start(p, test_pools, NULL, &e), 0);
	d = mt_ethdev(p);
	snprintf(d->interface, sizeof(d->interface), "lo");
	(void)mt_port_watch(p, 0, NULL, NULL);
	CU_ASSERT_EQUAL(p->mtu, 1500);
	CU_ASSERT_FALSE(mt_port_watch(p, 0, NULL, NULL));
	d->mtu = 1400;
	CU_ASSERT(mt_port_watch(p, 0, NULL, NULL));
	CU_ASSERT_EQUAL(p->mtu, 1400);
	CU_ASSERT_FALSE(mt_port_watch(p, 0, NULL, NULL));
	d->mtu = 1500;
	CU_ASSERT(mt_port_watch(p, 0, NULL, NULL));
	CU_ASSERT_EQUAL(p->mtu, 1500);
	d->interface[0] = '\0';
	mt_port_close(p);
}

const struct mt_test mtu_tests[] = {{"interface_mtu", interface_mtu}, {"watched", watched}, {0}};
