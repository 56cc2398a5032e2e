/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages, by the input's first byte: a datagram, or a message of a stream, to a table with names of every
 * kind; or a server's reply to a query, both out of the input. What is said must be an answer to what was asked.
 */
#include "fuzz.h"

#include "mt_dns.h"

#include <string.h>

static const struct mt_dns_table *the_table(void)
{
	static const char *const zones[] = {"svc.cluster.local"}, *const search[] = {
									  "corp.example"};
	static const char *const hosts[] = {
		"a.b.svc.cluster.local", "*.c.example", "d.example", "e"};
	const struct mt_dns_rules rules = {.domain = "cluster.local",
		.ns = "b",
		.zones = zones,
		.n_zones = 1,
		.search = search,
		.n_search = 1,
		.owned = true,
		.ttl = 30};
	static struct mt_dns_table *t;
	struct mt_dns_builder *b;

	if (t)
		return t;
	b = mt_dns_builder_new(&rules);
	MT_ASSERT(b);
	for (size_t i = 0; i < MT_ARRAY_LEN(hosts); i++) {
		struct mt_addr a[] = {mt_addr4(0x01f0f0f0), {.b = {0x20, 1, [15] = (uint8_t)i}}};

		MT_ASSERT(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, hosts[i], a, 2) == 0);
	}
	t = mt_dns_builder_finish(b, NULL);
	MT_ASSERT(t);
	return t;
}

static void ask(const uint8_t *data, uint32_t size, bool datagram)
{
	const struct mt_dns_ask how = {.datagram = datagram, .recursion = true, .rnd = size << 20};
	static uint8_t out[MT_DNS_TCP_MAX];
	uint64_t counters[MT_DNS_N_OUTCOMES] = {0};
	uint32_t room = datagram ? MT_DNS_UDP_MAX : MT_DNS_TCP_MAX, n = 0;
	uint8_t again[MT_DNS_QUERY_MAX];

	switch (mt_dns_respond(the_table(), &how, data, size, out, room, &n, counters)) {
	case MT_DNS_SILENCE:
		MT_ASSERT(counters[MT_DNS_not_a_query] == 1);
		return;
	case MT_DNS_REPLY:
		MT_ASSERT(n >= 12 && n <= room && mt_dns_id(out) == mt_dns_id(data));
		MT_ASSERT(!datagram || n <= mt_dns_datagram_limit(data, size));
		/* With its question, it is a reply to the query; without, only errors are. */
		MT_ASSERT(out[2] & 0x80);
		MT_ASSERT((out[5] == 0 && mt_dns_rcode(out)) ||
			  mt_dns_is_reply_to(out, n, data, size));
		return;
	case MT_DNS_FORWARD:
		if (size > sizeof(again))
			return;
		n = mt_dns_instead_of_nxdomain(the_table(), datagram, data, size, out, counters);
		MT_ASSERT(n <= room && (!n || mt_dns_rcode(out) == 0));
		MT_ASSERT(!n || mt_dns_is_reply_to(out, n, data, size));
		MT_ASSERT(!datagram || n <= mt_dns_datagram_limit(data, size));
		mt_dns_query_rewrite(data, size, 0x1234, again);
		MT_ASSERT(mt_dns_id(again) == 0x1234);
		MT_ASSERT(mt_dns_datagram_limit(again, size) == mt_dns_datagram_limit(data, size));
		n = mt_dns_error(data, size, MT_DNS_SERVFAIL, false, out);
		MT_ASSERT(mt_dns_is_reply_to(out, n, data, size));
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > MT_DNS_TCP_MAX)
		return 0;
	if (data[0] < 2) {
		ask(data + 1, (uint32_t)size - 1, data[0] == 0);
	} else if (size > 2 && size - 2 > data[1]) {
		/* A reply behind a query of so many bytes. */
		(void)mt_dns_is_reply_to(
			data + 2 + data[1], (uint32_t)(size - 2 - data[1]), data + 2, data[1]);
	}
	return 0;
}
