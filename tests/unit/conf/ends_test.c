/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that is ended at services' own addresses: which chains there are, who gets which, and what is taken over from load to load. */
#include "../tls/pki.h"
#include "conf_test.h"
#include "conf_texts.h"
#include "mt_tls.h"

#define BYTES                                                                                      \
	ISTIO("ServiceEntry", "y")                                                                 \
	"  hosts: [y.x]\n  addresses: [192.0.2.2]\n  resolution: STATIC\n"                         \
	"  location: MESH_INTERNAL\n  ports: [{number: 9000, name: tcp}]\n"                        \
	"  endpoints: [{address: 198.51.100.9, labels: {app: y}}]\n"
#define DUBBO                                                                                      \
	ISTIO("ServiceEntry", "d")                                                                 \
	"  hosts: [d.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"                         \
	"  location: MESH_INTERNAL\n  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n"    \
	"  endpoints: [{address: 198.51.100.1, labels: {app: d}}, {address: 198.51.100.2, "        \
	"labels: {app: e}}]\n"
/* At the address of DUBBO. */
#define SECOND                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: b, annotations: {interface: org.B}}\nspec:\n"                            \
	"  hosts: [b.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"                         \
	"  location: MESH_INTERNAL\n  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n"    \
	"  endpoints: [{address: 198.51.100.3}]\n"
#define LIMIT                                                                                      \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                     \
	"metadata: {name: d}\nspec:\n  hosts: [d.x]\n"                                             \
	"  localRateLimit: {tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n"
#define PEERS(name, more)                                                                          \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: " name  \
	"}\nspec:\n" more
#define MODE(mode) PEERS("all", "  mtls: {mode: " mode "}\n")

/* What a connection says; alpn as it is sent. */
static const struct mt_filter_chain_facts
	is_plain = {.tls = false},
	is_mesh = {.tls = true, .alpn = {(const uint8_t *)"\5istio", 6}},
	is_peer = {.tls = true, .alpn = {(const uint8_t *)"\2h2\x13istio-peer-exchange", 23}},
	is_other = {.tls = true, .alpn = {(const uint8_t *)"\2h2", 3}}, is_bare = {.tls = true},
	is_named = {.tls = true, .name = {(const uint8_t *)"n.test", 6}};

/* "ends", "bytes", or "none": there is no chain. */
static const char *gets(const struct mt_listener *l, const struct mt_filter_chain_facts *f)
{
	const struct mt_filter_chain *c = mt_filter_chain_choose(l, f);

	return !c || c->refuse ? "none" : c->tls ? "ends" : "bytes";
}

#define GETS(l, facts, what) CU_ASSERT_STRING_EQUAL(gets(l, &(facts)), what)

static struct mt_conf *conf_of(struct mt_credential *identity)
{
	struct mt_conf *c = new_conf();

	mt_conf_set_identity(c, identity);
	return c;
}

