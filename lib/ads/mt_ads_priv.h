/* SPDX-License-Identifier: Apache-2.0 */
/* Between ads.c (what both kinds share), sotw.c and delta.c. */
#pragma once

#include "mt_ads.h"
#include "mt_pb.h"
#include "mt_strmap.h"

/* A resource by name: wanted, or (delta) had. */
struct mt_ads_name {
	uint32_t wants; /* how many want it */
	bool told;	/* the server knows that it is wanted */
	bool again;	/* it was not wanted in between, so that nothing of it is had */
	char *version;	/* delta: of what was accepted; NULL: nothing was */
	char name[];
};

struct mt_ads_type {
	struct mt_strmap names; /* struct mt_ads_name */
	uint32_t n_wanted, n_again;
	bool wildcard, wildcard_told;
	bool asked;	  /* on this stream */
	bool changed;	  /* what is wanted is not what the server was told */
	bool heard;	  /* a response on this stream */
	bool refused;	  /* the last response, and the server was not told yet */
	bool judging;	  /* the last response: taken or refused, who knows */
	bool broken;	  /* ... and some of it could not be read: `error` */
	bool refusal_due; /* at refuse_at, however often it is refused again until then */
	uint64_t refuse_at, wait_ns, refused_for; /* the last: a hash of the reason */
	char *version, *nonce;			  /* NULL: none; the nonce is of this stream */
	char *judged_version;			  /* of the response that is judged */
	struct mt_err error;			  /* of the last refusal; "" after an acceptance */
	struct mt_ads_status counts;
};

struct mt_ads {
	struct mt_ads_conf conf;
	const struct mt_ads_events *events;
	void *arg;
	bool up, node_sent;
	uint64_t unreadable; /* messages */
	struct mt_err unreadable_why;
	struct mt_ads_type types[MT_XDS_TYPES];
};

static inline bool mt_ads_is_wanted(const struct mt_ads_type *t)
{
	return t->wildcard || t->n_wanted;
}

/* What is wanted was said: everybody whose name is wanted has been told. */
void mt_ads_mark_told(struct mt_ads_type *t);
/* Replaces a text; "" and NULL free it. 0 or -ENOMEM. */
int mt_ads_set(char **text, const char *to);
/* The entry, made when it is not there; NULL: no memory. */
struct mt_ads_name *mt_ads_name_get(struct mt_ads_type *t, const char *name);
/* Forgets a name that nobody wants and of which nothing is had. */
void mt_ads_name_put(struct mt_ads_type *t, struct mt_ads_name *n);
/* -1: not one of ours. */
int mt_ads_type_of(const char *url);
/* Packs and sends; node_sent follows. */
void mt_ads_post(struct mt_ads *a, const ProtobufCMessage *m);
/* The node for the first message of a stream, else NULL. */
Xds__Node *mt_ads_node(struct mt_ads *a);
/*
 * Gives the update to the owner and keeps the verdict, if there is one yet; `broken`: why some of the response could
 * not even be read, NULL: all of it could.
 */
void mt_ads_judge(struct mt_ads *a, const struct mt_ads_update *u, const char *nonce,
	const char *broken, size_t len, uint64_t now);
/* A message that is nothing we asked for. */
void mt_ads_unreadable(struct mt_ads *a, const char *why);

/* sotw.c, delta.c: a message of the stream; the arena is for it alone. */
void mt_sotw_message(
	struct mt_ads *a, struct mt_pb_arena *arena, const uint8_t *data, size_t len, uint64_t now);
void mt_delta_message(
	struct mt_ads *a, struct mt_pb_arena *arena, const uint8_t *data, size_t len, uint64_t now);
/*
 * A request of the type as it stands: subscriptions, and what becomes of the last response: `ack`, or refused
 * with `error` (else NULL), or nothing new.
 */
void mt_sotw_request(struct mt_ads *a, enum mt_xds_type type, const char *error);
void mt_delta_request(struct mt_ads *a, enum mt_xds_type type, bool ack, const char *error);
