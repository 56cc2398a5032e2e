/* SPDX-License-Identifier: Apache-2.0 */
#include "re2_shim.h"

#include <cstdio>
#include <new>

#include <re2/re2.h>

struct mt_re2 {
	explicit mt_re2(const re2::StringPiece &pattern, const RE2::Options &options)
	    : re(pattern, options)
	{
	}
	RE2 re;
};

struct mt_re2 *mt_re2_new(const char *pattern, size_t len, char *errbuf, size_t errlen)
{
	RE2::Options options;
	mt_re2 *r;

	options.set_log_errors(false);
	options.set_never_capture(true);
	options.set_max_mem(MT_RE2_MEM);
	r = new (std::nothrow) mt_re2(re2::StringPiece(pattern, len), options);
	if (!r) {
		snprintf(errbuf, errlen, "no memory for a regex");
		return nullptr;
	}
	if (!r->re.ok()) {
		snprintf(errbuf, errlen, "bad regex: %s", r->re.error().c_str());
		delete r;
		return nullptr;
	}
	return r;
}

void mt_re2_free(struct mt_re2 *re)
{
	delete re;
}

bool mt_re2_full_match(const struct mt_re2 *re, const char *text, size_t len)
{
	return RE2::FullMatch(re2::StringPiece(text, len), re->re);
}
