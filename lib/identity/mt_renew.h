/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedule of certificate renewals, a state machine without sockets and clocks of its own. A
 * certificate is due at 80 % of its lifetime on average, randomized so that machines that joined
 * together do not renew together. After a failure it retries with exponential back-off. The current
 * certificate stays in use meanwhile.
 */
#pragma once

#include "mt_log.h"
#include "mt_rand.h"

enum mt_renew_state {
	MT_RENEW_NONE,	  /* there is no certificate */
	MT_RENEW_GOOD,	  /* nothing to do before `due` */
	MT_RENEW_ASKING,  /* an attempt is in progress */
	MT_RENEW_WAITING, /* the last attempt failed */
};

struct mt_renew {
	enum mt_renew_state state;
	int64_t not_before, not_after; /* of the certificate in use: Unix, s; 0: there is none */
	int64_t due;		       /* Unix, s */
	uint64_t give_up, retry_at;    /* monotonic, ns */
	uint64_t backoff;	       /* ns */
	uint32_t failures;	       /* since the last success */
	uint32_t renewals;
	struct mt_err why; /* of the last failure */
};

#define MT_RENEW_ANSWER_NS	(30 * MT_SEC)  /* timeout of an attempt */
#define MT_RENEW_BACKOFF_MIN_NS (2 * MT_SEC)   /* after the first failure */
#define MT_RENEW_BACKOFF_MAX_NS (300 * MT_SEC) /* from the ninth failure on */
/*
 * Minimum time before a renewal, s, so that certificates that live for seconds do not cause a loop.
 */
#define MT_RENEW_LEAST_S ((int64_t)2)

/* A zeroed struct means that there is no certificate: the first turn requests one. */

/*
 * Reports the certificate in use. `not_before` is its start; for one that was just issued it is the
 * current time, because authorities backdate certificates by minutes, which must not count as used
 * up.
 */
void mt_renew_have(struct mt_renew *r, int64_t not_before, int64_t not_after, struct mt_rand *rng);
/*
 * Returns true if the caller must request a certificate now. It reports the result by
 * mt_renew_have() or mt_renew_failed(); an attempt without a result fails after MT_RENEW_ANSWER_NS.
 * `now` is monotonic (ns), `wall` is Unix time (s).
 */
bool mt_renew_turn(struct mt_renew *r, uint64_t now, int64_t wall, struct mt_rand *rng);
/* Reports that the attempt failed. */
void mt_renew_failed(struct mt_renew *r, uint64_t now, const char *why, struct mt_rand *rng);

bool mt_renew_expired(const struct mt_renew *r, int64_t wall);
/* Writes a text for the operator: "valid for 19 h 12 min, renewed in 14 h 24 min". Returns buf. */
const char *mt_renew_words(
	const struct mt_renew *r, uint64_t now, int64_t wall, char *buf, size_t size);
