/* SPDX-License-Identifier: Apache-2.0 */
/* The watch: evaluates events and decides when to report a change. */
#include "watch_tree.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define QUIET	(80 * MT_MSEC)
#define LONGEST (1 * MT_SEC)

/*
 * Interval of polling, in so many parts (of LOOK_MIN paths or more) that none takes long. A part
 * resolves no more than LOOK_WORK names, some 16 ms of them, so that rounds of sources with more
 * links take longer.
 */
#define LOOK	   (1 * MT_SEC)
#define LOOK_PARTS 10
#define LOOK_MIN   256
#define LOOK_WORK  16384u

/* Pause after a walk for each name of a path with links: a walk needs some 1 us for it. */
#define PAUSE 4000

struct mt_watch {
	int epoll, timer;
	struct mt_watch_tree tree;
	uint64_t first, last; /* times of the changes not reported yet; first 0: none */
	bool stale;	      /* directories may have come or gone since the last walk */
	bool missed;	      /* something changed before the watch began */
	uint64_t walked;
	uint64_t look_at;     /* time of the next poll */
	uint64_t pause_until; /* no report before */
};

int mt_watch_fd(const struct mt_watch *w)
{
	return w->epoll;
}

uint64_t mt_watch_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

void mt_watch_free(struct mt_watch *w)
{
	if (!w)
		return;
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->timer >= 0)
		close(w->timer);
	mt_tree_fini(&w->tree);
	free(w);
}

/* ---- start ----------------------------------------------------------------------------------- */

/* The timer only wakes the loop; times are compared with `now`. */
static void arm(struct mt_watch *w, uint64_t in)
{
	struct itimerspec t = {.it_value = {(time_t)(in / MT_SEC), (long)(in % MT_SEC)}};

	if (!in)
		t.it_value.tv_nsec = 1;
	timerfd_settime(w->timer, 0, &t, NULL);
}

static int open_all(struct mt_watch *w)
{
	struct epoll_event e = {.events = EPOLLIN};

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->epoll < 0 || w->timer < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &e))
		return -errno;
	/* Without inotify everything is polled. */
	w->tree.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->tree.inotify >= 0 && epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->tree.inotify, &e))
		return -errno;
	return 0;
}

static int aim(struct mt_watch *w, const struct mt_watch_what *what)
{
	int rc = mt_tree_aim(&w->tree, what);

	if (rc == 0)
		rc = mt_tree_walk(&w->tree, what->since);
	if (rc < 0)
		return rc;
	w->missed |= w->tree.now.younger;
	arm(w, 0);
	return 0;
}

struct mt_watch *mt_watch_new(const struct mt_watch_what *what, int *err)
{
	struct mt_watch *w = calloc(1, sizeof(*w));

	*err = -ENOMEM;
	if (!w)
		return NULL;
	w->epoll = w->timer = -1;
	mt_tree_init(&w->tree);
	*err = open_all(w);
	if (*err == 0)
		*err = aim(w, what);
	if (*err == 0)
		return w;
	mt_watch_free(w);
	return NULL;
}

int mt_watch_aim(struct mt_watch *w, const struct mt_watch_what *what)
{
	return mt_tree_is_aimed(&w->tree, what) ? 0 : aim(w, what);
}

/* ---- events ---------------------------------------------------------------------------------- */

/*
 * True for a symbolic link, or with `hard` for a file with several hard links. A new link is
 * complete at once. A new file is complete only when its writer closes it or renames it to this
 * name.
 */
static bool is_link(const char *path, bool hard)
{
	struct stat st;

	return lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || (hard && st.st_nlink > 1));
}

/* True if an event of a name in a directory changes what would be read. */
static bool name_changed(
	struct mt_watch *w, const struct mt_watched *d, const struct inotify_event *e)
{
	bool wanted = d->documents && mt_source_wants(e->name);
	char path[PATH_MAX];

	/* Mounted config volumes replace a hidden link named ..data to change all files at once. */
	if (strcmp(e->name, "..data") == 0)
		return true;
	wanted |= d->node && strcmp(e->name, w->tree.node_name) == 0;
	if (e->mask & IN_ISDIR) {
		w->stale |= d->documents && e->name[0] != '.';
		return false;
	}
	if (e->name[0] == '.' && !wanted)
		return false;
	(void)snprintf(path, sizeof(path), "%s/%s", d->path, e->name);
	/* The name may be, or may have been, a link to a directory. */
	if (!wanted && d->documents)
		w->stale |= is_link(path, false) || mt_tree_looks_at(&w->tree, path);
	return wanted && (!(e->mask & IN_CREATE) || is_link(path, true));
}

/* True if the event can change what would be read; sets `stale` if directories may have changed. */
static bool matters(struct mt_watch *w, const struct inotify_event *e)
{
	const struct mt_watched *d;

	if (e->mask & IN_Q_OVERFLOW) {
		w->stale = true;
		return true;
	}
	d = mt_tree_find(&w->tree, e->wd);
	if (!d)
		return false;
	if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
		w->stale = true;
		return true;
	}
	if (e->len)
		return name_changed(w, d, e);
	/* The directory's permissions changed, or the kernel removed the watch. */
	w->stale = true;
	return false;
}

