/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the Node document: the daemon passes them to lib/net, lib/tcp, lib/proxy and lib/worker when it starts. */
#include "daemon.h"
#include "mt_node_limits.h"
#include "suites.h"

#include <errno.h>

#define SOURCES 4

/* The last values that were passed. `records`: calls only record them. */
static struct {
	bool records;
	uint64_t key[2];
	struct mt_net_conf net;
	struct mt_net_port_conf ports[2];
	struct mt_net_route_conf route;
	struct mt_addr sources[SOURCES];
	struct mt_worker_conf worker;
	struct mt_tcp_conf tcp;
	struct mt_proxy_conf proxy;
} passed;

/* ---- in place of the libraries ---------------------------------------------------------------- */

struct mt_net *__real_mt_net_create(struct mt_port *const *ports, uint16_t n_ports,
	uint16_t workers, const struct mt_steer *steer);
struct mt_net *__wrap_mt_net_create(struct mt_port *const *ports, uint16_t n_ports,
	uint16_t workers, const struct mt_steer *steer);
int __real_mt_net_configure(struct mt_net *net, const struct mt_net_conf *conf,
	struct mt_net_old **old, struct mt_err *e);
int __wrap_mt_net_configure(struct mt_net *net, const struct mt_net_conf *conf,
	struct mt_net_old **old, struct mt_err *e);
void __real_mt_net_key(struct mt_net *net, const uint64_t key[2]);
void __wrap_mt_net_key(struct mt_net *net, const uint64_t key[2]);
struct mt_worker *__wrap_mt_worker_create(const struct mt_worker_conf *conf);
const char *__wrap_mt_port_interface(const struct mt_port *p);
struct mt_tls_lane *__wrap_mt_tls_pool_lane(struct mt_tls_pool *p, uint32_t worker);
struct mt_extauthz_lane *__wrap_mt_extauthz_lane(struct mt_extauthz *x, uint32_t worker);
struct mt_callout_lane *__wrap_mt_callout_lane(struct mt_callout *x, uint32_t worker);
struct mt_token_lane *__wrap_mt_token_pool_lane(struct mt_token_pool *p, uint32_t worker);

struct mt_net *__wrap_mt_net_create(struct mt_port *const *ports, uint16_t n_ports,
	uint16_t workers, const struct mt_steer *steer)
{
	return passed.records ? (struct mt_net *)&passed
			      : __real_mt_net_create(ports, n_ports, workers, steer);
}

int __wrap_mt_net_configure(struct mt_net *net, const struct mt_net_conf *conf,
	struct mt_net_old **old, struct mt_err *e)
{
	if (!passed.records)
		return __real_mt_net_configure(net, conf, old, e);
	passed.net = *conf;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(passed.ports); i++)
		passed.ports[i] = conf->ports[i];
	for (uint32_t i = 0; i < MT_MIN(conf->n_sources, (uint32_t)SOURCES); i++)
		passed.sources[i] = conf->sources[i];
	if (conf->n_routes)
		passed.route = conf->routes[0];
	return mt_err(e, -ECANCELED, "recorded");
}

void __wrap_mt_net_key(struct mt_net *net, const uint64_t key[2])
{
	if (passed.records)
		memcpy(passed.key, key, sizeof(passed.key));
	else
		__real_mt_net_key(net, key);
}

struct mt_worker *__wrap_mt_worker_create(const struct mt_worker_conf *conf)
{
	passed.worker = *conf;
	passed.tcp = *conf->tcp;
	passed.proxy = *conf->proxy;
	return NULL;
}

const char *__wrap_mt_port_interface(const struct mt_port *p)
{
	return "";
}

struct mt_tls_lane *__wrap_mt_tls_pool_lane(struct mt_tls_pool *p, uint32_t worker)
{
	return NULL;
}

struct mt_extauthz_lane *__wrap_mt_extauthz_lane(struct mt_extauthz *x, uint32_t worker)
{
	return NULL;
}

struct mt_callout_lane *__wrap_mt_callout_lane(struct mt_callout *x, uint32_t worker)
{
	return NULL;
}

struct mt_token_lane *__wrap_mt_token_pool_lane(struct mt_token_pool *p, uint32_t worker)
{
	return NULL;
}

/* ---- a Node ------------------------------------------------------------------------------------ */

/* Starts the net and the workers of a Node with these lines in its spec. */
static void start(const char *spec)
{
	static const char form[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports:\n"
		"  - {name: p0, device: net_null0, addresses: [192.0.2.1/24]%s\n"
		"  - {name: p1, device: net_null1, addresses: [198.51.100.1/24]}\n%s";
	const struct mt_conf_options opts = {.workers = 1};
	struct daemon *d = calloc(1, sizeof(*d));
	struct mt_model *m = mt_model_new();
	bool of_port = strncmp(spec, "port: ", 6) == 0;
	struct mt_port ports[2] = {{.name = "p0"}, {.name = "p1", .index = 1}};
	char text[1024], port[128];
	struct mt_diags diags;
	struct mt_err e = {""};

	CU_ASSERT_FATAL(d && m);
	snprintf(port, sizeof(port), "%s%s}", of_port ? ", " : "", of_port ? spec + 6 : "");
	snprintf(text, sizeof(text), form, port, of_port ? "" : spec);
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "n", text, strlen(text));
	CU_ASSERT_EQUAL(diags.errors, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->node);
	memset(&passed, 0, sizeof(passed));
	passed.records = true;
	d->node = m->node;
	d->n_workers = 1;
	d->n_ports = 2;
	d->ports[0] = &ports[0];
	d->ports[1] = &ports[1];
	d->conf = mt_conf_create(&opts, &e);
	CU_ASSERT_EQUAL(access_log_start(d, &e), 0);
	CU_ASSERT_EQUAL(net_start(d, &e), -ECANCELED);
	CU_ASSERT_EQUAL(workers_start(d, &e), -ENOMEM);
	passed.records = false;
	mt_l4_health_free(d->l4_health);
	mt_l4_limiter_free(d->l4_limiter);
	mt_node_limits_free(d->node_limits);
	access_log_stop(d);
	mt_conf_destroy(d->conf);
	mt_diags_fini(&diags);
	mt_model_free(m);
	free(d);
}

