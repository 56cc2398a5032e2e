/* SPDX-License-Identifier: Apache-2.0 */
/* An agent at a unix socket, and what its responses may hold. */
#include "mt_identity_source.h"

#include "grpc/grpc_server.h"
#include "mt_ads.h"
#include "suites.h"
#include "tls/pki.h"

#include "discovery.pb-c.h"
#include "tls.pb-c.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ENVELOPE "type.googleapis.com/envoy.service.discovery.v3.Resource"

static struct {
	char dir[64], path[96];
	struct server server;
	struct mt_identity_source *src;
	uint64_t now;
	uint32_t changes, nonce;
} w;

static void changed(void *arg)
{
	(void)arg;
	w.changes++;
}

static void pass(uint32_t ms)
{
	for (uint32_t i = 0; i < ms / 10; i++) {
		mt_identity_source_turn(w.src, w.now += 10 * MT_MSEC);
		server_turn(&w.server);
	}
}

/* The server of the gRPC tests, at a path instead of a port. */
static void listen_at_path(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	server_start(&w.server, TELL, NULL);
	close(w.server.listener);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", w.path);
	w.server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CU_ASSERT_FATAL(bind(w.server.listener, (struct sockaddr *)&a, sizeof(a)) == 0);
	CU_ASSERT_FATAL(listen(w.server.listener, 8) == 0);
}

static void set_up(void)
{
	memset(&w, 0, sizeof(w));
	w.now = MT_SEC;
	strcpy(w.dir, "/tmp/mt-sds-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(w.dir));
	snprintf(w.path, sizeof(w.path), "%s/agent.sock", w.dir);
	listen_at_path();
	w.src = mt_identity_sds_new(w.path, NULL, "node", changed, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.src);
	for (int i = 0; i < 100 && !w.server.streams; i++)
		pass(10);
	CU_ASSERT_EQUAL_FATAL(w.server.streams, 1);
}

static void tear_down(void)
{
	mt_identity_source_free(w.src);
	server_stop(&w.server);
	unlink(w.path);
	rmdir(w.dir);
	pki_end();
}

/* A response with these resources, and what the agent's client makes of it. */
static void respond(Xds__Any **resources, size_t n)
{
	Xds__DiscoveryResponse r = XDS__DISCOVERY_RESPONSE__INIT;
	static uint8_t buf[65536];
	char nonce[16];

	snprintf(nonce, sizeof(nonce), "%u", ++w.nonce);
	r.type_url = (char *)mt_xds_url(MT_XDS_SDS);
	r.nonce = nonce;
	r.resources = resources;
	r.n_resources = n;
	CU_ASSERT_FATAL(protobuf_c_message_get_packed_size(&r.base) <= sizeof(buf));
	server_tell(&w.server, buf, protobuf_c_message_pack(&r.base, buf));
	pass(100);
}

static Xds__Any any_of(const char *type_url, const ProtobufCMessage *m, uint8_t *buf)
{
	Xds__Any any = XDS__ANY__INIT;

	any.type_url = (char *)type_url;
	any.value.data = buf;
	any.value.len = protobuf_c_message_pack(m, buf);
	return any;
}

static Xds__DataSource text_of(char *text)
{
	Xds__DataSource d = XDS__DATA_SOURCE__INIT;

	d.specifier_case = XDS__DATA_SOURCE__SPECIFIER_INLINE_STRING;
	d.inline_string = text;
	return d;
}

/* The node's own secret, and the roots. */
static void respond_with_secrets(const char *type_url)
{
	struct pki_node leaf = pki_make(&pki()->root, &(struct pki_how){.san = "URI:" PKI_BOB});
	char *chain = pki_pem((const X509 *const[]){leaf.cert}, 1), *key = pki_key(leaf.key);
	Xds__DataSource texts[] = {text_of(chain), text_of(key), text_of(pki()->roots)};
	Xds__TlsCertificate pair = XDS__TLS_CERTIFICATE__INIT;
	Xds__CertificateValidationContext trusted = XDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
	Xds__Secret own = XDS__SECRET__INIT, roots = XDS__SECRET__INIT;
	uint8_t bytes[2][16384];
	Xds__Any any[2];

	pair.certificate_chain = &texts[0];
	pair.private_key = &texts[1];
	trusted.trusted_ca = &texts[2];
	own.name = (char *)"default";
	own.type_case = XDS__SECRET__TYPE_TLS_CERTIFICATE;
	own.tls_certificate = &pair;
	roots.name = (char *)"ROOTCA";
	roots.type_case = XDS__SECRET__TYPE_VALIDATION_CONTEXT;
	roots.validation_context = &trusted;
	any[0] = any_of(type_url, &own.base, bytes[0]);
	any[1] = any_of(type_url, &roots.base, bytes[1]);
	respond((Xds__Any *[]){&any[0], &any[1]}, 2);
	free(chain);
	free(key);
	pki_free(&leaf);
}

/* An envelope that names a resource and holds none: agents send it to renew a time to live. */
static void respond_with_heartbeat(const char *name)
{
	Xds__Resource envelope = XDS__RESOURCE__INIT;
	uint8_t bytes[256];
	Xds__Any any;

	envelope.name = (char *)name;
	any = any_of(ENVELOPE, &envelope.base, bytes);
	respond((Xds__Any *[]){&any}, 1);
}

static void test_heartbeat(void)
{
	set_up();
	respond_with_heartbeat("default");
	CU_ASSERT_EQUAL(w.changes, 0);
	respond_with_secrets(mt_xds_url(MT_XDS_SDS));
	CU_ASSERT_EQUAL(w.changes, 1);
	respond_with_heartbeat("default");
	respond_with_heartbeat("ROOTCA");
	respond_with_heartbeat("other");
	CU_ASSERT_EQUAL(w.changes, 1);
	CU_ASSERT_EQUAL(mt_identity_source_serial(w.src), 1);
	CU_ASSERT_STRING_EQUAL(mt_identity_source_why(w.src), "");
	CU_ASSERT_EQUAL(w.server.streams, 1);
	tear_down();
}

/* Bytes that read well as a secret, and are called something else. */
static void test_another_type(void)
{
	set_up();
	respond_with_secrets(mt_xds_url(MT_XDS_CDS));
	CU_ASSERT_EQUAL(w.changes, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_identity_source_why(w.src), "is not a Secret"));
	respond_with_secrets(mt_xds_url(MT_XDS_SDS));
	CU_ASSERT_EQUAL(w.changes, 1);
	CU_ASSERT_STRING_EQUAL(mt_identity_source_why(w.src), "");
	tear_down();
}

const struct mt_test sds_tests[] = {{"a resource without a body", test_heartbeat},
	{"a resource of another type", test_another_type}, {0}};
