/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: each filter chain with its match, protocols, TLS and services. */
#include "mt_ctl_priv.h"

#include "mt_authz.h"
#include "mt_tls.h"

#include <stdio.h>

/* The chain's name; without one, its number from 1. */
static json_t *name_of(const struct mt_listener *l, const struct mt_filter_chain *c)
{
	return c->name && *c->name ? mt_json_text(c->name)
				   : json_sprintf("%u", (uint32_t)(c - l->chains) + 1);
}

/* The TLS mode, in the words of a Gateway's servers in lower case. */
static const char *tls_mode(const struct mt_filter_chain *c)
{
	if (!c->tls)
		return c->match.transport == MT_TRANSPORT_TLS ? "passthrough" : "plaintext";
	switch (mt_tls_context_trust(c->tls)) {
	case MT_TLS_VERIFIED:
		return "mutual";
	case MT_TLS_IF_SHOWN:
		return "optional mutual";
	default:
		return "simple";
	}
}

static void set_tls(json_t *row, const struct mt_filter_chain *c)
{
	mt_json_set(row, MT_M("tls", tls_mode(c)));
	if (c->tls)
		mt_json_set(row,
			MT_M("min_version",
				mt_tls_context_min_version(c->tls) == 0x0304 ? "1.3" : "1.2"),
			MT_M("client_certificate", mt_tls_context_trust(c->tls) == MT_TLS_VERIFIED
							   ? "required"
						   : mt_tls_context_trust(c->tls) == MT_TLS_IF_SHOWN
							   ? "verified if sent"
							   : "not requested"));
	mt_render_absent(row, "min_version client_certificate");
}

static void set_protocols(json_t *row, const struct mt_listener *l, const struct mt_filter_chain *c)
{
	uint32_t ms = l->detect_ms == MT_LISTENER_DETECT_NEVER ? 0 : l->detect_ms;
	json_t *protocols = json_array();

	for (uint32_t i = 0; i < c->n_protos; i++)
		json_array_append_new(protocols, json_string(c->protos[i].codec->name));
	mt_json_set(row, MT_M("protocols", protocols),
		MT_M("detection", l->decided ? "none" : "first bytes"),
		MT_M("detect_ms", l->decided ? json_null() : json_integer(ms)));
}

/* Sets the service: its name if the chain has only one, otherwise their number. */
static void set_services(json_t *row, const struct mt_listener *l, const struct mt_filter_chain *c)
{
	const struct mt_service *s = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_protos; i++) {
		n += c->protos[i].n_services;
		s = s || !c->protos[i].n_services ? s : c->protos[i].services[0];
	}
	mt_json_set(row,
		MT_M("service", n == 1 ? mt_json_text(s->name)
				: n    ? json_sprintf("%u services", n)
				       : json_null()),
		MT_M("services", n),
		MT_M("origin", n == 1 && s->file ? mt_json_origin(s->file, s->line)
						 : mt_json_origin(l->file, l->line)));
}

/* Why clients are refused, or have to leave: NULL if neither. */
static json_t *reason_of(const struct mt_listener *l, const struct mt_filter_chain *c)
{
	char text[600];

	if (l->closed_by) {
		snprintf(text, sizeof(text), "closed by %s", l->closed_by->by);
		return mt_json_text(text);
	}
	if (!c->refuse && l->drain)
		return mt_json_text(l->drain == MT_LISTENER_REFUSES
					    ? "drained by an operator: refuses clients"
					    : "drained by an operator: clients leave");
	return c->refuse ? mt_json_text(c->refuse) : json_null();
}

static void add_chain(json_t *list, const struct mt_listener *l, const struct mt_filter_chain *c)
{
	char text[MT_ADDR_STRLEN];
	json_t *row = mt_json_add(list, MT_M("address", mt_addr_str(&l->addr, text)),
		MT_M("port", l->port), MT_M("chain", name_of(l, c)), MT_M("chains", l->n_chains),
		MT_M("server_names", mt_json_texts(c->match.server_names, c->match.n_server_names)),
		MT_M("alpn", mt_json_texts(c->match.alpn, c->match.n_alpn)));

	set_protocols(row, l, c);
	set_tls(row, c);
	set_services(row, l, c);
	mt_json_set(row, MT_M("reason", reason_of(l, c)));
}

json_t *mt_show_listeners(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; s && i < s->n_listeners; i++)
		for (uint32_t k = 0; k < s->listeners[i].n_chains; k++)
			add_chain(list, &s->listeners[i], &s->listeners[i].chains[k]);
	return mt_json_object(MT_M("listeners", list));
}
