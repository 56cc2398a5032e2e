/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS that a gateway's server ends: by the node's identity, by Secrets among the documents, or by files. What it asks for and cannot
 * have is told, and the server is not served; never in clear text, and never to more clients than it says.
 */
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

#include <string.h>

struct server {
	struct mt_build *b;
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *conf;
	const struct mt_gateway_tls *tls;
	const char *path;
};

static const struct mt_listen_end *not_served(
	const struct server *s, const char *remedy, const char *why)
{
	mt_b_warn(s->b, &s->gateway->meta, s->tls->origin.line, s->path, remedy,
		"TLS cannot be ended: %s; this server is not served", why);
	return NULL;
}

static bool is_mode(const struct server *s, enum mt_gateway_tls_mode mode)
{
	return s->tls->mode.set && s->tls->mode.v == (int64_t)mode;
}

static bool asks_clients(const struct server *s)
{
	return is_mode(s, MT_GATEWAY_MUTUAL) || is_mode(s, MT_GATEWAY_OPTIONAL_MUTUAL);
}

/* ---- whose certificate, and which roots -------------------------------------------------------------- */

static const char *secret_named(const struct server *s, const char *name, const char *ending)
{
	const char *ns =
		s->tls->credential_ns ? s->tls->credential_ns : mt_gateway_ns(s->b, s->gateway);

	return mt_region_printf(&s->b->tmp, "kubernetes://%s/%s%s", ns, name, ending);
}

/* What is written of a certificate; NULL: nothing. */
static const char *certificate_of(const struct server *s)
{
	const struct mt_gateway_tls *tls = s->tls;

	if (tls->credential.s)
		return secret_named(s, tls->credential.s, "");
	if (tls->n_credentials)
		return secret_named(s, tls->credentials[0].s, "");
	if (tls->certificate.s && tls->key.s)
		return mt_region_printf(
			&s->b->tmp, "file-cert:%s~%s", tls->certificate.s, tls->key.s);
	return NULL;
}

static const char *roots_of(const struct server *s)
{
	const struct mt_gateway_tls *tls = s->tls;

	if (tls->root_credential.s)
		return secret_named(s, tls->root_credential.s, "");
	if (tls->credential.s)
		return secret_named(s, tls->credential.s, "-cacert");
	if (tls->n_credentials)
		return secret_named(s, tls->credentials[0].s, "-cacert");
	/* The machine's own list says nothing of clients. */
	if (tls->roots.s && *tls->roots.s == '/')
		return mt_region_printf(&s->b->tmp, "file-root:%s", tls->roots.s);
	return NULL;
}

/* Reports a certificate or roots that cannot be had. */
static void tell_material(const struct server *s, const struct mt_res_tls *named,
	const char *remedy, const char *missing)
{
	const struct mt_gateway_tls *tls = s->tls;
	const struct mt_text *secret = tls->credential.s    ? &tls->credential
				       : tls->n_credentials ? &tls->credentials[0]
							    : NULL;
	const struct mt_tls_fields fields = {.path = s->path,
		.rest = !secret || tls->credential_ns ? NULL
			: tls->credential.s	      ? "credentialName"
						      : "credentialNames[0]",
		.line = secret && secret->line ? secret->line : tls->origin.line,
		.texts = {NULL, &tls->certificate, &tls->key, &tls->roots, &tls->crl},
		.names = {NULL, "serverCertificate", "privateKey", "caCertificates", "caCrl"}};
	struct mt_tls_trouble trouble = {.why = missing, .material = true};

	if (!missing)
		mt_b_tls_trouble(s->b, named, &trouble);
	if (trouble.why)
		mt_b_tell_trouble(s->b, &s->gateway->meta, &fields, &trouble, remedy,
			"TLS cannot be ended: %s; this server is not served, unless a last good "
			"version with as strong TLS is there");
}

/* NULL: it is told, or no memory. */
static struct mt_credential *credential_of(const struct server *s)
{
	struct mt_res_tls named = {
		.documents = true, .ns = s->gateway->meta.ns, .certificate = certificate_of(s)};
	struct mt_conf_credential *x;

