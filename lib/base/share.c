/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_share.h"

void *mt_share_account(
	struct mt_strmap *accounts, struct mt_region *r, const char *owner, size_t size)
{
	void *account = mt_strmap_get(accounts, owner);

	if (account)
		return account;
	account = mt_region_alloc(r, size);
	if (account && mt_strmap_put(accounts, owner, account, NULL) == 0)
		return account;
	r->failed = true;
	return NULL;
}
