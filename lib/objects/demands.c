/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what two versions of a document demand of TLS. A last good version that demands less
 * than the version it replaces would permit what its author has just forbidden: plaintext, or
 * clients without certificates.
 */
#include "mt_objects_priv.h"

#include "mt_yaml.h"

#include <string.h>

static const char *text_of(const struct mt_ynode *n)
{
	return n && n->text ? n->text : "";
}

/* Bounded by the depth of documents, MT_YAML_DEPTH, as all recursion here. */
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

/* Strength of a mode; `missing`: of none, because kinds have other defaults. */
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
 * True if the settings of `edited`, a map with `tls`, demand no more than those of `good` for the
 * same port or subset. Of a client (not `server`) only encryption counts: servers verify clients.
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

/* The child of `parent` at the same place as `child`, the `at`-th of another tree. */
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
	/* A subset is known by its name. */
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
