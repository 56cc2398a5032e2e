/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity from an agent that renews it, such as istio-agent or SPIRE. The agent sends two secrets
 * on one stream of Envoy's secret discovery service, each by itself; together they are a
 * credential. A secret that does not belong to the other one is rejected by a NACK with the reason.
 */
#include "mt_identity_source_priv.h"

#include "mt_ads.h"
#include "mt_fds.h"
#include "mt_file.h"
#include "mt_grpc.h"
#include "mt_pb.h"
#include "mt_rand.h"
#include "mt_secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD	   "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
#define OWN	   "default"
#define ROOTS	   "ROOTCA"
#define OPEN_MIN   (500 * MT_MSEC)
#define OPEN_MAX   (10 * MT_SEC)
#define EVENTS	   16
#define MESSAGES   (16u << 20)
#define PING_AFTER (60 * MT_SEC)
#define PING_WAIT  (10 * MT_SEC)

/* Texts as received; NULL: not yet. */
struct texts {
	char *chain, *key, *roots, *crl;
};

struct sds {
	struct mt_identity_source s;
	struct mt_fds fds;
	struct mt_rand rng;
	struct mt_grpc *grpc;
	struct mt_grpc_stream *call;
	struct mt_ads *ads;
	Xds__Node node;
	char *server, *path, *name;
	char *own; /* the secret's name */
	const char *servers[1];
	struct texts texts;
	uint64_t now, next_open, backoff;
};

/* ---- a secret -------------------------------------------------------------------------------- */

static void wipe(struct texts *t)
{
	mt_wipe_free(t->chain);
	mt_wipe_free(t->key);
	mt_wipe_free(t->roots);
	mt_wipe_free(t->crl);
	*t = (struct texts){NULL};
}

static int take_text(const struct mt_slice *from, char **to, struct mt_err *e)
{
	mt_wipe_free(*to);
	*to = from->p ? strndup((const char *)from->p, from->len) : NULL;
	return *to || !from->p ? 0 : mt_err(e, -ENOMEM, "no memory");
}

static int take_own(const struct mt_secret_message *s, struct texts *t, struct mt_err *e)
{
	if (!s->chain.p)
		return mt_err(e, -EINVAL, "not a tls_certificate");
	return take_text(&s->chain, &t->chain, e) || take_text(&s->key, &t->key, e) ? -ENOMEM : 0;
}

static int take_roots(const struct mt_secret_message *s, struct texts *t, struct mt_err *e)
{
	if (!s->roots.p)
		return mt_err(e, -EINVAL, "not a validation_context");
	return take_text(&s->roots, &t->roots, e) || take_text(&s->crl, &t->crl, e) ? -ENOMEM : 0;
}

static int take_message(
	const struct sds *d, const Xds__Secret *s, struct texts *t, struct mt_err *e)
{
	bool own = strcmp(s->name, d->own) == 0;
	struct mt_secret_message said;
	struct mt_secret_wrong wrong;

	if (!own && strcmp(s->name, ROOTS) != 0)
		return 0;
	if (!mt_secret_read(s, &said, &wrong))
		return mt_err(e, -EINVAL, "%s%s%s", wrong.field ? wrong.field : "",
			wrong.field ? ": " : "", wrong.words);
	return own ? take_own(&said, t, e) : take_roots(&said, t, e);
}

static int take_secret(
	const struct sds *d, const struct mt_ads_resource *item, struct texts *t, struct mt_err *e)
{
	struct mt_pb_arena arena;
	const char *why;
	Xds__Secret *s;
	int rc = 0;

	/* Only the TTL is renewed, which is ignored: a credential has its own dates. */
	if (!item->body)
		return 0;
	if (strcmp(item->body->type_url, mt_xds_url(MT_XDS_SDS)) != 0)
		return mt_err(e, -EINVAL, "\"%.100s\" is not a Secret", item->body->type_url);
	mt_pb_arena_init(&arena, MESSAGES);
	arena.region.wipe = true;
	s = mt_pb_unpack(&arena, &xds__secret__descriptor, item->body->value.data,
		item->body->value.len, &why);
	if (!s)
		rc = mt_err(e, -EINVAL, "%s", why);
	else
		rc = take_message(d, s, t, e);
	mt_pb_arena_fini(&arena);
	return rc;
}

/* ---- a response ------------------------------------------------------------------------------ */

static int copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int copy_all(struct texts *to, const struct texts *from)
{
	return copy(&to->chain, from->chain) || copy(&to->key, from->key) ||
			       copy(&to->roots, from->roots) || copy(&to->crl, from->crl)
		       ? -ENOMEM
		       : 0;
}

/*
 * Builds a credential when both secrets are there. Returns an error for an invalid one (NACK); an
 * expired one is accepted (ACK) but not used.
 */
static int use(struct sds *d, const struct texts *t, struct mt_err *e)
{
	struct mt_credential *c;

	if (!t->chain || !t->roots) {
		if (!d->s.current)
			(void)mt_err(&d->s.why, 0, "%s: it has not sent the secret %s yet", d->path,
				t->chain ? ROOTS : d->own);
		return 0;
	}
	c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = t->chain, .key = t->key, .roots = t->roots, .crl = t->crl},
		e);
	if (!c)
		return -EINVAL;
	e->text[0] = '\0';
	(void)mt_identity_source_take(&d->s, c, e, d->path);
	return 0;
}

static int take_all(
	struct sds *d, const struct mt_ads_update *u, struct texts *next, struct mt_err *why)
{
	int rc = copy_all(next, &d->texts);

	for (uint32_t i = 0; rc == 0 && i < u->n; i++)
		rc = take_secret(d, &u->items[i], next, why);
	return rc ? rc : use(d, next, why);
}

