/* SPDX-License-Identifier: Apache-2.0 */
/* The admin protocol: every line of the input is a request to a node that has nothing. */
#include "fuzz.h"

#include "mt_ctl.h"

#include <string.h>

static struct mt_ctl *the_ctl(void)
{
	static struct mt_ctl *c;
	const struct mt_ctl_env env = {.node = "fuzz"};
	struct mt_err e;

	if (!c)
		c = mt_ctl_create(&env, 0, &e);
	MT_ASSERT(c);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	struct mt_ctl *c = the_ctl();

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);
		struct mt_text_buf out = {0};
		int code = mt_ctl_command(c, NULL, p, len, &out);

		MT_ASSERT(code >= 0 && code <= 2);
		MT_ASSERT(!out.p || out.len == strlen(out.p));
		mt_text_fini(&out);
		p += len + 1;
	}
	return 0;
}
