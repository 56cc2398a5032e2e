/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Export of metrics to a collector. A round is one scrape, sent as requests of about MT_SLICE
 * bytes, each after the reply to the one before. A slow collector gets the rest later, and only one
 * request is kept in memory. Values are cumulative, so that an aborted round loses resolution but
 * no counts.
 */
#include "mt_ctl_metrics_priv.h"
#include "mt_ctl_otlp_priv.h"

#include "mt_export_retry.h"
#include "mt_file.h"
#include "mt_grpc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define EXPORT "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
/* A request has about MT_SLICE bytes and one family more; sizes are estimated. */
#define MESSAGE_MAX  (8 * MT_SLICE)
#define RESOURCE_MAX 32
#define HOST_MAX     128

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "otlp_outcomes.def"
#undef MT_OUTCOME
};
const struct mt_outcome_set mt_otlp_outcomes = {"otlp", rows, MT_ARRAY_LEN(rows)};

struct mt_ctl_otlp {
	struct mt_ctl *c;
	const struct mt_node_otlp *conf;
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct mt_grpc *grpc;
	struct mt_grpc_tls tls;
	struct mt_grpc_header headers[MT_GRPC_HEADERS];
	const char *server;
	char *roots, *chain, *key, host[HOST_MAX]; /* host of the endpoint, for its certificate */
	char why[256];				   /* why there is no connection */
	bool told;				   /* a problem was logged */
	bool clean;				   /* no problem in this round */
	uint64_t due, end;			   /* start of the next round; end of this one */
	/* the current round; `scrape` NULL: there is none */
	struct mt_scrape *scrape;
	struct mt_otlp *request;
	bool more; /* the scrape has more for further requests */
	uint8_t *bytes;
	size_t len;
	uint32_t points;
	struct mt_grpc_stream *call; /* NULL: no call is under way */
	bool answered;
	uint64_t give_up;
	struct mt_export_retry retry;
	char said[256]; /* last remark of the collector, already logged */
	uint64_t counters[MT_OTLP_N_OUTCOMES];
};

static uint64_t wall(const struct mt_ctl *c, uint64_t now)
{
	return c->env.clock ? mt_clock_wall(c->env.clock, now) : now;
}

