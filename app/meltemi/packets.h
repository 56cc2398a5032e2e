/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads captures in memory: pcap (pcap-savefile(5)) and pcapng (draft-ietf-opsawg-pcapng), of
 * either byte order. Captures come from other programs: each length is checked before it is used,
 * and no byte outside of the file is read. A packet's bytes stay in the file.
 */
#pragma once

#include "mt_base.h"

#define PACKETS_INTERFACES 256 /* of a section; later ones are an error */

struct packets {
	const uint8_t *data;
	size_t n, at;
	bool ng, swapped;
	uint32_t link; /* pcap */
	uint32_t n_links;
	uint16_t links[PACKETS_INTERFACES]; /* pcapng: of the section's interfaces */
	const char *why;		    /* static text: why the capture ends here, or NULL */
};

struct packet {
	const uint8_t *bytes;
	uint32_t n;    /* captured bytes */
	uint32_t link; /* link type, in tcpdump.org's list */
};

/* True if the bytes start as a capture of either format. */
bool packets_is(const uint8_t *data, size_t n);

/* Starts to read; `data` must stay. False: p->why. */
bool packets_open(struct packets *p, const uint8_t *data, size_t n);

/* Reads the next packet. False: the end, or an error with p->why at byte p->at. */
bool packets_next(struct packets *p, struct packet *k);