static bool read_events(struct mt_watch *w)
{
	char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t n;

	while (w->tree.inotify >= 0 && (n = read(w->tree.inotify, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			changed = matters(w, e) || changed;
			p += sizeof(*e) + e->len;
		}
	return changed;
}

/* ---- polling --------------------------------------------------------------------------------- */

/* Begins a part of each range that is due. */
static void begin_parts(struct mt_walk *all, uint64_t now)
{
	for (uint32_t i = 0; i < all->n_ranges; i++) {
		struct mt_look_range *r = &all->ranges[i];
		uint32_t part = MT_MAX(r->n / LOOK_PARTS + 1, LOOK_MIN);

		r->end = now < r->due ? r->at : r->at + MT_MIN(r->n - r->at, part);
		if (r->at == 0 && r->end)
			r->began = now;
	}
}

/* Ends them; returns the time of the next part. */
static uint64_t end_parts(struct mt_walk *all, uint64_t now)
{
	uint64_t next = now + LOOK;

	for (uint32_t i = 0; i < all->n_ranges; i++) {
		struct mt_look_range *r = &all->ranges[i];

		if (now >= r->due)
			r->due = now + LOOK / LOOK_PARTS;
		if (r->at == r->n) {
			r->at = 0;
			r->due = r->began + LOOK;
		}
		next = MT_MIN(next, r->due);
	}
	return next;
}

/*
 * First each range with its share of the work, so that a source with many links delays no other,
 * then with what the others left.
 */
static bool look_at_parts(struct mt_watch_tree *t)
{
	uint32_t n = t->now.n_ranges, share = LOOK_WORK / MT_MAX(n, 1u) + 1, left = 0;
	bool changed = false;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t work = share;

		changed |= mt_tree_look(t, &t->now.ranges[i], &work);
		left += work;
	}
	for (uint32_t i = 0; i < n; i++)
		changed |= mt_tree_look(t, &t->now.ranges[i], &left);
	return changed;
}

static bool look(struct mt_watch *w, uint64_t now)
{
	bool changed;

	if (now < w->look_at)
		return false;
	begin_parts(&w->tree.now, now);
	changed = look_at_parts(&w->tree);
	w->look_at = end_parts(&w->tree.now, now);
	/* A path may lead to another directory now. */
	w->stale |= changed;
	return changed;
}

/* Time of the next walk; it leaves the control thread time for other work. */
static uint64_t walk_at(const struct mt_watch *w)
{
	return w->walked + QUIET + w->tree.now.n_steps * PAUSE;
}

/* Walks again if directories may have changed; at most once in QUIET, even if hundreds appear. */
static bool walk(struct mt_watch *w, uint64_t now)
{
	int rc;

	if (!w->stale || now < walk_at(w))
		return false;
	rc = mt_tree_walk(&w->tree, 0);
	w->stale = rc < 0;
	w->walked = now;
	return rc > 0;
}

/* Time of the next report: after changes have ended, or gone on for long, and after a pause. */
static uint64_t due_at(const struct mt_watch *w)
{
	return MT_MAX(MT_MIN(w->last + QUIET, w->first + LONGEST), w->pause_until);
}

void mt_watch_pause(struct mt_watch *w, uint64_t until)
{
	w->pause_until = until;
}

/*
 * Walks before a report, because the caller then loads the current state, and only later changes
 * are to be reported. A walk that would be too early is made later and may report a change once
 * more. Otherwise an author could keep the control thread at walks of a large tree, by changes of
 * files all the time.
 */
static void walk_for_report(struct mt_watch *w, uint64_t now)
{
	if (now >= walk_at(w)) {
		w->stale = mt_tree_walk(&w->tree, 0) < 0;
		w->walked = now;
	} else if (now != w->walked) {
		w->stale = true;
	}
}

static bool is_due(struct mt_watch *w, bool changed, uint64_t now)
{
	if (changed) {
		w->last = now;
		w->first = w->first ? w->first : MT_MAX(now, 1ull);
	}
	if (!w->first || now < due_at(w))
		return false;
	walk_for_report(w, now);
	w->first = 0;
	return true;
}

bool mt_watch_on_event(struct mt_watch *w, uint64_t now)
{
	uint64_t ticks, next;
	bool changed = w->missed, due;
	ssize_t n = read(w->timer, &ticks, sizeof(ticks));

	(void)n; /* only drained: `now` decides */
	w->missed = false;
	changed = read_events(w) || changed;
	changed = look(w, now) || changed;
	changed = walk(w, now) || changed;
	due = is_due(w, changed, now);
	next = w->look_at;
	if (w->first)
		next = MT_MIN(next, due_at(w));
	if (w->stale)
		next = MT_MIN(next, walk_at(w));
	arm(w, next > now ? next - now : 0);
	return due;
}
