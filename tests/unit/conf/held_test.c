/* SPDX-License-Identifier: Apache-2.0 */
/* Identities beside the node's own: which callers are connected by them, and which services' clients are shown them. */
#include "conf_texts.h"
#include "mesh_build.h"
#include "mt_lend.h"
#include "mt_tls_priv.h"
#include "tls/pki.h"

#define CAROL "spiffe://cluster.local/ns/shop/sa/carol"

static const struct mt_addr somebody;

static void hold(struct mt_conf *c, const char *principal, struct mt_credential *credential)
{
	const struct mt_conf_held one = {principal, credential};

	CU_ASSERT_EQUAL(mt_conf_set_held(c, &one, 1), 1);
	CU_ASSERT_EQUAL(mt_conf_set_held(c, &one, 1), 0);
}

static int shows(const struct mt_cluster *c, const char *principal, bool gateway)
{
	const struct mt_slice name = {(const uint8_t *)principal + strlen(MT_SPIFFE),
		(uint32_t)strlen(principal + strlen(MT_SPIFFE))};

	return mt_cluster_shows(c, &somebody, name, gateway);
}

/* ---- callers ---------------------------------------------------------------------------------------- */

static const char *const istio[] = {"istio"};

static void meshed(struct mt_model *m, const char *name)
{
	struct mt_res_cluster *c;
	struct mt_res_tls *tls = mt_region_alloc(&m->region, sizeof(*tls));

	(void)mesh_simple_cluster(m, name);
	c = m->res_clusters.v[m->res_clusters.n - 1];
	*tls = (struct mt_res_tls){.certificate = "default",
		.trust = "ROOTCA",
		.alpn = (const char **)istio,
		.n_alpn = 1};
	c->meta.serial = 7;
	c->tls = tls;
}

static struct mesh_scene scene(struct mt_credential *own)
{
	struct mesh_scene sc = mesh_scene_new();

	meshed(sc.m, "c");
	mt_conf_set_identity(sc.conf, own);
	return sc;
}

/* Each by his own, whoever may borrow the node's; who comes by a gateway by the node's. */
static void callers(void)
{
	struct mesh_scene sc = scene(pki()->alice);
	const struct mt_cluster *c;

	hold(sc.conf, PKI_BOB, pki()->bob);
	mesh_load(&sc);
	c = cluster(sc.s, "c");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->as);
	CU_ASSERT_EQUAL(c->lend->n_held, 1);
	CU_ASSERT_EQUAL(shows(c, PKI_BOB, false), 1);
	CU_ASSERT_EQUAL(shows(c, PKI_BOB, true), 0);
	CU_ASSERT_EQUAL(shows(c, PKI_ALICE, false), 0);
	CU_ASSERT_EQUAL(shows(c, CAROL, false), -1);
	CU_ASSERT_EQUAL(shows(c, PKI_BOB "by", false), -1);
	CU_ASSERT_EQUAL(mt_cluster_shows(c, &somebody, (struct mt_slice){0}, false), -1);
	CU_ASSERT_PTR_EQUAL(mt_cluster_tls(c, 0)->credential, pki()->alice);
	CU_ASSERT_PTR_EQUAL(mt_cluster_tls(c, 1)->credential, pki()->bob);
	/* Connections by one are never those by the other. */
	CU_ASSERT_NOT_EQUAL(mt_tls_context_id(c->tls), mt_tls_context_id(c->as[0]));
	CU_ASSERT_FALSE(mesh_told(&sc, MT_DIAG_WARNING, "c", "need the node's identity"));
	mesh_scene_end(&sc);
}

