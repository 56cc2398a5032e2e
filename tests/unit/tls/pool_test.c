/* SPDX-License-Identifier: Apache-2.0 */
/* Workers' lanes and threads of handshakes: both ends of each connection are a worker's own, so that nothing comes between. */
#include "mt_tls_pool_priv.h"

#include "ends.h"
#include "pki.h"
#include "tls_test.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CREWS	2
#define PAIRS	250   /* of a crew: 1,000 handshakes in all */
#define AT_ONCE 60    /* pairs: their clients leave slots to their servers */
#define PATIENT 30000 /* ms without an event */

static const char tail[] = "a request in one flight with Finished";

/* ---- connections ---------------------------------------------------------------------------------------- */

enum side { CLIENT, SERVER };

struct end {
	struct mt_ref handshake;
	struct mt_chain rx; /* what the other one has said */
	bool live, over;
	struct mt_tls_result result;
};

struct pair {
	struct end ends[2];
	struct mt_hello hello;
	bool whole; /* the hello is there, and was not taken */
};

struct crew {
	struct mt_tls_lane *lane;
	struct mt_pools *pools;
	struct mt_tls_context *contexts[2];
	struct pair *pairs;
	uint32_t n_pairs, n_begun, n_over, events;
	uint32_t cancel_each; /* event of that number ends its connection; 0: none does */
	int wake_fd;
	bool failed; /* no assertions on other threads */
	pthread_t id;
};

static void accept_it(struct crew *c, struct pair *p, uint32_t i)
{
	struct end *e = &p->ends[SERVER];

	p->whole = mt_tls_lane_accept(c->lane, c->contexts[SERVER], &p->hello,
			   (struct mt_ref){2 * i + SERVER, 1}, &e->handshake) != 0;
	e->live = !p->whole;
}

static void said(struct crew *c, uint32_t i, enum side to, const void *bytes, uint32_t n)
{
	struct pair *p = &c->pairs[i];
	struct end *e = &p->ends[to];

	if (c->cancel_each && e->over && !e->result.keys.version)
		return;
	if (mt_chain_write(&e->rx, c->pools, bytes, n))
		c->failed = true;
	if (e->live)
		mt_tls_lane_more(c->lane, e->handshake, &e->rx);
	else if (to == SERVER && !e->over && !p->whole &&
		 mt_hello_read(&p->hello) == MT_HELLO_WHOLE)
		accept_it(c, p, i);
}

/* As when a connection is reset: nothing is wanted of either end's handshake any more. */
static void reset(struct crew *c, struct pair *p)
{
	for (int side = CLIENT; side <= SERVER; side++) {
		struct end *e = &p->ends[side];

		if (e->live)
			mt_tls_lane_cancel(c->lane, e->handshake);
		c->n_over += !e->over;
		e->live = false;
		e->over = true;
		mt_chain_free(&e->rx);
	}
	p->whole = false;
}

static void on_event(void *arg, const struct mt_tls_event *ev)
{
	struct crew *c = arg;
	uint32_t i = ev->owner.idx / 2;
	enum side side = ev->owner.idx % 2;
	struct end *e = &c->pairs[i].ends[side];

	c->events++;
	if (!e->live || !mt_ref_eq(ev->handshake, e->handshake))
		c->failed = true;
	if (c->cancel_each && c->events % c->cancel_each == 0) {
		reset(c, &c->pairs[i]);
		return;
	}
	mt_chain_drop(&e->rx, ev->used);
	if (ev->kind == MT_TLS_EVENT_OUT)
		said(c, i, !side, ev->out.p, ev->out.len);
	if (ev->kind == MT_TLS_EVENT_ROOM)
		mt_tls_lane_more(c->lane, e->handshake, &e->rx);
	if (ev->kind != MT_TLS_EVENT_DONE && ev->kind != MT_TLS_EVENT_FAILED)
		return;
	e->live = false;
	e->over = true;
	e->result = *ev->result;
	c->n_over++;
	if (side == CLIENT)
		said(c, i, SERVER, tail, sizeof(tail));
}

