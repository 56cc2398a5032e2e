/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that gateways end: by Secrets, by files, by the node's identity; and what is not served for want of them. */
#include "../tls/pki.h"
#include "conf_test.h"
#include "conf_texts.h"
#include "mt_tls_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BYTES                                                                                      \
	ISTIO("ServiceEntry", "p")                                                                 \
	"  hosts: [p.x]\n  addresses: [192.0.2.31]\n  resolution: STATIC\n"                        \
	"  ports: [{number: 443, name: tcp}]\n  endpoints: [{address: 198.51.100.9}]\n"
#define GATEWAY ISTIO("Gateway", "g") "  selector: {}\n  servers:\n"
#define SERVER(port, hosts, tls)                                                                   \
	"  - port: {number: " port ", name: tls, protocol: TLS}\n    hosts: [" hosts               \
	"]\n    tls: {" tls "}\n"
#define ROUTE(host)                                                                                \
	ISTIO("VirtualService", "v")                                                               \
	"  hosts: [" host "]\n  gateways: [g]\n  tcp: [{route: [{destination: {host: p.x}}]}]\n"
#define TEXT_MAX (1u << 20)

static char text[TEXT_MAX];
static size_t len;

static void begin(const char *s)
{
	len = (size_t)snprintf(text, sizeof(text), "%s", s);
}

static void add(const char *s)
{
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", s);
	CU_ASSERT_FATAL(len < sizeof(text));
}

/* One key of a Secret, in double quotes. */
static void add_value(const char *key, const char *pem)
{
	add("  ");
	add(key);
	add(": \"");
	for (; *pem; pem++) {
		const char one[2] = {*pem, '\0'};

		add(*pem == '\n' ? "\\n" : one);
	}
	add("\"\n");
}

static void add_secret(const char *name)
{
	add("---\napiVersion: v1\nkind: Secret\nmetadata: {name: ");
	add(name);
	add("}\nstringData:\n");
}

static void add_pair(const char *name, const struct pki_node *n, const EVP_PKEY *key)
{
	const X509 *certs[] = {n->cert};
	char *chain = pki_pem(certs, 1), *secret = pki_key(key);

	add_secret(name);
	add_value("tls.crt", chain);
	add_value("tls.key", secret);
	free(chain);
	free(secret);
}

static struct pki_node leaf(void)
{
	static const struct pki_how how = {.san = "DNS:a.example"};

	return pki_make(&pki()->root, &how);
}

static const struct mt_listener *at(const struct built *b, uint16_t port)
{
	const struct mt_listener *l = b->s ? listener(b->s, "0.0.0.0", port) : NULL;

	return l || !b->s ? l : listener(b->s, "::", port);
}

/* "ends", "bytes", or "none": nobody is there, or no chain is for it. */
static const char *gets(const struct mt_listener *l, const char *name)
{
	const struct mt_filter_chain_facts f = {.tls = name != NULL,
		.name = {(const uint8_t *)name, name ? (uint32_t)strlen(name) : 0}};
	const struct mt_filter_chain *c = l ? mt_filter_chain_choose(l, &f) : NULL;

	return !c || c->refuse ? "none" : c->tls ? "ends" : "bytes";
}

#define GETS(b, port, name, what) CU_ASSERT_STRING_EQUAL(gets(at(&(b), port), name), what)

/* Ciphers of TLS 1.2 with key exchange by RSA: a client encrypts to the certificate's key. */
static uint32_t by_rsa(const struct mt_tls_context *c)
{
	STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(c->ssl);
	uint32_t n = 0;

	CU_ASSERT(sk_SSL_CIPHER_num(all) > 0);
	for (int i = 0; i < (int)sk_SSL_CIPHER_num(all); i++)
		n += SSL_CIPHER_get_kx_nid(sk_SSL_CIPHER_value(all, i)) == NID_kx_rsa;
	return n;
}

/* Server names, none but those; clear text has no chain. */
static void simple(void)
{
	struct pki_node one = leaf();
	struct built b;

	begin(BYTES GATEWAY SERVER("8443", "'*.b.example', prod/A.example, default/A.example",
		"mode: SIMPLE, credentialName: one")
			SERVER("8444", "'*'", "mode: SIMPLE, credentialNames: [one]") ROUTE("'*'"));
	add_pair("one", &one, one.key);
	b = build_text(NULL, text);
	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	CU_ASSERT_EQUAL(b.diags.inert, 0);
	GETS(b, 8443, "a.example", "ends");
	GETS(b, 8443, "x.b.example", "ends");
	GETS(b, 8443, "c.example", "none");
	GETS(b, 8443, NULL, "none");
	GETS(b, 8444, "c.example", "ends");
	GETS(b, 8444, "", "ends");
	GETS(b, 8444, NULL, "none");
	CU_ASSERT_FALSE(at(&b, 8444)->decided);
	CU_ASSERT_PTR_EQUAL(at(&b, 8443)->chains[0].tls, at(&b, 8444)->chains[0].tls);
	CU_ASSERT_EQUAL(at(&b, 8443)->n_chains, 1);
	CU_ASSERT_EQUAL(by_rsa(at(&b, 8443)->chains[0].tls), 0);
	unbuild(&b);
	pki_free(&one);
}

