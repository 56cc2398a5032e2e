/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EAL's directory. Nodes with the same name share it. A node that exits must not remove it
 * while another one has created it but has no socket there yet, so a file of the starting node
 * keeps it from being empty. A lock would do the same, but its holder could delay each start and
 * stop.
 */
#include "compat.h"
#include "mt_port_priv.h"

#include "mt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static char run_dir[PATH_MAX];
static char starting[PATH_MAX + 32]; /* file in run_dir while the EAL starts; "": none */
static char own_dir[64];	     /* made by this process, because /tmp/dpdk is another's */

bool mt_run_dir_is_ours(const char *path)
{
	struct stat st;

	(void)mkdir(path, 0700);
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/*
 * Any user of the host can make /tmp/dpdk, and so keep the EAL from starting, or replace its
 * sockets. Then another name in /tmp is used. 0 or -errno.
 */
static int leave_others_dir(struct mt_err *e)
{
	if (!mt_compat_run_dir_is_shared() || mt_run_dir_is_ours(MT_COMPAT_SHARED "/dpdk"))
		return 0;
	snprintf(own_dir, sizeof(own_dir), "%s", MT_COMPAT_SHARED "/meltemi.XXXXXX");
	if (!mkdtemp(own_dir) || setenv("RUNTIME_DIRECTORY", own_dir, 1)) {
		own_dir[0] = '\0';
		return mt_err(e, -errno,
			MT_COMPAT_SHARED "/dpdk is of another user, or others may write there, and "
					 "none can be made in " MT_COMPAT_SHARED ": %s: set "
					 "XDG_RUNTIME_DIR to a directory of this user",
			strerror(errno));
	}
	mt_log(MT_LOG_WARN, "port",
		MT_COMPAT_SHARED "/dpdk is of another user, or others may write there: DPDK's "
				 "files are in %s/dpdk; set XDG_RUNTIME_DIR to a directory of "
				 "this user",
		own_dir);
	return 0;
}

/* The caller starts the EAL also if the file cannot be made, which leaves that race. */
int mt_run_dir_hold(const char *prefix, struct mt_err *e)
{
	int n = leave_others_dir(e);

	if (n < 0)
		return n;
	n = mt_compat_run_dir(run_dir, sizeof(run_dir), prefix);
	if (n < 0 || (size_t)n >= sizeof(run_dir)) {
		run_dir[0] = '\0';
		return 0;
	}
	snprintf(starting, sizeof(starting), "%s/starting.%d", run_dir, (int)getpid());
	/* Each further try follows another node that removed the directory meanwhile. */
	for (int tries = 0; tries < 100; tries++) {
		int fd;

		mt_compat_make_run_dir(run_dir);
		/* Fails for an existing file and for a link, so mt_run_dir_let() removes no other. */
		fd = open(starting, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (errno != ENOENT)
			break;
	}
	starting[0] = '\0';
	return 0;
}

void mt_run_dir_let(const char *path)
{
	if (starting[0])
		(void)unlink(starting);
	if (path)
		snprintf(run_dir, sizeof(run_dir), "%s", path);
}

/*
 * The EAL does not remove its directory. rmdir() fails if another process uses it, as it is not
 * empty.
 */
void mt_run_dir_remove(void)
{
	char above[sizeof(own_dir) + sizeof("/dpdk")];

	if (run_dir[0])
		(void)rmdir(run_dir);
	if (!own_dir[0])
		return;
	snprintf(above, sizeof(above), "%s/dpdk", own_dir);
	(void)rmdir(above);
	(void)rmdir(own_dir);
}
