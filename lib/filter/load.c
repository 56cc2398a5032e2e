/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, checks and closes shared objects. */
#include "module_priv.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The size of version 1, up to its last field on_end. */
#define FIRST_SIZE                                                                                 \
	(offsetof(struct mt_filter_module, on_end) +                                               \
		sizeof(((struct mt_filter_module *)NULL)->on_end))

/* Writes what is wrong with the module; false if nothing is. */
static bool is_wrong(
	const struct mt_filter_module *m, const char *path, char *errbuf, size_t errlen)
{
	if (m->abi_version == 0 || m->abi_version > MT_FILTER_ABI_VERSION)
		snprintf(errbuf, errlen,
			"%s: is built for version %u of the filter ABI, and this Meltemi has "
			"versions 1 to %u; build it with this Meltemi's mt_filter_abi.h",
			path, m->abi_version, MT_FILTER_ABI_VERSION);
	else if (m->size > sizeof(*m))
		snprintf(errbuf, errlen,
			"%s: uses more of the filter ABI than this Meltemi has (%u bytes of %zu); "
			"use a newer Meltemi, or build it with this one's mt_filter_abi.h",
			path, m->size, sizeof(*m));
	else if (m->size < FIRST_SIZE)
		snprintf(errbuf, errlen,
			"%s: `size` of its struct mt_filter_module is %u, and the minimum is %zu; "
			"set it to sizeof(struct mt_filter_module)",
			path, m->size, FIRST_SIZE);
	else if (!m->name || !m->name[0])
		snprintf(errbuf, errlen, "%s: its filter has no name; set `name`", path);
	else if (m->bytes > MT_FILTER_BYTES_MAX)
		snprintf(errbuf, errlen,
			"%s: the filter \"%s\" needs %u bytes with each call, and may have %u; "
			"keep the rest in memory of its own, and a pointer there",
			path, m->name, m->bytes, MT_FILTER_BYTES_MAX);
	else
		return false;
	return true;
}

static const struct mt_filter_module *open_object(
	const char *path, void **handle, char *errbuf, size_t errlen)
{
	const struct mt_filter_module *m;

	if (path[0] != '/') {
		snprintf(errbuf, errlen, "%s: not an absolute path; write it from / on", path);
		return NULL;
	}
	*handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!*handle) {
		snprintf(errbuf, errlen, "%s: cannot be loaded (%s); look at it with ldd", path,
			dlerror());
		return NULL;
	}
	m = dlsym(*handle, MT_FILTER_SYMBOL);
	if (!m)
		snprintf(errbuf, errlen,
			"%s: has no symbol \"%s\", so it is not a filter; export a struct "
			"mt_filter_module of that name",
			path, MT_FILTER_SYMBOL);
	return m;
}

struct mt_filter_object *mt_filter_load(const char *path, char *errbuf, size_t errlen)
{
	struct mt_filter_object *o;
	void *handle = NULL;
	const struct mt_filter_module *m = open_object(path, &handle, errbuf, errlen);

	if (!m || is_wrong(m, path, errbuf, errlen)) {
		if (handle)
			dlclose(handle);
		return NULL;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		snprintf(errbuf, errlen, "%s: out of memory", path);
		dlclose(handle);
		return NULL;
	}
	o->handle = handle;
	memcpy(&o->module, m, m->size);
	o->type = mt_filter_type_of(&o->module);
	return o;
}

void mt_filter_unload(struct mt_filter_object *o)
{
	if (!o)
		return;
	dlclose(o->handle);
	free(o);
}

const struct mt_filter *mt_filter_object_type(const struct mt_filter_object *o)
{
	return &o->type;
}

void mt_filter_use_free(void *conf)
{
	struct mt_filter_use *use = conf;

	if (use->module->release)
		use->module->release(use->conf);
	free(use);
}

int mt_filter_object_configure(const struct mt_filter_object *o, const char *text, size_t len,
	void **conf, char *errbuf, size_t errlen)
{
	struct mt_filter_use *use = calloc(1, sizeof(*use));
	int rc = 0;

	if (!use) {
		snprintf(errbuf, errlen, "out of memory");
		return -ENOMEM;
	}
	use->module = &o->module;
	snprintf(errbuf, errlen, "the filter \"%s\" refuses its configuration", o->module.name);
	if (o->module.configure)
		rc = o->module.configure(mt_filter_host_of(o->module.abi_version), text, len,
			&use->conf, errbuf, errlen);
	if (rc) {
		free(use);
		return rc < 0 ? rc : -EINVAL;
	}
	*conf = use;
	return 0;
}
