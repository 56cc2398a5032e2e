/* SPDX-License-Identifier: Apache-2.0 */
/* The mesh at a glance: mesh identity, control planes, resource versions, last rejection. */
#include "mt_ctl_priv.h"

#include <stdio.h>

/* The servers of all streams with their states. */
static json_t *planes(struct mt_xds *x)
{
	struct mt_xds_stream_info s;
	json_t *list = json_array();
	uint32_t pos = 0;

	while (mt_xds_stream_next(x, &pos, &s))
		json_array_append_new(
			list, json_sprintf("%s %s: %s", s.cluster, s.server, s.state));
	return list;
}

static json_t *versions(const struct mt_ctl *c, struct mt_xds *x, const char *source, json_t *list)
{
	struct mt_xds_type_info t;
	uint64_t refused_at = 0;
	char last[768] = "";
	uint32_t pos = 0;

	while (mt_xds_type_next(x, &pos, &t)) {
		mt_json_add(list, MT_M("source", source), MT_M("type", t.type),
			MT_M("cluster", t.cluster), MT_M("version", mt_json_known(t.version)),
			MT_M("acked_s", mt_json_ago(c, t.acked_ns)), MT_M("nacks", t.nacks),
			MT_M("nacked_s", mt_json_ago(c, t.nacked_ns)));
		if (t.nacked_ns <= refused_at)
			continue;
		refused_at = t.nacked_ns;
		snprintf(last, sizeof(last), "%s %llu s ago: %s", t.type,
			(unsigned long long)((c->now - MT_MIN(c->now, t.nacked_ns)) / MT_SEC),
			*t.error ? t.error : "fixed since");
	}
	return mt_json_known(last);
}

/* Remaining validity of the certificate in s, negative after its end; null: no certificate. */
static json_t *certificate_left(const struct mt_ctl_env *env, uint32_t i)
{
	int64_t left;

	if (!env->identity_left || !env->identity_left(env->arg, i, &left))
		return json_null();
	return json_integer(left);
}

static json_t *source_of(struct mt_ctl *c, uint32_t i, json_t *types)
{
	const struct mt_ctl_env *env = &c->env;
	struct mt_xds *x = env->sources[i];
	struct mt_xds_info info;

	mt_xds_info(x, &info);
	return mt_json_object(MT_M("name", info.name), MT_M("state", info.state),
		MT_M("identity", mt_json_known(env->identity ? env->identity(env->arg, i) : NULL)),
		MT_M("certificate_left_s", certificate_left(env, i)),
		MT_M("namespace", mt_json_known(mt_xds_self(x, "NAMESPACE"))),
		MT_M("cluster", mt_json_known(mt_xds_self(x, "CLUSTER_ID"))),
		MT_M("servers", planes(x)), MT_M("active", info.n_live),
		MT_M("waiting", info.n_waiting), MT_M("refused", info.n_refused),
		MT_M("last_nack", versions(c, x, info.name, types)));
}

json_t *mt_show_mesh(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array(), *types = json_array();

	for (uint32_t i = 0; i < c->env.n_sources; i++)
		json_array_append_new(list, source_of(c, i, types));
	return mt_json_object(MT_M("mesh", list), MT_M("versions", types));
}
