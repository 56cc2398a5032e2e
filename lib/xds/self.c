/* SPDX-License-Identifier: Apache-2.0 */
/* Node metadata of the bootstrap, for code that reports the same values elsewhere. */
#include "mt_xds_priv.h"

#include <string.h>

static const Xds__Value *member(const Xds__Struct *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, name) == 0)
			return s->fields[i]->value;
	return NULL;
}

static const char *string_of(const Xds__Value *v)
{
	if (!v || v->kind_case != XDS__VALUE__KIND_STRING_VALUE || !*v->string_value)
		return NULL;
	return v->string_value;
}

const char *mt_xds_self(const struct mt_xds *x, const char *name)
{
	const Xds__Node *node = mt_xds_bootstrap_of(x)->node;

	return node ? string_of(member(node->metadata, name)) : NULL;
}

const char *mt_xds_self_label(const struct mt_xds *x, const char *name)
{
	const Xds__Node *node = mt_xds_bootstrap_of(x)->node;
	const Xds__Value *labels = node ? member(node->metadata, "LABELS") : NULL;

	if (!labels || labels->kind_case != XDS__VALUE__KIND_STRUCT_VALUE)
		return NULL;
	return string_of(member(labels->struct_value, name));
}
