/* SPDX-License-Identifier: Apache-2.0 */
/* `explain` on a node with an identity. */
#include "suites.h"

#include "mt_codec_registry.h"
#include "mt_source.h"
#include "tls/pki.h"

#define OF(protocol)                                                                               \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                                 \
	"metadata: {name: a, namespace: shop}\nspec:\n  hosts: [a.x]\n"                            \
	"  addresses: [240.240.1.1]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"            \
	"  ports: [{number: 80, name: tcp-metaprotocol-" protocol ", protocol: TCP}]\n"            \
	"  endpoints: [{address: 198.51.100.1, labels: {security.istio.io/tlsMode: istio}}]\n"
#define SERVICE OF("thrift")
#define STRICT                                                                                     \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"                        \
	"metadata: {name: p, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n"

/*
 * The answer to a command under these documents and codecs (NULL: of this build), on a node with an
 * identity.
 */
static char *answered(
	const char *text, struct mt_codec_registry *codecs, const char *line, int *code)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_conf *conf;
	struct mt_ctl *c;
	struct mt_err e;
	char *answer;

	conf = mt_conf_create(&opts, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	mt_conf_set_identity(conf, pki()->alice);
	if (codecs)
		mt_conf_set_codecs(conf, codecs);
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t.yaml", text, strlen(text));
	s = mt_conf_compile(conf, m, &diags, c->now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, s, c->now, NULL, &e), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	answer = test_run(c, line, code);
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
	return answer;
}

static char *explained(const char *text, const char *line, int *code)
{
	return answered(text, NULL, line, code);
}

/* With an identity a port of messages also forwards TLS as bytes, which is no second protocol. */
static void test_protocol(void)
{
	int code;
	char *text =
		explained(SERVICE STRICT, "explain service=a.x method=add src=192.0.2.1", &code);

	CU_ASSERT_EQUAL(code, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "thrift"));
	CU_ASSERT_PTR_NULL(strstr(text, "give protocol="));
	free(text);
	pki_end();
}

#define SHARED(name, annotations)                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: shop, annotations: {" annotations "}}\nspec:\n"     \
	"  hosts: [" name ".x]\n  addresses: [240.240.1.2]\n  resolution: STATIC\n"                \
	"  ports: [{number: 80, name: tcp-metaprotocol-thrift, protocol: TCP}]\n"                  \
	"  endpoints: [{address: 198.51.100.2}]\n"
#define SENT "sent to an endpoint, by the shares below"

/* Plain calls of Thrift name no service, and an address with several services has none for them. */
static void test_unnamed(void)
{
	static const struct {
		const char *text, *line, *words;
	} rows[] = {
		{SHARED("b", ""), "explain service=b.x method=add", NULL},
		{SHARED("b", "") SHARED("c", ""), "explain service=b.x method=add",
			SENT ", if it names the service; a call that names none gets no_route"},
		{SHARED("b", "") SHARED("c", "interface: Orders"), "explain service=b.x method=add",
			"a call that names none gets no_route"},
		{SHARED("b", "") SHARED("c", "interface: Orders"),
			"explain service=Orders method=add", NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		int code;
		char *text = explained(rows[i].text, rows[i].line, &code);

		CU_ASSERT_EQUAL(code, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].words ? rows[i].words : SENT));
		CU_ASSERT_EQUAL(strstr(text, "no_route") != NULL, rows[i].words != NULL);
		free(text);
	}
	pki_end();
}

/* No client may use the node's identity: calls are denied, of whichever client. */
static void test_no_client(void)
{
	static const char *const lines[] = {
		"explain service=a.x method=add", "explain service=a.x method=add src=192.0.2.1"};
	int code;

	for (size_t i = 0; i < MT_ARRAY_LEN(lines); i++) {
		char *text = explained(SERVICE, lines[i], &code);

		CU_ASSERT_EQUAL(code, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "none: the Node's spec.mesh.nodeIdentityUse"));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, "answered by Meltemi: denied"));
		free(text);
	}
	pki_end();
}

/* Operators name the codecs of the configuration, not only those of this build. */
static void test_codecs(void)
{
	static const struct {
		const char *line, *with, *without;
	} rows[] = {
		{"explain service=a.x protocol=acme method=add", "acme", "no such protocol"},
		{"complete explain protocol=a", "protocol=acme", NULL},
		{"complete explain .colo", ".colour=", NULL},
		{"complete trace start exchanges .colo", ".colour=", NULL},
		{"complete show slow proto=a", "proto=acme", NULL},
	};
	static const char *const keys[] = {"method", "colour", NULL};
	struct mt_codec acme = *mt_codec_find("thrift");
	const struct mt_codec *more[] = {&acme};
	struct mt_codec_registry *r;
	int code;

	acme.name = "acme";
	acme.aeraki_name = NULL;
	acme.content = 1;
	acme.keys = keys;
	r = mt_codec_registry_new(more, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char *with = answered(OF("acme"), r, rows[i].line, &code);
		char *without = answered(OF("thrift"), NULL, rows[i].line, &code);

		CU_ASSERT(strstr(with, rows[i].with) != NULL);
		CU_ASSERT(strstr(without, rows[i].with) == NULL || rows[i].without);
		CU_ASSERT(!rows[i].without || strstr(without, rows[i].without) != NULL);
		free(with);
		free(without);
	}
	mt_codec_registry_drop(r);
	pki_end();
}

const struct mt_test explain_tests[] = {
	{"the protocol of a service", test_protocol},
	{"calls without a service name", test_unnamed},
	{"an identity that no client may use", test_no_client},
	{"codecs of the configuration", test_codecs},
	{0},
};
