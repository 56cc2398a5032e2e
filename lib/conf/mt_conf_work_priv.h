/* SPDX-License-Identifier: Apache-2.0 */
/* work.c, work_counts.c: the limit of the work of a build, shared by namespaces. */
#pragma once

#include "mt_idmap.h"
#include "mt_model.h"
#include "mt_strmap.h"

struct mt_build;
struct mt_client_selector;
struct mt_destination_rule;
struct mt_gateway;
struct mt_host;
struct mt_labels;
struct mt_policy_sum;
struct mt_rule;
struct mt_rule_match;
struct mt_workload;

enum mt_work_kind {
	MT_WORK_STEPS,	   /* of about 100 ns and 50 bytes each */
	MT_WORK_CLUSTERS,  /* places in the snapshot */
	MT_WORK_SERVICES,  /* counters of terminated ports, and of routes at ports of gateways */
	MT_WORK_ENDPOINTS, /* states: of each endpoint in each cluster (lib/upstream) */
	MT_WORK_BYTES,	   /* memory of the build and of the snapshot, counted while it is taken */
	MT_WORK_KINDS
};

/* A cluster takes about 10 us; its number has a limit of its own (MT_UPSTREAM_CLUSTERS_MAX). */
#define MT_STEPS_OF_CLUSTER 64
/* An endpoint of a cluster takes about 300 ns and 400 bytes. */
#define MT_STEPS_OF_ENDPOINT 8

/* A route takes about 1.6 us and 800 bytes. */
#define MT_STEPS_OF_ROUTE 32

/* Demands of one kind. */
struct mt_demands {
	struct mt_strmap accounts; /* struct account, by namespace */
	struct mt_idmap objects;   /* struct object, by mt_b_work_id() */
	uint64_t total;
};

struct mt_work {
	struct mt_demands of[MT_WORK_KINDS];
	struct mt_idmap lists;	  /* steps of rule lists and limits of calls, by address */
	struct mt_idmap counters; /* of services at ports, by mt_b_is_counted() */
	struct mt_idmap subsets;  /* labels of subsets (work_subsets.c) */
	struct mt_idmap tables;	  /* policies of DestinationRules (work_tables.c) */
	struct mt_idmap found;	  /* policies of endpoints with many labels (work_policies.c) */
	struct mt_idmap sets;	  /* sets of policies that are counted, by service */
	struct mt_idmap closed;	  /* services, and rules at hosts, by mt_b_work_id() */
	struct mt_idmap held;	  /* struct mt_held_work of the current snapshot, by namespace */
	/* Pays for the bytes from `mark` on (mt_b_pay()); NULL: they are not charged. */
	const struct mt_meta *payer;
	size_t mark;
	uint64_t demanded; /* steps of all documents, before any is closed */
	bool full;	   /* there was no memory left */
	uint64_t settled;  /* steps up to which mt_b_settle_growth() does nothing */
	bool fixed;	   /* clusters are made: no further services can be closed */
	bool over;	   /* objects were refused: end the build */
};

/* Decisions of builds without memory, for later builds. */
struct mt_memory_verdicts {
	struct mt_idmap of; /* documents that were closed or refused, by serial */
	uint64_t steps;	    /* of all documents then, without those that were refused */
	uint32_t builds;    /* without memory, since the last one that had enough */
};

/* The demands of a namespace in a snapshot. */
struct mt_held_work {
	uint64_t ns; /* keyed hash */
	uint64_t n[MT_WORK_KINDS];
};

/*
 * Adds to the demand of a document. The number must not depend on what is reused from an earlier
 * build. `remedy`: for the document that demands this. Resources of discovery services have no
 * limit.
 */
void mt_b_want(struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta, uint64_t n,
	const char *remedy);
/* A host of another namespace than a document, or all gateways (mt_b_at_gateways()). */
struct mt_work_place {
	const struct mt_meta *host, *payer; /* payer: whose namespace pays */
	uint32_t at;			    /* index of the host, from 1 on */
	const char *closed;		    /* for the report if the document is closed there */
	const char *where;		    /* for the report; NULL: the host */
	bool late; /* it can be closed there also after clusters are made */
};

/*
 * Adds to the demand of a DestinationRule or Gateway at one host. If it is too much, the document is
 * closed for this host alone, before anything else of the namespace that pays.
 */
void mt_b_want_at_host(struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta,
	const struct mt_work_place *place, uint64_t n, const char *remedy);
/*
 * The place of a MetaRouter with a limit at gateways: its limit at its own service would be lost if
 * it were refused for its work there.
 */
struct mt_work_place mt_b_at_gateways(const struct mt_meta *meta);
bool mt_b_is_closed_at_gateways(const struct mt_build *b, const struct mt_meta *meta);
/* Identifies a document, or with a place of a host, the document there. */
uint64_t mt_b_work_id(const struct mt_meta *meta, uint32_t place);
/*
 * Adds to what is left of the demand of a service if it is closed; after all of mt_b_want() for it.
 */
