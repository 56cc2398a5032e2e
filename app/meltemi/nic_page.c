/* SPDX-License-Identifier: Apache-2.0 */
/* Output of `meltemi nic list` and `meltemi nic show`: a table, a page, and JSON of both. */
#include "nic.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS	  11
#define CELL	  160
#define NODE_FILE "/etc/meltemi/node.yaml"

/* ---- cells ----------------------------------------------------------------------------------- */

static void number_cell(char *cell, int32_t v)
{
	snprintf(cell, CELL, v < 0 ? "-" : "%d", v);
}

static void speed_cell(char *cell, int32_t mbps)
{
	if (mbps >= 1000 && mbps % 100 == 0)
		snprintf(
			cell, CELL, mbps % 1000 ? "%d.%dG" : "%dG", mbps / 1000, mbps % 1000 / 100);
	else
		snprintf(cell, CELL, mbps > 0 ? "%dM" : "-", mbps);
}

/* "all", "some" or "none" of the workers' cores are on the card's NUMA node; NULL: not known. */
static const char *workers_near(const struct nic *n, const struct nic_card *c)
{
	uint32_t near = 0;

	if (!n->host.n_cores || c->node < 0)
		return NULL;
	for (uint32_t i = 0; i < n->host.n_cores; i++)
		near += doctor_listed(c->cores, n->host.cores[i]);
	return near == n->host.n_cores ? "all" : near ? "some" : "none";
}

static void numa_cell(const struct nic *n, const struct nic_card *c, char *cell)
{
	const char *near = workers_near(n, c);

	if (c->node < 0)
		strcpy(cell, "-");
	else
		snprintf(cell, CELL, "%d%s%s%s", c->node, near ? " (workers: " : "",
			near ? near : "", near ? ")" : "");
}

static void group_cell(const struct nic_card *c, char *cell)
{
	if (c->group < 0)
		strcpy(cell, "-");
	else
		snprintf(cell, CELL, c->n_shares ? "%d (shared)" : "%d", c->group);
}

static void uses_cell(const struct nic_card *c, char *cell)
{
	size_t len = 0;

	strcpy(cell, c->n_uses ? "" : "-");
	for (uint32_t i = 0; i < c->n_uses && len < CELL; i++)
		len += (size_t)snprintf(
			cell + len, CELL - len, "%s%s", i ? ", " : "", c->uses[i].words);
}

static const char *text_or_dash(const char *text)
{
	return *text ? text : "-";
}

