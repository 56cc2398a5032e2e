/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

int main(int argc, char **argv)
{
	static struct daemon d;
	int code;

	mt_log_detect_journal();
	code = args_read(&d.args, argc, argv);
	if (code >= 0)
		return code;
	/* Before any thread is created, because threads inherit the signal mask. */
	d.signals = signals_open();
	if (d.signals < 0)
		return EXIT_RUN;
	code = boot_start(&d);
	if (d.args.check)
		return d.exit_code ? d.exit_code : code;
	if (code)
		return code;
	control_run(&d);
	boot_stop(&d);
	return d.exit_code;
}
