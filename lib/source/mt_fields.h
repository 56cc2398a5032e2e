/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents are read by tables. Each kind is a const struct mt_section whose rows contain the
 * fields' names, types and places in the model's struct. One engine reads all tables, so that it
 * reports unknown fields, wrong types and bad values in the same way everywhere. The reference page
 * is made from the same rows.
 */
#pragma once

#include "mt_diag.h"
#include "mt_model.h"
#include "mt_object.h"
#include "mt_source.h"
#include "mt_yaml.h"

enum mt_field_type {
	MT_F_TEXT,     /* struct mt_text; an empty one counts as not written */
	MT_F_NUM,      /* struct mt_num within [min, max] */
	MT_F_DURATION, /* struct mt_num, ms */
	MT_F_BOOL,     /* struct mt_num */
	MT_F_WORD,     /* struct mt_num: index in `words` */
	MT_F_TEXTS,    /* struct mt_text array */
	MT_F_LABELS,   /* struct mt_labels */
	MT_F_OBJECT,   /* an embedded struct, read by `sub` */
	MT_F_POINTER,  /* a pointer to a struct, read by `sub`; NULL if not written */
	MT_F_LIST,     /* an array of structs, read by `sub` */
	MT_F_CUSTOM,   /* `custom` reads it */
	MT_F_SKIP,     /* known, without meaning for Meltemi: a note, unless `quiet` */
	MT_F_LATER,    /* accepted, not enforced: a note or warning with `help` */
	MT_F_REFUSED, /* not supported and too important to ignore: an error with `help` as reason */
};

/* Effect of a field that is read. */
enum mt_field_status {
	MT_S_ENFORCED,
	MT_S_KEPT,  /* shown, but nothing depends on it */
	MT_S_LATER, /* checked, not enforced: a note or warning with `instead` */
	/* For the reference page only; the field's own reader acts: */
	MT_S_WARNS,	 /* checked, not enforced: its own reader reports it */
	MT_S_REFUSED,	 /* an object with this field is rejected where it is served */
	MT_S_NOT_SERVED, /* not enforced: an object with this field is not served */
};

struct mt_fctx;
struct mt_section;
struct mt_ignored;

typedef void mt_field_fn(struct mt_fctx *c, const struct mt_ynode *n, void *obj);

struct mt_field {
	const char *name;
	enum mt_field_type type;
	bool required;
	bool host;		/* TEXT and TEXTS: host names (mt_read_host()) */
	bool blank;		/* WORD: an empty text is the default, as in Kubernetes */
	uint16_t offset, count; /* offsets of the member and (arrays) of its count */
	/* range of numbers, or of durations in ms; TEXTS and LIST: `max` entries, 0: no limit */
	uint32_t min, max;
	/* TEXTS and LABELS: most bytes of each text, 0: MT_HOST_TEXT of host names, else no limit */
	uint32_t length;
	const struct mt_section *sub; /* of CUSTOM fields: for the reference page only */
	const char *const *words;     /* NULL-terminated */
	mt_field_fn *custom;
	enum mt_field_status status;
	const char *help; /* for the reference page; LATER and REFUSED: what happens instead */
	const char *instead;
	const char *was; /* old name, accepted for one version with a note; NULL: none */
	/* LATER, WARNS: a call can have another outcome without it, which is a warning and no note */
	bool harms;
	bool quiet; /* SKIP: no note, because it names something, or other code reads it */
};

/* Every struct that a section fills begins with its struct mt_origin. */
struct mt_section {
	const char *what; /* "service port": for messages */
	uint32_t size;
	uint32_t n_fields;
	const struct mt_field *fields;
	bool snake; /* also accept names in snake_case (documents that were protobuf JSON) */
	/* Called for a key without a row; true if it read or reported the key. */
	bool (*unknown)(struct mt_fctx *c, const struct mt_ynode *n, void *obj);
	/* Called after all fields; checks conditions that concern several of them. */
	mt_field_fn *after;
};

/* Rows of kinds with a table of the whole document (mt_kind.kubernetes), which other code reads. */
#define MT_DOCUMENT_FIELDS                                                                         \
	{"apiVersion", MT_F_SKIP, .help = "identifies the kind"},                                  \
		{"kind", MT_F_SKIP, .help = "identifies the kind"},                                \
	{                                                                                          \
		"metadata", MT_F_SKIP,                                                             \
			.help = "[metadata of every document](#metadata-of-every-document)"        \
	}

