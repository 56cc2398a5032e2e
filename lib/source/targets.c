/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets of policies and EnvoyFilters. Istio's admission refuses the namespace of a target. Here a
 * target is always an object of the policy's namespace; another one is warned about and not read.
 */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

/* "" is the group of Services. */
static void read_group(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (mt_want_scalar(c, n, "a group"))
		((struct mt_policy_target *)obj)->group = (struct mt_text){n->text, n->line};
}

static const struct mt_field target_fields[] = {
	{"group", MT_F_CUSTOM, .custom = read_group,
		.help = "`networking.istio.io` for a ServiceEntry, empty for a Service, "
			"`gateway.networking.k8s.io` for a Gateway or GatewayClass"},
	{"kind", MT_F_TEXT, AT(struct mt_policy_target, kind), .required = true,
		.help = "`ServiceEntry`, `Service`, `Gateway`, or in the root namespace "
			"`GatewayClass`"},
	{"name", MT_F_TEXT, AT(struct mt_policy_target, name), .required = true,
		.help = "its name in the policy's namespace"},
	{"namespace", MT_F_TEXT, AT(struct mt_policy_target, ns), .status = MT_S_WARNS,
		.harms = true,
		.help = "targets are in the policy's namespace; another one has no effect"},
};

const struct mt_section mt_sec_policy_target = {"target", sizeof(struct mt_policy_target),
	MT_ARRAY_LEN(target_fields), .fields = target_fields};

/* `at`: of spec.targetRefs; -1: it is spec.targetRef. */
static void check_target(
	struct mt_fctx *c, const struct mt_meta *meta, const struct mt_policy_target *t, int at)
{
	char path[64] = "spec.targetRef.namespace";
	uint32_t mark;

	if (!t || !t->ns.s || strcmp(t->ns.s, meta->ns) == 0)
		return;
	if (at >= 0)
		snprintf(path, sizeof(path), "spec.targetRefs[%d].namespace", at);
	mark = mt_path_push(c, path);
	mt_f_warn(c, t->ns.line, "leave it out, or write the policy into that namespace",
		"not enforced: targets are in the namespace of the policy, %.64s; "
		"nothing in %.64s is selected",
		meta->ns, t->ns.s);
	mt_path_pop(c, mark);
}

static void check_namespaces(
	struct mt_fctx *c, const struct mt_meta *meta, const struct mt_policy_scope *s)
{
	check_target(c, meta, s->target, -1);
	for (uint32_t i = 0; i < s->n_targets; i++)
		check_target(c, meta, &s->targets[i], (int)i);
}

void mt_authorization_complete(struct mt_fctx *c, void *obj)
{
	const struct mt_authorization_policy *p = obj;

	check_namespaces(c, &p->meta, &p->scope);
}

void mt_tokens_complete(struct mt_fctx *c, void *obj)
{
	const struct mt_request_authentication *r = obj;

	check_namespaces(c, &r->meta, &r->scope);
}

void mt_envoy_filter_complete(struct mt_fctx *c, void *obj)
{
	const struct mt_envoy_filter *ef = obj;

	for (uint32_t i = 0; i < ef->n_targets; i++)
		check_target(c, &ef->meta, &ef->targets[i], (int)i);
}
