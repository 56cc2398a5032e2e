/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that waits for disks, so that the control thread never does. */
#include "daemon.h"

#include "mt_service.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

int service_start(struct daemon *d, struct mt_err *e)
{
	d->service = mt_service_new("mt-disk", e);
	if (!d->service)
		return -EAGAIN;
	mt_kept_serve(d->kept, d->service);
	return 0;
}

/* What is kept goes to the disk at once from here on: there is no loop any more. */
void service_stop(struct daemon *d)
{
	if (!d->service)
		return;
	mt_service_drain(d->service);
	mt_kept_serve(d->kept, NULL);
	mt_conf_serve(d->conf, NULL);
	mt_service_free(d->service);
	d->service = NULL;
}

int service_listen(struct daemon *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = mt_service_fd(d->service)};

	/* Not before: what was compiled first is published without a loop. */
	mt_conf_serve(d->conf, d->service);
	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) == 0 ? 0 : -errno;
}