/* Another certificate of the same principal costs no connection of anybody's; and who is not held any more has none. */
static void renewed(void)
{
	static const struct pki_how how = {.san = "URI:" PKI_BOB};
	struct pki_node node = pki_make(&pki()->root, &how);
	struct mt_credential *other = pki_credential(&node, &pki()->root, pki()->roots, NULL);
	struct mesh_scene sc = scene(pki()->alice);
	uint64_t own, held;

	hold(sc.conf, PKI_BOB, pki()->bob);
	mesh_load(&sc);
	own = mt_tls_context_id(cluster(sc.s, "c")->tls);
	held = mt_tls_context_id(cluster(sc.s, "c")->as[0]);
	hold(sc.conf, PKI_BOB, other);
	mesh_load(&sc);
	CU_ASSERT_PTR_EQUAL(cluster(sc.s, "c")->as[0]->credential, other);
	CU_ASSERT_EQUAL(mt_tls_context_id(cluster(sc.s, "c")->as[0]), held);
	CU_ASSERT_EQUAL(mt_tls_context_id(cluster(sc.s, "c")->tls), own);
	CU_ASSERT_EQUAL(mt_conf_set_held(sc.conf, NULL, 0), 1);
	mesh_load(&sc);
	CU_ASSERT_PTR_NULL(cluster(sc.s, "c")->as);
	CU_ASSERT_EQUAL(shows(cluster(sc.s, "c"), PKI_BOB, false), -1);
	CU_ASSERT_EQUAL(mt_tls_context_id(cluster(sc.s, "c")->tls), own);
	mesh_scene_end(&sc);
	mt_credential_drop(other);
	pki_free(&node);
}

/* One that cannot be had is nobody's else to stand for, not even the node's that everybody may borrow; others go on. */
static void broken(void)
{
	struct mt_text everybody = {.s = "0.0.0.0/0"};
	struct mt_node_lend lend = {.clients = &everybody, .n_clients = 1};
	struct mt_node_mesh mesh = {.lend = &lend};
	struct mt_node node = {.meta = {.name = "n"}, .mesh = &mesh};
	const struct mt_conf_held two[] = {{CAROL, NULL}, {PKI_BOB, pki()->bob}};
	struct mesh_scene sc = scene(pki()->alice);
	const struct mt_cluster *c;
	struct mt_addr four;

	CU_ASSERT_EQUAL(mt_conf_set_held(sc.conf, two, 2), 1);
	sc.m->node = &node;
	mesh_load(&sc);
	c = cluster(sc.s, "c");
	CU_ASSERT_EQUAL_FATAL(mt_addr_parse("192.0.2.1", &four), 0);
	CU_ASSERT_EQUAL(mt_cluster_shows(c, &four, (struct mt_slice){0}, false), 0);
	CU_ASSERT_EQUAL(
		mt_cluster_shows(c, &four,
			(struct mt_slice){(const uint8_t *)CAROL + 9, sizeof(CAROL) - 10}, false),
		-1);
	CU_ASSERT_EQUAL(shows(c, PKI_BOB, false), 2);
	CU_ASSERT_PTR_NULL(c->as[0]);
	sc.m->node = NULL;
	mesh_scene_end(&sc);
}

/* The node's own is not there: who has one of his own has it all the same, and nobody else has anything. */
static void without_own(void)
{
	struct mesh_scene sc = scene(NULL);
	const struct mt_cluster *c;

	mesh_load(&sc);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_NOT_SERVED, "c", "write spec.identity"));
	hold(sc.conf, PKI_BOB, pki()->bob);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.not_served, 0);
	c = cluster(sc.s, "c");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_TRUE(c->eps[0].tls);
	CU_ASSERT_PTR_NULL(c->tls);
	CU_ASSERT_EQUAL(shows(c, PKI_BOB, false), 1);
	CU_ASSERT_EQUAL(shows(c, PKI_BOB, true), -1);
	CU_ASSERT_EQUAL(shows(c, PKI_ALICE, false), -1);
	mesh_scene_end(&sc);
}

/* ---- services --------------------------------------------------------------------------------------- */

#define SERVICE(name, account) SERVICE_OF("shop", name, account)
#define SERVICE_OF(ns, name, account)                                                              \
	ISTIO("ServiceEntry", name ", namespace: " ns)                                             \
	"  hosts: [" name ".x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"                  \
	"  location: MESH_INTERNAL\n  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n"    \
	"  endpoints: [{address: 198.51.100.1, labels: {app: d}" account "}]\n"
