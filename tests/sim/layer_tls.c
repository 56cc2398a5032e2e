/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as it is built (lib/tls), with records and all, but for handshakes: threads have no place in a run that must be the same each
 * time. What does them here says messages of random length after random times, begins as a ClientHello does, and ends with keys that
 * follow from it.
 *
 *	client: hello, whose random bytes are the keys    server: length (2) bytes (length)    client: length (2) bytes (length)
 */
#include "layer.h"
#include "layer_priv.h"
#include "mt_tcp_priv.h"
#include "mt_tls_priv.h"

#include <errno.h>
#include <stdlib.h>

#define STREAMS	  512
#define EVENTS	  3 /* of a handshake, that nobody has heard of */
#define HELLO	  50
#define FLIGHT	  4000 /* bytes of the longest message, at most 65,535 */
#define LATEST_MS 3
#define UPDATES	  12 /* that an end asks for */

struct said {
	uint64_t at;
	enum mt_tls_event_kind kind;
	uint32_t used, out;
	bool hello;
};

struct fake {
	uint32_t gen; /* odd: it is under way */
	struct mt_ref owner;
	bool server, over;
	uint8_t keys[32];
	uint32_t asked; /* bytes of the chain's begin that events not heard yet have used */
	struct said said[EVENTS];
	uint32_t n;
};

struct tls {
	struct layer l; /* first */
	struct mt_tls_layer tls;
	struct mt_tls_door door;
	struct fake fakes[STREAMS];
	uint64_t update_at;
	struct asked {
		uint32_t gen, n;
	} asked[STREAMS];
};

/* ---- contexts: nothing looks into them ---- */

struct mt_tls_context *layer_tls_context(uint32_t n)
{
	static struct mt_tls_context two[] = {
		{.refs = 1u << 30, .id = 7}, {.refs = 1u << 30, .id = 7}};

	return &two[n % MT_ARRAY_LEN(two)];
}

/* ---- handshakes ---- */

static struct fake *fake_of(struct tls *k, struct mt_ref r)
{
	struct fake *f = r.idx < STREAMS ? &k->fakes[r.idx] : NULL;

	return f && f->gen == r.gen && (f->gen & 1) ? f : NULL;
}

static void say(
	struct tls *k, struct fake *f, enum mt_tls_event_kind kind, uint32_t used, uint32_t out)
{
	struct sim *s = k->l.sim;
	uint64_t at = s->now + sim_between(&s->host_rand, 0, LATEST_MS * MT_MSEC);

	MT_ASSERT(f->n < EVENTS);
	if (f->n)
		at = MT_MAX(at, f->said[f->n - 1].at);
	f->asked += used;
	f->said[f->n++] = (struct said){at, kind, used, out, !f->server && f->asked == 0};
}

static int begin(struct tls *k, struct mt_ref owner, bool server, struct mt_ref *out)
{
	struct mt_rand *r = &k->l.sim->host_rand;

	if (sim_one_in(r, 8))
		return -EAGAIN;
	for (uint32_t i = 0; i < STREAMS; i++) {
		struct fake *f = &k->fakes[i];

		if (f->gen & 1)
			continue;
		*f = (struct fake){.gen = f->gen + 1, .owner = owner, .server = server};
		for (uint32_t j = 0; j < sizeof(f->keys); j++)
			f->keys[j] = (uint8_t)sim_below(r, 256);
		*out = (struct mt_ref){i, f->gen};
		return 0;
	}
	return -EAGAIN;
}

static uint32_t some_bytes(struct tls *k)
{
	return 2 + (uint32_t)sim_between(&k->l.sim->host_rand, 1, FLIGHT);
}

static int fake_accept(void *arg, struct mt_tls_context *c, const struct mt_hello *h,
	struct mt_ref owner, struct mt_ref *out)
{
	struct tls *k = arg;
	int rc = begin(k, owner, true, out);

	if (rc)
		return rc;
	mt_chain_read(h->cur.chain, 11, k->fakes[out->idx].keys, sizeof(k->fakes[0].keys));
	say(k, &k->fakes[out->idx], MT_TLS_EVENT_OUT, h->cur.pos, some_bytes(k));
	return 0;
}

static int fake_connect(void *arg, struct mt_tls_context *c, const char *sni, struct mt_ref owner,
	struct mt_ref *out)
{
	struct tls *k = arg;
	int rc = begin(k, owner, false, out);

	if (rc == 0)
		say(k, &k->fakes[out->idx], MT_TLS_EVENT_OUT, 0, HELLO);
	return rc;
}

static void fake_more(void *arg, struct mt_ref handshake, const struct mt_chain *c)
{
	struct tls *k = arg;
	struct fake *f = fake_of(k, handshake);
	uint8_t len[2];
	uint32_t n;

	if (!f || f->over || c->len < f->asked + sizeof(len))
		return;
	mt_chain_read(c, f->asked, len, sizeof(len));
	n = (uint32_t)sizeof(len) + ((uint32_t)len[0] << 8 | len[1]);
	if (c->len < f->asked + n)
		return;
	if (!f->server)
		say(k, f, MT_TLS_EVENT_OUT, n, some_bytes(k));
	say(k, f, MT_TLS_EVENT_DONE, f->server ? n : 0, 0);
	f->over = true;
}

