/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define READ_AT_ONCE (256u << 10)
#define OWED_MAX     (8u << 20) /* unsent bytes above which a client is not read from */
#define PEERS_MAX    (1u << 20)
#define EVENTS	     64

struct peer {
	int sock;
	bool unread; /* the socket may have unread bytes */
	struct blast_queue in, out;
};

struct server {
	const struct blast_options *o;
	struct blast_io *io;
	uint64_t stall_at; /* 0: not determined yet */
	bool stalled;
	struct mt_rand rand;
	struct mt_slab peers;
	struct blast_heap later;
	struct blast_cache cache;
	struct blast_queue rx, tx; /* for the peer being processed */
};

static volatile sig_atomic_t stop_now;
static pthread_t threads[256];

static void stop(int number)
{
	(void)number;
	stop_now = 1;
}

static void drop(struct server *s, struct peer *p)
{
	s->io->ops->close(s->io, p->sock, false);
	blast_queue_fini(&p->in);
	blast_queue_fini(&p->out);
	s->tx.head = s->tx.tail = 0;
	s->rx.head = s->rx.tail = 0;
	mt_slab_free(&s->peers, p);
}

static struct blast_queue *queue_of(struct server *s, struct peer *p)
{
	return blast_queue_len(&p->out) ? &p->out : &s->tx;
}

/* Sends queued bytes; false: the peer is gone. */
static bool flush(struct server *s, struct peer *p)
{
	int rc = s->io->ops->write(s->io, p->sock, &p->out);

	if (!rc && !blast_queue_len(&p->out)) {
		blast_queue_fini(&p->out);
		rc = s->io->ops->write(s->io, p->sock, &s->tx);
		if (!rc && blast_queue_len(&s->tx))
			blast_queue_put(&p->out, s->tx.bytes + s->tx.head, blast_queue_len(&s->tx));
	}
	s->tx.head = s->tx.tail = 0;
	if (rc)
		drop(s, p);
	return !rc;
}

static void reply(struct server *s, struct peer *p, const struct blast_later *l)
{
	const struct blast_message *m = blast_cache_get(&s->cache, l->size, l->id, l->head);

	blast_queue_put(queue_of(s, p), m->bytes, m->len);
}

/*
 * Uses the length that a call requests, or a configured one; a call of an unknown kind is echoed.
 */
static void choose_size(struct server *s, const struct blast_frame *f, struct blast_later *l)
{
	uint32_t asked = UINT32_MAX, n = f->n_parts ? MT_MIN(f->parts[0].len, BLAST_HEAD) : 0;
	uint64_t token = 0;

	memcpy(l->head, n ? f->parts[0].p : (const uint8_t *)"", n);
	if (n == BLAST_HEAD)
		asked = blast_head_size(l->head);
	l->size = asked == UINT32_MAX ? f->size : asked;
	if (s->o->reply != BLAST_REPLY_DIST)
		return;
	l->size = (uint32_t)blast_dist_pick(&s->o->reply_size, &s->rand);
	if (asked != UINT32_MAX) {
		uint8_t head[BLAST_HEAD];

		blast_head_write(head, token, l->size);
		memcpy(l->head + BLAST_TOKEN, head + BLAST_TOKEN, BLAST_HEAD - BLAST_TOKEN);
	}
}

static void call(struct server *s, struct peer *p, const struct blast_frame *f)
{
	struct blast_later l = {.id = f->id};
	uint64_t now;

	if (f->kind == BLAST_HEARTBEAT) {
		uint8_t bytes[17];

		s->o->proto->pong(f->id, bytes);
		blast_queue_put(queue_of(s, p), bytes, sizeof(bytes));
	}
	if (f->kind != BLAST_CALL)
		return;
	now = blast_now();
	if (!s->stall_at)
		s->stall_at = now + s->o->stall_after;
	choose_size(s, f, &l);
	l.at = s->o->delay.n ? now + blast_dist_pick(&s->o->delay, &s->rand) : now;
	if (l.at == now) {
		reply(s, p, &l);
		return;
	}
	l.peer = mt_slab_ref(&s->peers, p);
	blast_heap_push(&s->later, &l);
}

static bool take_frames(struct server *s, struct peer *p, struct blast_queue *q)
{
	struct blast_frame f;
	enum blast_take rc;

	while (blast_queue_len(q)) {
		rc = s->o->proto->take(q->bytes + q->head, blast_queue_len(q), true, &f);
		if (rc != BLAST_TAKEN)
			return rc == BLAST_MORE;
		q->head += f.len;
		call(s, p, &f);
	}
	return true;
}

/*
 * Reads once and processes the bytes. Returns the bytes read; 0: none available; negative: the peer
 * is gone.
 */
