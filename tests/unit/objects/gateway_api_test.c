/* SPDX-License-Identifier: Apache-2.0 */
/* Gateway API as documents: which ports are answered, where connections go, and what becomes of each object. */
#include "../tls/pki.h"
#include "mt_authz.h"
#include "objects_test.h"

#include <stdlib.h>

#define NODE(labels)                                                                               \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {" labels "}}\n"       \
	"spec: {ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]}\n"
#define LABEL "gateway.networking.k8s.io/gateway-name: "
#define SERVICE_OF(name, ns, ip)                                                                   \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns            \
	"}\nspec: {clusterIP: " ip ", ports: [{name: tcp-a, port: 80}, {name: tcp-b, port: 81}]}"  \
	"\n"
#define SERVICES SERVICE_OF("s", "x", "10.96.0.1") SERVICE_OF("u", "y", "10.96.0.2")
#define OF(version, kind, name, ns)                                                                \
	"---\napiVersion: gateway.networking.k8s.io/" version "\nkind: " kind                      \
	"\nmetadata: {name: " name ", namespace: " ns "}\nspec: "
#define GATEWAY(name, more)                                                                        \
	OF("v1", "Gateway", name, "x")                                                             \
	"{gatewayClassName: istio, listeners: [{name: raw, port: 9000, protocol: TCP" more "}]}\n"
#define PARENT		    "parentRefs: [{name: g, namespace: x}], "
#define TO(ref)		    "rules: [{backendRefs: [" ref "]}]}\n"
#define TCP(name, ns, spec) OF("v1alpha2", "TCPRoute", name, ns) "{" spec
#define HOST_S		    "s.x.svc.cluster.local"
#define HOST_U		    "u.y.svc.cluster.local"

/* What connections to that port lead to; NULL: nobody answers there. */
static const struct mt_service *at_port(const struct scene *sc, uint16_t port, bool own)
{
	for (uint32_t i = 0; sc->s && i < sc->s->n_listeners; i++) {
		const struct mt_listener *l = &sc->s->listeners[i];

		if (l->port == port && mt_addr_is_zero(&l->addr) == own)
			return l->chains[0].protos[0].services[0];
	}
	return NULL;
}

/* "CLUSTER:WEIGHT ..." */
static const char *leads_to(const struct scene *sc, const struct mt_service *s)
{
	static char buf[512];
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; s && i < s->n_tcp_dests; i++) {
		uint32_t at = s->tcp_dests[i].cluster;

		len += (size_t)snprintf(buf + len, sizeof(buf) - len, "%s:%u ",
			at == MT_ROUTE_NO_CLUSTER ? "nowhere" : sc->s->clusters[at].name,
			s->tcp_dests[i].weight);
	}
	if (s && !s->n_tcp_dests)
		snprintf(buf, sizeof(buf), "%s",
			s->tcp_cluster == MT_ROUTE_NO_CLUSTER
				? "nowhere"
				: sc->s->clusters[s->tcp_cluster].name);
	return buf;
}

#define LEADS(sc, port, own, words)                                                                \
	CU_ASSERT_STRING_EQUAL(leads_to(sc, at_port(sc, port, own)), words)

static const char *touches(const struct scene *sc, const char *kind, const char *name)
{
	static char buf[256];
	const struct mt_object_row *row = scene_row(sc, kind, name);
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; row && i < row->n_touches; i++)
		len += (size_t)snprintf(
			buf + len, sizeof(buf) - len, "%s%s", i ? "," : "", row->touches[i]);
	return buf;
}