static void fake_cancel(void *arg, struct mt_ref handshake)
{
	struct fake *f = fake_of(arg, handshake);

	if (f)
		f->gen++;
}

static const struct mt_tls_hands hands = {fake_accept, fake_connect, fake_more, fake_cancel};

static void half(struct mt_tls_half *h, const uint8_t *keys, uint8_t side)
{
	for (uint32_t i = 0; i < sizeof(h->secret); i++)
		h->secret[i] = (uint8_t)(keys[i % 32] + side + i);
	memcpy(h->key, h->secret, sizeof(h->key));
	memcpy(h->iv, h->secret + 20, sizeof(h->iv));
}

/* A ClientHello without extensions, whose random bytes are the keys; or a message, its length first. */
static void write_out(const struct fake *f, const struct said *what, uint8_t *out)
{
	static const uint8_t head[] = {22, 3, 1, 0, HELLO - 5, 1, 0, 0, HELLO - 9, 3, 3};
	static const uint8_t rest[] = {0, 0, 2, 0x13, 1, 1, 0};
	uint32_t n = what->out - 2;

	_Static_assert(sizeof(head) + 32 + sizeof(rest) == HELLO, "a whole hello");
	if (what->hello) {
		memcpy(out, head, sizeof(head));
		memcpy(out + sizeof(head), f->keys, 32);
		memcpy(out + sizeof(head) + 32, rest, sizeof(rest));
		return;
	}
	memset(out, 0x5a, what->out);
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
}

static void tell(struct tls *k, struct fake *f)
{
	static uint8_t out[2 + FLIGHT];
	struct said what = f->said[0];
	struct mt_tls_result result = {.keys = {.version = 0x0304}};
	struct mt_tls_event e = {.kind = what.kind,
		.handshake = {(uint32_t)(f - k->fakes), f->gen},
		.owner = f->owner,
		.used = what.used,
		.result = &result};

	f->n--;
	memmove(f->said, f->said + 1, f->n * sizeof(*f->said));
	f->asked -= what.used;
	if (what.out) {
		write_out(f, &what, out);
		e.out = (struct mt_slice){out, what.out};
	}
	if (what.kind == MT_TLS_EVENT_DONE) {
		half(&result.keys.rx, f->keys, !f->server);
		half(&result.keys.tx, f->keys, f->server);
		f->gen++;
	}
	mt_tls_layer_event(&k->tls, &e);
}

/* ---- a worker's ---- */

/* They wait for who does not read, and then come all at once: not more than a peer may do in a second. */
static bool may_update(struct tls *k, const struct tls_conn *c)
{
	struct mt_ref ref = mt_slab_ref(&k->tls.streams, c);
	struct asked *a = &k->asked[ref.idx];

	if (a->gen != ref.gen)
		*a = (struct asked){.gen = ref.gen};
	return a->n++ < UPDATES;
}

static void update_some(struct tls *k)
{
	struct mt_rand *r = &k->l.sim->host_rand;
	struct tls_conn *c;
	uint32_t i = 0;

	if (k->l.sim->now < k->update_at)
		return;
	k->update_at =
		k->tls.streams.in_use ? k->l.sim->now + sim_between(r, 1, 300) * MT_MSEC : MT_NEVER;
	while ((c = mt_slab_next(&k->tls.streams, &i)))
		if (sim_one_in(r, 4) && may_update(k, c))
			mt_tls_stream_update(&c->s);
}

static void turn(struct layer *l)
{
	struct tls *k = (struct tls *)l;

	mt_tls_layer_turn(&k->tls, l->sim->now);
	for (uint32_t i = 0; i < STREAMS; i++)
		while ((k->fakes[i].gen & 1) && k->fakes[i].n &&
			k->fakes[i].said[0].at <= l->sim->now)
			tell(k, &k->fakes[i]);
	update_some(k);
}

static uint64_t next(struct layer *l)
{
	struct tls *k = (struct tls *)l;
	uint64_t at = MT_MIN(mt_tls_layer_next(&k->tls), k->update_at);

	for (uint32_t i = 0; i < STREAMS; i++)
		if ((k->fakes[i].gen & 1) && k->fakes[i].n)
			at = MT_MIN(at, k->fakes[i].said[0].at);
	return at;
}

static bool will_be_called(const struct tls_conn *c)
{
	const struct mt_tcp_conn *lower = mt_tcp_conn_of(c->lower);

	return (lower->flags & MT_CF_ON_EVENTS) && lower->events;
}

