/* SPDX-License-Identifier: Apache-2.0 */
/* A small world of two slabs, a list, chains and timers: saved, loaded into another one, and spoiled in every way. */
#include "mt_image.h"

#include "../../eal_unpinned.h"
#include "mt_test.h"

#include <errno.h>
#include <string.h>

static struct mt_pools pools;
static uint32_t data_full, ctrl_full;

struct node {
	struct mt_ref self;
	struct mt_list link;
	struct node *friend; /* another one, or NULL */
	struct mt_timer timer;
	struct mt_chain bytes;
	struct rte_mbuf *at; /* of `bytes` */
	struct mt_stream s;
};

struct room {
	struct mt_slab nodes, marks;
	struct mt_list all;
	struct mt_wheel wheel;
	struct mt_ledger ledger;
};

static const struct mt_stream_user users[2];
static const uint64_t key[2] = {1, 2};
static uint32_t mark_size = 24;

static void room_init(struct room *r)
{
	memset(r, 0, sizeof(*r));
	CU_ASSERT_EQUAL_FATAL(mt_slab_init(&r->nodes, "nodes", sizeof(struct node), 64), 0);
	CU_ASSERT_EQUAL_FATAL(mt_slab_init(&r->marks, "marks", mark_size, 64), 0);
	CU_ASSERT_EQUAL_FATAL(mt_ledger_init(&r->ledger, 64, key), 0);
	mt_list_init(&r->all);
	mt_wheel_init(&r->wheel, 5 * MT_SEC);
}

static void room_fini(struct room *r)
{
	struct node *n;
	uint32_t i = 0;

	while ((n = mt_slab_next(&r->nodes, &i)))
		mt_chain_free(&n->bytes);
	mt_slab_fini(&r->nodes);
	mt_slab_fini(&r->marks);
	mt_ledger_fini(&r->ledger);
}

static void visit(struct mt_image *im, void *obj, void *arg)
{
	struct node *n = obj;

	(void)arg;
	mt_image_list(im, &n->link);
	mt_image_pointer(im, &n->friend);
	mt_image_list(im, &n->timer.node);
	mt_image_chain(im, &n->bytes);
	mt_image_place(im, &n->bytes, &n->at);
	mt_image_stream_user(im, &n->s);
}

static void whole(struct room *r, struct mt_image *im)
{
	mt_image_space(im, r, sizeof(*r));
	mt_image_space_slab(im, &r->nodes);
	mt_image_user(im, &users[0], r);
	mt_image_section(im, "room");
	mt_image_slab(im, &r->marks, NULL, NULL);
	mt_image_slab(im, &r->nodes, visit, NULL);
	mt_image_list(im, &r->all);
	mt_image_wheel(im, &r->wheel);
	mt_image_ledger(im, &r->ledger);
}

static struct node *node_new(struct room *r, const char *bytes)
{
	struct node *n = mt_slab_alloc(&r->nodes, NULL);

	n->self = mt_slab_ref(&r->nodes, n);
	mt_list_add_tail(&r->all, &n->link);
	mt_timer_init(&n->timer);
	n->s.user = &users[0];
	for (; *bytes; bytes++) { /* each in a buffer of its own, every other one a small one */
		struct rte_mbuf *m = *bytes % 2 ? mt_buf_data(&pools) : mt_buf_ctrl(&pools);

		*rte_pktmbuf_mtod(m, char *) = *bytes;
		mt_chain_append(&n->bytes, m, m->data_off, 1);
		mt_link(m)->mark = (uint64_t)*bytes << 40;
	}
	n->at = n->bytes.tail;
	return n;
}

/* Four, of which one is gone; they know each other, and two of them have timers. */
static void populate(struct room *r)
{
	struct mt_sums none = {0}, some = {.of = {40000}};
	struct mt_account_owner owner = {.conn = 3, .peer = mt_addr4(7)};
	uint32_t account = 0;
	struct node *a = node_new(r, "abc"), *b = node_new(r, ""), *gone = node_new(r, "x"),
		    *d = node_new(r, "defg");

	a->friend = d;
	d->friend = a;
	b->friend = b;
	mt_list_del(&gone->link);
	mt_chain_free(&gone->bytes);
	mt_slab_free(&r->nodes, gone);
	mt_wheel_arm(&r->wheel, &a->timer, 6 * MT_SEC);
	mt_wheel_arm(&r->wheel, &d->timer, 4000 * MT_SEC);
	CU_ASSERT_PTR_NOT_NULL(mt_slab_alloc(&r->marks, NULL));
	mt_ledger_settle(&r->ledger, &account, &none, &some, &owner, true);
}