/* Shares, and a Service of another namespace by its grant. */
static void a_port_of_a_gateway(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml",
		SERVICES GATEWAY("g", "") TCP("r", "x",
			PARENT TO("{name: s, port: 81, weight: 9}, {name: u, namespace: y, port: "
				  "80}")) OF("v1beta1", "ReferenceGrant", "yes",
			"y") "{from: [{group: gateway.networking.k8s.io, kind: TCPRoute, "
			     "namespace: x}], to: [{group: '', kind: Service, name: u}]}\n" OF(
				     "v1beta1", "ReferenceGrant", "no",
				     "y") "{from: [{group: gateway.networking.k8s.io, kind: "
					  "TCPRoute, "
					  "namespace: z}], to: [{group: '', kind: Service}]}\n");
	scene_load(&sc);
	LEADS(&sc, 9000, true, "outbound|81||" HOST_S ":9 outbound|80||" HOST_U ":1 ");
	IS_STATUS(&sc, "Gateway", "g", "in-force");
	IS_STATUS(&sc, "TCPRoute", "r", "in-force");
	IS_STATUS(&sc, "ReferenceGrant", "yes", "in-force");
	IS_STATUS(&sc, "ReferenceGrant", "no", "no-effect");
	CU_ASSERT_STRING_EQUAL(touches(&sc, "Gateway", "g"), "*");
	CU_ASSERT_STRING_EQUAL(touches(&sc, "TCPRoute", "r"), HOST_S "," HOST_U);
	CU_ASSERT_STRING_EQUAL(touches(&sc, "ReferenceGrant", "yes"), HOST_U);
	/* Without the label the ports are another one's. */
	scene_write(&sc, "0-node.yaml", NODE("a: b"));
	scene_load(&sc);
	CU_ASSERT_PTR_NULL(at_port(&sc, 9000, true));
	IS_STATUS(&sc, "Gateway", "g", "no-effect");
	IS_STATUS(&sc, "TCPRoute", "r", "no-effect");
	IS_STATUS(&sc, "ReferenceGrant", "yes", "no-effect");
	scene_end(&sc);
}

/* What a route leads to by a new grant is looked up, though the route is the same. */
static void references_that_are_granted(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml",
		SERVICES GATEWAY("g", "") TCP("r", "x",
			PARENT TO(
				"{name: u, namespace: y, port: 99}")) "---\napiVersion: v1\n"
								      "kind: Endpoints\nmetadata: "
								      "{name: u, namespace: "
								      "y}\nsubsets: [{addresses: "
								      "[{ip: 198.51.100.9}], "
								      "ports: [{name: tcp-a, port: "
								      "80}]}]\n");
	scene_load(&sc);
	CU_ASSERT(scene_has(&sc, "spec.rules[0]", "no ReferenceGrant of namespace y"));
	CU_ASSERT_FALSE(scene_has(&sc, "a.yaml", "has no served port 99"));
	scene_write(&sc, "b.yaml",
		OF("v1beta1", "ReferenceGrant", "yes",
			"y") "{from: [{group: gateway.networking.k8s.io, kind: TCPRoute, "
			     "namespace: x}], to: [{group: '', kind: Service, name: u}]}\n");
	scene_load(&sc);
	CU_ASSERT_FALSE(scene_has(&sc, "spec.rules[0]", "no ReferenceGrant"));
	CU_ASSERT(scene_has(&sc, "a.yaml", "has no served port 99"));
	scene_end(&sc);
}

/* What nobody has granted, and what is no Service, keeps its share and fails. */
static void references_that_are_refused(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml",
		SERVICES GATEWAY("g", "") TCP("r", "x",
			PARENT TO("{name: s, port: 80}, {name: u, namespace: y, port: 80, weight: "
				  "2}, "
				  "{group: a.b, kind: Bucket, name: s, port: 80, weight: 3}, "
				  "{name: gone, "
				  "port: 1, weight: 4}")));
	scene_load(&sc);
	LEADS(&sc, 9000, true, "outbound|80||" HOST_S ":1 nowhere:2 nowhere:3 nowhere:4 ");
	IS_STATUS(&sc, "TCPRoute", "r", "in-force-with-notes");
	CU_ASSERT_EQUAL(scene_row(&sc, "TCPRoute", "r")->n_notes, 3);
	CU_ASSERT_STRING_EQUAL(touches(&sc, "TCPRoute", "r"), HOST_S);
	scene_write(&sc, "a.yaml",
		SERVICES GATEWAY("g", "")
			TCP("r", "x", PARENT TO("{name: s, port: 80, weight: 0}")));
	scene_load(&sc);
	LEADS(&sc, 9000, true, "nowhere");
	scene_end(&sc);
}

struct admitted {
	const char *listener, *route;
	bool yes;
};

#define FROM(words) ", allowedRoutes: {namespaces: {" words "}}"
#define IN_X	    TCP("r", "x", PARENT TO("{name: s, port: 80}"))
#define IN_Y	    TCP("r", "y", PARENT TO("{name: u, port: 80}"))

