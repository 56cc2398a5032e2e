/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion to and from socket addresses. An IPv6 scope is neither read nor written. */
#pragma once

#include "mt_addr.h"

#include <sys/socket.h>

/*
 * Writes an address and port for bind(), connect(), sendto(); returns its length. IPv4 and
 * v4-mapped addresses become AF_INET.
 */
socklen_t mt_sockaddr(const struct mt_addr *a, uint16_t port, struct sockaddr_storage *ss);

/*
 * Reads a socket address of the kernel; `port` may be NULL. False: it is of neither family (or
 * NULL); then both are zero.
 */
bool mt_sockaddr_read(const struct sockaddr *sa, struct mt_addr *a, uint16_t *port);

/* Remedy for a failed bind(), as text for an error line; `error` is -errno. Any thread. */
const char *mt_bind_remedy(int error);
