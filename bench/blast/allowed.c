/* SPDX-License-Identifier: Apache-2.0 */
#include "allowed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PORTS "/proc/sys/net/ipv4/ip_local_port_range"

/* Reads up to two numbers from a file of the kernel; returns how many, 0 if it is not readable. */
static int read_numbers(const char *path, uint64_t v[2])
{
	FILE *f = fopen(path, "re");
	int n = f ? fscanf(f, "%lu %lu", &v[0], &v[1]) : 0;

	if (f)
		fclose(f);
	return n;
}

static bool files(const struct blast_options *o)
{
	uint64_t need = o->connections + 2u * o->threads + 16, v[2] = {0, 0};
	uint64_t allowed = blast_open_files(need);

	if (allowed >= need)
		return true;
	fprintf(stderr,
		"meltemi-blast: %u connections need %lu open files, %lu are allowed; raise `ulimit "
		"-Hn %lu`",
		o->connections, need, allowed, need);
	if (read_numbers("/proc/sys/fs/nr_open", v) && v[0] < need)
		fprintf(stderr, " after `sysctl -w fs.nr_open=%lu`", need);
	if (read_numbers("/proc/sys/fs/file-max", v) && v[0] < need)
		fprintf(stderr, " and `sysctl -w fs.file-max=%lu`", 4 * need);
	fputc('\n', stderr);
	return false;
}

/* Checks local ports: a connection to one server port takes a port of a local address. */
static bool ports(const struct blast_options *o)
{
	uint32_t sources = MT_MAX(o->n_sources, 1u), need;
	uint64_t v[2], each;
	bool wide;

	if (read_numbers(PORTS, v) != 2 || v[1] < v[0])
		return true;
	each = v[1] - v[0] + 1;
	if (o->connections <= each * sources)
		return true;
	wide = each > 60000;
	need = (uint32_t)((o->connections + each - 1) / each);
	fprintf(stderr,
		"meltemi-blast: %u connections need as many local ports, and %u address%s %lu "
		"(ports %lu to %lu); name %u addresses by --source (127.0.0.2-127.0.0.%u to a "
		"server on this host)",
		o->connections, sources, sources > 1 ? "es have" : " has", each * sources, v[0],
		v[1], need, 1 + need);
	if (!wide)
		fputs(", or `sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"`", stderr);
	fputc('\n', stderr);
	return false;
}

bool blast_allowed(const struct blast_options *o)
{
	return o->ports || (files(o) && ports(o));
}

/* True if connection tracking is active and has no room for these connections. */
static bool tracked(const struct blast_options *o, uint64_t *most)
{
	uint64_t v[2] = {0, 0};

	if (!read_numbers("/proc/sys/net/netfilter/nf_conntrack_max", v))
		return false;
	*most = v[0];
	return v[0] < 2ull * o->connections;
}

const char *blast_remedy(const struct blast_options *o, int error)
{
	static char text[256];
	uint64_t most;

	switch (error) {
	case EADDRNOTAVAIL:
		return o->n_sources ? "is each --source an address of this host, and are there "
				      "enough of them?"
				    : "local ports are used up: add local addresses by --source";
	case EMFILE:
	case ENFILE:
		return "open files are used up: `ulimit -n`, `sysctl fs.nr_open fs.file-max`";
	case ENOMEM:
	case ENOBUFS:
		return "memory of sockets is used up: `sysctl net.ipv4.tcp_mem`, or lower "
		       "--connections";
	case 0:
	case ETIMEDOUT:
		if (o->ports || o->connections < 1000)
			break;
		if (tracked(o, &most)) {
			snprintf(text, sizeof(text),
				"connection tracking holds %lu: `sysctl -w "
				"net.netfilter.nf_conntrack_max=%u`",
				most, 4 * o->connections);
			return text;
		}
		return "is the server there, may it open that many files, and is its listen queue "
		       "long enough (`sysctl net.core.somaxconn net.ipv4.tcp_max_syn_backlog`)?";
	default:
		break;
	}
	return "is the server there, and does it listen?";
}
