/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

void table_of_ports(void);
void device_of_another_host(void);
void texts(void);
void listeners(void);
void directories(void);
void calls_of_ports(void);

/* Filters of single threads (threads_test.c). Call in a process of its own. */
void threads_child(void);

/* Compares the filters with lists of all calls (refused_test.c). Call in a process of its own. */
void refused_child(void);
/* The same in two steps, of which the first leaves what a kind of port needs. */
void refused_packet_child(void);
void refused_xdp_child(void);
void refused_unknown_child(void);
/* The same with a driver that shares its device with the kernel. */
void refused_shared_child(void);
