/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that fetches key sets, in parallel, with limits on the time and bytes of each fetch:
 * each one looks up its host (host.c), then runs in libcurl's multi interface.
 */
#include "mt_jwks_store_priv.h"

#include "mt_collect.h"
#include "mt_crypto.h"
#include "mt_rights.h"
#include "mt_sockaddr.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS	  1000
#define LOOKUP_MS 50 /* between turns of resolvers */
#define EVENTS	  64 /* of resolvers' sockets in a turn */
#define URI_MAX	  2048

struct transfer {
	struct mt_jwks_source *source;
	struct mt_jwks_host host;
	char *uri;	   /* of the current request; NULL: none */
	int64_t begun_ms;  /* when the request began, monotonic */
	CURL *easy;	   /* NULL: the host is being looked up */
	CURLSH *addresses; /* of the host, for this request only */
	struct curl_slist *entry;
	struct mt_collected text;
	bool discovers; /* fetches the discovery document first */
	bool kept_out;	/* an address was refused (mt_jwks_is_protected()) */
	char error[CURL_ERROR_SIZE];
};

struct mt_jwks_fetcher {
	struct mt_jwks_store *store;
	CURLM *multi;
	struct mt_fds fds; /* of resolvers */
	pthread_t id;
	char *roots;
	bool local;
	uint32_t stop;
	uint32_t n;
	struct transfer transfers[MT_JWKS_TRANSFERS];
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void mt_jwks_fetcher_wake(struct mt_jwks_fetcher *f)
{
	(void)curl_multi_wakeup(f->multi);
}

/* ---- one transfer ---------------------------------------------------------------------------- */

/*
 * Called for each address of a name; checks it, because a name in a rule may resolve to any
 * address.
 */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = arg;
	struct mt_addr a;

	if (!mt_sockaddr_read(&to->addr, &a, NULL) || mt_jwks_is_protected(&a)) {
		t->kept_out = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static void clear(struct mt_jwks_fetcher *f, struct transfer *t)
{
	mt_jwks_host_end(&t->host);
	if (t->easy) {
		curl_multi_remove_handle(f->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	if (t->addresses)
		curl_share_cleanup(t->addresses);
	curl_slist_free_all(t->entry);
	free(t->uri);
	mt_collected_clear(&t->text);
	t->easy = NULL;
	t->addresses = NULL;
	t->entry = NULL;
	t->uri = NULL;
	t->kept_out = false;
	t->error[0] = '\0';
}

/*
 * Gives the request the addresses that were looked up. They are in a cache of its own, because
 * libcurl's cache of names is that of all requests.
 */
static bool set_addresses(struct transfer *t)
{
	char *entry = mt_jwks_host_entry(&t->host);

	t->entry = entry ? curl_slist_append(NULL, entry) : NULL;
	t->addresses = curl_share_init();
	free(entry);
	return t->entry && t->addresses &&
	       !curl_share_setopt(t->addresses, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) &&
	       !curl_easy_setopt(t->easy, CURLOPT_SHARE, t->addresses) &&
	       !curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->entry);
}

/* The rest of the time limit after the lookup in ms, at least 1. */
static long time_left(const struct transfer *t)
{
	return (long)MT_MAX(t->begun_ms + (int64_t)t->source->timeout_ms - now_ms(), INT64_C(1));
}

/*
 * Allows only HTTP and HTTPS, without redirects and without a proxy from the environment, so that
 * the request goes only to the configured URI.
 */
static bool set_options(const struct mt_jwks_fetcher *f, struct transfer *t)
{
	CURL *c = t->easy;
	bool ok = true;

	ok &= !curl_easy_setopt(c, CURLOPT_URL, t->uri);
	ok &= !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	ok &= !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	ok &= !curl_easy_setopt(c, CURLOPT_PROXY, "");
	ok &= !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	ok &= !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, time_left(t));
	ok &= !curl_easy_setopt(c, CURLOPT_MAXFILESIZE, (long)MT_JWKS_MAX);
	ok &= !curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
	ok &= !curl_easy_setopt(c, CURLOPT_USERAGENT, "meltemi/" MT_VERSION);
	t->text.max = MT_JWKS_MAX;
	ok &= !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, mt_collect);
	ok &= !curl_easy_setopt(c, CURLOPT_WRITEDATA, &t->text);
	ok &= !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
	ok &= !curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	ok &= !t->host.n || set_addresses(t);
	if (!f->local) {
		ok &= !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
		ok &= !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
	}
	if (f->roots)
		ok &= !curl_easy_setopt(c, CURLOPT_CAINFO, f->roots);
	return ok;
}

/* Sends the request after the lookup of its host. False with *e. */
static bool send_request(struct mt_jwks_fetcher *f, struct transfer *t, struct mt_err *e)
{
	t->easy = curl_easy_init();
	if (t->easy && set_options(f, t) && curl_multi_add_handle(f->multi, t->easy) == 0)
		return true;
	mt_err(e, -EINVAL, "it is not a supported URI");
	return false;
}

/* Starts a request by looking up its host. False with *e, which the caller reports. */
static bool start(struct mt_jwks_fetcher *f, struct transfer *t, const char *uri, struct mt_err *e)
{
	int rc;

	t->begun_ms = now_ms();
	t->uri = strdup(uri);
	rc = t->uri ? mt_jwks_host_ask(&t->host, &f->fds, uri, f->local, e)
		    : mt_err(e, -ENOMEM, "no memory");
	return rc > 0 || (rc == 0 && send_request(f, t, e));
}

static void finish(
	struct mt_jwks_fetcher *f, struct transfer *t, struct mt_jwks *keys, const char *why)
{
	struct mt_jwks_source *s = t->source;

