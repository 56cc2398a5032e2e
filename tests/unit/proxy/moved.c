/* SPDX-License-Identifier: Apache-2.0 */
#include "moved.h"

#include "scene.h"
#include "mt_test.h"

#include "mt_proxy_image.h"

struct mt_snapshot *moved_old;

static struct mt_snapshot *snapshot_of(void *arg, uint64_t version)
{
	(void)arg;
	if (moved_old && version == moved_old->version)
		return moved_old;
	return version == lab.snap->version ? lab.snap : NULL;
}

static struct mt_ep_state *endpoint_of(void *arg, uint32_t index)
{
	(void)arg;
	for (uint32_t c = 0; c < lab.snap->n_clusters; c++)
		for (uint32_t i = 0; i < lab.snap->clusters[c].n_eps; i++)
			if (lab.snap->clusters[c].eps[i].state->index == index)
				return lab.snap->clusters[c].eps[i].state;
	return NULL;
}

static struct mt_budget_account *budget_of(void *arg, uint32_t cluster)
{
	(void)arg;
	return cluster < lab.snap->n_clusters ? lab.snap->clusters[cluster].budget : NULL;
}

static const struct mt_codec *codec_of(void *arg, uint64_t identity)
{
	(void)arg;
	for (uint32_t i = 0; i < lab.snap->n_listeners; i++)
		if (mt_codec_identity(lab.snap->listeners[i].protos->codec) == identity)
			return lab.snap->listeners[i].protos->codec;
	return NULL;
}

static struct mt_proxy_names names(void)
{
	return (struct mt_proxy_names){
		.snapshot = snapshot_of,
		.endpoint = endpoint_of,
		.budget = budget_of,
		.codec = codec_of,
		.n_endpoints = CONFIG_EPS,
		.n_clusters = lab.snap->n_clusters,
	};
}

static void parts(struct mt_proxy *p, struct mt_image *im)
{
	mt_image_space(im, &lab, sizeof(lab)); /* streams */
	mt_proxy_image_parts(p, im);
}

int moved_load(struct mt_proxy *to, const struct mt_image *saved)
{
	struct mt_proxy_names n = names();
	struct mt_image im;

	CU_ASSERT_EQUAL_FATAL(mt_image_open(&im, saved->bytes, saved->len, &lab.pools), 0);
	parts(to, &im);
	mt_proxy_image(to, &im, &n);
	return mt_image_end(&im);
}

struct mt_proxy *moved_create(void (*attach)(struct mt_proxy *p))
{
	struct mt_proxy *p = mt_proxy_create(&lab.p->conf, 0, 1, &lab.pools, 43, lab.now);

	MT_ASSERT(p);
	mt_proxy_attach(p, &lab_transport);
	scene_log_of(p);
	if (attach)
		attach(p);
	return p;
}

struct mt_image moved_save(void)
{
	struct mt_proxy_names n = names();
	struct mt_image im;

	mt_image_begin(&im);
	parts(lab.p, &im);
	mt_proxy_image(lab.p, &im, &n);
	CU_ASSERT_EQUAL_FATAL(mt_image_seal(&im), 0);
	return im;
}

void moved_to_another(void (*attach)(struct mt_proxy *p))
{
	struct mt_proxy *from = lab.p, *to = moved_create(attach);
	struct mt_image im = moved_save();

	CU_ASSERT_EQUAL_FATAL(moved_load(to, &im), 0);
	mt_image_free(&im);
	lab.p = to;
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].s.user_ctx == from)
			lab.conns[i].s.user_ctx = to;
	mt_proxy_moved(from);
	mt_proxy_destroy(from);
	mt_proxy_begin(lab.p, lab.now, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
}
