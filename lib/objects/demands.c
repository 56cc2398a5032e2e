/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the strength of TLS that two versions of a document require. A last good version with
 * weaker TLS must not replace the current version, because it would permit plaintext, or clients
 * without certificates, which the author has just forbidden.
 */
#include "mt_objects_priv.h"

#include "mt_yaml.h"

#include <string.h>

static const char *text_of(const struct mt_ynode *n)
{
	return n && n->text ? n->text : "";
}

/*
 * True if two trees are equal. The depth of documents, MT_YAML_DEPTH, bounds this recursion and all
 * others in this file.
 */
static bool same(const struct mt_ynode *a, const struct mt_ynode *b)
{
	const struct mt_ynode *x, *y;

	if (!a || !b)
		return a == b;
	if (a->type != b->type || strcmp(text_of(a), text_of(b)) != 0)
		return false;
	for (x = a->first, y = b->first; x && y; x = x->next, y = y->next)
		if (strcmp(x->key ? x->key : "", y->key ? y->key : "") != 0 || !same(x, y))
			return false;
	return x == y;
}

/*
 * Returns the strength of a TLS mode. Without a mode the strength is `missing`, because defaults
 * differ between kinds.
 */
static int strength(const struct mt_ynode *tls, bool server, int missing)
{
	const char *mode = text_of(mt_yaml_get(tls, "mode"));

	if (!tls || !strcmp(mode, "DISABLE") || !strcmp(mode, "PASSTHROUGH") ||
		!strcmp(mode, "AUTO_PASSTHROUGH") || !strcmp(mode, "Passthrough"))
		return 0;
	if (!*mode)
		return missing;
	return server && (!strcmp(mode, "MUTUAL") || !strcmp(mode, "ISTIO_MUTUAL")) ? 2 : 1;
}

/*
 * True if the settings of `edited`, a map with `tls`, require no stronger TLS than those of `good`
 * for the same port or subset. For clients (not `server`) only encryption counts, because servers
 * verify the clients' certificates.
 */
static bool covers(const struct mt_ynode *good, const struct mt_ynode *edited, bool server)
{
	const struct mt_ynode *now = mt_yaml_get(edited, "tls"), *before = mt_yaml_get(good, "tls");
	bool equal = before && same(mt_yaml_get(now, "mode"), mt_yaml_get(before, "mode"));

	if (!now)
		return true;
	if (!equal && strength(now, server, 1) > strength(before, server, 0))
		return false;
	if (mt_yaml_get(now, "frontendValidation") && !mt_yaml_get(before, "frontendValidation"))
		return false;
	return server || same(mt_yaml_get(edited, "port"), mt_yaml_get(good, "port"));
}

/*
 * Returns the child of `parent` that corresponds to `child`, which is number `at` in another tree.
 */
static const struct mt_ynode *counterpart(
	const struct mt_ynode *parent, const struct mt_ynode *child, uint32_t at)
{
	const struct mt_ynode *n;

	if (child->key)
		return mt_yaml_get(parent, child->key);
	if (!parent || parent->type != MT_Y_SEQ)
		return NULL;
	for (n = parent->first; n && at; at--)
		n = n->next;
	/* Subsets correspond if they have the same name. */
	return n && same(mt_yaml_get(n, "name"), mt_yaml_get(child, "name")) ? n : NULL;
}

static bool demands(const struct mt_ynode *good, const struct mt_ynode *edited, bool server)
{
	uint32_t at = 0;

	if (edited->type == MT_Y_MAP && !covers(good, edited, server))
		return false;
	for (const struct mt_ynode *n = edited->first; n; n = n->next, at++)
		if (n->type != MT_Y_SCALAR && !demands(counterpart(good, n, at), n, server))
			return false;
	return true;
}

bool mt_object_demands(const struct mt_object *good, const struct mt_object *edited)
{
	const struct mt_ynode *now = mt_yaml_get(edited->root, "spec");
	const struct mt_ynode *before = mt_yaml_get(good->root, "spec");

	if (!now || !before)
		return false;
	if (!same(mt_yaml_get(now, "host"), mt_yaml_get(before, "host")) ||
		!same(mt_yaml_get(now, "targetRefs"), mt_yaml_get(before, "targetRefs")))
		return false;
	return demands(before, now, strcmp(edited->kind, "DestinationRule") != 0);
}
