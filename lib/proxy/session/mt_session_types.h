/* SPDX-License-Identifier: Apache-2.0 */
/* Types of session/: opaque TCP. */
#pragma once

#include "mt_proxy.h"

/*
 * An opaque TCP connection: the client's stream and the server's. A pair takes one cache line,
 * because a million pairs may be idle. Both streams refer to their pair.
 */
struct mt_pair {
	struct mt_stream *down, *up; /* NULL: gone, or not open yet */
	struct mt_lanes *lanes;	     /* lane group of `up`; NULL: none */
	/*
	 * Armed while the stream is half-closed, waits for a filter or a cluster, or has fin_waits
	 * or `cut`.
	 */
	struct mt_timer timer;
	/* ms: last event; with fin_waits: last event before; with `cut`: last acknowledgement. */
	uint32_t last_ms;
	/* Index of its struct mt_connecting + 1; 0: the stream is not connecting to a server. */
	uint32_t connecting;
	bool fin_to_up : 1, fin_to_down : 1; /* FINs forwarded */
	/* The server's FIN is held back, until it is known whether the server has read anything. */
	bool fin_waits : 1;
	uint8_t again : 2; /* number of reconnects to a server (opaque_connect.c) */
	bool cut : 1;	   /* one side was cut off; the other side still gets data (opaque_cut.c) */
	/* The client's TLS is forwarded; its server name was read for chain selection, not kept. */
	bool sni_unkept : 1;
	bool waits : 1;	   /* the server got bytes, and has sent none since (waiting.c) */
	bool answered : 1; /* the server has sent bytes after it got bytes */
	/*
	 * The client was silent where TLS is accepted, so it counts as plaintext. Its first bytes
	 * must not be a ClientHello; too few have come to decide.
	 */
	bool unheard : 1;
	bool logged : 1; /* leaves an entry of the access log (stream_log.c) */
	/*
	 * mt_service.index + 1 of the service that counts the stream's bytes; 0: none. Valid for
	 * the snapshot with this `version` (lower half); looked up again for another snapshot.
	 */
	uint16_t service;
	union {
		uint32_t version;
		/* ms: with `cut`, when the side was cut off; no bytes are counted after that. */
		uint32_t cut_ms;
	};
};
_Static_assert(sizeof(struct mt_pair) <= MT_CACHE_LINE, "an idle byte stream stays small");

/* Data of an opaque TCP connection until its server is connected. */
struct mt_connecting {
	const struct mt_codec *codec;
	uint8_t codec_opts;
	uint8_t tries;
	/*
	 * Why it gets no server, although endpoints may be left: none is tried any more.
	 * MT_ENDING_ok: nothing prevents that.
	 */
	enum mt_ending refused : 8;
	uint8_t filter_at; /* place + 1 of the filter for which it waits; 0: none */
	bool filter_again; /* that filter runs again, because an image was loaded */
	bool gateway;	   /* the client uses a gateway */
	uint8_t shows;	   /* identity presented to endpoints of `cluster` (mt_cluster_shows()) */
	struct mt_snapshot *snap;	  /* held */
	uint64_t chain_id;		  /* mt_filter_chain.id */
	const struct mt_cluster *cluster; /* in `snap`; NULL: gone */
	struct mt_ep_state *ep;		  /* the endpoint that is being tried */
	uint64_t tried;			  /* bit set of positions in the cluster */
	uint64_t rnd;
	/*
	 * After a reconnect: data that the previous server has not read, to be sent first. Charged
	 * to the client's stream.
	 */
	struct mt_chain given;
	uint32_t pair; /* index in mt_proxy.pairs */
	/* While the stream waits for an on-demand cluster (on_demand.c): */
	struct mt_list node; /* mt_on_demand.streams */
	uint32_t on_demand;  /* index of the cluster + 1; 0: does not wait */
	bool waited;
};
