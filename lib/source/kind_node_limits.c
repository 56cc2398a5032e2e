/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits in the Node: of a forwarded port (rates, and numbers that contradict each other), and the
 * table of limits by key, leases of global limits.
 */
#include "mt_fields.h"

#include "mt_model_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RATE	  "write a whole number from 1 to 4294967295 with /s, like 1000/s"
#define BYTE_RATE "write a whole number from 10000 to 4294967295 with /s, like 1000000/s"

/* Reads "N/s". */
static void read_rate(struct mt_fctx *c, const struct mt_ynode *n, uint32_t min, const char *remedy,
	struct mt_num *out)
{
	struct mt_text word = {0};
	uint32_t v = 0;
	int rc;

	if (!mt_read_text(c, n, &word))
		return;
	rc = mt_rate_parse(word.s, strlen(word.s), &v);
	if (rc == -EINVAL)
		mt_f_error(c, n->line, remedy, "\"%.64s\" is not a rate", word.s);
	else if (rc || v < min)
		mt_f_error(c, n->line, remedy, "%.64s is out of range", word.s);
	else
		*out = (struct mt_num){v, n->line, true};
}

static void read_new_connections(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_forwarding_rates *r = obj;

	read_rate(c, n, 1, RATE, &r->new_connections);
}

static void read_packets(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_forwarding_rates *r = obj;

	read_rate(c, n, 1, RATE, &r->packets);
}

static void read_bytes(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_forwarding_rates *r = obj;

	read_rate(c, n, MT_FORWARDING_BYTES_MIN, BYTE_RATE, &r->bytes);
}

#define RATES                                                                                      \
	{"newConnections", MT_F_CUSTOM, .custom = read_new_connections,                            \
		.help = "flows that begin, like `100/s`; of TCP by a SYN"},                        \
		{"packets", MT_F_CUSTOM, .custom = read_packets,                                   \
			.help = "packets, like `1000/s`"},                                         \
	{                                                                                          \
		"bytes", MT_F_CUSTOM,                                                              \
			.custom = read_bytes,                                                      \
			.help = "bytes of IP packets, like `1000000/s`, at least `10000/s`"        \
	}

static const struct mt_field source_fields[] = {RATES};

static const struct mt_field service_fields[] = {
	{"connections", MT_F_NUM, AT(struct mt_forwarding_rates, connections), .min = 1,
		.max = UINT32_MAX,
		.help = "flows at once, of all workers, until their [connections]"
			"(../how-to/layer-4.md#limits-of-a-port) are closed or reset; not with "
			"`dsr` and tunnels"},
	RATES};

static void refuse_empty(struct mt_fctx *c, uint32_t line)
{
	mt_f_error(c, line, "leave it out, or write a limit, like packets: 1000/s",
		"it limits nothing");
}

static void check_rates(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_forwarding_rates *r = obj;

	if (!r->connections.set && !r->new_connections.set && !r->packets.set && !r->bytes.set &&
		n->n == 0)
		refuse_empty(c, n->line);
	if (r->new_connections.set && r->packets.set && r->new_connections.v > r->packets.v)
		mt_f_error(c, r->new_connections.line, "lower newConnections, or raise packets",
			"newConnections: %u/s has no effect, because each has a packet, and "
			"packets is %u/s",
			r->new_connections.v, r->packets.v);
	if (r->packets.set && r->bytes.set &&
		(uint64_t)r->packets.v * MT_FORWARDING_PACKET_MIN > r->bytes.v)
		mt_f_error(c, r->packets.line, "lower packets, or raise bytes",
			"packets: %u/s has no effect, because packets have at least %u bytes, and "
			"bytes is %u/s",
			r->packets.v, MT_FORWARDING_PACKET_MIN, r->bytes.v);
}

static const struct mt_section source_section = {"limit of a source",
	sizeof(struct mt_forwarding_rates), MT_ARRAY_LEN(source_fields), .fields = source_fields,
	.after = check_rates};
static const struct mt_section service_section = {"limit of a service",
	sizeof(struct mt_forwarding_rates), MT_ARRAY_LEN(service_fields), .fields = service_fields,
	.after = check_rates};

static const struct mt_field limits_fields[] = {
	{"perSource", MT_F_POINTER, AT(struct mt_forwarding_limits, source), .sub = &source_section,
		.help = "of each client: an IPv4 address, or the /64 of an IPv6 address. Of W "
			"workers each admits 1/W"},
	{"service", MT_F_POINTER, AT(struct mt_forwarding_limits, service), .sub = &service_section,
		.help = "of all clients together, exactly"},
};

static void check_one(struct mt_fctx *c, const char *name, const struct mt_num *source,
	const struct mt_num *service)
{
	char path[40];
	uint32_t mark;

	if (!source->set || !service->set || source->v <= service->v)
		return;
	snprintf(path, sizeof(path), "perSource.%s", name);
	mark = mt_path_push(c, path);
	mt_f_error(c, source->line, "lower it, or raise the service's limit",
		"%u/s has no effect, because the service's limit is %u/s", source->v, service->v);
	mt_path_pop(c, mark);
}

static void check_limits(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_forwarding_limits *l = obj;

	if (n->n == 0)
		refuse_empty(c, n->line);
	if (!l->source || !l->service)
		return;
	check_one(c, "newConnections", &l->source->new_connections, &l->service->new_connections);
	check_one(c, "packets", &l->source->packets, &l->service->packets);
	check_one(c, "bytes", &l->source->bytes, &l->service->bytes);
}

const struct mt_section mt_sec_forwarding_limits = {"limit", sizeof(struct mt_forwarding_limits),
	MT_ARRAY_LEN(limits_fields), .fields = limits_fields, .after = check_limits};

void mt_check_forwarding_limits(struct mt_fctx *c, const struct mt_node_forwarding *f)
{
	const struct mt_forwarding_rates *s = f->limits ? f->limits->service : NULL;
	uint32_t mark;

	if (!s || !s->connections.set || !mt_forwarding_is_one_way((enum mt_forwarding)f->mode.v))
		return;
	mark = mt_path_push(c, "limits.service.connections");
	mt_f_error(c, s->connections.line, "remove it, or write mode nat or nat-full",
		"mode %s has no limit of connections, because the node forwards packets without a "
		"flow and does not see them end",
		mt_forwarding_str((enum mt_forwarding)f->mode.v));
	mt_path_pop(c, mark);
}

/* lib/keyed has the same bounds. */
#define KEYS_MIN 64
#define KEYS_MAX (1u << 22)
/* lib/rls has the same bound. */
#define LEASE_MAX 1000

static const struct mt_field call_limits_fields[] = {
	{"keys", MT_F_NUM, AT(struct mt_node_call_limits, keys), .min = KEYS_MIN, .max = KEYS_MAX,
		.help = "clients, or other keys, that TrafficPolicies can count at once, of 8 "
			"bytes each, as a power of two; default: 65536"},
	{"lease", MT_F_NUM, AT(struct mt_node_call_limits, lease), .min = 1, .max = LEASE_MAX,
		.help = "hits that one query of a rate limit service [counts at "
			"most](../how-to/rate-limits.md#fewer-queries); default: 1"},
};

const struct mt_section mt_sec_node_call_limits = {"limits", sizeof(struct mt_node_call_limits),
	MT_ARRAY_LEN(call_limits_fields), .fields = call_limits_fields};