	if (!named.certificate) {
		tell_material(s, &named,
			"write credentialName, or serverCertificate and privateKey",
			"no certificate is named with its key");
		return NULL;
	}
	if (asks_clients(s)) {
		named.trust = roots_of(s);
		if (!named.trust) {
			tell_material(s, &named,
				"write caCertificates with a whole path, or credentialName",
				"no roots of clients are named");
			return NULL;
		}
	} else {
		named.anybody = true;
	}
	x = mt_b_credential(s->b, &named);
	tell_material(s, &named, NULL, NULL);
	return x ? x->credential : NULL;
}

/* ---- what it asks of clients ------------------------------------------------------------------------- */

static const char *const ciphers_known[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-RSA-CHACHA20-POLY1305"};

static bool is_known(const char *cipher)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ciphers_known); i++)
		if (strcmp(cipher, ciphers_known[i]) == 0)
			return true;
	return false;
}

static void add_cipher(const struct server *s, struct mt_tls_rules *r, const char *one)
{
	r->ciphers = r->ciphers ? mt_region_printf(&s->b->tmp, "%s:%s", r->ciphers, one) : one;
}

/*
 * Sets the cipher suites: those written that are supported here, or all that are if none is
 * written. Reports written ones that are not supported; false if none of them is. A Gateway offers
 * no key exchange by RSA: it has no forward secrecy, and its decryption can be timed from outside
 * (RFC 9325 §4.1).
 */
static bool set_ciphers(const struct server *s, struct mt_tls_rules *r)
{
	const struct mt_gateway_tls *tls = s->tls;

	for (uint32_t i = 0; i < tls->n_ciphers; i++) {
		const char *one = tls->ciphers[i].s;

		if (!is_known(one))
			mt_b_note(s->b, &s->gateway->meta, tls->ciphers[i].line, s->path, NULL,
				"cipher suite \"%.64s\" is not spoken here", one);
		else
			add_cipher(s, r, one);
	}
	for (size_t i = 0; !tls->n_ciphers && i < MT_ARRAY_LEN(ciphers_known); i++)
		add_cipher(s, r, ciphers_known[i]);
	if (tls->n_ciphers && !r->ciphers)
		not_served(s, "leave cipherSuites out", "none of its cipher suites is spoken here");
	return r->ciphers;
}

static bool set_versions(const struct server *s, struct mt_tls_rules *r)
{
	const struct mt_num *min = &s->tls->min_version, *max = &s->tls->max_version;
	bool low = min->set && (min->v == MT_GATEWAY_TLS_1_0 || min->v == MT_GATEWAY_TLS_1_1);

	if (max->set && (max->v == MT_GATEWAY_TLS_1_0 || max->v == MT_GATEWAY_TLS_1_1)) {
		not_served(s, "leave maxProtocolVersion out",
			"TLS 1.2 is the lowest that is spoken here");
		return false;
	}
	if (low)
		mt_b_warn(s->b, &s->gateway->meta, min->line, s->path, NULL,
			"minProtocolVersion: TLS 1.2 is the lowest that is spoken here");
	if (min->set && min->v == MT_GATEWAY_TLS_1_3)
		r->min_version = 0x0304;
	if (max->set && max->v == MT_GATEWAY_TLS_1_2)
		r->max_version = 0x0303;
	return true;
}

static bool set_names(const struct server *s, struct mt_tls_rules *r)
{
	const struct mt_gateway_tls *tls = s->tls;
	struct mt_tls_san *sans = mt_region_alloc(&s->b->tmp, sizeof(*sans) * (tls->n_sans + 1));

	if (!sans)
		return false;
	if (r->trust == MT_TLS_ANYBODY && tls->n_sans) {
		not_served(s, "write mode: MUTUAL",
			"subjectAltNames are for clients' certificates, which it does not request");
		return false;
	}
	if (tls->n_spki || tls->n_hashes || tls->crl.s) {
		not_served(s, tls->crl.s ? "write the list into the Secret, as ca.crl" : NULL,
			"it requires more of a client's certificate than is verified here");
		return false;
	}
	for (uint32_t i = 0; i < tls->n_sans; i++)
		sans[i] = (struct mt_tls_san){.text = tls->sans[i].s};
	r->sans = sans;
	r->n_sans = tls->n_sans;
	return true;
}

