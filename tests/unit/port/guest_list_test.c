/* SPDX-License-Identifier: Apache-2.0 */
/* The list of attached guests: names, sockets and numbers, and a guest that comes and goes. */
#include "mt_port_guest_list.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"
#include "vhost_test.h"

struct list_rig {
	struct mt_guests *guests;
	struct mt_guest_list *list;
	struct vhost_port v; /* the directory of all sockets, and the socket of a guest */
};

static void begin(struct list_rig *r)
{
	struct mt_guest_list_conf conf = {
		.pairs = 1, .mtu = 1500, .n_workers = 2, .pools = test_pools};

	r->guests = mt_guests_create(2, mt_vhost_active);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->guests);
	conf.guests = r->guests;
	r->list = mt_guest_list_create(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->list);
	strcpy(r->v.directory, "/tmp/unit-guest-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(r->v.directory));
	snprintf(r->v.socket, sizeof(r->v.socket), "%s/vm", r->v.directory);
	snprintf(r->v.runs, sizeof(r->v.runs), "%s/runs", r->v.directory);
}

static void end(struct list_rig *r)
{
	mt_guest_list_destroy(r->list);
	mt_guest_list_destroy(NULL);
	mt_guests_destroy(r->guests);
	unlink(r->v.socket);
	unlink(r->v.runs);
	rmdir(r->v.directory);
}

/* Follows "NAME SOCKET NAME SOCKET ...", with names of sockets in the rig's directory. */
static void follow(struct list_rig *r, const char *words)
{
	static char text[16][96];
	struct mt_guest_wanted v[8];
	uint32_t n = 0;
	char name[16], socket[16];
	int len;

	for (; sscanf(words, "%15s %15s%n", name, socket, &len) == 2; words += len, n++) {
		snprintf(text[2 * n], sizeof(text[0]), "%s", name);
		snprintf(text[2 * n + 1], sizeof(text[0]), "%s/%s", r->v.directory, socket);
		v[n] = (struct mt_guest_wanted){text[2 * n], text[2 * n + 1]};
	}
	CU_ASSERT_EQUAL(mt_guest_list_follow(r->list, v, n), 0);
}

/* The list is "NUMBER NAME SOCKET, ...", with a ! for a guest without a port. */
static void is(const struct list_rig *r, const char *want)
{
	struct mt_guest_attached g;
	uint32_t at = 0;
	size_t len = 0;
	char text[256] = "";

	while (mt_guest_list_next(r->list, &at, &g)) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u %s %s%s",
			len ? ", " : "", g.number, g.name, strrchr(g.socket, '/') + 1,
			g.port ? "" : "!");
		CU_ASSERT((g.why == NULL) == (g.port != NULL));
		if (g.port)
			CU_ASSERT_EQUAL(g.port->wait, MT_PORT_WAITS_SOCKET);
	}
	CU_ASSERT_STRING_EQUAL(text, want);
	if (strcmp(text, want) != 0)
		fprintf(stderr, "%s, not %s\n", text, want);
}

static const struct mt_port *port_of(const struct list_rig *r, const char *name)
{
	struct mt_guest_attached g;
	uint32_t at = 0;

	while (mt_guest_list_next(r->list, &at, &g))
		if (strcmp(g.name, name) == 0)
			return g.port;
	return NULL;
}

/* True if workers see a guest with this number. */
static bool is_attached(const struct list_rig *r, uint16_t number)
{
	struct rte_mbuf *m = mt_buf_data(test_pools[0]);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	if (mt_guests_send(mt_guests_worker(r->guests, 0), number, &m, 1) == 1)
		return false;
	mt_buf_free(m);
	return true;
}

static void test_follow(void)
{
	static struct list_rig r;
	const struct mt_port *b;

	begin(&r);
	is(&r, "");
	follow(&r, "a x b y");
	is(&r, "0 a x, 1 b y");
	CU_ASSERT(is_attached(&r, 0) && is_attached(&r, 1) && !is_attached(&r, 2));
	b = port_of(&r, "b");
	follow(&r, "c z b y");
	is(&r, "0 c z, 1 b y");
	CU_ASSERT_PTR_EQUAL(port_of(&r, "b"), b);
	follow(&r, "b y");
	is(&r, "1 b y");
	CU_ASSERT(!is_attached(&r, 0) && is_attached(&r, 1));
	/* a name with another socket is another guest, also if two are swapped */
	follow(&r, "b y a x");
	follow(&r, "b x a y");
	is(&r, "0 b x, 1 a y");
	follow(&r, "");
	is(&r, "");
	CU_ASSERT(!is_attached(&r, 0) && !is_attached(&r, 1));
	follow(&r, "a x");
	end(&r);
}