static const struct admitted admitted[] = {
	{"", IN_X, true},
	{"", IN_Y, false},
	{FROM("from: Same"), IN_Y, false},
	{FROM("from: All"), IN_Y, true},
	{FROM("from: None"), IN_X, false},
	{FROM("from: Selector, selector: {matchLabels: {a: b}}"), IN_Y, true},
	{FROM("from: Selector, selector: {matchLabels: {a: c}}"), IN_Y, false},
	{FROM("from: Selector, selector: {matchLabels: {a: b}}"), IN_X, false},
	{FROM("from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: x}}"), IN_X,
		true},
	{FROM("from: Selector, selector: {matchExpressions: [{key: a, operator: Exists}]}"), IN_Y,
		false},
	{FROM("from: Selector"), IN_X, false},
	{", allowedRoutes: {kinds: [{kind: TCPRoute}]}", IN_X, true},
	{", allowedRoutes: {kinds: [{kind: TLSRoute}]}", IN_X, false},
	{"", TCP("r", "x", "parentRefs: [{name: g, sectionName: raw}], " TO("{name: s, port: 80}")),
		true},
	{"", TCP("r", "x", "parentRefs: [{name: g, sectionName: x}], " TO("{name: s, port: 80}")),
		false},
	{"", TCP("r", "x", "parentRefs: [{name: g, port: 9000}], " TO("{name: s, port: 80}")),
		true},
	{"", TCP("r", "x", "parentRefs: [{name: g, port: 9001}], " TO("{name: s, port: 80}")),
		false},
	{"", TCP("r", "y", "parentRefs: [{name: g}], " TO("{name: u, port: 80}")), false},
};

static void who_is_admitted(void)
{
	char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(admitted); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
		snprintf(text, sizeof(text),
			"%s---\napiVersion: v1\nkind: Namespace\nmetadata: {name: y, labels: {a: "
			"b}}\n%s"
			"{gatewayClassName: istio, listeners: [{name: raw, port: 9000, protocol: "
			"TCP%s}]}\n%s",
			SERVICES, OF("v1", "Gateway", "g", "x"), admitted[i].listener,
			admitted[i].route);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		if ((at_port(&sc, 9000, true) != NULL) != admitted[i].yes ||
			strcmp(scene_status(&sc, "TCPRoute", "r"),
				admitted[i].yes ? "in-force" : "no-effect") != 0) {
			fprintf(stderr, "row %zu: %s\n", i, scene_status(&sc, "TCPRoute", "r"));
			CU_FAIL("not as the row says");
		}
		scene_end(&sc);
	}
}

/* A listener of bytes is one route's: the oldest. */
static void two_for_one_listener(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml",
		SERVICES GATEWAY("g", "") TCP("b", "x", PARENT TO("{name: s, port: 81}"))
			TCP("a", "x", PARENT TO("{name: s, port: 80}")));
	scene_load(&sc);
	LEADS(&sc, 9000, true, "outbound|80||" HOST_S);
	IS_STATUS(&sc, "TCPRoute", "a", "in-force-with-notes");
	IS_STATUS(&sc, "TCPRoute", "b", "shadowed");
	scene_end(&sc);
}

/* Clients of a Service, at all of its ports or one; those of another namespace only from there. */
static void clients_of_a_service(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICES TCP("r", "x",
			"parentRefs: [{group: '', kind: Service, name: s, port: 80}], " TO(
				"{name: s, port: 81}")) TCP("far", "x",
			"parentRefs: [{group: '', kind: Service, name: u, namespace: y}], " TO(
				"{name: s, port: 81}")));
	scene_load(&sc);
	LEADS(&sc, 80, false, "outbound|81||" HOST_S);
	LEADS(&sc, 81, false, "outbound|81||" HOST_S);
	IS_STATUS(&sc, "TCPRoute", "r", "in-force");
	CU_ASSERT_STRING_EQUAL(touches(&sc, "TCPRoute", "r"), HOST_S);
	IS_STATUS(&sc, "TCPRoute", "far", "no-effect");
	scene_end(&sc);
}

static const char *by_name(const struct scene *sc, uint16_t port, const char *name)
{
	const struct mt_filter_chain_facts f = {
		.tls = true, .name = {(const uint8_t *)name, (uint32_t)strlen(name)}};

	for (uint32_t i = 0; sc->s && i < sc->s->n_listeners; i++) {
		const struct mt_listener *l = &sc->s->listeners[i];
		const struct mt_filter_chain *c =
			l->port == port ? mt_filter_chain_choose(l, &f) : NULL;

		if (c)
			return leads_to(sc, c->protos[0].services[0]);
	}
	return "";
}

