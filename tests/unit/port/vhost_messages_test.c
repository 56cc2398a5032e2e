/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of hypervisors to ports of guests, also those that no hypervisor sends. The test has the
 * socket of the hypervisor.
 */
#include "vhost_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "compat.h"
#include "suites.h"

#define NEED_REPLY 0x8u

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_LOG_BASE = 6,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	GET_QUEUE_NUM = 17,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
};

struct message {
	uint32_t kind, flags, size;
	union {
		uint64_t number;
		struct {
			uint32_t queue, value;
		};
		uint64_t numbers[6];
	};
} __attribute__((packed));

/* A message of version 1. */
static struct message message(uint32_t kind, uint32_t size, uint64_t number)
{
	return (struct message){.kind = kind, .flags = 1, .size = size, .number = number};
}

static int listens(const struct vhost_port *v)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(v->socket);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", v->socket);
	CU_ASSERT_EQUAL_FATAL(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(l, 1), 0);
	return l;
}

/* Waits, because the port may not have noticed yet that its last connection ended. */
static int accepted(const struct vhost_port *v, int l)
{
	struct timeval wait = {5, 0};
	struct pollfd p = {.fd = l, .events = POLLIN};
	int s;

	mt_vhost_watch(v->port);
	for (int i = 0; i < 1000 && poll(&p, 1, 10) == 0; i++)
		mt_vhost_watch(v->port);
	CU_ASSERT_FATAL(p.revents & POLLIN);
	s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	CU_ASSERT_FATAL(s >= 0);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return s;
}

/* Accepts the port's connection to a socket of the test, which does not accept another. */
static int hypervisor(const struct vhost_port *v)
{
	int l = listens(v), s = accepted(v, l);

	close(l);
	return s;
}

/* Sends a message, with a descriptor unless that is -1. */
static bool sends(int s, const struct message *m, int fd)
{
	struct iovec part = {(void *)m, 12 + m->size};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
	}
	return sendmsg(s, &h, MSG_NOSIGNAL) == (ssize_t)part.iov_len;
}

static bool answers(int s, struct message m, uint64_t *number)
{
	struct message got;
	bool ok = sends(s, &m, -1) && read(s, &got, 20) == 20 && got.kind == m.kind;

	*number = got.number;
	return ok;
}

/* True if the port ends the connection. */
static bool ends(int s)
{
	char byte;
	ssize_t n = read(s, &byte, 1);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* ---- offers ---------------------------------------------------------------------------------- */

static void test_offers(void)
{
	/* Offloads of checksums and segments, packed rings. */
	static const uint8_t off[] = {0, 1, 7, 8, 10, 11, 12, 14, 34}, on[] = {15, 22, 26, 30, 32};
	struct vhost_port v;
	uint64_t number;
	int s;

	vhost_port_open(&v, 3, NULL);
	s = hypervisor(&v);
	CU_ASSERT_FATAL(answers(s, message(GET_FEATURES, 0, 0), &number));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(off); i++)
		CU_ASSERT_EQUAL(number >> off[i] & 1, 0);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(on); i++)
		CU_ASSERT_EQUAL(number >> on[i] & 1, 1);
	CU_ASSERT_FATAL(answers(s, message(GET_PROTOCOL_FEATURES, 0, 0), &number));
	/* several queues, log; no request channel, post-copy or memory for requests in flight */
	CU_ASSERT_EQUAL(number & 3, 3);
	CU_ASSERT_EQUAL(number & (1 << 5 | 1 << 8 | 1 << 12), 0);
	if (MT_VHOST_FDS_AT) {
		CU_ASSERT_FATAL(answers(s, message(GET_QUEUE_NUM, 0, 0), &number));
		CU_ASSERT_EQUAL(number, 3);
	}
	close(s);
	vhost_port_close(&v);
}

