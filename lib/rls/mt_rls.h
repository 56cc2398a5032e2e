/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/rls: queries of a rate limit service (envoy.service.ratelimit.v3.RateLimitService), which
 * counts for several nodes together. Three parts without threads, sockets and clocks, and the
 * client that joins them (mt_rls_client.h):
 * - query.c encodes a RateLimitRequest into the caller's bytes.
 * - answer.c decodes a RateLimitResponse, of bounded size.
 * - over.c remembers for a short time the descriptors that are over their limit, so that a flood of
 *   calls that are refused anyway costs no queries. Envoy sends one for each call.
 *
 * Path of a query (mt_filter_global.h): the worker encodes it, and so gets the keys of the
 * descriptors. It refuses a call with a key that is in its memory. Otherwise it puts the query into
 * a slot of lib/callout; the thread sends it and decodes the answer.
 *
 * Limits: MT_RLS_DESCRIPTORS descriptors of MT_RLS_ENTRIES entries each. An answer has
 * MT_RLS_HEADERS headers for the request, as many for the reply, and MT_RLS_BYTES bytes of texts.
 *
 * Invariants:
 * - Workers call mt_rls_pack() and over.c: these take no lock and allocate nothing. mt_rls_read()
 *   allocates; it is for lib/callout's thread.
 * - A query is encoded completely or not at all. It must have a domain, descriptors and entries,
 *   and texts that are UTF-8 without NUL. The service answers others with an error, and a call
 *   could pass by such texts if the filter fails open. So the caller of mt_rls_pack() refuses a
 *   call that it cannot encode.
 * - The overall code alone decides. Statuses count only if there is one for each descriptor; they
 *   are in the order of the descriptors. An answer with another overall code than OK and OVER_LIMIT
 *   counts as no answer.
 * - Headers and quotas that do not fit into an answer are left out. The decision stays: a service
 *   must not let a call pass because it sends many. Headers for the request have room first. Limits
 *   are not read.
 * - A quota needs a number of requests and a time at which it ends. Without these it counts as
 *   none, because it would have no end.
 * - The memory belongs to one worker. An entry lasts at most a second from the answer, and ends a
 *   second before the limit's window; if the window ends sooner, it lasts 20 ms. A service knows
 *   the end in whole seconds only, so a new window may be up to 20 ms late.
 * - Descriptors are remembered by their keys (mt_rls_keys).
 */
#pragma once

#include "mt_base.h"

/* ---- queries --------------------------------------------------------------------------------- */

#define MT_RLS_METHOD	   "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
#define MT_RLS_DESCRIPTORS 16	/* of a query */
#define MT_RLS_ENTRIES	   8	/* of a descriptor */
#define MT_RLS_HEADERS	   16	/* of an answer, for the request and for the reply each */
#define MT_RLS_BYTES	   4096 /* texts of an answer */

struct mt_rls_entry {
	struct mt_slice key, value;
};

struct mt_rls_descriptor {
	struct mt_rls_entry entry[MT_RLS_ENTRIES];
	uint32_t n_entries;
};

struct mt_rls_query {
	struct mt_slice domain;
	const struct mt_rls_descriptor *descriptors;
	uint32_t n_descriptors;
	const uint32_t *hits; /* of each descriptor, 1 or more; NULL: 1 each */
};

/*
 * For each descriptor a hash with a secret key (mt_secret_hash.h) of the service, the domain and
 * the encoded descriptor, without its hits. A caller cannot make a descriptor with another one's
 * hash.
 */
struct mt_rls_keys {
	uint64_t of[MT_RLS_DESCRIPTORS];
	uint32_t n;
	uint64_t set;  /* the same of all descriptors together */
	uint64_t seed; /* hash of the service and the domain */
};

/*
 * Encodes a RateLimitRequest. Returns its length; 0: it does not fit into `room` or the limits, or
 * a service would not accept it. `keys` gets a key for each descriptor. `service`: id of the
 * service, which is never reused.
 */
size_t mt_rls_pack(const struct mt_rls_query *q, uint32_t service, uint8_t *to, size_t room,
	struct mt_rls_keys *keys);

/* ---- answers --------------------------------------------------------------------------------- */

enum mt_rls_code { MT_RLS_UNKNOWN, MT_RLS_OK, MT_RLS_OVER_LIMIT };

struct mt_rls_text {
	uint16_t at, len; /* offset and length in `bytes` of the answer */
};

/* Calls that may pass without a query. */
struct mt_rls_quota {
	uint32_t requests; /* with the one that was queried; 0: there is no quota */
	uint64_t lasts;	   /* ns, as of the answer */
	/* Quotas with the same id are one; "": it has no id. */
	struct mt_rls_text id;
};

struct mt_rls_status {
	enum mt_rls_code code;
	bool has_reset;
	uint64_t reset;	    /* ns until the limit's window ends, as of the answer */
	uint32_t remaining; /* hits left in the window */
	struct mt_rls_quota quota;
};

struct mt_rls_header {
	struct mt_rls_text key, value;
};

struct mt_rls_answer {
	enum mt_rls_code code; /* OK or OVER_LIMIT */
	uint32_t n_statuses;   /* of the query's descriptors, in their order; or 0 */
	struct mt_rls_status status[MT_RLS_DESCRIPTORS];
	struct mt_rls_quota quota; /* of the whole set of descriptors */
	uint32_t n_headers;
	struct mt_rls_header header[MT_RLS_HEADERS]; /* to add to the request */
	uint32_t n_reply_headers;
	struct mt_rls_header reply_header[MT_RLS_HEADERS]; /* to add to the server's reply */
	uint32_t used;
	char bytes[MT_RLS_BYTES]; /* each text ends with a NUL */
};

/*
 * Decodes a RateLimitResponse to a query with `n_descriptors`. `unix_ns`: the time of day, with
 * which the ends of quotas are compared. False: the bytes are not such a message, need too much
 * memory, or decide nothing.
 */
bool mt_rls_read(struct mt_rls_answer *a, uint32_t n_descriptors, const uint8_t *data, size_t len,
	uint64_t unix_ns);

static inline const char *mt_rls_text(const struct mt_rls_answer *a, struct mt_rls_text t)
{
	return a->bytes + t.at;
}

/* ---- over the limit -------------------------------------------------------------------------- */

#define MT_RLS_OVER_SETS 256
#define MT_RLS_OVER_WAYS 4

struct mt_rls_over_entry {
	uint64_t key, until; /* until: 0, or the end */
};

/*
 * The memory of one worker: 16 KiB. A key has its place in one set. If that is full, the key that
 * ends first is forgotten, and causes a query again. Zeroed memory is empty.
 */
struct mt_rls_over {
	struct mt_rls_over_entry entry[MT_RLS_OVER_SETS][MT_RLS_OVER_WAYS];
};

/* How long a status OVER_LIMIT is remembered, ns. */
uint64_t mt_rls_over_lasts(const struct mt_rls_status *s);
/*
 * Remembers the keys with the status OVER_LIMIT, if that is also the answer's overall code. `now`:
 * any clock, ns, not 0.
 */
void mt_rls_over_keep(struct mt_rls_over *o, const struct mt_rls_keys *keys,
	const struct mt_rls_answer *a, uint64_t now);
/* True if one of the keys is over its limit; *which is its index. */
bool mt_rls_over_any(
	const struct mt_rls_over *o, const struct mt_rls_keys *keys, uint64_t now, uint32_t *which);
