/* SPDX-License-Identifier: Apache-2.0 */
#include "nic_bind.h"
#include "options.h"

#include "mt_fields.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi [--json] nic [list]\n"
	"       meltemi [--json] nic show ADDRESS|INTERFACE\n"
	"       meltemi nic bind ADDRESS [--driver NAME] [--confirm-within TIME] [--force] "
	"[--no-iommu]\n"
	"       meltemi nic confirm [ADDRESS]\n"
	"       meltemi nic release ADDRESS [--force]\n"
	"       meltemi nic write ADDRESS --node NODE.yaml [--name NAME] [--address A/BITS]... "
	"[--check] [--rights]\n"
	"\n"
	"The PCI network cards of this host. `list` shows driver, interface, queues, NUMA node,\n"
	"IOMMU group, the device profile that fits, what uses the card, and packages that are\n"
	"missing. `show` adds what to do next. `bind` gives a card to DPDK and takes it back\n"
	"unless it is confirmed in time; `release` returns it to the kernel's driver. `write`\n"
	"adds the card to spec.ports of a Node document, which meltemid --check must accept,\n"
	"and with --rights gives the daemon's unit the rights of the port.\n"
	"Tested with trees of files in place of /sys; not run on hardware.\n"
	"\n"
	"      --driver NAME           another driver than vfio-pci\n"
	"      --confirm-within TIME   1s to 1h (60s); 0s: without confirmation\n"
	"      --force                 also if the card is in use\n"
	"      --no-iommu              without IOMMU: the card can access all memory\n"
	"      --timeout TIME          of each write to sysfs, and of its effect (10s)\n"
	"      --node FILE             the Node document; the old one is kept as FILE.bak\n"
	"      --name NAME             of the port (p0, p1, ...)\n"
	"      --address A/BITS        an address of the port; repeatable\n"
	"      --check                 shows the change, and writes nothing\n"
	"      --rights                also writes the drop-in of the unit and the rule of udev\n"
	"      --json                  the same as JSON\n"
	"      --root DIR              the host's files are below DIR (/sys, /proc, /lib, /usr)\n"
	"\n"
	"Exit status: 0 done, 1 not done, 2 bad usage.\n";

struct options {
	const char *command, *card, *driver;
	uint64_t confirm_ms, timeout_ms;
	bool json, force, no_iommu;
	struct nic_write write;
};

static bool read_time(const char *name, const char *text, uint64_t least, uint64_t *ms)
{
	uint64_t v;

	if (mt_duration_parse(text, &v) || (v && v < 1000) || v < least || v > 3600000) {
		fprintf(stderr, "meltemi: --%s %s: write a time of 1s to 1h, like 90s\n", name,
			text);
		return false;
	}
	*ms = v;
	return true;
}

static bool read_confirm(void *options, const char *text)
{
	return read_time("confirm-within", text, 0, &((struct options *)options)->confirm_ms);
}

static bool read_timeout(void *options, const char *text)
{
	return read_time("timeout", text, 1000, &((struct options *)options)->timeout_ms);
}

static bool read_driver(void *options, const char *text)
{
	((struct options *)options)->driver = text;
	return *text && !strpbrk(text, "/.\n");
}

static bool add_address(void *options, const char *text)
{
	struct nic_write *w = &((struct options *)options)->write;
	struct mt_addr a;
	uint8_t bits;

	if (mt_prefix_parse(text, &a, &bits) || w->n_addresses == MT_ARRAY_LEN(w->addresses)) {
		fprintf(stderr, "meltemi: --address %s: write ADDRESS/BITS, like 192.0.2.1/24\n",
			text);
		return false;
	}
	w->addresses[w->n_addresses++] = text;
	return true;
}

