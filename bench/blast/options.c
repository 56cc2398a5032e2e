/* SPDX-License-Identifier: Apache-2.0 */
#include "option_values.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	OPT_REPLY_SIZE = 256,
	OPT_SERVICE,
	OPT_METHOD,
	OPT_COMMAND,
	OPT_VERIFY,
	OPT_ARRIVALS,
	OPT_CALLS,
	OPT_CLOSE,
	OPT_TIMEOUT,
	OPT_SOURCE,
	OPT_SPIN,
	OPT_SEED,
	OPT_CAPACITY,
	OPT_MAX_P99,
	OPT_MAX_ERRORS,
	OPT_STEP,
	OPT_HEADROOM,
	OPT_SERVER,
	OPT_DELAY,
	OPT_STALL,
	OPT_STRIPPED,
	OPT_DEVICE,
	OPT_PROFILE,
	OPT_ADDRESS,
	OPT_GATEWAY,
	OPT_JSON,
	OPT_PROGRESS,
};

static const struct option longs[] = {{"proto", 1, NULL, 'p'}, {"size", 1, NULL, 's'},
	{"reply-size", 1, NULL, OPT_REPLY_SIZE}, {"service", 1, NULL, OPT_SERVICE},
	{"method", 1, NULL, OPT_METHOD}, {"command", 1, NULL, OPT_COMMAND},
	{"verify", 1, NULL, OPT_VERIFY}, {"connections", 1, NULL, 'c'},
	{"outstanding", 1, NULL, 'o'}, {"rate", 1, NULL, 'r'}, {"arrivals", 1, NULL, OPT_ARRIVALS},
	{"duration", 1, NULL, 'd'}, {"warm-up", 1, NULL, 'w'}, {"threads", 1, NULL, 't'},
	{"calls-per-connection", 1, NULL, OPT_CALLS}, {"close", 1, NULL, OPT_CLOSE},
	{"timeout", 1, NULL, OPT_TIMEOUT}, {"source", 1, NULL, OPT_SOURCE},
	{"spin", 0, NULL, OPT_SPIN}, {"seed", 1, NULL, OPT_SEED},
	{"find-capacity", 0, NULL, OPT_CAPACITY}, {"max-p99", 1, NULL, OPT_MAX_P99},
	{"max-errors", 1, NULL, OPT_MAX_ERRORS}, {"step", 1, NULL, OPT_STEP},
	{"headroom", 1, NULL, OPT_HEADROOM}, {"server", 0, NULL, OPT_SERVER},
	{"stripped", 0, NULL, OPT_STRIPPED}, {"profile", 1, NULL, OPT_PROFILE},
	{"device", 1, NULL, OPT_DEVICE}, {"address", 1, NULL, OPT_ADDRESS},
	{"gateway", 1, NULL, OPT_GATEWAY}, {"delay", 1, NULL, OPT_DELAY},
	{"stall", 1, NULL, OPT_STALL}, {"json", 0, NULL, OPT_JSON},
	{"progress", 0, NULL, OPT_PROGRESS}, {"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'},
	{0}};

/* Parses options that describe the calls. -ENOENT: not such an option. */
static int call_option(struct blast_options *o, int opt, const char *v, struct mt_err *e)
{
	static const char *const verify[] = {"id", "token", "bytes", NULL};
	uint32_t n = 0;
	int rc;

	switch (opt) {
	case 'p':
		return blast_opt_proto(v, o, e);
	case 's':
		return blast_opt_sizes(v, &o->size, e);
	case OPT_REPLY_SIZE:
		return blast_opt_reply_sizes(v, o, e);
	case OPT_SERVICE:
		return blast_opt_name(v, &o->names.service, e);
	case OPT_METHOD:
		return blast_opt_name(v, &o->names.method, e);
	case OPT_COMMAND:
		rc = blast_opt_number32(v, 0, UINT16_MAX, &n, e);
		o->names.command = (uint16_t)n;
		return rc;
	case OPT_VERIFY:
		rc = blast_opt_word(v, verify, &n, e);
		o->verify = (enum blast_verify)n;
		return rc;
	default:
		return -ENOENT;
	}
}

static int load_option(struct blast_options *o, int opt, const char *v, struct mt_err *e)
{
	static const char *const arrivals[] = {"poisson", "uniform", NULL};
	static const char *const closes[] = {"fin", "reset", NULL};
	uint32_t n = 0;
	int rc;

	switch (opt) {
	case 'c':
		return blast_opt_number32(v, 1, 1000000, &o->connections, e);
	case 'o':
		return blast_opt_number32(v, 1, 16384, &o->outstanding, e);
	case 'r':
		return blast_opt_decimal(v, 1e8, &o->rate, e);
	case OPT_ARRIVALS:
		rc = blast_opt_word(v, arrivals, &n, e);
		o->arrivals = (enum blast_arrivals)n;
		return rc;
	case 'd':
		return blast_value_parse(v, BLAST_TIME, &o->duration, e);
	case 'w':
		return blast_value_parse(v, BLAST_TIME, &o->warm_up, e);
	case 't':
		return blast_opt_number32(v, 1, 256, &o->threads, e);
	case OPT_CALLS:
		return blast_opt_number32(v, 1, UINT32_MAX, &o->calls_per_connection, e);
	case OPT_CLOSE:
		rc = blast_opt_word(v, closes, &n, e);
		o->reset = n == 1;
		return rc;
	case OPT_TIMEOUT:
		return blast_value_parse(v, BLAST_TIME, &o->timeout, e);
	case OPT_SOURCE:
		return blast_opt_sources(v, o, e);
	default:
		return -ENOENT;
	}
}

/* An option that is given for each device. */
static int several(const char *v, const char **list, uint32_t *n, struct mt_err *e)
{
	if (*n == BLAST_LINKS)
		return mt_err(e, -EINVAL, "given more than %d times", BLAST_LINKS);
	list[(*n)++] = v;
	return 0;
}

static int other_option(struct blast_options *o, int opt, const char *v, struct mt_err *e)
{
	switch (opt) {
	case OPT_SEED:
		return blast_opt_number(v, 0, UINT64_MAX, &o->seed, e);
	case OPT_SPIN:
		o->spin = true;
		return 0;
	case OPT_CAPACITY:
		o->find_capacity = true;
		return 0;
	case OPT_MAX_P99:
		return blast_value_parse(v, BLAST_TIME, &o->max_p99, e);
	case OPT_MAX_ERRORS:
		return blast_opt_share(v, &o->max_errors, e);
	case OPT_STEP:
		return blast_value_parse(v, BLAST_TIME, &o->step, e);
	case OPT_HEADROOM:
		return blast_opt_share(v, &o->headroom, e);
	case OPT_SERVER:
		o->server = true;
		return 0;
	case OPT_DELAY:
		return blast_dist_parse(v, BLAST_TIME, &o->delay, e);
	case OPT_STALL:
		return blast_opt_stall(v, o, e);
	case OPT_STRIPPED:
		o->stripped = true;
		return 0;
	case OPT_DEVICE:
		return several(v, o->link.devices, &o->link.n_devices, e);
	case OPT_PROFILE:
		o->link.profile = v;
		return 0;
	case OPT_ADDRESS:
		return several(v, o->link.addresses, &o->link.n_addresses, e);
	case OPT_GATEWAY:
		return several(v, o->link.gateways, &o->link.n_gateways, e);
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_PROGRESS:
		o->progress = true;
		return 0;
	default:
		return -ENOENT;
	}
}

static const char *option_name(int opt)
{
	for (uint32_t i = 0; longs[i].name; i++)
		if (longs[i].val == opt)
			return longs[i].name;
	return "?";
}

static int one_option(struct blast_options *o, int opt)
{
	struct mt_err e;
	int rc;

	if (opt == 'h' || opt == 'V') {
		fputs(opt == 'h' ? blast_usage : "meltemi-blast " MT_VERSION "\n", stdout);
		return -1;
	}
	rc = call_option(o, opt, optarg, &e);
	if (rc == -ENOENT)
		rc = load_option(o, opt, optarg, &e);
	if (rc == -ENOENT)
		rc = other_option(o, opt, optarg, &e);
	if (rc == -ENOENT) /* getopt has printed which one */
		fputs("meltemi-blast --help lists all options\n", stderr);
	else if (rc)
		fprintf(stderr, "meltemi-blast: --%s: %s\n", option_name(opt), e.text);
	return rc ? 2 : 0;
}

/* "HOST:PORT", "[V6]:PORT"; for a server also "PORT". */
static int target(struct blast_options *o, const char *text, struct mt_err *e)
{
	char host[256];
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	uint32_t n = 0;
	size_t len = colon ? (size_t)(colon - text) : 0;
	int rc = blast_opt_number32(port, 1, UINT16_MAX, &n, e);

	if (rc || (!colon && !o->server))
		return mt_err(
			e, -EINVAL, "'%s' is not HOST:PORT; write one like 127.0.0.1:20880", text);
	o->port = (uint16_t)n;
	if (!colon)
		return mt_addr_parse("0.0.0.0", &o->host);
	if (len >= 2 && *text == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return mt_err(e, -EINVAL, "the host's name is too long");
	memcpy(host, text, len);
	host[len] = '\0';
	return blast_opt_address(host, &o->host, e);
}

/* A stripped server supports one call: one size each way, and no choice at run time. */
static int check_stripped(const struct blast_options *o, struct mt_err *e)
{
	const struct blast_dist *reply = o->reply == BLAST_REPLY_DIST ? &o->reply_size : &o->size;

	if (!o->link.n_devices || !(o->server || o->link.ring))
		return mt_err(
			e, -EINVAL, "--stripped is a server's on a --device, or of --device ring");
	if (blast_dist_min(&o->size) != blast_dist_max(&o->size) ||
		blast_dist_min(reply) != blast_dist_max(reply) || o->reply == BLAST_REPLY_ANY)
		return mt_err(e, -EINVAL, "--stripped: one --size and one --reply-size");
	if (blast_dist_max(&o->size) > 15000 || blast_dist_max(reply) > 15000)
		return mt_err(e, -EINVAL, "--stripped: sizes are at most 15000 bytes");
	if (o->delay.n || o->stall_for || !mt_addr_is4(&o->host))
		return mt_err(e, -EINVAL,
			"--stripped is IPv4, and goes with neither --delay nor --stall");
	return 0;
}

static int check_link(struct blast_options *o, struct mt_err *e)
{
	struct blast_link_conf *l = &o->link;

	if (l->n_devices == 1 && strcmp(l->devices[0], "ring") == 0) {
		if (o->server || o->threads > BLAST_LINKS)
			return mt_err(e, -EINVAL,
				"--device ring has its server in the same process (leave out "
				"--server), and at most %d threads",
				BLAST_LINKS);
		l->ring = true;
		l->n_devices = o->threads;
		return blast_opt_ring_address(o, e);
	}
	for (uint32_t i = 0; i < l->n_devices; i++)
		if (strcmp(l->devices[i], "ring") == 0)
			return mt_err(
				e, -EINVAL, "--device ring stands alone; --threads makes more");
	if (!l->n_devices != !l->n_addresses || (l->n_gateways && !l->n_devices) ||
		(l->profile && !l->n_devices))
		return mt_err(e, -EINVAL,
			"--device needs --address; these, --gateway and --profile go with it");
	if (l->n_addresses > MT_MAX(l->n_devices, 0u) || l->n_gateways > l->n_devices)
		return mt_err(e, -EINVAL, "more --address or --gateway than --device");
	if (l->n_devices && o->threads > 1 && o->threads != l->n_devices)
		return mt_err(e, -EINVAL,
			"%u threads on %u devices: each thread has a device of its own, so repeat "
			"--device and leave out --threads",
			o->threads, l->n_devices);
	if (l->n_devices)
		o->threads = l->n_devices;
	return 0;
}

static int check_server(const struct blast_options *o, struct mt_err *e)
{
	if (o->rate > 0 || o->find_capacity || o->n_sources)
		return mt_err(e, -EINVAL,
			"--rate, --find-capacity and --source are the caller's; leave out "
			"--server");
	return 0;
}

static int check(struct blast_options *o, struct mt_err *e)
{
	int rc = check_link(o, e);

	if (!rc && o->stripped)
		rc = check_stripped(o, e);
	if (rc || o->server)
		return rc ? rc : check_server(o, e);
	for (uint32_t i = 0; i < o->n_sources; i++)
		if (mt_addr_is4(&o->sources[i]) != mt_addr_is4(&o->host))
			return mt_err(e, -EINVAL,
				"--source: all addresses are IPv4, or all IPv6, like the server's");
	if (o->delay.n || o->stall_for)
		return mt_err(e, -EINVAL, "--delay and --stall are the server's; add --server");
	if (o->threads > o->connections)
		return mt_err(e, -EINVAL,
			"%u threads cannot share %u connections; use fewer threads", o->threads,
			o->connections);
	if ((uint64_t)o->connections * o->outstanding > 8000000)
		return mt_err(
			e, -EINVAL, "more than 8,000,000 calls in flight; lower --outstanding");
	if (o->duration < MT_MSEC || o->timeout < MT_MSEC || o->step < 100 * MT_MSEC)
		return mt_err(
			e, -EINVAL, "--duration and --timeout are at least 1ms, --step 100ms");
	return 0;
}

static const struct blast_options defaults = {
	.proto = &blast_dubbo,
	.names = {NULL, "sayHello", 1},
	.connections = 1,
	.threads = 1,
	.duration = 10 * MT_SEC,
	.warm_up = MT_SEC,
	.timeout = 5 * MT_SEC,
	.seed = 1,
	.verify = BLAST_VERIFY_TOKEN,
	.size = {.n = 1, .items = {{BLAST_HEAD, BLAST_HEAD, 1}}},
	.max_p99 = 10 * MT_MSEC,
	.max_errors = 0.001,
	.headroom = 0.2,
	.step = 2 * MT_SEC,
};

/*
 * Only Dubbo's calls name a service; for other protocols it is the host in the limit that
 * --find-capacity prints.
 */
static void name_service(struct blast_options *o)
{
	if (!o->names.service)
		o->names.service = o->proto == &blast_dubbo
					   ? "org.apache.dubbo.samples.basic.api.DemoService"
					   : "service.example.com";
}

int blast_options_parse(int argc, char **argv, struct blast_options *o)
{
	struct mt_err e;
	int opt, rc = 0;

	*o = defaults;
	o->progress = isatty(STDERR_FILENO);
	while (!rc && (opt = getopt_long(argc, argv, "p:s:c:o:r:d:w:t:hV", longs, NULL)) != -1)
		rc = one_option(o, opt);
	if (rc)
		return rc;
	if (!o->outstanding)
		o->outstanding = o->rate > 0 || o->find_capacity ? 64 : 1;
	if (optind + 1 != argc)
		rc = mt_err(&e, -EINVAL, "one HOST:PORT is needed; see --help");
	else
		rc = target(o, argv[optind], &e);
	if (!rc)
		rc = check(o, &e);
	name_service(o);
	if (rc)
		fprintf(stderr, "meltemi-blast: %s\n", e.text);
	return rc ? 2 : 0;
}
