/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that the vhost library calls: when a connection begins and ends, before and after each
 * message of a hypervisor, and when a guest's driver starts and stops. One thread of the library
 * serves all hypervisors. An incomplete message, or replies that a hypervisor does not read, block
 * it for WAIT_MS at most.
 *
 * A message that vhost_refuse.c refuses ends the connection, and so does one that the library
 * refuses, because only then the state is known: without an acknowledgement there is no call after
 * the message.
 */
#include "vhost_message.h"
#include "vhost_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_rcu_qsbr.h>

#define WAIT_MS 10

/* [vid] written before any message of the connection */
static _Atomic(struct mt_vhost *) by_vid[RTE_MAX_VHOST_DEVICE];

static struct mt_vhost *of(int vid)
{
	return vid >= 0 && vid < (int)MT_ARRAY_LEN(by_vid) ? atomic_load(&by_vid[vid]) : NULL;
}

/* ---- messages -------------------------------------------------------------------------------- */

static enum rte_vhost_msg_result before_message(int vid, void *msg)
{
	struct mt_vhost *v = of(vid);
	struct mt_vhost_message *m = msg;
	_Atomic uint32_t *why;

	if (!v)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	mt_vhost_inside = v; /* the library may access memory until the next message */
	atomic_store(&v->busy, true);
	/* With the flag, a message that fails would neither end the connection nor be reported. */
	v->wants_reply = m->flags & MT_VHOST_NEED_REPLY;
	m->flags &= ~MT_VHOST_NEED_REPLY;
	why = mt_vhost_refusal(v, vid, m);
	if (why)
		atomic_fetch_add(why, 1);
	if (why || atomic_load(&v->broken)) {
		mt_vhost_close_descriptors(m);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	/* It has no use any more, and the library would lose the memory of the queues. */
	if (m->kind == RESET_OWNER) {
		mt_vhost_close_descriptors(m);
		return RTE_VHOST_MSG_RESULT_OK;
	}
	/* The library would offer more queues than the port has. */
	if (m->kind == GET_QUEUE_NUM && MT_VHOST_FDS_AT) {
		mt_vhost_close_descriptors(m);
		m->size = sizeof(m->number);
		m->number = v->pairs;
		return RTE_VHOST_MSG_RESULT_REPLY;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/*
 * False if the library has a descriptor of notifications that could block a worker. Before the
 * message it can be seen only in versions that MT_VHOST_FDS_AT knows.
 */
static bool is_harmless(int vid, const struct mt_vhost_message *m)
{
	struct rte_vhost_vring ring;

	if (MT_VHOST_FDS_AT || m->kind != SET_VRING_CALL)
		return true;
	if (rte_vhost_get_vhost_vring(vid, (uint16_t)mt_vhost_queue_of(m), &ring))
		return false;
	return ring.callfd < 0 || mt_vhost_may_notify(ring.callfd);
}

static enum rte_vhost_msg_result after_message(int vid, void *msg)
{
	struct mt_vhost *v = of(vid);
	struct mt_vhost_message *m = msg;

	if (!v)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (!is_harmless(vid, m)) {
		atomic_fetch_add(&v->n_messages, 1);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	if (v->wants_reply && !(m->flags & MT_VHOST_REPLY))
		m->flags |= MT_VHOST_NEED_REPLY;
	atomic_store(&v->busy, false);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops message_ops = {
	.pre_msg_handle = before_message, .post_msg_handle = after_message};

/* ---- connections ----------------------------------------------------------------------------- */

/* True for a socket that blocks and has connected to one with a name. */
static bool is_connection(int fd)
{
	struct sockaddr_un self, peer;
	socklen_t self_len = sizeof(self), peer_len = sizeof(peer), len = sizeof(int);
	int flags = fcntl(fd, F_GETFL), type = 0;

	if (flags < 0 || (flags & O_NONBLOCK) ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM ||
		getsockname(fd, (struct sockaddr *)&self, &self_len) != 0 ||
		self.sun_family != AF_UNIX || self_len > offsetof(struct sockaddr_un, sun_path))
		return false;
	return getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
	       peer_len > offsetof(struct sockaddr_un, sun_path);
}

/*
 * Limits how long a hypervisor can block the event thread. The library does not show the socket of
 * a connection, and a hypervisor chooses the socket's name, so this finds all of the process that
 * are like it. Those of earlier connections have the limit already.
 */
static void limit_waits(void)
{
	const struct timeval wait = {.tv_usec = WAIT_MS * 1000};
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		int fd = (int)strtol(e->d_name, NULL, 10);

		if (e->d_name[0] == '.' || !is_connection(fd))
			continue;
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	}
	if (dir)
		closedir(dir);
}

static int new_connection(int vid)
{
	char path[MT_VHOST_PATH_MAX + 1];
	struct mt_vhost *v;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) || vid >= (int)MT_ARRAY_LEN(by_vid))
		return -1;
	v = mt_vhost_find(path);
	if (!v || rte_vhost_extern_callback_register(vid, &message_ops, NULL))
		return -1;
	limit_waits();
	v->messages.n = v->remaps.n = 0;
	v->sized = v->addressed = 0;
	atomic_store(&v->busy, false);
	atomic_store(&v->broken, false);
	for (uint16_t q = 0; q < MT_ARRAY_LEN(v->queues); q++)
		atomic_store(&v->queues[q], MT_VHOST_OFF);
	atomic_store(&v->connected, true);
	atomic_store(&by_vid[vid], v);
	return 0;
}

/*
 * The library shows a connection to the event thread before it puts it into the list that the event
 * thread then takes it from, so a connection that ends at once waits here until it is there.
 */
static void destroy_connection(int vid)
{
	struct mt_vhost *v = of(vid);

	if (!v)
		return;
	while (!mt_vhost_starts && atomic_load(&v->starts))
		usleep(100);
	atomic_store(&v->connected, false);
}

/* ---- the guest's driver ---------------------------------------------------------------------- */

/* Counts the pairs of queues that Meltemi may send to: the first ones without a gap. */
static void set_active(struct mt_vhost *v)
{
	uint16_t live = atomic_load(&v->live), n = 0;

	while (n < live && atomic_load(&v->queues[2 * n]) != MT_VHOST_OFF)
		n++;
	atomic_store(&v->active, n);
}

static int new_device(int vid)
{
	struct mt_vhost *v = of(vid);
	uint64_t features = 0;

	if (!v || rte_vhost_get_negotiated_features(vid, &features))
		return -1;
	/*
	 * Without this feature the library removes further queues whenever it gets the features,
	 * also while they are used.
	 */
	atomic_store(&v->live, features >> VIRTIO_NET_F_MQ & 1 ? v->pairs : 1);
	set_active(v);
	atomic_fetch_add(&v->n_ups, 1);
	atomic_store(&v->vid, vid);
	return 0;
}

/* The library unmaps memory after this function: wait until no worker uses it. */
static void destroy_device(int vid)
{
	struct mt_vhost *v = of(vid);

	if (!v || atomic_exchange(&v->vid, -1) < 0)
		return;
	if (v->qsbr)
		rte_rcu_qsbr_check(v->qsbr, rte_rcu_qsbr_start(v->qsbr), true);
	atomic_fetch_add(&v->n_downs, 1);
}

static int vring_state_changed(int vid, uint16_t queue, int enable)
{
	struct mt_vhost *v = of(vid);

	if (!v || queue >= 2 * v->pairs)
		return 0;
	atomic_store(&v->queues[queue], enable ? MT_VHOST_NEW : MT_VHOST_OFF);
	set_active(v);
	return 0;
}

const struct rte_vhost_device_ops mt_vhost_device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
};
