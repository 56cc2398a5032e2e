/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "mt_std.h"

int main(int argc, char **argv)
{
	static struct daemon d;
	int code;

	mt_std_hold();
	mt_log_detect_journal();
	code = args_read(&d.args, argc, argv);
	if (code >= 0)
		return mt_std_written("meltemid", code);
	if (d.args.rights)
		return mt_std_written("meltemid", profile_print(&d.args));
	/* Before any thread is created, because threads inherit the signal mask. */
	d.signals = signals_open();
	if (d.signals < 0)
		return EXIT_RUN;
	/* A reader of the log that stops must not stop the node. */
	mt_log_set_waiting(d.args.check);
	code = boot_start(&d);
	if (d.args.check)
		return mt_std_written("meltemid", d.exit_code ? d.exit_code : code);
	if (code)
		return code;
	control_run(&d);
	boot_stop(&d);
	return d.exit_code;
}
