/* SPDX-License-Identifier: Apache-2.0 */
/* Describes a call for an external authorization service: completely, or not at all. */
#include "access/mt_access_priv.h"

#include "mt_utf8.h"

#include <stdio.h>
#include <string.h>

static bool put(struct mt_extauthz_slot *s, struct mt_extauthz_text *t, struct mt_slice text)
{
	return mt_is_protobuf_text(text) && mt_extauthz_put(s, t, text.p, text.len);
}

static bool put_text(struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const char *text)
{
	return mt_extauthz_put(s, t, text, strlen(text));
}

/* Adds the caller's identity as a SPIFFE URI, as in certificates and in Envoy's requests. */
static bool put_principal(struct mt_extauthz_slot *s, struct mt_slice name)
{
	char text[sizeof(MT_SPIFFE) + MT_TLS_PRINCIPAL_MAX];
	int len =
		snprintf(text, sizeof(text), MT_SPIFFE "%.*s", (int)name.len, (const char *)name.p);

	return !name.p || ((size_t)len < sizeof(text) && put_text(s, &s->source_principal, text));
}

static bool put_entry(struct mt_extauthz_slot *s, struct mt_slice key, struct mt_slice value)
{
	struct mt_extauthz_entry *e = &s->entry[s->n_entries];

	if (s->n_entries == MT_EXTAUTHZ_ENTRIES || !put(s, &e->key, key) ||
		!put(s, &e->value, value))
		return false;
	s->n_entries++;
	return true;
}

static bool put_own(struct mt_extauthz_slot *s, const struct mt_authorize_request *ask)
{
	struct mt_view *v = ask->v;

	for (uint32_t i = 0;
		v->codec->metadata.index && v->meta.state == MT_META_READ && i < v->meta.n; i++) {
		const struct mt_meta_entry *e = &v->meta.entry[i];
		const struct mt_slice key = {e->key, e->key_len};
		struct mt_slice value;

		/* A key that is not a text cannot be matched by a rule. */
		if (!e->key || mt_authorize_is_overlaid(v, 0, e->key, e->key_len))
			continue;
		if (!mt_meta_value(&v->meta, i, &value, ask->scratch->value) ||
			!put_entry(s, key, value))
			return false;
	}
	return true;
}

/* Adds the metadata that filters and the route have changed. */
static bool put_changes(struct mt_extauthz_slot *s, const struct mt_view *v)
{
	for (uint32_t i = 0; i < v->n_mutations; i++) {
		const struct mt_mutation *m = &v->mutations[i];
		const struct mt_slice key = {(const uint8_t *)m->key, m->key_len},
				      value = {(const uint8_t *)m->value, m->value_len};

		if (m->value && !mt_authorize_is_overlaid(v, i + 1, key.p, key.len) &&
			!put_entry(s, key, value))
			return false;
	}
	return true;
}

bool mt_ext_authz_describe(const struct mt_authorize_request *ask, struct mt_extauthz_slot *s)
{
	struct mt_authorize_fields t;

	s->source = ask->peer;
	s->source_port = 0;
	s->destination = ask->ep ? ask->ep->addr : ask->local;
	s->destination_port = ask->ep ? ask->ep->port : ask->gate->port;
	return mt_authorize_read_fields(ask, &t) && put_principal(s, t.principal) &&
	       put(s, &s->interface, t.interface) && put(s, &s->method, t.method) &&
	       (!t.sni.p || put(s, &s->sni, t.sni)) &&
	       put_text(s, &s->protocol, ask->v->codec->name) &&
	       put_text(s, &s->service, ask->service ? ask->service->name : "") &&
	       put_own(s, ask) && put_changes(s, ask->v);
}
