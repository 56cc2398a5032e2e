/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the host uses a card: routes, addresses, connections and SSH sessions of its interface and of
 * interfaces on top of it (bonds, bridges, VLANs), meltemid, and processes that hold it open.
 */
#include "nic.h"

#include "mt_log.h"

#include <ctype.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <linux/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define OVER	    256 /* interfaces on top of a card, itself included */
#define ANCESTORS   32
#define SSH_PORT    22
#define ESTABLISHED 1

struct over {
	char names[OVER][IF_NAMESIZE];
	uint32_t n;
	bool more; /* that are not in the list */
};

static void add_use(struct nic_card *c, enum nic_use_kind kind, const char *fmt, ...)
	mt_printf(3, 4);
static void add_use(struct nic_card *c, enum nic_use_kind kind, const char *fmt, ...)
{
	struct nic_use *u = &c->uses[c->n_uses];
	va_list ap;

	if (c->n_uses == NIC_USES)
		return;
	c->n_uses++;
	u->kind = kind;
	va_start(ap, fmt);
	vsnprintf(u->words, sizeof(u->words), fmt, ap);
	va_end(ap);
}

/* ---- interfaces ------------------------------------------------------------------------------ */

static bool is_over(const struct over *o, const char *name)
{
	for (uint32_t i = 0; i < o->n; i++)
		if (strcmp(o->names[i], name) == 0)
			return true;
	return false;
}

static void add_over(struct over *o, const char *name)
{
	if (!*name || strlen(name) >= IF_NAMESIZE || is_over(o, name))
		return;
	if (o->n < OVER)
		strcpy(o->names[o->n++], name);
	else
		o->more = true;
}

/* The kernel links each interface to those on top of it as upper_NAME. */
static void find_over(const struct nic *n, const struct nic_card *c, struct over *o)
{
	add_over(o, c->interface);
	for (uint32_t i = 0; i < o->n; i++) {
		char path[512];
		struct dirent *e;
		DIR *d;

		snprintf(path, sizeof(path), "%s/sys/class/net/%s", n->host.root, o->names[i]);
		d = opendir(path);
		while (d && (e = readdir(d)) != NULL) {
			char safe[4 * sizeof(e->d_name)];

			mt_escape(safe, sizeof(safe), e->d_name);
			if (strncmp(e->d_name, "upper_", 6) == 0 && strcmp(safe, e->d_name) == 0)
				add_over(o, e->d_name + 6);
		}
		if (d)
			closedir(d);
	}
}

static void use_master(const struct nic *n, struct nic_card *c)
{
	char raw[256], safe[64];

	if (!doctor_link(&n->host, raw, sizeof(raw), "/sys/class/net/%s/master", c->interface))
		return;
	mt_escape(safe, sizeof(safe), raw);
	add_use(c, NIC_USE_MEMBER, "member of %s", safe);
}

/* ---- addresses ------------------------------------------------------------------------------- */

static uint8_t count_bits(const uint8_t *mask, size_t len)
{
	uint8_t bits = 0;

	for (size_t i = 0; i < len; i++)
		bits = (uint8_t)(bits + __builtin_popcount(mask[i]));
	return bits;
}

static bool take_address(struct nic_address *to, const struct ifaddrs *a)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a->ifa_addr,
				  *mask6 =
					  (const struct sockaddr_in6 *)(const void *)a->ifa_netmask;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)a->ifa_addr,
				 *mask4 = (const struct sockaddr_in *)(const void *)a->ifa_netmask;

	if (!a->ifa_addr || !a->ifa_netmask)
		return false;
	if (a->ifa_addr->sa_family == AF_INET) {
		to->a = mt_addr4(four->sin_addr.s_addr);
		to->bits = count_bits((const uint8_t *)&mask4->sin_addr, 4);
	} else if (a->ifa_addr->sa_family == AF_INET6) {
		memcpy(to->a.b, &six->sin6_addr, sizeof(to->a.b));
		to->bits = count_bits((const uint8_t *)&mask6->sin6_addr, 16);
	} else {
		return false;
	}
	snprintf(to->interface, sizeof(to->interface), "%s", a->ifa_name);
	return true;
}

void nic_addresses(struct nic *n)
{
	struct ifaddrs *list = NULL;

	(void)getifaddrs(&list);
	for (struct ifaddrs *a = list; a && n->n_addresses < NIC_ADDRESSES; a = a->ifa_next)
		n->n_addresses += take_address(&n->addresses[n->n_addresses], a);
	freeifaddrs(list);
}

