/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include "mt_alog_format.h"
#include "toy_ids.h"
#include "../../outcomes_seen.h"

#include <stdio.h>
#include <string.h>

uint8_t scene_buf[SCENE_BUF];
static uint32_t data_full, ctrl_full;

void scene_full(void)
{
	mt_pools_sample(&lab.pools);
	data_full = lab.pools.data_free;
	ctrl_full = lab.pools.ctrl_free;
}

/* ---- the access log ------------------------------------------------------------------------- */

static uint64_t log_bytes[MT_BYTE_RING_SIZE / sizeof(uint64_t)];
static struct mt_byte_ring log_ring;
static uint64_t n_logged;   /* entries of calls and messages that were read */
static uint64_t n_attempts; /* entries with a span of an attempt only that were read */
static uint64_t n_streams;  /* entries of opaque streams and refused connections that were read */
static bool log_moved;	    /* the counters of the first proxy are gone */

static void start_log(void)
{
	mt_byte_ring_init(&log_ring, log_bytes, sizeof(log_bytes));
	mt_proxy_attach_log(lab.p, &log_ring);
	n_logged = n_streams = n_attempts = 0;
	log_moved = false;
}

void scene_log_of(struct mt_proxy *p)
{
	mt_proxy_attach_log(p, &log_ring);
	log_moved = true;
}

const struct mt_alog_entry *scene_logged(void)
{
	static uint64_t copy[256];
	const struct mt_alog_entry *e;
	uint32_t len;

	e = mt_byte_ring_peek(&log_ring, &len);
	if (!e)
		return NULL;
	CU_ASSERT_FATAL(len <= sizeof(copy));
	CU_ASSERT_EQUAL(len,
		mt_alog_entry_size(e->interface_len, e->method_len, e->reason_len, e->kept_len) +
			(e->spans ? sizeof(struct mt_alog_spans) : 0));
	memcpy(copy, e, len);
	/* A call has one more for each failed attempt with a span. */
	if (e->spans == MT_ALOG_SPAN_ATTEMPT)
		n_attempts++;
	else if (e->type == MT_ALOG_DOWNSTREAM_END)
		n_logged++;
	else
		n_streams++;
	mt_byte_ring_pop(&log_ring);
	return (const struct mt_alog_entry *)(const void *)copy;
}

static void renders(const struct mt_alog_entry *e, enum mt_alog_encoding encoding,
	const char *format, const char *expected)
{
	const struct mt_alog_spec spec = {
		.text = format, .len = strlen(format), .encoding = encoding};
	struct mt_alog_format *f = mt_alog_compile(&spec, NULL);
	struct mt_alog_made made;
	struct mt_alog_line line;
	struct mt_alog_record r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	mt_alog_entry_view(e, &made, &r);
	mt_alog_render(f, &r, 0, &line);
	line.text[line.len] = '\0';
	CU_ASSERT_STRING_EQUAL(line.text, expected);
	if (strcmp(line.text, expected) != 0)
		fprintf(stderr, "%s in place of %s", line.text, expected);
	mt_alog_format_free(f);
}

void scene_line_is(const char *expected)
{
	const struct mt_alog_entry *e = scene_logged();
	char code[8], flags[64], details[128], line[256], quoted[132];

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL_FATAL(sscanf(expected, "%7s %63s %127s", code, flags, details), 3);
	/* What is not known is null. */
	if (strcmp(details, "-") == 0)
		strcpy(quoted, "null");
	else
		snprintf(quoted, sizeof(quoted), "\"%s\"", details);
	snprintf(line, sizeof(line), "%s\n", expected);
	renders(e, MT_ALOG_TEXT, "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%", line);
	snprintf(line, sizeof(line), "{\"code\":%s,\"details\":%s,\"flags\":\"%s\"}\n", code,
		quoted, flags);
	renders(e, MT_ALOG_JSON,
		"{\"code\":\"%RESPONSE_CODE%\",\"details\":\"%RESPONSE_CODE_DETAILS%\","
		"\"flags\":\"%RESPONSE_FLAGS%\"}",
		line);
}

void scene_unlogged(uint64_t n)
{
	n_logged += n;
}

static const char *text_of(const char *p, uint16_t len)
{
	static char text[2][MT_ALOG_ENTRY_TEXT + 1];
	static uint32_t i;

	i = !i;
	if (len == MT_ALOG_NO_TEXT)
		return "-";
	memcpy(text[i], p, len);
	text[i][len] = '\0';
	return text[i];
}

const char *scene_logged_interface(const struct mt_alog_entry *e)
{
	return text_of(e->texts, e->interface_len);
}

const char *scene_logged_method(const struct mt_alog_entry *e)
{
	return text_of(e->texts + (e->interface_len == MT_ALOG_NO_TEXT ? 0 : e->interface_len),
		e->method_len);
}

