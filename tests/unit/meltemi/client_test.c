/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's socket, when the daemon does not accept or does not answer. */
#include "shell.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define QUEUE 8

/* Connects until the queue is full. Returns the number of connections. */
static int fill(const struct sockaddr_un *a, int fds[QUEUE])
{
	int n = 0;

	for (; n < QUEUE; n++) {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fds[n], (const struct sockaddr *)a, sizeof(*a)) == 0)
			continue;
		CU_ASSERT_EQUAL(errno, EAGAIN);
		close(fds[n]);
		break;
	}
	return n;
}

/* Redirects messages to a file until the end of a test. */
static int redirect(FILE *to)
{
	int was = dup(STDERR_FILENO);

	fflush(stderr);
	dup2(fileno(to), STDERR_FILENO);
	return was;
}

static void full_queue(void)
{
	const unsigned most = client_connect_s;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct client c = {.fd = -1};
	char dir[] = "/tmp/mt_client_XXXXXX", text[512] = "";
	int fds[QUEUE], n, was, s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *said = tmpfile();
	time_t began = time(NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(said);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/admin.sock", dir);
	CU_ASSERT_EQUAL_FATAL(bind(s, (const struct sockaddr *)&a, sizeof(a)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(s, 1), 0);
	n = fill(&a, fds);
	was = redirect(said);
	client_connect_s = 1;
	CU_ASSERT_FALSE(client_open(&c, a.sun_path));
	client_connect_s = most;
	dup2(was, STDERR_FILENO);
	rewind(said);
	CU_ASSERT(fread(text, 1, sizeof(text) - 1, said) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "its queue of connections was full for 1 s"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "ss -xp"));
	CU_ASSERT(time(NULL) - began < 30);
	while (n-- > 0)
		close(fds[n]);
	close(was);
	close(s);
	fclose(said);
	unlink(a.sun_path);
	rmdir(dir);
}

/* A stopped daemon: the kernel accepts for it, and no answer comes. */
static void silent_daemon(void)
{
	const unsigned most = client_answer_s;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct client c = {.fd = -1};
	char dir[] = "/tmp/mt_client_XXXXXX", text[512] = "", process[64], *body;
	int was, s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *said = tmpfile();

	CU_ASSERT_PTR_NOT_NULL_FATAL(said);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/admin.sock", dir);
	CU_ASSERT_EQUAL_FATAL(bind(s, (const struct sockaddr *)&a, sizeof(a)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(s, QUEUE), 0);
	was = redirect(said);
	client_answer_s = 1;
	CU_ASSERT(client_open(&c, a.sun_path));
	CU_ASSERT_EQUAL(client_ask(&c, "show version", &body), EXIT_UNREACHABLE);
	client_answer_s = most;
	dup2(was, STDERR_FILENO);
	CU_ASSERT_PTR_NULL(body);
	CU_ASSERT_EQUAL(c.failed, EAGAIN);
	rewind(said);
	CU_ASSERT(fread(text, 1, sizeof(text) - 1, said) > 0);
	snprintf(process, sizeof(process), "process %d, did not answer within 1 s", (int)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(text, process));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, a.sun_path));
	client_close(&c);
	close(was);
	close(s);
	fclose(said);
	unlink(a.sun_path);
	rmdir(dir);
}

const struct mt_test client_tests[] = {
	{"full_queue", full_queue}, {"silent_daemon", silent_daemon}, {0}};