/* A message that wants an acknowledgement gets it, or its connection ends. */
static void test_acknowledged(void)
{
	struct message m = message(SET_VRING_NUM, 8, 0), got;
	struct vhost_port v;
	uint64_t number;
	int s;

	vhost_port_open(&v, 1, NULL);
	s = hypervisor(&v);
	m.flags |= NEED_REPLY;
	m.value = 256;
	CU_ASSERT(sends(s, &m, -1));
	CU_ASSERT_EQUAL(read(s, &got, sizeof(got)), 20);
	CU_ASSERT(got.kind == SET_VRING_NUM && got.number == 0);
	/* a reply of its own is not acknowledged again */
	m = message(GET_FEATURES, 0, 0);
	m.flags |= NEED_REPLY;
	CU_ASSERT(answers(s, m, &number));
	CU_ASSERT(answers(s, message(GET_PROTOCOL_FEATURES, 0, 0), &number));
	m = message(SET_FEATURES, 8, 1ull << 34); /* not offered */
	m.flags |= NEED_REPLY;
	CU_ASSERT(sends(s, &m, -1));
	CU_ASSERT(ends(s));
	close(s);
	vhost_port_close(&v);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void remaps(uint32_t flags)
{
	struct message m = message(SET_MEM_TABLE, 8, 0); /* without regions */
	struct vhost_port v;
	char replies[20 * MT_VHOST_REMAPS];
	int s;

	vhost_port_open(&v, 1, NULL);
	s = hypervisor(&v);
	m.flags |= flags;
	for (uint32_t i = 0; i < MT_VHOST_REMAPS + 1; i++)
		CU_ASSERT(sends(s, &m, -1));
	if (flags)
		CU_ASSERT_EQUAL(
			recv(s, replies, sizeof(replies), MSG_WAITALL), (ssize_t)sizeof(replies));
	CU_ASSERT(ends(s));
	CU_ASSERT_EQUAL(vhost_port_counts(&v).remaps, 1);
	close(s);
	vhost_port_close(&v);
}

static void test_remaps(void)
{
	remaps(0);
	remaps(NEED_REPLY);
}

static void test_storm(void)
{
	struct message m = message(SET_VRING_NUM, 8, 0);
	struct vhost_port v;
	int s;

	vhost_port_open(&v, 1, NULL);
	s = hypervisor(&v);
	m.value = 256;
	for (uint32_t i = 0; i < 20 * MT_VHOST_MESSAGES && sends(s, &m, -1); i++)
		continue;
	CU_ASSERT(ends(s));
	CU_ASSERT_EQUAL(vhost_port_counts(&v).messages, 1);
	close(s);
	vhost_port_close(&v);
}

/* A port connects again only when it is watched, however often a hypervisor ends the connection. */
static void test_connects(void)
{
	struct pollfd p = {.events = POLLIN};
	struct vhost_port v;
	uint64_t number;
	int l, s;

	vhost_port_open(&v, 1, NULL);
	l = listens(&v);
	for (int i = 0; i < 20; i++)
		close(accepted(&v, l));
	close(accepted(&v, l));
	p.fd = l;
	CU_ASSERT_EQUAL(poll(&p, 1, 200), 0);
	s = accepted(&v, l);
	CU_ASSERT(answers(s, message(GET_FEATURES, 0, 0), &number));
	mt_vhost_watch(v.port);
	CU_ASSERT(answers(s, message(GET_FEATURES, 0, 0), &number));
	close(s);
	close(l);
	vhost_port_close(&v);
}

/* ---- refused --------------------------------------------------------------------------------- */

/* Open descriptors of this process. */
static uint32_t descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t n = 0;

	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The message ends its connection, and the port keeps nothing of what came with it. */
static struct mt_vhost_counts refused(const struct message *m, int with)
{
	struct mt_vhost_counts c;
	struct vhost_port v;
	uint32_t before;
	int s;

	vhost_port_open(&v, 2, NULL);
	before = descriptors();
	s = hypervisor(&v);
	CU_ASSERT(sends(s, m, with));
	CU_ASSERT(ends(s));
	c = vhost_port_counts(&v);
	close(s);
	/* The port closes its socket before those of the message's queue. */
	for (int i = 0; i < 500 && descriptors() > before; i++)
		usleep(10000);
	if (MT_VHOST_FDS_AT)
		CU_ASSERT(descriptors() <= before);
	vhost_port_close(&v);
	return c;
}

static void test_kinds(void)
{
	static const uint32_t kinds[] = {
		0, 21, 22, 24, 26, 28, 29, GET_INFLIGHT_FD, SET_INFLIGHT_FD, 41, 100, UINT32_MAX};
	int memory = memfd_create("unit", MFD_CLOEXEC);

	for (uint32_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		struct message m = message(kinds[i], 24, 0);

		m.numbers[2] = 0x10001; /* one queue with one descriptor */
		m.flags |= i & 1 ? NEED_REPLY : 0;
		CU_ASSERT_EQUAL(refused(&m, memory).messages, 1);
		CU_ASSERT_EQUAL(refused(&m, -1).messages, 1);
	}
	close(memory);
}

static void test_queue_indices(void)
{
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct message m = message(SET_VRING_NUM, 8, 4);

	CU_ASSERT_EQUAL(refused(&m, -1).queues, 1);
	m = message(SET_VRING_CALL, 8, 255);
	CU_ASSERT_EQUAL(refused(&m, event).queues, 1);
	/* the library refuses what its arrays do not have */
	m = message(SET_VRING_NUM, 8, 1u << 31);
	(void)refused(&m, -1);
	close(event);
}

/* Sends messages, of which only the last one ends the connection. */
static void refused_after(const struct message *m, uint32_t n)
{
	struct message got;
	struct vhost_port v;
	int s;

	vhost_port_open(&v, 2, NULL);
	s = hypervisor(&v);
	for (uint32_t i = 0; i < n; i++) {
		struct message one = m[i];
		bool replies = one.kind == GET_VRING_BASE;

		one.flags |= replies ? 0 : NEED_REPLY;
		CU_ASSERT(sends(s, &one, -1));
		if (i + 1 == n)
			break;
		CU_ASSERT_EQUAL(read(s, &got, sizeof(got)), 20);
		CU_ASSERT(replies || got.number == 0);
	}
	CU_ASSERT(ends(s));
	CU_ASSERT_EQUAL(vhost_port_counts(&v).queues, 1);
	close(s);
	vhost_port_close(&v);
}

static struct message sized(uint32_t queue, uint32_t descriptors)
{
	struct message m = message(SET_VRING_NUM, 8, 0);

	m.queue = queue;
	m.value = descriptors;
	return m;
}

/* The size of a queue comes before its addresses, which come before its start. */
static void test_order(void)
{
	const uint64_t event_index = 1ull << 29, queues = 1ull << 22, log = 1ull << 26;
	struct message memory = message(SET_MEM_TABLE, 8, 0), num = sized(2, 256);
	struct message address = message(SET_VRING_ADDR, 40, 2),
		       base = message(GET_VRING_BASE, 8, 2);
	struct message kick = message(SET_VRING_KICK, 8, 2 | 1 << 8);
	struct message all = message(SET_FEATURES, 8, queues | event_index);
	struct message logs = message(SET_FEATURES, 8, queues | event_index | log);
	struct message less = message(SET_FEATURES, 8, queues);
	struct message none = message(SET_FEATURES, 8, 0);

	refused_after((struct message[]){sized(0, 0)}, 1);
	refused_after((struct message[]){sized(0, MT_VHOST_RING), sized(0, 2 * MT_VHOST_RING)}, 2);
	refused_after((struct message[]){memory, address}, 2);
	refused_after((struct message[]){memory, num, kick}, 3);
	refused_after((struct message[]){memory, num, address, kick, num}, 5);
	refused_after((struct message[]){memory, num, address, kick, base, kick}, 6);
	refused_after((struct message[]){memory, num, address, base, address}, 5);
	refused_after((struct message[]){memory, num, address, base, num, address, num}, 7);
	/* what the addresses were checked for */
	refused_after((struct message[]){all, memory, num, address, all, logs, less}, 7);
	refused_after((struct message[]){all, memory, num, none, address}, 5);
}

/* The library would lose the memory of the queues. */
static void test_reset_owner(void)
{
	struct message m = message(RESET_OWNER, 0, 0), got;
	int memory = memfd_create("unit", MFD_CLOEXEC), s;
	struct vhost_port v;
	uint32_t before;

	vhost_port_open(&v, 1, NULL);
	s = hypervisor(&v);
	before = descriptors();
	m.flags |= NEED_REPLY;
	CU_ASSERT(sends(s, &m, memory));
	CU_ASSERT_EQUAL(read(s, &got, sizeof(got)), 20);
	CU_ASSERT_EQUAL(got.number, 0);
	if (MT_VHOST_FDS_AT)
		CU_ASSERT_EQUAL(descriptors(), before);
	close(s);
	close(memory);
	vhost_port_close(&v);
}

/* Memory must be of a file that no other process serves, and what the library can map. */
static void test_memory_files(void)
{
	struct message m = message(SET_MEM_TABLE, 40, 1), log = message(SET_LOG_BASE, 16, 4096);
	int memory = memfd_create("unit", MFD_CLOEXEC), program = open("/proc/self/exe", O_CLOEXEC);
	int sealed = memfd_create("unit", MFD_CLOEXEC | MFD_ALLOW_SEALING), s;
	struct vhost_port v;
	struct message got;

	CU_ASSERT_EQUAL(ftruncate(memory, 8192), 0);
	CU_ASSERT_EQUAL(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	m.numbers[2] = 8192; /* size; then the address of the hypervisor and the offset */
	vhost_port_open(&v, 1, NULL);
	s = hypervisor(&v);
	m.flags |= NEED_REPLY;
	CU_ASSERT(sends(s, &m, memory));
	CU_ASSERT_EQUAL(read(s, &got, sizeof(got)), 20);
	CU_ASSERT_EQUAL(got.number, 0);
	close(s);
	vhost_port_close(&v);
	if (MT_VHOST_FDS_AT) {
		CU_ASSERT_EQUAL(refused(&m, program).memory, 1);
		CU_ASSERT_EQUAL(refused(&m, sealed).memory, 1);
		CU_ASSERT_EQUAL(refused(&m, -1).memory, 1);
		CU_ASSERT_EQUAL(refused(&log, program).memory, 1);
		m.numbers[2] = 1ull << 62;
		CU_ASSERT_EQUAL(refused(&m, memory).memory, 1);
		m.numbers[2] = 8192;
		m.numbers[4] = UINT64_MAX - 4095;
		CU_ASSERT_EQUAL(refused(&m, memory).memory, 1);
	}
	close(memory);
	close(program);
	close(sealed);
}

static void test_log(void)
{
	struct message m = message(SET_LOG_BASE, 16, 4096);
	int memory = memfd_create("unit", MFD_CLOEXEC);

	CU_ASSERT_EQUAL(ftruncate(memory, 8192), 0);
	m.numbers[1] = 4096; /* the offset */
	CU_ASSERT_EQUAL(refused(&m, memory).messages, 1);
	close(memory);
}

/* Workers notify by an eventfd alone; writes to another file might block. */
static void test_notifications(void)
{
	struct message m = message(SET_VRING_CALL, 8, 0), got;
	int ends_of_pipe[2], event = eventfd(0, EFD_CLOEXEC), s;
	struct vhost_port v;

	CU_ASSERT_EQUAL_FATAL(pipe2(ends_of_pipe, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(refused(&m, ends_of_pipe[1]).messages, 1);
	close(ends_of_pipe[0]);
	close(ends_of_pipe[1]);
	vhost_port_open(&v, 1, NULL);
	s = hypervisor(&v);
	m.flags |= NEED_REPLY;
	CU_ASSERT(sends(s, &m, event));
	CU_ASSERT_EQUAL(read(s, &got, sizeof(got)), 20);
	CU_ASSERT(fcntl(event, F_GETFL) & O_NONBLOCK);
	m.number = 1 << 8; /* none */
	CU_ASSERT(sends(s, &m, -1));
	CU_ASSERT_EQUAL(read(s, &got, sizeof(got)), 20);
	close(s);
	close(event);
	vhost_port_close(&v);
}

/* ---- blocking -------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A message without its end, or replies that its sender does not read, do not block another guest. */
static void blocks(bool unread)
{
	struct message part = message(SET_VRING_NUM, 8, 0), get = message(GET_FEATURES, 0, 0);
	struct vhost_port bad, good;
	uint64_t number, since;
	int s, t;

	vhost_port_open(&bad, 1, NULL);
	vhost_port_open(&good, 1, NULL);
	s = hypervisor(&bad);
	t = hypervisor(&good);
	CU_ASSERT(answers(t, get, &number));
	/* until the library waits for room in the queue of replies */
	for (int i = 0; unread && i < 100; i++, usleep(1000))
		while (send(s, &get, 12, MSG_NOSIGNAL | MSG_DONTWAIT) == 12)
			continue;
	if (!unread)
		CU_ASSERT_EQUAL(send(s, &part, 12, MSG_NOSIGNAL), 12);
	since = now_ms();
	for (int i = 0; i < 10; i++)
		CU_ASSERT(answers(t, get, &number));
	CU_ASSERT(now_ms() - since < 4000);
	/* a port can close, even while the thread waits for its hypervisor */
	since = now_ms();
	vhost_port_close(&bad);
	CU_ASSERT(now_ms() - since < 4000);
	close(s);
	close(t);
	vhost_port_close(&good);
}

static void test_blocks(void)
{
	blocks(false);
	blocks(true);
}

/* ---- control thread -------------------------------------------------------------------------- */

static void test_refused(void)
{
	struct vhost_port v;
	struct mt_port *other = NULL;
	struct mt_vhost_conf conf = {
		.name = "g2", .pairs = 1, .mtu = 1500, .n_workers = 1, .pools = test_pools};
	char path[200];
	struct mt_err err;

	vhost_port_open(&v, 1, NULL);
	conf.socket = v.socket;
	CU_ASSERT_EQUAL(mt_vhost_open(&conf, &other, &err), -EEXIST);
	conf.pairs = 0;
	CU_ASSERT_EQUAL(mt_vhost_open(&conf, &other, &err), -EINVAL);
	conf.pairs = MT_VHOST_PAIRS_MAX + 1;
	CU_ASSERT_EQUAL(mt_vhost_open(&conf, &other, &err), -EINVAL);
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	conf.pairs = 1;
	conf.socket = path;
	CU_ASSERT_EQUAL(mt_vhost_open(&conf, &other, &err), -ENAMETOOLONG);
	CU_ASSERT_PTR_NULL(other);
	mt_vhost_close(NULL);
	vhost_port_close(&v);
}

/* All ports that there can be, twice. */
static void test_most(void)
{
	static struct vhost_port v[MT_VHOST_MAX];
	struct mt_port *other = NULL;
	struct mt_vhost_conf conf = {.name = "g2",
		.socket = "/tmp/unit-vhost-none",
		.pairs = 1,
		.mtu = 1500,
		.n_workers = 1,
		.pools = test_pools};
	struct mt_err err;

	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MT_VHOST_MAX; i++)
			vhost_port_open(&v[i], 1, NULL);
		CU_ASSERT_EQUAL(mt_vhost_open(&conf, &other, &err), -ENOSPC);
		for (uint32_t i = 0; i < MT_VHOST_MAX; i++)
			vhost_port_close(&v[i]);
	}
}

const struct mt_test vhost_messages_tests[] = {
	{"vhost_offers", test_offers},
	{"vhost_acknowledged", test_acknowledged},
	{"vhost_remaps", test_remaps},
	{"vhost_storm", test_storm},
	{"vhost_connects", test_connects},
	{"vhost_kinds", test_kinds},
	{"vhost_queue_indices", test_queue_indices},
	{"vhost_order", test_order},
	{"vhost_reset_owner", test_reset_owner},
	{"vhost_memory_files", test_memory_files},
	{"vhost_log", test_log},
	{"vhost_notifications", test_notifications},
	{"vhost_blocks", test_blocks},
	{"vhost_refused", test_refused},
	{"vhost_most", test_most},
	{0},
};