void mt_b_want_closed(
	struct mt_build *b, enum mt_work_kind kind, const struct mt_meta *meta, uint64_t n);
/* True if the counters with this id were counted before; services with one name and port share them. */
bool mt_b_is_counted(struct mt_build *b, uint64_t id);
/*
 * If all demands of a kind together exceed its limit, closes services or rules (b->work.closed), or
 * refuses documents and sets b->work.over. It may be called again after further demands.
 */
void mt_b_settle_work(struct mt_build *b);
/* The same while demands are added: settles when they exceed the steps by a further part. */
void mt_b_settle_growth(struct mt_build *b);
/*
 * Charges the document for the memory that the build takes from now on. NULL: it is not charged.
 * Returns the document that was charged until now, for a call when its turn comes again.
 */
const struct mt_meta *mt_b_pay(struct mt_build *b, const struct mt_meta *meta);

/* The outcome of a build that had no memory left. */
enum mt_memory_verdict {
	MT_MEMORY_FAILED,  /* no namespace took enough, or there were too many such builds */
	MT_MEMORY_CLOSED,  /* the next build closes services: compile again */
	MT_MEMORY_REFUSED, /* documents are refused, as if they had needed too many steps */
};

/*
 * After a build that had no memory left: closes services, or refuses other documents, of the
 * namespaces that took most.
 */
enum mt_memory_verdict mt_b_settle_memory(struct mt_build *b);
/*
 * Closes and refuses again what mt_b_settle_memory() closed and refused, unless all documents demand
 * much less now.
 */
void mt_b_decide_again(struct mt_build *b);
/* The namespace that took most memory; "": none. */
const char *mt_b_most_memory(const struct mt_build *b, uint64_t *bytes);
/* Notes the demands in the snapshot, which is complete. */
void mt_b_work_keep(struct mt_build *b);
void mt_b_work_fini(struct mt_build *b);
/*
 * work_subsets.c: the number of subsets of a DestinationRule that an endpoint with these labels is
 * in, or more than that.
 */
uint32_t mt_b_subsets_of(
	struct mt_build *b, const struct mt_destination_rule *dr, const struct mt_labels *labels);
/* work_rules.c: steps to compile the conditions of a match, or a rule, once. */
uint64_t mt_b_steps_of_conds(const struct mt_rule_match *m);
uint64_t mt_b_steps_of_headers(const struct mt_client_selector *s);
uint64_t mt_b_steps_of_rule(const struct mt_rule *r);
/*
 * work_rules.c: adds the demands of the check of regular expressions, which compiles each once,
 * also if no service uses it.
 */
void mt_b_want_checks(struct mt_build *b);
/*
 * work_tables.c: at most the steps to make the balancers' tables of one port. `n_chosen`: how many
 * endpoints all subsets have.
 */
struct mt_table_steps {
	uint64_t all;	  /* of the cluster of all endpoints */
	uint64_t subsets; /* of the clusters of all subsets */
};
struct mt_table_steps mt_b_steps_of_tables(
	struct mt_build *b, const struct mt_host *h, uint64_t n_chosen);
/*
 * passing.c: adds the demands of servers with AUTO_PASSTHROUGH: to compare hosts with them, and
 * when these are settled, to lead to those that they have.
 */
void mt_b_want_passed(struct mt_build *b);
void mt_b_want_chains(struct mt_build *b);
/* work_counts.c: adds the demands of services and of their routes, and settles. */
void mt_b_work(struct mt_build *b);
/*
 * work_counts.c: adds the demand of a VirtualService for copies of its rules, of so many bytes,
 * that are joined with others at a server of a Gateway. Sets b->work.over if they are too many.
 */
void mt_b_want_copies(struct mt_build *b, const struct mt_meta *meta, size_t bytes);
/* work_counts.c: adds the demands of routes at gateways, and settles. */
void mt_b_work_of_gateways(struct mt_build *b);
/* work_policies.c: steps to compile the sets of policies of a service's endpoints. */
struct mt_policy_sets {
	uint64_t of_codec;   /* of those that are equal at all ports, for each codec */
	uint64_t at_ports;   /* of the others, for each port */
	uint64_t rules;	     /* to compare all endpoints' rules with one forwarded port */
	uint64_t n_outbound; /* given: filters in the proxies of clients that deny calls */
};

/*
 * Returns the steps to compare an endpoint once with the policies that it may have, and adds those
 * of their set, if it is new.
 */
uint64_t mt_b_steps_of_policies(struct mt_build *b, const struct mt_host *h,
	const struct mt_workload *w, struct mt_policy_sets *to);
/* work_policies.c: the steps to make a set of policies; if it depends on ports, for each port. */
uint64_t mt_b_steps_of_set(const struct mt_policy_sum *s);
/* policy_gateways.c: the steps to compile the policies of a Gateway for its servers. */
uint64_t mt_b_steps_at_gateway(struct mt_build *b, const struct mt_gateway *g);
