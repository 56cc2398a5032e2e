/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[64], path[96];

static struct mt_ctl *setup(void)
{
	struct mt_ctl_env env = {.node = "edge-1", .socket = path};

	strcpy(dir, "/tmp/mt_ctl_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/admin.sock", dir);
	return test_ctl(&env);
}

static void teardown(struct mt_ctl *c)
{
	mt_ctl_destroy(c);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Reads one whole answer into buf; the exit code, or -1 when the connection ended. */
static int answer(struct mt_ctl *c, int fd, char *buf, size_t size)
{
	char head[64];
	size_t n = 0, len, got = 0;
	int code;

	do {
		if (!test_wait(c, fd) || read(fd, &head[n], 1) != 1)
			return -1;
	} while (head[n++] != '\n' && n < sizeof(head) - 1);
	head[n] = '\0';
	CU_ASSERT_EQUAL_FATAL(sscanf(head, "meltemi %d %zu", &code, &len), 2);
	CU_ASSERT_FATAL(len < size);
	while (got < len) {
		ssize_t r;

		CU_ASSERT_TRUE_FATAL(test_wait(c, fd));
		r = read(fd, buf + got, len - got);
		CU_ASSERT_FATAL(r > 0);
		got += (size_t)r;
	}
	buf[len] = '\0';
	return code;
}

static void put(int fd, const char *text)
{
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_requests(void)
{
	struct mt_ctl *c = setup();
	char buf[16384];
	struct stat st;
	int fd = dial();

	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
	put(fd, "show version\n");
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "edge-1"));
	/* Two at once, and one byte by byte. */
	put(fd, "help\nnonsense\n");
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "show ports"));
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), 2);
	for (const char *p = "show memory\n"; *p; p++) {
		CU_ASSERT_EQUAL(write(fd, p, 1), 1);
		mt_ctl_turn(c, MT_SEC);
	}
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), 0);
	close(fd);
	teardown(c);
}

/* A line that does not end is refused, not stored. */
static void test_endless_line(void)
{
	struct mt_ctl *c = setup();
	char junk[5000], buf[1024];
	int fd = dial(), other;

	memset(junk, 'x', sizeof(junk));
	CU_ASSERT_EQUAL(write(fd, junk, sizeof(junk)), sizeof(junk));
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "longer than"));
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), -1);
	close(fd);
	other = dial();
	put(other, "show version\n");
	CU_ASSERT_EQUAL(answer(c, other, buf, sizeof(buf)), 0);
	close(other);
	teardown(c);
}

static void test_garbage(void)
{
	struct mt_ctl *c = setup();
	struct mt_rand r;
	char buf[1024];
	int fd;

	mt_rand_seed(&r, 5);
	for (int i = 0; i < 300; i++) {
		uint8_t junk[600];
		uint32_t n = mt_rand_below(&r, sizeof(junk));

		for (uint32_t k = 0; k < n; k++)
			junk[k] = (uint8_t)mt_rand_u64(&r);
		fd = dial();
		CU_ASSERT_EQUAL(write(fd, junk, n), n);
		mt_ctl_turn(c, MT_SEC);
		/* Half of them leave without reading. */
		if (i % 2)
			mt_ctl_turn(c, MT_SEC);
		close(fd);
		mt_ctl_turn(c, MT_SEC);
		mt_ctl_turn(c, MT_SEC);
	}
	fd = dial();
	put(fd, "show version\n");
	CU_ASSERT_EQUAL(answer(c, fd, buf, sizeof(buf)), 0);
	close(fd);
	teardown(c);
}

