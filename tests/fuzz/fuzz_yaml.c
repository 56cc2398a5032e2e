/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration from nowhere good: read, checked, and compiled if it is sound. */
#include "fuzz.h"
#include "mt_conf.h"
#include "mt_source.h"

static struct mt_conf *conf(void)
{
	static const struct mt_conf_options o = {.workers = 1, .read_only = true};
	static struct mt_conf *c;
	struct mt_err err;

	if (!c)
		c = mt_conf_create(&o, &err);
	MT_ASSERT(c);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;

	MT_ASSERT(m);
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "fuzz", (const char *)data, size);
	s = mt_conf_compile(conf(), m, &diags, 0);
	/* Refused with a reason, or sound. */
	MT_ASSERT((s != NULL) == (diags.errors == 0));
	if (s)
		mt_conf_discard(conf(), s, 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return 0;
}
