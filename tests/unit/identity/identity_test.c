/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An identity over its life, against an authority that means well, refuses, or is away. Sockets are real, time is
 * virtual.
 */
#include "mt_identity.h"

#include "grpc/grpc_server.h"
#include "mt_cert.h"
#include "mt_credential.h"
#include "mt_file.h"
#include "heap_used.h"
#include "suites.h"

#include "istio_ca.pb-c.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define URI	  "spiffe://cluster.local/ns/shop/sa/vm"
#define LIFETIME  3600
#define WHOLE_DAY 86400

/* The directory, its owner and the authority; one at a time. */
static struct {
	struct identity ca, server_id;
	struct server server;
	char dir[64];
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_secrets *secrets;
	struct mt_identity *id;
	struct mt_rand rng;
	uint64_t now;
	int64_t wall, start; /* Unix, s */
	const char *sign_for;
	int64_t dated_back; /* s */
	const struct identity *signer;
	uint32_t signed_by_certificate, signed_by_token;
	int64_t lifetime; /* s; 0: LIFETIME */
	uint32_t ttl;	  /* that identity.json asks for; s; 0: nothing */
} w;

/* ---- the authority -------------------------------------------------------------------------------- */

static char *sign(X509_REQ *req)
{
	X509 *x = X509_new();
	X509_EXTENSION *names;
	char san[128], *text = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n;

	snprintf(san, sizeof(san), "URI:%s", w.sign_for);
	names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(
		X509_get_serialNumber(x), (long)(w.signed_by_certificate + w.signed_by_token + 7));
	ASN1_TIME_set(X509_getm_notBefore(x), w.wall - w.dated_back);
	ASN1_TIME_set(X509_getm_notAfter(x), w.wall + (w.lifetime ? w.lifetime : LIFETIME));
	X509_set_issuer_name(x, X509_get_subject_name(w.signer->cert));
	X509_set_pubkey(x, X509_REQ_get0_pubkey(req));
	X509_add_ext(x, names, -1);
	X509_sign(x, w.signer->key, EVP_sha256());
	PEM_write_bio_X509(bio, x);
	n = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)n);
	X509_EXTENSION_free(names);
	X509_free(x);
	BIO_free(bio);
	return text;
}

/* The request in the server's body becomes the answer. */
static void certify(struct server *s)
{
	Xds__IstioCertificateRequest *q =
		xds__istio_certificate_request__unpack(NULL, s->have - 5, s->body + 5);
	Xds__IstioCertificateResponse a = XDS__ISTIO_CERTIFICATE_RESPONSE__INIT;
	BIO *bio = BIO_new_mem_buf(q->csr, -1);
	X509_REQ *req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	X509 *peer = SSL_get1_peer_certificate(s->ssl);
	char *chain[2];
	size_t len;

	CU_ASSERT_EQUAL(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	CU_ASSERT_EQUAL(q->validity_duration, w.ttl ? w.ttl : WHOLE_DAY);
	if (peer)
		w.signed_by_certificate++;
	else if (strncmp(s->authorization, "Bearer e30.", 11) == 0)
		w.signed_by_token++;
	CU_ASSERT_TRUE(!peer || !s->authorization[0]);
	chain[0] = sign(req);
	chain[1] = w.signer->cert_pem;
	a.cert_chain = chain;
	a.n_cert_chain = 2;
	len = xds__istio_certificate_response__get_packed_size(&a);
	s->body = realloc(s->body, len + 5);
	s->room = s->have = len + 5;
	memcpy(s->body, (uint8_t[]){0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len}, 5);
	xds__istio_certificate_response__pack(&a, s->body + 5);
	s->authorization[0] = '\0';
	free(chain[0]);
	X509_free(peer);
	X509_REQ_free(req);
	BIO_free(bio);
	xds__istio_certificate_request__free_unpacked(q, NULL);
}

static SSL_CTX *optional_clients(void)
{
	SSL_CTX *ctx = server_tls(&w.server_id, &w.ca);

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* Theirs are of the tests' time. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_NO_CHECK_TIME);
	return ctx;
}

/* ---- the world ------------------------------------------------------------------------------------ */

static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", w.dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_file_replace(in_dir(name), text, strlen(text), 0600, &e), 0);
}

/* A token that expires at the time, unsigned: only the authority would look at the signature. */
static void put_token(int64_t expires)
{
	char claims[64], text[128] = "e30.";
	unsigned char base64[128];
	size_t n;

	snprintf(claims, sizeof(claims), "{\"exp\":%lld,\"pad\":\"\"}", (long long)expires);
	EVP_EncodeBlock(base64, (unsigned char *)claims, (int)strlen(claims));
	n = strcspn((char *)base64, "=");
	snprintf(text + 4, sizeof(text) - 4, "%.*s.AA\n", (int)n, base64);
	put(MT_IDENTITY_TOKEN, text);
}