/* Initialise `offset` and `count` of a row. */
#define AT(type, member)      .offset = offsetof(type, member)
#define AT_LIST(type, member) AT(type, member), .count = offsetof(type, n_##member)

/*
 * Most entries of lists that a load compares with other lists: the first for lists as long as all
 * ports, the second for lists of a few names. Real meshes have far fewer.
 */
#define MT_LIST_LONG  65536u
#define MT_LIST_SHORT 4096u
/* Of conditions of a local rate limit: each has a bucket for each port and each endpoint. */
#define MT_LIST_CONDITIONS 1000u
/* Of a rule for tokens: each set of policies has a copy, and audiences are compared with tokens. */
#define MT_LIST_TOKENS 1000u

/*
 * Most bytes of names that a load looks up. Those of Kubernetes have 253 at most ("NAMESPACE/NAME"
 * 507), labels' values 63 and their keys 317 ("PREFIX/NAME"), but servers of files accept more.
 */
#define MT_GATEWAY_TEXT 512u
#define MT_HOST_TEXT	512u
#define MT_LABEL_TEXT	253u
#define MT_LABEL_KEY	317u

#define MT_PATH_MAX 512

struct mt_fctx {
	struct mt_model *model; /* the part that receives the object */
	struct mt_diags *diags;
	const char *file;
	const struct mt_source_place *place;
	uint64_t serial;	    /* of the object that is being read */
	const char *ns;		    /* its namespace; NULL: no object was read */
	struct mt_objects *objects; /* read so far */
	uint32_t documents;	    /* read so far, with or without errors */
	uint32_t most; /* limit of objects->n: earlier objects and those of this text */
	/* The piece holds a second document, after a line end that only YAML recognizes. */
	bool second;
	bool too_many;		       /* the text has more objects than `most` permits */
	uint64_t memory, weight;       /* of the objects so far; of their nodes */
	uint64_t most_memory;	       /* of the text; 0: no limit */
	const struct mt_model *tree;   /* of the last List */
	const struct mt_model *filled; /* the last part that received an object */
	bool bare_headers;	       /* the current match has `headers:` without a value */
	struct mt_ignored *ignored;    /* collects fields without effect; NULL: nothing does */
	void *md; /* hash.c: EVP_MD_CTX for all documents of a text; NULL: none yet */
	char path[MT_PATH_MAX];
	uint32_t path_len;
};

/* Append a field or a list index to c->path; pass the result to mt_path_pop(). */
uint32_t mt_path_push(struct mt_fctx *c, const char *name);
uint32_t mt_path_push_index(struct mt_fctx *c, uint32_t index);
void mt_path_pop(struct mt_fctx *c, uint32_t len);

/* Fields of an object that have no effect, which get one note together. */
struct mt_ignored {
	uint32_t n, line;  /* how many, and the line of the first */
	bool counts;	   /* one of them is not enforced: the object's status has it */
	const char *words; /* of the first: what happens instead */
	char first[MT_PATH_MAX];
	char all[700]; /* as many paths as there is room for */
	uint32_t n_all, len;
};
/* Reports them, if there are any. */
void mt_ignored_tell(struct mt_fctx *c, const struct mt_ignored *i);

void mt_f_error(struct mt_fctx *c, uint32_t line, const char *remedy, const char *fmt, ...)
	mt_printf(4, 5);
void mt_f_warn(struct mt_fctx *c, uint32_t line, const char *remedy, const char *fmt, ...)
	mt_printf(4, 5);
void mt_f_note(struct mt_fctx *c, uint32_t line, const char *remedy, const char *fmt, ...)
	mt_printf(4, 5);

/* Fills obj (zeroed, of the section's size) from a map; sets its origin. */
void mt_section_read(
	struct mt_fctx *c, const struct mt_section *s, const struct mt_ynode *n, void *obj);

/* Reads one value by one row into obj. */
void mt_field_read(
	struct mt_fctx *c, const struct mt_field *f, const struct mt_ynode *n, void *obj);

