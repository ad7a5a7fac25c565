#include "state/mdb.h"

int sw_mdb_commit(MDB_txn *txn)
{
    if (!sw_fault_next(SW_FAULT_LMDB)) return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return EIO;
}

int sw_mdb_fail(sw_error *err, int rc, const char *path)
{
    if (rc > 0) return sw_error_errno(err, rc, "%s", path);
    int code = SW_EFORMAT;
    if (rc == MDB_MAP_FULL) code = SW_EFULL;
    if (rc == MDB_NOTFOUND) code = SW_ENOTFOUND;
    if (rc == MDB_BAD_VALSIZE) code = SW_ELIMIT;
    return sw_error_set(err, code, "%s: %s", path, mdb_strerror(rc));
}
