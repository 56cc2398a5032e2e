/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the Node's `otlp`. */
#include "mt_fields.h"

#include <stdlib.h>
#include <string.h>

#define INTERVAL_MS 60000
#define TIMEOUT_MS  10000
#define HEADERS_MAX 8

/* True for http or https, a host and a port, with nothing after it. */
static bool is_endpoint(const char *s)
{
	const char *host, *colon;
	unsigned long port;
	char *end;

	if (strncmp(s, "http://", 7) == 0)
		host = s + 7;
	else if (strncmp(s, "https://", 8) == 0)
		host = s + 8;
	else
		return false;
	colon = strrchr(host, ':');
	if (!colon || colon == host || colon - host > 100 || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	return *end == '\0' && port > 0 && port <= 65535 && !strchr(host, '/');
}

/* HTTP/2 has header names in lower case; gRPC reserves those that start with "grpc-". */
static void check_headers(struct mt_fctx *c, const struct mt_ynode *n, const struct mt_labels *h)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

	if (h->n_kv > HEADERS_MAX)
		mt_f_error(c, n->line, "8 at most", "too many headers");
	for (uint32_t i = 0; i < h->n_kv; i++) {
		const char *name = h->kv[i].key;

		if (!*name || name[strspn(name, chars)] || strncmp(name, "grpc-", 5) == 0)
			mt_f_error(c, n->line, "write it like authorization, in lower case",
				"\"%.64s\" cannot be a header", name);
	}
}

static void check(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_otlp *o = obj;
	bool tls = o->endpoint.s && strncmp(o->endpoint.s, "https:", 6) == 0;

	if (o->endpoint.s && !is_endpoint(o->endpoint.s))
		mt_f_error(c, o->endpoint.line,
			"write it like http://collector.example:4317, or https://",
			"\"%.64s\" is not an endpoint", o->endpoint.s);
	else if (tls && !o->roots.s)
		mt_f_error(c, n->line, "add roots: FILE, the authorities of its certificate",
			"the collector could not be verified");
	else if (!tls && (o->roots.s || o->certificate.s))
		mt_f_error(c, n->line, "write https://", "certificates are of use with TLS only");
	if (!o->certificate.s != !o->key.s)
		mt_f_error(c, n->line, "write certificate and key",
			"a certificate and its key belong together");
	check_headers(c, n, &o->headers);
	if (!o->interval.set)
		o->interval.v = INTERVAL_MS;
	if (!o->timeout.set)
		o->timeout.v = TIMEOUT_MS;
}

static const struct mt_field fields[] = {
	{"endpoint", MT_F_TEXT, AT(struct mt_node_otlp, endpoint), .required = true,
		.help = "the collector, by OTLP/gRPC: http://HOST:PORT, or https://HOST:PORT for "
			"TLS"},
	{"interval", MT_F_DURATION, AT(struct mt_node_otlp, interval), .min = 1000, .max = 3600000,
		.help = "time between two exports; default: 60s"},
	{"timeout", MT_F_DURATION, AT(struct mt_node_otlp, timeout), .min = 100, .max = 600000,
		.help = "longest time of one request; default: 10s"},
	{"headers", MT_F_LABELS, AT(struct mt_node_otlp, headers),
		.help = "headers of each request, such as authorization; at most 8"},
	{"resource", MT_F_LABELS, AT(struct mt_node_otlp, resource),
		.help = "attributes of the resource, before Meltemi's own (service.name, "
			"service.instance.id, host.name, ...)"},
	{"roots", MT_F_TEXT, AT(struct mt_node_otlp, roots),
		.help = "PEM file of authorities for the collector's certificate"},
	{"certificate", MT_F_TEXT, AT(struct mt_node_otlp, certificate),
		.help = "PEM file of the node's certificate, if the collector requires one"},
	{"key", MT_F_TEXT, AT(struct mt_node_otlp, key),
		.help = "PEM file of the certificate's key"},
	{"serverName", MT_F_TEXT, AT(struct mt_node_otlp, server_name),
		.help = "the name that the collector's certificate must have; default: the host"},
};

const struct mt_section mt_sec_node_otlp = {"exporter setting", sizeof(struct mt_node_otlp),
	MT_ARRAY_LEN(fields), .fields = fields, .after = check};