/* True if the value has this type; otherwise they report an error with `wanted`. */
bool mt_want_scalar(struct mt_fctx *c, const struct mt_ynode *n, const char *wanted);
bool mt_want_map(struct mt_fctx *c, const struct mt_ynode *n, const char *wanted);
bool mt_want_list(struct mt_fctx *c, const struct mt_ynode *n, const char *wanted);

/* True for null and an empty text, which count as not written where a text may be. */
bool mt_is_empty(const struct mt_ynode *n);
/* scalars.c: read one value each. False after an error, which they report. */
/* Also false, without an error, if the text is empty. */
bool mt_read_text(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out);
/* Reads a text of a list, where an empty one is an error. */
bool mt_read_item(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out);
bool mt_read_num(struct mt_fctx *c, const struct mt_ynode *n, uint32_t min, uint32_t max,
	struct mt_num *out);
/* A number in hundredths. */
bool mt_read_decimal(
	struct mt_fctx *c, const struct mt_ynode *n, double least, double most, struct mt_num *out);
bool mt_read_duration(struct mt_fctx *c, const struct mt_ynode *n, uint32_t min_ms, uint32_t max_ms,
	struct mt_num *out);
bool mt_read_bool(struct mt_fctx *c, const struct mt_ynode *n, struct mt_num *out);
bool mt_read_word(
	struct mt_fctx *c, const struct mt_ynode *n, const char *const *words, struct mt_num *out);
bool mt_read_labels(struct mt_fctx *c, const struct mt_ynode *n, struct mt_labels *out);
bool mt_read_texts(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_text **out, uint32_t *n_out);
/*
 * mt_read_text() and mt_read_texts() for host names. They drop the dot of the DNS root at the end
 * of a name and change it to lower case: "H.test." becomes "h.test", which is the same host.
 */
bool mt_read_host(struct mt_fctx *c, const struct mt_ynode *n, struct mt_text *out);
bool mt_read_hosts(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_text **out, uint32_t *n_out);

/* rules.c: shared by VirtualService, MetaRouter and EnvoyFilter. */
mt_field_fn mt_read_string_matches; /* a map of key to StringMatch into struct mt_rule_match */
void mt_read_string_match(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_rule_match *m, bool invert);
bool mt_looks_like_string_match(const struct mt_ynode *n);
/* Weights of a MetaRouter (must total 100) and of a VirtualService (relative). */
#define MT_WEIGHT_MAX 1000000u
void mt_rule_weights(struct mt_fctx *c, struct mt_rule *rule);
void mt_rule_shares(struct mt_fctx *c, struct mt_rule *rule);
mt_field_fn mt_check_bucket;
/* targets.c: one of targetRefs. */
extern const struct mt_section mt_sec_policy_target;
extern const struct mt_section mt_sec_dest, mt_sec_mirror_dest, mt_sec_percent, mt_sec_mutation,
	mt_sec_retries, mt_sec_bucket, mt_sec_dest_port, mt_sec_rule_dest, mt_sec_limit;
struct mt_cond *mt_add_cond(struct mt_fctx *c, const struct mt_ynode *n, struct mt_rule_match *m);

/*
 * For kinds that restrict access: whether and how an object, by its metadata and spec, restricts
 * who may call. `spec` is NULL if not written.
 */
typedef enum mt_object_restricts mt_restricts_fn(
	const struct mt_ynode *meta, const struct mt_ynode *spec);

/* One kind of document. */
struct mt_kind {
	const char *kind;
	const char *group;	       /* "networking.istio.io" */
	const char *const *versions;   /* NULL-terminated */
	const struct mt_section *spec; /* NULL: known, not enforced */
	uint32_t size;	  /* of the model's struct, which begins with its struct mt_meta */
	uint16_t spec_at; /* offset in it of the struct that `spec` fills */
	uint16_t list;	  /* offset of its struct mt_objs in struct mt_model; 0: the Node */
	const char *note; /* for the reference page; spec NULL: what is not supported */
	mt_restricts_fn *restricts; /* NULL: objects of the kind never restrict */
	mt_field_fn *status;	    /* reads the status into the struct; NULL: it is ignored */
	/* Called when metadata and spec are both in the struct; NULL: nothing to do. */
	void (*complete)(struct mt_fctx *c, void *obj);
	/* `spec` describes the whole document; unknown kinds of the group are ignored. */
	bool kubernetes;
	bool cluster; /* its objects are in no namespace */
	bool (*is_ours)(
		const struct mt_ynode *root); /* false: the object is ignored; NULL: all are read */
	bool bare;			      /* a missing spec is read as an empty one */
};

