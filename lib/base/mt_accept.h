/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts connections of kernel listeners (CLI, HTTP, DNS over TCP), also when descriptors run out.
 */
#pragma once

#include <sys/socket.h>

/*
 * Accepts the next connection of a listener. Returns a descriptor that the caller owns,
 * non-blocking and close-on-exec; -1 if there is none (errno). from, len: as in accept(2), or NULL.
 *
 * If no descriptor is left (EMFILE, ENFILE), the connection is closed at once and logged, so that
 * its peer sees an end instead of silence, and epoll does not report the same listener for ever.
 * One descriptor is reserved for that. Control thread only.
 */
int mt_accept(int listener, struct sockaddr_storage *from, socklen_t *len);
