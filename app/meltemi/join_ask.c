/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the control plane: the certificate, and a first answer of its discovery service. */
#include "join.h"

#include "mt_cert.h"
#include "mt_identity.h"
#include "mt_ads.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_NS (20 * MT_SEC)
#define ADS	  "/envoy.service.discovery.v3.AggregatedDiscoveryService/"

/* ---- the certificate ------------------------------------------------------------------------- */

static const char *csr_remedy(int status)
{
	switch (status) {
	case MT_GRPC_UNAUTHENTICATED:
	case MT_GRPC_PERMISSION_DENIED:
		return "the control plane rejects the token: it may be of another cluster, or its "
		       "service account was removed; make a new bundle";
	case MT_GRPC_UNIMPLEMENTED:
		return "this server signs no certificates: is it istiod, and is its CA enabled "
		       "(ENABLE_CA_SERVER)? Another authority is named by CA_ADDR in cluster.env";
	default:
		return "look at the control plane's log (kubectl logs -n istio-system "
		       "deploy/istiod)";
	}
}

static enum mt_ca_state await_certificate(struct join *j)
{
	uint64_t end = join_now() + ANSWER_NS;
	enum mt_ca_state state;

	do {
		state = mt_ca_turn(j->ca, join_now(), &j->rng);
		if (state == MT_CA_BUSY)
			join_wait(j);
	} while (state == MT_CA_BUSY && join_now() < end);
	return state;
}

bool join_csr(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	struct join_target *t = &j->targets[j->n_targets - 1];
	struct mt_ca_conf c = {.servers = &j->ca_server,
		.n_servers = 1,
		.tls = &j->ca_tls,
		.token = j->bundle.token,
		.cluster_id = mt_env_get(&j->bundle.env, "ISTIO_META_CLUSTER_ID"),
		.uri = j->bundle.spiffe,
		.validity_s = j->o.ttl_s ? j->o.ttl_s : MT_IDENTITY_VALIDITY_S};
	enum mt_ca_state state;
	struct mt_err e;
	int status;

	j->ca_server = t->server;
	j->ca_tls = (struct mt_grpc_tls){.roots = j->bundle.roots,
		.server_name = t->server_name,
		.sans = &t->server_name,
		.n_sans = 1};
	j->ca = mt_ca_new(&j->fds, j->names, &c, &e);
	if (!j->ca) {
		mt_find(f, "", 0, "", "", "%s", e.text);
		return false;
	}
	state = await_certificate(j);
	if (state == MT_CA_ISSUED) {
		snprintf(words, size, "signed by %s", t->server);
		return true;
	}
	if (state == MT_CA_BUSY) {
		mt_find(f, "", 0, "", csr_remedy(MT_GRPC_UNAVAILABLE),
			"%s does not answer the certificate request within %llu s", t->server,
			ANSWER_NS / MT_SEC);
		return false;
	}
	e = (struct mt_err){""};
	snprintf(e.text, sizeof(e.text), "%s", mt_ca_why(j->ca, &status));
	mt_find(f, "", 0, "", csr_remedy(status), "%s refuses the certificate request: %s",
		t->server, e.text);
	return false;
}

bool join_identity(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	struct mt_cert c;
	struct mt_err e;
	char left[48];

	j->roots = mt_ca_roots(j->ca, j->bundle.roots, join_wall());
	if (mt_ca_check(mt_ca_chain(j->ca), mt_ca_key(j->ca), join_trusted(j), j->bundle.spiffe,
		    join_wall(), &e) ||
		mt_cert_read(mt_ca_chain(j->ca), 0, &c, &e)) {
		mt_find(f, "", 0, "",
			strstr(e.text, "clock")
				? "set the clock: timedatectl set-ntp true, or chronyc makestep"
				: "the token, cluster.env (TRUST_DOMAIN, POD_NAMESPACE, "
				  "SERVICE_ACCOUNT) and root-cert.pem must be of the same mesh: "
				  "make a new bundle",
			"%s", e.text);
		return false;
	}
	snprintf(words, size, "%s, valid for %s%s", c.uri,
		mt_span_words(c.not_after - join_wall(), left, sizeof(left)),
		j->roots ? "; the mesh has a further root, which is taken over" : "");
	return true;
}

/* ---- discovery ------------------------------------------------------------------------------- */

struct talk {
	struct join *j;
	struct mt_grpc *channel;
	struct mt_grpc_stream *stream;
	struct mt_ads *ads;
	struct mt_region region; /* for the node message */
	bool done, failed;
	int status; /* with `failed`: gRPC status, or -1 */
	uint32_t clusters;
	char version[128], why[512];
};

static void give_up(struct talk *t, int status, const char *why)
{
	if (t->done || t->failed)
		return;
	t->failed = true;
	t->status = status;
	snprintf(t->why, sizeof(t->why), "%s", why);
}

