/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of memif, vhost-user and virtio-user ports. Finds what would keep the driver from using
 * one, because the driver reports it without the remedy, and removes a socket that a process left.
 * A driver that connects again and again starts without its peer; then the reason why a port has no
 * link is found here.
 */
#include "mt_port_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct end {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool listens;  /* the port makes the socket; otherwise it connects */
	bool again;    /* the driver tries again until it is connected, also after the start */
	bool abstract; /* a name without a file */
};

static bool is_set(const char *device, const char *key, const char *value)
{
	char text[16];

	return mt_devargs_value(device, key, text, sizeof(text)) && strcmp(text, value) == 0;
}

/* The driver takes every number but 0 for true. */
static bool is_client(const char *device)
{
	char text[16];

	return mt_devargs_value(device, "client", text, sizeof(text)) && strtoul(text, NULL, 0);
}

/* The argument that has the socket's path, or NULL for a driver without a socket. */
static const char *key_of(const char *driver)
{
	static const char *const rows[][2] = {
		{"net_memif", "socket"}, {"net_vhost", "iface"}, {"net_virtio_user", "path"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (strcmp(rows[i][0], driver) == 0)
			return rows[i][1];
	return NULL;
}

/* False for devices without a socket, and for device files. */
static bool find_end(const char *device, struct end *s)
{
	const char *key;
	char driver[64];
	bool memif;

	memset(s, 0, sizeof(*s));
	mt_devargs_driver(device, driver, sizeof(driver));
	memif = strcmp(driver, "net_memif") == 0;
	if (memif)
		snprintf(s->path, sizeof(s->path), "/run/memif.sock"); /* the driver's default */
	key = key_of(driver);
	if (!key || (!mt_devargs_value(device, key, s->path, sizeof(s->path)) && !memif))
		return false;
	if (memif) {
		s->listens = is_set(device, "role", "server");
		s->abstract = !is_set(device, "socket-abstract", "no");
	} else if (strcmp(driver, "net_vhost") == 0) {
		s->listens = !is_client(device);
	} else {
		s->listens = is_set(device, "server", "1");
		return strncmp(s->path, "/dev/", 5) != 0;
	}
	s->again = !s->listens;
	return true;
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

int mt_socket_path_check(const struct mt_port_conf *c, struct mt_err *e)
{
	char driver[64], path[1024];
	const size_t most = sizeof(((struct end *)0)->path) - 1;
	const char *key;
	bool has;

	mt_devargs_driver(c->device, driver, sizeof(driver));
	key = key_of(driver);
	has = key && mt_devargs_value(c->device, key, path, sizeof(path));
	if (has && strlen(path) > most)
		return mt_err(e, -ENAMETOOLONG,
			"port %s: %s= has %zu bytes, and a socket's path at most %zu: choose a "
			"shorter one",
			c->name, key, strlen(path), most);
	if (strcmp(driver, "net_vhost") == 0 && (!has || !path[0]))
		return mt_err(e, -EINVAL,
			"port %s: device %s names no socket: write iface=PATH after the driver",
			c->name, c->device);
	return 0;
}

int mt_socket_check(const struct mt_port_conf *c, struct mt_err *e)
{
	struct end s;
	int rc = mt_socket_path_check(c, e);

	if (rc || !find_end(c->device, &s) || s.again)
		return rc;
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

bool mt_port_connects(const char *device)
{
	struct end s;

	return find_end(device, &s) && s.again && !s.abstract;
}

void mt_socket_awaited(const struct mt_port_conf *c, char *path, size_t size)
{
	struct end s;
	bool awaited = find_end(c->device, &s) && s.again && !s.abstract;

	snprintf(path, size, "%s", awaited ? s.path : "");
}

/* The part of the path before its last component. */
static const char *directory_of(const char *path, char dir[sizeof(((struct end *)0)->path)])
{
	const char *slash = strrchr(path, '/');

	snprintf(dir, sizeof(((struct end *)0)->path), "%.*s",
		slash ? (int)(slash - path) + (slash == path) : 1, slash ? path : ".");
	return dir;
}

enum mt_port_wait mt_socket_wait(const char *path)
{
	char dir[sizeof(((struct end *)0)->path)];
	struct stat st;

	if (stat(path, &st) != 0) {
		if (errno == EACCES)
			return MT_PORT_WAITS_RIGHT;
		return stat(directory_of(path, dir), &st) == 0 ? MT_PORT_WAITS_SOCKET
							       : MT_PORT_WAITS_DIRECTORY;
	}
	if (!S_ISSOCK(st.st_mode))
		return MT_PORT_WAITS_FILE;
	/* Unlike access() this counts capabilities of the daemon's user, as connect() does. */
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
		return MT_PORT_WAITS_RIGHT;
	return MT_PORT_WAITS_PEER;
}

const char *mt_port_wait_str(const struct mt_port *p, char buf[MT_PORT_WAIT_LEN])
{
	return mt_socket_wait_str(
		p->wait, mt_container_of(p, const struct mt_ethdev, port)->awaited, buf);
}

const char *mt_socket_wait_str(enum mt_port_wait wait, const char *path, char buf[MT_PORT_WAIT_LEN])
{
	char dir[sizeof(((struct end *)0)->path)];

	switch (wait) {
	case MT_PORT_WAITS_DIRECTORY:
		snprintf(buf, MT_PORT_WAIT_LEN, "directory %s does not exist",
			directory_of(path, dir));
		break;
	case MT_PORT_WAITS_SOCKET:
		snprintf(buf, MT_PORT_WAIT_LEN, "socket %s does not exist", path);
		break;
	case MT_PORT_WAITS_FILE:
		snprintf(buf, MT_PORT_WAIT_LEN, "file %s is not a socket", path);
		break;
	case MT_PORT_WAITS_RIGHT:
		snprintf(buf, MT_PORT_WAIT_LEN, "not permitted to connect to socket %s", path);
		break;
	default:
		snprintf(buf, MT_PORT_WAIT_LEN, "no peer is ready at socket %s", path);
	}
	return buf;
}

const char *mt_port_wait_remedy(enum mt_port_wait wait)
{
	static const char *const remedies[] = {
		[MT_PORT_WAITS_NOT] = "",
		[MT_PORT_WAITS_DIRECTORY] = "make it, or correct the path of the port's `device`",
		[MT_PORT_WAITS_SOCKET] = "start the virtual machine or server that makes it",
		[MT_PORT_WAITS_FILE] = "remove it, or correct the path of the port's `device`",
		[MT_PORT_WAITS_RIGHT] = "let the user of meltemid write to it and enter its "
					"directory",
		[MT_PORT_WAITS_PEER] =
			"start its virtual machine or server; if it runs, wait until "
			"its driver is loaded",
	};

	return remedies[wait];
}