extern const struct mt_kind mt_kinds[]; /* kind NULL ends it */
/* log_labels.c: reads a map into the `labels` of a struct mt_file_log_format, as a JSON text. */
mt_field_fn mt_read_log_labels;
/* custom_tags.c: reads a map of names to tags of spans. */
void mt_read_custom_tags(struct mt_fctx *c, const struct mt_ynode *n, struct mt_custom_tags *to);
extern const struct mt_section mt_sec_custom_tag;
/* tag_overrides.c: reads changes of labels by name into a struct mt_telemetry_override. */
mt_field_fn mt_read_tag_overrides;
extern const struct mt_section mt_sec_tag_override;
/* kind_node_workloads.c */
extern const struct mt_section mt_sec_node_bound;
/*
 * kind_node_owns.c: also checks that no two sources own the same, and that owners share no
 * namespace.
 */
extern const struct mt_section mt_sec_node_owns;
void mt_check_owns(struct mt_fctx *c, const struct mt_node *node);
mt_field_fn mt_read_node_workloads, mt_check_node_port;

extern const struct mt_section mt_sec_metadata, mt_sec_node, mt_sec_service_entry, mt_sec_workload,
	mt_sec_destination_rule, mt_sec_traffic_policy, mt_sec_virtual_service, mt_sec_meta_router,
	mt_sec_app_protocol, mt_sec_gateway, mt_sec_envoy_filter, mt_sec_node_dns,
	mt_sec_node_demand, mt_sec_node_log, mt_sec_node_tls, mt_sec_node_tls_files,
	mt_sec_node_access_log, mt_sec_node_call_limits, mt_sec_node_otlp, mt_sec_node_mesh,
	mt_sec_node_identity, mt_sec_node_held, mt_sec_node_unenforced, mt_sec_node_forwarding,
	mt_sec_forwarding_limits, mt_sec_node_nat, mt_sec_node_guests, mt_sec_kube_service,
	mt_sec_kube_slice, mt_sec_kube_endpoints, mt_sec_kube_pod, mt_sec_kube_namespace,
	mt_sec_kube_secret, mt_sec_mesh_config, mt_sec_config_map, mt_sec_authorization,
	mt_sec_dubbo_authorization, mt_sec_peers, mt_sec_tokens, mt_sec_gwapi_gateway,
	mt_sec_gwapi_tcp, mt_sec_gwapi_tls, mt_sec_gwapi_grant, mt_sec_gwapi_backend_tls,
	mt_sec_locality, mt_sec_telemetry, mt_sec_proxy_config, mt_sec_codec, mt_sec_client_policy;

/* kind_codec.c: refuses a document that is not in a directory of codecs. */
void mt_codec_complete(struct mt_fctx *c, void *obj);

/* kind_kubernetes.c: `unknown` of a section: warns about a key without a row, which is no error. */
bool mt_unknown_told(struct mt_fctx *c, const struct mt_ynode *n, void *obj);
/* kind_service.c: reads the addresses that a control plane assigned. */
mt_field_fn mt_service_status;
/* kind_workload.c: reads the condition Healthy. */
mt_field_fn mt_workload_entry_status;
#define MT_HEALTH_CHECKS "proxy.istio.io/health-checks-enabled"
/* True if this value of that annotation (NULL: none) is one that istiod takes for true. */
bool mt_health_is_checked(const char *text);
/* Joins the labels of metadata and spec, and decides if it takes new calls. */
void mt_workload_entry_complete(struct mt_fctx *c, void *obj);
/* kind_kubernetes_pod.c: the status of a condition of a list; NULL: it is not in it. */
const struct mt_ynode *mt_condition(const struct mt_ynode *list, const char *type);
/* targets.c: warn about targets of other namespaces. */
void mt_authorization_complete(struct mt_fctx *c, void *obj);
void mt_tokens_complete(struct mt_fctx *c, void *obj);
void mt_envoy_filter_complete(struct mt_fctx *c, void *obj);
/* kind_mesh_config.c: true if the ConfigMap holds a MeshConfig. */
bool mt_is_mesh_config(const struct mt_ynode *root);

