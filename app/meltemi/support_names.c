/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudonyms: each name has the same one in the whole archive, so that a reader can follow it. They
 * are numbered in order of appearance, and contain nothing of the name.
 */
#include "support.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_LEAST 3 /* bytes */
#define RUN_MAX	   300

struct pseudonyms {
	json_t *of;	/* name in lower case -> pseudonym */
	json_t *counts; /* kind -> number of pseudonyms */
};

struct pseudonyms *pseudonyms_new(void)
{
	struct pseudonyms *p = calloc(1, sizeof(*p));

	if (!p)
		exit(EXIT_REFUSED);
	p->of = json_object();
	p->counts = json_object();
	return p;
}

void pseudonyms_free(struct pseudonyms *p)
{
	json_decref(p->of);
	json_decref(p->counts);
	free(p);
}

static bool lower(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		to[i] = (char)tolower((unsigned char)from[i]);
	to[len] = '\0';
	return true;
}

static const char *named(struct pseudonyms *p, const char *kind, const char *name)
{
	const char *have = json_string_value(json_object_get(p->of, name));
	json_int_t n = json_integer_value(json_object_get(p->counts, kind)) + 1;
	char text[64];

	if (have)
		return have;
	snprintf(text, sizeof(text), "%s-%lld", kind, (long long)n);
	json_object_set_new(p->counts, kind, json_integer(n));
	json_object_set_new(p->of, name, json_string(text));
	return json_string_value(json_object_get(p->of, name));
}

/* True for words of the product and of the documents' syntax, which identify nothing. */
static bool is_common(const char *name)
{
	static const char *const words[] = {"default", "none", "documents", "meltemi", "meltemid",
		"all", "any", "client", "server", "local", "localhost", "mesh", "tcp", "dubbo",
		"thrift", "outbound", "inbound", "istio-system", "unknown"};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(words[i], name) == 0)
			return true;
	return false;
}

/* The kind of an address; NULL if it is not one, or identifies nothing. */
static const char *address_kind(const char *text)
{
	uint8_t a[16];
	unsigned m[6];
	char end;

	if (inet_pton(AF_INET, text, a) == 1)
		return a[0] == 127 || a[0] == 0 ? NULL : "address";
	if (strchr(text, ':') && inet_pton(AF_INET6, text, a) == 1)
		return strlen(text) < 5 ? NULL : "address";
	if (strlen(text) == 17 && sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2],
					  &m[3], &m[4], &m[5], &end) == 6)
		return "mac";
	return NULL;
}

void pseudonyms_add(struct pseudonyms *p, const char *kind, const char *name)
{
	char low[RUN_MAX];
	size_t len = strcspn(name, " ");

	if (len < NAME_LEAST || name[len] || !lower(low, sizeof(low), name, len))
		return;
	if (is_common(low) || strspn(low, "0123456789.:") == len || address_kind(low))
		return;
	(void)named(p, kind, low);
}

/* The replacement for a run of characters; NULL: it may stay. */
static const char *instead(struct pseudonyms *p, const char *run, size_t len)
{
	const char *have, *kind;
	char low[RUN_MAX];

	if (!lower(low, sizeof(low), run, len))
		return NULL;
	have = json_string_value(json_object_get(p->of, low));
	if (have)
		return have;
	kind = address_kind(low);
	return kind ? named(p, kind, low) : NULL;
}

static bool in_run(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_' || c == ':';
}

/*
 * Writes the replacement for a run. Tries the whole run, then shorter beginnings of it, longest
 * first: up to the last colon (before a port), up to each dot (the interface in interface.method).
 * Returns how much of the run was used.
 */
static size_t write_run(struct pseudonyms *p, FILE *out, const char *run, size_t len)
{
	size_t cut = len;

	while (cut > 0) {
		const char *name = instead(p, run, cut);

		if (name) {
			fputs(name, out);
			return cut;
		}
		while (cut > 0 && run[cut - 1] != ':' && run[cut - 1] != '.')
			cut--;
		cut -= cut > 0;
	}
	/* No name starts here: the first part stays. */
	while (cut < len && run[cut] != ':' && run[cut] != '.')
		cut++;
	cut += cut < len;
	fwrite(run, 1, cut, out);
	return cut;
}

char *pseudonyms_text(struct pseudonyms *p, const char *text)
{
	char *made = NULL;
	size_t size;
	FILE *out = open_memstream(&made, &size);

	if (!out)
		exit(EXIT_REFUSED);
	while (*text) {
		size_t n = 0;

		while (in_run(text[n]) && n < RUN_MAX)
			n++;
		if (n == 0) {
			fputc(*text++, out);
			continue;
		}
		text += write_run(p, out, text, n);
	}
	fclose(out);
	if (!made)
		exit(EXIT_REFUSED);
	return made;
}
