/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes a call as a CheckRequest. The call appears as a gRPC request would: `path` is
 * /INTERFACE/METHOD, the HTTP method is POST, and metadata are headers. Header names are in lower
 * case, and the values of a repeated header are joined by commas (RFC 9110 section 5.3). The
 * context extensions contain protocol, interface and method again, under these names.
 */
#include "mt_extauthz_priv.h"

#include "authz.pb-c.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define EXTENSIONS 4

struct packed {
	const struct mt_extauthz_slot *s;
	Xds__AttributeContext attributes;
	Xds__AttributeContext__Peer source, destination;
	Xds__Address addresses[2];
	Xds__SocketAddress sockets[2];
	char hosts[2][MT_ADDR_STRLEN];
	Xds__AttributeContext__Request request;
	Xds__AttributeContext__HttpRequest http;
	Xds__AttributeContext__TLSSession tls;
	Xds__AttributeContext__HttpRequest__HeadersEntry headers[MT_EXTAUTHZ_ENTRIES],
		*header_list[MT_EXTAUTHZ_ENTRIES];
	Xds__AttributeContext__ContextExtensionsEntry extensions[EXTENSIONS],
		*extension_list[EXTENSIONS];
	char id[24], path[MT_EXTAUTHZ_BYTES + 3];
	/* Lower-case names and joined values: twice the texts of the largest query. */
	char texts[2 * MT_EXTAUTHZ_BYTES + MT_EXTAUTHZ_ENTRIES];
	size_t used;
};

/* protobuf-c's fields are not const, but it does not write to them. */
static char *text(const struct mt_extauthz_slot *s, struct mt_extauthz_text t)
{
	static char none[] = "";

	return t.len ? (char *)mt_extauthz_text(s, t) : none;
}

/* ---- addresses and principals ---------------------------------------------------------------- */

static void set_address(struct packed *p, int i, Xds__AttributeContext__Peer *of,
	const struct mt_addr *a, uint16_t port)
{
	xds__socket_address__init(&p->sockets[i]);
	p->sockets[i].address = (char *)mt_addr_str(a, p->hosts[i]);
	p->sockets[i].port_specifier_case = XDS__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
	p->sockets[i].port_value = port;
	xds__address__init(&p->addresses[i]);
	p->addresses[i].address_case = XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS;
	p->addresses[i].socket_address = &p->sockets[i];
	of->address = &p->addresses[i];
}

static void set_peers(struct packed *p)
{
	const struct mt_extauthz_slot *s = p->s;

	xds__attribute_context__peer__init(&p->source);
	xds__attribute_context__peer__init(&p->destination);
	set_address(p, 0, &p->source, &s->source, s->source_port);
	set_address(p, 1, &p->destination, &s->destination, s->destination_port);
	p->source.principal = text(s, s->source_principal);
	p->destination.principal = text(s, s->destination_principal);
	p->destination.service = text(s, s->service);
	p->attributes.source = &p->source;
	p->attributes.destination = &p->destination;
}

/* ---- metadata -------------------------------------------------------------------------------- */

static char *keep(struct packed *p, const char *s, size_t len)
{
	char *to = p->texts + p->used;

	if (len >= sizeof(p->texts) - p->used)
		return NULL;
	memcpy(to, s, len);
	to[len] = '\0';
	p->used += len + 1;
	return to;
}

static char *small(char *s)
{
	for (char *c = s; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return s;
}

static bool is_there(const struct packed *p, const char *name)
{
	for (size_t i = 0; i < p->http.n_headers; i++)
		if (strcmp(p->headers[i].key, name) == 0)
			return true;
	return false;
}

/* Joins the values of all entries with the key of entry `first`, in order. NULL: too long. */
static char *joined(struct packed *p, const char *name, uint32_t first)
{
	const struct mt_extauthz_slot *s = p->s;
	char *value = keep(p, text(s, s->entry[first].value), s->entry[first].value.len);

	for (uint32_t i = first + 1; value && i < s->n_entries; i++) {
		const struct mt_extauthz_text *more = &s->entry[i].value;

		if (strcasecmp(text(s, s->entry[i].key), name) != 0)
			continue;
		if (more->len + 1u >= sizeof(p->texts) - p->used)
			return NULL;
		/* The value is the last text kept, so the comma replaces its NUL. */
		p->texts[p->used - 1] = ',';
		memcpy(p->texts + p->used, text(s, *more), more->len + 1u);
		p->used += more->len + 1u;
	}
	return value;
}

static bool set_headers(struct packed *p)
{
	const struct mt_extauthz_slot *s = p->s;

	for (uint32_t i = 0; i < s->n_entries; i++) {
		Xds__AttributeContext__HttpRequest__HeadersEntry *h =
			&p->headers[p->http.n_headers];
		char *name = small(keep(p, text(s, s->entry[i].key), s->entry[i].key.len));

		if (!name)
			return false;
		if (is_there(p, name))
			continue;
		xds__attribute_context__http_request__headers_entry__init(h);
		h->key = name;
		h->value = joined(p, name, i);
		if (!h->value)
			return false;
		p->header_list[p->http.n_headers++] = h;
	}
	p->http.headers = p->header_list;
	return true;
}

/* ---- the call -------------------------------------------------------------------------------- */

static void add_extension(struct packed *p, char *key, struct mt_extauthz_text value)
{
	Xds__AttributeContext__ContextExtensionsEntry *e =
		&p->extensions[p->attributes.n_context_extensions];

	if (!value.len)
		return;
	xds__attribute_context__context_extensions_entry__init(e);
	e->key = key;
	e->value = text(p->s, value);
	p->extension_list[p->attributes.n_context_extensions++] = e;
}

static void set_extensions(struct packed *p)
{
	static char protocol[] = "protocol", interface[] = "interface", method[] = "method";

	add_extension(p, protocol, p->s->protocol);
	add_extension(p, interface, p->s->interface);
	add_extension(p, method, p->s->method);
	p->attributes.context_extensions = p->extension_list;
}

static bool set_call(struct packed *p)
{
	static char post[] = "POST";
	const struct mt_extauthz_slot *s = p->s;

	xds__attribute_context__request__init(&p->request);
	xds__attribute_context__http_request__init(&p->http);
	snprintf(p->id, sizeof(p->id), "%llu", (unsigned long long)s->id);
	snprintf(p->path, sizeof(p->path), "/%s/%s", text(s, s->interface), text(s, s->method));
	p->http.id = p->id;
	p->http.method = post;
	p->http.path = p->path;
	p->http.host = text(s, s->service);
	p->http.protocol = text(s, s->protocol);
	p->request.http = &p->http;
	p->attributes.request = &p->request;
	if (s->sni.len) {
		xds__attribute_context__tlssession__init(&p->tls);
		p->tls.sni = text(s, s->sni);
		p->attributes.tls_session = &p->tls;
	}
	return set_headers(p);
}

uint8_t *mt_extauthz_pack(const struct mt_extauthz_slot *s, size_t *len)
{
	Xds__CheckRequest request = XDS__CHECK_REQUEST__INIT;
	struct packed *p = malloc(sizeof(*p));
	uint8_t *out = NULL;

	if (!p)
		return NULL;
	p->s = s;
	p->used = 0;
	xds__attribute_context__init(&p->attributes);
	request.attributes = &p->attributes;
	set_peers(p);
	set_extensions(p);
	if (set_call(p)) {
		*len = xds__check_request__get_packed_size(&request);
		out = malloc(*len);
		if (out)
			(void)xds__check_request__pack(&request, out);
	}
	free(p);
	return out;
}
