/* SPDX-License-Identifier: Apache-2.0 */
/* The mesh at a glance: mesh identity, control planes, resource versions, last rejection. */
#include "mt_ctl_priv.h"

#include <stdio.h>

static json_t *text(const char *s)
{
	return s && *s ? mt_json_text(s) : json_null();
}

/* Age in s; null: never. */
static json_t *ago(const struct mt_ctl *c, uint64_t at)
{
	return at ? json_integer(c->now > at ? (json_int_t)((c->now - at) / MT_SEC) : 0)
		  : json_null();
}

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
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:o}", "source", source,
				      "type", t.type, "cluster", t.cluster, "version",
				      text(t.version), "acked_s", ago(c, t.acked_ns), "nacks",
				      (json_int_t)t.nacks, "nacked_s", ago(c, t.nacked_ns)));
		if (t.nacked_ns <= refused_at)
			continue;
		refused_at = t.nacked_ns;
		snprintf(last, sizeof(last), "%s %llu s ago: %s", t.type,
			(unsigned long long)((c->now - MT_MIN(c->now, t.nacked_ns)) / MT_SEC),
			*t.error ? t.error : "fixed since");
	}
	return text(last);
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
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "name",
		info.name, "state", info.state, "identity",
		text(env->identity ? env->identity(env->arg, i) : NULL), "certificate_left_s",
		certificate_left(env, i), "namespace", text(mt_xds_self(x, "NAMESPACE")), "cluster",
		text(mt_xds_self(x, "CLUSTER_ID")), "servers", planes(x), "active",
		(json_int_t)info.n_live, "waiting", (json_int_t)info.n_waiting, "refused",
		(json_int_t)info.n_refused, "last_nack", versions(c, x, info.name, types));
}

json_t *mt_show_mesh(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array(), *types = json_array();

	for (uint32_t i = 0; i < c->env.n_sources; i++)
		json_array_append_new(list, source_of(c, i, types));
	return json_pack("{s:o, s:o}", "mesh", list, "versions", types);
}
