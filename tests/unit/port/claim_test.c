/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes on one interface: the second one is refused, however often it starts. */
#include "mt_port_priv.h"
#include "suites.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
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
	return 0;
}

static void second_process(void)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return;
	child = fork();
	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0)
		_exit(start_often());
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		printf("claim: this process may make no namespace ");
	else
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

const struct mt_test claim_tests[] = {{"second_process", second_process}, {0}};
