/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a call ends in each of its states, and what its endpoint is charged with. Each cell is a
 * line, and a change of a line is a change of behaviour:
 *
 *     timeout; aborted; 0/1 0/1 1 t
 *
 * What the client got; what became of the server's connection; the endpoint's outstanding calls and
 * failures; its results, ok and errors; samples of admission control; evidence against it (t:
 * time-outs in a row, f: recent failures, g: calls that clients gave up).
 */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <stdio.h>

enum event { EXPIRES, RESET, FIN, LEAVES, EVENTS };

static const char *const event_names[EVENTS] = {"expiry", "reset", "FIN", "client leaves"};

#define LINE 160
#define LONG 100000

static struct fake_conn *client, *server; /* of the call; server NULL: it has none */
static struct mt_filter_ticket ticket;
static struct mt_demand demand;
static uint64_t serial;

/* ---- what is seen ---------------------------------------------------------------------------- */

static const char *reply_of(struct toy t)
{
	static const char *const reasons[MT_REPLY_N] = {"no_route", "no_cluster", "no_endpoint",
		"over_limit", "overload", "timeout", "lost", "bad_request", "bad_reply",
		"unsupported", "denied", "too_large", "no_upgrade"};

	if (t.kind == 0)
		return "-";
	return !t.status ? "ok" : t.first < MT_REPLY_N ? reasons[t.first] : "?";
}

/* All that the client got, in order; of a long reply what there is of it. */
static int put_client(char *to)
{
	bool part = client->sent.len > 1000 && client->sent.len < LONG;
	int n = 0;

	client->shut_window = false;
	if (part)
		n = sprintf(to, "part");
	else
		do
			n += sprintf(
				to + n, "%s%s", n ? "," : "", reply_of(scene_next_sent(client)));
		while (client->sent.len >= TOY_HEADER);
	return n + sprintf(to + n, "%s", client->aborted ? ",reset" : "");
}

static const char *state_of(const struct fake_conn *s)
{
	if (!s)
		return "-";
	if (s->aborted)
		return "aborted";
	if (s->detached)
		return "closed";
	return !s->live ? "gone" : s->shut ? "shut" : "open";
}

static void see(char line[LINE])
{
	const struct mt_ep_stats *st = mt_proxy_ep_stats(lab.p, 0);
	const struct mt_ep_answers *n = &mt_proxy_ep_hist(lab.p, 0)->answers;
	const struct mt_ep_state *ep =
		lab.snap->clusters[0].n_eps ? lab.snap->clusters[0].eps[0].state : NULL;
	const char *of_server = state_of(server);
	int at = put_client(line);

	CU_ASSERT_EQUAL(st->outstanding, lab.p->lb.outstanding[0]);
	snprintf(line + at, (size_t)(LINE - at), "; %s; %u/%u %u/%u %u%s%s%s%s", of_server,
		(unsigned int)st->outstanding, (unsigned int)st->failures, (unsigned int)n->ok,
		(unsigned int)n->errors, (unsigned int)lab.p->admit[0].n,
		ep && (ep->timeouts || ep->recent || ep->given_up) ? " " : "",
		ep && ep->timeouts ? "t" : "", ep && ep->recent ? "f" : "",
		ep && ep->given_up ? "g" : "");
}

static void is_line(const char *state, const char *event, const char *line, const char *expected)
{
	CU_ASSERT_STRING_EQUAL(line, expected);
	if (strcmp(line, expected) != 0)
		fprintf(stderr, "%s x %s:\n   is \"%s\",\n  not \"%s\"\n", state, event, line,
			expected);
}

/* ---- states of a call ------------------------------------------------------------------------ */

static void starts(enum event e)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 1};

	scene_start_with(1, &conf);
	if (e != EXPIRES)
		scene_patient();
}

static void sent(uint16_t port, char kind)
{
	client = lab_client(port);
	scene_send_request(client, kind, 1, 64);
	server = scene_connected_server(0);
}