static struct built build_as(struct mt_credential *identity, const char *text)
{
	struct built b = build_text(conf_of(identity), text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

/* Bytes are waited for, and the chains of Istio's PERMISSIVE are there in their order. */
static void check_either(const struct mt_listener *l)
{
	static const struct mt_filter_chain_facts f;

	CU_ASSERT_EQUAL_FATAL(l->n_chains, 3);
	CU_ASSERT_FALSE(l->decided);
	CU_ASSERT_FALSE(l->has_fallback);
	CU_ASSERT_TRUE(mt_filter_chain_asks_bytes(l, &f));
	CU_ASSERT_PTR_NOT_NULL(l->chains[0].tls);
	CU_ASSERT_EQUAL(l->chains[0].match.n_alpn, 5);
	CU_ASSERT_STRING_EQUAL(l->chains[0].match.alpn[0], "istio");
	CU_ASSERT_EQUAL(l->chains[1].match.transport, MT_TRANSPORT_TLS);
	CU_ASSERT_EQUAL(l->chains[2].match.transport, MT_TRANSPORT_ANY);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_PTR_EQUAL(
			l->chains[i].protos[0].services[0], l->chains[0].protos[0].services[0]);
	GETS(l, is_plain, "bytes");
	GETS(l, is_mesh, "ends");
	GETS(l, is_peer, "ends");
	GETS(l, is_other, "bytes");
	GETS(l, is_bare, "bytes");
}

static void permissive(void)
{
	struct built b = build_as(pki()->bob, DUBBO BYTES MODE("PERMISSIVE"));
	const struct mt_listener *d = listener(b.s, "192.0.2.1", 20880),
				 *y = listener(b.s, "192.0.2.2", 9000);

	CU_ASSERT_TRUE_FATAL(d && y);
	check_either(d);
	check_either(y);
	/*
	 * Messages come in plaintext and in the mesh's TLS; other TLS goes as bytes to the host's
	 * own cluster.
	 */
	CU_ASSERT_FALSE(d->chains[0].protos->codec->opaque);
	CU_ASSERT_TRUE(d->chains[1].protos->codec->opaque);
	CU_ASSERT_FALSE(d->chains[2].protos->codec->opaque);
	CU_ASSERT_STRING_EQUAL(b.s->clusters[d->chains[1].protos->services[0]->tcp_cluster].name,
		"outbound|20880||d.x");
	CU_ASSERT_PTR_EQUAL(d->chains[0].tls, y->chains[0].tls);
	CU_ASSERT_EQUAL(mt_tls_context_role(d->chains[0].tls), MT_TLS_SERVER);
	unbuild(&b);
}

/* Other TLS at a port of messages is subject to its service's local rate limit. */
static void limited(void)
{
	struct built b = build_as(pki()->bob, DUBBO LIMIT MODE("PERMISSIVE"));
	const struct mt_listener *d = listener(b.s, "192.0.2.1", 20880);
	const struct mt_service *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL_FATAL(d->n_chains, 3);
	CU_ASSERT_TRUE(d->chains[1].protos->codec->opaque);
	s = d->chains[1].protos->services[0];
	CU_ASSERT_EQUAL_FATAL(s->n_filter_insts, 1);
	CU_ASSERT_PTR_NOT_NULL(s->filter_insts[0].type->on_stream);
	unbuild(&b);
}

/* With two interfaces at one address and port, the service of such bytes cannot be known. */
static void of_two_interfaces(void)
{
	struct built b = build_as(pki()->bob, DUBBO SECOND);
	const struct mt_listener *d = listener(b.s, "192.0.2.1", 20880);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL_FATAL(d->n_chains, 3);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(d->chains[i].protos->n_services, 2);
		CU_ASSERT_FALSE(d->chains[i].protos->codec->opaque);
	}
	unbuild(&b);
}

static void without_identity(void)
{
	struct built b = build_as(NULL, DUBBO BYTES);

	for (uint32_t i = 0; i < b.s->n_listeners; i++) {
		CU_ASSERT_EQUAL(b.s->listeners[i].n_chains, 1);
		CU_ASSERT_TRUE(b.s->listeners[i].decided);
		CU_ASSERT_PTR_NULL(b.s->listeners[i].chains[0].tls);
	}
	unbuild(&b);
}

/* Clients in clear text go on in their chain when the node gets an identity, or loses it. */
static void clear_text_stays(void)
{
	struct built with = build_as(pki()->bob, DUBBO BYTES),
		     without = build_as(NULL, DUBBO BYTES);

	CU_ASSERT_EQUAL_FATAL(with.s->n_listeners, without.s->n_listeners);
	for (uint32_t i = 0; i < with.s->n_listeners; i++)
		CU_ASSERT_EQUAL(
			with.s->listeners[i].chains[2].id, without.s->listeners[i].chains[0].id);
	unbuild(&with);
	unbuild(&without);
}

static void strict(void)
{
	struct built b = build_as(pki()->bob, DUBBO BYTES MODE("STRICT"));
	const struct mt_listener *d = listener(b.s, "192.0.2.1", 20880);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL(d->n_chains, 1);
	CU_ASSERT_FALSE(d->decided);
	GETS(d, is_plain, "none");
	GETS(d, is_mesh, "ends");
	GETS(d, is_bare, "ends");
	unbuild(&b);
}

static void disabled(void)
{
	struct built b = build_as(pki()->bob, DUBBO BYTES MODE("DISABLE"));

	CU_ASSERT_EQUAL(b.s->n_listeners, 2);
	for (uint32_t i = 0; i < b.s->n_listeners; i++) {
		CU_ASSERT_TRUE(b.s->listeners[i].decided);
		CU_ASSERT_PTR_NULL(b.s->listeners[i].chains[0].tls);
	}
	unbuild(&b);
}

/* Where one asks for it and another one does not, each call is judged; where a route may lead to others, too. */
static void of_several_minds(void)
{
	struct built b = build_as(pki()->bob,
		DUBBO PEERS("d", "  selector: {matchLabels: {app: d}}\n  mtls: {mode: STRICT}\n"));

	check_either(listener(b.s, "192.0.2.1", 20880));
	unbuild(&b);
	b = build_as(
		pki()->bob, DUBBO PEERS("d", "  selector: {matchLabels: {app: d}}\n  mtls: {mode: "
					     "STRICT}\n") MODE("DISABLE"));
	check_either(listener(b.s, "192.0.2.1", 20880));
	unbuild(&b);
	b = build_as(pki()->bob,
		DUBBO BYTES MODE("STRICT") ROUTER("r") "  hosts: [d.x]\n  routes: [{route: "
						       "[{destination: {host: d.x}}]}]\n");
	check_either(listener(b.s, "192.0.2.1", 20880));
	CU_ASSERT_EQUAL(listener(b.s, "192.0.2.2", 9000)->n_chains, 1);
	unbuild(&b);
}

/* A port's own word is that of the port of the instance. */
static void by_port(void)
{
	struct built b =
		build_as(pki()->bob, BYTES PEERS("y", "  selector: {matchLabels: {app: y}}\n  "
						      "mtls: {mode: DISABLE}\n  portLevelMtls: "
						      "{9000: {mode: STRICT}}\n"));

	GETS(listener(b.s, "192.0.2.2", 9000), is_plain, "none");
	unbuild(&b);
}

/* Nobody speaks the mesh's TLS to what is outside of it; what has a proxy of its own asks there. */
static void of_other_classes(void)
{
#define PLACED(location, account)                                                                  \
	ISTIO("ServiceEntry", "y")                                                                 \
	"  hosts: [y.x]\n  addresses: [192.0.2.2]\n  resolution: STATIC\n"                         \
	"  location: " location "\n  ports: [{number: 9000, name: tcp}]\n"                         \
	"  endpoints: [{address: 198.51.100.9" account "}]\n"
	struct built b = build_as(pki()->bob, PLACED("MESH_EXTERNAL", "") MODE("STRICT"));

	CU_ASSERT_TRUE(listener(b.s, "192.0.2.2", 9000)->decided);
	unbuild(&b);
	b = build_as(pki()->bob, PLACED("MESH_INTERNAL", ", serviceAccount: y") MODE("STRICT"));
	check_either(listener(b.s, "192.0.2.2", 9000));
	unbuild(&b);
}

/* Rules of `tls` lead as before; that for every name takes all TLS that is not the mesh's. */
static void beside_names(void)
{
#define NAMED(sni)                                                                                 \
	ISTIO("VirtualService", "n")                                                               \
	"  hosts: [y.x]\n  tls:\n  - {match: [{sniHosts: [" sni                                    \
	"]}], route: [{destination: {host: y.x, port: {number: 9000}}}]}\n"
	struct built b = build_as(pki()->bob, BYTES NAMED("n.test"));
	const struct mt_listener *l = listener(b.s, "192.0.2.2", 9000);

	CU_ASSERT_EQUAL(l->n_chains, 4);
	CU_ASSERT_PTR_EQUAL(mt_filter_chain_choose(l, &is_named), &l->chains[0]);
	GETS(l, is_mesh, "ends");
	GETS(l, is_bare, "bytes");
	GETS(l, is_plain, "bytes");
	unbuild(&b);
	b = build_as(pki()->bob, BYTES NAMED("'*'"));
	l = listener(b.s, "192.0.2.2", 9000);
	CU_ASSERT_EQUAL(l->n_chains, 3);
	CU_ASSERT_PTR_EQUAL(mt_filter_chain_choose(l, &is_named), &l->chains[0]);
	GETS(l, is_mesh, "ends");
	GETS(l, is_plain, "bytes");
	unbuild(&b);
}

static struct built again(struct built *before, const char *text)
{
	struct mt_conf *conf = before->conf;
	struct mt_err err;
	struct built b;

	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, before->s, NOW, NULL, &err), 0);
	mt_diags_fini(&before->diags);
	mt_model_free(before->m);
	b = build_text(conf, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

/*
 * A load takes the contexts of the one before, with their tickets' keys; who has another identity, another one. Of one principal, by
 * the same roots, whoever is connected is served on.
 */
static void from_load_to_load(void)
{
	static const struct pki_how how = {.san = "URI:" PKI_BOB};
	struct pki_node renewed = pki_make(&pki()->root, &how);
	struct mt_credential *other = pki_credential(&renewed, &pki()->root, pki()->roots, NULL),
			     *strangers = pki_credential(
				     &renewed, &pki()->root, pki()->other_roots, NULL);
	struct built b = build_as(pki()->bob, DUBBO);
	const struct mt_tls_context *first = listener(b.s, "192.0.2.1", 20880)->chains[0].tls;
	uint64_t id = listener(b.s, "192.0.2.1", 20880)->chains[0].id;
	const struct mt_listener *l;

	b = again(&b, DUBBO BYTES);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_PTR_EQUAL(l->chains[0].tls, first);
	mt_conf_set_identity(b.conf, other);
	b = again(&b, DUBBO BYTES);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_PTR_NOT_EQUAL(l->chains[0].tls, first);
	CU_ASSERT_EQUAL(l->chains[0].id, id);
	mt_conf_set_identity(b.conf, strangers);
	b = again(&b, DUBBO BYTES);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_NOT_EQUAL(l->chains[0].id, id);
	CU_ASSERT_EQUAL(l->chains[2].match.transport, MT_TRANSPORT_ANY);
	unbuild(&b);
	mt_credential_drop(other);
	mt_credential_drop(strangers);
	pki_free(&renewed);
}

/* Whose principals are the mesh's: another domain is other rules. */
static void by_trust_domain(void)
{
	struct built b = build_as(pki()->bob, DUBBO);
	uint64_t id = listener(b.s, "192.0.2.1", 20880)->chains[0].id;
	struct mt_conf *conf = b.conf;
	struct mt_snapshot *s;

	b.m->mesh.trust_domain = "cluster.local";
	s = mt_conf_compile(conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(listener(s, "192.0.2.1", 20880)->chains[0].id, id);
	mt_conf_discard(conf, s, NOW);
	b.m->mesh.trust_domain = "other.example";
	s = mt_conf_compile(conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_NOT_EQUAL(listener(s, "192.0.2.1", 20880)->chains[0].id, id);
	mt_conf_discard(conf, s, NOW);
	unbuild(&b);
}

const struct mt_test ends_tests[] = {
	{"permissive", permissive},
	{"limited", limited},
	{"of two interfaces", of_two_interfaces},
	{"without_identity", without_identity},
	{"strict", strict},
	{"clear text stays", clear_text_stays},
	{"disabled", disabled},
	{"of_several_minds", of_several_minds},
	{"by_port", by_port},
	{"of_other_classes", of_other_classes},
	{"beside_names", beside_names},
	{"from_load_to_load", from_load_to_load},
	{"by_trust_domain", by_trust_domain},
	{0},
};
