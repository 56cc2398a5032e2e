/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites about Telemetry share: documents of two namespaces, and what calls get by them. */
#pragma once

#include "conf_test.h"

#include "mt_alog.h"

#define TELEMETRY_NODE(more)                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {app: edge}}\n"        \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n" more

/*
 * Compiles texts with their MeshConfig and the Node's namespace. The Gateways of the model are
 * those of a Gateway "gw" of Gateway API.
 */
struct built telemetry_built(struct mt_conf *conf, const char *text);
/* Whether calls with this scope (NULL: the general one) leave a line in the output. */
bool telemetry_gets(const struct mt_access_output *o, const struct mt_alog_scope *scope);
/* The provider of spans with this key; "-": none. */
const char *telemetry_spans(const struct mt_snapshot *s, uint64_t key);
