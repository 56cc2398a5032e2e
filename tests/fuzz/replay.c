/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files and folders that are named as arguments: *.hex files as the bytes that
 * they spell, others as they are; each also cut short at every byte (up to 512 of them).
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CUTS 512

static uint32_t n_files;

static size_t read_hex(FILE *f, uint8_t *buf, size_t cap)
{
	char line[1024];
	size_t n = 0;

	while (fgets(line, sizeof(line), f)) {
		char *at = line;
		unsigned int b;
		int used;

		if (line[0] == '#')
			continue;
		for (; n < cap && sscanf(at, "%2x%n", &b, &used) == 1; at += used)
			buf[n++] = (uint8_t)b;
	}
	return n;
}

static void run_file(const char *path)
{
	static uint8_t buf[1 << 20];
	const char *dot = strrchr(path, '.');
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	n = dot && strcmp(dot, ".hex") == 0 ? read_hex(f, buf, sizeof(buf))
					    : fread(buf, 1, sizeof(buf), f);
	fclose(f);
	for (size_t cut = 0; cut <= MT_MIN(n, (size_t)CUTS); cut++) {
		/* Exactly as long as the input, so that a sanitizer sees a read behind it. */
		uint8_t *exact = malloc(n - cut + 1);

		memcpy(exact, buf, n - cut);
		LLVMFuzzerTestOneInput(exact, n - cut);
		free(exact);
	}
	n_files++;
}

static void run_path(const char *path)
{
	struct dirent *e;
	struct stat st;
	DIR *d;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char inner[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
		run_path(inner);
	}
	if (d)
		closedir(d);
}

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%u files\n", n_files);
	return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
