/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: clusters, whoever says them, from what is said to what snapshots share. */
#pragma once

#include "mt_authz.h"
#include "mt_conf_priv.h"
#include "mt_lend.h"

/* ---- compiled (cluster.c) ------------------------------------------------------------------------ */

struct mt_shared_cluster {
	uint32_t refs; /* snapshots */
	uint32_t
		place; /* among documents' or the mesh's of the last build; MT_NO_CLUSTER: in none yet */
	uint32_t at, eps_at; /* in the model's lists, as it was last: itself, and its endpoints */
	uint64_t build;	     /* the last one that uses it as a discovery service's; 0: none */
	uint64_t serial, eps_serial, node_serial; /* of what it was made from */
	uint64_t hash;				  /* of what it says, without endpoints */
	uint64_t stamp;				  /* shared_diff.c */
	uint64_t override_stamp;		  /* mt_overrides_cluster_stamp() */
	struct mt_cluster c;	    /* copied into snapshots; what it points to is here */
	struct mt_cluster *unlent;  /* c.unlent */
	struct mt_conf_lend *lend;  /* whose c.lend is; NULL: none */
	struct mt_tls_context **as; /* c.as, held; NULL in it: none */
	uint32_t n_as;
	bool talked; /* a publish has passed the way to its endpoints' states (mt_ep_talk()) */
	uint64_t tls_stamp; /* what its TLS was made of; 0: it has none */
	char *tls_why;	    /* that it cannot be made of what is said; NULL: it could */
	uint32_t n_tls;	    /* endpoints that ask for TLS and get none: they are not used */
	uint32_t n_refused; /* endpoints that nobody could reach */
	uint32_t n_zones;
	uint32_t size;			/* of this, with its texts */
	char *origin;			/* "xds:NAME", after the name; NULL: documents */
	struct mt_peer *peer;		/* c.peer */
	struct mt_workloads *workloads; /* c.workloads */
	char *zone_texts;		/* where the next one goes, after c.zones */
	char name[];
};

/* What policies say of a cluster's instances. It is of one build, and so is what is compiled with it. */
struct mt_cluster_guards {
	const struct mt_res_endpoint *of;  /* the first one; all of them are one array */
	const struct mt_authz **v;	   /* by endpoint; NULL: everybody may call all of them */
	const struct mt_closer *closed_by; /* nobody may call any of them; NULL: some may */
	uint64_t hash;
};

struct mt_cluster_said {
	const struct mt_res_cluster *cluster;
	const struct mt_res_endpoints *endpoints; /* found by name; NULL: the cluster's own */
	const struct mt_cluster_guards *guards;	  /* NULL: none */
	const char *ns;				  /* of the service; NULL: not known */
};

/*
 * `old`, the newest of its name (NULL: none), if it would come out the same, or a new one; one reference is the caller's.
 * NULL with `b->tmp.failed`: no memory, NULL without: there is no room for it in the registry.
 */
struct mt_shared_cluster *mt_b_cluster(
	struct mt_build *b, const struct mt_cluster_said *said, struct mt_shared_cluster *old);
/*
 * Everyone at the place of the last build if it is free: routes that name clusters by place stay good when others come and go. 0 or
 * -ENOMEM.
 */
int mt_b_place_clusters(struct mt_build *b, struct mt_shared_cluster **v, uint32_t n);
/* growth.c: notes a new cluster of a document. */
void mt_b_grew(struct mt_build *b, const struct mt_meta *by, uint32_t n_eps);
/*
 * growth.c: there is no room for a cluster of the document. Refuses the documents with new clusters
 * of the namespace that needs most for them; if that is the document's own, it alone.
 */
void mt_b_no_room_for_cluster(struct mt_build *b, const struct mt_meta *document);
void mt_shared_cluster_put(struct mt_conf *c, struct mt_shared_cluster *sc, uint64_t now);

/* ---- TLS (cluster_tls.c) -------------------------------------------------------------------------- */

/* For whom the node's identity is shown: shared by clusters. */
struct mt_conf_lend {
	uint32_t refs;
	uint64_t stamp; /* of what it was made */
	struct mt_lend l;
};

void mt_conf_lend_put(struct mt_conf_lend *l);

