/* SPDX-License-Identifier: Apache-2.0 */
/* Empty texts in documents. */
#include "source_test.h"

#include <stdio.h>

/* Documents whose spec is the row's text, from line 5 on. */
#define OF(kind, group) "apiVersion: " group "\nkind: " kind "\nmetadata: {name: a}\nspec:\n"
#define SE		OF("ServiceEntry", "networking.istio.io/v1")
#define VS		OF("VirtualService", "networking.istio.io/v1")
#define DR		OF("DestinationRule", "networking.istio.io/v1")
#define SEC(kind)	OF(kind, "security.istio.io/v1")
#define AP		SEC("AuthorizationPolicy")
#define NODE		OF("Node", "meltemi.io/v1")

/* An empty text counts as not written, as in Istio and Kubernetes, where the field is a text. */
static void empty_texts(void)
{
#define KUBE(kind) "apiVersion: v1\nkind: " kind "\nmetadata: {name: a, namespace: ''}\n"
#define GATEWAY	   OF("Gateway", "networking.istio.io/v1") "  servers: [{port: {number: 1, name: t, "
	static const char *const texts[] = {
		VS "  hosts: [a]\n  http:\n  - name: ''\n    delegate: ~\n    route: "
		   "[{destination: {host: a, subset: ''}}]\n    retries: {attempts: 1, retryOn: "
		   "''}\n    match: [{sourceNamespace: '', statPrefix: ''}]\n",
		DR "  host: a\n  trafficPolicy: {tls: {mode: SIMPLE, sni: '', credentialName: '', "
		   "caCertificates: '', caCrl: '', clientCertificate: '', privateKey: ''}, "
		   "loadBalancer: {consistentHash: {httpHeaderName: '', httpQueryParameterName: "
		   "''}}}\n",
		SE "  hosts: [a]\n  ports: [{number: 1, name: tcp, protocol: ''}]\n  resolution: "
		   "STATIC\n  endpoints: [{address: 192.0.2.1, locality: '', network: '', "
		   "serviceAccount: ''}]\n",
		GATEWAY "protocol: TLS}, bind: '', name: '', tls: {mode: PASSTHROUGH, "
			"credentialName: '', serverCertificate: '', privateKey: '', "
			"caCertificates: ''}, hosts: ['*']}]\n",
		SEC("RequestAuthentication") "  jwtRules: [{issuer: i, jwksUri: '', jwks: '', "
					     "outputPayloadToHeader: ''}]\n",
		AP "  targetRefs: [{group: '', kind: Service, name: a, namespace: ''}]\n",
		KUBE("Service") "spec:\n  type: ''\n  clusterIP: ''\n  externalName: ''\n  "
				"sessionAffinity: ''\n  ports: [{name: '', port: 80, protocol: '', "
				"appProtocol: ''}]\n",
		KUBE("Endpoints") "subsets: [{addresses: [{ip: 192.0.2.1, nodeName: ''}], ports: "
				  "[{name: '', port: 80, protocol: ''}]}]\n",
		NODE "  locality: {region: '', zone: '', subzone: ''}\n  stateDirectory: ''\n  "
		     "ports: [{name: p, device: d, profile: '', addresses: [192.0.2.1/24]}]\n  "
		     "routes: [{to: 198.51.100.0/24, via: '', port: p}]\n  admin: {socket: '', "
		     "http: ''}\n  dns: {listen: ''}\n  nat: {ports: ''}\n  forwarding: [{host: "
		     "a.x, port: 53, mode: ''}]\n",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct loaded l = load_text(texts[i]);

		CU_ASSERT_EQUAL(l.diags.errors + l.diags.warnings, 0);
		if (l.diags.errors + l.diags.warnings)
			fprintf(stderr, "row %zu: %s\n", i, first_diag(&l));
		unload(&l);
	}
}

/* Where a value is required, and for words of an enumeration, an empty one is an error. */
static void empty_values(void)
{
	static const struct {
		const char *text, *expect;
	} rows[] = {
		{DR "  host: ''\n", "5: error: spec.host: is empty"},
		{DR "  host: a\n  subsets: [{name: ''}]\n",
			"6: error: spec.subsets[0].name: is empty"},
		{SE "  hosts: [a, '']\n  ports: []\n", "5: error: spec.hosts[1]: is empty"},
		{SE "  hosts: [a]\n  ports: []\n  endpoints: [{address: ''}]\n",
			"7: error: spec.endpoints[0].address: is empty"},
		{SE "  hosts: [a]\n  ports: []\n  resolution: ''\n",
			"7: error: spec.resolution: \"\" is not known here"},
		{AP "  action: ''\n", "5: error: spec.action: \"\" is not known here"},
		{SEC("PeerAuthentication") "  mtls: {mode: ''}\n",
			"5: error: spec.mtls.mode: \"\" is not known here"},
		{NODE "  sourceAddresses: ['']\n", "5: error: spec.sourceAddresses[0]: is empty"},
		{NODE "  dns: {addresses: ['']}\n", "5: error: spec.dns.addresses[0]: is empty"},
		{NODE "  dns: {allow: ['']}\n", "5: error: spec.dns.allow[0]: is empty"},
		{NODE "  dns: {upstream: ['']}\n", "5: error: spec.dns.upstream[0]: is empty"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct loaded l = load_text(rows[i].text);
		bool same = strncmp(first_diag(&l), rows[i].expect, strlen(rows[i].expect)) == 0;

		CU_ASSERT(same && l.diags.errors == 1);
		if (!same || l.diags.errors != 1)
			mt_diags_print(&l.diags, stderr);
		unload(&l);
	}
}

const struct mt_test empty_tests[] = {{"texts", empty_texts}, {"values", empty_values}, {0}};
