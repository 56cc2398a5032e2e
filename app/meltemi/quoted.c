/* SPDX-License-Identifier: Apache-2.0 */
#include "quoted.h"

#include <jansson.h>
#include <stdlib.h>

void put_quoted(FILE *f, const char *s)
{
	json_t *j = json_string(s);
	char *text = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;

	fputs(text ? text : "\"\"", f);
	free(text);
	json_decref(j);
}
