/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eventfd by which workers wake the control thread for requests: DNS queries to forward,
 * clusters on demand.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wake_start(struct daemon *d, struct mt_err *e)
{
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->wake_fd > 0 ? 0 : mt_err(e, -errno, "eventfd: %s", strerror(errno));
}

void wake_stop(struct daemon *d)
{
	if (d->wake_fd > 0)
		close(d->wake_fd);
	d->wake_fd = 0;
}

void wake_turn(struct daemon *d, uint64_t now)
{
	uint64_t n;

	(void)!read(d->wake_fd, &n, sizeof(n));
	for (uint16_t w = 0; w < d->n_workers; w++)
		mt_worker_heard(d->workers[w]);
	if (d->dns)
		dns_turn(d, now);
	if (d->on_demand)
		demand_turn(d, now);
}
