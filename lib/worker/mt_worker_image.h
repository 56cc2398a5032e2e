/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves a worker between two loop iterations as an image: the bytes of everything that it does for
 * clients (lib/image). Another worker loads the image and goes on as if nothing had happened, so
 * nothing that outlives an iteration may depend on its memory address. Only the simulator uses
 * this.
 *
 * Not saved: packets that wait for a port (TCP sends them again), traces, slow calls and exemplars,
 * requests of filters to other threads (such calls end by their time-out; calls that wait for a
 * token or an external authorization query again), messages of the control thread, claims of
 * verified tokens (a call that was sent without its token is refused if it must be sent again to an
 * endpoint that verifies tokens). A worker that serves DNS or TLS is refused.
 */
#pragma once

#include "mt_proxy_image.h"
#include "mt_worker.h"

/*
 * Saves a worker between two iterations, on its thread or while no thread runs it. Returns 0 if the
 * image is sealed. Otherwise returns -errno and sets im->why: -EAGAIN if the worker has unfinished
 * work, for example completions of filters, which its next iteration takes; -ENOTSUP if it has
 * state that images do not support. The worker may go on in any case.
 */
int mt_worker_save(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names);
/*
 * Loads an image into a worker of the same index and configuration that has done nothing yet. The
 * image was opened with that worker's pools. Returns 0; then the saved worker must not run any more
 * (mt_worker_moved()). Otherwise returns -errno and sets im->why, and the worker has to be
 * destroyed.
 */
int mt_worker_load(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names);
/*
 * Destroys a worker whose image another worker has loaded, without a message to filters or peers.
 */
void mt_worker_moved(struct mt_worker *w);