	mt_jwks_source_fetched(s, keys, why, now_s());
	clear(f, t);
	t->source = NULL;
	f->n--;
	mt_jwks_source_drop(s);
}

static bool is_safe(const char *uri)
{
	return strncmp(uri, "https://", 8) == 0;
}

static const char *text_of(const struct transfer *t)
{
	return t->text.p ? t->text.p : "";
}

/*
 * Continues with "jwks_uri" of the discovery document (OpenID Connect Discovery 1.0 §3). It must be
 * https if the issuer is https.
 */
static bool go_on(struct mt_jwks_fetcher *f, struct transfer *t, struct mt_err *e)
{
	json_error_t why;
	json_t *o = json_loadb(text_of(t), t->text.len, JSON_REJECT_DUPLICATES, &why);
	const char *uri = json_string_value(json_object_get(o, "jwks_uri"));
	char text[URI_MAX];
	bool ok = uri && (size_t)snprintf(text, sizeof(text), "%s", uri) < sizeof(text);

	json_decref(o);
	clear(f, t);
	t->discovers = false;
	if (!ok)
		mt_err(e, -EINVAL, "the issuer's configuration has no \"jwks_uri\"");
	else if (is_safe(t->source->uri) && !is_safe(text))
		mt_err(e, -EINVAL, "the issuer's \"jwks_uri\" leads from https to something else");
	else
		return start(f, t, text, e);
	return false;
}

static const char out_of_reach[] =
	"its address is of this host, of the link or of a cloud's service for the host "
	"(spec.jwks.localAddresses of the Node)";

static void ended(struct mt_jwks_fetcher *f, struct transfer *t, CURLcode rc)
{
	struct mt_err e = {""};
	struct mt_jwks *keys = NULL;

	if (t->text.too_long || rc == CURLE_FILESIZE_EXCEEDED)
		mt_err(&e, -EFBIG, "it is longer than %d bytes", MT_JWKS_MAX);
	else if (rc && t->kept_out)
		mt_err(&e, -EACCES, "%s", out_of_reach);
	else if (rc)
		mt_err(&e, -EIO, "%s", t->error[0] ? t->error : curl_easy_strerror(rc));
	else if (t->discovers && go_on(f, t, &e))
		return;
	else if (!e.text[0])
		keys = mt_jwks_parse(text_of(t), t->text.len, &e);
	/* A set without usable keys is taken for an error of the issuer: keep the last good set. */
	if (keys && !keys->n) {
		mt_err(&e, -EINVAL,
			"none of its %u keys verifies signatures (RSA of %d to %d bits, EC of "
			"P-256, P-384 and P-521, Ed25519)",
			keys->passed_over, MT_JWKS_BITS_MIN, MT_JWKS_BITS_MAX);
		mt_jwks_drop(keys);
		keys = NULL;
	}
	finish(f, t, keys, e.text);
}

/* ---- lookups --------------------------------------------------------------------------------- */

static bool is_looked_up(const struct transfer *t)
{
	return t->source && t->host.resolver;
}

/* Continues with the addresses of the host, if the lookup has any in time. */
static void looked_up(struct mt_jwks_fetcher *f, struct transfer *t)
{
	struct mt_err e = {""};

	mt_jwks_host_end(&t->host);
	if (!t->host.done)
		mt_err(&e, -ETIMEDOUT, "its name was not looked up within %u ms",
			t->source->timeout_ms);
	else if (!t->host.n && t->host.kept_out)
		mt_err(&e, -EACCES, "%s", out_of_reach);
	else if (!t->host.n)
		mt_err(&e, -EHOSTUNREACH, "its name cannot be looked up: %s", t->host.why);
	else if (send_request(f, t, &e))
		return;
	finish(f, t, NULL, e.text);
}

static bool is_late(const struct transfer *t)
{
	return now_ms() - t->begun_ms >= (int64_t)t->source->timeout_ms;
}

static bool is_any_looked_up(const struct mt_jwks_fetcher *f)
{
	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++)
		if (is_looked_up(&f->transfers[i]))
			return true;
	return false;
}

