/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves a worker's proxy to an image and loads it from one (lib/image): clients and servers with
 * the calls on their connections, queues, learned methods and idle times, and counters. Not saved:
 * slow calls, exemplars, traces, denied callers, counters of tokens, and health events that the
 * control thread has not read.
 */
#pragma once

#include "mt_codec.h"
#include "mt_image.h"
#include "mt_proxy.h"
#include "mt_snapshot.h"

/*
 * Finds objects that the image refers to by name and does not contain. The functions are called
 * while an image is loaded, on the same thread. If one returns NULL, the image is refused.
 */
struct mt_proxy_names {
	void *arg;
	/* The snapshot of this version. */
	struct mt_snapshot *(*snapshot)(void *arg, uint64_t version);
	/* The endpoint state with this index. */
	struct mt_ep_state *(*endpoint)(void *arg, uint32_t index);
	/* The retry budget's account with this index of a cluster. */
	struct mt_budget_account *(*budget)(void *arg, uint32_t cluster);
	/* The codec with this identity. */
	const struct mt_codec *(*codec)(void *arg, uint64_t identity);
	/* For saving: one past the largest index of endpoints and of clusters. */
	uint32_t n_endpoints, n_clusters;
};

/* Registers the proxy's objects to which pointers may refer. Call before mt_proxy_image(). */
void mt_proxy_image_parts(struct mt_proxy *p, struct mt_image *im);
/*
 * Saves the proxy, or loads the image into a new proxy (im->loading). Call between loop iterations.
 * Saving returns the rate limit tokens that filters hold in reserve, and changes nothing else. If
 * loading sets im->error, destroy the proxy. References to snapshots, and units of retry budgets,
 * move from the saved proxy to the loaded one.
 */
void mt_proxy_image(struct mt_proxy *p, struct mt_image *im, const struct mt_proxy_names *names);
/*
 * Marks a saved proxy after its calls have moved to another one. Afterwards only mt_proxy_destroy()
 * may be called.
 */
void mt_proxy_moved(struct mt_proxy *p);
/* Saves or loads a pointer to a snapshot, which may be NULL, as the snapshot's version. */
void mt_proxy_image_snapshot(
	struct mt_image *im, const struct mt_proxy_names *names, struct mt_snapshot **s);