/* A guest that cannot be opened, until another one leaves its socket. */
static void test_refused(void)
{
	static struct list_rig r;
	char path[200];
	struct mt_guest_wanted long_path = {"long", path};
	struct mt_guest_attached g;
	uint32_t at = 0;

	begin(&r);
	follow(&r, "a x b x c z");
	is(&r, "0 a x, 1 b x!, 2 c z");
	at = 1;
	CU_ASSERT_FATAL(mt_guest_list_next(r.list, &at, &g));
	CU_ASSERT_PTR_NOT_NULL(strstr(g.why, "another port has the socket"));
	CU_ASSERT(!is_attached(&r, 1));
	mt_guest_list_watch(r.list);
	is(&r, "0 a x, 1 b x!, 2 c z");
	follow(&r, "b x c z");
	mt_guest_list_watch(r.list);
	is(&r, "1 b x, 2 c z");
	CU_ASSERT(is_attached(&r, 1));
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(mt_guest_list_follow(r.list, &long_path, 1), 0);
	at = 0;
	CU_ASSERT_FATAL(mt_guest_list_next(r.list, &at, &g));
	CU_ASSERT(!g.port && strstr(g.why, "the path is too long"));
	end(&r);
}

static void test_many(void)
{
	static struct list_rig r;
	static char text[2 * MT_VHOST_MAX + 2][64];
	static struct mt_guest_wanted v[MT_VHOST_MAX + 1];

	begin(&r);
	for (uint32_t i = 0; i <= MT_VHOST_MAX; i++) {
		snprintf(text[2 * i], sizeof(text[0]), "vm%u", i);
		snprintf(text[2 * i + 1], sizeof(text[0]), "%s/%u", r.v.directory, i);
		v[i] = (struct mt_guest_wanted){text[2 * i], text[2 * i + 1]};
	}
	CU_ASSERT_EQUAL(mt_guest_list_follow(r.list, v, MT_VHOST_MAX), 0);
	CU_ASSERT(is_attached(&r, MT_VHOST_MAX - 1));
	CU_ASSERT_EQUAL(mt_guest_list_follow(r.list, v, MT_VHOST_MAX + 1), -ENOSPC);
	CU_ASSERT_EQUAL(mt_guest_list_follow(r.list, v + 1, MT_VHOST_MAX), 0);
	CU_ASSERT_PTR_NULL(port_of(&r, "vm0"));
	CU_ASSERT_PTR_NOT_NULL(port_of(&r, "vm512"));
	end(&r);
}

/* ---- a guest --------------------------------------------------------------------------------- */

static void take(void *arg, uint16_t number, struct rte_mbuf **pkts, uint16_t n)
{
	(void)number;
	*(uint32_t *)arg += n;
	mt_buf_free_bulk(pkts, n);
}

/* Sends a frame by each worker, and receives it again, because the guest sends each back. */
static bool echoes(const struct list_rig *r, uint64_t *now)
{
	uint32_t got[2] = {0, 0};

	for (int i = 0; i < 3000 && got[0] + got[1] < 2; i++, usleep(1000)) {
		for (uint16_t w = 0; w < 2 && i % 100 == 0; w++) {
			struct rte_mbuf *m = mt_buf_data(test_pools[w]);

			CU_ASSERT_PTR_NOT_NULL_FATAL(m);
			memset(rte_pktmbuf_append(m, 100), 0x11, 100);
			if (mt_guests_send(mt_guests_worker(r->guests, w), 0, &m, 1) == 0)
				mt_buf_free(m);
		}
		*now += MT_MSEC;
		for (uint16_t w = 0; w < 2; w++)
			mt_guests_receive(mt_guests_worker(r->guests, w), *now, take, &got[w]);
	}
	/* the only pair belongs to the first worker */
	return got[0] >= 2 && got[1] == 0;
}

/* A guest comes, is killed, comes again, and is removed from the list while it runs. */
static void test_guest(void)
{
	static struct list_rig r;
	uint64_t now = MT_SEC;
	pid_t guest = -1;

	begin(&r);
	follow(&r, "vm vm");
	is(&r, "0 vm vm");
	for (int round = 0; round < 2; round++) {
		r.v.port = (struct mt_port *)(uintptr_t)port_of(&r, "vm");
		guest = guest_start(&r.v, 1);
		CU_ASSERT_FATAL(guest_runs(&r.v));
		mt_guest_list_watch(r.list);
		CU_ASSERT(r.v.port->link_up && r.v.port->wait == MT_PORT_WAITS_NOT);
		CU_ASSERT(echoes(&r, &now));
		if (round == 0)
			guest_end(guest, SIGKILL);
		CU_ASSERT(round == 1 || vhost_port_becomes(&r.v, false));
	}
	follow(&r, "");
	CU_ASSERT(!is_attached(&r, 0));
	guest_end(guest, SIGKILL);
	end(&r);
}

const struct mt_test guest_list_tests[] = {
	{"guest_list_follow", test_follow},
	{"guest_list_refused", test_refused},
	{"guest_list_many", test_many},
	{"guest_list_guest", test_guest},
	{0},
};
