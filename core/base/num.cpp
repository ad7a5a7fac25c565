#include "base/num.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <system_error>

namespace {

constexpr double max_exact_integer = 9007199254740992.0; // 2^53

// "00" "01" .. "99"
struct DigitPairs {
    char text[200];
    constexpr DigitPairs() : text()
    {
        for (int i = 0; i < 100; i++) {
            text[2 * i] = static_cast<char>('0' + i / 10);
            text[2 * i + 1] = static_cast<char>('0' + i % 10);
        }
    }
};
constexpr DigitPairs digit_pairs;

size_t count_digits(uint64_t v)
{
    size_t n = 1;
    for (; v >= 10000; v /= 10000) n += 4;
    return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

size_t copy_text(char *out, const char *text)
{
    size_t size = std::strlen(text);
    std::memcpy(out, text, size + 1);
    return size;
}

} // namespace

extern "C" size_t sw_num_format_u64(char *out, uint64_t v)
{
    size_t size = count_digits(v);
    char *p = out + size;
    *p = '\0';
    for (; v >= 100; v /= 100) std::memcpy(p -= 2, digit_pairs.text + 2 * (v % 100), 2);
    if (v >= 10) {
        std::memcpy(out, digit_pairs.text + 2 * v, 2);
    } else {
        *out = static_cast<char>('0' + v);
    }
    return size;
}

extern "C" size_t sw_num_format_i64(char *out, int64_t v)
{
    if (v >= 0) return sw_num_format_u64(out, static_cast<uint64_t>(v));
    *out = '-';
    return 1 + sw_num_format_u64(out + 1, -static_cast<uint64_t>(v));
}

extern "C" size_t sw_num_format_double(char *out, double v)
{
    if (std::fabs(v) <= max_exact_integer) {
        int64_t whole = static_cast<int64_t>(v);
        if (whole == 0 && v == 0 && std::signbit(v)) return copy_text(out, "-0.0");
        if (static_cast<double>(whole) == v) return sw_num_format_i64(out, whole);
    }
    if (std::isnan(v)) return copy_text(out, "nan"); // Without the sign that to_chars would show.
    char *end = std::to_chars(out, out + SW_NUM_TEXT_SIZE - 1, v).ptr;
    *end = '\0';
    return static_cast<size_t>(end - out);
}

extern "C" int sw_num_parse_double(const char *text, size_t size, double *out)
{
    double v = 0;
    std::from_chars_result r = std::from_chars(text, text + size, v);
    if (r.ec == std::errc::invalid_argument || r.ptr != text + size) return SW_EFORMAT;
    if (r.ec == std::errc::result_out_of_range) return SW_ELIMIT;
    *out = v;
    return SW_OK;
}
