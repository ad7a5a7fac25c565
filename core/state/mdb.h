/* mdb.h -- LMDB's result codes in ours, and its calls within the reach of fault injection.
 *
 * Threads    any. */
#ifndef SW_STATE_MDB_H
#define SW_STATE_MDB_H

#include <errno.h>
#include <lmdb.h>

#include "base/error.h"
#include "base/fault.h"

/* The result of a call of LMDB, or a failure without calling it. Not for mdb_txn_commit, which frees even then. */
#define SW_MDB(call) (sw_fault_next(SW_FAULT_LMDB) ? EIO : (call))

/* mdb_txn_commit. */
int sw_mdb_commit(MDB_txn *txn);

/* The code for LMDB's rc, which is not 0: SW_EFULL (the map is), SW_ENOTFOUND (no such key), SW_ELIMIT (a value too
 * long), SW_ENOMEM, SW_ENOSPC, SW_EIO, SW_EFORMAT. */
int sw_mdb_fail(sw_error *err, int rc, const char *path);

#endif
