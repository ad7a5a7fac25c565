/* checkpoint_show.h -- what one checkpoint holds, as a table or as JSON.
 *
 * Ownership  Borrows the restore. */
#ifndef SW_CLI_CHECKPOINT_SHOW_H
#define SW_CLI_CHECKPOINT_SHOW_H

#include "state/checkpoints.h"

/* Prints it to standard output. `which`: as it was asked for. SW_EFORMAT, SW_ENOMEM. */
int sw_checkpoint_show(const sw_restore *restore, const char *which, bool is_json, sw_error *err);

#endif