/* Returns -1 to go on, else the exit code. */
static int read_options(struct nic *n, struct options *o, int argc, char **argv)
{
	const struct option_row options[] = {{"root", .text = &n->host.root},
		{"json", .flag = &o->json}, {"driver", .take = read_driver},
		{"confirm-within", .take = read_confirm}, {"timeout", .take = read_timeout},
		{"force", .flag = &o->force}, {"no-iommu", .flag = &o->no_iommu},
		{"node", .text = &o->write.node}, {"name", .text = &o->write.name},
		{"address", .take = add_address}, {"check", .flag = &o->write.check},
		{"rights", .flag = &o->write.rights}, {NULL}};
	int code = options_read(options, o, true, usage, argc, argv);

	if (code >= 0)
		return code;
	o->command = optind < argc ? argv[optind++] : "list";
	o->card = optind < argc ? argv[optind++] : NULL;
	return optind == argc ? -1 : options_wrong(usage);
}

/* Ports and cores of a running daemon. Without one no card is in use by it. */
static void read_daemon(struct nic *n, const char *socket)
{
	struct client c = {.fd = -1, .path = socket};
	json_t *answer = NULL;
	char *body = NULL;

	if (client_try(&c, "--json show health", &body) == EXIT_DONE)
		answer = json_loads(body, 0, NULL);
	/* It may still have ports, which it cannot name. */
	n->silent = !answer && c.failed == EAGAIN;
	free(body);
	client_close(&c);
	doctor_take_node(&n->host, json_object_get(answer, "node"));
	json_decref(answer);
}

static int list(struct nic_task *t, const struct options *o)
{
	nic_print_list(t->n, o->json);
	return EXIT_DONE;
}

static int show(struct nic_task *t, const struct options *o)
{
	nic_print_card(t->n, t->c, o->json);
	return EXIT_DONE;
}

static int bind_card(struct nic_task *t, const struct options *o)
{
	return nic_bind(t);
}

static int confirm(struct nic_task *t, const struct options *o)
{
	return nic_confirm(t);
}

static int release(struct nic_task *t, const struct options *o)
{
	return nic_release(t);
}

static int write_card(struct nic_task *t, const struct options *o)
{
	if (o->write.node)
		return nic_write(t, &o->write);
	fprintf(stderr, "meltemi: nic write needs --node FILE\n");
	return EXIT_USAGE;
}

enum card_word { NO_CARD, MAY_BE, NEEDED };

static const struct command {
	const char *name;
	enum card_word card;
	int (*run)(struct nic_task *t, const struct options *o);
} commands[] = {{"list", NO_CARD, list}, {"show", NEEDED, show}, {"bind", NEEDED, bind_card},
	{"confirm", MAY_BE, confirm}, {"release", NEEDED, release}, {"write", NEEDED, write_card}};

static int run(struct nic *n, const struct options *o, const char *socket)
{
	struct nic_task t = {.n = n,
		.driver = o->driver,
		.confirm_ms = o->confirm_ms,
		.timeout_ms = o->timeout_ms,
		.force = o->force,
		.no_iommu = o->no_iommu};
	const struct command *c = NULL;

	for (size_t i = 0; i < MT_ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, o->command) == 0)
			c = &commands[i];
	if (!c || (c->card == NO_CARD && o->card) || (c->card == NEEDED && !o->card))
		return options_wrong(usage);
	if ((size_t)snprintf(n->state, sizeof(n->state), "%s" NIC_STATE, n->host.root) >=
		sizeof(n->state))
		return EXIT_USAGE;
	read_daemon(n, socket);
	nic_addresses(n);
	nic_session(n);
	nic_scan(n);
	t.c = o->card ? nic_find(n, o->card) : NULL;
	if (o->card && !t.c) {
		fprintf(stderr,
			"meltemi: %s is not a PCI network card of this host: `meltemi nic` "
			"lists them\n",
			o->card);
		return EXIT_REFUSED;
	}
	if (t.c)
		snprintf(t.pci, sizeof(t.pci), "%s", t.c->address);
	return c->run(&t, o);
}

int nic_run(int argc, char **argv, const char *socket, bool json)
{
	struct nic *n = calloc(1, sizeof(*n));
	struct options o = {.json = json,
		.driver = NIC_VFIO,
		.confirm_ms = NIC_CONFIRM_MS,
		.timeout_ms = NIC_TIMEOUT_MS};
	int code;

	if (!n)
		return EXIT_REFUSED;
	n->host.root = "";
	code = read_options(n, &o, argc, argv);
	if (code < 0)
		code = run(n, &o, socket);
	free(n);
	return code;
}
