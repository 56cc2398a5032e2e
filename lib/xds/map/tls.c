/* SPDX-License-Identifier: Apache-2.0 */
/* Maps transport sockets to TLS settings, which reference certificates and roots by secret name. */
#include "mt_xds_map_priv.h"

#include <string.h>

#define SOCKETS	 "envoy.extensions.transport_sockets."
#define SANS_MAX 256u

/*
 * Reads the name of a secret and adds a reference to it. An unsupported config source is noted and
 * is not an error, because nothing waits for a secret.
 */
static bool secret(
	struct mt_xmap *m, const char *field, const Xds__SdsSecretConfig *s, const char **out)
{
	uint32_t mark = mt_xm_in(m, field);
	const Xds__ConfigSource *from = s->sds_config;
	bool served =
		from &&
		(from->config_source_specifier_case ==
				XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS ||
			from->config_source_specifier_case ==
				XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_SELF ||
			from->config_source_specifier_case ==
				XDS__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_API_CONFIG_SOURCE);

	if (!mt_xm_name(m, "name", s->name, out))
		return false;
	if (!served)
		mt_xm_note(m, MT_XDS_NOTE_sds_source, "sds_config");
	else if (!mt_xm_ref(m, "sds_config", from, MT_XDS_SDS, *out))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/*
 * Marks TLS settings that need an unsupported feature. No connection is made with them, because TLS
 * without the feature would not be what the configuration requires.
 */
static void unmade(struct mt_res_tls *tls, const char *why)
{
	tls->unmade = tls->unmade ? tls->unmade : why;
}

static bool add_san(struct mt_xmap *m, const Xds__StringMatcher *s, struct mt_res_tls *tls)
{
	bool prefix = s && s->match_pattern_case == XDS__STRING_MATCHER__MATCH_PATTERN_PREFIX;
	struct mt_res_san *slot;
	struct mt_text t;

	if (!s || s->ignore_case ||
		(!prefix && s->match_pattern_case != XDS__STRING_MATCHER__MATCH_PATTERN_EXACT)) {
		mt_xm_note(m, MT_XDS_NOTE_san_pattern, "match_typed_subject_alt_names");
		unmade(tls, "it names peers by patterns, which are not read");
		return true;
	}
	if (tls->n_sans == SANS_MAX)
		return mt_xm_bad(m, "match_typed_subject_alt_names", "more than %u", SANS_MAX);
	if (!mt_xm_words(
		    m, "match_typed_subject_alt_names", prefix ? s->prefix : s->exact, 2048, &t))
		return false;
	slot = mt_region_push(m->r, (void **)&tls->sans, &tls->n_sans, sizeof(*slot));
	if (!slot)
		return mt_xm_no_memory(m);
	*slot = (struct mt_res_san){t.s, prefix};
	return true;
}

static bool validation(
	struct mt_xmap *m, const Xds__CertificateValidationContext *v, struct mt_res_tls *tls)
{
	if (!v)
		return true;
	if (v->trusted_ca) {
		mt_xm_note(m, MT_XDS_NOTE_tls_inline, "trusted_ca");
		unmade(tls, "its roots are not a secret by name");
	}
	if (v->n_verify_certificate_hash || v->n_verify_certificate_spki || v->crl)
		unmade(tls, "it requires more of a peer's certificate than is verified");
	for (size_t i = 0; i < v->n_match_subject_alt_names; i++)
		if (!add_san(m, v->match_subject_alt_names[i], tls))
			return false;
	for (size_t i = 0; i < v->n_match_typed_subject_alt_names; i++)
		if (!add_san(m, v->match_typed_subject_alt_names[i]->matcher, tls))
			return false;
	return true;
}

static bool trust(struct mt_xmap *m, const Xds__CommonTlsContext *c, struct mt_res_tls *tls)
{
	const Xds__CommonTlsContext__Combined *both;

	switch (c->validation_context_type_case) {
	case XDS__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT:
		return validation(m, c->validation_context, tls);
	case XDS__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_VALIDATION_CONTEXT_SDS_SECRET_CONFIG:
		return secret(m, "validation_context_sds_secret_config",
			c->validation_context_sds_secret_config, &tls->trust);
	case XDS__COMMON_TLS_CONTEXT__VALIDATION_CONTEXT_TYPE_COMBINED_VALIDATION_CONTEXT:
		both = c->combined_validation_context;
		return validation(m, both->default_validation_context, tls) &&
		       (!both->validation_context_sds_secret_config ||
			       secret(m,
				       "combined_validation_context."
				       "validation_context_sds_secret_config",
				       both->validation_context_sds_secret_config, &tls->trust));
	default:
		return true;
	}
}

static bool protocols(struct mt_xmap *m, const Xds__CommonTlsContext *c, struct mt_res_tls *tls)
{
	struct mt_text t;

	tls->alpn = c->n_alpn_protocols ? mt_xm_array(m, c->n_alpn_protocols, sizeof(*tls->alpn))
					: NULL;
	if (c->n_alpn_protocols && !tls->alpn)
		return false;
	for (size_t i = 0; i < c->n_alpn_protocols; i++) {
		if (!mt_xm_words(m, "alpn_protocols", c->alpn_protocols[i], 255, &t))
			return false;
		tls->alpn[tls->n_alpn++] = t.s;
	}
	return true;
}

/* Maps the minimum and maximum version; TLS 1.2 and 1.3 are supported. */
static void versions(const Xds__TlsParameters *p, struct mt_res_tls *tls)
{
	enum { NOT_SAID, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 };

	if (!p)
		return;
	if (p->tls_minimum_protocol_version == TLS_1_3)
		tls->min_version = 0x0304;
	if (p->tls_maximum_protocol_version == TLS_1_2)
		tls->max_version = 0x0303;
	if (p->tls_maximum_protocol_version == TLS_1_0 ||
		p->tls_maximum_protocol_version == TLS_1_1)
		unmade(tls, "it requires a version of TLS below 1.2");
}

static struct mt_res_tls *context(struct mt_xmap *m, const Xds__CommonTlsContext *c)
{
	struct mt_res_tls *tls = mt_xm_alloc(m, sizeof(*tls));
	uint32_t mark = mt_xm_in(m, "common_tls_context");

