/* SPDX-License-Identifier: Apache-2.0 */
/* lib/web: the files of the built-in web page, embedded in the program. Constant; any thread. */
#pragma once

#include <stddef.h>

struct mt_web_file {
	const char *name; /* "style.css" */
	const char *type; /* value of Content-Type */
	const char *etag; /* including its quotes; changes whenever a byte of the body changes */
	size_t len;
	const char *body; /* [len] */
};

/* Returns the file of this name; NULL: there is none. */
const struct mt_web_file *mt_web_find(const char *name);
