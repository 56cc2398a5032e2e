/* SPDX-License-Identifier: Apache-2.0 */
/* The list of what was served: kept, compared, and not believed when it is damaged. */
#include "conf_test.h"

#include "mt_served.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], file[96];

static int saved_rc;
static struct mt_err saved_why;

static void saved(void *arg, int rc, const struct mt_err *e)
{
	saved_rc = rc;
	saved_why = *e;
}

static void make_dir(void)
{
	strcpy(dir, "/tmp/mt_served_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/served.json", dir);
}

static void remove_dir(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void kept(void)
{
	struct mt_served a = {0}, b;
	struct mt_err e;
	struct stat st;

	make_dir();
	CU_ASSERT_EQUAL(mt_served_load(&b, dir, &e), -ENOENT);
	CU_ASSERT_EQUAL(mt_served_add(&a, "z.example", "documents", "/etc/z.yaml"), 0);
	CU_ASSERT_EQUAL(mt_served_add(&a, "a.example", "mesh", "240.240.0.1_80"), 0);
	/* Another port of the same host. */
	CU_ASSERT_EQUAL(mt_served_add(&a, "z.example", "documents", "/etc/z.yaml"), 0);
	CU_ASSERT_EQUAL(mt_served_add_without(&a, "second"), 0);
	CU_ASSERT_EQUAL(mt_served_add_without(&a, "first"), 0);
	mt_served_tidy(&a);
	CU_ASSERT_EQUAL(a.n, 2);
	mt_served_save(&a, dir, NULL, saved, NULL);
	CU_ASSERT_EQUAL(saved_rc, 0);
	CU_ASSERT_EQUAL(stat(file, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL_FATAL(mt_served_load(&b, dir, &e), 0);
	CU_ASSERT_TRUE(mt_served_equal(&a, &b));
	CU_ASSERT_EQUAL(b.n_without, 2);
	CU_ASSERT_STRING_EQUAL(b.v[0].host, "z.example");
	CU_ASSERT_STRING_EQUAL(b.v[1].where, "240.240.0.1_80");
	/* Any word makes another list. */
	CU_ASSERT_EQUAL(mt_served_add(&b, "z.example", "documents", "/etc/y.yaml"), 0);
	mt_served_tidy(&b);
	CU_ASSERT_FALSE(mt_served_equal(&a, &b));
	mt_served_fini(&b);
	CU_ASSERT_EQUAL_FATAL(mt_served_load(&b, dir, &e), 0);
	b.without[1] = "third";
	CU_ASSERT_FALSE(mt_served_equal(&a, &b));
	mt_served_fini(&a);
	mt_served_fini(&b);
	remove_dir();
}

static void damaged(void)
{
	static const char *const texts[] = {"", "{", "[]",
		"{\"version\": 2, \"hosts\": [], \"without\": []}",
		"{\"version\": 1, \"hosts\": {}, \"without\": []}",
		"{\"version\": 1, \"hosts\": [{\"host\": \"a\"}], \"without\": []}",
		"{\"version\": 1, \"hosts\": [], \"without\": [1]}",
		"{\"version\": 1, \"hosts\": []}"};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct mt_served l;
		struct mt_err e = {""};
		FILE *f;

		make_dir();
		f = fopen(file, "w");
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		fputs(texts[i], f);
		fclose(f);
		CU_ASSERT_EQUAL(mt_served_load(&l, dir, &e), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "served.json is damaged"));
		CU_ASSERT_EQUAL(l.n, 0);
		remove_dir();
	}
}

static void not_writable(void)
{
	struct mt_served l = {0};

	mt_served_save(&l, "/proc/nowhere", NULL, saved, NULL);
	CU_ASSERT(saved_rc < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(saved_why.text, "/proc/nowhere"));
}

const struct mt_test served_tests[] = {
	{"kept", kept},
	{"damaged", damaged},
	{"not_writable", not_writable},
	{0},
};