/* TLS by the names that route and listener both say. */
static void names_of_tls(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml",
		SERVICES OF("v1", "Gateway", "g",
			"x") "{gatewayClassName: istio, listeners: [{name: a, port: 8443, "
			     "protocol: TLS, "
			     "hostname: '*.V.example', tls: {mode: Passthrough}}, {name: b, port: "
			     "8444, "
			     "protocol: TLS}]}\n" OF("v1", "TLSRoute", "one",
				     "x") "{hostnames: [a.v.Example, a.w.example], " PARENT
				     TO("{name: s, port: 80}")
					     OF("v1alpha2", "TLSRoute", "rest", "x") "{" PARENT TO(
						     "{name: s, port: 81}") OF("v1", "TLSRoute",
						     "none", "x") "{hostnames: [w.example], " PARENT
						     TO("{name: s, port: 80}") TCP("raw", "x",
							     PARENT TO("{name: s, port: 80}")));
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(by_name(&sc, 8443, "a.v.example"), "outbound|80||" HOST_S);
	CU_ASSERT_STRING_EQUAL(by_name(&sc, 8443, "b.v.example"), "outbound|81||" HOST_S);
	CU_ASSERT_STRING_EQUAL(by_name(&sc, 8443, "a.w.example"), "");
	CU_ASSERT_STRING_EQUAL(by_name(&sc, 8444, "a.v.example"), "");
	IS_STATUS(&sc, "Gateway", "g", "in-force-with-notes");
	IS_STATUS(&sc, "TLSRoute", "one", "in-force");
	IS_STATUS(&sc, "TLSRoute", "rest", "in-force");
	IS_STATUS(&sc, "TLSRoute", "none", "no-effect");
	IS_STATUS(&sc, "TCPRoute", "raw", "no-effect");
	CU_ASSERT_STRING_EQUAL(touches(&sc, "TLSRoute", "one"), HOST_S);
	scene_end(&sc);
}

/* A Secret of `ns`, of a leaf that is made for it; `mixed`: with the key of another one. */
static void write_pair(
	struct scene *sc, const char *file, const char *name, const char *ns, bool mixed)
{
	static const struct pki_how how = {.san = "DNS:a.example"};
	struct pki_node leaf = pki_make(&pki()->root, &how), other = pki_make(&pki()->root, &how);
	const X509 *certs[] = {leaf.cert};
	char *chain = pki_pem(certs, 1), *key = pki_key(mixed ? other.key : leaf.key), text[8192];
	size_t len;

	len = (size_t)snprintf(text, sizeof(text),
		"apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\nstringData:\n",
		name, ns);
	for (int i = 0; i < 2; i++) {
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "  tls.%s: \"", i ? "key" : "crt");
		for (const char *p = i ? key : chain; *p; p++)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, *p == '\n' ? "\\n" : "%c", *p);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "\"\n");
	}
	scene_write(sc, file, text);
	free(chain);
	free(key);
	pki_free(&leaf);
	pki_free(&other);
}

static void write_secret(struct scene *sc, const char *file, const char *name, const char *ns)
{
	write_pair(sc, file, name, ns, false);
}

/* Whether clients' TLS is ended at that port. */
static bool ends(const struct scene *sc, uint16_t port)
{
	for (uint32_t i = 0; sc->s && i < sc->s->n_listeners; i++)
		if (sc->s->listeners[i].port == port)
			return sc->s->listeners[i].chains[0].tls != NULL;
	return false;
}

#define ENDED(name, port, more)                                                                    \
	"{name: " name ", port: " port ", protocol: TLS, hostname: a.example, tls: {" more "}}, "

