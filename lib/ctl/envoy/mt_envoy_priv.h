/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy's administration interface, as far as mesh tools use it: the same paths, arguments, field
 * names and messages (envoy.admin.v3), for the compiled and applied configuration. No page changes
 * anything, because the kernel cannot reliably tell which user sends over a TCP connection; changes
 * need the shell's sockets.
 *
 * For each request begin() checks the arguments and refuses what cannot be answered; then next()
 * makes the answer in slices.
 */
#pragma once

#include "mt_ctl_http_priv.h"
#include "re2_shim.h"

#include <string.h>

struct mt_envoy_page;

/* State of one answer. */
struct mt_envoy {
	struct mt_ctl *c;
	const struct mt_envoy_page *page;
	struct MHD_Connection *conn; /* in begin() only */
	const char *type;	     /* content type */
	bool json, used_only, with_endpoints;
	bool prometheus;       /* answered as a scrape */
	struct mt_re2 *filter; /* NULL: all names */
	const char *resource;  /* one of the dump's arrays; NULL: all of the dump */
	/* Position in the answer. */
	uint32_t part, at;
	uint64_t pos;	  /* in the registry of counters */
	uint64_t version; /* of the snapshot to which `at` belongs */
	uint64_t last_id; /* of the object before `at` */
	bool comma, begun, open;
	const char *group; /* the dump's message that is open; NULL: none */
};

struct mt_envoy_page {
	const char *path;
	const char *help;
	/*
	 * Reads the arguments. 200: continue; any other status with the text in `out`. If `next` is
	 * NULL, `out` is the answer.
	 */
	unsigned int (*begin)(struct mt_envoy *e, struct mt_text_buf *out);
	/*
	 * Appends the next slice; false: it was the last one. NULL: begin() wrote the whole answer.
	 */
	bool (*next)(struct mt_envoy *e, struct mt_text_buf *out);
};

/* True if the argument is present; its value, or "", in *value (which may be NULL). */
bool mt_envoy_arg(const struct mt_envoy *e, const char *name, const char **value);
/* Reads ?format=, which may be json or `other`. Returns 200 or 400. */
unsigned int mt_envoy_format(struct mt_envoy *e, const char *other, struct mt_text_buf *out);
/*
 * Compiles the regular expression in the argument to e->filter; it may match any part of a name.
 * Returns 200 or 400.
 */
unsigned int mt_envoy_filter(struct mt_envoy *e, const char *arg, struct mt_text_buf *out);
bool mt_envoy_wanted(const struct mt_envoy *e, const char *name);
/* Appends j, after a comma unless it is the first; takes j over. */
void mt_envoy_put(struct mt_envoy *e, struct mt_text_buf *out, json_t *j);

/*
 * The next cluster or listener of the newest snapshot; NULL: there is none. No snapshot is held
 * between calls. If another one was published, iteration continues after the object of the same
 * identity, or at the same position.
 */
const struct mt_cluster *mt_envoy_cluster(struct mt_envoy *e);
const struct mt_listener *mt_envoy_listener(struct mt_envoy *e);

/* True if the cluster is from a discovery server. */
bool mt_envoy_by_api(const struct mt_cluster *cl);
/* CircuitBreakers (dump_objects.c): only thresholds that are enforced. */
json_t *mt_envoy_breakers(const struct mt_cluster *cl);
/* {"socket_address": {...}} */
json_t *mt_envoy_address(const struct mt_addr *a, uint16_t port);
/* The name that Envoy would use: that of the control plane, otherwise ADDRESS_PORT. */
void mt_envoy_listener_name(const struct mt_listener *l, char *buf, size_t size);

/* Tables of pages, one per file. */
extern const struct mt_envoy_page mt_envoy_server[], mt_envoy_stats[], mt_envoy_objects[],
	mt_envoy_dump[];
