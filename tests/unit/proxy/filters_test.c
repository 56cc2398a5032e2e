/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter in a shared object (tests/filters/guard.c) whose own thread decides: what it says, when it comes too late, and who
 * ends a call meanwhile. Time is virtual; the thread is real, and held where its moment matters.
 */
#include "scene.h"

#include "../../../lib/filter/module_priv.h"
#include "../../filters/guard.h"
#include "mt_proxy_priv.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 32 /* less than fit the guard's own queue */

static struct mt_filter_object *object;
static struct guard_control *guard;
static struct mt_filter_inst chain[3];
static void *handle;

/* So many decisions in all its thread makes, and no more for now. */
static void may(uint32_t n)
{
	pthread_mutex_lock(guard->lock);
	guard->may = n;
	pthread_cond_broadcast(guard->changed);
	pthread_mutex_unlock(guard->lock);
}

/* A service whose calls pass n filters of this object. */
static void start_with(const char *path, uint32_t n)
{
	char err[512] = "";

	scene_start(1);
	memset(&toy_noted, 0, sizeof(toy_noted));
	object = mt_filter_load(path, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(object);
	handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
	guard = dlsym(handle, "guard_control");
	CU_ASSERT_PTR_NOT_NULL_FATAL(guard);
	may(UINT32_MAX);
	guard->begun = guard->completed = guard->ended = guard->ended_asked = 0;
	for (uint32_t i = 0; i < n; i++) {
		chain[i] = (struct mt_filter_inst){.type = mt_filter_object_type(object)};
		CU_ASSERT_EQUAL_FATAL(mt_filter_object_configure(object, "method", 6,
					      &chain[i].conf, err, sizeof(err)),
			0);
	}
	scene_filters(chain, n);
}

static void start(uint32_t n)
{
	start_with(FILTERS "guard.so", n);
}

static void stop(uint32_t n)
{
	scene_stop();
	for (uint32_t i = 0; i < n; i++)
		chain[i].type->free_conf(chain[i].conf);
	dlclose(handle);
	mt_filter_unload(object);
}

static uint64_t filtered(enum mt_filter_outcome o)
{
	return lab.p->filters.counters[o];
}

static void ask(struct fake_conn *c, uint64_t id, const char *method)
{
	toy_make(scene_buf, 'Q', id, method, 64);
	lab_feed(c, scene_buf, 64);
}

/* Until the thread has told of so many, in all; then the worker takes a turn. */
static void until_told(uint32_t n)
{
	pthread_mutex_lock(guard->lock);
	while (guard->completed < n)
		pthread_cond_wait(guard->changed, guard->lock);
	pthread_mutex_unlock(guard->lock);
	lab_advance(1);
}

static struct mt_exchange *the_exchange(void)
{
	uint32_t i = 0;

	return mt_slab_next(&lab.p->exchanges, &i);
}

/* Two guards, one after the other: two waits of one call, each ended by its own ticket; both mark it. */
static void test_goes_on(void)
{
	struct fake_conn *c, *s;

	start(2);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	CU_ASSERT_EQUAL(the_exchange()->filter_at, 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	may(1);
	until_told(1);
	CU_ASSERT_EQUAL(the_exchange()->filter_at, 2);
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_SUSPENDED);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	/* What the first one has changed is charged to the client like the request. */
	CU_ASSERT(lab_holds(c).of[MT_CLASS_WAITING] > the_exchange()->req.truesize);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	may(2);
	until_told(2);
	s = scene_connected_server(0);
	/* The second one's change of the same key took the first one's place. */
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "checked=nice;");
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions), 2);
	CU_ASSERT_EQUAL(guard->ended, 0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT(guard->ended == 2 && guard->ended_asked == 2);
	CU_ASSERT_EQUAL(guard->how, MT_FILTER_ENDED_OK);
	scene_bye(c);
	stop(2);
}

/* It answers at once, by its thread, or lets pass what it need not ask about; its bytes begin with zero each time. */
static void test_answers(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	ask(c, 1, "evil");
	until_told(1);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_denied), 1);
	CU_ASSERT(guard->ended_asked == 1 && guard->how == MT_FILTER_ENDED_HERE);
	ask(c, 2, "free");
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT(guard->ended == 2 && guard->ended_asked == 1);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	scene_bye(c);
	stop(1);
}

