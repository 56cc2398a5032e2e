/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC client and the discovery protocol against a real server: what comes is printed, a line of JSON an event;
 * what is wanted is read from standard input, a line an order. test_ads.py plays with it.
 *
 *   xds_probe [--delta] [--path PATH] [--certs DIR --client NAME --trust NAME --name NAME] [--max BYTES]
 *             [--ping-ms MS] SERVER...
 *   wildcard TYPE | subscribe TYPE NAME | unsubscribe TYPE NAME | refuse NAME | accept | status TYPE
 */
#include "mt_ads.h"
#include "mt_grpc.h"
#include "mt_xds_map.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REOPEN	(100 * MT_MSEC)
#define SERVERS 4
#define ADS	"/envoy.service.discovery.v3.AggregatedDiscoveryService/"

struct probe {
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_grpc *g;
	struct mt_grpc_stream *stream;
	struct mt_ads *ads;
	struct mt_rand rng;
	uint64_t now, reopen_at;
	const char *path;
	char refuse[128];    /* name of a resource; "" none */
	uint64_t unreadable; /* messages; each new one costs the stream */
	char input[512];
	size_t n_input;
	bool over;
};

static void say(json_t *event)
{
	json_dumpf(event, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(event);
}

/* ---- the protocol's side -------------------------------------------------------------------------- */

static int send_bytes(void *arg, const uint8_t *data, size_t len)
{
	struct probe *p = arg;

	return p->stream ? mt_grpc_send(p->stream, data, len) : -ENOTCONN;
}

/* The resource in the model's words: its name, NULL with *why set when it is not sound. */
static json_t *name_of(
	const struct mt_ads_update *u, const struct mt_ads_resource *r, struct mt_err *why)
{
	struct mt_xds_mapped m;
	json_t *name;
	struct mt_err field;

	if (!r->body)
		return json_string(r->name); /* only lives on */
	if (mt_xds_map(u->type, r->body, &(struct mt_xds_from){"xds:probe", NULL}, 1, &m, &field) <
		0) {
		mt_err(why, 0, "%s: %s", r->name ? r->name : "?", field.text);
		return NULL;
	}
	name = json_string(m.meta->name);
	mt_model_free(m.part);
	return name;
}

static enum mt_ads_verdict update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	struct probe *p = arg;
	json_t *names = json_array(), *gone = json_array();
	bool good = true;

	for (uint32_t i = 0; i < u->n; i++) {
		json_t *name = name_of(u, &u->items[i], why);

		good = good && name;
		if (!name)
			continue;
		if (strcmp(json_string_value(name), p->refuse) == 0) {
			mt_err(why, 0, "%s: field x: refused on purpose", p->refuse);
			good = false;
		}
		json_array_append_new(names, name);
	}
	for (uint32_t i = 0; i < u->n_gone; i++)
		json_array_append_new(gone, json_string(u->gone[i]));
	say(json_pack("{ss ss ss sb so so sb}", "event", "update", "type", mt_xds_name(u->type),
		"version", u->version, "complete", (int)u->complete, "names", names, "gone", gone,
		"good", (int)good));
	return good ? MT_ADS_TAKEN : MT_ADS_REFUSED;
}

/* ---- the connection's side ------------------------------------------------------------------------ */

static void on_end(void *arg, int status, const char *words)
{
	struct probe *p = arg;

	p->stream = NULL;
	mt_ads_down(p->ads);
	p->reopen_at = p->now + REOPEN;
	say(json_pack("{ss si ss}", "event", "end", "status", status, "words", words));
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct probe *p = arg;
	const char *why = "";

	mt_grpc_useful(p->g);
	mt_ads_message(p->ads, data, len, p->now);
	/* A server of the world's state says nothing more of a type until it is answered, and this cannot be. */
	if (mt_ads_unreadable_count(p->ads, &why) == p->unreadable)
		return;
	p->unreadable = mt_ads_unreadable_count(p->ads, &why);
	mt_grpc_cancel(p->stream);
	on_end(p, MT_GRPC_INTERNAL, why);
}

static void open_stream(struct probe *p)
{
	static const struct mt_grpc_stream_events events = {.message = on_message, .end = on_end};

	p->stream = mt_grpc_open(p->g, p->path, &events, p);
	if (p->stream)
		mt_ads_up(p->ads, p->now);
}

static void on_up(void *arg)
{
	struct probe *p = arg;

	say(json_pack("{ss ss}", "event", "up", "server", mt_grpc_server(p->g)));
	open_stream(p);
}

static void on_down(void *arg, const char *why)
{
	say(json_pack("{ss ss}", "event", "down", "why", why));
}

/* ---- orders --------------------------------------------------------------------------------------- */

static int type_of(const char *name)
{
	for (int i = 0; i < MT_XDS_TYPES; i++)
		if (name && strcasecmp(name, mt_xds_name((enum mt_xds_type)i)) == 0)
			return i;
	return -1;
}

static void tell(struct probe *p, enum mt_xds_type type)
{
	struct mt_ads_status s = mt_ads_status(p->ads, type);
	const char *why = "";
	uint64_t unreadable = mt_ads_unreadable_count(p->ads, &why);

	say(json_pack("{ss ss ss ss sI sI sI sb sI ss}", "event", "status", "type",
		mt_xds_name(type), "version", s.version, "error", s.error, "responses",
		(json_int_t)s.responses, "acks", (json_int_t)s.acks, "nacks", (json_int_t)s.nacks,
		"synced", (int)mt_ads_synced(p->ads), "unreadable", (json_int_t)unreadable,
		"unreadable_why", why ? why : ""));
}