/* Runs lookups, and continues the fetches of those that have ended or are late. */
static void look_up(struct mt_jwks_fetcher *f)
{
	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++)
		if (is_looked_up(&f->transfers[i]))
			mt_resolver_turn(f->transfers[i].host.resolver);
	mt_fds_dispatch(&f->fds, EVENTS, 0);
	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++) {
		struct transfer *t = &f->transfers[i];

		if (is_looked_up(t) && (t->host.done || is_late(t)))
			looked_up(f, t);
	}
}

/* ---- all transfers --------------------------------------------------------------------------- */

static struct transfer *free_one(struct mt_jwks_fetcher *f)
{
	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++)
		if (!f->transfers[i].source)
			return &f->transfers[i];
	return NULL;
}

static int64_t begin_due(struct mt_jwks_fetcher *f)
{
	int64_t next = INT64_MAX;

	while (f->n < MT_JWKS_TRANSFERS) {
		struct mt_jwks_source *s = mt_jwks_store_due(f->store, now_s(), &next);
		struct transfer *t = s ? free_one(f) : NULL;
		struct mt_err e;

		if (!t)
			break;
		*t = (struct transfer){.source = s, .discovers = s->openid};
		f->n++;
		if (!start(f, t, s->uri, &e))
			finish(f, t, NULL, e.text);
	}
	return next;
}

static void end_done(struct mt_jwks_fetcher *f)
{
	struct CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(f->multi, &left))) {
		struct transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		ended(f, t, m->data.result);
	}
}

static void *loop(void *arg)
{
	struct mt_jwks_fetcher *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		struct curl_waitfd lookups = {.fd = f->fds.epoll, .events = CURL_WAIT_POLLIN};
		int running;

		(void)begin_due(f);
		look_up(f);
		(void)curl_multi_perform(f->multi, &running);
		end_done(f);
		(void)curl_multi_poll(
			f->multi, &lookups, 1, is_any_looked_up(f) ? LOOKUP_MS : LOOK_MS, NULL);
	}
	mt_crypto_thread_end();
	return NULL;
}

static void free_fetcher(struct mt_jwks_fetcher *f)
{
	if (f->multi)
		curl_multi_cleanup(f->multi);
	mt_fds_fini(&f->fds);
	free(f->roots);
	free(f);
}

int mt_jwks_store_start(struct mt_jwks_store *s, const char *roots, bool local, struct mt_err *e)
{
	struct mt_jwks_fetcher *f = calloc(1, sizeof(*f));
	int rc = f ? mt_fds_init(&f->fds) : -ENOMEM;

	if (rc == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) == 0) {
		rc = -ENOMEM;
		f->store = s;
		f->local = local;
		f->multi = curl_multi_init();
		f->roots = roots ? strdup(roots) : NULL;
		if (f->multi && (f->roots || !roots))
			rc = mt_rights_thread(&f->id, "mt-jwks", loop, f);
	}
	if (rc == 0) {
		pthread_mutex_lock(&s->lock);
		s->fetcher = f;
		pthread_mutex_unlock(&s->lock);
		return 0;
	}
	if (f)
		free_fetcher(f);
	return mt_err(e, rc, "a thread that fetches keys: %s", strerror(-rc));
}

void mt_jwks_store_stop(struct mt_jwks_store *s)
{
	struct mt_jwks_fetcher *f = s->fetcher;

	if (!f)
		return;
	__atomic_store_n(&f->stop, 1, __ATOMIC_RELEASE);
	mt_jwks_fetcher_wake(f);
	pthread_join(f->id, NULL);
	pthread_mutex_lock(&s->lock);
	s->fetcher = NULL;
	pthread_mutex_unlock(&s->lock);
	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++)
		if (f->transfers[i].source)
			finish(f, &f->transfers[i], NULL, "the node stops");
	free_fetcher(f);
}
