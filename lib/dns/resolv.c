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
