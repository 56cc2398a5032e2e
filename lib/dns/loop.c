/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds servers that send this node's queries back to it, as a local resolver does that has this
 * node as its server. Without that, a query would go round until its tries are over, and use a
 * place of the limit in each round.
 *
 * Each server gets a query for a secret name, a probe: when it is new, when a query had no answer,
 * and every 30 s while it loops. If the name comes back as a query of a client, the server loops,
 * and gets no queries. Answers to probes are not read. The name is below "example.com": servers
 * should look up such names like others (RFC 6761 section 6.5), while many answer names below
 * "test" or "invalid" themselves. No server has the name, and it differs each time, so that no
 * cache has it. No host and no zone of the table answers it either (answer.c).
 */
#include "mt_dns_priv.h"
#include "mt_dns_server_priv.h"
#include "mt_rand.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADER 12
#define LABEL  16 /* hexadecimal digits: 64 random bits */

/* The rest of the name on the wire, with the root, then type A and class IN. */
static const uint8_t rest[] = "\12loop-check\7meltemi\7example\3com\0\0\1\0\1";
#define REST (sizeof(rest) - 1)

bool dns_is_probe_name(const struct dns_name *n)
{
	return n->len == 1 + LABEL + REST - 4 && n->b[0] == LABEL &&
	       memcmp(n->b + 1 + LABEL, rest, REST - 4) == 0;
}

static char low(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : (char)c;
}

/* True if the query is for the name of this probe; servers may change the case of letters. */
static bool is_probe(const uint8_t *msg, uint32_t len, const struct dns_upstream *u)
{
	if (len < HEADER + 1 + LABEL + REST || msg[HEADER] != LABEL || !u->probed)
		return false;
	for (uint32_t i = 0; i < LABEL; i++)
		if (low(msg[HEADER + 1 + i]) != u->secret[i])
			return false;
	for (uint32_t i = 0; i < REST - 4; i++)
		if (low(msg[HEADER + 1 + LABEL + i]) != (char)rest[i])
			return false;
	return true;
}

static uint32_t make(const struct dns_upstream *u, uint8_t *out)
{
	static const uint8_t flags[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 0}; /* recursion; one question */
	uint16_t id;

	mt_rand_secret(&id, sizeof(id));
	mt_dns_set_id(out, id);
	memcpy(out + 2, flags, sizeof(flags));
	out[HEADER] = LABEL;
	memcpy(out + HEADER + 1, u->secret, LABEL);
	memcpy(out + HEADER + 1 + LABEL, rest, REST);
	return HEADER + 1 + LABEL + REST;
}

static void probe(struct mt_dns_server *s, struct dns_upstream *u)
{
	uint8_t msg[HEADER + 1 + LABEL + REST];
	struct sockaddr_storage ss;
	socklen_t len = mt_sockaddr(&u->address.addr, u->address.port, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	uint64_t secret;

	u->suspect = false;
	u->probed = s->now;
	mt_rand_secret(&secret, sizeof(secret));
	snprintf(u->secret, sizeof(u->secret), "%016llx", (unsigned long long)secret);
	/* If it is lost, the next query without an answer causes another one. */
	if (fd >= 0)
		(void)!sendto(fd, msg, make(u, msg), MSG_NOSIGNAL, (struct sockaddr *)&ss, len);
	if (fd >= 0)
		close(fd);
}

bool dns_loop_ends(struct mt_dns_server *s, const uint8_t *msg, uint32_t len)
{
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < s->conf.n_servers; i++) {
		struct dns_upstream *u = &s->upstreams[i];

		if (!is_probe(msg, len, u))
			continue;
		u->seen = s->now;
		if (u->loops)
			return true;
		u->loops = s->looped = true;
		mt_log(MT_LOG_WARN, "dns",
			"server %s sends this node's queries back to it, and is not used "
			"(write other servers into spec.dns.upstream)",
			mt_addr_port_str(&u->address.addr, u->address.port, text));
		return true;
	}
	return false;
}

/* A probe that has not come back in time: the server does not loop any more. */
static void forgive(struct mt_dns_server *s, struct dns_upstream *u)
{
	char text[MT_ADDR_STRLEN];

	if (!u->loops || u->seen >= u->probed || s->now < u->probed + DNS_TRY_NS)
		return;
	u->loops = false;
	mt_log(MT_LOG_INFO, "dns", "server %s does not send queries back any more, and is used",
		mt_addr_port_str(&u->address.addr, u->address.port, text));
}

static bool is_due(const struct mt_dns_server *s, const struct dns_upstream *u)
{
	return !u->probed || ((u->suspect || u->loops) && s->now >= u->probed + DNS_ASIDE_NS);
}

void dns_loop_turn(struct mt_dns_server *s)
{
	struct dns_ask *a;

	/* Queries that went into a loop go to another server, or end. */
	for (uint32_t i = 0; s->looped && (a = mt_slab_next(&s->asks, &i));)
		if (s->upstreams[a->server].loops)
			dns_ask_next(s, a, NULL, 0);
	s->looped = false;
	for (uint32_t i = 0; i < s->conf.n_servers; i++) {
		forgive(s, &s->upstreams[i]);
		if (is_due(s, &s->upstreams[i]))
			probe(s, &s->upstreams[i]);
	}
}

uint64_t dns_loop_next(const struct mt_dns_server *s)
{
	uint64_t at = MT_NEVER;

	for (uint32_t i = 0; i < s->conf.n_servers; i++) {
		const struct dns_upstream *u = &s->upstreams[i];

		if (!u->probed)
			return s->now;
		if (u->loops && u->seen < u->probed)
			at = MT_MIN(at, u->probed + DNS_TRY_NS);
		else if (u->loops || u->suspect)
			at = MT_MIN(at, u->probed + DNS_ASIDE_NS);
	}
	return at;
}