static const char *check_one(const struct tls_conn *c)
{
	bool own = c->k && (c->ask_due || (mt_tls_record_due(&c->k->r) & ~MT_TLS_RECORD_DUE_DRAIN));

	if (c->records > 1)
		return "holds more than one record that its user has no room for";
	if (c->s.tx_queued != c->lower->tx_queued + c->plain.truesize)
		return "says that something else is queued than is";
	if (c->s.want_writable && c->s.tx_queued == 0)
		return "has room, and does not tell its user";
	if (c->deadline == MT_NEVER && c->state < TLS_DONE)
		return "waits for its handshake without end";
	if (c->state != TLS_OPEN || c->retry_at != MT_NEVER || c->close_sent)
		return NULL;
	if (own && !c->full)
		return "owes a key update, and nothing hinders it";
	if (own && c->lower->tx_queued == 0)
		return "waits for its reserve, and nothing will give it back";
	/* What is sent behind a turn's events may wait for those of the next one, which is at once and which it has asked for. */
	if (c->gathers && c->s.tx_shut)
		return "gathers behind its end";
	if (c->gathers && c->accepted - c->sealed > c->s.tx_high + MT_TLS_RECORD_PLAIN)
		return "gathers more than it may queue";
	if (c->gathers && c->sealed_in == c->layer->now)
		return will_be_called(c) ? NULL : "gathers for an event that does not come";
	return c->sealed < c->accepted ? "has bytes that it does not send" : NULL;
}

static const char *check(struct layer *l)
{
	struct tls *k = (struct tls *)l;
	const char *wrong = NULL;
	const struct tls_conn *c;
	uint32_t i = 0;

	while (!wrong && (c = mt_slab_next(&k->tls.streams, &i)))
		wrong = check_one(c);
	return wrong;
}

static uint32_t live(const struct layer *l)
{
	return ((const struct tls *)l)->tls.streams.in_use;
}

static void destroy(struct layer *l)
{
	struct tls *k = (struct tls *)l;
	uint64_t *seen = l->sim->st.layer;

	seen[SIM_TLS_STREAM] += k->tls.counts[MT_TLS_N_opened] + k->tls.counts[MT_TLS_N_accepted];
	seen[SIM_TLS_UPDATE] += k->tls.records.counts[MT_TLS_RECORD_N_UPDATE_IN];
	seen[SIM_TLS_LATER] += k->tls.counts[MT_TLS_N_later];
	mt_tls_layer_fini(&k->tls);
	mt_aead_free(k->tls.records.aead);
	free(k);
}

static const struct layer_ops ops = {turn, next, check, live, destroy};

/* ---- both ways in ---- */

static void has_one(struct tls *k)
{
	struct sim *s = k->l.sim;

	if (k->update_at == MT_NEVER)
		k->update_at = s->now + sim_between(&s->host_rand, 1, 300) * MT_MSEC;
}

static struct mt_stream *op_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct tls *k = mt_container_of(t, struct tls, l.transport);
	struct mt_stream_to by_tls = *to;

	has_one(k);
	by_tls.tls = layer_tls_context(0);
	return mt_stream_open(&k->tls.transport, &by_tls, why);
}

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct layer *l = arg;

	return l->listen->lookup(l->listen_arg, local, lport);
}

static bool on_accept_lower(void *arg, struct mt_stream *lower, int listener)
{
	struct tls *k = arg;

	has_one(k);
	return mt_tls_door_take(&k->door, lower, listener);
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct layer *l = arg;

	return l->listen->accept(l->listen_arg, s, listener);
}

static struct mt_tls_context *choose(void *arg, const struct mt_stream *lower, int listener,
	const struct mt_hello_says *says, uint64_t *tag)
{
	return layer_tls_context(0);
}

static const struct mt_listen_ops from_below = {on_lookup, on_accept_lower};
static const struct mt_listen_ops above = {on_lookup, on_accept};

struct layer *layer_tls_new(void)
{
	struct tls *k = calloc(1, sizeof(*k));

	MT_ASSERT(k);
	k->l.ops = &ops;
	k->l.lower_listen = &from_below;
	k->l.transport.open = op_open;
	k->update_at = MT_NEVER;
	return &k->l;
}

void layer_tls_begin(struct layer *l)
{
	struct tls *k = (struct tls *)l;
	struct mt_tls_layer_conf conf = {.pools = l->pools,
		.aead = mt_aead_new(MT_AEAD_OPENSSL, 0, SOCKET_ID_ANY),
		.lower = l->lower,
		.hands = &hands,
		.hands_arg = k,
		.streams = STREAMS,
		.mss = 1400};

	MT_ASSERT(conf.aead && mt_tls_layer_init(&k->tls, &conf, l->sim->now) == 0);
	k->door = (struct mt_tls_door){
		.layer = &k->tls, .listen = &above, .arg = k, .context = choose};
}

struct mt_tls_layer *layer_tls_of(struct layer *l)
{
	struct tls *k = (struct tls *)l;

	has_one(k);
	return &k->tls;
}
