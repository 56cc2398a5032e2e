/* SPDX-License-Identifier: Apache-2.0 */
/* An override as the words behind `tune`, and back. */
#include "mt_overrides.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORDS 32

/* ---- values ------------------------------------------------------------------------------------- */

/* A whole decimal number from lo to hi. */
static bool number(const char *text, uint32_t lo, uint32_t hi, uint32_t *out)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9' || strlen(text) > 10)
		return false;
	n = strtoull(text, &end, 10);
	if (*end || n < lo || n > hi)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* "100ms", "10s", "5m" to ms. */
static bool duration(const char *text, uint32_t hi_ms, uint32_t *ms)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	size_t digits = strspn(text, "0123456789");
	unsigned long long n;

	if (!digits || digits > 9)
		return false;
	n = strtoull(text, NULL, 10);
	for (size_t i = 0; i < MT_ARRAY_LEN(units); i++) {
		if (strcmp(text + digits, units[i].unit) != 0)
			continue;
		n *= units[i].ms;
		*ms = (uint32_t)n;
		return n >= 1 && n <= hi_ms;
	}
	return false;
}

/* "5" or "0.1" percent to parts of a million. */
static bool percent(const char *text, uint32_t *ppm)
{
	char *end;
	double v;

	if ((*text < '0' || *text > '9') || strlen(text) > 12 || strpbrk(text, "xXeEnN"))
		return false;
	v = strtod(text, &end);
	if (*end || !(v >= 0 && v <= 100))
		return false;
	*ppm = (uint32_t)(v * 10000 + 0.5);
	return true;
}

