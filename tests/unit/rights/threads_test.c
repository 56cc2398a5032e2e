/* SPDX-License-Identifier: Apache-2.0 */
/* Threads with the name of a worker can make the calls of their list and no others; threads with another name are not affected. */
#include "profile_test.h"

#include "mt_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static sem_t named, go;
static int pair[2], file;

/* Calls that a worker cannot make, one bit each; bits of the result are of those that passed. */
static unsigned int forbidden(void)
{
	unsigned int wrong = 0, bit = 0;

#define REFUSED(call)                                                                              \
	do {                                                                                       \
		errno = 0;                                                                         \
		wrong |= (unsigned int)((call) != -1 || errno != EPERM) << bit++;                  \
	} while (0)
	REFUSED(execve("/bin/true", (char *[]){"true", NULL}, NULL));
	REFUSED((int)syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
	REFUSED(open("/dev/null", O_WRONLY | O_CLOEXEC));
	REFUSED(open("/dev/null", O_RDONLY | O_CLOEXEC));
	REFUSED(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	REFUSED((int)syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(mount("none", "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	REFUSED(setuid(getuid()));
	REFUSED((int)syscall(SYS_kexec_load, 0, 0, NULL, 0));
	REFUSED((int)syscall(SYS_clone, 0, NULL, NULL, NULL, 0));
	REFUSED(unlink("/nowhere"));
	REFUSED(prctl(PR_SET_DUMPABLE, 1));
	REFUSED((int)syscall(SYS_seccomp, 0, 0, NULL));
	REFUSED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
				MAP_FAILED
			? -1
			: 0);
#undef REFUSED
	return wrong;
}

/* Calls of a worker; bits of the result are of those that failed. */
static unsigned int permitted(void)
{
	const struct timespec moment = {.tv_nsec = 1000};
	struct epoll_event ev = {.events = EPOLLIN};
	unsigned int wrong = 0, bit = 0;
	int epoll, wake;
	char c = 'x';
	void *page;

#define DONE(ok) wrong |= (unsigned int)!(ok) << bit++
	DONE(prctl(PR_SET_TIMERSLACK, 1) == 0);
	DONE(sendto(pair[0], &c, 1, 0, NULL, 0) == 1);
	DONE(recvfrom(pair[1], &c, 1, 0, NULL, NULL) == 1);
	DONE(pwrite(file, &c, 1, 0) == 1 && pread(file, &c, 1, 0) == 1);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	DONE(epoll >= 0 && wake >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &ev) == 0);
	DONE(write(wake, &(uint64_t){1}, 8) == 8);
	DONE(epoll_pwait2(epoll, &ev, 1, &moment, NULL) == 1);
	DONE(close(epoll) == 0);
	DONE(clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) == 0);
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	DONE(page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0);
	DONE(munmap(page, 4096) == 0);
#undef DONE
	close(wake);
	return wrong;
}

struct result {
	const char *name;
	unsigned int forbidden, permitted;
	int socket;
};

static void *thread(void *arg)
{
	struct result *r = arg;

	(void)pthread_setname_np(pthread_self(), r->name);
	sem_post(&named);
	while (sem_wait(&go) != 0 && errno == EINTR)
		;
	r->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->socket < 0)
		r->forbidden = forbidden();
	r->permitted = permitted();
	return NULL;
}

/* The exit status says which of the conditions does not hold. */
#define HOLDS(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			_exit(__LINE__ % 251 + 1);                                                 \
	} while (0)

void threads_child(void)
{
	struct result r[] = {{.name = "lcore-worker-1"}, {.name = "rte-worker-2"},
		{.name = "mt-tls-0"}, {.name = "mt-jwt"}, {.name = "mt-jwks"}, {.name = "other"}};
	pthread_t t[MT_ARRAY_LEN(r)];
	struct mt_err e;
	int rc;

	sem_init(&named, 0, 0);
	sem_init(&go, 0, 0);
	HOLDS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	file = memfd_create("ports", MFD_CLOEXEC);
	for (size_t i = 0; i < MT_ARRAY_LEN(r); i++)
		HOLDS(pthread_create(&t[i], NULL, thread, &r[i]) == 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(r); i++)
		while (sem_wait(&named) != 0)
			;
	HOLDS(mt_rights_refuse_calls(MT_CALLS_ALL, &e) == 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	HOLDS(mt_rights_confine_threads(&(struct mt_rights_threads){.workers = 3}, &e) == -ESRCH);
	HOLDS(strstr(e.text, "2 of 3 threads of DPDK"));
#endif
	rc = mt_rights_confine_threads(&(struct mt_rights_threads){.workers = 2}, &e);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	HOLDS(rc == 0);
	_exit(0);
#endif
	HOLDS(rc == 4);
	for (size_t i = 0; i < MT_ARRAY_LEN(r); i++)
		sem_post(&go);
	for (size_t i = 0; i < MT_ARRAY_LEN(r); i++)
		pthread_join(t[i], NULL);
	for (size_t i = 0; i < MT_ARRAY_LEN(r); i++) {
		if (r[i].forbidden || r[i].permitted || (r[i].socket < 0) != (i < 4))
			fprintf(stderr, "%s: passed %x, failed %x, socket %d\n", r[i].name,
				r[i].forbidden, r[i].permitted, r[i].socket);
		HOLDS(r[i].forbidden == 0 && r[i].permitted == 0);
		HOLDS((r[i].socket < 0) == (i < 4));
	}
	_exit(0);
}