/* A root that outlives the tests' virtual hours. */
static void make_root(void)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n;

	w.ca = identity_new(NULL, "DNS:root");
	X509_gmtime_adj(X509_getm_notAfter(w.ca.cert), 40 * WHOLE_DAY);
	CU_ASSERT_FATAL(X509_sign(w.ca.cert, w.ca.key, EVP_sha256()) > 0);
	PEM_write_bio_X509(bio, w.ca.cert);
	n = BIO_get_mem_data(bio, &data);
	free(w.ca.cert_pem);
	w.ca.cert_pem = strndup(data, (size_t)n);
	BIO_free(bio);
}

static void begin(void)
{
	struct mt_identity_conf c = {.server_name = "istiod.test", .uri = URI, .cluster_id = "k"};
	struct mt_err e;

	memset(&w, 0, sizeof(w));
	w.now = MT_SEC;
	w.start = w.wall = time(NULL);
	w.sign_for = URI;
	w.dated_back = 10;
	mt_rand_seed(&w.rng, 5);
	make_root();
	w.signer = &w.ca;
	w.server_id = identity_new(&w.ca, "DNS:istiod.test");
	server_start(&w.server, ECHO, optional_clients());
	w.server.on_end = certify;
	strcpy(w.dir, "/tmp/meltemi-identity-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(w.dir));
	snprintf(c.ca, sizeof(c.ca), "127.0.0.1:%u", w.server.port);
	CU_ASSERT_EQUAL(mt_identity_conf_write(in_dir(MT_IDENTITY_CONF), &c, &e), 0);
	put(MT_IDENTITY_ROOTS, w.ca.cert_pem);
	put_token(w.wall + 3600);
	CU_ASSERT_EQUAL(mt_fds_init(&w.fds), 0);
	w.names = mt_resolver_new(&w.fds, &e);
	w.secrets = mt_secrets_new();
	mt_log_set_level(MT_LOG_ERROR);
}

static void open_identity(void)
{
	struct mt_err e;

	w.id = mt_identity_open(&w.fds, w.names, w.secrets, NULL, w.dir, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.id);
}

static void end(void)
{
	static const char *const files[] = {
		MT_IDENTITY_CONF, MT_IDENTITY_FILE, MT_IDENTITY_ROOTS, MT_IDENTITY_TOKEN};

	mt_identity_free(w.id);
	mt_secrets_free(w.secrets);
	mt_resolver_free(w.names);
	mt_fds_fini(&w.fds);
	server_stop(&w.server);
	for (size_t i = 0; i < MT_ARRAY_LEN(files); i++)
		unlink(in_dir(files[i]));
	CU_ASSERT_EQUAL(rmdir(w.dir), 0);
	identity_free(&w.server_id);
	identity_free(&w.ca);
	mt_log_set_level(MT_LOG_INFO);
}

/* Turns without time passing until the state is reached. */
static void run_until(enum mt_renew_state state)
{
	for (int i = 0; i < 5000 && (i < 3 || mt_identity_renew(w.id)->state != state); i++) {
		mt_identity_turn(w.id, w.now, (uint64_t)w.wall * MT_SEC, &w.rng);
		server_turn(&w.server);
		mt_fds_dispatch(&w.fds, 8, mt_identity_renew(w.id)->state == state ? 0 : 1);
	}
	CU_ASSERT_EQUAL_FATAL(mt_identity_renew(w.id)->state, state);
}

static void pass(int64_t s)
{
	w.now += (uint64_t)s * MT_SEC;
	w.wall += s;
	mt_secrets_turn(w.secrets, w.now);
	mt_identity_turn(w.id, w.now, (uint64_t)w.wall * MT_SEC, &w.rng);
}

static uint64_t serial_of(const char *name)
{
	struct mt_err e;
	const struct mt_secret *s = mt_secrets_hold(w.secrets, name, &e);
	uint64_t serial = s ? s->serial : 0;

	mt_secret_drop(s);
	return serial;
}

/* ---- a month ----------------------------------------------------------------------------------- */

static void asked_for_as_joined(void)
{
	struct mt_identity_conf c;
	struct mt_err e;

	begin();
	CU_ASSERT_EQUAL(mt_identity_conf_read(in_dir(MT_IDENTITY_CONF), &c, &e), 0);
	CU_ASSERT_EQUAL(c.ttl_s, 0);
	w.ttl = c.ttl_s = 7200;
	CU_ASSERT_EQUAL(mt_identity_conf_write(in_dir(MT_IDENTITY_CONF), &c, &e), 0);
	open_identity();
	run_until(MT_RENEW_GOOD);
	pass(LIFETIME * 85 / 100);
	run_until(MT_RENEW_GOOD);
	CU_ASSERT_EQUAL(w.signed_by_token + w.signed_by_certificate, 2);
	c.ttl_s = 59;
	CU_ASSERT_EQUAL(mt_identity_conf_write(in_dir(MT_IDENTITY_CONF), &c, &e), 0);
	CU_ASSERT_NOT_EQUAL(mt_identity_conf_read(in_dir(MT_IDENTITY_CONF), &c, &e), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "ttl_s: it is not between"));
	end();
}

