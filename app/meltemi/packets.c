/* SPDX-License-Identifier: Apache-2.0 */
#include "packets.h"

#include <string.h>

#define PCAP_US	    0xa1b2c3d4u
#define PCAP_NS	    0xa1b23c4du
#define PCAP_HEAD   24
#define PCAP_RECORD 16
#define SECTION	    0x0a0d0d0au
#define ORDER_MAGIC 0x1a2b3c4du
#define BLOCK_LEAST 12 /* type, length, length */
#define INTERFACE   1u
#define OLD_PACKET  2u
#define SIMPLE	    3u
#define PACKET	    6u

static uint32_t swap(uint32_t v)
{
	return __builtin_bswap32(v);
}

static uint32_t get32(const struct packets *p, size_t at)
{
	uint32_t v;

	memcpy(&v, p->data + at, sizeof(v));
	return p->swapped ? swap(v) : v;
}

static uint16_t get16(const struct packets *p, size_t at)
{
	uint16_t v;

	memcpy(&v, p->data + at, sizeof(v));
	return p->swapped ? __builtin_bswap16(v) : v;
}

static bool fails(struct packets *p, const char *why)
{
	p->why = why;
	return false;
}

static uint32_t magic_of(const uint8_t *data)
{
	uint32_t v;

	memcpy(&v, data, sizeof(v));
	return v;
}

static bool is_pcap(uint32_t magic)
{
	return magic == PCAP_US || magic == PCAP_NS;
}

bool packets_is(const uint8_t *data, size_t n)
{
	uint32_t magic = n >= sizeof(magic) ? magic_of(data) : 0;

	return is_pcap(magic) || is_pcap(swap(magic)) || magic == SECTION;
}

bool packets_open(struct packets *p, const uint8_t *data, size_t n)
{
	*p = (struct packets){.data = data, .n = n};
	if (!packets_is(data, n))
		return fails(p, "neither pcap nor pcapng");
	p->ng = magic_of(data) == SECTION;
	if (p->ng)
		return true;
	p->swapped = !is_pcap(magic_of(data));
	if (n < PCAP_HEAD)
		return fails(p, "the head of the file is cut off");
	/* The upper bits are the length of a frame check sequence. */
	p->link = get32(p, 20) & 0x0fffffff;
	p->at = PCAP_HEAD;
	return true;
}

/* ---- pcap ------------------------------------------------------------------------------------ */

static bool pcap_next(struct packets *p, struct packet *k)
{
	size_t left = p->n - p->at;
	uint32_t n;

	if (left == 0)
		return false;
	if (left < PCAP_RECORD)
		return fails(p, "the head of a packet is cut off");
	n = get32(p, p->at + 8);
	if (n > left - PCAP_RECORD)
		return fails(p, "a packet is longer than the rest of the file");
	*k = (struct packet){p->data + p->at + PCAP_RECORD, n, p->link};
	p->at += PCAP_RECORD + n;
	return true;
}

/* ---- pcapng ---------------------------------------------------------------------------------- */

/* The byte order of a section is that of its magic number. */
static bool section(struct packets *p, size_t left)
{
	uint32_t magic;

	if (left < 28)
		return fails(p, "the head of a section is cut off");
	magic = magic_of(p->data + p->at + 8);
	if (magic != ORDER_MAGIC && swap(magic) != ORDER_MAGIC)
		return fails(p, "a section without its byte order");
	p->swapped = magic != ORDER_MAGIC;
	p->n_links = 0;
	return true;
}

static bool interface(struct packets *p, uint32_t len)
{
	if (len < BLOCK_LEAST + 8)
		return fails(p, "an interface is cut off");
	if (p->n_links == PACKETS_INTERFACES)
		return fails(p, "more than 256 interfaces");
	p->links[p->n_links++] = get16(p, p->at + 8);
	return true;
}

/* A packet of the block with `head` bytes before it. `n`: the bytes that were captured. */
static bool block_packet(
	struct packets *p, struct packet *k, uint32_t len, uint32_t head, uint32_t n, uint32_t link)
{
	if (link >= p->n_links)
		return fails(p, "a packet of an interface that is not described");
	if (n > len - head - 4)
		return fails(p, "a packet is longer than its block");
	*k = (struct packet){p->data + p->at + head, n, p->links[link]};
	return true;
}

/* The packet of a block. False without p->why: the block has none. */
static bool in_block(struct packets *p, struct packet *k, uint32_t type, uint32_t len)
{
	if (type == PACKET || type == OLD_PACKET) {
		if (len < 32)
			return fails(p, "a packet is cut off");
		return block_packet(p, k, len, 28, get32(p, p->at + 20),
			type == PACKET ? get32(p, p->at + 8) : get16(p, p->at + 8));
	}
	if (type != SIMPLE)
		return false;
	if (len < 16)
		return fails(p, "a packet is cut off");
	/* Its block has the length before it was cut to the interface's limit. */
	return block_packet(p, k, len, 12, MT_MIN(get32(p, p->at + 8), len - 16), 0);
}

static bool ng_next(struct packets *p, struct packet *k)
{
	while (p->at < p->n) {
		size_t left = p->n - p->at;
		uint32_t type, len;
		bool found;

		if (left < BLOCK_LEAST)
			return fails(p, "the head of a block is cut off");
		type = get32(p, p->at);
		if (magic_of(p->data + p->at) == SECTION && !section(p, left))
			return false;
		len = get32(p, p->at + 4);
		if (len < BLOCK_LEAST || len % 4 || len > left)
			return fails(p, "a block's length is wrong, or exceeds the file");
		if (type == INTERFACE && !interface(p, len))
			return false;
		found = in_block(p, k, type, len);
		if (p->why)
			return false;
		p->at += len;
		if (found)
			return true;
	}
	return false;
}

bool packets_next(struct packets *p, struct packet *k)
{
	if (p->why)
		return false;
	return p->ng ? ng_next(p, k) : pcap_next(p, k);
}
