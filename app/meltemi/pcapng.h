/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a pcapng file from start to end (draft-ietf-opsawg-pcapng). An interface is written before
 * its first packet; each packet may have a comment. No packet is stored in memory, so that the
 * output may be a pipe.
 */
#pragma once

#include "mt_base.h"

#include <stdio.h>

#define PCAPNG_INTERFACES 64

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_IN, PCAPNG_OUT };

struct pcapng {
	FILE *out; /* the caller's, who checks ferror() */
	uint32_t n;
	struct {
		char name[64];
		uint64_t packets;
	} interfaces[PCAPNG_INTERFACES];
};

struct pcapng_packet {
	uint64_t ns; /* Unix time */
	enum pcapng_direction direction;
	const void *bytes;
	uint32_t snap, len;  /* captured bytes, and original length */
	const char *comment; /* NULL: none */
};

void pcapng_begin(struct pcapng *p, FILE *out, const char *comment);
/*
 * The index of the Ethernet interface with that name, which is written if it is new. If there is no
 * space for more, the index of the last one.
 */
uint32_t pcapng_interface(struct pcapng *p, const char *name);
void pcapng_packet(struct pcapng *p, uint32_t interface, const struct pcapng_packet *k);
/*
 * Writes the number of packets of each interface. `lost`: packets that were not captured, which the
 * first one reports.
 */
void pcapng_end(struct pcapng *p, uint64_t ns, uint64_t lost);
