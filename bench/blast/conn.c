/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of one worker, over sockets of either kind. */
#include "client.h"

#include <errno.h>
#include <stdio.h>

#define READ_AT_ONCE   (256u << 10)
#define CONNECTING_MAX 128 /* concurrent handshakes, so that no listen queue overflows */
#define RETRY_PAUSE    (100 * MT_MSEC)

void blast_conns_init(struct blast_worker *w, uint32_t first)
{
	uint32_t outstanding = w->o->outstanding;

	w->conns = calloc(w->n_conns, sizeof(*w->conns));
	w->calls = calloc((size_t)w->n_conns * outstanding, sizeof(*w->calls));
	if (!w->conns || !w->calls) {
		fputs("meltemi-blast: no memory for so many calls in flight; use fewer\n", stderr);
		exit(4);
	}
	for (uint32_t i = 0; i < w->n_conns; i++) {
		struct blast_conn *c = &w->conns[i];

		c->index = first + i;
		c->calls = w->calls + (size_t)i * outstanding;
		for (uint32_t k = 0; k < outstanding; k++) {
			mt_list_init(&c->calls[k].node);
			c->calls[k].conn = c;
			c->calls[k].next_free =
				(uint16_t)(k + 1 < outstanding ? k + 1 : BLAST_NO_SLOT);
		}
		mt_list_add_tail(&w->down, &c->node);
	}
}

static void forget(struct blast_worker *w, struct blast_conn *c)
{
	if (c->sock >= 0)
		w->io->ops->close(w->io, c->sock, w->o->reset);
	blast_queue_fini(&c->in);
	blast_queue_fini(&c->out);
}

void blast_conns_fini(struct blast_worker *w)
{
	for (uint32_t i = 0; i < w->n_conns; i++)
		if (w->conns[i].state != BLAST_DOWN)
			forget(w, &w->conns[i]);
	free(w->conns);
	free(w->calls);
}

void blast_conn_close(
	struct blast_worker *w, struct blast_conn *c, enum blast_count fate, uint64_t pause)
{
	uint64_t now = blast_now();

	w->n_connecting -= c->state == BLAST_CONNECTING;
	w->n_up -= c->state == BLAST_UP;
	c->state = BLAST_DOWN;
	mt_list_del(&c->node);
	for (uint32_t i = 0; c->in_flight && i < w->o->outstanding; i++)
		if (c->calls[i].live)
			blast_call_end(w, &c->calls[i], fate, now);
	forget(w, c);
	w->tx.head = w->tx.tail = 0;
	c->issued = c->late = 0;
	c->since = now + pause;
	/*
	 * Connections without a pause stay before those with one, so the list is ordered by
	 * `since`.
	 */
	if (pause)
		mt_list_add_tail(&w->down, &c->node);
	else
		mt_list_add(&w->down, &c->node);
}

static void connect_failed(struct blast_worker *w, struct blast_conn *c, int error)
{
	mt_count(w->counts, BLAST_CONNECT_FAILED);
	w->measured[BLAST_CONNECT_FAILED] += w->issuing;
	w->last_errno = error;
	blast_conn_close(w, c, BLAST_CLOSED, RETRY_PAUSE);
}

static void open_one(struct blast_worker *w, struct blast_conn *c, uint64_t now)
{
	const struct blast_options *o = w->o;
	const struct mt_addr *from = o->n_sources ? &o->sources[c->index % o->n_sources] : NULL;

	mt_list_del(&c->node);
	mt_list_add_tail(&w->connecting, &c->node);
	c->state = BLAST_CONNECTING;
	c->since = now;
	w->n_connecting++;
	c->sock = w->io->ops->open(w->io, from, &o->host, o->port, c);
	if (c->sock < 0)
		connect_failed(w, c, -c->sock);
}

void blast_conns_run(struct blast_worker *w, uint64_t now)
{
	struct blast_conn *c;

	while (!mt_list_empty(&w->connecting)) {
		c = mt_list_entry(mt_list_first(&w->connecting), struct blast_conn, node);
		if (now < c->since + w->o->timeout)
			break;
		connect_failed(w, c, ETIMEDOUT);
	}
	while (!mt_list_empty(&w->down) && w->n_connecting < CONNECTING_MAX) {
		c = mt_list_entry(mt_list_first(&w->down), struct blast_conn, node);
		if (now < c->since)
			break;
		open_one(w, c, now);
	}
}

static bool connected(struct blast_worker *w, struct blast_conn *c, uint64_t now)
{
	int rc = w->io->ops->outcome(w->io, c->sock);

	if (rc) {
		connect_failed(w, c, -rc);
		return false;
	}
	mt_list_del(&c->node);
	c->state = BLAST_UP;
	w->n_connecting--;
	w->n_up++;
	mt_count(w->counts, BLAST_CONNECTED);
	blast_hist_add(&w->connects, now - c->since);
	return true;
}

