/* SPDX-License-Identifier: Apache-2.0 */
/* The server for one fixed call: a stripped host on each port (bench/common). */
#include "server.h"

#include "bench_stripped.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Without packets the loop spins for this time, then sleeps in short steps, because cores may be
 * shared.
 */
#define SPIN	    (100 * MT_USEC)
#define STEP_US	    20
#define WATCH_EVERY (100 * MT_MSEC)

struct stripped {
	struct blast_port *port;
	struct bench_stripped *host;
};

static struct stripped hosts[BLAST_LINKS];
static uint32_t n_hosts;
static uint64_t counted[BENCH_STRIPPED_N_OUTCOMES]; /* of hosts that have ended */
static uint64_t errors;

static void *serve(void *arg)
{
	struct stripped *s = arg;
	uint64_t busy = 0, watched = 0;

	if (blast_link_attach())
		return NULL;
	while (!blast_server_stopped()) {
		uint64_t now = blast_now();

		if (now - watched > WATCH_EVERY) {
			blast_port_watch(s->port, now);
			watched = now;
		}
		if (bench_stripped_turn(s->host, now))
			busy = now;
		else if (now - busy > SPIN)
			usleep(STEP_US);
	}
	blast_link_detach();
	return NULL;
}

/*
 * The call according to --proto, --size, --service and --method; its reply has the call's id and
 * token.
 */
static struct bench_exchange exchange(const struct blast_options *o)
{
	static struct blast_message in, out;
	const struct blast_dist *reply = o->reply == BLAST_REPLY_DIST ? &o->reply_size : &o->size;
	uint32_t size = (uint32_t)blast_dist_max(reply);
	uint16_t id = o->proto->id_len;

	o->proto->make(&in, &o->names, true, (uint32_t)blast_dist_max(&o->size));
	o->proto->make(&out, &o->names, false, size);
	blast_head_write(out.bytes + out.head_at, 0, size);
	return (struct bench_exchange){.in = in.bytes,
		.out = out.bytes,
		.in_len = in.len,
		.out_len = out.len,
		.same = in.id_at & ~3u,
		.copies = {{(uint16_t)in.id_at, (uint16_t)out.id_at, id},
			{(uint16_t)in.head_at, (uint16_t)out.head_at, BLAST_TOKEN}},
		.n_copies = 2};
}

int blast_stripped_start(const struct blast_options *o, struct blast_port *ports)
{
	struct bench_stripped_conf c = {
		.exchange = exchange(o), .listen = o->port, .seed = o->seed};
	struct mt_err e;
	uint8_t bits;
	int rc = 0;

	n_hosts = o->threads;
	for (uint32_t i = 0; i < n_hosts && !rc; i++) {
		c.port = ports[i].port;
		c.pools = &ports[i].pools;
		c.max_conns = ports[i].max_conns;
		if (mt_prefix_parse(ports[i].address, &c.address, &bits))
			return -EINVAL;
		hosts[i].port = &ports[i];
		hosts[i].host = bench_stripped_create(&c, &e);
		if (!hosts[i].host) {
			fprintf(stderr, "meltemi-blast: --stripped: %s\n", e.text);
			return -EINVAL;
		}
		rc = blast_server_thread(i, serve, &hosts[i]);
	}
	return rc;
}

bool blast_stripped_tell(void)
{
	for (uint32_t i = 0; i < n_hosts; i++) {
		const uint64_t *n = bench_stripped_counters(hosts[i].host);

		for (uint32_t k = 0; k < BENCH_STRIPPED_N_OUTCOMES; k++)
			counted[k] += n[k];
		errors += bench_stripped_errors(hosts[i].host);
		bench_stripped_destroy(hosts[i].host);
	}
	n_hosts = 0;
	for (uint32_t k = 0; errors && k < BENCH_STRIPPED_N_OUTCOMES; k++)
		if (counted[k])
			fprintf(stderr, "meltemi-blast: stripped server: %s: %lu (%s)\n",
				bench_stripped_outcomes.rows[k].name, counted[k],
				bench_stripped_outcomes.rows[k].words);
	return errors == 0;
}
