/* SPDX-License-Identifier: Apache-2.0 */
/* PCI devices, the IOMMU, and kernel interfaces under ports. */
#include "doctor.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_pci(const struct doctor_port *p)
{
	unsigned int a, b, c, e;

	return sscanf(p->device, "%x:%x:%x.%x", &a, &b, &c, &e) == 4;
}

static void check_node(struct doctor *d, const struct doctor_port *p)
{
	char node[16], list[256];

	if (!doctor_read(d, node, sizeof(node), "/sys/bus/pci/devices/%s/numa_node", p->device) ||
		atoi(node) < 0)
		return;
	if (!doctor_read(
		    d, list, sizeof(list), "/sys/devices/system/node/node%d/cpulist", atoi(node)))
		return;
	for (uint32_t i = 0; i < d->n_cores; i++)
		if (!doctor_listed(list, d->cores[i]))
			doctor_found(d, DOCTOR_WARNING, p->name,
				"take workers' cores (spec.workers.cores) of the device's own node",
				"%s is on NUMA node %d, and worker core %u is not: every packet "
				"crosses "
				"sockets",
				p->device, atoi(node), d->cores[i]);
}

/* NVIDIA devices keep the kernel's driver; all others need one for user space. */
static void check_driver(struct doctor *d, const struct doctor_port *p)
{
	char driver[64];

	if (!doctor_link(d, driver, sizeof(driver), "/sys/bus/pci/devices/%s/driver", p->device)) {
		doctor_found(d, DOCTOR_FAULT, p->name,
			"modprobe vfio-pci; dpdk-devbind.py -b vfio-pci DEVICE", "%s has no driver",
			p->device);
		return;
	}
	if (strncmp(driver, "mlx", 3) && strcmp(driver, "vfio-pci") &&
		strcmp(driver, "uio_pci_generic") && strcmp(driver, "igb_uio"))
		doctor_found(d, DOCTOR_FAULT, p->name,
			"modprobe vfio-pci; dpdk-devbind.py -b vfio-pci DEVICE",
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

static bool any_group(const struct doctor *d)
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
	if (pci && !any_group(d))
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
