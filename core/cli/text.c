#include "cli/text.h"

#include <stdio.h>
#include <time.h>

#include "base/num.h"

const char *sw_text_number(char out[SW_TEXT_SIZE], uint64_t value)
{
    char digits[SW_NUM_TEXT_SIZE];
    size_t len = sw_num_format_u64(digits, value), n = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) out[n++] = ',';
        out[n++] = digits[i];
    }
    out[n] = '\0';
    return out;
}

const char *sw_text_duration(char out[SW_TEXT_SIZE], double seconds)
{
    unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;
    if (s < 60) snprintf(out, SW_TEXT_SIZE, "%lus", s);
    else if (s < 3600) snprintf(out, SW_TEXT_SIZE, "%lum%02lus", s / 60, s % 60);
    else if (s < 86400) snprintf(out, SW_TEXT_SIZE, "%luh%02lum", s / 3600, s / 60 % 60);
    else snprintf(out, SW_TEXT_SIZE, "%lud%02luh", s / 86400, s / 3600 % 24);
    return out;
}

const char *sw_text_time(char out[SW_TEXT_SIZE], int64_t ms)
{
    int64_t fraction = ms % 1000 < 0 ? ms % 1000 + 1000 : ms % 1000;
    time_t seconds = (time_t)((ms - fraction) / 1000);
    struct tm at;
    if (gmtime_r(&seconds, &at) == NULL) {
        snprintf(out, SW_TEXT_SIZE, "%lldms", (long long)ms);
        return out;
    }
    size_t n = strftime(out, SW_TEXT_SIZE - 8, "%Y-%m-%dT%H:%M:%S", &at);
    snprintf(out + n, SW_TEXT_SIZE - n, ".%03dZ", (int)fraction);
    return out;
}