static void obey(struct probe *p, char *line)
{
	char *rest, *word = strtok_r(line, " ", &rest), *second = strtok_r(NULL, " ", &rest);
	int type = type_of(second);
	const char *name = strtok_r(NULL, " ", &rest);

	if (!word)
		return;
	if (strcmp(word, "accept") == 0)
		p->refuse[0] = '\0';
	else if (strcmp(word, "refuse") == 0)
		snprintf(p->refuse, sizeof(p->refuse), "%s", second ? second : "");
	else if (type < 0)
		fprintf(stderr, "what is %s %s?\n", word, second ? second : "");
	else if (strcmp(word, "wildcard") == 0)
		mt_ads_wildcard(p->ads, (enum mt_xds_type)type, true);
	else if (strcmp(word, "status") == 0)
		tell(p, (enum mt_xds_type)type);
	else if (name && strcmp(word, "subscribe") == 0)
		(void)mt_ads_subscribe(p->ads, (enum mt_xds_type)type, name);
	else if (name && strcmp(word, "unsubscribe") == 0)
		mt_ads_unsubscribe(p->ads, (enum mt_xds_type)type, name);
}

static void read_orders(struct probe *p)
{
	ssize_t n = read(STDIN_FILENO, p->input + p->n_input, sizeof(p->input) - 1 - p->n_input);
	char *end;

	p->over = n == 0;
	if (n <= 0)
		return;
	p->n_input += (size_t)n;
	while ((end = memchr(p->input, '\n', p->n_input)) != NULL) {
		*end = '\0';
		obey(p, p->input);
		p->n_input -= (size_t)(end + 1 - p->input);
		memmove(p->input, end + 1, p->n_input);
	}
}

static uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

static void run(struct probe *p)
{
	fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	while (!p->over) {
		p->now = clock_now();
		mt_grpc_turn(p->g, p->now, &p->rng);
		mt_fds_dispatch(&p->fds, 64, 10);
		mt_resolver_turn(p->names);
		read_orders(p);
		if (!p->stream && mt_grpc_state(p->g) == MT_GRPC_UP && p->now >= p->reopen_at)
			open_stream(p);
		if (p->stream)
			mt_ads_flush(p->ads, p->now);
	}
}

/* ---- start ---------------------------------------------------------------------------------------- */

static char *text_of(const char *directory, const char *name, const char *ending)
{
	static char space[4][16384];
	static unsigned int next;
	char path[512], *text = space[next++ % MT_ARRAY_LEN(space)];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s%s", directory, name, ending);
	f = fopen(path, "r");
	if (!f) {
		perror(path);
		exit(1);
	}
	n = fread(text, 1, sizeof(space[0]) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return otherwise;
}

static bool has(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct mt_grpc_events events = {on_up, on_down};
	static const struct mt_ads_events ads_events = {send_bytes, update};
	static Xds__Node node = XDS__NODE__INIT;
	const char *certs = option(argc, argv, "--certs", NULL);
	const char *client = option(argc, argv, "--client", "client");
	bool delta = has(argc, argv, "--delta");
	struct probe p = {
		.path = option(argc, argv, "--path",
			delta ? ADS "DeltaAggregatedResources" : ADS "StreamAggregatedResources")};
	struct mt_grpc_tls tls;
	struct mt_grpc_conf conf = {0};
	const char *servers[SERVERS];
	struct mt_err e;

	signal(SIGPIPE, SIG_IGN);
	for (int i = argc - 1; i > 0 && strchr(argv[i], ':') && conf.n_servers < SERVERS; i--)
		servers[SERVERS - ++conf.n_servers] = argv[i];
	conf.servers = servers + SERVERS - conf.n_servers;
	conf.max_message = strtoul(option(argc, argv, "--max", "0"), NULL, 10);
	conf.backoff_min_ns = 100 * MT_MSEC;
	conf.ping_after_ns = conf.ping_wait_ns =
		strtoul(option(argc, argv, "--ping-ms", "0"), NULL, 10) * MT_MSEC;
	if (certs) {
		tls = (struct mt_grpc_tls){
			.roots = text_of(certs, option(argc, argv, "--trust", "root"), ".pem"),
			.chain = text_of(certs, client, ".pem"),
			.key = text_of(certs, client, ".key"),
			.server_name = option(argc, argv, "--name", "istiod.istio-system.svc")};
		conf.tls = &tls;
	}
	mt_rand_seed(&p.rng, 1);
	node.id = (char *)"sidecar~192.0.2.1~probe.meta~meta.svc.cluster.local";
	node.cluster = (char *)"probe";
	if (mt_fds_init(&p.fds) < 0 || !(p.names = mt_resolver_new(&p.fds, &e)) ||
		!(p.ads = mt_ads_new(
			  &(struct mt_ads_conf){.delta = delta, .node = &node}, &ads_events, &p)) ||
		!(p.g = mt_grpc_new(&p.fds, p.names, &conf, &events, &p))) {
		fprintf(stderr, "cannot start\n");
		return 1;
	}
	run(&p);
	mt_grpc_free(p.g);
	mt_ads_free(p.ads);
	mt_resolver_free(p.names);
	mt_fds_fini(&p.fds);
	return 0;
}
