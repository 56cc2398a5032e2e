/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_peer.h"

#include "mt_model.h"
#include "mt_secret_hash.h"

#include <string.h>

#define UNKNOWN "unknown"

/* The first of the labels that is there, and not empty; otherwise `none`. */
static const char *first_of(
	const struct mt_labels *labels, const char *const keys[3], const char *none)
{
	for (int i = 0; i < 3; i++) {
		const char *value = mt_labels_get(labels, keys[i]);

		if (value && *value)
			return value;
	}
	return none;
}

struct mt_peer mt_peer_of(const char *name, const char *ns, const struct mt_labels *labels)
{
	static const char *const service[] = {
		"service.istio.io/canonical-name", "app.kubernetes.io/name", "app"};
	static const char *const revision[] = {
		"service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"};
	struct mt_peer p = {.label = {[MT_PEER_WORKLOAD] = name, [MT_PEER_NAMESPACE] = ns}};

	if (!labels)
		return p;
	p.label[MT_PEER_APP] = mt_labels_get(labels, "app");
	p.label[MT_PEER_VERSION] = mt_labels_get(labels, "version");
	p.label[MT_PEER_SERVICE] = first_of(labels, service, name);
	p.label[MT_PEER_REVISION] = first_of(labels, revision, "latest");
	return p;
}

/* If nothing is known about the workload, its revision is "latest", as Istio's proxies have it. */
const char *mt_peer_shown(const struct mt_peer *p, enum mt_peer_label label)
{
	if (p->label[label])
		return p->label[label];
	if (label != MT_PEER_REVISION)
		return UNKNOWN;
	for (int i = 0; i < MT_PEER_LABELS; i++)
		if (p->label[i])
			return UNKNOWN;
	return "latest";
}

uint64_t mt_peer_id(const struct mt_peer *p)
{
	static const struct mt_peer unknown;
	uint64_t h = 1;
	bool known = false;

	for (int i = 0; i < MT_PEER_LABELS; i++) {
		const char *shown = mt_peer_shown(p, i);

		known |= strcmp(shown, mt_peer_shown(&unknown, i)) != 0;
		h = mt_secret_hash(shown, strlen(shown) + 1, h);
	}
	return known ? h | 1 : 0;
}

void mt_peer_share(struct mt_peer *all, const struct mt_peer *one)
{
	for (int i = 0; i < MT_PEER_LABELS; i++) {
		const char *a = all->label[i], *b = one->label[i];

		if (a != b && (!a || !b || strcmp(a, b) != 0))
			all->label[i] = NULL;
	}
}

struct mt_peer *mt_peer_copy(const struct mt_peer *p)
{
	struct mt_peer *copy;
	size_t size = sizeof(*copy);
	char *at;

	if (!p)
		return NULL;
	for (int i = 0; i < MT_PEER_LABELS; i++)
		size += p->label[i] ? strlen(p->label[i]) + 1 : 0;
	copy = calloc(1, size);
	at = (char *)(copy + 1);
	for (int i = 0; copy && i < MT_PEER_LABELS; i++) {
		if (!p->label[i])
			continue;
		copy->label[i] = strcpy(at, p->label[i]);
		at += strlen(at) + 1;
	}
	return copy;
}
