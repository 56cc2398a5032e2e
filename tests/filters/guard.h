/* SPDX-License-Identifier: Apache-2.0 */
/* What tests see of the guard, by its symbol "guard_control": its author would not have it. */
#pragma once

#include <pthread.h>
#include <stdint.h>

struct guard_control {
	pthread_mutex_t *lock;
	pthread_cond_t *changed;
	/* Under the lock. */
	uint32_t may;	    /* so many decisions in all it makes */
	uint32_t begun;	    /* and has begun */
	uint32_t completed; /* what it has told */
	int last;	    /* what it was answered */
	/* The worker's. */
	uint32_t ended, ended_asked; /* exchanges; those that its thread was asked about */
	uint32_t how;		     /* the last one */
	void *by;		     /* its conf */
};

extern struct guard_control guard_control;
