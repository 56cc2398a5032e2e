/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_counters.h"
#include "replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: l4_replay MODE IN.pcap OUT.pcap\n"
			    "MODE: nat, nat-full, dsr, tunnel-ipip, tunnel-gue.\n"
			    "Forwards the frames of IN, at the times that it has, and writes those "
			    "that leave to OUT.\n";

static const char *const modes[MT_L4_MODES] = {[MT_L4_NAT] = "nat",
	[MT_L4_NAT_FULL] = "nat-full",
	[MT_L4_DSR] = "dsr",
	[MT_L4_IPIP] = "tunnel-ipip",
	[MT_L4_GUE] = "tunnel-gue"};

/* Of a capture in this machine's byte order, with microseconds. */
struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t accuracy, longest, link;
};

struct frame_header {
	uint32_t seconds, micros, captured, length;
};

#define MAGIC	 0xa1b2c3d4u
#define ETHERNET 1

void replay_die(const char *what, const char *of)
{
	fprintf(stderr, "l4_replay: %s%s%s\n", what, *of ? ": " : "", of);
	exit(EXIT_FAILURE);
}

void replay_sent(struct replay *r, const struct rte_mbuf *m)
{
	struct frame_header h = {.seconds = (uint32_t)(r->now / MT_SEC),
		.micros = (uint32_t)(r->now % MT_SEC / MT_USEC),
		.captured = m->pkt_len,
		.length = m->pkt_len};

	if (!r->out)
		return;
	r->written++;
	(void)fwrite(&h, sizeof(h), 1, r->out);
	for (; m; m = m->next)
		(void)fwrite(rte_pktmbuf_mtod(m, const void *), m->data_len, 1, r->out);
}

static void open_files(struct replay *r, const char *in, const char *out)
{
	struct file_header h;

	r->in = fopen(in, "rb");
	if (!r->in || fread(&h, sizeof(h), 1, r->in) != 1 || h.magic != MAGIC || h.link != ETHERNET)
		replay_die("not a capture of Ethernet frames in this machine's byte order", in);
	r->out = fopen(out, "wb");
	if (!r->out || fwrite(&h, sizeof(h), 1, r->out) != 1)
		replay_die("cannot write", out);
}

/* The next frame, and its time in ns; NULL: there is none. */
static struct rte_mbuf *next(struct replay *r, uint64_t *when)
{
	struct frame_header h;
	struct rte_mbuf *m;
	char *to;

	if (fread(&h, sizeof(h), 1, r->in) != 1)
		return NULL;
	if (h.captured > REPLAY_FRAME || h.captured != h.length)
		replay_die("a frame is cut off, or longer than 2048 bytes", "");
	m = mt_buf_data(&r->pools);
	to = m ? rte_pktmbuf_append(m, (uint16_t)h.captured) : NULL;
	if (!to || (h.captured && fread(to, h.captured, 1, r->in) != 1))
		replay_die("the capture ends within a frame", "");
	*when = h.seconds * MT_SEC + h.micros * MT_USEC;
	r->read++;
	return m;
}

static void replay(struct replay *r)
{
	struct rte_mbuf *pkts[REPLAY_BURST], *m;
	uint64_t start = r->now, when, at = 0;
	uint16_t n = 0;

	while ((m = next(r, &when))) {
		if (n == REPLAY_BURST || (n && when != at)) {
			r->now = start + at;
			replay_turn(r, pkts, n);
			n = 0;
		}
		at = when;
		pkts[n++] = m;
	}
	r->now = start + at;
	replay_turn(r, pkts, n);
}

int main(int argc, char **argv)
{
	static struct replay r = {.now = MT_SEC};
	FILE *out;
	int mode = 0;

	while (argc == 4 && mode < MT_L4_MODES && strcmp(argv[1], modes[mode]) != 0)
		mode++;
	if (argc != 4 || mode == MT_L4_MODES) {
		fputs(usage, stderr);
		return 2;
	}
	replay_open(&r, (enum mt_l4_mode)mode);
	open_files(&r, argv[2], argv[3]);
	replay(&r);
	out = r.out;
	r.out = NULL;
	fclose(r.in);
	if (fclose(out))
		replay_die("cannot write", argv[3]);
	printf("{\"bench\": \"l4_replay\", \"mode\": \"%s\", \"read\": %" PRIu64
	       ", \"written\": %" PRIu64 "}\n",
		modes[mode], r.read, r.written);
	bench_tell(&mt_l4_outcomes, mt_l4_counters(r.l4));
	bench_tell(&mt_net_outcomes, mt_net_counters(r.netw));
	replay_close(&r);
	return 0;
}
