/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from secrets: the handshakes of RFC 8448. */
#include "mt_tls_kdf.h"
#include "tls_test.h"

static bool is_hex(const uint8_t *p, const char *hex)
{
	uint8_t want[64];

	return memcmp(p, want, tls_unhex(hex, want)) == 0;
}

/* RFC 8448 §3. */
static void test_traffic_keys(void)
{
	struct mt_tls_half server = {.seq = 7}, client = {.seq = 9};

	tls_unhex(
		"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643", server.secret);
	tls_unhex(
		"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", client.secret);
	CU_ASSERT_EQUAL(mt_tls_traffic_key(&server, MT_TLS_AES_128_GCM, MT_TLS_SHA256), 0);
	CU_ASSERT_EQUAL(mt_tls_traffic_key(&client, MT_TLS_AES_128_GCM, MT_TLS_SHA256), 0);
	CU_ASSERT_TRUE(is_hex(server.key, "9f02283b6c9c07efc26bb9f2ac92e356"));
	CU_ASSERT_TRUE(is_hex(server.iv, "cf782b88dd83549aadf1e984"));
	CU_ASSERT_TRUE(is_hex(client.key, "17422dda596ed5d9acd890e3c63f5051"));
	CU_ASSERT_TRUE(is_hex(client.iv, "5b78923dee08579033e523d9"));
	CU_ASSERT_EQUAL(server.seq, 0);
}

/* A secret of 48 bytes, and what follows it; computed by another implementation of HMAC. */
static void test_next_secret(void)
{
	struct mt_tls_half half = {.seq = 5};

	for (uint32_t i = 0; i < sizeof(half.secret); i++)
		half.secret[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(mt_tls_next_secret(&half, MT_TLS_AES_256_GCM, MT_TLS_SHA384), 0);
	CU_ASSERT_TRUE(is_hex(half.secret, "401331b63e9d59f202e8f041042d9516f4cd7fa2e2ee14631d3b49f"
					   "c340d7af37fc2c0c9f252d8036f81ec5b85cbe5db"));
	CU_ASSERT_TRUE(is_hex(
		half.key, "eb354f3b48924ed78de34dd8aa6a6a0a51d857ddad1454d5cfa7b69f60712911"));
	CU_ASSERT_TRUE(is_hex(half.iv, "8478ffbe4f2e5450789775b3"));
	CU_ASSERT_EQUAL(half.seq, 0);
	for (uint32_t i = 0; i < sizeof(half.secret); i++)
		half.secret[i] = (uint8_t)i;
	CU_ASSERT_EQUAL(mt_tls_next_secret(&half, MT_TLS_CHACHA20_POLY1305, MT_TLS_SHA256), 0);
	CU_ASSERT_TRUE(is_hex(
		half.secret, "2cecd0a17506ef5fa73edc062d6e7b5397cf074ec1b4d8f99a120772932f0b45"));
	CU_ASSERT_TRUE(is_hex(
		half.key, "c690ede9a7525f64b759094f3bda2da3b5b52e50cffacd89a37bdf85affdd091"));
}

const struct mt_test kdf_tests[] = {
	{"traffic keys", test_traffic_keys}, {"the next secret", test_next_secret}, {0}};
