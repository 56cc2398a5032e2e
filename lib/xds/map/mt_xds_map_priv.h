/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Common part of the mappers. A mapper reads a message and fills a struct of the model. It returns
 * false at the first error, with path and reason in mt_xmap.rd.why. mt_xm_in(), mt_xm_at() and
 * mt_xm_out() keep the path of the current field.
 */
#pragma once

#include "mt_pb_json.h"
#include "mt_strmap.h"
#include "mt_xds_map.h"

#include "cluster.pb-c.h"
#include "listener.pb-c.h"
#include "metaprotocol.pb-c.h"
#include "names.pb-c.h"
#include "proxies.pb-c.h"
#include "route.pb-c.h"
#include "tls.pb-c.h"

/* Notes: fields that have no effect in some cases (notes.def). */
enum mt_xds_note {
#define MT_XDS_NOTE(id, in, field, words) MT_XDS_NOTE_##id,
#include "notes.def"
#undef MT_XDS_NOTE
	MT_XDS_N_NOTES
};

/* Maximum number of notes for one resource. */
#define MT_XM_TOLD 160u

struct mt_xmap {
	struct mt_pb_reader rd; /* arena, path, error */
	struct mt_xds_mapped *out;
	struct mt_region *r; /* region of out->part */
	const char *source;
	const char *node_cluster; /* NULL: none */
	uint64_t serial;
	int rc;			      /* of the first error; 0: none */
	const void *told[MT_XM_TOLD]; /* rows of notes.c already noted: once per resource */
	uint32_t n_told;
	struct mt_strmap named[MT_XDS_TYPES]; /* references so far, by name */
};

/* ---- basics.c: context, texts, numbers ------------------------------------------------------- */

#define mt_xm_in(m, field)    mt_pb_in(&(m)->rd.at, field)
#define mt_xm_at(m, field, i) mt_pb_at(&(m)->rd.at, field, i)
#define mt_xm_out(m, mark)    mt_pb_out(&(m)->rd.at, mark)

/* Sets the error "PATH.FIELD: REASON", or "PATH: REASON" if field is NULL. Always returns false. */
bool mt_xm_bad(struct mt_xmap *m, const char *field, const char *fmt, ...) mt_printf(3, 4);
bool mt_xm_no_memory(struct mt_xmap *m);
/*
 * Allocates zeroed memory, at least one byte, in the part's region. NULL: no memory; the error is
 * set.
 */
void *mt_xm_alloc(struct mt_xmap *m, size_t size);
/* The same for n items. */
void *mt_xm_array(struct mt_xmap *m, size_t n, size_t size);

#define MT_XM_NAME_MAX 500u

/*
 * Copies the name of a resource, a metadata key or the like: 1 to 500 printable characters without
 * blanks.
 */
bool mt_xm_name(struct mt_xmap *m, const char *field, const char *s, const char **out);
bool mt_xm_name_text(struct mt_xmap *m, const char *field, const char *s, struct mt_text *out);
/* Copies a text of at most `max` bytes. */
bool mt_xm_text(
	struct mt_xmap *m, const char *field, const char *s, size_t max, struct mt_text *out);
/* The same for a text that operators read: UTF-8 without control characters. */
bool mt_xm_words(
	struct mt_xmap *m, const char *field, const char *s, size_t max, struct mt_text *out);
/* Reads a duration in ms, rounded up, from min_ms to 49 days. If d is NULL, *out is unchanged. */
bool mt_xm_ms(struct mt_xmap *m, const char *field, const Xds__Duration *d, uint32_t min_ms,
	uint32_t *out);
/* Reads a number from min to max. If v is NULL, *out is unchanged. */
bool mt_xm_u32(struct mt_xmap *m, const char *field, const Xds__UInt32Value *v, uint32_t min,
	uint32_t max, uint32_t *out);
bool mt_xm_port(struct mt_xmap *m, const char *field, uint32_t v, uint16_t *out);
/* Reads a fraction in millionths; f NULL: 1000000. */
bool mt_xm_fraction(
	struct mt_xmap *m, const char *field, const Xds__FractionalPercent *f, uint32_t *ppm);
/* Reads a percentage in hundredths. If p is NULL, *out is unchanged. */
bool mt_xm_percent(struct mt_xmap *m, const char *field, const Xds__Percent *p, struct mt_num *out);
/* Reads host and port of a TCP socket address. *host is not copied. */
bool mt_xm_socket(struct mt_xmap *m, const char *field, const Xds__Address *a, const char **host,
	uint16_t *port);

