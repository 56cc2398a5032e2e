/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Node metadata, as Istio's agent builds it from the same environment (istio/pkg/bootstrap, option
 * "node").
 */
#include "mt_node.h"

#include <ctype.h>
#include <string.h>

#define META	  "ISTIO_META_"
#define META_JSON "ISTIO_METAJSON_"

static void set_text(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		(void)json_object_set_new(o, key, json_string(value));
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/*
 * Adds the environment: ISTIO_META_X becomes the text X, ISTIO_METAJSON_LABELS becomes LABELS, and
 * the members of any other ISTIO_METAJSON_ object are added.
 */
static void add_environment(json_t *meta, const struct mt_env *env)
{
	for (uint32_t i = 0; i < env->n; i++) {
		const struct mt_env_row *row = &env->rows[i];
		json_t *o;

		if (has_prefix(row->key, META)) {
			set_text(meta, row->key + strlen(META), row->value);
			continue;
		}
		if (!has_prefix(row->key, META_JSON))
			continue;
		o = json_loads(row->value, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(o))
			json_decref(o);
		else if (strcmp(row->key, META_JSON "LABELS") == 0)
			(void)json_object_set_new(meta, "LABELS", o);
		else {
			(void)json_object_update(meta, o);
			json_decref(o);
		}
	}
}

/* ---- names ----------------------------------------------------------------------------------- */

/*
 * Copies the host name up to its first dot, as a DNS label, because dots and tildes separate parts
 * of the node id.
 */
static void host_label(const char *host, char out[64])
{
	size_t n = 0;

	for (; *host && *host != '.' && n < 63; host++) {
		char c = (char)tolower((unsigned char)*host);

		if (isalnum((unsigned char)c) || (n && c == '-'))
			out[n++] = c;
	}
	while (n && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	if (!n)
		strcpy(out, "meltemi");
}

static const char *label(const json_t *meta, const char *key)
{
	return json_string_value(json_object_get(json_object_get(meta, "LABELS"), key));
}

/*
 * Returns the locality: from the label istio-locality, "region/zone/subzone" or with dots, because
 * labels must not contain a slash; else from the topology labels.
 */
static json_t *locality_of(const json_t *meta)
{
	static const char *const parts[] = {"region", "zone", "sub_zone"};
	static const char *const labels[] = {"topology.kubernetes.io/region",
		"topology.kubernetes.io/zone", "topology.istio.io/subzone"};
	const char *text = label(meta, "istio-locality");
	json_t *o = json_object();

	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++) {
		size_t n = text ? strcspn(text, text && strchr(text, '/') ? "/" : ".") : 0;

		if (!text)
			set_text(o, parts[i], label(meta, labels[i]));
		else if (n)
			(void)json_object_set_new(o, parts[i], json_stringn(text, n));
		if (text)
			text += n + (text[n] != '\0');
	}
	return o;
}

json_t *mt_node_json(const struct mt_bundle *b, const struct mt_node_facts *facts)
{
	json_t *meta = json_object(), *locality;
	const char *app;
	char name[64];

	host_label(facts->host, name);
	add_environment(meta, &b->env);
	set_text(meta, "NAME", name);
	set_text(meta, "NAMESPACE", b->namespace);
	set_text(meta, "SERVICE_ACCOUNT", b->service_account);
	set_text(meta, "WORKLOAD_NAME", b->workload);
	set_text(meta, "INSTANCE_IPS", facts->ip);
	locality = locality_of(meta);
	app = label(meta, "app");
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:s}", "id",
		json_sprintf("sidecar~%s~%s.%s~%s.svc.cluster.local", facts->ip, name, b->namespace,
			b->namespace),
		"cluster", json_sprintf("%s.%s", app ? app : b->workload, b->namespace), "locality",
		locality, "metadata", meta, "user_agent_name", "meltemi", "user_agent_version",
		facts->version);
}

/* ---- conversion to a message ----------------------------------------------------------------- */

static Xds__Value *value_message(struct mt_region *r, const json_t *v, unsigned int depth);

