/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends the program when a worker allocates or frees memory, takes a lock of the C library or makes
 * a system call. The functions of the C library are replaced by ones that look first. System calls
 * raise SIGSYS while a worker runs (syscall user dispatch of Linux 5.11).
 *
 * With PATH_TRAP_TEST=memory|lock|call in the environment the program does one of these at its start,
 * which must be found.
 */
#include "path.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON	     1
#endif

#define SKIPPED 77 /* exit status: this kernel cannot do it */

/* The C library's own functions. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static volatile char
	selector; /* read by the kernel: 0: system calls are made; 1: they raise SIGSYS */
static __thread bool trapping;

/* ---- what is found --------------------------------------------------------------------------- */

static void found(const char *what, long number)
{
	void *frames[32];
	char text[96];
	int n;

	selector = 0;
	trapping = false;
	n = snprintf(text, sizeof(text), "path: a worker %s %ld\n", what, number);
	(void)!write(STDERR_FILENO, text, (size_t)n);
	n = backtrace(frames, MT_ARRAY_LEN(frames));
	backtrace_symbols_fd(frames, n, STDERR_FILENO);
	_exit(EXIT_FAILURE);
}

static void on_system_call(int sig, siginfo_t *info, void *context)
{
	found("makes system call", info->si_syscall);
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
	if (mt_unlikely(trapping))
		found("allocates", (long)size);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	if (mt_unlikely(trapping))
		found("allocates", (long)(n * size));
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	if (mt_unlikely(trapping))
		found("reallocates", (long)size);
	return __libc_realloc(p, size);
}

void free(void *p)
{
	if (mt_unlikely(trapping) && p)
		found("frees memory", 0);
	__libc_free(p);
}

/* ---- locks ----------------------------------------------------------------------------------- */

typedef int lock_fn(void *lock);

/* The C library's function of this name. */
static lock_fn *real(const char *name, lock_fn **kept)
{
	if (!*kept)
		*(void **)kept = dlsym(RTLD_NEXT, name);
	return *kept;
}

#define LOCK(name, type)                                                                           \
	int name(type *lock)                                                                       \
	{                                                                                          \
		static lock_fn *kept;                                                              \
                                                                                                   \
		if (mt_unlikely(trapping))                                                         \
			found("takes a lock by " #name, 0);                                        \
		return real(#name, &kept)(lock);                                                   \
	}

LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_mutex_trylock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)

/* ---- turns ----------------------------------------------------------------------------------- */

static void start(void)
{
	const struct sigaction action = {.sa_sigaction = on_system_call, .sa_flags = SA_SIGINFO};
	void *frames[1];

	/* Loads what it needs now. */
	backtrace(frames, 1);
	if (sigaction(SIGSYS, &action, NULL) ||
		prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0ul, 0ul, &selector)) {
		fputs("SKIPPED: this kernel has no syscall user dispatch\n", stderr);
		_exit(SKIPPED);
	}
}

/* Does what must be found. */
static void try_it(const char *what)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	if (strcmp(what, "memory") == 0)
		free(malloc(1));
	else if (strcmp(what, "lock") == 0)
		pthread_mutex_lock(&mutex);
	else if (strcmp(what, "call") == 0)
		syscall(SYS_getppid);
}

void path_trap(bool on)
{
	static bool started;

	if (on && !started)
		start();
	started |= on;
	trapping = on;
	selector = on;
}

static __attribute__((constructor)) void test_itself(void)
{
	const char *what = getenv("PATH_TRAP_TEST");

	if (!what)
		return;
	path_trap(true);
	try_it(what);
	path_trap(false);
}
