/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what codec_file.c and codec_message.c have found as text. */
#include "codec.h"

#include "mt_log.h"

#include <stdio.h>
#include <string.h>

static long long whole(const json_t *j, const char *name)
{
	return (long long)json_integer_value(json_object_get(j, name));
}

/* Texts of inputs can hold anything. */
static void put(const char *s)
{
	size_t size = 4 * strlen(s) + 1;
	char *safe = malloc(size);

	if (!safe)
		return;
	(void)mt_escape(safe, size, s);
	fputs(safe, stdout);
	free(safe);
}

/* "label   a, b, c", nothing if there are none. */
static void put_list(const char *label, const json_t *words)
{
	json_t *word;
	size_t i;

	if (!json_array_size(words))
		return;
	printf("  %-15s", label);
	json_array_foreach(words, i, word)
	{
		fputs(i ? ", " : "", stdout);
		put(json_string_value(word));
	}
	putchar('\n');
}

static void put_text(const char *label, const char *value)
{
	if (!*value)
		return;
	printf("  %-15s", label);
	put(value);
	putchar('\n');
}

/* ---- the file -------------------------------------------------------------------------------- */

static void put_variants(const json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (*text_in(v, "name"))
			put_text("variant", text_in(v, "name"));
		put_list("from clients", json_object_get(v, "client"));
		put_list("from servers", json_object_get(v, "server"));
	}
}

void codec_page_file(const struct codec_test *t, const json_t *f)
{
	const json_t *ids = json_object_get(f, "ids");
	json_t *row;
	size_t i;

	printf("codec ");
	put(text_in(f, "codec"));
	printf(" (");
	put(t->file);
	printf("): %s, messages of up to %lld bytes\n", text_in(f, "calls"),
		whole(f, "longest_message"));
	put_variants(json_object_get(f, "variants"));
	if (json_is_object(ids))
		printf("  %-15s%lld to %lld are Meltemi's own\n", "ids", whole(ids, "least"),
			whole(ids, "most"));
	put_text("service", text_in(f, "service"));
	put_text("method", text_in(f, "method"));
	put_list("metadata", json_object_get(f, "metadata"));
	if (json_is_true(json_object_get(f, "search")))
		put_text("", "and the entries of the containers of search");
	put_list("local replies", json_object_get(f, "local_replies"));
	put_text("heartbeat", text_in(f, "heartbeat"));
	put_text("goaway", text_in(f, "goaway"));
	if (json_array_size(json_object_get(f, "limits")))
		printf("\nlimits of this file\n");
	json_array_foreach(json_object_get(f, "limits"), i, row)
	{
		printf("  ");
		put(text_in(row, "what"));
		printf(": ");
		put(text_in(row, "why"));
		putchar('\n');
	}
}

/* ---- messages -------------------------------------------------------------------------------- */

static void put_head(const json_t *m)
{
	const json_t *id = json_object_get(m, "id");

	putchar('\n');
	put(text_in(m, "input"));
	if (*text_in(m, "stream")) {
		printf(", ");
		put(text_in(m, "stream"));
		printf(", byte %lld", whole(m, "offset"));
	}
	if (*text_in(m, "problem")) {
		printf(": ");
		put(text_in(m, "problem"));
		putchar('\n');
		return;
	}
	printf(": %s of the %s, %lld bytes", text_in(m, "kind"), text_in(m, "from"),
		whole(m, "bytes"));
	if (*text_in(m, "variant"))
		printf(", variant %s", text_in(m, "variant"));
	if (json_is_integer(id))
		printf(", id %lld", (long long)json_integer_value(id));
	else if (id)
		printf(", id %s", json_string_value(id));
	putchar('\n');
	if (!*text_in(m, "refused"))
		return;
	printf("  refused as %s: ", text_in(m, "refused"));
	put(text_in(m, "cause"));
	putchar('\n');
}

/* "" if the place has no number. */
static void number_text(const json_t *f, char *to, size_t size)
{
	const json_t *number = json_object_get(f, "number");

	*to = '\0';
	if (json_is_integer(number))
		snprintf(to, size, "%lld", (long long)json_integer_value(number));
	else if (number)
		snprintf(to, size, "%s", json_string_value(number));
}

