/* SPDX-License-Identifier: Apache-2.0 */
/* Search path of profiles, and the choice of one for a port. */
#include "mt_port_priv.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The n-th directory to search; false if there are no more. */
static bool directory(unsigned int n, char *out, size_t room)
{
	const char *env = getenv("MELTEMI_PMD_CONFIG");
	char exe[PATH_MAX];
	ssize_t len;

	switch (n) {
	case 0:
		snprintf(out, room, "%s", env ? env : "");
		return true;
	case 1:
		len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
		exe[len > 0 ? len : 0] = '\0';
		/* installed: PREFIX/{bin,sbin}/meltemid beside PREFIX/share */
		snprintf(out, room, "%s/../share/meltemi/pmd-config", dirname(exe));
		return true;
	case 2:
		snprintf(out, room, "%s", MT_PMD_CONFIG_SOURCE);
		return true;
	default:
		return false;
	}
}

bool mt_profile_drives(const struct mt_profile *p, const char *driver)
{
	for (uint16_t i = 0; i < p->n_drivers; i++)
		if (strcmp(p->drivers[i], driver) == 0)
			return true;
	return false;
}

/* Finds a profile of `dir` for this driver. 0, -ENOENT, or the error of an unreadable profile. */
static int by_driver(const char *dir, const char *driver, struct mt_profile *p, struct mt_err *e)
{
	struct dirent *ent;
	DIR *d = opendir(dir);
	int rc = -ENOENT;
	bool found = false;

	while (d && !found && (ent = readdir(d))) {
		size_t len = strlen(ent->d_name);
		char file[PATH_MAX];

		if (len < 6 || strcmp(ent->d_name + len - 5, ".yaml") != 0)
			continue;
		if (snprintf(file, sizeof(file), "%s/%s", dir, ent->d_name) >= (int)sizeof(file))
			continue;
		int err = mt_profile_read(file, p, e);

		found = err == 0 && mt_profile_drives(p, driver);
		rc = err ? err : rc;
	}
	if (d)
		closedir(d);
	return found ? 0 : rc;
}

int mt_profile_find(const char *profile, const char *driver, struct mt_profile *p, struct mt_err *e)
{
	char dir[PATH_MAX], file[PATH_MAX + 64];

	if (profile && strchr(profile, '/'))
		return mt_profile_read(profile, p, e);
	for (unsigned int n = 0; directory(n, dir, sizeof(dir)); n++) {
		if (!dir[0])
			continue;
		if (profile) {
			snprintf(file, sizeof(file), "%s/%s.yaml", dir, profile);
			if (access(file, R_OK) == 0 || errno == EACCES)
				return mt_profile_read(file, p, e);
			continue;
		}
		int rc = by_driver(dir, driver, p, e);

		if (rc != -ENOENT)
			return rc;
	}
	if (profile)
		return mt_err(e, -ENOENT,
			"profile %s: there is no profile of this name; `ls pmd-config` lists them, "
			"or name a file with a slash in it",
			profile);
	return mt_err(e, -ENOENT,
		"there is no profile for driver %s: set `profile:` to that of a similar device, or "
		"to a file of your own",
		driver);
}
