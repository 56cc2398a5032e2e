/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's proxy as an image (lib/image): clients with all that is under way for them, connections to servers with all that is
 * out on them, what waits and for what, what has been learnt, and what was counted. What is only looked at does not go along:
 * slow calls, exemplars, traces, endpoints' news that nobody has fetched.
 */
#pragma once

#include "mt_codec.h"
#include "mt_image.h"
#include "mt_proxy.h"
#include "mt_snapshot.h"

/* What the image names, and does not hold, for who loads it. On the same thread. */
struct mt_proxy_names {
	void *arg;
	/* The configuration of this version; NULL: it is gone, and the image is refused. */
	struct mt_snapshot *(*snapshot)(void *arg, uint64_t version);
	/* The state of an endpoint; NULL: there is none of this index, the image is refused. */
	struct mt_ep_state *(*endpoint)(void *arg, uint32_t index);
	const struct mt_codec *(*codec)(void *arg, const char *name);
	/* One past the largest index of endpoints, of clusters. Saving. */
	uint32_t n_endpoints, n_clusters;
};

/* Before the other; in both directions alike. */
void mt_proxy_image_parts(struct mt_proxy *p, struct mt_image *im);
/*
 * Between two turns. Saving gives back the tokens that filters have claimed ahead, and changes nothing else. What is
 * loaded into is new; im->error: it must be destroyed. What objects hold of snapshots goes from one to the other.
 */
void mt_proxy_image(struct mt_proxy *p, struct mt_image *im, const struct mt_proxy_names *names);
/* What it was saved from is only to be destroyed: its calls go on elsewhere. */
void mt_proxy_moved(struct mt_proxy *p);
/* A snapshot, or NULL, as a name. */
void mt_proxy_image_snapshot(
	struct mt_image *im, const struct mt_proxy_names *names, struct mt_snapshot **s);
