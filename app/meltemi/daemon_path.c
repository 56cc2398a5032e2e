/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_path.h"

#include "mt_base.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Prefers the meltemid of the same build: in a build directory, next to this program, or where it
 * is installed. Otherwise any in PATH.
 */
void daemon_path(char *path, size_t size)
{
	static const char *const places[] = {
		"../meltemid/meltemid", "../sbin/meltemid", "meltemid"};
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < MT_ARRAY_LEN(places); i++)
		if ((size_t)snprintf(path, size, "%s/%s", own, places[i]) < size &&
			access(path, X_OK) == 0)
			return;
	snprintf(path, size, "meltemid");
}
