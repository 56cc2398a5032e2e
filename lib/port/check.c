/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a port's configuration that need only profiles and device strings. */
#include "mt_port_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A profile describes how a driver copies, holds and segments packets, so one for another driver
 * would be wrong. A device whose driver has no profile may use a similar one. The driver of a PCI
 * device is not known here.
 */
static int check_fits(const struct mt_port_conf *c, const struct mt_profile *p, struct mt_err *e)
{
	struct mt_profile own;
	struct mt_err ignored;
	char driver[64];

	mt_devargs_driver(c->device, driver, sizeof(driver));
	if (!c->profile || !driver[0] || mt_profile_drives(p, driver))
		return 0;
	if (strchr(c->profile, '/'))
		return mt_err(e, -EINVAL, "port %s: %s is not for driver %s: add it to its drivers",
			c->name, c->profile, driver);
	if (mt_profile_find(NULL, driver, &own, &ignored))
		return 0;
	return mt_err(e, -EINVAL,
		"port %s: profile %s is for %s and not for %s: write %s, or leave it out", c->name,
		p->name, p->drivers[0], driver, own.name);
}

int mt_port_check(const struct mt_port_conf *c, const char **field, struct mt_err *e)
{
	struct mt_profile p;
	char iface[IFNAMSIZ];
	int rc;

	*field = c->profile ? "profile" : "device";
	rc = mt_port_find_profile(c->device, c->profile, &p, e);
	if (rc == 0)
		rc = check_fits(c, &p, e);
	if (rc)
		return rc;
	*field = !p.makes_interface && (c->n_kernel_addresses || c->n_kernel_routes)
			 ? "kernelAddresses"
			 : "device";
	rc = mt_interface_name(c, &p, iface, e);
	if (rc == 0)
		rc = mt_socket_path_check(c, e);
	if (rc)
		return rc;
	*field = "mtu";
	if (c->mtu && (c->mtu < p.mtu_min || c->mtu > p.mtu_max))
		return mt_err(e, -EINVAL,
			"port %s: mtu %u is not between %u and %u, which %s takes", c->name, c->mtu,
			p.mtu_min, p.mtu_max, p.name);
	return 0;
}
