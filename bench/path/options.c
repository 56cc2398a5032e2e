/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include "bench_words.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_EXCHANGES 20000

#define WATCH_EVERY 500

const char *const path_peer_names[] = {"stack", "stripped", NULL};
const char *const path_tls_names[] = {"off", "down", "up", "both", NULL};
/* In the order of enum path_traced. */
static const char *const traced_names[] = {"off", "no", "all", NULL};
/* In the order of enum path_forwarding. */
static const char *const forwarding_names[] = {"off", "elsewhere", "address", NULL};
/* In the order of enum path_watch_kind. */
static const char *const watch_names[] = {
	"off", "services", "clusters", "connections", "exchanges", NULL};

static const char usage[] =
	"Usage: path [OPTION]...\n"
	"Measures one worker of Meltemi inline: cycles around its turns only.\n\n"
	"  --codec thrift|dubbo|tcp|awesomerpc\n"
	"                             protocol (thrift)\n"
	"  --codec-file FILE          Meltemi reads the protocol by this codec file\n"
	"  --size N                   bytes of the string in request and reply (20)\n"
	"  --conns N                  client connections of each worker, 1-30000 (64)\n"
	"  --outstanding N            requests under way on each (1)\n"
	"  --routes N                 routes on the listener (1)\n"
	"  --policies on|off          3-key route, local limit, time-out (on)\n"
	"  --retries N                a VirtualService in place of these, with a retry policy of N "
	"attempts\n"
	"  --access-log               each call leaves an entry of the access log, which is "
	"dropped "
	"between\n"
	"                             two turns\n"
	"  --log-metadata             ... whose format names four keys of metadata\n"
	"  --log-full                 ... which finds no place, because nothing reads entries\n"
	"  --keyed                    each client address has a limit of its own, which admits "
	"all\n"
	"  --traced off|no|all        tracing: no call is drawn, or all are (off)\n"
	"  --multiplexing             share upstream connections for a serial codec\n"
	"  --churn                    a client connection carries one exchange, then it is closed\n"
	"  --workers N                workers, each with its own queues and peers, in turn (1)\n"
	"  --threads                  each worker with its peers on a core of its own\n"
	"  --link ring|memif          how peers are joined (ring)\n"
	"  --peer stack|stripped      client and server on lib/tcp, or ones that know their "
	"exchange: at\n"
	"                             most 100 cycles a packet, messages up to 16 KiB, no "
	"retransmission\n"
	"                             (stack)\n"
	"  --tls off|down|up|both     mutual TLS of clients, towards servers, or of both (off); "
	"not "
	"with\n"
	"                             --peer stripped\n"
	"  --cipher aes-128-gcm|aes-256-gcm|chacha20-poly1305\n"
	"                             of both sides (aes-128-gcm)\n"
	"  --forwarding off|elsewhere|address\n"
	"                             a UDP port is forwarded at layer 4, at another address than "
	"the\n"
	"                             service, or at the same (off)\n"
	"  --flows N                  with --forwarding: so many flows of the forwarded port in "
	"the "
	"table,\n"
	"                             and a burst of them between two turns, which is not counted "
	"(0)\n"
	"  --mtu N                    of both links, 576-9000 (1500)\n"
	"  --hugepages auto|on|off    memory of the data path (auto)\n"
	"  --samples N                samples (20)\n"
	"  --exchanges N              exchanges in each (20000, fewer of messages from 1 KiB on)\n"
	"  --watch off|services|clusters|connections|exchanges\n"
	"                             meanwhile a scraper asks, and `top` that shows this table "
	"(off)\n"
	"  --watch-every N            exchanges between two rounds of queries (500)\n"
	"  --turn-ns N                so much time passes in each turn, whatever the clock says: "
	"turns are\n"
	"                             the same each time\n"
	"  --json                     only the last line\n"
	"The last line is JSON: ns, cycles and instructions per exchange (min and median), share "
	"of I/O,\ncycles of each stage and segments in and out per exchange. The sum of the stages "
	"must agree\nwithin 10 % with the cycles around the turns, else the program fails.\n";

