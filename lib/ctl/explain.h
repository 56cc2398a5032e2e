/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message that was described to `explain` and never sent. Routes and filters read it like a
 * received one.
 */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_tls.h"

#define MT_SAID_PAIRS 16

struct mt_said_pair {
	const char *key, *value; /* the request's words */
	size_t key_len;
};

struct mt_said {
	struct mt_msg msg;     /* message of the view */
	struct mt_codec codec; /* a copy with another leading(), which finds this struct by it */
	struct mt_view view;
	const struct mt_codec_registry *codecs; /* that may have `protocol` */
	const struct mt_codec *protocol;	/* NULL: not given */
	const char *service;			/* NULL: not given */
	bool has_src, has_listener;
	bool by_tls;		/* the client uses TLS that is terminated here */
	struct mt_tls_peer who; /* with by_tls: the identity that it shows */
	struct mt_addr listener;
	uint16_t listener_port;
	struct mt_said_pair pairs[MT_SAID_PAIRS];
	char joined[8448]; /* a value with blanks */
	uint32_t n_pairs;
};

/*
 * Parses the words after `explain`, which must outlive `s`, with these codecs. 0, or -EINVAL with
 * the reason in e.
 */
int mt_said_parse(struct mt_said *s, const struct mt_codec_registry *codecs,
	const char *const *words, uint32_t n, struct mt_err *e);

/* Sets the protocol. From then on s->view can be used. */
void mt_said_use(struct mt_said *s, const struct mt_codec *codec);

mt_offer_fn mt_offer_said;
mt_run_fn mt_run_explain;