static enum mt_ads_verdict on_update(void *arg, const struct mt_ads_update *u, struct mt_err *why)
{
	struct sds *d = arg;
	struct texts next = {NULL};

	mt_err(why, -ENOMEM, "no memory");
	if (take_all(d, u, &next, why)) {
		wipe(&next);
		(void)mt_err(&d->s.why, -EINVAL, "%s: %.300s", d->path, why->text);
		for (uint32_t i = 0; i < u->n; i++)
			u->items[i].refused = true;
		return MT_ADS_REFUSED;
	}
	wipe(&d->texts);
	d->texts = next;
	d->backoff = 0;
	mt_grpc_useful(d->grpc);
	return MT_ADS_TAKEN;
}

/* ---- a stream -------------------------------------------------------------------------------- */

static int on_send(void *arg, const uint8_t *data, size_t len)
{
	struct sds *d = arg;

	return d->call ? mt_grpc_send(d->call, data, len) : -ENOTCONN;
}

/*
 * Records an error of the stream: as a note if there is a credential, which is then not renewed,
 * else as `why`.
 */
static void trouble(struct sds *d, const char *words)
{
	if (d->s.current)
		(void)mt_err(&d->s.note, 0,
			"%s: %.300s: the certificate is not renewed until that is fixed", d->path,
			words);
	else
		(void)mt_err(&d->s.why, 0, "%s: %.300s", d->path, words);
}

static void over(struct sds *d, const char *words)
{
	d->call = NULL;
	mt_ads_down(d->ads);
	d->backoff = d->backoff ? MT_MIN(2 * d->backoff, OPEN_MAX) : OPEN_MIN;
	d->next_open = d->now + d->backoff;
	trouble(d, words);
}

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct sds *d = arg;

	d->s.note.text[0] = '\0';
	mt_ads_message(d->ads, data, len, d->now);
	if (d->call && !mt_ads_is_up(d->ads)) {
		mt_grpc_cancel(d->call);
		over(d, "it rejects the request");
	}
}

static void on_end(void *arg, int status, const char *words)
{
	char text[400];

	snprintf(text, sizeof(text), "the stream ended: status %d%s%s", status, *words ? ": " : "",
		words);
	over(arg, text);
}

static void on_up(void *arg)
{
	((struct sds *)arg)->next_open = 0;
}

static void on_down(void *arg, const char *why)
{
	trouble(arg, why);
}

static void open_call(struct sds *d)
{
	static const struct mt_grpc_stream_events events = {.message = on_message, .end = on_end};

	if (d->call || mt_grpc_state(d->grpc) != MT_GRPC_UP || d->now < d->next_open)
		return;
	d->call = mt_grpc_open(d->grpc, METHOD, &events, d);
	if (d->call)
		mt_ads_up(d->ads, d->now);
	else
		d->next_open = d->now + OPEN_MIN;
}

static void turn(struct mt_identity_source *src, uint64_t now)
{
	struct sds *d = (struct sds *)src;

	d->now = now;
	mt_fds_dispatch(&d->fds, EVENTS, 0);
	mt_grpc_turn(d->grpc, now, &d->rng);
	open_call(d);
	mt_ads_flush(d->ads, now);
	mt_fds_dispatch(&d->fds, EVENTS, 0);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void sds_free(struct mt_identity_source *src)
{
	struct sds *d = (struct sds *)src;

	if (d->grpc)
		mt_grpc_free(d->grpc);
	if (d->ads)
		mt_ads_free(d->ads);
	if (d->fds.epoll >= 0)
		mt_fds_fini(&d->fds);
	wipe(&d->texts);
	free(d->server);
	free(d->path);
	free(d->name);
	free(d->own);
	free(d);
}

static int set_up(struct sds *d, const char *path, const char *secret, const char *node)
{
	static const struct mt_ads_events heard = {on_send, on_update};
	static const struct mt_grpc_events events = {on_up, on_down};
	const struct mt_grpc_conf conf = {.servers = d->servers,
		.n_servers = 1,
		.max_message = MESSAGES,
		.ping_after_ns = PING_AFTER,
		.ping_wait_ns = PING_WAIT,
		.backoff_max_ns = OPEN_MAX};

	d->path = strdup(path);
	d->name = strdup(node);
	d->own = strdup(secret ? secret : OWN);
	if (!d->path || !d->name || !d->own || asprintf(&d->server, "unix:%s", path) < 0)
		return -ENOMEM;
	if (mt_fds_init(&d->fds))
		return -ENOMEM;
	mt_rand_seed(&d->rng, (uint64_t)(uintptr_t)d);
	d->servers[0] = d->server;
	xds__node__init(&d->node);
	d->node.id = d->name;
	d->ads = mt_ads_new(
		&(struct mt_ads_conf){.node = &d->node, .max_memory = MESSAGES}, &heard, d);
	if (!d->ads || mt_ads_subscribe(d->ads, MT_XDS_SDS, d->own) ||
		mt_ads_subscribe(d->ads, MT_XDS_SDS, ROOTS))
		return -ENOMEM;
	d->grpc = mt_grpc_new(&d->fds, NULL, &conf, &events, d);
	return d->grpc ? 0 : -ENOMEM;
}

struct mt_identity_source *mt_identity_sds_new(const char *path, const char *secret,
	const char *node, mt_identity_changed_fn *fn, void *arg)
{
	static const struct mt_identity_source_ops ops = {turn, NULL, sds_free};
	struct sds *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->s = (struct mt_identity_source){.ops = &ops, .fn = fn, .arg = arg};
	d->fds.epoll = -1;
	if (set_up(d, path, secret, node) == 0)
		return &d->s;
	sds_free(&d->s);
	return NULL;
}