/* Another one whenever its TLS would come out otherwise; 0: there is none. */
uint64_t mt_b_cluster_tls_stamp(struct mt_build *b, const struct mt_cluster_said *said);
/* c.tls, c.as and c.lend, if TLS is asked for and can be spoken. 0 or -ENOMEM. */
int mt_b_cluster_tls(
	struct mt_build *b, struct mt_shared_cluster *sc, const struct mt_cluster_said *said);
/* What of it is the cluster's own. */
void mt_b_cluster_tls_release(struct mt_shared_cluster *sc);
/* Why its settings do not suffice for it; NULL: they do. */
const char *mt_b_unmade_tls(const struct mt_res_tls *tls);
/* Why it cannot be spoken; NULL: it can. */
const char *mt_b_no_tls(struct mt_build *b, const struct mt_res_tls *tls);
/* Whether the operator lends the node's identity to anybody towards services of the namespace. */
bool mt_b_is_lent(const struct mt_build *b, const char *ns);
#define MT_LEND_WORDS                                                                              \
	"%u of %u endpoints need the node's identity: clients without an identity cannot call "    \
	"them"
#define MT_LEND_REMEDY "list such clients in the Node's spec.mesh.nodeIdentityUse"
/*
 * Warns if a rule's settings for the host demand the node's identity, and no client may use it
 * (lent.c). Call for settings that can be made.
 */
void mt_b_tell_unlent(struct mt_build *b, const struct mt_host *h, const struct mt_meta *meta,
	const struct mt_tls_settings *tls, const char *path);
/*
 * What those have of a cluster to whom the node does not lend its identity: its endpoints without TLS, to be warmed up and built like
 * it. NULL: no memory.
 */
struct mt_cluster *mt_unlent_new(const struct mt_cluster *c);
void mt_unlent_free(struct mt_cluster *u);

/*
 * document_peer.c: leaves in e->peer the labels that the workload of `ep` shares with those before,
 * and notes which of e->peers it is. 0 or -ENOMEM.
 */
int mt_b_note_peer(struct mt_build *b, struct mt_res_endpoints *e, const struct mt_host *h,
	const struct mt_workload *w, struct mt_res_endpoint *ep);

/* document_peer.c: the labels of a Pod's workload; some texts are in b->tmp. */
struct mt_peer mt_b_pod_peer(
	struct mt_build *b, const struct mt_meta *pod, const struct mt_labels *labels);

/* ---- workloads of endpoints, for metrics (workloads.c) --------------------------------------- */

/* `room`: number of endpoints. False: no memory. Without known workloads *to becomes NULL. */
bool mt_workloads_new(const struct mt_res_endpoints *e, uint32_t room, struct mt_workloads **to);
/* Notes the workload of the endpoint at `at`. */
void mt_workloads_set(struct mt_workloads *w, uint32_t at, const struct mt_res_endpoint *ep);
/* For another workload that has the same address: that of its calls is not known. */
void mt_workloads_also(struct mt_workloads *w, uint32_t at, const struct mt_res_endpoint *ep);
/* For the endpoints of `of` without TLS; it ends before `of`. False: no memory. */
bool mt_workloads_unlent(const struct mt_cluster *of, struct mt_workloads **to);

/* ---- endpoints that are used, and how much (endpoint_plan.c) -------------------------------------- */

struct mt_endpoint_use {
	const struct mt_res_endpoint *ep;
	const struct mt_res_locality *locality;
	uint32_t weight; /* effective */
};

struct mt_endpoint_plan {
	struct mt_endpoint_use *use; /* by level */
	uint32_t n;
	struct {
		uint32_t first, load;
	} * levels;
	uint32_t n_levels;
	uint32_t n_out; /* endpoints that are not used */
};

/* In b->tmp. 0 or -ENOMEM. */
int mt_b_endpoint_plan(struct mt_build *b, const struct mt_res_cluster *mc,
	const struct mt_res_endpoints *e, struct mt_endpoint_plan *out);

/* ---- where documents' instances stand (document_locality.c) --------------------------------------- */

/*
 * What is said of localities, by a rule's balancer (NULL: none is written), MeshConfig or by default; NULL: that they are alike, or
 * there is nobody to order them for. `outliers`: outlierDetection is written, without which there is no order, since nobody would
 * ever leave the first place.
 */
