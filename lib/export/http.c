/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages by HTTP/1.1: a POST for each message, by libcurl. Its handle of each queue keeps one
 * connection. Names are looked up here, because libcurl would wait for its resolver's thread.
 * - A request goes to the addresses of the target only: redirects are not followed, and proxies of
 *   the environment are not used.
 * - While nothing of a message was sent, the next address of the server is tried, then the next
 *   server, and only after all have failed the message waits. Otherwise a failure ends the sending,
 *   and the next one goes to the next server, because this one may hang.
 * - With TLS libcurl's connection has the identity, the trust and the expected names of the target,
 *   as those of gRPC have, and none of libcurl's own certificates.
 * - Statuses are those of OTLP 1.10, "OTLP/HTTP Response": 429, 502, 503 and 504 are temporary.
 */
#include "mt_export_priv.h"

#include "mt_addr.h"
#include "mt_collect.h"
#include "mt_grpc_tls.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_MS 5000
#define ANSWER_MAX (64u << 10) /* bytes of the head of an answer, and of its body */
#define ADDRS	   16	       /* of a name that are tried */

struct mt_export_post {
	CURLM *multi;
	CURL *easy; /* of the message that is sent; NULL: none, or its server is looked up */
	struct curl_slist *headers;
	struct curl_slist
		*connect_to; /* of the message that is sent: the address; NULL: the URL's */
	const struct mt_grpc_tls *tls; /* the target's; NULL: plaintext */
	char *path;
	struct mt_lookup *lookup;
	/* Where messages go: the indexes of server and address go round, and stay from then on. */
	uint32_t server, addr;
	struct mt_addr addrs[ADDRS]; /* of the server */
	uint32_t n_addrs;
	uint16_t port;
	/* Of the message that is sent: addresses that are left to try, and servers that failed. */
	uint32_t addrs_left, failed;
	struct mt_collected answer;
	size_t head_len;
	char error[CURL_ERROR_SIZE];
	char why[128]; /* TLS cannot be spoken; "": it can */
};

static const char *server_of(const struct mt_export_queue *q, uint32_t *n)
{
	struct mt_grpc_conf at = {0};

	mt_grpc_target_fill(q->target, &at);
	*n = at.n_servers;
	return at.servers[q->post->server % at.n_servers];
}

/* Ends the lookup or the request, and frees what belongs to it. */
static void clear(struct mt_export_post *p)
{
	mt_lookup_cancel(p->lookup);
	p->lookup = NULL;
	if (p->easy) {
		curl_multi_remove_handle(p->multi, p->easy);
		curl_easy_cleanup(p->easy);
	}
	p->easy = NULL;
	curl_slist_free_all(p->connect_to);
	p->connect_to = NULL;
	mt_collected_clear(&p->answer);
	p->head_len = 0;
	p->error[0] = p->why[0] = '\0';
}

/* ---- results -------------------------------------------------------------------------------- */

/*
 * Nothing was sent to this address. turn() goes on with the next one, which has a time limit of its
 * own, unless there is none.
 */
static void unreached(struct mt_export_queue *q, const char *why)
{
	struct mt_export_post *p = q->post;
	char words[256];
	uint32_t n;

	snprintf(words, sizeof(words), "%s: %s", server_of(q, &n), why);
	clear(p);
	p->addr++;
	q->give_up = q->x->now + q->conf.timeout;
	mt_export_set_state(q, MT_EXPORT_unreachable, words);
	if (p->addrs_left)
		return;
	p->server++;
	if (++p->failed >= n)
		mt_export_unreached(q, words);
}

/* The next sending goes to the next server, or the next address of its name. */
static void again(struct mt_export_queue *q, enum mt_export_state state, const char *why)
{
	clear(q->post);
	q->post->server++;
	q->post->addr++;
	mt_export_again(q, state, why);
}

static bool is_temporary(long status)
{
	return status == 429 || (status >= 502 && status <= 504);
}

