/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/filter: a module between its shared object (load.c) and the chain (module.c). */
#pragma once

#include "mt_filter_load.h"

struct mt_filter_object {
	struct mt_filter type;
	struct mt_filter_module module; /* a copy: what an older one does not have is zero */
	void *handle;
};

/* The conf of a struct mt_filter_inst. */
struct mt_filter_use {
	const struct mt_filter_module *module;
	void *conf;
};

void mt_filter_use_free(void *conf);

/* What a module's functions are called by. */
extern const struct mt_filter_host mt_filter_the_host;
/* The type of this module. */
struct mt_filter mt_filter_type_of(const struct mt_filter_module *m);
