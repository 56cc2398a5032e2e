/* SPDX-License-Identifier: Apache-2.0 */
/* The language: segments, time, and the table of verbs. */
#include "stack.h"

#include <ctype.h>
#include <string.h>

#define LATE_NS (2 * MT_MSEC) /* timers count whole milliseconds and never fire early */

struct sc_seg *sc_next_out(struct sc_run *r)
{
	while (r->n_seen < r->n_log && !r->log[r->n_seen].out)
		r->n_seen++;
	return r->n_seen < r->n_log ? &r->log[r->n_seen] : NULL;
}

bool sc_quiet(struct sc_run *r)
{
	struct sc_seg *s = sc_next_out(r);
	char text[512];

	if (!s)
		return true;
	sc_show(r, s, text, sizeof(text));
	return sc_fail(r, "a segment left that no line expects:\n    got       %s", text);
}

bool sc_take_out(struct sc_run *r, uint8_t flags)
{
	struct sc_seg *s = sc_next_out(r);
	char text[512];

	if (!s)
		return sc_fail(r, "the handshake's answer did not leave");
	r->n_seen++;
	sc_show(r, s, text, sizeof(text));
	return s->flags == flags || sc_fail(r, "not the handshake's answer: %s", text);
}

/* ---- segments ---- */

static bool inject(struct sc_run *r, const char *p, bool more)
{
	struct sc_spec s;
	char word[SC_WORD_MAX];
	const char *rest = p;

	if (sc_word(&rest, word) && sc_is(word, "icmp")) {
		if (!sc_inject_icmp(r, rest))
			return false;
	} else {
		if (!sc_parse_spec(r, p, false, &s))
			return false;
		sc_inject(r, &s);
	}
	if (!more)
		sc_turn(r);
	return !r->failed;
}

static bool verb_arrives(struct sc_run *r, const char *p)
{
	return inject(r, p, false);
}

static bool verb_arrives_with(struct sc_run *r, const char *p)
{
	return inject(r, p, true);
}

/* `text` is the rest of a line that began with >. */
static bool expect(struct sc_run *r, const char *text)
{
	struct sc_seg *got = sc_next_out(r);
	char shown[512];
	struct sc_spec want;
	const char *why;

	if (!sc_parse_spec(r, text, true, &want))
		return false;
	if (!got)
		return sc_fail(r, "no segment left\n    expected  >%s", text);
	r->n_seen++;
	if (sc_matches(r, &want, got, &why))
		return true;
	sc_show(r, got, shown, sizeof(shown));
	return sc_fail(r, "the segment differs in %s\n    expected  >%s\n    got       %s", why,
		text, shown);
}

static bool verb_leaves(struct sc_run *r, const char *p)
{
	return expect(r, p);
}

/* `at +200ms > ...`: the next segment leaves then, and none before. */
static bool verb_at(struct sc_run *r, const char *p)
{
	uint64_t lo, hi, begun = sc_now(r);
	char word[SC_WORD_MAX];

	if (!sc_quiet(r) || !sc_need(r, &p, word, "the time") || !sc_span(r, word, &lo, &hi))
		return false;
	if (hi == lo)
		hi += LATE_NS;
	if (!sc_need(r, &p, word, ">") || !sc_is(word, ">"))
		return sc_fail(r, "at TIME > SEGMENT");
	sc_pass(r, begun + hi, true);
	if (r->failed)
		return false;
	if (!sc_next_out(r))
		return sc_fail(r, "no segment left within %llu us\n    expected  >%s",
			(unsigned long long)(hi / MT_USEC), p);
	if (sc_now(r) - begun < lo) {
		char shown[512];

		sc_show(r, sc_next_out(r), shown, sizeof(shown));
		return sc_fail(r, "a segment left after %llu us, not %llu\n    got       %s",
			(unsigned long long)((sc_now(r) - begun) / MT_USEC),
			(unsigned long long)(lo / MT_USEC), shown);
	}
	return expect(r, p);
}

static bool pass_time(struct sc_run *r, const char *p, bool silent)
{
	char word[SC_WORD_MAX];
	uint64_t lo, hi;

	if (!sc_need(r, &p, word, "the time") || !sc_span(r, word, &lo, &hi))
		return false;
	sc_next_out(r);
	sc_pass(r, sc_now(r) + lo, silent);
	if (silent)
		return sc_quiet(r);
	r->n_seen = r->n_log;
	return !r->failed;
}

static bool verb_none(struct sc_run *r, const char *p)
{
	return pass_time(r, p, true);
}

static bool verb_ignore(struct sc_run *r, const char *p)
{
	return pass_time(r, p, false);
}

static bool verb_skip(struct sc_run *r, const char *p)
{
	r->n_seen = r->n_log;
	return true;
}

/* ---- the rest ---- */

static bool verb_listen(struct sc_run *r, const char *p)
{
	char word[SC_WORD_MAX] = "";

	sc_word(&p, word);
	sc_listening(r, !sc_is(word, "off"), sc_is(word, "refuse"));
	return true;
}

