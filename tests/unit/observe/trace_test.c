/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_trace.h"

#include <string.h>

#include "suites.h"

static struct mt_trace *with(const char *expr, bool packets, uint32_t count)
{
	struct mt_trace_conf conf = {
		.worker = 3, .exchanges = !packets, .packets = packets, .count = count};
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_expr_compile(&conf.expr, expr, ~0ull, &e), 0);
	return mt_trace_new(&conf);
}

static struct mt_tuple conn(uint8_t host)
{
	struct mt_tuple t = {.lport = 80, .rport = 1000};

	t.local = mt_addr4(0x01010101);
	t.remote = mt_addr4(0x02020200u | host);
	return t;
}

static uint16_t begin(struct mt_trace *t, uint64_t key, const char *method)
{
	struct mt_expr_values v = {0};

	mt_expr_set_str(&v, MT_EXPR_method, method);
	return mt_trace_begin(t, key, &v);
}

/* Answered, at the end of its turn. */
static void finish(struct mt_trace *t, uint16_t number, uint64_t key, const char *status)
{
	struct mt_trace_journey *j = mt_trace_journey(t, number, key);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	mt_trace_know_str(j, MT_EXPR_status, status);
	mt_trace_step(t, j, MT_TRACE_end, &status, 1, (uint64_t[]){7}, 1);
	mt_trace_end(t, j);
	mt_trace_turn_end(t);
}

static uint32_t taken(struct mt_trace *t, struct mt_trace_journey *last)
{
	uint32_t at = 0, n = 0;

	while (mt_trace_take(t, &at, last))
		n++;
	return n;
}

static void known_late(void)
{
	struct mt_trace *t = with("method=say* status!=ok", false, 10);
	struct mt_trace_journey *j = malloc(sizeof(*j));
	uint16_t a = begin(t, 1, "sayHello"), b = begin(t, 2, "sayHello");

	CU_ASSERT_EQUAL(begin(t, 3, "other"), 0);
	CU_ASSERT(a && b && a != b);
	CU_ASSERT_EQUAL(taken(t, j), 0);
	finish(t, a, 1, "ok");
	CU_ASSERT_EQUAL(taken(t, j), 0);
	finish(t, b, 2, "timeout");
	CU_ASSERT_EQUAL(taken(t, j), 1);
	CU_ASSERT_EQUAL(j->n_steps, 1);
	CU_ASSERT_STRING_EQUAL(j->steps[0].text, "timeout");
	CU_ASSERT_EQUAL(j->steps[0].numbers[0], 7);
	/* Its texts moved along. */
	CU_ASSERT(mt_slice_eq_str(j->values.v[MT_EXPR_method].text, "sayHello"));
	CU_ASSERT((const char *)j->values.v[MT_EXPR_method].text.p >= j->pool &&
		  (const char *)j->values.v[MT_EXPR_method].text.p < j->pool + sizeof(j->pool));
	CU_ASSERT_EQUAL(t->stats.looked_at, 3);
	CU_ASSERT_EQUAL(t->stats.kept, 1);
	CU_ASSERT_EQUAL(t->stats.forgotten, 1);
	free(j);
	mt_trace_free(t);
}

static void stale_numbers(void)
{
	struct mt_trace *t = with("", false, 10);
	uint16_t a = begin(t, 1, "m");

	CU_ASSERT_PTR_NOT_NULL(mt_trace_journey(t, a, 1));
	CU_ASSERT_PTR_NULL(mt_trace_journey(t, a, 2));
	CU_ASSERT_PTR_NULL(mt_trace_journey(NULL, a, 1));
	CU_ASSERT_PTR_NULL(mt_trace_journey(t, UINT16_MAX, 1));
	finish(t, a, 1, "ok");
	CU_ASSERT_PTR_NULL(mt_trace_journey(t, a, 1));
	mt_trace_free(t);
}

static void bounds(void)
{
	struct mt_trace *t = with("", false, 2);
	struct mt_trace_journey *j = malloc(sizeof(*j)), *live;
	uint32_t begun = 0;
	char endless[2 * MT_TRACE_TEXT];
	const char *texts[] = {endless, NULL, endless, "last"};

	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	for (uint64_t key = 1; key <= 2 * MT_TRACE_JOURNEYS; key++)
		begun += begin(t, key, endless) != 0;
	CU_ASSERT_EQUAL(begun, MT_TRACE_JOURNEYS);
	CU_ASSERT_EQUAL(t->stats.missed, MT_TRACE_JOURNEYS);
	/* A journey holds what it holds. */
	live = mt_trace_journey(t, 1, 1);
	for (uint32_t i = 0; i < MT_TRACE_STEPS + 5; i++)
		mt_trace_step(t, live, MT_TRACE_send, texts, 4, NULL, 0);
	CU_ASSERT_EQUAL(live->n_steps, MT_TRACE_STEPS);
	CU_ASSERT_EQUAL(live->lost, 5);
	CU_ASSERT_EQUAL(live->steps[0].text[MT_TRACE_TEXT - 1], '\0');
	for (uint64_t key = 1; key <= MT_TRACE_JOURNEYS; key++) {
		mt_trace_know_str(&t->journeys[key - 1], MT_EXPR_status, endless);
		mt_trace_end(t, &t->journeys[key - 1]);
	}
	mt_trace_turn_end(t);
	/* No more than were asked for are kept, and no more begin. */
	CU_ASSERT_EQUAL(taken(t, j), 2);
	CU_ASSERT_EQUAL(begin(t, 1000, "m"), 0);
	free(j);
	mt_trace_free(t);
}