	if (!tls)
		return NULL;
	tls->origin.file = m->out->meta->origin.file;
	if (c)
		versions(c->tls_params, tls);
	if (c && c->n_tls_certificates) {
		mt_xm_note(m, MT_XDS_NOTE_tls_inline, "tls_certificates");
		unmade(tls, "its certificate is not a secret by name");
	}
	if (c && c->n_tls_certificate_sds_secret_configs &&
		!secret(m, "tls_certificate_sds_secret_configs[0]",
			c->tls_certificate_sds_secret_configs[0], &tls->certificate))
		return NULL;
	if (c && (!trust(m, c, tls) || !protocols(m, c, tls)))
		return NULL;
	mt_xm_out(m, mark);
	return tls;
}

/* Opens the configuration of a transport socket; any->type is "" for plaintext. */
static bool open_socket(
	struct mt_xmap *m, const Xds__TransportSocket *s, const char *wanted, struct mt_xm_any *any)
{
	*any = (struct mt_xm_any){.type = ""};
	if (!s || (!s->typed_config && strcmp(s->name, "envoy.transport_sockets.raw_buffer") == 0))
		return true;
	if (!s->typed_config)
		return mt_xm_bad(m, "typed_config", "missing");
	if (!mt_xm_open(m, "typed_config", s->typed_config, any))
		return false;
	if (strcmp(any->type, SOCKETS "raw_buffer.v3.RawBuffer") == 0)
		*any = (struct mt_xm_any){.type = ""};
	else if (strcmp(any->type, wanted) != 0)
		return mt_xm_bad(
			m, "typed_config", "no such transport socket \"%.80s\"", any->type);
	return true;
}

bool mt_xm_upstream_tls(struct mt_xmap *m, const char *field, const Xds__TransportSocket *s,
	struct mt_res_tls **out)
{
	const Xds__UpstreamTlsContext *u;
	uint32_t mark = mt_xm_in(m, field);
	struct mt_xm_any any;

	*out = NULL;
	if (!open_socket(m, s, SOCKETS "tls.v3.UpstreamTlsContext", &any))
		return false;
	if (*any.type) {
		u = mt_xm_read(m, "typed_config", &any, &xds__upstream_tls_context__descriptor);
		mt_xm_in(m, "typed_config");
		*out = u ? context(m, u->common_tls_context) : NULL;
		if (!*out || (*u->sni && !mt_xm_name(m, "sni", u->sni, &(*out)->sni)))
			return false;
		(*out)->sni = mt_host_name(m->r, (*out)->sni);
	}
	mt_xm_out(m, mark);
	return true;
}

bool mt_xm_downstream_tls(struct mt_xmap *m, const char *field, const Xds__TransportSocket *s,
	struct mt_res_tls **out)
{
	const Xds__DownstreamTlsContext *d;
	uint32_t mark = mt_xm_in(m, field);
	struct mt_xm_any any;

	*out = NULL;
	if (!open_socket(m, s, SOCKETS "tls.v3.DownstreamTlsContext", &any))
		return false;
	if (*any.type) {
		d = mt_xm_read(m, "typed_config", &any, &xds__downstream_tls_context__descriptor);
		mt_xm_in(m, "typed_config");
		*out = d ? context(m, d->common_tls_context) : NULL;
		if (!*out)
			return false;
		(*out)->client_certificate =
			d->require_client_certificate && d->require_client_certificate->value;
	}
	mt_xm_out(m, mark);
	return true;
}
