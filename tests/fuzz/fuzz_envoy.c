/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy's administration pages of a node with a configuration, from documents and from a discovery
 * server. The input lists clients: a byte for what each does, and a path with arguments up to the
 * line's end. Several are connected at once; some close early; meanwhile other configurations are
 * published. A whole answer that is JSON by its type can be parsed.
 */
#include "fuzz.h"

#include "mt_conf.h"
#include "mt_ctl.h"
#include "mt_source.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define CLIENTS 8
#define TURNS	100000 /* of 1 ms: any time limit passes meanwhile */
#define ANSWER	(4u << 20)
#define NAMES	16

enum how { GZIP = 1, LEAVES_EARLY = 2, PUBLISHES = 4, LEAVES_AT_ONCE = 8, HEAD = 16, LATER = 32 };

/* ---- what is in force ---------------------------------------------------------------------------------- */

#define OBJECT(kind, name)                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name          \
	"}\nspec:\n"

static const char documents[] = OBJECT("ServiceEntry",
	"a") "  hosts: [a.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"
	     "  ports: [{number: 20880, name: tcp-metaprotocol-Dubbo}]\n"
	     "  endpoints:\n"
	     "  - {address: 198.51.100.1, labels: {version: v1}}\n"
	     "  - {address: 198.51.100.2, labels: {version: v2}}\n" OBJECT("DestinationRule",
		     "a") "  host: a.x\n  trafficPolicy:\n"
			  "    connectionPool: {tcp: {maxConnections: 7}}\n"
			  "  subsets:\n  - {name: v1, labels: {version: v1}}\n" OBJECT(
				  "VirtualService",
				  "a") "  hosts: [a.x]\n  dubbo:\n  - name: canary\n    match:\n"
				       "    - headers: {user: {exact: Jason}}\n"
				       "    - method: {regex: say.*}\n    route:\n"
				       "    - destination: {host: a.x, subset: v1}\n    timeout: "
				       "3s\n";

static uint64_t serials;

static void *object(
	struct mt_model *m, struct mt_objs *list, size_t size, const char *kind, const char *name)
{
	struct mt_meta *meta = mt_region_alloc(&m->region, size);

	MT_ASSERT(meta && mt_model_add(m, list, meta) == 0);
	meta->kind = kind;
	meta->name = mt_region_strdup(&m->region, name);
	meta->ns = "";
	meta->origin.file = "xds:mesh";
	meta->serial = ++serials;
	return meta;
}

static void mesh_cluster(struct mt_model *m, const char *name)
{
	struct mt_res_cluster *c = object(m, &m->res_clusters, sizeof(*c), "Cluster", name);
	struct mt_res_endpoints *e =
		object(m, &m->res_endpoints, sizeof(*e), "ClusterLoadAssignment", name);
	struct mt_res_locality *l =
		mt_region_push(&m->region, (void **)&e->localities, &e->n_localities, sizeof(*l));

	c->discovery = MT_RES_EDS;
	c->endpoints_name = c->meta.name;
	*l = (struct mt_res_locality){.zone = "z1", .priority = 0, .weight = 1};
	for (uint32_t i = 1; i < 4; i++) {
		struct mt_res_endpoint *ep =
			mt_region_push(&m->region, (void **)&l->eps, &l->n_eps, sizeof(*ep));

		*ep = (struct mt_res_endpoint){
			.addr = mt_addr4(0x006433c6 | i << 24), .weight = i, .port = 80};
		e->n_eps++;
	}
}