static void fill_row(const struct nic *n, const struct nic_card *c, char row[COLUMNS][CELL])
{
	snprintf(row[0], CELL, "%s", c->address);
	snprintf(row[1], CELL, "%04x:%04x", c->vendor, c->device);
	snprintf(row[2], CELL, "%s", text_or_dash(c->driver));
	snprintf(row[3], CELL, "%s", text_or_dash(c->interface));
	snprintf(row[4], CELL, "%s", text_or_dash(c->link));
	speed_cell(row[5], c->mbps);
	number_cell(row[6], c->queues);
	numa_cell(n, c, row[7]);
	group_cell(c, row[8]);
	snprintf(row[9], CELL, "%s", c->profile ? c->profile->name : "-");
	uses_cell(c, row[10]);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void print_missing(const struct nic_card *c)
{
	for (uint32_t i = 0; i < c->n_missing; i++)
		printf("%s: missing: %s\n%-14sremedy: %s\n", c->address, c->missing[i].what, "",
			c->missing[i].remedy);
}

static void print_table(const struct nic *n)
{
	static const char *const heads[COLUMNS] = {"ADDRESS", "DEVICE", "DRIVER", "INTERFACE",
		"LINK", "SPEED", "QUEUES", "NUMA", "GROUP", "PROFILE", "USED BY"};
	int width[COLUMNS];
	char row[COLUMNS][CELL];

	for (int k = 0; k < COLUMNS; k++)
		width[k] = (int)strlen(heads[k]);
	for (uint32_t i = 0; i < n->n_cards; i++) {
		fill_row(n, &n->cards[i], row);
		for (int k = 0; k < COLUMNS; k++)
			width[k] = MT_MAX(width[k], (int)strlen(row[k]));
	}
	for (int k = 0; k < COLUMNS; k++)
		printf("%-*s  ", width[k], heads[k]);
	printf("NAME\n");
	for (uint32_t i = 0; i < n->n_cards; i++) {
		fill_row(n, &n->cards[i], row);
		for (int k = 0; k < COLUMNS; k++)
			printf("%-*s  ", width[k], row[k]);
		printf("%s\n", text_or_dash(n->cards[i].name));
	}
	for (uint32_t i = 0; i < n->n_cards; i++)
		print_missing(&n->cards[i]);
}

static void print_page(const struct nic *n, const struct nic_card *c)
{
	static const char *const labels[COLUMNS] = {"address", "device", "driver", "interface",
		"link", "speed", "queues", "NUMA node", "IOMMU group", "profile", NULL};
	char row[COLUMNS][CELL], last[640];
	json_t *next = nic_next(n, c), *step;
	size_t i;

	fill_row(n, c, row);
	printf("%-13s %s\n", "name", text_or_dash(c->name));
	for (int k = 0; labels[k]; k++)
		printf("%-13s %s\n", labels[k], row[k]);
	if (c->physical[0])
		printf("%-13s virtual function of %s\n", "", c->physical);
	for (uint32_t k = 0; k < c->n_uses; k++)
		printf("%-13s %s\n", k ? "" : "used by", c->uses[k].words);
	for (uint32_t k = 0; k < c->n_shares; k++)
		printf("%-13s %s\n", k ? "" : "group shared", c->shares[k]);
	for (uint32_t k = 0; k < c->n_missing; k++)
		printf("%-13s %s\n", k ? "" : "missing", c->missing[k].what);
	if (nic_rolled_back(n, c->address, last, sizeof(last)))
		printf("%-13s %s\n", "last bind", last);
	printf("\nnext:\n");
	json_array_foreach(next, i, step) printf("%zu. %s\n", i + 1, json_string_value(step));
	json_decref(next);
}

/* ---- next steps ------------------------------------------------------------------------------ */

static void step(json_t *list, const char *fmt, ...) mt_printf(2, 3);
static void step(json_t *list, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(list, json_string(text));
}

static void steps_to_write(const struct nic *n, const struct nic_card *c, json_t *list)
{
	const char *near = workers_near(n, c);

	if (near && strcmp(near, "all") != 0)
		step(list, "set spec.cores to cores of NUMA node %d: %s", c->node, c->cores);
	for (uint32_t i = 0; i < c->n_uses; i++)
		if (c->uses[i].kind == NIC_USE_MELTEMID)
			return;
	step(list, "meltemi nic write %s --node %s --rights", c->address, NODE_FILE);
}

json_t *nic_next(const struct nic *n, const struct nic_card *c)
{
	json_t *list = json_array();
	char path[512];

	if (!c->profile) {
		step(list, "no device profile fits this card: use its interface through "
			   "net_af_xdp or net_af_packet (docs/how-to/ports.md)");
		return list;
	}
	for (uint32_t i = 0; i < c->n_missing; i++)
		step(list, "%s", c->missing[i].remedy);
	if (nic_waits(n, c->address, path, sizeof(path)))
		step(list, "meltemi nic confirm %s, before the card returns to its former driver",
			c->address);
	if (nic_is_bifurcated(c) || strcmp(c->driver, NIC_VFIO) == 0) {
		steps_to_write(n, c, list);
		return list;
	}
	if (c->n_uses)
		step(list, "move addresses, routes and sessions to another card");
	if (c->group < 0)
		step(list,
			"switch the IOMMU on: intel_iommu=on iommu=pt at boot (or amd_iommu=on), "
			"and VT-d in the firmware");
	if (c->n_shares)
		step(list,
			"bind the other devices of IOMMU group %d, too, or use a slot with a "
			"group of its own",
			c->group);
	snprintf(path, sizeof(path), "%s/sys/bus/pci/drivers/" NIC_VFIO, n->host.root);
	if (access(path, F_OK))
		step(list, "modprobe vfio-pci");
	step(list, "meltemi nic bind %s", c->address);
	return list;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *number_json(int64_t v)
{
	return v < 0 ? json_null() : json_integer(v);
}

static json_t *text_json(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *lists_json(const struct nic_card *c)
{
	static const char *const kinds[] = {[NIC_USE_ROUTE] = "default-route",
		[NIC_USE_SESSION] = "session",
		[NIC_USE_ADDRESS] = "address",
		[NIC_USE_TCP] = "connections",
		[NIC_USE_MEMBER] = "member",
		[NIC_USE_MELTEMID] = "meltemid",
		[NIC_USE_DPDK] = "process"};
	json_t *uses = json_array(), *shares = json_array(), *missing = json_array();

	for (uint32_t i = 0; i < c->n_uses; i++)
		(void)json_array_append_new(
			uses, json_pack("{s:s, s:s}", "kind", kinds[c->uses[i].kind], "words",
				      c->uses[i].words));
	for (uint32_t i = 0; i < c->n_shares; i++)
		(void)json_array_append_new(shares, json_string(c->shares[i]));
	for (uint32_t i = 0; i < c->n_missing; i++)
		(void)json_array_append_new(
			missing, json_pack("{s:s, s:s}", "what", c->missing[i].what, "remedy",
					 c->missing[i].remedy));
	return json_pack("{s:o, s:o, s:o}", "used_by", uses, "iommu_shared_with", shares, "missing",
		missing);
}

static json_t *card_json(const struct nic *n, const struct nic_card *c)
{
	json_t *o = json_object(), *lists = lists_json(c);
	char id[16];

	(void)json_object_set_new(o, "address", json_string(c->address));
	snprintf(id, sizeof(id), "%04x", c->vendor);
	(void)json_object_set_new(o, "vendor", json_string(id));
	snprintf(id, sizeof(id), "%04x", c->device);
	(void)json_object_set_new(o, "device", json_string(id));
	(void)json_object_set_new(o, "name", text_json(c->name));
	(void)json_object_set_new(o, "driver", text_json(c->driver));
	(void)json_object_set_new(o, "interface", text_json(c->interface));
	(void)json_object_set_new(o, "link", text_json(c->link));
	(void)json_object_set_new(o, "speed_mbps", number_json(c->mbps));
	(void)json_object_set_new(o, "queues", number_json(c->queues));
	(void)json_object_set_new(o, "numa_node", number_json(c->node));
	(void)json_object_set_new(o, "workers_on_node", text_json(workers_near(n, c)));
	(void)json_object_set_new(o, "iommu_group", number_json(c->group));
	(void)json_object_set_new(o, "profile", text_json(c->profile ? c->profile->name : NULL));
	(void)json_object_set_new(o, "virtual_function_of", text_json(c->physical));
	(void)json_object_update(o, lists);
	json_decref(lists);
	return o;
}

void nic_print_list(const struct nic *n, bool json)
{
	json_t *list = json_array();

	for (uint32_t i = 0; json && i < n->n_cards; i++)
		(void)json_array_append_new(list, card_json(n, &n->cards[i]));
	if (json)
		screen_json(json_pack("{s:O}", "cards", list));
	else if (n->n_cards)
		print_table(n);
	else
		printf("no PCI network card\n");
	json_decref(list);
}

void nic_print_card(const struct nic *n, const struct nic_card *c, bool json)
{
	char last[640];
	json_t *o;

	if (!json) {
		print_page(n, c);
		return;
	}
	o = card_json(n, c);
	(void)json_object_set_new(o, "last_bind",
		nic_rolled_back(n, c->address, last, sizeof(last)) ? json_string(last)
								   : json_null());
	(void)json_object_set_new(o, "next", nic_next(n, c));
	screen_json(o);
}