static bool has_address(const struct nic *n, const struct over *o, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < n->n_addresses; i++)
		if (is_over(o, n->addresses[i].interface) && mt_addr_eq(&n->addresses[i].a, a))
			return true;
	return false;
}

static void use_addresses(const struct nic *n, struct nic_card *c, const struct over *o)
{
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < n->n_addresses; i++) {
		const struct nic_address *a = &n->addresses[i];

		/* Every interface that is up has such an address, whether it is used or not. */
		if (is_over(o, a->interface) && !mt_addr_is_link_local(&a->a))
			add_use(c, NIC_USE_ADDRESS, "address %s/%u%s%s", mt_addr_str(&a->a, text),
				a->bits, strcmp(a->interface, c->interface) ? " of " : "",
				strcmp(a->interface, c->interface) ? a->interface : "");
	}
}

/* ---- routes ---------------------------------------------------------------------------------- */

static FILE *open_proc(const struct nic *n, const char *file)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/proc/%s", n->host.root, file);
	return fopen(path, "re");
}

FILE *nic_routes_open(const struct nic *n, int version)
{
	return open_proc(n, version == 4 ? "net/route" : "net/ipv6_route");
}

static void use_routes(const struct nic *n, struct nic_card *c, const struct over *o, int version)
{
	FILE *f = nic_routes_open(n, version);
	struct nic_route r;
	char line[512];
	bool found = false, own;

	while (f && !found && fgets(line, sizeof(line), f))
		found = nic_route_parse(line, version, &r) && r.bits == 0 && (r.flags & RTF_UP) &&
			!(r.flags & RTF_REJECT) && is_over(o, r.interface);
	own = found && strcmp(r.interface, c->interface) == 0;
	if (found)
		add_use(c, NIC_USE_ROUTE, "default route of IPv%d%s%s", version, own ? "" : " by ",
			own ? "" : r.interface);
	if (f)
		fclose(f);
}

/* ---- connections ----------------------------------------------------------------------------- */

/* Words of 8 hexadecimal digits, each in the byte order of the host. */
static bool read_hex_address(const char *text, struct mt_addr *a)
{
	size_t words = strlen(text) / 8;
	uint32_t w[4];

	if (words * 8 != strlen(text) || (words != 1 && words != 4))
		return false;
	for (size_t i = 0; i < words; i++)
		if (sscanf(text + 8 * i, "%8x", &w[i]) != 1)
			return false;
	if (words == 1)
		*a = mt_addr4(w[0]);
	else
		memcpy(a->b, w, sizeof(a->b));
	return true;
}

/* Adds the established connections of a table to *all, and those to port 22 to *ssh. */
static void count_tcp(
	const struct nic *n, const struct over *o, const char *file, uint32_t *all, uint32_t *ssh)
{
	FILE *f = open_proc(n, file);
	char line[512], local[33];
	unsigned int port, state;
	struct mt_addr a;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*s %x", local, &port, &state) != 3 ||
			state != ESTABLISHED || !read_hex_address(local, &a) ||
			!has_address(n, o, &a))
			continue;
		++*all;
		*ssh += port == SSH_PORT;
	}
	if (f)
		fclose(f);
}

static void use_tcp(const struct nic *n, struct nic_card *c, const struct over *o)
{
	uint32_t all = 0, ssh = 0;

	count_tcp(n, o, "net/tcp", &all, &ssh);
	count_tcp(n, o, "net/tcp6", &all, &ssh);
	if (all)
		add_use(c, NIC_USE_TCP, "%u TCP connection%s, %u to port 22", all,
			all == 1 ? "" : "s", ssh);
}

/* The third word of "CLIENT PORT SERVER PORT". */
static bool parse_session(struct nic *n, const char *text)
{
	char server[64];

	n->in_session = sscanf(text, "%*s %*s %63s", server) == 1;
	/* A link-local address has its interface after it. */
	if (n->in_session)
		server[strcspn(server, "%")] = '\0';
	n->in_session = n->in_session && mt_addr_parse(server, &n->session) == 0;
	return n->in_session;
}