static bool verb_pressure(struct sc_run *r, const char *p)
{
	int64_t pct;

	if (!sc_number(r, &p, "percent of free memory", &pct))
		return false;
	sc_pressure(r, (uint32_t)pct);
	return true;
}

static bool verb_neighbour(struct sc_run *r, const char *p)
{
	char word[SC_WORD_MAX];

	if (!sc_need(r, &p, word, "on or off"))
		return false;
	sc_neighbour(r, sc_is(word, "on"));
	return sc_is(word, "on") || sc_is(word, "off") || sc_fail(r, "neighbour on or off");
}

static bool verb_use(struct sc_run *r, const char *p)
{
	int64_t port;

	if (!sc_number(r, &p, "the peer's port", &port))
		return false;
	r->cur = sc_flow(r, (uint16_t)port);
	return !r->failed;
}

/* The tuple's next life: both ends' numbers start anew, the peer's further on by N. */
static bool verb_renew(struct sc_run *r, const char *p)
{
	struct sc_flow *f = r->cur, old = *f;
	int64_t by;

	if (!sc_number(r, &p, "how much further the peer's number starts", &by))
		return false;
	*f = (struct sc_flow){.port = old.port,
		.lport = old.lport,
		.iss = old.iss,
		.irs = old.irs + (uint32_t)by,
		.win = old.win,
		.reading = old.reading,
		.last_tsval = old.last_tsval};
	return true;
}

/* Several verbs, with ; between them. */
static bool each(struct sc_run *r, const char *p)
{
	char line[256];

	for (; *p; p += *p == ';') {
		size_t n = strcspn(p, ";");

		snprintf(line, sizeof(line), "%.*s", (int)n, p);
		if (!sc_line(r, line))
			return false;
		p += n;
	}
	return true;
}

static bool verb_times(struct sc_run *r, const char *p)
{
	int64_t n, outer = r->i;

	if (!sc_number(r, &p, "how often", &n))
		return false;
	for (r->i = 0; r->i < n; r->i++)
		if (!each(r, p))
			return false;
	r->i = outer;
	return true;
}

enum when {
	FIRST,	/* before there is a stack */
	ACTS,	/* everything that left was looked at */
	ALWAYS, /* changes nothing on the wire */
};

static const struct {
	const char *name;
	enum when when;
	bool (*run)(struct sc_run *r, const char *p);
} verbs[] = {
	{"conf", FIRST, sc_verb_conf},
	{"mtu", FIRST, sc_verb_mtu},
	{"isn", FIRST, sc_verb_isn},
	{"tsval", FIRST, sc_verb_tsval},
	{"family", FIRST, sc_verb_fixed},
	{"ts", FIRST, sc_verb_fixed},
	{"listen", ACTS, verb_listen},
	{"established", ACTS, sc_verb_established},
	{"connect", ACTS, sc_verb_connect},
	{"<", ACTS, verb_arrives},
	{"<<", ACTS, verb_arrives_with},
	{">", ALWAYS, verb_leaves},
	{"at", ACTS, verb_at},
	{"none", ACTS, verb_none},
	{"ignore", ALWAYS, verb_ignore},
	{"skip", ALWAYS, verb_skip},
	{"write", ACTS, sc_verb_write},
	{"read", ACTS, sc_verb_read},
	{"reader", ALWAYS, sc_verb_reader},
	{"shutdown", ACTS, sc_verb_shutdown},
	{"close", ACTS, sc_verb_close},
	{"abort", ACTS, sc_verb_abort},
	{"state", ALWAYS, sc_verb_state},
	{"event", ALWAYS, sc_verb_event},
	{"counter", ALWAYS, sc_verb_counter},
	{"info", ALWAYS, sc_verb_info},
	{"pressure", ACTS, verb_pressure},
	{"neighbour", ALWAYS, verb_neighbour},
	{"use", ALWAYS, verb_use},
	{"renew", ACTS, verb_renew},
	{"times", ALWAYS, verb_times},
};

/* `expect none for 1s` is `none 1s` in more words. */
static const char *shorter(const char *line, char word[SC_WORD_MAX])
{
	const char *p = line;
	char two[SC_WORD_MAX], three[SC_WORD_MAX];

	if (sc_is(word, "expect") && sc_word(&p, two) && sc_is(two, "none") && sc_word(&p, three) &&
		sc_is(three, "for")) {
		snprintf(word, SC_WORD_MAX, "none");
		return p;
	}
	return line;
}

bool sc_line(struct sc_run *r, const char *line)
{
	char word[SC_WORD_MAX];
	size_t i = 0;

	if (!sc_word(&line, word))
		return true;
	line = shorter(line, word);
	while (i < MT_ARRAY_LEN(verbs) && !sc_is(verbs[i].name, word))
		i++;
	if (i == MT_ARRAY_LEN(verbs))
		return sc_fail(r, "`%s` is no verb", word);
	if (verbs[i].when == FIRST && r->st)
		return sc_fail(r, "`%s` comes before all that the stack does", word);
	if (verbs[i].when != FIRST && !r->st && !sc_begin(r))
		return false;
	if (verbs[i].when == ACTS && !sc_quiet(r))
		return false;
	return verbs[i].run(r, line) && !r->failed;
}