/* Logs a problem once until it is solved; counters show how often it occurs. */
static void trouble(struct mt_ctl_otlp *o, const char *what, const char *why)
{
	if (!o->told)
		mt_log(MT_LOG_WARN, "otlp", "%s: %s: %s", o->conf->endpoint.s, what, why);
	o->told = true;
	o->clean = false;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void drop_request(struct mt_ctl_otlp *o)
{
	if (o->call)
		mt_grpc_cancel(o->call);
	o->call = NULL;
	free(o->bytes);
	o->bytes = NULL;
}

static void end_round(struct mt_ctl_otlp *o)
{
	drop_request(o);
	mt_scrape_free(o->scrape);
	o->scrape = NULL;
}

static void give_up(struct mt_ctl_otlp *o, enum mt_otlp_outcome outcome, const char *why)
{
	mt_count(o->counters, outcome);
	trouble(o, "metrics are not exported", why);
	end_round(o);
}

/* Time of the next round. Rounds keep their interval, and missed rounds are skipped. */
static uint64_t next_due(const struct mt_ctl_otlp *o)
{
	uint64_t interval = o->conf->interval.v * MT_MSEC;

	return o->due + (o->c->now - o->due) / interval * interval + interval;
}

static void begin_round(struct mt_ctl_otlp *o)
{
	if (mt_grpc_state(o->grpc) != MT_GRPC_UP) {
		/* The connection may come up until the next round is due. */
		if (o->c->now < o->due + o->conf->interval.v * MT_MSEC)
			return;
		mt_count(o->counters, MT_OTLP_unreachable);
		trouble(o, "metrics are not exported", o->why[0] ? o->why : "no connection");
		o->due = next_due(o);
		return;
	}
	o->end = o->due = next_due(o);
	o->scrape = mt_scrape_new(o->c, MT_FORMAT_TEXT);
	o->more = o->clean = true;
	mt_export_retry_reset(&o->retry);
	if (!o->scrape)
		give_up(o, MT_OTLP_no_memory, "no memory");
}

/* Makes the next request of the round. */
static void make_request(struct mt_ctl_otlp *o)
{
	struct mt_sink sink = {.otlp = o->request};
	bool failed = false;

	mt_otlp_begin(o->request, wall(o->c, o->c->now));
	while (o->more && !mt_sink_full(&sink))
		o->more = mt_scrape_next(o->scrape, &sink, &failed);
	o->points = mt_otlp_points(o->request);
	if (!failed && o->points)
		o->bytes = mt_otlp_pack(o->request, &o->len);
	if (failed || (o->points && !o->bytes)) {
		give_up(o, MT_OTLP_no_memory, "no memory");
		return;
	}
	o->retry.at = 0;
	if (!o->points)
		end_round(o);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void on_answer(void *arg, const uint8_t *data, size_t len)
{
	struct mt_ctl_otlp *o = arg;
	char words[256];
	uint64_t rejected;

	o->answered = true;
	if (mt_otlp_answer(data, len, &rejected, words, sizeof(words))) {
		mt_count(o->counters, MT_OTLP_bad_answer);
		trouble(o, "the answer cannot be read", "it is not OTLP");
		return;
	}
	mt_count_n(o->counters, MT_OTLP_points_rejected, rejected);
	if (rejected)
		trouble(o, "points are rejected", words);
	else if (words[0] && strcmp(words, o->said) != 0)
		mt_log(MT_LOG_WARN, "otlp", "%s: all points are taken, but: %s",
			o->conf->endpoint.s, words);
	if (!rejected)
		snprintf(o->said, sizeof(o->said), "%s", words);
}

static void on_retry(void *arg, uint64_t delay)
{
	struct mt_ctl_otlp *o = arg;

	mt_export_retry_told(&o->retry, o->c->now, delay);
}

static void again(struct mt_ctl_otlp *o)
{
	mt_count(o->counters, MT_OTLP_retries);
	mt_export_retry_again(&o->retry, o->c->now, &o->rng);
}

static void taken(struct mt_ctl_otlp *o)
{
	if (!o->answered)
		mt_count(o->counters, MT_OTLP_bad_answer);
	o->clean &= o->answered;
	mt_count(o->counters, MT_OTLP_exports);
	mt_count_n(o->counters, MT_OTLP_points, o->points);
	mt_grpc_useful(o->grpc);
	mt_export_retry_reset(&o->retry);
	drop_request(o);
	if (o->more)
		return;
	if (o->clean && o->told) {
		mt_log(MT_LOG_INFO, "otlp", "%s: metrics are exported again", o->conf->endpoint.s);
		o->told = false;
	}
	end_round(o);
}

static void on_end(void *arg, int status, const char *words)
{
	struct mt_ctl_otlp *o = arg;
	char why[320];

	o->call = NULL;
	if (status == MT_GRPC_OK) {
		taken(o);
		return;
	}
	snprintf(why, sizeof(why), "gRPC status %d%s%s", status, *words ? ", " : "", words);
	if (mt_export_retry_is_temporary(&o->retry, status)) {
		trouble(o, "the collector cannot take metrics now", why);
		again(o);
	} else {
		give_up(o, MT_OTLP_refused, why);
	}
}

static void call(struct mt_ctl_otlp *o)
{
	static const struct mt_grpc_stream_events events = {on_answer, on_end, on_retry};

	o->answered = false;
	mt_export_retry_call(&o->retry);
	o->call = mt_grpc_open(o->grpc, EXPORT, &events, o);
	if (!o->call)
		return;
	o->give_up = o->c->now + o->conf->timeout.v * MT_MSEC;
	if (mt_grpc_send(o->call, o->bytes, o->len)) {
		give_up(o, MT_OTLP_no_memory, "no memory");
		return;
	}
	mt_grpc_finish(o->call);
}

static void go_on(struct mt_ctl_otlp *o)
{
	uint64_t now = o->c->now;

	if (o->call && now >= o->give_up) {
		mt_grpc_cancel(o->call);
		o->call = NULL;
		trouble(o, "the collector does not answer", "retrying");
		again(o);
	}
	if (o->scrape && now >= o->end)
		give_up(o, MT_OTLP_late,
			now < o->retry.quiet
				? "the collector requires a wait until after the next export is due"
				: "the collector did not take them in time");
	if (!o->scrape && now >= o->due && now >= o->retry.quiet)
		begin_round(o);
	if (o->scrape && !o->bytes)
		make_request(o);
	if (o->scrape && o->bytes && !o->call && now >= o->retry.at)
		call(o);
}

void mt_ctl_otlp_turn(struct mt_ctl *c)
{
	struct mt_ctl_otlp *o = c->otlp;

	if (!o)
		return;
	mt_grpc_turn(o->grpc, c->now, &o->rng);
	mt_fds_dispatch(&o->fds, 8, 0);
	mt_resolver_turn(o->names);
	go_on(o);
}

/* ---- start and end -------------------------------------------------------------------------- */

static void on_up(void *arg)
{
	struct mt_ctl_otlp *o = arg;

	o->why[0] = '\0';
	mt_export_retry_connected(&o->retry, o->c->now, &o->rng);
}

static void on_down(void *arg, const char *why)
{
	struct mt_ctl_otlp *o = arg;

	snprintf(o->why, sizeof(o->why), "%s", why);
}

static int read_pem(
	const struct mt_text *path, bool secret, char **text, const char **to, struct mt_err *e)
{
	size_t len;
	int rc;

	if (!path->s)
		return 0;
	rc = secret ? mt_file_read_secret(path->s, text, &len, e)
		    : mt_file_read(path->s, MT_FILE_SMALL, 0, text, &len, e);
	*to = *text;
	return rc;
}

/*
 * "https://HOST:PORT" uses TLS, "http://HOST:PORT" does not. The reader of the Node document has
 * checked the format.
 */
static int read_endpoint(struct mt_ctl_otlp *o, struct mt_err *e)
{
	const struct mt_node_otlp *n = o->conf;
	const char *host = strstr(n->endpoint.s, "://") + 3, *colon = strrchr(host, ':');
	int rc;

	o->server = host;
	snprintf(o->host, sizeof(o->host), "%.*s", (int)(colon - host), host);
	o->tls.server_name = n->server_name.s ? n->server_name.s : o->host;
	rc = read_pem(&n->roots, false, &o->roots, &o->tls.roots, e);
	rc = rc ? rc : read_pem(&n->certificate, false, &o->chain, &o->tls.chain, e);
	return rc ? rc : read_pem(&n->key, true, &o->key, &o->tls.key, e);
}

/*
 * Makes the resource attributes by OpenTelemetry's conventions; those of the Node's `resource` have
 * priority.
 */
static int make_resource(struct mt_ctl_otlp *o)
{
	const struct mt_labels *more = &o->conf->resource;
	const struct mt_ctl_self *self = &o->c->env.self;
	const char *node = o->c->env.node ? o->c->env.node : "";
	char host[HOST_MAX] = "";
	struct mt_label l[RESOURCE_MAX + 8];
	const struct mt_label own[] = {{"service.name", "meltemi"}, {"service.version", MT_VERSION},
		{"service.instance.id", node}, {"host.name", host}, {"service.namespace", self->ns},
		{"k8s.cluster.name", self->cluster}, {"istio.workload", self->workload}};
	uint32_t n = 0;

	(void)gethostname(host, sizeof(host) - 1);
	for (uint32_t i = 0; i < more->n_kv && n < RESOURCE_MAX; i++)
		l[n++] = (struct mt_label){more->kv[i].key, more->kv[i].value};
	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		if (own[i].value[0] && !mt_labels_get(more, own[i].name))
			l[n++] = own[i];
	o->request = mt_otlp_new(l, n, wall(o->c, o->c->started));
	return o->request ? 0 : -ENOMEM;
}

static int connect_to(struct mt_ctl_otlp *o, struct mt_err *e)
{
	static const struct mt_grpc_events events = {on_up, on_down};
	struct mt_grpc_conf conf = {.servers = &o->server,
		.n_servers = 1,
		.headers = o->headers,
		.max_message = MESSAGE_MAX};
	const struct mt_labels *h = &o->conf->headers;
	uint64_t seed;

	for (uint32_t i = 0; i < h->n_kv && i < MT_GRPC_HEADERS; i++)
		o->headers[conf.n_headers++] =
			(struct mt_grpc_header){h->kv[i].key, h->kv[i].value};
	if (strncmp(o->conf->endpoint.s, "https:", 6) == 0)
		conf.tls = &o->tls;
	mt_rand_secret(&seed, sizeof(seed));
	mt_rand_seed(&o->rng, seed);
	o->names = mt_resolver_new(&o->fds, e);
	if (!o->names)
		return -EIO;
	o->grpc = mt_grpc_new(&o->fds, o->names, &conf, &events, o);
	return o->grpc ? 0 : mt_err(e, -ENOMEM, "no memory");
}

int mt_ctl_otlp_open(struct mt_ctl *c, struct mt_err *e)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c->otlp};
	struct mt_ctl_otlp *o;
	int rc;

	if (!c->env.otlp)
		return 0;
	o = c->otlp = calloc(1, sizeof(*o));
	if (!o)
		return mt_err(e, -ENOMEM, "no memory");
	o->c = c;
	o->conf = c->env.otlp;
	o->due = c->now;
	o->fds.epoll = -1;
	rc = mt_fds_init(&o->fds);
	if (rc || epoll_ctl(c->epoll, EPOLL_CTL_ADD, o->fds.epoll, &ev) != 0)
		return mt_err(e, rc ? rc : -errno, "event loop of the exporter");
	rc = mt_metrics_add(c->metrics, &mt_otlp_outcomes, o->counters);
	rc = rc ? rc : make_resource(o);
	if (rc)
		return mt_err(e, rc, "no memory");
	rc = read_endpoint(o, e);
	return rc ? rc : connect_to(o, e);
}

void mt_ctl_otlp_close(struct mt_ctl *c)
{
	struct mt_ctl_otlp *o = c->otlp;

	if (!o)
		return;
	end_round(o);
	if (o->grpc)
		mt_grpc_free(o->grpc);
	if (o->names)
		mt_resolver_free(o->names);
	if (o->fds.epoll >= 0)
		mt_fds_fini(&o->fds);
	mt_otlp_free(o->request);
	free(o->roots);
	free(o->chain);
	mt_wipe_free(o->key);
	free(o);
	c->otlp = NULL;
}