/* The client leaves, then the thread speaks: another exchange in the same place does not hear it. */
static void test_client_leaves(void)
{
	struct fake_conn *c;
	struct mt_ref first;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	first = mt_slab_ref(&lab.p->exchanges, the_exchange());
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT(guard->ended == 1 && guard->how == MT_FILTER_ENDED_CLIENT_LEFT);
	c = lab_client(CONFIG_SAFE);
	ask(c, 2, "nice");
	CU_ASSERT_FALSE(mt_ref_eq(first, mt_slab_ref(&lab.p->exchanges, the_exchange())));
	may(1);
	until_told(1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_SUSPENDED);
	may(2);
	until_told(2);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions), 1);
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_TRYING);
	lab_close(c, MT_CLOSE_RESET);
	stop(1);
}

/* A second completion of a wait that is over does not end the next one. */
static void test_told_twice(void)
{
	struct fake_conn *c;
	struct mt_filter_ticket t;

	start(2);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	t = (struct mt_filter_ticket){.inbox = lab.p->filters.inbox->index,
		.serial = lab.p->filters.inbox->serial,
		.exchange = the_exchange()->self.idx,
		.generation = the_exchange()->self.gen,
		.wait = 1};
	scene_complete(&t, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(the_exchange()->filter_at, 2);
	scene_complete(&t, MT_FILTER_REPLY, "no");
	CU_ASSERT_PTR_NOT_NULL_FATAL(the_exchange());
	CU_ASSERT_EQUAL(the_exchange()->filter_at, 2);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	/* The first guard's thread speaks last. */
	may(1);
	until_told(1);
	may(UINT32_MAX);
	until_told(2);
	CU_ASSERT(
		filtered(MT_FILTER_completions) == 2 && filtered(MT_FILTER_completions_late) == 2);
	lab_close(c, MT_CLOSE_RESET);
	stop(2);
}

/* What is left of the time-out goes on through all of its waits; then the end is a native one. */
static void test_time_out(void)
{
	struct fake_conn *c;

	start(2);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	lab_advance(600 * MT_MSEC);
	may(1);
	until_told(1);
	CU_ASSERT_EQUAL(the_exchange()->filter_at, 2);
	lab_advance(350 * MT_MSEC);
	CU_ASSERT_PTR_NOT_NULL(the_exchange());
	lab_advance(100 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	CU_ASSERT(guard->ended == 2 && guard->how == MT_FILTER_ENDED_HERE);
	may(2);
	until_told(2);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	scene_bye(c);
	stop(2);
}

/* Behind its wait a call has what is left of the time-out, not all of it again. */
static void test_time_left(void)
{
	struct fake_conn *c;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	lab_advance(600 * MT_MSEC);
	may(1);
	until_told(1);
	scene_connected_server(0);
	lab_advance(350 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	lab_advance(100 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	scene_bye(c);
	stop(1);
}

/* A drain lets it come to its end; a worker that stops ends it, and the thread is told that. */
static void test_drain(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	mt_proxy_drain(lab.p);
	lab_advance(MT_MSEC);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	may(1);
	until_told(1);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	scene_quiet();
	lab_flush_detached();
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	stop(1);
}

static void test_worker_stops(void)
{
	struct fake_conn *c;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	mt_proxy_destroy(lab.p);
	CU_ASSERT(guard->ended == 1 && guard->how == MT_FILTER_ENDED_STOPPED);
	may(1);
	pthread_mutex_lock(guard->lock);
	while (guard->completed < 1)
		pthread_cond_wait(guard->changed, guard->lock);
	CU_ASSERT_EQUAL(guard->last, -ESHUTDOWN);
	pthread_mutex_unlock(guard->lock);
	chain[0].type->free_conf(chain[0].conf);
	dlclose(handle);
	mt_filter_unload(object);
	config_free(0);
}

/*
 * The thread speaks while the worker takes turns, and nothing orders them but the inbox itself: what is not is a race, which the
 * thread sanitizer sees.
 */
static void test_beside_the_worker(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 1; i <= 320; i++) {
		ask(c, i, "nice");
		lab_advance(1);
		if (i % AT_ONCE)
			continue;
		until_told(i);
		s = scene_connected_server(0);
		for (uint32_t k = 0; k < AT_ONCE; k++) {
			scene_answer(s, scene_next_sent(s).id, 9, 40);
			CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
		}
	}
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions), 320);
	CU_ASSERT(guard->ended == 320 && guard->ended_asked == 320);
	scene_bye(c);
	stop(1);
}

/* More tell than the ring takes: the guard's thread tries again, and the call goes on. */
static void test_full(void)
{
	const struct mt_filter_completion how = {.size = sizeof(how)};
	struct mt_filter_ticket t = {0};
	struct fake_conn *c, *s;
	uint32_t n = 0;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	t.inbox = lab.p->filters.inbox->index;
	t.serial = lab.p->filters.inbox->serial;
	while (mt_filter_complete(&t, &how) == 0)
		n++;
	may(1);
	while (__atomic_load_n(&lab.p->filters.inbox->full, __ATOMIC_RELAXED) < 2)
		usleep(100);
	CU_ASSERT_EQUAL(guard->completed, 0);
	/* A bounded number each turn; nobody sleeps meanwhile. */
	lab_advance(1);
	CU_ASSERT(filtered(MT_FILTER_completions_full) >= 2);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 256);
	CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.p->now);
	for (uint32_t i = 0; i < 4; i++)
		lab_advance(1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), n);
	until_told(1);
	CU_ASSERT_EQUAL(guard->last, 0);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	lab_advance(MT_USEC);
	CU_ASSERT(mt_proxy_next(lab.p) > lab.p->now);
	scene_bye(c);
	stop(1);
}