static int send_bytes(void *arg, const uint8_t *data, size_t len)
{
	struct talk *t = arg;

	return mt_grpc_send(t->stream, data, len);
}

static enum mt_ads_verdict on_update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	struct talk *t = arg;

	t->done = true;
	t->clusters = u->n;
	snprintf(t->version, sizeof(t->version), "%s", u->version);
	return MT_ADS_TAKEN;
}

static const struct mt_ads_events ads_events = {.send = send_bytes, .update = on_update};

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct talk *t = arg;

	mt_ads_message(t->ads, data, len, join_now());
}

static void on_end(void *arg, int status, const char *words)
{
	struct talk *t = arg;

	t->stream = NULL;
	mt_ads_down(t->ads);
	give_up(t, status, words);
}

static const struct mt_grpc_stream_events stream_events = {.message = on_message, .end = on_end};

static void on_up(void *arg)
{
	struct talk *t = arg;

	if (t->failed)
		return;
	t->stream = mt_grpc_open(t->channel,
		t->j->o.delta ? ADS "DeltaAggregatedResources" : ADS "StreamAggregatedResources",
		&stream_events, t);
	if (!t->stream) {
		give_up(t, -1, "no memory");
		return;
	}
	mt_ads_up(t->ads, join_now());
	mt_ads_flush(t->ads, join_now());
}

static void on_down(void *arg, const char *why)
{
	give_up(arg, -1, why);
}

static const struct mt_grpc_events channel_events = {.up = on_up, .down = on_down};

static void talk(struct talk *t)
{
	struct mt_ads_conf ac = {
		.delta = t->j->o.delta, .node = mt_node_message(&t->region, t->j->node)};
	struct mt_grpc_conf gc = {.servers = &t->j->server, .n_servers = 1, .tls = &t->j->xds_tls};
	uint64_t end = join_now() + ANSWER_NS;

	t->ads = ac.node ? mt_ads_new(&ac, &ads_events, t) : NULL;
	t->channel = mt_grpc_new(&t->j->fds, t->j->names, &gc, &channel_events, t);
	if (!t->ads || !t->channel)
		give_up(t, -1, "no memory");
	else
		mt_ads_wildcard(t->ads, MT_XDS_CDS, true);
	while (!t->done && !t->failed && join_now() < end) {
		mt_grpc_turn(t->channel, join_now(), &t->j->rng);
		join_wait(t->j);
	}
	give_up(t, -1, "no answer to the first request within 20 s");
	mt_grpc_free(t->channel);
	mt_ads_free(t->ads);
}

static const char *xds_remedy(int status)
{
	switch (status) {
	case MT_GRPC_UNAUTHENTICATED:
		return "the control plane does not take the certificate that it has signed itself: "
		       "does a "
		       "gateway on the way end TLS? It must pass the connection on (TLS "
		       "PASSTHROUGH)";
	case MT_GRPC_PERMISSION_DENIED:
		return "the identity may not speak for this node: POD_NAMESPACE in cluster.env "
		       "must be the "
		       "namespace of the token's service account";
	case MT_GRPC_UNIMPLEMENTED:
		return "this server offers no discovery service: is discoveryAddress in mesh.yaml "
		       "right?";
	default:
		return "look at the control plane's log (kubectl logs -n istio-system "
		       "deploy/istiod)";
	}
}

/*
 * The node's metadata as this machine will send it. Includes the address by which others reach it.
 */
static bool make_node(struct join *j)
{
	const char *ip = mt_env_get(&j->bundle.env, "ISTIO_SVC_IP");
	struct mt_node_facts facts = {
		.host = j->hostname, .ip = ip && *ip ? ip : j->ip, .version = MT_VERSION};

	j->node = mt_node_json(&j->bundle, &facts);
	return j->node != NULL;
}

bool join_xds(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	struct talk t = {.j = j};
	struct join_target *to = &j->targets[0];

	j->server = to->server;
	j->xds_tls = (struct mt_grpc_tls){.roots = join_trusted(j),
		.chain = mt_ca_chain(j->ca),
		.key = mt_ca_key(j->ca),
		.server_name = to->server_name,
		.sans = &to->server_name,
		.n_sans = 1};
	mt_region_init(&t.region, 1u << 20);
	if (make_node(j))
		talk(&t);
	else
		give_up(&t, -1, "no memory");
	mt_region_fini(&t.region);
	if (t.done) {
		snprintf(words, size, "%s: %u clusters, version %.100s",
			json_string_value(json_object_get(j->node, "id")), t.clusters, t.version);
		return true;
	}
	mt_find(f, "", 0, "", xds_remedy(t.status), "%s does not serve us: %s", to->server, t.why);
	return false;
}
