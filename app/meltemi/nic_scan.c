/* SPDX-License-Identifier: Apache-2.0 */
/* Network cards in sysfs: PCI devices of class 02 with their drivers and interfaces. */
#include "nic.h"

#include "mt_log.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLASS_NETWORK 0x02
#define CLASS_BRIDGE  0x06

bool nic_is_address(const char *text)
{
	size_t domain = strspn(text, "0123456789abcdefABCDEF");
	static const char form[] = ":xx:xx.x";

	if (domain < 4 || domain > 8 || strlen(text + domain) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++) {
		unsigned char c = (unsigned char)text[domain + i];

		if (form[i] == 'x' ? !isxdigit(c) : c != (unsigned char)form[i])
			return false;
	}
	return true;
}

/* Reads one line of a card's file, escaped. False if it is missing or empty. */
static bool read_text(
	const struct nic *n, const char *pci, const char *file, char *out, size_t size)
{
	char raw[256];

	out[0] = '\0';
	if (!doctor_read(&n->host, raw, sizeof(raw), NIC_DEVICES "/%s/%s", pci, file))
		return false;
	raw[strcspn(raw, "\n")] = '\0';
	mt_escape(out, size, raw);
	return out[0];
}

/* A number of at most `most`; -1 if the file has none. */
static int64_t read_number(
	const struct nic *n, const char *pci, const char *file, int base, int64_t most)
{
	char text[64], *end;
	long long v;

	if (!read_text(n, pci, file, text, sizeof(text)))
		return -1;
	errno = 0;
	v = strtoll(text, &end, base);
	return errno || end == text || *end || v < 0 || v > most ? -1 : v;
}

/* The last component of a link of a card, escaped; "" if there is none. */
static void read_link(
	const struct nic *n, const char *pci, const char *file, char *out, size_t size)
{
	char raw[256];

	out[0] = '\0';
	if (doctor_link(&n->host, raw, sizeof(raw), NIC_DEVICES "/%s/%s", pci, file))
		mt_escape(out, size, raw);
}

static DIR *open_below(const struct nic *n, const char *pci, const char *file)
{
	char path[512];

	if ((size_t)snprintf(path, sizeof(path), "%s" NIC_DEVICES "/%s%s%s", n->host.root, pci,
		    *file ? "/" : "", file) >= sizeof(path))
		return NULL;
	return opendir(path);
}

/*
 * Finds the first entry, in alphabetical order, with a name that matches and is valid for an
 * interface. False if there is none.
 */
static bool first_entry(const struct nic *n, const char *pci, const char *dir, const char *match,
	char name[IF_NAMESIZE])
{
	DIR *d = open_below(n, pci, dir);
	struct dirent *e;

	name[0] = '\0';
	while (d && (e = readdir(d)) != NULL) {
		char safe[4 * sizeof(e->d_name)];

		mt_escape(safe, sizeof(safe), e->d_name);
		if (e->d_name[0] == '.' || fnmatch(match, e->d_name, 0) ||
			strlen(e->d_name) >= IF_NAMESIZE || strcmp(safe, e->d_name) != 0)
			continue;
		if (!name[0] || strcmp(e->d_name, name) < 0)
			strcpy(name, e->d_name);
	}
	if (d)
		closedir(d);
	return name[0];
}

/* The interface is below the card, or below its virtio device. */
static void find_interface(const struct nic *n, struct nic_card *c, char *place, size_t size)
{
	char virtio[IF_NAMESIZE], dir[64] = "net";

	if (!first_entry(n, c->address, dir, "*", c->interface) &&
		first_entry(n, c->address, "", "virtio*", virtio)) {
		snprintf(dir, sizeof(dir), "%s/net", virtio);
		(void)first_entry(n, c->address, dir, "*", c->interface);
	}
	snprintf(place, size, "%s/%s", dir, c->interface);
}

/* The most combined queues by ethtool; 0: the driver does not report them. */
static int32_t most_channels(const char *interface)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq r = {.ifr_data = (char *)&ch};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", interface);
	rc = fd >= 0 ? ioctl(fd, SIOCETHTOOL, &r) : -1;
	if (fd >= 0)
		close(fd);
	return rc ? 0 : (int32_t)MT_MIN(MT_MAX(ch.max_combined, ch.max_rx), 65535u);
}

/* Queues of a device, by ethtool; otherwise those that the kernel has made for it. */
static int32_t count_queues(const struct nic *n, const struct nic_card *c, const char *place)
{
	int32_t queues = *n->host.root ? 0 : most_channels(c->interface);
	char dir[160];
	struct dirent *e;
	DIR *d;

	if (queues)
		return queues;
	snprintf(dir, sizeof(dir), "%s/queues", place);
	d = open_below(n, c->address, dir);
	while (d && (e = readdir(d)) != NULL)
		queues += strncmp(e->d_name, "rx-", 3) == 0;
	if (d)
		closedir(d);
	return queues ? queues : -1;
}

