/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters in shared objects (mt_filter_abi.h): loaded once, then a type like those that are built in. Control thread
 * only.
 */
#pragma once

#include "mt_filter.h"

struct mt_filter_object;

/*
 * Loads the shared object at `path`, an absolute one. NULL with file, what is wrong with it and the remedy in errbuf. It runs
 * what the object has of constructors: only what the operator trusts as he does Meltemi itself.
 */
struct mt_filter_object *mt_filter_load(const char *path, char *errbuf, size_t errlen);
/* When no configuration uses it any more and its threads have ended. NULL is allowed. */
void mt_filter_unload(struct mt_filter_object *o);

/* Its type, for a struct mt_filter_inst. */
const struct mt_filter *mt_filter_object_type(const struct mt_filter_object *o);
/* Makes the conf of one use of it, freed by its type's free_conf. 0, or a negative errno with the reason in errbuf. */
int mt_filter_object_configure(const struct mt_filter_object *o, const char *text, size_t len,
	void **conf, char *errbuf, size_t errlen);
