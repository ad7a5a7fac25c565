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

// The eight decimal digits of v < 10^8, one a byte, the first in the lowest: all pairs of a step are divided at once.
uint64_t eight_digits(uint64_t v)
{
    uint64_t fours = v / 10000 | v % 10000 << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007f0000007f; // Each of the fours / 100.
    uint64_t pairs = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (pairs * 103 >> 10) & 0x000f000f000f000f; // Each of the pairs / 10.
    return tens | (pairs - tens * 10) << 8;
}

constexpr uint64_t eight_zeros = 0x3030303030303030; // "00000000"
constexpr uint64_t ten_to_8 = 100000000;

char *put_eight(char *out, uint64_t v)
{
    uint64_t text = eight_digits(v) | eight_zeros;
    std::memcpy(out, &text, sizeof(text));
    return out + 8;
}

// Without leading zeros; writes to all eight bytes.
char *put_up_to_eight(char *out, uint64_t v)
{
    uint64_t digits = eight_digits(v);
    unsigned zeros = static_cast<unsigned>(__builtin_ctzll(digits | UINT64_C(1) << 56)) / 8;
    uint64_t text = (digits | eight_zeros) >> (8 * zeros);
    std::memcpy(out, &text, sizeof(text));
    return out + (8 - zeros);
}

// Writes the number's digits and returns their end.
char *put_u64(char *out, uint64_t v)
{
    if (v < ten_to_8) return put_up_to_eight(out, v);
    uint64_t head = v / ten_to_8;
    out = head < ten_to_8 ? put_up_to_eight(out, head)
                          : put_eight(put_up_to_eight(out, head / ten_to_8), head % ten_to_8);
    return put_eight(out, v % ten_to_8);
}

size_t copy_text(char *out, const char *text)
{
    size_t size = std::strlen(text);
    std::memcpy(out, text, size + 1);
    return size;
}

constexpr int64_t few_decimals = 10000;        // up to four
constexpr double few_decimals_smallest = 1e-3; // below, an exponent is shorter
constexpr double few_decimals_largest = 1e11; // above, four decimals would be more than the 15 digits that always count

// Writes a number that has one to four decimals, as most that people write do, in its shortest form: the quotient of
// two exact numbers is rounded once, as is the text when it is read, so when the quotient is v the text reads as v;
// zeros at its end do not change the quotient. 0 when v has more decimals, or none.
size_t format_few_decimals(char *out, double v)
{
    double size = std::fabs(v);
    if (!(size >= few_decimals_smallest && size < few_decimals_largest)) return 0;
    int64_t scaled = static_cast<int64_t>(size * static_cast<double>(few_decimals) + 0.5);
    if (static_cast<double>(scaled) / static_cast<double>(few_decimals) != size) return 0;
    uint64_t fraction = static_cast<uint64_t>(scaled % few_decimals);
    if (fraction == 0) return 0;
    char *p = out;
    *p = '-';
    p = put_u64(p + (v < 0), static_cast<uint64_t>(scaled / few_decimals));
    *p++ = '.';
    std::memcpy(p, digit_pairs.text + 2 * (fraction / 100), 2);
    std::memcpy(p + 2, digit_pairs.text + 2 * (fraction % 100), 2);
    p += 4 - (fraction % 10 == 0) - (fraction % 100 == 0) - (fraction % 1000 == 0);
    *p = '\0';
    return static_cast<size_t>(p - out);
}

} // namespace

extern "C" size_t sw_num_format_u64(char *out, uint64_t v)
{
    char *end = put_u64(out, v);
    *end = '\0';
    return static_cast<size_t>(end - out);
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
