/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log, with --log: each call of a client, and each message that is refused
 * without one, leaves one. They are read after each loop iteration, with the names that they point
 * to. A log changes nothing: a seed has the same trace without it.
 */
#pragma once

struct mesh;

/* Makes a ring for each worker, before the workers. */
void entries_init(struct mesh *m);
/* Reads what the worker has written. */
void entries_turn(struct mesh *m, unsigned int worker);
/* When nothing is under way any more: there are as many entries as calls. */
void entries_check(struct mesh *m);
void entries_fini(struct mesh *m);