#define BOBS	", serviceAccount: '" PKI_BOB "'"
#define CAROLS	", serviceAccount: '" CAROL "'"
#define SHOP_BY ", serviceAccount: bob"
#define DAVE	"spiffe://cluster.local/ns/a/sa/dave"
#define DAVES	", serviceAccount: '" DAVE "'"

static const struct mt_filter_chain_facts is_plain = {.tls = false},
					  is_mesh = {.tls = true,
						  .alpn = {(const uint8_t *)"\5istio", 6}};

/* Whose certificate clients of the mesh are shown; NULL: nobody's. */
static const struct mt_credential *shown(const struct built *b)
{
	const struct mt_listener *l = listener(b->s, "192.0.2.1", 20880);
	const struct mt_filter_chain *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	c = mt_filter_chain_choose(l, &is_plain);
	CU_ASSERT_TRUE(c && !c->refuse && !c->tls);
	c = mt_filter_chain_choose(l, &is_mesh);
	return c && !c->refuse && c->tls ? c->tls->credential : NULL;
}

static struct mt_conf *conf_of(
	struct mt_credential *own, const char *principal, struct mt_credential *credential)
{
	struct mt_conf *c = new_conf();

	mt_conf_set_identity(c, own);
	hold(c, principal, credential);
	return c;
}

/* Publishes the configuration and compiles the text, which may be refused. */
static struct built next(struct built *before, const char *text)
{
	struct mt_conf *conf = before->conf;
	struct mt_err err;

	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, before->s, NOW, NULL, &err), 0);
	mt_diags_fini(&before->diags);
	mt_model_free(before->m);
	return build_text(conf, text);
}