/* Another client's call has the only connection that may be opened. */
static void is_queued(enum event e)
{
	struct fake_conn *other;

	starts(e);
	other = lab_client(CONFIG_SERIAL);
	scene_send_request(other, 'Q', 1, 64);
	server = scene_connected_server(0);
	client = lab_client(CONFIG_SERIAL);
	scene_send_request(client, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
}

static void is_connecting(enum event e)
{
	starts(e);
	client = lab_client(CONFIG_SAFE);
	scene_send_request(client, 'Q', 1, 64);
	server = lab_server(0);
}

static void is_sending(enum event e)
{
	starts(e);
	client = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	lab_feed(client, scene_buf, LONG / 2);
	server = scene_connected_server(0);
	CU_ASSERT_EQUAL(server->sent.len, LONG / 2);
}

static void is_sent(enum event e)
{
	starts(e);
	sent(CONFIG_SAFE, 'Q');
}

static void is_sent_alone(enum event e)
{
	starts(e);
	sent(CONFIG_SERIAL, 'Q');
}

static void is_unacked(enum event e)
{
	starts(e);
	sent(CONFIG_SAFE, 'O');
}

static void is_replying(enum event e)
{
	starts(e);
	sent(CONFIG_SAFE, 'Q');
	toy_make(scene_buf, 'P', scene_next_sent(server).id, "done", LONG);
	lab_feed(server, scene_buf, LONG / 2 + 20000);
}

/* Its client does not read. */
static void is_ready(enum event e)
{
	starts(e);
	sent(CONFIG_SAFE, 'Q');
	client->shut_window = true;
	scene_answer(server, scene_next_sent(server).id, 1, 64);
}

static enum mt_filter_verdict suspends(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	ticket = mt_filter_ticket_of(ctx);
	return MT_FILTER_SUSPEND;
}

/* A filter waits at the reply. */
static void is_filtering(enum event e)
{
	static const struct mt_filter type = {.name = "suspends", .on_reply = suspends};
	static struct mt_filter_inst chain[] = {{.type = &type}};

	starts(e);
	scene_filters(chain, 1);
	sent(CONFIG_SAFE, 'Q');
	scene_answer(server, scene_next_sent(server).id, 1, 64);
}

static void is_suspended(enum event e)
{
	static const struct mt_filter type = {.name = "suspends", .on_request = suspends};
	static struct mt_filter_inst chain[] = {{.type = &type}};

	starts(e);
	scene_filters(chain, 1);
	client = lab_client(CONFIG_SAFE);
	scene_send_request(client, 'Q', 1, 64);
	server = NULL;
}

static void is_awaiting(enum event e)
{
	scene_start(0);
	demand = (struct mt_demand){.serial = &serial};
	config_only_named(lab.snap, &demand, 500);
	if (e != EXPIRES)
		scene_patient();
	client = lab_client(CONFIG_SAFE);
	scene_send_request(client, 'Q', 1, 64);
	server = NULL;
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 1);
}

static void happens(enum event e, uint32_t expires_ms)
{
	bool connected = server && server->connected;

	switch (e) {
	case EXPIRES:
		lab_advance(expires_ms * MT_MSEC);
		break;
	case RESET:
		lab_close(server, MT_CLOSE_RESET);
		break;
	case FIN:
		if (connected)
			lab_fin(server);
		else
			lab_close(server, MT_CLOSE_TIMEOUT);
		lab_advance(
			3200 *
			MT_MSEC); /* until it is given up that it may be known whether it was read */
		break;
	default:
		lab_close(client, MT_CLOSE_RESET);
	}
}

