/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of a full handshake of mutual TLS for a server, in CPU time. Three variants alternate in one
 * run: the library alone (SSL_do_handshake() through memory, as a program uses it), Meltemi's
 * handshake inline (mt_tls_handshake_step()), and the thread that does handshakes for workers,
 * including rings and wake-ups. The client's CPU time is reported separately; the client is the
 * library in all three. TLS 1.3, X25519, P-256, a chain of one certificate, one ticket.
 *
 * 	bench_handshake [ROUNDS]
 *
 * One JSON line: the minimum of all rounds of 50 handshakes, in thousands of cycles of the time
 * stamp counter.
 */
#include "bench_node.h"
#include "bench_tls.h"

#include "mt_credential.h"
#include "mt_crypto.h"

#include <openssl/ssl.h>
#include <rte_cycles.h>
#include <sched.h>
#include <time.h>

#define ROUNDS	  40
#define ROUND	  50
#define AT_ONCE	  8 /* concurrent handshakes in the thread */
#define MESSAGES  16384
#define PRINCIPAL "spiffe://" BENCH_TRUST_DOMAIN "/ns/bench/sa/client"

static struct mt_pools pools;
static struct mt_credential *server_is, *client_is;
static SSL_CTX *client_context, *library_context;
static struct mt_tls_context *ours_context;

