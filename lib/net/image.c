/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's part of the network layer as an image (lib/image). */
#include "mt_image.h"
#include "mt_net_priv.h"

#include <errno.h>

void mt_netw_image(struct mt_netw *w, struct mt_image *im)
{
	mt_image_section(im, "net");
	mt_image_same(im, w->owner != NULL, "another worker looks after neighbours");
	MT_IMAGE(im, w->now);
	MT_IMAGE(im, w->pmtu_gen);
	MT_IMAGE(im, w->rand);
	MT_IMAGE(im, w->echo_limit);
	MT_IMAGE(im, w->error_limit);
	MT_IMAGE(im, w->forward_limit);
	MT_IMAGE(im, w->reset_limit);
	MT_IMAGE(im, w->too_big_limit);
	MT_IMAGE(im, w->pass_limit);
	MT_IMAGE(im, w->stray_limit);
	MT_IMAGE(im, w->n_pmtu);
	MT_IMAGE(im, w->pmtu_check);
	MT_IMAGE(im, w->pmtu);
	MT_IMAGE(im, w->learned);
	MT_IMAGE(im, w->used);
	MT_IMAGE(im, w->counters);
	if (w->owner)
		MT_IMAGE(im, *w->owner);
}
