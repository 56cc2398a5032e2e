/* SPDX-License-Identifier: Apache-2.0 */
#include "nic_tree.h"

#include "mt_test.h"

#include <ftw.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

struct nic *tree_new(void)
{
	static char root[64];
	struct nic *n = calloc(1, sizeof(*n));

	strcpy(root, "/tmp/nic_test.XXXXXX");
	MT_ASSERT(n && mkdtemp(root));
	n->host.root = root;
	return n;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

void tree_free(struct nic *n)
{
	(void)nftw(n->host.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(n);
}

/* The path below the root. Makes the directories above it. */
static void path_of(const struct nic *n, char path[1024], const char *fmt, va_list ap)
{
	int len = snprintf(path, 1024, "%s/", n->host.root);

	vsnprintf(path + len, 1024 - (size_t)len, fmt, ap);
	for (char *p = path + len; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
}

void tree_file(const struct nic *n, const char *text, const char *fmt, ...)
{
	char path[1024];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	path_of(n, path, fmt, ap);
	va_end(ap);
	f = fopen(path, "w");
	MT_ASSERT(f);
	fputs(text, f);
	fclose(f);
}

void tree_link(const struct nic *n, const char *to, const char *fmt, ...)
{
	char path[1024];
	va_list ap;

	va_start(ap, fmt);
	path_of(n, path, fmt, ap);
	va_end(ap);
	(void)unlink(path);
	MT_ASSERT(symlink(to, path) == 0);
}

void tree_directory(const struct nic *n, const char *fmt, ...)
{
	char path[1024];
	va_list ap;

	va_start(ap, fmt);
	path_of(n, path, fmt, ap);
	va_end(ap);
	(void)mkdir(path, 0700);
}

void tree_card(const struct nic *n, const char *pci, const char *ids, const char *driver, int group)
{
	char to[128];

	tree_file(n, "0x020000\n", "sys/bus/pci/devices/%s/class", pci);
	snprintf(to, sizeof(to), "0x%.4s\n", ids);
	tree_file(n, to, "sys/bus/pci/devices/%s/vendor", pci);
	snprintf(to, sizeof(to), "0x%.4s\n", ids + 5);
	tree_file(n, to, "sys/bus/pci/devices/%s/device", pci);
	tree_file(n, "(null)\n", "sys/bus/pci/devices/%s/driver_override", pci);
	if (driver) {
		snprintf(to, sizeof(to), "../../drivers/%s", driver);
		tree_directory(n, "sys/bus/pci/drivers/%s", driver);
		tree_link(n, to, "sys/bus/pci/devices/%s/driver", pci);
	}
	if (group < 0)
		return;
	snprintf(to, sizeof(to), "../../../../kernel/iommu_groups/%d", group);
	tree_link(n, to, "sys/bus/pci/devices/%s/iommu_group", pci);
	tree_file(n, "", "sys/kernel/iommu_groups/%d/devices/%s", group, pci);
}

void tree_interface(const struct nic *n, const char *pci, const char *virtio, const char *name)
{
	char at[128];

	snprintf(at, sizeof(at), "sys/bus/pci/devices/%s/%s%snet/%s", pci, virtio ? virtio : "",
		virtio ? "/" : "", name);
	tree_file(n, "up\n", "%s/operstate", at);
	tree_file(n, "25000\n", "%s/speed", at);
	tree_file(n, "1500\n", "%s/mtu", at);
	for (int i = 0; i < 4; i++) {
		tree_directory(n, "%s/queues/rx-%d", at, i);
		tree_directory(n, "%s/queues/tx-%d", at, i);
	}
	tree_directory(n, "sys/class/net/%s", name);
}

void tree_address(struct nic *n, const char *interface, const char *text)
{
	struct nic_address *a = &n->addresses[n->n_addresses++];

	MT_ASSERT(mt_prefix_parse(text, &a->a, &a->bits) == 0);
	snprintf(a->interface, sizeof(a->interface), "%s", interface);
}
