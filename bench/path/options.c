/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"Usage: path [OPTION]...\n"
	"Measures one worker of Meltemi inline: cycles around its turns only.\n\n"
	"  --codec thrift|dubbo|tcp   protocol (thrift)\n"
	"  --size N                   bytes of the string in request and reply (20)\n"
	"  --conns N                  client connections of each worker, 1-30000 (64)\n"
	"  --outstanding N            requests under way on each (1)\n"
	"  --routes N                 routes on the listener (1)\n"
	"  --policies on|off          3-key route, local limit, time-out (on)\n"
	"  --multiplexing             share upstream connections for a serial codec\n"
	"  --churn                    a client connection carries one exchange, then it is closed\n"
	"  --workers N                workers, each with its own queues and peers, in turn (1)\n"
	"  --threads                  each worker with its peers on a core of its own\n"
	"  --link ring|memif          how peers are joined (ring)\n"
	"  --mtu N                    of both links, 576-9000 (1500)\n"
	"  --hugepages auto|on|off    memory of the data path (auto)\n"
	"  --samples N                samples (20)\n"
	"  --exchanges N              exchanges in each (20000)\n"
	"  --json                     only the last line\n"
	"The last line is JSON: ns, cycles and instructions per exchange (min and median), share "
	"of I/O,\ncycles of each stage and segments in and out per exchange. The sum of the stages "
	"must agree\nwithin 10 % with the cycles around the turns, else the program fails.\n";

enum {
	O_CODEC = 1,
	O_SIZE,
	O_CONNS,
	O_OUT,
	O_ROUTES,
	O_POLICIES,
	O_MUX,
	O_CHURN,
	O_WORKERS,
	O_THREADS,
	O_LINK,
	O_MTU,
	O_PAGES,
	O_SAMPLES,
	O_EX,
	O_JSON,
	O_HELP
};

static const struct option longs[] = {
	{"codec", required_argument, NULL, O_CODEC},
	{"size", required_argument, NULL, O_SIZE},
	{"conns", required_argument, NULL, O_CONNS},
	{"outstanding", required_argument, NULL, O_OUT},
	{"routes", required_argument, NULL, O_ROUTES},
	{"policies", required_argument, NULL, O_POLICIES},
	{"multiplexing", no_argument, NULL, O_MUX},
	{"churn", no_argument, NULL, O_CHURN},
	{"workers", required_argument, NULL, O_WORKERS},
	{"threads", no_argument, NULL, O_THREADS},
	{"link", required_argument, NULL, O_LINK},
	{"mtu", required_argument, NULL, O_MTU},
	{"hugepages", required_argument, NULL, O_PAGES},
	{"samples", required_argument, NULL, O_SAMPLES},
	{"exchanges", required_argument, NULL, O_EX},
	{"json", no_argument, NULL, O_JSON},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

static int word(const char *text, const char *const *words, int n, const char *option)
{
	for (int i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	fprintf(stderr, "path: --%s: unknown word \"%s\"; see --help\n", option, text);
	exit(2);
}

static uint32_t number(const char *text, uint32_t lo, uint32_t hi, const char *option)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < lo || n > hi) {
		fprintf(stderr, "path: --%s: a number from %u to %u, not \"%s\"\n", option, lo, hi,
			text);
		exit(2);
	}
	return (uint32_t)n;
}

static void set(struct bench_options *o, int opt, const char *arg)
{
	static const char *const codecs[] = {"thrift", "dubbo", "tcp"};
	static const char *const links[] = {"ring", "memif"};
	static const char *const onoff[] = {"off", "on"};
	static const char *const pages[] = {"auto", "on", "off"};

	switch (opt) {
	case O_CODEC:
		o->codec = (enum bench_codec)word(arg, codecs, 3, "codec");
		break;
	case O_SIZE:
		o->size = number(arg, 1, 1000000, "size");
		break;
	case O_CONNS:
		o->conns = number(arg, 1, 30000, "conns");
		break;
	case O_OUT:
		o->outstanding = number(arg, 1, 1000, "outstanding");
		break;
	case O_ROUTES:
		o->routes = number(arg, 1, 100000, "routes");
		break;
	case O_POLICIES:
		o->policies = word(arg, onoff, 2, "policies");
		break;
	case O_MUX:
		o->multiplexing = true;
		break;
	case O_CHURN:
		o->churn = true;
		break;
	case O_WORKERS:
		o->workers = number(arg, 1, MT_WORKERS_MAX, "workers");
		break;
	case O_THREADS:
		o->threads = true;
		break;
	case O_MTU:
		o->mtu = (uint16_t)number(arg, 576, 9000, "mtu");
		break;
	case O_LINK:
		o->link = (enum bench_link)word(arg, links, 2, "link");
		break;
	case O_PAGES:
		o->pages = (enum mt_eal_pages)word(arg, pages, 3, "hugepages");
		break;
	case O_SAMPLES:
		o->samples = number(arg, 1, 10000, "samples");
		break;
	case O_EX:
		o->exchanges = number(arg, 1, 100000000, "exchanges");
		break;
	case O_JSON:
		o->json = true;
		break;
	case O_HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

int bench_options_parse(int argc, char **argv, struct bench_options *o)
{
	int opt;

	*o = (struct bench_options){.size = 20,
		.conns = 64,
		.outstanding = 1,
		.routes = 1,
		.workers = 1,
		.mtu = 1500,
		.samples = 20,
		.exchanges = 20000,
		.policies = true};
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1)
		set(o, opt, optarg);
	if (optind < argc) {
		fprintf(stderr, "path: unexpected \"%s\"; see --help\n", argv[optind]);
		return 2;
	}
	if (o->churn && o->outstanding > 1) {
		fprintf(stderr,
			"path: --churn: one exchange a connection, so --outstanding is 1\n");
		return 2;
	}
	return 0;
}