/* Forgotten shells do not keep an operator out: the one that asked longest ago gives its place up. */
static void test_too_many(void)
{
	struct mt_ctl *c = setup();
	int fd[MT_CTL_CLIENTS + 1];
	char buf[1024];

	for (int i = 0; i < MT_CTL_CLIENTS; i++) {
		fd[i] = dial();
		mt_ctl_turn(c, MT_SEC + (uint64_t)i);
	}
	/* The first two are in use. */
	for (int i = 0; i < 2; i++) {
		put(fd[i], "show version\n");
		mt_ctl_turn(c, 2 * MT_SEC);
		CU_ASSERT_EQUAL(answer(c, fd[i], buf, sizeof(buf)), 0);
	}
	fd[MT_CTL_CLIENTS] = dial();
	mt_ctl_turn(c, 3 * MT_SEC);
	put(fd[MT_CTL_CLIENTS], "show version\n");
	CU_ASSERT_EQUAL(answer(c, fd[MT_CTL_CLIENTS], buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(answer(c, fd[2], buf, sizeof(buf)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "another shell needed the place"));
	CU_ASSERT_EQUAL(answer(c, fd[2], buf, sizeof(buf)), -1);
	for (int i = 0; i <= MT_CTL_CLIENTS; i++) {
		if (i == 2)
			continue;
		put(fd[i], "show version\n");
		CU_ASSERT_EQUAL(answer(c, fd[i], buf, sizeof(buf)), 0);
	}
	for (int i = 0; i <= MT_CTL_CLIENTS; i++)
		close(fd[i]);
	teardown(c);
}

/* All places taken by who does not read: a newcomer is served all the same. */
static void test_all_stalled(void)
{
	static char many[9000];
	struct mt_ctl *c = setup();
	int fd[MT_CTL_CLIENTS], other, small = 1;
	char buf[1024];

	for (size_t i = 0; i + 5 < sizeof(many); i += 5)
		memcpy(many + i, "help\n", 5);
	for (int i = 0; i < MT_CTL_CLIENTS; i++) {
		fd[i] = dial();
		setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		for (int k = 0; k < 200 && c->clients[i].out.len == 0; k++) {
			(void)send(fd[i], many, strlen(many), MSG_DONTWAIT | MSG_NOSIGNAL);
			mt_ctl_turn(c, MT_SEC + (uint64_t)i);
		}
		CU_ASSERT(c->clients[i].out.len > 0);
	}
	other = dial();
	mt_ctl_turn(c, 2 * MT_SEC);
	put(other, "show version\n");
	CU_ASSERT_EQUAL(answer(c, other, buf, sizeof(buf)), 0);
	close(other);
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		close(fd[i]);
	teardown(c);
}

static int dial_view(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/view.sock", dir);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Operators' shells, then viewers without end, then as many operators as there are places. */
static void test_roles_have_places(void)
{
	char view[96], buf[1024];
	struct mt_ctl_env env = {.node = "edge-1", .socket = path, .view_socket = view};
	int kept[8], viewers[100], more[MT_CTL_CLIENTS];
	struct mt_ctl *c = setup();
	uint32_t n_viewers = 0;

	mt_ctl_destroy(c);
	snprintf(view, sizeof(view), "%s/view.sock", dir);
	c = test_ctl(&env);
	for (size_t i = 0; i < MT_ARRAY_LEN(kept); i++) {
		kept[i] = dial();
		mt_ctl_turn(c, MT_SEC);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(viewers); i++) {
		viewers[i] = dial_view();
		mt_ctl_turn(c, 2 * MT_SEC);
		put(viewers[i], "show version\n");
		CU_ASSERT_EQUAL(answer(c, viewers[i], buf, sizeof(buf)), 0);
	}
	/* They were there first, and have asked nothing. */
	for (size_t i = 0; i < MT_ARRAY_LEN(kept); i++) {
		put(kept[i], "show version\n");
		CU_ASSERT_EQUAL(answer(c, kept[i], buf, sizeof(buf)), 0);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(more); i++) {
		more[i] = dial();
		mt_ctl_turn(c, 3 * MT_SEC);
		put(more[i], "show version\n");
		CU_ASSERT_EQUAL(answer(c, more[i], buf, sizeof(buf)), 0);
	}
	/* Nor do operators take all: the last viewers stay. */
	for (int i = 0; i < MT_CTL_CLIENTS; i++)
		n_viewers += c->clients[i].who.role == MT_ROLE_VIEW;
	CU_ASSERT_EQUAL(n_viewers, MT_CTL_VIEWERS(MT_CTL_CLIENTS));
	for (size_t i = 0; i < MT_ARRAY_LEN(kept); i++)
		close(kept[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(viewers); i++)
		close(viewers[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(more); i++)
		close(more[i]);
	teardown(c);
}

/* A line that drips in has its time, as a whole. */
static void test_drip(void)
{
	struct mt_ctl *c = setup();
	int fd = dial();

	mt_ctl_turn(c, MT_SEC);
	CU_ASSERT_EQUAL(mt_ctl_next(c), MT_NEVER);
	for (int i = 0; i < 12; i++) {
		(void)send(fd, "s", 1, MSG_NOSIGNAL);
		mt_ctl_turn(c, MT_SEC + (uint64_t)i * MT_SEC);
		CU_ASSERT_EQUAL(c->clients[0].fd >= 0, i < 10);
	}
	close(fd);
	teardown(c);
}

/* Who asks and does not read costs one answer, and is closed after a while. */
static void test_never_reads(void)
{
	struct mt_ctl *c = setup();
	char buf[1024];
	int fd = dial(), other;

	for (int i = 0; i < 20000; i++) {
		if (send(fd, "help\n", 5, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		mt_ctl_turn(c, MT_SEC);
	}
	CU_ASSERT(mt_ctl_next(c) <= 11 * MT_SEC);
	CU_ASSERT(c->clients[0].out.len < 65536);
	other = dial();
	put(other, "show version\n");
	CU_ASSERT_EQUAL(answer(c, other, buf, sizeof(buf)), 0);
	mt_ctl_turn(c, 12 * MT_SEC);
	CU_ASSERT_EQUAL(c->clients[0].fd, -1);
	CU_ASSERT(c->clients[1].fd >= 0);
	close(fd);
	close(other);
	teardown(c);
}

/* bind() replaces the viewers' socket by a link to link_to, made by this. */
static int (*make_link)(const char *to, const char *name);
static const char *link_to;

int bind(int fd, const struct sockaddr *a, socklen_t len)
{
	int rc = (int)syscall(SYS_bind, fd, a, len);
	const char *name = ((const struct sockaddr_un *)a)->sun_path;

	if (rc == 0 && make_link && strstr(name, "view")) {
		CU_ASSERT_EQUAL(unlink(name), 0);
		CU_ASSERT_EQUAL(make_link(link_to, name), 0);
		make_link = NULL;
	}
	return rc;
}

/* Opens a socket with a group, in whose place bind() puts a link: nothing changes at its target. */
static void group_of_link(int (*make)(const char *to, const char *name), const char *to)
{
	char view[96], group[16];
	struct mt_ctl_env env = {.socket = path, .view_socket = view, .view_group = group};
	struct stat before, after;
	struct mt_err e = {""};

	snprintf(view, sizeof(view), "%s/view.sock", dir);
	/* Of another group, so that a change of the target's would be seen. */
	snprintf(group, sizeof(group), "%u", geteuid() ? getegid() : 64747);
	CU_ASSERT_EQUAL(stat(to, &before), 0);
	link_to = to;
	make_link = make;
	CU_ASSERT_PTR_NULL(mt_ctl_create(&env, 0, &e));
	CU_ASSERT_PTR_NULL(make_link);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "view.sock: another process has replaced it"));
	CU_ASSERT_EQUAL(stat(to, &after), 0);
	CU_ASSERT_EQUAL(after.st_gid, before.st_gid);
	unlink(view);
}

/* Whoever may write the directory can replace the socket before it gets its group. */
static void test_group_of_link(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct mt_ctl *c = setup();
	char file[96];
	int fd;

	mt_ctl_destroy(c);
	snprintf(file, sizeof(file), "%s/file", dir);
	close(open(file, O_WRONLY | O_CREAT, 0600));
	group_of_link(symlink, file);
	group_of_link(link, file);
	unlink(file);
	/* The socket of another program. */
	strcpy(a.sun_path, file);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	group_of_link(symlink, file);
	group_of_link(link, file);
	close(fd);
	unlink(file);
	rmdir(dir);
}

/* The socket itself gets the group. */
static void test_group(void)
{
	char view[96], group[16];
	struct mt_ctl_env env = {.socket = path, .view_socket = view, .view_group = group};
	gid_t gid = geteuid() ? getegid() : 64747;
	struct mt_ctl *c = setup();
	struct mt_err e = {""};
	struct stat st;

	mt_ctl_destroy(c);
	snprintf(view, sizeof(view), "%s/view.sock", dir);
	snprintf(group, sizeof(group), "%u", gid);
	c = mt_ctl_create(&env, 0, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(lstat(view, &st), 0);
	CU_ASSERT(S_ISSOCK(st.st_mode));
	CU_ASSERT_EQUAL(st.st_gid, gid);
	teardown(c);
}

static void test_old_socket(void)
{
	struct mt_ctl *c = setup(), *second;
	struct mt_ctl_env env = {.socket = path};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct mt_err e = {""};
	int fd, waiting;

	/* A daemon that lives keeps its socket. */
	second = mt_ctl_create(&env, 0, &e);
	CU_ASSERT_PTR_NULL(second);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "another daemon answers"));
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	mt_ctl_destroy(c);
	/* A full queue does not block the start. */
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	CU_ASSERT_EQUAL(listen(fd, 0), 0);
	waiting = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL(connect(waiting, (struct sockaddr *)&a, sizeof(a)), 0);
	alarm(20);
	CU_ASSERT_PTR_NULL(mt_ctl_create(&env, 0, &e));
	alarm(0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "another daemon answers"));
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	close(waiting);
	close(fd);
	unlink(path);
	/* What a dead one left is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(a.sun_path, path);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	c = test_ctl(&env);
	mt_ctl_destroy(c);
	/* Anything else stays. */
	fd = creat(path, 0600);
	close(fd);
	CU_ASSERT_PTR_NULL(mt_ctl_create(&env, 0, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "not a socket"));
	unlink(path);
	env.socket = "/nonexistent-directory/x.sock";
	CU_ASSERT_PTR_NULL(mt_ctl_create(&env, 0, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "does its directory exist"));
	rmdir(dir);
}

/* ---- answers that come later ---------------------------------------------------------------------- */

static int reloads, drains, reload_rc;

static int later_reload(void *arg, const struct mt_who *who, char *words, size_t size)
{
	reloads++;
	snprintf(words, size, "under way");
	return reload_rc;
}

static bool later_drain(void *arg, bool on)
{
	drains++;
	return true;
}

static struct mt_ctl *setup_later(void)
{
	struct mt_ctl_env env = {.socket = path, .reload = later_reload, .drain = later_drain};

	strcpy(dir, "/tmp/mt_ctl_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/admin.sock", dir);
	reloads = drains = 0;
	reload_rc = MT_CTL_LATER;
	return test_ctl(&env);
}

/* Who asked hears of the end; who changes something waits for it, in his turn; who looks does not. */
static void test_later(void)
{
	struct mt_ctl *c = setup_later();
	int first = dial(), second = dial(), viewer = dial();
	char buf[16384];

	put(first, "reload\nshow version\n");
	CU_ASSERT_FALSE(test_wait(c, first));
	CU_ASSERT_EQUAL(reloads, 1);
	put(second, "drain\n");
	CU_ASSERT_FALSE(test_wait(c, second));
	CU_ASSERT_EQUAL(drains, 0);
	put(viewer, "show version\n");
	CU_ASSERT_EQUAL(answer(c, viewer, buf, sizeof(buf)), 0);
	/* Neither who asked nor who waits is sent away, however long it takes. */
	mt_ctl_turn(c, 1000 * MT_SEC);
	mt_ctl_answer(c, 0, "3 services added", 1000 * MT_SEC);
	CU_ASSERT_EQUAL(answer(c, first, buf, sizeof(buf)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "3 services added"));
	CU_ASSERT_EQUAL(answer(c, first, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(answer(c, second, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(drains, 1);
	/* Nobody waits any more. */
	mt_ctl_answer(c, 0, "again", 1000 * MT_SEC);
	CU_ASSERT_FALSE(test_wait(c, first));
	close(first);
	close(second);
	close(viewer);
	teardown(c);
}

/* It failed in the end; and who asked has gone, which ends the wait of the others all the same. */
static void test_later_and_gone(void)
{
	struct mt_ctl *c = setup_later();
	int first = dial(), second = dial();
	char buf[4096];

	put(first, "--json reload\n");
	CU_ASSERT_FALSE(test_wait(c, first));
	mt_ctl_answer(c, -5, "no room", MT_SEC);
	CU_ASSERT_EQUAL(answer(c, first, buf, sizeof(buf)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"error\": \"no room\""));
	put(first, "reload\n");
	CU_ASSERT_FALSE(test_wait(c, first));
	put(second, "reload\n");
	CU_ASSERT_FALSE(test_wait(c, second));
	CU_ASSERT_EQUAL(reloads, 2);
	close(first);
	mt_ctl_turn(c, MT_SEC);
	reload_rc = 0;
	mt_ctl_answer(c, 0, "done", MT_SEC);
	CU_ASSERT_EQUAL(answer(c, second, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(reloads, 3);
	close(second);
	teardown(c);
}

const struct mt_test socket_tests[] = {
	{"requests and answers", test_requests},
	{"a line without end", test_endless_line},
	{"garbage", test_garbage},
	{"more clients than there are places", test_too_many},
	{"all places stalled", test_all_stalled},
	{"places by role", test_roles_have_places},
	{"a line that drips", test_drip},
	{"a client that never reads", test_never_reads},
	{"the group of a link", test_group_of_link},
	{"the group of a socket", test_group},
	{"old sockets", test_old_socket},
	{"an answer that comes later", test_later},
	{"an answer that comes later, to nobody", test_later_and_gone},
	{0},
};
