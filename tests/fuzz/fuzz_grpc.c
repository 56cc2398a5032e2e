/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC channel against a hostile server. The first byte chooses what the owner does in its callbacks. Then come steps: frames, replies
 * and bytes of the server, actions of the owner, time. The connection is this file's, in place of transport.c.
 */
#include "fuzz.h"
#include "fuzz_reader.h"

#include "mt_grpc_h2_priv.h"

#include <errno.h>
#include <string.h>

#define STREAMS	    8
#define OPENS	    64 /* of one channel */
#define STEPS	    256
#define MAX_MESSAGE 2000
#define BYTES	    70000 /* of one step: a frame of any length has place */

enum manner {
	CANCELS = 1,	     /* a stream, in its message */
	CANCELS_ANOTHER = 2, /* in any callback */
	OPENS_AGAIN = 4,     /* in end() */
	ANSWERS = 8,	     /* each message */
	FINISHES = 16,	     /* in up(), and when a message came */
	TAKES_PART = 32,     /* of what is written, at a time */
	REFUSED = 128,	     /* some connections are */
};

struct scene;

struct call {
	struct scene *scene;
	struct mt_grpc_stream *s; /* NULL: over */
	bool told;		  /* retry() */
};

struct scene {
	uint32_t manner;
	struct mt_grpc *g;
	bool up;
	uint32_t opens;
	struct call calls[OPENS];
	uint64_t now;
	struct mt_rand rng;
	/* The connection: what the server has sent and was not read, whether it has closed. */
	const uint8_t *in;
	size_t n_in;
	bool closed, open;
	uint64_t written;
};

static struct scene *scene; /* transport.c's callers know none */
static uint8_t bytes[BYTES];

/* So that a sanitizer sees bytes that are not there. */
static void read_all_of(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)*(const volatile uint8_t *)&p[i];
}

/* ---- the connection, as transport.c has it ----------------------------------------------------------- */

int mt_pipe_open(struct mt_pipe *p, struct mt_fds *fds, const struct mt_pipe_address *to,
	const struct mt_grpc_tls *tls, struct mt_err *e)
{
	MT_ASSERT(!scene->open && to->len);
	if (scene->manner & REFUSED && scene->now % 3 == 0)
		return mt_err(e, -ECONNREFUSED, "refused");
	p->state = MT_PIPE_CONNECTING;
	scene->open = true;
	scene->closed = false;
	scene->n_in = 0;
	return 0;
}

void mt_pipe_close(struct mt_pipe *p)
{
	p->state = MT_PIPE_CLOSED;
	scene->open = false;
	scene->n_in = 0;
}

void mt_pipe_want_write(struct mt_pipe *p, bool want)
{
	(void)p;
	(void)want;
}

ssize_t mt_pipe_read(struct mt_pipe *p, void *buf, size_t len, struct mt_err *e)
{
	size_t n = MT_MIN(len, scene->n_in);

	MT_ASSERT(p->state == MT_PIPE_OPEN && scene->open);
	if (n) {
		memcpy(buf, scene->in, n);
		scene->in += n;
		scene->n_in -= n;
	}
	if (n == 0 && scene->closed)
		return mt_err(e, -ECONNRESET, "the server closed the connection");
	return (ssize_t)n;
}

ssize_t mt_pipe_write(struct mt_pipe *p, const void *buf, size_t len, struct mt_err *e)
{
	MT_ASSERT(p->state == MT_PIPE_OPEN && scene->open);
	read_all_of(buf, len);
	if (scene->manner & TAKES_PART)
		len = MT_MIN(len, (size_t)(scene->written % 2 ? 0 : 40));
	scene->written++;
	return (ssize_t)len;
}

/* ---- the owner --------------------------------------------------------------------------------------- */

static const struct mt_grpc_stream_events stream_events;

static void open_one(struct scene *sc)
{
	struct call *c;
	uint32_t live = 0;

	for (uint32_t i = 0; i < sc->opens; i++)
		live += sc->calls[i].s != NULL;
	if (sc->opens == OPENS || live == STREAMS)
		return;
	c = &sc->calls[sc->opens++];
	*c = (struct call){.scene = sc};
	c->s = mt_grpc_open(sc->g, "/a.B/C", &stream_events, c);
	MT_ASSERT(sc->up || !c->s);
}

static struct call *any_call(struct scene *sc, uint32_t which)
{
	for (uint32_t i = 0; i < sc->opens; i++) {
		struct call *c = &sc->calls[(which + i) % sc->opens];

		if (c->s)
			return c;
	}
	return NULL;
}

