/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: addresses of services and numbers of services and routes, which outlive snapshots. */
#pragma once

#include "mt_conf.h"
#include "mt_region.h"
#include "mt_service.h"
#include "mt_strmap.h"

/* ---- fair.c: shares by namespace of what all objects may use --------------------------------- */

/*
 * A limit for all namespaces. If their demands exceed it, each namespace gets at most `share`,
 * which is as high as the limit permits. Zero-filled: nothing is demanded.
 */
struct mt_fair {
	struct mt_strmap spaces; /* by namespace */
	uint64_t wants;
	uint32_t share;
};

/* Adds a demand. `ns` outlives *f, and so does the region; a failure is noted in the region. */
void mt_fair_want(struct mt_fair *f, struct mt_region *r, const char *ns, uint32_t n);
/* Computes the share, after all demands. */
void mt_fair_settle(struct mt_fair *f, struct mt_region *r, uint32_t max);
/* False if the namespace would have more than its share; then it takes nothing. */
bool mt_fair_take(struct mt_fair *f, const char *ns, uint32_t n);
void mt_fair_fini(struct mt_fair *f);

/* ---- forward_room.c: what forwarded ports take of a load ------------------------------------- */

enum mt_forward_room {
	MT_FORWARD_RANGES,  /* of the clients that policies let through (forward_clients.c) */
	MT_FORWARD_MEMBERS, /* endpoints of all destinations but the first ones of ports */
	MT_FORWARD_ROOMS
};

/* Taken so far, by all or by one namespace. */
struct mt_forward_used {
	uint64_t v[MT_FORWARD_ROOMS];
};

/* Most of all namespaces; tests change it. */
extern uint64_t mt_conf_forward_room[MT_FORWARD_ROOMS];

/* ---- vips.c: addresses for services that have none ------------------------------------------- */

struct mt_vip {
	uint64_t gone; /* when its host left, in order; 0: the host is there */
	uint32_t n;    /* 1 .. 255 * 255 - 1, no multiple of 255: 240.240.<n / 255>.<n % 255> */
	char host[];
};

#define MT_VIP_MAX   (255 * 255)
#define MT_VIPS	     (254 * 255)	      /* addresses */
#define MT_VIP_WORDS ((MT_VIP_MAX + 63) / 64) /* of one bit for each number */

/*
 * What STATE/vips.json says, by the hash of its text. It is written elsewhere (lib/service), and an address is published only
 * when it is there: a crash may leave addresses in the file that nobody was ever told, and never the other way round.
 */
struct mt_vips_disk {
	struct mt_service *service; /* NULL: written at once */
	uint64_t has, wanted; /* hash of what is there (0: not known), of what is being written */
	bool writing;
	bool ahead; /* it may say more than is published: a publish has to wait for its own text */
	int rc;	    /* why the last one failed, until it is told */
	struct mt_err why;
};

struct mt_vips {
	struct mt_strmap by_host; /* struct mt_vip */
	struct mt_vip **by_n;	  /* MT_VIP_MAX of them, which own what they point to */
	uint64_t left;		  /* how many hosts have gone so far: the last one's `gone` */
	uint32_t next;		  /* where the search for a free one begins */
	bool late;		  /* who has gone is not yet in the state directory */
	struct mt_vips_disk disk;
};

/* What one compile would give; the snapshot has it until it is published. */
struct mt_vips_build {
	uint64_t used[MT_VIP_WORDS]; /* by number: one of its hosts has it */
	uint64_t held[MT_VIP_WORDS]; /* by number: documents of others do not get it */
	struct mt_vip **added;
	uint32_t n_added, cap;
	uint32_t next; /* as above; 0: not searched yet */
	bool full;     /* no number is free */
	struct mt_vip **
		again; /* whose numbers may be given again, longest gone first; NULL: not asked yet */
	uint32_t n_again, at;
	uint64_t
		text; /* hash of the file with it, as long as nothing else is published; 0: not asked yet */
};

/* vips_file.c. */
int mt_vips_load(struct mt_vips *v, const char *state_dir, bool read_only, struct mt_err *err);
/*
 * The file that says what is in *v, from malloc(), and its hash; NULL: no memory. The hash has a
 * key, because authors choose the hosts: a file of another one's hash would not be written.
 */
