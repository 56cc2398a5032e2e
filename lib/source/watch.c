/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define QUIET	(80 * MT_MSEC)
#define LONGEST (1 * MT_SEC)
#define LOOK	(1 * MT_SEC) /* how often a missing directory is looked for */

#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |   \
		IN_MOVE_SELF | IN_ONLYDIR)

struct watched {
	char *path;
	int wd; /* -1: not there */
};

struct mt_watch {
	int epoll, inotify, timer;
	uint64_t first, last; /* of the changes not yet told; first 0: none */
	uint32_t n;
	struct watched dirs[];
};

int mt_watch_fd(const struct mt_watch *w)
{
	return w->epoll;
}

void mt_watch_free(struct mt_watch *w)
{
	const int fds[] = {w->epoll, w->inotify, w->timer};

	for (size_t i = 0; i < MT_ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (uint32_t i = 0; i < w->n; i++)
		free(w->dirs[i].path);
	free(w);
}

/* true: a directory that was missing is there now. */
static bool look_for_missing(struct mt_watch *w, bool *missing)
{
	bool found = false;

	*missing = false;
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->dirs[i].wd >= 0)
			continue;
		w->dirs[i].wd = inotify_add_watch(w->inotify, w->dirs[i].path, EVENTS);
		if (w->dirs[i].wd >= 0)
			found = true;
		else
			*missing = true;
	}
	return found;
}

/* The timer only wakes the loop; `now` decides. */
static void arm(struct mt_watch *w, uint64_t in)
{
	struct itimerspec t = {.it_value = {(time_t)(in / MT_SEC), (long)(in % MT_SEC)}};

	timerfd_settime(w->timer, 0, &t, NULL);
}

static int open_all(struct mt_watch *w)
{
	struct epoll_event e = {.events = EPOLLIN};
	bool missing;

	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->epoll < 0 || w->inotify < 0 || w->timer < 0)
		return -errno;
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->inotify, &e) ||
		epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &e))
		return -errno;
	look_for_missing(w, &missing);
	if (missing)
		arm(w, LOOK);
	return 0;
}

struct mt_watch *mt_watch_new(const char *const *directories, uint32_t n, int *err)
{
	struct mt_watch *w = calloc(1, sizeof(*w) + n * sizeof(w->dirs[0]));

	*err = -ENOMEM;
	if (!w)
		return NULL;
	w->epoll = w->inotify = w->timer = -1;
	for (uint32_t i = 0; i < n; i++) {
		w->dirs[i].path = strdup(directories[i]);
		w->dirs[i].wd = -1;
		w->n++;
		if (!w->dirs[i].path)
			goto out;
	}
	*err = open_all(w);
	if (*err == 0)
		return w;
out:
	mt_watch_free(w);
	return NULL;
}

/* A directory that was moved away is forgotten, so that its successor at the same path is found. */
static void lost(struct mt_watch *w, int wd)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->dirs[i].wd == wd) {
			inotify_rm_watch(w->inotify, wd);
			w->dirs[i].wd = -1;
		}
}

/*
 * A new link is whole at once. A new file is not: reading begins when its writer has closed it, or has
 * renamed it to here.
 */
static bool is_link(const struct mt_watch *w, const struct inotify_event *e)
{
	char path[PATH_MAX];
	struct stat st;

	for (uint32_t i = 0; i < w->n; i++) {
		if (w->dirs[i].wd != e->wd)
			continue;
		snprintf(path, sizeof(path), "%s/%s", w->dirs[i].path, e->name);
		return lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || st.st_nlink > 1);
	}
	return false;
}

/* Whether the event can change what would be read. */
static bool matters(struct mt_watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) {
		lost(w, e->wd);
		return true;
	}
	if (!e->len || (e->mask & IN_CREATE && !is_link(w, e)))
		return false;
	/* Mounted config volumes swap a hidden link named ..data to change all files at once. */
	return mt_source_wants(e->name) || strcmp(e->name, "..data") == 0;
}

static bool read_events(struct mt_watch *w)
{
	char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t n;

	while ((n = read(w->inotify, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			changed = matters(w, e) || changed;
			p += sizeof(*e) + e->len;
		}
	return changed;
}

bool mt_watch_on_event(struct mt_watch *w, uint64_t now)
{
	uint64_t ticks, due;
	bool changed, missing;
	ssize_t n = read(w->timer, &ticks, sizeof(ticks));

	(void)n; /* only drained: `now` decides */
	changed = read_events(w);
	changed = look_for_missing(w, &missing) || changed;
	if (changed) {
		w->last = now;
		w->first = w->first ? w->first : MT_MAX(now, 1ull);
	}
	if (!w->first) {
		if (missing)
			arm(w, LOOK);
		return false;
	}
	due = MT_MIN(w->last + QUIET, w->first + LONGEST);
	if (now < due) {
		arm(w, due - now);
		return false;
	}
	w->first = 0;
	if (missing)
		arm(w, LOOK);
	return true;
}
