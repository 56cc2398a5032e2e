/* SPDX-License-Identifier: Apache-2.0 */
/* Files that documents may name, and those that they may not: other directories', other namespaces', the node's own. */
#include "../tls/pki.h"
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/mt_conf_files_XXXXXX";
static struct mt_credential *own;

static const char *in_dir(const char *name)
{
	static char paths[4][96];
	static unsigned int n;
	char *path = paths[n++ % MT_ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void put_file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void put_link(const char *target, const char *name)
{
	CU_ASSERT_EQUAL_FATAL(symlink(target, in_dir(name)), 0);
}

/* A certificate with its key. */
static void put_pair(const char *chain, const char *key, const struct pki_node *n)
{
	const X509 *certs[1] = {n->cert};
	char *text = pki_pem(certs, 1);

	put_file(chain, text);
	free(text);
	text = pki_key(n->key);
	put_file(key, text);
	free(text);
}

static struct mt_credential *credential_of(const struct pki_node *n)
{
	const X509 *certs[1] = {n->cert};
	char *chain = pki_pem(certs, 1), *key = pki_key(n->key);
	const struct mt_credential_texts texts = {.chain = chain, .key = key};
	struct mt_err e;
	struct mt_credential *c = mt_credential_new(&texts, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	free(chain);
	free(key);
	return c;
}

static void prepare(void)
{
	static const char *const directories[] = {"tls", "tls/below", "tls-more", "own", "agent"};
	const struct pki_how how = {.san = "URI:spiffe://x/y"},
			     mine = {.san = "URI:spiffe://x/ns/a/sa/node"};
	struct pki_node n = pki_make(&pki()->root, &how), node = pki_make(&pki()->root, &mine);

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	for (size_t i = 0; i < MT_ARRAY_LEN(directories); i++)
		CU_ASSERT_EQUAL(mkdir(in_dir(directories[i]), 0700), 0);
	put_pair("tls/chain", "tls/key", &n);
	put_pair("tls/below/chain", "tls/below/key", &n);
	put_pair("tls-more/chain", "tls-more/key", &n);
	put_pair("agent/cert-chain.pem", "agent/key.pem", &n);
	put_pair("own/cert-chain.pem", "own/key.pem", &node);
	put_pair("tls/copy", "tls/copied-key", &node);
	put_file("tls/roots", pki()->roots);
	put_link("chain", "tls/link");
	put_link("../tls-more/chain", "tls/out");
	put_link("/etc/hostname", "tls/absolute");
	put_link("below", "tls/directory");
	put_link("tls", "also");
	own = credential_of(&node);
	pki_free(&n);
	pki_free(&node);
}

static void clean(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	mt_credential_drop(own);
}

#define SERVICE                                                                                    \
	ISTIO("ServiceEntry", "m")                                                                 \
	"  hosts: [m.x]\n  resolution: STATIC\n  ports: [{number: 1, name: tcp}]\n"                \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define LINE 16 /* of the rule's settings */

/* "@" is the directory. */
static struct built build(struct mt_conf *conf, const char *node, const char *tls)
{
	char *text = NULL, *all;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct built b;

	fprintf(f,
		SERVICE ISTIO("DestinationRule", "d") "  host: m.x\n  trafficPolicy: {tls: {%s}}\n"
						      "---\napiVersion: meltemi.io/v1\nkind: "
						      "Node\nmetadata: {name: n}\nspec: "
						      "{locality: {region: r}%s}\n",
		tls, node);
	fclose(f);
	all = text;
	text = NULL;
	f = open_memstream(&text, &size);
	for (const char *p = all; *p; p++)
		fputs(*p == '@' ? dir : (const char[]){*p, '\0'}, f);
	fclose(f);
	b = build_text(conf, text);
	free(all);
	free(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

#define LISTS(directory) ", tlsFiles: [{directory: " directory "}]"
#define PAIR(chain, key)                                                                           \
	"mode: MUTUAL, insecureSkipVerify: true, clientCertificate: " chain ", privateKey: " key
#define ROOTS(roots) "mode: SIMPLE, caCertificates: " roots
#define GOOD	     PAIR("@/tls/chain", "@/tls/key")
#define IN_NONE(path)                                                                              \
	path ": it is in no directory that the Node's spec.tlsFiles lists for namespace default"
#define LEADS_OUT(path)		path ": a symbolic link leads out of the directory of the Node's"
#define IS_OWN(path)		path ": it is of the node's own identity"
#define IS_NODES(path, section) path ": it is of the Node's " section ", which documents cannot use"

static const struct {
	const char *node, *tls, *field, *words; /* words NULL: it is served */
} rows[] = {
	/* Without a list none. */
	{"", GOOD, "clientCertificate", IN_NONE("/tls/chain")},
	{"", ROOTS("@/tls/roots"), "caCertificates", IN_NONE("/tls/roots")},
	{"", ROOTS("system"), NULL, NULL},
	{LISTS("@/tls"), GOOD, NULL, NULL},
	{LISTS("@/tls/"), PAIR("@/tls//chain", "@//tls/below/key"), NULL, NULL},
	{LISTS("/"), GOOD, NULL, NULL},
	{LISTS("@/tls"), ROOTS("@/tls/roots"), NULL, NULL},
	{LISTS("@/tls/below"), PAIR("@/tls/below/chain", "@/tls/key"), "privateKey",
		IN_NONE("/tls/key")},
	/* The list is of directories, not of beginnings of names. */
	{LISTS("@/tls"), PAIR("@/tls-more/chain", "@/tls-more/key"), "clientCertificate",
		IN_NONE("/tls-more/chain")},
	{LISTS("@/tls"), ROOTS("@/tls"), "caCertificates", IN_NONE("/tls")},
	/* The directory's own path may have links. */
	{LISTS("@/also"), PAIR("@/also/chain", "@/also/key"), NULL, NULL},
	{LISTS("@/also"), GOOD, "clientCertificate", IN_NONE("/tls/chain")},
	{LISTS("@/tls"), PAIR("@/tls/link", "@/tls/directory/key"), NULL, NULL},
	{LISTS("@/tls"), PAIR("@/tls/out", "@/tls-more/key"), "clientCertificate",
		LEADS_OUT("/tls/out")},
	{LISTS("@/tls"), ROOTS("@/tls/absolute"), "caCertificates", LEADS_OUT("/tls/absolute")},
	{LISTS("@/tls"), ROOTS("@/tls/../tls/roots"), "caCertificates",
		LEADS_OUT("/tls/../tls/roots")},
	/* One of several directories has it. */
	{", tlsFiles: [{directory: @/tls}, {directory: @}]", PAIR("@/tls/out", "@/tls-more/key"),
		NULL, NULL},
	{", tlsFiles: [{directory: @/tls, namespaces: [a, default]}]", GOOD, NULL, NULL},
	{", tlsFiles: [{directory: @/tls, namespaces: [a, b]}]", GOOD, "clientCertificate",
		IN_NONE("/tls/chain")},
	/* The node's own: its files, what leads to them, and copies; its roots are free. */
	{LISTS("@") ", identity: {directory: @/agent}",
		PAIR("@/agent/cert-chain.pem", "@/agent/key.pem"), "clientCertificate",
		IS_OWN("/agent/cert-chain.pem")},
	{LISTS("@") ", identity: {directory: @/agent}", PAIR("@/tls/chain", "@/agent/key.pem"),
		"privateKey", IS_OWN("/agent/key.pem")},
	{LISTS("@") ", identities: [{principal: 'spiffe://x/y', directory: @/agent}]",
		PAIR("@/tls/chain", "@/agent/key.pem"), "privateKey", IS_OWN("/agent/key.pem")},
	{LISTS("@") ", sources: [{xds: {servers: [a.x:1], nodeId: n, certificate: @/tls/chain, "
		    "key: @/tls/key}}]",
		GOOD, "clientCertificate", IS_NODES("/tls/chain", "spec.sources[].xds")},
	{LISTS("@") ", admin: {tls: {listen: '127.0.0.1:1', certificate: @/tls/chain, key: "
		    "@/tls/key, clientRoots: @/tls/roots, roles: [{identity: a, role: view}]}}",
		GOOD, "clientCertificate", IS_NODES("/tls/chain", "spec.admin.tls")},
	{LISTS("@") ", admin: {tls: {listen: '127.0.0.1:1', certificate: @/tls/below/chain, key: "
		    "@/tls/key, clientRoots: @/tls/roots, roles: [{identity: a, role: view}]}}",
		GOOD, "privateKey", IS_NODES("/tls/key", "spec.admin.tls")},
	{LISTS("@") ", otlp: {endpoint: 'https://c:1', roots: @/tls/roots, certificate: "
		    "@/tls/chain, key: @/tls/key}",
		GOOD, "clientCertificate", IS_NODES("/tls/chain", "spec.otlp")},
	{LISTS("@") ", otlp: {endpoint: 'https://c:1', roots: @/tls/roots, certificate: "
		    "@/tls/below/chain, key: @/tls/key}",
		GOOD, "privateKey", IS_NODES("/tls/key", "spec.otlp")},
	{LISTS("@") ", otlp: {endpoint: 'https://c:1', roots: @/tls/roots}", ROOTS("@/tls/roots"),
		NULL, NULL},
	{LISTS("@") ", identity: {directory: @/agent}", ROOTS("@/tls/roots"), NULL, NULL},
	{LISTS("@"), PAIR("@/own/cert-chain.pem", "@/own/key.pem"), "privateKey",
		IS_OWN("/own/key.pem")},
	{LISTS("@/tls"), PAIR("@/tls/copy", "@/tls/copied-key"), "privateKey",
		IS_OWN("/tls/copied-key")},
};

static bool is_closed(const struct built *b)
{
	return cluster(b->s, "outbound|1||m.x")->closed_by != NULL;
}

static void judge(size_t i)
{
	struct mt_conf *conf = new_conf();
	struct built b;
	char field[96];

	mt_conf_set_identity(conf, own);
	b = build(conf, rows[i].node, rows[i].tls);
	if (is_closed(&b) != (rows[i].words != NULL)) {
		CU_FAIL("it is served, or is not, against the row");
		fprintf(stderr, "row %zu\n", i);
		show_diags(&b);
	}
	snprintf(field, sizeof(field), "spec.trafficPolicy.tls.%s: TLS to endpoints cannot be",
		rows[i].field ? rows[i].field : "");
	CU_ASSERT_EQUAL(b.diags.unreadable, rows[i].words ? 1 : 0);
	if (rows[i].words && (!has_diag(&b, MT_DIAG_UNREADABLE, LINE, rows[i].words) ||
				     !has_diag(&b, MT_DIAG_UNREADABLE, LINE, field))) {
		CU_FAIL("not told");
		fprintf(stderr, "row %zu\n", i);
		show_diags(&b);
	}
	unbuild(&b);
}

static void as_listed(void)
{
	prepare();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		judge(i);
	clean();
}

/* Each refusal has what to do about it. */
static void remedies(void)
{
	struct mt_conf *conf = new_conf();
	struct built b;

	prepare();
	b = build(NULL, "", GOOD);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNREADABLE, LINE,
		"(list its directory in the Node's spec.tlsFiles, or write a Secret and "
		"credentialName)"));
	unbuild(&b);
	b = build(NULL, LISTS("@/tls"), ROOTS("@/tls/absolute"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNREADABLE, LINE, "or make the link a relative one)"));
	unbuild(&b);
	mt_conf_set_identity(conf, own);
	b = build(conf, LISTS("@"), PAIR("@/tls/copy", "@/tls/copied-key"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNREADABLE, LINE,
		"(write mode: ISTIO_MUTUAL; the Node's spec.mesh.nodeIdentityUse lists"));
	unbuild(&b);
	b = build(NULL,
		LISTS("@") ", otlp: {endpoint: 'https://c:1', roots: @/tls/roots, certificate: "
			   "@/tls/chain, key: @/tls/key}",
		GOOD);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNREADABLE, LINE,
		"(write a certificate and a key of the documents' own)"));
	unbuild(&b);
	clean();
}

/* What the daemon found in a bootstrap file, from the next compile on. */
static void of_a_bootstrap(void)
{
	struct mt_conf *conf = new_conf();
	struct built b;

	prepare();
	CU_ASSERT_EQUAL(mt_conf_own_file(conf, in_dir("agent/key.pem")), 0);
	CU_ASSERT_EQUAL(mt_conf_own_file(conf, in_dir("tls/key")), 0);
	CU_ASSERT_EQUAL(mt_conf_own_file(conf, in_dir("tls/key")), 0);
	b = build(conf, LISTS("@"), GOOD);
	CU_ASSERT_TRUE(is_closed(&b));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNREADABLE, LINE,
		IS_NODES("/tls/key", "spec.sources[].xds.bootstrap")));
	unbuild(&b);
	clean();
}

