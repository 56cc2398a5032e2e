/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to sysfs with a time limit, and moves a device from one driver to another with them. */
#include "nic_bind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 20

uint64_t nic_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void nic_sleep(uint64_t ms)
{
	struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL);
}

/* In the child process. The kernel's answer is an errno, which goes to the pipe. */
static void write_as_child(const char *path, const char *text, int out)
{
	int fd, err = 0;

	/* The end of the parent's descriptors, which this process may outlive, starts the guard. */
	if (out > 0)
		(void)close_range(0, (unsigned int)out - 1, 0);
	(void)close_range((unsigned int)out + 1, ~0u, 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = errno;
	(void)!write(out, &err, sizeof(err));
	_exit(0);
}

/* Returns 0, the errno of the write, or ETIMEDOUT. */
static int write_in_child(const char *path, const char *text, uint64_t timeout_ms)
{
	struct pollfd p = {.events = POLLIN};
	int fds[2], err = ETIMEDOUT;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return errno;
	pid = fork();
	if (pid == 0)
		write_as_child(path, text, fds[1]);
	close(fds[1]);
	p.fd = fds[0];
	if (pid < 0)
		err = errno;
	else if (poll(&p, 1, (int)MT_MIN(timeout_ms, (uint64_t)INT_MAX)) > 0 &&
		 read(fds[0], &err, sizeof(err)) != sizeof(err))
		err = EIO;
	close(fds[0]);
	/* Within the kernel the child ignores the signal; init reaps it then. */
	if (pid > 0 && err == ETIMEDOUT)
		kill(pid, SIGKILL);
	if (pid > 0)
		waitpid(pid, NULL, err == ETIMEDOUT ? WNOHANG : 0);
	return err;
}

static const char *remedy_of(int err)
{
	switch (err) {
	case EROFS:
		return "sysfs is read-only here: run this on the host, not in a container";
	case EACCES:
	case EPERM:
		return "run this as root";
	case EBUSY:
		return "end the program that uses the card";
	case ENODEV:
	case EINVAL:
		return "the kernel refused it: `dmesg | tail` has the reason";
	default:
		return "`dmesg | tail` may have the reason";
	}
}

/* Describes a failed write. If it hangs, the process that has the card open is probably why. */
static void explain(struct nic_task *t, const char *path, const char *text, int err)
{
	char holder[128];

	if (err != ETIMEDOUT)
		snprintf(t->why, sizeof(t->why), "cannot write \"%.64s\" to %.160s: %s; %s",
			*text == '\n' ? "" : text, path, strerror(err), remedy_of(err));
	else
		snprintf(t->why, sizeof(t->why),
			"writing \"%.64s\" to %.160s did not end within %llu ms: %s", text, path,
			(unsigned long long)t->timeout_ms,
			nic_holder(t->n, t->c, holder, sizeof(holder))
				? holder
				: "the kernel waits for the device");
}

bool nic_sysfs_write(struct nic_task *t, const char *text, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", t->n->host.root);
	int err = ENAMETOOLONG;

	va_start(ap, fmt);
	if (n < sizeof(path) &&
		(size_t)vsnprintf(path + n, sizeof(path) - n, fmt, ap) < sizeof(path) - n)
		err = write_in_child(path, text, t->timeout_ms);
	va_end(ap);
	if (err)
		explain(t, path, text, err);
	return err == 0;
}

/* Waits until the card has this driver; "": none, NULL: any. */
static bool wait_for_driver(struct nic_task *t, const char *want)
{
	uint64_t end = nic_now() + t->timeout_ms;

	for (;;) {
		nic_driver(t->n, t->c);
		if (want ? strcmp(t->c->driver, want) == 0 : t->c->driver[0] != '\0')
			return true;
		if (nic_now() >= end)
			return false;
		nic_sleep(STEP_MS);
	}
}

bool nic_sysfs_move(struct nic_task *t, const char *override, const char *want)
{
	const char *pci = t->pci;
	char before[64];

	/* An empty line removes the override. */
	if (!nic_sysfs_write(
		    t, *override ? override : "\n", NIC_DEVICES "/%s/driver_override", pci))
		return false;
	nic_driver(t->n, t->c);
	snprintf(before, sizeof(before), "%s", t->c->driver);
	if (want && strcmp(before, want) == 0)
		return true;
	if (before[0] && !nic_sysfs_write(t, pci, NIC_DEVICES "/%s/driver/unbind", pci))
		return false;
	if (before[0] && !wait_for_driver(t, "")) {
		snprintf(t->why, sizeof(t->why), "%s still has the driver %s", pci, before);
		return false;
	}
	if (want && !*want)
		return true;
	if (!nic_sysfs_write(t, pci, "/sys/bus/pci/drivers_probe"))
		return false;
	if (wait_for_driver(t, want))
		return true;
	snprintf(t->why, sizeof(t->why),
		"%s did not take %s, which has %s%s now: `dmesg | tail` has the reason",
		want ? want : "no driver", pci, t->c->driver[0] ? "the driver " : "no driver",
		t->c->driver);
	return false;
}