char *mt_vips_text(const struct mt_vips *v, uint64_t *hash);
/* Begins to write it, which takes the text over; v->disk tells the end. */
void mt_vips_write(struct mt_vips *v, const char *state_dir, char *text, uint64_t hash);
void mt_vips_fini(struct mt_vips *v);

/* Number of one of these addresses; 0: it is none of them. */
uint32_t mt_vip_number(const struct mt_addr *a);
/*
 * Holds the address that the host was served at so far, against documents of other hosts that write
 * it. False if it has none, or was absent, because another host may have its address by now.
 */
bool mt_vips_hold(struct mt_vips *v, struct mt_vips_build **build, const char *host);
/* Host that holds the address; NULL: none, or `host` itself. */
const char *mt_vips_holder(const struct mt_vips *v, const struct mt_vips_build *build,
	const struct mt_addr *a, const char *host);

/* Which addresses are written in documents. */
typedef bool mt_vip_taken_fn(void *arg, const struct mt_addr *a);
/*
 * The address that this host has; false: none, or a document has it now. All hosts of a compile are
 * asked before any is given one.
 */
bool mt_vips_keep(struct mt_vips *v, struct mt_vips_build **build, const char *host,
	mt_vip_taken_fn *taken, void *arg, struct mt_addr *out);
/* Another one: a free one, else that of who has gone longest. false: none is left. */
bool mt_vips_give(struct mt_vips *v, struct mt_vips_build **build, const char *host,
	mt_vip_taken_fn *taken, void *arg, struct mt_addr *out);
/*
 * Its snapshot is published (`b` NULL: no host of it needs an address): what was given is kept, in `state_dir`, too
 * (NULL: nowhere), and who is not there has gone. 0, or -errno: nothing has changed; -EINPROGRESS: it is being written,
 * and the same call later tells whether it could be.
 */
int mt_vips_commit(
	struct mt_vips *v, struct mt_vips_build *b, const char *state_dir, struct mt_err *err);
void mt_vips_build_free(struct mt_vips_build *b);

/* Used by load: keeps a host's address (-EINVAL: not one of ours, or given twice); notes that a host has gone. */
int mt_vips_put(struct mt_vips *v, const char *host, const struct mt_addr *a);
void mt_vips_left(struct mt_vips *v, const char *host);
struct mt_addr mt_vip_addr(const struct mt_vip *vip);
/* For qsort of pointers: longest gone first, who is there last. */
int mt_vip_by_gone(const void *x, const void *y);

/* ---- indexes.c: small stable numbers for services, and for who closes ------------------------- */

struct mt_indexes {
	struct mt_strmap by_name; /* struct mt_index */
	struct mt_index **free;
	uint32_t n_free, cap_free, next;
};

struct mt_index {
	uint32_t v, refs;
	char name[];
};

/* From 0 on and under `max`; NULL: no memory, or none is left. */
struct mt_index *mt_indexes_get(struct mt_indexes *x, const char *name, uint32_t max);
void mt_indexes_put(struct mt_indexes *x, struct mt_index *i);
void mt_indexes_fini(struct mt_indexes *x);

/* ---- route_indexes.c: small stable numbers for routes ------------------------------------------- */

struct mt_route_number {
	uint64_t id;	/* mt_route_action.id */
	uint32_t index; /* 1 to MT_SNAPSHOT_ROUTES_MAX - 1 */
	bool named;	/* in a sweep: some snapshot has it */
};

struct mt_route_indexes {
	struct mt_route_number *v;
	uint32_t *slots; /* open addressing */
	uint32_t *free;
	uint32_t n, cap, n_slots, n_free, next;
	uint32_t n_named; /* by the last sweep */
};

/* The number of a route, given now if it has none; 0: no memory, or too many routes. */
uint32_t mt_route_index_get(struct mt_route_indexes *x, uint64_t id);
/* After a publish: numbers that no snapshot alive names become free once there are many of them. */
void mt_route_indexes_sweep(struct mt_conf *c);
void mt_route_indexes_fini(struct mt_route_indexes *x);
