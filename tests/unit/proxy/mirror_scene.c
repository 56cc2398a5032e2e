/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror_scene.h"

#include "scene.h"

#include <string.h>

static struct mt_ep_state state mt_cache_aligned;
struct mt_endpoint mirror_ep mt_cache_aligned;
static struct mt_route_mirror mirrors[MT_ROUTE_MIRRORS_MAX];

/*
 * The route of the listener's service copies that share to a second cluster, of the snapshot that
 * was just made.
 */
void mirror_in(struct mt_snapshot *s, uint32_t listener, uint32_t ppm)
{
	struct mt_route_action *a = (struct mt_route_action *)mt_route_at(
		s->listeners[listener].protos->services[0]->routes, 0);
	struct mt_cluster *c = &s->clusters[1];

	state = (struct mt_ep_state){.id = 500, .index = MIRROR_AT, .beats = true};
	mirror_ep = (struct mt_endpoint){.port = 20880, .weight = 1, .state = &state};
	mt_addr_parse("198.51.100.200", &mirror_ep.addr);
	*c = (struct mt_cluster){.name = "mirror",
		.id = 8,
		.index = 1,
		.lb = MT_LB_ROUND_ROBIN,
		.eps = &mirror_ep,
		.n_eps = 1};
	CU_ASSERT_EQUAL_FATAL(mt_cluster_build(c), 0);
	s->n_clusters = 2;
	for (size_t i = 0; i < MT_ARRAY_LEN(mirrors); i++)
		mirrors[i] = (struct mt_route_mirror){1, ppm};
	a->mirrors = mirrors;
	a->n_mirrors = 1;
}

void mirror_start(uint32_t listener, uint32_t ppm)
{
	scene_start(1);
	mirror_in(lab.snap, listener, ppm);
}

void mirror_stop(void)
{
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 0);
	CU_ASSERT_EQUAL(lab.p->mirror.bytes, 0);
	CU_ASSERT_EQUAL(lab.p->pending[1], 0);
	CU_ASSERT_EQUAL(lab.p->pending_size[1], 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started),
		scene_counted(MT_PROXY_mirror_answered) + scene_counted(MT_PROXY_mirror_oneway) +
			scene_counted(MT_PROXY_mirror_failed));
	mt_cluster_release(&lab.snap->clusters[1]);
	scene_stop();
}

/* The i-th connection to the mirror, or (of_mirror false) to the call's own server. */
struct fake_conn *mirror_server_of(bool of_mirror, uint32_t i)
{
	for (uint32_t k = 0; k < lab_n_servers(); k++)
		if ((lab_server(k)->t.remote.b[15] == 200) == of_mirror && i-- == 0)
			return lab_server(k);
	return NULL;
}

struct fake_conn *mirror_connected(bool of_mirror, uint32_t i)
{
	struct fake_conn *s = mirror_server_of(of_mirror, i);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	return s;
}

/* An answer that names the method. */
void mirror_answer(struct fake_conn *s, uint64_t id)
{
	uint8_t m[40], head[TOY_HEADER];

	toy_make(m, 'P', 0x51, "call", sizeof(m));
	toy_make(head, 'P', id, "call", sizeof(head));
	memcpy(m + 8, head + 8, 8);
	lab_feed(s, m, sizeof(m));
}

/* The server has one call, and answers; its client has just that answer. */
void mirror_answered(struct fake_conn *c, uint64_t id)
{
	struct fake_conn *s = mirror_connected(false, 0);
	struct toy q = scene_next_sent(s), r;

	CU_ASSERT_EQUAL(q.kind, 'Q');
	mirror_answer(s, q.id);
	r = scene_next_sent(c);
	CU_ASSERT_EQUAL(r.kind, 'P');
	CU_ASSERT_EQUAL(r.status, 0);
	CU_ASSERT_EQUAL(r.id, id);
	CU_ASSERT_EQUAL(r.first, 0x51);
	CU_ASSERT_EQUAL(c->sent.len, 0);
}