/* The value of a word KEY=VALUE; NULL: it is another. */
static const char *value_of(const char *word, const char *key)
{
	size_t len = strlen(key);

	return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static int keep(char *to, size_t size, const char *text, const char *what, struct mt_err *e)
{
	if (!*text || strlen(text) >= size)
		return mt_err(e, -EINVAL, "the %s has to have 1 to %zu bytes", what, size - 1);
	strcpy(to, text);
	return 0;
}

static int endpoint(struct mt_override *o, const char *text, struct mt_err *e)
{
	const char *colon = strrchr(text, ':'), *from = text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	char addr[MT_ADDR_STRLEN];
	uint32_t port;

	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (!len || len >= sizeof(addr) || !number(colon + 1, 1, UINT16_MAX, &port))
		return mt_err(e, -EINVAL, "%s: not ADDRESS:PORT", text);
	memcpy(addr, from, len);
	addr[len] = '\0';
	if (mt_addr_parse(addr, &o->addr))
		return mt_err(e, -EINVAL, "%s: %s is not an address", text, addr);
	o->port = (uint16_t)port;
	return 0;
}

/* ---- one function for each kind: the words behind its name ---------------------------------------- */

static int parse_drained_endpoint(
	struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	if (n < 1 || n > 2)
		return mt_err(e, -EINVAL, "usage: drain endpoint ADDRESS:PORT [CLUSTER]");
	if (n == 2 && keep(o->target, sizeof(o->target), w[1], "cluster", e))
		return -EINVAL;
	return endpoint(o, w[0], e);
}

/* After the noun and the name. False: other words. */
static bool parse_refuse(struct mt_override *o, const char *const *w, uint32_t n)
{
	bool refuse = n == 3 && strcmp(w[2], "refuse") == 0;

	o->value = refuse ? MT_LISTENER_REFUSES : MT_LISTENER_LEAVES;
	return n == 2 || refuse;
}

/* Files of earlier versions have an endpoint without its noun. */
static int parse_drain(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	const char *noun = n ? w[0] : "";

	if (strcmp(noun, "service") == 0) {
		o->kind = MT_OVERRIDE_DRAIN_SERVICE;
		if (!parse_refuse(o, w, n))
			return mt_err(e, -EINVAL, "usage: drain service SERVICE [refuse]");
		return keep(o->target, sizeof(o->target), w[1], "service", e);
	}
	if (strcmp(noun, "listener") == 0) {
		o->kind = MT_OVERRIDE_DRAIN_LISTENER;
		return parse_refuse(o, w, n)
			       ? endpoint(o, w[1], e)
			       : mt_err(e, -EINVAL, "usage: drain listener ADDRESS:PORT [refuse]");
	}
	if (strcmp(noun, "endpoint") == 0)
		return parse_drained_endpoint(o, w + 1, n - 1, e);
	return parse_drained_endpoint(o, w, n, e);
}

/* Only files have it: the command `return endpoint` makes it of a drain (mt_overrides_return()). */
static int parse_return(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	if (n != 3 || strcmp(w[0], "endpoint") != 0)
		return mt_err(e, -EINVAL, "usage: return endpoint ADDRESS:PORT CLUSTER");
	return parse_drained_endpoint(o, w + 1, n - 1, e);
}

static int parse_weight(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	if (n < 2 || n > 3 || !number(w[1], 1, 1000000, &o->value))
		return mt_err(e, -EINVAL,
			"usage: weight ADDRESS:PORT 1-1000000 [CLUSTER] (for none: drain)");
	if (n == 3 && keep(o->target, sizeof(o->target), w[2], "cluster", e))
		return -EINVAL;
	return endpoint(o, w[0], e);
}

static int parse_share(struct mt_override *o, const char *word, struct mt_err *e)
{
	const char *eq = strrchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : 0;

	if (!len || len >= sizeof(o->shares[0].cluster) ||
		!number(eq + 1, 0, 1000000, &o->shares[o->n_shares].weight))
		return mt_err(e, -EINVAL, "%s: not SUBSET=WEIGHT or CLUSTER=WEIGHT", word);
	memcpy(o->shares[o->n_shares].cluster, word, len);
	o->shares[o->n_shares++].cluster[len] = '\0';
	return 0;
}

static int parse_split(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	uint64_t sum = 0;

	if (n < 3 || n - 2 > MT_OVERRIDE_SHARES)
		return mt_err(e, -EINVAL,
			"usage: split SERVICE ROUTE SUBSET=WEIGHT ... (for all its destinations, "
			"%u at most)",
			MT_OVERRIDE_SHARES);
	if (keep(o->target, sizeof(o->target), w[0], "service", e) ||
		keep(o->part, sizeof(o->part), w[1], "route", e))
		return -EINVAL;
	for (uint32_t i = 2; i < n; i++) {
		if (parse_share(o, w[i], e))
			return -EINVAL;
		sum += o->shares[o->n_shares - 1].weight;
	}
	if (sum == 0 || sum > UINT32_MAX)
		return mt_err(e, -EINVAL, "the weights come to nothing, or to too much");
	return 0;
}

/* A bucket that only ever fills by the million is no limit. */
#define TOKENS_MAX  1000000000u
#define FILL_MAX_MS 86400000u

/* 0: a setting, 1: another word, -EINVAL. */
static int parse_limit_word(struct mt_limit_override *l, const char *w, struct mt_err *e)
{
	const char *v;
	uint32_t ms;

	if ((v = value_of(w, "max")))
		return number(v, 1, TOKENS_MAX, &l->max_tokens)
			       ? 0
			       : mt_err(e, -EINVAL, "%s: not max=1 to %u", w, TOKENS_MAX);
	if ((v = value_of(w, "per-fill")))
		return number(v, 1, TOKENS_MAX, &l->tokens_per_fill)
			       ? 0
			       : mt_err(e, -EINVAL, "%s: not per-fill=1 to %u", w, TOKENS_MAX);
	if ((v = value_of(w, "fill"))) {
		if (!duration(v, FILL_MAX_MS, &ms) || ms * MT_MSEC < MT_BUCKET_FILL_MIN)
			return mt_err(e, -EINVAL, "%s: not fill=50ms to 24h", w);
		l->fill_ns = ms * MT_MSEC;
		return 0;
	}
	if (!(v = value_of(w, "report-only")))
		return 1;
	if (strcmp(v, "on") != 0 && strcmp(v, "off") != 0)
		return mt_err(e, -EINVAL, "%s: not report-only=on or off", w);
	l->report_only = strcmp(v, "on") == 0;
	return 0;
}

/* Conditions hold blanks: what stands between the bucket's service and the settings. */
static int parse_limit(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	uint32_t settings = 0;
	size_t len = 0;

	if (n < 2 || keep(o->target, sizeof(o->target), w[0], "service", e))
		return mt_err(e, -EINVAL,
			"usage: limit SERVICE:PORT [CONDITION] [max=N] [per-fill=N] [fill=10s] "
			"[report-only=on|off]");
	for (uint32_t i = 1; i < n; i++) {
		int rc = parse_limit_word(&o->limit, w[i], e);

		if (rc < 0)
			return rc;
		settings += rc == 0;
		if (rc && settings)
			return mt_err(e, -EINVAL, "%s: settings come last", w[i]);
		if (rc && len < sizeof(o->part))
			len += (size_t)snprintf(
				o->part + len, sizeof(o->part) - len, "%s%s", len ? " " : "", w[i]);
	}
	if (!settings)
		return mt_err(e, -EINVAL, "give max=, per-fill=, fill= or report-only=");
	if (len >= sizeof(o->part))
		return mt_err(e, -EINVAL, "the condition is too long");
	if (!len)
		strcpy(o->part, "*");
	return 0;
}

static int parse_fault(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	static const char usage[] =
		"usage: fault SERVICE [delay=100ms] [delay-percent=5] [abort-percent=5]";
	struct mt_fault_conf *f = &o->fault;

	if (n < 2 || keep(o->target, sizeof(o->target), w[0], "service", e))
		return mt_err(e, -EINVAL, "%s", usage);
	for (uint32_t i = 1; i < n; i++) {
		const char *v;
		bool ok = false;

		if ((v = value_of(w[i], "delay")))
			ok = duration(v, MT_FAULT_DELAY_MAX_MS, &f->delay_ms);
		else if ((v = value_of(w[i], "delay-percent")))
			ok = percent(v, &f->delay_ppm);
		else if ((v = value_of(w[i], "abort-percent")))
			ok = percent(v, &f->abort_ppm);
		if (!ok)
			return mt_err(e, -EINVAL, "%s: %s", w[i], usage);
	}
	if (f->delay_ms && !f->delay_ppm)
		f->delay_ppm = MT_FAULT_ALL;
	if (f->delay_ppm && !f->delay_ms)
		return mt_err(e, -EINVAL, "give a delay: delay=100ms (60s at most)");
	if (!f->delay_ppm && !f->abort_ppm)
		return mt_err(e, -EINVAL, "nothing would be hit; to end it: tune drop");
	return 0;
}

static const char *const knobs[MT_N_KNOBS] = {
	"idle", "burst", "coalesce", "sampling", "log-sample"};

#define KNOBS                                                                                      \
	"idle=poll|adaptive, burst=1-%u, coalesce=0-%u, sampling=1ms-1h or off, "                  \
	"log-sample=0-100 (percent, in steps of 0.01)"

/* "5" or "0.01" percent to percent * 100. False also if it has more decimals. */
static bool sample(const char *text, uint32_t *value)
{
	uint32_t ppm;

	if (!percent(text, &ppm) || ppm % 100)
		return false;
	*value = ppm / 100;
	return true;
}

static int parse_worker(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	const char *v = NULL;
	bool ok = false;

	for (o->knob = 0; n == 1 && o->knob < MT_N_KNOBS && !v;)
		if (!(v = value_of(w[0], knobs[o->knob])))
			o->knob++;
	if (!v)
		return mt_err(e, -EINVAL, "usage: worker " KNOBS, MT_OVERRIDE_BURST_MAX,
			MT_OVERRIDE_COALESCE_MAX);
	switch (o->knob) {
	case MT_KNOB_IDLE:
		o->value = strcmp(v, "adaptive") == 0;
		ok = o->value || strcmp(v, "poll") == 0;
		break;
	case MT_KNOB_BURST:
		ok = number(v, 1, MT_OVERRIDE_BURST_MAX, &o->value);
		break;
	case MT_KNOB_COALESCE:
		ok = number(v, 0, MT_OVERRIDE_COALESCE_MAX, &o->value);
		break;
	case MT_KNOB_LOG_SAMPLE:
		ok = sample(v, &o->value);
		break;
	default:
		o->value = 0;
		ok = strcmp(v, "off") == 0 || duration(v, MT_OVERRIDE_SAMPLING_MAX, &o->value);
		break;
	}
	return ok ? 0
		  : mt_err(e, -EINVAL, "%s: not " KNOBS, w[0], MT_OVERRIDE_BURST_MAX,
			    MT_OVERRIDE_COALESCE_MAX);
}

static int parse_log(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e)
{
	int level = n ? mt_log_level_parse(w[n - 1]) : -1;

	if (n < 1 || n > 2)
		return mt_err(e, -EINVAL, "usage: log [MODULE] LEVEL");
	if (n == 2 && mt_log_module_find(w[0]) < 0)
		return mt_err(e, -EINVAL, "%s: there is no such module; look at `show log`", w[0]);
	if (level < 0)
		return mt_err(e, -EINVAL, "%s: not error, warn, info or debug", w[n - 1]);
	o->value = (uint32_t)level;
	return n == 2 ? keep(o->target, sizeof(o->target), w[0], "module", e) : 0;
}

static const struct {
	const char *name;
	int (*parse)(struct mt_override *o, const char *const *w, uint32_t n, struct mt_err *e);
} kinds[] = {
	[MT_OVERRIDE_DRAIN] = {"drain", parse_drain},
	[MT_OVERRIDE_DRAIN_SERVICE] = {"drain service", NULL},
	[MT_OVERRIDE_DRAIN_LISTENER] = {"drain listener", NULL},
	[MT_OVERRIDE_RETURN] = {"return", parse_return},
	[MT_OVERRIDE_WEIGHT] = {"weight", parse_weight},
	[MT_OVERRIDE_SPLIT] = {"split", parse_split},
	[MT_OVERRIDE_LIMIT] = {"limit", parse_limit},
	[MT_OVERRIDE_FAULT] = {"fault", parse_fault},
	[MT_OVERRIDE_WORKER] = {"worker", parse_worker},
	[MT_OVERRIDE_LOG] = {"log", parse_log},
};

int mt_override_parse(struct mt_override *o, const char *const *words, uint32_t n, struct mt_err *e)
{
	memset(o, 0, sizeof(*o));
	for (uint32_t i = 0; n && i < MT_ARRAY_LEN(kinds); i++) {
		if (!kinds[i].parse || strcmp(words[0], kinds[i].name) != 0)
			continue;
		o->kind = (enum mt_override_kind)i;
		return kinds[i].parse(o, words + 1, n - 1, e);
	}
	return mt_err(e, -EINVAL, "no override; drain, weight, split, limit, fault, worker or log");
}

int mt_override_parse_line(struct mt_override *o, const char *line, struct mt_err *e)
{
	char text[MT_OVERRIDE_TEXT], *save = NULL;
	const char *words[WORDS];
	uint32_t n = 0;

	if ((size_t)snprintf(text, sizeof(text), "%s", line) >= sizeof(text))
		return mt_err(e, -EINVAL, "longer than %zu bytes", sizeof(text) - 1);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n == WORDS)
			return mt_err(e, -EINVAL, "more than %u words", WORDS);
		words[n++] = w;
	}
	return mt_override_parse(o, words, n, e);
}