static struct mt_trace_packet packet(const struct mt_tuple *c, bool tx)
{
	struct mt_trace_packet p = {
		.proto = "tcp", .port = "p0", .len = 100, .payload = 40, .flags = 0x18};

	p.src = tx ? c->local : c->remote;
	p.sport = tx ? c->lport : c->rport;
	p.dst = tx ? c->remote : c->local;
	p.dport = tx ? c->rport : c->lport;
	return p;
}

static bool has(const struct mt_trace_journey *j, enum mt_trace_point point)
{
	for (uint32_t i = 0; i < j->n_steps; i++)
		if (j->steps[i].point == point)
			return true;
	return false;
}

static void packets_of_an_exchange(void)
{
	static const struct mt_outcome row = {"rx_tcp", MT_SEV_INFO, "accepted"};
	struct mt_trace *t = with("", false, 2);
	struct mt_tuple down = conn(1), up = conn(2);
	struct mt_trace_packet in = packet(&down, false), out = packet(&up, true);
	struct mt_trace_packet other = packet(&down, true);
	struct mt_trace_journey *j;
	struct mt_trace_note *n = mt_trace_note(t, &in, false);

	n->net = &row;
	n->buffer = &in;
	CU_ASSERT_PTR_EQUAL(mt_trace_note_in(t, &in), n);
	CU_ASSERT_PTR_NULL(mt_trace_note_in(t, &out));
	j = mt_trace_journey(t, begin(t, 1, "m"), 1);
	mt_trace_arrivals(t, j, &down);
	CU_ASSERT(has(j, MT_TRACE_port_rx));
	CU_ASSERT(has(j, MT_TRACE_net_in));
	CU_ASSERT(!has(j, MT_TRACE_tcp_in));
	mt_trace_watch(t, j, &up);
	mt_trace_note_sent(t, mt_trace_note(t, &other, true));
	CU_ASSERT(!has(j, MT_TRACE_port_tx));
	mt_trace_note(t, &out, true);
	mt_trace_note_undo(t);
	CU_ASSERT(!has(j, MT_TRACE_port_tx));
	mt_trace_note_sent(t, mt_trace_note(t, &out, true));
	CU_ASSERT(has(j, MT_TRACE_port_tx));
	/* The next turn's segments are somebody else's. */
	mt_trace_turn_end(t);
	j->n_steps = 0;
	mt_trace_note_sent(t, mt_trace_note(t, &out, true));
	CU_ASSERT_EQUAL(j->n_steps, 0);
	CU_ASSERT_PTR_NULL(mt_trace_note_in(t, &in));
	mt_trace_free(t);
}

static void many_segments(void)
{
	struct mt_trace *t = with("", false, 2);
	struct mt_tuple down = conn(1), flood = conn(9);
	struct mt_trace_packet in = packet(&down, false), noise = packet(&flood, false);
	struct mt_trace_journey *j;
	uint32_t arrivals = 0;

	for (int i = 0; i < 7; i++)
		mt_trace_note(t, &in, false);
	j = mt_trace_journey(t, begin(t, 1, "m"), 1);
	mt_trace_arrivals(t, j, &down);
	for (uint32_t i = 0; i < j->n_steps; i++)
		arrivals += j->steps[i].point == MT_TRACE_port_rx;
	CU_ASSERT_EQUAL(arrivals, MT_TRACE_SEGMENTS);
	CU_ASSERT_EQUAL(j->steps[0].point, MT_TRACE_more_segments);
	CU_ASSERT_EQUAL(j->steps[0].numbers[0], 3);
	/* What was overwritten is not found, and nothing is read twice. */
	for (int i = 0; i < 3 * MT_TRACE_NOTES; i++)
		mt_trace_note(t, &noise, false);
	j->n_steps = 0;
	mt_trace_arrivals(t, j, &down);
	CU_ASSERT_EQUAL(j->n_steps, 0);
	mt_trace_free(t);
}

static void packets_alone(void)
{
	static const struct mt_outcome bad = {"tcp_checksum_bad", MT_SEV_DROP, "dropped"};
	struct mt_trace *t = with("src=2.2.2.0/24 outcome=*bad", true, 1);
	struct mt_trace_journey *j = malloc(sizeof(*j));
	struct mt_tuple c = {0};
	struct mt_trace_packet in;

	CU_ASSERT_EQUAL(mt_addr_parse("2.2.2.9", &c.remote), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("1.1.1.1", &c.local), 0);
	in = packet(&c, false);
	CU_ASSERT_EQUAL(begin(t, 1, "m"), 0); /* exchanges are not asked for */
	mt_trace_note(t, &in, false);
	mt_trace_note(t, &in, false)->net = &bad;
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(taken(t, j), 1);
	CU_ASSERT(j->packet);
	CU_ASSERT_STRING_EQUAL(j->steps[1].text, "tcp_checksum_bad");
	CU_ASSERT_EQUAL(t->stats.looked_at, 2);
	free(j);
	mt_trace_free(t);
}