static void pong(struct blast_worker *w, struct blast_conn *c, uint64_t id)
{
	uint8_t bytes[17];

	w->o->proto->pong(id, bytes);
	blast_queue_put(blast_conn_queue(w, c), bytes, sizeof(bytes));
}

/* Processes complete frames of a queue; false: the bytes are not valid frames. */
static bool take_frames(
	struct blast_worker *w, struct blast_conn *c, struct blast_queue *q, uint64_t now)
{
	struct blast_frame f;
	enum blast_take rc;

	while (blast_queue_len(q)) {
		rc = w->o->proto->take(q->bytes + q->head, blast_queue_len(q), false, &f);
		if (rc != BLAST_TAKEN)
			return rc == BLAST_MORE;
		q->head += f.len;
		if (f.kind == BLAST_HEARTBEAT)
			pong(w, c, f.id);
		else if (f.kind != BLAST_EVENT)
			blast_call_reply(w, c, &f, now);
	}
	return true;
}

/*
 * Moves the remaining bytes of the worker's queue to the connection's own; frees an own queue that
 * is empty.
 */
static void keep_rest(struct blast_worker *w, struct blast_conn *c, struct blast_queue *q)
{
	if (q == &c->in && !blast_queue_len(q))
		blast_queue_fini(q);
	if (q == &w->rx) {
		if (blast_queue_len(q))
			blast_queue_put(&c->in, q->bytes + q->head, blast_queue_len(q));
		q->head = q->tail = 0;
	}
}

/*
 * Reads until a short read shows that nothing is left, or, if the peer has `ended`, until the end
 * is seen. False: the connection is closed.
 */
static bool read_all(struct blast_worker *w, struct blast_conn *c, bool ended)
{
	int n = READ_AT_ONCE;

	while (n == READ_AT_ONCE || (ended && n > 0)) {
		struct blast_queue *q = c->in.bytes ? &c->in : &w->rx;

		n = w->io->ops->read(w->io, c->sock, q, READ_AT_ONCE);
		if (n < 0) {
			blast_conn_close(
				w, c, n == -EPIPE ? BLAST_CLOSED : BLAST_RESET, RETRY_PAUSE);
			return false;
		}
		if (n > 0 && !take_frames(w, c, q, blast_now())) {
			w->rx.head = w->rx.tail = 0;
			blast_conn_close(w, c, BLAST_BAD_BYTES, RETRY_PAUSE);
			return false;
		}
		keep_rest(w, c, q);
	}
	return true;
}

/*
 * Takes the replies that arrived before a connection failed. A failed write does not mean that they
 * were read: after a peer's FIN and RST they still lie in the socket.
 */
static void take_rest(struct blast_worker *w, struct blast_conn *c)
{
	struct blast_queue *q;
	int n;

	do {
		q = c->in.bytes ? &c->in : &w->rx;
		n = w->io->ops->read(w->io, c->sock, q, READ_AT_ONCE);
		if (n > 0 && !take_frames(w, c, q, blast_now()))
			n = 0;
		keep_rest(w, c, q);
	} while (n > 0);
}

void blast_conn_event(struct blast_worker *w, struct blast_conn *c, uint32_t events)
{
	bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	if (c->state == BLAST_CONNECTING && !connected(w, c, blast_now()))
		return;
	if (c->state != BLAST_UP)
		return;
	if ((events & ~(uint32_t)EPOLLOUT) && !read_all(w, c, ended))
		return;
	blast_conn_next(w, c, blast_now());
}

void blast_conn_flush(struct blast_worker *w, struct blast_conn *c)
{
	int rc = w->io->ops->write(w->io, c->sock, &c->out);

	if (!rc && !blast_queue_len(&c->out)) {
		blast_queue_fini(&c->out);
		rc = w->io->ops->write(w->io, c->sock, &w->tx);
		if (!rc && blast_queue_len(&w->tx))
			blast_queue_put(&c->out, w->tx.bytes + w->tx.head, blast_queue_len(&w->tx));
	}
	w->tx.head = w->tx.tail = 0;
	if (!rc)
		return;
	take_rest(w, c);
	blast_conn_close(w, c, BLAST_RESET, RETRY_PAUSE);
}

void blast_conn_next(struct blast_worker *w, struct blast_conn *c, uint64_t now)
{
	uint32_t most = w->o->calls_per_connection;

	if (c->state != BLAST_UP)
		return;
	if (most && c->issued >= most && !c->in_flight) {
		blast_conn_close(w, c, BLAST_CLOSED, 0);
		return;
	}
	if (w->o->rate <= 0) {
		while (w->issuing && blast_conn_has_room(w, c))
			blast_call_issue(w, c, now, now);
	} else if (blast_conn_has_room(w, c) && !mt_list_linked(&c->node)) {
		mt_list_add_tail(&w->ready, &c->node);
	}
	blast_conn_flush(w, c);
}
