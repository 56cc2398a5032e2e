/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of single threads, on top of the filter of the process. Workers, and the threads that
 * compute handshakes and verify tokens, open nothing after the start: they get an allow list. The
 * list has what the drivers in pmd-config, the C library and OpenSSL call; all else fails with
 * EPERM, and the kernel's audit log reports it. The filters cannot be part of the first filter,
 * because threads can only be given that one at once if none has a filter of its own.
 *
 * Each thread loads its filter in the handler of MT_RIGHTS_SIGNAL, so that this also reaches the
 * threads that DPDK has made. The program is prepared before, since a handler may allocate nothing.
 *
 * Builds with a sanitizer set no such filter: its runtime opens files and maps memory in any
 * thread.
 */
#include "mt_rights.h"

#include "mt_base.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define WAIT_MS	    8000 /* as mt_rights_keep(): a loaded host must not fail the start */
#define THREADS_MAX 1024
#define PROGRAM_MAX 1024 /* instructions */

/* Calls of a thread that opens no files and sockets. */
static const int calls[] = {
	/* descriptors that are open: packet sockets, TAP, AF_XDP, eventfds, the log */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(sendto),
	SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(close),
	/* libpcap clears a socket's error by it, when the interface was down */
	SCMP_SYS(getsockopt),
	/* I/O ports of VFIO: a virtio device without modern registers is notified by a write */
	SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	/* sleep */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2), SCMP_SYS(futex), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield),
	/* memory, which a rule below keeps from being executable */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock),
	SCMP_SYS(mlock2), SCMP_SYS(munlock),
	/* time, identity, randomness */
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getcpu), SCMP_SYS(sched_getaffinity), SCMP_SYS(getrandom),
	/* signals and the end, also by abort() */
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
	SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(membarrier), SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list), SCMP_SYS(exit), SCMP_SYS(exit_group)};

/* Names of the threads, as they begin. DPDK has renamed its workers several times. */
static const struct {
	const char *name;
	bool is_worker;
} names[] = {{"lcore-worker", true}, {"lcore-slave", true}, {"rte-worker", true},
	{"dpdk-worker", true}, {"mt-tls", false}, {"mt-jwt", false}};

/* State of the call in progress, because a signal handler has no argument. */
static struct {
	struct sock_filter program[PROGRAM_MAX];
	struct sock_fprog loaded;
	pid_t tids[THREADS_MAX];
	uint32_t n, workers;
	_Atomic uint32_t answered;
	_Atomic int failed; /* errno of a thread that failed */
} confine;

/* ---- the filter ----------------------------------------------------------------------------- */

static int fill(scmp_filter_ctx ctx, bool with_ioctl)
{
	static const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
	int rc = 0;

	for (size_t i = 0; !rc && i < MT_ARRAY_LEN(calls); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; !rc && i < MT_ARRAY_LEN(mapping); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, mapping[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_TIMERSLACK, 0));
	if (!rc && with_ioctl)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 0);
	return rc;
}

/* Reads the program back from a file in memory, as the library has no other form of it. */
static int export(scmp_filter_ctx ctx)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t n;
	int rc;

	if (fd < 0)
		return -errno;
	rc = seccomp_export_bpf(ctx, fd);
	n = rc ? 0 : pread(fd, confine.program, sizeof(confine.program), 0);
	if (n < 0)
		rc = -errno;
	close(fd);
	if (!rc && (n == 0 || n == (ssize_t)sizeof(confine.program)))
		rc = -E2BIG;
	confine.loaded = (struct sock_fprog){
		(unsigned short)((size_t)MT_MAX(n, 0) / sizeof(struct sock_filter)),
		confine.program};
	return rc;
}

static int make(bool with_ioctl)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (!ctx)
		return -ENOMEM;
	rc = fill(ctx, with_ioctl);
	if (!rc)
		rc = export(ctx);
	seccomp_release(ctx);
	return rc;
}

/* ---- threads -------------------------------------------------------------------------------- */

static void on_signal(int sig)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	int kept = errno;

	(void)sig;
	for (uint32_t i = 0; i < confine.n; i++) {
		if (confine.tids[i] != tid)
			continue;
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG,
			    &confine.loaded) != 0)
			atomic_store(&confine.failed, errno);
		atomic_fetch_add(&confine.answered, 1);
	}
	errno = kept;
}

/* True if the thread is to be confined; counts the workers among these. */
static bool is_confined(const char *tid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		if (strncmp(name, names[i].name, strlen(names[i].name)) == 0) {
			confine.workers += names[i].is_worker;
			return true;
		}
	return false;
}

static int find_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	if (!d)
		return -errno;
	confine.n = confine.workers = 0;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && confine.n < THREADS_MAX && is_confined(e->d_name))
			confine.tids[confine.n++] = atoi(e->d_name);
	closedir(d);
	return confine.n < THREADS_MAX ? 0 : -E2BIG;
}

/* Signals each of the threads and waits for them. A thread that has ended needs no filter. */
static int signal_threads(void)
{
	uint32_t asked = 0;

	for (uint32_t i = 0; i < confine.n; i++) {
		if (syscall(SYS_tgkill, getpid(), confine.tids[i], MT_RIGHTS_SIGNAL) == 0)
			asked++;
		else if (errno != ESRCH)
			return -errno;
	}
	for (int i = 0; i < WAIT_MS && atomic_load(&confine.answered) < asked; i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	if (atomic_load(&confine.answered) < asked)
		return -ETIMEDOUT;
	return -atomic_load(&confine.failed);
}

int mt_rights_confine_threads(const struct mt_rights_threads *of, struct mt_err *e)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	int rc = SANITIZED ? 0 : make(of->shared_device);

	if (SANITIZED)
		return 0;
	if (rc == 0)
		rc = find_threads();
	if (rc == 0 && confine.workers < of->workers)
		return mt_err(e, -ESRCH,
			"system calls of workers cannot be limited: %u of %u threads of DPDK were "
			"found by their names (--no-seccomp starts without any filter)",
			confine.workers, of->workers);
	if (rc == 0 && sigaction(MT_RIGHTS_SIGNAL, &act, NULL) != 0)
		rc = -errno;
	if (rc == 0)
		rc = signal_threads();
	return rc ? mt_err(e, rc, "system calls of workers cannot be limited: %s", strerror(-rc))
		  : (int)confine.n;
}