#define HOSTS 60000

/* Hosts of a server are not compared with each other: that would take this test many seconds. */
static void many_hosts(void)
{
	struct pki_node one = leaf();
	struct timespec from, to;
	struct built b;
	char host[32];

	begin(BYTES GATEWAY "  - port: {number: 8443, name: tls, protocol: TLS}\n"
			    "    tls: {mode: SIMPLE, credentialName: one}\n    hosts: [");
	for (uint32_t i = 0; i < HOSTS; i++) {
		snprintf(host, sizeof(host), "h%u.example, ", i);
		add(host);
	}
	add("h0.example]\n" ROUTE("'*'"));
	add_pair("one", &one, one.key);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	b = build_text(NULL, text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	CU_ASSERT_TRUE(to.tv_sec - from.tv_sec < 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at(&b, 8443));
	CU_ASSERT_EQUAL(at(&b, 8443)->chains[0].match.n_server_names, HOSTS);
	unbuild(&b);
	pki_free(&one);
}

/* Several servers at one port, each with its own certificate and its own service; beside TLS that is passed through. */
static void by_name(void)
{
	struct pki_node one = leaf(), two = leaf();
	const struct mt_listener *l;
	struct built b;

	begin(BYTES GATEWAY SERVER("8443", "a.example", "mode: SIMPLE, credentialName: one") SERVER(
		"8443", "b.example, a.example", "mode: SIMPLE, credentialName: two")
			SERVER("8443", "c.example", "mode: PASSTHROUGH") ROUTE("'*'") ISTIO(
				"VirtualService", "w") "  hosts: [c.example]\n  gateways: [g]\n"
						       "  tls: [{match: [{sniHosts: [c.example]}], "
						       "route: [{destination: {host: p.x}}]}]\n");
	add_pair("one", &one, one.key);
	add_pair("two", &two, two.key);
	b = build_text(NULL, text);
	show_diags(&b);
	l = at(&b, 8443);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->n_chains, 3);
	GETS(b, 8443, "a.example", "ends");
	GETS(b, 8443, "b.example", "ends");
	GETS(b, 8443, "c.example", "bytes");
	GETS(b, 8443, NULL, "none");
	CU_ASSERT_PTR_NOT_EQUAL(l->chains[0].tls, l->chains[1].tls);
	CU_ASSERT_EQUAL(l->chains[1].match.n_server_names, 1);
	CU_ASSERT_STRING_EQUAL(l->chains[1].match.server_names[0], "b.example");
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 21, "\"a.example\" is in use by Gateway"));
	unbuild(&b);
	pki_free(&one);
	pki_free(&two);
}

#define OF_MESSAGES(credential)                                                                    \
	"  - port: {number: 8443, name: tcp-metaprotocol-dubbo, protocol: TLS}\n"                  \
	"    hosts: [a.example]\n    tls: {mode: SIMPLE, credentialName: " credential "}\n"
#define ROUTER_TO_A(name)                                                                          \
	ROUTER(name)                                                                               \
	"  hosts: [" name ".x]\n  gateways: [g]\n"                                                 \
	"  routes: [{route: [{destination: {host: a.x}}]}]\n"

/* A server without a name left is asked once, however many routes it has. */
static void no_name_left(void)
{
	struct pki_node one = leaf(), two = leaf();
	struct built b;
	uint32_t told = 0;

	begin(SERVICE_A GATEWAY OF_MESSAGES("one") OF_MESSAGES("two") ROUTER_TO_A("a")
			ROUTER_TO_A("b") ROUTER_TO_A("c"));
	add_pair("one", &one, one.key);
	add_pair("two", &two, two.key);
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at(&b, 8443));
	CU_ASSERT_EQUAL(at(&b, 8443)->n_chains, 1);
	CU_ASSERT_EQUAL(at(&b, 8443)->protos[0].n_services, 3);
	for (uint32_t i = 0; i < b.diags.n; i++)
		told += strstr(b.diags.items[i].message, "\"a.example\" is in use") != NULL;
	CU_ASSERT_EQUAL(told, 1);
	unbuild(&b);
	pki_free(&one);
	pki_free(&two);
}

