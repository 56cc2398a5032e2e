/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry_scene.h"

#include <string.h>

struct built telemetry_built(struct mt_conf *conf, const char *text)
{
	struct built b = {.conf = conf, .m = mt_model_new()};

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	if (b.diags.errors)
		show_diags(&b);
	CU_ASSERT_EQUAL_FATAL(b.diags.errors, 0);
	b.m->mesh.config = b.m->mesh_configs.n ? b.m->mesh_configs.v[0] : NULL;
	if (b.m->node && b.m->node->mesh)
		b.m->mesh.ns = b.m->node->mesh->ns.s;
	for (uint32_t i = 0; i < b.m->gateways.n; i++)
		((struct mt_gateway *)(uintptr_t)b.m->gateways.v[i])->gateway_api = "gw";
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

bool telemetry_gets(const struct mt_access_output *o, const struct mt_alog_scope *scope)
{
	if (!scope)
		return o->general;
	for (uint32_t i = 0; i < scope->n; i++)
		if (scope->keys[i] == o->key)
			return true;
	return false;
}

const char *telemetry_spans(const struct mt_snapshot *s, uint64_t key)
{
	for (uint32_t i = 0; key && s->log && i < s->log->n_outputs; i++)
		if (s->log->outputs[i].key == key) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(s->log->outputs[i].collector);
			CU_ASSERT_FALSE(s->log->outputs[i].general || s->log->outputs[i].unserved);
			return s->log->outputs[i].collector->name;
		}
	return "-";
}