static uint64_t cpu(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- the library's ends ------------------------------------------------------------------- */

static int one_protocol(SSL *s, const unsigned char **out, unsigned char *n,
	const unsigned char *in, unsigned int in_len, void *arg)
{
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, n, arg, 6, in, in_len) ==
			       OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

/* The settings of lib/tls, as far as they are the library's. */
static SSL_CTX *plain_context(const struct mt_credential *c, bool server)
{
	static unsigned char alpn[] = "\5istio";
	SSL_CTX *x = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	MT_ASSERT(x && SSL_CTX_use_certificate(x, sk_X509_value(c->chain, 0)) == 1 &&
		  SSL_CTX_use_PrivateKey(x, c->key) == 1);
	SSL_CTX_set1_cert_store(x, c->trust);
	SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_mode(x, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_min_proto_version(x, TLS1_3_VERSION);
	SSL_CTX_set1_groups_list(x, "X25519:P-256");
	SSL_CTX_set_ciphersuites(x, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(x, alpn, sizeof(alpn));
	SSL_CTX_set_num_tickets(x, 1);
	if (server)
		SSL_CTX_set_alpn_select_cb(x, one_protocol, alpn);
	else
		SSL_CTX_set_alpn_protos(x, alpn, 6);
	return x;
}

static SSL *plain_end(SSL_CTX *x, bool server)
{
	SSL *s = SSL_new(x);

	SSL_set_bio(s, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (server)
		SSL_set_accept_state(s);
	else
		SSL_set_connect_state(s);
	return s;
}

/* Passes `in` to the handshake and gets its output; true when it is done. */
static bool plain_step(SSL *s, const uint8_t *in, uint32_t n, uint8_t *out, uint32_t *out_n)
{
	int got, rc;

	if (n)
		BIO_write(SSL_get_rbio(s), in, (int)n);
	rc = SSL_do_handshake(s);
	if (rc != 1 && SSL_get_error(s, rc) != SSL_ERROR_WANT_READ)
		bench_die("a handshake of the library's fails", NULL);
	got = BIO_read(SSL_get_wbio(s), out, MESSAGES);
	*out_n = got > 0 ? (uint32_t)got : 0;
	return rc == 1;
}

/* ---- inline -------------------------------------------------------------------------------- */

/* A server of either variant. */
struct server {
	SSL *ssl; /* or */
	struct mt_tls_handshake *ours;
};

static bool answer(struct server *s, bool library, const uint8_t *in, uint32_t n, uint8_t *out,
	uint32_t *out_n)
{
	const uint8_t *p;
	enum mt_tls_step step;

	if (library) {
		if (!s->ssl)
			s->ssl = plain_end(library_context, true);
		if (!plain_step(s->ssl, in, n, out, out_n))
			return false;
		SSL_free(s->ssl);
		return true;
	}
	if (!s->ours)
		s->ours = mt_tls_handshake_new(ours_context, NULL);
	step = mt_tls_handshake_step(s->ours, in, n);
	if (step == MT_TLS_FAILED)
		bench_die("a handshake of ours fails", NULL);
	*out_n = mt_tls_handshake_output(s->ours, &p);
	memcpy(out, p, *out_n);
	mt_tls_handshake_sent(s->ours, *out_n);
	if (step != MT_TLS_DONE)
		return false;
	MT_ASSERT(strcmp(mt_tls_handshake_result(s->ours)->peer.principal, PRINCIPAL) == 0);
	mt_tls_handshake_free(s->ours);
	return true;
}

/* ns of the server's CPU. */
static uint64_t one(bool library)
{
	static uint8_t to[MESSAGES], from[MESSAGES];
	SSL *client = plain_end(client_context, false);
	struct server server = {0};
	uint32_t n_to = 0, n_from = 0;
	uint64_t took = 0, begin;
	bool over = false;

	do {
		plain_step(client, from, n_from, to, &n_to);
		begin = cpu(CLOCK_THREAD_CPUTIME_ID);
		over = answer(&server, library, to, n_to, from, &n_from);
		took += cpu(CLOCK_THREAD_CPUTIME_ID) - begin;
	} while (!over);
	SSL_free(client);
	return took;
}

static uint64_t in_line(bool library)
{
	uint64_t sum = 0;

	for (int i = 0; i < ROUND; i++)
		sum += one(library);
	return sum / ROUND;
}

/* ---- by a thread --------------------------------------------------------------------------- */

struct conn {
	SSL *client;
	struct mt_hello hello;
	struct mt_chain rx; /* bytes received from the client */
	struct mt_ref handshake;
	bool begun;
};

static struct mt_tls_lane *lane;
static struct conn conns[AT_ONCE];
static uint32_t done;

static void client_says(struct conn *c, const uint8_t *in, uint32_t n)
{
	static uint8_t out[MESSAGES];
	uint32_t len;

	plain_step(c->client, in, n, out, &len);
	if (len && mt_chain_write(&c->rx, &pools, out, len))
		bench_die("no buffers", NULL);
	if (c->begun && len)
		mt_tls_lane_more(lane, c->handshake, &c->rx);
}

static void begin(struct conn *c)
{
	struct mt_ref owner = {.idx = (uint32_t)(c - conns), .gen = 1};

	*c = (struct conn){.client = plain_end(client_context, false)};
	mt_hello_init(&c->hello, &c->rx);
	client_says(c, NULL, 0);
	if (mt_hello_read(&c->hello) != MT_HELLO_WHOLE ||
		mt_tls_lane_accept(lane, ours_context, &c->hello, owner, &c->handshake))
		bench_die("a handshake does not begin", NULL);
	c->begun = true;
}

static void on_event(void *arg, const struct mt_tls_event *e)
{
	struct conn *c = &conns[e->owner.idx];

	mt_chain_drop(&c->rx, e->used);
	if (e->kind == MT_TLS_EVENT_FAILED)
		bench_die("a handshake of a thread's fails", NULL);
	if (e->kind == MT_TLS_EVENT_ROOM)
		mt_tls_lane_more(lane, c->handshake, &c->rx);
	if (e->kind == MT_TLS_EVENT_OUT && e->out.len)
		client_says(c, e->out.p, e->out.len);
	if (e->kind != MT_TLS_EVENT_DONE)
		return;
	MT_ASSERT(strcmp(e->result->peer.principal, PRINCIPAL) == 0);
	mt_chain_free(&c->rx);
	SSL_free(c->client);
	c->begun = false;
	done++;
}

/* CPU time in ns of the process except this thread: only the handshake thread works. */
static uint64_t others(void)
{
	return cpu(CLOCK_PROCESS_CPUTIME_ID) - cpu(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t by_thread(void)
{
	uint64_t before = others();
	uint32_t begun = 0;

	done = 0;
	while (done < ROUND) {
		for (int i = 0; i < AT_ONCE; i++)
			if (!conns[i].begun && begun < ROUND) {
				begin(&conns[i]);
				begun++;
			}
		mt_tls_lane_flush(lane);
		if (!mt_tls_lane_rung(lane))
			sched_yield();
		else
			mt_tls_lane_take(lane, 64, on_event, NULL);
	}
	return (others() - before) / ROUND;
}

/* ---- all variants -------------------------------------------------------------------------- */

static void make_contexts(void)
{
	static const char *const alpn[] = {"istio"}, *const domains[] = {BENCH_TRUST_DOMAIN};
	struct mt_tls_rules r = {.role = MT_TLS_SERVER,
		.trust_domains = domains,
		.n_trust_domains = 1,
		.alpn = alpn,
		.n_alpn = 1,
		.tickets = true};
	struct mt_err e;

	server_is = bench_credential("echo");
	client_is = bench_credential("client");
	r.credential = server_is;
	client_context = plain_context(client_is, false);
	library_context = plain_context(server_is, true);
	ours_context = mt_tls_context_new(&r, &e);
	if (!ours_context)
		bench_die("a TLS context", &e);
}

static double kilocycles(uint64_t ns)
{
	return (double)ns * (double)rte_get_tsc_hz() / 1e12;
}

static void measure(uint32_t rounds)
{
	uint64_t library = UINT64_MAX, inside = UINT64_MAX, thread = UINT64_MAX, ns;

	for (uint32_t i = 0; i < rounds; i++) {
		ns = in_line(true);
		library = MT_MIN(library, ns);
		ns = in_line(false);
		inside = MT_MIN(inside, ns);
		ns = by_thread();
		thread = MT_MIN(thread, ns);
	}
	printf("{\"bench\": \"handshake\", \"library\": \"%s\", \"library_kcycles\": %.0f, "
	       "\"in_line_kcycles\": %.0f, \"thread_kcycles\": %.0f, \"in_line_more_pct\": %.1f, "
	       "\"thread_more_pct\": %.1f}\n",
		mt_crypto_library(), kilocycles(library), kilocycles(inside), kilocycles(thread),
		100.0 * ((double)inside / (double)library - 1),
		100.0 * ((double)thread / (double)library - 1));
}

int main(int argc, char **argv)
{
	struct mt_tls_pool *pool;
	struct mt_eal_info info;
	struct mt_err e;

	bench_eal(MT_EAL_PAGES_OFF, 64, 1, &info);
	if (mt_pools_init(&pools, "b", 1023, 255, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		bench_die("no memory for mbufs", NULL);
	make_contexts();
	pool = mt_tls_pool_new(1, 1, &e);
	if (!pool)
		bench_die("threads", &e);
	lane = mt_tls_pool_lane(pool, 0);
	measure(argc > 1 ? (uint32_t)atoi(argv[1]) : ROUNDS);
	mt_tls_pool_free(pool);
	mt_tls_context_drop(ours_context);
	mt_tls_contexts_sweep();
	SSL_CTX_free(client_context);
	SSL_CTX_free(library_context);
	mt_credential_drop(server_is);
	mt_credential_drop(client_is);
	bench_authority_end();
	mt_eal_stop();
	return 0;
}
