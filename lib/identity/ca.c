/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_ca.h"

#include "mt_cert.h"
#include "mt_pb.h"

#include "istio_ca.pb-c.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define METHOD	    "/istio.v1.auth.IstioCertificateService/CreateCertificate"
#define MESSAGE_MAX (1u << 20) /* bytes of a response; a chain has a few KB */
#define MEMORY_MAX  (4u << 20)
#define BEARER	    "Bearer "

struct mt_ca {
	struct mt_ca_conf conf;
	struct mt_grpc *channel;
	struct mt_grpc_stream *call;
	struct mt_grpc_header headers[2];
	char *authorization, *csr, *key, *chain;
	char *answer; /* all certificates of the response, with the roots */
	enum mt_ca_state state;
	int status; /* gRPC status of the call; -1: no call */
	struct mt_err why;
};

static void fail(struct mt_ca *ca, int status, const char *words)
{
	if (ca->state != MT_CA_BUSY)
		return;
	ca->state = MT_CA_FAILED;
	ca->status = status;
	mt_err(&ca->why, 0, "%s", words);
}

/* ---- the call -------------------------------------------------------------------------------- */

/* Concatenates the texts, each with a newline; the caller frees the result. */
static char *joined(char *const *texts, size_t n)
{
	size_t size = 1, at = 0;
	char *all;

	for (size_t i = 0; i < n; i++)
		size += strlen(texts[i]) + 1;
	all = malloc(size);
	for (size_t i = 0; all && i < n; i++)
		at += (size_t)snprintf(all + at, size - at, "%s\n", texts[i]);
	return all;
}

static void take_answer(struct mt_ca *ca, const Xds__IstioCertificateResponse *m)
{
	struct mt_err e;

	if (!m->n_cert_chain) {
		fail(ca, MT_GRPC_OK, "the answer holds no certificate");
		return;
	}
	ca->answer = joined(m->cert_chain, m->n_cert_chain);
	ca->chain = mt_cert_chain(m->cert_chain, m->n_cert_chain, &e);
	if (!ca->chain)
		fail(ca, MT_GRPC_OK, "the answer's chain holds no PEM certificate");
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct mt_ca *ca = arg;
	struct mt_pb_arena arena;
	const char *why = NULL;
	Xds__IstioCertificateResponse *m;

	if (ca->chain || ca->state != MT_CA_BUSY)
		return;
	mt_pb_arena_init(&arena, MEMORY_MAX);
	m = mt_pb_unpack(&arena, &xds__istio_certificate_response__descriptor, data, len, &why);
	if (m)
		take_answer(ca, m);
	else
		fail(ca, MT_GRPC_OK, why);
	mt_pb_arena_fini(&arena);
}

static void on_end(void *arg, int status, const char *words)
{
	struct mt_ca *ca = arg;

	ca->call = NULL;
	if (status != MT_GRPC_OK || !ca->chain)
		fail(ca, status, status == MT_GRPC_OK ? "the answer is empty" : words);
	else if (ca->state == MT_CA_BUSY)
		ca->state = MT_CA_ISSUED;
}

static const struct mt_grpc_stream_events stream_events = {.message = on_message, .end = on_end};

static void on_up(void *arg)
{
	struct mt_ca *ca = arg;
	Xds__IstioCertificateRequest m = XDS__ISTIO_CERTIFICATE_REQUEST__INIT;
	uint8_t *buf;
	size_t len;

	if (ca->state != MT_CA_BUSY)
		return;
	m.csr = ca->csr;
	m.validity_duration = ca->conf.validity_s;
	len = xds__istio_certificate_request__get_packed_size(&m);
	buf = malloc(len);
	ca->call = buf ? mt_grpc_open(ca->channel, METHOD, &stream_events, ca) : NULL;
	if (!ca->call ||
		(xds__istio_certificate_request__pack(&m, buf), mt_grpc_send(ca->call, buf, len)))
		fail(ca, -1, "no memory");
	else
		mt_grpc_finish(ca->call);
	free(buf);
}

