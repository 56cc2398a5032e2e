/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs lib/analyse for the shell and for --analyse. It compiles the configuration in force once
 * more, recording how endpoints are authorized, and discards the result instead of publishing it.
 */
#include "daemon.h"

#include "mt_analyse.h"
#include "mt_credential.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Analyses the compiled snapshot together with what the daemon knows of the node. */
static json_t *ask(struct daemon *d, const struct mt_audit *audit, const struct mt_snapshot *s,
	const char *principal, const struct mt_addr *from)
{
	struct mt_ctl_identity who;
	struct mt_credential_leaf leaf;
	struct mt_analyse_in in = {.table = d->table, .audit = audit, .snap = s};

	/* With --check nothing else runs, so the number of steps is not limited. */
	in.steps = d->args.check ? UINT64_MAX : 0;
	(void)identity_ask(d, 0, &who);
	in.identity = who.credential != NULL;
	if (who.credential && mt_credential_leaf(who.credential, &leaf) && leaf.principal[0])
		in.principal = leaf.principal + strlen(MT_SPIFFE);
	in.since = who.credential ? who.credential->not_before : 0;
	in.until = who.credential ? who.credential->not_after : 0;
	/* With --check the daemon has no clock of its own. */
	in.wall = d->args.check
			  ? (int64_t)time(NULL)
			  : (int64_t)(mt_clock_wall(&d->clock, mt_clock_now(&d->clock)) / MT_SEC);
	return principal ? mt_analyse_principal(&in, principal, from) : mt_analyse(&in);
}

json_t *analyse_ask(void *arg, const char *principal, const struct mt_addr *from, struct mt_err *e)
{
	struct daemon *d = arg;
	uint64_t now = mt_clock_now(&d->clock);
	struct mt_audit audit = {0};
	struct mt_diags diags;
	struct mt_snapshot *s;
	json_t *j = NULL;

	mt_region_init(&audit.region, 0);
	mt_diags_init(&diags);
	mt_conf_set_audit(d->conf, &audit);
	s = config_compile(d, &diags, now);
	mt_conf_set_audit(d->conf, NULL);
	if (s && !audit.region.failed)
		j = ask(d, &audit, s, principal, from);
	if (!j)
		(void)mt_err(e, -ENOMEM, "%s",
			s ? "no memory"
			  : "the documents cannot be compiled: `show config` has the reason");
	if (s)
		mt_conf_discard(d->conf, s, now);
	mt_diags_fini(&diags);
	mt_region_fini(&audit.region);
	return j;
}

int analyse_print(struct daemon *d)
{
	struct mt_err e = {""};
	struct mt_text_buf out = {0};
	struct mt_addr from;
	json_t *j;
	bool found;

	if (d->args.from && mt_addr_parse(d->args.from, &from)) {
		fprintf(stderr, "meltemid: --from %s is not an address\n", d->args.from);
		return EXIT_CONFIG;
	}
	j = analyse_ask(d, d->args.from && !d->args.principal ? "" : d->args.principal,
		d->args.from ? &from : NULL, &e);
	if (!j) {
		fprintf(stderr, "meltemid: %s\n", e.text);
		return EXIT_CONFIG;
	}
	found = json_integer_value(json_object_get(j, "found")) > 0;
	if (d->args.json) {
		(void)json_dumpf(j, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		mt_ctl_text(j, &out);
		fputs(out.p ? out.p : "", stdout);
		mt_text_fini(&out);
	}
	json_decref(j);
	return found ? EXIT_REFUSED_SOME : EXIT_OK;
}
