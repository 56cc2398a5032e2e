/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of options: numbers, shares, words, addresses, sizes. Each function returns 0, or -EINVAL
 * with the error.
 */
#include "option_values.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int blast_opt_number(const char *text, uint64_t min, uint64_t max, uint64_t *to, struct mt_err *e)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > max)
		return mt_err(e, -EINVAL, "'%s' is not a number from %lu to %lu", text, min, max);
	*to = v;
	return 0;
}

int blast_opt_number32(const char *text, uint32_t min, uint32_t max, uint32_t *to, struct mt_err *e)
{
	uint64_t v = 0;
	int rc = blast_opt_number(text, min, max, &v, e);

	*to = (uint32_t)v;
	return rc;
}

int blast_opt_decimal(const char *text, double max, double *to, struct mt_err *e)
{
	char *end;

	*to = strtod(text, &end);
	if (*text < '0' || *text > '9' || *end || !(*to > 0 && *to <= max))
		return mt_err(e, -EINVAL, "'%s' is not a number above 0, up to %g", text, max);
	return 0;
}

/* "0.1%" or "0.001". */
int blast_opt_share(const char *text, double *to, struct mt_err *e)
{
	char *end;

	*to = strtod(text, &end);
	if (strcmp(end, "%") == 0)
		*to /= 100;
	else if (*end)
		end = NULL;
	if (*text < '0' || *text > '9' || !end || *to >= 1)
		return mt_err(
			e, -EINVAL, "'%s' is not a share; write one like 0.1%% or 0.001", text);
	return 0;
}

/* Index of `text` in a list of words that ends with NULL. */
int blast_opt_word(const char *text, const char *const *words, uint32_t *to, struct mt_err *e)
{
	char all[128] = "";

	for (*to = 0; words[*to]; ++*to) {
		if (strcmp(words[*to], text) == 0)
			return 0;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", *to ? ", " : "",
			words[*to]);
	}
	return mt_err(e, -EINVAL, "'%s' is not known; it is one of: %s", text, all);
}

int blast_opt_address(const char *text, struct mt_addr *a, struct mt_err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int rc;

	if (mt_addr_parse(text, a) == 0)
		return 0;
	rc = getaddrinfo(text, NULL, &hints, &found);
	if (rc)
		return mt_err(e, -EINVAL, "'%s' is not an address, nor a name that resolves (%s)",
			text, gai_strerror(rc));
	if (found->ai_family == AF_INET)
		*a = mt_addr4(((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr.s_addr);
	else
		memcpy(a->b, &((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr, 16);
	freeaddrinfo(found);
	return 0;
}

/* "127.0.0.2", or a range: "127.0.0.2-127.0.0.9". */
static int source(char *text, struct blast_options *o, struct mt_err *e)
{
	char *dash = strchr(text, '-');
	struct mt_addr a, last;

	if (dash)
		*dash = '\0';
	if (mt_addr_parse(text, &a))
		return mt_err(e, -EINVAL, "'%s' is not an address", text);
	last = a;
	if (dash && (mt_addr_parse(dash + 1, &last) || !mt_addr_is4(&last) || !mt_addr_is4(&a)))
		return mt_err(e, -EINVAL, "'%s' is not an IPv4 address", dash + 1);
	if (dash && ntohl(mt_addr_v4(&a)) > ntohl(mt_addr_v4(&last)))
		return mt_err(e, -EINVAL, "'%s-%s' is reversed; write %s-%s", text, dash + 1,
			dash + 1, text);
	for (;; a = mt_addr4(htonl(ntohl(mt_addr_v4(&a)) + 1))) {
		if (o->n_sources == BLAST_SOURCES)
			return mt_err(e, -EINVAL, "more than %d addresses", BLAST_SOURCES);
		o->sources[o->n_sources++] = a;
		if (mt_addr_eq(&a, &last))
			return 0;
	}
}

int blast_opt_sources(const char *text, struct blast_options *o, struct mt_err *e)
{
	char copy[4096], *rest = copy, *one;
	int rc = 0;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return mt_err(e, -EINVAL, "too long; name ranges like 127.0.0.2-127.0.0.9");
	while (!rc && (one = strsep(&rest, ",")))
		rc = source(one, o, e);
	return rc;
}

int blast_opt_sizes(const char *text, struct blast_dist *d, struct mt_err *e)
{
	int rc = blast_dist_parse(text, BLAST_BYTES, d, e);

	if (rc)
		return rc;
	if (blast_dist_min(d) < BLAST_HEAD || blast_dist_max(d) > BLAST_SIZE_MAX)
		return mt_err(e, -EINVAL, "sizes are from %d (token and length) to %u bytes",
			BLAST_HEAD, BLAST_SIZE_MAX);
	return 0;
}

int blast_opt_reply_sizes(const char *text, struct blast_options *o, struct mt_err *e)
{
	o->reply = strcmp(text, "same") == 0  ? BLAST_REPLY_SAME
		   : strcmp(text, "any") == 0 ? BLAST_REPLY_ANY
					      : BLAST_REPLY_DIST;
	return o->reply == BLAST_REPLY_DIST ? blast_opt_sizes(text, &o->reply_size, e) : 0;
}

int blast_opt_stall(const char *text, struct blast_options *o, struct mt_err *e)
{
	char copy[64], *colon;
	int rc;

	snprintf(copy, sizeof(copy), "%s", text);
	colon = strchr(copy, ':');
	if (!colon)
		return mt_err(e, -EINVAL, "'%s' is not AFTER:FOR; write one like 2s:1s", text);
	*colon = '\0';
	rc = blast_value_parse(copy, BLAST_TIME, &o->stall_after, e);
	return rc ? rc : blast_value_parse(colon + 1, BLAST_TIME, &o->stall_for, e);
}

int blast_opt_proto(const char *text, struct blast_options *o, struct mt_err *e)
{
	o->proto = blast_proto_find(text);
	if (!o->proto)
		return mt_err(e, -EINVAL,
			"'%s' is not known; it is one of: dubbo, thrift, thrift-compact, "
			"awesomerpc, tcp",
			text);
	return 0;
}

int blast_opt_name(const char *text, const char **to, struct mt_err *e)
{
	if (!*text || strlen(text) > 200)
		return mt_err(e, -EINVAL, "a name has 1 to 200 characters");
	*to = text;
	return 0;
}

uint32_t blast_sockaddr(const struct mt_addr *a, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (mt_addr_is4(a)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = mt_addr_v4(a);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, a->b, 16);
	return sizeof(*v6);
}

int blast_opt_ring_address(struct blast_options *o, struct mt_err *e)
{
	static char far[MT_ADDR_STRLEN + 8];
	const char *near = o->link.n_addresses ? o->link.addresses[0] : "10.0.0.1/8";
	char host[MT_ADDR_STRLEN];
	struct mt_addr net;
	uint8_t bits;

	if (mt_prefix_parse(near, &net, &bits))
		return mt_err(e, -EINVAL, "--address: '%s' is not one like 10.0.0.1/8", near);
	if (mt_addr_is4(&net) != mt_addr_is4(&o->host) || !mt_prefix_contains(&net, bits, &o->host))
		return mt_err(e, -EINVAL,
			"--device ring: HOST is what the server at its other end is called, an "
			"address in %s (--address makes it another network)",
			near);
	o->link.addresses[0] = near;
	o->link.n_addresses = 1;
	snprintf(far, sizeof(far), "%s/%u", mt_addr_str(&o->host, host), bits);
	o->link.far = far;
	return 0;
}