static void by_status(struct mt_export_queue *q, long status, long delay_s)
{
	struct mt_export_post *p = q->post;
	char why[64];

	if (status >= 200 && status < 300) {
		if (!p->answer.too_long)
			mt_export_answered(q, (const uint8_t *)(p->answer.p ? p->answer.p : ""),
				p->answer.len);
		clear(p);
		mt_export_taken(q);
		return;
	}
	snprintf(why, sizeof(why), "HTTP status %ld", status);
	if (!is_temporary(status)) {
		clear(p);
		mt_export_lose(q, MT_EXPORT_refused, why);
		return;
	}
	if (delay_s > 0)
		mt_export_told(q, (uint64_t)delay_s * MT_SEC);
	again(q, MT_EXPORT_unavailable, why);
}

static bool has_sent(const struct mt_export_post *p)
{
	long sent = 0;

	return p->easy && !curl_easy_getinfo(p->easy, CURLINFO_REQUEST_SIZE, &sent) && sent > 0;
}

static void ended(struct mt_export_queue *q, CURLcode rc)
{
	struct mt_export_post *p = q->post;
	bool is_garbage = p->answer.too_long || rc == CURLE_UNSUPPORTED_PROTOCOL ||
			  rc == CURLE_WEIRD_SERVER_REPLY;
	curl_off_t delay_s = 0;
	char why[CURL_ERROR_SIZE];
	long status = 0;

	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &delay_s);
	/* An answer that is too long has a status, too, unless there were only interim ones. */
	if (status >= 200 && (rc == CURLE_OK || p->answer.too_long)) {
		by_status(q, status, (long)MT_MIN(delay_s, (curl_off_t)INT32_MAX));
		return;
	}
	snprintf(why, sizeof(why), "%s",
		p->answer.too_long ? "the answer is too long"
		: p->why[0]	   ? p->why
		: p->error[0]	   ? p->error
				   : curl_easy_strerror(rc));
	if (has_sent(p))
		again(q, is_garbage ? MT_EXPORT_bad_answer : MT_EXPORT_unavailable, why);
	else
		unreached(q, why);
}

/* ---- a request ------------------------------------------------------------------------------ */

/* Only counts, because libcurl would keep a head of any length. */
static size_t take_head(char *data, size_t size, size_t n, void *arg)
{
	struct mt_export_post *p = arg;

	p->head_len += size * n;
	p->answer.too_long = p->head_len > ANSWER_MAX;
	return p->answer.too_long ? 0 : size * n;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static bool set_limits(struct mt_export_post *p)
{
	CURL *c = p->easy;
	bool ok = true;

	ok &= !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, p->tls ? "https" : "http");
	ok &= !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	ok &= !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	ok &= !curl_easy_setopt(c, CURLOPT_PROXY, "");
	ok &= !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	ok &= !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	ok &= !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	p->answer.max = ANSWER_MAX;
	ok &= !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, mt_collect);
	ok &= !curl_easy_setopt(c, CURLOPT_WRITEDATA, &p->answer);
	ok &= !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
	ok &= !curl_easy_setopt(c, CURLOPT_HEADERDATA, p);
	ok &= !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, p->error);
	return ok;
}

static CURLcode use_tls(CURL *easy, void *ctx, void *arg)
{
	struct mt_export_post *p = arg;
	struct mt_err e = {""};

	if (mt_grpc_tls_use(ctx, p->tls, &e) == 0)
		return CURLE_OK;
	snprintf(p->why, sizeof(p->why), "%.127s", e.text);
	return CURLE_SSL_CERTPROBLEM;
}

/* use_tls() verifies names, because libcurl knows one only. */
static bool set_tls(struct mt_export_post *p)
{
	CURL *c = p->easy;
	bool ok = true;

	if (!p->tls)
		return true;
	ok &= !curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	ok &= !curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	ok &= !curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	ok &= !curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	/* Otherwise libcurl replaces Istio's protocols by its own. */
	ok &= !curl_easy_setopt(c, CURLOPT_SSL_ENABLE_ALPN, p->tls->istio ? 0L : 1L);
	ok &= !curl_easy_setopt(c, CURLOPT_CAINFO, (char *)NULL);
	ok &= !curl_easy_setopt(c, CURLOPT_CAPATH, (char *)NULL);
	ok &= !curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, use_tls);
	ok &= !curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, p);
	return ok;
}

