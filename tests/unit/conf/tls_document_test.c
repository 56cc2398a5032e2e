/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS documents ask for towards instances, and what is called by it: rules, files, Secrets, Istio's own by instance. */
#include "../tls/pki.h"
#include "conf_test.h"
#include "conf_texts.h"
#include "mt_conf_certificates.h"
#include "mt_lend.h"
#include "mt_tls_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With a proxy by its label and its account; without; with one by its account. */
#define SERVICE(more)                                                                              \
	ISTIO("ServiceEntry", "m")                                                                 \
	"  hosts: [m.x]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"                        \
	"  ports: [{number: 1, name: tcp}, {number: 2, name: tcp-b}]\n" more                       \
	"  endpoints:\n  - {address: 198.51.100.1, serviceAccount: one, labels: "                  \
	"{security.istio.io/tlsMode: istio, version: v1}}\n"                                       \
	"  - {address: 198.51.100.2, labels: {version: v1}}\n"                                     \
	"  - {address: 198.51.100.3, serviceAccount: two}\n"
#define RULE(policy) ISTIO("DestinationRule", "d") "  host: m.x\n  trafficPolicy: " policy "\n"
#define PEERS(mode)                                                                                \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n"   \
	"spec: {mtls: {mode: " mode "}}\n"
#define ACCOUNTS "spiffe://cluster.local/ns/default/sa/one,spiffe://cluster.local/ns/default/sa/two"
#define MESH(port, subset)                                                                         \
	" sni outbound_." port "_." subset "_.m.x alpn istio of alice for " ACCOUNTS

static char dir[] = "/tmp/mt_conf_tls_XXXXXX";