static void finish(void)
{
	lab_flush_detached();
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].live && lab.conns[i].accepted)
			lab_close(&lab.conns[i], MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

/* By events: expiry, reset, FIN, client leaves. NULL: the call has no server in this state. */
static const struct {
	const char *name;
	void (*begin)(enum event e);
	uint32_t expires_ms;
	const char *line[EVENTS];
} states[] = {
	{"queued", is_queued, 1100,
		{"timeout; aborted; 0/2 0/2 2 t", "-; gone; 1/1 0/1 0 f", "-; closed; 1/1 0/1 0",
			"-; open; 1/0 0/0 0"}},
	{"connecting", is_connecting, 1100,
		{"timeout; open; 0/1 0/1 1", "no_endpoint; gone; 0/1 0/1 0 f",
			"no_endpoint; gone; 0/1 0/1 0 f", "-; open; 0/0 0/0 0"}},
	{"sending", is_sending, 1100,
		{"timeout; aborted; 0/1 0/1 1", "lost; gone; 0/1 0/1 0 f",
			"lost; closed; 0/1 0/1 0", "-; aborted; 0/0 0/0 0"}},
	{"sent", is_sent, 1100,
		{"timeout; open; 0/1 0/1 1", "lost; gone; 0/1 0/1 0 f", "lost; closed; 0/1 0/1 0",
			"-; open; 0/0 0/0 0"}},
	{"sent alone", is_sent_alone, 1100,
		{"timeout; aborted; 0/1 0/1 1 t", "lost; gone; 0/1 0/1 0 f",
			"lost; closed; 0/1 0/1 0", "-; open; 0/0 0/0 0"}},
	{"unacknowledged", is_unacked, 10100,
		{"-; open; 0/1 0/1 0", "-; gone; 0/1 0/1 0 f", "-; closed; 0/1 0/1 0",
			"-; open; 0/0 0/0 0"}},
	{"replying", is_replying, 1100,
		{"part; open; 1/0 1/0 1", "-,reset; gone; 0/1 1/1 1 f",
			"-,reset; closed; 0/1 1/1 1", "-; open; 0/0 1/0 1"}},
	{"ready", is_ready, 1100,
		{"ok; open; 0/0 1/0 1", "ok; gone; 0/1 1/0 1", "ok; closed; 0/0 1/0 1",
			"-; open; 0/0 1/0 1"}},
	{"filtering", is_filtering, 1100,
		{"timeout; open; 0/0 1/0 1", "-; gone; 0/1 1/0 1", "-; closed; 0/0 1/0 1",
			"-; open; 0/0 1/0 1"}},
	{"suspended", is_suspended, 1100, {"timeout; -; 0/0 0/0 0", NULL, NULL, "-; -; 0/0 0/0 0"}},
	{"awaiting", is_awaiting, 1100,
		{"no_cluster; -; 0/0 0/0 0", NULL, NULL, "-; -; 0/0 0/0 0"}},
};

static void test_states(void)
{
	char line[LINE];

	for (size_t i = 0; i < MT_ARRAY_LEN(states); i++)
		for (int e = 0; e < EVENTS; e++) {
			if (!states[i].line[e])
				continue;
			states[i].begin((enum event)e);
			happens((enum event)e, states[i].expires_ms);
			see(line);
			is_line(states[i].name, event_names[e], line, states[i].line[e]);
			finish();
		}
}

/* ---- connections in doubt -------------------------------------------------------------------- */

enum doubt { D_EXPIRES, D_RESET, D_UNREAD, D_FIN, D_CLOSES, D_CLOSES_FIN, D_LEAVES, DOUBTS };

static const char *const doubt_names[DOUBTS] = {"expiry", "reset", "reset, unread", "FIN",
	"client closes", "client closes, then the server", "client resets"};

static void call(struct fake_conn *c, const char *method, uint64_t id)
{
	toy_make(scene_buf, 'Q', id, method, 64);
	lab_feed(c, scene_buf, 64);
}

static void answer(struct fake_conn *s, const char *method, uint64_t id)
{
	toy_make(scene_buf, 'P', id, method, 40);
	lab_feed(s, scene_buf, 40);
}

/* Another client's calls: `note` has no reply, `ask` has one; so often that both are known. */
static void teach(void)
{
	struct fake_conn *c = lab_client(CONFIG_NAMED), *s;

	for (int i = 0; i < 3; i++) {
		call(c, "note", 1);
		call(c, "ask ", 2);
		s = lab_server(0);
		if (!s->connected)
			lab_connect(s);
		scene_next_sent(s);
		scene_next_sent(s);
		answer(s, "ask ", 2);
		scene_next_sent(c);
	}
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	lab_flush_detached();
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	memset(&lab.p->counters[MT_PROXY_exchange_oneway_learnt], 0, sizeof(uint64_t));
}

/*
 * Three calls on one connection: none is known; the last one is known to answer; the second is also
 * known to be one-way.
 */
static void three_calls(bool ask_known, const char *second)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096};

	scene_start_with(1, &conf);
	if (ask_known)
		teach();
	client = lab_client(CONFIG_NAMED);
	call(client, "what", 1);
	call(client, second, 2);
	call(client, "ask ", 3);
	server = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(server->sent.len, 3 * 64);
}