/* ---- and back ----------------------------------------------------------------------------------- */

struct writer {
	char *buf;
	size_t len;
};

static void put(struct writer *w, const char *fmt, ...) mt_printf(2, 3);

static void put(struct writer *w, const char *fmt, ...)
{
	va_list ap;

	if (w->len >= MT_OVERRIDE_TEXT)
		return;
	va_start(ap, fmt);
	w->len += (size_t)vsnprintf(w->buf + w->len, MT_OVERRIDE_TEXT - w->len, fmt, ap);
	va_end(ap);
}

static void put_limit(struct writer *w, const struct mt_override *o)
{
	const struct mt_limit_override *l = &o->limit;

	put(w, " %s", o->target);
	if (strcmp(o->part, "*") != 0)
		put(w, " %s", o->part);
	if (l->max_tokens)
		put(w, " max=%u", l->max_tokens);
	if (l->tokens_per_fill)
		put(w, " per-fill=%u", l->tokens_per_fill);
	if (l->fill_ns)
		put(w, " fill=%llums", (unsigned long long)(l->fill_ns / MT_MSEC));
	if (l->report_only || !(l->max_tokens || l->tokens_per_fill || l->fill_ns))
		put(w, " report-only=%s", l->report_only ? "on" : "off");
}

static void put_fault(struct writer *w, const struct mt_override *o)
{
	put(w, " %s", o->target);
	if (o->fault.delay_ppm)
		put(w, " delay=%ums delay-percent=%.10g", o->fault.delay_ms,
			o->fault.delay_ppm / 10000.0);
	if (o->fault.abort_ppm)
		put(w, " abort-percent=%.10g", o->fault.abort_ppm / 10000.0);
}

