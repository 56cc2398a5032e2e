/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mux_hostile: somebody speaks a layer's frames and breaks its rules. What breaks a rule of a stream ends that stream, what breaks one of
 * the connection ends that, and clients beside him notice nothing.
 */
#include "layer_mux.h"
#include "scenario.h"
#include "world.h"

#include <string.h>

#define CREDIT	 16384
#define LOOK_AT	 (2 * MT_SEC)
#define TOO_MANY (MUX_STREAMS + 10)
#define BUFFER	 65536

struct hostile {
	struct sim *sim;
	struct sim_host *host;
	struct mt_addr to;
	const struct attack *attack;
	struct sim_sock *sock;
	uint8_t out[BUFFER], in[BUFFER];
	uint32_t n_out, sent, n_in;
	uint32_t resets; /* that came */
	bool ended;
};

/* What he sends behind his settings, and what has to come of it. */
struct attack {
	const char *name;
	void (*send)(struct hostile *h);
	bool ends_link;
	uint32_t resets; /* of streams, */
	bool at_most;	 /* or fewer, where a stream may be over already */
};

static void put32(uint8_t *p, uint32_t x)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(x >> (24 - 8 * i));
}

static void frame(struct hostile *h, uint32_t type, uint32_t id, uint32_t len, uint32_t value)
{
	uint8_t *p = h->out + h->n_out;

	MT_ASSERT(h->n_out + FRAME_HEADER + len <= BUFFER);
	p[0] = (uint8_t)type;
	p[1] = 0;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	put32(p + 4, id);
	memset(p + FRAME_HEADER, 0xee, len);
	if (len == 4)
		put32(p + FRAME_HEADER, value);
	h->n_out += FRAME_HEADER + len;
}

static void unknown_stream(struct hostile *h)
{
	frame(h, FRAME_DATA, 99, 10, 0);
}

static void unknown_type(struct hostile *h)
{
	frame(h, FRAME_N_TYPES, 0, 0, 0);
}

static void oversize(struct hostile *h)
{
	frame(h, FRAME_OPEN, 1, 0, 0);
	frame(h, FRAME_DATA, 1, FRAME_MAX + 1, 0);
}

static void opened_twice(struct hostile *h)
{
	frame(h, FRAME_OPEN, 1, 0, 0);
	frame(h, FRAME_OPEN, 1, 0, 0);
}

static void link_overflow(struct hostile *h)
{
	frame(h, FRAME_CREDIT, 0, 4, MUX_CREDIT_MAX);
}

static void stream_overflow(struct hostile *h)
{
	frame(h, FRAME_OPEN, 1, 0, 0);
	frame(h, FRAME_OPEN, 3, 0, 0);
	frame(h, FRAME_CREDIT, 1, 4, MUX_CREDIT_MAX);
}

static void data_behind_close(struct hostile *h)
{
	frame(h, FRAME_OPEN, 1, 0, 0);
	frame(h, FRAME_OPEN, 3, 0, 0);
	frame(h, FRAME_DATA, 1, 1, 0);
	frame(h, FRAME_CLOSE, 1, 0, 0);
	frame(h, FRAME_DATA, 1, 1, 0);
}

static void too_many_streams(struct hostile *h)
{
	for (uint32_t i = 0; i < TOO_MANY; i++)
		frame(h, FRAME_OPEN, 1 + 2 * i, 0, 0);
}

/* For streams that are over it crossed their end. */
static void credit_of_the_dead(struct hostile *h)
{
	frame(h, FRAME_OPEN, 1, 0, 0);
	frame(h, FRAME_RESET, 1, 4, 0);
	frame(h, FRAME_CREDIT, 1, 4, 100);
	frame(h, FRAME_DATA, 1, 10, 0);
}

static const struct attack attacks[] = {
	{.name = "data of a stream that was never opened",
		.send = unknown_stream,
		.ends_link = true},
	{.name = "a frame of no type", .send = unknown_type, .ends_link = true},
	{.name = "a frame that is too long", .send = oversize, .ends_link = true},
	{.name = "a stream that is opened twice", .send = opened_twice, .ends_link = true},
	{.name = "too much credit for the connection", .send = link_overflow, .ends_link = true},
	{.name = "too much credit for a stream", .send = stream_overflow, .resets = 1},
	{.name = "data behind the close of a stream",
		.send = data_behind_close,
		.resets = 1,
		.at_most = true},
	{.name = "too many streams", .send = too_many_streams, .resets = TOO_MANY - MUX_STREAMS},
	{.name = "frames for a stream that is over", .send = credit_of_the_dead, .resets = 0},
};