static bool is(const struct mt_addr *a, const char *text)
{
	struct mt_addr want;

	return mt_addr_parse(text, &want) == 0 && mt_addr_eq(a, &want);
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void defaults(void)
{
	start("");
	CU_ASSERT(passed.net.hop_limit == 64 || passed.net.hop_limit == 0);
	CU_ASSERT_EQUAL(passed.net.dscp, 0);
	CU_ASSERT_EQUAL(passed.net.n_sources, 0);
	CU_ASSERT_EQUAL(passed.net.n_routes, 0);
	CU_ASSERT_EQUAL(passed.ports[0].vlan, 0);
	CU_ASSERT_EQUAL(passed.ports[0].exception, MT_NET_PORT_NONE);
	CU_ASSERT_FALSE(passed.ports[0].workloads);
	CU_ASSERT_EQUAL(passed.tcp.ecn, MT_TCP_ECN_ACCEPT);
	CU_ASSERT_EQUAL(passed.tcp.keepalive_idle_s, 0);
	CU_ASSERT_FALSE(passed.proxy.unread_strict);
	CU_ASSERT_EQUAL(passed.proxy.max_down, 32768);
	CU_ASSERT_EQUAL(passed.worker.idle, MT_WORKER_ADAPTIVE);
	CU_ASSERT_EQUAL(passed.worker.flows, 65536);
	CU_ASSERT(passed.key[0] != 0 && passed.key[1] != 0);
}

static void of_the_net(void)
{
	start("  hopLimit: 7\n  dscp: 46\n");
	CU_ASSERT_EQUAL(passed.net.hop_limit, 7);
	CU_ASSERT_EQUAL(passed.net.dscp, 46);
	start("  sourceAddresses: [192.0.2.8, 192.0.2.9]\n");
	CU_ASSERT_EQUAL(passed.net.n_sources, 2);
	CU_ASSERT(is(&passed.sources[0], "192.0.2.8") && is(&passed.sources[1], "192.0.2.9"));
	start("  routes: [{to: 10.0.0.0/8, via: 192.0.2.7, port: p1}]\n");
	CU_ASSERT_EQUAL(passed.net.n_routes, 1);
	CU_ASSERT(is(&passed.route.to, "10.0.0.0") && is(&passed.route.via, "192.0.2.7"));
	CU_ASSERT_EQUAL(passed.route.prefix, 8);
	CU_ASSERT_EQUAL(passed.route.port, 1);
}

static void of_a_port(void)
{
	start("port: vlan: 12");
	CU_ASSERT_EQUAL(passed.ports[0].vlan, 12);
	CU_ASSERT_EQUAL(passed.ports[1].vlan, 0);
	start("port: exception: p1");
	CU_ASSERT_EQUAL(passed.ports[0].exception, 1);
	start("port: side: workloads");
	CU_ASSERT(passed.ports[0].workloads && !passed.ports[1].workloads);
}

static void of_connections(void)
{
	start("  ecn: off\n  keepalive: 90s\n  retransmissions: 4\n");
	CU_ASSERT_EQUAL(passed.tcp.ecn, MT_TCP_ECN_OFF);
	CU_ASSERT_EQUAL(passed.tcp.keepalive_idle_s, 90);
	CU_ASSERT_EQUAL(passed.tcp.retries_max, 4);
	start("  ecn: ask\n  keepalive: 0s\n");
	CU_ASSERT_EQUAL(passed.tcp.ecn, MT_TCP_ECN_ASK);
	CU_ASSERT_EQUAL(passed.tcp.keepalive_idle_s, MT_TCP_KEEPALIVE_OFF);
	start("  unread: strict\n  connections: 1000\n");
	CU_ASSERT(passed.proxy.unread_strict);
	CU_ASSERT_EQUAL(passed.proxy.max_down, 1000);
	start("  idle: poll\n");
	CU_ASSERT_EQUAL(passed.worker.idle, MT_WORKER_POLL);
	start("  flows: 2048\n");
	CU_ASSERT_EQUAL(passed.worker.flows, 2048);
}

/* A load that stood still for an hour does not end changes for four. */
static void pauses(void)
{
	CU_ASSERT_EQUAL(load_pause(0), 0);
	CU_ASSERT_EQUAL(load_pause(5 * MT_MSEC), 20 * MT_MSEC);
	CU_ASSERT_EQUAL(load_pause(7 * MT_SEC), 28 * MT_SEC);
	CU_ASSERT_EQUAL(load_pause(8 * MT_SEC), 30 * MT_SEC);
	CU_ASSERT_EQUAL(load_pause(3600 * MT_SEC), 30 * MT_SEC);
	CU_ASSERT_EQUAL(load_pause(UINT64_MAX), 30 * MT_SEC);
}

const struct mt_test settings_tests[] = {{"defaults", defaults}, {"of_the_net", of_the_net},
	{"of_a_port", of_a_port}, {"of_connections", of_connections}, {"pauses", pauses}, {0}};