static struct built again(struct built *before, const char *text)
{
	struct built b = next(before, text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

static bool told(const struct built *b, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (strstr(b->diags.items[i].message, words))
			return true;
	return false;
}

static void services(void)
{
	struct built b = build_text(conf_of(pki()->alice, PKI_BOB, pki()->bob), SERVICE("d", BOBS));

	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
	b = again(&b, SERVICE("d", ""));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	b = again(&b, SERVICE("d", CAROLS));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	/* Of its own namespace, by the mesh's trust domain. */
	b = again(&b, SERVICE("d", SHOP_BY));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
	b = again(&b, SERVICE_OF("default", "d", SHOP_BY));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	unbuild(&b);
}

/* The whole principal does not give a service the identity of another namespace. */
static void of_another_namespace(void)
{
	struct built b =
		build_text(conf_of(pki()->alice, PKI_BOB, pki()->bob), SERVICE_OF("a", "d", BOBS));

	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	CU_ASSERT(told(&b, "it is not one of namespace a"));
	b = again(&b, SERVICE("d", BOBS));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
	CU_ASSERT_FALSE(told(&b, "it is not one of namespace"));
	unbuild(&b);
	/* Nor one of another mesh. */
	b = build_text(conf_of(pki()->alice, "spiffe://other/ns/shop/sa/bob", pki()->bob),
		SERVICE("d", ", serviceAccount: 'spiffe://other/ns/shop/sa/bob'"));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	unbuild(&b);
}

/* Clear text goes on; those who ask for the mesh's mutual TLS are refused, and not shown anybody else. */
static void broken_service(void)
{
	struct built b = build_text(conf_of(pki()->alice, PKI_BOB, NULL), SERVICE("d", BOBS));

	CU_ASSERT_PTR_NULL(shown(&b));
	CU_ASSERT(told(&b, "which cannot be had"));
	hold(b.conf, PKI_BOB, pki()->bob);
	b = again(&b, SERVICE("d", BOBS));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
	unbuild(&b);
}

/* By the same roots whoever is connected is served on, whoever is shown. */
static void from_own_to_held(void)
{
	struct built b = build_text(conf_of(pki()->alice, CAROL, NULL), SERVICE("d", BOBS));
	uint64_t id = listener(b.s, "192.0.2.1", 20880)->chains[0].id;

	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	hold(b.conf, PKI_BOB, pki()->bob);
	b = again(&b, SERVICE("d", BOBS));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
	CU_ASSERT_EQUAL(listener(b.s, "192.0.2.1", 20880)->chains[0].id, id);
	unbuild(&b);
}

/* Two services of different accounts at one address. */
static void shared_address(void)
{
	struct built b = build_text(
		conf_of(pki()->alice, PKI_BOB, pki()->bob), SERVICE("d", BOBS) SERVICE("e", BOBS));

	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
	b = again(&b, SERVICE("d", BOBS) SERVICE("e", CAROLS));
	CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
	CU_ASSERT(told(&b, "is shared with a service of another account, ServiceEntry shop/d at"));
	unbuild(&b);
}

/* Two namespaces of which the Node gets identities have none that precedes the other's. */
static void two_identities_of_shared_address(void)
{
	static const char *const texts[] = {SERVICE_OF("a", "e", DAVES) SERVICE("d", BOBS),
		SERVICE_OF("a", "e", "") SERVICE("c", "") SERVICE("d", BOBS)};
	const struct mt_conf_held two[] = {{PKI_BOB, pki()->bob}, {DAVE, pki()->bob}};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct built b = build_text(conf_of(pki()->alice, CAROL, NULL), texts[i]);

		CU_ASSERT_EQUAL(mt_conf_set_held(b.conf, two, 2), 1);
		for (int load = 0; load < 2; load++) {
			b = again(&b, texts[i]);
			CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
			CU_ASSERT(told(&b, "account, ServiceEntry a/e at t:2: clients"));
		}
		unbuild(&b);
	}
}

/* Lines of the ports of the first and the second service in a text. */
#define FIRST  10
#define SECOND 21

/* Another namespace's service does not change whose identity clients are shown, whatever its age. */
static void address_of_another_namespace(void)
{
	static const struct {
		const char *text;
		uint32_t refused;
	} rows[] = {{SERVICE_OF("a", "e", "") SERVICE("d", BOBS), FIRST},
		{SERVICE_OF("a", "e", DAVES) SERVICE("d", BOBS), FIRST},
		{SERVICE("d", BOBS) SERVICE_OF("a", "e", DAVES), SECOND}};
	const struct mt_conf_held two[] = {{PKI_BOB, pki()->bob}, {DAVE, pki()->alice}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_conf *c = new_conf();
		struct built b;

		CU_ASSERT_EQUAL(mt_conf_set_held(c, two, 2), 1);
		b = build_text(c, SERVICE("d", BOBS));
		CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
		b = next(&b, rows[i].text);
		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT_EQUAL(b.diags.errors, 1);
		CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, rows[i].refused,
			", with another identity for clients by mutual TLS, which is served "
			"there"));
		unbuild(&b);
	}
}

/*
 * Services that share an address already are not refused for an identity that the Node adds. That
 * of one namespace is shown, whatever the services' order and in each later load.
 */
static void identity_of_shared_address(void)
{
	static const char text[] = SERVICE_OF("a", "e", "") SERVICE("d", BOBS);
	static const char *const texts[] = {text, SERVICE("d", BOBS) SERVICE_OF("a", "e", "")};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct built b = build_text(conf_of(pki()->alice, CAROL, NULL), texts[i]);

		CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
		hold(b.conf, PKI_BOB, pki()->bob);
		for (int load = 0; load < 2; load++) {
			b = again(&b, texts[i]);
			CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
			CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, i ? SECOND : FIRST,
				i ? "is shared with ServiceEntry shop/d at t:2: clients"
				  : "is shared with ServiceEntry shop/d at t:13: clients"));
		}
		/* A service that comes later is refused as everywhere. */
		b = next(&b, SERVICE("d", BOBS) SERVICE_OF("b", "f", ""));
		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, SECOND, "which is served there"));
		unbuild(&b);
	}
	struct built b;

	/* At a first load the older one has the address. */
	b = build_text(conf_of(pki()->alice, PKI_BOB, pki()->bob), text);
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, SECOND, "with another identity for clients"));
	unbuild(&b);
}

/*
 * An account that a document gets at a shared address is not shown to the other's clients: the
 * document is refused, also if it is older. The same account from before is.
 */
