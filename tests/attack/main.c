/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   flood KIND IFACE HOP-MAC SOURCE-NET TARGET PORT RATE SECONDS SEED [CONNECTIONS]
 *
 * SOURCE-NET is the first address of a /16. The last line of output is a JSON object.
 */
#include "flood.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kind kinds[] = {
	{"syn", false, run_syn},
	{"ack", false, run_ack},
	{"garbage", false, run_garbage},
	{"rst", true, run_rst},
	{"rst-near", true, run_rst_near},
	{"rst-exact", true, run_rst_exact},
	{"ooo", true, run_ooo},
	{"tiny", true, run_tiny},
	{"stop16", true, run_stop16},
};

static uint32_t address(const char *text)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1) {
		fprintf(stderr, "flood: %s is no IPv4 address\n", text);
		exit(2);
	}
	return ntohl(a.s_addr);
}

static uint32_t number(const char *text, uint32_t least, uint32_t most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || n < least || n > most) {
		fprintf(stderr, "flood: %s: a number from %u to %u is wanted\n", text, least, most);
		exit(2);
	}
	return (uint32_t)n;
}

static const struct kind *find(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	fprintf(stderr, "flood: no such kind: %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	static struct flood f;
	const struct kind *kind;

	if (argc < 10 || argc > 11) {
		fprintf(stderr, "flood KIND IFACE HOP-MAC SOURCE-NET TARGET PORT RATE SECONDS SEED "
				"[CONNECTIONS]\n");
		return 2;
	}
	kind = find(argv[1]);
	if (sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &f.hop[0], &f.hop[1], &f.hop[2],
		    &f.hop[3], &f.hop[4], &f.hop[5]) != 6) {
		fprintf(stderr, "flood: %s is no station\n", argv[3]);
		return 2;
	}
	f.net = address(argv[4]) & 0xffff0000;
	f.to = address(argv[5]);
	f.port = (uint16_t)number(argv[6], 1, 65535);
	f.rate = number(argv[7], 1, 1000000);
	f.end = now_ns() + number(argv[8], 1, 120) * UINT64_C(1000000000);
	mt_rand_seed(&f.rand, number(argv[9], 0, 1000000000));
	f.conns = argc > 10 ? number(argv[10], 1, 8192) : 1;
	open_wire(&f, argv[2], kind->listens);
	printf("flooding\n");
	fflush(stdout);
	kind->run(&f);
	return 0;
}
