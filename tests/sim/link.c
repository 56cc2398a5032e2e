/* SPDX-License-Identifier: Apache-2.0 */
/* The switch and the way of a frame along a wire: loss, delay, order, rate, blackout. */
#include "link.h"

#include <string.h>

static struct sim_frame *free_frames, *all_frames;
static uint32_t live_frames;

struct sim_frame *sim_frame_new(void)
{
	struct sim_frame *f = free_frames;

	if (f) {
		free_frames = f->next;
	} else {
		f = malloc(sizeof(*f));
		MT_ASSERT(f);
		f->made_before = all_frames;
		all_frames = f;
	}
	memset(f, 0, offsetof(struct sim_frame, made_before));
	live_frames++;
	return f;
}

struct sim_frame *sim_frame_copy(const struct sim_frame *f)
{
	struct sim_frame *c = sim_frame_new();

	c->len = f->len;
	c->serial = f->serial;
	c->hurt = f->hurt;
	c->old = f->old;
	memcpy(c->data, f->data, f->len);
	return c;
}

void sim_frame_free(struct sim_frame *f)
{
	rte_pktmbuf_free(f->shared);
	f->shared = NULL;
	f->next = free_frames;
	free_frames = f;
	live_frames--;
}

void sim_frames_each(void (*each)(void *arg, const struct sim_frame *f), void *arg)
{
	for (const struct sim_frame *f = all_frames; f; f = f->made_before)
		if (f->shared)
			each(arg, f);
}

uint32_t sim_frames_live(void)
{
	return live_frames;
}

void sim_net_add(struct sim *s, struct sim_nic *nic)
{
	MT_ASSERT(s->net->n < SIM_MAX_NICS);
	nic->sim = s;
	s->net->nics[s->net->n++] = nic;
}

struct sim_nic *sim_net_find(struct sim_net *net, const uint8_t mac[6])
{
	for (uint32_t i = 0; i < net->n; i++)
		if (memcmp(net->nics[i]->mac, mac, 6) == 0)
			return net->nics[i];
	return NULL;
}

static void arrive(struct sim *s, void *arg, uint64_t nic_no)
{
	struct sim_nic *nic = s->net->nics[nic_no];
	struct sim_frame *f = arg;

	sim_trace_frame(s, f->old ? "arrive+" : "arrive", nic->name, f);
	s->st.frames++;
	nic->deliver(nic, f);
}

static void drop_frame(void *arg)
{
	sim_frame_free(arg);
}

/* To where the frame came from, by whatever its address says. */
void sim_net_answer(struct sim_nic *to, struct sim_frame *f, uint64_t at)
{
	struct sim *s = to->sim;

	for (uint32_t i = 0; i < s->net->n; i++)
		if (s->net->nics[i] == to) {
			sim_at_owned(s, at, arrive, f, i, drop_frame);
			return;
		}
	sim_frame_free(f);
}

static void queue(struct sim *s, uint64_t at, struct sim_frame *f, uint32_t nic_no)
{
	sim_at_owned(s, at, arrive, f, nic_no, drop_frame);
}

/* To the NIC with this address, or (group addresses) to all but the sender. */
static void forward(struct sim_nic *from, struct sim_frame *f, uint64_t at)
{
	struct sim *s = from->sim;
	bool group = f->data[0] & 1;

	for (uint32_t i = 0; i < s->net->n; i++) {
		struct sim_nic *to = s->net->nics[i];

		if (to == from)
			continue;
		if (group) {
			queue(s, at, sim_frame_copy(f), i);
		} else if (memcmp(to->mac, f->data, 6) == 0) {
			if (f->shared && !to->takes_shared) {
				rte_pktmbuf_free(f->shared);
				f->shared = NULL;
			}
			queue(s, at, f, i);
			return;
		}
	}
	sim_frame_free(f); /* copied to all, or for nobody */
}

static bool lost(struct sim *s, struct sim_wire *w)
{
	for (uint32_t i = 0; i < SIM_BLACKOUTS; i++)
		if (s->now >= w->blackout[i].from && s->now < w->blackout[i].to) {
			sim_count_fault(s, SIM_F_BLACKOUT);
			return true;
		}
	/* A burst ends by chance, and by time: it is no blackout. */
	if (w->in_burst && (s->now >= w->burst_until || sim_chance(&s->net_rand, w->burst_leave))) {
		w->in_burst = false;
	} else if (sim_chance(&s->net_rand, w->burst_enter)) {
		w->in_burst = true;
		w->burst_until = s->now + 300 * MT_MSEC;
	}
	if (w->in_burst) {
		sim_count_fault(s, SIM_F_BURST_LOSS);
		return true;
	}
	if (sim_chance(&s->net_rand, w->loss)) {
		sim_count_fault(s, SIM_F_LOSS);
		return true;
	}
	return false;
}

