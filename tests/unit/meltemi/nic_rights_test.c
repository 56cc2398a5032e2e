/* SPDX-License-Identifier: Apache-2.0 */
/* The drop-in and the rule of udev on made-up hosts, with a script in place of meltemid. */
#include "suites.h"

#include "nic_rights.h"
#include "nic_tree.h"

#include "mt_file.h"

#include <sys/stat.h>
#include <unistd.h>

#define UNIT  "etc/systemd/system/meltemid.service.d/rights.conf"
#define UDEV  "etc/udev/rules.d/70-meltemi.rules"
#define LATER "n.yaml.check"

/* Prints the lines of a document that begin with "u:" or "r:" as what its unit and udev need. */
static const char script[] =
	"#!/bin/sh\n"
	"grep '^bad' \"$4\" && exit 2\n"
	"echo \"# Written by: meltemid --rights $2 -c $4\"\n"
	"case $2 in --unit) echo '[Service]'; sed -n s/^u://p \"$4\";; *) sed -n s/^r://p \"$4\";; "
	"esac\n";

struct host {
	struct nic *n;
	const char *root;
	char document[256], changed[256], path[4096];
	struct nic_rights r;
};

/* `now` and `later` are the documents. */
static void start(struct host *h, const char *now, const char *later)
{
	char program[256], path[4600];

	memset(h, 0, sizeof(*h));
	h->n = tree_new();
	h->root = h->n->host.root;
	snprintf(h->path, sizeof(h->path), "%s", getenv("PATH"));
	snprintf(path, sizeof(path), "%s/bin:%s", h->root, h->path);
	setenv("PATH", path, 1);
	tree_file(h->n, script, "bin/meltemid");
	snprintf(program, sizeof(program), "%s/bin/meltemid", h->root);
	MT_ASSERT(chmod(program, 0755) == 0);
	tree_file(h->n, now, "n.yaml");
	tree_file(h->n, later, LATER);
	tree_directory(h->n, "etc/systemd/system");
	tree_directory(h->n, "etc/udev");
	snprintf(h->document, sizeof(h->document), "%s/n.yaml", h->root);
	snprintf(h->changed, sizeof(h->changed), "%s/" LATER, h->root);
}

static void stop(struct host *h)
{
	nic_rights_free(&h->r);
	tree_free(h->n);
	setenv("PATH", h->path, 1);
}

static bool reads(struct host *h)
{
	nic_rights_free(&h->r);
	return nic_rights_read(&h->r, h->root, h->document, h->changed);
}

/* True if the file below the root has these contents; NULL: if there is none. */
static bool has(const struct host *h, const char *file, const char *want)
{
	char path[512], *text = NULL;
	struct mt_err e;
	size_t len;
	bool same;

	snprintf(path, sizeof(path), "%s/%s", h->root, file);
	if (!want)
		return access(path, F_OK) != 0;
	same = mt_file_read(path, MT_FILE_SMALL, 0, &text, &len, &e) == 0 &&
	       strcmp(text, want) == 0;
	free(text);
	return same;
}

/* The text that the script prints for the document, whichever file that was in. */
static const char *printed(const struct host *h, const char *option, const char *settings)
{
	static char text[1024];

	snprintf(text, sizeof(text), "# Written by: meltemid --rights %s -c %s\n%s", option,
		h->document, settings);
	return text;
}

static void test_new(void)
{
	struct host h;

	start(&h, "u:A=1\n", "u:A=1\nu:B=2\nr:R\n");
	CU_ASSERT_FATAL(reads(&h));
	CU_ASSERT(h.r.files[0].changes && h.r.files[1].changes);
	CU_ASSERT(has(&h, UNIT, NULL));
	CU_ASSERT(nic_rights_put(&h.r));
	CU_ASSERT(has(&h, UNIT, printed(&h, "--unit", "[Service]\nA=1\nB=2\n")));
	CU_ASSERT(has(&h, UDEV, printed(&h, "--udev", "R\n")));
	nic_rights_undo(&h.r);
	CU_ASSERT(has(&h, "etc/systemd/system/meltemid.service.d", NULL));
	CU_ASSERT(has(&h, "etc/udev/rules.d", NULL));
	CU_ASSERT(nic_rights_put(&h.r));
	/* Now they are there, and nothing changes. */
	CU_ASSERT(reads(&h));
	CU_ASSERT_FALSE(h.r.files[0].changes || h.r.files[1].changes);
	stop(&h);
}