/* A listener of messages, whose routes stand by themselves or in it. */
static void mesh_listener(struct mt_model *m, const char *name, const char *cluster, uint16_t port)
{
	struct mt_res_listener *l = object(m, &m->res_listeners, sizeof(*l), "Listener", name);
	struct mt_res_address *at =
		mt_region_push(&m->region, (void **)&l->addresses, &l->n_addresses, sizeof(*at));
	struct mt_res_chain *c = mt_region_push(
		&m->region, (void **)&l->chains, &l->n_chains, sizeof(struct mt_res_chain));
	struct mt_res_routes *routes =
		object(m, &m->res_routes, sizeof(*routes), "RouteConfiguration", name);
	struct mt_rule_list *list;
	struct mt_rule_dest *d;
	struct mt_rule *r;

	*at = (struct mt_res_address){mt_addr4(0x070200c0), port};
	l->direction = MT_RES_OUTBOUND;
	c->proxy = mt_region_alloc(&m->region, sizeof(*c->proxy));
	c->proxy->protocol.s = (char *)"dubbo";
	c->proxy->routes.name = routes->list.name = "routes";
	if (port % 2)
		c->proxy->routes_name.s = mt_region_strdup(&m->region, name);
	list = port % 2 ? &routes->list : &c->proxy->routes;
	r = mt_region_push(&m->region, (void **)&list->rules, &list->n_rules, sizeof(*r));
	r->name.s = (char *)"all";
	d = mt_region_push(&m->region, (void **)&r->dests, &r->n_dests, sizeof(*d));
	d->cluster.s = mt_region_strdup(&m->region, cluster);
	d->weight = (struct mt_num){1, 0, true};
}

/* Every other configuration has fewer objects, and others before those that stay. */
static void publish(struct mt_conf *conf, uint32_t edition, uint64_t now)
{
	struct mt_model *m = mt_model_new();
	struct mt_conf_change change;
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err e;
	char name[64];

	mt_diags_init(&diags);
	MT_ASSERT(m);
	mt_source_text(m, &diags, "fuzz", documents, strlen(documents));
	for (uint32_t i = edition % 2 ? NAMES / 2 : 0; i < NAMES; i++) {
		/* Names of the wire have any printable character. */
		snprintf(name, sizeof(name),
			i == NAMES - 1 ? "outbound|%u||\"\\b" : "outbound|%u||b.x", i);
		mesh_cluster(m, name);
		mesh_listener(m, name, name, (uint16_t)(1000 + i));
	}
	s = mt_conf_compile(conf, m, &diags, now);
	MT_ASSERT(s && mt_conf_publish(conf, s, now, &change, &e) == 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	(void)mt_conf_reap(conf, now);
}

/* ---- the node ------------------------------------------------------------------------------------------ */

static struct {
	struct mt_ctl *c;
	struct mt_conf *conf;
	struct sockaddr_in at;
	uint64_t now;
	uint32_t edition;
} node;

static struct sockaddr_in any_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MT_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	MT_ASSERT(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	close(fd);
	return a;
}

static void open_node(void)
{
	const struct mt_conf_options o = {.workers = 1};
	struct mt_ctl_env env = {.node = "fuzz"};
	struct mt_err e;

	if (node.c)
		return;
	node.conf = mt_conf_create(&o, &e);
	MT_ASSERT(node.conf);
	node.now = 100 * MT_SEC;
	mt_log_set_level(MT_LOG_ERROR);
	publish(node.conf, 0, node.now);
	node.at = any_port();
	env.conf = node.conf;
	env.http_addr = mt_addr4(node.at.sin_addr.s_addr);
	env.http_port = ntohs(node.at.sin_port);
	node.c = mt_ctl_create(&env, node.now, &e);
	MT_ASSERT(node.c);
	mt_ctl_set_state(node.c, MT_CTL_SERVING);
}

/* ---- clients ------------------------------------------------------------------------------------------- */

struct client {
	int fd; /* -1: it has left, or has all */
	uint32_t how, turns;
	char *got;
	size_t n;
};

static struct client clients[CLIENTS];

static void leave(struct client *c)
{
	const struct linger at_once = {1, 0};

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(c->fd);
	c->fd = -1;
	free(c->got);
	c->got = NULL;
}

/* By HTTP/1.0: the answer ends with the connection. */
static void come(struct client *c, uint32_t how, const uint8_t *path, size_t len)
{
	char request[4200];
	size_t n;

	*c = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0), .how = how};
	MT_ASSERT(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&node.at, sizeof(node.at)) == 0);
	n = (size_t)snprintf(request, sizeof(request), "%s /", how & HEAD ? "HEAD" : "GET");
	len = MT_MIN(len, (size_t)4000);
	memcpy(request + n, path, len);
	n += len;
	n += (size_t)snprintf(request + n, sizeof(request) - n,
		" HTTP/1.0\r\nHost: 127.0.0.1\r\n%s\r\n",
		how & GZIP ? "Accept-Encoding: gzip\r\n" : "");
	(void)!send(c->fd, request, n, MSG_NOSIGNAL);
	if (how & LEAVES_AT_ONCE)
		leave(c);
}

