/* job_state.h -- the command `state` of the control socket: what a running job keeps, asked of its tasks.
 *
 *     request --ask--> an inquiry to each task concerned (run/inquiry.h) --all answered, or too late--> one reply
 *
 *     {"cmd":"state","op":"get","component":"usage","key":"c1"}
 *     {"cmd":"state","op":"scan","component":"usage","limit":100,"after":"a26331"}
 *     {"cmd":"state","op":"instances","component":"counter"}
 *
 * get is of one key, without one of the key null; scan, of the keys of all instances in order; instances, of what these
 * keep themselves. The reply has "rows", a text of JSON each, so that numbers come as they are; and, of scan, "next":
 * what to give as `after` for the keys behind these, or null. scan and instances take `instance`, a number, for only
 * that one.
 *
 * Ownership  Borrows the runner, which has an engine. close before the engine is closed, when its workers have ended.
 * Threads    the main thread.
 * Limits     A reply of scan ends behind SW_JOB_STATE_BYTES_MAX, whatever the limit, and costs every instance a look
 *            at all its keys. No answer within SW_JOB_STATE_TIMEOUT_MS is an error. */
#ifndef SW_CLI_JOB_STATE_H
#define SW_CLI_JOB_STATE_H

#include "script/runner.h"
#include "serve/control.h"

#define SW_JOB_STATE_BYTES_MAX (8u << 20)
#define SW_JOB_STATE_TIMEOUT_MS 3000

struct sw_question;

typedef struct sw_job_state {
    sw_runner *runner;             /* borrowed */
    struct sw_question *questions; /* whose tasks have not all answered; owned */
} sw_job_state;

void sw_job_state_ask(sw_job_state *state, sw_control_request *request, const sw_message *message);
void sw_job_state_close(sw_job_state *state);

#endif