/* ---- map.c ----------------------------------------------------------------------------------- */

/* Fills meta except its labels, and adds the object to `list` of the part. */
bool mt_xm_add(struct mt_xmap *m, struct mt_objs *list, struct mt_meta *meta, const char *kind,
	const char *name);
/*
 * Adds a reference to a resource, with its config source. `name` must already be in the part's
 * region.
 */
bool mt_xm_ref(struct mt_xmap *m, const char *field, const Xds__ConfigSource *from,
	enum mt_xds_type type, const char *name);

/* Adds a reference to a cluster. `name` must already be in the part's region. */
bool mt_xm_needs_cluster(struct mt_xmap *m, const char *name);
/* The same of a cluster that is fetched at once, also on demand. */
bool mt_xm_queries_cluster(struct mt_xmap *m, const char *name);

/* Content of an Any: a serialized message, or the fields of a TypedStruct. */
struct mt_xm_any {
	const char *type;      /* "envoy.config...."; "" */
	const Xds__Any *bytes; /* NULL: in `fields` */
	const Xds__Struct *fields;
};

bool mt_xm_open(struct mt_xmap *m, const char *field, const Xds__Any *any, struct mt_xm_any *out);
/* Reads it as a message of `type` and notes its fields without effect. NULL after an error. */
void *mt_xm_read(struct mt_xmap *m, const char *field, const struct mt_xm_any *any,
	const ProtobufCMessageDescriptor *type);

/* ---- notes.c: fields without effect ---------------------------------------------------------- */

/* Adds note `id` for a field (NULL: the current path), once per resource. */
void mt_xm_note(struct mt_xmap *m, enum mt_xds_note id, const char *field);
/*
 * Notes all fields that are set and have no effect, in a message and below it. Sets the error at a
 * rejected one.
 */
void mt_xm_note_fields(struct mt_xmap *m, const ProtobufCMessage *msg);
void mt_xm_note_unknown(void *arg, const struct mt_pb_path *at, const char *field);

/* A field that has no effect, or that is rejected because it cannot be ignored. */
struct mt_xds_row {
	const char *field;
	const char *words; /* NULL: without meaning for Meltemi, and not noted */
	bool refused;
};

/* The rows of a message type. */
struct mt_xds_rows {
	const ProtobufCMessageDescriptor *type;
	const struct mt_xds_row *rows;
	uint32_t n;
};

extern const struct mt_xds_rows mt_xds_rows[]; /* ends with type NULL */

/* A row of notes.def. */
struct mt_xds_note_row {
	const char *in, *field, *words;
};

extern const struct mt_xds_note_row mt_xds_notes[MT_XDS_N_NOTES];

/* ---- mappers of each type -------------------------------------------------------------------- */

bool mt_xm_cluster(struct mt_xmap *m, const Xds__Cluster *c);
bool mt_xm_assignment(struct mt_xmap *m, const Xds__ClusterLoadAssignment *a);
bool mt_xm_listener(struct mt_xmap *m, const Xds__Listener *l);
bool mt_xm_route_configuration(struct mt_xmap *m, const Xds__RouteConfiguration *c);
bool mt_xm_secret(struct mt_xmap *m, const Xds__Secret *s);
bool mt_xm_extension(struct mt_xmap *m, const Xds__TypedExtensionConfig *e);
bool mt_xm_names(struct mt_xmap *m, const Xds__NameTable *t);

/* Maps endpoints to `out`. Host names are allowed if `dns` is not NULL, and are added to it. */
bool mt_xm_endpoints(struct mt_xmap *m, const Xds__ClusterLoadAssignment *a,
	struct mt_res_endpoints *out, struct mt_res_dns *dns);

/* Maps a transport socket; *out NULL: plaintext. */
bool mt_xm_upstream_tls(struct mt_xmap *m, const char *field, const Xds__TransportSocket *s,
	struct mt_res_tls **out);
bool mt_xm_downstream_tls(struct mt_xmap *m, const char *field, const Xds__TransportSocket *s,
	struct mt_res_tls **out);

/*
 * Maps the configuration of a terminal filter to a chain. *known false: unsupported filter, `chain`
 * is unchanged.
 */
bool mt_xm_terminal(struct mt_xmap *m, const char *field, const struct mt_xm_any *config,
	struct mt_res_chain *chain, bool *known);
