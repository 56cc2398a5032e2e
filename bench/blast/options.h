/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the command line. */
#pragma once

#include "dist.h"
#include "io.h"
#include "link.h"
#include "message.h"
#include "mt_addr.h"

enum blast_arrivals { BLAST_POISSON, BLAST_UNIFORM };
enum blast_verify { BLAST_VERIFY_ID, BLAST_VERIFY_TOKEN, BLAST_VERIFY_BYTES };
enum blast_reply { BLAST_REPLY_SAME, BLAST_REPLY_ANY, BLAST_REPLY_DIST };

struct blast_options {
	struct blast_io
		*stacks[BLAST_LINKS]; /* Meltemi's own, one per thread; NULL: kernel sockets */
	struct blast_link_conf link;
	struct blast_ports *ports; /* made from `link`; NULL: kernel sockets */
	bool stripped;		   /* the server */
	bool server, find_capacity, json, progress, spin, reset;
	const struct blast_proto *proto;
	struct blast_names names;
	struct mt_addr host, sources[BLAST_SOURCES];
	uint32_t n_sources;
	uint16_t port;
	uint32_t connections, outstanding, threads, calls_per_connection;
	uint64_t duration, warm_up, timeout, seed;
	double rate; /* calls per second; 0: closed loop */
	enum blast_arrivals arrivals;
	enum blast_verify verify;
	enum blast_reply reply;
	struct blast_dist size, reply_size, delay;
	uint64_t stall_after, stall_for;
	/* --find-capacity */
	uint64_t max_p99, step;
	double max_errors, headroom; /* between 0 and 1 */
};

/* Returns 0: continue; -1: done, exit status 0; 2: rejected, the reason was printed. */
int blast_options_parse(int argc, char **argv, struct blast_options *o);

/* Writes the socket address of an address and port; returns its length. */
struct sockaddr_storage;
uint32_t blast_sockaddr(const struct mt_addr *a, uint16_t port, struct sockaddr_storage *to);