static void begin_some(struct crew *c)
{
	for (; c->n_begun < c->n_pairs && c->n_begun < AT_ONCE + c->n_over / 2; c->n_begun++) {
		struct pair *p = &c->pairs[c->n_begun];

		if (mt_tls_lane_connect(c->lane, c->contexts[CLIENT], "outbound_.9090_._.bob",
			    (struct mt_ref){2 * c->n_begun + CLIENT, 1},
			    &p->ends[CLIENT].handshake))
			break;
		p->ends[CLIENT].live = true;
		mt_hello_init(&p->hello, &p->ends[SERVER].rx);
	}
	for (uint32_t i = 0; i < c->n_begun; i++)
		if (c->pairs[i].whole)
			accept_it(c, &c->pairs[i], i);
}

/* As a worker that has nothing else to do. */
static void *work(void *arg)
{
	struct crew *c = arg;
	struct pollfd fd = {.fd = c->lane->wake_fd, .events = POLLIN};
	uint64_t n;

	while (c->n_over < 2 * c->n_pairs && !c->failed) {
		begin_some(c);
		mt_tls_lane_flush(c->lane);
		if (mt_tls_lane_rung(c->lane) && mt_tls_lane_take(c->lane, 16, on_event, c))
			continue;
		mt_tls_lane_flush(c->lane);
		if (!mt_tls_lane_sleep(c->lane))
			continue;
		if (poll(&fd, 1, PATIENT) != 1 || read(fd.fd, &n, sizeof(n)) != sizeof(n))
			c->failed = true;
		mt_tls_lane_awake(c->lane);
	}
	return NULL;
}

static void crew_new(struct crew *c, struct mt_tls_lane *lane, struct mt_pools *pools, uint32_t n)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT), server = ends_rules(MT_TLS_SERVER);

	server.tickets = true;
	*c = (struct crew){
		.lane = lane, .pools = pools, .n_pairs = n, .pairs = calloc(n, sizeof(*c->pairs))};
	c->contexts[CLIENT] = ends_context(&client);
	c->contexts[SERVER] = ends_context(&server);
	c->wake_fd = lane->wake_fd = eventfd(0, EFD_NONBLOCK);
}

/* Lets the contexts go: who is under way has them. */
static void crew_leaves(struct crew *c)
{
	mt_tls_context_drop(c->contexts[CLIENT]);
	mt_tls_context_drop(c->contexts[SERVER]);
	c->contexts[CLIENT] = c->contexts[SERVER] = NULL;
}

static void crew_free(struct crew *c)
{
	crew_leaves(c);
	close(c->wake_fd);
	for (uint32_t i = 0; i < c->n_pairs; i++) {
		mt_chain_free(&c->pairs[i].ends[CLIENT].rx);
		mt_chain_free(&c->pairs[i].ends[SERVER].rx);
	}
	free(c->pairs);
}

static bool same(const struct mt_tls_half *a, const struct mt_tls_half *b)
{
	return memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       memcmp(a->iv, b->iv, sizeof(a->iv)) == 0;
}

/* Each end knows the other one, and has what is behind its handshake in its own chain. */
static void check_pair(struct pair *p)
{
	struct end *c = &p->ends[CLIENT], *s = &p->ends[SERVER];
	uint8_t first[sizeof(tail)] = {0};

	CU_ASSERT_EQUAL(c->result.reason, MT_TLS_WHY_none);
	CU_ASSERT_EQUAL(s->result.reason, MT_TLS_WHY_none);
	CU_ASSERT_STRING_EQUAL(c->result.peer.principal, PKI_BOB);
	CU_ASSERT_STRING_EQUAL(s->result.peer.principal, PKI_ALICE);
	CU_ASSERT_STRING_EQUAL(s->result.peer.sni, "outbound_.9090_._.bob");
	CU_ASSERT_TRUE(same(&c->result.keys.tx, &s->result.keys.rx));
	CU_ASSERT_TRUE(same(&c->result.keys.rx, &s->result.keys.tx));
	CU_ASSERT_EQUAL(s->result.keys.tx.seq, 1);
	CU_ASSERT_EQUAL_FATAL(s->rx.len, sizeof(tail));
	mt_chain_read(&s->rx, 0, first, sizeof(first));
	CU_ASSERT_EQUAL(memcmp(first, tail, sizeof(tail)), 0);
	/* The ticket. */
	CU_ASSERT_TRUE_FATAL(c->rx.len > 100);
	mt_chain_read(&c->rx, 0, first, 1);
	CU_ASSERT_EQUAL(first[0], 23);
}

