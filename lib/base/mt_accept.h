/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of kernel listeners (shells, HTTP, DNS over TCP) when descriptors run out. */
#pragma once

#include <sys/socket.h>

/*
 * The next connection of a listener: a descriptor that neither blocks nor survives exec, the caller's; -1: there is none
 * (errno). from, len: as accept(2) has them, or NULL.
 *
 * Without a descriptor left (EMFILE, ENFILE) the connection is closed at once and a line of the log says so: its peer
 * sees an end instead of silence, and epoll does not tell of the same listener for ever. One descriptor is kept for that.
 * Control thread only.
 */
int mt_accept(int listener, struct sockaddr_storage *from, socklen_t *len);
