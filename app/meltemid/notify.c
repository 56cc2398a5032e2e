/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifies the service manager (sd_notify(3)) with datagrams of "NAME=value" lines to
 * $NOTIFY_SOCKET. The protocol is stable and needs so few lines that no library is used for it.
 *
 * READY=1 is sent when every worker has run with the first configuration: then its services are
 * served. Whether everything that was served before is served again is a separate check (/ready).
 *
 * WATCHDOG=1 is sent as long as the control loop runs and every worker has finished a loop
 * iteration since the last one. Otherwise the manager kills the daemon and starts it again.
 *
 * EXTEND_TIMEOUT_USEC is sent as long as the daemon drains before its end, which may take longer
 * than the manager's own limit (spec.drain).
 */
#include "daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * A worker that finishes no loop iteration for this long counts as stuck. Sleeps last milliseconds,
 * and a command from the control thread one second at most.
 */
#define STUCK (5 * MT_SEC)
/* Interval of EXTEND_TIMEOUT_USEC, and its value. */
#define EXTEND_NS (5 * MT_SEC)
#define EXTEND	  "EXTEND_TIMEOUT_USEC=20000000"

/* ---- datagrams ---------------------------------------------------------------------------- */

/* Parses the name of a socket: a path, or "@" and an abstract name. Returns 0 if it is neither. */
static socklen_t address_of(const char *name, struct sockaddr_un *a)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(a->sun_path))
		return 0;
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(a->sun_path, name, len);
	if (name[0] == '/')
		return sizeof(*a);
	a->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* Sends a datagram if there is a service manager. False if it was not accepted. */
static bool say(const struct notify *n, const char *fmt, ...) mt_printf(2, 3);

static bool say(const struct notify *n, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	if (!n->to_len)
		return true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&n->to, n->to_len) >= 0;
}

/* Half of the manager's timeout, as sd_watchdog_enabled(3) recommends; 0: no watchdog. */
static uint64_t watchdog_of(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!us || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	return strtoull(us, NULL, 10) * MT_USEC / 2;
}

int notify_start(struct daemon *d, struct mt_err *e)
{
	struct notify *n = &d->notify;
	const char *name = getenv("NOTIFY_SOCKET");

	n->fd = -1;
	for (uint16_t w = 0; w < d->n_workers; w++)
		n->turned_at[w] = mt_clock_now(&d->clock);
	if (name)
		n->to_len = address_of(name, &n->to);
	if (!n->to_len)
		return 0;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		return mt_err(e, -errno, "NOTIFY_SOCKET: %s", strerror(errno));
	n->watchdog = watchdog_of();
	return 0;
}

void notify_stop(struct daemon *d)
{
	if (d->notify.fd > 0)
		close(d->notify.fd);
	d->notify = (struct notify){.fd = -1};
}

/* ---- workers ------------------------------------------------------------------------------ */

static void look(struct daemon *d, uint64_t now)
{
	struct notify *n = &d->notify;

	for (uint16_t w = 0; w < d->n_workers; w++) {
		uint64_t turns =
			mt_count_read(&mt_worker_stats(d->workers[w])->counters[MT_WORKER_loops]);

		if (turns == n->turns[w])
			continue;
		n->turns[w] = turns;
		n->turned_at[w] = now;
	}
}

/* True if all workers have finished a loop iteration after `since`. */
static bool all_turned(const struct daemon *d, uint64_t since)
{
	for (uint16_t w = 0; w < d->n_workers; w++)
		if (!d->notify.turns[w] || d->notify.turned_at[w] <= since)
			return false;
	return true;
}

int notify_stuck(const struct daemon *d, uint64_t now)
{
	for (uint16_t w = 0; w < d->n_workers; w++)
		if (now >= d->notify.turned_at[w] + STUCK)
			return w;
	return -1;
}

/* The status in one line, as `systemctl status` shows it. */
static void words_of(struct daemon *d, char *buf, size_t size)
{
	const struct mt_snapshot *s = mt_conf_current(d->conf);
	int stuck = notify_stuck(d, mt_clock_now(&d->clock));
	struct mt_ctl_ready ready;

	ready_ask(d, &ready);
	if (d->draining)
		snprintf(buf, size, "draining: what is under way is finished");
	else if (stuck >= 0)
		snprintf(buf, size, "worker %d has not turned for seconds", stuck);
	else if (d->drain.from)
		snprintf(buf, size,
			"draining by command, until `meltemi return`: clients leave, and new ones "
			"are served");
	else if (ready.restart)
		snprintf(buf, size, "not ready: %s %s: %s (meltemi show ready)",
			ready.waits[0].kind, ready.waits[0].name, ready.waits[0].why);
	else if (!ready.ready)
		snprintf(buf, size,
			"not ready: waits for %u sources and hosts (meltemi show ready); serving "
			"%u service%s",
			ready.n, s->n_services, s->n_services == 1 ? "" : "s");
	else
		snprintf(buf, size, "serving %u service%s, configuration %llu%s", s->n_services,
			s->n_services == 1 ? "" : "s", (unsigned long long)s->version,
			d->refused
				? "; some documents are refused or last-good (meltemi show objects)"
			: d->waiting ? "; a newer configuration waits (meltemi show config)"
				     : "");
}

/* ---- from the loop ------------------------------------------------------------------------ */

/*
 * Sends the status if it has changed. Control characters become spaces, because a line break would
 * end the value.
 */
static void status(struct daemon *d)
{
	struct notify *n = &d->notify;
	char words[sizeof(n->words)];

	words_of(d, words, sizeof(words));
	for (char *p = words; *p; p++)
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	if (strcmp(words, n->words) == 0 || !say(n, "STATUS=%s", words))
		return;
	memcpy(n->words, words, sizeof(words));
}

static void extend(struct notify *n, uint64_t now)
{
	n->extend_at = now + EXTEND_NS;
	(void)say(n, EXTEND);
}

void notify_turn(struct daemon *d, uint64_t now)
{
	struct notify *n = &d->notify;

	look(d, now);
	if (!n->to_len)
		return;
	if (!n->ready && all_turned(d, 0)) {
		n->ready = say(n, "READY=1");
		n->pinged = now;
	}
	if (n->watchdog && now >= n->pinged + n->watchdog / 2 && all_turned(d, n->pinged) &&
		say(n, "WATCHDOG=1"))
		n->pinged = now;
	if (d->draining && now >= n->extend_at)
		extend(n, now);
	if (now >= n->status_at) {
		n->status_at = now + MT_SEC;
		status(d);
	}
}

void notify_reload(struct daemon *d, bool begins)
{
	struct timespec ts;

	/* The manager compares this with its own time, so it must be the kernel's clock. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (!d->notify.ready)
		return;
	if (begins)
		(void)say(&d->notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
			(unsigned long long)ts.tv_sec * 1000000 +
				(unsigned long long)ts.tv_nsec / 1000);
	else
		(void)say(&d->notify, "READY=1");
	if (!begins)
		status(d);
}

void notify_stopping(struct daemon *d)
{
	(void)say(&d->notify, "STOPPING=1");
	extend(&d->notify, mt_clock_now(&d->clock));
	status(d);
}
