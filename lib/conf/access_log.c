/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log: accessLogFile of the MeshConfig, in directories that the Node permits. A path
 * elsewhere gives a warning and no log, and costs nothing else.
 */
#include "mt_conf_priv.h"

#include <errno.h>

static int find_place(
	struct mt_build *b, const char *path, struct mt_alog_place *place, struct mt_err *e)
{
	const struct mt_node *node = b->model->node;
	const struct mt_node_access_log *l = node ? node->access_log : NULL;
	uint32_t n = l ? l->n_directories : 0;
	const char **directories = n ? mt_region_alloc(&b->tmp, n * sizeof(*directories)) : NULL;

	if (n && !directories)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		directories[i] = l->directories[i].s;
	return mt_alog_place_of(path, directories, n, place, e);
}

/* Copies the place into the snapshot's memory, which remembers a failure. */
static void keep(struct mt_build *b, const struct mt_alog_place *place)
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	struct mt_region *r = &b->snap->region;
	struct mt_access_log *log = mt_region_alloc(r, sizeof(*log));

	if (!log)
		return;
	log->place.fd = place->fd;
	if (place->path) {
		log->place.path = mt_region_strdup(r, place->path);
		log->place.directory = mt_region_strdup(r, place->directory);
	}
	log->document = mt_region_printf(r, "MeshConfig %s: accessLogFile", c->meta.name);
	log->origin.file = mt_region_strdup(r, c->meta.origin.file);
	log->origin.line = c->access_log.line;
	b->snap->pub.log = log;
}

/* Telemetry that would end the log in Istio. The reader has noted the other kinds. */
static void note_telemetry(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->proxy_settings;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_proxy_setting *s = all->v[i];

		for (uint32_t k = 0; k < s->n_logs; k++)
			if (s->logs[k].disabled)
				mt_b_note(b, &s->meta, s->logs[k].origin.line, "spec.accessLogging",
					NULL,
					"not enforced: the log of the MeshConfig's accessLogFile "
					"is written as without it");
	}
}

void mt_b_access_log(struct mt_build *b)
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	struct mt_alog_place place;
	struct mt_err e;
	int rc;

	if (!c || !c->access_log.s || !*c->access_log.s)
		return;
	rc = find_place(b, c->access_log.s, &place, &e);
	if (rc == -ENOMEM) {
		b->tmp.failed = true;
		return;
	}
	if (rc) {
		mt_b_warn(b, &c->meta, c->access_log.line, "accessLogFile",
			"name a file in one of these directories, or add its directory to "
			"spec.accessLog.directories of the Node",
			"no access log is written: %s", e.text);
		return;
	}
	keep(b, &place);
	mt_alog_place_fini(&place);
	note_telemetry(b);
}
