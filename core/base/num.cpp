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

constexpr int few_decimals_max = 4;
constexpr uint64_t powers_of_ten[few_decimals_max + 1] = { 1, 10, 100, 1000, 10000 };
constexpr double few_decimals_smallest = 1e-3; // below, an exponent is shorter
constexpr double few_decimals_largest = 1e11;  // above, 4 decimals would be more than the 15 digits that always count

// Writes a number that has at most 4 decimals, as most that people write do, in its shortest form: the quotient of two
// exact numbers is rounded once, as is the text when it is read, so when the quotient is v the text reads as v; and
// with one decimal less it would not. 0 when v has more.
size_t format_few_decimals(char *out, double v)
{
    double size = std::fabs(v);
    if (!(size >= few_decimals_smallest && size < few_decimals_largest)) return 0;
    for (int decimals = 1; decimals <= few_decimals_max; decimals++) {
        uint64_t power = powers_of_ten[decimals];
        uint64_t scaled = static_cast<uint64_t>(size * static_cast<double>(power) + 0.5);
        if (static_cast<double>(scaled) / static_cast<double>(power) != size) continue;
        char *p = out;
        if (v < 0) *p++ = '-';
        p += sw_num_format_u64(p, scaled / power);
        *p++ = '.';
        uint64_t fraction = scaled % power;
        for (int i = decimals; i-- > 0; fraction /= 10) p[i] = static_cast<char>('0' + fraction % 10);
        p[decimals] = '\0';
        return static_cast<size_t>(p + decimals - out);
    }
    return 0;
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
    if (size_t size = format_few_decimals(out, v)) return size;
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