static void put_refuse(struct writer *w, const struct mt_override *o)
{
	bool drains = o->kind == MT_OVERRIDE_DRAIN_SERVICE || o->kind == MT_OVERRIDE_DRAIN_LISTENER;

	if (drains && o->value == MT_LISTENER_REFUSES)
		put(w, " refuse");
}

static void put_knob(struct writer *w, const struct mt_override *o)
{
	if (o->knob == MT_KNOB_IDLE)
		put(w, " idle=%s", o->value ? "adaptive" : "poll");
	else if (o->knob == MT_KNOB_SAMPLING && !o->value)
		put(w, " sampling=off");
	else if (o->knob == MT_KNOB_SAMPLING)
		put(w, " sampling=%ums", o->value);
	else if (o->knob == MT_KNOB_LOG_SAMPLE)
		put(w, " log-sample=%.10g", o->value / 100.0);
	else
		put(w, " %s=%u", knobs[o->knob], o->value);
}

char *mt_override_str(const struct mt_override *o, char buf[MT_OVERRIDE_TEXT])
{
	struct writer w = {buf, 0};
	char addr[MT_ADDR_STRLEN];

	put(&w, "%s", kinds[o->kind].name);
	switch (o->kind) {
	case MT_OVERRIDE_DRAIN_SERVICE:
		put(&w, " %s", o->target);
		put_refuse(&w, o);
		break;
	case MT_OVERRIDE_DRAIN:
	case MT_OVERRIDE_RETURN:
		put(&w, " endpoint");
		/* fall through */
	case MT_OVERRIDE_DRAIN_LISTENER:
	case MT_OVERRIDE_WEIGHT:
		put(&w, " %s", mt_addr_port_str(&o->addr, o->port, addr));
		if (o->kind == MT_OVERRIDE_WEIGHT)
			put(&w, " %u", o->value);
		if (o->target[0])
			put(&w, " %s", o->target);
		put_refuse(&w, o);
		break;
	case MT_OVERRIDE_SPLIT:
		put(&w, " %s %s", o->target, o->part);
		for (uint32_t i = 0; i < o->n_shares; i++)
			put(&w, " %s=%u", o->shares[i].cluster, o->shares[i].weight);
		break;
	case MT_OVERRIDE_LIMIT:
		put_limit(&w, o);
		break;
	case MT_OVERRIDE_FAULT:
		put_fault(&w, o);
		break;
	case MT_OVERRIDE_WORKER:
		put_knob(&w, o);
		break;
	case MT_OVERRIDE_LOG:
		put(&w, "%s%s %s", o->target[0] ? " " : "", o->target,
			mt_log_level_str((enum mt_log_level)o->value));
		break;
	}
	return buf;
}

bool mt_override_names(const char *words, const char *cluster)
{
	const char *host = strrchr(words, '|');
	size_t len = host ? (size_t)(host - words) : strlen(words) + 1;

	return strncmp(words, cluster, len) == 0 && (!host || strcasecmp(host, cluster + len) == 0);
}

bool mt_override_same_target(const struct mt_override *a, const struct mt_override *b)
{
	if (a->kind == MT_OVERRIDE_DRAIN_SERVICE && b->kind == a->kind)
		return strcasecmp(a->target, b->target) == 0;
	return a->kind == b->kind && a->port == b->port && a->knob == b->knob &&
	       mt_addr_eq(&a->addr, &b->addr) && mt_override_names(a->target, b->target) &&
	       strcmp(a->part, b->part) == 0;
}
