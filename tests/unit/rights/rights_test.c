/* SPDX-License-Identifier: Apache-2.0 */
/* What is given up is given up by every thread, those that were there and those that come. Each case is a process of its own. */
#include "mt_rights.h"
#include "profile_test.h"

#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define KEPT	MT_RIGHT(CAP_IPC_LOCK)

static sem_t begin, done;
static uint64_t has[THREADS];
static int calls[THREADS];

/*
 * Refuses memory that is written and executed, at once or one after the other; memory that is only
 * read is allowed.
 */
static int writable_code(void)
{
	const int made = MAP_PRIVATE | MAP_ANONYMOUS, both = PROT_READ | PROT_WRITE | PROT_EXEC;
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, made, -1, 0), *code;
	int wrong = page == MAP_FAILED;

	wrong |= mmap(NULL, 4096, both, made, -1, 0) != MAP_FAILED || errno != EPERM;
	wrong |= mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 || errno != EPERM;
	wrong |= syscall(SYS_pkey_mprotect, page, 4096, PROT_EXEC, -1) == 0 || errno != EPERM;
	wrong |= mprotect(page, 4096, PROT_READ) != 0;
	code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, made, -1, 0);
	wrong |= code == MAP_FAILED;
	munmap(code, 4096);
	munmap(page, 4096);
	return wrong;
}

/*
 * Refuses System V shared memory that is attached to be executed, which would be another way to
 * memory that is written and executed; attached without SHM_EXEC it is allowed.
 */
static int shared_code(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700), wrong = id < 0;
	void *const failed = (void *)-1;
	void *data = shmat(id, NULL, 0);

	wrong |= data == failed;
	wrong |= shmat(id, NULL, SHM_EXEC) != failed || errno != EPERM;
	wrong |= shmat(id, NULL, SHM_EXEC | SHM_RDONLY) != failed || errno != EPERM;
	if (data != failed)
		shmdt(data);
	shmctl(id, IPC_RMID, NULL);
	return wrong;
}

/* Which of the calls that are refused were not. */
static int try_calls(void)
{
	int wrong = 0;
	pid_t child;

	wrong |= (execve("/nowhere", (char *[]){"nowhere", NULL}, NULL) != -1 || errno != EPERM)
		 << 0;
	wrong |= (unshare(CLONE_NEWNS) != -1 || errno != EPERM) << 1;
	wrong |= (mount("none", "/", NULL, MS_REMOUNT | MS_BIND, NULL) != -1 || errno != EPERM)
		 << 2;
	wrong |= (socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) != -1 || errno != EPERM) << 3;
	wrong |= (socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) != -1 || errno != EPERM)
		 << 4;
	/* The kernel looks at half of the number only. */
	wrong |=
		(syscall(SYS_socket, (1L << 32) | AF_VSOCK, SOCK_STREAM, 0) != -1 || errno != EPERM)
		<< 6;
	wrong |= writable_code() << 8;
	wrong |= shared_code() << 9;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	child = fork();
	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid(child, NULL, 0);
	wrong |= (child >= 0 || errno != EPERM) << 5;
	wrong |= (kill(1, 0) != -1 || errno != EPERM) << 7;
#else
	(void)child;
#endif
	return wrong;
}

static void *thread(void *arg)
{
	int i = (int)(intptr_t)arg;

	/* Interrupted by the signal and waiting on, as a thread of a library would. */
	while (sem_wait(&begin) != 0 && errno == EINTR)
		;
	has[i] = mt_rights_now();
	calls[i] = try_calls();
	sem_post(&done);
	return NULL;
}

/* In a child: 0, or the line of what is not so. */
#define HOLDS(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			_exit(__LINE__ % 251 + 1);                                                 \
	} while (0)

