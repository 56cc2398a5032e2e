/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP scrape: an answer in slices. */
#include "mt_ctl_http_priv.h"
#include "mt_ctl_metrics_priv.h"

static bool scrape_next(void *scrape, struct mt_text_buf *out)
{
	bool failed, more = mt_scrape_next(scrape, &(struct mt_sink){.text = out}, &failed);

	out->failed |= failed;
	return more;
}

static void scrape_free(void *scrape)
{
	mt_scrape_free(scrape);
}

enum MHD_Result mt_http_metrics(struct mt_ctl *c, struct MHD_Connection *conn)
{
	enum mt_format format = mt_format_accepted(
		MHD_lookup_connection_value(conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	const struct mt_http_maker m = {scrape_next, scrape_free, mt_scrape_new(c, format)};

	return m.arg ? mt_http_slices(conn, mt_format_type(format), &m) : MHD_NO;
}