/* When the frame has left a wire of limited rate; MT_NEVER: its queue is full. */
static uint64_t serialise(struct sim *s, struct sim_wire *w, uint16_t len)
{
	uint64_t start = MT_MAX(s->now, w->busy_until);

	if (!w->bytes_per_sec)
		return s->now;
	if ((start - s->now) * w->bytes_per_sec / MT_SEC > w->queue_bytes) {
		sim_count_fault(s, SIM_F_QUEUE_FULL);
		return MT_NEVER;
	}
	w->busy_until = start + len * MT_SEC / w->bytes_per_sec;
	return w->busy_until;
}

/* A frame that is not the sender's any more must not take the sender's mbuf along. */
static void own_bytes(struct sim_frame *f)
{
	rte_pktmbuf_free(f->shared);
	f->shared = NULL;
}

/* A router's mark in place of a loss: 1 or 2 in the ECN field become 3 (RFC 3168 §5). */
static void mark_congestion(struct sim *s, struct sim_wire *w, struct sim_frame *f)
{
	uint64_t waits = w->busy_until - MT_MIN(w->busy_until, s->now);
	struct sim_pkt p;
	uint32_t shift;
	bool full = w->mark_bytes && waits * w->bytes_per_sec / MT_SEC > w->mark_bytes;

	if (!(full || sim_chance(&s->net_rand, w->mark)) || !sim_parse(f->data, f->len, &p))
		return;
	shift = p.family == 6 ? 4 : 0;
	if ((p.ip[1] >> shift & 3) == 0)
		return;
	own_bytes(f);
	p.ip[1] |= (uint8_t)(3 << shift);
	sim_fix_cksums(&p);
	sim_count_fault(s, SIM_F_MARK);
}

static uint64_t arrival(struct sim *s, struct sim_wire *w, uint64_t left)
{
	uint64_t at = left + w->delay;

	if (w->jitter)
		at += sim_between(&s->net_rand, 0, w->jitter);
	if (sim_chance(&s->net_rand, w->reorder)) {
		sim_count_fault(s, SIM_F_REORDER);
		return at + sim_between(&s->net_rand, w->reorder_by / 2, w->reorder_by);
	}
	/* Jitter alone does not change the order. */
	at = MT_MAX(at, w->last_arrival);
	w->last_arrival = at;
	return at;
}

static void hurt(struct sim *s, struct sim_wire *w, struct sim_frame *f)
{
	if (sim_chance(&s->net_rand, w->corrupt)) {
		own_bytes(f);
		sim_corrupt(s, f);
	} else if (sim_chance(&s->net_rand, w->corrupt_fixed)) {
		own_bytes(f);
		sim_corrupt_fixed(s, f, w->wild);
	}
}

static bool is_neighbour(const struct sim_frame *f)
{
	uint16_t type = sim_get16(f->data + 12);

	if (type == 0x86dd && f->len >= 14 + 40 + 4)
		return f->data[20] == 58 && f->data[54] >= 133 && f->data[54] <= 137;
	return type == 0x0806;
}

void sim_net_send(struct sim_nic *from, struct sim_frame *f)
{
	struct sim *s = from->sim;
	struct sim_wire *w = &from->wire;
	uint64_t left;

	if (!f->old)
		f->serial = ++s->net->serial;
	if (s->net->spare_arp && is_neighbour(f)) {
		forward(from, f, s->now + w->delay);
		return;
	}
	if (lost(s, w)) {
		sim_trace_frame(s, "lost", from->name, f);
		sim_frame_free(f);
		return;
	}
	left = serialise(s, w, f->len);
	if (left == MT_NEVER) {
		sim_trace_frame(s, "full", from->name, f);
		sim_frame_free(f);
		return;
	}
	if (sim_too_long(from, f)) {
		sim_trace_frame(s, "narrow", from->name, f);
		sim_frame_free(f);
		return;
	}
	mark_congestion(s, w, f);
	if (sim_chance(&s->net_rand, w->duplicate)) {
		struct sim_frame *again = sim_frame_copy(f);

		again->old = true;
		sim_count_fault(s, SIM_F_DUPLICATE);
		forward(from, again, left + w->delay + sim_between(&s->net_rand, 0, w->reorder_by));
	}
	hurt(s, w, f);
	forward(from, f, arrival(s, w, left));
}
