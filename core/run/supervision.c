#include "run/supervision.h"

#include <stdio.h>

bool sw_supervision_has_attempts(const sw_supervision *supervision)
{
    if (supervision == NULL) return false;
    uint32_t failures = atomic_load(&supervision->checkpoints) > 0 ? 0 : supervision->failures;
    return failures < supervision->attempts;
}

bool sw_supervision_ask_restart(sw_supervision *supervision, const char *failure)
{
    if (!sw_supervision_has_attempts(supervision) || !supervision->has_guarantee) return false;
    snprintf(supervision->failure, sizeof(supervision->failure), "%s", failure);
    atomic_store(&supervision->asks_restart, true);
    return true;
}
