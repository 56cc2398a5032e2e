/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_memory.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

_Thread_local void *mt_vhost_inside;

static void (*report)(void *owner);
static struct sigaction before;

/*
 * Maps zeros over the page of the address. A mapping of huge pages can only be replaced in whole
 * pages, and the kernel refuses less. Only calls that are safe in a handler.
 */
static bool replace(uintptr_t at)
{
	static const uintptr_t sizes[] = {4096, 2ul << 20, 1ul << 30};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		uintptr_t start = at & ~(sizes[i] - 1);

		if (mmap((void *)start, sizes[i], PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			    0) != MAP_FAILED)
			return true;
		if (errno != EINVAL)
			return false;
	}
	return false;
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	void *owner = mt_vhost_inside;
	bool replaced = owner && info->si_code == BUS_ADRERR && replace((uintptr_t)info->si_addr);

	errno = saved;
	if (replaced)
		report(owner);
	else if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(signal, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(signal);
	else
		sigaction(SIGBUS, &before, NULL); /* the access repeats, and has this effect */
}

int mt_vhost_memory_guard(void (*missing)(void *owner))
{
	struct sigaction a = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	if (report)
		return 0;
	sigemptyset(&a.sa_mask);
	report = missing;
	if (sigaction(SIGBUS, &a, &before) == 0)
		return 0;
	report = NULL;
	return -errno;
}
