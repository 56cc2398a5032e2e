/* SPDX-License-Identifier: Apache-2.0 */
/* The service thread waits for disks, so that the control thread never does. */
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

/* From here on files are written synchronously, because the event loop has ended. */
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

	/* Not earlier, because the first snapshot is published before the event loop runs. */
	mt_conf_serve(d->conf, d->service);
	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) == 0 ? 0 : -errno;
}