/* SSH_CONNECTION in the environment of a process. sudo(8) removes it from its children's. */
static bool session_of(struct nic *n, long pid)
{
	static const char name[] = "SSH_CONNECTION=";
	char path[64], text[65536], *at;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%ld/environ", pid);
	f = open_proc(n, path);
	len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[len] = '\0';
	for (at = text; at < text + len; at += strlen(at) + 1)
		if (strncmp(at, name, sizeof(name) - 1) == 0)
			return parse_session(n, at + sizeof(name) - 1);
	return false;
}

void nic_session(struct nic *n)
{
	const char *own = getenv("SSH_CONNECTION");
	long pid = getppid();

	if (own && parse_session(n, own))
		return;
	for (int i = 0; i < ANCESTORS && pid > 1; i++) {
		char stat[512], *name;

		/* The name of a process is in parentheses, and may contain some. */
		if (session_of(n, pid) ||
			!doctor_read(&n->host, stat, sizeof(stat), "/proc/%ld/stat", pid) ||
			!(name = strrchr(stat, ')')) || sscanf(name, ") %*c %ld", &pid) != 1)
			return;
	}
}

/* ---- DPDK ------------------------------------------------------------------------------------ */

static bool holds(const struct nic *n, const char *pid, int32_t group)
{
	char path[512], to[64], device[32], unsafe[40];
	struct dirent *e;
	bool any = false;
	DIR *d;

	snprintf(device, sizeof(device), "/dev/vfio/%d", group);
	snprintf(unsafe, sizeof(unsafe), "/dev/vfio/noiommu-%d", group);
	snprintf(path, sizeof(path), "%s/proc/%.20s/fd", n->host.root, pid);
	d = opendir(path);
	while (d && !any && (e = readdir(d)) != NULL) {
		ssize_t len = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);

		to[len > 0 ? len : 0] = '\0';
		any = strcmp(to, device) == 0 || strcmp(to, unsafe) == 0;
	}
	if (d)
		closedir(d);
	return any;
}

bool nic_holder(const struct nic *n, const struct nic_card *c, char *words, size_t size)
{
	char path[512], comm[64], safe[128];
	struct dirent *e;
	bool found = false;
	DIR *d;

	if (c->group < 0)
		return false;
	snprintf(path, sizeof(path), "%s/proc", n->host.root);
	d = opendir(path);
	while (d && !found && (e = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]) || !holds(n, e->d_name, c->group))
			continue;
		found = true;
		if (!doctor_read(&n->host, comm, sizeof(comm), "/proc/%.20s/comm", e->d_name))
			comm[0] = '\0';
		mt_escape(safe, sizeof(safe), comm);
		snprintf(words, size, "process %.20s (%s)", e->d_name, safe);
	}
	if (d)
		closedir(d);
	return found;
}

static void use_dpdk(const struct nic *n, struct nic_card *c)
{
	const struct doctor *d = &n->host;
	char words[128];

	for (uint32_t i = 0; i < d->n_ports; i++)
		if (strcasecmp(d->ports[i].device, c->address) == 0 ||
			(c->interface[0] && strcmp(d->ports[i].interface, c->interface) == 0))
			add_use(c, NIC_USE_MELTEMID, "port %s of meltemid", d->ports[i].name);
	if (n->silent && c->interface[0])
		add_use(c, NIC_USE_MELTEMID, "perhaps a port of meltemid, which does not answer");
	if (strcmp(c->driver, NIC_VFIO) == 0 && nic_holder(n, c, words, sizeof(words)))
		add_use(c, NIC_USE_DPDK, "open in %s", words);
}

void nic_uses(const struct nic *n, struct nic_card *c)
{
	struct over o = {.n = 0};

	c->n_uses = 0;
	use_dpdk(n, c);
	if (!c->interface[0])
		return;
	find_over(n, c, &o);
	use_routes(n, c, &o, 4);
	use_routes(n, c, &o, 6);
	if (n->in_session && has_address(n, &o, &n->session))
		add_use(c, NIC_USE_SESSION, "this SSH session");
	use_master(n, c);
	/* A limit of this program must not hide a use. */
	if (o.more)
		add_use(c, NIC_USE_MEMBER, "more than %u interfaces on top of it", OVER - 1);
	if (n->n_addresses == NIC_ADDRESSES)
		add_use(c, NIC_USE_ADDRESS, "perhaps one of the host's more than %u addresses",
			NIC_ADDRESSES - 1);
	use_addresses(n, c, &o);
	use_tcp(n, c, &o);
}