/* The path is not of the URL, so that libcurl leaves it as it is. */
static bool set_request(struct mt_export_queue *q, const char *url)
{
	struct mt_export_post *p = q->post;
	CURL *c = p->easy;
	bool ok = true;

	ok &= !curl_easy_setopt(c, CURLOPT_URL, url);
	ok &= !curl_easy_setopt(c, CURLOPT_REQUEST_TARGET, p->path);
	ok &= !curl_easy_setopt(c, CURLOPT_USERAGENT, "meltemi/" MT_VERSION);
	ok &= !curl_easy_setopt(c, CURLOPT_HTTPHEADER, p->headers);
	/* The message stays until the request has ended. */
	ok &= !curl_easy_setopt(c, CURLOPT_POSTFIELDS, (const char *)q->message);
	ok &= !curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->message_len);
	return ok;
}

/* The name that TLS sends; NULL: none, also for an address (RFC 6066 §3). */
static const char *sent_name(const struct mt_export_post *p)
{
	const char *name = p->tls ? p->tls->server_name : NULL;
	struct mt_addr a;

	return name && mt_addr_parse(name, &a) && mt_host_is_sound(name) ? name : NULL;
}

/* libcurl sends the name of the URL, so libcurl gets the address apart from it. */
static bool set_address(struct mt_export_queue *q, const struct mt_addr *a)
{
	struct mt_export_post *p = q->post;
	const char *name = sent_name(p);
	char addr[MT_ADDR_STRLEN], to[MT_ADDR_STRLEN + 2], url[320];

	mt_addr_port_str(a, p->port, addr);
	if (name)
		snprintf(url, sizeof(url), "https://%s:%u/", name, p->port);
	else
		snprintf(url, sizeof(url), "%s://%s/", p->tls ? "https" : "http", addr);
	if (!set_request(q, url))
		return false;
	if (!name)
		return true;
	snprintf(to, sizeof(to), "::%s", addr);
	p->connect_to = curl_slist_append(NULL, to);
	return p->connect_to && !curl_easy_setopt(p->easy, CURLOPT_CONNECT_TO, p->connect_to);
}

static void request(struct mt_export_queue *q, const struct mt_addr *a)
{
	struct mt_export_post *p = q->post;
	struct mt_grpc_conf at = {0};

	mt_grpc_target_fill(q->target, &at);
	p->tls = at.tls;
	p->easy = curl_easy_init();
	if (!p->easy || !set_limits(p) || !set_tls(p) || !set_address(q, a) ||
		curl_multi_add_handle(p->multi, p->easy))
		again(q, MT_EXPORT_unavailable, "the request cannot be made");
}

/* ---- servers -------------------------------------------------------------------------------- */

static void use_addresses(struct mt_export_post *p, const struct mt_addr *from, uint32_t n)
{
	p->n_addrs = p->addrs_left = MT_MIN(n, (uint32_t)ADDRS);
	memcpy(p->addrs, from, sizeof(*from) * p->n_addrs);
}

static void on_name(void *arg, const struct mt_lookup_result *r)
{
	struct mt_export_queue *q = arg;

	q->post->lookup = NULL;
	if (r->n)
		use_addresses(q->post, r->addrs, r->n);
	else
		unreached(q, r->why ? r->why : "no address");
}

static void to_server(struct mt_export_queue *q)
{
	struct mt_export_post *p = q->post;
	char host[256];
	struct mt_addr a;
	uint32_t n;

	if (mt_host_port(server_of(q, &n), host, sizeof(host), &p->port))
		unreached(q, "it is not like host:port");
	else if (mt_addr_parse(host, &a) == 0)
		use_addresses(p, &a, 1);
	else
		p->lookup = mt_lookup(q->x->names, host, on_name, q);
}

/* Goes on with a message for which nothing is under way. */
static void go_on(struct mt_export_queue *q)
{
	struct mt_export_post *p = q->post;

	if (!p->addrs_left)
		to_server(q);
	if (!q->sending || !p->addrs_left)
		return;
	p->addrs_left--;
	request(q, &p->addrs[p->addr % p->n_addrs]);
}