static void doubt(enum doubt d)
{
	if (d != D_UNREAD)
		lab_take(server, scene_buf, 3 * 64);
	switch (d) {
	case D_EXPIRES:
		lab_advance(1100 * MT_MSEC);
		break;
	case D_UNREAD:
		server->end.reset_ack = true;
		server->end.reset_acked = server->end.pos.acked;
		lab_close(server, MT_CLOSE_RESET);
		break;
	case D_RESET:
		lab_close(server, MT_CLOSE_RESET);
		break;
	case D_FIN:
		lab_fin(server);
		break;
	case D_CLOSES:
	case D_CLOSES_FIN:
		lab_fin(client);
		if (d == D_CLOSES_FIN)
			lab_fin(server);
		break;
	default:
		lab_close(client, MT_CLOSE_RESET);
	}
}

static void see_doubt(char line[2 * LINE])
{
	uint32_t again = 0, calls = lab.p->exchanges.in_use;
	struct fake_conn *s = lab_server(0);
	size_t n;

	if (s && s != server && s->live) {
		lab_connect(s);
		again = s->sent.len / 64;
	}
	see(line);
	n = strlen(line);
	snprintf(line + n, LINE, "; %u/%u %u/%u %u", calls, again,
		(unsigned int)scene_counted(MT_PROXY_exchange_oneway_learnt),
		(unsigned int)scene_counted(MT_PROXY_method_learnt),
		(unsigned int)scene_counted(MT_PROXY_exchange_client_closed));
}

/*
 * By events: expiry, reset, reset that proves that nothing was read, FIN, the client's FIN, and the
 * server's after it, the client's reset. Lines as above, and then: calls that go on and that were
 * sent again; calls and methods that were found to be one-way; calls that their client left.
 */
static const struct {
	const char *name;
	bool ask_known;
	const char *second, *line[DOUBTS];
} in_doubt[] = {
	{"nothing known", false, "note",
		{"lost,lost,timeout; aborted; 0/3 0/3 1 t; 0/0 0/0 0",
			"lost,lost,lost; gone; 0/3 0/3 0 f; 0/0 0/0 0",
			"-; gone; 3/1 0/0 0; 3/3 0/0 0",
			"lost,lost,lost; closed; 0/3 0/3 0; 0/0 0/0 0",
			"-; shut; 3/0 0/0 0; 3/0 0/0 0", "-; closed; 0/0 0/0 0; 0/0 3/0 0",
			"-; shut; 0/0 0/0 0; 0/0 0/0 3"}},
	{"the last answers", true, "that",
		{"lost,lost,timeout; aborted; 0/3 3/3 4 t; 0/0 0/1 0",
			"lost,lost,lost; gone; 0/3 3/3 3 f; 0/0 0/1 0",
			"-; gone; 3/1 3/0 3; 3/3 0/1 0",
			"lost,lost,lost; closed; 0/3 3/3 3; 0/0 0/1 0",
			"-; open; 3/0 3/0 3; 3/0 0/1 0",
			"lost,lost,lost; closed; 0/3 3/3 3; 0/0 0/1 0",
			"-; shut; 0/0 3/0 3; 0/0 0/1 3"}},
	{"the second is one-way, the last answers", true, "note",
		{"lost,timeout; aborted; 0/2 3/2 4 t; 0/0 1/1 0",
			"lost,lost; gone; 0/2 3/2 3 f; 0/0 1/1 0", "-; gone; 3/1 3/0 3; 3/3 0/1 0",
			"lost,lost; closed; 0/2 3/2 3; 0/0 1/1 0", "-; open; 3/0 3/0 3; 3/0 0/1 0",
			"lost,lost; closed; 0/2 3/2 3; 0/0 1/1 0",
			"-; shut; 0/0 3/0 3; 0/0 0/1 3"}},
};

static void test_in_doubt(void)
{
	char line[2 * LINE];

	for (size_t i = 0; i < MT_ARRAY_LEN(in_doubt); i++)
		for (int d = 0; d < DOUBTS; d++) {
			three_calls(in_doubt[i].ask_known, in_doubt[i].second);
			doubt((enum doubt)d);
			see_doubt(line);
			is_line(in_doubt[i].name, doubt_names[d], line, in_doubt[i].line[d]);
			finish();
		}
}

const struct mt_test fates_tests[] = {
	{"each state of a call", test_states}, {"three calls in doubt", test_in_doubt}, {0}};
