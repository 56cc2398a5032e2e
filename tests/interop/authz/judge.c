/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/authz by itself: policies and calls, a line each, from stdin; to stdout a line for each call, "allowed" or "denied".
 *
 *	authz_judge CODEC TRUSTDOMAIN... < LINES
 *
 *	policy SPEC		of an AuthorizationPolicy of the namespace "a", in YAML
 *	call	PEER	SERVER	PORT	PRINCIPAL	SNI	INTERFACE	METHOD	KEY=VALUE...	words parted by tabs; "-": none
 *	done			what follows is about other policies
 */
#include "authz_test.h"
#include "mt_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLICIES 32
#define FIELDS	 16

struct judging {
	const struct mt_codec *codec;
	struct mt_authz_callers who;
	char text[POLICIES * 4096];
	size_t len;
	uint32_t n; /* policies so far */
	struct mt_model *m;
	struct mt_region mem;
	const struct mt_authz *set; /* NULL: not compiled yet */
};

static void die(const char *what, const char *line)
{
	fprintf(stderr, "authz_judge: %s: %s\n", what, line);
	exit(1);
}

static void policy(struct judging *j, const char *spec)
{
	int n = snprintf(j->text + j->len, sizeof(j->text) - j->len,
		"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: p%u, namespace: a}\nspec: %s\n",
		j->n, spec);

	j->len += (size_t)n;
	if (j->n++ == POLICIES || j->len >= sizeof(j->text))
		die("too much", spec);
}

static void compile(struct judging *j)
{
	struct mt_authz_policy *p[POLICIES];
	struct mt_diags diags;

	j->m = mt_model_new();
	mt_diags_init(&diags);
	mt_source_text(j->m, &diags, "t", j->text, j->len);
	if (diags.n || j->m->authorization_policies.n != j->n) {
		mt_diags_print(&diags, stderr);
		die("it cannot be read", j->text);
	}
	mt_diags_fini(&diags);
	mt_region_init(&j->mem, 1 << 20);
	for (uint32_t i = 0; i < j->n; i++)
		p[i] = mt_authz_compile(
			&j->mem, j->m->authorization_policies.v[i], j->codec, NULL, &j->who);
	j->set = mt_authz_set(&j->mem, p, j->n, NULL);
	if (!j->set || j->mem.failed)
		die("no memory", j->text);
}

static void done(struct judging *j)
{
	if (j->set) {
		mt_region_fini(&j->mem);
		mt_model_free(j->m);
	}
	j->set = NULL;
	j->len = j->n = 0;
}

static const char *word(char **rest)
{
	const char *w = strsep(rest, "\t");

	return !w || strcmp(w, "-") == 0 ? NULL : w;
}

static void call(struct judging *j, char *line)
{
	char *rest = line, *pair;
	const struct mt_authz_policy *by;
	struct said s = {.n_interfaces = 1, .n_methods = 1};
	const char *port;

	s.peer = word(&rest);
	s.server = word(&rest);
	port = word(&rest);
	s.principal = word(&rest);
	s.sni = word(&rest);
	s.interfaces[0] = word(&rest);
	s.methods[0] = word(&rest);
	if (!s.peer || !s.server || !port || !s.interfaces[0] || !s.methods[0])
		die("what a call lacks", line);
	s.server_port = s.service_port = (uint16_t)atoi(port);
	s.mtls = s.principal != NULL;
	while ((pair = strsep(&rest, "\t")) != NULL && s.n_metadata < SAID_MAX) {
		s.metadata[s.n_metadata].key = strsep(&pair, "=");
		s.metadata[s.n_metadata++].value = pair;
	}
	if (!j->set)
		compile(j);
	puts(said_judge(&s, j->set, j->codec, &by, NULL) == MT_AUTHZ_ALLOWED ? "allowed"
									     : "denied");
}

int main(int argc, char **argv)
{
	static struct judging j;
	static char line[1 << 16];

	j.codec = argc > 1 ? mt_codec_find(argv[1]) : NULL;
	if (!j.codec)
		die("no such codec", argc > 1 ? argv[1] : "");
	j.who = (struct mt_authz_callers){
		false, true, (const char *const *)&argv[2], (uint32_t)argc - 2};
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "policy ", 7) == 0)
			policy(&j, line + 7);
		else if (strncmp(line, "call\t", 5) == 0)
			call(&j, line + 5);
		else if (strcmp(line, "done") == 0)
			done(&j);
		else
			die("what is this", line);
	}
	done(&j);
	return 0;
}