/* ---- mt_export_way -------------------------------------------------------------------------- */

static bool is_open(const struct mt_export_queue *q)
{
	return q->post->multi != NULL;
}

static bool open_request(struct mt_export_queue *q)
{
	return is_open(q);
}

static void send_message(struct mt_export_queue *q)
{
	q->post->addrs_left = q->post->failed = 0;
	go_on(q);
}

static void cancel(struct mt_export_queue *q)
{
	clear(q->post);
}

static void on_late(struct mt_export_queue *q)
{
	if (has_sent(q->post))
		again(q, MT_EXPORT_late, "no answer in time");
	else
		unreached(q, q->post->lookup ? "no address in time" : "no connection in time");
}

static CURLM *open_handle(void)
{
	CURLM *multi = curl_multi_init();

	if (multi)
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
	return multi;
}

static bool turn(struct mt_export_queue *q)
{
	struct mt_export_post *p = q->post;
	struct CURLMsg *m;
	int n;

	if (!p->multi)
		p->multi = open_handle();
	if (!p->multi)
		return false;
	if (q->sending && !p->easy && !p->lookup)
		go_on(q);
	if (!p->easy)
		return true;
	(void)curl_multi_perform(p->multi, &n);
	while (p->easy && (m = curl_multi_info_read(p->multi, &n)))
		if (m->msg == CURLMSG_DONE)
			ended(q, m->data.result);
	return true;
}

static void close_handle(struct mt_export_queue *q)
{
	struct mt_export_post *p = q->post;

	clear(p);
	if (p->multi)
		curl_multi_cleanup(p->multi);
	p->multi = NULL;
	p->server = p->addr = 0;
}

const struct mt_export_way mt_export_by_http = {
	turn, is_open, open_request, send_message, cancel, on_late, close_handle};

/* ---- headers -------------------------------------------------------------------------------- */

/* True if the text has no control characters, which could make several lines of the request. */
static bool is_line(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

/* A header without a value ends with ";" for libcurl, which would otherwise leave it out. */
static bool add_line(struct mt_export_post *p, const char *line)
{
	size_t name = strcspn(line, ":");
	bool is_empty = line[name] && strspn(line + name + 1, " \t") == strlen(line + name + 1);
	char *bare = is_empty ? strndup(line, name + 1) : NULL;
	struct curl_slist *more = NULL;

	if (bare)
		bare[name] = ';';
	if (!is_empty || bare)
		more = curl_slist_append(p->headers, bare ? bare : line);
	free(bare);
	if (more)
		p->headers = more;
	return more != NULL;
}

/* "NAME: VALUE" lines. */
static bool add_lines(struct mt_export_post *p, const char *lines)
{
	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");
		char *line = is_line(lines, len) ? strndup(lines, len) : NULL;
		bool ok = line && add_line(p, line);

		free(line);
		if (!ok)
			return false;
		lines += len + (lines[len] == '\n');
	}
	return true;
}

static bool add_header(struct mt_export_post *p, const char *name, const char *value)
{
	char line[512];

	return is_line(value, strlen(value)) &&
	       snprintf(line, sizeof(line), "%s: %s", name, value) < (int)sizeof(line) &&
	       add_line(p, line);
}

/* Without it libcurl would wait for permission to send a long message. */
static bool add_no_expect(struct mt_export_post *p)
{
	struct curl_slist *more = curl_slist_append(p->headers, "Expect:");

	if (more)
		p->headers = more;
	return more != NULL;
}

struct mt_export_post *mt_export_post_new(const char *path, const struct mt_export_http *http)
{
	struct mt_export_post *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->path = is_line(path, strlen(path)) ? strdup(path) : NULL;
	if (p->path && !curl_global_init(CURL_GLOBAL_DEFAULT) && add_no_expect(p) &&
		add_header(p, "Host", http->authority) &&
		add_header(p, "Content-Type", http->content_type) && add_lines(p, http->lines))
		return p;
	mt_export_post_free(p);
	return NULL;
}

void mt_export_post_free(struct mt_export_post *p)
{
	if (!p)
		return;
	curl_slist_free_all(p->headers);
	free(p->path);
	free(p);
}
