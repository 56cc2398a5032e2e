/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define EXIT_WRONG  1 /* a reply did not match its call */
#define EXIT_FAILED 3 /* calls failed, or connections on which calls were due */

/*
 * Exit status for the whole run, including the warm-up. After an interrupt, outstanding and unsent
 * calls do not count as failures.
 */
static int status(const struct blast_result *r)
{
	if (r->counts[BLAST_WRONG] || r->counts[BLAST_STRANGER] || r->counts[BLAST_BAD_BYTES])
		return EXIT_WRONG;
	for (uint32_t c = BLAST_NATIVE_ERROR; c <= BLAST_UNSENT; c++)
		if (r->counts[c] &&
			!(blast_stopped() && (c == BLAST_ABANDONED || c == BLAST_UNSENT)))
			return EXIT_FAILED;
	if (r->measured[BLAST_CONNECT_FAILED])
		return EXIT_FAILED;
	return r->counts[BLAST_ANSWERED] ? 0 : EXIT_FAILED;
}

static int work(const struct blast_options *o)
{
	static struct blast_result result;
	int rc;

	if (o->server)
		return blast_server(o);
	if (o->find_capacity)
		return blast_find_capacity(o);
	rc = blast_run(o, &result);
	if (rc)
		return rc;
	blast_report(o, &result);
	return status(&result);
}

/* Opens the DPDK ports, and a stack on each that is not stripped. */
static int open_stacks(struct blast_options *o, struct blast_io **far, struct mt_err *e)
{
	static struct blast_ports ports;
	int rc = blast_link_open(&ports, &o->link, o->connections, o->sources, o->n_sources, e);

	if (rc)
		return rc;
	o->ports = &ports;
	for (uint32_t i = 0; i < ports.n; i++) {
		bool stack = !(o->server && o->stripped);

		o->stacks[i] = stack ? blast_io_stack(&ports.near[i], e) : NULL;
		far[i] = o->link.ring && !o->stripped ? blast_io_stack(&ports.far[i], e) : NULL;
		if ((stack && !o->stacks[i]) || (o->link.ring && !o->stripped && !far[i]))
			return -1;
	}
	return o->server ? 0 : blast_link_await(&ports, e);
}

/* Starts the server at the ring's other end. */
static int start_far(const struct blast_options *o, struct blast_io *const *far)
{
	int rc = o->stripped ? blast_stripped_start(o, o->ports->far) : blast_server_start(o, far);

	if (rc)
		fprintf(stderr, "meltemi-blast: the server at the ring's other end: %s\n",
			strerror(-rc));
	return rc;
}

static int with_stacks(struct blast_options *o)
{
	struct blast_io *far[BLAST_LINKS] = {NULL};
	struct mt_err e;
	int rc;

	if (open_stacks(o, far, &e)) {
		fprintf(stderr, "meltemi-blast: --device: %s\n", e.text);
		return 4;
	}
	if (o->link.ring && start_far(o, far))
		return 4;
	rc = work(o);
	if (o->link.ring) {
		blast_server_stop(o);
		if (o->stripped && !blast_stripped_tell())
			rc = MT_MAX(rc, EXIT_FAILED);
	}
	for (uint32_t i = 0; i < o->ports->n; i++) {
		if (o->stacks[i])
			o->stacks[i]->ops->destroy(o->stacks[i]);
		if (far[i])
			far[i]->ops->destroy(far[i]);
	}
	blast_link_close(o->ports);
	return rc;
}

int main(int argc, char **argv)
{
	struct blast_options o;
	int rc = blast_options_parse(argc, argv, &o);

	if (rc)
		return rc < 0 ? 0 : rc;
	signal(SIGPIPE, SIG_IGN);
	return o.link.n_devices ? with_stacks(&o) : work(&o);
}
