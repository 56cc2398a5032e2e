/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes every system call of the machine in a confined process, and in a worker of it, and compares
 * the answers of the filters with the lists below. They repeat those of lib/rights, so that no call
 * leaves a filter unnoticed.
 *
 * No call is executed: a filter that was loaded before answers ENOANO to calls with MARK as the
 * sixth argument. If several filters answer with an error, the kernel returns that of the latest.
 */
#include "profile_test.h"

#include "mt_rights.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define MARK	0x4d544d54
#define NUMBERS 512 /* of system calls; Linux 6 has fewer than 470 */
/* No filter sees these two: only the kernel's code for probes may make them, others get SIGILL. */
#define URETPROBE 335
#define UPROBE	  336

/* Refused to every thread, whatever their arguments. */
static const short refused[] = {SYS_execve, SYS_execveat, SYS_unshare, SYS_setns, SYS_chroot,
	SYS_pivot_root, SYS_mount, SYS_umount2, SYS_move_mount, SYS_open_tree, SYS_fsopen,
	SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_open_by_handle_at,
	SYS_name_to_handle_at, SYS_mknod, SYS_mknodat, SYS_quotactl, SYS_fanotify_init,
	SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load,
	SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_syslog, SYS_bpf, SYS_perf_event_open,
	SYS_userfaultfd, SYS_lookup_dcookie, SYS_io_uring_setup, SYS_iopl, SYS_ioperm,
	SYS_modify_ldt, SYS_vhangup, SYS_nfsservctl, SYS_add_key, SYS_request_key, SYS_keyctl,
	SYS_settimeofday, SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex, SYS_sethostname,
	SYS_setdomainname, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid,
	SYS_setresgid, SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_personality};

/*
 * Refused to every thread, unless arguments name this process or make a thread. Permitted in
 * builds with a sanitizer.
 */
static const short of_others[] = {SYS_fork, SYS_vfork, SYS_ptrace, SYS_process_vm_readv,
	SYS_process_vm_writev, SYS_kcmp, SYS_pidfd_getfd, SYS_process_madvise, SYS_clone, SYS_tkill,
	SYS_pidfd_send_signal, SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo};

/* All that a worker may call. */
static const short of_workers[] = {SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_sendto,
	SYS_sendmsg, SYS_recvfrom, SYS_recvmsg, SYS_poll, SYS_ppoll, SYS_fstat, SYS_newfstatat,
	SYS_getsockopt, SYS_lseek, SYS_close, SYS_pread64, SYS_pwrite64, SYS_epoll_create1,
	SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2, SYS_futex,
	SYS_nanosleep, SYS_clock_nanosleep, SYS_restart_syscall, SYS_sched_yield, SYS_brk, SYS_mmap,
	SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mlock, SYS_mlock2, SYS_munlock,
	SYS_clock_gettime, SYS_gettimeofday, SYS_time, SYS_getpid, SYS_gettid, SYS_getcpu,
	SYS_sched_getaffinity, SYS_getrandom, SYS_rt_sigreturn, SYS_rt_sigprocmask,
	SYS_rt_sigaction, SYS_sigaltstack, SYS_tgkill, SYS_membarrier, SYS_rseq,
	SYS_set_robust_list, SYS_exit, SYS_exit_group};

static bool is_in(const short *list, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == number)
			return true;
	return false;
}

#define IN(list, number) is_in(list, MT_ARRAY_LEN(list), number)