/* Each call has left an entry, and each message that was answered without one. */
static void check_log(void)
{
	uint64_t calls = scene_counted(MT_PROXY_exchange_started) +
			 scene_counted(MT_PROXY_malformed) + scene_counted(MT_PROXY_oversized);
	uint64_t others = scene_counted(MT_PROXY_evicted_receiving) + lab.p->exchanges.failed;
	uint64_t all;

	while (scene_logged())
		continue;
	all = n_logged + log_ring.lost;
	CU_ASSERT_TRUE(log_moved || (all >= calls && all <= calls + others));
	CU_ASSERT_EQUAL(lab.p->log.notes.in_use, 0);
}

/* ---- portions ------------------------------------------------------------------------------- */

struct mt_portion scene_portion(uint64_t service)
{
	struct mt_portion sum = {0}, one;
	const struct mt_portion *table = mt_proxy_portions(lab.p);

	for (uint32_t i = 0; i < MT_PORTIONS; i++) {
		if (!table[i].key || table[i].service != service)
			continue;
		CU_ASSERT_TRUE(mt_portion_read(&table[i], table[i].key, &one));
		for (size_t k = offsetof(struct mt_portion, stats) / 8; k < sizeof(sum) / 8; k++)
			((uint64_t *)&sum)[k] += ((const uint64_t *)&one)[k];
	}
	CU_ASSERT_EQUAL(table[MT_PORTIONS].stats.requests, 0);
	return sum;
}

/* Every call of a service is in one of its portions, however it ended. */
static void check_portions(void)
{
	for (uint32_t i = 0; i < 5; i++) {
		uint64_t id = mt_proxy_service_id(lab.p, i);
		const struct mt_service_stats *st = mt_proxy_service_stats(lab.p, i);
		const struct mt_service_hist *h = mt_proxy_service_hist(lab.p, i);
		const struct mt_portion sum = scene_portion(id);

		if (!id || id == CONFIG_OPAQUE)
			continue;
		CU_ASSERT_EQUAL(sum.stats.ok, st->ok);
		CU_ASSERT_EQUAL(sum.stats.app_error, st->app_error);
		CU_ASSERT_EQUAL(sum.stats.proto_error, st->proto_error);
		CU_ASSERT_EQUAL(sum.stats.oneway, st->oneway);
		CU_ASSERT_EQUAL(sum.stats.client_left, st->client_left);
		CU_ASSERT_EQUAL(sum.stats.cut_off, st->cut_off);
		CU_ASSERT_EQUAL(sum.stats.bytes_out, st->bytes_out);
		CU_ASSERT_EQUAL(sum.stats.latency_sum_us, st->latency_sum_us);
		CU_ASSERT_EQUAL(memcmp(sum.stats.local, st->local, sizeof(st->local)), 0);
		CU_ASSERT_EQUAL(memcmp(sum.hist.latency, h->latency, sizeof(h->latency)), 0);
		CU_ASSERT_EQUAL(memcmp(sum.hist.reply, h->reply, sizeof(h->reply)), 0);
		CU_ASSERT_EQUAL(sum.stats.requests,
			st->ok + st->app_error + st->proto_error + st->oneway + st->client_left +
				st->cut_off + mt_service_local_replies(st));
		CU_ASSERT_EQUAL(
			mt_hist_count(sum.hist.request, MT_SIZE_BUCKETS), sum.stats.requests);
	}
}

/* ---- start and stop ------------------------------------------------------------------------- */

void scene_start_with(uint32_t n_eps, const struct mt_proxy_conf *conf)
{
	struct mt_pools pools = lab.pools;

	memset(&lab, 0, sizeof(lab));
	lab.pools = pools;
	lab.now = MT_SEC;
	config_reset_health();
	lab.snap = config_make(0, 1, n_eps, true);
	lab.p = mt_proxy_create(conf, 0, 1, &lab.pools, 42, lab.now);
	mt_proxy_attach(lab.p, &lab_transport);
	toy_ids_start();
	MT_ASSERT(lab.p);
	start_log();
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, lab.snap);
	lab_advance(1);
}

void scene_start(uint32_t n_eps)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096};

	scene_start_with(n_eps, &conf);
}

