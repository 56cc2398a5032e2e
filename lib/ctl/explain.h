/* SPDX-License-Identifier: Apache-2.0 */
/* A message that nobody has sent: what `explain` was told about it, seen by routes and filters like a real one. */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_tls.h"

#define MT_SAID_PAIRS 16

struct mt_said_pair {
	const char *key, *value; /* the request's words */
	size_t key_len;
};

struct mt_said {
	struct mt_msg msg;     /* what the view has; metadata() finds the rest by it */
	struct mt_codec codec; /* the protocol's, but for where metadata comes from */
	struct mt_view view;
	const struct mt_codec *protocol; /* NULL: not said */
	const char *service;		 /* NULL: not said */
	bool has_src, has_listener;
	bool by_tls;		/* the client comes by TLS that is ended here, */
	struct mt_tls_peer who; /* and shows to be this one */
	struct mt_addr listener;
	uint16_t listener_port;
	struct mt_said_pair pairs[MT_SAID_PAIRS];
	char joined[8448]; /* a value with blanks */
	uint32_t n_pairs;
};

/* The words behind `explain`. 0 or -EINVAL with the reason in e. The words outlive `s`. */
int mt_said_parse(struct mt_said *s, const char *const *words, uint32_t n, struct mt_err *e);

/* The protocol is known: from here on s->view can be asked. */
void mt_said_use(struct mt_said *s, const struct mt_codec *codec);

void mt_offer_said(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);
json_t *mt_run_explain(struct mt_ctl *c, const struct mt_request *r);