/* Loads the filter that keeps marked calls from being executed. */
static bool load_guard(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOANO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {MT_ARRAY_LEN(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/* What the filters answer: ENOANO if they permit the call. */
static int answer(int number, long a0, long a1, long a2)
{
	long rc = syscall(number, a0, a1, a2, 0L, 0L, (long)MARK);
	int error = rc == -1 ? errno : 0;

	/* The register of the sixth argument would keep the mark for calls with fewer. */
	(void)syscall(SYS_gettid, 0L, 0L, 0L, 0L, 0L, 0L);
	return error;
}

/* Drivers that share their device with the kernel make this one, too. */
static bool shared_device;

static unsigned int compare(const char *who, int number, int found, int wanted)
{
	if (found == wanted)
		return 0;
	fprintf(stderr, "%s: system call %d is answered by %d and not by %d\n", who, number, found,
		wanted);
	return 1;
}

/* Groups of calls (MT_CALLS_*) that the first step left. */
static uint32_t left;

/* The answer to a call of a group that a port may need. */
static int of(uint32_t group)
{
	return left & group ? ENOANO : EPERM;
}

/* The group of a call that is refused whatever its arguments are. */
static uint32_t group_of(int number)
{
	static const short programs[] = {SYS_execve, SYS_execveat},
			   io_ports[] = {SYS_iopl, SYS_ioperm};

	if (number == SYS_bpf)
		return MT_CALLS_BPF;
	if (IN(io_ports, number))
		return MT_CALLS_IO_PORTS;
	return IN(programs, number) || IN(of_others, number) ? MT_CALLS_PROGRAMS : MT_CALLS_OTHERS;
}

/* Answers to calls whose arguments are 0. */
static int wanted_of(int number, bool worker)
{
	if (IN(refused, number) || (!SANITIZED && IN(of_others, number)))
		return of(group_of(number));
	if (worker && shared_device && number == SYS_ioctl)
		return ENOANO;
	if (worker)
		return IN(of_workers, number) ? ENOANO : EPERM;
	/* The C library makes threads without this one only if it does not exist. */
	return number == SYS_clone3 && !SANITIZED && !(left & MT_CALLS_PROGRAMS) ? ENOSYS : ENOANO;
}

/* Calls that depend on their arguments. */
static unsigned int by_arguments(const char *who, bool worker)
{
	const int elsewhere = worker ? EPERM : ENOANO;
	const long me = getpid(), both = PROT_WRITE | PROT_EXEC;
	const struct {
		int number;
		long a0, a1, a2;
		int wanted;
	} rows[] = {
		{SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, ENOANO},
		{SYS_mmap, 0, 4096, both, of(MT_CALLS_PROGRAMS)},
		{SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, elsewhere},
		{SYS_mprotect, 0, 4096, PROT_READ | PROT_WRITE, ENOANO},
		{SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC, of(MT_CALLS_PROGRAMS)},
		{SYS_pkey_mprotect, 0, 4096, PROT_EXEC, of(MT_CALLS_PROGRAMS)},
		{SYS_shmat, 1, 0, SHM_EXEC, of(MT_CALLS_PROGRAMS)},
		{SYS_shmat, 1, 0, 0, elsewhere},
		{SYS_socket, AF_PACKET, SOCK_RAW, 0, of(MT_CALLS_PACKET)},
		{SYS_socket, AF_XDP, SOCK_RAW, 0, of(MT_CALLS_XDP)},
		{SYS_socket, AF_VSOCK, SOCK_STREAM, 0, EPERM},
		{SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, EPERM},
		{SYS_socket, AF_BLUETOOTH, SOCK_RAW, 0, EPERM},
		{SYS_socket, AF_CAN, SOCK_RAW, 0, EPERM},
		{SYS_socket, (1L << 32) | AF_PACKET, SOCK_RAW, 0, of(MT_CALLS_PACKET)},
		{SYS_socket, AF_INET, SOCK_RAW | SOCK_CLOEXEC, 0, EPERM},
		{SYS_socket, AF_INET6, SOCK_RAW | SOCK_NONBLOCK, 0, EPERM},
		{SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, elsewhere},
		{SYS_socket, AF_UNIX, SOCK_STREAM, 0, elsewhere},
		{SYS_socket, AF_NETLINK, SOCK_RAW, 0, elsewhere},
		{SYS_prctl, PR_SET_TIMERSLACK, 1, 0, ENOANO},
		{SYS_prctl, PR_SET_DUMPABLE, 1, 0, elsewhere},
		{SYS_tgkill, me, me, 0, ENOANO},
		{SYS_kill, me, 0, 0, elsewhere},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		{SYS_tgkill, 1, 1, 0, of(MT_CALLS_PROGRAMS)},
		{SYS_kill, -1, 9, 0, of(MT_CALLS_PROGRAMS)},
		{SYS_rt_sigqueueinfo, 1, 9, 0, of(MT_CALLS_PROGRAMS)},
		{SYS_rt_tgsigqueueinfo, 1, 1, 9, of(MT_CALLS_PROGRAMS)},
		{SYS_clone, CLONE_VM | CLONE_SIGHAND, 0, 0, of(MT_CALLS_PROGRAMS)},
		{SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, elsewhere},
#endif
	};
	unsigned int wrong = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		wrong += compare(who, rows[i].number,
			answer(rows[i].number, rows[i].a0, rows[i].a1, rows[i].a2), rows[i].wanted);
	return wrong;
}

static unsigned int all_calls(const char *who, bool worker)
{
	unsigned int wrong = by_arguments(who, worker);

	for (int number = 0; number < NUMBERS; number++)
		if (number != URETPROBE && number != UPROBE)
			wrong += compare(
				who, number, answer(number, 0, 0, 0), wanted_of(number, worker));
	return wrong;
}

static sem_t named, go;

static void *worker(void *arg)
{
	(void)pthread_setname_np(pthread_self(), "lcore-worker-1");
	sem_post(&named);
	while (sem_wait(&go) != 0 && errno == EINTR)
		;
	*(unsigned int *)arg = all_calls("a worker", !SANITIZED);
	return NULL;
}

/* The first step refuses all calls but those of these groups, and the second one these. */
static void child(uint32_t later)
{
	unsigned int wrong = 0;
	pthread_t thread;
	struct mt_err e;

	sem_init(&named, 0, 0);
	sem_init(&go, 0, 0);
	if (!load_guard() || answer(SYS_getuid, 0, 0, 0) != ENOANO ||
		pthread_create(&thread, NULL, worker, &wrong) != 0)
		_exit(2);
	while (sem_wait(&named) != 0)
		;
	if (mt_rights_refuse_calls(MT_CALLS_ALL & ~later, &e) != 0)
		_exit(3);
	left = later;
	wrong += all_calls("the main thread before ports are open", false);
	left = 0;
	if (mt_rights_refuse_calls(later, &e) != 0 ||
		mt_rights_confine_threads(&(struct mt_rights_threads){1, shared_device}, &e) < 0)
		_exit(4);
	sem_post(&go);
	pthread_join(thread, NULL);
	_exit(wrong + all_calls("the main thread", false) == 0 ? 0 : 1);
}

void refused_child(void)
{
	child(0);
}

void refused_packet_child(void)
{
	child(MT_CALLS_PACKET | MT_CALLS_IO_PORTS);
}

void refused_xdp_child(void)
{
	child(MT_CALLS_XDP | MT_CALLS_BPF);
}

void refused_unknown_child(void)
{
	child(MT_CALLS_ALL & ~(uint32_t)MT_CALLS_OTHERS);
}

void refused_shared_child(void)
{
	shared_device = true;
	child(0);
}