/* TLS that is ended, by Secrets of the Gateway's namespace or of one that grants it, leads where TCPRoutes say. */
static void tls_that_is_ended(void)
{
	static const uint16_t served[] = {1, 2}, not_served[] = {3, 4, 5, 6, 7, 8};
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	write_secret(&sc, "1-own.yaml", "own", "x");
	write_secret(&sc, "2-lent.yaml", "lent", "y");
	write_secret(&sc, "3-kept.yaml", "kept", "y");
	scene_write(&sc, "a.yaml",
		SERVICES OF("v1", "Gateway", "g",
			"x") "{gatewayClassName: istio, listeners: [" ENDED("a", "1",
			"certificateRefs: [{name: own}]") ENDED("b", "2",
			"mode: Terminate, certificateRefs: [{group: '', kind: Secret, name: "
			"lent, namespace: y}]") ENDED("c", "3",
			"certificateRefs: [{name: kept, namespace: y}]") ENDED("d", "4",
			"mode: Terminate") ENDED("e", "5",
			"certificateRefs: [{name: own}], "
			"frontendValidation: {caCertificateRefs: []}") ENDED("f", "6",
			"certificateRefs: [{name: own}], "
			"options: {x.example/y: z}") ENDED("h", "7",
			"options: "
			"{gateway.istio.io/"
			"tls-terminate-mode: "
			"ISTIO_MUTUAL}") ENDED("i", "8",
			"certificateRefs: "
			"[{kind: ConfigMap, "
			"name: own}]") "]}\n" TCP("raw", "x",
			PARENT TO("{name: s, "
				  "port: 80}")) OF("v1", "ReferenceGrant", "lend",
			"y") "{from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: "
			     "x}], to: [{group: '', kind: Secret, name: lent}]}\n");
	scene_load(&sc);
	for (size_t i = 0; i < MT_ARRAY_LEN(served); i++) {
		CU_ASSERT_TRUE(ends(&sc, served[i]));
		LEADS(&sc, served[i], true, "outbound|80||" HOST_S);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(not_served); i++)
		CU_ASSERT_PTR_NULL(at_port(&sc, not_served[i], true));
	IS_STATUS(&sc, "Secret", "own", "in-force");
	IS_STATUS(&sc, "Secret", "lent", "in-force");
	IS_STATUS(&sc, "Secret", "kept", "no-effect");
	IS_STATUS(&sc, "ReferenceGrant", "lend", "in-force");
	IS_STATUS(&sc, "Gateway", "g", "in-force-with-notes");
	scene_end(&sc);
}

#define OWN "apiVersion: v1\nkind: Secret\nmetadata: {name: own, namespace: x}\n"

/* Of no use in one of three ways; the last one is no YAML. */
static void spoil(struct scene *sc, int how)
{
	if (how == 0)
		write_pair(sc, "1-own.yaml", "own", "x", true);
	else
		scene_write(sc, "1-own.yaml",
			how == 1 ? OWN "stringData: {tls.crt: bad}\n"
				 : OWN "data:\n  tls.key: %%%%\n");
}

/* Loads it, and again without a change. */
static void secret_is(struct scene *sc, const char *status, bool served)
{
	for (int i = 0; i < 2; i++) {
		scene_load(sc);
		IS_STATUS(sc, "Secret", "own", status);
		CU_ASSERT_EQUAL(ends(sc, 1), served);
	}
}

/* A Secret that is spoilt is last-good until a restart, it is forgotten, or no file has it. */
static void secrets_that_are_replaced(void)
{
	for (int how = 0; how < 3; how++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
		scene_write(&sc, "a.yaml",
			SERVICES OF("v1", "Gateway", "g",
				"x") "{gatewayClassName: istio, listeners: [" ENDED("a", "1",
				"certificateRefs: [{name: own}]") "]}\n" TCP("raw", "x",
				PARENT TO("{name: s, port: 80}")));
		write_secret(&sc, "1-own.yaml", "own", "x");
		secret_is(&sc, "in-force", true);
		spoil(&sc, how);
		secret_is(&sc, "last-good", true);
		CU_ASSERT_STRING_EQUAL(mt_row_severity(scene_row(&sc, "Secret", "own")), "error");
		write_secret(&sc, "1-own.yaml", "own", "x");
		secret_is(&sc, "in-force", true);
		spoil(&sc, how);
		secret_is(&sc, "last-good", true);
		CU_ASSERT_TRUE(mt_kept_forget(sc.kept, "Secret", "x", "own"));
		CU_ASSERT_FALSE(mt_kept_forget(sc.kept, "Secret", "x", "own"));
		secret_is(&sc, "refused", false);
		write_secret(&sc, "1-own.yaml", "own", "x");
		secret_is(&sc, "in-force", true);
		scene_write(&sc, "1-own.yaml", NULL);
		secret_is(&sc, "", false);
		spoil(&sc, how);
		secret_is(&sc, "refused", false);
		write_secret(&sc, "1-own.yaml", "own", "x");
		secret_is(&sc, "in-force", true);
		spoil(&sc, how);
		scene_restart(&sc);
		secret_is(&sc, "refused", false);
		scene_end(&sc);
	}
}

/* What says of clients' certificates for all of a Gateway's listeners is not read: none of them lets everybody in. */
static void tls_of_a_whole_gateway(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	write_secret(&sc, "1-own.yaml", "own", "x");
	scene_write(&sc, "a.yaml",
		SERVICES OF("v1", "Gateway", "g",
			"x") "{gatewayClassName: istio, tls: {frontend: {}}, listeners: "
			     "[" ENDED("a", "1", "certificateRefs: [{name: own}]") "]}\n" TCP(
				     "raw", "x", PARENT TO("{name: s, port: 80}")));
	scene_load(&sc);
	CU_ASSERT_PTR_NULL(at_port(&sc, 1, true));
	scene_end(&sc);
}

