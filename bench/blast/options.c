/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi-blast [OPTION]... HOST:PORT           call a server\n"
	"       meltemi-blast --server [OPTION]... [HOST:]PORT  be one\n"
	"Calls:\n"
	"  -p, --proto NAME        dubbo (default), thrift, thrift-compact, awesomerpc, tcp\n"
	"  -s, --size SIZES        bytes of payload in a request (default 20)\n"
	"      --reply-size SIZES  the same of replies: same (default), any, or sizes to ask for\n"
	"      --service NAME, --method NAME, --command N   whom the calls name\n"
	"      --verify WHAT       id, token (default: id, token and lengths), bytes (all of it)\n"
	"Load:\n"
	"  -c, --connections N     default 1\n"
	"  -o, --outstanding N     calls in flight on each; default 1, with --rate 64\n"
	"  -r, --rate N            open loop: so many calls per second, whatever the server does\n"
	"      --arrivals HOW      poisson (default) or uniform\n"
	"  -d, --duration TIME     default 10s\n"
	"  -w, --warm-up TIME      before it, not counted; default 1s\n"
	"  -t, --threads N         default 1\n"
	"      --calls-per-connection N   then a connection is closed and another one opened\n"
	"      --close HOW         fin (default) or reset\n"
	"      --timeout TIME      of a call and of connecting; default 5s\n"
	"      --source HOST[,...] local addresses to connect from, in turn\n"
	"      --spin              never sleep: exact send times for a whole core\n"
	"      --seed N            of arrivals, sizes and tokens; default 1\n"
	"Capacity:\n"
	"      --find-capacity     walk the open loop's rate (from --rate) to the knee\n"
	"      --max-p99 TIME      what is still good; default 10ms\n"
	"      --max-errors SHARE  default 0.1%\n"
	"      --step TIME         of measuring each rate; default 2s\n"
	"      --headroom SHARE    below the capacity for the limit printed; default 20%\n"
	"Server:\n"
	"      --delay TIMES       before each reply, like 5ms@99,50ms@1 or 1ms-3ms\n"
	"      --stall AFTER:FOR   stop once, so long after the first call\n"
	"      --reply-size SIZES  instead of what requests ask for\n"
	"Meltemi's own TCP in place of the kernel's (one thread):\n"
	"      --device DEVICE     a DPDK device, like net_memif0,role=client,socket=/run/m.sock\n"
	"      --address HOST/BITS this side's address; --gateway HOST\n"
	"Output:\n"
	"      --json              the last line is the report as one JSON object\n"
	"      --progress          a line each second also when stderr is no terminal\n"
	"  -h, --help; -V, --version\n"
	"SIZES: VALUE[-VALUE][@WEIGHT],... in bytes, K, M.  TIME: 250us, 5ms, 10s.\n";

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
	OPT_DEVICE,
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
	{"device", 1, NULL, OPT_DEVICE}, {"address", 1, NULL, OPT_ADDRESS},
	{"gateway", 1, NULL, OPT_GATEWAY}, {"delay", 1, NULL, OPT_DELAY},
	{"stall", 1, NULL, OPT_STALL}, {"json", 0, NULL, OPT_JSON},
	{"progress", 0, NULL, OPT_PROGRESS}, {"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'},
	{0}};

static int number(const char *text, uint64_t min, uint64_t max, uint64_t *to, struct mt_err *e)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > max)
		return mt_err(e, -EINVAL, "'%s' is not a number from %lu to %lu", text, min, max);
	*to = v;
	return 0;
}

static int number32(const char *text, uint32_t min, uint32_t max, uint32_t *to, struct mt_err *e)
{
	uint64_t v = 0;
	int rc = number(text, min, max, &v, e);

	*to = (uint32_t)v;
	return rc;
}

static int decimal(const char *text, double max, double *to, struct mt_err *e)
{
	char *end;

	*to = strtod(text, &end);
	if (*text < '0' || *text > '9' || *end || !(*to > 0 && *to <= max))
		return mt_err(e, -EINVAL, "'%s' is not a number above 0, up to %g", text, max);
	return 0;
}

/* "0.1%" or "0.001". */
static int share(const char *text, double *to, struct mt_err *e)
{
	char *end;

	*to = strtod(text, &end);
	if (strcmp(end, "%") == 0)
		*to /= 100;
	else if (*end)
		end = NULL;
	if (*text < '0' || *text > '9' || !end || *to >= 1)
		return mt_err(
			e, -EINVAL, "'%s' is not a share; write one like 0.1%% or 0.001", text);
	return 0;
}

