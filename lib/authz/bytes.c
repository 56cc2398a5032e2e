/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader for opaque TCP at a port for messages (forwarded TLS). It can read no name or metadata, so
 * conditions on messages are UNREAD.
 */
#include "mt_authz.h"

static enum mt_authz_read no_names(struct mt_authz_call *c)
{
	return MT_AUTHZ_UNREADABLE;
}

static enum mt_authz_read no_metadata(
	struct mt_authz_call *c, const struct mt_key *key, uint32_t *pos, struct mt_slice *v)
{
	return MT_AUTHZ_UNREADABLE;
}

const struct mt_authz_reader mt_authz_of_bytes = {no_names, no_names, no_metadata};
