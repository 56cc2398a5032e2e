/* SPDX-License-Identifier: Apache-2.0 */
#include "xds_fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ITEMS 16

/* Nobody listens there: connecting fails at once, every time. */
static const char bootstrap[] =
	"node: {id: n}\n"
	"dynamic_resources:\n"
	"  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: mesh}}]}\n"
	"  lds_config: {ads: {}}\n"
	"  cds_config: {ads: {}}\n"
	"static_resources:\n"
	"  clusters:\n"
	"  - name: mesh\n"
	"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: "
	"/nonexistent/a}}}}]}]}\n"
	"  - name: aeraki-xds\n"
	"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: "
	"/nonexistent/b}}}}]}]}\n";

static void make(struct mesh *m)
{
	struct mt_xds_conf conf = {.name = "mesh", .state_dir = m->dir, .demand = m->demand};
	struct mt_diags diags;

	mt_diags_init(&diags);
	conf.bootstrap = mt_xds_bootstrap_text(&diags, "b", bootstrap, strlen(bootstrap));
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf.bootstrap);
	mt_diags_fini(&diags);
	/* As the daemon does, which reads what was kept before it knows the time. */
	m->x = mt_xds_new(&conf, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->x);
}

static void on_answer(void *arg, const char *name, uint64_t until, const char *why)
{
	struct mesh *m = arg;

	snprintf(m->answered, sizeof(m->answered), "%s", name);
	m->absent_until = until;
	m->answer = why;
	m->answers++;
}

static bool reaches(void *arg, const struct mt_addr *a)
{
	const struct mesh *m = arg;

	return m->lost != (mt_addr_is4(a) ? 4 : 6);
}

void mesh_start(struct mesh *m)
{
	const struct mt_xds_env env = {.fds = &m->fds,
		.names = m->names,
		.looked_up = m->looked_up,
		.reaches = reaches,
		.rng = &m->rng,
		.answered = on_answer,
		.arg = m};

	CU_ASSERT_EQUAL(mt_xds_start(m->x, &env, m->now), 0);
}

void mesh_begin(struct mesh *m)
{
	const struct mt_xds_demand_conf none = {0};

	mesh_begin_demand(m, &none);
}

