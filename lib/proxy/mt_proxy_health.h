/* SPDX-License-Identifier: Apache-2.0 */
/* Health of endpoints: results of checks, from a worker to its proxy, and events of the proxy. */
#pragma once

#include "mt_addr.h"

#include <stdbool.h>
#include <stdint.h>

struct mt_ep_state;
struct mt_proxy;

/* Result of the health checks of a forwarded port's endpoint. */
struct mt_ep_checked {
	struct mt_ep_state *state;
	struct mt_addr addr;
	uint16_t port;
	uint32_t cluster;  /* mt_cluster.index */
	const char *why;   /* cause of the last failure; NULL: healthy again; static */
	uint32_t failures; /* failures in a row that made the endpoint unhealthy */
};
/*
 * Ejects the endpoint, or ends its ejection, and reports the event. Call on the worker that checks
 * the endpoint, in a loop iteration.
 */
void mt_proxy_ep_checked(struct mt_proxy *p, const struct mt_ep_checked *c);

/* An event of an endpoint's health, as a worker reports it to the control thread. */
struct mt_ep_event {
	enum mt_ep_event_what {
		MT_EP_EVENT_EJECTED, /* ejected, until MT_EP_EVENT_BACK */
		MT_EP_EVENT_BACK,    /* it has replied and is in rotation again */
		MT_EP_EVENT_LEAVING, /* it announced its shutdown, for example by Dubbo's read-only event */
		MT_EP_EVENT_STAYS, /* it withdrew that announcement */
	} what;
	/* EJECTED: how its last connection ended, or another cause; else NULL. Static. */
	const char *why;
	struct mt_addr addr;
	uint16_t port;
	bool silent;	  /* EJECTED: the endpoint could be reached but did not answer */
	bool checked;	  /* EJECTED: by health checks, until these succeed; `until` is `at` */
	uint8_t times;	  /* EJECTED: ejections in a row, with this one */
	uint32_t cluster; /* mt_cluster.index */
	uint32_t failures, errors; /* EJECTED: limits in the cluster's mt_outlier_rule */
	const char *rule;	   /* EJECTED: a rule other than these two, or NULL; static */
	/* Monotonic ns: `at` of the event. `until`: the ejection's or announcement's end, else `at`. */
	uint64_t at, until;
	uint64_t wall; /* `at` by the wall clock, ns */
};

/*
 * Takes the next health event of this worker into *a. Returns false if there is none. Always sets
 * *missed to the number of events lost since start because the queue was full. Control thread only.
 */
bool mt_proxy_ep_event(struct mt_proxy *p, struct mt_ep_event *a, uint64_t *missed);
