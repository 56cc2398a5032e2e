/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mappers of all kinds share. Each is a function that reads a message and fills a struct of the model;
 * it answers false after the first thing that is wrong, with field and reason in the caller's mt_err. Where it
 * is in the message is kept by steps: mt_xm_in(), mt_xm_at() and mt_xm_out() around what is below a field.
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

/* What a message has that is read and has no effect, or not always: the rows of notes.c. */
enum mt_xds_note {
#define MT_XDS_NOTE(id, in, field, words) MT_XDS_NOTE_##id,
#include "notes.def"
#undef MT_XDS_NOTE
	MT_XDS_N_NOTES
};

/* More than this many things without effect are not told of one resource. */
#define MT_XM_TOLD 160u

struct mt_xmap {
	struct mt_pb_reader rd; /* arena, where, why */
	struct mt_xds_mapped *out;
	struct mt_region *r; /* the part's */
	const char *source;
	uint64_t serial;
	int rc;			      /* of the first failure */
	const void *told[MT_XM_TOLD]; /* rows of notes.c: once a resource is enough */
	uint32_t n_told;
	struct mt_strmap named[MT_XDS_TYPES]; /* refs so far */
};

/* ---- basics.c: context, texts, numbers ---------------------------------------------------------- */

#define mt_xm_in(m, field)    mt_pb_in(&(m)->rd.at, field)
#define mt_xm_at(m, field, i) mt_pb_at(&(m)->rd.at, field, i)
#define mt_xm_out(m, mark)    mt_pb_out(&(m)->rd.at, mark)

/* "WHERE.FIELD: REASON"; field NULL: where we are. Always false. */
bool mt_xm_bad(struct mt_xmap *m, const char *field, const char *fmt, ...) mt_printf(3, 4);
bool mt_xm_no_memory(struct mt_xmap *m);
/* Zeroed, of the part; at least one byte. NULL: failed. */
void *mt_xm_alloc(struct mt_xmap *m, size_t size);
/* n > 0 items. */
void *mt_xm_array(struct mt_xmap *m, size_t n, size_t size);

#define MT_XM_NAME_MAX 500u

/* A name of a resource, a metadata key and so on: 1 to 500 printable characters without blanks. */
bool mt_xm_name(struct mt_xmap *m, const char *field, const char *s, const char **out);
bool mt_xm_name_text(struct mt_xmap *m, const char *field, const char *s, struct mt_text *out);
/* Any text of `max` bytes at most. */
bool mt_xm_text(
	struct mt_xmap *m, const char *field, const char *s, size_t max, struct mt_text *out);
/* One that operators read: UTF-8 without control characters. */
bool mt_xm_words(
	struct mt_xmap *m, const char *field, const char *s, size_t max, struct mt_text *out);
/* NULL: stays as it is. In ms, rounded up; min_ms to 49 days. */
bool mt_xm_ms(struct mt_xmap *m, const char *field, const Xds__Duration *d, uint32_t min_ms,
	uint32_t *out);
/* NULL: stays as it is. */
bool mt_xm_u32(struct mt_xmap *m, const char *field, const Xds__UInt32Value *v, uint32_t min,
	uint32_t max, uint32_t *out);
bool mt_xm_port(struct mt_xmap *m, const char *field, uint32_t v, uint16_t *out);
/* In millionths; NULL: all. */
bool mt_xm_fraction(
	struct mt_xmap *m, const char *field, const Xds__FractionalPercent *f, uint32_t *ppm);
/* A socket's address as text, and its port. */
bool mt_xm_socket(struct mt_xmap *m, const char *field, const Xds__Address *a, const char **host,
	uint16_t *port);

/* ---- map.c --------------------------------------------------------------------------------------- */

/* Everything of meta but its labels; the object is added to `list`. */
bool mt_xm_add(struct mt_xmap *m, struct mt_objs *list, struct mt_meta *meta, const char *kind,
	const char *name);
bool mt_xm_ref(struct mt_xmap *m, const char *field, const Xds__ConfigSource *from,
	enum mt_xds_type type, const char *name);

/* That it refers to this cluster. The part has the name already, here and in mt_xm_ref(). */
bool mt_xm_needs_cluster(struct mt_xmap *m, const char *name);

/* What an Any is: a message in bytes, or one in a TypedStruct. */
struct mt_xm_any {
	const char *type;      /* "envoy.config...."; "" */
	const Xds__Any *bytes; /* NULL: in `fields` */
	const Xds__Struct *fields;
};

bool mt_xm_open(struct mt_xmap *m, const char *field, const Xds__Any *any, struct mt_xm_any *out);
/* As a message of `type`; what has no effect in it is noted. NULL: failed. */
void *mt_xm_read(struct mt_xmap *m, const char *field, const struct mt_xm_any *any,
	const ProtobufCMessageDescriptor *type);

/* ---- notes.c: what has no effect ------------------------------------------------------------------------------------- */

