/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life cycle of the xDS client: creation, start, timers, and sharing of active resources with
 * models.
 */
#include "mt_xds_priv.h"

#include "mt_service.h"

#include "mt_secrets.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

/*
 * Batching of changes. The first change after QUIET is usually a single one, whose parts arrive in
 * one TCP segment, so it waits only for GATHER_ONE. Others wait for GATHER after the last change,
 * at most GATHER_MOST after the first.
 */
#define QUIET	    (200 * MT_MSEC)
#define GATHER_ONE  (2 * MT_MSEC)
#define GATHER	    (20 * MT_MSEC)
#define GATHER_MOST (200 * MT_MSEC)
/* Memory is trimmed after so many new bodies, once there was no change for TIDY_QUIET. */
#define TIDY_AFTER 1000u
#define TIDY_QUIET (3 * MT_SEC)

/* ---- timer that wakes the event loop when batched changes are due ---------------------------- */

static void on_timer(struct mt_fd_watch *w, uint32_t events)
{
	uint64_t n;

	/* mt_xds_turn(), which follows, checks the time. */
	while (read(w->fd, &n, sizeof(n)) > 0)
		;
}

static int open_timer(struct mt_xds *x)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	x->timer = (struct mt_fd_watch){.fd = fd, .events = EPOLLIN, .ready = on_timer};
	return mt_fds_add(x->env.fds, &x->timer);
}

static void close_timer(struct mt_xds *x)
{
	int fd = x->timer.fd;

	if (fd < 0)
		return;
	mt_fds_remove(x->env.fds, &x->timer);
	close(fd);
}

/* Returns when the batched changes become active. */
static uint64_t due_at(const struct mt_xds *x)
{
	bool quiet = x->first_change >= x->settled_at + QUIET;

	return MT_MIN(
		x->last_change + (quiet ? GATHER_ONE : GATHER), x->first_change + GATHER_MOST);
}

static void arm_timer(struct mt_xds *x)
{
	uint64_t due = due_at(x);
	struct itimerspec in = {{0, 0}, {0, 0}};

	if (x->timer.fd < 0 || !x->dirty)
		return;
	in.it_value.tv_nsec = (long)(due > x->now ? due - x->now : 0) + MT_USEC;
	(void)timerfd_settime(x->timer.fd, 0, &in, NULL);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct mt_xds *mt_xds_new(const struct mt_xds_conf *conf, uint64_t now)
{
	struct mt_xds *x = calloc(1, sizeof(*x));

	if (!x) {
		mt_xds_bootstrap_free(conf->bootstrap);
		return NULL;
	}
	snprintf(x->name, sizeof(x->name), "%s", conf->name);
	snprintf(x->origin, sizeof(x->origin), "xds:%s", x->name);
	if (conf->state_dir && snprintf(x->path, sizeof(x->path), "%s/xds-%s.bin", conf->state_dir,
				       x->name) >= (int)sizeof(x->path))
		x->path[0] = '\0';
	x->b = conf->bootstrap;
	x->demand.conf = conf->demand;
	x->now = now;
	/* Documents number their reads from 1, so serials from 2^62 on never collide with them. */
	x->serial = UINT64_C(1) << 62 | (mt_strhash(x->name, 0) & 0xffff) << 44;
	x->serial_base = x->serial;
	x->timer.fd = x->keep_fd = -1;
	x->settle_at = MT_NEVER;
	mt_list_init(&x->conns);
	mt_list_init(&x->links);
	mt_list_init(&x->dns);
	mt_list_init(&x->demand.all);
	for (int i = 0; i < MT_XDS_TYPES; i++)
		mt_list_init(&x->types[i].all);
	xds_keep_load(x);
	xds_demand_restore(x);
	xds_settle(x);
	x->dirty = x->changed = false;
	return x;
}

void mt_xds_free(struct mt_xds *x)
{
	if (!x)
		return;
	if (x->env.fds) {
		mt_service_drain(x->env.service);
		xds_keep_flush(x);
		mt_service_drain(x->env.service);
	}
	xds_links_stop(x);
	close_timer(x);
	xds_free_all(x);
	xds_keep_close(x);
	mt_model_free(x->demand.named);
	mt_xds_bootstrap_free(x->b);
	free(x->ignored);
	free(x);
}

int mt_xds_start(struct mt_xds *x, const struct mt_xds_env *env, uint64_t now)
{
	int rc;

	x->env = *env;
	x->now = now;
	xds_demand_start(x);
	rc = open_timer(x);
	return rc ? rc : xds_links_start(x);
}

void mt_xds_rebootstrap(struct mt_xds *x, struct mt_xds_bootstrap *b, uint64_t now)
{
	x->now = now;
	xds_links_stop(x);
	x->kept_from_these = false;
	/* As after a restart, resources that the new servers do not confirm are removed. */
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *n;

		mt_list_foreach (n, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			xds_set_restored(
				x, r, xds_newest(r) && mt_xds_is_whole((enum mt_xds_type)i));
		}
	}
	mt_xds_bootstrap_free(x->b);
	x->b = b;
	if (x->env.fds)
		(void)xds_links_start(x);
}