static void what_was_decided(void)
{
	static const struct mt_outcome rows[] = {{"seen", MT_SEV_INFO, ""},
		{"dropped", MT_SEV_DROP, ""}, {"noted", MT_SEV_INFO, ""}};
	static const struct mt_outcome_set set = {"room", rows, 3};
	uint64_t before[3] = {1, 2, 3}, after[3] = {2, 3, 4};

	CU_ASSERT_PTR_EQUAL(mt_trace_decided(&set, before, after), &rows[1]);
	after[1] = 2;
	CU_ASSERT_PTR_EQUAL(mt_trace_decided(&set, before, after), &rows[2]);
	CU_ASSERT_PTR_NULL(mt_trace_decided(&set, before, before));
}

/* The words of each point name no more than a step holds, and end what they begin. */
static void words_of_points(void)
{
	for (uint32_t i = 0; i < MT_TRACE_N_POINTS; i++) {
		const char *p = mt_trace_points[i].words;
		uint32_t numbers = 0;

		while ((p = strchr(p, '{')) != NULL) {
			const char *end = strchr(p, '}');

			CU_ASSERT_PTR_NOT_NULL_FATAL(end);
			CU_ASSERT(end[-2] == ':' && (end[-1] == 's' || end[-1] == 'u'));
			CU_ASSERT(end - p < 24);
			numbers += end[-1] == 'u';
			p = end;
		}
		CU_ASSERT(numbers <= MT_TRACE_NUMBERS);
	}
}

static struct mt_trace_note *segment(struct mt_trace *t, uint8_t host, uint8_t flags, bool tx)
{
	struct mt_tuple c = conn(host);
	struct mt_trace_packet p = {.src = tx ? c.local : c.remote,
		.dst = tx ? c.remote : c.local,
		.sport = tx ? c.lport : c.rport,
		.dport = tx ? c.rport : c.lport,
		.proto = "tcp",
		.flags = flags,
		.payload = 1};

	return mt_trace_note(t, &p, tx);
}

/* The first connection that this worker's TCP gets, none that was handed on; no other's packets and exchanges; until its end. */
static void one_connection(void)
{
	struct mt_trace *t = with("dport=80", true, 100);
	struct mt_trace_journey *j = malloc(sizeof(*j));
	struct mt_tuple first = conn(1), other = conn(2);
	uint16_t a, b;

	t->conf.exchanges = t->conf.connection = true;
	segment(t, 3, 0x10, false)->owner = 0;
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(t->followed.state, MT_TRACE_CONN_NONE);
	a = begin(t, 1, "sayHello");
	b = begin(t, 2, "sayHello");
	mt_trace_note_tcp(t, segment(t, 1, 0x10, false));
	mt_trace_note_tcp(t, segment(t, 2, 0x10, false));
	CU_ASSERT_TRUE(mt_addr_eq(&t->followed.conn.remote, &first.remote));
	mt_trace_arrivals(t, mt_trace_journey(t, a, 1), &first);
	mt_trace_arrivals(t, mt_trace_journey(t, b, 2), &other);
	mt_trace_end(t, mt_trace_journey(t, a, 1));
	mt_trace_end(t, mt_trace_journey(t, b, 2));
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(taken(t, j), 2); /* one packet, one exchange */
	segment(t, 2, 0x04, false);
	segment(t, 1, 0x11, false)->owner = 0; /* another worker's from here on */
	segment(t, 1, 0x11, false);
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(t->followed.state, MT_TRACE_CONN_FOLLOWED);
	segment(t, 1, 0x11, true);
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(t->followed.state, MT_TRACE_CONN_CLOSED);
	CU_ASSERT_FALSE(t->followed.by_us);
	CU_ASSERT_EQUAL(taken(t, j), 2);
	mt_trace_free(t);

	/* What leaves may be the first of it; a reset ends it at once. */
	t = with("sport=80", true, 100);
	t->conf.connection = true;
	segment(t, 1, 0x10, true);
	segment(t, 1, 0x04, true);
	mt_trace_turn_end(t);
	CU_ASSERT_EQUAL(t->followed.state, MT_TRACE_CONN_RESET);
	CU_ASSERT_TRUE(t->followed.by_us);
	mt_trace_free(t);
	free(j);
}

const struct mt_test trace_tests[] = {{"chosen by what is known late", known_late},
	{"numbers of journeys that are over", stale_numbers}, {"everything has a bound", bounds},
	{"packets of an exchange", packets_of_an_exchange}, {"many segments", many_segments},
	{"packets alone", packets_alone}, {"what was decided", what_was_decided},
	{"one connection", one_connection}, {"words of points", words_of_points}, {0}};