static Xds__Struct *struct_message(struct mt_region *r, const json_t *o, unsigned int depth)
{
	Xds__Struct *s = mt_region_alloc(r, sizeof(*s));
	size_t n = json_object_size(o);
	Xds__Struct__FieldsEntry *e = mt_region_alloc(r, sizeof(*e) * n + 1);
	const char *key;
	json_t *v;

	if (!s || !e || depth > MT_PB_DEPTH)
		return NULL;
	xds__struct__init(s);
	s->fields = mt_region_alloc(r, sizeof(*s->fields) * n + 1);
	if (!s->fields)
		return NULL;
	json_object_foreach((json_t *)o, key, v)
	{
		Xds__Struct__FieldsEntry *at = &e[s->n_fields];

		xds__struct__fields_entry__init(at);
		at->key = mt_region_strdup(r, key);
		at->value = value_message(r, v, depth + 1);
		if (!at->key || !at->value)
			return NULL;
		s->fields[s->n_fields++] = at;
	}
	return s;
}

static Xds__ListValue *list_message(struct mt_region *r, const json_t *a, unsigned int depth)
{
	Xds__ListValue *l = mt_region_alloc(r, sizeof(*l));
	const json_t *v;
	size_t i;

	if (!l || depth > MT_PB_DEPTH)
		return NULL;
	xds__list_value__init(l);
	l->values = mt_region_alloc(r, sizeof(*l->values) * json_array_size(a) + 1);
	if (!l->values)
		return NULL;
	json_array_foreach((json_t *)a, i, v)
	{
		l->values[l->n_values] = value_message(r, v, depth + 1);
		if (!l->values[l->n_values++])
			return NULL;
	}
	return l;
}

static Xds__Value *value_message(struct mt_region *r, const json_t *v, unsigned int depth)
{
	Xds__Value *m = mt_region_alloc(r, sizeof(*m));
	bool ok = true;

	if (!m)
		return NULL;
	xds__value__init(m);
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		m->kind_case = XDS__VALUE__KIND_STRUCT_VALUE;
		ok = (m->struct_value = struct_message(r, v, depth)) != NULL;
		break;
	case JSON_ARRAY:
		m->kind_case = XDS__VALUE__KIND_LIST_VALUE;
		ok = (m->list_value = list_message(r, v, depth)) != NULL;
		break;
	case JSON_STRING:
		m->kind_case = XDS__VALUE__KIND_STRING_VALUE;
		ok = (m->string_value = mt_region_strdup(r, json_string_value(v))) != NULL;
		break;
	case JSON_INTEGER:
	case JSON_REAL:
		m->kind_case = XDS__VALUE__KIND_NUMBER_VALUE;
		m->number_value = json_number_value(v);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		m->kind_case = XDS__VALUE__KIND_BOOL_VALUE;
		m->bool_value = json_is_true(v);
		break;
	case JSON_NULL:
		m->kind_case = XDS__VALUE__KIND_NULL_VALUE;
		break;
	}
	return ok ? m : NULL;
}

static char *text_member(struct mt_region *r, const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? mt_region_strdup(r, s) : (char *)protobuf_c_empty_string;
}

Xds__Node *mt_node_message(struct mt_region *region, const json_t *node)
{
	Xds__Node *m = mt_region_alloc(region, sizeof(*m));
	Xds__Locality *l = mt_region_alloc(region, sizeof(*l));
	const json_t *where = json_object_get(node, "locality");

	if (!m || !l)
		return NULL;
	xds__node__init(m);
	xds__locality__init(l);
	l->region = text_member(region, where, "region");
	l->zone = text_member(region, where, "zone");
	l->sub_zone = text_member(region, where, "sub_zone");
	m->locality = l;
	m->id = text_member(region, node, "id");
	m->cluster = text_member(region, node, "cluster");
	m->user_agent_name = text_member(region, node, "user_agent_name");
	m->metadata = struct_message(region, json_object_get(node, "metadata"), 0);
	return region->failed || !m->metadata ? NULL : m;
}