/* Instances that are to be called by TLS are not called in clear text where it cannot be made. */
static void tls_to_a_service(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICES OF("v1", "BackendTLSPolicy", "p",
			"x") "{targetRefs: [{group: '', kind: Service, name: s}], validation: "
			     "{hostname: a, caCertificateRefs: [{group: '', kind: Secret, name: "
			     "roots}]}}\n" OF("v1alpha3", "BackendTLSPolicy", "q",
				     "x") "{targetRefs: [{group: '', kind: Service, name: u}]}\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST_S), -2);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST_U), 0);
	IS_STATUS(&sc, "BackendTLSPolicy", "p", "in-force-with-notes");
	CU_ASSERT_STRING_EQUAL(touches(&sc, "BackendTLSPolicy", "p"), HOST_S);
	IS_STATUS(&sc, "BackendTLSPolicy", "q", "no-effect");
	scene_end(&sc);
}

/* The policy that closes Service s at the port, by its name; "": none. */
static const char *closer_at(const struct scene *sc, uint16_t port)
{
	char name[128];

	snprintf(name, sizeof(name), "outbound|%u||%s", port, HOST_S);
	for (uint32_t i = 0; sc->s && i < sc->s->n_clusters; i++) {
		const struct mt_cluster *c = &sc->s->clusters[i];

		if (strcmp(c->name, name) == 0)
			return c->closed_by ? c->closed_by->name : "";
	}
	return "no such cluster";
}

/* A policy with a sectionName is for that port, where it comes before those of the whole Service, whichever is older. */
static void tls_to_a_port(void)
{
#define TLS_TO(name, section)                                                                      \
	OF("v1", "BackendTLSPolicy", name, "x")                                                    \
	"{targetRefs: [{group: '', kind: Service, name: s" section "}]}\n"
	static const struct {
		const char *text, *a, *b, *p_is;
	} t[] = {{TLS_TO("p", ""), "p", "p", "in-force-with-notes"},
		{TLS_TO("p", ", sectionName: tcp-b"), "", "p", "in-force-with-notes"},
		{TLS_TO("p", ", sectionName: none"), "", "", "no-effect"},
		{TLS_TO("p", "") TLS_TO("q", ", sectionName: tcp-b"), "p", "q",
			"in-force-with-notes"},
		{TLS_TO("q", ", sectionName: tcp-a") TLS_TO("p", ""), "q", "p",
			"in-force-with-notes"},
		{TLS_TO("p", ", sectionName: tcp-a") TLS_TO("q", ", sectionName: tcp-a"), "p", "",
			"in-force-with-notes"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;
		char text[2048];

		scene_begin(&sc);
		snprintf(text, sizeof(text), "%s%s", SERVICES, t[i].text);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_STRING_EQUAL(closer_at(&sc, 80), t[i].a);
		CU_ASSERT_STRING_EQUAL(closer_at(&sc, 81), t[i].b);
		IS_STATUS(&sc, "BackendTLSPolicy", "p", t[i].p_is);
		scene_end(&sc);
	}
}

/* Each target that is not here has a warning, though another one is. */
static void tls_targets_not_here(void)
{
#define TARGETS                                                                                    \
	"{group: '', kind: Service, name: s, sectionName: tcp-a}, {group: '', kind: Service, "     \
	"name: "
	static const struct {
		const char *targets, *field;
	} t[] = {{TARGETS "s, sectionName: none}", "spec.targetRefs[1].sectionName"},
		{TARGETS "none, sectionName: tcp-a}", "spec.targetRefs[1].sectionName"},
		{TARGETS "none}", "spec.targetRefs[1].name"}, {TARGETS "s}", NULL}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const struct mt_object_row *row;
		const char *field = NULL;
		struct scene sc;
		char text[2048];

		scene_begin(&sc);
		snprintf(text, sizeof(text),
			"%s" OF("v1", "BackendTLSPolicy", "p", "x") "{targetRefs: [%s]}\n",
			SERVICES, t[i].targets);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		IS_STATUS(&sc, "BackendTLSPolicy", "p", "in-force-with-notes");
		row = scene_row(&sc, "BackendTLSPolicy", "p");
		for (uint32_t k = 0; k < row->n_notes; k++)
			if (row->notes[k].field && strstr(row->notes[k].field, "targetRefs"))
				field = row->notes[k].field;
		CU_ASSERT_STRING_EQUAL(field ? field : "", t[i].field ? t[i].field : "");
		CU_ASSERT_STRING_EQUAL(closer_at(&sc, 80), "p");
		scene_end(&sc);
	}
}

/* A policy of a Service whose endpoints an older ServiceEntry of the host takes has a warning. */
static void tls_of_a_joined_service(void)
{
	const struct mt_object_row *row;
	bool warned = false;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  mesh: {namespace: x}\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n");
	scene_write(&sc, "a.yaml",
		SERVICES OF("v1", "BackendTLSPolicy", "p",
			"x") "{targetRefs: [{group: '', kind: Service, name: "
			     "s}]}\n---\n" ISTIO("ServiceEntry", "a",
				     "x") "  hosts: [" HOST_S "]\n  resolution: STATIC\n"
					  "  ports: [{number: 80, name: tcp-a}]\n"
					  "  endpoints: [{address: 198.51.100.9}]\n");
	scene_load(&sc);
	row = scene_row(&sc, "BackendTLSPolicy", "p");
	CU_ASSERT_PTR_NOT_NULL_FATAL(row);
	for (uint32_t k = 0; k < row->n_notes; k++)
		warned |= strstr(row->notes[k].text, "no TLS to port 80 of Service s") != NULL;
	CU_ASSERT_TRUE(warned);
	scene_end(&sc);
}

/* Ports that are not served are told; what is of HTTP has no effect, and other kinds of the group are nobody's. */
static void what_is_not_served(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml",
		SERVICES OF("v1", "Gateway", "g",
			"x") "{gatewayClassName: istio, listeners: [{name: web, "
			     "port: 80, protocol: HTTP}]}\n" OF(
				     "v1", "HTTPRoute", "h", "x") "{}\n" OF("v1", "GRPCRoute", "i",
				     "x") "{}\n" OF("v1", "GatewayClass", "c", "x") "{}\n");
	scene_load(&sc);
	IS_STATUS(&sc, "Gateway", "g", "in-force-with-notes");
	CU_ASSERT_STRING_EQUAL(
		scene_row(&sc, "Gateway", "g")->notes[0].field, "spec.listeners[0].protocol");
	IS_STATUS(&sc, "HTTPRoute", "h", "no-effect");
	IS_STATUS(&sc, "GRPCRoute", "i", "no-effect");
	IS_STATUS(&sc, "GatewayClass", "c", "ignored");
	scene_end(&sc);
}

