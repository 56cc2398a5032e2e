/* SPDX-License-Identifier: Apache-2.0 */
/* The list of files that documents name. */
#include "conf_test.h"

#include "mt_conf_certificates.h"
#include "mt_conf_credentials_priv.h"

#include <stdlib.h>
#include <unistd.h>

static void note(struct mt_conf *c, const char *end, uint32_t n)
{
	char path[128];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/nonexistent/%u%s", i, end);
		mt_watched_note(c, path);
	}
}

/* A full list forgets files that are gone, and takes others again. */
static void test_full(void)
{
	struct mt_conf *c = calloc(1, sizeof(*c));
	char file[] = "/tmp/watched-XXXXXX";
	int fd = mkstemp(file);

	CU_ASSERT_TRUE_FATAL(c && fd >= 0);
	mt_watched_note(c, file);
	note(c, ".pem", 1000);
	CU_ASSERT_EQUAL(c->credentials.files.n, 1001);
	CU_ASSERT_FALSE(mt_conf_files_changed(c));
	CU_ASSERT_EQUAL(c->credentials.files.n, 1001);
	note(c, ".crt", MT_CONF_FILES_WATCHED);
	CU_ASSERT_EQUAL(c->credentials.files.n, MT_CONF_FILES_WATCHED);
	CU_ASSERT_FALSE(mt_conf_files_changed(c));
	CU_ASSERT_EQUAL(c->credentials.files.n, 1);
	CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
	CU_ASSERT_TRUE(mt_conf_files_changed(c));
	note(c, ".pem", 10);
	CU_ASSERT_EQUAL(c->credentials.files.n, 11);
	mt_watched_fini(c);
	close(fd);
	unlink(file);
	free(c);
}

const struct mt_test watched_tests[] = {{"full", test_full}, {0}};
