/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes, sockets and descriptors; readers that stop or leave; the end. */
#include "sinks.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Reads until the other side is closed. The caller frees the text. */
static char *read_all(int fd, size_t *len)
{
	size_t cap = 1 << 16;
	char *text = malloc(cap);
	ssize_t n;

	*len = 0;
	while (text && (n = read(fd, text + *len, cap - *len)) > 0) {
		*len += (size_t)n;
		if (*len == cap) {
			cap *= 2;
			text = realloc(text, cap);
		}
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

struct reader {
	int fd;
	char *text;
	size_t len;
};

static void *reading(void *arg)
{
	struct reader *r = arg;

	r->text = read_all(r->fd, &r->len);
	return NULL;
}

static void all_arrives(int write_end, int read_end)
{
	struct mt_alog_sink *s = sinks_descriptor(write_end);
	struct reader r = {.fd = read_end};
	struct mt_alog_sink_stats st;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reading, &r), 0);
	for (uint32_t i = 0; i < 20000; i += 100)
		CU_ASSERT_EQUAL(sinks_put(s, i, 100), 100);
	sinks_end(s, MT_ALOG_STOP, &st);
	close(write_end);
	pthread_join(thread, NULL);
	close(read_end);
	CU_ASSERT_EQUAL(st.written, 20000);
	CU_ASSERT_EQUAL(st.bytes, 20000 * LINE_LEN);
	CU_ASSERT_EQUAL(sinks_lines(r.text, r.len), 20000);
	free(r.text);
}

static void test_pipe(void)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	all_arrives(fd[1], fd[0]);
}

/* As under systemd. */
static void test_socket(void)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	all_arrives(fd[1], fd[0]);
}

/* A descriptor that is a file, as after "meltemid >file". */
static void test_redirected(void)
{
	int fd = open(sinks_path("redirected"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct mt_alog_sink *s = sinks_descriptor(fd);

	CU_ASSERT_EQUAL(sinks_put(s, 0, 500), 500);
	CU_ASSERT_TRUE(sinks_wrote(s, 500));
	sinks_end(s, MT_ALOG_STOP, NULL);
	/* It is not the sink's to close. */
	CU_ASSERT_EQUAL(close(fd), 0);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("redirected")), 500);
}

/* Lines that are longer than a pipe takes at once. */
static void test_long_lines(void)
{
	static char line[8192], got[3 * sizeof(line)];
	struct mt_alog_sink *s;
	struct reader r;
	pthread_t thread;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	s = sinks_descriptor(fd[1]);
	for (uint32_t i = 0; i < 3; i++) {
		memset(line, 'a' + (int)i, sizeof(line));
		memcpy(got + i * sizeof(line), line, sizeof(line));
		CU_ASSERT_TRUE(mt_alog_sink_put(s, line, sizeof(line)));
	}
	mt_alog_sink_flush(s);
	r.fd = fd[0];
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reading, &r), 0);
	sinks_end(s, MT_ALOG_STOP, NULL);
	close(fd[1]);
	pthread_join(thread, NULL);
	close(fd[0]);
	CU_ASSERT_EQUAL(r.len, sizeof(got));
	CU_ASSERT_EQUAL(memcmp(r.text, got, MT_MIN(r.len, sizeof(got))), 0);
	free(r.text);
}

/*
 * A reader that stops: the buffer fills, then the newest lines are lost and counted. Another sink is
 * not delayed, and the end comes in time.
 */
static void stopped_reader(int write_end, int read_end)
{
	struct mt_alog_sink *s = sinks_descriptor(write_end), *other = sinks_file("other");
	struct mt_alog_sink_stats st;
	uint32_t accepted = 0;
	uint64_t start;
	char *text;
	size_t len;

	for (uint32_t i = 0; i < 300000; i += 1000)
		accepted += sinks_put(s, i, 1000);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_stalled));
	for (uint32_t i = 300000; i < 310000; i += 1000)
		accepted += sinks_put(s, i, 1000);
	CU_ASSERT_TRUE(accepted < 310000);
	CU_ASSERT_EQUAL(sinks_put(other, 0, 100), 100);
	CU_ASSERT_TRUE(sinks_wrote(other, 100));
	mt_alog_sink_stats(s, &st);
	CU_ASSERT_TRUE(st.lost[MT_ALOG_STATE_stalled] >= 9000);
	CU_ASSERT_PTR_NOT_NULL(strstr(st.why.text, "its reader has stopped"));
	start = now_ms();
	sinks_end(s, 300 * MT_MSEC, &st);
	sinks_end(other, MT_ALOG_STOP, NULL);
	CU_ASSERT_TRUE(now_ms() - start >= 250 && now_ms() - start < 2000);
	CU_ASSERT_EQUAL(st.wanted, 310000);
	CU_ASSERT_TRUE(st.lost[MT_ALOG_STATE_stopped] > 0);
	close(write_end);
	text = read_all(read_end, &len);
	close(read_end);
	/* The last line may be cut, because the sink ended in its midst. */
	CU_ASSERT_EQUAL(sinks_lines(text, len - len % LINE_LEN), (int64_t)st.written);
	free(text);
}

static void test_stopped_pipe(void)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	stopped_reader(fd[1], fd[0]);
}

static void test_stopped_socket(void)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	stopped_reader(fd[1], fd[0]);
}

