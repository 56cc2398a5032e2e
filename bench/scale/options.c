/* SPDX-License-Identifier: Apache-2.0 */
#include "scale.h"

#include "bench_words.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"Usage: scale [OPTION]...\n"
	"Measures memory and time of many connections on one worker of Meltemi.\n\n"
	"  --codec tcp|dubbo|thrift|awesomerpc\n"
	"                            protocol (tcp: a server connection for each client "
	"connection)\n"
	"  --conns N[,N]...          client connections at each step, increasing, at most 2000000 "
	"(1000,10000,100000)\n"
	"  --tls off|both            plaintext, or mutual TLS with clients and servers (off)\n"
	"  --size N                  bytes of the string in request and reply, 1 to 1024 (20)\n"
	"  --outstanding N           outstanding requests in total, one per connection, 1 to 4096 "
	"(256)\n"
	"  --samples N               samples of exchanges, at most 1000 (20)\n"
	"  --exchanges N             exchanges in each sample, 1 to 10000000 (10000)\n"
	"  --churn N                 connections opened, used once and closed at each step, at "
	"most "
	"1000000 (5000)\n"
	"  --idle-hours N            idle hours of virtual time at each step, at most 100 (3)\n"
	"  --max-bytes N             fail if a connection takes more memory, at most 1000000; 0: "
	"no "
	"limit (0)\n"
	"  --hugepages auto|on|off   memory of buffers (off)\n"
	"Prints one JSON line for each step, and the parts of the memory to standard error.\n";

enum {
	O_CODEC = 1,
	O_TLS,
	O_CONNS,
	O_SIZE,
	O_OUT,
	O_SAMPLES,
	O_EX,
	O_CHURN,
	O_HOURS,
	O_MAX,
	O_PAGES,
	O_HELP
};

static const struct option longs[] = {
	{"codec", required_argument, NULL, O_CODEC},
	{"tls", required_argument, NULL, O_TLS},
	{"conns", required_argument, NULL, O_CONNS},
	{"size", required_argument, NULL, O_SIZE},
	{"outstanding", required_argument, NULL, O_OUT},
	{"samples", required_argument, NULL, O_SAMPLES},
	{"exchanges", required_argument, NULL, O_EX},
	{"churn", required_argument, NULL, O_CHURN},
	{"idle-hours", required_argument, NULL, O_HOURS},
	{"max-bytes", required_argument, NULL, O_MAX},
	{"hugepages", required_argument, NULL, O_PAGES},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

#define CONNS_MAX 2000000

static int wrong_steps(const char *text)
{
	fprintf(stderr,
		"scale: --conns: 1 to %d numbers from 1 to %d, each above the one before, with "
		"commas between them, not \"%s\"\n",
		SCALE_STEPS_MAX, CONNS_MAX, text);
	return 2;
}

static int steps(const char *text, struct scale_options *o)
{
	const char *at = text;
	char *end;

	for (o->n_steps = 0; o->n_steps < SCALE_STEPS_MAX; at = end + 1) {
		unsigned long v = strtoul(at, &end, 10);

		if (end == at || v < 1 || v > CONNS_MAX ||
			(o->n_steps && v <= o->steps[o->n_steps - 1]))
			return wrong_steps(text);
		o->steps[o->n_steps++] = (uint32_t)v;
		if (*end == '\0')
			return 0;
		if (*end != ',')
			break;
	}
	return wrong_steps(text);
}

static int take(int option, const char *text, struct scale_options *o)
{
	static const char *const tls[] = {"off", "both", NULL};
	const char *name = longs[option - 1].name;

	switch (option) {
	case O_CODEC:
		o->codec = (enum bench_codec)bench_word(name, text, bench_codec_names);
		break;
	case O_TLS:
		o->tls = bench_word(name, text, tls);
		break;
	case O_PAGES:
		o->pages = (enum mt_eal_pages)bench_word(name, text, bench_pages_names);
		break;
	case O_CONNS:
		return steps(text, o);
	case O_SIZE:
		o->size = bench_number(name, text, 1, 1024);
		break;
	case O_OUT:
		o->outstanding = bench_number(name, text, 1, 4096);
		break;
	case O_SAMPLES:
		o->samples = bench_number(name, text, 0, 1000);
		break;
	case O_EX:
		o->exchanges = bench_number(name, text, 1, 10000000);
		break;
	case O_CHURN:
		o->churn = bench_number(name, text, 0, 1000000);
		break;
	case O_HOURS:
		o->idle_hours = bench_number(name, text, 0, 100);
		break;
	default:
		o->max_bytes = bench_number(name, text, 0, 1000000);
	}
	return 0;
}

int scale_options_parse(int argc, char **argv, struct scale_options *o)
{
	int option, rc = 0;

	*o = (struct scale_options){
		.codec = BENCH_TCP,
		.size = 20,
		.pages = MT_EAL_PAGES_OFF,
		.steps = {1000, 10000, 100000},
		.n_steps = 3,
		.samples = 20,
		.exchanges = 10000,
		.outstanding = 256,
		.churn = 5000,
		.idle_hours = 3,
	};
	while (rc == 0 && (option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == O_HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		rc = option == '?' ? 2 : take(option, optarg, o);
	}
	if (rc == 0 && optind < argc) {
		fprintf(stderr, "scale: unexpected '%s'; see --help\n", argv[optind]);
		rc = 2;
	}
	if (rc == 0 && o->samples && o->outstanding > o->steps[0]) {
		fprintf(stderr,
			"scale: --outstanding %u: a connection has one request at a time, and %u "
			"come first (--conns)\n",
			o->outstanding, o->steps[0]);
		rc = 2;
	}
	return rc;
}