/* The node's own identity, and the principals of its mesh. */
static bool set_mesh(const struct server *s, struct mt_tls_rules *r)
{
	static const char *const alpn[] = {"istio"};
	const char **domains = mt_region_alloc(&s->b->tmp, sizeof(*domains) * MT_B_DOMAINS);

	r->credential = s->b->conf->identity;
	if (!r->credential)
		not_served(s, "write spec.identity into the Node", "the node has no identity");
	if (!r->credential || !domains)
		return false;
	r->trust = MT_TLS_VERIFIED;
	r->n_trust_domains = mt_b_trust_domains(s->b, domains);
	r->trust_domains = domains;
	r->alpn = alpn;
	r->n_alpn = 1;
	return true;
}

static bool set_rules(const struct server *s, struct mt_tls_rules *r)
{
	if (is_mode(s, MT_GATEWAY_ISTIO_MUTUAL)) {
		if (!set_mesh(s, r))
			return false;
	} else {
		r->trust = is_mode(s, MT_GATEWAY_MUTUAL)	    ? MT_TLS_VERIFIED
			   : is_mode(s, MT_GATEWAY_OPTIONAL_MUTUAL) ? MT_TLS_IF_SHOWN
								    : MT_TLS_ANYBODY;
		r->credential = credential_of(s);
		if (!r->credential)
			return false;
	}
	if (s->tls->n_credentials > 1)
		mt_b_warn(s->b, &s->gateway->meta, s->tls->credentials[1].line, s->path, NULL,
			"credentialNames: the first one is shown to all clients");
	return set_versions(s, r) && set_ciphers(s, r) && set_names(s, r);
}

/* ---- whom it is for ----------------------------------------------------------------------------------- */

/* Names of the hosts, without namespaces, each once; with "*" none: all. `seen`: empty. */
static bool list_hosts(struct mt_build *b, const struct mt_gateway_server *conf,
	struct mt_listen_end *end, struct mt_strmap *seen)
{
	const char **names = mt_region_alloc(&b->tmp, sizeof(*names) * (conf->n_hosts + 1));

	if (!names || mt_strmap_reserve(seen, conf->n_hosts))
		return false;
	end->names = names;
	for (uint32_t i = 0; i < conf->n_hosts; i++) {
		const char *slash = strchr(conf->hosts[i].s, '/');
		const char *host = slash ? slash + 1 : conf->hosts[i].s;

		if (strcmp(host, "*") == 0) {
			end->n_names = 0;
			return true;
		}
		if (mt_strmap_get(seen, host))
			continue;
		names[end->n_names++] = host;
		if (mt_strmap_put(seen, host, names, NULL))
			return false;
	}
	return true;
}

bool mt_b_gateway_names(
	struct mt_build *b, const struct mt_gateway_server *server, struct mt_listen_end *end)
{
	struct mt_strmap seen = {0};
	bool done = list_hosts(b, server, end, &seen);

	mt_strmap_fini(&seen);
	if (!done)
		b->tmp.failed = true;
	return done;
}

const struct mt_listen_end *mt_b_gateway_end(struct mt_build *b, const struct mt_gateway *g,
	const struct mt_gateway_server *server, const char *path)
{
	const struct server s = {b, g, server, server->tls, path};
	struct mt_tls_rules r = {.role = MT_TLS_SERVER, .tickets = true};
	struct mt_listen_end *end = mt_region_alloc(&b->tmp, sizeof(*end));
	struct mt_err e;

	if (!server->tls->mode.set) {
		mt_b_warn(b, &g->meta, server->tls->origin.line, path, NULL,
			"no HTTP is redirected, and none is in TLS: this server is not served");
		return NULL;
	}
	if (!end || !set_rules(&s, &r) || !mt_b_gateway_names(b, server, end))
		return NULL;
	end->tls = mt_b_server_context(b, &r, &e);
	return end->tls ? end : not_served(&s, NULL, e.text);
}
