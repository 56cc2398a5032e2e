/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client side of the admin protocol. Error messages include a remedy, because operators see
 * them when something else has already failed.
 */
#include "polled.h"
#include "shell.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (256u << 20)

unsigned client_connect_s = 10, client_answer_s = 30;

static void explain_denied(const char *path)
{
	struct stat st;
	struct passwd *user;
	struct group *group;

	if (stat(path, &st) != 0) {
		fprintf(stderr, "meltemi: %s: permission denied for its directory; try sudo\n",
			path);
		return;
	}
	user = getpwuid(st.st_uid);
	group = getgrgid(st.st_gid);
	fprintf(stderr,
		"meltemi: %s: permission denied; it belongs to %s, group %s (mode %04o): join that "
		"group, or try sudo\n",
		path, user ? user->pw_name : "?", group ? group->gr_name : "?", st.st_mode & 07777);
}

/*
 * The kernel refuses a socket without a listener and a file that is not a socket with the same
 * error.
 */
static void explain_refused(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		fprintf(stderr,
			"meltemi: %s: is a %s and not a socket; -s takes the daemon's "
			"admin.socket\n",
			path, S_ISDIR(st.st_mode) ? "directory" : "file");
	else
		fprintf(stderr,
			"meltemi: %s: no daemon answers; it has ended, start meltemid again\n",
			path);
}

static void explain(const struct client *c, int err)
{
	const char *path = c->path;

	if (c->remote) {
		fprintf(stderr, "meltemi: %s:%u: %s\n", c->remote->host, c->remote->port, c->why);
		return;
	}
	switch (err) {
	case EACCES:
	case EPERM:
		explain_denied(path);
		break;
	case ENOENT:
		fprintf(stderr,
			"meltemi: %s: no such socket; is meltemid running, and is this its "
			"admin.socket? (-s names another)\n",
			path);
		break;
	case ECONNREFUSED:
		explain_refused(path);
		break;
	case EAGAIN:
		fprintf(stderr,
			"meltemi: %s: its queue of connections was full for %u s: the daemon is "
			"busy, "
			"or other clients fill the queue; `ss -xp | grep %s` lists them (as root), "
			"try "
			"again after they have ended\n",
			path, client_connect_s, path);
		break;
	default:
		fprintf(stderr, "meltemi: %s: %s\n", path, strerror(err));
	}
}

/* Connects to the socket, or gives up after client_connect_s: its queue may stay full. */
static bool connect_in_time(int fd, const struct sockaddr_un *a)
{
	const struct timeval in_time = {.tv_sec = client_connect_s}, ever = {0};

	/* It limits connect(), too: EAGAIN. */
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &in_time, sizeof(in_time)) == 0 &&
	       connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &ever, sizeof(ever)) == 0;
}

/* Remembers which process listens at the socket. */
static void note_daemon(struct client *c)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	c->pid = getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? (int)peer.pid : 0;
}

static bool open_quietly(struct client *c, int *err)
{
	const struct timeval limit = {.tv_sec = client_answer_s};
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	*err = ECONNREFUSED;
	if (c->remote)
		return remote_open(c, (int)client_answer_s);

	*err = ENAMETOOLONG;
	if (strlen(c->path) >= sizeof(a.sun_path))
		return false;
	strcpy(a.sun_path, c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 && connect_in_time(c->fd, &a)) {
		(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		note_daemon(c);
		return true;
	}
	*err = errno;
	client_close(c);
	return false;
}

/*
 * Opens view.sock, the socket for read-only access that may be next to a socket that only operators
 * may use.
 */
static bool open_view(struct client *c)
{
	const char *slash = strrchr(c->path, '/');
	int dir = slash ? (int)(slash - c->path) + 1 : 0, err;

	snprintf(c->view, sizeof(c->view), "%.*sview.sock", dir, c->path);
	c->path = c->view;
	if (!open_quietly(c, &err))
		return false;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "meltemi: by %s: you may look, and change nothing\n", c->view);
	return true;
}

bool client_open(struct client *c, const char *path)
{
	int err;

	c->path = path;
	if (open_quietly(c, &err))
		return true;
	if (!c->remote && (err == EACCES || err == EPERM) && strlen(path) < sizeof(c->view) &&
		open_view(c))
		return true;
	c->path = path;
	c->failed = err;
	explain(c, err);
	return false;
}

