/* SPDX-License-Identifier: Apache-2.0 */
/* Connects lib/ctl to the daemon: what it may read, and which actions it may start. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int reload(void *arg, const struct mt_who *who, char *words, size_t size)
{
	struct daemon *d = arg;
	int rc;

	history_cause(d, "files", who, NULL);
	notify_reload(d, true);
	rc = config_reload(d, mt_clock_now(&d->clock));
	notify_reload(d, false);
	history_cause(d, NULL, NULL, NULL);

	snprintf(words, size, "%s", d->reload_words);
	return publish_later(d, rc);
}

static bool drain(void *arg, bool on)
{
	struct daemon *d = arg;

	return on ? drain_command(d, mt_clock_now(&d->clock)) : drain_return(d);
}

static const char *diagnostics(void *arg)
{
	const struct daemon *d = arg;

	return d->diagnostics;
}

static uint64_t longest_turn(void *arg)
{
	const struct daemon *d = arg;

	return MT_MAX(d->turn_longest[0], d->turn_longest[1]);
}

/* While newer documents wait, those are shown that are in force. */
static struct mt_object_table *objects(void *arg)
{
	const struct daemon *d = arg;

	return d->in_force ? d->in_force : d->table;
}

static int forget(void *arg, const struct mt_who *who, const char *kind, const char *ns,
	const char *name, char *words, size_t size)
{
	struct daemon *d = arg;
	int rc;

	if (!mt_kept_forget(d->kept, kind, ns, name)) {
		snprintf(words, size,
			"no last good version of %s %s/%s is kept; `show last-good` lists those in "
			"use",
			kind, ns, name);
		return -ENOENT;
	}
	mt_log(MT_LOG_INFO, "config", "%s %s/%s: last good version dropped by %s", kind, ns, name,
		who ? who->name : "meltemid");
	rc = config_reload(d, mt_clock_now(&d->clock));
	snprintf(words, size, "%s", d->reload_words);
	return publish_later(d, rc);
}

static const char *restart(void *arg)
{
	const struct daemon *d = arg;

	return d->restart_fields;
}

static const char *waiting(void *arg)
{
	const struct daemon *d = arg;

	return d->waiting ? d->waiting_words : NULL;
}

static uint64_t rolled_back(void *arg)
{
	const struct daemon *d = arg;

	return d->rolled_back;
}

static const char *identity(void *arg, uint32_t i)
{
	return mesh_identity(arg, i);
}

static bool identity_left(void *arg, uint32_t i, int64_t *left)
{
	return mesh_identity_left(arg, i, left);
}

/*
 * The roles as lib/ctl reads them, with copies of their texts, because their Node is freed by the
 * next load. NULL: no memory.
 */
static struct mt_ctl_tls_role *roles_of(const struct mt_node_tls *t)
{
	struct mt_ctl_tls_role *roles;
	size_t bytes = 0, at = 0;
	char *texts;

	for (uint32_t i = 0; i < t->n_roles; i++)
		bytes += strlen(t->roles[i].identity.s) + 1;
	roles = malloc(t->n_roles * sizeof(*roles) + bytes + 1);
	if (!roles)
		return NULL;
	texts = (char *)(roles + t->n_roles);
	for (uint32_t i = 0; i < t->n_roles; i++) {
		const struct mt_node_tls_role *r = &t->roles[i];

		roles[i] = (struct mt_ctl_tls_role){strcpy(texts + at, r->identity.s),
			r->role.v == MT_NODE_ROLE_OPERATE ? MT_ROLE_OPERATE : MT_ROLE_VIEW};
		at += strlen(r->identity.s) + 1;
	}
	return roles;
}

static bool same_roles(
	const struct mt_ctl_tls_role *a, uint32_t n, const struct mt_ctl_tls_role *b, uint32_t m)
{
	for (uint32_t i = 0; n == m && i < n; i++)
		if (a[i].role != b[i].role || strcmp(a[i].identity, b[i].identity) != 0)
			return false;
	return n == m;
}