static void put_value(const json_t *f, const char *number)
{
	if (*number) {
		printf("%s", number);
	} else if (json_object_get(f, "text")) {
		putchar('"');
		put(text_in(f, "text"));
		putchar('"');
	}
	if (*number || !json_object_get(f, "text"))
		printf("%s%s", *number ? " = " : "", text_in(f, "hex"));
	printf("%s\n", json_is_true(json_object_get(f, "cut")) ? " ..." : "");
}

static void put_place(const json_t *f)
{
	char name[64], number[32];

	(void)mt_escape(name, sizeof(name), text_in(f, "place"));
	number_text(f, number, sizeof(number));
	if (json_is_true(json_object_get(f, "default"))) {
		printf("  %-20s %6s %6s  %s, its default\n", name, "-", "-", number);
		return;
	}
	printf("  %-20s %6lld %6lld  ", name, whole(f, "at"), whole(f, "bytes"));
	put_value(f, number);
}

static void put_places(const json_t *list)
{
	json_t *f;
	size_t i;

	if (json_array_size(list))
		printf("  %-20s %6s %6s  value\n", "place", "at", "bytes");
	json_array_foreach(list, i, f) put_place(f);
}

static void put_metadata(const json_t *m)
{
	json_t *v;
	size_t i;

	put_text("service", text_in(m, "service"));
	put_text("method", text_in(m, "method"));
	if (whole(m, "deadline_ms"))
		printf("  %-15s%lld ms\n", "deadline", whole(m, "deadline_ms"));
	put_text("status", text_in(m, "status"));
	put_text("event", text_in(m, "event"));
	json_array_foreach(json_object_get(m, "metadata"), i, v)
	{
		printf("  %-15s", i ? "" : "metadata");
		put(text_in(v, "key"));
		printf("=");
		put(text_in(v, "value"));
		putchar('\n');
	}
	put_text("unread", text_in(m, "unread"));
}

/* Reasons with the same result are in one row. */
static void put_replies(const json_t *list)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		const json_t *a = json_array_get(list, i);
		char words[512];
		int len = snprintf(words, sizeof(words), "%s", text_in(a, "reason"));
		bool first = true;

		for (size_t k = 0; k < n; k++) {
			const json_t *b = json_array_get(list, k);

			if (k == i || strcmp(text_in(a, "hex"), text_in(b, "hex")) != 0 ||
				strcmp(text_in(a, "none"), text_in(b, "none")) != 0)
				continue;
			first &= k > i;
			len += snprintf(words + len, sizeof(words) - (size_t)len, ", %s",
				text_in(b, "reason"));
		}
		if (!first)
			continue;
		if (*text_in(a, "hex"))
			printf("  on %-12s %s\n", words, text_in(a, "hex"));
		else
			printf("  on %s: the connection is closed, because %s\n", words,
				text_in(a, "none"));
	}
}

void codec_page_message(const json_t *m)
{
	const json_t *answer = json_object_get(m, "answer");

	put_head(m);
	if (*text_in(m, "problem"))
		return;
	put_places(json_object_get(m, "places"));
	put_metadata(m);
	put_replies(json_object_get(m, "local_replies"));
	if (answer && *text_in(answer, "hex"))
		put_text("answer", text_in(answer, "hex"));
	else if (answer)
		put_text("no answer", text_in(answer, "none"));
}

void codec_page_end(const struct codec_test *t)
{
	if (t->messages + t->problems > t->shown)
		printf("\n%u more messages and problems are not shown (--all)\n",
			t->messages + t->problems - t->shown);
	printf("\n%u messages", t->messages);
	for (uint32_t k = 0; k < MT_MSG_N_KINDS; k++)
		if (t->kinds[k])
			printf(", %u %s", t->kinds[k], mt_codecfile_kind((enum mt_msg_kind)k));
	printf("; %u refused, %u problems\n", t->refused, t->problems);
}