/* The configuration that a call moves to has the filter, or has it not any more: it ends for it there, once. */
static void test_another_snapshot(void)
{
	struct fake_conn *c, *s;
	struct mt_service other = {0};

	start(1);
	c = lab_client(CONFIG_SAFE);
	ask(c, 1, "free");
	mt_exchange_filters_snap_move(
		lab.p, the_exchange(), lab.snap->listeners[0].protos->services[0]);
	CU_ASSERT_EQUAL(guard->ended, 0);
	mt_exchange_filters_snap_move(lab.p, the_exchange(), &other);
	CU_ASSERT(guard->ended == 1 && guard->how == MT_FILTER_ENDED_UNBOUND);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_EQUAL(guard->ended, 1);
	scene_bye(c);
	stop(1);
}

/* A newer configuration with the same filter, used by another conf or the same one, that all have to move to. */
static void publish(struct mt_filter_inst *filters)
{
	static uint64_t mem[64];
	struct mt_snapshot *s = config_make(1, lab.snap->version + 1, 1, true);
	struct mt_service *service = s->listeners[0].protos->services[0];
	char err[256];

	service->filter_insts = filters;
	service->n_filter_insts = 1;
	service->filters = mt_filters_compile(mem, filters, 1, err, sizeof(err));
	s->keep_from = s->version;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
}

/* Its thread may still use the conf of the question: the call does not move to another one, and ends before the old one goes. */
static void test_another_conf(void)
{
	struct mt_filter_inst other;
	struct fake_conn *c;
	char err[256];

	start(1);
	other = (struct mt_filter_inst){.type = chain[0].type};
	CU_ASSERT_EQUAL_FATAL(
		mt_filter_object_configure(object, "method", 6, &other.conf, err, sizeof(err)), 0);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	publish(&other);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_NO_ROUTE);
	CU_ASSERT(guard->ended == 1 && guard->how == MT_FILTER_ENDED_HERE);
	CU_ASSERT_PTR_EQUAL(guard->by, ((const struct mt_filter_use *)chain[0].conf)->conf);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	may(1);
	until_told(1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	scene_bye(c);
	other.type->free_conf(other.conf);
	stop(1);
	config_free(1);
}

/* With the same conf it waits on. */
static void test_same_conf(void)
{
	struct fake_conn *c;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	publish(chain);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_SUSPENDED);
	may(1);
	until_told(1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions), 1);
	CU_ASSERT_EQUAL(guard->ended, 0);
	lab_close(c, MT_CLOSE_RESET);
	stop(1);
	config_free(1);
}

/* A call that waits holds no more memory than its bytes need, whatever buffers they came in. */
static void test_copied_together(void)
{
	struct fake_conn *c;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	toy_make(scene_buf, 'Q', 1, "nice", 64);
	lab_feed_pieces(c, scene_buf, 64, 8);
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_SUSPENDED);
	CU_ASSERT_EQUAL(the_exchange()->req.segs, 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	lab_close(c, MT_CLOSE_RESET);
	stop(1);
}

/* Tickets that nobody was given end nothing, and nothing is read that is not there. */
static void test_damaged_tickets(void)
{
	struct fake_conn *c;
	struct mt_filter_ticket t;

	start(1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "nice");
	t = (struct mt_filter_ticket){.inbox = lab.p->filters.inbox->index,
		.serial = lab.p->filters.inbox->serial,
		.exchange = UINT32_MAX,
		.generation = the_exchange()->self.gen,
		.wait = 1};
	scene_complete(&t, MT_FILTER_NEXT, NULL);
	t.exchange = lab.p->exchanges.cap;
	scene_complete(&t, MT_FILTER_NEXT, NULL);
	/* A place that was never used; its memory looks like a call that waits. */
	t.exchange = lab.p->exchanges.cap - 1;
	t.generation = 0;
	scene_complete(&t, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 3);
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_SUSPENDED);
	lab_close(c, MT_CLOSE_RESET);
	stop(1);
}