/* Notes `id` at field (NULL: where we are), the first time. */
void mt_xm_note(struct mt_xmap *m, enum mt_xds_note id, const char *field);
/* All fields of a message and those below it that are there and have no effect, or are refused. */
void mt_xm_note_fields(struct mt_xmap *m, const ProtobufCMessage *msg);
void mt_xm_note_unknown(void *arg, const struct mt_pb_path *at, const char *field);

/* A row: a field that has no effect, or that cannot be left out and is refused. */
struct mt_xds_row {
	const char *field;
	const char *words; /* NULL: it means nothing to what Meltemi does, and is not told */
	bool refused;
};

/* The rows of one message. */
struct mt_xds_rows {
	const ProtobufCMessageDescriptor *type;
	const struct mt_xds_row *rows;
	uint32_t n;
};

extern const struct mt_xds_rows mt_xds_rows[]; /* type NULL ends it */

/* One of notes.def. */
struct mt_xds_note_row {
	const char *in, *field, *words;
};

extern const struct mt_xds_note_row mt_xds_notes[MT_XDS_N_NOTES];

/* ---- one mapper a kind ---------------------------------------------------------------------------- */

bool mt_xm_cluster(struct mt_xmap *m, const Xds__Cluster *c);
bool mt_xm_assignment(struct mt_xmap *m, const Xds__ClusterLoadAssignment *a);
bool mt_xm_listener(struct mt_xmap *m, const Xds__Listener *l);
bool mt_xm_route_configuration(struct mt_xmap *m, const Xds__RouteConfiguration *c);
bool mt_xm_secret(struct mt_xmap *m, const Xds__Secret *s);
bool mt_xm_extension(struct mt_xmap *m, const Xds__TypedExtensionConfig *e);
bool mt_xm_names(struct mt_xmap *m, const Xds__NameTable *t);

/* Endpoints into `out`; `dns` not NULL: names are allowed and go there. */
bool mt_xm_endpoints(struct mt_xmap *m, const Xds__ClusterLoadAssignment *a,
	struct mt_res_endpoints *out, struct mt_res_dns *dns);

/* A transport socket; *out NULL: clear text. */
bool mt_xm_upstream_tls(struct mt_xmap *m, const char *field, const Xds__TransportSocket *s,
	struct mt_res_tls **out);
bool mt_xm_downstream_tls(struct mt_xmap *m, const char *field, const Xds__TransportSocket *s,
	struct mt_res_tls **out);

/* A terminal filter's configuration into a chain. *known false: it is none of ours; nothing was filled. */
bool mt_xm_terminal(struct mt_xmap *m, const char *field, const struct mt_xm_any *config,
	struct mt_res_chain *chain, bool *known);
bool mt_xm_is_terminal(const char *type);
bool mt_xm_meta_proxy(struct mt_xmap *m, const Xds__MetaProtocolProxy *p, struct mt_res_chain *c);
bool mt_xm_thrift_proxy(struct mt_xmap *m, const Xds__ThriftProxy *p, struct mt_res_chain *c);
bool mt_xm_dubbo_proxy(struct mt_xmap *m, const Xds__DubboProxy *p, struct mt_res_chain *c);
bool mt_xm_limit(struct mt_xmap *m, const Xds__MetaLocalRateLimit *l, struct mt_limit_conf **out);

/* ---- rules.c: what routes of all kinds share --------------------------------------------------- */

bool mt_xm_headers(struct mt_xmap *m, const char *field, Xds__HeaderMatcher *const *h, size_t n,
	struct mt_rule_match *out);
/* One condition on `key`; appended. */
struct mt_cond *mt_xm_cond(struct mt_xmap *m, const char *key, struct mt_rule_match *out);
bool mt_xm_string_match(
	struct mt_xmap *m, const char *field, const Xds__StringMatcher *s, struct mt_cond *c);
/* The one match of a rule; NULL: failed. */
struct mt_rule_match *mt_xm_match(struct mt_xmap *m, struct mt_rule *rule);
bool mt_xm_one_cluster(struct mt_xmap *m, const char *name, struct mt_rule *rule);
/* Starts a list of n weighted clusters, adds one, and checks the sum at the end. */
struct mt_xm_weights {
	struct mt_rule_dest *dests;
	uint32_t n;
	uint64_t sum;
};
bool mt_xm_weigh(struct mt_xmap *m, struct mt_xm_weights *w, const char *name, uint32_t weight);
bool mt_xm_weighed(struct mt_xmap *m, const char *field, const struct mt_xm_weights *w);
bool mt_xm_weighted(
	struct mt_xmap *m, const char *field, const Xds__WeightedCluster *w, struct mt_rule *rule);
/* request_mirror_policies[i]; share NULL: all. */
bool mt_xm_mirror(struct mt_xmap *m, size_t i, const char *cluster,
	const Xds__RuntimeFractionalPercent *share, struct mt_rule *rule);
/* value NULL: the key is taken out. */
bool mt_xm_mutation(struct mt_xmap *m, const char *key, const char *value,
	struct mt_rule_mutation **list, uint32_t *n);
bool mt_xm_meta_routes(
	struct mt_xmap *m, const Xds__MetaRouteConfiguration *c, struct mt_rule_list *out);
