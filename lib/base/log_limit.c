/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket for each call site, so that a peer that causes log lines cannot fill the disk. */
#include "mt_log_priv.h"

#include <string.h>

#define PROBES 8u
#define FILL   (MT_SEC / MT_LOG_PER_SECOND)

static void start(struct mt_log_site *s, enum mt_log_level level, const char *fmt, uint64_t now)
{
	*s = (struct mt_log_site){.fmt = fmt, .level = level, .tokens = MT_LOG_BURST, .at = now};
}

struct mt_log_site *mt_log_site_of(struct mt_log_site sites[MT_LOG_SITES], enum mt_log_level level,
	const char *fmt, uint64_t now)
{
	uint32_t first = (uint32_t)((uintptr_t)fmt * 0x9e3779b97f4a7c15ULL >> 40);
	struct mt_log_site *oldest = NULL;

	for (uint32_t i = 0; i < PROBES; i++) {
		struct mt_log_site *s = &sites[(first + i) % MT_LOG_SITES];

		if (s->fmt == fmt && s->level == level)
			return s;
		if (!s->fmt) {
			start(s, level, fmt, now);
			return s;
		}
		if (!s->held && (!oldest || s->at < oldest->at))
			oldest = s;
	}
	/* All of them have suppressed lines, so this one shares the first one's bucket. */
	if (!oldest)
		return &sites[first % MT_LOG_SITES];
	start(oldest, level, fmt, now);
	return oldest;
}

bool mt_log_site_admit(struct mt_log_site *s, uint64_t now)
{
	uint64_t n = now > s->at ? (now - s->at) / FILL : 0;

	s->tokens = (uint32_t)MT_MIN(s->tokens + n, (uint64_t)MT_LOG_BURST);
	s->at += n * FILL;
	if (s->tokens == 0)
		return false;
	s->tokens--;
	return true;
}
