/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker as an image: all that it does for clients, between two turns, as bytes (lib/image), and another worker that goes on
 * from there as if nothing had happened. So nothing that outlives a turn depends on where in memory it lies. The simulator does
 * so again and again; nobody else does yet.
 *
 * Left behind: packets that wait for a port (TCP sends them again), traces, slow calls and exemplars, what other threads were
 * asked by filters (such a call ends by its time-out), messages of the control thread. A worker that serves names by DNS
 * is refused.
 */
#pragma once

#include "mt_proxy_image.h"
#include "mt_worker.h"

/*
 * Between two turns, on the worker's thread or when none runs it. 0: the image is sealed; else -errno and im->why: -EAGAIN, the
 * worker is in the middle of something; -ENOTSUP, it has what no image holds. The worker may go on in any case.
 */
int mt_worker_save(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names);
/*
 * Into a worker of the same index and configuration that has done nothing yet, from an image that was opened with its
 * pools. 0: it is what the other one was, which must not turn any more: mt_worker_moved(). Else -errno and im->why, and it is to
 * be destroyed.
 */
int mt_worker_load(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names);
/* Another has loaded what was saved of it: destroys it, without a word to filters or peers. */
void mt_worker_moved(struct mt_worker *w);
