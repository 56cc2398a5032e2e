/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of memif, vhost-user and virtio-user ports. Finds what would keep the driver from using
 * one, because the driver reports it without the remedy, and removes a socket that a process left.
 */
#include "mt_port_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct end {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool listens;  /* the port makes the socket; otherwise it connects at start */
	bool abstract; /* a name without a file */
};

static bool is_set(const char *device, const char *key, const char *value)
{
	char text[16];

	return mt_devargs_value(device, key, text, sizeof(text)) && strcmp(text, value) == 0;
}

/* False for other devices, and for ends that connect whenever their server is there. */
static bool find_end(const char *device, struct end *s)
{
	char driver[64];

	memset(s, 0, sizeof(*s));
	mt_devargs_driver(device, driver, sizeof(driver));
	if (strcmp(driver, "net_memif") == 0) {
		s->listens = is_set(device, "role", "server");
		s->abstract = !is_set(device, "socket-abstract", "no");
		return s->listens && mt_devargs_value(device, "socket", s->path, sizeof(s->path));
	}
	if (strcmp(driver, "net_vhost") == 0) {
		s->listens = !is_set(device, "client", "1");
		return s->listens && mt_devargs_value(device, "iface", s->path, sizeof(s->path));
	}
	if (strcmp(driver, "net_virtio_user") != 0 ||
		!mt_devargs_value(device, "path", s->path, sizeof(s->path)))
		return false;
	s->listens = is_set(device, "server", "1");
	return strncmp(s->path, "/dev/", 5) != 0;
}

/* Binds or connects a socket of this type to the path, and closes it. 0 or -errno. */
static int try_socket(const struct end *s, int type, bool to_bind)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int (*const use)(int, const struct sockaddr *, socklen_t) = to_bind ? bind : connect;
	size_t len = strnlen(s->path, sizeof(a.sun_path) - 1);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0)
		return -errno;
	memcpy(a.sun_path + s->abstract, s->path, len);
	len += offsetof(struct sockaddr_un, sun_path) + s->abstract;
	rc = use(fd, (const struct sockaddr *)&a, (socklen_t)len) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

static int in_use(const struct mt_port_conf *c, const struct end *s, struct mt_err *e)
{
	return mt_err(e, -EADDRINUSE,
		"port %s: another process listens on socket %s: stop it, or give the port another "
		"path",
		c->name, s->path);
}

static int no_socket(const struct mt_port_conf *c, const struct end *s, struct mt_err *e)
{
	return mt_err(e, -ENOTSOCK, "port %s: %s exists and is not a socket: remove it", c->name,
		s->path);
}

/* memif has packet sockets, vhost-user streams; the kernel refuses the other type. */
static int answers(const struct end *s)
{
	int rc = try_socket(s, SOCK_STREAM, false);

	return rc == -EPROTOTYPE ? try_socket(s, SOCK_SEQPACKET, false) : rc;
}

static int check_listener(const struct mt_port_conf *c, const struct end *s, struct mt_err *e)
{
	char dir[sizeof(s->path)];
	char *slash;
	struct stat st;
	int rc;

	memcpy(dir, s->path, sizeof(dir));
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if (access(slash ? dir : ".", W_OK | X_OK) != 0)
		return mt_err(e, -errno,
			"port %s: socket %s cannot be made: %s: let this user write to its "
			"directory, or choose a path in /run/meltemi",
			c->name, s->path, strerror(errno));
	if (stat(s->path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return no_socket(c, s, e);
	rc = answers(s);
	/* A process that was killed has left it. */
	if (rc == -ECONNREFUSED && unlink(s->path) == 0)
		return 0;
	return in_use(c, s, e);
}

static int check_peer(const struct mt_port_conf *c, const struct end *s, struct mt_err *e)
{
	struct stat st;

	if (stat(s->path, &st) != 0)
		return mt_err(e, -errno,
			"port %s: socket %s: %s: start its server first, or add server=1 to the "
			"device, so that the peer connects",
			c->name, s->path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return no_socket(c, s, e);
	if (access(s->path, W_OK) != 0)
		return mt_err(e, -errno,
			"port %s: socket %s: %s: let the user of meltemid write to it (`chgrp "
			"meltemi %s && chmod g+w %s`)",
			c->name, s->path, strerror(errno), s->path, s->path);
	return 0;
}

int mt_socket_check(const struct mt_port_conf *c, struct mt_err *e)
{
	struct end s;

	if (!find_end(c->device, &s))
		return 0;
	if (!s.listens)
		return check_peer(c, &s, e);
	if (!s.abstract)
		return check_listener(c, &s, e);
	return try_socket(&s, SOCK_SEQPACKET, true) == -EADDRINUSE ? in_use(c, &s, e) : 0;
}

void mt_socket_made(const struct mt_port_conf *c, char *path, size_t size)
{
	struct end s;
	bool makes = find_end(c->device, &s) && s.listens && !s.abstract;

	snprintf(path, size, "%s", makes ? s.path : "");
}
