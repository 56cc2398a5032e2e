/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes what must not leave the host, in three ways. 1. Values under keys that mean a secret, or
 * in places where secrets are stored, whatever their keys are. 2. Text of any origin that looks
 * like a secret. 3. Everywhere, the bytes of the values found by 1.
 */
#include "support.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#define MASK	    "<redacted>"
#define KNOWN_LEAST 4 /* bytes: shorter values would match everywhere */
#define WORD_LEAST  8 /* the same for values of letters only */

/* Patterns of secrets, and the group that is the secret. */
static const struct {
	const char *regex;
	int group;
} looks[] = {
	{"[a-z][a-z0-9+.-]*://([^][/@[:space:]\"]+)@", 1},
	{"(bearer|basic|digest|negotiate)[[:space:]]+([a-z0-9._~+/=-]{6,})", 2},
	{"(eyJ[a-z0-9_-]{8,}\\.[a-z0-9_-]+(\\.[a-z0-9_-]*)?)", 1},
	{"(pass(word|wd|phrase)|pwd|secret|[a-z_-]*token|api[_-]?key|private[_-]?key|access[_-]?"
	 "key|"
	 "credentials?|authorization|cookie)[\"']?[[:space:]]*(=|:|==|is|exact|prefix|regex)"
	 "[[:space:]:=\"'{]*((exact|prefix|regex)[[:space:]:=\"']+)?([^][:space:]\"',;{}<]+)",
		6},
	{"(AKIA[0-9A-Z]{16})", 1},
	{"(LS0tLS1CRUdJTi[a-z0-9+/=]+)", 1}, /* "-----BEGIN " in base64 */
};

struct redact {
	json_t *known;	     /* the keys are the secrets as they were written */
	const char **sorted; /* the same, longest first */
	size_t n_sorted;
	uint32_t masked;
	regex_t looks[MT_ARRAY_LEN(looks)];
};

struct redact *redact_new(void)
{
	struct redact *r = calloc(1, sizeof(*r));

	if (!r)
		exit(EXIT_REFUSED);
	r->known = json_object();
	for (size_t i = 0; i < MT_ARRAY_LEN(looks); i++)
		if (regcomp(&r->looks[i], looks[i].regex, REG_EXTENDED | REG_ICASE) != 0)
			abort();
	return r;
}

void redact_free(struct redact *r)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(looks); i++)
		regfree(&r->looks[i]);
	json_decref(r->known);
	free(r->sorted);
	free(r);
}

uint32_t redact_masked(const struct redact *r)
{
	return r->masked;
}

/* ---- keys that mean a secret ----------------------------------------------------------------- */

/* True if the key means a secret: not "maxTokens", a number of a rate limit, but "accessToken". */
static bool is_secret(const char *key)
{
	static const char *const words[] = {"password", "passwd", "passphrase", "secret", "apikey",
		"privatekey", "accesskey", "credential", "authorization", "cookie", "signature"};
	char flat[128];
	size_t n = 0;

	for (; *key && n + 1 < sizeof(flat); key++)
		if (isalnum((unsigned char)*key))
			flat[n++] = (char)tolower((unsigned char)*key);
	flat[n] = '\0';
	/* In a load balancer's settings: the cookie's name, not its value. */
	if (strcmp(flat, "httpcookie") == 0)
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strstr(flat, words[i]))
			return true;
	return strcmp(flat, "pwd") == 0 || (n >= 5 && strcmp(flat + n - 5, "token") == 0);
}

/* True for the contents of a Kubernetes Secret, whatever its keys are. */
static bool is_of_secret(const json_t *object, const char *key)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));

	return kind && strcmp(kind, "Secret") == 0 &&
	       (strcmp(key, "data") == 0 || strcmp(key, "stringData") == 0);
}

/*
 * True for headers and metadata that are sent with requests, where vendors use keys of their own.
 */
static bool is_place(const json_t *object, const char *key)
{
	static const char *const places[] = {"headers", "initialMetadata", "initial_metadata"};

	if (is_of_secret(object, key))
		return true;
	for (size_t i = 0; i < MT_ARRAY_LEN(places); i++)
		if (strcmp(key, places[i]) == 0)
			return true;
	return false;
}

