/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_PATH_H
#define DAEMON_PATH_H

#include <stddef.h>

/* Finds the meltemid of the same build, otherwise the one in PATH. */
void daemon_path(char *path, size_t size);

#endif
