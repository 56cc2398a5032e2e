/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device strings: "net_af_packet0,iface=veth-p0" or a PCI address, and the arguments that a profile
 * adds.
 */
#include "mt_port_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool mt_port_is_pci(const char *device)
{
	unsigned int a, b, c, d;
	int n = 0;

	if (sscanf(device, "%4x:%2x:%2x.%1x%n", &a, &b, &c, &d, &n) == 4 && n > 0)
		return device[n] == '\0' || device[n] == ',';
	if (sscanf(device, "%2x:%2x.%1x%n", &b, &c, &d, &n) == 3 && n > 0)
		return device[n] == '\0' || device[n] == ',';
	return false;
}

void mt_devargs_driver(const char *device, char *driver, size_t room)
{
	size_t len = strcspn(device, ",");

	driver[0] = '\0';
	if (mt_port_is_pci(device))
		return;
	while (len > 0 && isdigit((unsigned char)device[len - 1]))
		len--;
	if (len < room) {
		memcpy(driver, device, len);
		driver[len] = '\0';
	}
}

bool mt_devargs_value(const char *device, const char *key, char *value, size_t room)
{
	size_t key_len = strlen(key);

	for (const char *s = strchr(device, ','); s; s = strchr(s, ',')) {
		size_t len;

		s++;
		if (strncmp(s, key, key_len) != 0 || s[key_len] != '=')
			continue;
		s += key_len + 1;
		len = strcspn(s, ",");
		if (len >= room)
			return false;
		memcpy(value, s, len);
		value[len] = '\0';
		return true;
	}
	return false;
}

uint32_t mt_devargs_frame(uint16_t mtu, uint16_t overhead)
{
	/* Ethernet header, one VLAN tag, and one byte to detect a truncated frame. */
	uint32_t need = (uint32_t)mtu + 18 + overhead + 1, frame = 2048;

	while (frame < need)
		frame *= 2;
	return frame;
}

/*
 * A ring of 4 MB holds a burst of long messages while the worker handles other connections; frames
 * that exceed it are lost. A larger ring would make the cache cold for each frame.
 */
#define RING_BYTES  (4u << 20)
#define RING_FRAMES 512u /* at least */

/* Data bytes of the smallest buffer that holds a frame, as in the pools for this MTU. */
static uint32_t buffer(uint16_t mtu)
{
	return mt_port_room_of(mtu + L2_MAX) - RTE_PKTMBUF_HEADROOM;
}

/* Replaces {workers}, {frame}, {frames}, {block} and {buffer}. */
static int expand(
	const char *value, uint32_t workers, uint32_t frame, uint16_t mtu, char *out, size_t room)
{
	uint32_t n = 0;

	if (strcmp(value, "{workers}") == 0)
		n = workers;
	else if (strcmp(value, "{frame}") == 0)
		n = frame;
	else if (strcmp(value, "{frames}") == 0)
		n = MT_MAX(RING_BYTES / frame, RING_FRAMES);
	else if (strcmp(value, "{block}") == 0)
		n = MT_MAX(frame, 4096);
	else if (strcmp(value, "{buffer}") == 0)
		n = buffer(mtu);
	else
		return snprintf(out, room, "%s", value) < (int)room ? 0 : -ENAMETOOLONG;
	return snprintf(out, room, "%u", n) < (int)room ? 0 : -ENAMETOOLONG;
}

int mt_devargs_make(const char *device, const struct mt_profile *p, uint16_t workers, uint16_t mtu,
	char *out, size_t room, struct mt_err *e)
{
	uint32_t frame = mt_devargs_frame(mtu, p->framing_overhead);
	size_t n = (size_t)snprintf(out, room, "%s", device);

	for (uint16_t i = 0; i < p->n_args && n < room; i++) {
		char value[96];

		if (mt_devargs_value(device, p->args[i].key, value, sizeof(value)))
			continue;
		if (expand(p->args[i].value, workers, frame, mtu, value, sizeof(value)))
			continue;
		n += (size_t)snprintf(out + n, room - n, ",%s=%s", p->args[i].key, value);
	}
	if (n >= room)
		return mt_err(e, -ENAMETOOLONG, "device %s: arguments are too long", device);
	return 0;
}