bool mt_xm_is_terminal(const char *type);
/* Maps a retry policy; p NULL: *out is unchanged. */
bool mt_xm_retries(struct mt_xmap *m, const Xds__RetryPolicy *p, struct mt_rule_retries **out);
bool mt_xm_meta_proxy(struct mt_xmap *m, const Xds__MetaProtocolProxy *p, struct mt_res_chain *c);
bool mt_xm_thrift_proxy(struct mt_xmap *m, const Xds__ThriftProxy *p, struct mt_res_chain *c);
bool mt_xm_dubbo_proxy(struct mt_xmap *m, const Xds__DubboProxy *p, struct mt_res_chain *c);
/* access_log.c: adds an access_log to `out`; logs that are not written are noted. */
bool mt_xm_access_logs(
	struct mt_xmap *m, Xds__AccessLog *const *l, size_t n, struct mt_chain_logs *out);
/* log_filter.c: maps the filter of a log. False: the log has no lines, or there is an error. */
bool mt_xm_log_filter(struct mt_xmap *m, const Xds__AccessLogFilter *f, struct mt_chain_log *out);
/* local_limit.c */
bool mt_xm_limit(struct mt_xmap *m, const Xds__MetaLocalRateLimit *l, struct mt_limit_conf **out);
/* Envoy's network filter. One that is turned off is not mapped. */
bool mt_xm_network_local(
	struct mt_xmap *m, const Xds__NetworkLocalRateLimit *l, struct mt_limit_conf **out);
/*
 * Names the bucket of a chain, unless it is shared. `at`: of filter_chains, or MT_XM_FALLBACK. `l`
 * NULL: there is no limit.
 */
#define MT_XM_FALLBACK SIZE_MAX
bool mt_xm_label_limit(struct mt_xmap *m, const char *listener, size_t at, struct mt_limit_conf *l);
/* global_limit.c */
bool mt_xm_meta_global(struct mt_xmap *m, const Xds__MetaRateLimit *l, struct mt_global_conf **out);
/* Without routes; each rule's are added by mt_xm_rate_limits(), in their order. */
bool mt_xm_thrift_global(
	struct mt_xmap *m, const Xds__ThriftRateLimit *l, struct mt_global_conf **out);
/* Envoy's network filter. False in *runs: a value of its descriptors is not known; nothing is
 * mapped. */
bool mt_xm_network_global(
	struct mt_xmap *m, const Xds__NetworkRateLimit *l, struct mt_global_conf **out, bool *runs);
bool mt_xm_rate_limits(struct mt_xmap *m, Xds__RateLimit *const *l, size_t n,
	const struct mt_rule *rule, struct mt_global_conf *g);

/* ---- rules.c: common to routes of all protocols ---------------------------------------------- */

bool mt_xm_headers(struct mt_xmap *m, const char *field, Xds__HeaderMatcher *const *h, size_t n,
	struct mt_rule_match *out);
/* Appends a condition on `key`, of type PRESENT. NULL after an error. */
struct mt_cond *mt_xm_cond(struct mt_xmap *m, const char *key, struct mt_rule_match *out);
bool mt_xm_string_match(
	struct mt_xmap *m, const char *field, const Xds__StringMatcher *s, struct mt_cond *c);
/* Creates the only match of a rule. NULL after an error. */
struct mt_rule_match *mt_xm_match(struct mt_xmap *m, struct mt_rule *rule);
bool mt_xm_one_cluster(struct mt_xmap *m, const char *name, struct mt_rule *rule);
/*
 * A list of weighted clusters: mt_xm_weigh() adds one, mt_xm_weighed() checks the sum at the end.
 */
struct mt_xm_weights {
	struct mt_rule_dest *dests;
	uint32_t n;
	uint64_t sum;
};
bool mt_xm_weigh(struct mt_xmap *m, struct mt_xm_weights *w, const char *name, uint32_t weight);
bool mt_xm_weighed(struct mt_xmap *m, const char *field, const struct mt_xm_weights *w);
bool mt_xm_weighted(
	struct mt_xmap *m, const char *field, const Xds__WeightedCluster *w, struct mt_rule *rule);
/* Adds request_mirror_policies[i] to a rule; share NULL: 100 %. */
bool mt_xm_mirror(struct mt_xmap *m, size_t i, const char *cluster,
	const Xds__RuntimeFractionalPercent *share, struct mt_rule *rule);
/* Appends a mutation of metadata: sets `key` to `value`, or removes it if `value` is NULL. */
bool mt_xm_mutation(struct mt_xmap *m, const char *key, const char *value,
	struct mt_rule_mutation **list, uint32_t *n);
bool mt_xm_meta_routes(
	struct mt_xmap *m, const Xds__MetaRouteConfiguration *c, struct mt_rule_list *out);
