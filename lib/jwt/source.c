/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_jwks_store_priv.h"

#include "mt_crypto.h"
#include "mt_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "jwks_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_jwks_outcomes = {"jwks", rows, MT_ARRAY_LEN(rows)};

static const char discovery[] = "/.well-known/openid-configuration";

struct mt_jwks_store *mt_jwks_store_new(void)
{
	struct mt_jwks_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	mt_list_init(&s->sources);
	return s;
}

void mt_jwks_store_free(struct mt_jwks_store *s)
{
	if (!s)
		return;
	mt_jwks_store_stop(s);
	MT_ASSERT(mt_list_empty(&s->sources));
	mt_strmap_fini(&s->by_name);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- limits per namespace -------------------------------------------------------------------- */

/* Number of fetched sources of a namespace; `busy`: only those with a fetch in progress. */
static uint32_t count_of(const struct mt_jwks_store *all, const char *ns, bool busy)
{
	const struct mt_list *n;
	uint32_t count = 0;

	mt_list_foreach (n, &all->sources) {
		const struct mt_jwks_source *s = mt_list_entry(n, struct mt_jwks_source, node);

		count += s->uri && (s->busy || !busy) && strcmp(s->ns, ns) == 0;
	}
	return count;
}

static bool has_place(const struct mt_jwks_store *all, const char *ns)
{
	return mt_share_left(MT_JWKS_SOURCES, all->n, count_of(all, ns, false));
}

static bool may_begin(const struct mt_jwks_store *all, const char *ns)
{
	return mt_share_left(MT_JWKS_TRANSFERS, all->n_busy, count_of(all, ns, true));
}

/* ---- references ------------------------------------------------------------------------------ */

struct mt_jwks_source *mt_jwks_source_hold(struct mt_jwks_source *s)
{
	pthread_mutex_lock(&s->store->lock);
	s->refs++;
	pthread_mutex_unlock(&s->store->lock);
	return s;
}

static void free_source(struct mt_jwks_source *s)
{
	mt_jwks_drop(s->keys);
	free(s->name);
	free(s->uri);
	free(s->ns);
	free(s);
}

void mt_jwks_source_drop(struct mt_jwks_source *s)
{
	struct mt_jwks_store *all = s->store;
	bool last;

	pthread_mutex_lock(&all->lock);
	last = --s->refs == 0;
	if (last) {
		mt_list_del(&s->node);
		mt_strmap_del(&all->by_name, s->name);
		all->n -= s->uri != NULL;
	}
	pthread_mutex_unlock(&all->lock);
	if (last)
		free_source(s);
}

uint64_t mt_jwks_source_generation(const struct mt_jwks_source *s)
{
	return __atomic_load_n(&s->generation, __ATOMIC_ACQUIRE);
}

struct mt_jwks *mt_jwks_source_keys(struct mt_jwks_source *s, uint64_t *generation)
{
	struct mt_jwks *k;

	pthread_mutex_lock(&s->store->lock);
	k = s->keys ? mt_jwks_hold(s->keys) : NULL;
	*generation = s->generation;
	pthread_mutex_unlock(&s->store->lock);
	return k;
}

void mt_jwks_source_missed(struct mt_jwks_source *s)
{
	struct mt_jwks_fetcher *f = NULL;

	pthread_mutex_lock(&s->store->lock);
	if (s->uri && !s->missed) {
		s->missed = true;
		f = s->store->fetcher;
	}
	if (f)
		mt_jwks_fetcher_wake(f);
	pthread_mutex_unlock(&s->store->lock);
}

/* ---- creation -------------------------------------------------------------------------------- */

static uint32_t timeout_of(const struct mt_jwks_said *said)
{
	return said->timeout_ms ? MT_MIN(said->timeout_ms, (uint32_t)MT_JWKS_TIMEOUT_MAX_MS)
				: MT_JWKS_TIMEOUT_MS;
}

static char *name_of(const struct mt_jwks_said *said)
{
	char *name = NULL;
	int rc;

	if (said->text)
		rc = asprintf(&name, "inline %s", said->text);
	else if (said->uri)
		rc = asprintf(&name, "%u %s", timeout_of(said), said->uri);
	else
		rc = asprintf(&name, "%u openid %s", timeout_of(said), said->issuer);
	return rc < 0 ? NULL : name;
}

static char *uri_of(const struct mt_jwks_said *said)
{
	size_t len = said->uri ? 0 : strlen(said->issuer);
	char *uri;

	if (said->uri)
		return strdup(said->uri);
	while (len && said->issuer[len - 1] == '/')
		len--;
	return asprintf(&uri, "%.*s%s", (int)len, said->issuer, discovery) < 0 ? NULL : uri;
}

static struct mt_jwks_source *find(struct mt_jwks_store *s, const char *name)
{
	struct mt_jwks_source *src = mt_strmap_get(&s->by_name, name);

	if (src)
		src->refs++;
	return src;
}

static bool is_web(const char *uri)
{
	return strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0;
}

static struct mt_jwks_source *make(
	struct mt_jwks_store *all, const struct mt_jwks_said *said, struct mt_err *e)
{
	struct mt_jwks_source *s = calloc(1, sizeof(*s));

	if (!s) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	s->store = all;
	s->refs = 1;
	s->generation = 1;
	s->timeout_ms = timeout_of(said);
	s->openid = !said->text && !said->uri;
	s->name = name_of(said);
	s->ns = strdup(said->ns ? said->ns : "");
	if (said->text)
		s->keys = mt_jwks_parse(said->text, strlen(said->text), e);
	else
		s->uri = said->uri || is_web(said->issuer) ? uri_of(said) : NULL;
	if (!s->name || !s->ns || (!said->text && !s->uri && (said->uri || is_web(said->issuer))))
		mt_err(e, -ENOMEM, "no memory");
	else if (s->uri && !is_web(s->uri))
		mt_err(e, -EINVAL, "it is fetched by http:// or https:// alone");
	else if ((s->keys || !said->text) && !mt_strmap_put(&all->by_name, s->name, s, NULL))
		return s;
	else if (s->keys || !said->text)
		mt_err(e, -ENOMEM, "no memory");
	free_source(s);
	return NULL;
}

struct mt_jwks_source *mt_jwks_store_get(
	struct mt_jwks_store *all, const struct mt_jwks_said *said, struct mt_err *e)
{
	char *name = name_of(said);
	struct mt_jwks_source *s = NULL;

	if (!name) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	pthread_mutex_lock(&all->lock);
	s = find(all, name);
	if (!s && !said->text && !has_place(all, said->ns ? said->ns : ""))
		mt_err(e, -ENOSPC,
			all->n == MT_JWKS_SOURCES
				? "%d sets of keys are fetched already, which is the most"
				: "of the %d sets of keys that can be fetched the last quarter is "
				  "for "
				  "namespaces with fewer of them",
			MT_JWKS_SOURCES);
	else if (!s && (s = make(all, said, e))) {
		mt_list_add_tail(&all->sources, &s->node);
		all->n += s->uri != NULL;
		if (s->uri && all->fetcher)
			mt_jwks_fetcher_wake(all->fetcher);
	}
	pthread_mutex_unlock(&all->lock);
	free(name);
	return s;
}

/* The URI for reports: without user and password (RFC 3986 §3.2.1). */
static void show_uri(const char *uri, char *to, size_t size)
{
	const char *authority = strstr(uri, "://") + 3,
		   *end = authority + strcspn(authority, "/?#"),
		   *host = memrchr(authority, '@', (size_t)(end - authority));

	snprintf(to, size, "%.*s%s", (int)(authority - uri), uri, host ? host + 1 : authority);
}

/* ---- fetches --------------------------------------------------------------------------------- */

static int64_t backoff(uint32_t failed)
{
	return failed > 7 ? MT_JWKS_BACKOFF_S
			  : MT_MIN(INT64_C(1) << (failed - 1), MT_JWKS_BACKOFF_S);
}

/* True if the keys are the same: then the generation stays, and cached outcomes remain valid. */
static bool are_same(const struct mt_jwks *a, const struct mt_jwks *b)
{
	if (!a || a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->keys[i].kid, b->keys[i].kid) != 0 ||
			strcmp(a->keys[i].alg, b->keys[i].alg) != 0 ||
			!mt_crypto_same_key(a->keys[i].key, b->keys[i].key))
			return false;
	return true;
}