static void read_interface(const struct nic *n, struct nic_card *c)
{
	char place[128], file[160], text[32];

	c->mbps = c->queues = c->mtu = -1;
	find_interface(n, c, place, sizeof(place));
	if (!c->interface[0])
		return;
	snprintf(file, sizeof(file), "%s/operstate", place);
	if (read_text(n, c->address, file, text, sizeof(text)))
		snprintf(c->link, sizeof(c->link), "%s", strcmp(text, "up") ? "down" : "up");
	snprintf(file, sizeof(file), "%s/speed", place);
	c->mbps = (int32_t)read_number(n, c->address, file, 10, 10000000);
	snprintf(file, sizeof(file), "%s/mtu", place);
	c->mtu = (int32_t)read_number(n, c->address, file, 10, 1000000);
	c->queues = count_queues(n, c, place);
}

/*
 * User space gets a group only if each of its devices is with VFIO, a bridge, or without a driver.
 */
static void read_group(const struct nic *n, struct nic_card *c)
{
	char text[32], path[512], *end;
	struct dirent *e;
	long group;
	DIR *d;

	c->group = -1;
	read_link(n, c->address, "iommu_group", text, sizeof(text));
	group = strtol(text, &end, 10);
	if (!text[0] || *end || group < 0 || group > INT32_MAX)
		return;
	c->group = (int32_t)group;
	snprintf(path, sizeof(path), "%s/sys/kernel/iommu_groups/%d/devices", n->host.root,
		c->group);
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL) {
		char driver[64];

		if (!nic_is_address(e->d_name) || strcmp(e->d_name, c->address) == 0 ||
			c->n_shares == NIC_SHARES)
			continue;
		read_link(n, e->d_name, "driver", driver, sizeof(driver));
		if (read_number(n, e->d_name, "class", 16, 0xffffff) >> 16 == CLASS_BRIDGE ||
			!driver[0] || strcmp(driver, NIC_VFIO) == 0)
			continue;
		snprintf(c->shares[c->n_shares++], sizeof(c->shares[0]), "%.*s (%s)", NIC_PCI - 1,
			e->d_name, driver);
	}
	if (d)
		closedir(d);
}

void nic_driver(const struct nic *n, struct nic_card *c)
{
	read_link(n, c->address, "driver", c->driver, sizeof(c->driver));
	(void)read_text(n, c->address, "driver_override", c->override, sizeof(c->override));
	if (strcmp(c->override, "(null)") == 0)
		c->override[0] = '\0';
}

static void read_card(const struct nic *n, struct nic_card *c)
{
	char physical[64], cores[64] = "";
	int64_t vendor = read_number(n, c->address, "vendor", 16, 0xffff);
	int64_t device = read_number(n, c->address, "device", 16, 0xffff);

	c->vendor = vendor < 0 ? 0 : (uint32_t)vendor;
	c->device = device < 0 ? 0 : (uint32_t)device;
	nic_driver(n, c);
	read_link(n, c->address, "physfn", physical, sizeof(physical));
	if (nic_is_address(physical))
		snprintf(c->physical, sizeof(c->physical), "%.*s", NIC_PCI - 1, physical);
	c->node = doctor_numa(&n->host, c->address, cores, sizeof(cores));
	mt_escape(c->cores, sizeof(c->cores), cores);
	read_interface(n, c);
	read_group(n, c);
	c->profile = nic_profile_of(c->vendor, c->device);
	nic_needs(n, c);
	nic_uses(n, c);
}

static int by_address(const void *a, const void *b)
{
	return strcmp(((const struct nic_card *)a)->address, ((const struct nic_card *)b)->address);
}

void nic_scan(struct nic *n)
{
	DIR *d = open_below(n, "", "");
	struct dirent *e;

	n->n_cards = 0;
	while (d && (e = readdir(d)) != NULL && n->n_cards < NIC_CARDS) {
		struct nic_card *c = &n->cards[n->n_cards];

		if (!nic_is_address(e->d_name) ||
			read_number(n, e->d_name, "class", 16, 0xffffff) >> 16 != CLASS_NETWORK)
			continue;
		memset(c, 0, sizeof(*c));
		snprintf(c->address, sizeof(c->address), "%.*s", NIC_PCI - 1, e->d_name);
		read_card(n, c);
		n->n_cards++;
	}
	if (d)
		closedir(d);
	qsort(n->cards, n->n_cards, sizeof(n->cards[0]), by_address);
	nic_names(n);
}

struct nic_card *nic_find(struct nic *n, const char *name)
{
	for (uint32_t i = 0; i < n->n_cards; i++) {
		struct nic_card *c = &n->cards[i];

		/* The domain may be left out, as by lspci. */
		if (strcasecmp(c->address, name) == 0 ||
			(*name && strcmp(c->interface, name) == 0) ||
			(strncmp(c->address, "0000:", 5) == 0 &&
				strcasecmp(c->address + 5, name) == 0))
			return c;
	}
	return NULL;
}
