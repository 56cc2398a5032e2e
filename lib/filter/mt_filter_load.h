/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters in shared objects (mt_filter_abi.h): after loading they are types like the built-in ones.
 * Control thread only.
 */
#pragma once

#include "mt_filter.h"

struct mt_filter_object;

/*
 * Loads the shared object at `path`, which must be absolute. NULL with the file, the error and the
 * remedy in errbuf. Loading runs the object's constructors, so it must be as trusted as Meltemi
 * itself.
 */
struct mt_filter_object *mt_filter_load(const char *path, char *errbuf, size_t errlen);
/*
 * Call when no configuration uses the object any more and its threads have ended. NULL is allowed.
 */
void mt_filter_unload(struct mt_filter_object *o);

/* The filter type, for a struct mt_filter_inst. */
const struct mt_filter *mt_filter_object_type(const struct mt_filter_object *o);
/*
 * Makes the conf of one use of the filter, which is freed by the type's free_conf. 0, or negative
 * with the reason in errbuf.
 */
int mt_filter_object_configure(const struct mt_filter_object *o, const char *text, size_t len,
	void **conf, char *errbuf, size_t errlen);