void mt_jwks_source_fetched(
	struct mt_jwks_source *s, struct mt_jwks *keys, const char *why, int64_t now_s)
{
	struct mt_jwks_status *st = &s->status;
	char uri[256];

	show_uri(s->uri, uri, sizeof(uri));
	pthread_mutex_lock(&s->store->lock);
	s->store->n_busy -= s->busy;
	s->busy = s->missed = false;
	st->fetches++;
	if (keys) {
		bool same = are_same(s->keys, keys);
		struct mt_jwks *old = s->keys;

		s->keys = keys;
		mt_jwks_drop(old);
		st->keys = keys->n;
		st->passed_over = keys->passed_over;
		st->failed = 0;
		st->why[0] = '\0';
		st->fetched = now_s;
		st->next = now_s + MT_JWKS_REFRESH_S;
		if (!same)
			__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
	} else {
		st->failures++;
		st->failed++;
		st->next = now_s + backoff(st->failed);
		snprintf(st->why, sizeof(st->why), "%s", why);
	}
	mt_count(s->store->counters, keys ? MT_JWKS_fetched : MT_JWKS_fetch_failed);
	pthread_mutex_unlock(&s->store->lock);
	if (!keys && st->failed == 1)
		mt_log(MT_LOG_WARN, "jwt", "the keys at %s cannot be fetched: %s%s", uri, why,
			s->keys ? "; those of before are used" : "");
	else if (keys)
		mt_log(MT_LOG_INFO, "jwt", "%u keys fetched from %s", keys->n, uri);
}

