/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Istio's standard metrics, with the labels of istio_labels.c. As at Aeraki's MetaProtocol proxy,
 * response_code is 0 for a good reply and 1 for any other. Aeraki does not count local replies;
 * they are counted here, with the response_flags that access logs have (lib/observe/endings.def).
 * Opaque TCP connections that get no server have them, too.
 */
#include "mt_ctl_istio_priv.h"

#include "mt_ending.h"

#include <stdio.h>
#include <string.h>

/*
 * The next service that has connections of opaque TCP, or portion with calls. A host with ports of
 * both kinds has both. NULL as mt_collect_next().
 */
static const struct mt_series *next(struct mt_collect *k, bool opaque)
{
	enum mt_series_kind kind = opaque ? MT_SERIES_SERVICE : MT_SERIES_PORTION;
	const struct mt_series *s;

	while ((s = mt_collect_next(k, kind)) != NULL)
		if (opaque ? mt_service_of(s)->tcp.requests : mt_service_of(s)->calls.requests)
			return s;
	return NULL;
}

/* Adds calls that had no good reply and ended in this way. Ways with the same flags are one row. */
static void add_ending(struct mt_istio_bad *bad, enum mt_ending ending, uint64_t n)
{
	uint32_t flags = mt_endings[ending].flags, i = 0;

	while (i < bad->n && bad->rows[i].flags != flags)
		i++;
	if (i == bad->n) {
		if (!n)
			return;
		bad->rows[bad->n++].flags = flags;
	}
	bad->rows[i].requests += n;
}

void mt_istio_bad_requests(const struct mt_service_stats *st, struct mt_istio_bad *to)
{
	/* A service has this row also without such calls. */
	*to = (struct mt_istio_bad){.n = 1};
	to->rows[0].requests = st->app_error + st->proto_error;
	add_ending(to, MT_ENDING_client_closed, st->client_left);
	add_ending(to, MT_ENDING_reset, st->cut_off);
	for (uint32_t i = 0; i < MT_N_ENDINGS; i++)
		add_ending(to, i, st->local[i]);
}

static void write_requests(struct mt_collect *k, const struct mt_series *s, const char *labels)
{
	const struct mt_service_stats *st = &mt_service_of(s)->calls;
	char flags[MT_FLAGS_TEXT], more[MT_FLAGS_TEXT + 64];
	struct mt_istio_bad bad;

	mt_emit_made(k, labels, "response_code=\"0\",response_flags=\"-\"", st->ok + st->oneway);
	mt_istio_bad_requests(st, &bad);
	for (uint32_t i = 0; i < bad.n; i++) {
		mt_flags_text(bad.rows[i].flags, false, flags);
		snprintf(more, sizeof(more), "response_code=\"1\",response_flags=\"%s\"", flags);
		mt_emit_made(k, labels, more, bad.rows[i].requests);
	}
}

/* Writes samples of a series with the labels of one reporter. */
typedef void write_fn(struct mt_collect *k, const struct mt_series *s, const char *labels);

/* enum mt_istio_metric of the family. */
static uint32_t metric_of(const struct mt_family *f)
{
	uint32_t i = 0;

	while (mt_families_istio[i].name && strcmp(mt_families_istio[i].name, f->name) != 0)
		i++;
	return i;
}

/* Series of a metric with labels that Telemetry changes. */
static void collect_merged(struct mt_collect *k, enum mt_istio_metric metric, write_fn *fn)
{
	const struct mt_istio_merge *m = mt_scrape_merge(k->c);
	const struct mt_istio_merged *g;

	while ((g = mt_istio_merged_at(m, metric, k->pos)) != NULL) {
		struct mt_service_values v;
		const struct mt_series row = {
			.values = (const uint64_t *)&v, .examples = g->examples};

		if (mt_sink_full(k->out)) {
			k->more = true;
			return;
		}
		if (k->f->type == MT_HISTOGRAM) {
			mt_istio_unpack(metric, g, &v);
			fn(k, &row, g->labels);
		} else {
			mt_emit_made(k, g->labels, "", g->values[0]);
		}
		k->pos++;
	}
}

static void collect(struct mt_collect *k, bool opaque, write_fn *fn)
{
	uint32_t metric = metric_of(k->f);

	if (mt_istio_merges(mt_scrape_merge(k->c), metric)) {
		collect_merged(k, metric, fn);
		return;
	}
	for (const struct mt_series *s; (s = next(k, opaque)) != NULL;)
		for (uint32_t i = 0; i < MT_ISTIO_REPORTERS; i++)
			if (s->istio[i] && !(s->istio_off & mt_istio_bit(metric, i)))
				fn(k, s, s->istio[i]);
}

static void collect_requests(struct mt_collect *k)
{
	collect(k, false, write_requests);
}

static void write_durations(struct mt_collect *k, const struct mt_series *s, const char *labels)
{
	mt_emit_durations(k, s, labels, 1000);
}

