/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that the node does not connect to at an author's request. An author of token rules
 * names the server of keys, and one of a service the endpoints of external authorization. They
 * could otherwise reach through the node what only this host may reach.
 */
#include "mt_jwks_store_priv.h"

#include "mt_sockaddr.h"

#include <errno.h>
#include <unistd.h>

static const char *const protected[] = {
	"0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128", /* the kernel connects to the loopback */
	"169.254.0.0/16", "fe80::/10",			 /* the link */
	"fd00:ec2::/32",				 /* services for the host itself: AWS */
	"fd20:ce::254",					 /* Google Cloud */
	"100.100.100.200",				 /* Alibaba Cloud */
	"168.63.129.16",				 /* Azure */
	"192.0.0.192", "fd00:c1::a9fe:a9fe",		 /* Oracle Cloud */
};

/* Prefixes of IPv6 addresses that contain an IPv4 address, and the indexes of its bytes. */
static const struct {
	const char *prefix;
	uint8_t at[4];
	/* Bytes of 0.0.0.0/8 are padding of an address that another row reads. */
	bool unless_zero;
} translated[] = {
	{"64:ff9b::/96", {12, 13, 14, 15}, false}, /* NAT64 (RFC 6052) */
	/* NAT64 of a network (RFC 8215), with a prefix of 48, 56, 64 or 96 bits. */
	{"64:ff9b:1::/48", {6, 7, 9, 10}, true}, {"64:ff9b:1::/48", {7, 9, 10, 11}, true},
	{"64:ff9b:1::/48", {9, 10, 11, 12}, true}, {"64:ff9b:1::/48", {12, 13, 14, 15}, true},
	{"::ffff:0:0:0/96", {12, 13, 14, 15}, false}, /* SIIT (RFC 2765) */
	{"::/96", {12, 13, 14, 15}, false},	      /* IPv4-compatible (RFC 4291) */
	{"2002::/16", {2, 3, 4, 5}, false},	      /* 6to4 (RFC 3056) */
};

/* Both tables, parsed once, because each endpoint of a configuration is looked up. */
static struct net {
	struct mt_addr addr;
	uint8_t bits;
} protected_nets[MT_ARRAY_LEN(protected)], translated_nets[MT_ARRAY_LEN(translated)];
static pthread_once_t parsed = PTHREAD_ONCE_INIT;

static void parse(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(protected); i++)
		(void)mt_prefix_parse(
			protected[i], &protected_nets[i].addr, &protected_nets[i].bits);
	for (size_t i = 0; i < MT_ARRAY_LEN(translated); i++)
		(void)mt_prefix_parse(
			translated[i].prefix, &translated_nets[i].addr, &translated_nets[i].bits);
}

static bool is_in(const struct net *net, const struct mt_addr *a)
{
	return mt_prefix_contains(&net->addr, net->bits, a);
}

/*
 * True for an address of this host: to such a one the kernel connects from the same address. UDP,
 * so that nothing is sent.
 */
static bool is_own(const struct mt_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t len = mt_sockaddr(a, 9, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct mt_addr from;
	bool own;

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	own = connect(fd, (struct sockaddr *)&ss, len) == 0;
	len = sizeof(ss);
	own = own && getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	      mt_sockaddr_read((struct sockaddr *)&ss, &from, NULL) && mt_addr_eq(&from, a);
	close(fd);
	return own;
}

static bool is_listed(const struct mt_addr *a)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(protected); i++)
		if (is_in(&protected_nets[i], a))
			return true;
	return false;
}

static bool is_protected(const struct mt_addr *a)
{
	return is_listed(a) || is_own(a);
}

/* True if the test is true for the address or an IPv4 address that it contains. */
static bool is_any(const struct mt_addr *a, bool (*test)(const struct mt_addr *))
{
	(void)pthread_once(&parsed, parse);
	for (size_t i = 0; i < MT_ARRAY_LEN(translated); i++) {
		struct mt_addr inner;
		uint8_t v4[4];
		uint32_t be;

		if (!is_in(&translated_nets[i], a))
			continue;
		for (size_t k = 0; k < sizeof(v4); k++)
			v4[k] = a->b[translated[i].at[k]];
		if (translated[i].unless_zero && !v4[0])
			continue;
		memcpy(&be, v4, sizeof(be));
		inner = mt_addr4(be);
		if (test(&inner))
			return true;
	}
	return test(a);
}

bool mt_jwks_is_protected(const struct mt_addr *a)
{
	return is_any(a, is_protected);
}

bool mt_jwks_is_listed(const struct mt_addr *a)
{
	return is_any(a, is_listed);
}