static void pump(struct sim_sock *k)
{
	struct hostile *h = k->ctx;

	h->sent += sim_sock_send(k, h->out + h->sent, h->n_out - h->sent);
}

static void on_connected(struct sim_sock *k)
{
	struct hostile *h = k->ctx;

	frame(h, FRAME_SETTINGS, 0, 4, CREDIT);
	h->attack->send(h);
	pump(k);
}

static void on_readable(struct sim_sock *k)
{
	struct hostile *h = k->ctx;
	uint32_t off = 0;

	h->n_in += sim_sock_recv(k, h->in + h->n_in, BUFFER - h->n_in);
	while (h->n_in - off >= FRAME_HEADER) {
		const uint8_t *p = h->in + off;
		uint32_t len = (uint32_t)p[2] << 8 | p[3];

		if (h->n_in - off < FRAME_HEADER + len)
			break;
		h->resets += p[0] == FRAME_RESET;
		off += FRAME_HEADER + len;
	}
	memmove(h->in, h->in + off, h->n_in - off);
	h->n_in -= off;
}

static void on_nothing(struct sim_sock *k)
{
}

static void on_closed(struct sim_sock *k, enum sim_end how)
{
	struct hostile *h = k->ctx;

	h->sock = NULL;
	h->ended = true;
}

static const struct sim_app app = {
	on_connected, on_readable, on_nothing, pump, on_nothing, on_closed};

static void look(void *ctx, uint64_t n)
{
	struct hostile *h = ctx;
	const struct attack *a = h->attack;

	if (h->ended != a->ends_link)
		sim_fail(h->sim, "%s: the connection %s", a->name,
			h->ended ? "was ended" : "goes on");
	else if (!a->ends_link && (h->resets > a->resets || (h->resets < a->resets && !a->at_most)))
		sim_fail(h->sim, "%s: %u streams were reset in place of %u", a->name, h->resets,
			a->resets);
	if (h->sock)
		sim_sock_abort(h->sock);
	h->sock = NULL;
}

static void begin(void *ctx, uint64_t n)
{
	struct hostile *h = ctx;

	h->sock = sim_connect(h->host, &h->to, WORLD_PORT, &app, h);
	sim_host_at(h->host, h->sim->now + LOOK_AT, look, h, 0);
}

static void add_client(struct world *w)
{
	struct rpc_client *c = &w->rpc.client[0];

	w->rpc.n_clients = 1;
	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = &w->rpc.protocol.dialects[0],
		.host = world_client(w, 0),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now,
		.calls = 200,
		.window = 4,
		.pace = 20 * MT_MSEC,
		.patience = 10 * MT_SEC,
		.mix = {.req_max = 2000, .rep_max = 2000, .delay_max = 3 * MT_MSEC},
	};
}

static void run(struct sim *s)
{
	struct hostile *h = calloc(1, sizeof(*h));
	struct world *w;

	MT_ASSERT(h);
	world_layer((struct world_layer){LAYER_MUX, true, sim_one_in(&s->plan, 2)});
	w = world_new_rpc(s, 0, WANT_SAFE);
	world_go(w);
	world_brisk(w);
	world_servers(w);
	add_client(w);
	w->h[1].own.raw = true; /* his frames are his own */
	h->sim = s;
	h->host = world_client(w, 1);
	h->to = w->mesh.host.addr4;
	h->attack = &attacks[sim_below(&s->plan, MT_ARRAY_LEN(attacks))];
	sim_trace(s, "hostile: %s", h->attack->name);
	sim_host_at(h->host, s->now + sim_between(&s->plan, 1, 500) * MT_MSEC, begin, h, 0);
	world_calls(w);
	if (!s->failed && h->sock)
		sim_fail(s, "harness: nobody looked");
	free(h);
}

const struct sim_scenario scenario_mux_hostile = {
	.name = "mux_hostile",
	.words = "a client that breaks the rules of shared connections, beside one that calls",
	.weight = 1,
	.run = run,
	.min_calls = 200,
	.min_exchanges = 190,
	.min_connections = 3,
};
