/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink's buffer and its thread, which writes many lines at once. The thread sleeps in poll() and
 * is woken by an eventfd. It blocks SIGPIPE with the others (mt_rights_thread()), so that a pipe
 * without a reader gives EPIPE.
 */
#include "mt_alog_sink_priv.h"

#include "mt_outcome.h"
#include "mt_rights.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LINES	   256		/* of one write */
#define BATCH	   (256u << 10) /* bytes of one write to a file or socket */
#define LOOK_MS	   1000		/* an idle sink looks at its file as often */
#define RETRY	   MT_SEC	/* after an error */
#define JOIN_GRACE (200 * MT_MSEC)

static const struct {
	const char *name, *words;
	bool loses;
} states[MT_ALOG_STATES] = {
#define MT_ALOG_STATE(name, loses, words) {#name, words, loses},
#include "sink_states.def"
#undef MT_ALOG_STATE
};

const char *mt_alog_state_name(enum mt_alog_state s)
{
	return states[s].name;
}

const char *mt_alog_state_words(enum mt_alog_state s)
{
	return states[s].words;
}

bool mt_alog_state_loses(enum mt_alog_state s)
{
	return states[s].loses;
}

static void wake(const struct mt_alog_sink *s)
{
	const uint64_t one = 1;

	(void)!write(s->event, &one, sizeof(one));
}

/* ---- the sink's thread: state --------------------------------------------------------------- */

static void set_state(struct mt_alog_sink *s, enum mt_alog_state state, const struct mt_err *why)
{
	if (s->state == state && state == MT_ALOG_STATE_ok)
		return;
	__atomic_store_n(&s->state, state, __ATOMIC_RELAXED);
	pthread_mutex_lock(&s->lock);
	if (why)
		s->why = *why;
	else
		s->why.text[0] = '\0';
	pthread_mutex_unlock(&s->lock);
}

static void failed(struct mt_alog_sink *s, enum mt_alog_state state, const struct mt_err *why)
{
	set_state(s, state, why);
	s->retry_at = mt_alog_monotonic() + RETRY;
}

static bool stopping(const struct mt_alog_sink *s)
{
	return __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
}

/* Sleeps until lines or a wish arrive, the descriptor has room if `room`, or `ms` have passed. */
static void sleep_until(struct mt_alog_sink *s, bool room, uint64_t ms)
{
	struct pollfd p[2] = {{.fd = s->event, .events = POLLIN}, {.fd = s->fd, .events = POLLOUT}};
	uint64_t n;

	(void)poll(p, room ? 2 : 1, (int)ms);
	if (p[0].revents)
		(void)!read(s->event, &n, sizeof(n));
}

/* ---- the sink's thread: what it writes to --------------------------------------------------- */

static void close_file(struct mt_alog_sink *s)
{
	if (s->place.path && s->target != MT_ALOG_CLOSED)
		close(s->fd);
	s->target = MT_ALOG_CLOSED;
}

/* Drops a line with a part in a file that cannot be written any more. */
static void drop_torn(struct mt_alog_sink *s)
{
	if (!s->done)
		return;
	mt_count(s->torn, s->state);
	mt_byte_ring_pop(&s->ring);
	s->done = 0;
}

static bool open_file(struct mt_alog_sink *s)
{
	struct mt_err why;

	drop_torn(s);
	if (mt_alog_file_open(s, &why)) {
		failed(s, MT_ALOG_STATE_not_open, &why);
		return false;
	}
	mt_count(&s->opened, 0);
	s->target = MT_ALOG_REGULAR;
	set_state(s, MT_ALOG_STATE_ok, NULL);
	return true;
}

static bool open_descriptor(struct mt_alog_sink *s)
{
	struct mt_err why;
	struct stat st;

	s->fd = s->place.fd;
	if (fstat(s->fd, &st)) {
		(void)mt_err(&why, -errno, "descriptor %d: %s", s->fd, strerror(errno));
		failed(s, MT_ALOG_STATE_closed, &why);
		return false;
	}
	s->target = S_ISREG(st.st_mode)	   ? MT_ALOG_REGULAR
		    : S_ISSOCK(st.st_mode) ? MT_ALOG_SOCKET
					   : MT_ALOG_PIPE;
	return true;
}

/*
 * Makes the sink's file the one at its path. A rest of a line is written before to the old file,
 * unless writing fails there.
 */
static bool ready(struct mt_alog_sink *s)
{
	bool wish = __atomic_exchange_n(&s->reopen, false, __ATOMIC_ACQUIRE);

	if (!s->place.path)
		return s->target != MT_ALOG_CLOSED || open_descriptor(s);
	if (s->target != MT_ALOG_CLOSED && s->done && s->state == MT_ALOG_STATE_ok) {
		if (wish)
			__atomic_store_n(&s->reopen, true, __ATOMIC_RELAXED);
		return true;
	}
	if (s->target != MT_ALOG_CLOSED && !wish && mt_alog_file_same(s))
		return true;
	close_file(s);
	return open_file(s);
}

