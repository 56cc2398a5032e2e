/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resource of a control plane into the model. The first byte: 'a' to 'f', a type whose JSON follows; else a
 * type (modulo six) whose bytes follow.
 */
#include "fuzz.h"
#include "mt_pb_json.h"
#include "mt_xds_map.h"

#include <string.h>

#define MEMORY (16u << 20)

/* The message that a text says, in bytes. False: it says none. */
static bool from_text(struct mt_pb_arena *a, enum mt_xds_type type, const uint8_t *text, size_t len,
	Xds__Any *any)
{
	struct mt_err why = {""};
	struct mt_pb_reader r = {.arena = a, .why = &why};
	Xds__Struct *s = mt_pb_struct_of_text(a, "t", (const char *)text, len, &why);
	ProtobufCMessage *m = s ? mt_pb_from_struct(&r, mt_pb_type(mt_xds_url(type)), s) : NULL;

	MT_ASSERT((m == NULL) == (*why.text != '\0'));
	if (!m)
		return false;
	any->value.len = protobuf_c_message_get_packed_size(m);
	any->value.data = mt_region_alloc(&a->region, any->value.len);
	if (!any->value.data)
		return false;
	protobuf_c_message_pack(m, any->value.data);
	return true;
}

static void check_match(const struct mt_rule_match *m)
{
	for (uint32_t i = 0; i < m->n_conds; i++) {
		const struct mt_cond *c = &m->conds[i];

		MT_ASSERT(c->key.s && *c->key.s);
		MT_ASSERT(c->op == MT_COND_PRESENT || c->value.s);
		MT_ASSERT(c->op != MT_COND_RANGE || c->lo < c->hi);
	}
}

static void check_rules(const struct mt_rule_list *l)
{
	for (uint32_t i = 0; i < l->n_rules; i++) {
		const struct mt_rule *r = &l->rules[i];
		uint64_t sum = 0;

		/* Two: Thrift's names that must not be those. */
		MT_ASSERT(r->n_dests > 0 && r->n_matches <= 2);
		for (uint32_t k = 0; k < r->n_dests; k++) {
			MT_ASSERT(r->dests[k].cluster.s && *r->dests[k].cluster.s);
			sum += r->dests[k].weight.v;
		}
		MT_ASSERT(sum <= UINT32_MAX && (r->n_dests == 1 || sum > 0));
		for (uint32_t k = 0; k < r->n_matches; k++)
			check_match(&r->matches[k]);
	}
}

static void check_logs(const struct mt_chain_logs *l)
{
	MT_ASSERT(l->v || !l->n);
	for (uint32_t i = 0; i < l->n; i++)
		MT_ASSERT(l->v[i].path.s && *l->v[i].path.s && l->v[i].field &&
			  l->v[i].skips <= 1000000);
}

/* Served in one way, or not and why. */
static void check_chain(const struct mt_res_chain *c)
{
	uint64_t sum = 0;

	MT_ASSERT(!(c->proxy && c->n_dests));
	MT_ASSERT(c->proxy || c->n_dests || c->extension || c->unserved);
	for (uint32_t i = 0; i < c->n_dests; i++)
		sum += c->dests[i].weight.v;
	MT_ASSERT(!c->n_dests || (sum > 0 && sum <= UINT32_MAX));
	MT_ASSERT(!c->n_dests || c->logs.v);
	MT_ASSERT(!c->local || (c->n_dests && c->local->bucket && c->local->label));
	check_logs(&c->logs);
	if (c->proxy) {
		MT_ASSERT(c->proxy->protocol.s || c->proxy->codec.s);
		MT_ASSERT(c->proxy->routes_name.s || c->proxy->routes.n_rules);
		check_rules(&c->proxy->routes);
		check_logs(&c->proxy->logs);
	}
}

static void check_endpoints(const struct mt_res_endpoints *e)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->n_localities; i++) {
		n += e->localities[i].n_eps;
		for (uint32_t k = 0; k < e->localities[i].n_eps; k++)
			MT_ASSERT(e->localities[i].eps[k].weight && e->localities[i].eps[k].port);
	}
	MT_ASSERT(n == e->n_eps);
}

static void check(enum mt_xds_type type, const struct mt_meta *meta)
{
	const struct mt_res_listener *l = (const void *)meta;
	const struct mt_res_cluster *c = (const void *)meta;

	MT_ASSERT(meta && meta->name && *meta->name && meta->kind && meta->serial == 1);
	if (type == MT_XDS_CDS) {
		MT_ASSERT((c->discovery == MT_RES_STATIC) == (c->endpoints != NULL));
		MT_ASSERT(c->discovery != MT_RES_EDS || c->endpoints_name);
		if (c->endpoints)
			check_endpoints(c->endpoints);
	} else if (type == MT_XDS_EDS)
		check_endpoints((const void *)meta);
	else if (type == MT_XDS_LDS) {
		MT_ASSERT(l->n_addresses && (l->n_chains || l->fallback));
		for (uint32_t i = 0; i < l->n_chains; i++)
			check_chain(&l->chains[i]);
		if (l->fallback)
			check_chain(l->fallback);
		check_logs(&l->logs);
	} else if (type == MT_XDS_RDS)
		check_rules(&((const struct mt_res_routes *)meta)->list);
	else if (type == MT_XDS_ECDS)
		check_chain(&((const struct mt_res_extension *)meta)->chain);
}

static void map(enum mt_xds_type type, const Xds__Any *any)
{
	struct mt_xds_digest a = mt_xds_digest(any), b = mt_xds_digest(any);
	struct mt_xds_mapped out;
	struct mt_err why = {""};
	int rc = mt_xds_map(type, any, &(struct mt_xds_from){"fuzz", "me"}, 1, &out, &why);

	MT_ASSERT(memcmp(&a, &b, sizeof(a)) == 0);
	MT_ASSERT((rc == 0) == (out.part != NULL));
	MT_ASSERT((rc == 0) == (*why.text == '\0'));
	for (const char *c = why.text; *c; c++)
		MT_ASSERT((unsigned char)*c >= ' ');
	if (rc)
		return;
	check(type, out.meta);
	for (uint32_t i = 0; i < out.n_refs; i++)
		MT_ASSERT(out.refs[i].name && *out.refs[i].name);
	for (uint32_t i = 0; i < out.n_ignored; i++)
		MT_ASSERT(out.ignored[i].field && out.ignored[i].why);
	mt_model_free(out.part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Xds__Any any = XDS__ANY__INIT;
	enum mt_xds_type type;
	struct mt_pb_arena a;
	bool text, there = true;

	if (!size)
		return 0;
	text = data[0] >= 'a' && data[0] < 'a' + MT_XDS_TYPES;
	type = (text ? data[0] - 'a' : data[0]) % MT_XDS_TYPES;
	any.type_url = (char *)mt_xds_url(type);
	mt_pb_arena_init(&a, MEMORY);
	if (text)
		there = from_text(&a, type, data + 1, size - 1, &any);
	else
		any.value = (ProtobufCBinaryData){size - 1, (uint8_t *)data + 1};
	if (there)
		map(type, &any);
	mt_pb_arena_fini(&a);
	return 0;
}