static void end_threads(pthread_t *t, int n)
{
	for (int i = 0; i < n; i++)
		sem_post(&begin);
	for (int i = 0; i < n; i++)
		sem_wait(&done);
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

/* The thread has its name, and blocks all signals but the one by which it drops capabilities. */
static void *masked(void *arg)
{
	sigset_t now;
	char name[16];

	sem_wait(&begin);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	*(bool *)arg = strcmp(name, "mt-some") == 0 && sigismember(&now, SIGTERM) == 1 &&
		       sigismember(&now, SIGHUP) == 1 && sigismember(&now, MT_RIGHTS_SIGNAL) == 0;
	sem_post(&done);
	return NULL;
}

static void threads_of_the_daemon(void)
{
	sigset_t before, now;
	bool good = false;
	pthread_t t;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	CU_ASSERT_EQUAL_FATAL(mt_rights_thread(&t, "mt-some", masked, &good), 0);
	sem_post(&begin);
	sem_wait(&done);
	pthread_join(t, NULL);
	CU_ASSERT_TRUE(good);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	CU_ASSERT_EQUAL(sigismember(&now, SIGTERM), sigismember(&before, SIGTERM));
	CU_ASSERT_EQUAL(sigismember(&now, SIGHUP), 0);
}

static void capabilities_child(void)
{
	uint64_t before = mt_rights_now();
	pthread_t t[THREADS], late;
	struct mt_err e;

	for (int i = 0; i < THREADS - 1; i++)
		HOLDS(pthread_create(&t[i], NULL, thread, (void *)(intptr_t)i) == 0);
	HOLDS(mt_rights_keep(KEPT, &e) == 0);
	HOLDS(mt_rights_now() == (before & KEPT));
	HOLDS(pthread_create(&late, NULL, thread, (void *)(intptr_t)(THREADS - 1)) == 0);
	t[THREADS - 1] = late;
	end_threads(t, THREADS);
	for (int i = 0; i < THREADS; i++)
		HOLDS(has[i] == (before & KEPT));
	/* What is kept is a part of what there was: nothing comes back. */
	HOLDS(mt_rights_keep(UINT64_MAX, &e) == 0);
	HOLDS(mt_rights_now() == (before & KEPT));
	_exit(0);
}

static void calls_child(void)
{
	pthread_t t[THREADS];
	struct mt_err e;
	int fd;

	for (int i = 0; i < THREADS - 1; i++)
		HOLDS(pthread_create(&t[i], NULL, thread, (void *)(intptr_t)i) == 0);
	HOLDS(mt_rights_refuse_calls(MT_CALLS_ALL, &e) == 0);
	HOLDS(try_calls() == 0);
	/* Threads and sockets of the network can be made as before. */
	HOLDS(pthread_create(&t[THREADS - 1], NULL, thread, (void *)(intptr_t)(THREADS - 1)) == 0);
	end_threads(t, THREADS);
	for (int i = 0; i < THREADS; i++)
		HOLDS(calls[i] == 0);
	HOLDS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	HOLDS(fd >= 0);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	HOLDS(fd >= 0);
	_exit(0);
}

static void in_a_process(void (*run)(void))
{
	int status = -1;
	pid_t child = fork();

	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0)
		run();
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void capabilities_of_all_threads(void)
{
	in_a_process(capabilities_child);
}

static void calls_of_all_threads(void)
{
	in_a_process(calls_child);
}

static void calls_of_workers(void)
{
	in_a_process(threads_child);
}

static void every_call(void)
{
	in_a_process(refused_child);
	in_a_process(refused_packet_child);
	in_a_process(refused_xdp_child);
	in_a_process(refused_unknown_child);
	in_a_process(refused_shared_child);
}

int main(int argc, char **argv)
{
	static const struct mt_test tests[] = {
		{"capabilities_of_all_threads", capabilities_of_all_threads},
		{"calls_of_all_threads", calls_of_all_threads},
		{"threads_of_the_daemon", threads_of_the_daemon},
		{"calls_of_workers", calls_of_workers},
		{"every_call", every_call},
		{"table_of_ports", table_of_ports},
		{"device_of_another_host", device_of_another_host},
		{"texts", texts},
		{"listeners", listeners},
		{"directories", directories},
		{"calls_of_ports", calls_of_ports},
		{0},
	};
	const struct mt_suite suites[] = {{"rights", tests}, {0}};

	sem_init(&begin, 0, 0);
	sem_init(&done, 0, 0);
	return mt_test_main(suites, argc, argv);
}
