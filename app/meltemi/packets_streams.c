/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP connections of a capture: IPv4 and IPv6 over Ethernet with VLAN tags, Linux cooked
 * captures, loopback, or raw. Segments are sorted by their sequence numbers; of bytes that were
 * sent again the first count.
 */
#include "packets.h"
#include "streams.h"

#include "mt_strmap.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define SYN 0x02
#define ACK 0x10

struct segment {
	uint32_t seq, n;
	int64_t from; /* of the stream's first byte */
	uint32_t order;
	const uint8_t *p;
};

struct flow {
	char name[160], back[160];
	uint16_t sport, dport;
	bool syn, ack;	/* sent SYN; with ACK */
	uint32_t first; /* with `syn`: sequence number of its first byte */
	struct segment *segments;
	uint32_t n, room;
};

struct reading {
	struct streams *s;
	struct mt_strmap map; /* flow by name */
	struct flow **flows;
	uint32_t n, room;
	uint32_t port;
	bool failed;
};

/* A TCP segment of a packet. */
struct tcp {
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	const char *format; /* of address and port */
	uint16_t sport, dport;
	uint32_t seq;
	uint8_t flags;
	const uint8_t *p;
	uint32_t n;
	bool fragment, truncated;
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* ---- packets --------------------------------------------------------------------------------- */

/* Bytes before the IP header; UINT32_MAX: the packet has none. */
static uint32_t link_head(const struct packet *k)
{
	uint32_t at = 12;

	switch (k->link) {
	case 0:	  /* loopback of BSD */
	case 108: /* of OpenBSD */
		return 4;
	case 12:
	case 14:
	case 101:
	case 228:
	case 229:
		return 0;
	case 113: /* Linux cooked */
		return 16;
	case 276: /* its version 2 */
		return 20;
	case 1:
		while (at + 2 <= k->n && at < 28 &&
			(be16(k->bytes + at) == 0x8100 || be16(k->bytes + at) == 0x88a8))
			at += 4;
		if (at + 2 > k->n)
			return UINT32_MAX;
		return be16(k->bytes + at) == 0x0800 || be16(k->bytes + at) == 0x86dd ? at + 2
										      : UINT32_MAX;
	default:
		return UINT32_MAX;
	}
}

/* `p`: the TCP header; `n`: its bytes that were captured; `len`: bytes in the packet. */
static bool read_tcp(struct tcp *t, const uint8_t *p, uint32_t n, uint32_t len)
{
	uint32_t head;

	if (n < 20)
		return false;
	head = (uint32_t)(p[12] >> 4) * 4;
	if (head < 20 || head > n || head > len)
		return false;
	t->sport = be16(p);
	t->dport = be16(p + 2);
	t->seq = be32(p + 4);
	t->flags = p[13];
	t->p = p + head;
	t->truncated = len > n;
	t->n = MT_MIN(len, n) - head;
	return true;
}

static bool read_ip4(struct tcp *t, const uint8_t *p, uint32_t n)
{
	uint32_t head, len;

	if (n < 20)
		return false;
	head = (uint32_t)(p[0] & 15) * 4;
	/* A length of 0 is that of a segment that the card has cut. */
	len = be16(p + 2) ? be16(p + 2) : n;
	if (head < 20 || head > n || head > len || p[9] != IPPROTO_TCP)
		return false;
	t->fragment = (be16(p + 6) & 0x3fff) != 0;
	t->format = "%s:%u -> %s:%u";
	inet_ntop(AF_INET, p + 12, t->src, sizeof(t->src));
	inet_ntop(AF_INET, p + 16, t->dst, sizeof(t->dst));
	return t->fragment || read_tcp(t, p + head, n - head, len - head);
}

static bool read_ip6(struct tcp *t, const uint8_t *p, uint32_t n)
{
	uint32_t at = 40, len;
	uint8_t next;

	if (n < at)
		return false;
	len = be16(p + 4) ? 40u + be16(p + 4) : n;
	next = p[6];
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
		if (n - at < 8)
			return false;
		next = p[at];
		at += 8u + p[at + 1] * 8u;
		if (at > n)
			return false;
	}
	t->fragment = next == IPPROTO_FRAGMENT;
	t->format = "[%s]:%u -> [%s]:%u";
	inet_ntop(AF_INET6, p + 8, t->src, sizeof(t->src));
	inet_ntop(AF_INET6, p + 24, t->dst, sizeof(t->dst));
	if (t->fragment)
		return true;
	return next == IPPROTO_TCP && at <= len && read_tcp(t, p + at, n - at, len - at);
}

static bool read_packet(struct tcp *t, const struct packet *k)
{
	uint32_t head = link_head(k);

	*t = (struct tcp){0};
	if (head >= k->n)
		return false;
	if (k->bytes[head] >> 4 == 4)
		return read_ip4(t, k->bytes + head, k->n - head);
	return k->bytes[head] >> 4 == 6 && read_ip6(t, k->bytes + head, k->n - head);
}

/* ---- flows ----------------------------------------------------------------------------------- */

static struct flow *new_flow(struct reading *r, const char *name, const struct tcp *t)
{
	struct flow *f = calloc(1, sizeof(*f));

	if (f && r->n == r->room) {
		uint32_t room = r->room ? 2 * r->room : 64;
		struct flow **more = realloc(r->flows, room * sizeof(*more));

		r->flows = more ? more : r->flows;
		r->room = more ? room : r->room;
	}
	if (!f || r->n == r->room || r->n >= STREAMS_MAX) {
		r->failed = true;
		free(f);
		return NULL;
	}
	r->flows[r->n++] = f;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->back, sizeof(f->back), t->format, t->dst, t->dport, t->src, t->sport);
	f->sport = t->sport;
	f->dport = t->dport;
	if (mt_strmap_put(&r->map, f->name, f, NULL))
		r->failed = true;
	return f;
}

