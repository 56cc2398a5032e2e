/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_ctl_priv.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

/*
 * Name of a user in /etc/passwd. No directory service is queried, because it could block the
 * control thread.
 */
static bool local_name(uid_t uid, char *name, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd entry, *p;
	char buf[1024];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgetpwent_r(f, &entry, buf, sizeof(buf), &p) == 0) {
		found = p->pw_uid == uid;
		if (found)
			snprintf(name, size, "%s", p->pw_name);
	}
	fclose(f);
	return found;
}

void mt_ctl_who(int fd, enum mt_role role, struct mt_who *who)
{
	struct ucred cred = {.uid = UINT32_MAX};
	socklen_t len = sizeof(cred);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	*who = (struct mt_who){.uid = cred.uid, .pid = cred.pid, .role = role};
	if (!local_name(cred.uid, who->name, sizeof(who->name)))
		snprintf(who->name, sizeof(who->name), "user %u", cred.uid);
}

char *mt_who_str(const struct mt_who *who, char buf[MT_WHO_LEN])
{
	if (who->from[0])
		snprintf(buf, MT_WHO_LEN, "%s (from %s)", who->name, who->from);
	else
		snprintf(buf, MT_WHO_LEN, "%s (pid %d)", who->name, (int)who->pid);
	return buf;
}
