/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of Secrets: one that something names is in force, or refused; the others have no effect. Of what they hold nothing is said. */
#include "mt_conf_credentials_priv.h"

void mt_b_secret_is_used(struct mt_build *b, const struct mt_kube_secret *s)
{
	if (mt_idmap_put(&b->secrets, s->meta.serial, (void *)s))
		b->tmp.failed = true;
}

void mt_b_secret_is_bad(struct mt_build *b, const struct mt_kube_secret *s, const char *why)
{
	if (mt_idmap_get(&b->bad_secrets, s->meta.serial))
		return;
	if (mt_idmap_put(&b->bad_secrets, s->meta.serial, (void *)s))
		b->tmp.failed = true;
	mt_b_error(b, &s->meta, s->meta.origin.line, NULL, NULL, "%s", why);
}

void mt_b_secrets_tell(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->secrets.n; i++) {
		const struct mt_kube_secret *s = b->model->secrets.v[i];

		if (!mt_idmap_get(&b->secrets, s->meta.serial))
			mt_b_inert(b, &s->meta, s->meta.origin.line, NULL, NULL,
				"nothing that is served names it");
	}
}
