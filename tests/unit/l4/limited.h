/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, for the tests: services by mode, packets of many sources, what passed. */
#pragma once

#include "conn.h"

struct li_service {
	const char *name, *vip;
	uint32_t id, tcp_id;
	uint16_t port, tcp_port;
};

#define LI_SERVICES 5
/* Of each mode, in the order of enum mt_l4_mode. */
extern const struct li_service li_services[LI_SERVICES];

extern struct scene li;

/* The scene, with all neighbours known and no limit. */
void li_open(uint16_t workers, uint32_t flows);
/* Makes neighbours known. */
void li_warm(void);
void li_close(void);
/* The service has this limit and no other from now on. */
void li_limit(uint32_t service, enum mt_l4_limit limit, uint32_t max);
/* The client's address with this number: 10.1.0.0 on. */
const char *li_client(uint32_t i, char text[MT_ADDR_STRLEN]);
/* Gives a datagram of `data` bytes, or a SYN, to worker 0; true: it was forwarded. */
bool li_datagram(const struct li_service *v, const char *client, uint16_t port, uint16_t data);
bool li_syn(const struct li_service *v, const char *client, uint16_t port);
/* Packets that were dropped by a limit, of all workers. */
uint64_t li_refused(uint32_t service, enum mt_l4_limit limit);
