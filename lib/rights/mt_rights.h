/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drops privileges once they are no longer needed: capabilities(7) of every thread, and for the
 * whole process system calls that a running data plane never makes (seccomp(2)). An attacker who
 * controls the process then has only what is left.
 */
#pragma once

#include "mt_log.h"

#include <signal.h>
#include <stdint.h>

/* One bit for each capability, numbered as in the kernel. */
#define MT_RIGHT(capability) (UINT64_C(1) << (capability))

/*
 * Signal by which threads drop capabilities; a thread that blocks all signals must leave it
 * unblocked.
 */
#define MT_RIGHTS_SIGNAL (SIGRTMAX - 1)

/*
 * Effective capabilities of the calling thread; 0 if it has none or the kernel does not report
 * them.
 */
uint64_t mt_rights_now(void);

/*
 * Limits the capabilities of all threads of the process, also of later ones, to those in `keep`
 * that they have now. This cannot be undone. The other threads are interrupted by a signal: system
 * calls are restarted (SA_RESTART) or end with EINTR, as after any other signal, and their callers
 * must handle that. Call once, on one thread. Returns 0, -ETIMEDOUT if threads have not reacted in
 * 8 rounds of at most 1 s, or -errno, with the reason in *e.
 */
int mt_rights_keep(uint64_t keep, struct mt_err *e);

/*
 * Makes these calls fail with EPERM in every thread: starting or inspecting processes (execve,
 * fork, ptrace, process_vm_*); namespaces, mounts and roots, kernel modules, BPF, performance
 * counters, clocks, keys, device nodes, I/O ports; sockets that read or send raw packets; memory
 * that is writable and executable. Returns 0, or -errno with the reason in *e.
 */
int mt_rights_refuse_calls(struct mt_err *e);
