/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scene whose endpoints are checked: 192.0.2.21 to 192.0.2.23 of the nat services at 192.0.2.80,
 * of TCP (port 5432, indexes 0 to 2) and UDP (port 4000, indexes 3 to 5). Connections are fakes with
 * the verdict that a test chose.
 */
#pragma once

#include "conn.h"

#define CK_TCP 0 /* index of the first endpoint */
#define CK_UDP 3

#define CK_SECRET "0123456789abcdef" /* of the health checks */

struct ck {
	struct scene s;
	uint8_t unhealthy[6];
	enum mt_l4_verdict verdict[6]; /* of connections; 0: none comes */
	uint32_t token[6];	       /* of the last connection */
	uint32_t begun[6], changes[6];
	const char *why[6]; /* of the last change */
	bool busy;	    /* connections cannot be opened now */
};

extern const struct mt_l4_check_conf ck_tcp, ck_icmp, ck_lenient;

void ck_open(struct ck *c, uint16_t workers, const struct mt_l4_check_conf *tcp,
	const struct mt_l4_check_conf *udp);
/* Another configuration. */
void ck_configure(
	struct ck *c, const struct mt_l4_check_conf *tcp, const struct mt_l4_check_conf *udp);
void ck_close(struct ck *c);
/* Lets time pass in steps of 25 ms. */
void ck_pass(struct ck *c, uint64_t ns);
/* The endpoint's number (21 to 23) of a new flow of the client's port; 0: there is none. */
int ck_tcp_to(struct ck *c, uint16_t cport);
int ck_udp_to(struct ck *c, uint16_t cport);
