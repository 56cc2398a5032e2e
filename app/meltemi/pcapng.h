/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pcapng file, written front to back: draft-ietf-opsawg-pcapng. Interfaces appear with their first packet; each packet may have a
 * comment. Nothing is kept in memory, so it can be a pipe.
 */
#pragma once

#include "mt_base.h"

#include <stdio.h>

#define PCAPNG_INTERFACES 64

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_IN, PCAPNG_OUT };

struct pcapng {
	FILE *out; /* the caller's; its error says whether all was written */
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
	uint32_t snap, len;  /* bytes there, and of the packet as it was */
	const char *comment; /* NULL: none */
};

void pcapng_begin(struct pcapng *p, FILE *out, const char *comment);
/* Of Ethernet, by name; the last one for whatever finds no place. */
uint32_t pcapng_interface(struct pcapng *p, const char *name);
void pcapng_packet(struct pcapng *p, uint32_t interface, const struct pcapng_packet *k);
/* How many each interface gave; `lost`: that none could take, told of the first. */
void pcapng_end(struct pcapng *p, uint64_t ns, uint64_t lost);
