/* SPDX-License-Identifier: Apache-2.0 */
#include "pcapng.h"

#include <string.h>

/* Block types and options: draft-ietf-opsawg-pcapng, sections 4 and 3.5. */
#define SECTION		 0x0a0d0d0au
#define INTERFACE	 1u
#define STATISTICS	 5u
#define PACKET		 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define OPT_COMMENT  1
#define SHB_USERAPPL 4
#define IF_NAME	     2
#define IF_TSRESOL   9
#define EPB_FLAGS    2
#define ISB_IFRECV   4
#define ISB_IFDROP   5

#define ETHERNET 1 /* in tcpdump.org's list of link types */

#define OPTIONS_MAX 2048

/* Options of one block, each padded to 32 bits. */
struct options {
	uint32_t n;
	uint8_t bytes[OPTIONS_MAX];
};

static void put_option(struct options *o, uint16_t code, const void *value, size_t len)
{
	size_t taken = o->n + 4 + 4; /* its head, and that of the end mark */
	size_t room = taken < sizeof(o->bytes) ? (sizeof(o->bytes) - taken) & ~(size_t)3 : 0;
	uint16_t head[2] = {code, (uint16_t)MT_MIN(len, room)};

	if (!room)
		return;
	memcpy(o->bytes + o->n, head, sizeof(head));
	memcpy(o->bytes + o->n + 4, value, head[1]);
	memset(o->bytes + o->n + 4 + head[1], 0, 3);
	o->n += 4 + ((head[1] + 3u) & ~3u);
}

static void put_text(struct options *o, uint16_t code, const char *text)
{
	if (text && *text)
		put_option(o, code, text, strlen(text));
}

/* Writes a block: its fixed fields, padded bytes, and options. */
static void put_block(struct pcapng *p, uint32_t type, const void *fixed, uint32_t n_fixed,
	const void *bytes, uint32_t n_bytes, const struct options *o)
{
	static const uint8_t zero[4];
	uint32_t pad = -n_bytes & 3, end = o->n ? 4 : 0;
	uint32_t size = 12 + n_fixed + n_bytes + pad + o->n + end;
	const uint32_t head[2] = {type, size};

	fwrite(head, sizeof(head), 1, p->out);
	fwrite(fixed, n_fixed, 1, p->out);
	if (n_bytes)
		fwrite(bytes, n_bytes, 1, p->out);
	fwrite(zero, 1, pad, p->out);
	fwrite(o->bytes, 1, o->n, p->out);
	fwrite(zero, 1, end, p->out);
	fwrite(&size, sizeof(size), 1, p->out);
}

void pcapng_begin(struct pcapng *p, FILE *out, const char *comment)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		int64_t length; /* unknown */
	} fixed = {BYTE_ORDER_MAGIC, 1, 0, -1};
	struct options o = {0};

	*p = (struct pcapng){.out = out};
	put_text(&o, OPT_COMMENT, comment);
	put_text(&o, SHB_USERAPPL, "meltemi " MT_VERSION);
	put_block(p, SECTION, &fixed, sizeof(fixed), NULL, 0, &o);
}

uint32_t pcapng_interface(struct pcapng *p, const char *name)
{
	struct {
		uint16_t link, reserved;
		uint32_t snap; /* no limit */
	} fixed = {ETHERNET, 0, 0};
	const uint8_t ns = 9;
	struct options o = {0};

	for (uint32_t i = 0; i < p->n; i++)
		if (strcmp(p->interfaces[i].name, name) == 0)
			return i;
	if (p->n == PCAPNG_INTERFACES)
		return p->n - 1;
	snprintf(p->interfaces[p->n].name, sizeof(p->interfaces[0].name), "%s", name);
	put_text(&o, IF_NAME, p->interfaces[p->n].name);
	put_option(&o, IF_TSRESOL, &ns, 1);
	put_block(p, INTERFACE, &fixed, sizeof(fixed), NULL, 0, &o);
	return p->n++;
}

void pcapng_packet(struct pcapng *p, uint32_t interface, const struct pcapng_packet *k)
{
	const uint32_t fixed[5] = {
		interface, (uint32_t)(k->ns >> 32), (uint32_t)k->ns, k->snap, k->len};
	const uint32_t flags = k->direction;
	struct options o = {0};

	put_option(&o, EPB_FLAGS, &flags, sizeof(flags));
	put_text(&o, OPT_COMMENT, k->comment);
	put_block(p, PACKET, fixed, sizeof(fixed), k->bytes, k->snap, &o);
	p->interfaces[interface].packets++;
}

void pcapng_end(struct pcapng *p, uint64_t ns, uint64_t lost)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const uint32_t fixed[3] = {i, (uint32_t)(ns >> 32), (uint32_t)ns};
		const uint64_t drop = i == 0 ? lost : 0;
		struct options o = {0};

		put_option(&o, ISB_IFRECV, &p->interfaces[i].packets, 8);
		put_option(&o, ISB_IFDROP, &drop, 8);
		put_block(p, STATISTICS, fixed, sizeof(fixed), NULL, 0, &o);
	}
}
