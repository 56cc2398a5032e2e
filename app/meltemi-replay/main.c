/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the arguments, and replays the recording from its first frame to its last. */
#include "replay.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#define EXIT_USAGE 2

struct options {
	const char *file, *write;
	bool verbose, json, verbatim, sums;
	uint64_t tail_s, seed;
};

struct output {
	const struct conns *conns;
	bool verbose;
	pcap_dumper_t *dump;
};

static const char usage[] =
	"usage: meltemi-replay [OPTION]... CAPTURE\n"
	"Holds a recorded conversation again, with Meltemi's stack in the place of the server.\n"
	"  -l, --local ADDRESS  serve this address (may be repeated; default: where SYNs went)\n"
	"  -v, --verbose        print each frame: > fed, < sent\n"
	"  -w, --write FILE     write what was fed and sent as a capture\n"
	"  -t, --tail SECONDS   go on so long after the last frame (default 5)\n"
	"  -c, --checksums      make wrong TCP checksums right (recorded before the device did)\n"
	"      --verbatim       feed segments as they are, acknowledgment numbers unchanged\n"
	"      --seed N         another random source (default 1)\n"
	"      --json           the report as one line of JSON\n"
	"  -h, --help; -V, --version\n";

static int number(const char *text, const char *what, uint64_t max, uint64_t *to)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v > max) {
		fprintf(stderr, "meltemi-replay: %s is not %s\n", text, what);
		return EXIT_USAGE;
	}
	*to = v;
	return 0;
}

static int local(struct conns *cs, const char *text)
{
	struct mt_addr a;

	if (mt_addr_parse(text, &a) == 0)
		return conns_add_local(cs, &a) ? EXIT_FAILURE : 0;
	fprintf(stderr, "meltemi-replay: %s is not an address\n", text);
	return EXIT_USAGE;
}

/* Returns 0 to go on, -1 to end successfully, else the exit status. */
static int one_option(struct options *o, struct conns *cs, int opt)
{
	switch (opt) {
	case 'l':
		return local(cs, optarg);
	case 'v':
		o->verbose = true;
		return 0;
	case 'w':
		o->write = optarg;
		return 0;
	case 't':
		return number(optarg, "a number of seconds up to 86400", 86400, &o->tail_s);
	case 'c':
		o->sums = true;
		return 0;
	case 'b':
		o->verbatim = true;
		return 0;
	case 's':
		return number(optarg, "a seed", UINT64_MAX, &o->seed);
	case 'j':
		o->json = true;
		return 0;
	case 'h':
		fputs(usage, stdout);
		return -1;
	case 'V':
		puts("meltemi-replay " MT_VERSION);
		return -1;
	default:
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
}

static int parse(int argc, char **argv, struct options *o, struct conns *cs)
{
	static const struct option longs[] = {{"local", 1, NULL, 'l'}, {"verbose", 0, NULL, 'v'},
		{"write", 1, NULL, 'w'}, {"tail", 1, NULL, 't'}, {"checksums", 0, NULL, 'c'},
		{"verbatim", 0, NULL, 'b'}, {"seed", 1, NULL, 's'}, {"json", 0, NULL, 'j'},
		{"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'}, {0}};
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "l:vw:t:chV", longs, NULL)) != -1) {
		rc = one_option(o, cs, opt);
		if (rc)
			return rc;
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	o->file = argv[optind];
	return 0;
}

static void watch(void *arg, const struct frame *f, uint64_t ns, bool out)
{
	const struct output *o = arg;

	if (o->verbose)
		report_frame(stdout, o->conns, f, ns, out);
	if (o->dump) {
		struct pcap_pkthdr h = {.caplen = f->len, .len = f->len};

		h.ts.tv_sec = (time_t)(ns / MT_SEC);
		h.ts.tv_usec = (suseconds_t)(ns % MT_SEC); /* opened with nanosecond precision */
		pcap_dump((u_char *)o->dump, &h, f->b);
	}
}

/*
 * Replays one recorded frame: feeds it if it is from a client, or lets the application send its
 * data if it is from the server.
 */
static void play(struct stack *s, struct frame *f, const struct options *o, uint32_t *unmatched)
{
	struct conn *c = NULL;

	stack_advance(s, f->ns);
	if (f->ip && conns_is_local(s->conns, &f->src)) {
		struct mt_tuple t = {f->src, f->dst, f->sport, f->dport, 0};

		c = f->tcp ? conns_find(s->conns, &t) : NULL;
		if (c)
			stack_serve(s, c, f);
		return;
	}
	/* Other traffic would concern only recorded stations that are not here. */
	if (!f->ip || (!f->group && !conns_is_local(s->conns, &f->dst))) {
		++*unmatched;
		return;
	}
	if (f->tcp) {
		struct mt_tuple t = {f->dst, f->src, f->dport, f->sport, 0};

		c = conns_find(s->conns, &t);
	}
	if (c) {
		c->segs_in++;
		if (!o->verbatim)
			mend(f, c, o->sums);
	}
	stack_feed(s, f);
}

static int replay(struct stack *s, struct capture *cap, const struct options *o)
{
	struct output out = {.conns = s->conns, .verbose = o->verbose};
	pcap_t *dead =
		pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
	uint32_t unmatched = 0, lost;

	if (o->write) {
		out.dump = pcap_dump_open(dead, o->write);
		if (!out.dump) {
			fprintf(stderr, "meltemi-replay: %s\n", pcap_geterr(dead));
			pcap_close(dead);
			return EXIT_FAILURE;
		}
	}
	s->watch = watch;
	s->watch_arg = &out;
	for (uint32_t i = 0; i < cap->n; i++)
		play(s, &cap->frames[i], o, &unmatched);
	stack_advance(s, (cap->n ? cap->frames[cap->n - 1].ns : 0) + o->tail_s * MT_SEC);
	if (o->json)
		report_json(s, cap, unmatched);
	else
		report_text(s, cap, unmatched);
	lost = stack_close(s);
	if (out.dump)
		pcap_dump_close(out.dump);
	pcap_close(dead);
	if (lost == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "meltemi-replay: %u buffers were not given back\n", lost);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct options o = {.tail_s = 5, .seed = 1};
	static struct capture cap;
	static struct conns conns;
	static struct stack stack;
	struct mt_tcp_conf tcp = {0};
	struct mt_err e;
	int rc = parse(argc, argv, &o, &conns);

	if (rc == 0) {
		rc = capture_read(&cap, o.file, &e) ? EXIT_USAGE : 0;
		if (!rc && conns_build(&conns, &cap))
			rc = mt_err(&e, EXIT_FAILURE, "no memory for the connections");
		if (rc)
			fprintf(stderr, "meltemi-replay: %s\n", e.text);
		tcp.max_conns = MT_MAX(conns.n, 1024u);
	}
	if (rc == 0) {
		rc = stack_open(&stack, &conns, &tcp, o.seed, &e) ? EXIT_FAILURE : 0;
		if (rc)
			fprintf(stderr, "meltemi-replay: %s\n", e.text);
		else
			rc = replay(&stack, &cap, &o);
	}
	capture_free(&cap);
	conns_free(&conns);
	return rc == -1 ? EXIT_SUCCESS : rc;
}