/* The same process, later: of one build nothing but the credentials is left. */
static void again(struct built *b, const char *node)
{
	struct mt_conf *conf = b->conf;

	mt_conf_discard(conf, b->s, NOW);
	mt_diags_fini(&b->diags);
	mt_model_free(b->m);
	*b = build(conf, node, GOOD);
}

/*
 * What the operator takes away ends at once, unlike a file that is broken: then the last good one
 * stays.
 */
static void taken_away(void)
{
	struct built b;

	prepare();
	b = build(NULL, LISTS("@/tls"), GOOD);
	CU_ASSERT_FALSE(is_closed(&b));
	CU_ASSERT_EQUAL(rename(in_dir("tls/key"), in_dir("tls/kept")), 0);
	put_link("../tls-more/key", "tls/key");
	again(&b, LISTS("@/tls"));
	CU_ASSERT_FALSE(is_closed(&b));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, LINE, LEADS_OUT("/tls/key")));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, LINE, "stay in use"));
	again(&b, LISTS("@/own"));
	CU_ASSERT_TRUE(is_closed(&b));
	CU_ASSERT_EQUAL(rename(in_dir("tls/kept"), in_dir("tls/key")), 0);
	again(&b, LISTS("@/tls"));
	CU_ASSERT_FALSE(is_closed(&b));
	/* The pair becomes the node's own. */
	again(&b, LISTS("@/tls") ", sources: [{xds: {servers: [a.x:1], nodeId: n, certificate: "
				 "@/tls/chain, key: @/tls/key}}]");
	CU_ASSERT_TRUE(is_closed(&b));
	unbuild(&b);
	clean();
}