#define STEP 600

/* Ten minutes later; whether the certificate that is in force is valid then. */
static bool is_valid_later(void)
{
	pass(STEP);
	if (mt_identity_renew(w.id)->state != MT_RENEW_GOOD)
		run_until(MT_RENEW_GOOD);
	return w.wall < mt_identity_renew(w.id)->not_after;
}

/* Clocks that are set: by an hour on, by two back, and beyond the end of the certificate, when the token helps. */
static void set_clock(int day)
{
	static const int64_t by[30] = {[7] = 3600, [13] = -7200, [20] = 30 * 3600};

	w.wall += by[day];
	put_token(w.wall + WHOLE_DAY);
	if (by[day] > WHOLE_DAY)
		CU_ASSERT_TRUE(w.wall > mt_identity_renew(w.id)->not_after);
}

/* Thirty days of certificates that live for one: each is renewed in time, and memory does not grow. */
static void thirty_days(void)
{
	uint32_t invalid = 0;
	size_t held = 0;

	begin();
	w.lifetime = WHOLE_DAY;
	open_identity();
	run_until(MT_RENEW_GOOD);
	for (int day = 0; day < 30; day++) {
		set_clock(day);
		for (int i = 0; i < WHOLE_DAY / STEP; i++)
			invalid += !is_valid_later();
		if (day == 5)
			held = heap_used();
	}
	CU_ASSERT_EQUAL(invalid, 0);
	/* Less than two connections that stayed; what the allocator keeps at hand counts as well. */
	CU_ASSERT_TRUE(heap_used() < held + (128u << 10));
	CU_ASSERT_TRUE(
		mt_identity_renew(w.id)->renewals >= 36 && mt_identity_renew(w.id)->renewals <= 48);
	CU_ASSERT_EQUAL(w.signed_by_token, 2);
	end();
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static void the_token_first_then_the_certificate(void)
{
	uint64_t first, second;
	struct stat st;
	char buf[300];

	begin();
	open_identity();
	CU_ASSERT_STRING_EQUAL(mt_identity_uri(w.id), URI);
	CU_ASSERT_EQUAL(serial_of(MT_SECRET_IDENTITY), 0);
	CU_ASSERT_NOT_EQUAL(serial_of(MT_SECRET_ROOTS), 0);
	run_until(MT_RENEW_GOOD);
	first = serial_of(MT_SECRET_IDENTITY);
	CU_ASSERT_NOT_EQUAL(first, 0);
	CU_ASSERT_EQUAL(w.signed_by_token, 1);
	CU_ASSERT_EQUAL(stat(in_dir(MT_IDENTITY_FILE), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	/* The file that was written is no news. */
	for (int i = 0; i < 10; i++)
		pass(1);
	CU_ASSERT_EQUAL(serial_of(MT_SECRET_IDENTITY), first);
	mt_identity_words(w.id, w.now, (uint64_t)w.wall * MT_SEC, buf, sizeof(buf));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "valid for 59 min 50 s, renewed in"));
	/* At 80 % of its life, and with an expired token. */
	pass(LIFETIME * 85 / 100);
	put_token(w.wall - 1);
	run_until(MT_RENEW_GOOD);
	second = serial_of(MT_SECRET_IDENTITY);
	CU_ASSERT_NOT_EQUAL(second, first);
	CU_ASSERT_EQUAL(w.signed_by_certificate, 1);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->renewals, 2);
	/* A restart finds it, and asks nobody. */
	mt_identity_free(w.id);
	open_identity();
	pass(10);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->state, MT_RENEW_GOOD);
	CU_ASSERT_EQUAL(w.server.streams, 2);
	end();
}

