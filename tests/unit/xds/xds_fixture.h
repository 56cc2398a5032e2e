/* SPDX-License-Identifier: Apache-2.0 */
/* A living source without a server: responses are handed to it as its streams would, time is a number. */
#pragma once

#include "suites.h"

#include "mt_name_table.h"
#include "mt_pb_json.h"
#include "mt_xds_priv.h"

struct mesh {
	struct mt_xds *x;
	struct mt_fds fds;
	struct mt_rand rng;
	struct mt_resolver *names;
	struct mt_name_table *looked_up;
	uint64_t now;
	char dir[64]; /* the state directory */
	struct mt_pb_arena arena;
	struct mt_err why; /* of the last response */
	bool ok;
	struct mt_xds_demand_conf demand;
	/* Of clusters on demand: the last answer, and how many there were. */
	char answered[64];
	const char *answer;
	uint64_t absent_until;
	uint32_t answers;
	const char *failing; /* why loads are refused as a whole; NULL: they are not */
	char lost;	     /* family that the node does not reach: 4 or 6; 0: none */
	uint32_t compiled;   /* loads, with those that were done again */
};

void mesh_begin(struct mesh *m);
/* With clusters on demand. */
void mesh_begin_demand(struct mesh *m, const struct mt_xds_demand_conf *demand);
void mesh_finish(struct mesh *m);
/* Another life with the same state directory, and without a server so far. */
void mesh_restart(struct mesh *m);
/* Connects, to nobody. */
void mesh_start(struct mesh *m);

/* Resources as JSON, ' for ": all of a type that there is (complete for CDS and LDS); NULL ends them. */
void mesh_say(struct mesh *m, enum mt_xds_type type, ...);
/* The same from the server of that name; and what it has no more (delta). */
void mesh_say_from(struct mesh *m, const char *server, enum mt_xds_type type, const char *text);
void mesh_gone(struct mesh *m, enum mt_xds_type type, const char *name);
/* One that lives for so long. */
void mesh_say_for(struct mesh *m, enum mt_xds_type type, const char *text, uint64_t ttl_ns);

/* One that the server calls so, whatever it calls itself (delta); NULL: in the state of the world. */
void mesh_say_named(struct mesh *m, enum mt_xds_type type, const char *name, const char *text);
/* The same, under a version of its own. */
void mesh_say_version(struct mesh *m, enum mt_xds_type type, const char *name, const char *version,
	const char *text);
/* A response as it is. */
void mesh_hear(struct mesh *m, const struct mt_ads_update *u);
/* All of a type that there is: that one, and bytes that say no name. */
void mesh_say_and_noise(struct mesh *m, enum mt_xds_type type, const char *text);

/* Time passes in steps of 10 ms (100 ms when it is long); how often something new was in force. */
uint32_t mesh_wait(struct mesh *m, uint64_t ns);

/* The verdict on the last response: "later", or what was refused and why; "": it was taken. */
const char *mesh_why(struct mesh *m, enum mt_xds_type type);
/* How often something was refused that had been acknowledged. */
uint64_t mesh_told_late(struct mesh *m, enum mt_xds_type type);

/* What is in force, in order: "CDS a, EDS a, LDS l". */
const char *mesh_live(struct mesh *m);
/* How many names of the type are asked for at a server (NULL: the first). */
uint32_t mesh_wanted(struct mesh *m, const char *server, enum mt_xds_type type);
/* State and reason of a resource: "refused: type: ..."; "" not known. */
const char *mesh_state(struct mesh *m, enum mt_xds_type type, const char *name);