/*
 * After the Node lists other directories for a file, its last good version is used no more if the
 * file cannot be read now: it may have been read through a link that leads out of these.
 */
static void narrowed(void)
{
	static const char *const ways[] = {
		"ln -s ../tls-more/key tls/key", "true", "mkdir tls/key", "echo broken > tls/key"};

	for (size_t i = 0; i < MT_ARRAY_LEN(ways); i++) {
		char cmd[160];
		struct built b;

		prepare();
		b = build(NULL, LISTS("@"), GOOD);
		CU_ASSERT_FALSE(is_closed(&b));
		snprintf(cmd, sizeof(cmd), "cd %s && mv tls/key tls/kept && %s", dir, ways[i]);
		CU_ASSERT_EQUAL(system(cmd), 0);
		/* Directories of others change nothing. */
		again(&b, LISTS("@"));
		CU_ASSERT_FALSE(is_closed(&b));
		again(&b, ", tlsFiles: [{directory: @}, {directory: @/own}, {directory: /, "
			  "namespaces: [b]}]");
		CU_ASSERT_FALSE(is_closed(&b));
		again(&b, LISTS("@/tls"));
		CU_ASSERT_TRUE(is_closed(&b));
		again(&b, LISTS("@"));
		CU_ASSERT_EQUAL(is_closed(&b), i != 0);
		snprintf(cmd, sizeof(cmd), "cd %s && rm -rf tls/key && mv tls/kept tls/key", dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		again(&b, LISTS("@/tls"));
		CU_ASSERT_FALSE(is_closed(&b));
		unbuild(&b);
		clean();
	}
}

const struct mt_test tls_files_tests[] = {
	{"as_listed", as_listed},
	{"remedies", remedies},
	{"of_a_bootstrap", of_a_bootstrap},
	{"taken_away", taken_away},
	{"narrowed", narrowed},
	{0},
};
