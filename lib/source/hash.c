/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes the meaning of a document, so that layout and order of fields make no difference. */
#include "mt_fields.h"

#include "mt_strmap.h"

#include <string.h>

/* True for fields in which an API server or kubectl keeps records about the object. */
static bool has_no_meaning(const char *parent, const char *key)
{
	static const char *const noted[] = {"uid", "resourceVersion", "generation",
		"creationTimestamp", "managedFields", "ownerReferences", "finalizers", "selfLink"};

	if (strcmp(parent, "annotations") == 0)
		return strcmp(key, "kubectl.kubernetes.io/last-applied-configuration") == 0;
	for (size_t i = 0; i < MT_ARRAY_LEN(noted); i++)
		if (strcmp(key, noted[i]) == 0)
			return strcmp(parent, "metadata") == 0;
	return false;
}

static uint64_t mix(uint64_t v, uint64_t h)
{
	return mt_hash_bytes(&v, sizeof(v), h);
}

static uint64_t hash_node(const struct mt_ynode *n, const char *key);

/* Adds up the hashes of the fields, so that their order does not matter. */
static uint64_t hash_map(const struct mt_ynode *n, const char *key)
{
	uint64_t sum = 0;

	for (const struct mt_ynode *k = n->first; k; k = k->next)
		if (!has_no_meaning(key, k->key) && !mt_yaml_is_null(k))
			sum += mix(hash_node(k, k->key), mt_strhash(k->key, 1));
	return mix(sum, MT_Y_MAP);
}

static uint64_t hash_node(const struct mt_ynode *n, const char *key)
{
	uint64_t h = MT_Y_SEQ;

	if (n->type == MT_Y_MAP)
		return hash_map(n, key);
	if (n->type == MT_Y_SCALAR)
		return mt_strhash(n->text, mt_yaml_is_null(n));
	for (const struct mt_ynode *k = n->first; k; k = k->next)
		h = mix(hash_node(k, ""), h);
	return h;
}

uint64_t mt_document_hash(const struct mt_ynode *root)
{
	uint64_t sum = 0;

	if (root->type != MT_Y_MAP)
		return hash_node(root, "");
	for (const struct mt_ynode *k = root->first; k; k = k->next)
		if (strcmp(k->key, "status") != 0)
			sum += mix(hash_node(k, k->key), mt_strhash(k->key, 1));
	return sum;
}