/* ---- the sink's thread: writing ------------------------------------------------------------- */

/* Collects lines of at most `most` bytes together, or a part of the first one. */
static int gather(struct mt_alog_sink *s, struct iovec *iov, size_t most)
{
	uint64_t at = mt_byte_ring_tail(&s->ring);
	size_t total = 0;
	int n = 0;

	while (n < LINES) {
		uint32_t len, skip = n ? 0 : s->done;
		const char *line = mt_byte_ring_next(&s->ring, &at, &len);

		if (!line || (n && total + len > most))
			break;
		iov[n].iov_base = (char *)(uintptr_t)line + skip;
		iov[n].iov_len = MT_MIN(len - skip, most);
		total += iov[n++].iov_len;
	}
	return n;
}

static ssize_t write_pipe(struct mt_alog_sink *s, struct iovec *iov, int n)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};
	int room = poll(&p, 1, 0);

	/* After an interrupted poll() a write might block. */
	if (room <= 0) {
		errno = room == 0 ? EAGAIN : errno;
		return -1;
	}
	return writev(s->fd, iov, n);
}

static ssize_t write_some(struct mt_alog_sink *s, struct iovec *iov, int n)
{
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};

	if (s->target == MT_ALOG_SOCKET)
		return sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	return s->target == MT_ALOG_PIPE ? write_pipe(s, iov, n) : writev(s->fd, iov, n);
}

static void was_written(struct mt_alog_sink *s, size_t n)
{
	uint32_t len;

	mt_count_n(&s->bytes, 0, n);
	while (n > 0 && mt_byte_ring_peek(&s->ring, &len)) {
		uint32_t rest = len - s->done;

		if (n < rest) {
			s->done += (uint32_t)n;
			return;
		}
		n -= rest;
		s->done = 0;
		mt_byte_ring_pop(&s->ring);
		mt_count(&s->written, 0);
	}
}

static void write_failed(struct mt_alog_sink *s, int err)
{
	struct mt_err why;

	if (s->place.path)
		(void)mt_err(
			&why, -err, "%s/%s: %s", s->place.directory, s->place.path, strerror(err));
	else
		(void)mt_err(&why, -err, "descriptor %d: %s", s->fd, strerror(err));
	switch (err) {
	case EINTR:
		break;
	case EAGAIN:
		(void)mt_err(&why, -err, "descriptor %d: its reader has stopped", s->fd);
		set_state(s, MT_ALOG_STATE_stalled, &why);
		break;
	case ENOSPC:
	case EDQUOT:
		failed(s, MT_ALOG_STATE_no_space, &why);
		break;
	case EPIPE:
	case ECONNRESET:
	case EBADF:
		failed(s, MT_ALOG_STATE_closed, &why);
		s->target = s->place.path ? s->target : MT_ALOG_CLOSED;
		break;
	default:
		failed(s, MT_ALOG_STATE_failed, &why);
	}
}

static void write_lines(struct mt_alog_sink *s)
{
	struct iovec iov[LINES];
	int n = gather(s, iov, s->target == MT_ALOG_PIPE ? PIPE_BUF : BATCH);
	ssize_t done = n ? write_some(s, iov, n) : 0;

	if (done < 0) {
		write_failed(s, errno);
		return;
	}
	if (done > 0)
		set_state(s, MT_ALOG_STATE_ok, NULL);
	was_written(s, (size_t)done);
}

/* ---- the sink's thread: loop ---------------------------------------------------------------- */

static bool has_lines(struct mt_alog_sink *s)
{
	uint32_t len;

	return mt_byte_ring_peek(&s->ring, &len) != NULL;
}

/* At stop an error is tried once more; a slow reader has until the deadline. */
static bool gives_up(struct mt_alog_sink *s, uint64_t now)
{
	bool again = s->retry_at <= now || !s->tried_at_stop;

	if (!has_lines(s) || now >= s->deadline || !again)
		return true;
	if (!s->tried_at_stop)
		s->retry_at = 0;
	s->tried_at_stop = true;
	return false;
}

/* False: the sink ends. */
static bool turn(struct mt_alog_sink *s)
{
	uint64_t now = mt_alog_monotonic();
	bool stop = stopping(s);

	if (stop && gives_up(s, now))
		return false;
	if (s->retry_at > now) {
		sleep_until(s, false, (s->retry_at - now) / MT_MSEC + 1);
		return true;
	}
	if (!ready(s))
		return true;
	if (!has_lines(s)) {
		sleep_until(s, false, LOOK_MS);
		return true;
	}
	write_lines(s);
	if (s->state == MT_ALOG_STATE_stalled)
		sleep_until(
			s, true, stop ? MT_MIN((s->deadline - now) / MT_MSEC + 1, 1000u) : 1000);
	return true;
}

