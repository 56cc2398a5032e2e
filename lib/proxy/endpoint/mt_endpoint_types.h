/* SPDX-License-Identifier: Apache-2.0 */
/* Types of endpoint/: health and speed of endpoints, and knowledge about their methods. */
#pragma once

#include "endpoint/mt_waiting.h"
#include "mt_proxy.h"

/* Knowledge about replies to the calls of a method (methods.c). */
enum mt_method_state {
	MT_METHOD_UNKNOWN,
	MT_METHOD_ANSWERS,
	MT_METHOD_SILENT, /* its calls are one-way, whatever their type */
};

#define MT_METHODS 256

struct mt_method {
	uint64_t key;	/* hash of service and name; 0: a free entry */
	uint64_t used;	/* ns */
	uint64_t owner; /* mt_service.owner */
	enum mt_method_state state : 8;
	uint8_t suspects; /* UNKNOWN: observations of calls without a reply so far */
};

/* Ring of endpoints' health events, to the control thread (ejection.c). */
#define MT_EP_EVENTS 128

struct mt_ep_events {
	uint32_t head mt_cache_aligned;	    /* worker: w, ctl: r */
	uint64_t missed;		    /* worker: w, ctl: r */
	struct mt_ep_event e[MT_EP_EVENTS]; /* worker: w, ctl: r */
	uint32_t tail mt_cache_aligned;	    /* ctl: w, worker: r */
};

/* Identifies an endpoint for health events and checks, which may outlive its lane group. */
struct mt_ep_where {
	struct mt_tls_context *tls; /* of the lane group; hold it if this struct is kept */
	struct mt_addr addr;
	uint16_t port;
	uint32_t cluster; /* index */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	bool of_caller; /* mt_lanes.of_caller */
	uint16_t way;	/* mt_lanes.way */
	uint32_t connect_ms;
};

/* Speed of an endpoint's replies to this worker (admit.c). Times in ns. */
struct mt_admit {
	uint64_t ep_id;	   /* mt_ep_state.id; another endpoint may use this place later */
	uint64_t since;	   /* start of the window */
	uint64_t took, n;  /* in the window: sum of the replies' times, and their number */
	uint64_t last;	   /* time of the last reply */
	uint64_t silence;  /* longest time without a reply in the window */
	uint64_t pace;	   /* time between two replies while calls are outstanding; 0: unknown */
	uint64_t known_at; /* when `pace` was last learned */
	/* `mean`: mean time of the replies in the last window. */
	/* `least`: lowest such mean while calls did not wait for each other; rises slowly. */
	uint64_t mean, least;
	bool busy;	  /* at least BUSY calls (admit.c) outstanding all through the window */
	bool stood_still; /* most of the previous window was one silence */
	bool queueing;	  /* calls wait for each other */
};

/* Refusals because of an object that fails closed. */
struct mt_closed_stats {
	uint64_t id; /* mt_closer.id */
	uint64_t refused;
};

/* The health checks of an ejected endpoint (ejection.c, pool/health_check.c). */
struct mt_health_check {
	struct mt_stream *s; /* NULL: not connected */
	struct mt_timer timer;
	struct mt_ep_state *ep;
	uint64_t ep_id;
	uint32_t ep_index;
	struct mt_ep_where at;
	uint64_t again; /* ns: delay of the next check if this one fails */
	bool asked;	/* the heartbeat was sent */
	/* at.codec is another version of the codec file than that with which the checks began. */
	bool other_version;
	struct mt_decoder dec;
	struct mt_msg msg;
};
