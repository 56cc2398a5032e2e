/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that takes its time, put before a program's own library: fsync() does not come back as long as the file
 * $SLOW_DISK is there, and its callers, by the names of their threads, are written to $SLOW_DISK.callers.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void note(const char *slow)
{
	char path[4096], name[32] = "";
	int fd;

	prctl(PR_GET_NAME, name);
	strcat(name, "\n");
	snprintf(path, sizeof(path), "%s.callers", slow);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	(void)!write(fd, name, strlen(name));
	close(fd);
}

int fsync(int fd);

int fsync(int fd)
{
	int (*real)(int fd) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	const char *slow = getenv("SLOW_DISK");

	if (slow)
		note(slow);
	while (slow && access(slow, F_OK) == 0)
		usleep(1000);
	return real ? real(fd) : 0;
}
