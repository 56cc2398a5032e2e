/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's metadata in its mesh: those that a bootstrap has for the control plane, else those of
 * the Node document.
 */
#include "daemon.h"

#include <stdio.h>

#define CANONICAL_NAME	   "service.istio.io/canonical-name"
#define CANONICAL_REVISION "service.istio.io/canonical-revision"

/* Copies the first one that is not NULL; "" if both are. */
static void first(char to[MT_SELF_TEXT], const char *a, const char *b)
{
	const char *text = a ? a : b;

	snprintf(to, MT_SELF_TEXT, "%s", text ? text : "");
}

static const char *member(const struct daemon *d, const char *name)
{
	return d->n_mesh ? mt_xds_self(d->sources[0], name) : NULL;
}

static const char *label(const struct daemon *d, const char *name)
{
	const char *text = d->n_mesh ? mt_xds_self_label(d->sources[0], name) : NULL;

	return text ? text : mt_labels_get(&d->node->meta.labels, name);
}

void self_read(const struct daemon *d, struct mt_ctl_self *out)
{
	const struct mt_meta *meta = &d->node->meta;
	const char *app = label(d, "app");

	first(out->workload, member(d, "WORKLOAD_NAME"), meta->name);
	first(out->ns, member(d, "NAMESPACE"), meta->ns);
	first(out->cluster, member(d, "CLUSTER_ID"), NULL);
	first(out->app, app, NULL);
	first(out->version, label(d, "version"), NULL);
	first(out->canonical_service, label(d, CANONICAL_NAME), app ? app : out->workload);
	first(out->canonical_revision, label(d, CANONICAL_REVISION),
		out->version[0] ? out->version : "latest");
}