static void collect_duration(struct mt_collect *k)
{
	collect(k, false, write_durations);
}

/* Every second power of two from 64 bytes to 16 MiB. */
#define SIZE_FIRST  6
#define SIZE_BOUNDS 10

static void write_sizes(struct mt_collect *k, const struct mt_series *s, const char *labels)
{
	bool replies = k->offset == offsetof(struct mt_service_values, reply);
	const struct mt_service_values *v = mt_service_of(s);
	const uint64_t *counts = replies ? v->reply : v->request;
	uint64_t between[SIZE_BOUNDS + 1] = {0};
	double bounds[SIZE_BOUNDS];

	for (uint32_t i = 0; i < SIZE_BOUNDS; i++)
		bounds[i] = (double)(1ull << (SIZE_FIRST + 2 * i));
	/* Bucket b counts sizes above 2^(b - 1) and up to 2^b. */
	for (uint32_t b = 0; b < MT_SIZE_BUCKETS; b++) {
		uint32_t at = b <= SIZE_FIRST ? 0 : (b - SIZE_FIRST + 1) / 2;

		between[MT_MIN(at, (uint32_t)SIZE_BOUNDS)] += counts[b];
	}
	mt_sample_histogram(k->out, k->f, labels, bounds, between, SIZE_BOUNDS,
		(double)(replies ? v->calls.bytes_out : v->calls.bytes_in), NULL);
}

static void collect_sizes(struct mt_collect *k)
{
	collect(k, false, write_sizes);
}

static void write_tcp(struct mt_collect *k, const struct mt_series *s, const char *labels)
{
	mt_emit_made(k, labels, "response_flags=\"-\"", mt_collect_member(k, s->values));
}

static void collect_tcp(struct mt_collect *k)
{
	collect(k, true, write_tcp);
}

/*
 * As in Istio's proxies, a connection has the same flags in all series, and one that gets no server
 * is opened and closed at its end.
 */
static void write_connections(struct mt_collect *k, const struct mt_series *s, const char *labels)
{
	uint64_t joined = mt_collect_member(k, s->values);
	char flags[MT_FLAGS_TEXT], more[MT_FLAGS_TEXT + 64];
	struct mt_istio_bad bad;

	mt_istio_bad_requests(&mt_service_of(s)->tcp, &bad);
	for (uint32_t i = 0; i < bad.n; i++) {
		mt_flags_text(bad.rows[i].flags, false, flags);
		snprintf(more, sizeof(more), "response_flags=\"%s\"", flags);
		mt_emit_made(k, labels, more, bad.rows[i].requests + (i ? 0 : joined));
	}
}

static void collect_connections(struct mt_collect *k)
{
	collect(k, true, write_connections);
}

#define LABELS                                                                                     \
	"reporter, source_*, destination_*, destination_service, destination_service_name, "       \
	"destination_service_namespace, request_protocol, connection_security_policy"
#define OF_CALLS LABELS ", grpc_response_status"
#define TCP(m)	 offsetof(struct mt_service_values, tcp.m)

/* In the order of enum mt_istio_metric. */
const struct mt_family_row mt_families_istio[] = {
	{"istio_requests_total", MT_COUNTER, "requests", OF_CALLS ", response_code, response_flags",
		"requests by service; response_code 0: a good reply, 1: any other; response_flags: "
		"why Meltemi answered in place of a server",
		collect_requests, 0},
	{"istio_request_duration_milliseconds", MT_HISTOGRAM, "milliseconds", OF_CALLS,
		"time from a request's last byte to its reply", collect_duration, 0},
	{"istio_request_bytes", MT_HISTOGRAM, "bytes", OF_CALLS, "length of requests",
		collect_sizes, offsetof(struct mt_service_values, request)},
	{"istio_response_bytes", MT_HISTOGRAM, "bytes", OF_CALLS, "length of servers' replies",
		collect_sizes, offsetof(struct mt_service_values, reply)},
	{"istio_tcp_received_bytes_total", MT_COUNTER, "bytes", LABELS ", response_flags",
		"bytes that clients sent on opaque TCP connections", collect_tcp, TCP(bytes_in)},
	{"istio_tcp_sent_bytes_total", MT_COUNTER, "bytes", LABELS ", response_flags",
		"bytes that servers sent on opaque TCP connections", collect_tcp, TCP(bytes_out)},
	{"istio_tcp_connections_opened_total", MT_COUNTER, "connections", LABELS ", response_flags",
		"opaque TCP connections connected to a server, and those that ended without one; "
		"response_flags: - if connected, or refused for a reason without a flag",
		collect_connections, TCP(opened)},
	{"istio_tcp_connections_closed_total", MT_COUNTER, "connections", LABELS ", response_flags",
		"opaque TCP connections that ended, also those that got no server",
		collect_connections, TCP(closed)},
	{0},
};

_Static_assert(MT_ARRAY_LEN(mt_families_istio) == MT_ISTIO_METRICS + 1, "a family for each metric");
