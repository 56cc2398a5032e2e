/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials (chains, roots, keys and revocation lists of any source) and the description of any
 * certificate. The first byte: bit 0, only the leaf is looked for on the lists. Then come objects:
 * a byte for the kind, two for the length, and the bytes: DER, which becomes PEM, or PEM texts as
 * they are.
 */
#include "fuzz.h"
#include "fuzz_reader.h"

#include "mt_credential.h"
#include "mt_tls_priv.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <strings.h>

#define OBJECTS 24

enum kind { CHAIN, ROOT, CRL, KEY, KINDS, TEXT = 4 /* bit: as it is */ };

static const char *const labels[KINDS] = {"CERTIFICATE", "CERTIFICATE", "X509 CRL", "PRIVATE KEY"};

/* ---- one certificate ----------------------------------------------------------------------------------- */

static bool is_id_char(char c)
{
	return islower((unsigned char)c) || isupper((unsigned char)c) ||
	       isdigit((unsigned char)c) || strchr("._-/", c);
}

/* SPIFFE ID section 2, once more: what a policy compares is exactly this. */
static void check_principal(X509 *x, const char *p)
{
	size_t scheme = strlen(MT_SPIFFE), len = strlen(p);

	if (!len)
		return;
	MT_ASSERT(len > scheme && len <= MT_TLS_PRINCIPAL_MAX && !strncmp(p, MT_SPIFFE, scheme));
	for (const char *at = p + scheme; *at; at++)
		MT_ASSERT(is_id_char(*at) && !(at[0] == '/' && (at[1] == '/' || !at[1])));
	MT_ASSERT(!strstr(p + scheme, "/../") && !strstr(p + scheme, "/./"));
	MT_ASSERT(strcmp(p + len - 2, "/.") && (len < 3 || strcmp(p + len - 3, "/..")));
	MT_ASSERT(mt_x509_has_uri(x, p));
}

struct seen {
	uint32_t names, uris, dns;
	bool matches; /* some DNS name could be "a.example" */
};

static bool look(void *arg, int type, const char *text, size_t len)
{
	struct seen *s = arg;

	MT_ASSERT(text && (type == GEN_URI || type == GEN_DNS || type == GEN_IPADD));
	s->names++;
	s->uris += type == GEN_URI;
	s->dns += type == GEN_DNS;
	/* "a.example.", too, which OpenSSL compares as the same. */
	if (type == GEN_DNS && len >= 9)
		s->matches |=
			!strncasecmp(text, "a.example", 9) || !strncasecmp(text, "*.example", 9);
	return true;
}

static void judge(X509 *x, const char *principal)
{
	static char *domains[] = {(char *)"cluster.local", (char *)"a.b"};
	static struct mt_tls_san sans[] = {
		{"spiffe://cluster.local/ns/shop/", true}, {"a.example", false}};
	struct mt_tls_context context = {0};

	/* Without rules only time and form count; each rule only makes the check stricter. */
	bool plain = mt_tls_judge(&context, x) == MT_TLS_WHY_none;

	context.trust_domains = domains;
	context.n_trust_domains = MT_ARRAY_LEN(domains);
	if (mt_tls_judge(&context, x) == MT_TLS_WHY_none)
		MT_ASSERT(plain && mt_tls_has_domain(&context, principal) &&
			  (!strncmp(principal, "spiffe://cluster.local", 22) ||
				  !strncmp(principal, "spiffe://a.b", 12)));
	context.n_trust_domains = 0;
	context.sans = sans;
	context.n_sans = MT_ARRAY_LEN(sans);
	if (mt_tls_judge(&context, x) == MT_TLS_WHY_none) {
		struct seen s = {0};

		mt_x509_names(x, MT_X509_ALL, look, &s);
		MT_ASSERT(plain && s.uris + s.dns > 0);
	}
}

static void look_at(X509 *x)
{
	char principal[MT_TLS_PRINCIPAL_MAX + 1];
	struct seen s = {0}, few = {0};
	bool good = mt_tls_principal(x, principal);

	MT_ASSERT(good || !principal[0]);
	check_principal(x, principal);
	mt_x509_names(x, MT_X509_ALL, look, &s);
	mt_x509_names(x, 2, look, &few);
	MT_ASSERT(few.names <= 2 && few.names <= s.names);
	/* The common name never counts as a host. */
	MT_ASSERT(!mt_x509_has_host(x, "a.example") || s.matches);
	MT_ASSERT(!mt_x509_has_host(x, "spiffe://cluster.local/ns/shop/sa/alice"));
	(void)mt_x509_time(X509_get0_notBefore(x));
	(void)mt_x509_time(X509_get0_notAfter(x));
	MT_ASSERT(mt_x509_key_mark(x) == mt_x509_key_mark(x));
	MT_ASSERT(mt_x509_issue_mark(x) == mt_x509_issue_mark(x));
	judge(x, principal);
	MT_ASSERT(ERR_peek_error() == 0);
}

/* ---- a credential -------------------------------------------------------------------------------------- */

