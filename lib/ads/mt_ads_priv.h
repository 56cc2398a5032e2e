/* SPDX-License-Identifier: Apache-2.0 */
/* Interface between ads.c (common part), sotw.c and delta.c. */
#pragma once

#include "mt_ads.h"
#include "mt_pb.h"
#include "mt_strmap.h"

/* A resource by name: subscribed to, or (delta) accepted. */
struct mt_ads_name {
	uint32_t wants; /* number of subscriptions */
	bool told;	/* the server got the subscription */
	bool again;	/* unsubscribed and subscribed again since the last request */
	char *version;	/* delta: last accepted; NULL: none */
	char name[];
};

struct mt_ads_type {
	struct mt_strmap names; /* struct mt_ads_name */
	uint32_t n_wanted, n_again;
	bool wildcard, wildcard_told;
	bool asked;	  /* the type was requested on this stream */
	bool changed;	  /* subscriptions differ from those that were sent */
	bool heard;	  /* a response came on this stream */
	bool refused;	  /* a NACK of the last response is not sent yet */
	bool judging;	  /* the verdict on the last response is due */
	bool broken;	  /* part of the last response could not be decoded: see `error` */
	bool refusal_due; /* refuse_at is set; more rejections do not change it */
	uint64_t refuse_at, wait_ns, refused_for; /* refused_for: hash of the last reason */
	char *version, *nonce;			  /* NULL: none; `nonce` is of this stream */
	char *judged_version;			  /* of the response whose verdict is due */
	struct mt_err error;			  /* of the last NACK; "" after an ACK */
	struct mt_ads_status counts;
};

struct mt_ads {
	struct mt_ads_conf conf;
	const struct mt_ads_events *events;
	void *arg;
	bool up, node_sent;
	uint64_t unreadable; /* number of messages */
	struct mt_err unreadable_why;
	struct mt_ads_type types[MT_XDS_TYPES];
};

static inline bool mt_ads_is_wanted(const struct mt_ads_type *t)
{
	return t->wildcard || t->n_wanted;
}

/* Marks all subscriptions as sent. */
void mt_ads_mark_told(struct mt_ads_type *t);
/* Replaces a text by a copy of `to`; by NULL if `to` is "" or NULL. 0 or -ENOMEM. */
int mt_ads_set(char **text, const char *to);
/* Finds or creates the entry of a name; NULL: no memory. */
struct mt_ads_name *mt_ads_name_get(struct mt_ads_type *t, const char *name);
/* Frees the entry if it has no subscription, no version and no unsubscription to send. */
void mt_ads_name_put(struct mt_ads_type *t, struct mt_ads_name *n);
/* Returns the type of a type URL; -1: unknown. */
int mt_ads_type_of(const char *url);
/* Serializes and sends a request, and sets node_sent. */
void mt_ads_post(struct mt_ads *a, const ProtobufCMessage *m);
/* Returns the node if this is the first request of the stream, else NULL. */
Xds__Node *mt_ads_node(struct mt_ads *a);
/*
 * Passes an update to the owner and sends or stores its verdict. `broken` is why part of the
 * response could not be decoded; NULL: all of it could.
 */
void mt_ads_judge(struct mt_ads *a, const struct mt_ads_update *u, const char *nonce,
	const char *broken, size_t len, uint64_t now);
/* Counts a message that could not be decoded or was not requested. */
void mt_ads_unreadable(struct mt_ads *a, const char *why);

/* sotw.c, delta.c: process a message of the stream; the arena is freed after it. */
void mt_sotw_message(
	struct mt_ads *a, struct mt_pb_arena *arena, const uint8_t *data, size_t len, uint64_t now);
void mt_delta_message(
	struct mt_ads *a, struct mt_pb_arena *arena, const uint8_t *data, size_t len, uint64_t now);
/*
 * Send a request of the type: subscriptions, with an ACK of the last response (`ack`), a NACK
 * (`error` not NULL), or neither.
 */
void mt_sotw_request(struct mt_ads *a, enum mt_xds_type type, const char *error);
void mt_delta_request(struct mt_ads *a, enum mt_xds_type type, bool ack, const char *error);
