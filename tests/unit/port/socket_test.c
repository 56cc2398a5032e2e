/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of other processes: which devices connect to them, and why a port has no link. */
#include "mt_port_priv.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void devices_that_connect(void)
{
	static const struct {
		const char *device;
		bool connects;
	} rows[] = {
		{"net_vhost0,iface=/run/x.sock,client=1", true},
		{"net_vhost0,client=0x1,iface=/run/x.sock", true},
		{"net_vhost0,iface=/run/x.sock,client=0", false},
		{"net_vhost0,iface=/run/x.sock", false},
		{"net_memif0,role=client,socket=/run/x.sock,socket-abstract=no", true},
		{"net_memif0,socket-abstract=no", true},
		{"net_memif0,role=client,socket=/run/x.sock", false}, /* abstract: has no owner */
		{"net_memif0,role=server,socket=/run/x.sock,socket-abstract=no", false},
		{"net_virtio_user0,path=/run/x.sock", false}, /* connects only at the start */
		{"net_af_packet0,iface=x", false},
		{"0000:3b:00.0", false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (mt_port_connects(rows[i].device) != rows[i].connects) {
			printf("\n%s\n", rows[i].device);
			CU_FAIL("another answer");
		}
}

static int checked(const char *device)
{
	const struct mt_port_conf c = {.name = "vm1", .device = device};
	const char *field = "";
	struct mt_err e;
	int rc = mt_port_check(&c, &field, &e);

	CU_ASSERT_STRING_EQUAL(field, rc ? "device" : "mtu");
	return rc;
}

/* The kernel's structure holds 107 bytes; drivers would use another socket without a word. */
static void paths_that_do_not_fit(void)
{
	static const char *const forms[] = {"net_vhost0,iface=%s,client=1", "net_vhost0,iface=%s",
		"net_memif0,socket=%s,role=client", "net_virtio_user0,path=%s"};
	char path[109], device[256];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	for (size_t i = 0; i < MT_ARRAY_LEN(forms); i++) {
		path[108] = '\0';
		path[107] = 'a';
		snprintf(device, sizeof(device), forms[i], path);
		CU_ASSERT_EQUAL(checked(device), -ENAMETOOLONG);
		path[107] = '\0';
		snprintf(device, sizeof(device), forms[i], path);
		CU_ASSERT_EQUAL(checked(device), 0);
	}
	CU_ASSERT_EQUAL(checked("net_vhost0,client=1"), -EINVAL);
	CU_ASSERT_EQUAL(checked("net_vhost0,iface="), -EINVAL);
}

/* The reason as the operator sees it. */
static void expect(struct mt_port *p, enum mt_port_wait wait, const char *words)
{
	char buf[MT_PORT_WAIT_LEN] = "";

	(void)mt_port_watch(p, 0, NULL, NULL);
	CU_ASSERT_FALSE(p->link_up);
	CU_ASSERT_EQUAL_FATAL(p->wait, wait);
	if (!strstr(mt_port_wait_str(p, buf), words)) {
		printf("\n%s\n", buf);
		CU_FAIL("other words");
	}
	CU_ASSERT(strlen(mt_port_wait_remedy(wait)) > 0);
}

static int listener(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	return fd;
}

/* A driver that connects starts without its peer, and finds it when it comes. */
static void waits_for_its_peer(void)
{
	char top[] = "/tmp/mt_wait_XXXXXX", dir[64], path[96], device[160];
	struct mt_port_conf c = {.name = "vm1", .device = device};
	struct mt_port *p = NULL;
	struct mt_err e = {""};
	int fd, peer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/guests", top);
	snprintf(path, sizeof(path), "%s/vm1.sock", dir);
	snprintf(device, sizeof(device), "net_vhost7,iface=%s,client=1", path);
	CU_ASSERT_EQUAL_FATAL(mt_port_open(&c, 0, 1, &p, &e), 0);
	CU_ASSERT_EQUAL_FATAL(mt_port_start(p, test_pools, NULL, &e), 0);
	CU_ASSERT_EQUAL(p->wait, MT_PORT_WAITS_DIRECTORY);
	expect(p, MT_PORT_WAITS_DIRECTORY, "/guests does not exist");
	CU_ASSERT_FALSE(mt_port_watch(p, 0, NULL, NULL));
	mkdir(dir, 0700);
	expect(p, MT_PORT_WAITS_SOCKET, "vm1.sock does not exist");
	close(open(path, O_CREAT | O_WRONLY, 0600));
	expect(p, MT_PORT_WAITS_FILE, "is not a socket");
	unlink(path);
	fd = listener(path);
	expect(p, MT_PORT_WAITS_PEER, "no peer is ready at socket");
	if (geteuid() != 0) {
		chmod(path, 0);
		expect(p, MT_PORT_WAITS_RIGHT, "not permitted");
		chmod(path, 0600);
		chmod(dir, 0);
		expect(p, MT_PORT_WAITS_RIGHT, "not permitted");
		chmod(dir, 0700);
	}
	/* The driver connects within a second or two. */
	peer = accept(fd, NULL, NULL);
	CU_ASSERT(peer >= 0);
	close(peer);
	close(fd);
	mt_port_close(p);
	unlink(path);
	rmdir(dir);
	rmdir(top);
}

const struct mt_test socket_tests[] = {
	{"devices that connect", devices_that_connect},
	{"paths that do not fit", paths_that_do_not_fit},
	{"a port waits for its peer", waits_for_its_peer},
	{0},
};