static int read_some(struct server *s, struct peer *p)
{
	struct blast_queue *q = p->in.bytes ? &p->in : &s->rx;
	int n = s->io->ops->read(s->io, p->sock, q, READ_AT_ONCE);

	if (n < 0 || !take_frames(s, p, q)) {
		drop(s, p);
		return -EPIPE;
	}
	if (q == &p->in && !blast_queue_len(q))
		blast_queue_fini(q);
	if (q == &s->rx) {
		if (blast_queue_len(q))
			blast_queue_put(&p->in, q->bytes + q->head, blast_queue_len(q));
		q->head = q->tail = 0;
	}
	return n;
}

static void serve(struct server *s, struct peer *p, uint32_t events)
{
	bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
	int n = 1;

	p->unread |= (events & ~(uint32_t)EPOLLOUT) != 0;
	if (!flush(s, p))
		return;
	while (p->unread && n > 0 && blast_queue_len(&p->out) < OWED_MAX) {
		n = read_some(s, p);
		if (n < 0 || !flush(s, p))
			return;
		p->unread = ended ? n > 0 : n == READ_AT_ONCE;
	}
}

static void accept_all(struct server *s)
{
	struct peer *p = mt_slab_alloc(&s->peers, NULL);

	while (p && (p->sock = s->io->ops->accept(s->io, p)) >= 0)
		p = mt_slab_alloc(&s->peers, NULL);
	if (!p)
		return;
	if (p->sock == -EMFILE || p->sock == -ENFILE)
		fputs("meltemi-blast: no more open files; raise `ulimit -Hn`\n", stderr);
	mt_slab_free(&s->peers, p);
}

static void send_later(struct server *s, uint64_t now)
{
	struct blast_later l;
	struct peer *p;

	while (s->later.n && s->later.items[0].at <= now) {
		blast_heap_pop(&s->later, &l);
		p = mt_slab_get(&s->peers, l.peer);
		if (!p)
			continue;
		reply(s, p, &l);
		flush(s, p);
	}
}

static void stall(struct server *s)
{
	struct timespec ts = {.tv_sec = (time_t)(s->o->stall_for / MT_SEC),
		.tv_nsec = (long)(s->o->stall_for % MT_SEC)};

	s->stalled = true;
	nanosleep(&ts, NULL);
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	struct epoll_event events[EVENTS];
	uint64_t now, idle = 0;
	int n;

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	if (s->io->ops->attach(s->io))
		return NULL;
	while (!stop_now) {
		/* Wakes up now and then to check whether to stop. */
		uint64_t until = blast_now() + 100 * MT_MSEC;

		if (s->later.n)
			until = MT_MIN(until, s->later.items[0].at);
		n = s->io->ops->wait(s->io, events, EVENTS, until, &idle);
		now = blast_now();
		if (s->o->stall_for && s->stall_at && !s->stalled && now >= s->stall_at)
			stall(s);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve(s, events[i].data.ptr, events[i].events);
			else
				accept_all(s);
		}
		now = blast_now();
		send_later(s, now);
	}
	s->io->ops->detach(s->io);
	return NULL;
}

static int server_open(
	struct server *s, const struct blast_options *o, uint32_t index, struct blast_io *io)
{
	s->o = o;
	mt_rand_seed(&s->rand, o->seed * 1000 + index);
	s->cache = (struct blast_cache){.proto = o->proto, .names = o->names};
	if (mt_slab_init(&s->peers, "peers", sizeof(struct peer), PEERS_MAX))
		return -ENOMEM;
	s->io = io ? io : blast_io_kernel();
	return s->io ? s->io->ops->listen(s->io, &o->host, o->port) : -ENOMEM;
}

int blast_server_start(const struct blast_options *o, struct blast_io *const *ios)
{
	static struct server *servers;
	int rc;

	servers = calloc(o->threads, sizeof(*servers));
	rc = servers ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < o->threads && !rc; i++)
		rc = server_open(&servers[i], o, i, ios ? ios[i] : NULL);
	for (uint32_t i = 0; i < o->threads && !rc; i++)
		rc = -pthread_create(&threads[i], NULL, server_main, &servers[i]);
	return rc;
}

bool blast_server_stopped(void)
{
	return stop_now;
}

void blast_server_stop(const struct blast_options *o)
{
	stop_now = 1;
	for (uint32_t i = 0; i < o->threads; i++)
		pthread_join(threads[i], NULL);
}

int blast_server_thread(uint32_t i, void *(*run)(void *arg), void *arg)
{
	return -pthread_create(&threads[i], NULL, run, arg);
}

int blast_server(const struct blast_options *o)
{
	char at[MT_ADDR_STRLEN];
	int rc;

	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	blast_open_files(PEERS_MAX);
	rc = o->stripped ? blast_stripped_start(o, o->ports->near)
			 : blast_server_start(o, o->ports ? o->stacks : NULL);
	if (rc) {
		fprintf(stderr, "meltemi-blast: cannot serve at %s: %s\n",
			mt_addr_port_str(&o->host, o->port, at), strerror(-rc));
		return 4;
	}
	puts("{\"ready\": true}");
	fflush(stdout);
	for (uint32_t i = 0; i < o->threads; i++)
		pthread_join(threads[i], NULL);
	return o->stripped && !blast_stripped_tell() ? 3 : 0;
}