/* What was taken is nowhere in the rings any more. */
static void check_wiped(const struct crew *c, const struct mt_tls_keys *k)
{
	size_t n = (size_t)rte_ring_get_memsize_elem(MT_TLS_PIECE, MT_TLS_RING);

	for (uint32_t i = 0; i < c->lane->n_threads; i++) {
		CU_ASSERT_PTR_NULL(memmem(c->lane->wires[i].to_worker, n, k->rx.key, 16));
		CU_ASSERT_PTR_NULL(memmem(c->lane->wires[i].to_worker, n, k->tx.secret, 32));
	}
}

static void run_crews(uint32_t n_threads, uint32_t pairs)
{
	struct mt_tls_objects before = mt_tls_objects(), after;
	struct mt_err e;
	struct mt_tls_pool *pool = mt_tls_pool_new(CREWS, n_threads, &e);
	struct crew crews[CREWS];

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	for (uint32_t i = 0; i < CREWS; i++) {
		crew_new(&crews[i], mt_tls_pool_lane(pool, i), &tls_worker_pools[i], pairs);
		CU_ASSERT_EQUAL(pthread_create(&crews[i].id, NULL, work, &crews[i]), 0);
	}
	for (uint32_t i = 0; i < CREWS; i++) {
		pthread_join(crews[i].id, NULL);
		CU_ASSERT_FALSE(crews[i].failed);
		CU_ASSERT_EQUAL(crews[i].lane->begun, 2 * pairs);
		CU_ASSERT_EQUAL(crews[i].lane->done, 2 * pairs);
		CU_ASSERT_EQUAL(crews[i].lane->n_used, 0);
		CU_ASSERT_EQUAL(crews[i].lane->stale, 0);
		for (uint32_t k = 0; k < pairs; k++)
			check_pair(&crews[i].pairs[k]);
		for (uint32_t k = pairs - MT_MIN(pairs, 20); k < pairs; k++)
			check_wiped(&crews[i], &crews[i].pairs[k].ends[k % 2].result.keys);
		crew_free(&crews[i]);
	}
	after = mt_tls_objects();
	CU_ASSERT_EQUAL(after.made - before.made, CREWS * 2 * pairs);
	CU_ASSERT_EQUAL(after.freed, after.made);
	mt_tls_pool_free(pool);
}

static void test_thousand(void)
{
	run_crews(1, PAIRS);
}

static void test_more_threads(void)
{
	run_crews(3, 30);
}

/* Connections that are reset at any moment, each lane its own way. Where no end was, the other one has it, too. */
static void test_resets(void)
{
	struct mt_err e;
	struct mt_tls_pool *p = mt_tls_pool_new(CREWS, 2, &e);
	struct crew crews[CREWS];
	uint32_t good = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (uint32_t i = 0; i < CREWS; i++) {
		crew_new(&crews[i], mt_tls_pool_lane(p, i), &tls_worker_pools[i], 100);
		crews[i].cancel_each = 5 + 2 * i;
		CU_ASSERT_EQUAL(pthread_create(&crews[i].id, NULL, work, &crews[i]), 0);
	}
	for (uint32_t i = 0; i < CREWS; i++) {
		const struct mt_tls_lane *l = crews[i].lane;

		pthread_join(crews[i].id, NULL);
		CU_ASSERT_FALSE(crews[i].failed);
		CU_ASSERT_EQUAL(l->n_used, 0);
		CU_ASSERT_TRUE(l->cancelled > 20);
		CU_ASSERT_EQUAL(l->begun, l->done + l->failed + l->cancelled);
		for (uint32_t k = 0; k < crews[i].n_pairs; k++)
			if (crews[i].pairs[k].ends[SERVER].rx.len) {
				check_pair(&crews[i].pairs[k]);
				good++;
			}
	}
	CU_ASSERT_TRUE(good > 20);
	mt_tls_pool_free(p);
	for (uint32_t i = 0; i < CREWS; i++)
		crew_free(&crews[i]);
	CU_ASSERT_EQUAL(mt_tls_objects().made, mt_tls_objects().freed);
}