/* A policy of the Gateway, or of its class, says who may come in, by bytes and by TLS alike. */
static void policies_of_a_gateway(void)
{
#define POLICY_OF(ns, kind, name)                                                                  \
	"---\n" SECURITY("AuthorizationPolicy", "p", ns,                                           \
		"{targetRefs: [{group: gateway.networking.k8s.io, kind: " kind ", name: " name     \
		"}], rules: [{from: [{source: {ipBlocks: [198.51.100.0/24]}}]}]}")
	static const struct {
		const char *text;
		bool with;
	} policies[] = {{"", false}, {POLICY_OF("x", "Gateway", "g"), true},
		{POLICY_OF("istio-system", "GatewayClass", "istio"), true},
		{POLICY_OF("istio-system", "GatewayClass", "other"), false},
		{POLICY_OF("x", "GatewayClass", "istio"), false}};
	struct scene sc;

	for (size_t i = 0; i < MT_ARRAY_LEN(policies); i++) {
		bool with = policies[i].with;
		char text[4096];

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
		snprintf(text, sizeof(text), "%s%s%s",
			SERVICES OF(
				"v1", "Gateway", "g", "x") "{gatewayClassName: istio, listeners: "
							   "[{name: raw, port: 9000, "
							   "protocol: TCP}, {name: tls, port: "
							   "8443, protocol: TLS, tls: {mode: "
							   "Passthrough}}]}\n",
			IN_X OF("v1", "TLSRoute", "t", "x") "{" PARENT TO("{name: s, port: 80}"),
			policies[i].text);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at_port(&sc, 9000, true));
		CU_ASSERT_EQUAL(at_port(&sc, 9000, true)->gate != NULL, with);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at_port(&sc, 8443, true));
		CU_ASSERT_EQUAL(at_port(&sc, 8443, true)->gate != NULL, with);
		IS_STATUS(&sc, "Gateway", "g", "in-force");
		if (with)
			IS_STATUS(&sc, "AuthorizationPolicy", "p", "in-force");
		scene_end(&sc);
	}
}

