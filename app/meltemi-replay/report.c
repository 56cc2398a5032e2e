/* SPDX-License-Identifier: Apache-2.0 */
/* Reports what happened: segment by segment, then connections and counters, as text or as JSON. */
#include "replay.h"

#include <inttypes.h>

static const char *flag_text(uint8_t flags, char text[9])
{
	static const char names[] = "FSRPAUEC";
	int n = 0;

	for (int i = 0; i < 8; i++)
		if (flags & 1 << i)
			text[n++] = names[i];
	text[n] = '\0';
	return text;
}

void report_frame(FILE *to, const struct conns *cs, const struct frame *f, uint64_t ns, bool out)
{
	char src[MT_ADDR_STRLEN], dst[MT_ADDR_STRLEN], flags[9];

	fprintf(to, "%5llu.%06llu %s ", ns / MT_SEC, ns % MT_SEC / MT_USEC, out ? "<" : ">");
	if (f->tcp)
		fprintf(to, "%s > %s [%s] seq %" PRIu32 " ack %" PRIu32 " len %" PRIu32 "\n",
			mt_addr_port_str(&f->src, f->sport, src),
			mt_addr_port_str(&f->dst, f->dport, dst), flag_text(f->flags, flags),
			f->seq, f->flags & TCP_ACK ? f->ack : 0, f->data_len);
	else if (f->ip)
		fprintf(to, "%s > %s protocol %u len %" PRIu32 "\n", mt_addr_str(&f->src, src),
			mt_addr_str(&f->dst, dst), f->is4 ? f->b[23] : f->b[20], f->len);
	else
		fprintf(to, "type 0x%02x%02x len %" PRIu32 "\n", f->b[12], f->b[13], f->len);
}

static const struct {
	const struct mt_outcome_set *set;
	int which;
} sets[] = {{&mt_net_outcomes, 0}, {&mt_tcp_outcomes, 1}, {&mt_buf_outcomes, 2}};

static const uint64_t *counters_of(const struct stack *s, int which)
{
	return which == 0   ? mt_net_counters(s->w)
	       : which == 1 ? mt_tcp_counters(s->tcp)
			    : s->pools.counters;
}

static const char *end_of(const struct conn *c)
{
	return c->end ? c->end : c->s ? "open" : c->accepted ? "ended" : "not accepted";
}

struct sums {
	uint32_t accepted, ended;
	uint64_t in, out;
};

static struct sums sum(const struct conns *cs)
{
	struct sums t = {0};

	for (uint32_t i = 0; i < cs->n; i++) {
		t.accepted += cs->all[i]->accepted;
		t.ended += cs->all[i]->accepted && !cs->all[i]->s;
		t.in += cs->all[i]->bytes_in;
		t.out += cs->all[i]->bytes_out;
	}
	return t;
}

void report_text(const struct stack *s, const struct capture *c, uint32_t unmatched)
{
	const struct conns *cs = s->conns;
	struct sums t = sum(cs);
	char a[MT_ADDR_STRLEN], b[MT_ADDR_STRLEN];

	printf("frames: %u read, %u of no use, %" PRIu64 " fed, %u for addresses not served, "
	       "%" PRIu64 " sent\n",
		c->n + c->skipped, c->skipped, s->frames_in, unmatched, s->frames_out);
	printf("connections: %u recorded, %u accepted, %u ended; bytes: %" PRIu64 " received, "
	       "%" PRIu64 " sent\n",
		cs->n, t.accepted, t.ended, t.in, t.out);
	for (uint32_t i = 0; i < cs->n && i < 100; i++) {
		const struct conn *k = cs->all[i];

		printf("  %s < %s: %s, %" PRIu64 " in, %" PRIu64 " out, segments %u in, %u out\n",
			mt_addr_port_str(&k->tuple.local, k->tuple.lport, a),
			mt_addr_port_str(&k->tuple.remote, k->tuple.rport, b), end_of(k),
			k->bytes_in, k->bytes_out, k->segs_in, k->segs_out);
	}
	if (cs->n > 100)
		printf("  and %u more\n", cs->n - 100);
	for (size_t i = 0; i < MT_ARRAY_LEN(sets); i++)
		for (uint32_t k = 0; k < sets[i].set->n; k++) {
			uint64_t v = counters_of(s, sets[i].which)[k];

			if (v)
				printf("%10" PRIu64 " %s.%s: %s\n", v, sets[i].set->room,
					sets[i].set->rows[k].name, sets[i].set->rows[k].words);
		}
	printf("trace: %016" PRIx64 "\n", s->trace);
}

void report_json(const struct stack *s, const struct capture *c, uint32_t unmatched)
{
	struct sums t = sum(s->conns);
	const char *comma = "";

	printf("{\"frames\":%u,\"skipped\":%u,\"fed\":%" PRIu64
	       ",\"unmatched\":%u,\"sent\":%" PRIu64
	       ",\"connections\":%u,\"accepted\":%u,\"ended\":%u,\"bytes_in\":%" PRIu64
	       ",\"bytes_out\":%" PRIu64 ",\"counters\":{",
		c->n + c->skipped, c->skipped, s->frames_in, unmatched, s->frames_out, s->conns->n,
		t.accepted, t.ended, t.in, t.out);
	for (size_t i = 0; i < MT_ARRAY_LEN(sets); i++)
		for (uint32_t k = 0; k < sets[i].set->n; k++) {
			uint64_t v = counters_of(s, sets[i].which)[k];

			if (v == 0)
				continue;
			printf("%s\"%s.%s\":%" PRIu64, comma, sets[i].set->room,
				sets[i].set->rows[k].name, v);
			comma = ",";
		}
	printf("},\"trace\":\"%016" PRIx64 "\"}\n", s->trace);
}
