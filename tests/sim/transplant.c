/* SPDX-License-Identifier: Apache-2.0 */
#include "transplant.h"

#include "asked.h"
#include "refs.h"

#include "mt_filter_inbox.h"
#include "mt_proxy_types.h"
#include "mt_tcp_priv.h"
#include "mt_worker_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Turns from one to the next, at most. */
#define EVERY_MIN 20
#define EVERY_MAX 3000
/* Before one in so many another worker is made of half an image, and given up. */
#define IN_VAIN 4
/* Buffers that must be left when an image is loaded: the old worker still holds its own. */
#define RESERVE 256

void transplant_draw(struct mesh *m)
{
	const struct sim *s = m->sim;

	/* A draw of its own: with and without, a seed is otherwise the same. */
	mt_rand_seed(&m->transplant_rand, s->seed ^ 0x7472616e73706c74ull);
	m->transplants = s->opt->transplant || sim_one_in(&m->transplant_rand, 2);
	m->transplant_every = (uint32_t)sim_between(&m->transplant_rand, EVERY_MIN, EVERY_MAX);
}

/* ---- names -------------------------------------------------------------------------------------- */

static struct mt_snapshot *snapshot_of(void *arg, uint64_t version)
{
	const struct config_store *st = arg;

	return version && version <= st->n ? st->snaps[version - 1] : NULL;
}

static struct mt_ep_state *endpoint_of(void *arg, uint32_t index)
{
	return mt_upstream_ep_at(((const struct config_store *)arg)->registry, index);
}

static struct mt_budget_account *budget_of(void *arg, uint32_t cluster)
{
	return mt_upstream_budget_at(((const struct config_store *)arg)->registry, cluster);
}

/* A world may have one of its own, with the name of another. */
static const struct mt_codec *codec_of(void *arg, uint64_t identity)
{
	const struct mt_snapshot *s = ((const struct config_store *)arg)->current;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		for (uint32_t p = 0; p < s->listeners[i].n_protos; p++)
			if (mt_codec_identity(s->listeners[i].protos[p].codec) == identity)
				return s->listeners[i].protos[p].codec;
	return mt_codec_of(identity);
}

static struct mt_proxy_names names_of(struct config_store *st)
{
	return (struct mt_proxy_names){
		.arg = st,
		.snapshot = snapshot_of,
		.endpoint = endpoint_of,
		.budget = budget_of,
		.codec = codec_of,
		.n_endpoints = mt_upstream_ep_indexes(st->registry),
		.n_clusters = mt_upstream_cluster_indexes(st->registry),
	};
}

/* ---- nothing leads back ------------------------------------------------------------------------- */

/* Memory of the worker that was saved. */
struct old {
	const struct mt_image *im;
	struct rte_mbuf **bufs; /* sorted */
	size_t n, room;
};

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

static void note_chain(struct old *o, const struct mt_chain *c)
{
	for (struct rte_mbuf *m = c->head; m; m = mt_link(m)->next) {
		if (o->n == o->room) {
			o->room = o->room ? 2 * o->room : 256;
			o->bufs = realloc(o->bufs, o->room * sizeof(*o->bufs));
			MT_ASSERT(o->bufs);
		}
		o->bufs[o->n++] = m;
	}
}

static void note_buffers(struct old *o, const struct mt_tcp *t, const struct mt_proxy *p)
{
	const struct mt_tcp_conn *c;
	const struct mt_exchange *ex;
	const struct mt_connecting *j;
	const struct mt_down *d;
	uint32_t i;

	for (i = 0; (c = mt_slab_next(&t->conns, &i));) {
		note_chain(o, &c->s.rx);
		note_chain(o, &c->tx);
	}
	for (i = 0; (ex = mt_slab_next(&p->exchanges, &i));) {
		note_chain(o, &ex->req);
		note_chain(o, &ex->rsp);
	}
	for (i = 0; (d = mt_slab_next(&p->downs, &i));)
		note_chain(o, &d->after);
	for (i = 0; (j = mt_slab_next(&p->connecting, &i));)
		note_chain(o, &j->given);
	if (o->n)
		qsort(o->bufs, o->n, sizeof(*o->bufs), by_address);
}

static bool leads_back(const struct old *o, uintptr_t word)
{
	if (word % sizeof(void *))
		return false;
	for (uint32_t i = 0; i < o->im->n_spaces; i++)
		if (word - (uintptr_t)o->im->spaces[i].base < o->im->spaces[i].size)
			return true;
	return o->n && bsearch(&word, o->bufs, o->n, sizeof(*o->bufs), by_address);
}

/* Numbers may look like an address by chance: a pointer that was forgotten does in all objects that have it. */
#define OBJECTS_MIN 2

/* At one place of all objects. */
static bool all_lead_back(const struct old *o, const struct mt_slab *slab, uint32_t place)
{
	uint32_t i = 0, n = 0;
	const uint8_t *obj;

	while ((obj = mt_slab_next(slab, &i))) {
		uintptr_t word;

		memcpy(&word, obj + place, sizeof(word));
		if (!word)
			continue;
		if (!leads_back(o, word))
			return false;
		n++;
	}
	return n >= OBJECTS_MIN;
}

/* No place of objects has addresses in the old worker: every pointer was found, and went by way of the image. */
static void check_slab(struct sim *s, const struct old *o, const struct mt_slab *slab)
{
	for (uint32_t place = 0; place + sizeof(void *) <= slab->size; place += sizeof(void *))
		if (all_lead_back(o, slab, place))
			sim_fail(s, "byte %u of slab %s still leads into the old worker", place,
				slab->name);
}

