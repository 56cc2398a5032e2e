/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that several suites build on. Lines are counted from 1 in the whole text. */
#pragma once

#define ISTIO(kind, name)                                                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name          \
	"}\nspec:\n"
/* After the other documents: a Node that lets them name the files of a directory. */
#define FILES_OF(directory)                                                                        \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"                        \
	"spec: {tlsFiles: [{directory: " directory "}]}\n"
#define ROUTER(name)                                                                               \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                     \
	"metadata: {name: " name "}\nspec:\n"

/* Lines 1-14: a Dubbo service a.x with two labelled instances. */
#define SERVICE_A                                                                                  \
	ISTIO("ServiceEntry", "a")                                                                 \
	"  hosts: [a.x]\n"                                                                         \
	"  addresses: [192.0.2.1]\n"                                                               \
	"  resolution: STATIC\n"                                                                   \
	"  ports: [{number: 20880, name: tcp-metaprotocol-Dubbo}]\n"                               \
	"  endpoints:\n"                                                                           \
	"  - {address: 198.51.100.1, labels: {version: v1}}\n"                                     \
	"  - address: 198.51.100.2\n"                                                              \
	"    labels: {version: v2}\n"                                                              \
	"    ports: {tcp-metaprotocol-Dubbo: 30880}\n"
/* Lines 15-23. */
#define RULE_A                                                                                     \
	ISTIO("DestinationRule", "a")                                                              \
	"  host: a.x\n"                                                                            \
	"  subsets:\n"                                                                             \
	"  - {name: v1, labels: {version: v1}}\n"                                                  \
	"  - {name: v2, labels: {version: v2}}\n"
#define LAST_OF_A 23