/* A server's reply, whose method its filters read. */
static void reply(struct fake_conn *s, const char *method)
{
	uint64_t id = scene_next_sent(s).id;

	toy_make(scene_buf, 'P', 9, method, 40);
	for (int i = 0; i < 8; i++)
		scene_buf[8 + i] = (uint8_t)(id >> (56 - 8 * i));
	lab_feed(s, scene_buf, 40);
}

/* Its thread decides about replies: one passes with a mark, one is denied. */
static void test_reviews_replies(void)
{
	struct fake_conn *c, *s;

	start_with(FILTERS "review.so", 1);
	c = lab_client(CONFIG_SAFE);
	may(0);
	ask(c, 1, "call");
	s = scene_connected_server(0);
	reply(s, "nice");
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_FILTERING);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	may(1);
	until_told(1);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "checked=nice;");
	CU_ASSERT_EQUAL(guard->how, MT_FILTER_ENDED_OK);
	may(2);
	ask(c, 2, "call");
	reply(s, "evil");
	until_told(2);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_DENIED);
	CU_ASSERT(guard->ended == 2 && guard->how == MT_FILTER_ENDED_HERE);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions), 2);
	scene_bye(c);
	stop(1);
}

/* An object of version 1 of the ABI works as before: its replies may not wait. */
static void test_first_version(void)
{
	struct fake_conn *c, *s;

	start_with(FILTERS "review_first.so", 1);
	c = lab_client(CONFIG_SAFE);
	ask(c, 1, "call");
	s = scene_connected_server(0);
	reply(s, "free");
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	ask(c, 2, "call");
	reply(s, "nice");
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_verdicts_wrong), 1);
	until_told(1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	scene_bye(c);
	stop(1);
}

/* ---- a filter of this file ------------------------------------------------------------------------ */

static uint32_t kept;

/*
 * A value that crosses buffers is in the view's scratch. The time-out lies in the same bytes of a toy's message, so that a
 * mark shows whether they were read once more to there.
 */
static enum mt_filter_verdict asks_for_time(void *conf, struct mt_filter_call *call)
{
	struct mt_filter_text said = {0};

	CU_ASSERT_FATAL(mt_filter_host_of(MT_FILTER_ABI_VERSION)->get(call, "method", 6, &said));
	CU_ASSERT_PTR_EQUAL_FATAL(said.p, lab.p->view.scratch);
	lab.p->view.scratch[0] = '#';
	CU_ASSERT(mt_filter_host_of(MT_FILTER_ABI_VERSION)->remaining(call) > 0);
	kept += said.p[0] == '#';
	return MT_FILTER_NEXT;
}

static void test_text_and_time(void)
{
	static const struct mt_filter_module module = {.name = "here", .on_request = asks_for_time};
	const struct mt_filter type = mt_filter_type_of(&module);
	struct mt_filter_use use = {.module = &module};
	struct mt_filter_inst f = {.type = &type, .conf = &use};
	struct fake_conn *c;

	scene_start(1);
	scene_filters(&f, 1);
	lab.snap->listeners[0].protos->services[0]->timeout_ms = 0;
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "0900", 64);
	kept = 0;
	lab_feed_pieces(c, scene_buf, 64, 18);
	CU_ASSERT_EQUAL(kept, 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test filters_tests[] = {
	{"waits for a thread, twice", test_goes_on},
	{"a thread beside the worker", test_beside_the_worker},
	{"answers", test_answers},
	{"its client leaves", test_client_leaves},
	{"told twice", test_told_twice},
	{"a time-out", test_time_out},
	{"the time that is left", test_time_left},
	{"a drain", test_drain},
	{"its worker stops", test_worker_stops},
	{"more are told than fit", test_full},
	{"in another configuration", test_another_snapshot},
	{"waiting, with another conf", test_another_conf},
	{"waiting, with the same conf", test_same_conf},
	{"copied together", test_copied_together},
	{"tickets that are damaged", test_damaged_tickets},
	{"a text and the time that is left", test_text_and_time},
	{"its thread decides about replies", test_reviews_replies},
	{"the first version of the ABI", test_first_version},
	{0},
};