/* The index of `text` in a list of words that ends with NULL. */
static int word(const char *text, const char *const *words, uint32_t *to, struct mt_err *e)
{
	char all[128] = "";

	for (*to = 0; words[*to]; ++*to) {
		if (strcmp(words[*to], text) == 0)
			return 0;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", *to ? ", " : "",
			words[*to]);
	}
	return mt_err(e, -EINVAL, "'%s' is not known; it is one of: %s", text, all);
}

static int address(const char *text, struct mt_addr *a, struct mt_err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int rc;

	if (mt_addr_parse(text, a) == 0)
		return 0;
	rc = getaddrinfo(text, NULL, &hints, &found);
	if (rc)
		return mt_err(e, -EINVAL, "'%s' is not an address, nor a name that resolves (%s)",
			text, gai_strerror(rc));
	if (found->ai_family == AF_INET)
		*a = mt_addr4(((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr.s_addr);
	else
		memcpy(a->b, &((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr, 16);
	freeaddrinfo(found);
	return 0;
}

static int sources(const char *text, struct blast_options *o, struct mt_err *e)
{
	char copy[1024], *rest = copy, *one;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return mt_err(e, -EINVAL, "too long; name fewer addresses");
	while ((one = strsep(&rest, ","))) {
		if (o->n_sources == BLAST_SOURCES)
			return mt_err(e, -EINVAL, "more than %d addresses", BLAST_SOURCES);
		if (mt_addr_parse(one, &o->sources[o->n_sources++]))
			return mt_err(e, -EINVAL, "'%s' is not an address", one);
	}
	return 0;
}

static int sizes(const char *text, struct blast_dist *d, struct mt_err *e)
{
	int rc = blast_dist_parse(text, BLAST_BYTES, d, e);

	if (rc)
		return rc;
	if (blast_dist_min(d) < BLAST_HEAD || blast_dist_max(d) > BLAST_SIZE_MAX)
		return mt_err(e, -EINVAL, "sizes are from %d (token and length) to %u bytes",
			BLAST_HEAD, BLAST_SIZE_MAX);
	return 0;
}

static int reply_sizes(const char *text, struct blast_options *o, struct mt_err *e)
{
	o->reply = strcmp(text, "same") == 0  ? BLAST_REPLY_SAME
		   : strcmp(text, "any") == 0 ? BLAST_REPLY_ANY
					      : BLAST_REPLY_DIST;
	return o->reply == BLAST_REPLY_DIST ? sizes(text, &o->reply_size, e) : 0;
}

static int stall(const char *text, struct blast_options *o, struct mt_err *e)
{
	char copy[64], *colon;
	int rc;

	snprintf(copy, sizeof(copy), "%s", text);
	colon = strchr(copy, ':');
	if (!colon)
		return mt_err(e, -EINVAL, "'%s' is not AFTER:FOR; write one like 2s:1s", text);
	*colon = '\0';
	rc = blast_value_parse(copy, BLAST_TIME, &o->stall_after, e);
	return rc ? rc : blast_value_parse(colon + 1, BLAST_TIME, &o->stall_for, e);
}

static int proto(const char *text, struct blast_options *o, struct mt_err *e)
{
	o->proto = blast_proto_find(text);
	if (!o->proto)
		return mt_err(e, -EINVAL,
			"'%s' is not known; it is one of: dubbo, thrift, thrift-compact, "
			"awesomerpc, tcp",
			text);
	return 0;
}

static int name(const char *text, const char **to, struct mt_err *e)
{
	if (!*text || strlen(text) > 200)
		return mt_err(e, -EINVAL, "a name has 1 to 200 characters");
	*to = text;
	return 0;
}

/* What the calls are. -ENOENT: not an option of this kind. */
static int call_option(struct blast_options *o, int opt, const char *v, struct mt_err *e)
{
	static const char *const verify[] = {"id", "token", "bytes", NULL};
	uint32_t n = 0;
	int rc;

	switch (opt) {
	case 'p':
		return proto(v, o, e);
	case 's':
		return sizes(v, &o->size, e);
	case OPT_REPLY_SIZE:
		return reply_sizes(v, o, e);
	case OPT_SERVICE:
		return name(v, &o->names.service, e);
	case OPT_METHOD:
		return name(v, &o->names.method, e);
	case OPT_COMMAND:
		rc = number32(v, 0, UINT16_MAX, &n, e);
		o->names.command = (uint16_t)n;
		return rc;
	case OPT_VERIFY:
		rc = word(v, verify, &n, e);
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
		return number32(v, 1, 1000000, &o->connections, e);
	case 'o':
		return number32(v, 1, 16384, &o->outstanding, e);
	case 'r':
		return decimal(v, 1e8, &o->rate, e);
	case OPT_ARRIVALS:
		rc = word(v, arrivals, &n, e);
		o->arrivals = (enum blast_arrivals)n;
		return rc;
	case 'd':
		return blast_value_parse(v, BLAST_TIME, &o->duration, e);
	case 'w':
		return blast_value_parse(v, BLAST_TIME, &o->warm_up, e);
	case 't':
		return number32(v, 1, 256, &o->threads, e);
	case OPT_CALLS:
		return number32(v, 1, UINT32_MAX, &o->calls_per_connection, e);
	case OPT_CLOSE:
		rc = word(v, closes, &n, e);
		o->reset = n == 1;
		return rc;
	case OPT_TIMEOUT:
		return blast_value_parse(v, BLAST_TIME, &o->timeout, e);
	case OPT_SOURCE:
		return sources(v, o, e);
	default:
		return -ENOENT;
	}
}

static int other_option(struct blast_options *o, int opt, const char *v, struct mt_err *e)
{
	switch (opt) {
	case OPT_SEED:
		return number(v, 0, UINT64_MAX, &o->seed, e);
	case OPT_SPIN:
		o->spin = true;
		return 0;
	case OPT_CAPACITY:
		o->find_capacity = true;
		return 0;
	case OPT_MAX_P99:
		return blast_value_parse(v, BLAST_TIME, &o->max_p99, e);
	case OPT_MAX_ERRORS:
		return share(v, &o->max_errors, e);
	case OPT_STEP:
		return blast_value_parse(v, BLAST_TIME, &o->step, e);
	case OPT_HEADROOM:
		return share(v, &o->headroom, e);
	case OPT_SERVER:
		o->server = true;
		return 0;
	case OPT_DELAY:
		return blast_dist_parse(v, BLAST_TIME, &o->delay, e);
	case OPT_STALL:
		return stall(v, o, e);
	case OPT_DEVICE:
		o->link.device = v;
		return 0;
	case OPT_ADDRESS:
		o->link.address = v;
		return 0;
	case OPT_GATEWAY:
		o->link.gateway = v;
		return 0;
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
		fputs(opt == 'h' ? usage : "meltemi-blast " MT_VERSION "\n", stdout);
		return -1;
	}
	rc = call_option(o, opt, optarg, &e);
	if (rc == -ENOENT)
		rc = load_option(o, opt, optarg, &e);
	if (rc == -ENOENT)
		rc = other_option(o, opt, optarg, &e);
	if (rc == -ENOENT) /* getopt has said which one */
		fputs("meltemi-blast --help lists all options\n", stderr);
	else if (rc)
		fprintf(stderr, "meltemi-blast: --%s: %s\n", option_name(opt), e.text);
	return rc ? 2 : 0;
}

/* "HOST:PORT", "[V6]:PORT", a server also "PORT". */
static int target(struct blast_options *o, const char *text, struct mt_err *e)
{
	char host[256];
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	uint32_t n = 0;
	size_t len = colon ? (size_t)(colon - text) : 0;
	int rc = number32(port, 1, UINT16_MAX, &n, e);

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
	return address(host, &o->host, e);
}

static int check(const struct blast_options *o, struct mt_err *e)
{
	if (!o->link.device != !o->link.address || (o->link.gateway && !o->link.device))
		return mt_err(
			e, -EINVAL, "--device needs --address, and these and --gateway go with it");
	if (o->link.device && o->threads > 1)
		return mt_err(
			e, -EINVAL, "--device has one thread; start more programs on more devices");
	if (o->server && (o->rate > 0 || o->find_capacity || o->n_sources))
		return mt_err(e, -EINVAL,
			"--rate, --find-capacity and --source are the caller's; leave out "
			"--server");
	if (o->server)
		return 0;
	for (uint32_t i = 0; i < o->n_sources; i++)
		if (mt_addr_is4(&o->sources[i]) != mt_addr_is4(&o->host))
			return mt_err(e, -EINVAL,
				"--source: all addresses are IPv4, or all IPv6, like the server's");
	if (o->delay.n || o->stall_for)
		return mt_err(e, -EINVAL, "--delay and --stall are the server's; add --server");
	if (o->threads > o->connections)
		return mt_err(e, -EINVAL,
			"%u threads cannot share %u connections; ask for fewer threads", o->threads,
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
	.names = {"org.apache.dubbo.samples.basic.api.DemoService", "sayHello", 1},
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
		rc = mt_err(&e, -EINVAL, "one HOST:PORT is needed; --help tells more");
	else
		rc = target(o, argv[optind], &e);
	if (!rc)
		rc = check(o, &e);
	if (rc)
		fprintf(stderr, "meltemi-blast: %s\n", e.text);
	return rc ? 2 : 0;
}

uint32_t blast_sockaddr(const struct mt_addr *a, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (mt_addr_is4(a)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = mt_addr_v4(a);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, a->b, 16);
	return sizeof(*v6);
}
