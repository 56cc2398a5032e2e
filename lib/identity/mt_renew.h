/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a certificate is to be renewed: a state machine without sockets and clocks of its own. It asks at 80 % of
 * the lifetime, spread so that machines that joined together do not ask together; after a failure again and
 * again, each time later. The certificate that is there stays in use meanwhile.
 */
#pragma once

#include "mt_log.h"
#include "mt_rand.h"

enum mt_renew_state {
	MT_RENEW_NONE,	  /* there is no certificate */
	MT_RENEW_GOOD,	  /* nothing to do before `due` */
	MT_RENEW_ASKING,  /* an answer is awaited */
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

#define MT_RENEW_ANSWER_NS	(30 * MT_SEC)  /* then an attempt has failed */
#define MT_RENEW_BACKOFF_MIN_NS (2 * MT_SEC)   /* after the first failure */
#define MT_RENEW_BACKOFF_MAX_NS (300 * MT_SEC) /* from about the eighth on */
/* An authority whose certificates live for seconds is not asked, nor keys made, without a pause. */
#define MT_RENEW_LEAST_S ((int64_t)2)

/* Zero is "there is no certificate": the first turn asks. */

/*
 * A certificate is in use. `not_before`: its beginning, or that of its use when it was issued just now: authorities
 * date back by minutes, which are not to be counted as used up.
 */
void mt_renew_have(struct mt_renew *r, int64_t not_before, int64_t not_after, struct mt_rand *rng);
/*
 * Time passes; `now` is monotonic (ns), `wall` Unix (s). True: ask now; the caller answers by mt_renew_have() or
 * mt_renew_failed(). An attempt without an answer fails by itself.
 */
bool mt_renew_turn(struct mt_renew *r, uint64_t now, int64_t wall, struct mt_rand *rng);
/* The attempt failed. */
void mt_renew_failed(struct mt_renew *r, uint64_t now, const char *why, struct mt_rand *rng);

bool mt_renew_expired(const struct mt_renew *r, int64_t wall);
/* For an operator: "valid for 19 h 12 min, renewed in 14 h 24 min". Returns buf. */
const char *mt_renew_words(
	const struct mt_renew *r, uint64_t now, int64_t wall, char *buf, size_t size);
