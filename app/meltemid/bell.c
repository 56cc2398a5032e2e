/* SPDX-License-Identifier: Apache-2.0 */
/* What workers ring when they have questions for the control thread: names of other servers, clusters on demand. */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_start(struct daemon *d, struct mt_err *e)
{
	d->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->bell > 0 ? 0 : mt_err(e, -errno, "eventfd: %s", strerror(errno));
}

void bell_stop(struct daemon *d)
{
	if (d->bell > 0)
		close(d->bell);
	d->bell = 0;
}

void bell_turn(struct daemon *d, uint64_t now)
{
	uint64_t n;

	(void)!read(d->bell, &n, sizeof(n));
	for (uint16_t w = 0; w < d->n_workers; w++)
		mt_worker_heard(d->workers[w]);
	if (d->dns)
		dns_turn(d, now);
	if (d->on_demand)
		demand_turn(d, now);
}
