/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/ads: the xDS protocol on one stream, state of the world (SotW) or delta, for all types (ADS)
 * or for one. It keeps subscriptions, accepted versions and due requests. It has no sockets and no
 * clock: the owner sends the requests that it gets from here, and passes in responses and the time
 * (monotonic, ns). Used by lib/xds, and by `meltemi join`, which sends one request. Source: Envoy
 * API, "xDS REST and gRPC protocol". Control thread only.
 *
 * Invariants:
 * - Requests go out in the order of enum mt_xds_type.
 * - A NACK is delayed by 1 s, doubling to at most 5 s, because some servers answer each NACK at
 *   once with the same response.
 * - Valid resources of a rejected response may be applied. The NACK still has the version of the
 *   last response that was accepted as a whole.
 * - Secrets come over the network only (mt_secret.h): a name in a peer's message never makes the
 *   process read a file or an environment variable. Memory that held a response with Secrets is
 *   overwritten before it is released.
 */
#pragma once

#include "mt_base.h"
#include "mt_log.h"

#include "common.pb-c.h"
#include "core.pb-c.h"

/*
 * In the order of requests (make before break): clusters before the listeners and routes that
 * reference them.
 */
enum mt_xds_type {
	MT_XDS_CDS,
	MT_XDS_EDS,
	MT_XDS_LDS,
	MT_XDS_RDS,
	MT_XDS_ECDS,
	MT_XDS_SDS,
	MT_XDS_NDS, /* Istio's name table: a single resource without a name */
	MT_XDS_TYPES,
};

/* Returns the type URL: "type.googleapis.com/envoy.config.cluster.v3.Cluster" and so on. */
const char *mt_xds_url(enum mt_xds_type type);
/*
 * True for types that are subscribed to as a whole (wildcard) and whose SotW responses are complete
 * lists.
 */
bool mt_xds_is_whole(enum mt_xds_type type);
/* Returns "CDS" and so on, for the shell. */
const char *mt_xds_name(enum mt_xds_type type);

/* A resource of a response, valid until the callback returns. */
struct mt_ads_resource {
	const char *name;     /* NULL: only the body contains it (SotW) */
	const char *version;  /* of the resource; "" if the server sends none */
	const Xds__Any *body; /* NULL: only the TTL is renewed */
	uint64_t ttl_ns;      /* TTL; 0: none */
	bool refused;	      /* set by update(): rejected, the previous version stays */
};

struct mt_ads_update {
	enum mt_xds_type type;
	const char *version; /* of the response */
	struct mt_ads_resource *items;
	uint32_t n;
	char *const *gone; /* delta: names of removed resources */
	uint32_t n_gone;
	bool complete; /* resources of the type that are not in `items` are removed */
};

/* Verdict on a response. */
enum mt_ads_verdict {
	MT_ADS_TAKEN,	/* send an ACK */
	MT_ADS_REFUSED, /* send a NACK */
	MT_ADS_LATER,	/* the verdict follows by mt_ads_judged() */
};

struct mt_ads_events {
	/*
	 * Sends bytes on the stream. 0, or -errno if the stream is broken; nothing is sent after
	 * that.
	 */
	int (*send)(void *arg, const uint8_t *data, size_t len);
	/*
	 * Processes an update and accepts its valid resources. If some are invalid, *why receives
	 * their names, fields and reasons as the text of the NACK.
	 */
	enum mt_ads_verdict (*update)(void *arg, const struct mt_ads_update *u, struct mt_err *why);
};

struct mt_ads_conf {
	bool delta;
	const Xds__Node *node; /* this node; must outlive the object */
	size_t max_memory;     /* limit for a decoded response; 0: 256 MiB */
};

/* State of a type, for the shell. Texts are valid until the next call of any function here. */
struct mt_ads_status {
	const char *version; /* last accepted; "": none */
	const char *error;   /* of the last response if it was rejected; "": none */
	uint64_t acked_at, nacked_at, bytes, responses, acks, nacks;
	uint32_t wanted;
	bool wildcard, pending_nack, judging; /* judging: a verdict is due */
};

struct mt_ads;

/* Creates the state of a stream, which is down. NULL: no memory. */
struct mt_ads *mt_ads_new(
	const struct mt_ads_conf *conf, const struct mt_ads_events *events, void *arg);
void mt_ads_free(struct mt_ads *a);

/*
 * Subscribe to all resources of a type (wildcard), or to names. Subscriptions of a name are
 * counted; the last mt_ads_unsubscribe() ends them. Nothing is sent before mt_ads_flush().
 * mt_ads_subscribe() returns 0 or -ENOMEM.
 */
void mt_ads_wildcard(struct mt_ads *a, enum mt_xds_type type, bool on);
int mt_ads_subscribe(struct mt_ads *a, enum mt_xds_type type, const char *name);
void mt_ads_unsubscribe(struct mt_ads *a, enum mt_xds_type type, const char *name);

/*
 * Call when a stream was opened, or has ended. A new stream requests all subscriptions with the
 * known versions.
 */
void mt_ads_up(struct mt_ads *a, uint64_t now);
void mt_ads_down(struct mt_ads *a);
/*
 * Processes a message of the stream. Calls `update` if it is a response of a type that was
 * requested.
 */
void mt_ads_message(struct mt_ads *a, const uint8_t *data, size_t len, uint64_t now);
/*
 * Gives the verdict on the last response of the type after MT_ADS_LATER: ACK if `why` is NULL, else
 * NACK. It covers responses that came in the meantime. Does nothing if no verdict is due. In SotW
 * no request of the type is sent until then, because it would answer the response, so call it
 * within about a second.
 */
void mt_ads_judged(struct mt_ads *a, enum mt_xds_type type, const struct mt_err *why, uint64_t now);
/*
 * Sends a NACK of the last response of the type after its verdict, because an accepted resource was
 * rejected later. Does nothing if the stream is down, has no response of the type, or if a verdict
 * is due.
 */
void mt_ads_refuse(struct mt_ads *a, enum mt_xds_type type, const struct mt_err *why, uint64_t now);
/*
 * Sets the version of an accepted resource that was rejected later or dropped: `version` is the one
 * still in use, NULL if none. A new delta stream announces it, and the server sends changes and
 * removals since.
 */
void mt_ads_untake(struct mt_ads *a, enum mt_xds_type type, const char *name, const char *version);
/*
 * Sets the version of a resource restored after a restart (delta, wildcard types). Call before the
 * stream is up.
 */
void mt_ads_have(struct mt_ads *a, enum mt_xds_type type, const char *name, const char *version);
/*
 * Forgets the version of a resource whose content was lost, so that the next stream requests it as
 * new.
 */
void mt_ads_lose(struct mt_ads *a, enum mt_xds_type type, const char *name);
/*
 * Sends due requests: changed subscriptions, and NACKs. A NACK is delayed by 1 s, doubled each time
 * up to 5 s, because some servers answer it at once with the same resources. Call after changes and
 * ten times a second.
 */
void mt_ads_flush(struct mt_ads *a, uint64_t now);

/*
 * True if requests can be sent. After a request that could not be sent it is false: reopen the
 * stream.
 */
bool mt_ads_is_up(const struct mt_ads *a);
/* True if every subscribed type got a response on this stream; false if it is down. */
bool mt_ads_synced(const struct mt_ads *a);
/*
 * Number of messages that could not be decoded or were of a type not requested; *why: text for the
 * last one.
 */
uint64_t mt_ads_unreadable_count(const struct mt_ads *a, const char **why);
struct mt_ads_status mt_ads_status(const struct mt_ads *a, enum mt_xds_type type);
