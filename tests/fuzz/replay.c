/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files and folders that are named as arguments: *.hex files as the bytes that
 * they spell, others as they are; each also cut short at every byte (up to 512 of them). A *.lines file
 * holds an input a line, in hex, as they are: what the fuzzer found, minimised (run.py).
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

/* In a block exactly as long as the input, so that a sanitizer sees a read behind it. */
static void run_bytes(const uint8_t *bytes, size_t n)
{
	uint8_t *exact = malloc(n + 1);

	memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static void run_lines(FILE *f)
{
	uint8_t bytes[4096];
	size_t n = 0;
	unsigned int b;
	char word[3];
	int c;

	while ((c = fgetc(f)) != EOF) {
		if (c == '\n') {
			run_bytes(bytes, n);
			n = 0;
			continue;
		}
		word[0] = (char)c;
		word[1] = (char)fgetc(f);
		word[2] = '\0';
		if (n < sizeof(bytes) && sscanf(word, "%2x", &b) == 1)
			bytes[n++] = (uint8_t)b;
	}
}

static bool ends_in(const char *path, const char *what)
{
	const char *dot = strrchr(path, '.');

	return dot && strcmp(dot, what) == 0;
}

static void run_file(const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n = 0;

	if (!f) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	n_files++;
	if (ends_in(path, ".lines")) {
		run_lines(f);
		fclose(f);
		return;
	}
	n = ends_in(path, ".hex") ? read_hex(f, buf, sizeof(buf)) : fread(buf, 1, sizeof(buf), f);
	fclose(f);
	for (size_t cut = 0; cut <= MT_MIN(n, (size_t)CUTS); cut++)
		run_bytes(buf, n - cut);
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
