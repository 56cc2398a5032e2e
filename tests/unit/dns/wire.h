/* SPDX-License-Identifier: Apache-2.0 */
/* Messages built and read by code of their own, so that a mistake of lib/dns does not hide itself. */
#pragma once

#include "mt_dns.h"
#include "mt_test.h"

struct wire {
	uint32_t len;
	uint8_t b[2048];
};

enum { A = 1, NS = 2, CNAME = 5, SOA = 6, MX = 15, TXT = 16, AAAA = 28, HTTPS = 65, ANY = 255 };

struct wire_query {
	const char *name;
	uint16_t type;
	uint16_t id, flags; /* flags 0: RD alone */
	uint16_t class;	    /* 0: IN */
	uint32_t edns;	    /* size; 0: none */
	uint32_t ext;	    /* TTL of the OPT record */
};

void wire_query(struct wire *w, const struct wire_query *q);
/*
 * "NOERROR aa ra | db.example.com A 30 240.240.0.1 | soa svc.cluster.local 30 | opt 1232": code and bits, answers,
 * authority, OPT. "MALFORMED: why" when it can't be read. Returns text.
 */
const char *wire_text(const uint8_t *b, uint32_t len, char text[4096]);

struct mt_dns_table *wire_table(void);

extern const struct mt_test answer_tests[], aside_tests[], loop_tests[], query_tests[],
	server_tests[], table_tests[];
