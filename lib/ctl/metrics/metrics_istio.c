/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Istio's standard metrics, with the labels of Aeraki's MetaProtocol proxy: response_code is 0 for
 * a good reply and 1 for any other. Aeraki does not count local replies; they are counted here,
 * with the response_flags that access logs have (lib/observe/endings.def).
 */
#include "mt_ctl_metrics_priv.h"

#include "mt_ending.h"

#include <stdio.h>
#include <string.h>

#define UNKNOWN "unknown"

/* The namespace in "host.namespace.svc.cluster.local"; otherwise "unknown". */
static const char *namespace_of(const char *host, char *buf, size_t size)
{
	const char *svc = strstr(host, ".svc."), *dot = strchr(host, '.');

	if (!svc || dot == svc)
		return UNKNOWN;
	snprintf(buf, size, "%.*s", (int)(svc - dot - 1), dot + 1);
	return buf;
}

/* Value of a label. An unknown one is "unknown", except that of a revision, which is "latest". */
static const char *known(const char *text, const char *otherwise)
{
	return *text ? text : otherwise;
}

void mt_istio_labels(const struct mt_ctl *c, const char *host, struct mt_text_buf *out)
{
	const struct mt_ctl_self *self = &c->env.self;
	char ns[128];
	const char *where = namespace_of(host, ns, sizeof(ns));
	const struct mt_label l[] = {
		{"reporter", "source"},
		{"source_workload", known(self->workload, UNKNOWN)},
		{"source_workload_namespace", known(self->ns, UNKNOWN)},
		{"source_cluster", known(self->cluster, UNKNOWN)},
		{"source_app", known(self->app, UNKNOWN)},
		{"source_version", known(self->version, UNKNOWN)},
		{"source_canonical_service", known(self->canonical_service, UNKNOWN)},
		{"source_canonical_revision", known(self->canonical_revision, "latest")},
		{"destination_workload", UNKNOWN},
		{"destination_workload_namespace", UNKNOWN},
		{"destination_cluster", UNKNOWN},
		{"destination_app", UNKNOWN},
		{"destination_version", UNKNOWN},
		{"destination_canonical_service", UNKNOWN},
		{"destination_canonical_revision", "latest"},
		{"destination_service", host},
		{"destination_service_name", host},
		{"destination_service_namespace", where},
	};

	mt_labels_add(out, l, MT_ARRAY_LEN(l));
}

/* The next service that has requests: opaque TCP, or with messages. NULL as mt_collect_next(). */
static const struct mt_series *next(struct mt_collect *k, bool opaque)
{
	const struct mt_series *s;

	while ((s = mt_collect_next(k, MT_SERIES_SERVICE)) != NULL)
		if (s->opaque == opaque && mt_service_of(s)->stats.requests)
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

static void write_requests(struct mt_collect *k, const struct mt_series *s)
{
	const struct mt_service_stats *st = &mt_service_of(s)->stats;
	char flags[MT_FLAGS_TEXT], more[MT_FLAGS_TEXT + 64];
	struct mt_istio_bad bad;

	mt_emit_made(k, s->istio, "response_code=\"0\",response_flags=\"-\"", st->ok + st->oneway);
	mt_istio_bad_requests(st, &bad);
	for (uint32_t i = 0; i < bad.n; i++) {
		mt_flags_text(bad.rows[i].flags, false, flags);
		snprintf(more, sizeof(more), "response_code=\"1\",response_flags=\"%s\"", flags);
		mt_emit_made(k, s->istio, more, bad.rows[i].requests);
	}
}

static void collect_requests(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = next(k, false)) != NULL;)
		write_requests(k, s);
}

static void collect_duration(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = next(k, false)) != NULL;)
		mt_emit_durations(k, s, s->istio, 1000);
}

/* Every second power of two from 64 bytes to 16 MiB. */
#define SIZE_FIRST  6
#define SIZE_BOUNDS 10

static void write_sizes(
	struct mt_collect *k, const struct mt_series *s, const uint64_t *counts, uint64_t sum)
{
	uint64_t between[SIZE_BOUNDS + 1] = {0};
	double bounds[SIZE_BOUNDS];

	for (uint32_t i = 0; i < SIZE_BOUNDS; i++)
		bounds[i] = (double)(1ull << (SIZE_FIRST + 2 * i));
	/* Bucket b counts sizes above 2^(b - 1) and up to 2^b. */
	for (uint32_t b = 0; b < MT_SIZE_BUCKETS; b++) {
		uint32_t at = b <= SIZE_FIRST ? 0 : (b - SIZE_FIRST + 1) / 2;

		between[MT_MIN(at, (uint32_t)SIZE_BOUNDS)] += counts[b];
	}
	mt_sample_histogram(
		k->out, k->f, s->istio, bounds, between, SIZE_BOUNDS, (double)sum, NULL);
}

static void collect_sizes(struct mt_collect *k)
{
	bool replies = k->offset == offsetof(struct mt_service_values, reply);

	for (const struct mt_series *s; (s = next(k, false)) != NULL;) {
		const struct mt_service_values *v = mt_service_of(s);

		write_sizes(k, s, replies ? v->reply : v->request,
			replies ? v->stats.bytes_out : v->stats.bytes_in);
	}
}

static void collect_tcp(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = next(k, true)) != NULL;)
		mt_emit_made(k, s->istio, "response_flags=\"-\"", mt_collect_member(k, s->values));
}

#define LABELS                                                                                     \
	"reporter, source_*, destination_*, destination_service, destination_service_name, "       \
	"destination_service_namespace"
#define TCP(m) offsetof(struct mt_service_values, stats.m)

const struct mt_family_row mt_families_istio[] = {
	{"istio_requests_total", MT_COUNTER, "requests", LABELS ", response_code, response_flags",
		"requests by service; response_code 0: a good reply, 1: any other; "
		"response_flags: "
		"why Meltemi answered in place of a server",
		collect_requests, 0},
	{"istio_request_duration_milliseconds", MT_HISTOGRAM, "milliseconds", LABELS,
		"time from a request's last byte to its reply", collect_duration, 0},
	{"istio_request_bytes", MT_HISTOGRAM, "bytes", LABELS, "length of requests", collect_sizes,
		offsetof(struct mt_service_values, request)},
	{"istio_response_bytes", MT_HISTOGRAM, "bytes", LABELS, "length of servers' replies",
		collect_sizes, offsetof(struct mt_service_values, reply)},
	{"istio_tcp_received_bytes_total", MT_COUNTER, "bytes", LABELS ", response_flags",
		"bytes that clients sent on opaque TCP connections", collect_tcp, TCP(bytes_in)},
	{"istio_tcp_sent_bytes_total", MT_COUNTER, "bytes", LABELS ", response_flags",
		"bytes that servers sent on opaque TCP connections", collect_tcp, TCP(bytes_out)},
	{"istio_tcp_connections_opened_total", MT_COUNTER, "connections", LABELS ", response_flags",
		"opaque TCP connections connected to a server", collect_tcp, TCP(opened)},
	{"istio_tcp_connections_closed_total", MT_COUNTER, "connections", LABELS ", response_flags",
		"opaque TCP connections that ended after that", collect_tcp, TCP(closed)},
	{0},
};
