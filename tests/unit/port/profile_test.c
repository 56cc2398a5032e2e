/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_priv.h"
#include "suites.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Writes a sheet to a temporary file; the name is valid until the next call. */
static const char *sheet(const char *text)
{
	static char name[64];
	FILE *f;
	int fd;

	strcpy(name, "/tmp/mt_profile_XXXXXX");
	fd = mkstemp(name);
	f = fdopen(fd, "w");
	fputs(text, f);
	fclose(f);
	return name;
}

static void every_sheet_reads(void)
{
	DIR *d = opendir(PMD_CONFIG);
	struct dirent *ent;
	unsigned int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((ent = readdir(d))) {
		struct mt_profile p;
		struct mt_err e = {""};
		char file[512], *dot = strstr(ent->d_name, ".yaml");

		if (!dot)
			continue;
		snprintf(file, sizeof(file), "%s/%s", PMD_CONFIG, ent->d_name);
		CU_ASSERT_EQUAL(mt_profile_read(file, &p, &e), 0);
		CU_ASSERT_STRING_EQUAL(e.text, "");
		*dot = '\0';
		CU_ASSERT_STRING_EQUAL(p.name, ent->d_name);
		n++;
	}
	closedir(d);
	CU_ASSERT_EQUAL(n, 17);
}

static void sheet_says_what_was_measured(void)
{
	struct mt_profile p;
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_profile_read(PMD_CONFIG "/af_packet.yaml", &p, &e), 0);
	CU_ASSERT_EQUAL(p.framing, MT_FRAMING_RING);
	CU_ASSERT_EQUAL(p.framing_overhead, 66);
	CU_ASSERT_TRUE(p.rx_superframes && p.tx_chains && p.interface == MT_SWITCH_ON);
	CU_ASSERT_EQUAL(p.queues, MT_QUEUES_EACH);
	CU_ASSERT_EQUAL(p.n_args, 5);
	CU_ASSERT_EQUAL_FATAL(mt_profile_read(PMD_CONFIG "/af_xdp.yaml", &p, &e), 0);
	CU_ASSERT_FALSE(p.tx_chains);
	CU_ASSERT_EQUAL_FATAL(mt_profile_read(PMD_CONFIG "/ring.yaml", &p, &e), 0);
	CU_ASSERT_TRUE(p.rx_shared);
	CU_ASSERT_EQUAL_FATAL(mt_profile_read(PMD_CONFIG "/virtio_user.yaml", &p, &e), 0);
	CU_ASSERT_TRUE(p.tx_holds);
	CU_ASSERT_EQUAL_FATAL(mt_profile_read(PMD_CONFIG "/mlx5.yaml", &p, &e), 0);
	CU_ASSERT_EQUAL(p.queues, MT_QUEUES_RSS);
	CU_ASSERT_EQUAL(p.rx_checksum, MT_SWITCH_AUTO);
}

/* Each is refused, naming the line and a word of the reason. */
static void wrong_sheets_are_refused(void)
{
	static const struct {
		const char *text, *where, *what;
	} rows[] = {
		{"profile: x\ndrivers: [d]\nburts: 32\n", ":3:", "unknown setting burts"},
		{"profile: x\ndrivers: [d]\nburst: 65\n", ":3:", "between 1 and 64"},
		{"profile: x\ndrivers: [d]\nburst: -1\n", ":3:", "between 1 and 64"},
		{"profile: x\ndrivers: [d]\nburst: 3x\n", ":3:", "between 1 and 64"},
		{"profile: x\ndrivers: [d]\nburst: [3]\n", ":3:", "one value"},
		{"profile: x\ndrivers: d\n", ":2:", "in a list"},
		{"profile: x\ndrivers: [d]\nsheet:\n  tx-chains: maybe\n", ":4:", "true or false"},
		{"profile: x\ndrivers: [d]\noffloads: {rx-checksum: maybe}\n",
			":3:", "auto, on or off"},
		{"profile: x\ndrivers: [d]\nqueues: {model: many}\n", ":3:", "single, each or rss"},
		{"profile: x\ndrivers: [d]\nframing: {limit: none}\n",
			":3:", "mtu, ring or buffer"},
		{"profile: x\ndrivers: [d]\nmtu: {default: 9000}\n", ":1:", "not between"},
		{"profile: x\ndrivers: [d]\nburst: 32\nburst: 32\n", ":4:", "set twice"},
		{"profile: x\ndrivers: [d]\nsheet: {a: {b: {c: {d: 1}}}}\n", ":3:", "nested"},
		{"profile: x\ndrivers: [d, [e]]\n", ":2:", "nested"},
		{"profile: x\ndrivers: [a, b, c, d, e, f, g]\n", ":2:", "at most 6"},
		{"drivers: [d]\n", ":1:", "profile and drivers"},
		{"profile: x\ndrivers: [d]\nburst: *a\n", ":3:", "alias"},
		{"profile: x\ndrivers: [d\nburst: 3\n", ":", "not YAML"},
		{"just words\n", ":1:", "a mapping"},
		{"- profile\n", ":1:", "nested"},
		{"profile: x\ndrivers: [d]\ndevice-args:\n  "
		 "a23456789012345678901234567890123: 1\n",
			":4:", "at most 12"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const char *file = sheet(rows[i].text);
		struct mt_profile p;
		struct mt_err e = {""};

		CU_ASSERT_TRUE(mt_profile_read(file, &p, &e) < 0);
		if (!strstr(e.text, rows[i].where) || !strstr(e.text, rows[i].what))
			printf("\nrow %zu: \"%s\"\n", i, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, rows[i].where));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, rows[i].what));
		unlink(file);
	}
}

static void profiles_are_found(void)
{
	struct mt_profile p;
	struct mt_err e;

	setenv("MELTEMI_PMD_CONFIG", PMD_CONFIG, 1);
	CU_ASSERT_EQUAL(mt_profile_find("tap", "net_tap", &p, &e), 0);
	CU_ASSERT_STRING_EQUAL(p.name, "tap");
	CU_ASSERT_EQUAL(mt_profile_find(NULL, "net_af_xdp", &p, &e), 0);
	CU_ASSERT_STRING_EQUAL(p.name, "af_xdp");
	CU_ASSERT_EQUAL(mt_profile_find(PMD_CONFIG "/null.yaml", "net_tap", &p, &e), 0);
	CU_ASSERT_STRING_EQUAL(p.name, "null");
	CU_ASSERT_EQUAL(mt_profile_find("tup", "net_tap", &p, &e), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "tup"));
	CU_ASSERT_EQUAL(mt_profile_find(NULL, "net_tup", &p, &e), -ENOENT);
	CU_ASSERT_EQUAL(mt_profile_find("/nowhere/x.yaml", "net_tap", &p, &e), -ENOENT);
	unsetenv("MELTEMI_PMD_CONFIG");
	CU_ASSERT_EQUAL(mt_profile_find("tap", "net_tap", &p, &e), 0);
}

const struct mt_test profile_tests[] = {
	{"every_sheet_reads", every_sheet_reads},
	{"sheet_says_what_was_measured", sheet_says_what_was_measured},
	{"wrong_sheets_are_refused", wrong_sheets_are_refused},
	{"profiles_are_found", profiles_are_found},
	{0},
};