/* Messages in TLS: the port's name says which, and keys lead to services as they do in clear text. */
static void of_messages(void)
{
	struct pki_node one = leaf();
	const struct mt_listener *l;
	struct built b;

	begin(SERVICE_A GATEWAY
		"  - port: {number: 8443, name: tcp-metaprotocol-dubbo, protocol: TLS}\n"
		"    hosts: ['*']\n    tls: {mode: SIMPLE, credentialName: one}\n" ROUTER(
			"m") "  hosts: [a.x]\n  gateways: [g]\n  routes: [{route: [{destination: "
			     "{host: a.x}}]}]\n" ROUTER("n") "  hosts: [b.x]\n  gateways: [g]\n  "
							     "routes: [{route: [{destination: "
							     "{host: a.x}}]}]\n");
	add_pair("one", &one, one.key);
	b = build_text(NULL, text);
	show_diags(&b);
	l = at(&b, 8443);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->n_chains, 1);
	CU_ASSERT_STRING_EQUAL(l->protos[0].codec->name, "dubbo");
	CU_ASSERT_EQUAL(l->protos[0].n_services, 2);
	CU_ASSERT_PTR_NOT_NULL(l->chains[0].tls);
	/* Whoever comes by a gateway is called for by the node's own identity. */
	CU_ASSERT_TRUE(l->protos[0].services[0]->gateway);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_FALSE(l->protos[0].services[0]->gateway);
	unbuild(&b);
	pki_free(&one);
}

/* What a server cannot have it is not served without. */
static void wants(const char *tls, const char *words)
{
	struct pki_node one = leaf();
	char server[512];
	struct built b;

	begin(BYTES GATEWAY);
	snprintf(server, sizeof(server),
		"  - port: {number: 8443, name: tls, protocol: TLS}\n    hosts: ['*']\n    tls: "
		"{%s}\n",
		tls);
	add(server);
	add(ROUTE("'*'"));
	add_pair("one", &one, one.key);
	add(FILES_OF("/no"));
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	GETS(b, 8443, "a.example", words ? "none" : "ends");
	GETS(b, 8443, NULL, "none");
	if (words && !has_diag(&b, MT_DIAG_WARNING, 20, words) &&
		!has_diag(&b, MT_DIAG_ABSENT, 20, words) &&
		!has_diag(&b, MT_DIAG_UNREADABLE, 20, words)) {
		show_diags(&b);
		CU_FAIL("not told");
	}
	unbuild(&b);
	pki_free(&one);
}

static void not_served(void)
{
	wants("mode: SIMPLE", "no certificate is named");
	wants("mode: SIMPLE, credentialName: two", "Secret default/two is not among");
	wants("mode: SIMPLE, credentialName: other/one", "is not among");
	wants("mode: MUTUAL, credentialName: one", "has no roots");
	wants("mode: OPTIONAL_MUTUAL, credentialName: one", "has no roots");
	wants("mode: ISTIO_MUTUAL", "no identity");
	wants("httpsRedirect: true", "no HTTP is redirected");
	wants("mode: SIMPLE, credentialName: one, subjectAltNames: [a]", "write mode: MUTUAL");
	wants("mode: SIMPLE, credentialName: one, verifyCertificateHash: [a]", "requires more");
	wants("mode: SIMPLE, credentialName: one, verifyCertificateSpki: [a]", "requires more");
	wants("mode: SIMPLE, credentialName: one, caCrl: /x", "requires more");
	wants("mode: SIMPLE, credentialName: one, maxProtocolVersion: TLSV1_1", "TLS 1.2 is the");
	wants("mode: SIMPLE, credentialName: one, minProtocolVersion: TLSV1_3, "
	      "maxProtocolVersion: TLSV1_2",
		"only 0303 and 0304");
	wants("mode: SIMPLE, credentialName: one, cipherSuites: [AES128-SHA]",
		"none of its cipher");
	wants("mode: SIMPLE, serverCertificate: /no/where.pem, privateKey: /no/key.pem",
		"No such file");
	wants("mode: SIMPLE, serverCertificate: /nobody/where.pem, privateKey: /no/key.pem",
		"/nobody/where.pem: it is in no directory");
	wants("mode: SIMPLE, serverCertificate: /nobody/where.pem, privateKey: /no/key.pem",
		"list its directory in the Node's spec.tlsFiles");
	wants("mode: SIMPLE, serverCertificate: /no/where.pem", "no certificate is named");
	wants("mode: MUTUAL, serverCertificate: /a, privateKey: /b, caCertificates: system",
		"no roots of clients");
	wants("mode: SIMPLE, credentialName: one", NULL);
	wants("mode: SIMPLE, credentialName: one, minProtocolVersion: TLSV1_1, "
	      "maxProtocolVersion: TLSV1_3, cipherSuites: [AES128-SHA, "
	      "ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES128-GCM-SHA256]",
		NULL);
}

