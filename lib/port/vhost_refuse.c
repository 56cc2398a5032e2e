/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which messages of a hypervisor are refused. The library trusts hypervisors in these points:
 * - It handles messages for features that were not offered, and allocates or maps any size for
 *   them.
 * - It checks the addresses of a queue against its size at that time, but then accepts another
 *   size, or a queue that has none, and workers would access memory of others.
 * - It frees the memory of a queue that stops, and uses it again unless the size comes again.
 * - It unmaps the guest's memory before it maps the next one; if that fails, a worker that waits
 *   for the lock of a queue uses what was unmapped.
 * - It reads memory of files on any file system, and writes to any descriptor of notifications.
 *   Both can let it wait without end.
 */
#include "vhost_message.h"
#include "vhost_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_net.h>
#include <rte_cycles.h>

/* Descriptors that came with a message, as in struct vhu_msg_context. */
struct descriptors {
	int32_t fds[MT_VHOST_FDS];
	int32_t n;
};

bool mt_vhost_exceeds(struct mt_vhost_window *w, uint32_t most)
{
	uint64_t now = rte_rdtsc();

	if (w->n == 0 || now - w->since >= rte_get_tsc_hz()) {
		w->since = now;
		w->n = 0;
	}
	return ++w->n > most;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static struct descriptors descriptors_of(const struct mt_vhost_message *m)
{
	struct descriptors d = {.n = 0};

	if (MT_VHOST_FDS_AT)
		memcpy(&d, (const uint8_t *)m + MT_VHOST_FDS_AT, sizeof(d));
	d.n = MT_MIN(d.n, (int32_t)MT_VHOST_FDS);
	return d;
}

void mt_vhost_close_descriptors(struct mt_vhost_message *m)
{
	struct descriptors d = descriptors_of(m);

	for (int32_t i = 0; i < d.n; i++) {
		if (d.fds[i] >= 0)
			close(d.fds[i]);
		d.fds[i] = -1;
	}
	d.n = 0;
	if (MT_VHOST_FDS_AT)
		memcpy((uint8_t *)m + MT_VHOST_FDS_AT, &d, sizeof(d));
}

bool mt_vhost_may_notify(int fd)
{
	char path[32], name[32];
	ssize_t len;
	int flags = fcntl(fd, F_GETFL);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, name, sizeof(name));
	return len == 20 && memcmp(name, "anon_inode:[eventfd]", 20) == 0 && flags >= 0 &&
	       fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/*
 * True for files of tmpfs and hugetlbfs, which alone have seals. A file system of another kind
 * could have a server that does not answer.
 */
static bool is_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

/* Maps a region as the library would. */
static void *map(int fd, const struct mt_vhost_region *r, uint64_t *len)
{
	struct stat s;

	if (!is_memory(fd) || fstat(fd, &s) != 0 || r->size == 0 || r->offset >= -r->size)
		return MAP_FAILED;
	*len = r->size + r->offset;
	*len += (uint64_t)s.st_blksize - 1;
	*len -= *len % (uint64_t)s.st_blksize;
	return mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* True if the library can map all regions. */
static bool can_map(const struct mt_vhost_message *m, const struct descriptors *d)
{
	void *at[MT_VHOST_FDS];
	uint64_t len[MT_VHOST_FDS];
	uint32_t n = m->memory.n, i;

	if (n > MT_VHOST_FDS || (int32_t)n != d->n)
		return false;
	for (i = 0; i < n; i++) {
		struct mt_vhost_region r = m->memory.regions[i];

		at[i] = map(d->fds[i], &r, &len[i]);
		if (at[i] == MAP_FAILED)
			break;
	}
	for (uint32_t j = 0; j < i; j++)
		munmap(at[j], len[j]);
	return i == n;
}

/* False if the descriptors of a message could harm others. */
static bool may_use(const struct mt_vhost_message *m, _Atomic uint32_t **why, struct mt_vhost *v)
{
	struct descriptors d = descriptors_of(m);

	if (!MT_VHOST_FDS_AT)
		return true;
	*why = &v->n_memory;
	if (m->kind == SET_MEM_TABLE)
		return can_map(m, &d);
	if (m->kind == SET_LOG_BASE)
		return d.n != 1 || is_memory(d.fds[0]);
	*why = &v->n_messages;
	return m->kind != SET_VRING_CALL || d.n != 1 || mt_vhost_may_notify(d.fds[0]);
}

/* ---- queues ---------------------------------------------------------------------------------- */

int mt_vhost_queue_of(const struct mt_vhost_message *m)
{
	switch (m->kind) {
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
		return (int)(m->number & 0xff);
	case SET_VRING_NUM:
	case SET_VRING_ADDR:
	case SET_VRING_BASE:
	case GET_VRING_BASE:
	case SET_VRING_ENABLE:
		return (int)MT_MIN(m->queue, UINT16_MAX);
	default:
		return -1;
	}
}

/*
 * False if the features change what the addresses of queues were checked for. The log of written
 * pages may start at any time.
 */
static bool may_negotiate(struct mt_vhost *v, int vid, uint64_t features)
{
	uint64_t now = 0;

	if (v->addressed && (rte_vhost_get_negotiated_features(vid, &now) ||
				    ((now ^ features) & ~(1ull << MT_VHOST_F_LOG_ALL))))
		return false;
	/* Without this feature the library removes further queues. */
	if (!(features >> VIRTIO_NET_F_MQ & 1))
		v->sized &= 3;
	return true;
}

/* False if the message comes too early or late for its queue: size, addresses, start, stop. */
static bool in_order(struct mt_vhost *v, int vid, const struct mt_vhost_message *m)
{
	int queue = mt_vhost_queue_of(m);
	uint32_t bit = queue >= 0 ? 1u << queue : 0;

	switch (m->kind) {
	case SET_FEATURES:
		return may_negotiate(v, vid, m->number);
	case SET_VRING_NUM:
		v->sized |= bit;
		return !(v->addressed & bit) && m->value > 0 && m->value <= MT_VHOST_RING;
	case SET_VRING_ADDR:
		v->addressed |= bit;
		return v->sized & bit;
	case SET_VRING_KICK:
		return v->addressed & bit;
	case GET_VRING_BASE:
		v->sized &= ~bit;
		v->addressed &= ~bit;
		return true;
	default:
		return true;
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool is_known(uint32_t kind)
{
	return (kind >= 1 && kind <= NET_SET_MTU) || kind == SET_STATUS || kind == GET_STATUS;
}

_Atomic uint32_t *mt_vhost_refusal(struct mt_vhost *v, int vid, const struct mt_vhost_message *m)
{
	bool maps = m->kind == SET_MEM_TABLE || m->kind == SET_LOG_BASE;
	_Atomic uint32_t *why;

	if (!is_known(m->kind) || mt_vhost_exceeds(&v->messages, MT_VHOST_MESSAGES))
		return &v->n_messages;
	if (mt_vhost_queue_of(m) >= 2 * v->pairs || !in_order(v, vid, m))
		return &v->n_queues;
	/* The library would not unmap the bytes before the offset. */
	if (m->kind == SET_LOG_BASE && m->log.offset != 0)
		return &v->n_messages;
	if (maps && mt_vhost_exceeds(&v->remaps, MT_VHOST_REMAPS))
		return &v->n_remaps;
	return may_use(m, &why, v) ? NULL : why;
}