enum {
	O_CODEC = 1,
	O_CODEC_FILE,
	O_SIZE,
	O_CONNS,
	O_OUT,
	O_ROUTES,
	O_POLICIES,
	O_RETRIES,
	O_LOG,
	O_NAMES,
	O_FULL,
	O_KEYED,
	O_TRACED,
	O_MUX,
	O_CHURN,
	O_WORKERS,
	O_THREADS,
	O_LINK,
	O_MTU,
	O_PEER,
	O_TLS,
	O_CIPHER,
	O_FORWARDING,
	O_FLOWS,
	O_PAGES,
	O_SAMPLES,
	O_EX,
	O_WATCH,
	O_WATCH_EVERY,
	O_TURN_NS,
	O_JSON,
	O_HELP
};

static const struct option longs[] = {
	{"codec", required_argument, NULL, O_CODEC},
	{"codec-file", required_argument, NULL, O_CODEC_FILE},
	{"size", required_argument, NULL, O_SIZE},
	{"conns", required_argument, NULL, O_CONNS},
	{"outstanding", required_argument, NULL, O_OUT},
	{"routes", required_argument, NULL, O_ROUTES},
	{"policies", required_argument, NULL, O_POLICIES},
	{"retries", required_argument, NULL, O_RETRIES},
	{"access-log", no_argument, NULL, O_LOG},
	{"log-metadata", no_argument, NULL, O_NAMES},
	{"log-full", no_argument, NULL, O_FULL},
	{"keyed", no_argument, NULL, O_KEYED},
	{"traced", required_argument, NULL, O_TRACED},
	{"multiplexing", no_argument, NULL, O_MUX},
	{"churn", no_argument, NULL, O_CHURN},
	{"workers", required_argument, NULL, O_WORKERS},
	{"threads", no_argument, NULL, O_THREADS},
	{"link", required_argument, NULL, O_LINK},
	{"peer", required_argument, NULL, O_PEER},
	{"tls", required_argument, NULL, O_TLS},
	{"cipher", required_argument, NULL, O_CIPHER},
	{"forwarding", required_argument, NULL, O_FORWARDING},
	{"flows", required_argument, NULL, O_FLOWS},
	{"mtu", required_argument, NULL, O_MTU},
	{"hugepages", required_argument, NULL, O_PAGES},
	{"samples", required_argument, NULL, O_SAMPLES},
	{"exchanges", required_argument, NULL, O_EX},
	{"watch", required_argument, NULL, O_WATCH},
	{"watch-every", required_argument, NULL, O_WATCH_EVERY},
	{"turn-ns", required_argument, NULL, O_TURN_NS},
	{"json", no_argument, NULL, O_JSON},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

static void set(struct path_options *o, int opt, const char *arg)
{
	static const char *const onoff[] = {"off", "on", NULL};

	switch (opt) {
	case O_CODEC:
		o->codec = (enum bench_codec)bench_word("codec", arg, bench_codec_names);
		break;
	case O_CODEC_FILE:
		o->codec_file = arg;
		break;
	case O_SIZE:
		o->size = bench_number("size", arg, 1, 1000000);
		break;
	case O_CONNS:
		o->conns = bench_number("conns", arg, 1, 30000);
		break;
	case O_OUT:
		o->outstanding = bench_number("outstanding", arg, 1, 1000);
		break;
	case O_ROUTES:
		o->routes = bench_number("routes", arg, 1, 100000);
		break;
	case O_RETRIES:
		o->retries = (int)bench_number("retries", arg, 0, 100);
		break;
	case O_POLICIES:
		o->policies = bench_word("policies", arg, onoff);
		break;
	case O_LOG:
		o->log = true;
		break;
	case O_NAMES:
		o->log = o->names = true;
		break;
	case O_FULL:
		o->log = o->log_full = true;
		break;
	case O_KEYED:
		o->keyed = true;
		break;
	case O_TRACED:
		o->traced = (enum path_traced)bench_word("traced", arg, traced_names);
		break;
	case O_MUX:
		o->multiplexing = true;
		break;
	case O_CHURN:
		o->churn = true;
		break;
	case O_WORKERS:
		o->workers = bench_number("workers", arg, 1, MT_WORKERS_MAX);
		break;
	case O_THREADS:
		o->threads = true;
		break;
	case O_MTU:
		o->mtu = (uint16_t)bench_number("mtu", arg, 576, 9000);
		break;
	case O_LINK:
		o->link = (enum bench_link)bench_word("link", arg, bench_link_names);
		break;
	case O_PEER:
		o->peer = (enum path_peer_kind)bench_word("peer", arg, path_peer_names);
		break;
	case O_TLS:
		o->tls = (enum path_tls)bench_word("tls", arg, path_tls_names);
		break;
	case O_CIPHER:
		o->cipher = (enum mt_tls_cipher)bench_word("cipher", arg, bench_cipher_names);
		break;
	case O_FORWARDING:
		o->forwarding =
			(enum path_forwarding)bench_word("forwarding", arg, forwarding_names);
		break;
	case O_FLOWS:
		o->flows = bench_number("flows", arg, 0, 12000000);
		break;
	case O_PAGES:
		o->pages = (enum mt_eal_pages)bench_word("hugepages", arg, bench_pages_names);
		break;
	case O_SAMPLES:
		o->samples = bench_number("samples", arg, 1, 10000);
		break;
	case O_EX:
		o->exchanges = bench_number("exchanges", arg, 1, 100000000);
		break;
	case O_WATCH:
		o->watch = (enum path_watch_kind)bench_word("watch", arg, watch_names);
		break;
	case O_WATCH_EVERY:
		o->watch_every = bench_number("watch-every", arg, 1, 100000000);
		break;
	case O_TURN_NS:
		o->turn_ns = bench_number("turn-ns", arg, 1, 1000000);
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

int path_options_parse(int argc, char **argv, struct path_options *o)
{
	int opt;

	*o = (struct path_options){.size = 20,
		.conns = 64,
		.outstanding = 1,
		.routes = 1,
		.workers = 1,
		.mtu = 1500,
		.samples = 20,
		.policies = true,
		.retries = -1,
		.watch_every = WATCH_EVERY};
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1)
		set(o, opt, optarg);
	if (optind < argc) {
		fprintf(stderr, "path: unexpected \"%s\"; see --help\n", argv[optind]);
		return 2;
	}
	/* Keeps the run time about equal for long messages. */
	if (!o->exchanges)
		o->exchanges = MAX_EXCHANGES / (1 + o->size / 1024);
	if (o->peer == PATH_STRIPPED && o->size > BENCH_STRIPPED_MAX - 512) {
		fprintf(stderr,
			"path: --peer stripped: --size is at most %u; --peer stack sends longer "
			"ones\n",
			BENCH_STRIPPED_MAX - 512);
		return 2;
	}
	if (o->peer == PATH_STRIPPED && o->tls) {
		fprintf(stderr, "path: --tls: stripped peers use plaintext only; --peer stack "
				"does both\n");
		return 2;
	}
	if (o->flows && !o->forwarding) {
		fprintf(stderr,
			"path: --flows: they need a forwarded port: --forwarding address\n");
		return 2;
	}
	if (o->watch && o->threads) {
		fprintf(stderr, "path: --watch: workers are turned by hand, not by --threads\n");
		return 2;
	}
	if (o->churn && o->outstanding > 1) {
		fprintf(stderr,
			"path: --churn: one exchange a connection, so --outstanding is 1\n");
		return 2;
	}
	return 0;
}
