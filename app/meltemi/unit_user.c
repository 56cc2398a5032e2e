/* SPDX-License-Identifier: Apache-2.0 */
#include "unit_user.h"

#include "mt_base.h"

#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Takes the last `User=` of a file; an empty one resets it. False: there is no such file. */
static bool read_unit(const char *path, char name[UNIT_USER])
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return false;
	while (getline(&line, &size, f) > 0)
		if (strncmp(line, "User=", 5) == 0)
			snprintf(name, UNIT_USER, "%.*s", (int)strcspn(line + 5, " \t\r\n"),
				line + 5);
	free(line);
	fclose(f);
	return true;
}

bool unit_user(const char *root, char name[UNIT_USER])
{
	static const char *const units[] = {"/etc/systemd/system/meltemid.service",
		"/lib/systemd/system/meltemid.service",
		"/usr/local/lib/systemd/system/meltemid.service"};
	char path[PATH_MAX];
	bool found = false;
	glob_t g;

	name[0] = '\0';
	for (size_t i = 0; i < MT_ARRAY_LEN(units) && !found; i++) {
		snprintf(path, sizeof(path), "%s%s", root, units[i]);
		found = read_unit(path, name);
	}
	snprintf(path, sizeof(path), "%s/etc/systemd/system/meltemid.service.d/*.conf", root);
	if (found && glob(path, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			(void)read_unit(g.gl_pathv[i], name);
		globfree(&g);
	}
	if (strcmp(name, "root") == 0)
		name[0] = '\0';
	return name[0] != '\0';
}

int unit_become(const char *name)
{
	struct passwd *p;

	errno = 0;
	p = getpwnam(name);
	if (!p)
		return errno ? -errno : -ENOENT;
	if (initgroups(name, p->pw_gid) || setgid(p->pw_gid) || setuid(p->pw_uid))
		return -errno;
	return 0;
}