/* True for the name of an entry in a list such as {key: x-team, value: y}. */
static bool is_name(const char *key)
{
	return strcmp(key, "key") == 0 || strcmp(key, "name") == 0 || strcmp(key, "header") == 0;
}

/* True for a member that is the value of another one: {key: password, value: x}. */
static bool is_value_of(const json_t *object, const char *key)
{
	return strcmp(key, "value") == 0 &&
	       (json_object_get(object, "key") || json_object_get(object, "name") ||
		       json_object_get(object, "header"));
}

static bool masked_member(const json_t *object, const char *key)
{
	return is_secret(key) || is_value_of(object, key);
}

/*
 * True if the value is long enough to be searched for everywhere: "user" would match ordinary text.
 */
static bool is_telling(const char *text)
{
	size_t len = strlen(text), letters = 0;

	while (isalpha((unsigned char)text[letters]))
		letters++;
	return len >= (letters == len ? WORD_LEAST : KNOWN_LEAST);
}

static void know(struct redact *r, const json_t *v)
{
	const char *text = json_string_value(v), *key;
	json_t *k;
	size_t i;

	if (text && is_telling(text))
		json_object_set_new(r->known, text, json_true());
	json_array_foreach(v, i, k) know(r, k);
	json_object_foreach((json_t *)(uintptr_t)v, key, k) know(r, k);
}

/* Remembers the values of headers, but not their names. */
static void know_values(struct redact *r, const json_t *v)
{
	const char *key;
	json_t *k;
	size_t i;

	if (json_is_string(v))
		know(r, v);
	json_array_foreach(v, i, k) know_values(r, k);
	json_object_foreach((json_t *)(uintptr_t)v, key, k) if (!is_name(key) || !json_is_string(k))
		know_values(r, k);
}

/*
 * Values inside `match` are masked there, but are not secrets elsewhere: "canary" may also be a
 * name.
 */
static void learn(struct redact *r, const json_t *v, bool match)
{
	const char *key;
	json_t *k;
	size_t i;

	json_array_foreach(v, i, k) learn(r, k, match);
	json_object_foreach((json_t *)(uintptr_t)v, key, k)
	{
		if (masked_member(v, key))
			know(r, k);
		else if (is_place(v, key) && !match)
			know_values(r, k);
		learn(r, k, match || strcmp(key, "match") == 0);
	}
}