void client_close(struct client *c)
{
	remote_close(c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Sends a line. The daemon reads lines as they arrive. */
static bool send_line(struct client *c, const char *line)
{
	char buf[LINE_MAX_BYTES + 1];
	size_t len = strlen(line), sent = 0;

	memcpy(buf, line, len);
	buf[len++] = '\n';
	while (sent < len) {
		ssize_t n = c->tls ? remote_send(c, buf + sent, len - sent)
				   : send(c->fd, buf + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

/* Receives exactly n bytes. False if the connection ended or timed out. */
static bool receive(struct client *c, char *p, size_t n)
{
	while (n > 0) {
		ssize_t got = c->tls ? remote_recv(c, p, n) : recv(c->fd, p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

/* Receives the head of an answer, "meltemi <code> <bytes>\n". */
static bool receive_head(struct client *c, int *code, size_t *len)
{
	char head[64];
	size_t n = 0;

	do {
		if (n + 1 == sizeof(head) || !receive(c, &head[n], 1))
			return false;
	} while (head[n++] != '\n');
	head[n] = '\0';
	return sscanf(head, "meltemi %d %zu", code, len) == 2 && *len <= ANSWER_MAX;
}

static int ask_once(struct client *c, const char *line, char **body)
{
	size_t len;
	int code;

	*body = NULL;
	if (c->fd < 0 || !send_line(c, line) || !receive_head(c, &code, &len))
		return EXIT_UNREACHABLE;
	*body = malloc(len + 1);
	if (!*body || !receive(c, *body, len)) {
		free(*body);
		*body = NULL;
		return EXIT_UNREACHABLE;
	}
	(*body)[len] = '\0';
	return code;
}

int client_try(struct client *c, const char *line, char **body)
{
	int code, err;

	*body = NULL;
	if (strlen(line) > LINE_MAX_BYTES || strpbrk(line, "\r\n"))
		return EXIT_USAGE;
	code = ask_once(c, line, body);
	if (*body)
		return code;
	client_close(c);
	if (!open_quietly(c, &err)) {
		c->failed = err;
		return EXIT_UNREACHABLE;
	}
	errno = 0;
	code = ask_once(c, line, body);
	if (!*body)
		c->failed = errno;
	return code;
}

/* True if the daemon closed the connection, or was restarted, while this shell stayed open. */
static bool hung_up(const struct client *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

/* Prints what the daemon sent as it closed the idle connection: the reason for that. */
static void farewell(struct client *c)
{
	size_t len;
	int code;
	char *words;

	if (c->fd < 0 || !receive_head(c, &code, &len))
		return;
	words = malloc(len + 1);
	if (words && receive(c, words, len)) {
		words[len] = '\0';
		screen_disarm(&words, STDERR_FILENO);
		fprintf(stderr, "meltemi: %s", words);
	}
	free(words);
}

static bool is_one_line(const char *line)
{
	if (strlen(line) > LINE_MAX_BYTES)
		fprintf(stderr, "meltemi: the command is longer than %d bytes\n", LINE_MAX_BYTES);
	/* Text after a line break would be a second command, whose answer nothing reads. */
	else if (strpbrk(line, "\r\n"))
		fprintf(stderr, "meltemi: the command holds a line break\n");
	else
		return true;
	return false;
}

/*
 * Reports that there is no answer. The command is not sent again, because the daemon may have
 * executed it before it ended.
 */
static int unanswered(struct client *c, int why)
{
	c->failed = why;
	if (why == EAGAIN && c->pid)
		fprintf(stderr,
			"meltemi: %s: the daemon, process %d, did not answer within %u s: it is "
			"busy, hangs or is stopped; `ps -o stat,wchan:20 -p %d` shows which (T: "
			"stopped)\n",
			c->path, c->pid, client_answer_s, c->pid);
	else if (why == EAGAIN)
		fprintf(stderr, "meltemi: the daemon did not answer within %u s\n",
			client_answer_s);
	else if (c->why[0])
		explain(c, 0);
	else
		fprintf(stderr,
			"meltemi: %s: the daemon closed the connection before it answered; if the "
			"command changes something, look at `show history`\n",
			c->path);
	client_close(c);
	return EXIT_UNREACHABLE;
}

int client_ask(struct client *c, const char *line, char **body)
{
	bool anew = c->fd < 0 || hung_up(c);
	int code, err;

	*body = NULL;
	if (!is_one_line(line))
		return EXIT_USAGE;
	if (anew) {
		farewell(c);
		client_close(c);
		if (!open_quietly(c, &err)) {
			explain(c, err);
			return EXIT_UNREACHABLE;
		}
	}
	errno = 0;
	code = ask_once(c, line, body);
	if (!*body)
		return unanswered(c, errno);
	if (anew && isatty(STDERR_FILENO))
		fprintf(stderr, "meltemi: the daemon had closed the connection, or was restarted: "
				"connected again\n");
	return code;
}

int client_run(struct client *c, const char *line, bool pages)
{
	char *body;
	bool found;
	int code;

	if (polled_run(c, line, &code))
		return code;
	code = client_ask(c, line, &body);
	found = code == ANSWER_FOUND;
	code = found ? EXIT_DONE : code;
	if (body)
		screen_disarm(&body, code ? STDERR_FILENO : STDOUT_FILENO);
	if (body && code)
		fputs(body, stderr);
	else if (body)
		screen_show(body, pages);
	free(body);
	(void)screen_broken(&code);
	return found && code == EXIT_DONE ? EXIT_REFUSED : code;
}
