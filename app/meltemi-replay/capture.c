/* SPDX-License-Identifier: Apache-2.0 */
/* Reads captures: libpcap handles the file formats; every frame becomes untagged Ethernet. */
#include "replay.h"

#include <errno.h>
#include <string.h>

#include <pcap/pcap.h>

#define ETH_LEN	 14
#define TAG_LEN	 4
#define SLL_LEN	 16
#define SLL2_LEN 20

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void parse_tcp(struct frame *f, uint32_t at, uint32_t end)
{
	const uint8_t *t = f->b + at;
	uint32_t hlen;

	if (end < at + 20 || end > f->len)
		return;
	hlen = (t[12] >> 4) * 4u;
	if (hlen < 20 || at + hlen > end)
		return;
	f->tcp = true;
	f->sport = be16(t);
	f->dport = be16(t + 2);
	f->seq = be32(t + 4);
	f->ack = be32(t + 8);
	f->flags = t[13];
	f->l4 = at;
	f->data = at + hlen;
	f->data_len = end - f->data;
}

static void parse4(struct frame *f, const uint8_t *ip)
{
	uint32_t hlen = (ip[0] & 15) * 4u, addr[2];

	if (f->len < ETH_LEN + 20 || hlen < 20)
		return;
	memcpy(addr, ip + 12, sizeof(addr));
	f->ip = f->is4 = true;
	f->src = mt_addr4(addr[0]);
	f->dst = mt_addr4(addr[1]);
	if (ip[9] == 6 && (be16(ip + 6) & 0x3fff) == 0)
		parse_tcp(f, ETH_LEN + hlen, ETH_LEN + (uint32_t)be16(ip + 2));
}

static void parse6(struct frame *f, const uint8_t *ip)
{
	if (f->len < ETH_LEN + 40)
		return;
	f->ip = true;
	memcpy(&f->src, ip + 8, sizeof(f->src));
	memcpy(&f->dst, ip + 24, sizeof(f->dst));
	if (ip[6] == 6)
		parse_tcp(f, ETH_LEN + 40, ETH_LEN + 40 + (uint32_t)be16(ip + 4));
}

void frame_parse(struct frame *f)
{
	struct frame fresh = {.ns = f->ns, .b = f->b, .len = f->len};

	*f = fresh;
	f->group = f->b[0] & 1;
	if (be16(f->b + 12) == 0x0800 && f->len > ETH_LEN && f->b[ETH_LEN] >> 4 == 4)
		parse4(f, f->b + ETH_LEN);
	else if (be16(f->b + 12) == 0x86dd && f->len > ETH_LEN && f->b[ETH_LEN] >> 4 == 6)
		parse6(f, f->b + ETH_LEN);
}

/*
 * The length of the capture's link header (*skip), and the EtherType after it; 0: the frame cannot
 * be used.
 */
static uint16_t link_header(int dlt, const uint8_t *b, uint32_t len, uint32_t *skip)
{
	uint16_t type = 0;

	switch (dlt) {
	case DLT_EN10MB:
		*skip = ETH_LEN;
		type = len >= ETH_LEN ? be16(b + 12) : 0;
		break;
	case DLT_LINUX_SLL:
		*skip = SLL_LEN;
		type = len >= SLL_LEN ? be16(b + 14) : 0;
		break;
	case DLT_LINUX_SLL2:
		*skip = SLL2_LEN;
		type = len >= SLL2_LEN ? be16(b) : 0;
		break;
	default:
		*skip = 0;
		return len == 0 ? 0 : b[0] >> 4 == 4 ? 0x0800 : 0x86dd;
	}
	if ((type == 0x8100 || type == 0x88a8) && len >= *skip + TAG_LEN) {
		type = be16(b + *skip + 2);
		*skip += TAG_LEN;
	}
	return type;
}

static int add(
	struct capture *c, int dlt, const struct pcap_pkthdr *h, const uint8_t *b, uint64_t ns)
{
	static const uint8_t us[6] = {2, 0x4d, 0x74, 0, 0, 1}, them[6] = {2, 0x4d, 0x74, 0, 0, 2};
	struct frame *f;
	uint16_t type;
	uint32_t skip;

	type = link_header(dlt, b, h->caplen, &skip);
	if (h->caplen < h->len || type < 0x0600 || h->caplen > 65000 || c->n == CAPTURE_MAX) {
		c->skipped++;
		return 0;
	}
	if (c->n == c->cap) {
		uint32_t cap = c->cap ? c->cap * 2 : 1024;
		struct frame *more = realloc(c->frames, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->frames = more;
		c->cap = cap;
	}
	f = &c->frames[c->n];
	*f = (struct frame){.ns = ns, .len = h->caplen - skip + ETH_LEN};
	f->b = malloc(f->len);
	if (!f->b)
		return -ENOMEM;
	c->n++;
	/* Unicast goes to our station, whatever the recorded one was; group addresses stay. */
	memcpy(f->b, dlt == DLT_EN10MB && b[0] & 1 ? b : us, 6);
	memcpy(f->b + 6, dlt == DLT_EN10MB ? b + 6 : them, 6);
	f->b[12] = (uint8_t)(type >> 8);
	f->b[13] = (uint8_t)type;
	memcpy(f->b + ETH_LEN, b + skip, h->caplen - skip);
	frame_parse(f);
	return 0;
}

static int read_all(struct capture *c, pcap_t *p, struct mt_err *e)
{
	uint64_t first = 0, last = 0;
	struct pcap_pkthdr *h;
	const uint8_t *b;
	int rc;

	while ((rc = pcap_next_ex(p, &h, &b)) == 1) {
		/* The file was opened with nanosecond precision, so tv_usec is in ns. */
		uint64_t ns = (uint64_t)h->ts.tv_sec * MT_SEC + (uint64_t)h->ts.tv_usec;

		if (first == 0)
			first = ns;
		/* If the clock was set back during the recording, time must not go back here. */
		last = MT_MAX(last, ns > first ? ns - first : 0);
		if (add(c, pcap_datalink(p), h, b, last))
			return mt_err(e, -ENOMEM, "no memory for %u frames", c->n);
	}
	if (rc == PCAP_ERROR)
		return mt_err(e, -EINVAL, "frame %u: %s", c->n + c->skipped + 1, pcap_geterr(p));
	return 0;
}

int capture_read(struct capture *c, const char *path, struct mt_err *e)
{
	static const int known[] = {
		DLT_EN10MB, DLT_RAW, DLT_IPV4, DLT_IPV6, DLT_LINUX_SLL, DLT_LINUX_SLL2};
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	bool ok = false;
	int rc;

	if (!p)
		return mt_err(e, -EINVAL, "%s", text);
	for (size_t i = 0; i < MT_ARRAY_LEN(known); i++)
		ok = ok || pcap_datalink(p) == known[i];
	rc = ok ? read_all(c, p, e)
		: mt_err(e, -EINVAL,
			  "%s: frames of type %s are not understood; record an Ethernet "
			  "interface",
			  path, pcap_datalink_val_to_name(pcap_datalink(p)));
	pcap_close(p);
	return rc;
}

void capture_free(struct capture *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		free(c->frames[i].b);
	free(c->frames);
}
