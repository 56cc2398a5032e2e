/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process may do is given up once what needs it has been done: capabilities(7) by every thread, and system calls
 * that a running data plane never makes, for the whole process (seccomp(2)). Whoever takes the process over by a peer's
 * bytes has what is left.
 */
#pragma once

#include "mt_log.h"

#include <signal.h>
#include <stdint.h>

/* One bit for each capability, as the kernel numbers them. */
#define MT_RIGHT(capability) (UINT64_C(1) << (capability))

/* By which threads are asked: whoever blocks all signals leaves this one out. */
#define MT_RIGHTS_SIGNAL (SIGRTMAX - 1)

/* What this thread may do now, as far as the kernel tells; 0: nothing, or nothing is told. */
uint64_t mt_rights_now(void);

/*
 * From now on no thread of the process may do more than `keep` of what it may now, nor any thread that is made later, and
 * nobody gets it back. Other threads are interrupted for it by a signal (their system calls end with EINTR, as by any other
 * signal), so what they wait in has to bear that. Once, by one thread. 0; -ETIMEDOUT: some thread has not answered within a
 * second, -errno; words in *e.
 */
int mt_rights_keep(uint64_t keep, struct mt_err *e);

/*
 * From now on these calls end with EPERM, in every thread: programs and processes are started or looked into (execve, fork,
 * ptrace, process_vm_*), namespaces, mounts and roots, modules, BPF, performance counters, clocks, keys, devices' nodes, ports
 * of the processor, sockets that see or make packets, and memory that is written and executed. 0, -errno; words in *e.
 */
int mt_rights_refuse_calls(struct mt_err *e);