void redact_learn(struct redact *r, const json_t *v)
{
	learn(r, v, false);
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* Returns a copy in which [from, to) is MASK; frees the old text. */
static char *mask(struct redact *r, char *text, size_t from, size_t to)
{
	size_t len = strlen(text);
	char *out = malloc(len - (to - from) + sizeof(MASK));

	if (!out)
		exit(EXIT_REFUSED);
	memcpy(out, text, from);
	memcpy(out + from, MASK, sizeof(MASK) - 1);
	strcpy(out + from + sizeof(MASK) - 1, text + to);
	free(text);
	r->masked++;
	return out;
}

static char *mask_looks(struct redact *r, char *text, size_t i)
{
	regmatch_t m[8];
	size_t at = 0;

	while (regexec(&r->looks[i], text + at, MT_ARRAY_LEN(m), m, at ? REG_NOTBOL : 0) == 0) {
		const regmatch_t *g = &m[looks[i].group];

		if (g->rm_so < 0 || strncmp(text + at + g->rm_so, MASK, strlen(MASK)) == 0) {
			at += (size_t)MT_MAX(m[0].rm_eo, 1);
			continue;
		}
		text = mask(r, text, at + (size_t)g->rm_so, at + (size_t)g->rm_eo);
		at += (size_t)g->rm_so + strlen(MASK);
	}
	return text;
}

/* Masks whole PEM blocks of private keys, to the end of the text if a block has no end. */
static char *mask_keys(struct redact *r, char *text)
{
	static const char head[] = "-----BEGIN ", foot[] = "-----END ";
	char *at = text, *dashes, *end;

	while ((at = strstr(at, head)) != NULL) {
		dashes = strstr(at + sizeof(head) - 1, "-----");
		if (!dashes || !memmem(at, (size_t)(dashes - at), "PRIVATE KEY", 11)) {
			at += sizeof(head) - 1;
			continue;
		}
		end = strstr(dashes, foot);
		end = end ? strstr(end + sizeof(foot) - 1, "-----") : NULL;
		end = end ? end + 5 : text + strlen(text);
		size_t from = (size_t)(at - text);

		text = mask(r, text, from, (size_t)(end - text));
		at = text + from;
	}
	return text;
}

/* Longest first, so that masking a shorter secret does not leave the rest of a longer one. */
static int by_length(const void *a, const void *b)
{
	size_t n = strlen(*(const char *const *)a), m = strlen(*(const char *const *)b);

	return n < m ? 1 : n > m ? -1 : 0;
}

static void sort_known(struct redact *r)
{
	const char *secret;
	json_t *k;

	r->n_sorted = 0;
	r->sorted = realloc(r->sorted, (json_object_size(r->known) + 1) * sizeof(*r->sorted));
	if (!r->sorted)
		exit(EXIT_REFUSED);
	json_object_foreach(r->known, secret, k) r->sorted[r->n_sorted++] = secret;
	qsort(r->sorted, r->n_sorted, sizeof(*r->sorted), by_length);
}

static char *mask_known(struct redact *r, char *text)
{
	if (r->n_sorted != json_object_size(r->known))
		sort_known(r);
	for (size_t i = 0; i < r->n_sorted; i++) {
		size_t at = 0, len = strlen(r->sorted[i]);
		char *found;

		while ((found = strstr(text + at, r->sorted[i])) != NULL) {
			at = (size_t)(found - text);
			text = mask(r, text, at, at + len);
			at += strlen(MASK);
		}
	}
	return text;
}

char *redact_text(struct redact *r, const char *text)
{
	char *out = strdup(text);

	if (!out)
		exit(EXIT_REFUSED);
	out = mask_known(r, mask_keys(r, out));
	for (size_t i = 0; i < MT_ARRAY_LEN(looks); i++)
		out = mask_looks(r, out, i);
	return out;
}

static json_t *text_as_json(struct redact *r, const char *text)
{
	char *safe = redact_text(r, text);
	json_t *j = json_string(safe);

	free(safe);
	return j ? j : json_string("");
}

/* In a place of headers: keeps their names, and which kind of match it is. */
static json_t *redacted_values(struct redact *r, const json_t *v)
{
	json_t *out, *k;
	const char *key;
	size_t i;

	if (json_is_object(v)) {
		out = json_object();
		json_object_foreach((json_t *)(uintptr_t)v, key, k)
		{
			bool stays = is_name(key) && json_is_string(k);
			char *name = redact_text(r, key);

			json_object_set_new(
				out, name, stays ? redact_json(r, k) : redacted_values(r, k));
			free(name);
		}
		return out;
	}
	if (json_is_array(v)) {
		out = json_array();
		json_array_foreach(v, i, k) json_array_append_new(out, redacted_values(r, k));
		return out;
	}
	r->masked += json_is_string(v);
	return json_is_string(v) ? json_string(MASK) : json_deep_copy(v);
}

static json_t *redacted_object(struct redact *r, const json_t *v)
{
	json_t *out = json_object(), *k;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)v, key, k)
	{
		bool hide = masked_member(v, key) && !json_is_number(k) && !json_is_boolean(k) &&
			    !json_is_null(k);
		char *name = redact_text(r, key);

		r->masked += hide;
		json_object_set_new(out, name,
			hide		   ? json_string(MASK)
			: is_place(v, key) ? redacted_values(r, k)
					   : redact_json(r, k));
		free(name);
	}
	return out;
}

json_t *redact_json(struct redact *r, const json_t *v)
{
	json_t *out, *k;
	size_t i;

	if (json_is_string(v))
		return text_as_json(r, json_string_value(v));
	if (json_is_object(v))
		return redacted_object(r, v);
	if (!json_is_array(v))
		return json_deep_copy(v);
	out = json_array();
	json_array_foreach(v, i, k) json_array_append_new(out, redact_json(r, k));
	return out;
}