/* Everything must be given back: objects, mbufs, holds on the snapshot. */
void scene_stop(void)
{
	uint32_t held = 0;

	lab_flush_detached();
	CU_ASSERT_EQUAL(lab.p->downs.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->pairs.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->connecting.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->selections.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].live)
			lab_close(&lab.conns[i], MT_CLOSE_OK);
	CU_ASSERT_EQUAL(lab.p->ups.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->rings.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->unanswered.in_use, 0);
	/* The proxy itself names the newest one. */
	for (int gen = 0; gen < CONFIG_GENS; gen++)
		held += config_holds(gen);
	CU_ASSERT_EQUAL(held, 1);
	check_log();
	check_portions();
	for (uint32_t i = 0; i < CONFIG_EPS; i++)
		CU_ASSERT_EQUAL(lab.p->lb.outstanding[i], 0);
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	CU_ASSERT_EQUAL(lab.p->pending_size[0], 0);
	CU_ASSERT_EQUAL(lab.p->cluster_conns[0], 0);
	for (enum mt_node_limit limit = 0; limit < MT_NODE_LIMITS; limit++)
		CU_ASSERT_EQUAL(
			mt_units_own(mt_units_of(lab.p->node_limits, 0, 0, limit))->used, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), scene_counted(MT_PROXY_up_closed));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_accepted), scene_counted(MT_PROXY_down_closed));
	mt_pools_sample(&lab.pools);
	CU_ASSERT_EQUAL(lab.pools.data_free, data_full);
	CU_ASSERT_EQUAL(lab.pools.ctrl_free, ctrl_full);
	outcomes_seen(&mt_proxy_outcomes, mt_proxy_counters(lab.p));
	outcomes_seen(&mt_upstream_outcomes, mt_proxy_upstream_counters(lab.p));
	outcomes_seen(&mt_filter_outcomes, mt_proxy_filter_counters(lab.p));
	outcomes_seen(&mt_buf_outcomes, lab.pools.counters);
	mt_proxy_destroy(lab.p);
	config_free(0);
}

void scene_filters(struct mt_filter_inst *filters, uint32_t n)
{
	static uint64_t mem[64];
	struct mt_service *s = lab.snap->listeners[0].protos->services[0];
	char err[256];

	MT_ASSERT(mt_filters_size(n) <= sizeof(mem));
	s->filter_insts = filters;
	s->n_filter_insts = n;
	s->filters = mt_filters_compile(mem, filters, n, err, sizeof(err));
	MT_ASSERT(s->filters);
}

void scene_complete(
	const struct mt_filter_ticket *t, enum mt_filter_verdict verdict, const char *text)
{
	const struct mt_filter_completion how = {.size = sizeof(how),
		.verdict = verdict,
		.answer = MT_FILTER_DENIED,
		.text = {text, text ? (uint32_t)strlen(text) : 0}};

	CU_ASSERT_EQUAL(mt_filter_complete(t, &how), 0);
	lab_advance(1);
}

uint32_t scene_put_off(void)
{
	struct mt_list *n;
	uint32_t calls = 0;

	mt_list_foreach (n, &lab.p->again)
		calls++;
	return calls;
}

uint64_t scene_counted(enum mt_proxy_outcome o)
{
	return lab.p->counters[o];
}

void scene_send_request(struct fake_conn *c, char kind, uint64_t id, uint32_t len)
{
	toy_make(scene_buf, kind, id, "call", len);
	lab_feed(c, scene_buf, len);
}

/* One message out of what was sent to c; kind 0 when there is none. */
struct toy scene_next_sent(struct fake_conn *c)
{
	struct toy t = {0};

	if (!c || c->sent.len < TOY_HEADER)
		return t;
	mt_chain_read(&c->sent, 0, scene_buf, TOY_HEADER);
	t = toy_parse(scene_buf, TOY_HEADER);
	if (c->sent.len < t.len)
		return (struct toy){0};
	lab_take(c, scene_buf, t.len);
	t = toy_parse(scene_buf, SCENE_BUF);
	t.id = toy_ids_of(c, t.id);
	return t;
}

void scene_answer(struct fake_conn *server, uint64_t id, uint64_t token, uint32_t len)
{
	toy_make(scene_buf, 'P', token, "done", len);
	memcpy(scene_buf + 8,
		(uint8_t[8]){
			id >> 56, id >> 48, id >> 40, id >> 32, id >> 24, id >> 16, id >> 8, id},
		8);
	lab_feed(server, scene_buf, len);
}

void scene_patient(void)
{
	for (uint32_t i = 0; i < lab.snap->n_listeners; i++)
		lab.snap->listeners[i].protos->services[0]->timeout_ms = 1000000;
}

struct fake_conn *scene_connected_server(uint32_t i)
{
	struct fake_conn *s = lab_server(i);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	return s;
}

void scene_bye(struct fake_conn *c)
{
	lab_fin(c);
}

void scene_quiet(void)
{
	lab_advance(2100 * MT_MSEC);
}

static struct rte_mbuf *taken[16384];
static uint32_t n_taken;

void scene_starve(void)
{
	struct rte_mbuf *m;

	while ((m = mt_buf_data(&lab.pools)) || (m = mt_buf_ctrl(&lab.pools)))
		taken[n_taken++] = m;
}

void scene_relieve(void)
{
	while (n_taken)
		mt_buf_free(taken[--n_taken]);
}