/* True if the SYN starts the connection of the flow, which may have sent more in the meantime. */
static bool starts(const struct flow *f, uint32_t first)
{
	if (f->syn)
		return f->first == first;
	for (uint32_t i = 0; i < f->n; i++)
		if ((int32_t)(f->segments[i].seq - first) < 0)
			return false;
	return true;
}

/* The flow of a segment; another SYN starts another connection of the same ends. */
static struct flow *flow_of(struct reading *r, const struct tcp *t)
{
	char name[160];
	struct flow *f;

	snprintf(name, sizeof(name), t->format, t->src, t->sport, t->dst, t->dport);
	f = mt_strmap_get(&r->map, name);
	if (!f || (t->flags & SYN && !starts(f, t->seq + 1)))
		f = new_flow(r, name, t);
	if (f && t->flags & SYN) {
		f->syn = true;
		f->ack = t->flags & ACK;
		f->first = t->seq + 1;
	}
	return f;
}

static void add_segment(struct reading *r, struct flow *f, const struct tcp *t)
{
	if (f->n == f->room) {
		uint32_t room = f->room ? 2 * f->room : 8;
		struct segment *more = realloc(f->segments, room * sizeof(*more));

		if (!more) {
			r->failed = true;
			return;
		}
		f->segments = more;
		f->room = room;
	}
	f->segments[f->n] = (struct segment){
		.seq = t->seq + (t->flags & SYN ? 1 : 0), .n = t->n, .order = f->n, .p = t->p};
	f->n++;
}

static void add_packet(struct reading *r, const struct packet *k)
{
	struct flow *f;
	struct tcp t;

	if (!read_packet(&t, k)) {
		r->s->others++;
		return;
	}
	if (t.fragment) {
		r->s->fragments++;
		return;
	}
	if (r->port && t.sport != r->port && t.dport != r->port) {
		r->s->others++;
		return;
	}
	r->s->truncated += t.truncated;
	if (!t.n && !(t.flags & SYN))
		return;
	f = flow_of(r, &t);
	if (f && t.n)
		add_segment(r, f, &t);
}

/* ---- streams --------------------------------------------------------------------------------- */

static int by_position(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static enum stream_from sender(const struct reading *r, const struct flow *f)
{
	const struct flow *back = mt_strmap_get(&r->map, f->back);

	if (r->port && f->sport != f->dport)
		return f->dport == r->port ? STREAM_CLIENT : STREAM_SERVER;
	if (f->syn)
		return f->ack ? STREAM_SERVER : STREAM_CLIENT;
	if (back && back->syn)
		return back->ack ? STREAM_CLIENT : STREAM_SERVER;
	if (f->sport == f->dport)
		return STREAM_EITHER;
	return f->dport < f->sport ? STREAM_CLIENT : STREAM_SERVER;
}

/* Adds what a segment has beyond position `next`. */
static void join(struct stream *to, const struct segment *s, int64_t *next)
{
	int64_t end = s->from + s->n;
	uint32_t skip;

	if (end <= *next)
		return;
	skip = s->from < *next ? (uint32_t)(*next - s->from) : 0;
	if (to->n || s->from > *next)
		to->cuts[to->n_cuts++] = (struct stream_cut){
			to->n, s->from > *next ? (uint32_t)(s->from - *next) : 0};
	memcpy(to->bytes + to->n, s->p + skip, s->n - skip);
	to->n += s->n - skip;
	*next = end;
}

static bool add_stream(struct reading *r, struct flow *f)
{
	uint32_t base = f->syn ? f->first : f->segments[0].seq;
	struct stream *to = streams_add(r->s);
	size_t bytes = 0;
	int64_t next;

	for (uint32_t i = 0; i < f->n; i++) {
		f->segments[i].from = (int32_t)(f->segments[i].seq - base);
		bytes += f->segments[i].n;
	}
	qsort(f->segments, f->n, sizeof(*f->segments), by_position);
	if (!to)
		return false;
	snprintf(to->name, sizeof(to->name), "%s", f->name);
	to->from = sender(r, f);
	to->whole = f->syn;
	to->bytes = malloc(bytes);
	to->cuts = calloc(f->n, sizeof(*to->cuts));
	if (!to->bytes || !to->cuts)
		return false;
	next = f->syn ? 0 : f->segments[0].from;
	for (uint32_t i = 0; i < f->n; i++)
		join(to, &f->segments[i], &next);
	/* Segments of before its SYN have nothing of it. */
	if (!to->n)
		streams_drop(r->s);
	return true;
}

static void add_streams(struct reading *r)
{
	for (uint32_t i = 0; i < r->n && !r->failed; i++)
		if (r->flows[i]->n && !add_stream(r, r->flows[i]))
			r->failed = true;
}

bool streams_capture(struct streams *s, const uint8_t *data, size_t n, uint32_t port)
{
	struct reading r = {.s = s, .port = port};
	struct packets p;
	struct packet k;

	if (packets_open(&p, data, n))
		while (!r.failed && packets_next(&p, &k))
			add_packet(&r, &k);
	if (p.why)
		snprintf(s->why, sizeof(s->why), "byte %zu: %s", p.at, p.why);
	add_streams(&r);
	if (r.failed)
		snprintf(s->why, sizeof(s->why), "no memory, or more than %u streams", STREAMS_MAX);
	for (uint32_t i = 0; i < r.n; i++) {
		free(r.flows[i]->segments);
		free(r.flows[i]);
	}
	free(r.flows);
	mt_strmap_fini(&r.map);
	return !r.failed;
}
