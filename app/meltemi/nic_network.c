/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel removes an interface with its addresses and routes when its driver gives up the card.
 * Saves them before, and sets them again after a rollback, so that a cut session can return.
 */
#include "nic_bind.h"

#include <linux/ipv6_route.h>
#include <linux/route.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_MS 50

/* ---- save ------------------------------------------------------------------------------------ */

static json_t *save_addresses(const struct nic *n, const struct nic_card *c)
{
	json_t *list = json_array();
	char text[MT_ADDR_STRLEN + 8], one[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < n->n_addresses; i++) {
		const struct nic_address *a = &n->addresses[i];

		if (strcmp(a->interface, c->interface) != 0)
			continue;
		snprintf(text, sizeof(text), "%s/%u", mt_addr_str(&a->a, one), a->bits);
		(void)json_array_append_new(list, json_string(text));
	}
	return list;
}

static bool parse_route4(const char *line, struct nic_route *r)
{
	unsigned int to, via, mask;

	if (sscanf(line, "%15s %x %x %x %*s %*s %u %x", r->interface, &to, &via, &r->flags,
		    &r->metric, &mask) != 6)
		return false;
	r->to = mt_addr4(to);
	r->via = mt_addr4(via);
	r->bits = (uint8_t)__builtin_popcount(mask);
	return true;
}

/* 32 hexadecimal digits. */
static bool parse_hex(const char *hex, struct mt_addr *a)
{
	if (strlen(hex) != 32)
		return false;
	for (int i = 0; i < 16; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &a->b[i]) != 1)
			return false;
	return true;
}

static bool parse_route6(const char *line, struct nic_route *r)
{
	unsigned int bits;
	char to[33], via[33];

	if (sscanf(line, "%32s %x %*s %*s %32s %x %*s %*s %x %15s", to, &bits, via, &r->metric,
		    &r->flags, r->interface) != 6 ||
		bits > 128 || !parse_hex(to, &r->to) || !parse_hex(via, &r->via))
		return false;
	r->bits = (uint8_t)bits;
	return true;
}

bool nic_route_parse(const char *line, int version, struct nic_route *r)
{
	return version == 4 ? parse_route4(line, r) : parse_route6(line, r);
}

/*
 * True for routes that come again by themselves: those that routers advertise, and the kernel's own
 * of link-local and multicast addresses and of its tables "local". Those of IPv4 have no such flag.
 */
static bool comes_again(const struct nic_route *r)
{
	return !mt_addr_is4(&r->to) &&
	       ((r->flags & (RTF_ADDRCONF | RTF_LOCAL | RTF_ANYCAST | RTF_REJECT)) ||
		       r->to.b[0] == 0xff || mt_addr_is_link_local(&r->to));
}

/* The kernel adds the route to the network of an address together with the address. */
static bool is_of_address(const struct nic *n, const struct nic_card *c, const struct nic_route *r)
{
	for (uint32_t i = 0; i < n->n_addresses; i++) {
		const struct nic_address *a = &n->addresses[i];

		if (strcmp(a->interface, c->interface) == 0 && a->bits == r->bits &&
			mt_prefix_contains(&a->a, a->bits, &r->to))
			return true;
	}
	return false;
}

/* True if addresses or the routes in the list lead to this gateway. */
static bool is_near(const struct nic *n, const struct nic_card *c, const json_t *list,
	const struct mt_addr *via)
{
	struct mt_addr to;
	uint8_t bits;
	json_t *row;
	size_t i;

	for (uint32_t k = 0; k < n->n_addresses; k++) {
		const struct nic_address *a = &n->addresses[k];

		if (strcmp(a->interface, c->interface) == 0 &&
			mt_prefix_contains(&a->a, a->bits, via))
			return true;
	}
	json_array_foreach(list, i, row)
	{
		if (!*text_in(row, "via") && mt_prefix_parse(text_in(row, "to"), &to, &bits) == 0 &&
			mt_prefix_contains(&to, bits, via))
			return true;
	}
	return mt_addr_is_link_local(via);
}

static void add_route(
	const struct nic *n, const struct nic_card *c, json_t *list, const struct nic_route *r)
{
	char net[MT_ADDR_STRLEN + 8], one[MT_ADDR_STRLEN], via[MT_ADDR_STRLEN] = "", number[16];
	bool gateway = r->flags & RTF_GATEWAY;

	snprintf(net, sizeof(net), "%s/%u", mt_addr_str(&r->to, one), r->bits);
	snprintf(number, sizeof(number), "%u", r->metric);
	if (gateway)
		mt_addr_str(&r->via, via);
	(void)json_array_append_new(
		list, json_pack("{s:s, s:s, s:s, s:b}", "to", net, "via", via, "metric", number,
			      "onlink", gateway && !is_near(n, c, list, &r->via)));
}