static bool is_sorted(const struct mt_marks *m)
{
	for (uint32_t i = 1; i < m->n; i++)
		if (m->at[i - 1] > m->at[i])
			return false;
	for (uint32_t i = 0; i < m->n; i++)
		if (m->at[i] && !mt_marks_have(m, m->at[i]))
			return false;
	return true;
}

static void is_text(const char *p, size_t size)
{
	MT_ASSERT(memchr(p, '\0', size));
	for (; *p; p++)
		MT_ASSERT(*p >= ' ' && *p != 0x7f);
}

static void tell(const struct mt_credential *c)
{
	struct mt_credential_leaf leaf;
	struct mt_credential_root root;
	struct mt_credential_crl crl;
	uint32_t roots = 0;

	MT_ASSERT(mt_credential_leaf(c, &leaf) == (c->chain != NULL));
	MT_ASSERT(memchr(leaf.principal, '\0', sizeof(leaf.principal)));
	MT_ASSERT(memchr(leaf.trust_domain, '\0', sizeof(leaf.trust_domain)));
	is_text(leaf.serial, sizeof(leaf.serial));
	is_text(leaf.issuer, sizeof(leaf.issuer));
	for (; mt_credential_root(c, roots, &root); roots++) {
		is_text(root.subject, sizeof(root.subject));
		is_text(root.serial, sizeof(root.serial));
	}
	for (uint32_t i = 0; mt_credential_crl(c, i, &crl); i++) {
		MT_ASSERT(c->trust && i < MT_CREDENTIAL_CRLS);
		is_text(crl.issuer, sizeof(crl.issuer));
	}
	MT_ASSERT(roots == c->trusted.n && roots <= MT_CREDENTIAL_ROOTS);
	MT_ASSERT(is_sorted(&c->trusted) && is_sorted(&c->revoked));
}

/* Makes the context that a listener of the mesh would have. */
static void make_context(struct mt_credential *c)
{
	const struct mt_tls_rules rules = {
		.role = MT_TLS_SERVER, .trust = MT_TLS_VERIFIED, .credential = c};
	struct mt_err e = {""};
	struct mt_tls_context *context;

	if (!c->chain || !c->trust)
		return;
	context = mt_tls_context_new(&rules, &e);
	MT_ASSERT((context == NULL) == (e.text[0] != '\0'));
	mt_tls_context_drop(context);
}

static void make(const struct mt_credential_texts *t)
{
	struct mt_err e = {""};
	struct mt_credential *c = mt_credential_new(t, &e);

	MT_ASSERT((c == NULL) == (e.text[0] != '\0') && ERR_peek_error() == 0);
	if (!c)
		return;
	MT_ASSERT((c->chain != NULL) == (t->chain != NULL) && (c->key != NULL) == (t->key != NULL));
	MT_ASSERT((c->trust != NULL) == (t->roots != NULL));
	tell(c);
	for (int i = 0; c->chain && i < (int)sk_X509_num(c->chain); i++)
		look_at(sk_X509_value(c->chain, i));
	make_context(c);
	MT_ASSERT(ERR_peek_error() == 0);
	mt_credential_drop(c);
}

/* ---- texts --------------------------------------------------------------------------------------------- */

static void add_pem(FILE *out, const char *label, const uint8_t *der, size_t len)
{
	unsigned char line[80];

	fprintf(out, "-----BEGIN %s-----\n", label);
	for (size_t at = 0; at < len; at += 48) {
		EVP_EncodeBlock(line, der + at, (int)MT_MIN((size_t)48, len - at));
		fprintf(out, "%s\n", (char *)line);
	}
	fprintf(out, "-----END %s-----\n", label);
}

static void one(FILE *const out[KINDS], struct reader *r)
{
	uint32_t what = u8(r);
	enum kind kind = what % KINDS;
	size_t len = u16(r);

	len = MT_MIN(len, r->left);
	if (what & TEXT)
		fwrite(r->at, 1, len, out[kind]);
	else
		add_pem(out[kind], labels[kind], r->at, len);
	if (kind <= ROOT && !(what & TEXT)) {
		const unsigned char *p = r->at;
		X509 *x = d2i_X509(NULL, &p, (long)len);

		ERR_clear_error();
		if (x)
			look_at(x);
		X509_free(x);
	}
	r->at += len;
	r->left -= len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = {data, size};
	uint32_t flags = u8(&r);
	char *texts[KINDS] = {NULL};
	size_t sizes[KINDS];
	FILE *out[KINDS];

	for (int i = 0; i < KINDS; i++) {
		out[i] = open_memstream(&texts[i], &sizes[i]);
		MT_ASSERT(out[i]);
	}
	for (int i = 0; i < OBJECTS && r.left; i++)
		one(out, &r);
	for (int i = 0; i < KINDS; i++)
		fclose(out[i]);
	make(&(struct mt_credential_texts){.chain = sizes[CHAIN] ? texts[CHAIN] : NULL,
		.key = sizes[KEY] ? texts[KEY] : NULL,
		.roots = sizes[ROOT] ? texts[ROOT] : NULL,
		.crl = sizes[CRL] ? texts[CRL] : NULL,
		.crl_leaf_only = flags & 1});
	for (int i = 0; i < KINDS; i++)
		free(texts[i]);
	return 0;
}
