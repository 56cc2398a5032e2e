/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/model: the configuration model, types only. Sources (files, later xDS and registries) fill it on
 * the control thread; lib/conf checks and compiles it. Strings and arrays live in the model's arena and
 * die with it. Every object remembers where it was written, so that errors name file and line.
 */
#pragma once

#include "mt_addr.h"
#include "mt_base.h"

/* Where something was written. line 0: not from a file. */
struct mt_origin {
	const char *file;
	uint32_t line;
};

struct mt_kv {
	const char *key, *value;
	struct mt_origin origin;
};

struct mt_labels {
	struct mt_kv *kv;
	uint32_t n;
};

/* kind, metadata of every document */
struct mt_meta {
	const char *kind, *name, *ns; /* ns: "default" when not written */
	struct mt_labels labels, annotations;
	struct mt_origin origin;
};
