/* SPDX-License-Identifier: Apache-2.0 */
/* PCI devices, the IOMMU, and kernel interfaces under ports. */
#include "doctor.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_pci(const struct doctor_port *p)
{
	unsigned int a, b, c, e;

	return sscanf(p->device, "%x:%x:%x.%x", &a, &b, &c, &e) == 4;
}

int doctor_numa(const struct doctor *d, const char *pci, char *cores, size_t size)
{
	char text[16];
	long node;

	if (!doctor_read(d, text, sizeof(text), "/sys/bus/pci/devices/%s/numa_node", pci))
		return -1;
	node = strtol(text, NULL, 10);
	if (node < 0 || node > INT_MAX ||
		!doctor_read(d, cores, size, "/sys/devices/system/node/node%ld/cpulist", node))
		return -1;
	return (int)node;
}

static void check_node(struct doctor *d, const struct doctor_port *p)
{
	char list[256];
	int node = doctor_numa(d, p->device, list, sizeof(list));

	for (uint32_t i = 0; node >= 0 && i < d->n_cores; i++)
		if (!doctor_listed(list, d->cores[i]))
			doctor_found(d, DOCTOR_WARNING, p->name,
				"take workers' cores (spec.workers.cores) of the device's own node",
				"%s is on NUMA node %d, and worker core %u is not: every packet "
				"crosses "
				"sockets",
				p->device, node, d->cores[i]);
}

/* NVIDIA devices keep the kernel's driver; all others need one for user space. */
static void check_driver(struct doctor *d, const struct doctor_port *p)
{
	char driver[64];

	if (!doctor_link(d, driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", p->device)) {
		doctor_found(d, DOCTOR_FAULT, p->name, "modprobe vfio-pci; meltemi nic bind DEVICE",
			"%s has no driver", p->device);
		return;
	}
	if (strncmp(driver, "mlx", 3) && strcmp(driver, "vfio-pci") &&
		strcmp(driver, "uio_pci_generic") && strcmp(driver, "igb_uio"))
		doctor_found(d, DOCTOR_FAULT, p->name, "modprobe vfio-pci; meltemi nic bind DEVICE",
			"%s belongs to the kernel's driver %s", p->device, driver);
}

void doctor_pci(struct doctor *d)
{
	for (uint32_t i = 0; i < d->n_ports; i++) {
		if (!is_pci(&d->ports[i]))
			continue;
		check_driver(d, &d->ports[i]);
		check_node(d, &d->ports[i]);
	}
}

bool doctor_has_iommu(const struct doctor *d)
{
	char path[512];
	struct dirent *e;
	bool any = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/kernel/iommu_groups", d->root);
	dir = opendir(path);
	while (dir && !any && (e = readdir(dir)) != NULL)
		any = e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return any;
}

/* Only devices with user-space drivers need the IOMMU. */
void doctor_iommu(struct doctor *d)
{
	bool pci = false;

	for (uint32_t i = 0; i < d->n_ports; i++)
		pci |= is_pci(&d->ports[i]);
	if (pci && !doctor_has_iommu(d))
		doctor_found(d, DOCTOR_WARNING, "",
			"intel_iommu=on iommu=pt at boot (or amd_iommu=on), and VT-d in the "
			"firmware",
			"the IOMMU is off: devices can write to any memory, and vfio-pci works in "
			"its "
			"unsafe mode only");
}

void doctor_interfaces(struct doctor *d)
{
	for (uint32_t i = 0; i < d->n_ports; i++) {
		const struct doctor_port *p = &d->ports[i];
		char text[64];

		if (!p->interface[0])
			continue;
		if (doctor_read(
			    d, text, sizeof(text), "/sys/class/net/%s/operstate", p->interface) &&
			strcmp(text, "down") == 0)
			doctor_found(d, DOCTOR_FAULT, p->name, "ip link set dev INTERFACE up",
				"the kernel's interface %s is down", p->interface);
		if (doctor_read(d, text, sizeof(text), "/sys/class/net/%s/master/operstate",
			    p->interface))
			doctor_found(d, DOCTOR_WARNING, p->name,
				"ip link set dev INTERFACE nomaster",
				"%s is in a bridge or bond of the kernel, which takes its packets "
				"too",
				p->interface);
	}
}
