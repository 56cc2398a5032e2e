/* SPDX-License-Identifier: Apache-2.0 */
/* The stream application: what it sends and checks. Plans and verdicts are in app_stream_plan.c. */
#include "app_stream.h"
#include "app_stream_priv.h"

#include "link.h"

#include <string.h>

#define CHUNK_MAX   4096u
#define WRITE_MAX   131072u
#define HELLO_MAGIC 0x53545200u

/* The byte at `off` of one direction of a stream. */
static uint8_t byte_at(const struct stream_part *w, uint32_t off)
{
	uint64_t x = w->plan->set->sim->seed * 0x9e3779b97f4a7c15ull + w->side +
		     w->plan->no * 0xbf58476d1ce4e5b9ull + (uint64_t)(off >> 3) * 2;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x ^= x >> 29;
	return (uint8_t)(x >> (8 * (off & 7)));
}

/* Bytes [off, off + n) that this side sends. */
static void fill(const struct stream_part *w, uint32_t off, uint8_t *b, uint32_t n)
{
	uint8_t hello[STREAM_HELLO];

	sim_put32(hello, HELLO_MAGIC | w->plan->no);
	sim_put32(hello + 4, ~(HELLO_MAGIC | w->plan->no));
	for (uint32_t i = 0; i < n; i++)
		b[i] = w->side == STREAM_CLIENT && off + i < STREAM_HELLO ? hello[off + i]
									  : byte_at(w, off + i);
}

static struct stream_part *other(struct stream_part *w)
{
	return &w->plan->part[!w->side];
}

static void check_bytes(struct stream_part *w, const uint8_t *b, uint32_t n)
{
	struct stream_set *set = w->plan->set;
	uint8_t want[CHUNK_MAX];

	if (!set->lies) {
		fill(other(w), w->got, want, n);
		if (w->got + n > other(w)->len || memcmp(b, want, n) != 0)
			sim_fail(set->sim, "stream %u: %s received wrong bytes at %u..%u of %u",
				w->plan->no, w->side ? "server" : "client", w->got, w->got + n,
				other(w)->len);
	}
	w->got += n;
	set->sim->st.bytes += n;
}

/* True when something was read that leaves more for later (a paced reader). */
static void read_phase(struct stream_part *w)
{
	struct sim *s = w->plan->set->sim;
	uint8_t buf[CHUNK_MAX];

	while (w->unread && s->now >= w->read_at && !s->failed) {
		uint32_t max = w->read_max ? MT_MIN(w->read_max, CHUNK_MAX) : CHUNK_MAX;
		uint32_t n = sim_sock_recv(w->sock, buf, max);

		if (!n) {
			w->unread = false;
			return;
		}
		check_bytes(w, buf, n);
		if (w->read_pace)
			w->read_at = s->now + w->read_pace;
	}
}

static void write_phase(struct stream_part *w)
{
	struct sim *s = w->plan->set->sim;
	uint8_t buf[WRITE_MAX];

	while (w->sent < w->len && s->now >= w->write_at) {
		uint32_t n = MT_MIN(MT_MIN(w->chunk, WRITE_MAX), w->len - w->sent), took;

		fill(w, w->sent, buf, n);
		took = sim_sock_send(w->sock, buf, n);
		w->sent += took;
		if (w->pace)
			w->write_at = s->now + w->pace;
		w->blocked = took < n;
		if (w->blocked)
			return;
	}
}

static void end_part(struct stream_part *w, enum sim_end how)
{
	w->sock = NULL;
	w->ended = true;
	w->how = how;
	w->ended_at = w->plan->set->sim->now;
	stream_part_ended(w);
}

static bool abort_due(const struct stream_part *w)
{
	return w->finish >= STREAM_ABORT && (w->got + w->sent >= w->abort_at || w->eof);
}

static void finish_phase(struct stream_part *w)
{
	if (abort_due(w)) {
		struct sim_sock *k = w->sock;

		w->aborted = true;
		sim_trace(
			k->sim, "stream %u: %s aborts", w->plan->no, w->side ? "server" : "client");
		if (w->finish == STREAM_CLOSE)
			sim_sock_close(k);
		else
			sim_sock_abort(k);
		end_part(w, SIM_END_RESET);
		return;
	}
	if (!w->shut && w->sent == w->len && w->finish < STREAM_ABORT &&
		(w->finish == STREAM_SHUT || w->eof)) {
		w->shut = true;
		sim_sock_shutdown(w->sock);
	}
	if (w->shut && w->eof && w->leaves) {
		w->left = true;
		sim_sock_close(w->sock);
		end_part(w, SIM_END_OK);
	}
}

static void pump(struct stream_part *w)
{
	struct sim *s = w->plan->set->sim;
	uint64_t next = MT_NEVER;

	read_phase(w);
	if (s->failed)
		return;
	w->blocked = false;
	write_phase(w);
	finish_phase(w);
	if (!w->sock)
		return;
	if (w->unread && w->read_at > s->now)
		next = w->read_at;
	if (w->sent < w->len && w->write_at > s->now && !w->blocked)
		next = MT_MIN(next, w->write_at);
	if (next != MT_NEVER)
		sim_sock_wake(w->sock, next);
}

