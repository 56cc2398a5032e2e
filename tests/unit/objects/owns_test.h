/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites about spec.sources[].owns share: a Node, an owner with two objects, others' objects. */
#pragma once

#include "objects_test.h"

#define OWNS                                                                                       \
	", owns: {addresses: [192.0.2.4/30, 240.240.2.0/24, '2001:db8::/64'], hosts: [one.corp, "  \
	"'*.one.corp', pay.shop]}"
#define NODE(owns, sources)                                                                        \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24, '2001:db8::1/64'], "    \
	"side: workloads}]\n  sources:\n"                                                          \
	"  - {directory: shop, namespaces: [shop]" owns "}\n" sources
#define TEAM "  - {directory: a, namespaces: [a, com]}\n"
/* Its authors may write objects of the owner's namespace. */
#define BOTH  "  - {directory: a, namespaces: [a, com, shop]}\n"
#define OPS   "  - {directory: ops}\n"
#define WHOLE NODE(OWNS, TEAM OPS)

#define AT_ADDRESS(name, ns, spec) ISTIO("WorkloadEntry", name, ns) "  " spec "\n"
#define BUYER			   AT_ADDRESS("buyer", "shop", "{address: 192.0.2.5, serviceAccount: buyer}")
#define AT(address)		   AT_ADDRESS("x", "a", "{address: " address ", serviceAccount: x}")
#define WITHOUT(address)	   AT_ADDRESS("x", "a", "{address: " address "}")
#define AT_HOST(name, ns, hosts, address, endpoint, year)                                          \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: " ns ", creationTimestamp: \"" year "-01-01T00:00:00Z\"}\nspec:\n"           \
	"  hosts: [" hosts "]\n"                                                                   \
	"  addresses: [" address "]\n  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"      \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [{address: " endpoint       \
	"}]\n"
#define ONE		 AT_HOST("one", "shop", "one.corp", "240.240.2.1", "198.51.100.11", "2020")
#define HOSTS(hosts)	 AT_HOST("s", "a", hosts, "240.240.9.9", "198.51.100.66", "2010")
#define ADDRESS(address) AT_HOST("s", "a", "s.a", address, "198.51.100.66", "2010")

/* Begins a scene with this Node, the directories shop, a and ops, and the owner's objects in shop. */
void owns_begin(struct scene *sc, const char *node);
/*
 * The principal of the workload with this address in the configuration in force: "-": it has none,
 * "": no such workload.
 */
const char *owns_principal(const struct scene *sc, const char *address);
/* The address of the host's only endpoint in the configuration in force, or "-". */
const char *owns_leads_to(const struct scene *sc, const char *host);
void owns_victims_are_served(const struct scene *sc);

#define IS_PRINCIPAL(sc, address, want) CU_ASSERT_STRING_EQUAL(owns_principal(sc, address), want)
#define LEADS_TO(sc, host, want)	CU_ASSERT_STRING_EQUAL(owns_leads_to(sc, host), want)