static void check_json(const char *body, size_t n)
{
	json_error_t why;
	json_t *j = json_loadb(body, n, 0, &why);

	MT_ASSERT(j);
	json_decref(j);
}

static void check_gzip(const char *body, size_t n, bool json)
{
	char *text = malloc(8 * ANSWER);
	z_stream z = {0};

	MT_ASSERT(text && inflateInit2(&z, 15 + 16) == Z_OK);
	z.next_in = (Bytef *)body;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)text;
	z.avail_out = 8 * ANSWER;
	MT_ASSERT(inflate(&z, Z_FINISH) == Z_STREAM_END);
	if (json)
		check_json(text, z.total_out);
	(void)inflateEnd(&z);
	free(text);
}

static void check_answer(struct client *c)
{
	const char *body;
	bool json, gzip;

	c->got[c->n] = '\0';
	body = strstr(c->got, "\r\n\r\n");
	/* Bytes that are not a request get no answer. */
	if (!body || strncmp(c->got, "HTTP/1.", 7) || strncmp(c->got + 8, " 200", 4))
		return;
	c->got[body - c->got] = '\0';
	json = strcasestr(c->got, "Content-Type: application/json") != NULL;
	gzip = strcasestr(c->got, "Content-Encoding: gzip") != NULL;
	body += 4;
	MT_ASSERT(!gzip || c->how & GZIP);
	if (c->how & HEAD)
		return;
	if (gzip)
		check_gzip(body, (size_t)(c->got + c->n - body), json);
	else if (json)
		check_json(body, (size_t)(c->got + c->n - body));
}

static void read_some(struct client *c)
{
	ssize_t n;

	if (++c->turns == 3 && c->how & LEAVES_EARLY) {
		leave(c);
		return;
	}
	if (c->how & LATER && c->turns < 20)
		return;
	c->got = c->got ? c->got : malloc(ANSWER + 1);
	MT_ASSERT(c->got && c->n < ANSWER);
	n = recv(c->fd, c->got + c->n, ANSWER - c->n, MSG_DONTWAIT);
	if (n > 0)
		c->n += (size_t)n;
	else if (n == 0 || errno != EAGAIN) {
		if (n == 0)
			check_answer(c);
		leave(c);
	}
}

static bool serve(void)
{
	bool waits = false;

	mt_ctl_turn(node.c, node.now += MT_MSEC);
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i].fd < 0)
			continue;
		if (clients[i].how & PUBLISHES && clients[i].turns == 1)
			publish(node.conf, ++node.edition, node.now);
		read_some(&clients[i]);
		waits |= clients[i].fd >= 0;
	}
	return waits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	int turns = 0, i = 0;

	open_node();
	for (; i < CLIENTS; i++)
		clients[i].fd = -1;
	for (i = 0; i < CLIENTS && data < end; i++) {
		const uint8_t *eol = memchr(data, '\n', (size_t)(end - data));

		eol = eol ? eol : end;
		if (data < eol)
			come(&clients[i], *data, data + 1, (size_t)(eol - data - 1));
		data = eol + 1;
	}
	while (serve() && ++turns < TURNS)
		;
	MT_ASSERT(turns < TURNS);
	return 0;
}
