/* SPDX-License-Identifier: Apache-2.0 */
/* lib/web: the files of the built-in page, carried in the program. Constant; any thread. */
#pragma once

#include <stddef.h>

struct mt_web_file {
	const char *name; /* "style.css" */
	const char *type; /* of Content-Type */
	const char *etag; /* with its quotes; another one whenever a byte changes */
	size_t len;
	const char *body; /* [len] */
};

/* NULL: no such file. */
const struct mt_web_file *mt_web_find(const char *name);