void admin_roles(struct daemon *d, const struct mt_node *n)
{
	static const struct mt_node_tls none;
	const struct mt_node_tls *t = n->admin.tls ? n->admin.tls : &none;
	struct mt_ctl_tls_role *roles;

	if (!d->roles)
		return;
	roles = roles_of(t);
	if (!roles || same_roles(d->roles, d->n_roles, roles, t->n_roles)) {
		free(roles);
		return;
	}
	mt_ctl_tls_roles(d->ctl, roles, t->n_roles);
	free(d->roles);
	d->roles = roles;
	d->n_roles = t->n_roles;
	mt_log(MT_LOG_INFO, "admin", "%s",
		d->n_roles ? "spec.admin.tls.roles are other ones now"
			   : "spec.admin.tls has no roles: its port and its shells are closed");
}

static struct mt_ctl_tls tls_of(const struct daemon *d, const struct mt_node_tls *t)
{
	return (struct mt_ctl_tls){.addr = t->addr,
		.port = t->port,
		.certificate = t->certificate.s,
		.key = t->key.s,
		.client_roots = t->client_roots.s,
		.client_revocations = t->client_revocations.s,
		.roles = d->roles,
		.n_roles = d->n_roles};
}

/* Reports in `show config` and health that the documents of the start were not all used. */
static void tell_start(struct daemon *d)
{
	char words[512];

	if (d->table->unread)
		snprintf(words, sizeof(words),
			"at the start %.200s could not be read: no object is removed until it can "
			"be read (`show last-good`)",
			d->table->unread);
	else
		snprintf(words, sizeof(words),
			"at the start some documents could not be used: `show objects`");
	mt_ctl_reloaded(d->ctl, false, words, mt_clock_now(&d->clock));
}

int admin_start(struct daemon *d, struct mt_err *e)
{
	const struct mt_node_admin *a = &d->node->admin;
	struct mt_ctl_env env = {
		.node = d->node->meta.name,
		.log = d->log,
		.node_file = d->args.node,
		.dirs = d->dirs,
		.n_dirs = d->n_dirs,
		.memory = d->eal.memory,
		.socket = a->socket.s,
		.view_socket = a->view_socket.s,
		.view_group = a->view_group.s,
		.http_addr = a->http_addr,
		.http_port = a->http_port,
		.envoy = (enum mt_ctl_envoy)a->envoy.v,
		.http_names = a->http_names,
		.n_http_names = a->n_http_names,
		.workload_series = a->workload_series.v,
		.otlp = d->node->otlp,
		.conf = d->conf,
		.net = d->net,
		.clock = &d->clock,
		.ports = d->ports,
		.n_ports = d->n_ports,
		.guests = d->guests.list,
		.guest_hub = d->guests.hub,
		.workers = d->workers,
		.n_workers = d->n_workers,
		.cores = d->eal.cores,
		.names = d->looked_up,
		.dns = d->dns,
		.asks = d->asks,
		.limits = d->limits,
		.dns_addrs = d->dns_addrs,
		.n_dns_addrs = d->n_dns_addrs,
		.dns_allow = &d->dns_allow,
		.reload = reload,
		.tune = override,
		.rollback = history_rollback,
		.rolled_back = rolled_back,
		.history = d->history,
		.drain = drain,
		.diagnostics = diagnostics,
		.longest_turn = longest_turn,
		.objects = objects,
		.analyse = analyse_ask,
		.forget = forget,
		.waiting = waiting,
		.restart = restart,
		.ready = ready_ask,
		.state_trouble = state_trouble,
		.accept = ready_accept,
		.sources = d->sources,
		.n_sources = d->n_mesh,
		.identity = identity,
		.identity_left = identity_left,
		.who = identity_ask,
		.handshakes = d->tls,
		.arg = d,
	};
	struct epoll_event ev = {.events = EPOLLIN};

	self_read(d, &env.self);
	if (a->tls) {
		d->roles = roles_of(a->tls);
		d->n_roles = a->tls->n_roles;
		if (!d->roles)
			return mt_err(e, -ENOMEM, "no memory");
		env.tls = tls_of(d, a->tls);
	}
	d->ctl = mt_ctl_create(&env, mt_clock_now(&d->clock), e);
	if (!d->ctl)
		return -EINVAL;
	if (d->refused)
		tell_start(d);
	ev.data.fd = mt_ctl_fd(d->ctl);
	if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) != 0)
		return mt_err(e, -errno, "event loop: %s", strerror(errno));
	return 0;
}

void admin_stop(struct daemon *d)
{
	mt_ctl_destroy(d->ctl);
	d->ctl = NULL;
	free(d->roles);
	d->roles = NULL;
}
