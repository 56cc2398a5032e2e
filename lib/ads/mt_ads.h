/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The discovery protocol over one stream, state of the world or delta, without sockets and clocks of its own:
 * what is wanted, what was accepted, what has to be said. Of all types on one stream (ADS), or of one type.
 * Envoy API "xDS REST and gRPC protocol". Control thread only.
 */
#pragma once

#include "mt_base.h"
#include "mt_log.h"

#include "common.pb-c.h"
#include "core.pb-c.h"

/* In the order in which requests are made: what others refer to comes first (make before break). */
enum mt_xds_type {
	MT_XDS_CDS,
	MT_XDS_EDS,
	MT_XDS_LDS,
	MT_XDS_RDS,
	MT_XDS_ECDS,
	MT_XDS_SDS,
	MT_XDS_NDS, /* Istio's table of names: one resource, which has no name of its own */
	MT_XDS_TYPES,
};

/* "type.googleapis.com/envoy.config.cluster.v3.Cluster" and so on. */
const char *mt_xds_url(enum mt_xds_type type);
/* Whether all that there is of a type is asked for and told, and never names. */
bool mt_xds_is_whole(enum mt_xds_type type);
/* "CDS" and so on, for the shell. */
const char *mt_xds_name(enum mt_xds_type type);

/* One resource of a response; all of it lives until the callback returns. */
struct mt_ads_resource {
	const char *name;     /* NULL: only the resource itself says it (state of the world) */
	const char *version;  /* the resource's; "" when the server gives it none */
	const Xds__Any *body; /* NULL: only its time to live is renewed */
	uint64_t ttl_ns;      /* 0: it does not expire by itself */
	bool refused;	      /* by update(): what was had of it before stays */
};

struct mt_ads_update {
	enum mt_xds_type type;
	const char *version; /* the response's */
	struct mt_ads_resource *items;
	uint32_t n;
	char *const *gone; /* delta: names that the server has no more */
	uint32_t n_gone;
	bool complete; /* what of the type is not among the items is gone */
};

/* What becomes of a response. */
enum mt_ads_verdict {
	MT_ADS_TAKEN,	/* it is acknowledged */
	MT_ADS_REFUSED, /* it is refused */
	MT_ADS_LATER,	/* mt_ads_judged() will say it */
};

struct mt_ads_events {
	/* Puts bytes on the stream. 0 or -errno: the stream is useless, nothing follows. */
	int (*send)(void *arg, const uint8_t *data, size_t len);
	/*
	 * Takes over what is sound of an update. When not all of it was, *why says which resources were
	 * not, in which field and for what reason: the server gets it as the NACK's text.
	 */
	enum mt_ads_verdict (*update)(void *arg, const struct mt_ads_update *u, struct mt_err *why);
};

struct mt_ads_conf {
	bool delta;
	const Xds__Node *node; /* who asks; the owner's, for good */
	size_t max_memory;     /* of a decoded response; 0: 256 MiB */
};

/* What the shell shows of a type. Texts live until the next call of any function here. */
struct mt_ads_status {
	const char *version; /* last accepted; "" none */
	const char *error;   /* of the last response when that was refused; "" none */
	uint64_t acked_at, nacked_at, bytes, responses, acks, nacks;
	uint32_t wanted;
	bool wildcard, pending_nack, judging; /* judging: the verdict comes later */
};

struct mt_ads;

/* NULL: no memory. */
struct mt_ads *mt_ads_new(
	const struct mt_ads_conf *conf, const struct mt_ads_events *events, void *arg);
void mt_ads_free(struct mt_ads *a);

/*
 * What is wanted of a type: everything (`on`), or names. Each name is counted, so two that want the same one
 * do not take it from each other. Nothing is sent before mt_ads_flush(). 0 or -ENOMEM.
 */
void mt_ads_wildcard(struct mt_ads *a, enum mt_xds_type type, bool on);
int mt_ads_subscribe(struct mt_ads *a, enum mt_xds_type type, const char *name);
void mt_ads_unsubscribe(struct mt_ads *a, enum mt_xds_type type, const char *name);

/* A new stream is there: everything that is wanted is asked for again, with what is known already. */
void mt_ads_up(struct mt_ads *a, uint64_t now);
void mt_ads_down(struct mt_ads *a);
/* One message of the stream. Calls `update` if it is a response to something that is wanted. */
void mt_ads_message(struct mt_ads *a, const uint8_t *data, size_t len, uint64_t now);
/*
 * The verdict on the last response of the type, after MT_ADS_LATER (else nothing happens): `why` NULL: taken. A
 * response that came in the meantime is judged with it. Requests of the type that would answer the response wait
 * until then, so this has to come within a second or so.
 */
void mt_ads_judged(struct mt_ads *a, enum mt_xds_type type, const struct mt_err *why, uint64_t now);
/* Behind a verdict: something that was taken is refused after all, which is said as a refusal of the last response. */
void mt_ads_refuse(struct mt_ads *a, enum mt_xds_type type, const struct mt_err *why, uint64_t now);
/*
 * Of a resource that was taken: it was refused after all, or is forgotten. `version` is what is had of it now, NULL:
 * nothing (delta: a stream that begins says so, and hears what has changed or is gone since).
 */
void mt_ads_untake(struct mt_ads *a, enum mt_xds_type type, const char *name, const char *version);
/* Of a type that is wanted whole (delta): so much is had of it from an earlier life. Before the stream begins. */
void mt_ads_have(struct mt_ads *a, enum mt_xds_type type, const char *name, const char *version);
/* Nothing of it is had any more, although nothing is wrong with it: the next stream asks for it as for one that is new. */
void mt_ads_lose(struct mt_ads *a, enum mt_xds_type type, const char *name);
/*
 * Sends what is due: changed subscriptions, and refusals, which wait (1 s, then longer each time, 5 s at most)
 * because some servers answer a NACK at once with the same again. Call after changes and ten times a second.
 */
void mt_ads_flush(struct mt_ads *a, uint64_t now);

/* Whether what is due can be said; false also behind a request that could not be sent: the stream is of no use any more. */
bool mt_ads_is_up(const struct mt_ads *a);
/* Whether a response to every type that is wanted has come on this stream; also false when it is down. */
bool mt_ads_synced(const struct mt_ads *a);
/* How many messages were no response to anything that was asked; *why: the last one, in words. */
uint64_t mt_ads_unreadable_count(const struct mt_ads *a, const char **why);
struct mt_ads_status mt_ads_status(const struct mt_ads *a, enum mt_xds_type type);