static struct mt_image saved_image(struct room *r)
{
	struct mt_image im;

	mt_image_begin(&im);
	whole(r, &im);
	CU_ASSERT_EQUAL_FATAL(mt_image_seal(&im), 0);
	return im;
}

static int loaded(struct room *r, const struct mt_image *saved, const char **why)
{
	struct mt_image im;
	int rc = mt_image_open(&im, saved->bytes, saved->len, &pools);

	room_init(r);
	if (!rc) {
		whole(r, &im);
		rc = mt_image_end(&im);
	}
	*why = im.why;
	return rc;
}

static void all_back(void)
{
	mt_pools_sample(&pools);
	CU_ASSERT_EQUAL(pools.data_free, data_full);
	CU_ASSERT_EQUAL(pools.ctrl_free, ctrl_full);
}

/* ---- what comes back ---------------------------------------------------------------------------- */

static uint32_t fired;

static void fire(void *arg, struct mt_timer *t)
{
	struct room *r = arg;

	CU_ASSERT((uint8_t *)t > r->nodes.base);
	fired++;
}

static void check_chain(const struct mt_chain *c, const char *bytes)
{
	const struct rte_mbuf *m = c->head;

	CU_ASSERT_EQUAL_FATAL(c->len, strlen(bytes));
	CU_ASSERT_EQUAL(c->segs, strlen(bytes));
	for (; m; m = mt_link(m)->next, bytes++) {
		CU_ASSERT_EQUAL(*mt_link_data(m), *bytes);
		CU_ASSERT_EQUAL(mt_link(m)->mark, (uint64_t)*bytes << 40);
		CU_ASSERT_EQUAL(m->buf_len > MT_BUF_CTRL_ROOM, *bytes % 2 != 0);
	}
}

static void as_it_was(void)
{
	struct room from, to;
	struct mt_image im;
	struct node *a, *d;
	const char *why;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	CU_ASSERT_EQUAL(im.buffers, 7);
	CU_ASSERT_EQUAL_FATAL(loaded(&to, &im, &why), 0);
	room_fini(&from); /* and nothing of it is needed any more */
	mt_image_free(&im);

	CU_ASSERT_EQUAL(to.nodes.in_use, 3);
	CU_ASSERT_EQUAL(to.marks.in_use, 1);
	a = mt_slab_at(&to.nodes, 0);
	d = mt_slab_at(&to.nodes, 3);
	CU_ASSERT(mt_slab_live(&to.nodes, a->self) && mt_slab_live(&to.nodes, d->self));
	CU_ASSERT_PTR_EQUAL(a->friend, d);
	CU_ASSERT_PTR_EQUAL(d->friend, a);
	check_chain(&a->bytes, "abc");
	check_chain(&d->bytes, "defg");
	CU_ASSERT_PTR_EQUAL(d->at, d->bytes.tail);
	CU_ASSERT_PTR_NULL(((struct node *)mt_slab_at(&to.nodes, 1))->at);
	CU_ASSERT_PTR_EQUAL(a->s.user, &users[0]);
	CU_ASSERT_PTR_EQUAL(a->s.user_ctx, &to);
	CU_ASSERT_PTR_EQUAL(to.all.next, &a->link);
	CU_ASSERT_PTR_EQUAL(to.all.prev, &d->link);
	fired = 0;
	mt_wheel_run(&to.wheel, 7 * MT_SEC, 10, fire, &to);
	CU_ASSERT_EQUAL(fired, 1);
	mt_wheel_run(&to.wheel, 4001 * MT_SEC, 10, fire, &to);
	CU_ASSERT_EQUAL(fired, 2);
	CU_ASSERT_PTR_NULL(mt_ledger_wrong(&to.ledger));
	CU_ASSERT_EQUAL(to.ledger.classes[0].charged, 40000);
	CU_ASSERT_EQUAL(to.ledger.holders.in_use, 1);
	/* The one that was gone is free, and every other index. */
	for (int i = 0; i < 61; i++)
		CU_ASSERT_PTR_NOT_NULL(mt_slab_alloc(&to.nodes, NULL));
	CU_ASSERT_PTR_NULL(mt_slab_alloc(&to.nodes, NULL));
	room_fini(&to);
	all_back();
}

