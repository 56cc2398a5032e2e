/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drops capabilities, which belong to threads. Each other thread drops its own in a signal handler,
 * as the C library changes user ids (nptl(7)); this also reaches threads that libraries have
 * created.
 */
#include "mt_rights.h"

#include "mt_base.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 1000

/* State of the call in progress, because a signal handler has no argument. */
static struct {
	uint64_t keep;
	_Atomic int answered;
	_Atomic int failed; /* errno of a thread that failed */
} drop;

static int get(struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &head, data) == 0 ? 0 : -errno;
}

uint64_t mt_rights_now(void)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (get(data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

/*
 * Drops capabilities of the calling thread; async-signal-safe. A thread that has none to drop makes
 * no call, because the unit of a node that needs no capability does not permit it.
 */
static int drop_own(uint64_t keep)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	uint32_t more = 0;
	int rc = get(data);

	if (rc)
		return rc;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		uint32_t mask = (uint32_t)(keep >> (32 * i));

		more |= (data[i].permitted & ~mask) | data[i].inheritable;
		data[i].effective &= mask;
		data[i].permitted &= mask;
		data[i].inheritable = 0;
	}
	return !more || syscall(SYS_capset, &head, data) == 0 ? 0 : -errno;
}

static void on_signal(int sig)
{
	int kept = errno, rc = drop_own(drop.keep);

	(void)sig;
	if (rc)
		atomic_store(&drop.failed, -rc);
	atomic_fetch_add(&drop.answered, 1);
	errno = kept;
}

/*
 * 1 if the thread has no capabilities beyond `keep`, or has ended; 0 if it has more; -errno if that
 * cannot be read.
 */
static int has_dropped(const char *tid, uint64_t keep)
{
	char path[64], line[128];
	unsigned long long has = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", tid);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT || errno == ESRCH ? 1 : -errno;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "CapPrm: %llx", &has) == 1;
	fclose(f);
	return !found || (has & ~keep) == 0;
}

static void wait_for(int answers)
{
	for (int i = 0; i < WAIT_MS && atomic_load(&drop.answered) < answers; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/*
 * Signals a thread that has capabilities beyond `keep`, and returns 1. Returns 0 if it has none or
 * has ended; else -errno.
 */
static int ask(const char *tid, uint64_t keep)
{
	int rc = has_dropped(tid, keep);

	if (rc)
		return MT_MIN(rc, 0);
	if (syscall(SYS_tgkill, getpid(), atoi(tid), MT_RIGHTS_SIGNAL) == 0)
		return 1;
	return errno == ESRCH ? 0 : -errno;
}

/*
 * Signals all threads that have more than `keep` and waits for them. Returns how many they were, or
 * -errno.
 */
static int ask_others(uint64_t keep)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int asked = 0, rc = 0;

	if (!d)
		return -errno;
	atomic_store(&drop.answered, 0);
	while (rc >= 0 && (e = readdir(d))) {
		rc = e->d_name[0] == '.' ? 0 : ask(e->d_name, keep);
		asked += MT_MAX(rc, 0);
	}
	closedir(d);
	wait_for(asked);
	return rc < 0 ? rc : asked;
}

int mt_rights_keep(uint64_t keep, struct mt_err *e)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	int rc = drop_own(keep), left = 0;

	if (rc)
		return mt_err(e, rc, "capset: %s", strerror(-rc));
	drop.keep = keep;
	if (sigaction(MT_RIGHTS_SIGNAL, &act, NULL) != 0)
		return mt_err(e, -errno, "sigaction: %s", strerror(errno));
	/*
	 * A thread that had not dropped yet may have created another one: repeat until none has
	 * more.
	 */
	for (int walks = 0; walks < 8; walks++) {
		left = ask_others(keep);
		if (left <= 0)
			break;
	}
	/* Keep the handler: a late signal would otherwise kill the process. */
	if (left < 0)
		return mt_err(e, left, "/proc/self/task: %s", strerror(-left));
	rc = atomic_load(&drop.failed);
	if (rc)
		return mt_err(e, -rc, "capset of another thread: %s", strerror(rc));
	return left ? mt_err(e, -ETIMEDOUT, "a thread does not take signal %d", MT_RIGHTS_SIGNAL)
		    : 0;
}