static void *loop(void *arg)
{
	struct mt_alog_sink *s = arg;

	while (turn(s))
		continue;
	close_file(s);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_cond_signal(&s->end);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the control thread --------------------------------------------------------------------- */

/* Uses the monotonic clock, which is never set. */
static void init_lock(struct mt_alog_sink *s)
{
	pthread_condattr_t clock;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&s->end, &clock);
	pthread_condattr_destroy(&clock);
}

static void destroy(struct mt_alog_sink *s)
{
	if (s->event >= 0)
		close(s->event);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->end);
	mt_alog_place_fini(&s->place);
	free(s->memory);
	free(s);
}

struct mt_alog_sink *mt_alog_sink_new(struct mt_alog_place *place, struct mt_err *e)
{
	struct mt_alog_sink *s = aligned_alloc(64, sizeof(*s));
	int rc = -ENOMEM;

	if (!s) {
		mt_alog_place_fini(place);
		(void)mt_err(e, rc, "no memory");
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->place = *place;
	memset(place, 0, sizeof(*place));
	init_lock(s);
	s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Only pages that are used become resident. */
	s->memory = calloc(1, MT_ALOG_BUFFER);
	if (s->memory) {
		mt_byte_ring_init(&s->ring, s->memory, MT_ALOG_BUFFER);
		rc = s->event < 0 ? -errno : mt_rights_thread(&s->thread, "mt-log-file", loop, s);
	}
	if (rc == 0)
		return s;
	(void)mt_err(e, rc, "access log: %s", strerror(-rc));
	destroy(s);
	return NULL;
}

void mt_alog_sink_reopen(struct mt_alog_sink *s)
{
	__atomic_store_n(&s->reopen, true, __ATOMIC_RELEASE);
	wake(s);
}

void mt_alog_sink_stats(struct mt_alog_sink *s, struct mt_alog_sink_stats *to)
{
	memset(to, 0, sizeof(*to));
	to->written = mt_count_read(&s->written);
	to->bytes = mt_count_read(&s->bytes);
	to->opened = mt_count_read(&s->opened);
	for (uint32_t i = 0; i < MT_ALOG_STATES; i++)
		to->lost[i] = mt_count_read(&s->lost[i]) + mt_count_read(&s->torn[i]);
	to->wanted = mt_count_read(&s->wanted);
	to->state = __atomic_load_n(&s->state, __ATOMIC_RELAXED);
	pthread_mutex_lock(&s->lock);
	to->why = s->why;
	pthread_mutex_unlock(&s->lock);
}

void mt_alog_sink_stop(struct mt_alog_sink *s, uint64_t ns)
{
	mt_byte_ring_publish(&s->ring);
	s->deadline = mt_alog_monotonic() + ns;
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	wake(s);
}

/* False: the thread does not end in time. */
static bool wait_end(struct mt_alog_sink *s)
{
	uint64_t ns = s->deadline + JOIN_GRACE;
	struct timespec until = {(time_t)(ns / MT_SEC), (long)(ns % MT_SEC)};
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->ended && rc == 0)
		rc = pthread_cond_timedwait(&s->end, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
	return rc == 0;
}

bool mt_alog_sink_may_join(struct mt_alog_sink *s)
{
	bool ended;

	pthread_mutex_lock(&s->lock);
	ended = s->ended;
	pthread_mutex_unlock(&s->lock);
	return ended || mt_alog_monotonic() >= s->deadline + JOIN_GRACE;
}

bool mt_alog_sink_join(struct mt_alog_sink *s)
{
	uint64_t gone;

	if (s->joined || s->hangs)
		return s->joined;
	s->joined = wait_end(s);
	s->hangs = !s->joined;
	if (s->joined)
		pthread_join(s->thread, NULL);
	else
		pthread_detach(s->thread);
	gone = mt_count_read(&s->written);
	for (uint32_t i = 0; i < MT_ALOG_STATES; i++)
		gone += mt_count_read(&s->torn[i]);
	mt_count_n(s->lost, MT_ALOG_STATE_stopped, s->accepted - gone);
	return s->joined;
}

void mt_alog_sink_free(struct mt_alog_sink *s)
{
	if (s && s->joined)
		destroy(s);
}

/* ---- the thread that puts lines ------------------------------------------------------------- */

bool mt_alog_sink_put(struct mt_alog_sink *s, const char *line, uint32_t len)
{
	void *to;

	if (!len)
		return true;
	to = mt_byte_ring_reserve(&s->ring, len);
	mt_count(&s->wanted, 0);
	if (!to) {
		mt_count(s->lost, (uint32_t)__atomic_load_n(&s->state, __ATOMIC_RELAXED));
		return false;
	}
	memcpy(to, line, len);
	s->accepted++;
	return true;
}

void mt_alog_sink_flush(struct mt_alog_sink *s)
{
	if (mt_byte_ring_position(&s->ring) == __atomic_load_n(&s->ring.head, __ATOMIC_RELAXED))
		return;
	mt_byte_ring_publish(&s->ring);
	wake(s);
}
