/* report.h -- the JSON summary of a run that `--report FILE` asks for.
 *
 * Opened before the job runs, so that a file which cannot be written is known then; written at its end, beside FILE and
 * renamed, so that a reader finds the old report or the new one. What is no plain file (a pipe, a device, a link) is
 * written in place, and "-" is standard error.
 *
 * Ownership  finish and drop free it. */
#ifndef SW_CLI_REPORT_H
#define SW_CLI_REPORT_H

#include "script/runner.h"

typedef struct sw_report sw_report;

/* SW_EIO and the like name the file. */
int sw_report_open(sw_report **out, const char *path, sw_error *err);

/* Writes the report of a runner that has run (also of one that failed to open) and frees it in every case. */
int sw_report_finish(sw_report *report, const sw_runner *runner, int exit_status, sw_error *err);

/* Frees a report that is not to be written; NULL is fine. */
void sw_report_drop(sw_report *report);

/* "finished", "stopped" or "failed". */
const char *sw_report_status(const sw_runner *runner, int exit_status);

/* Appends the report's JSON and a line break. SW_OK, SW_ENOMEM. */
int sw_report_print(sw_buf *out, const sw_runner *runner, int exit_status);

#endif
