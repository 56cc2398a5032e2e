/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that are valid, and each way in which one is not. */
#include "issuer.h"
#include "mt_test.h"

#define NOW 1700000000

static struct mt_token_result found;

static enum mt_token_outcome verify(const struct mt_token_rules *r, const char *token)
{
	mt_token_verify(r, 1, token, strlen(token), NOW, &found);
	return found.outcome;
}

/* By its own set, for this audience. */
static enum mt_token_outcome signed_by(
	const struct issuer *i, const char *header, const char *claims, const char *audience)
{
	struct mt_jwks_store *s = mt_jwks_store_new();
	char *jwks = issuer_jwks(i), *token = issuer_sign(i, header, claims);
	struct mt_token_rules *r = one_rule(s, jwks, &audience, audience != NULL);
	enum mt_token_outcome o = verify(r, token);

	mt_token_rules_drop(r);
	mt_jwks_store_free(s);
	free(jwks);
	free(token);
	return o;
}

static enum mt_token_outcome claims(const char *text)
{
	return signed_by(issuer_of("ES256"), NULL, text, NULL);
}

static enum mt_token_outcome header(const char *text)
{
	return signed_by(issuer_of("ES256"), text, "{\"iss\":\"iss\"}", NULL);
}

static const char *const algorithms[] = {
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"};

static void test_algorithms(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(algorithms); i++) {
		const struct issuer *by = issuer_of(algorithms[i]);

		CU_ASSERT_EQUAL(signed_by(by, NULL, "{\"iss\":\"iss\",\"sub\":\"s\"}", NULL),
			MT_TOKEN_valid);
		CU_ASSERT(
			mt_slice_eq_str(mt_claims_text(&found.claims, found.claims.subject), "s"));
		CU_ASSERT_EQUAL(found.claims.expires, INT64_MAX);
	}
}

/* Any bit of the signature, the claims and the header. */
static void test_signature(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(algorithms); i++) {
		const struct issuer *by = issuer_of(algorithms[i]);
		struct mt_jwks_store *s = mt_jwks_store_new();
		char *jwks = issuer_jwks(by), *token = issuer_sign(by, NULL, "{\"iss\":\"iss\"}");
		struct mt_token_rules *r = one_rule(s, jwks, NULL, 0);
		char *sig = strrchr(token, '.') + 1, old;

		for (char *at = sig; at < sig + strlen(sig) - 1; at += 7) {
			old = *at;
			*at = old == 'A' ? 'B' : 'A';
			CU_ASSERT_EQUAL(verify(r, token), MT_TOKEN_signature);
			*at = old;
		}
		CU_ASSERT_EQUAL(verify(r, token), MT_TOKEN_valid);
		old = sig[-1];
		sig[0] = '\0';
		CU_ASSERT_EQUAL(verify(r, token), MT_TOKEN_malformed);
		mt_token_rules_drop(r);
		mt_jwks_store_free(s);
		free(jwks);
		free(token);
	}
}

/* A public key is no secret: HMAC by it is what who takes every algorithm would take. */
static void test_refused_algorithms(void)
{
	CU_ASSERT_EQUAL(header("{\"alg\":\"none\"}"), MT_TOKEN_algorithm);
	CU_ASSERT_EQUAL(header("{\"alg\":\"HS256\"}"), MT_TOKEN_algorithm);
	CU_ASSERT_EQUAL(header("{\"alg\":\"es256\"}"), MT_TOKEN_algorithm);
	CU_ASSERT_EQUAL(header("{\"alg\":\"\"}"), MT_TOKEN_algorithm);
	CU_ASSERT_EQUAL(header("{\"alg\":1}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(header("{}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(
		header("{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}"), MT_TOKEN_malformed);
	/* Another one than the key's. */
	CU_ASSERT_EQUAL(header("{\"alg\":\"ES384\"}"), MT_TOKEN_no_key);
	CU_ASSERT_EQUAL(header("{\"alg\":\"RS256\"}"), MT_TOKEN_no_key);
}

static void test_kid(void)
{
	CU_ASSERT_EQUAL(header("{\"alg\":\"ES256\"}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(header("{\"alg\":\"ES256\",\"kid\":\"\"}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(header("{\"alg\":\"ES256\",\"kid\":\"other\"}"), MT_TOKEN_no_key);
	CU_ASSERT_EQUAL(header("{\"alg\":\"ES256\",\"kid\":7}"), MT_TOKEN_malformed);
}

static void test_times(void)
{
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":1700000000}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(found.claims.expires, NOW + MT_TOKEN_SKEW);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":1699999940}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":1699999939}"), MT_TOKEN_expired);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":0}"), MT_TOKEN_expired);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":1e300}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"nbf\":1700000060}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"nbf\":1700000061}"), MT_TOKEN_not_yet);
	CU_ASSERT_EQUAL(found.until, NOW + 1);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"nbf\":1e300}"), MT_TOKEN_not_yet);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":\"never\"}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"exp\":-1}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"nbf\":true}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"iat\":\"x\"}"), MT_TOKEN_malformed);
}

