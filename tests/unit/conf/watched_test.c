/* SPDX-License-Identifier: Apache-2.0 */
/* The list of files that documents name. */
#include "conf_test.h"

#include "mt_conf_certificates.h"
#include "mt_conf_credentials_priv.h"

#include <stdlib.h>
#include <unistd.h>

static void note(struct mt_conf *c, const char *ns, const char *end, uint32_t n)
{
	char path[128];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/nonexistent/%u%s", i, end);
		mt_watched_note(c, ns, path);
	}
}

/* Files that no build has named since the published one leave the list. */
static void forgotten(void)
{
	struct mt_conf *c = calloc(1, sizeof(*c));
	char file[] = "/tmp/watched-XXXXXX";
	int fd = mkstemp(file);

	CU_ASSERT_TRUE_FATAL(c && fd >= 0);
	c->credentials.turn = 1;
	mt_watched_note(c, NULL, file);
	note(c, "a", ".pem", 1000);
	CU_ASSERT_EQUAL(c->credentials.files.n, 1001);
	CU_ASSERT_FALSE(mt_conf_files_changed(c));
	mt_watched_forget(c, 1);
	CU_ASSERT_EQUAL(c->credentials.files.n, 1001);
	/* Built, and not published. */
	c->credentials.turn = 2;
	mt_watched_note(c, NULL, file);
	mt_watched_forget(c, 1);
	CU_ASSERT_EQUAL(c->credentials.files.n, 1001);
	mt_watched_forget(c, 2);
	CU_ASSERT_EQUAL(c->credentials.files.n, 1);
	CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
	CU_ASSERT_TRUE(mt_conf_files_changed(c));
	CU_ASSERT_FALSE(mt_conf_files_changed(c));
	mt_watched_fini(c);
	close(fd);
	unlink(file);
	free(c);
}

/* A file has one place, however its path is spelled. */
static void spellings(void)
{
	static const char *const paths[] = {"/x/y/z.pem", "/x//y/z.pem", "//x/./y/./z.pem",
		"/./x/y/z.pem", "/x/y/z.pem/", "/x/y///./z.pem//."};
	struct mt_conf *c = calloc(1, sizeof(*c));

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++)
		mt_watched_note(c, "a", paths[i]);
	CU_ASSERT_EQUAL(c->credentials.files.n, 1);
	CU_ASSERT_PTR_NOT_NULL(mt_strmap_get(&c->credentials.files, "/x/y/z.pem"));
	mt_watched_note(c, "a", "/x/y/../y/z.pem");
	mt_watched_note(c, "a", "/x/.y/..z.pem");
	CU_ASSERT_EQUAL(c->credentials.files.n, 3);
	CU_ASSERT_PTR_NOT_NULL(mt_strmap_get(&c->credentials.files, "/x/.y/..z.pem"));
	mt_watched_fini(c);
	free(c);
}

static uint32_t watched(struct mt_conf *c, const char *end, uint32_t n)
{
	uint32_t found = 0;
	char path[128];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/nonexistent/%u%s", i, end);
		found += mt_strmap_get(&c->credentials.files, path) != NULL;
	}
	return found;
}

/* A namespace that fills the list keeps out only files of its own. */
static void shares_of_a_full_list(void)
{
	struct mt_conf *c = calloc(1, sizeof(*c));

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	note(c, "a", ".a", 2 * MT_CONF_FILES_WATCHED);
	CU_ASSERT_EQUAL(c->credentials.files.n, MT_CONF_FILES_WATCHED);
	note(c, "b", ".b", 100);
	note(c, "c", ".c", 10);
	/* Named by both: it counts for the smaller one. */
	note(c, "c", ".a", 10);
	for (uint64_t turn = 1; turn < 3; turn++) {
		c->credentials.turn = turn;
		note(c, "a", ".a", 2 * MT_CONF_FILES_WATCHED);
		note(c, "a", ".b", 100);
		note(c, "b", ".b", 100);
		note(c, "c", ".a", 10);
		note(c, "c", ".c", 10);
		mt_watched_forget(c, turn);
		CU_ASSERT_EQUAL(c->credentials.files.n, MT_CONF_FILES_WATCHED);
		CU_ASSERT_EQUAL(watched(c, ".b", 100), 100);
		CU_ASSERT_EQUAL(watched(c, ".c", 10), 10);
		CU_ASSERT_EQUAL(watched(c, ".a", 10), 10);
	}
	/* A second one has half of the list, and the others what they had. */
	note(c, "d", ".d", MT_CONF_FILES_WATCHED);
	CU_ASSERT_EQUAL(watched(c, ".b", 100), 100);
	CU_ASSERT_EQUAL(watched(c, ".c", 10), 10);
	CU_ASSERT(watched(c, ".d", MT_CONF_FILES_WATCHED) >= (MT_CONF_FILES_WATCHED - 120) / 2 - 1);
	CU_ASSERT(watched(c, ".d", MT_CONF_FILES_WATCHED) <= (MT_CONF_FILES_WATCHED - 120) / 2 + 1);
	mt_watched_fini(c);
	free(c);
}

/* Many namespaces, each with a file, need no search of the whole list for each file. */
static void many_namespaces(void)
{
	struct mt_conf *c = calloc(1, sizeof(*c));
	char ns[32], path[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (uint64_t turn = 1; turn < 3; turn++) {
		c->credentials.turn = turn;
		for (uint32_t i = 0; i < 200000; i++) {
			snprintf(ns, sizeof(ns), "%u", i);
			snprintf(path, sizeof(path), "/nonexistent/%u", i);
			mt_watched_note(c, ns, path);
		}
		CU_ASSERT_EQUAL(c->credentials.files.n, MT_CONF_FILES_WATCHED);
		/* One that has none yet gets none of those that have one. */
		CU_ASSERT_PTR_NOT_NULL(mt_strmap_get(&c->credentials.files, "/nonexistent/0"));
		mt_watched_forget(c, turn);
		CU_ASSERT_EQUAL(c->credentials.shares.n, MT_CONF_FILES_WATCHED);
	}
	mt_watched_fini(c);
	free(c);
}

const struct mt_test watched_tests[] = {{"forgotten", forgotten}, {"spellings", spellings},
	{"shares_of_a_full_list", shares_of_a_full_list}, {"many_namespaces", many_namespaces},
	{0}};