static void edited_at_shared_address(void)
{
	static const struct {
		const char *before, *after;
		uint32_t refused;
	} rows[] = {{SERVICE_OF("a", "e", "") SERVICE("d", ""),
			    SERVICE_OF("a", "e", "") SERVICE("d", SHOP_BY), SECOND},
		{SERVICE("d", "") SERVICE_OF("a", "e", ""),
			SERVICE("d", SHOP_BY) SERVICE_OF("a", "e", ""), FIRST}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b =
			build_text(conf_of(pki()->alice, PKI_BOB, pki()->bob), rows[i].before);

		CU_ASSERT_PTR_EQUAL(shown(&b), pki()->alice);
		b = next(&b, rows[i].after);
		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT_EQUAL(b.diags.errors, 1);
		CU_ASSERT(has_diag(
			&b, MT_DIAG_ERROR, rows[i].refused, "mutual TLS, which it had before"));
		unbuild(&b);
		/* With an identity that the Node adds at the same time nothing is refused. */
		b = build_text(conf_of(pki()->alice, CAROL, NULL), rows[i].after);
		hold(b.conf, PKI_BOB, pki()->bob);
		for (int load = 0; load < 2; load++) {
			b = again(&b, rows[i].after);
			CU_ASSERT_PTR_EQUAL(shown(&b), pki()->bob);
		}
		unbuild(&b);
	}
}

#define ADDRESSES  20
#define PORTS	   20
#define ENDPOINTS  2000
#define IDENTITIES 1000

/* A service with many endpoints, at many addresses and ports. */
static char *large_service(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(ISTIO("ServiceEntry", "d, namespace: shop") "  hosts: [d.x]\n  resolution: STATIC\n"
							  "  addresses: [",
		f);
	for (int i = 0; i < ADDRESSES; i++)
		fprintf(f, "%s192.0.2.%d", i ? ", " : "", i + 1);
	fputs("]\n  ports:\n", f);
	for (int i = 0; i < PORTS; i++)
		fprintf(f, "  - {number: %d, name: tcp-metaprotocol-dubbo-%d}\n", 1000 + i, i);
	fputs("  endpoints:\n", f);
	for (int i = 0; i < ENDPOINTS; i++)
		fprintf(f, "  - {address: 10.1.%d.%d, serviceAccount: a%d}\n", i >> 8, i & 255, i);
	fclose(f);
	return text;
}

/* The endpoints are not compared for each address and port: that would take many seconds. */
static void many_endpoints(void)
{
	static char names[IDENTITIES][64];
	static struct mt_conf_held held[IDENTITIES];
	struct mt_conf *c = new_conf();
	char *text = large_service();
	struct timespec from, to;
	struct built b;

	for (int i = 0; i < IDENTITIES; i++) {
		snprintf(names[i], sizeof(names[i]), "spiffe://cluster.local/ns/shop/sa/b%d", i);
		held[i].principal = names[i];
	}
	snprintf(names[IDENTITIES - 1], sizeof(names[0]), "spiffe://cluster.local/ns/shop/sa/a%d",
		ENDPOINTS - 1);
	CU_ASSERT_EQUAL(mt_conf_set_held(c, held, IDENTITIES), 1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	b = build_text(c, text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT_TRUE(to.tv_sec - from.tv_sec < 3);
	CU_ASSERT(told(&b, "it has the identity of spiffe://cluster.local/ns/shop/sa/a1999"));
	unbuild(&b);
	free(text);
}

const struct mt_test held_tests[] = {{"callers by their own", callers}, {"renewed", renewed},
	{"one that cannot be had", broken}, {"without the node's own", without_own},
	{"clients of services", services}, {"of another namespace", of_another_namespace},
	{"a service without its identity", broken_service},
	{"from the node's to its own", from_own_to_held}, {"two at one address", shared_address},
	{"two identities at one address", two_identities_of_shared_address},
	{"at an address of another namespace", address_of_another_namespace},
	{"an identity added at a shared address", identity_of_shared_address},
	{"an account edited at a shared address", edited_at_shared_address},
	{"many endpoints of a service", many_endpoints}, {0}};
