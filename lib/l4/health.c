/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When endpoints are checked, and the meaning of results. A worker passes over the checks of the
 * set every PASS, some in each loop iteration, and handles its own: it takes a result, and begins a
 * check that is due. Results therefore meet the set in use, and nothing points into an older one.
 * health_turns.c decides which may begin.
 *
 * - A check fails if it has no answer within its interval, at most 1.5 s.
 * - A SYN-ACK to a client's SYN while a check is under way makes its failure count as a success:
 *   the endpoint may accept its clients only.
 * - SYNs that two clients had to repeat since the last check, without any SYN-ACK, make a failed
 *   check count twice. They make a successful ICMP check a failure, because it proves nothing about
 *   the port. They do not count against a successful connection, because clients may forge
 *   addresses. SYNs of one client alone, or with a wrong checksum, prove nothing: the endpoint may
 *   have dropped them for a reason.
 * - `failures` in a row make the endpoint unhealthy, SUCCESSES in a row healthy again.
 * - Of a lenient check failures count once a check has succeeded.
 */
#include "mt_l4_priv.h"

#define PASS	   (50 * MT_MSEC)
#define VISITS	   512	 /* in one loop iteration */
#define TIMEOUT_MS 1500u /* a SYN or its answer may be lost once */
#define SUCCESSES  2

/* ---- results ------------------------------------------------------------------------------- */

/* Number of failures that a completed check adds; 0: it is a success. */
static uint8_t failures_of(
	struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s, const char **why)
{
	uint32_t answers = l4_heard_answers(l, c->health.index);
	bool unanswered = l4_heard_unanswered(l, c->health.index, s->since);
	bool answered = answers != s->answered, excused = answers != s->answered_begin;

	s->answered = answers;
	s->since = l->tick;
	*why = s->why;
	if (s->verdict == MT_L4_PASSED) {
		s->proven = true;
		*why = "SYNs are not answered";
		return unanswered && !answered && c->conf.kind != MT_L4_CHECK_TCP;
	}
	return excused ? 0 : 1 + unanswered;
}

static void change(struct mt_l4 *l, const struct mt_l4_check *c, const char *why)
{
	l->check_ops->changed(l->check_arg, c, why);
	__atomic_fetch_add(&l->health->changes, 1, __ATOMIC_RELEASE);
}

static void succeeded(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s)
{
	s->failures = 0;
	if (!s->unhealthy || ++s->successes < SUCCESSES)
		return;
	s->unhealthy = false;
	change(l, c, NULL);
}

static void failed(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s, uint8_t n,
	const char *why)
{
	s->successes = 0;
	if (s->unhealthy || (c->conf.lenient && !s->proven))
		return;
	s->failures = (uint8_t)MT_MIN(s->failures + n, UINT8_MAX);
	if (s->failures < c->conf.failures)
		return;
	s->failures = 0;
	s->unhealthy = true;
	change(l, c, why);
}

static void complete(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s)
{
	static const enum mt_l4_outcome outcomes[] = {[MT_L4_PASSED] = MT_L4_checks_passed,
		[MT_L4_FAILED] = MT_L4_checks_failed,
		[MT_L4_VOID] = MT_L4_checks_void};
	bool now = __atomic_load_n(c->health.unhealthy, __ATOMIC_RELAXED) != 0;
	const char *why;
	uint8_t n;

	s->under_way = false;
	s->due = MT_MAX(l->now, s->began + c->conf.interval_ms * MT_MSEC);
	l4_count(l, outcomes[s->verdict]);
	if (s->verdict == MT_L4_VOID)
		return;
	/* An operator has ended the ejection, or a change of the configuration. */
	if (now != s->unhealthy) {
		s->unhealthy = now;
		s->failures = s->successes = 0;
	}
	n = failures_of(l, c, s, &why);
	if (n)
		failed(l, c, s, n, why);
	else
		succeeded(l, c, s);
}

void mt_l4_checked(struct mt_l4 *l, uint32_t index, uint32_t token, enum mt_l4_verdict verdict,
	const char *why)
{
	struct l4_checked *s = &l->checked[index];

	if (!s->under_way || s->seq != token)
		return;
	s->verdict = (uint8_t)verdict;
	s->why = why;
}

/* ---- checks -------------------------------------------------------------------------------- */