static void check_pointers(
	struct sim *s, struct mt_worker *from, struct mt_worker *to, const struct mt_image *saved)
{
	const struct mt_proxy *p = mt_worker_proxy(to);
	const struct mt_tcp *t = mt_worker_tcp(to);
	const struct mt_slab *const slabs[] = {&t->conns, &t->halves, &t->tws, &t->ooos, &t->losses,
		&t->ledger.accounts, &t->ledger.places, &t->ledger.holders, &p->downs, &p->ups,
		&p->exchanges, &p->lanes, &p->rings, &p->pairs, &p->connecting, &p->selections,
		&p->fairs, &p->health_checks};
	struct old o = {.im = saved};

	note_buffers(&o, mt_worker_tcp(from), mt_worker_proxy(from));
	for (size_t i = 0; i < MT_ARRAY_LEN(slabs); i++)
		check_slab(s, &o, slabs[i]);
	free(o.bufs);
}

/* ---- one -------------------------------------------------------------------------------------- */

/* The old worker still has its buffers while the new one takes as many. */
static bool is_room(struct mt_pools *pools, const struct mt_image *im)
{
	return rte_mempool_avail_count(pools->data) >= im->buffers + RESERVE &&
	       rte_mempool_avail_count(pools->ctrl) >= im->buffers + RESERVE;
}

/* Calls that wait for their next attempt. */
static uint64_t in_back_off(struct mt_proxy *p)
{
	const struct mt_exchange *ex;
	uint32_t at = 0;
	uint64_t n = 0;

	while ((ex = mt_slab_next(&p->exchanges, &at)))
		n += ex->state == MT_EX_BACKOFF;
	return n;
}

static void go_on(struct mesh *m, uint32_t i, struct mt_worker *to)
{
	m->sim->st.retries[SIM_RETRY_MOVED] += in_back_off(mt_worker_proxy(m->w[i]));
	mt_worker_moved(m->w[i]);
	m->w[i] = to;
	mesh_share_out(m, i, m->shared_out[i]);
	sim_refs_stack(m->pools[i], mt_worker_tcp(to), mt_worker_net(to), mt_worker_proxy(to));
	m->sim->st.transplants++;
}

/* Into a new worker, by the first `len` bytes of the image, all of it or not; of scarce memory it may fail, too. */
static int load(struct mesh *m, uint32_t i, struct mt_image *im, size_t len, struct mt_worker **to)
{
	struct mt_proxy_names names = names_of(&m->store);

	*to = mt_worker_create(&m->conf[i]);
	MT_ASSERT(*to);
	im->len = len;
	return mt_worker_load(*to, im, &names);
}

/* An image that ends too early: nobody notices that it was tried. */
static void load_in_vain(struct mesh *m, uint32_t i, struct mt_image im)
{
	size_t len = (size_t)sim_between(&m->transplant_rand, im.at, im.len - 1);
	struct mt_worker *to;
	int rc = load(m, i, &im, len, &to);

	if (rc != -EINVAL && rc != -ENOMEM)
		sim_fail(m->sim, "an image that was cut off is loaded: %d", rc);
	mt_worker_destroy(to);
}

static void move(struct mesh *m, uint32_t i, const struct mt_image *saved)
{
	struct mt_worker *to;
	struct mt_image im;
	int rc = mt_image_open(&im, saved->bytes, saved->len, m->pools[i]);

	if (rc) {
		sim_fail(m->sim, "an image of %zu bytes cannot be opened: %s", saved->len, im.why);
		return;
	}
	if (sim_one_in(&m->transplant_rand, IN_VAIN))
		load_in_vain(m, i, im);
	rc = load(m, i, &im, im.len, &to);
	/* A worker attaches to its lane when it is made. */
	if (rc && m->asked)
		mt_proxy_attach_asks(mt_worker_proxy(m->w[i]), m->asked->lane[i]);
	if (!rc) {
		check_pointers(m->sim, m->w[i], to, saved);
		go_on(m, i, to);
		return;
	}
	if (rc != -ENOMEM)
		sim_fail(m->sim, "an image of %zu bytes cannot be loaded: %s", saved->len, im.why);
	mt_worker_destroy(to);
}

/* True if a worker need not be saved at this turn. */
static bool may_fail(const struct mesh *m, uint32_t i, int rc)
{
	/* Streams of a layer lie outside of the worker. */
	if (m->layer[i] && rc == -ENOTSUP)
		return true;
	/* Completions of filters and verdicts are taken first, which the next iterations do. */
	return rc == -EAGAIN && mt_filter_inbox_rung(mt_worker_proxy(m->w[i])->filters.inbox);
}

static void transplant(struct mesh *m, uint32_t i)
{
	struct mt_proxy_names names = names_of(&m->store);
	struct mt_image im;
	int rc = mt_worker_save(m->w[i], &im, &names);

	if (rc && !may_fail(m, i, rc))
		sim_fail(m->sim, "worker %u cannot be saved: %s", i, im.why);
	if (!rc && !m->layer[i] && is_room(m->pools[i], &im))
		move(m, i, &im);
	mt_image_free(&im);
}

void transplant_turn(struct mesh *m, uint32_t worker)
{
	if (!m->transplants || m->sim->failed || ++m->transplant_turns % m->transplant_every)
		return;
	m->transplant_every = (uint32_t)sim_between(&m->transplant_rand, EVERY_MIN, EVERY_MAX);
	transplant(m, worker);
}
