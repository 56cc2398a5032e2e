/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors on which an idle worker can sleep. They belong to the driver: this code only waits
 * for them and never reads, writes or closes them. af_packet has no receive interrupts, but its
 * sockets become readable when its ring has a frame. The driver does not expose them, so they are
 * found as the sockets opened during its probe, one for each queue and in queue order.
 */
#include "mt_port_priv.h"

#include <dirent.h>
#include <sys/socket.h>

#include <rte_ethdev.h>

void mt_fds_note(struct mt_fds *f)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	f->n = 0;
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9' && f->n < MT_ARRAY_LEN(f->fd))
			f->fd[f->n++] = (int)strtol(e->d_name, NULL, 10);
	if (dir)
		closedir(dir);
}

static bool is_in(const struct mt_fds *f, int fd)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->fd[i] == fd)
			return true;
	return false;
}

static bool is_packet_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_PACKET;
}

void mt_wakeup_sockets(struct mt_ethdev *d, const struct mt_fds *before)
{
	struct mt_fds now;
	uint32_t n = 0;
	int most = -1;

	mt_fds_note(&now);
	for (uint32_t i = 0; i < now.n; i++)
		most = MT_MAX(most, now.fd[i]);
	/* A list is full, so sockets may be missing: use none rather than a wrong one. */
	if (before->n == MT_ARRAY_LEN(before->fd) || now.n == MT_ARRAY_LEN(now.fd))
		return;
	for (int fd = 0; fd <= most && n < MT_WORKERS_MAX; fd++)
		if (is_in(&now, fd) && !is_in(before, fd) && is_packet_socket(fd))
			d->rx_fds[n++] = fd;
}

static int interrupt_fd(const struct mt_ethdev *d, uint16_t queue)
{
	return rte_eth_dev_rx_intr_ctl_q_get_fd(d->port.dpdk_id, queue);
}

void mt_wakeup_open(struct mt_ethdev *d)
{
	if (d->profile.wakeup == MT_WAKEUP_NONE)
		return;
	for (uint16_t q = 0; q < d->port.n_rxq; q++) {
		if (d->profile.wakeup == MT_WAKEUP_INTERRUPT)
			d->rx_fds[q] = interrupt_fd(d, q);
		/*
		 * 0 means that none was found; it is never a queue's descriptor (standard input).
		 */
		if (d->rx_fds[q] <= 0)
			return;
	}
	d->port.rx_fds = d->rx_fds;
}
