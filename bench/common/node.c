/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_node.h"

#include "bench_counters.h"
#include "bench_tls.h"
#include "mt_tls_layer.h"
#include "mt_source.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void bench_die(const char *what, const struct mt_err *e)
{
	fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, e ? ": " : "",
		e ? e->text : "");
	exit(1);
}

void bench_die_stalled(struct mt_worker *w, const char *what)
{
	bench_tell(&mt_net_outcomes, mt_net_counters(mt_worker_net(w)));
	bench_tell(&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(w)));
	bench_tell(&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(w)));
	if (mt_worker_tls(w)) {
		bench_tell(&mt_tls_outcomes, mt_worker_tls(w)->counts);
		bench_tell(&mt_tls_failed_outcomes, mt_worker_tls(w)->failed + 1);
	}
	bench_die(what, NULL);
}

void bench_eal(enum mt_eal_pages pages, uint32_t mb, uint32_t workers, struct mt_eal_info *info)
{
	struct mt_eal_conf c = {.hugepages = pages, .mb = mb, .workers = (uint16_t)workers};
	struct mt_err e;
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "meltemi-%s-%d", program_invocation_short_name, getpid());
	c.prefix = prefix;
	if (mt_eal_start(&c, info, &e))
		bench_die("EAL", &e);
	if (mt_buf_init())
		bench_die("no place for the mbuf link", NULL);
}

struct mt_net *bench_node_net(const struct bench_wire wire[2], uint32_t workers,
	const struct mt_steer *steer, const struct mt_addr *vips, uint32_t n_vips)
{
	struct mt_port *ports[] = {wire[0].meltemi, wire[1].meltemi};
	struct mt_net_addr_conf addrs[2] = {{.port = 0}, {.port = 1}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_net *net = mt_net_create(ports, 2, (uint16_t)workers, steer);
	struct mt_err e = {0};

	mt_prefix_parse(BENCH_CLIENTS "/16", &addrs[0].addr, &addrs[0].prefix);
	mt_prefix_parse("10.2.0.1/16", &addrs[1].addr, &addrs[1].prefix);
	if (!net || mt_net_configure(net, &conf, NULL, &e) ||
		mt_net_set_vips(net, vips, n_vips, NULL))
		bench_die("net", &e);
	return net;
}

void bench_node_document(FILE *f)
{
	fprintf(f, "apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: bench}\nspec:\n"
		   "  mesh: {namespace: bench, nodeIdentityUse: {clients: [10.1.0.0/16, "
		   "'spiffe://" BENCH_TRUST_DOMAIN "/*']}}\n---\n");
}

static bool load(struct mt_conf *conf, const char *dir, uint64_t now)
{
	const char *dirs[] = {dir};
	struct mt_diags diags;
	struct mt_model *model = mt_model_new();
	struct mt_snapshot *s = NULL;
	struct mt_err err;
	bool published;

	mt_diags_init(&diags);
	MT_ASSERT(model);
	if (mt_source_load(NULL, model, &diags, NULL, dirs, 1) == 0) {
		model->mesh.config = model->mesh_configs.n ? model->mesh_configs.v[0] : NULL;
		s = mt_conf_compile(conf, model, &diags, now);
	}
	if (!s)
		mt_diags_print(&diags, stderr);
	published = s && mt_conf_publish(conf, s, now, NULL, &err) == 0;
	mt_model_free(model);
	mt_diags_fini(&diags);
	return published;
}

struct mt_conf *bench_node_conf(uint32_t workers, struct mt_credential *identity,
	struct mt_codec_registry *codecs, void (*write)(FILE *f, const void *arg), const void *arg,
	uint64_t now)
{
	struct mt_conf_options co = {.workers = (uint16_t)workers};
	char dir[] = "/tmp/meltemi-bench-XXXXXX", path[64];
	struct mt_conf *conf;
	struct mt_err e;
	bool loaded;
	FILE *f;

	conf = mt_conf_create(&co, &e);
	if (!conf)
		bench_die("conf", &e);
	mt_conf_set_identity(conf, identity);
	if (codecs)
		mt_conf_set_codecs(conf, codecs);
	MT_ASSERT(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/bench.yaml", dir);
	f = fopen(path, "we");
	MT_ASSERT(f);
	write(f, arg);
	fclose(f);
	loaded = load(conf, dir, now);
	unlink(path);
	rmdir(dir);
	if (!loaded)
		bench_die("the bench's own documents do not compile", NULL);
	return conf;
}
