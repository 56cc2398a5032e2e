/* SPDX-License-Identifier: Apache-2.0 */
/* Interface between the dump (dump.c) and the objects in it (dump_objects.c). */
#pragma once

#include "mt_envoy_priv.h"

#define MT_ENVOY_TYPE "type.googleapis.com/"

/* A ConfigSource for json_pack(). */
#define ADS_FORMAT "{s:{}, s:s}"
#define ADS_VALUES "ads", "resource_api_version", "V3"

/* Resources with "@type", except the assignment, which has none inside a cluster. */
json_t *mt_envoy_cluster_json(struct mt_envoy *e, const struct mt_cluster *cl);
json_t *mt_envoy_assignment(struct mt_envoy *e, const struct mt_cluster *cl);
json_t *mt_envoy_listener_json(struct mt_envoy *e, const struct mt_listener *l, const char *name);
json_t *mt_envoy_routes_json(struct mt_envoy *e, const struct mt_service *s, const char *name);

/* Name of the service's route configuration; port 0: unknown. */
void mt_envoy_routes_name(const struct mt_service *s, uint16_t port, char *buf, size_t size);
