/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy's administration interface, as far as the tools of a mesh ask for it: the same paths, arguments, names of fields
 * and messages (envoy.admin.v3), about what is compiled and in force here. No page changes anything: the kernel cannot
 * tell for certain which user sends over a TCP connection, so changes are made by the shell's sockets only. A page begins
 * (arguments are looked at, nothing that cannot be answered goes on), then makes its answer in slices.
 */
#pragma once

#include "mt_ctl_http_priv.h"
#include "re2_shim.h"

#include <string.h>

struct mt_envoy_page;

/* ---- mask.c: google.protobuf.FieldMask ------------------------------------------------------- */

#define MT_ENVOY_PATHS 32

struct mt_envoy_mask {
	char text[1024];
	const char *paths[MT_ENVOY_PATHS]; /* in text: "cluster.name" */
	uint32_t n;			   /* 0: there is no mask, everything is wanted */
};

/* "a,b.c"; false: too long, or too many. */
bool mt_envoy_mask_parse(struct mt_envoy_mask *m, const char *text);
/* Whether each path begins with one of these words, which stand between spaces. */
bool mt_envoy_mask_fits(const struct mt_envoy_mask *m, const char *words);
/* Whether a path is this field, or begins with it. */
bool mt_envoy_mask_has(const struct mt_envoy_mask *m, const char *field);
/*
 * Leaves in an object what the mask names, and "@type". False: a path goes on below what has no fields, a list or a plain
 * value; that is left out.
 */
bool mt_envoy_mask_trim(const struct mt_envoy_mask *m, json_t *j);

/* One answer under way. */
struct mt_envoy {
	struct mt_ctl *c;
	const struct mt_envoy_page *page;
	struct MHD_Connection *conn; /* while it begins only */
	const char *type;	     /* of the content */
	bool json, used_only, with_endpoints;
	bool prometheus;       /* answered as a scrape */
	struct mt_re2 *filter; /* NULL: all names */
	const char *resource;  /* one of the dump's arrays; NULL: all of it */
	struct mt_envoy_mask mask;
	bool mask_bad; /* it did not fit a row */
	/* How far it has come. */
	uint32_t part, at;
	uint64_t pos;	  /* of the registry of counters */
	uint64_t version; /* of the snapshot that `at` is of */
	uint64_t last_id; /* of the object before `at` */
	bool comma, begun, open;
	const char *group; /* of the dump: the message that is open; NULL: none */
};

struct mt_envoy_page {
	const char *path;
	const char *help;
	/* Reads the arguments. 200: go on; another status with the words in `out`. Without `next` `out` is the answer. */
	unsigned int (*begin)(struct mt_envoy *e, struct mt_text_buf *out);
	/* Appends the next slice; false: it was the last one. NULL: `begin` has said it all. */
	bool (*next)(struct mt_envoy *e, struct mt_text_buf *out);
};

/* Whether the argument is there; its value, or "", in *value (which may be NULL). */
bool mt_envoy_arg(const struct mt_envoy *e, const char *name, const char **value);
/* ?format=: json, or `other`. 200, or 400. */
unsigned int mt_envoy_format(struct mt_envoy *e, const char *other, struct mt_text_buf *out);
/* A regular expression in the argument, found anywhere in a name, becomes e->filter. 200, or 400. */
unsigned int mt_envoy_filter(struct mt_envoy *e, const char *arg, struct mt_text_buf *out);
bool mt_envoy_wanted(const struct mt_envoy *e, const char *name);
/* Appends it with a comma before all but the first one; consumes it. */
void mt_envoy_put(struct mt_envoy *e, struct mt_text_buf *out, json_t *j);

/*
 * The cluster, or listener, behind the one before, of the newest snapshot; NULL: that was the last one. No snapshot is held in
 * between: when another one was published it goes on behind the object of the same identity, or at the same place.
 */
const struct mt_cluster *mt_envoy_cluster(struct mt_envoy *e);
const struct mt_listener *mt_envoy_listener(struct mt_envoy *e);

/* Whether a discovery server said it. */
bool mt_envoy_by_api(const struct mt_cluster *cl);
/* CircuitBreakers (dump_objects.c): those that bound something. */
json_t *mt_envoy_breakers(const struct mt_cluster *cl);
/* {"socket_address": {...}} */
json_t *mt_envoy_address(const struct mt_addr *a, uint16_t port);
/* The name that Envoy would have for it: that of the control plane, else ADDRESS_PORT. */
void mt_envoy_listener_name(const struct mt_listener *l, char *buf, size_t size);

/* Pages, by file. */
extern const struct mt_envoy_page mt_envoy_server[], mt_envoy_stats[], mt_envoy_objects[],
	mt_envoy_dump[];