static void cancel(struct call *c)
{
	if (!c)
		return;
	mt_grpc_cancel(c->s);
	c->s = NULL;
}

static void send_one(struct call *c, size_t len)
{
	static const uint8_t message[MAX_MESSAGE];
	int rc = c ? mt_grpc_send(c->s, message, len) : 0;

	MT_ASSERT(rc == 0 || rc == -ENOBUFS);
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct call *c = arg;
	struct scene *sc = c->scene;

	MT_ASSERT(c->s && !c->told && sc->up && len <= MAX_MESSAGE);
	MT_ASSERT(c->s->is_grpc && c->s->http_status == 200);
	read_all_of(data, len);
	if (sc->manner & ANSWERS)
		send_one(c, len);
	if (sc->manner & FINISHES)
		mt_grpc_finish(c->s);
	if (sc->manner & CANCELS_ANOTHER)
		cancel(any_call(sc, (uint32_t)len));
	if (sc->manner & CANCELS && c->s)
		cancel(c);
}

static void on_end(void *arg, int status, const char *words)
{
	struct call *c = arg;
	struct scene *sc = c->scene;

	MT_ASSERT(c->s && strlen(words) < MT_GRPC_WORDS);
	c->s = NULL;
	if (sc->manner & CANCELS_ANOTHER)
		cancel(any_call(sc, (uint32_t)status));
	if (sc->manner & OPENS_AGAIN)
		open_one(sc);
}

static void on_retry(void *arg, uint64_t delay)
{
	struct call *c = arg;

	MT_ASSERT(c->s && !c->told && delay <= MT_GRPC_RETRY_MAX);
	c->told = true;
}

static const struct mt_grpc_stream_events stream_events = {on_message, on_end, on_retry};

static void on_up(void *arg)
{
	struct scene *sc = arg;

	MT_ASSERT(!sc->up);
	sc->up = true;
	open_one(sc);
	send_one(any_call(sc, 0), 10);
	if (sc->manner & FINISHES && any_call(sc, 0))
		mt_grpc_finish(any_call(sc, 0)->s);
}

static void on_down(void *arg, const char *why)
{
	struct scene *sc = arg;

	MT_ASSERT(!any_call(sc, 0) && strlen(why) < sizeof(((struct mt_err *)0)->text));
	sc->up = false;
}

/* ---- the server -------------------------------------------------------------------------------------- */

static void event(struct scene *sc)
{
	if (!sc->open)
		return;
	sc->g->pipe.state = MT_PIPE_OPEN;
	sc->g->pipe.event(&sc->g->pipe, NULL);
}

/* Until the channel has read all. */
static void arrive(struct scene *sc, const uint8_t *data, size_t len)
{
	if (!sc->open || sc->closed)
		return;
	sc->in = data;
	sc->n_in = len;
	for (int i = 0; i < 8 && sc->open && (sc->n_in || i == 0); i++)
		event(sc);
}

static size_t put_frame(uint8_t *p, uint32_t type, uint32_t flags, uint32_t id, size_t len)
{
	const uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)type, (uint8_t)flags, 0, 0, (uint8_t)(id >> 8), (uint8_t)id};

	memcpy(p, head, sizeof(head));
	return sizeof(head) + len;
}

static size_t take_bytes(struct reader *r, uint8_t *to, size_t len)
{
	size_t n = MT_MIN(len, r->left);

	memcpy(to, r->at, n);
	memset(to + n, 0, len - n);
	r->at += n;
	r->left -= n;
	return n;
}

/* Type, flags, stream, length, bytes. */
static size_t one_frame(struct reader *r)
{
	uint32_t type = u8(r), flags = u8(r), id = u8(r);
	size_t len = u8(r);

	if (len == 255)
		len = u16(r);
	take_bytes(r, bytes + 9, len);
	return put_frame(bytes, type, flags, id, len);
}

/* HEADERS of a good reply (RFC 7541 section 6: indexed, and literals by an indexed name). */
static size_t good_headers(struct reader *r)
{
	static const uint8_t block[] = {0x88, 0x0f, 0x10, 16, 'a', 'p', 'p', 'l', 'i', 'c', 'a',
		't', 'i', 'o', 'n', '/', 'g', 'r', 'p', 'c'};

	memcpy(bytes + 9, block, sizeof(block));
	return put_frame(bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, u8(r), sizeof(block));
}

