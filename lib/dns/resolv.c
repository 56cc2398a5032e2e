/* SPDX-License-Identifier: Apache-2.0 */
/* Parses addresses of servers, and resolv.conf(5). */
#include "mt_dns_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DNS_PORT 53

static int read_port(const char *text, uint16_t *port)
{
	unsigned long v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	v = strtoul(text, &end, 10);
	if (*end || v == 0 || v > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)v;
	return 0;
}

int mt_dns_address_parse(const char *text, uint16_t port, struct mt_dns_address *a)
{
	const char *colon = strrchr(text, ':');
	char host[MT_ADDR_STRLEN];
	size_t len = strlen(text);

	a->port = port;
	if (*text == '[') {
		const char *close = strchr(text, ']');

		if (!close || (close[1] && (close[1] != ':' || read_port(close + 2, &a->port))))
			return -EINVAL;
		text++;
		len = (size_t)(close - text);
	} else if (colon && strchr(text, ':') == colon) {
		/* A single colon precedes a port; an IPv6 address has more. */
		if (read_port(colon + 1, &a->port))
			return -EINVAL;
		len = (size_t)(colon - text);
	}
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	return mt_addr_parse(host, &a->addr);
}

uint32_t mt_dns_resolv_conf(const char *path, struct mt_dns_address servers[MT_DNS_SERVERS_MAX])
{
	FILE *f = fopen(path, "re");
	char line[512], word[256];
	uint32_t n = 0;

	while (f && n < MT_DNS_SERVERS_MAX && fgets(line, sizeof(line), f))
		/* Link-local servers with a zone ("%eth0") are left out, as it is not parsed. */
		if (sscanf(line, " nameserver %255s", word) == 1 &&
			mt_addr_parse(word, &servers[n].addr) == 0)
			servers[n++].port = DNS_PORT;
	if (f)
		fclose(f);
	return n;
}

/* True for the addresses where systemd-resolved answers programs of the host. */
static bool is_resolved(const struct mt_addr *a)
{
	uint32_t v4 = mt_addr_is4(a) ? __builtin_bswap32(mt_addr_v4(a)) : 0;

	return v4 == 0x7f000035 || v4 == 0x7f000036;
}

static uint32_t add(struct mt_dns_address servers[MT_DNS_SERVERS_MAX], uint32_t n,
	const struct mt_dns_address *a)
{
	for (uint32_t i = 0; i < n; i++)
		if (mt_addr_eq(&servers[i].addr, &a->addr))
			return n;
	if (n < MT_DNS_SERVERS_MAX)
		servers[n++] = *a;
	return n;
}

uint32_t mt_dns_host_servers(const struct mt_dns_host_files *files, const struct mt_addr *own,
	struct mt_dns_address servers[MT_DNS_SERVERS_MAX])
{
	struct mt_dns_address found[MT_DNS_SERVERS_MAX], behind[MT_DNS_SERVERS_MAX];
	uint32_t n_found = mt_dns_resolv_conf(files->resolv_conf, found);
	uint32_t n_behind = mt_dns_resolv_conf(files->resolved, behind), n = 0;

	for (uint32_t i = 0; i < n_found; i++) {
		/* Without its file it is used, and found out if it forwards to this node. */
		if (!is_resolved(&found[i].addr) || !n_behind) {
			n = add(servers, n, &found[i]);
			continue;
		}
		for (uint32_t k = 0; k < n_behind; k++)
			if (!mt_addr_eq(&behind[k].addr, own))
				n = add(servers, n, &behind[k]);
	}
	return n;
}