void stream_write_early(struct stream_part *w)
{
	write_phase(w);
}

static void on_connected(struct sim_sock *k)
{
	struct stream_part *w = k->ctx;

	w->connected = true;
	w->read_at = k->sim->now + w->read_start;
	pump(w);
}

static void on_readable(struct sim_sock *k)
{
	struct stream_part *w = k->ctx;

	w->unread = true;
	pump(w);
}

static void on_eof(struct sim_sock *k)
{
	struct stream_part *w = k->ctx;

	w->eof = true;
	pump(w);
}

static void on_pump(struct sim_sock *k)
{
	pump(k->ctx);
}

static void on_closed(struct sim_sock *k, enum sim_end how)
{
	struct stream_part *w = k->ctx;

	sim_trace(
		k->sim, "stream %u: %s closed %d", w->plan->no, w->side ? "server" : "client", how);
	if (w->side == STREAM_CLIENT && !w->connected && how == SIM_END_FAILED &&
		stream_retry(w->plan))
		w->sock = NULL;
	else
		end_part(w, how);
}

const struct sim_app stream_app = {on_connected, on_readable, on_eof, on_pump, on_pump, on_closed};

/* ---- accepted connections that have not yet said whose they are ---- */

struct anonymous {
	struct stream_set *set;
	uint8_t hello[STREAM_HELLO];
	uint32_t got;
};

static struct stream_plan *plan_of(struct stream_set *set, const uint8_t *hello)
{
	uint32_t no = sim_get32(hello) & 0xff;

	if ((sim_get32(hello) & ~0xffu) != HELLO_MAGIC ||
		sim_get32(hello + 4) != ~sim_get32(hello) || no >= set->n)
		return NULL;
	return &set->plan[no];
}

/* The client tried again: what is left of its last attempt at the server goes. */
static void forget_attempt(struct stream_part *w)
{
	if (w->sock)
		sim_sock_abort(w->sock);
	w->sock = NULL;
	w->got = w->sent = 0;
	w->eof = w->shut = w->ended = false;
}

static void anon_readable(struct sim_sock *k)
{
	struct anonymous *a = k->ctx;
	struct stream_set *set = a->set;
	struct stream_plan *p;
	struct stream_part *w;

	a->got += sim_sock_recv(k, a->hello + a->got, STREAM_HELLO - a->got);
	if (a->got < STREAM_HELLO)
		return;
	p = plan_of(set, a->hello);
	free(a);
	if (!p) {
		if (!set->lies)
			sim_fail(set->sim, "a stream began with bytes that nobody sent");
		sim_sock_abort(k);
		return;
	}
	if (p->accepted >= p->attempts) {
		/* Not the client's: an old duplicate made a connection (a SYN cookie can be replayed). */
		sim_trace(set->sim, "stream %u: a ghost of it", p->no);
		if (set->by_proxy)
			sim_fail(set->sim, "stream %u: a second server was given what one has read",
				p->no);
		sim_sock_abort(k);
		return;
	}
	p->accepted = p->attempts;
	w = &p->part[STREAM_SERVER];
	forget_attempt(w);
	w->sock = k;
	w->got = STREAM_HELLO;
	w->unread = true;
	k->app = &stream_app;
	k->ctx = w;
	on_connected(k);
}

static void anon_ignore(struct sim_sock *k)
{
}

static void anon_eof(struct sim_sock *k)
{
	free(k->ctx);
	sim_sock_abort(k);
}

static void anon_closed(struct sim_sock *k, enum sim_end how)
{
	free(k->ctx);
}

/* The connection is ended and nothing of it was read. */
static void turn_away(struct sim_sock *k)
{
	struct stream_set *set = ((struct anonymous *)k->ctx)->set;

	free(k->ctx);
	sim_trace(k->sim, "a stream is turned away");
	if (set->turned_away++ % 2)
		sim_sock_close(k);
	else
		sim_sock_abort(k);
}

static const struct sim_app turn_away_app = {
	anon_ignore, anon_ignore, anon_ignore, anon_ignore, turn_away, anon_closed};

static const struct sim_app anon_app = {
	anon_ignore, anon_readable, anon_eof, anon_ignore, anon_ignore, anon_closed};

static void on_accept(void *ctx, struct sim_sock *k)
{
	struct anonymous *a = calloc(1, sizeof(*a));
	struct stream_set *set = ctx;

	MT_ASSERT(a);
	a->set = set;
	k->app = &anon_app;
	k->ctx = a;
	if (set->turns_away && ++set->accepts % set->turns_away == 0) {
		k->app = &turn_away_app;
		sim_sock_wake(k, k->sim->now);
	}
}

void stream_listen(struct stream_set *set, struct sim_host *h, uint16_t port)
{
	sim_listen(h, port, on_accept, set);
}
