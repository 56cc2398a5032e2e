/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <string.h>

void sim_host_addrs(uint8_t number, struct mt_addr *a4, struct mt_addr *a6)
{
	uint8_t v4[4] = {10, 0, 0, number};
	uint32_t be;

	memcpy(&be, v4, 4);
	*a4 = mt_addr4(be);
	memset(a6, 0, sizeof(*a6));
	a6->b[0] = 0xfd;
	a6->b[15] = number;
}

void sim_host_mac(uint8_t number, uint8_t mac[6])
{
	memcpy(mac, (uint8_t[]){0x02, 0, 0, 0, 0, number}, 6);
}
