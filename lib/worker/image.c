/* SPDX-License-Identifier: Apache-2.0 */
/* The image of a worker: its libraries, one after the other. */
#include "mt_worker_image.h"
#include "mt_worker_priv.h"

#include <errno.h>

static void parts(struct mt_worker *w, struct mt_image *im)
{
	mt_tcp_image_parts(w->tcp, im);
	mt_proxy_image_parts(w->proxy, im);
}

/* True if an iteration or the control thread has unfinished work. */
static bool is_busy(const struct mt_worker *w)
{
	for (uint32_t i = 0; i < w->workers; i++)
		if (w->to[i].n)
			return true;
	/* Completions of filters, and verdicts: their calls do not wait any more. */
	if (w->idle.inbox && mt_filter_inbox_rung(w->idle.inbox))
		return true;
	return w->mail_head != __atomic_load_n(&w->mail_tail, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&w->reset_all, __ATOMIC_ACQUIRE);
}

static void rooms(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names)
{
	mt_image_section(im, "worker");
	MT_IMAGE(im, w->pop_next);
	MT_IMAGE(im, w->burst);
	MT_IMAGE(im, w->to_marks);
	MT_IMAGE(im, w->free_pct);
	MT_IMAGE(im, w->stats);
	MT_IMAGE(im, w->turn);
	mt_proxy_image_snapshot(im, names, &w->snapshot);
	mt_netw_image(w->net, im);
	mt_tcp_image(w->tcp, im);
	mt_proxy_image(w->proxy, im, names);
}

int mt_worker_save(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names)
{
	mt_image_begin(im);
	if (w->names.lane)
		mt_image_fail(im, -ENOTSUP, "a worker that serves names is not saved");
	if (w->l4 && mt_l4_flows(w->l4))
		mt_image_fail(im, -ENOTSUP, "a worker that forwards flows is not saved");
	if (w->tls_lane)
		mt_image_fail(im, -ENOTSUP, "a worker that speaks TLS is not saved");
	if (is_busy(w))
		mt_image_fail(im, -EAGAIN, "the worker is in the middle of something");
	parts(w, im);
	rooms(w, im, names);
	return mt_image_seal(im);
}

int mt_worker_load(struct mt_worker *w, struct mt_image *im, const struct mt_proxy_names *names)
{
	int rc;

	parts(w, im);
	rooms(w, im, names);
	rc = mt_image_end(im);
	if (!rc)
		mt_netw_take_over(w->net);
	return rc;
}

void mt_worker_moved(struct mt_worker *w)
{
	mt_proxy_moved(w->proxy);
	mt_worker_destroy(w);
}