/*
 * Parents times host names, which aliases repeat: the load of everything would fail. The route of
 * one namespace is left out, and that of another one is served.
 */
static void parents_times_names(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(OF("v1", "Gateway", "g", "greedy") "{listeners: [{name: tls, port: 8443, "
						 "protocol: TLS, tls: {mode: Passthrough}}]}\n",
		f);
	fputs(OF("v1alpha2", "TLSRoute", "many", "greedy") "{parentRefs: [&p {name: g}", f);
	for (int i = 0; i < 1000; i++)
		fputs(", *p", f);
	fputs("], hostnames: [&h a.test", f);
	for (int i = 0; i < 1000; i++)
		fputs(", *h", f);
	fputs("], " TO("{name: s, namespace: x, port: 80}"), f);
	fputs(SERVICES GATEWAY("g", "") TCP("r", "x", PARENT TO("{name: s, port: 81}")), f);
	fclose(f);
	scene_begin(&sc);
	mt_objects_memory = 8u << 20;
	scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	LEADS(&sc, 9000, true, "outbound|81||" HOST_S);
	IS_STATUS(&sc, "TCPRoute", "r", "in-force");
	IS_STATUS(&sc, "TLSRoute", "many", "in-force-with-notes");
	CU_ASSERT_EQUAL(scene_row(&sc, "TLSRoute", "many")->n_notes, 1);
	CU_ASSERT(sc.t->model->region.used < 4u << 20);
	mt_objects_memory = MT_MODEL_LIMIT;
	scene_end(&sc);
	free(text);
}

static bool is_limited(const struct mt_service *s)
{
	CU_ASSERT_PTR_NOT_NULL(s);
	return s && s->n_filter_insts == 1 &&
	       strcmp(s->filter_insts[0].type->name, "keyed_ratelimit") == 0;
}

/* A TrafficPolicy limits the clients of a Service, or of a Gateway, of its namespace. */
static void clients_are_limited(void)
{
#define LIMIT(name, target)                                                                        \
	"---\napiVersion: meltemi.io/v1\nkind: TrafficPolicy\nmetadata: {name: " name              \
	", namespace: x}\nspec: {targetRefs: [{" target                                            \
	"}], rateLimit: {local: {rules: [{limit: {requests: 1, unit: Day}}]}}}\n"
	static const struct {
		const char *text, *status;
		bool service, gateway;
	} rows[] = {{LIMIT("l", "kind: Service, name: s"), "in-force", true, false},
		{LIMIT("l", "group: gateway.networking.k8s.io, kind: Gateway, name: g"), "in-force",
			false, true},
		{LIMIT("l", "group: networking.istio.io, kind: Gateway, name: g"), "no-effect",
			false, false},
		{LIMIT("l", "kind: Service, name: u"), "no-effect", false, false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", NODE(LABEL "g"));
		scene_write(&sc, "a.yaml",
			SERVICES GATEWAY("g", "") TCP("r", "x", PARENT TO("{name: s, port: 81}")));
		scene_write(&sc, "b.yaml", rows[i].text);
		scene_load(&sc);
		CU_ASSERT_EQUAL(is_limited(at_port(&sc, 80, false)), rows[i].service);
		CU_ASSERT_EQUAL(is_limited(at_port(&sc, 9000, true)), rows[i].gateway);
		IS_STATUS(&sc, "TrafficPolicy", "l", rows[i].status);
		scene_end(&sc);
	}
}

const struct mt_test gateway_api_tests[] = {
	{"parents_times_names", parents_times_names},
	{"a_port_of_a_gateway", a_port_of_a_gateway},
	{"references_that_are_refused", references_that_are_refused},
	{"references_that_are_granted", references_that_are_granted},
	{"who_is_admitted", who_is_admitted},
	{"two_for_one_listener", two_for_one_listener},
	{"clients_of_a_service", clients_of_a_service},
	{"names_of_tls", names_of_tls},
	{"tls_that_is_ended", tls_that_is_ended},
	{"secrets_that_are_replaced", secrets_that_are_replaced},
	{"tls_of_a_whole_gateway", tls_of_a_whole_gateway},
	{"tls_to_a_service", tls_to_a_service},
	{"tls_to_a_port", tls_to_a_port},
	{"tls_targets_not_here", tls_targets_not_here},
	{"tls_of_a_joined_service", tls_of_a_joined_service},
	{"what_is_not_served", what_is_not_served},
	{"policies_of_a_gateway", policies_of_a_gateway},
	{"clients_are_limited", clients_are_limited},
	{0},
};