/* A missing mode is the API's PASSTHROUGH, except at a port of HTTP. */
static void no_mode(void)
{
	static const struct {
		const char *port, *tls, *what, *words;
	} rows[] = {
		{"{number: 8443, name: tls, protocol: TLS}", "", "bytes", NULL},
		{"{number: 8443, name: https, protocol: HTTPS}", "", "bytes", NULL},
		{"{number: 8443, name: tcp, protocol: TCP}", "", "bytes", NULL},
		{"{number: 8443, name: tls, protocol: TLS}", "credentialName: one", "bytes",
			"which is PASSTHROUGH: its certificate is not used"},
		{"{number: 8443, name: http, protocol: HTTP}", "httpsRedirect: true", "none",
			"no HTTP is redirected"},
		{"{number: 8443, name: http, protocol: HTTP}", "", "none", "none is in TLS"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char server[1024];
		struct built b;

		snprintf(server, sizeof(server),
			BYTES GATEWAY "  - port: %s\n    hosts: ['*']\n    tls: {%s}\n",
			rows[i].port, rows[i].tls);
		begin(server);
		add(ISTIO("VirtualService",
			"w") "  hosts: [c.example]\n  gateways: [g]\n  tls: [{match: [{sniHosts: "
			     "[c.example]}], route: [{destination: {host: p.x}}]}]\n");
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		GETS(b, 8443, "c.example", rows[i].what);
		CU_ASSERT_EQUAL(rows[i].words != NULL,
			rows[i].words && has_diag(&b, MT_DIAG_WARNING, 20, rows[i].words));
		unbuild(&b);
	}
}

/* Each other rule is another context. */
static void rules_differ(void)
{
	static const char *const rules[] = {"mode: SIMPLE", "mode: MUTUAL", "mode: OPTIONAL_MUTUAL",
		"mode: MUTUAL, subjectAltNames: [a.example]",
		"mode: MUTUAL, subjectAltNames: [b.example]",
		"mode: SIMPLE, minProtocolVersion: TLSV1_3",
		"mode: SIMPLE, maxProtocolVersion: TLSV1_2",
		"mode: SIMPLE, cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]"};
	struct mt_tls_context *seen[MT_ARRAY_LEN(rules)];
	struct pki_node one = leaf();
	char server[512];
	struct built b;

	begin(BYTES GATEWAY);
	for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
		snprintf(server, sizeof(server),
			"  - port: {number: %zu, name: tls, protocol: TLS}\n    hosts: ['*']\n"
			"    tls: {%s, credentialName: one}\n",
			9000 + i, rules[i]);
		add(server);
	}
	add(ROUTE("'*'"));
	add_pair("one", &one, one.key);
	add_secret("one-cacert");
	add_value("cacert", pki()->roots);
	b = build_text(NULL, text);
	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.inert, 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(at(&b, (uint16_t)(9000 + i)));
		seen[i] = at(&b, (uint16_t)(9000 + i))->chains[0].tls;
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_PTR_NOT_EQUAL(seen[i], seen[k]);
	}
	unbuild(&b);
	pki_free(&one);
}

