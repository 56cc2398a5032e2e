/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/rights: drops privileges once they are no longer needed: capabilities(7) of every thread, and
 * for the whole process system calls that a running data plane never makes (seccomp(2)). An
 * attacker who controls the process then has only what is left. The daemon calls it twice: before
 * it reads documents, for all that its ports do not need (app/meltemid/needs.c, the row `needs` of
 * boot.c), and after it has opened everything (rights.c, the row `rights`). Then it logs the
 * remaining capabilities.
 *
 * Invariants:
 * - Capabilities belong to threads: a signal makes each thread drop its own in the handler, as the
 *   C library does for setuid(2). /proc/self/task is scanned until no thread has more than allowed,
 *   so that threads created meanwhile are included.
 * - Nothing comes back: a new thread inherits the reduced set of the thread that created it, and
 *   no_new_privs is set with the filter.
 * - Threads that block all signals must leave MT_RIGHTS_SIGNAL unblocked, as mt_rights_thread()
 *   does. Otherwise the daemon does not start, and logs the reason.
 * - The filter does not affect normal operation, except memory that is both writable and executable
 *   (mmap, mprotect, shmat). A filter library (kind Filter) is loaded as before, but can neither
 *   start programs nor generate code, nor open files and sockets on a worker.
 * - The first step leaves what a port of the Node needs until it is open: capabilities by its
 *   profile (mt_rights_profile.h), and groups of calls (MT_CALLS_*).
 * - Workers and threads that only compute have an allow list on top (threads.c). A refused call
 *   fails with EPERM, so that the node goes on.
 *
 * Capabilities that the daemon keeps:
 * - CAP_DAC_READ_SEARCH always: documents and certificates of other users. CAP_IPC_LOCK always.
 * - CAP_SYS_ADMIN if the EAL works with physical addresses: only this capability reveals those of
 *   memory that is mapped later.
 * - CAP_NET_RAW and CAP_NET_ADMIN if a driver shares a device with the kernel's driver (mlx4, mlx5,
 *   mana, af_xdp).
 * - CAP_DAC_OVERRIDE if another user owns the state directory, CAP_DAC_READ_SEARCH is missing, or
 *   the daemon connects to sockets of other users (discovery servers, an agent's socket, memif,
 *   vhost-user with client=1).
 *
 * All of these only as far as the process had them: under the unit it is the user `meltemi` with
 * the capabilities of its profile (mt_rights_profile.h).
 *
 * Limits: a process that was started as root keeps uid 0, which owns files that control the kernel
 * (/proc/sys) and the host's service managers (units, udev rules, tmpfiles in /run). The systemd
 * unit makes these files read-only, and hides the managers' sockets, because a read-only mount does
 * not prevent connect(). Without the unit they are not protected.
 */
#pragma once

#include "mt_log.h"

#include <pthread.h>
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
 * Starts a thread that blocks all signals but MT_RIGHTS_SIGNAL, because the control thread handles
 * the others. `name`, at most 15 bytes, is for people and mt_rights_confine_threads(). Any thread.
 * Returns 0 or -errno.
 */
int mt_rights_thread(pthread_t *id, const char *name, void *(*run)(void *), void *arg);

/*
 * Effective capabilities of the calling thread; 0 if it has none or the kernel does not report
 * them.
 */
uint64_t mt_rights_now(void);

/*
 * Limits the capabilities of all threads of the process, also of later ones, to those in `keep`
 * that they have now. This cannot be undone. The other threads are interrupted by a signal: system
 * calls are restarted (SA_RESTART) or end with EINTR, as after any other signal, and their callers
 * must handle that. Call on one thread. Returns 0, -ETIMEDOUT if threads have not reacted in 8
 * rounds of at most 1 s, or -errno, with the reason in *e.
 */
int mt_rights_keep(uint64_t keep, struct mt_err *e);

/* Groups of calls. Each of the first four is needed to open a kind of port. */
enum {
	MT_CALLS_BPF = 1,      /* bpf: AF_XDP */
	MT_CALLS_PACKET = 2,   /* sockets of AF_PACKET */
	MT_CALLS_XDP = 4,      /* sockets of AF_XDP */
	MT_CALLS_IO_PORTS = 8, /* iopl, ioperm: PCI devices of uio */
	/*
	 * Starting, inspecting and signalling processes, and memory that is writable and
	 * executable: drivers with unknown needs.
	 */
	MT_CALLS_PROGRAMS = 16,
	/*
	 * No port needs these: namespaces, mounts and roots, kernel modules, performance counters,
	 * clocks, keys, device nodes, users, other sockets that read or send raw packets.
	 */
	MT_CALLS_OTHERS = 32,
	MT_CALLS_ALL = 63
};

/*
 * Makes the calls of these groups fail with EPERM in every thread, and be reported in the kernel's
 * audit log; 0: none. Groups of an earlier call stay refused. Returns 0, or -errno with the reason
 * in *e.
 */
int mt_rights_refuse_calls(uint32_t groups, struct mt_err *e);

/* Facts about the process that mt_rights_confine_threads() needs. */
struct mt_rights_threads {
	uint32_t workers; /* fewer threads of DPDK with their names are an error */
	/*
	 * Permit ioctl(): a driver that shares its device with the kernel (mlx5) restores a receive
	 * queue by it after an error.
	 */
	bool shared_device;
};

/*
 * Lets the workers and the threads that compute handshakes and verify tokens make only the calls of
 * an allow list: on descriptors that are open, sleeping, memory, time. All else, such as opening a
 * file or a socket, fails with EPERM, and the kernel's audit log reports it. The threads are found
 * by their names, and interrupted as by mt_rights_keep(). Later threads have the filter of their
 * creator. Call it after the last mt_rights_refuse_calls(), once, on one thread. Returns the number
 * of these threads, 0 in builds with a sanitizer, or -errno with the reason in *e: -ESRCH if fewer
 * than of->workers were found, -ETIMEDOUT if one has not reacted in 8 s.
 */
int mt_rights_confine_threads(const struct mt_rights_threads *of, struct mt_err *e);
