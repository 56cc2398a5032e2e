/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/filter: a module, shared by load.c (its shared object) and module.c (the chain). */
#pragma once

#include "mt_filter_load.h"

struct mt_filter_object {
	struct mt_filter type;
	/* a copy; members that an older module does not have are zero */
	struct mt_filter_module module;
	void *handle;
};

/* The conf of a struct mt_filter_inst. */
struct mt_filter_use {
	const struct mt_filter_module *module;
	void *conf;
};

void mt_filter_use_free(void *conf);

/* The functions that modules of this version of the ABI may call; 1 to MT_FILTER_ABI_VERSION. */
const struct mt_filter_host *mt_filter_host_of(uint32_t abi_version);
/* The filter type of this module. */
struct mt_filter mt_filter_type_of(const struct mt_filter_module *m);