static void on_down(void *arg, const char *why)
{
	fail(arg, -1, why);
}

static const struct mt_grpc_events channel_events = {.up = on_up, .down = on_down};

/* ---- interface ------------------------------------------------------------------------------- */

static int prepare(struct mt_ca *ca, uint32_t *n_headers, struct mt_err *e)
{
	const struct mt_ca_conf *c = &ca->conf;

	if (c->token) {
		if (asprintf(&ca->authorization, BEARER "%s", c->token) < 0) {
			ca->authorization = NULL;
			return mt_err(e, -ENOMEM, "no memory");
		}
		ca->headers[(*n_headers)++] =
			(struct mt_grpc_header){"authorization", ca->authorization};
	}
	if (c->cluster_id && *c->cluster_id)
		ca->headers[(*n_headers)++] = (struct mt_grpc_header){"clusterid", c->cluster_id};
	return mt_csr_new(c->uri, &ca->key, &ca->csr, e);
}

struct mt_ca *mt_ca_new(struct mt_fds *fds, struct mt_resolver *names,
	const struct mt_ca_conf *conf, struct mt_err *e)
{
	struct mt_ca *ca = calloc(1, sizeof(*ca));
	struct mt_grpc_conf g = {.servers = conf->servers,
		.n_servers = conf->n_servers,
		.tls = conf->tls,
		.max_message = MESSAGE_MAX};

	if (!ca) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	ca->conf = *conf;
	if (prepare(ca, &g.n_headers, e) == 0) {
		g.headers = ca->headers;
		ca->channel = mt_grpc_new(fds, names, &g, &channel_events, ca);
		if (ca->channel)
			return ca;
		mt_err(e, -ENOMEM, "no memory");
	}
	mt_ca_free(ca);
	return NULL;
}

void mt_ca_free(struct mt_ca *ca)
{
	if (!ca)
		return;
	mt_grpc_free(ca->channel);
	mt_wipe_free(ca->authorization);
	mt_wipe_free(ca->key);
	free(ca->csr);
	free(ca->chain);
	free(ca->answer);
	free(ca);
}

enum mt_ca_state mt_ca_turn(struct mt_ca *ca, uint64_t now, struct mt_rand *rng)
{
	if (ca->state == MT_CA_BUSY)
		mt_grpc_turn(ca->channel, now, rng);
	return ca->state;
}

const char *mt_ca_chain(const struct mt_ca *ca)
{
	return ca->chain;
}

const char *mt_ca_key(const struct mt_ca *ca)
{
	return ca->key;
}

char *mt_ca_roots(const struct mt_ca *ca, const char *roots, int64_t wall)
{
	return ca->answer ? mt_cert_merge(roots, ca->answer, wall) : NULL;
}

const char *mt_ca_why(const struct mt_ca *ca, int *status)
{
	*status = ca->status;
	return ca->why.text;
}

int mt_ca_check(const char *chain, const char *key, const char *roots, const char *uri,
	int64_t wall, struct mt_err *e)
{
	char when[40], clock[40];
	struct mt_cert c;
	struct mt_err why;

	if (mt_cert_read(chain, 0, &c, &why) || mt_cert_fits(chain, key, &why))
		return mt_err(e, -EACCES, "%s", why.text);
	if (strcmp(c.uri, uri) != 0)
		return mt_err(e, -EACCES, "the certificate is for %.200s, not for %.200s",
			c.names[0] ? c.names : "nobody", uri);
	if (wall < c.not_before || wall >= c.not_after)
		return mt_err(e, -EACCES,
			"the certificate is valid %s %s, and this machine's clock is %s",
			wall < c.not_before ? "from" : "until",
			mt_time_words(wall < c.not_before ? c.not_before : c.not_after, when,
				sizeof(when)),
			mt_time_words(wall, clock, sizeof(clock)));
	if (mt_cert_trusted(chain, roots, wall, &why))
		return mt_err(e, -EACCES,
			"the certificate (issued by %.100s) does not chain to our roots: %s",
			c.issuer, why.text);
	return 0;
}