const struct mt_locality_policy *mt_b_locality_policy(
	const struct mt_build *b, const struct mt_lb_policy *lb, bool outliers);
struct mt_near {
	const struct mt_workload *w;
	uint32_t rank; /* 0: all labels that count are the node's */
	uint32_t at;   /* in the order of the documents */
};

/* All of a host by their localities' names. NULL: no memory. */
struct mt_near *mt_b_near(
	struct mt_build *b, const struct mt_locality_policy *p, const struct mt_host *h);

/* ---- TLS that documents ask for (document_cluster_tls.c) -------------------------------------------- */

/* What a policy says of the port alone; NULL: nothing. */
const struct mt_traffic_policy *mt_b_policy_of_port(
	const struct mt_traffic_policy *p, const struct mt_unit *u);
/*
 * What is written of TLS to a port's instances, or to those of a subset (NULL: all), and by whom. NULL: nothing, then each instance has
 * Istio's mutual TLS or clear text (mt_b_asks_for_mtls()); but of a port with `tls_by`: no memory.
 */
const struct mt_tls_settings *mt_b_tls_settings(const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, const struct mt_meta **by);
/* These settings of an object in namespace `ns`, but for names that depend on the port. */
void mt_b_settings_tls(struct mt_build *b, const struct mt_tls_settings *s, const char *ns,
	struct mt_res_tls *out);
/* All of it, for some or all instances. In b->tmp; NULL: no memory. */
struct mt_res_tls *mt_b_document_tls(struct mt_build *b, const struct mt_host *h,
	const struct mt_unit *u, const struct mt_subset *subset);
uint64_t mt_hash_tls(const struct mt_res_tls *t, uint64_t h);

/* ---- of documents (document_cluster.c) ------------------------------------------------------------ */

struct mt_document_cluster {
	struct mt_res_cluster cluster;
	struct mt_res_endpoints endpoints;
	struct mt_cluster_guards guards;
	const struct mt_locality_policy *locality; /* NULL: all localities are alike */
	/* Endpoints that its `distribute` leaves without calls; how many of them have no locality. */
	uint32_t left_out, nowhere;
};

/*
 * Sets priorities and weights of the localities, whose priorities are ranks until now, by
 * out->locality. 0 or -ENOMEM.
 */
int mt_b_place_localities(struct mt_build *b, struct mt_document_cluster *out);
/*
 * Warns if `distribute` leaves no endpoint of the cluster (s NULL: all of the unit's, else of this
 * subset), and notes endpoints without a locality that get no calls. Call if d->left_out.
 */
void mt_b_tell_distribute(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *s, const struct mt_document_cluster *d);

/*
 * What documents say of a port of a host, or of a subset of it (NULL: all of it), as a discovery service would say it. In b->tmp,
 * guards in the snapshot's region. 0 or -ENOMEM.
 */
int mt_b_document_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, struct mt_document_cluster *out);
/*
 * The same of those instances that end TLS themselves, for TLS that a gateway passes on to them: nothing is spoken with them but what comes.
 * Without any it has none. 0 or -ENOMEM.
 */
int mt_b_passed_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, struct mt_document_cluster *out);

/*
 * The same of a forwarded port: endpoints that are not called by TLS, with their weights.
 * `closed_by`: the port is closed, so that it has no endpoints; NULL: it is not. 0 or -ENOMEM.
 */
int mt_b_forwarded_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_closer *closed_by, struct mt_document_cluster *out);

/* ---- TLS that is passed on to services by their names (passing.c) ---------------------------------- */

/* The first Gateway with a port of AUTO_PASSTHROUGH for the host. NULL: none. */
const struct mt_meta *mt_b_passed_by(struct mt_build *b, const struct mt_host *h);
/* Whether a proxy in front of the instance ends the mesh's mutual TLS at the port. */
bool mt_b_ends_mtls(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port);
/* "outbound_.PORT_.SUBSET_.HOST", of its cluster and as clients write it, in b->tmp; NULL: no memory. */
char *mt_b_passed_name(struct mt_build *b, const struct mt_unit *u, const struct mt_subset *subset);
