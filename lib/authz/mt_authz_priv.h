/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of lib/authz. */
#pragma once

#include "mt_authz.h"

/* domains.c: principals as a policy has them, with those of the trust domain's aliases. r->failed: no memory. */
struct mt_texts mt_authz_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l);