static void failures_leave_what_is_there(void)
{
	uint64_t serial;
	char buf[400];

	begin();
	open_identity();
	run_until(MT_RENEW_GOOD);
	serial = serial_of(MT_SECRET_IDENTITY);
	/* Refused, signed for somebody else, away: each is told, none changes anything. */
	w.server.manner = REFUSE;
	pass(LIFETIME * 85 / 100);
	run_until(MT_RENEW_WAITING);
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_renew(w.id)->why.text, "not for you"));
	w.server.manner = ECHO;
	w.sign_for = "spiffe://cluster.local/ns/other/sa/vm";
	pass(5);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->state, MT_RENEW_ASKING);
	run_until(MT_RENEW_WAITING);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(mt_identity_renew(w.id)->why.text, "/ns/other/sa/vm, not for"));
	w.server.manner = SILENT;
	server_hang_up(&w.server);
	pass(60);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->state, MT_RENEW_ASKING);
	pass(31);
	run_until(MT_RENEW_WAITING);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->failures, 3);
	CU_ASSERT_EQUAL(serial_of(MT_SECRET_IDENTITY), serial);
	/* After the end of certificate and token there is nothing left to ask with. */
	put_token(w.wall + 1);
	pass(LIFETIME);
	run_until(MT_RENEW_WAITING);
	mt_identity_words(w.id, w.now, (uint64_t)w.wall * MT_SEC, buf, sizeof(buf));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "expired"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "run meltemi join with a new bundle"));
	CU_ASSERT_EQUAL(serial_of(MT_SECRET_IDENTITY), serial);
	/* A new token is found by itself. */
	put_token(w.wall + 7200);
	w.server.manner = ECHO;
	w.sign_for = URI;
	server_hang_up(&w.server);
	pass(300);
	run_until(MT_RENEW_GOOD);
	CU_ASSERT_NOT_EQUAL(serial_of(MT_SECRET_IDENTITY), serial);
	/* For us, for somebody else, for us. */
	CU_ASSERT_EQUAL(w.signed_by_token, 3);
	end();
}

static void a_disk_that_is_full(void)
{
	struct stat st;

	begin();
	open_identity();
	/* Stands where the new file would be written. */
	CU_ASSERT_EQUAL_FATAL(mkdir(in_dir("." MT_IDENTITY_FILE ".new"), 0700), 0);
	run_until(MT_RENEW_GOOD);
	CU_ASSERT_NOT_EQUAL(serial_of(MT_SECRET_IDENTITY), 0);
	CU_ASSERT_NOT_EQUAL(stat(in_dir(MT_IDENTITY_FILE), &st), 0);
	pass(61);
	CU_ASSERT_NOT_EQUAL(stat(in_dir(MT_IDENTITY_FILE), &st), 0);
	rmdir(in_dir("." MT_IDENTITY_FILE ".new"));
	pass(61);
	CU_ASSERT_EQUAL(stat(in_dir(MT_IDENTITY_FILE), &st), 0);
	CU_ASSERT_EQUAL(w.signed_by_token, 1);
	end();
}

static void somebody_else_writes_the_files(void)
{
	struct identity other;
	uint64_t serial, roots;
	struct mt_err e;
	char *both;

	begin();
	open_identity();
	run_until(MT_RENEW_GOOD);
	serial = serial_of(MT_SECRET_IDENTITY);
	roots = serial_of(MT_SECRET_ROOTS);
	other = identity_new(&w.ca, "URI:" URI);
	CU_ASSERT_EQUAL(
		mt_identity_save(in_dir(MT_IDENTITY_FILE), other.cert_pem, other.key_pem, &e), 0);
	pass(2);
	CU_ASSERT_NOT_EQUAL(serial_of(MT_SECRET_IDENTITY), serial);
	serial = serial_of(MT_SECRET_IDENTITY);
	/* Garbage is not taken over; a further root is. */
	put(MT_IDENTITY_FILE, "garbage");
	CU_ASSERT_TRUE(asprintf(&both, "%s%s", w.ca.cert_pem, other.cert_pem) > 0);
	put(MT_IDENTITY_ROOTS, both);
	pass(2);
	CU_ASSERT_EQUAL(serial_of(MT_SECRET_IDENTITY), serial);
	CU_ASSERT_NOT_EQUAL(serial_of(MT_SECRET_ROOTS), roots);
	free(both);
	identity_free(&other);
	end();
}

/* Istio's authority dates back by two minutes; of a life of four that must not count as half. */
static void a_certificate_that_is_dated_back(void)
{
	begin();
	w.dated_back = LIFETIME * 19;
	open_identity();
	run_until(MT_RENEW_GOOD);
	for (int i = 0; i < 60; i++)
		pass(LIFETIME / 100);
	CU_ASSERT_EQUAL(w.signed_by_token, 1);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->state, MT_RENEW_GOOD);
	end();
}