const struct mt_xds_bootstrap *mt_xds_bootstrap_of(const struct mt_xds *x)
{
	return x->b;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* Reconnects to the servers whose certificate or roots were renewed. */
static void watch_secrets(struct mt_xds *x)
{
	uint64_t serial = x->env.secrets ? mt_secrets_turn(x->env.secrets, x->now) : 0;
	struct mt_list *n;

	if (serial == x->secrets_serial)
		return;
	x->secrets_serial = serial;
	mt_list_foreach (n, &x->conns) {
		struct xds_conn *c = mt_list_entry(n, struct xds_conn, node);
		const struct mt_secret *old[2] = {c->held[0], c->held[1]};

		if (!c->grpc || !c->server->tls || xds_identity_load(c))
			continue;
		if (memcmp(old, c->held, sizeof(old)) != 0)
			mt_grpc_reconnect(c->grpc, "the certificate was renewed");
	}
}

/*
 * Logs certificate files that cannot be used, once a second. They do not replace the secret in use.
 */
static void look_at_identities(struct mt_xds *x)
{
	struct mt_list *n;

	if (!x->env.secrets || x->now < x->look_at)
		return;
	x->look_at = x->now + MT_SEC;
	mt_list_foreach (n, &x->conns) {
		struct xds_conn *c = mt_list_entry(n, struct xds_conn, node);

		if (c->grpc && c->server->tls)
			xds_identity_look(c);
	}
}

/*
 * Returns free heap pages to the system. Decoded responses were allocated between the bodies that
 * stay, so after thousands of new bodies much of the heap is free. Waits until nothing changes and
 * the state file is written.
 */
static void tidy(struct mt_xds *x)
{
	bool kept = !x->path[0] || !(x->keep_dirty || x->keep_writing) || x->keep_failed;

	if (x->fresh < TIDY_AFTER || x->dirty || !kept || x->now < x->last_change + TIDY_QUIET)
		return;
	x->fresh = 0;
	(void)malloc_trim(0);
}

bool mt_xds_turn(struct mt_xds *x, uint64_t now)
{
	x->now = now;
	if (x->env.fds) {
		watch_secrets(x);
		look_at_identities(x);
		xds_demand_turn(x);
		xds_links_turn(x);
		xds_dns_turn(x);
		xds_keep_turn(x);
	}
	tidy(x);
	if (!x->dirty && now >= x->settle_at)
		x->dirty = true, x->first_change = x->last_change = now - GATHER;
	if (x->dirty && now >= due_at(x)) {
		x->dirty = false;
		x->settled_at = now;
		xds_settle(x);
	}
	arm_timer(x);
	if (x->dirty)
		return false;
	if (!x->changed) {
		/* Nothing active has changed, so no load follows: answer the responses now. */
		if (!x->loading)
			xds_judge_rest(x);
		return false;
	}
	x->changed = false;
	x->loading = true;
	x->pushes++;
	return true;
}

/* ---- into a model ---------------------------------------------------------------------------- */

/* Number of resources that are prefetched together. */
#define SHARE_BATCH 16

/* Collects up to SHARE_BATCH active resources after *n, which becomes the last one visited. */
static uint32_t next_live(const struct mt_list *all, const struct mt_list **n, struct xds_res **v)
{
	uint32_t count = 0;

	while (count < SHARE_BATCH && (*n)->next != all) {
		struct xds_res *r;

		*n = (*n)->next;
		r = mt_list_entry((struct mt_list *)(uintptr_t)*n, struct xds_res, node);
		if (!r->live)
			continue;
		__builtin_prefetch(&r->live->mapped);
		v[count++] = r;
	}
	return count;
}

static int share_type(struct mt_xds *x, enum mt_xds_type type, struct mt_model *m)
{
	const struct mt_list *all = &x->types[type].all, *n = all;
	struct xds_res *v[SHARE_BATCH];
	uint32_t count;
	int rc = 0;

	while (rc == 0 && (count = next_live(all, &n, v)) > 0) {
		struct mt_model *parts[2 * SHARE_BATCH];
		uint32_t n_parts = 0;
		bool answered;

		for (uint32_t i = 0; i < count; i++) {
			struct mt_model *names = v[i]->dns ? xds_dns_part(v[i], &answered) : NULL;

			parts[n_parts++] = v[i]->live->mapped.part;
			if (names)
				parts[n_parts++] = names;
		}
		rc = mt_model_share_all(m, parts, n_parts);
	}
	return rc;
}

int mt_xds_share(struct mt_xds *x, struct mt_model *m)
{
	int rc = 0;

	for (int i = 0; i < MT_XDS_TYPES && rc == 0; i++)
		rc = share_type(x, (enum mt_xds_type)i, m);
	return rc ? rc : xds_demand_share(x, m);
}