static void put_file(const char *name, const char *text)
{
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void remove_files(void)
{
	static const char *const names[] = {"chain", "key", "roots", "crl"};
	char path[96];

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* As identity, whose rules are in use. */
static const char *whose(const struct mt_tls_context *t)
{
	if (t->credential == pki()->alice)
		return "alice";
	return t->credential->chain ? "another" : "nobody";
}

/* "T" by TLS, "-" in clear text, for each endpoint; then how. "closed", "none". */
static void words(const struct mt_cluster *c, char *buf, size_t size)
{
	FILE *f = fmemopen(buf, size, "w");

	if (c->closed_by)
		fprintf(f, "closed");
	for (uint32_t i = 0; i < c->n_eps; i++)
		fputc(c->eps[i].tls ? 'T' : '-', f);
	if (c->tls) {
		const struct mt_tls_context *t = c->tls;

		fprintf(f, " sni %s", t->sni ? t->sni : "-");
		fprintf(f, " alpn %.*s", t->alpn_len ? (int)t->alpn[0] : 1,
			t->alpn_len ? (const char *)t->alpn + 1 : "-");
		fprintf(f, " of %s%s for ", whose(t), t->trust == MT_TLS_ANYBODY ? ", any" : "");
		for (uint32_t i = 0; i < t->n_sans; i++)
			fprintf(f, "%s%s", i ? "," : "", t->sans[i].text);
		if (!t->n_sans)
			fprintf(f, "all");
	}
	fclose(f);
}

/* "@" is where the files are: no letter of a PEM text. */
static struct built build(const char *text, const char *more, bool identity)
{
	struct mt_conf *conf = new_conf();
	char *all = NULL;
	size_t size;
	FILE *f = open_memstream(&all, &size);
	struct built b;

	fputs(text, f);
	for (const char *p = more; *p; p++)
		if (*p == '@')
			fputs(dir, f);
		else
			fputc(*p, f);
	if (!strstr(text, "kind: Node") && !strstr(more, "kind: Node"))
		fprintf(f, FILES_OF("%s"), dir);
	fclose(f);
	mt_conf_set_identity(conf, identity ? pki()->alice : NULL);
	b = build_text(conf, all);
	free(all);
	if (!b.s)
		show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

static const struct {
	const char *more, *cluster, *want, *without; /* without an identity; NULL: the same */
} rows[] = {
	{"", "outbound|1||m.x", "T-T" MESH("1", ""), "-"},
	{"", "outbound|2||m.x", "T-T" MESH("2", ""), "-"},
	{PEERS("DISABLE"), "outbound|1||m.x", "---", NULL},
	{PEERS("STRICT"), "outbound|1||m.x", "T-T" MESH("1", ""), NULL},
	{RULE("{tls: {mode: DISABLE}}"), "outbound|1||m.x", "---", NULL},
	{RULE("{tls: {mode: ISTIO_MUTUAL}}"), "outbound|1||m.x", "TTT" MESH("1", ""), "closed"},
	{PEERS("DISABLE") RULE("{tls: {mode: ISTIO_MUTUAL}}"), "outbound|1||m.x",
		"TTT" MESH("1", ""), "closed"},
	{RULE("{tls: {mode: ISTIO_MUTUAL, sni: s.x, subjectAltNames: [a.x, b.x]}}"),
		"outbound|1||m.x", "TTT sni s.x alpn istio of alice for a.x,b.x", "closed"},
	/* Of one port, of a subset, and of a port of it. */
	{RULE("{portLevelSettings: [{port: {number: 2}, tls: {mode: DISABLE}}]}"),
		"outbound|2||m.x", "---", NULL},
	{RULE("{portLevelSettings: [{port: {number: 2}, tls: {mode: DISABLE}}]}"),
		"outbound|1||m.x", "T-T" MESH("1", ""), "-"},
	{RULE("{tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 2}, tls: {mode: "
	      "DISABLE}}]}"),
		"outbound|2||m.x", "---", NULL},
	/* Without `tls` the settings of a port replace that of the rule all the same. */
	{RULE("{tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 2}, loadBalancer: "
	      "{simple: RANDOM}}]}"),
		"outbound|2||m.x", "T-T" MESH("2", ""), "-"},
	{RULE("{tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 2}, loadBalancer: "
	      "{simple: RANDOM}}]}"),
		"outbound|1||m.x", "TTT" MESH("1", ""), "closed"},
	{RULE("{tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 2}}]}"),
		"outbound|2||m.x", "T-T" MESH("2", ""), "-"},
	{RULE("{tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 1}}]}") "  subsets: "
										  "[{name: v1, "
										  "labels: "
										  "{version: "
										  "v1}}]\n",
		"outbound|1|v1|m.x", "T-" MESH("1", "v1"), "-"},
	{RULE("{}") "  subsets: [{name: v1, labels: {version: v1}}]\n", "outbound|1|v1|m.x",
		"T-" MESH("1", "v1"), "-"},
	{RULE("{tls: {mode: ISTIO_MUTUAL}}") "  subsets: [{name: v1, labels: {version: v1}, "
					     "trafficPolicy: {tls: {mode: DISABLE}}}]\n",
		"outbound|1|v1|m.x", "--", NULL},
	{RULE("{tls: {mode: DISABLE}}") "  subsets: [{name: v1, labels: {version: v1}, "
					"trafficPolicy: {portLevelSettings: [{port: {number: 1}, "
					"tls: {mode: ISTIO_MUTUAL}}]}}]\n",
		"outbound|1|v1|m.x", "TT" MESH("1", "v1"), "closed"},
	/* TLS that takes no identity. */
	{RULE("{tls: {mode: SIMPLE, sni: s.x, caCertificates: @/roots}}"), "outbound|1||m.x",
		"TTT sni s.x alpn - of nobody for s.x", NULL},
	{RULE("{tls: {mode: SIMPLE, caCertificates: @/roots, caCrl: @/crl}}"), "outbound|1||m.x",
		"TTT sni - alpn - of nobody for all", NULL},
	{RULE("{tls: {mode: SIMPLE, insecureSkipVerify: true, sni: s.x}}"), "outbound|1||m.x",
		"TTT sni s.x alpn - of nobody, any for all", NULL},
	{RULE("{tls: {mode: MUTUAL, sni: s.x, subjectAltNames: [a.x], caCertificates: @/roots, "
	      "clientCertificate: @/chain, privateKey: @/key}}"),
		"outbound|1||m.x", "TTT sni s.x alpn - of another for a.x", NULL},
	{RULE("{tls: {mode: MUTUAL, caCertificates: @/roots, clientCertificate: @/chain}}"),
		"outbound|1||m.x", "closed", NULL},
	{RULE("{tls: {mode: MUTUAL, caCertificates: @/roots, clientCertificate: @/chain, "
	      "privateKey: @/roots}}"),
		"outbound|1||m.x", "closed", NULL},
	{RULE("{tls: {mode: SIMPLE, caCertificates: @/none}}"), "outbound|1||m.x", "closed", NULL},
	{RULE("{tls: {mode: SIMPLE, caCertificates: @}}"), "outbound|1||m.x", "closed", NULL},
	{RULE("{tls: {mode: SIMPLE, caCertificates: roots}}"), "outbound|1||m.x", "closed", NULL},
	{RULE("{tls: {mode: SIMPLE, caCertificates: @/roots, caCrl: @/none}}"), "outbound|1||m.x",
		"closed", NULL},
	{RULE("{tls: {mode: SIMPLE, credentialName: none}}"), "outbound|1||m.x", "closed", NULL},
};

static void prepare(void)
{
	char *chain, *key, *crl;
	const X509 *certs[1];
	const struct pki_how how = {.san = "URI:spiffe://x/y"};
	struct pki_node n;

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	n = pki_make(&pki()->root, &how);
	certs[0] = n.cert;
	chain = pki_pem(certs, 1);
	key = pki_key(n.key);
	crl = pki_crl(&pki()->root, NULL, false);
	put_file("chain", chain);
	put_file("key", key);
	put_file("roots", pki()->roots);
	put_file("crl", crl);
	free(chain);
	free(key);
	free(crl);
	pki_free(&n);
}

static void judge(size_t i, bool identity)
{
	const char *want = identity || !rows[i].without ? rows[i].want : rows[i].without;
	struct built b = build(SERVICE(""), rows[i].more, identity);
	char got[1024];

	words(cluster(b.s, rows[i].cluster), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, want);
	if (strcmp(got, want) != 0) {
		fprintf(stderr, "row %zu: %s\n", i, got);
		show_diags(&b);
	}
	/* Never in clear text instead. */
	CU_ASSERT_EQUAL(
		strstr(want, "closed") != NULL, cluster(b.s, rows[i].cluster)->closed_by != NULL);
	unbuild(&b);
}

static void as_written(void)
{
	prepare();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		judge(i, true);
		/* STRICT closes the bare instance where nobody can show a certificate. */
		if (i != 3)
			judge(i, false);
	}
	remove_files();
}

/* ---- names ------------------------------------------------------------------------------------------- */

static void names(void)
{
	struct built b = build(SERVICE("  subjectAltNames: [e.x]\n"), "", true);
	char got[1024];

	words(cluster(b.s, "outbound|1||m.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, "T-T sni outbound_.1_._.m.x alpn istio of alice for e.x");
	unbuild(&b);
	/* The rule's own come first. */
	b = build(SERVICE("  subjectAltNames: [e.x]\n"),
		RULE("{tls: {mode: ISTIO_MUTUAL, subjectAltNames: [r.x]}}"), true);
	words(cluster(b.s, "outbound|1||m.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, "TTT sni outbound_.1_._.m.x alpn istio of alice for r.x");
	unbuild(&b);
	/* Nobody says which they have. */
	b = build(ISTIO("ServiceEntry", "m") "  hosts: [m.x]\n  location: MESH_INTERNAL\n  "
					     "resolution: STATIC\n  ports: [{number: 1, name: "
					     "tcp}]\n  endpoints: [{address: 198.51.100.1, labels: "
					     "{security.istio.io/tlsMode: istio}}]\n",
		"", true);
	words(cluster(b.s, "outbound|1||m.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, "T sni outbound_.1_._.m.x alpn istio of alice for all");
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_NOTE, 2, "any certificate of the mesh"));
	unbuild(&b);
}

/* What a rule says of TLS is what its cluster is made of. */
static void another_word(void)
{
	struct built first = build(SERVICE(""),
			     RULE("{tls: {mode: SIMPLE, insecureSkipVerify: true, sni: a.x}}"),
			     false),
		     second;
	char got[1024];

	second = build_text(first.conf,
		SERVICE("") RULE("{tls: {mode: SIMPLE, insecureSkipVerify: true, sni: b.x}}"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(second.s);
	words(cluster(second.s, "outbound|1||m.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, "TTT sni b.x alpn - of nobody, any for all");
	mt_conf_discard(first.conf, first.s, NOW);
	mt_diags_fini(&first.diags);
	mt_model_free(first.m);
	unbuild(&second);
}

/* ---- Secrets ----------------------------------------------------------------------------------------- */

static void put_value(FILE *f, const char *key, const char *pem)
{
	fprintf(f, "  %s: \"", key);
	for (; *pem; pem++)
		fputs(*pem == '\n' ? "\\n" : (const char[]){*pem, '\0'}, f);
	fputs("\"\n", f);
}

static void put_secret(FILE *f, const char *name, const char *ns)
{
	fprintf(f,
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: "
		"%s}\nstringData:\n",
		name, ns);
}

/* Of the rule's namespace alone; roots beside the certificate, or in a Secret of their own. */
static void secrets(void)
{
	static const struct {
		const char *name, *ns;
		bool beside;
		const char *want;
	} cases[] = {
		{"cred", "default", true, "TTT sni - alpn - of another for a.x"},
		{"cred", "default", false, "TTT sni - alpn - of another for a.x"},
		{"cred", "other", true, "closed"},
		{"creds", "default", true, "closed"},
	};
	char *chain, *key, got[1024];
	const struct pki_how how = {.san = "URI:spiffe://x/y"};
	struct pki_node n = pki_make(&pki()->root, &how);
	const X509 *certs[1] = {n.cert};

	chain = pki_pem(certs, 1);
	key = pki_key(n.key);
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);
		struct built b;

		fputs(RULE("{tls: {mode: MUTUAL, credentialName: cred, subjectAltNames: [a.x]}}"),
			f);
		put_secret(f, cases[i].name, cases[i].ns);
		put_value(f, "tls.crt", chain);
		put_value(f, "tls.key", key);
		if (!cases[i].beside)
			put_secret(f, "cred-cacert", "default");
		put_value(f, "ca.crt", pki()->roots);
		fclose(f);
		b = build(SERVICE(""), text, false);
		words(cluster(b.s, "outbound|1||m.x"), got, sizeof(got));
		CU_ASSERT_STRING_EQUAL(got, cases[i].want);
		unbuild(&b);
		free(text);
	}
	free(chain);
	free(key);
	pki_free(&n);
}

/* An empty value of a Secret counts as absent, by either name of the key. */
static void empty_in_secret(void)
{
	static const struct {
		const char *lines;
		bool cacert;
		const char *want, *words;
	} cases[] = {
		{"data: {ca.crt: \"\"}\nstringData:\n", true, "TTT sni - alpn - of nobody for a.x",
			NULL},
		{"data: {ca.crt: }\nstringData:\n", true, "TTT sni - alpn - of nobody for a.x",
			NULL},
		{"data: {ca.crt: \"\\n\"}\nstringData:\n  ca.crl: \"\"\n", true,
			"TTT sni - alpn - of nobody for a.x", NULL},
		{"stringData:\n  ca.crt: \"\"\n", true, "TTT sni - alpn - of nobody for a.x", NULL},
		{"data: {cacert: \"!\"}\nstringData:\n  cacert: \"\"\n", false, "closed",
			"Secret default/cred has no roots (ca.crt)"},
		{"data: {ca.crt: \"\"}\n", false, "closed",
			"Secret default/cred has no roots (ca.crt)"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		char *text = NULL, got[1024];
		bool told = false;
		size_t size;
		FILE *f = open_memstream(&text, &size);
		struct built b;

		fputs(RULE("{tls: {mode: SIMPLE, credentialName: cred, subjectAltNames: [a.x]}}"),
			f);
		fputs("---\napiVersion: v1\nkind: Secret\nmetadata: {name: cred, namespace: "
		      "default}\n",
			f);
		fputs(cases[i].lines, f);
		if (cases[i].cacert)
			put_value(f, "cacert", pki()->roots);
		fclose(f);
		b = build(SERVICE(""), text, false);
		words(cluster(b.s, "outbound|1||m.x"), got, sizeof(got));
		CU_ASSERT_STRING_EQUAL(got, cases[i].want);
		for (uint32_t k = 0; cases[i].words && k < b.diags.n; k++)
			told |= strstr(b.diags.items[k].message, cases[i].words) != NULL;
		CU_ASSERT_EQUAL(told, cases[i].words != NULL);
		if (told != (cases[i].words != NULL) || strcmp(got, cases[i].want) != 0)
			show_diags(&b);
		unbuild(&b);
		free(text);
	}
}

/* ---- revocation lists, which end ------------------------------------------------------------------------- */

/* The only lists of the documents, and no certificate. */
static void has_list(const char *more, const char *name)
{
	struct built b = build(SERVICE(""), more, false);
	struct mt_conf_certificate x;
	uint32_t pos = 0;

	CU_ASSERT_TRUE_FATAL(mt_conf_revocations_next(b.conf, &pos, &x));
	CU_ASSERT_EQUAL(x.len, strlen(name));
	CU_ASSERT_EQUAL(strncmp(x.name, name, x.len), 0);
	CU_ASSERT_EQUAL((x.not_after - x.not_before) / 60, 3 * 60);
	CU_ASSERT_FALSE(mt_conf_revocations_next(b.conf, &pos, &x));
	pos = 0;
	CU_ASSERT_FALSE(mt_conf_certificate_next(b.conf, &pos, &x));
	unbuild(&b);
}

static void revocations(void)
{
	char *crl = pki_crl(&pki()->root, NULL, false), *text = NULL, path[96];
	struct mt_conf_certificate x;
	uint32_t pos = 0;
	struct built b;
	size_t size;
	FILE *f;

	prepare();
	snprintf(path, sizeof(path), "%s/crl", dir);
	has_list(RULE("{tls: {mode: SIMPLE, caCertificates: @/roots, caCrl: @/crl}}"), path);
	b = build(SERVICE(""), RULE("{tls: {mode: SIMPLE, caCertificates: @/roots}}"), false);
	CU_ASSERT_FALSE(mt_conf_revocations_next(b.conf, &pos, &x));
	unbuild(&b);
	f = open_memstream(&text, &size);
	fputs(RULE("{tls: {mode: SIMPLE, credentialName: cred, subjectAltNames: [a.x]}}"), f);
	put_secret(f, "cred", "default");
	put_value(f, "ca.crt", pki()->roots);
	put_value(f, "ca.crl", crl);
	fclose(f);
	has_list(text, "kubernetes://default/cred");
	free(text);
	free(crl);
	remove_files();
}

/* ---- who has them ------------------------------------------------------------------------------------ */

static void rest_of_them(void)
{
	struct built b = build(SERVICE(""), "", true);
	const struct mt_cluster *c = cluster(b.s, "outbound|1||m.x");

	CU_ASSERT_PTR_NOT_NULL_FATAL(c->lend);
	CU_ASSERT_EQUAL(mt_cluster_need_lend(c), 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->unlent);
	CU_ASSERT_EQUAL_FATAL(c->unlent->n_eps, 1);
	CU_ASSERT_STRING_EQUAL(endpoint(c->unlent, 0), "198.51.100.2:1");
	CU_ASSERT_TRUE(
		has_diag(&b, MT_DIAG_WARNING, 2, "2 of 3 endpoints need the node's identity"));
	unbuild(&b);
	b = build("apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: "
		  "[{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n  mesh: "
		  "{nodeIdentityUse: "
		  "{clients: [10.0.0.0/8], to: [default]}}\n" SERVICE(""),
		"", true);
	c = cluster(b.s, "outbound|1||m.x");
	CU_ASSERT_EQUAL(mt_cluster_need_lend(c), 0);
	CU_ASSERT_EQUAL(c->lend->n_prefixes, 1);
	CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_WARNING, 8, "need the node's identity"));
	unbuild(&b);
}

#define LENT_NODE                                                                                  \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: [{name: p0, " \
	"device: net_null0, addresses: [192.0.2.1/24]}]\n  mesh: {nodeIdentityUse: {clients: "     \
	"[10.0.0.0/8], to: [default]}}\n"

/* Rules that demand the node's identity, while no client may use it. */
static void denied_to_all(void)
{
	static const char words[] = "m.x need the node's identity, which no client may use";
	static const struct {
		const char *more;
		uint32_t line; /* 0: no warning */
	} cases[] = {
		{RULE("{tls: {mode: ISTIO_MUTUAL}}"), 20},
		{RULE("{portLevelSettings: [{port: {number: 2}, tls: {mode: ISTIO_MUTUAL}}]}"), 20},
		{RULE("{}") "  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: "
			    "{mode: "
			    "ISTIO_MUTUAL}}}]\n",
			21},
		{RULE("{tls: {mode: SIMPLE, sni: s.x, caCertificates: @/roots}}"), 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct built b = build(SERVICE(""), cases[i].more, true);

		for (uint32_t line = 1; line < 40; line++)
			CU_ASSERT_EQUAL(
				has_diag(&b, MT_DIAG_WARNING, line, words), line == cases[i].line);
		unbuild(&b);
		/* Some client may use it. */
		b = build(LENT_NODE SERVICE(""), cases[i].more, true);
		for (uint32_t line = 1; line < 40; line++)
			CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_WARNING, line, words));
		unbuild(&b);
	}
}

/* HBONE is not spoken: neither by mTLS nor in clear text. */
static void ambient(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_service_entry *se;
	struct mt_diags diags;
	struct mt_snapshot *s;
	char got[1024];

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", SERVICE(""), strlen(SERVICE("")));
	se = m->service_entries.v[0];
	se->endpoints[2].proxy = MT_PROXY_AMBIENT;
	mt_conf_set_identity(conf, pki()->alice);
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	words(cluster(s, "outbound|1||m.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, "T-" MESH("1", ""));
	mt_conf_discard(conf, s, NOW);
	m->mesh.no_auto_mtls = true;
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	words(cluster(s, "outbound|1||m.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, "---");
	mt_conf_discard(conf, s, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

const struct mt_test tls_document_tests[] = {
	{"as_written", as_written},
	{"names", names},
	{"another_word", another_word},
	{"secrets", secrets},
	{"empty_in_secret", empty_in_secret},
	{"revocations", revocations},
	{"rest_of_them", rest_of_them},
	{"rules that no client may use", denied_to_all},
	{"ambient", ambient},
	{0},
};