static uint32_t timeout_ms(const struct mt_l4_check *c)
{
	return MT_MIN(c->conf.interval_ms, TIMEOUT_MS);
}

static void send_echo(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s)
{
	enum mt_net_result rc = l4_send_echo(l, c, s->seq);

	s->sent = rc == MT_NET_SENT;
	s->tried |= rc == MT_NET_WAIT;
}

static void begin(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s)
{
	if (!l4_turns_take(l, c))
		return;
	s->under_way = true;
	s->began = l->now;
	s->verdict = 0;
	s->answered_begin = l4_heard_answers(l, c->health.index);
	s->seq++;
	s->sent = s->tried = false;
	if (c->conf.kind == MT_L4_CHECK_ICMP) {
		send_echo(l, c, s);
	} else if (!l->check_ops->connect(l->check_arg, c, s->seq, timeout_ms(c))) {
		s->under_way = false;
		l4_turns_return(l, c);
	}
}

static void await_echo(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s)
{
	if (!s->sent)
		send_echo(l, c, s);
	if (s->sent && l4_heard_echo(l, c->health.index, s->seq)) {
		s->verdict = MT_L4_PASSED;
	} else if (l->now - s->began >= timeout_ms(c) * MT_MSEC) {
		/* Without a route or a buffer the node could not send it. */
		s->verdict = s->sent || s->tried ? MT_L4_FAILED : MT_L4_VOID;
		s->why = s->sent ? "no ICMP echo reply" : "host unreachable";
	}
}

static bool is_same(const struct mt_l4_check_conf *a, const struct mt_l4_check_conf *b)
{
	return a->kind == b->kind && a->lenient == b->lenient && a->failures == b->failures &&
	       a->interval_ms == b->interval_ms;
}

/*
 * Another endpoint, another kind of check, or an endpoint that is back after an absence: the first
 * check follows within the interval. Like ejections at layer 7, its health outlives an absence
 * (mt_ep_state); failures and the check under way do not.
 */
static void start(struct mt_l4 *l, const struct mt_l4_check *c, struct l4_checked *s)
{
	uint32_t wait = mt_rand_below(&l->rand, MT_MIN(c->conf.interval_ms, TIMEOUT_MS));

	*s = (struct l4_checked){.id = c->health.id,
		.conf = c->conf,
		.due = l->now + wait * MT_MSEC,
		.seq = s->seq,
		.answered = l4_heard_answers(l, c->health.index),
		.since = l->tick,
		.unhealthy = __atomic_load_n(c->health.unhealthy, __ATOMIC_RELAXED) != 0};
}

/* True if a pass was complete without the endpoint. */
static bool was_absent(const struct mt_l4 *l, const struct l4_checked *s)
{
	return l->check_passes - s->pass > 1;
}

static void visit(struct mt_l4 *l, const struct mt_l4_check *c)
{
	struct l4_checked *s = &l->checked[c->health.index];

	if (mt_unlikely(s->id != c->health.id || !is_same(&s->conf, &c->conf) || was_absent(l, s)))
		start(l, c, s);
	s->pass = l->check_passes;
	if (s->under_way && c->conf.kind == MT_L4_CHECK_ICMP)
		await_echo(l, c, s);
	if (s->under_way && s->verdict)
		complete(l, c, s);
	if (!s->under_way && l->now >= s->due)
		begin(l, c, s);
	if (s->under_way && c->conf.kind == MT_L4_CHECK_TCP)
		l4_turns_note(l, c);
}

static bool has_checks(const struct mt_l4 *l)
{
	return l->health && l->set && l->set->n_checks;
}

void l4_health_tick(struct mt_l4 *l)
{
	const struct mt_l4_check *c;

	if (!has_checks(l)) {
		l->check_passes++;
		return;
	}
	if (!l->turns.passing) {
		if (l->now - l->check_began < PASS)
			return;
		l->check_began = l->now;
		l4_turns_begin(l);
	}
	for (uint32_t n = 0; n < VISITS; n++) {
		c = l4_turns_next(l);
		if (!c) {
			l->turns.passing = false;
			l->check_passes++;
			return;
		}
		if (c->health.index % l->health->workers == l->worker)
			visit(l, c);
	}
}

uint64_t l4_health_next(const struct mt_l4 *l)
{
	if (!has_checks(l))
		return MT_NEVER;
	return l->turns.passing ? l->now : l->check_began + PASS;
}
