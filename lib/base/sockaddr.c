/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_sockaddr.h"

#include <errno.h>
#include <netinet/in.h>

socklen_t mt_sockaddr(const struct mt_addr *a, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (mt_addr_is4(a)) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = mt_addr_v4(a);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->b, sizeof(a->b));
	return sizeof(*in6);
}

bool mt_sockaddr_read(const struct sockaddr *sa, struct mt_addr *a, uint16_t *port)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;
	uint16_t p = 0;

	*a = (struct mt_addr){0};
	if (sa && sa->sa_family == AF_INET) {
		*a = mt_addr4(in->sin_addr.s_addr);
		p = ntohs(in->sin_port);
	} else if (sa && sa->sa_family == AF_INET6) {
		memcpy(a->b, &in6->sin6_addr, sizeof(a->b));
		p = ntohs(in6->sin6_port);
	}
	if (port)
		*port = p;
	return sa && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6);
}

const char *mt_bind_remedy(int error)
{
	switch (-error) {
	case EADDRINUSE:
		return "stop the process that uses it (`ss -lntup`), or choose another port";
	case EADDRNOTAVAIL:
		return "no interface of the host has this address (`ip addr`)";
	case EACCES:
		return "a port below 1024 needs CAP_NET_BIND_SERVICE (`meltemid --rights -c NODE`)";
	default:
		return "choose another address";
	}
}