/* Trailers with one literal of a chosen name. */
static size_t trailers(struct reader *r)
{
	static const char *const names[] = {"grpc-status", "grpc-message",
		"grpc-status-details-bin", "retry-after", ":status", "content-type"};
	uint32_t id = u8(r), flags = u8(r);
	const char *name = names[u8(r) % MT_ARRAY_LEN(names)];
	size_t n = 9, len = u8(r) % 127;

	bytes[n++] = 0;
	bytes[n++] = (uint8_t)strlen(name);
	memcpy(bytes + n, name, strlen(name));
	n += strlen(name);
	bytes[n++] = (uint8_t)len;
	take_bytes(r, bytes + n, len);
	return put_frame(bytes, NGHTTP2_HEADERS, flags, id, n + len - 9);
}

/* DATA with one message, whole. */
static size_t message(struct reader *r)
{
	uint32_t id = u8(r), flags = u8(r);
	size_t len = u16(r) % (MAX_MESSAGE + 100);

	mt_grpc_prefix(bytes + 9, len);
	take_bytes(r, bytes + 9 + MT_GRPC_PREFIX, len);
	return put_frame(bytes, NGHTTP2_DATA, flags, id, MT_GRPC_PREFIX + len);
}

static void own_step(struct scene *sc, struct reader *r)
{
	struct call *c = any_call(sc, u8(r));

	switch (u8(r) % 6) {
	case 0:
		open_one(sc);
		break;
	case 1:
		send_one(c, u16(r) % MAX_MESSAGE);
		break;
	case 2:
		if (c)
			mt_grpc_finish(c->s);
		break;
	case 3:
		cancel(c);
		break;
	case 4:
		mt_grpc_useful(sc->g);
		break;
	default:
		mt_grpc_reconnect(sc->g, "the owner wants it");
		break;
	}
	MT_ASSERT(sc->open || mt_grpc_state(sc->g) == MT_GRPC_WAITING);
}

static void step(struct scene *sc, struct reader *r)
{
	size_t len;

	switch (u8(r) % 8) {
	case 0:
		arrive(sc, bytes, one_frame(r));
		break;
	case 1:
		arrive(sc, bytes, good_headers(r));
		break;
	case 2:
		arrive(sc, bytes, trailers(r));
		break;
	case 3:
		arrive(sc, bytes, message(r));
		break;
	case 4:
		len = MT_MIN((size_t)u8(r), r->left);
		take_bytes(r, bytes, len);
		arrive(sc, bytes, len);
		break;
	case 5:
		own_step(sc, r);
		break;
	case 6:
		sc->closed = true;
		event(sc);
		break;
	default:
		mt_grpc_turn(sc->g, sc->now += u8(r) * 100 * MT_MSEC, &sc->rng);
		event(sc);
	}
}

/* ---- one channel ------------------------------------------------------------------------------------- */

static void check(const struct scene *sc)
{
	const struct mt_grpc *g = sc->g;

	for (const struct mt_list *n = g->streams.next; n != &g->streams; n = n->next) {
		const struct mt_grpc_stream *s = mt_list_entry(n, struct mt_grpc_stream, node);

		MT_ASSERT(s->sent <= s->have && s->have <= s->room);
		MT_ASSERT(s->have - s->sent <= MAX_MESSAGE);
		MT_ASSERT(s->in.have <= s->in.room && s->in.room <= 4096);
	}
	MT_ASSERT(sc->up == (mt_grpc_state(g) == MT_GRPC_UP));
	MT_ASSERT(!g->h2 || sc->open);
	MT_ASSERT(!mt_grpc_is_leaving(g) || sc->up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const servers[] = {"192.0.2.1:1", "[2001:db8::1]:2"};
	static const struct mt_grpc_header headers[] = {{"authorization", "Bearer t"}};
	static const struct mt_grpc_events events = {on_up, on_down};
	const struct mt_grpc_conf conf = {.servers = servers,
		.n_servers = MT_ARRAY_LEN(servers),
		.headers = headers,
		.n_headers = MT_ARRAY_LEN(headers),
		.max_message = MAX_MESSAGE};
	struct reader r = {data, size};
	struct scene sc = {.manner = u8(&r), .now = MT_SEC};

	scene = &sc;
	mt_rand_seed(&sc.rng, 1);
	sc.g = mt_grpc_new(NULL, NULL, &conf, &events, &sc);
	MT_ASSERT(sc.g);
	mt_grpc_turn(sc.g, sc.now, &sc.rng);
	event(&sc);
	for (int i = 0; i < STEPS && r.left; i++) {
		step(&sc, &r);
		check(&sc);
	}
	mt_grpc_free(sc.g);
	MT_ASSERT(!sc.open);
	return 0;
}
