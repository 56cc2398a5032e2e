/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_export_retry.h"

#include "mt_grpc.h"

void mt_export_retry_told(struct mt_export_retry *r, uint64_t now, uint64_t delay)
{
	r->told = true;
	r->quiet = now + delay;
}

bool mt_export_retry_is_temporary(const struct mt_export_retry *r, int status)
{
	static const int those[] = {1, 4, 10, 11, 14, 15};

	for (size_t i = 0; i < MT_ARRAY_LEN(those); i++)
		if (status == those[i])
			return true;
	return status == MT_GRPC_RESOURCE_EXHAUSTED && r->told;
}

void mt_export_retry_again(struct mt_export_retry *r, uint64_t now, struct mt_rand *rng)
{
	if (r->told) {
		r->at = r->quiet;
		return;
	}
	r->at = now + r->backoff / 2 + mt_rand_u64(rng) % (r->backoff / 2 + 1);
	r->backoff = MT_MIN(r->backoff * 2, (uint64_t)MT_EXPORT_BACKOFF_MAX);
}

void mt_export_retry_connected(struct mt_export_retry *r, uint64_t now, struct mt_rand *rng)
{
	uint64_t at = r->at;

	r->quiet = 0;
	if (!r->told)
		return;
	r->told = false;
	if (at <= now)
		return;
	mt_export_retry_again(r, now, rng);
	r->at = MT_MIN(r->at, at);
}