/* Two chains with one buffer, of which one has another buffer before: its bytes are in the image once. */
static void shared_stays_shared(void)
{
	enum { LEN = 1500 };
	struct room from, to;
	struct node *a, *b;
	struct mt_image im;
	const char *why;
	uint8_t bytes[LEN], *at;

	memset(bytes, 'x', LEN);
	room_init(&from);
	a = node_new(&from, "");
	b = node_new(&from, "g");
	CU_ASSERT_EQUAL(mt_chain_write(&a->bytes, &pools, bytes, LEN), 0);
	CU_ASSERT_EQUAL(mt_chain_clone(&a->bytes, LEN, &b->bytes, &pools), 0);
	mt_link(b->bytes.tail)->mark = 7;
	im = saved_image(&from);
	at = memmem(im.bytes, im.len, bytes, LEN);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_PTR_NULL(memmem(at + LEN, im.len - (size_t)(at + LEN - im.bytes), bytes, LEN));
	room_fini(&from);
	CU_ASSERT_EQUAL_FATAL(loaded(&to, &im, &why), 0);
	a = mt_slab_at(&to.nodes, 0);
	b = mt_slab_at(&to.nodes, 1);
	CU_ASSERT_EQUAL(a->bytes.len, LEN);
	CU_ASSERT_EQUAL(b->bytes.len, LEN + 1);
	CU_ASSERT_EQUAL(b->bytes.segs, 2);
	CU_ASSERT_PTR_EQUAL(mt_link_data(a->bytes.head), mt_link_data(b->bytes.tail));
	CU_ASSERT_EQUAL(memcmp(mt_link_data(b->bytes.tail), bytes, LEN), 0);
	CU_ASSERT_EQUAL(a->bytes.truesize, mt_buf_truesize(a->bytes.head));
	CU_ASSERT_FALSE(mt_buf_writable(a->bytes.head));
	CU_ASSERT_EQUAL(mt_link(b->bytes.tail)->mark, 7);
	mt_chain_free(&a->bytes);
	CU_ASSERT_EQUAL(memcmp(mt_link_data(b->bytes.tail), bytes, LEN), 0);
	room_fini(&to);
	mt_image_free(&im);
	all_back();
}

/* Many, so that the table of what is shared grows. */
static void many_shared(void)
{
	enum { LEN = 400, N = 300 };
	struct room from, to;
	struct node *a, *b;
	struct mt_image im;
	const struct rte_mbuf *x, *y;
	const char *why;

	room_init(&from);
	a = node_new(&from, "");
	b = node_new(&from, "");
	for (uint32_t i = 0; i < N; i++) {
		struct rte_mbuf *m = mt_buf_data(&pools);

		memcpy(rte_pktmbuf_mtod(m, void *), &i, sizeof(i));
		mt_chain_append(&a->bytes, m, m->data_off, LEN);
	}
	CU_ASSERT_EQUAL(mt_chain_clone(&a->bytes, N * LEN, &b->bytes, &pools), 0);
	im = saved_image(&from);
	CU_ASSERT_TRUE(im.len < 2 * N * LEN);
	room_fini(&from);
	CU_ASSERT_EQUAL_FATAL(loaded(&to, &im, &why), 0);
	a = mt_slab_at(&to.nodes, 0);
	b = mt_slab_at(&to.nodes, 1);
	y = b->bytes.head;
	for (x = a->bytes.head; x && y; x = mt_link(x)->next, y = mt_link(y)->next)
		CU_ASSERT_PTR_EQUAL(mt_link_data(x), mt_link_data(y));
	CU_ASSERT_PTR_NULL(y);
	for (uint32_t i = 0; i < N; i++) {
		uint32_t is;

		mt_chain_read(&b->bytes, i * LEN, &is, sizeof(is));
		CU_ASSERT_EQUAL(is, i);
	}
	room_fini(&to);
	mt_image_free(&im);
	all_back();
}

/* ---- what is refused ---------------------------------------------------------------------------- */

static void damaged(void)
{
	struct room from, to;
	struct mt_image im;
	const char *why;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	for (size_t i = 0; i < im.len; i += i < 64 ? 1 : 13) {
		im.bytes[i] ^= 0x40;
		CU_ASSERT_EQUAL(loaded(&to, &im, &why), -EINVAL);
		room_fini(&to);
		im.bytes[i] ^= 0x40;
	}
	mt_image_free(&im);
	room_fini(&from);
	all_back();
}