/* Routes without a gateway come first, because others may need them to reach theirs. */
static json_t *save_routes(const struct nic *n, const struct nic_card *c)
{
	json_t *list = json_array();
	char line[512];
	struct nic_route r;

	for (int i = 0; i < 4; i++) {
		int version = i % 2 ? 6 : 4;
		bool gateways = i >= 2;
		FILE *f = nic_routes_open(n, version);

		while (f && fgets(line, sizeof(line), f))
			if (nic_route_parse(line, version, &r) &&
				strcmp(r.interface, c->interface) == 0 && !comes_again(&r) &&
				!(r.flags & RTF_GATEWAY) == !gateways &&
				(gateways || !is_of_address(n, c, &r)))
				add_route(n, c, list, &r);
		if (f)
			fclose(f);
	}
	return list;
}

json_t *nic_network_save(const struct nic *n, const struct nic_card *c)
{
	char flags[32] = "", master[64] = "";
	bool up;

	if (!c->interface[0])
		return json_null();
	(void)doctor_link(
		&n->host, master, sizeof(master), "/sys/class/net/%s/master", c->interface);
	up = doctor_read(&n->host, flags, sizeof(flags), "/sys/class/net/%s/flags", c->interface) &&
	     (strtoul(flags, NULL, 16) & IFF_UP);
	return json_pack("{s:s, s:s, s:b, s:o, s:o}", "interface", c->interface, "master", master,
		"up", up, "addresses", save_addresses(n, c), "routes", save_routes(n, c));
}

/* ---- restore --------------------------------------------------------------------------------- */

/* Runs ip(8) with up to 10 words. False with t->why if it fails. */
static bool ip(struct nic_task *t, const char *const *words)
{
	const char *argv[12] = {"ip"};
	char line[256] = "ip";
	size_t len = 2;
	int status = -1;
	pid_t pid;

	for (int i = 0; words[i] && i < 10; i++) {
		argv[i + 1] = words[i];
		len += (size_t)snprintf(
			line + len, len < sizeof(line) ? sizeof(line) - len : 0, " %s", words[i]);
		len = MT_MIN(len, sizeof(line) - 1);
	}
	pid = fork();
	if (pid == 0) {
		execvp("ip", (char **)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
		WEXITSTATUS(status)) {
		snprintf(t->why, sizeof(t->why), "`%s` failed", line);
		return false;
	}
	return true;
}

/* The driver makes the interface, and udev may rename it then. */
static bool wait_for_interface(struct nic_task *t, const char *name)
{
	uint64_t end = nic_now() + t->timeout_ms;
	char path[512];

	snprintf(path, sizeof(path), "%s/sys/class/net/%s", t->n->host.root, name);
	while (access(path, F_OK)) {
		if (nic_now() >= end) {
			snprintf(t->why, sizeof(t->why),
				"the interface %s did not come back, so its addresses are not set",
				name);
			return false;
		}
		nic_sleep(STEP_MS);
	}
	return true;
}

static bool restore_route(struct nic_task *t, const char *name, const json_t *row)
{
	const char *words[11] = {"route", "replace", text_in(row, "to"), "dev", name, "metric",
		text_in(row, "metric")};
	int n = 7;

	if (*text_in(row, "via")) {
		words[n++] = "via";
		words[n++] = text_in(row, "via");
	}
	if (json_is_true(json_object_get(row, "onlink")))
		words[n++] = "onlink";
	return ip(t, words);
}

bool nic_network_restore(struct nic_task *t, const json_t *network)
{
	const char *name = text_in(network, "interface"), *master = text_in(network, "master");
	bool ok = true;
	json_t *row;
	size_t i;

	if (!*name)
		return true;
	if (!wait_for_interface(t, name))
		return false;
	/* A bond takes only interfaces that are down. */
	if (*master)
		ok &= ip(t, (const char *[]){"link", "set", "dev", name, "master", master, NULL});
	if (json_is_true(json_object_get(network, "up")))
		ok &= ip(t, (const char *[]){"link", "set", "dev", name, "up", NULL});
	json_array_foreach(json_object_get(network, "addresses"), i, row) ok &= ip(
		t, (const char *[]){"addr", "replace", json_string_value(row), "dev", name, NULL});
	json_array_foreach(json_object_get(network, "routes"), i, row) ok &=
		restore_route(t, name, row);
	return ok;
}
