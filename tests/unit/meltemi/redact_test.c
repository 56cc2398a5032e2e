/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of private keys in texts of any form, also cut ones. */
#include "suites.h"

#include "support.h"

#include <string.h>

static void gives(const char *text, const char *want)
{
	struct redact *r = redact_new();
	char *got = redact_text(r, text);

	CU_ASSERT_STRING_EQUAL(got, want);
	free(got);
	redact_free(r);
}

static void test_keys(void)
{
	gives("a -----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY----- b", "a <redacted> b");
	gives("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMII");
	/* A line that was cut before another one. */
	gives("-----BEGIN -----BEGIN EC PRIVATE KEY-----\nMII\n-----END", "-----BEGIN <redacted>");
	gives("-----BEGIN ", "-----BEGIN ");
	gives("-----BEGIN -----", "-----BEGIN -----");
	gives("-----BEGIN PRIVATE KEY-----\nMII\n-----END ", "<redacted>");
}

const struct mt_test redact_tests[] = {{"keys", test_keys}, {0}};