void mesh_begin_demand(struct mesh *m, const struct mt_xds_demand_conf *demand)
{
	struct mt_err e;

	memset(m, 0, sizeof(*m));
	m->demand = *demand;
	m->now = 1000 * MT_SEC;
	strcpy(m->dir, "/tmp/meltemi-xds-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(m->dir));
	mt_rand_seed(&m->rng, 7);
	CU_ASSERT_EQUAL(mt_fds_init(&m->fds), 0);
	m->names = mt_resolver_new(&m->fds, &e);
	m->looked_up = mt_name_table_new();
	mt_name_table_ask(m->looked_up, m->names);
	mt_pb_arena_init(&m->arena, 64 << 20);
	make(m);
	mesh_start(m);
}

void mesh_restart(struct mesh *m)
{
	mt_xds_free(m->x);
	make(m);
}

void mesh_finish(struct mesh *m)
{
	char path[96];

	mt_xds_free(m->x);
	mt_name_table_free(m->looked_up);
	mt_resolver_free(m->names);
	mt_fds_fini(&m->fds);
	mt_pb_arena_fini(&m->arena);
	snprintf(path, sizeof(path), "%s/xds-mesh.bin", m->dir);
	unlink(path);
	rmdir(m->dir);
}

/* ---- what a server says ----------------------------------------------------------------------------- */

static Xds__Any *body_of(struct mesh *m, enum mt_xds_type type, const char *text)
{
	const ProtobufCMessageDescriptor *d = mt_pb_type(mt_xds_url(type));
	struct mt_pb_reader r = {.arena = &m->arena, .why = &m->why};
	char *json = mt_region_strdup(&m->arena.region, text);
	Xds__Any *any = mt_region_alloc(&m->arena.region, sizeof(*any));
	Xds__Struct *s;
	ProtobufCMessage *msg;

	for (char *p = json; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	s = mt_pb_struct_of_text(&m->arena, "t", json, strlen(json), &m->why);
	if (!s)
		fprintf(stderr, "%s: %s\n", text, m->why.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	msg = mt_pb_from_struct(&r, d, s);
	if (!msg)
		fprintf(stderr, "%s: %s\n", text, m->why.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	xds__any__init(any);
	any->type_url = (char *)mt_xds_url(type);
	any->value.len = protobuf_c_message_get_packed_size(msg);
	any->value.data = mt_region_alloc(&m->arena.region, any->value.len + 1);
	protobuf_c_message_pack(msg, any->value.data);
	return any;
}

static struct xds_link *link_of(struct mesh *m, const char *server)
{
	struct mt_list *n;

	mt_list_foreach (n, &m->x->links) {
		struct xds_link *l = mt_list_entry(n, struct xds_link, node);

		if (!server || strcmp(l->conn->server->name, server) == 0)
			return l;
	}
	return NULL;
}

static void say(struct mesh *m, const char *server, const struct mt_ads_update *u)
{
	struct xds_link *l = link_of(m, server);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	m->x->now = m->now;
	m->why.text[0] = '\0';
	m->ok = xds_update(l, u, &m->why) != MT_ADS_REFUSED;
}

void mesh_say(struct mesh *m, enum mt_xds_type type, ...)
{
	struct mt_ads_resource items[ITEMS] = {0};
	struct mt_ads_update u = {
		.type = type, .version = "1", .items = items, .complete = mt_xds_is_whole(type)};
	const char *text;
	va_list ap;

	va_start(ap, type);
	while ((text = va_arg(ap, const char *)) != NULL && u.n < ITEMS)
		items[u.n++] =
			(struct mt_ads_resource){.version = "", .body = body_of(m, type, text)};
	va_end(ap);
	say(m, NULL, &u);
}

void mesh_say_from(struct mesh *m, const char *server, enum mt_xds_type type, const char *text)
{
	struct mt_ads_resource item = {.version = "", .body = text ? body_of(m, type, text) : NULL};

	say(m, server,
		&(struct mt_ads_update){
			.type = type, .version = "1", .items = &item, .n = text ? 1 : 0});
}

void mesh_say_for(struct mesh *m, enum mt_xds_type type, const char *text, uint64_t ttl_ns)
{
	struct mt_ads_resource item = {
		.version = "", .body = body_of(m, type, text), .ttl_ns = ttl_ns};

	say(m, NULL, &(struct mt_ads_update){.type = type, .version = "1", .items = &item, .n = 1});
}

void mesh_hear(struct mesh *m, const struct mt_ads_update *u)
{
	say(m, NULL, u);
}

void mesh_say_version(struct mesh *m, enum mt_xds_type type, const char *name, const char *version,
	const char *text)
{
	struct mt_ads_resource item = {
		.name = name, .version = version, .body = body_of(m, type, text)};

	say(m, NULL, &(struct mt_ads_update){.type = type, .version = "1", .items = &item, .n = 1});
}

void mesh_say_named(struct mesh *m, enum mt_xds_type type, const char *name, const char *text)
{
	mesh_say_version(m, type, name, "1", text);
}

void mesh_say_and_noise(struct mesh *m, enum mt_xds_type type, const char *text)
{
	static uint8_t noise[] = {0x0a, 0x7f, 'l', 'o', 's', 't'};
	const Xds__Any bytes = {.base = {&xds__any__descriptor},
		.type_url = (char *)mt_xds_url(type),
		.value = {.len = sizeof(noise), .data = noise}};
	struct mt_ads_resource items[] = {
		{.version = "", .body = body_of(m, type, text)}, {.version = "", .body = &bytes}};

	say(m, NULL,
		&(struct mt_ads_update){.type = type,
			.version = "1",
			.items = items,
			.n = 2,
			.complete = mt_xds_is_whole(type)});
}

void mesh_gone(struct mesh *m, enum mt_xds_type type, const char *name)
{
	char *gone[] = {(char *)name};

	say(m, NULL,
		&(struct mt_ads_update){.type = type, .version = "1", .gone = gone, .n_gone = 1});
}

/* ---- what comes of it -------------------------------------------------------------------------------- */

/* A compiler that knows one rule: who has an address longest keeps it, and nobody may be at port 666. */
static void compile(struct mesh *m)
{
	struct mt_model *model = mt_model_new();
	const struct mt_objs *objs = &model->res_listeners;

	mt_xds_load_begin(m->x, m->now);
	CU_ASSERT_EQUAL(mt_xds_share(m->x, model), 0);
	m->compiled++;
	for (uint32_t i = 0; i < objs->n; i++) {
		const struct mt_res_listener *l = objs->v[i], *other;
		bool bad = l->addresses[0].port == 666;

		for (uint32_t k = 0; k < objs->n; k++) {
			other = objs->v[k];
			bad |= other->meta.serial < l->meta.serial &&
			       memcmp(l->addresses, other->addresses, sizeof(*l->addresses)) == 0;
		}
		if (bad)
			mt_xds_told(m->x, "Listener", l->meta.name, MT_DIAG_LEFT_OUT,
				"address: in use");
	}
	mt_model_free(model);
}

static uint32_t turn(struct mesh *m)
{
	if (!mt_xds_turn(m->x, m->now))
		return 0;
	for (int round = 1; round <= 4; round++) {
		compile(m);
		if (!mt_xds_load_end(m->x, m->failing, round == 4))
			break;
	}
	return 1;
}

const char *mesh_why(struct mesh *m, enum mt_xds_type type)
{
	struct xds_link *l = link_of(m, NULL);

	if (l->judged[type].pending)
		return "later";
	return l->refused[type].text;
}

uint64_t mesh_told_late(struct mesh *m, enum mt_xds_type type)
{
	return link_of(m, NULL)->late[type];
}

uint32_t mesh_wait(struct mesh *m, uint64_t ns)
{
	uint64_t end = m->now + ns, step = (ns > 60 * MT_SEC ? 100 : 10) * MT_MSEC;
	uint32_t n = 0;

	for (; m->now < end; m->now += step) {
		mt_fds_dispatch(&m->fds, 16, 0);
		(void)mt_name_table_turn(m->looked_up, m->now, (int64_t)(m->now / MT_SEC));
		n += turn(m);
	}
	return n + turn(m);
}

static void add(char *buf, size_t size, const struct mt_objs *objs, const char *type)
{
	for (uint32_t i = 0; i < objs->n; i++) {
		const struct mt_meta *meta = objs->v[i];
		size_t len = strlen(buf);

		snprintf(buf + len, size - len, "%s%s %s", len ? ", " : "", type, meta->name);
	}
}

const char *mesh_live(struct mesh *m)
{
	static char buf[1024];
	struct mt_model *model = mt_model_new();

	buf[0] = '\0';
	CU_ASSERT_EQUAL(mt_xds_share(m->x, model), 0);
	add(buf, sizeof(buf), &model->res_clusters, "CDS");
	add(buf, sizeof(buf), &model->res_endpoints, "EDS");
	add(buf, sizeof(buf), &model->res_listeners, "LDS");
	add(buf, sizeof(buf), &model->res_routes, "RDS");
	add(buf, sizeof(buf), &model->res_names, "NDS");
	mt_model_free(model);
	return buf;
}

uint32_t mesh_wanted(struct mesh *m, const char *server, enum mt_xds_type type)
{
	struct xds_link *l = link_of(m, server);

	return l ? mt_ads_status(l->ads, type).wanted : 0;
}

const char *mesh_state(struct mesh *m, enum mt_xds_type type, const char *name)
{
	static char buf[1024];
	struct mt_xds_resource_info r;
	const void *pos = NULL;

	while (mt_xds_resource_next(m->x, &pos, &r)) {
		if (strcmp(r.type, mt_xds_name(type)) != 0 || strcmp(r.name, name) != 0)
			continue;
		snprintf(buf, sizeof(buf), "%s%s%s", r.state, *r.reason ? ": " : "", r.reason);
		return buf;
	}
	return "";
}
