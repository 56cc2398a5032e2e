/* SPDX-License-Identifier: Apache-2.0 */
/* Collects data of the host, the journal, and the metrics. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads to the end, or about `max` bytes. malloc'd; NULL with errno. */
static char *take(int fd, size_t max)
{
	size_t n = 0, room = 1 << 16;
	char *p = malloc(room + 1);

	while (p && n < max) {
		ssize_t got = read(fd, p + n, room - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
		if (n == room) {
			char *more = realloc(p, 2 * room + 1);

			if (!more)
				break;
			p = more;
			room *= 2;
		}
	}
	if (p)
		p[n] = '\0';
	return p;
}

/* The contents of a regular file, malloc'd; NULL: it cannot be read. */
static char *contents(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text;

	if (fd < 0)
		return NULL;
	text = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? take(fd, SUPPORT_ITEM_MAX) : NULL;
	close(fd);
	return text;
}

/* The output of a program, run without a shell. */
static char *output_of(const char *const argv[])
{
	char *text;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return NULL;
	pid = fork();
	if (pid == 0) {
		int nothing = open("/dev/null", O_RDWR);

		dup2(nothing, 0);
		dup2(ends[1], 1);
		dup2(nothing, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(ends[1]);
	text = pid > 0 ? take(ends[0], SUPPORT_ITEM_MAX) : NULL;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return text;
}

static void keep(struct support *s, const char *what, const char *name, char *text, const char *why)
{
	struct item *it = support_add(s, what, "%s", name);

	if (text && *text)
		support_text(s, it, text, false);
	else
		support_left_out(it, "%s", why);
	free(text);
}

void support_host(struct support *s)
{
	static const char *const files[][2] = {{"/etc/os-release", "host/os-release"},
		{"/proc/version", "host/kernel"}, {"/proc/cmdline", "host/kernel-arguments"},
		{"/proc/cpuinfo", "host/cpuinfo"}, {"/proc/meminfo", "host/meminfo"},
		{"/proc/interrupts", "host/interrupts"}, {"/proc/net/dev", "host/interfaces"}};
	static const char *const journal[] = {
		"journalctl", "-u", "meltemid", "-n", "5000", "--no-pager", "-q", NULL};

	for (size_t i = 0; i < MT_ARRAY_LEN(files); i++)
		keep(s, "of the host's kernel", files[i][1], contents(files[i][0]),
			"there is no such file");
	keep(s, "the end of the journal", "log.txt", output_of(journal),
		"no journal of meltemid here, or no right to read it");
}

/* ---- metrics -------------------------------------------------------------------------------- */

/* Sends a GET request and returns the body, malloc'd. */
static char *get(const char *host, const char *port, const char *path)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	const struct timeval limit = {.tv_sec = 5};
	struct addrinfo *ai;
	char request[256], *text = NULL, *body = NULL;
	int fd, n = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n",
			path);

	if (getaddrinfo(host, port, &hints, &ai) != 0)
		return NULL;
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
		write(fd, request, (size_t)n) == n)
		text = take(fd, SUPPORT_ITEM_MAX);
	if (fd >= 0)
		close(fd);
	freeaddrinfo(ai);
	if (text && strstr(text, " 200 ") && strstr(text, "\r\n\r\n"))
		body = strdup(strstr(text, "\r\n\r\n") + 4);
	free(text);
	return body;
}

/* Uses spec.admin.http of the Node document, because the socket has no metrics. */
void support_metrics(struct support *s, const json_t *node)
{
	const char *http = json_string_value(
		json_object_get(json_object_get(json_object_get(node, "spec"), "admin"), "http"));
	char host[256] = "", port[8] = "";

	if (http && sscanf(http, "[%255[^]]]:%7[0-9]", host, port) != 2)
		(void)sscanf(http, "%255[^:]:%7[0-9]", host, port);
	keep(s, "/metrics", "metrics.txt", *port ? get(host, port, "/metrics") : NULL,
		"no answer by spec.admin.http");
}