/* As if it were sound: each reading function finds the end by itself. */
static void cut_short(void)
{
	struct room from, to;
	struct mt_image im, cut;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	for (size_t len = 32; len < im.len; len += 7) {
		CU_ASSERT_EQUAL(mt_image_open(&cut, im.bytes, im.len, &pools), 0);
		cut.len = len;
		room_init(&to);
		whole(&to, &cut);
		CU_ASSERT_EQUAL(mt_image_end(&cut), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(cut.why);
		room_fini(&to);
	}
	mt_image_free(&im);
	room_fini(&from);
	all_back();
}

/* Any byte behind the head may be anything: no access outside, nothing lost. */
static void garbled(void)
{
	struct room from, to;
	struct mt_image im, bad;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	for (size_t i = 32; i < im.len; i++) {
		uint8_t was = im.bytes[i];

		CU_ASSERT_EQUAL(mt_image_open(&bad, im.bytes, im.len, &pools), 0);
		im.bytes[i] = (uint8_t)~was;
		room_init(&to);
		whole(&to, &bad);
		mt_image_end(&bad);
		im.bytes[i] = was;
		room_fini(&to);
	}
	mt_image_free(&im);
	room_fini(&from);
	all_back();
}

static int saved_rc(struct room *r)
{
	struct mt_image im;
	int rc;

	mt_image_begin(&im);
	whole(r, &im);
	rc = mt_image_seal(&im);
	mt_image_free(&im);
	return rc;
}

static void leads_out(void)
{
	struct room r;
	struct node *n, out = {0};

	room_init(&r);
	n = node_new(&r, "a");
	n->friend = &out;
	CU_ASSERT_EQUAL(saved_rc(&r), -ENOTSUP);
	n->friend = NULL;
	CU_ASSERT_EQUAL(saved_rc(&r), 0);
	n->s.user = &users[1];
	CU_ASSERT_EQUAL(saved_rc(&r), -ENOTSUP);
	n->s.user = NULL;
	n->at = mt_buf_data(&pools);
	CU_ASSERT_EQUAL(saved_rc(&r), -ENOTSUP);
	mt_buf_free(n->at);
	room_fini(&r);
	all_back();
}

static void another_build(void)
{
	struct room from, to;
	struct mt_image im;
	const char *why;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	mark_size = 32;
	CU_ASSERT_EQUAL(loaded(&to, &im, &why), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "objects of the image have another size in this build");
	mark_size = 24;
	room_fini(&to);
	mt_image_free(&im);
	room_fini(&from);
}

/* Of the version before notes of calls had metadata. */
static void another_version(void)
{
	const uint32_t before = 3;
	struct room from, to;
	struct mt_image im;
	const char *why;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	memcpy(im.bytes + 16, &before, sizeof(before)); /* after the magic and the sum */
	CU_ASSERT_EQUAL(loaded(&to, &im, &why), -EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "it is an image of another version");
	room_fini(&to);
	mt_image_free(&im);
	room_fini(&from);
	all_back();
}

static void no_buffers(void)
{
	static struct rte_mbuf *taken[4096];
	struct room from, to;
	struct mt_image im;
	const char *why;
	uint32_t n = 0;

	room_init(&from);
	populate(&from);
	im = saved_image(&from);
	while ((taken[n] = mt_buf_data(&pools)))
		n++;
	mt_buf_free(taken[--n]); /* one is left */
	CU_ASSERT_EQUAL(loaded(&to, &im, &why), -ENOMEM);
	room_fini(&to);
	while (n > 0)
		mt_buf_free(taken[--n]);
	CU_ASSERT_EQUAL(loaded(&to, &im, &why), 0);
	room_fini(&to);
	mt_image_free(&im);
	room_fini(&from);
	all_back();
}

static const struct mt_test tests[] = {
	{"comes back as it was", as_it_was},
	{"what is shared stays shared", shared_stays_shared},
	{"much is shared", many_shared},
	{"a damaged one is refused", damaged},
	{"one that is cut short is refused", cut_short},
	{"a garbled one does no harm", garbled},
	{"what leads out of the worker is refused", leads_out},
	{"one of another build is refused", another_build},
	{"one of another version is refused", another_version},
	{"not enough buffers", no_buffers},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"image", tests}, {0}};
	char *eal[] = {"unit", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};
	int rc;

	if (eal_init_unpinned(MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&pools, "t", 1023, 1023, MT_BUF_DATA_ROOM, SOCKET_ID_ANY)) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	mt_pools_sample(&pools);
	data_full = pools.data_free;
	ctrl_full = pools.ctrl_free;
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&pools);
	return rc;
}
