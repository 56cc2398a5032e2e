/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes on one interface: the second one is refused, however often it starts. */
#include "mt_port_priv.h"
#include "suites.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define TIMES	40

static int take(struct mt_ethdev *d, struct mt_err *e)
{
	static const struct mt_port_conf c = {.name = "p0", .device = "net_af_packet0,iface=lo"};

	*d = (struct mt_ethdev){.profile = {.interface = MT_SWITCH_ON}};
	return mt_interface_check(&c, d, e);
}

/* Owns the interface, and answers once for each byte until the other end is closed. */
static void own(int fd)
{
	struct mt_ethdev d;
	struct mt_err e;
	char c = 'x';

	if (take(&d, &e) || d.claim <= 0)
		_exit(1);
	while (write(fd, &c, 1) == 1 && read(fd, &c, 1) == 1)
		mt_interface_answer(&d);
	_exit(0);
}

/* Fills the queue of the socket of interface lo, as any local user can. */
static void fill_queue(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0meltemi/port/lo"};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + sizeof("\0meltemi/port/lo") - 1;

	for (int i = 0; i < 100; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (fd < 0 ||
			(connect(fd, (const struct sockaddr *)&a, len) != 0 && errno == EAGAIN))
			return;
	}
}

/* Exit status 0 if each of many starts is refused in a network namespace of its own. */
static int start_often(void)
{
	struct mt_ethdev d;
	struct mt_err e = {""};
	char words[32], c;
	int fds[2];
	pid_t owner;

	if (unshare(CLONE_NEWNET) != 0)
		return SKIPPED;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		return 1;
	owner = fork();
	if (owner == 0) {
		close(fds[0]);
		own(fds[1]);
	}
	close(fds[1]);
	snprintf(words, sizeof(words), "(pid %d)", (int)owner);
	for (int i = 0; i < TIMES; i++)
		if (read(fds[0], &c, 1) != 1 || take(&d, &e) != -EBUSY || !strstr(e.text, words) ||
			write(fds[0], &c, 1) != 1)
			return 2;
	/* The owner has answered, so nothing takes from the queue any more. */
	if (read(fds[0], &c, 1) != 1)
		return 2;
	fill_queue();
	return take(&d, &e) == -EBUSY && strstr(e.text, "meltemi/port/lo") ? 0 : 3;
}

static void in_child(int (*test)(void))
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return;
	child = fork();
	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0)
		_exit(test());
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		printf("claim: this process may make no namespace ");
	else
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

static void second_process(void)
{
	in_child(start_often);
}

/* Listens at the name of interface lo, as an unprivileged user. `full`: with a full queue. */
static void squat(int fd, bool full)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0meltemi/port/lo"};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + sizeof("\0meltemi/port/lo") - 1;
	int s;

	if (setresuid(12345, 12345, 12345) != 0)
		_exit(1);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (s < 0 || bind(s, (const struct sockaddr *)&a, len) != 0 || listen(s, full ? 0 : 8) != 0)
		_exit(1);
	if (full)
		fill_queue();
	_exit(write(fd, "x", 1) == 1 && read(fd, &a, 1) == 0 ? 0 : 1);
}

/* Starts a squatter in a network namespace of its own. 0, or the exit status of the test. */
static int begin_beside_user(bool full)
{
	int fds[2];
	char c;

	if (unshare(CLONE_NEWNET) != 0)
		return SKIPPED;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
		return 1;
	if (fork() == 0) {
		close(fds[0]);
		squat(fds[1], full);
	}
	close(fds[1]);
	return read(fds[0], &c, 1) == 1 ? 0 : 2;
}

/* Exit status 0 if the socket of another user does not keep the daemon from its interface. */
static int start_beside_user(void)
{
	struct mt_ethdev d;
	struct mt_err e = {""};
	int rc = begin_beside_user(true);

	return rc ? rc : take(&d, &e) == 0 ? 0 : 3;
}

/* Lets no socket of netlink be opened, as a kernel without its tables. */
static bool without_tables(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog p = {.len = MT_ARRAY_LEN(code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0;
}

/* The same if only a connection shows the user. */
static int start_without_tables(void)
{
	struct mt_listener l;
	struct mt_ethdev d;
	struct mt_err e = {""};
	int rc = begin_beside_user(false);

	if (rc)
		return rc;
	if (!without_tables() || mt_listener_find("x", 1, &l) >= 0)
		return SKIPPED;
	return take(&d, &e) == 0 ? 0 : 3;
}

static int second_port(void)
{
	struct mt_ethdev first, second;
	struct mt_err e = {""};

	if (unshare(CLONE_NEWNET) != 0)
		return SKIPPED;
	if (take(&first, &e) != 0)
		return 1;
	fill_queue();
	return take(&second, &e) == 0 ? 0 : 2;
}

static void other_user(void)
{
	in_child(start_beside_user);
}

static void other_user_without_tables(void)
{
	in_child(start_without_tables);
}

/* Two ports of one process share an interface, also while its queue is full. */
static void same_process(void)
{
	in_child(second_port);
}

const struct mt_test claim_tests[] = {{"second_process", second_process},
	{"other_user", other_user}, {"other_user_without_tables", other_user_without_tables},
	{"same_process", same_process}, {0}};
