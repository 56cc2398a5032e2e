/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"
#include "server.h"

#include <signal.h>
#include <stdio.h>

#define EXIT_WRONG  1 /* some reply was not the answer to its call */
#define EXIT_FAILED 3 /* some calls failed */

static int status(const struct blast_result *r)
{
	if (r->counts[BLAST_WRONG] || r->counts[BLAST_STRANGER] || r->counts[BLAST_BAD_BYTES])
		return EXIT_WRONG;
	for (uint32_t c = BLAST_NATIVE_ERROR; c <= BLAST_UNSENT; c++)
		if (r->counts[c])
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

int main(int argc, char **argv)
{
	struct blast_options o;
	struct mt_err e;
	int rc = blast_options_parse(argc, argv, &o);

	if (rc)
		return rc < 0 ? 0 : rc;
	signal(SIGPIPE, SIG_IGN);
	if (!o.link.device)
		return work(&o);
	o.link.await_link = !o.server;
	o.stack = blast_io_stack(&o.link, &e);
	if (!o.stack) {
		fprintf(stderr, "meltemi-blast: --device: %s\n", e.text);
		return 4;
	}
	rc = work(&o);
	o.stack->ops->destroy(o.stack);
	return rc;
}