/* kind_node.c: reads a list of addresses, each with or without a prefix length. */
void mt_read_address_list(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_node_addr **list, uint32_t *count);
/*
 * kind_node_forwarding.c: checks that no port is written twice, and that NAT has its own
 * addresses.
 */
void mt_check_forwarding(struct mt_fctx *c, const struct mt_node *node);
/* kind_node_guests.c: checks that networks of guests do not overlap others. */
void mt_check_guests(struct mt_fctx *c, const struct mt_node *node);
/* kind_node_limits.c: checks that the port's mode can have its limits. */
void mt_check_forwarding_limits(struct mt_fctx *c, const struct mt_node_forwarding *f);
/* kind_node.c: resolves a path relative to the directory of the Node's file. */
void mt_beside_the_node(struct mt_fctx *c, struct mt_text *t);

/* kind_node_mesh.c: reports an error unless the text is a DNS label or not written. */
void mt_check_label(struct mt_fctx *c, const struct mt_text *t, const char *what);
void mt_check_unenforced(struct mt_fctx *c, const struct mt_node *node);
/*
 * kind_node_identity.c: checks number and uniqueness of principals, and that their sources exist.
 */
void mt_check_identities(struct mt_fctx *c, const struct mt_node *node);

/* doc.c: reads the objects of one document; `arg` is a struct mt_fctx. */
void mt_document_read(void *arg, const struct mt_ynode *root);
/* A number that is unique among the objects of this process. */
uint64_t mt_object_serial(void);
/* kinds.c: the kind of this name in this group; NULL: unknown. */
const struct mt_kind *mt_kind_find(const char *group, const char *kind);
/*
 * kinds.c: the kind that an object of an unknown group, or one of Kubernetes, probably means;
 * NULL: none.
 */
const struct mt_kind *mt_kind_of_mistyped(const char *group, const char *kind);
/*
 * kinds.c: the kind of a known group ("": of any one) that an unknown name of it is probably a
 * misspelling of, or the only kind of this name, but not the Node; NULL: none.
 */
const struct mt_kind *mt_kind_near(const char *group, const char *kind);
/* True if a kind of this group, other than those of Kubernetes, is known. */
bool mt_group_is_known(const char *group, size_t len);

/* restricts.c: mt_kind.restricts. */
mt_restricts_fn mt_restricts_authorization, mt_restricts_peers, mt_restricts_tokens,
	mt_restricts_always, mt_restricts_patch;

/* The name of the type in a type URL, without the host. */
const char *mt_type_of_url(const char *url);
/* True if the type URL is that of a TypedStruct, a map with the type that it stands for. */
bool mt_is_typed_struct(const struct mt_ynode *url);

/* pieces.c: the start of the next line, and *line + 1; `end` if there is none. */
const char *mt_next_line(const char *p, const char *end, uint32_t *line);
/*
 * scan.c: sets the identity of `o` from the lines of a piece that is not YAML. Texts live in `r`.
 */
void mt_scan_identity(struct mt_region *r, const char *text, size_t len, struct mt_object *o);
/* doc.c: the namespace of an object of this kind (NULL: unknown) that specifies none. */
const char *mt_place_namespace(const struct mt_source_place *p, const struct mt_kind *k);
/* doc.c: a copy of the namespaces of the place; NULL: all, or no memory. */
const char *mt_place_only(const struct mt_source_place *p, struct mt_region *r);
/*
 * doc.c: true if objects of the place may not be in this namespace, or not of this kind (NULL:
 * unknown), because it has no namespace and the place is limited to some.
 */
bool mt_place_excludes(const struct mt_source_place *p, const struct mt_kind *k, const char *ns);
/* doc.c: reads a file that is a MeshConfig as one object. `arg` is a struct mt_fctx. */
void mt_mesh_config_read(void *arg, const struct mt_ynode *root);

/*
 * hash.c: hashes everything in a document that has meaning. `kind` may be NULL. False: no memory.
 */
bool mt_document_hash(struct mt_fctx *c, const struct mt_kind *kind, const struct mt_ynode *root,
	struct mt_content_hash *out);
/* Hashes a document that cannot be parsed. No parsed document has the same hash. */
bool mt_lines_hash(struct mt_fctx *c, const char *text, size_t len, struct mt_content_hash *out);
/* Frees what the two functions above have allocated. */
void mt_hash_end(struct mt_fctx *c);