/* The authority signs by a new root, which only its answer shows; its own certificate is of the old one still. */
static void a_mesh_changes_its_root(void)
{
	struct identity next;
	const struct mt_secret *roots;
	uint64_t serial;
	struct mt_err e;
	char *text;
	size_t len;

	begin();
	open_identity();
	run_until(MT_RENEW_GOOD);
	next = identity_new(NULL, "DNS:next");
	w.signer = &next;
	serial = serial_of(MT_SECRET_ROOTS);
	pass(LIFETIME * 85 / 100);
	run_until(MT_RENEW_GOOD);
	CU_ASSERT_EQUAL(mt_identity_renew(w.id)->renewals, 2);
	CU_ASSERT_NOT_EQUAL(serial_of(MT_SECRET_ROOTS), serial);
	roots = mt_secrets_hold(w.secrets, MT_SECRET_ROOTS, &e);
	CU_ASSERT_EQUAL(mt_cert_count(roots->roots), 2);
	CU_ASSERT_EQUAL(
		mt_file_read(in_dir(MT_IDENTITY_ROOTS), MT_FILE_SMALL, 0, &text, &len, &e), 0);
	CU_ASSERT_STRING_EQUAL(text, roots->roots);
	serial = roots->serial;
	mt_secret_drop(roots);
	free(text);
	/* What was written is no news, and the same root again is none. */
	pass(5);
	CU_ASSERT_EQUAL(serial_of(MT_SECRET_ROOTS), serial);
	/* Neither a first certificate nor one that is no authority becomes a root. */
	CU_ASSERT_TRUE(asprintf(&text, "%s%s", next.cert_pem, w.server_id.cert_pem) > 0);
	CU_ASSERT_PTR_NULL(mt_cert_merge(w.ca.cert_pem, text, w.wall));
	free(text);
	identity_free(&next);
	w.signer = &w.ca;
	end();
}

static void directories_that_are_no_identity(void)
{
	static const struct {
		const char *file, *text, *words;
	} t[] = {{MT_IDENTITY_CONF, "{", "it is not a JSON object"},
		{MT_IDENTITY_CONF, "{}", "version"},
		{MT_IDENTITY_CONF, "{\"version\":1,\"ca\":\"a:1\",\"server_name\":\"x\"}",
			"uri: it is not there"},
		{MT_IDENTITY_ROOTS, "x", "the roots hold no PEM certificate"}};
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		begin();
		put(t[i].file, t[i].text);
		CU_ASSERT_PTR_NULL(mt_identity_open(&w.fds, w.names, w.secrets, NULL, w.dir, &e));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].words));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].file));
		end();
	}
}

/* Before there is a loop: what a node wrote when it ran last. */
static void peeked_at(void)
{
	struct mt_credential *c;
	const struct mt_secret *now;
	struct mt_credential_leaf leaf;
	struct mt_cert said;
	struct mt_err e;

	begin();
	CU_ASSERT_PTR_NULL(mt_identity_peek(w.dir, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, MT_IDENTITY_FILE ": No such file"));
	open_identity();
	run_until(MT_RENEW_GOOD);
	c = mt_identity_peek(w.dir, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	now = mt_secrets_hold(w.secrets, MT_SECRET_IDENTITY, &e);
	CU_ASSERT_EQUAL(mt_cert_read(now->chain, 0, &said, &e), 0);
	CU_ASSERT_TRUE(mt_credential_leaf(c, &leaf));
	CU_ASSERT_STRING_EQUAL(leaf.principal, said.uri);
	CU_ASSERT_EQUAL(c->not_after, now->not_after);
	CU_ASSERT_PTR_NOT_NULL(c->trust);
	mt_secret_drop(now);
	mt_credential_drop(c);
	put(MT_IDENTITY_ROOTS, "x");
	CU_ASSERT_PTR_NULL(mt_identity_peek(w.dir, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "the roots hold no PEM certificate"));
	end();
}

const struct mt_test identity_tests[] = {{"peeked_at", peeked_at},
	{"the_token_first_then_the_certificate", the_token_first_then_the_certificate},
	{"failures_leave_what_is_there", failures_leave_what_is_there},
	{"a_disk_that_is_full", a_disk_that_is_full},
	{"somebody_else_writes_the_files", somebody_else_writes_the_files},
	{"a_certificate_that_is_dated_back", a_certificate_that_is_dated_back},
	{"a_mesh_changes_its_root", a_mesh_changes_its_root},
	{"directories_that_are_no_identity", directories_that_are_no_identity},
	{"asked_for_as_joined", asked_for_as_joined}, {"thirty_days", thirty_days}, {0}};