/* poll() calls of sinks about a descriptor's room that a signal interrupts. */
static int interrupted;

/* In place of libc's, also for the sinks. */
int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec ts = {timeout / 1000, timeout % 1000 * 1000000L};

	/* Only the look for room asks for one descriptor and does not wait. */
	if (n == 1 && timeout == 0 && __atomic_load_n(&interrupted, __ATOMIC_RELAXED) > 0) {
		__atomic_sub_fetch(&interrupted, 1, __ATOMIC_RELAXED);
		errno = EINTR;
		return -1;
	}
	return ppoll(fds, n, timeout < 0 ? NULL : &ts, NULL);
}

/* A full pipe: an interrupted poll() does not let the sink write, which would block it. */
static void test_interrupted_poll(void)
{
	static char filling[1 << 16];
	struct mt_alog_sink *s;
	struct reader r;
	pthread_t thread;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(fd[1], F_SETPIPE_SZ, sizeof(filling)), sizeof(filling));
	memset(filling, '#', sizeof(filling));
	filling[sizeof(filling) - 1] = '\n';
	CU_ASSERT_EQUAL(write(fd[1], filling, sizeof(filling)), sizeof(filling));
	__atomic_store_n(&interrupted, 3, __ATOMIC_RELAXED);
	s = sinks_descriptor(fd[1]);
	CU_ASSERT_EQUAL(sinks_put(s, 0, 10), 10);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_stalled));
	CU_ASSERT_EQUAL(__atomic_load_n(&interrupted, __ATOMIC_RELAXED), 0);
	r.fd = fd[0];
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reading, &r), 0);
	CU_ASSERT_TRUE(sinks_wrote(s, 10));
	sinks_end(s, MT_ALOG_STOP, NULL);
	close(fd[1]);
	pthread_join(thread, NULL);
	close(fd[0]);
	CU_ASSERT_EQUAL(r.len, sizeof(filling) + (size_t)10 * LINE_LEN);
	free(r.text);
}

/* A reader that goes on after a pause gets every line that was accepted. */
static void test_pause(void)
{
	struct mt_alog_sink_stats st;
	struct mt_alog_sink *s;
	struct reader r;
	pthread_t thread;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	s = sinks_descriptor(fd[1]);
	CU_ASSERT_EQUAL(sinks_put(s, 0, 50000), 50000);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_stalled));
	r.fd = fd[0];
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, reading, &r), 0);
	CU_ASSERT_TRUE(sinks_wrote(s, 50000));
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_EQUAL(st.state, MT_ALOG_STATE_ok);
	CU_ASSERT_STRING_EQUAL(st.why.text, "");
	close(fd[1]);
	pthread_join(thread, NULL);
	close(fd[0]);
	CU_ASSERT_EQUAL(sinks_lines(r.text, r.len), 50000);
	free(r.text);
}

/* No signal ends the process, and the end does not wait. */
static void test_closed(void)
{
	struct mt_alog_sink_stats st;
	struct mt_alog_sink *s;
	uint64_t start;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	s = sinks_descriptor(fd[1]);
	CU_ASSERT_EQUAL(sinks_put(s, 0, 10), 10);
	CU_ASSERT_TRUE(sinks_wrote(s, 10));
	close(fd[0]);
	CU_ASSERT_EQUAL(sinks_put(s, 10, 10), 10);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_closed));
	start = now_ms();
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_TRUE(now_ms() - start < 1000);
	CU_ASSERT_EQUAL(st.lost[MT_ALOG_STATE_stopped], 10);
	close(fd[1]);
	/* A descriptor that is not open. */
	s = sinks_descriptor(fd[1]);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_closed));
	sinks_end(s, MT_ALOG_STOP, NULL);
}

/* ---- threads -------------------------------------------------------------------------------- */

static bool done;

/* The control thread looks and reopens at any time. */
static void *looking(void *arg)
{
	struct mt_alog_sink *s = arg;
	struct mt_alog_sink_stats st;
	uint32_t i = 0;

	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		mt_alog_sink_stats(s, &st);
		if (i++ % 8 == 0)
			mt_alog_sink_reopen(s);
		usleep(200);
	}
	return NULL;
}

static void test_threads(void)
{
	struct mt_alog_sink *s = sinks_file("threads");
	struct mt_alog_sink_stats st = {.opened = 0};
	uint64_t start = now_ms();
	uint32_t n = 0;
	pthread_t thread;

	done = false;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, looking, s), 0);
	for (; n < 50000 || (st.opened < 5 && now_ms() - start < 10000); n += 50) {
		(void)sinks_put(s, n, 50);
		mt_alog_sink_stats(s, &st);
	}
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_EQUAL(st.wanted, n);
	CU_ASSERT_TRUE(st.opened >= 5);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("threads")), (int64_t)st.written);
}

const struct mt_test sink_tests[] = {
	{"pipe", test_pipe},
	{"socket", test_socket},
	{"redirected", test_redirected},
	{"long lines", test_long_lines},
	{"stopped reader of a pipe", test_stopped_pipe},
	{"stopped reader of a socket", test_stopped_socket},
	{"interrupted poll", test_interrupted_poll},
	{"pause", test_pause},
	{"closed", test_closed},
	{"threads", test_threads},
	{0},
};
