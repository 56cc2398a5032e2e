/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char text[] =
	"node: {id: n}\n"
	"dynamic_resources:\n"
	"  ads_config: {api_type: %s, grpc_services: [{envoy_grpc: {cluster_name: mesh}}]}\n"
	"  lds_config: {ads: {}}\n"
	"  cds_config: {ads: {}}\n"
	"static_resources:\n"
	"  clusters:\n"
	"  - name: mesh\n"
	"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: "
	"%s}}}}]}]}\n";

void world_wrong(struct world *w, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (w->wrong[0])
		return;
	n = (size_t)snprintf(
		w->wrong, sizeof(w->wrong), "after %.3f s: ", (double)(w->now - MT_SEC) / 1e9);
	va_start(ap, fmt);
	vsnprintf(w->wrong + n, sizeof(w->wrong) - n, fmt, ap);
	va_end(ap);
}

static void die(const char *what)
{
	fprintf(stderr, "meshsim: %s\n", what);
	abort();
}

void world_init(struct world *w, uint64_t seed, bool delta)
{
	const struct mt_conf_options o = {.workers = 1};
	char path[64];
	struct mt_err e;

	memset(w, 0, sizeof(*w));
	w->now = MT_SEC;
	w->delta = delta;
	mt_rand_seed(&w->rng, seed);
	mt_rand_seed(&w->client_rng, seed + 1);
	strcpy(w->dir, "/dev/shm/meshsim-XXXXXX");
	if (!mkdtemp(w->dir))
		die(w->dir);
	snprintf(path, sizeof(path), "%s/s", w->dir);
	plane_init(&w->plane, path, &w->rng);
	w->names = mt_fds_init(&w->fds) ? NULL : mt_resolver_new(&w->fds, &e);
	w->conf = mt_conf_create(&o, &e);
	if (!w->names || !w->conf)
		die("no memory");
}

void world_fini(struct world *w)
{
	char path[80];

	world_stop(w);
	mt_conf_destroy(w->conf);
	plane_fini(&w->plane);
	mt_resolver_free(w->names);
	mt_fds_fini(&w->fds);
	snprintf(path, sizeof(path), "%s/xds-mesh.bin", w->dir);
	(void)unlink(path);
	(void)rmdir(w->dir);
}

static struct mt_xds_bootstrap *bootstrap(struct world *w)
{
	struct mt_xds_bootstrap *b;
	struct mt_diags diags;
	char buf[1024];

	snprintf(buf, sizeof(buf), text, w->delta ? "DELTA_GRPC" : "GRPC", w->plane.wire.path);
	mt_diags_init(&diags);
	b = mt_xds_bootstrap_text(&diags, "bootstrap", buf, strlen(buf));
	mt_diags_fini(&diags);
	if (!b)
		die("the bootstrap");
	return b;
}

static void trace(struct world *w, const struct in_force *to)
{
	char line[512];
	size_t n = 0;

	for (int t = 0; t < PLANE_TYPES; t++)
		for (uint32_t i = 0; i < names_of((enum mt_xds_type)t); i++)
			if (to->serial[t][i])
				n += (size_t)snprintf(line + n, sizeof(line) - n, " %s%s #%u",
					t == MT_XDS_EDS ? "e" : "", name_of((enum mt_xds_type)t, i),
					to->serial[t][i]);
	line[n] = '\0';
	plane_trace(&w->plane, "IN FORCE%s", line);
}

#define ROUNDS 4 /* as in the daemon */

/* What came into force, or NULL when the compiler refuses it all; and hands back what it says. */
static struct mt_snapshot *compile(struct world *w, struct mt_diags *diags, struct in_force *to)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;

	mt_xds_load_begin(w->x, w->now);
	if (!m || mt_xds_share(w->x, m))
		die("no memory");
	*to = force_of(w, m);
	s = mt_conf_compile(w->conf, m, diags, w->now);
	mt_model_free(m);
	for (uint32_t i = 0; i < diags->n; i++)
		if (diags->items[i].resource)
			mt_xds_told(w->x, diags->items[i].kind, diags->items[i].resource,
				diags->items[i].severity, diags->items[i].message);
	return s;
}

/* What the daemon does when something has changed: share, compile, try without what is wrong, publish. */
static void load(struct world *w)
{
	struct mt_snapshot *s = NULL;
	struct in_force to;
	struct mt_err e;
	bool again = true;

	for (int round = 1; again; round++) {
		struct mt_diags diags;

		mt_diags_init(&diags);
		s = compile(w, &diags, &to);
		if (!s || diags.errors)
			world_wrong(w, "the compiler refuses it all: %s",
				diags.n ? diags.items[0].message : "");
		mt_diags_fini(&diags);
		again = mt_xds_load_end(w->x, s ? NULL : "refused as a whole", round == ROUNDS);
		if (again && s)
			mt_conf_discard(w->conf, s, w->now);
	}
	if (!s)
		return;
	trace(w, &to);
	check_publish(w, s, &to);
	if (mt_conf_publish(w->conf, s, w->now, NULL, &e))
		die(e.text);
	w->publishes++;
	w->force = to;
	(void)mt_conf_reap(w->conf, w->now);
}

void world_start(struct world *w)
{
	struct mt_xds_conf conf = {.name = "mesh", .state_dir = w->dir, .bootstrap = bootstrap(w)};
	const struct mt_xds_env env = {.fds = &w->fds, .names = w->names, .rng = &w->client_rng};

	w->x = mt_xds_new(&conf, w->now);
	if (!w->x)
		die("no memory");
	load(w);
	if (mt_xds_start(w->x, &env, w->now))
		die("the source does not start");
}

void world_stop(struct world *w)
{
	mt_xds_free(w->x);
	w->x = NULL;
}

/* One turn of the daemon's loop; as often as bytes move. */
static void turn(struct world *w)
{
	bool moved = true;

	for (int i = 0; i < 50 && moved; i++) {
		bool changed = mt_xds_turn(w->x, w->now);

		plane_turn(&w->plane, w->now);
		moved = wire_turn(&w->plane.wire);
		mt_fds_dispatch(&w->fds, 64, 0);
		changed |= mt_xds_turn(w->x, w->now);
		moved |= wire_turn(&w->plane.wire);
		if (changed)
			load(w);
	}
	if (w->plane.wrong[0])
		world_wrong(w, "%s", w->plane.wrong);
}

void world_pass(struct world *w, uint64_t ns, uint64_t step)
{
	uint64_t end = w->now + ns;

	while (w->now < end && !w->wrong[0]) {
		turn(w);
		w->now = MT_MIN(w->now + step, end);
	}
	turn(w);
}
