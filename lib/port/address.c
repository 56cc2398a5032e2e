/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address that Meltemi serves must not be one of the kernel's. A raw socket only gets a copy of
 * each packet: the kernel gets it too, finds no listener, and resets the connection. Addresses on
 * any interface of the namespace count, because the kernel answers for all of them on every
 * interface.
 */
#include "mt_port_priv.h"

#include "mt_sockaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

static uint8_t prefix_of(const struct sockaddr *mask, bool is4)
{
	struct mt_addr m;
	uint8_t bits = 0;

	if (!mt_sockaddr_read(mask, &m, NULL))
		return is4 ? 32 : 128;
	for (unsigned int i = is4 ? 12 : 0; i < 16; i++)
		bits = (uint8_t)(bits + __builtin_popcount(m.b[i]));
	return bits;
}

int mt_kernel_addresses(struct ifaddrs **list, struct mt_err *e)
{
	if (getifaddrs(list) != 0)
		return mt_err(
			e, -errno, "the kernel's addresses cannot be read: %s", strerror(errno));
	return 0;
}

int mt_kernel_address_free(const struct ifaddrs *list, const struct mt_addr *a, const char *what,
	const char *except, struct mt_err *e)
{
	char text[MT_ADDR_STRLEN];
	struct mt_addr have;
	int rc = 0;

	for (const struct ifaddrs *i = list; i && rc == 0; i = i->ifa_next) {
		if (!mt_sockaddr_read(i->ifa_addr, &have, NULL) || !mt_addr_eq(&have, a))
			continue;
		if (except && strcmp(except, i->ifa_name) == 0)
			continue;
		mt_addr_str(a, text);
		rc = mt_err(e, -EADDRINUSE,
			"%s: the kernel owns %s, too, and would reset every connection to it: `ip "
			"addr "
			"del %s/%u dev %s`",
			what, text, text, prefix_of(i->ifa_netmask, mt_addr_is4(a)), i->ifa_name);
	}
	return rc;
}