/* ---- one lane, step by step ------------------------------------------------------------------------------- */

static struct mt_tls_pool *pool;
static struct crew crew;

static void wait_for(bool (*is)(void))
{
	for (uint32_t ms = 0; !is() && ms < PATIENT; ms++)
		usleep(1000);
	CU_ASSERT_TRUE_FATAL(is());
}

static bool thread_sleeps(void)
{
	return __atomic_load_n(&crew.lane->wires[0].thread->asleep, __ATOMIC_SEQ_CST);
}

static bool lane_is_rung(void)
{
	return mt_tls_lane_rung(crew.lane);
}

static bool no_objects(void)
{
	struct mt_tls_objects o = mt_tls_objects();

	return o.made == o.freed;
}

static bool thread_is_blocked(void)
{
	return __atomic_load_n(&crew.lane->wires[0].blocked, __ATOMIC_SEQ_CST);
}

/* A thread that sleeps takes nothing before it is rung for. */
static void set_up(uint32_t pairs)
{
	struct mt_err e;

	pool = mt_tls_pool_new(1, 1, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	crew_new(&crew, mt_tls_pool_lane(pool, 0), &tls_worker_pools[0], pairs);
	wait_for(thread_sleeps);
}

static void tear_down(void)
{
	mt_tls_pool_free(pool);
	CU_ASSERT_TRUE(no_objects());
	crew_free(&crew);
}

/* A hello with a hybrid key share takes more than one. */
static uint32_t pieces_of_hello(struct mt_tls_context *c)
{
	struct mt_tls_handshake *h = mt_tls_handshake_new(c, "b");
	const uint32_t piece = MT_TLS_PIECE - PIECE_HEAD;
	const uint8_t *p;
	uint32_t n;

	CU_ASSERT_EQUAL(mt_tls_handshake_step(h, NULL, 0), MT_TLS_MORE);
	n = mt_tls_handshake_output(h, &p);
	mt_tls_handshake_free(h);
	return (n + piece - 1) / piece;
}

static void test_gone_generation(void)
{
	struct mt_ref old, next;
	uint32_t pieces;

	set_up(2);
	pieces = pieces_of_hello(crew.contexts[CLIENT]);
	CU_ASSERT_EQUAL(mt_tls_lane_connect(
				crew.lane, crew.contexts[CLIENT], "a", (struct mt_ref){0, 1}, &old),
		0);
	mt_tls_lane_flush(crew.lane);
	wait_for(lane_is_rung);
	mt_tls_lane_cancel(crew.lane, old);
	mt_tls_lane_cancel(crew.lane, old);
	CU_ASSERT_EQUAL(crew.lane->cancelled, 1);
	CU_ASSERT_EQUAL(mt_tls_lane_connect(crew.lane, crew.contexts[CLIENT], "b",
				(struct mt_ref){2, 1}, &next),
		0);
	CU_ASSERT_EQUAL(next.idx, old.idx);
	CU_ASSERT_NOT_EQUAL(next.gen, old.gen);
	/* The hello that the first one said is nobody's any more. */
	CU_ASSERT_EQUAL(mt_tls_lane_take(crew.lane, 16, on_event, &crew), pieces);
	CU_ASSERT_EQUAL(crew.lane->stale, pieces);
	CU_ASSERT_EQUAL(crew.events, 0);
	crew.pairs[1].ends[CLIENT] = (struct end){.handshake = next, .live = true};
	mt_hello_init(&crew.pairs[1].hello, &crew.pairs[1].ends[SERVER].rx);
	mt_tls_lane_flush(crew.lane);
	wait_for(lane_is_rung);
	CU_ASSERT_EQUAL(mt_tls_lane_take(crew.lane, 16, on_event, &crew), pieces);
	CU_ASSERT_EQUAL(crew.events, pieces);
	CU_ASSERT_FALSE(crew.failed);
	/* Late words about the old one change nothing. */
	mt_tls_lane_more(crew.lane, old, &crew.pairs[1].ends[CLIENT].rx);
	CU_ASSERT_EQUAL(crew.lane->n_used, 2); /* next, and the server that its hello has begun */
	tear_down();
}

static uint32_t connect_many(void)
{
	struct mt_ref r;
	uint32_t n = 0;

	while (mt_tls_lane_connect(
		       crew.lane, crew.contexts[CLIENT], NULL, (struct mt_ref){0, 1}, &r) == 0)
		n++;
	return n;
}

static uint32_t n_told;

static void count(void *arg, const struct mt_tls_event *e)
{
	(void)arg;
	n_told += e->kind == MT_TLS_EVENT_OUT && e->out.len > 0;
}

/* First the ring has no room, then there are no slots; and what is said of so many fits no ring, and still comes. */
static void test_full(void)
{
	uint32_t said;

	set_up(1);
	said = MT_TLS_SLOTS * pieces_of_hello(crew.contexts[CLIENT]);
	CU_ASSERT_EQUAL(connect_many(), MT_TLS_RING - 1);
	CU_ASSERT_EQUAL(crew.lane->full, 1);
	mt_tls_lane_flush(crew.lane);
	wait_for(lane_is_rung);
	wait_for(thread_sleeps);
	CU_ASSERT_EQUAL(connect_many(), 1);
	CU_ASSERT_EQUAL(crew.lane->full, 2);
	CU_ASSERT_EQUAL(crew.lane->n_used, MT_TLS_SLOTS);
	mt_tls_lane_flush(crew.lane);
	wait_for(thread_is_blocked);
	for (n_told = 0; n_told < said;) {
		wait_for(lane_is_rung);
		(void)mt_tls_lane_take(crew.lane, 100, count, NULL);
	}
	CU_ASSERT_EQUAL(n_told, said);
	tear_down();
}

/* A whole hello of the library's, in the chain of pair 0's server. */
static uint32_t have_hello(struct crew *c)
{
	struct pair *p = &c->pairs[0];
	uint8_t hello[2048];
	struct ends_plain plain;
	uint32_t n;

	ends_plain_new(&plain, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
	SSL_do_handshake(plain.ssl);
	n = ends_plain_says(&plain, hello, sizeof(hello));
	ends_plain_free(&plain);
	CU_ASSERT_EQUAL(mt_chain_write(&p->ends[SERVER].rx, c->pools, hello, n), 0);
	mt_hello_init(&p->hello, &p->ends[SERVER].rx);
	CU_ASSERT_EQUAL(mt_hello_read(&p->hello), MT_HELLO_WHOLE);
	return n;
}

/* Clients that begin leave room to who has begun. */
static void test_reserve(void)
{
	struct mt_ref r;
	uint32_t n = 0, pieces;

	set_up(1);
	pieces = 1 +
		 (have_hello(&crew) + MT_TLS_PIECE - PIECE_HEAD - 1) / (MT_TLS_PIECE - PIECE_HEAD);
	while (mt_tls_lane_accept(crew.lane, crew.contexts[SERVER], &crew.pairs[0].hello,
		       (struct mt_ref){1, 1}, &r) == 0)
		n++;
	CU_ASSERT_EQUAL(n, (MT_TLS_RING - 1 - MT_TLS_RESERVE(MT_TLS_RING)) / pieces);
	CU_ASSERT_TRUE(connect_many() >= MT_TLS_RESERVE(MT_TLS_RING));
	tear_down();
}

/* Bytes that find no room go later, and are asked for. */
static void test_room(void)
{
	struct pair *p;
	uint8_t junk[3000] = {22, 3, 3, 0x40};

	set_up(1);
	p = &crew.pairs[0];
	have_hello(&crew);
	accept_it(&crew, p, 0);
	CU_ASSERT_TRUE(p->ends[SERVER].live);
	(void)connect_many();
	/* More than fits: nothing of it goes. */
	CU_ASSERT_EQUAL(mt_chain_write(&p->ends[SERVER].rx, crew.pools, junk, sizeof(junk)), 0);
	mt_tls_lane_more(crew.lane, p->ends[SERVER].handshake, &p->ends[SERVER].rx);
	CU_ASSERT_EQUAL(crew.lane->n_wanting, 1);
	CU_ASSERT_TRUE(mt_tls_lane_rung(crew.lane));
	CU_ASSERT_EQUAL(mt_tls_lane_take(crew.lane, 16, on_event, &crew), 0);
	CU_ASSERT_TRUE(mt_tls_lane_rung(crew.lane)); /* no sleep while somebody wants room */
	mt_tls_lane_cancel(crew.lane, p->ends[SERVER].handshake);
	CU_ASSERT_EQUAL(crew.lane->n_wanting, 0);
	tear_down();
}

static void count_room(void *arg, const struct mt_tls_event *e)
{
	(void)arg;
	n_told += e->kind == MT_TLS_EVENT_ROOM;
}

/* Who does not want it any more has been told once. */
static void test_room_is_told_once(void)
{
	struct end *s;

	set_up(1);
	s = &crew.pairs[0].ends[SERVER];
	have_hello(&crew);
	accept_it(&crew, &crew.pairs[0], 0);
	(void)connect_many();
	CU_ASSERT_EQUAL(mt_chain_write(&s->rx, crew.pools, "more", 4), 0);
	mt_tls_lane_more(crew.lane, s->handshake, &s->rx);
	CU_ASSERT_EQUAL(crew.lane->n_wanting, 1);
	mt_tls_lane_flush(crew.lane);
	wait_for(thread_sleeps);
	n_told = 0;
	while (mt_tls_lane_rung(crew.lane))
		(void)mt_tls_lane_take(crew.lane, 1000, count_room, NULL);
	CU_ASSERT_EQUAL(n_told, 1);
	tear_down();
}

static void on_room(void *arg, const struct mt_tls_event *e)
{
	if (e->owner.idx == SERVER)
		on_event(arg, e);
}

/* And they come when there is: the server refuses what is no second flight, having seen all of it. */
static void test_room_comes(void)
{
	struct end *s;
	uint8_t junk[3000] = {22, 3, 3, 0x0b, 0xb3};

	set_up(1);
	s = &crew.pairs[0].ends[SERVER];
	have_hello(&crew);
	accept_it(&crew, &crew.pairs[0], 0);
	(void)connect_many();
	CU_ASSERT_EQUAL(mt_chain_write(&s->rx, crew.pools, junk, sizeof(junk)), 0);
	mt_tls_lane_more(crew.lane, s->handshake, &s->rx);
	for (uint32_t ms = 0; !s->over && ms < PATIENT; ms++) {
		mt_tls_lane_flush(crew.lane);
		if (mt_tls_lane_take(crew.lane, 300, on_room, &crew) == 0)
			usleep(1000);
	}
	CU_ASSERT_TRUE(s->over);
	CU_ASSERT_EQUAL(s->result.reason, MT_TLS_WHY_protocol_error);
	CU_ASSERT_TRUE(s->rx.len < sizeof(junk)); /* the begin was enough */
	tear_down();
}

/* What is cancelled costs no object from the thread's next turn on. */
static void test_cancel(void)
{
	uint32_t n;

	set_up(1);
	n = connect_many();
	mt_tls_lane_flush(crew.lane);
	wait_for(lane_is_rung);
	wait_for(thread_sleeps);
	CU_ASSERT_FALSE(no_objects());
	for (uint32_t i = 0; i < n; i++)
		mt_tls_lane_cancel(crew.lane, (struct mt_ref){i, 1});
	CU_ASSERT_EQUAL(crew.lane->n_used, 0);
	mt_tls_lane_flush(crew.lane);
	wait_for(no_objects);
	tear_down();
}

/* Cancelled before the thread has looked: no object is ever made. */
static void test_cancelled_at_once(void)
{
	struct mt_tls_objects before = mt_tls_objects();
	struct mt_ref r;

	set_up(1);
	CU_ASSERT_EQUAL(mt_tls_lane_connect(
				crew.lane, crew.contexts[CLIENT], NULL, (struct mt_ref){0, 1}, &r),
		0);
	mt_tls_lane_cancel(crew.lane, r);
	mt_tls_lane_flush(crew.lane);
	wait_for(thread_sleeps);
	tear_down();
	CU_ASSERT_EQUAL(mt_tls_objects().made, before.made);
}

/* The pool ends with everything under way; contexts are held by nobody else. */
static void test_end_under_way(void)
{
	set_up(1);
	(void)connect_many();
	crew_leaves(&crew);
	mt_tls_lane_flush(crew.lane);
	tear_down();
	set_up(1);
	(void)connect_many();
	crew_leaves(&crew);
	tear_down(); /* nothing of it was ever looked at */
}

/* Half a hello, garbage: nothing is there to be handed over. */
static void test_half_a_hello(void)
{
	struct mt_tls_objects before = mt_tls_objects();
	uint8_t hello[2048];
	struct ends_plain plain;
	uint32_t n;

	ends_plain_new(&plain, MT_TLS_CLIENT, pki()->alice, TLS1_3_VERSION, NULL);
	SSL_do_handshake(plain.ssl);
	n = ends_plain_says(&plain, hello, sizeof(hello));
	ends_plain_free(&plain);
	set_up(1);
	for (uint32_t cut = 1; cut <= n; cut++) {
		struct pair *p = &crew.pairs[0];

		mt_hello_init(&p->hello, &p->ends[SERVER].rx);
		said(&crew, 0, SERVER, hello, cut);
		CU_ASSERT_EQUAL(crew.lane->begun, cut == n);
		CU_ASSERT_EQUAL(p->ends[SERVER].live, cut == n);
		if (cut < n)
			mt_chain_free(&p->ends[SERVER].rx);
	}
	CU_ASSERT_EQUAL(mt_tls_objects().made, before.made);
	mt_tls_lane_flush(crew.lane);
	wait_for(lane_is_rung);
	CU_ASSERT_EQUAL(mt_tls_objects().made, before.made + 1);
	tear_down();
}

static void test_long_name(void)
{
	char name[MT_TLS_NAME_MAX + 2];
	struct mt_ref r;

	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	set_up(1);
	CU_ASSERT_EQUAL(mt_tls_lane_connect(
				crew.lane, crew.contexts[CLIENT], name, (struct mt_ref){0, 1}, &r),
		-EINVAL);
	name[sizeof(name) - 2] = '\0';
	CU_ASSERT_EQUAL(mt_tls_lane_connect(
				crew.lane, crew.contexts[CLIENT], name, (struct mt_ref){0, 1}, &r),
		0);
	tear_down();
}

static void test_no_pool(void)
{
	struct mt_err e;

	CU_ASSERT_PTR_NULL(mt_tls_pool_new(0, 1, &e));
	CU_ASSERT_PTR_NULL(mt_tls_pool_new(1, 0, &e));
	CU_ASSERT_PTR_NULL(mt_tls_pool_new(1, MT_TLS_THREADS + 1, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "1 to 16"));
}

const struct mt_test pool_tests[] = {{"two workers, a thousand handshakes", test_thousand},
	{"two workers and three threads", test_more_threads},
	{"connections that are reset", test_resets},
	{"a completion of a gone generation", test_gone_generation},
	{"full rings and slots", test_full}, {"clients that begin leave a reserve", test_reserve},
	{"bytes that find no room", test_room}, {"bytes that find room later", test_room_comes},
	{"room is told once", test_room_is_told_once}, {"cancelled handshakes", test_cancel},
	{"cancelled before it is begun", test_cancelled_at_once},
	{"the end with handshakes under way", test_end_under_way},
	{"half a hello costs no object", test_half_a_hello},
	{"the longest server name", test_long_name}, {"pools that cannot be", test_no_pool}, {0}};