static int64_t due_at(const struct mt_jwks_source *s)
{
	int64_t early = s->status.fetched + MT_JWKS_MISSED_S;

	return s->missed && !s->status.failed ? MT_MIN(s->status.next, early) : s->status.next;
}

/*
 * Returns when the source is due. A time more than MT_JWKS_REFRESH_S ahead means that the clock was
 * set back; the source is then due at once.
 */
static int64_t turn_of(const struct mt_jwks_source *s, int64_t now_s)
{
	int64_t at = due_at(s);

	return at > now_s + MT_JWKS_REFRESH_S ? now_s : at;
}

/*
 * Takes the longest overdue source, not the first of the list, because failing sources would be due
 * again before the last ones of the list are fetched.
 */
struct mt_jwks_source *mt_jwks_store_due(struct mt_jwks_store *all, int64_t now_s, int64_t *next)
{
	struct mt_jwks_source *found = NULL;
	const struct mt_list *n;

	*next = INT64_MAX;
	pthread_mutex_lock(&all->lock);
	mt_list_foreach (n, &all->sources) {
		struct mt_jwks_source *s = mt_list_entry(n, struct mt_jwks_source, node);
		int64_t at = turn_of(s, now_s);

		if (!s->uri || s->busy)
			continue;
		if (at <= now_s && (!found || at < turn_of(found, now_s)) && may_begin(all, s->ns))
			found = s;
		if (s != found)
			*next = MT_MIN(*next, at);
	}
	if (found) {
		found->refs++;
		found->busy = true;
		all->n_busy++;
	}
	pthread_mutex_unlock(&all->lock);
	return found;
}

/* ---- status ---------------------------------------------------------------------------------- */

bool mt_jwks_store_status(
	struct mt_jwks_store *all, uint32_t i, struct mt_jwks_status *out, char *name, size_t size)
{
	const struct mt_list *n;
	bool found = false;

	pthread_mutex_lock(&all->lock);
	mt_list_foreach (n, &all->sources) {
		const struct mt_jwks_source *s = mt_list_entry(n, struct mt_jwks_source, node);

		if (!s->uri || i--)
			continue;
		*out = s->status;
		show_uri(s->uri, name, size);
		out->name = name;
		found = true;
		break;
	}
	pthread_mutex_unlock(&all->lock);
	return found;
}

const uint64_t *mt_jwks_store_counters(const struct mt_jwks_store *all)
{
	return all->counters;
}