/* A node whose ports need nothing gets no files. */
static void test_none(void)
{
	struct host h;

	start(&h, "", "");
	CU_ASSERT(reads(&h));
	CU_ASSERT_FALSE(h.r.files[0].changes || h.r.files[1].changes);
	CU_ASSERT(nic_rights_put(&h.r));
	CU_ASSERT(has(&h, UNIT, NULL));
	stop(&h);
}

/* A file for the present document, with other comments, is replaced; its mode stays. */
static void test_replaced(void)
{
	static const char old[] = "# by hand\n\n[Service]\nA=1\n";
	struct host h;
	char path[512];
	struct stat st;

	start(&h, "u:A=1\n", "u:A=1 2\n");
	tree_file(h.n, old, UNIT);
	snprintf(path, sizeof(path), "%s/" UNIT, h.root);
	MT_ASSERT(chmod(path, 0600) == 0);
	CU_ASSERT_FATAL(reads(&h));
	CU_ASSERT(nic_rights_put(&h.r));
	CU_ASSERT(has(&h, UNIT, printed(&h, "--unit", "[Service]\nA=1 2\n")));
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	nic_rights_undo(&h.r);
	CU_ASSERT(has(&h, UNIT, old));
	stop(&h);
}

/* Files with settings of the operator, or that are no plain texts, stay. */
static void test_refused(void)
{
	static const char *const own[] = {"[Service]\nA=1\nLimitNOFILE=9\n", "[Service]\n",
		"A=1\n[Service]\n", "[Service]\nA=11\n"};
	struct host h;
	char path[512];

	start(&h, "u:A=1\n", "u:A=1\nu:B=2\n");
	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++) {
		tree_file(h.n, own[i], UNIT);
		CU_ASSERT_FALSE(reads(&h));
		CU_ASSERT(has(&h, UNIT, own[i]));
	}
	/* What the file contains already needs no change. */
	tree_file(h.n, "[Service]\nA=1\nB=2\n", UNIT);
	CU_ASSERT(reads(&h));
	CU_ASSERT_FALSE(h.r.files[0].changes);
	tree_link(h.n, "/dev/null", UNIT);
	CU_ASSERT_FALSE(reads(&h));
	snprintf(path, sizeof(path), "%s/" UNIT, h.root);
	(void)unlink(path);
	MT_ASSERT(mt_file_replace(path, "[Service]\nA=1\n\0", 15, 0644, &(struct mt_err){""}) == 0);
	CU_ASSERT_FALSE(reads(&h));
	stop(&h);
}

/* meltemid does not know the rights of the new document, or of the present one. */
static void test_unknown(void)
{
	struct host h;

	start(&h, "u:A=1\n", "bad\n");
	CU_ASSERT_FALSE(reads(&h));
	tree_file(h.n, "bad\n", "n.yaml");
	tree_file(h.n, "u:A=1\n", LATER);
	CU_ASSERT(reads(&h));
	tree_file(h.n, "[Service]\n", UNIT);
	CU_ASSERT_FALSE(reads(&h));
	stop(&h);
}

/* The second file cannot be written, so that the first is as before. */
static void test_half(void)
{
	struct host h;

	start(&h, "", "u:A=1\nr:R\n");
	tree_file(h.n, "x", "etc/udev/rules.d");
	CU_ASSERT_FATAL(reads(&h));
	CU_ASSERT_FALSE(nic_rights_put(&h.r));
	CU_ASSERT(has(&h, "etc/systemd/system/meltemid.service.d", NULL));
	tree_file(h.n, "[Service]\n", UNIT);
	CU_ASSERT_FATAL(reads(&h));
	CU_ASSERT_FALSE(nic_rights_put(&h.r));
	CU_ASSERT(has(&h, UNIT, "[Service]\n"));
	stop(&h);
}

const struct mt_test nic_rights_tests[] = {{"new", test_new}, {"none", test_none},
	{"replaced", test_replaced}, {"refused", test_refused}, {"unknown", test_unknown},
	{"half", test_half}, {0}};