static void of_the_mesh(void)
{
	struct mt_conf *conf = new_conf();
	struct built b;

	mt_conf_set_identity(conf, pki()->bob);
	begin(BYTES GATEWAY SERVER("8443", "a.example", "mode: ISTIO_MUTUAL") ROUTE("'*'"));
	b = build_text(conf, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	GETS(b, 8443, "a.example", "ends");
	GETS(b, 8443, NULL, "none");
	unbuild(&b);
}

static const char *put_file(char *path, size_t size, const char *name, const char *pem)
{
	FILE *f;

	snprintf(path, size, "/tmp/ends.%d.%s", getpid(), name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(pem, f);
	fclose(f);
	return path;
}

static void by_files(void)
{
	struct pki_node one = leaf();
	const X509 *certs[] = {one.cert};
	char *chain = pki_pem(certs, 1), *key = pki_key(one.key), server[512];
	char files[3][64];
	struct built b;

	begin(BYTES GATEWAY);
	snprintf(server, sizeof(server),
		"  - port: {number: 8443, name: tls, protocol: TLS}\n    hosts: ['*']\n    tls: "
		"{mode: "
		"MUTUAL, serverCertificate: %s, privateKey: %s, caCertificates: %s}\n",
		put_file(files[0], sizeof(files[0]), "crt", chain),
		put_file(files[1], sizeof(files[1]), "key", key),
		put_file(files[2], sizeof(files[2]), "roots", pki()->roots));
	add(server);
	add(ROUTE("'*'"));
	add(FILES_OF("/tmp"));
	b = build_text(NULL, text);
	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	GETS(b, 8443, "a.example", "ends");
	unbuild(&b);
	for (int i = 0; i < 3; i++)
		unlink(files[i]);
	free(chain);
	free(key);
	pki_free(&one);
}

/* A Secret that is named and of no use is refused, and so is the load with it; what it holds is in no word. */
static void bad_secrets(void)
{
	struct pki_node one = leaf(), two = leaf();
	char *other = pki_key(two.key), *good = pki_key(one.key);
	struct built b;

	for (int i = 0; i < 3; i++) {
		begin(BYTES GATEWAY SERVER("8443", "'*'", "mode: SIMPLE, credentialName: one")
				ROUTE("'*'"));
		if (i == 0)
			add_pair("one", &one, two.key);
		else
			add_secret("one");
		if (i == 1)
			add_value("tls.key", good);
		if (i == 2)
			add("  none: none\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: "
			    "idle}\nstringData: {tls.crt: bad}\n");
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT_EQUAL(b.diags.errors, 1);
		if (!has_diag(&b, MT_DIAG_ERROR, 30,
			    i ? "no certificate with a key" : "does not belong"))
			CU_FAIL("not told");
		for (uint32_t k = 0; k < b.diags.n; k++) {
			char words[1024];

			mt_diag_format(&b.diags.items[k], words, sizeof(words));
			CU_ASSERT_PTR_NULL(strstr(words, "PRIVATE"));
		}
		unbuild(&b);
	}
	free(other);
	free(good);
	pki_free(&one);
	pki_free(&two);
}

/* Whoever is not named by a server that is served has no effect, whatever it holds. */
static void idle_secrets(void)
{
	struct built b;

	begin(BYTES ISTIO("Gateway", "g") "  selector: {elsewhere: x}\n  servers:\n" SERVER(
		"8443", "'*'", "mode: SIMPLE, credentialName: one"));
	add_secret("one");
	add("  tls.crt: bad\n");
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.inert, 2);
	unbuild(&b);
}

static void two_secrets(const struct pki_node *one, const struct pki_node *two)
{
	begin(BYTES GATEWAY SERVER("8443", "'*'", "mode: SIMPLE, credentialName: one")
			SERVER("8444", "'*'", "mode: SIMPLE, credentialName: two") ROUTE("'*'"));
	add_pair("one", one, one->key);
	add_pair("two", two, two->key);
}

/* Another certificate in one Secret: its server has another context, and the other server keeps its own. */
static void replaced(void)
{
	struct pki_node one = leaf(), two = leaf(), new_ = leaf();
	const struct mt_tls_context *first, *second;
	uint64_t id;
	struct mt_model *m;
	struct mt_err err;
	struct built b;

	two_secrets(&one, &two);
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	first = at(&b, 8443)->chains[0].tls;
	second = at(&b, 8444)->chains[0].tls;
	id = at(&b, 8443)->chains[0].id;
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(b.conf, b.s, NOW, NULL, &err), 0);
	m = b.m;
	mt_diags_fini(&b.diags);
	two_secrets(&new_, &two);
	b = build_text(b.conf, text);
	mt_model_free(m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_PTR_NOT_EQUAL(at(&b, 8443)->chains[0].tls, first);
	CU_ASSERT_PTR_EQUAL(at(&b, 8444)->chains[0].tls, second);
	/* Who is connected was judged by the same rules, and is served on. */
	CU_ASSERT_EQUAL(at(&b, 8443)->chains[0].id, id);
	unbuild(&b);
	pki_free(&one);
	pki_free(&two);
	pki_free(&new_);
}

const struct mt_test ends_gateway_tests[] = {
	{"simple", simple},
	{"many_hosts", many_hosts},
	{"by_name", by_name},
	{"no_name_left", no_name_left},
	{"of_messages", of_messages},
	{"not_served", not_served},
	{"no_mode", no_mode},
	{"rules_differ", rules_differ},
	{"of_the_mesh", of_the_mesh},
	{"by_files", by_files},
	{"bad_secrets", bad_secrets},
	{"idle_secrets", idle_secrets},
	{"replaced", replaced},
	{0},
};