static void test_claims(void)
{
	CU_ASSERT_EQUAL(claims("{}"), MT_TOKEN_issuer);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"other\"}"), MT_TOKEN_issuer);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss/\"}"), MT_TOKEN_issuer);
	CU_ASSERT_EQUAL(claims("{\"iss\":[\"iss\"]}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"sub\":1}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"iss\":\"other\"}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("[]"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\""), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"is\\u0000s\"}"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\"}"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(found.claims.subject.len, 0);
}

static enum mt_token_outcome aud(const char *of_token, const char *wanted)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"iss\":\"iss\",\"aud\":%s}", of_token);
	return signed_by(issuer_of("ES256"), NULL, text, wanted);
}

static void test_audiences(void)
{
	CU_ASSERT_EQUAL(aud("\"a\"", "a"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(aud("[\"x\",\"a\"]", "a"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(aud("\"x\"", "a"), MT_TOKEN_audience);
	CU_ASSERT_EQUAL(aud("[]", "a"), MT_TOKEN_audience);
	CU_ASSERT_EQUAL(aud("\"a/\"", "a"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(aud("\"a//\"", "a"), MT_TOKEN_audience);
	CU_ASSERT_EQUAL(aud("\"https://a\"", "http://a/"), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(aud("\"HTTPS://a\"", "a"), MT_TOKEN_audience);
	CU_ASSERT_EQUAL(aud("[\"a\",1]", "a"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(aud("{}", "a"), MT_TOKEN_malformed);
	CU_ASSERT_EQUAL(aud("\"x\"", NULL), MT_TOKEN_valid);
	CU_ASSERT_EQUAL(
		signed_by(issuer_of("ES256"), NULL, "{\"iss\":\"iss\"}", "a"), MT_TOKEN_audience);
}

static void test_form(void)
{
	static const char *const wrong[] = {"", ".", "..", "...", "e30.e30", "e30.e30.", "e30..e30",
		"e30.e30.e30.e30", "e30.e30.e30.e30.e30", "e3 0.e30.e30", "e30=.e30.e30",
		"e31.e30.e30", "W10.e30.e30", "e30.W10.e30", "e30\n.e30.e30", "Bearer e30.e30.e30"};
	struct mt_jwks_store *s = mt_jwks_store_new();
	char *jwks = issuer_jwks(issuer_of("ES256"));
	struct mt_token_rules *r = one_rule(s, jwks, NULL, 0);
	char *longer = calloc(1, MT_TOKEN_MAX + 2);

	for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++)
		CU_ASSERT_EQUAL(verify(r, wrong[i]), MT_TOKEN_malformed);
	memset(longer, 'e', MT_TOKEN_MAX);
	CU_ASSERT_EQUAL(verify(r, longer), MT_TOKEN_malformed);
	longer[MT_TOKEN_MAX] = 'e';
	CU_ASSERT_EQUAL(verify(r, longer), MT_TOKEN_too_long);
	mt_token_verify(r, 0, "e30.e30.e30", 11, NOW, &found);
	CU_ASSERT_EQUAL(found.outcome, MT_TOKEN_malformed);
	free(longer);
	mt_token_rules_drop(r);
	mt_jwks_store_free(s);
	free(jwks);
}

/* The vector of RFC 7515, appendix A.3: made by neither this program nor its library. */
static void test_vector(void)
{
	static const char jwks[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
				   "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
				   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";
	static const char token[] =
		"eyJhbGciOiJFUzI1NiJ9."
		"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb2"
		"90Ijp0cnVlfQ."
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
		"Kg6NU"
		"1Q";
	struct mt_jwks_store *s = mt_jwks_store_new();
	struct mt_token_rules *r = one_rule(s, jwks, NULL, 0);

	r->rules[0].issuer = "joe";
	mt_token_verify(r, 1, token, strlen(token), 1300819380, &found);
	CU_ASSERT_EQUAL(found.outcome, MT_TOKEN_valid);
	CU_ASSERT_EQUAL(found.claims.expires, 1300819380 + MT_TOKEN_SKEW);
	mt_token_verify(r, 1, token, strlen(token), NOW, &found);
	CU_ASSERT_EQUAL(found.outcome, MT_TOKEN_expired);
	/* Of a rule that does not look where it stood. */
	mt_token_verify(r, 2, token, strlen(token), 1300819380, &found);
	CU_ASSERT_EQUAL(found.outcome, MT_TOKEN_issuer);
	mt_token_rules_drop(r);
	mt_jwks_store_free(s);
}

/* ---- what it says ---------------------------------------------------------------------------------- */

static struct mt_slice path_of(const char *const *names, uint8_t path[MT_CLAIMS_PATH])
{
	uint32_t len = 0;

	for (; *names; names++)
		len = mt_claims_path(path, len, *names, (uint32_t)strlen(*names));
	return (struct mt_slice){path, len};
}

/* All values of a path, each with a blank behind it; what is no string in brackets. */
static const char *values(const char *const *names)
{
	static char text[8192];
	uint8_t path[MT_CLAIMS_PATH];
	struct mt_slice p = path_of(names, path);
	struct mt_claims_at at = {0};
	struct mt_claim c;
	size_t n = 0;

	text[0] = '\0';
	while (mt_claims_find(&found.claims, p, &at, &c))
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			c.kind == MT_CLAIM_STRING ? "%.*s " : "(%.*s) ", (int)c.value.len,
			(const char *)c.value.p);
	return text;
}

#define VALUES(...) values((const char *const[]){__VA_ARGS__, NULL})

static void test_flat(void)
{
	CU_ASSERT_EQUAL(claims("{\"iss\":\"iss\",\"aud\":[\"a\",\"b\"],\"n\":7,\"r\":1.5,\"neg\":-"
			       "3,\"t\":true,"
			       "\"z\":null,\"a\":{\"b\":\"x\",\"c\":[\"y\",2,[\"q\"],\"z\"]},\"a."
			       "b\":\"dot\","
			       "\"scope\":\" read  write\",\"words\":\"p q\",\"empty\":\"\"}"),
		MT_TOKEN_valid);
	CU_ASSERT_STRING_EQUAL(VALUES("aud"), "a b ");
	CU_ASSERT_STRING_EQUAL(VALUES("n"), "(7) ");
	CU_ASSERT_STRING_EQUAL(VALUES("r"), "(1.500000) ");
	CU_ASSERT_STRING_EQUAL(VALUES("neg"), "(-3.000000) ");
	CU_ASSERT_STRING_EQUAL(VALUES("t"), "(true) ");
	CU_ASSERT_STRING_EQUAL(VALUES("z"), "");
	CU_ASSERT_STRING_EQUAL(VALUES("a", "b"), "x ");
	CU_ASSERT_STRING_EQUAL(VALUES("a", "c"), "y z ");
	CU_ASSERT_STRING_EQUAL(VALUES("a"), "");
	CU_ASSERT_STRING_EQUAL(VALUES("a.b"), "dot ");
	CU_ASSERT_STRING_EQUAL(VALUES("scope"), "read write ");
	CU_ASSERT_STRING_EQUAL(VALUES("words"), "p q ");
	CU_ASSERT_STRING_EQUAL(VALUES("empty"), " ");
}

static void test_too_much(void)
{
	char *text = malloc(16384), *p = text;

	/* Deeper than is looked: not there, and no harm. */
	p += sprintf(p, "{\"iss\":\"iss\",\"d\":");
	for (int i = 0; i < 40; i++)
		p += sprintf(p, "{\"d\":");
	p += sprintf(p, "\"x\"");
	for (int i = 0; i < 40; i++)
		p += sprintf(p, "}");
	sprintf(p, "}");
	CU_ASSERT_EQUAL(claims(text), MT_TOKEN_valid);
	/* More values than a condition compares. */
	p = text + sprintf(text, "{\"iss\":\"iss\",\"g\":[");
	for (int i = 0; i < MT_CLAIMS_ENTRIES; i++)
		p += sprintf(p, "%s\"x\"", i ? "," : "");
	sprintf(p, "]}");
	CU_ASSERT_EQUAL(claims(text), MT_TOKEN_too_long);
	/* A name that each of its members' paths repeats. */
	p = text + sprintf(text, "{\"iss\":\"iss\",\"%0400d\":{", 0);
	for (int i = 0; i < 30; i++)
		p += sprintf(p, "%s\"n%d\":\"x\"", i ? "," : "", i);
	sprintf(p, "}}");
	CU_ASSERT_EQUAL(claims(text), MT_TOKEN_too_long);
	/* A path of its own that is too long. */
	sprintf(text, "{\"iss\":\"iss\",\"%0600d\":1}", 0);
	CU_ASSERT_EQUAL(claims(text), MT_TOKEN_too_long);
	free(text);
}

/* Writes a list of so many; its length. */
static size_t roles(char *text, uint32_t n)
{
	size_t len = (size_t)sprintf(text, "[");

	for (uint32_t i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "%s\"r%04u\"", i ? "," : "", i);
	return len + (size_t)sprintf(text + len, "]");
}

/* A list stores its path once, at any depth, so that the roles of the longest token fit. */
static void test_lists(void)
{
	static const uint32_t counts[] = {1, 200, 340, 700};
	static char text[16384];
	char want[8] = "", *p;

	for (size_t i = 0; i < MT_ARRAY_LEN(counts); i++) {
		p = text + sprintf(text, "{\"iss\":\"iss\",\"sub\":\"s\",\"realm_access\":{"
					 "\"some\":\"one\",\"roles\":");
		p += roles(p, counts[i]);
		sprintf(p, "},\"groups\":[\"a\",\"b\"]}");
		CU_ASSERT_EQUAL(claims(text), MT_TOKEN_valid);
		CU_ASSERT_EQUAL(strlen(VALUES("realm_access", "roles")), 6u * counts[i]);
		snprintf(want, sizeof(want), "r%04u ", counts[i] - 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(VALUES("realm_access", "roles"), want));
		CU_ASSERT_STRING_EQUAL(VALUES("realm_access", "some"), "one ");
		CU_ASSERT_STRING_EQUAL(VALUES("groups"), "a b ");
		CU_ASSERT(
			mt_slice_eq_str(mt_claims_text(&found.claims, found.claims.subject), "s"));
	}
}

/* As Keycloak writes them: roles of the realm and of each client. */
static void test_keycloak(void)
{
	static char text[16384];
	char *p;

	for (uint32_t clients = 5; clients <= 60; clients += 11) {
		p = text + sprintf(text,
				   "{\"exp\":1700000300,\"iat\":1700000000,\"jti\":\"4a2f7\","
				   "\"iss\":\"iss\",\"aud\":[\"shop\",\"account\"],\"sub\":\"f:1\","
				   "\"typ\":\"Bearer\",\"azp\":\"shop\",\"scope\":\"openid email\","
				   "\"email_verified\":true,\"realm_access\":{\"roles\":");
		p += roles(p, 100);
		p = stpcpy(p, "},\"resource_access\":{");
		for (uint32_t i = 0; i < clients; i++)
			p += sprintf(p, "%s\"client-%02u\":{\"roles\":[\"view\",\"manage-it\"]}",
				i ? "," : "", i);
		sprintf(p, "}}");
		CU_ASSERT_EQUAL(claims(text), MT_TOKEN_valid);
		CU_ASSERT_STRING_EQUAL(
			VALUES("resource_access", "client-04", "roles"), "view manage-it ");
		CU_ASSERT_STRING_EQUAL(VALUES("scope"), "openid email ");
	}
}

/* ---- where it stands ------------------------------------------------------------------------------- */

static const char *in(const char *prefix, const char *value)
{
	static char text[64];
	struct mt_slice t, v = {(const uint8_t *)value, (uint32_t)strlen(value)};

	if (!mt_token_in(prefix, v, &t))
		return NULL;
	snprintf(text, sizeof(text), "%.*s", (int)t.len, (const char *)t.p);
	return text;
}

static void test_in(void)
{
	CU_ASSERT_STRING_EQUAL(in("Bearer ", "Bearer a.b.c"), "a.b.c");
	CU_ASSERT_STRING_EQUAL(in("Bearer ", "bearer   a.b.c"), "a.b.c");
	CU_ASSERT_STRING_EQUAL(in("Bearer ", "Basic x, Bearer a.b.c"), "a.b.c");
	CU_ASSERT_STRING_EQUAL(in("Bearer ", "Bearer a.b.c, more"), "a.b.c, more");
	CU_ASSERT_STRING_EQUAL(in("Bearer ", "Bearer "), "Bearer ");
	CU_ASSERT_STRING_EQUAL(in("", "a.b.c"), "a.b.c");
	CU_ASSERT_STRING_EQUAL(in("", ""), "");
	CU_ASSERT_PTR_NULL(in("Bearer ", "Basic x"));
	CU_ASSERT_PTR_NULL(in("Bearer ", "Bearer"));
	CU_ASSERT_PTR_NULL(in("Bearer ", ""));
}

const struct mt_test token_tests[] = {{"each algorithm", test_algorithms},
	{"a wrong signature", test_signature},
	{"algorithms that are not taken", test_refused_algorithms}, {"kid", test_kid},
	{"times", test_times}, {"claims", test_claims}, {"audiences", test_audiences},
	{"form", test_form}, {"RFC 7515 A.3", test_vector}, {"what it says", test_flat},
	{"more than there is room for", test_too_much}, {"long lists", test_lists},
	{"claims as of Keycloak", test_keycloak}, {"where it stands", test_in}, {0}};
