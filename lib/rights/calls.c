/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses system calls by a deny list and not an allow list, because libraries may make calls that
 * are not known here; capabilities limit the calls that are not in the list. The sanitizers' leak
 * check starts a process that inspects this one, so sanitizer builds omit the rules on other
 * processes.
 */
#include "mt_rights.h"

#include "mt_base.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOOKS_INTO_ITSELF true
#else
#define LOOKS_INTO_ITSELF false
#endif

/* Calls on other processes. */
static const int processes[] = {SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(process_madvise)};

static const int programs[] = {SCMP_SYS(execve), SCMP_SYS(execveat)};

static const int others[] = {
	/* the process's view of the machine */
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(chroot), SCMP_SYS(pivot_root), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
	SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(mknod),
	SCMP_SYS(mknodat), SCMP_SYS(quotactl), SCMP_SYS(fanotify_init),
	/* the kernel */
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon),
	SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(syslog), SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd), SCMP_SYS(lookup_dcookie), SCMP_SYS(io_uring_setup),
	SCMP_SYS(modify_ldt), SCMP_SYS(vhangup), SCMP_SYS(nfsservctl),
	/* keys, clocks and names of the machine */
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(stime),
	SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
	/* the user, groups and personality of the process */
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid),
	SCMP_SYS(setgroups), SCMP_SYS(personality)};

static const int bpf[] = {SCMP_SYS(bpf)};
static const int io_ports[] = {SCMP_SYS(iopl), SCMP_SYS(ioperm)};

/*
 * Socket families that read or send raw packets, or leave the machine by other ways than the
 * network.
 */
static const int families[] = {AF_VSOCK, AF_ALG, AF_BLUETOOTH, AF_CAN};

static int refuse(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 0);

		if (rc)
			return rc;
	}
	return 0;
}

static int refuse_processes(scmp_filter_ctx ctx)
{
	int rc = refuse(ctx, processes, MT_ARRAY_LEN(processes));

	/* clone() also makes threads, so refuse it only without CLONE_THREAD. */
	return rc ? rc
		  : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
}

/*
 * Refuses memory that is writable and executable, as MemoryDenyWriteExecute= of a unit does. Code
 * is mapped only from files (shared objects of filters), which needs none of these calls. On i386
 * mmap(2) is another call, but the daemon does not run there.
 */
static int refuse_code(scmp_filter_ctx ctx)
{
	static const int calls[] = {SCMP_SYS(mprotect), SCMP_SYS(pkey_mprotect)};
	const scmp_datum_t both = PROT_WRITE | PROT_EXEC;
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
		SCMP_A2(SCMP_CMP_MASKED_EQ, both, both));

	for (size_t i = 0; !rc && i < MT_ARRAY_LEN(calls); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(shmat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, SHM_EXEC, SHM_EXEC));
	return rc;
}

/* The kernel reads 32 bits of the family, so compare these only. */
static int refuse_family(scmp_filter_ctx ctx, int family)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)family));
}

static int refuse_sockets(scmp_filter_ctx ctx)
{
	static const int internet[] = {AF_INET, AF_INET6};
	int rc = 0;

	for (size_t i = 0; !rc && i < MT_ARRAY_LEN(families); i++)
		rc = refuse_family(ctx, families[i]);
	for (size_t i = 0; !rc && i < MT_ARRAY_LEN(internet); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2,
			SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)internet[i]),
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
	return rc;
}

/* Refuses signals to other processes. The C library signals only threads of this process. */
static int refuse_signals(scmp_filter_ctx ctx)
{
	static const int calls[] = {SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(rt_sigqueueinfo),
		SCMP_SYS(rt_tgsigqueueinfo)};
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tkill), 0);

	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(pidfd_send_signal), 0);
	for (size_t i = 0; !rc && i < MT_ARRAY_LEN(calls); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1,
			SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid(), 0));
	return rc;
}

static int refuse_programs(scmp_filter_ctx ctx)
{
	int rc = refuse(ctx, programs, MT_ARRAY_LEN(programs));

	if (!rc && !LOOKS_INTO_ITSELF)
		rc = refuse_processes(ctx);
	if (!rc && !LOOKS_INTO_ITSELF)
		rc = refuse_signals(ctx);
	return rc ? rc : refuse_code(ctx);
}

static int fill(scmp_filter_ctx ctx, uint32_t groups)
{
	int rc = 0;

	if (groups & MT_CALLS_OTHERS)
		rc = refuse(ctx, others, MT_ARRAY_LEN(others));
	if (!rc && (groups & MT_CALLS_OTHERS))
		rc = refuse_sockets(ctx);
	if (!rc && (groups & MT_CALLS_PROGRAMS))
		rc = refuse_programs(ctx);
	if (!rc && (groups & MT_CALLS_IO_PORTS))
		rc = refuse(ctx, io_ports, MT_ARRAY_LEN(io_ports));
	if (!rc && (groups & MT_CALLS_BPF))
		rc = refuse(ctx, bpf, MT_ARRAY_LEN(bpf));
	if (!rc && (groups & MT_CALLS_PACKET))
		rc = refuse_family(ctx, AF_PACKET);
	if (!rc && (groups & MT_CALLS_XDP))
		rc = refuse_family(ctx, AF_XDP);
	return rc;
}

/*
 * Hides clone3(): its arguments are in memory, which a filter cannot read, and the C library does
 * without it. This is a filter of its own, because each start of a thread tries the call, and the
 * kernel would log it.
 */
static int hide_clone3(scmp_filter_ctx ctx, uint32_t groups)
{
	(void)groups;
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/*
 * Loads a filter for all threads at once. A refused call fails with an error and does not end the
 * process.
 */
static int load(int (*rules)(scmp_filter_ctx ctx, uint32_t groups), uint32_t groups, bool logged)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc = ctx ? 0 : -ENOMEM;

	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Kernels before 4.14 do not log refused calls. */
	if (!rc && logged)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	if (!rc)
		rc = rules(ctx, groups);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc;
}

int mt_rights_refuse_calls(uint32_t groups, struct mt_err *e)
{
	int rc = 0;

	if ((groups & MT_CALLS_PROGRAMS) && !LOOKS_INTO_ITSELF)
		rc = load(hide_clone3, groups, false);
	if (!rc && groups)
		rc = load(fill, groups, true);
	return rc ? mt_err(e, rc, "system calls cannot be refused: %s", strerror(-rc)) : 0;
}
