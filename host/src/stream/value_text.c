#include "stream/value_text.h"

#include "codec/types.h"
#include "stream/text_write.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MICROSECONDS_A_DAY INT64_C(86400000000)
enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 36, NUMBER_TEXT_BYTES_MAX = 400, SHORT_PLACES_MAX = 6 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

cst_code csti_hex_read(const char *text, size_t bytes, uint8_t *out, size_t capacity,
                       size_t *count_out) {
    if (bytes % 2 != 0) return CST_PARSE;
    if (bytes / 2 > capacity) return CST_LIMIT;
    for (size_t i = 0; i < bytes; i += 2) {
        const int high = hex_digit(text[i]);
        const int low = hex_digit(text[i + 1]);

        if (high < 0 || low < 0) return CST_PARSE;
        out[i / 2] = (uint8_t)(high * 16 + low);
    }
    *count_out = bytes / 2;
    return CST_OK;
}

void csti_hex_write(const uint8_t *bytes, size_t count, char *out) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

// Digits only. CST_VALUE_RANGE above 2^128 - 1.
static cst_code digits_read(const char *text, size_t bytes, cst_u128 *out) {
    cst_u128 value = 0;

    if (bytes == 0) return CST_PARSE;
    for (size_t i = 0; i < bytes; i++) {
        if (!is_digit(text[i])) return CST_PARSE;
        if (__builtin_mul_overflow(value, (cst_u128)10, &value)) return CST_VALUE_RANGE;
        if (__builtin_add_overflow(value, (cst_u128)(text[i] - '0'), &value))
            return CST_VALUE_RANGE;
    }
    *out = value;
    return CST_OK;
}

static uint32_t type_bits(cst_type type) {
    switch (type) {
    case CST_TYPE_U8:
    case CST_TYPE_I8:
        return 8;
    case CST_TYPE_U16:
    case CST_TYPE_I16:
        return 16;
    case CST_TYPE_U32:
    case CST_TYPE_I32:
        return 32;
    case CST_TYPE_U64:
    case CST_TYPE_I64:
        return 64;
    default:
        return 128;
    }
}

static cst_code unsigned_read(cst_type type, const char *text, size_t bytes, cst_value *out) {
    const uint32_t bits = type_bits(type);
    cst_code code;

    if (bytes > 1 && text[0] == '-') return CST_VALUE_RANGE;
    code = digits_read(text, bytes, &out->u128);
    if (code == CST_OK && bits < 128 && out->u128 >> bits) code = CST_VALUE_RANGE;
    return code;
}

static cst_code signed_read(cst_type type, const char *text, size_t bytes, cst_value *out) {
    const uint32_t bits = type_bits(type);
    const bool negative = bytes > 0 && text[0] == '-';
    const cst_u128 limit = ((cst_u128)1 << (bits - 1)) - !negative;
    cst_u128 magnitude = 0;
    const cst_code code = digits_read(text + negative, bytes - negative, &magnitude);

    if (code != CST_OK) return code;
    if (magnitude > limit) return CST_VALUE_RANGE;
    out->i128 = negative ? (cst_i128)(~magnitude + 1) : (cst_i128)magnitude;
    return CST_OK;
}

static cst_code float_read(cst_type type, const char *text, size_t bytes, cst_value *out) {
    char copy[NUMBER_TEXT_BYTES_MAX];
    char *end = NULL;
    const bool word = bytes > 0 && (text[bytes - 1] == 'n' || text[bytes - 1] == 'f');

    if (bytes == 0 || bytes >= sizeof copy) return CST_PARSE;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    if (word && strcmp(copy, "nan") != 0 && strcmp(copy, "inf") != 0 && strcmp(copy, "-inf") != 0)
        return CST_PARSE;
    // strtod takes more than numbers: leading space, hexadecimal, other words.
    if (!word && strspn(copy, "0123456789+-.eE") != bytes) return CST_PARSE;
    out->f64 = type == CST_TYPE_F32 ? (double)strtof(copy, &end) : strtod(copy, &end);
    if (*end || end == copy) return CST_PARSE;
    if (!word && isinf(out->f64)) return CST_VALUE_RANGE;
    return CST_OK;
}

static cst_code bool_read(const char *text, size_t bytes, cst_value *out) {
    const bool yes = bytes == 4 && memcmp(text, "true", 4) == 0;

    if (!yes && !(bytes == 5 && memcmp(text, "false", 5) == 0)) return CST_PARSE;
    out->u128 = yes;
    return CST_OK;
}

// Days from 1970-01-01 of a proleptic Gregorian date, and back (H. Hinnant, "chrono-compatible
// low-level date algorithms": eras of 400 years, years that begin in March).
static int64_t days_of(int64_t year, uint32_t month, uint32_t day) {
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const uint32_t year_of_era = (uint32_t)(y - era * 400);
    const uint32_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const uint32_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + (int64_t)day_of_era - 719468;
}

static void date_of(int64_t days, int64_t *year, uint32_t *month, uint32_t *day) {
    const int64_t shifted = days + 719468;
    const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const uint32_t day_of_era = (uint32_t)(shifted - era * 146097);
    const uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const uint32_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const uint32_t m = (5 * day_of_year + 2) / 153;

    *day = day_of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

static uint32_t days_in_month(int64_t year, uint32_t month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

// Exactly `count` digits from *at on.
static bool digits_take(const char *text, size_t bytes, size_t *at, size_t count, uint32_t *out) {
    uint32_t value = 0;

    if (*at + count > bytes || count > 9) return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text[*at + i])) return false;
        value = value * 10 + (uint32_t)(text[*at + i] - '0');
    }
    *at += count;
    *out = value;
    return true;
}

static bool byte_take(const char *text, size_t bytes, size_t *at, char wanted) {
    if (*at >= bytes || text[*at] != wanted) return false;
    ++*at;
    return true;
}

// The date at the beginning; *at stands behind it then.
static cst_code date_take(const char *text, size_t bytes, size_t *at, int64_t *days_out) {
    const bool sign = bytes > 0 && (text[0] == '-' || text[0] == '+');
    size_t year_digits = 0;
    uint32_t year = 0;
    uint32_t month = 0;
    uint32_t day = 0;
    int64_t signed_year;

    *at = sign;
    while (*at + year_digits < bytes && is_digit(text[*at + year_digits])) year_digits++;
    if (year_digits < 4 || (year_digits > 4 && !sign)) return CST_PARSE;
    if (year_digits > 7) return CST_VALUE_RANGE;
    if (!digits_take(text, bytes, at, year_digits, &year)) return CST_PARSE;
    if (!byte_take(text, bytes, at, '-')) return CST_PARSE;
    if (!digits_take(text, bytes, at, 2, &month)) return CST_PARSE;
    if (!byte_take(text, bytes, at, '-')) return CST_PARSE;
    if (!digits_take(text, bytes, at, 2, &day)) return CST_PARSE;
    signed_year = sign && text[0] == '-' ? -(int64_t)year : (int64_t)year;
    if (month < 1 || month > 12) return CST_VALUE_RANGE;
    if (day < 1 || day > days_in_month(signed_year, month)) return CST_VALUE_RANGE;
    *days_out = days_of(signed_year, month, day);
    return CST_OK;
}

static cst_code date_read(const char *text, size_t bytes, cst_value *out) {
    int64_t days = 0;
    size_t at = 0;
    const cst_code code = date_take(text, bytes, &at, &days);

    if (code != CST_OK) return code;
    if (at != bytes) return CST_PARSE;
    if (days < INT32_MIN || days > INT32_MAX) return CST_VALUE_RANGE;
    out->i128 = days;
    return CST_OK;
}

// ".ffffff", one to six digits, as microseconds.
static bool fraction_take(const char *text, size_t bytes, size_t *at, uint32_t *out) {
    size_t digits = 0;

    *out = 0;
    if (!byte_take(text, bytes, at, '.')) return true;
    while (*at + digits < bytes && is_digit(text[*at + digits])) digits++;
    if (digits < 1 || digits > 6 || !digits_take(text, bytes, at, digits, out)) return false;
    for (; digits < 6; digits++) *out *= 10;
    return true;
}

// Z, +HH:MM, -HH:MM, or nothing: seconds ahead of UTC.
static bool zone_take(const char *text, size_t bytes, size_t *at, int32_t *out) {
    const bool west = *at < bytes && text[*at] == '-';
    uint32_t hours = 0;
    uint32_t minutes = 0;

    *out = 0;
    if (*at == bytes || byte_take(text, bytes, at, 'Z')) return true;
    if (!west && text[*at] != '+') return false;
    ++*at;
    if (!digits_take(text, bytes, at, 2, &hours) || !byte_take(text, bytes, at, ':') ||
        !digits_take(text, bytes, at, 2, &minutes))
        return false;
    if (hours > 23 || minutes > 59) return false;
    *out = (int32_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static cst_code timestamp_read(const char *text, size_t bytes, cst_value *out) {
    int64_t days = 0;
    size_t at = 0;
    uint32_t hour = 0;
    uint32_t minute = 0;
    uint32_t second = 0;
    uint32_t microsecond = 0;
    int32_t ahead = 0;
    const cst_code code = date_take(text, bytes, &at, &days);
    cst_i128 us;

    if (code != CST_OK) return code;
    if (!byte_take(text, bytes, &at, 'T') && !byte_take(text, bytes, &at, ' ')) return CST_PARSE;
    if (!digits_take(text, bytes, &at, 2, &hour)) return CST_PARSE;
    if (!byte_take(text, bytes, &at, ':')) return CST_PARSE;
    if (!digits_take(text, bytes, &at, 2, &minute)) return CST_PARSE;
    if (!byte_take(text, bytes, &at, ':')) return CST_PARSE;
    if (!digits_take(text, bytes, &at, 2, &second)) return CST_PARSE;
    if (!fraction_take(text, bytes, &at, &microsecond)) return CST_PARSE;
    if (!zone_take(text, bytes, &at, &ahead) || at != bytes) return CST_PARSE;
    if (hour > 23 || minute > 59 || second > 59) return CST_VALUE_RANGE;
    us = (cst_i128)days * MICROSECONDS_A_DAY +
         ((cst_i128)((hour * 60 + minute) * 60 + second) * 1000000 + microsecond) -
         (cst_i128)ahead * 1000000;
    if (us < INT64_MIN || us > INT64_MAX) return CST_VALUE_RANGE;
    out->i128 = us;
    return CST_OK;
}

static cst_code decimal_read(const cst_column *column, const char *text, size_t bytes,
                             cst_value *out) {
    const bool negative = bytes > 0 && text[0] == '-';
    char digits[CST_DECIMAL_DIGITS_MAX + 2];
    size_t digits_count = 0;
    size_t behind_point = 0;
    bool point = false;
    cst_u128 units = 0;
    cst_code code;

    for (size_t i = negative; i < bytes; i++) {
        if (text[i] == '.' && !point && i > negative && i + 1 < bytes) {
            point = true;
            continue;
        }
        if (!is_digit(text[i])) return CST_PARSE;
        behind_point += point;
        if (digits_count == 0 && text[i] == '0' && !point) continue; // leading zeros
        if (digits_count > CST_DECIMAL_DIGITS_MAX) return CST_VALUE_RANGE;
        digits[digits_count++] = text[i];
    }
    if (bytes == negative) return CST_PARSE;
    if (behind_point > column->scale) return CST_VALUE_RANGE;
    for (; behind_point < column->scale; behind_point++) {
        if (digits_count > CST_DECIMAL_DIGITS_MAX) return CST_VALUE_RANGE;
        digits[digits_count++] = '0';
    }
    if (digits_count == 0) digits[digits_count++] = '0';
    code = digits_read(digits, digits_count, &units);
    if (code != CST_OK) return code;
    out->i128 = negative ? -(cst_i128)units : (cst_i128)units;
    for (int i = 0; i < CST_DECIMAL_DIGITS_MAX; i++) units /= 10;
    return units ? CST_VALUE_RANGE : CST_OK;
}

static bool uuid_dash_at(size_t i) {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static cst_code uuid_read(const char *text, size_t bytes, uint8_t *out) {
    char digits[2 * UUID_BYTES];
    size_t count = 0;

    if (bytes != UUID_TEXT_BYTES) return CST_PARSE;
    for (size_t i = 0; i < bytes; i++) {
        if (uuid_dash_at(i) != (text[i] == '-')) return CST_PARSE;
        if (!uuid_dash_at(i)) digits[count++] = text[i];
    }
    return csti_hex_read(digits, count, out, UUID_BYTES, &count);
}

static cst_code bytes_read(const cst_column *column, const char *text, size_t bytes,
                           uint8_t *scratch, size_t scratch_bytes, cst_value *out) {
    size_t count = UUID_BYTES;
    cst_code code = CST_OK;

    if (column->type == CST_TYPE_STRING) {
        out->bytes = (const uint8_t *)text;
        out->bytes_count = (uint32_t)bytes;
        return bytes > CST_VARIABLE_BYTES_MAX ? CST_LIMIT : CST_OK;
    }
    if (column->type == CST_TYPE_UUID)
        code = scratch_bytes < UUID_BYTES ? CST_LIMIT : uuid_read(text, bytes, scratch);
    else
        code = csti_hex_read(text, bytes, scratch, scratch_bytes, &count);
    if (code != CST_OK) return code;
    if (column->type == CST_TYPE_FIXED && count != column->width) return CST_VALUE_RANGE;
    out->bytes = scratch;
    out->bytes_count = (uint32_t)count;
    return CST_OK;
}

static cst_code value_read(const cst_column *column, const char *text, size_t bytes,
                           uint8_t *scratch, size_t scratch_bytes, cst_value *out) {
    switch (column->type) {
    case CST_TYPE_U8:
    case CST_TYPE_U16:
    case CST_TYPE_U32:
    case CST_TYPE_U64:
    case CST_TYPE_U128:
        return unsigned_read(column->type, text, bytes, out);
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_I128:
        return signed_read(column->type, text, bytes, out);
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        return float_read(column->type, text, bytes, out);
    case CST_TYPE_BOOL:
        return bool_read(text, bytes, out);
    case CST_TYPE_DATE:
        return date_read(text, bytes, out);
    case CST_TYPE_TIMESTAMP:
        return timestamp_read(text, bytes, out);
    case CST_TYPE_DECIMAL128:
        return decimal_read(column, text, bytes, out);
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        return bytes_read(column, text, bytes, scratch, scratch_bytes, out);
    }
    return CST_SCHEMA;
}

cst_code csti_value_read(const cst_column *column, const char *text, size_t bytes, uint8_t *scratch,
                         size_t scratch_bytes, cst_value *out, cst_err *err) {
    cst_value value = {0};
    const cst_code code = value_read(column, text, bytes, scratch, scratch_bytes, &value);

    if (code == CST_OK) {
        *out = value;
        return CST_OK;
    }
    return cst_fail(err, code, "'%.*s' is %s %s", (int)(bytes > 80 ? 80 : bytes), text,
                    code == CST_PARSE         ? "not text of a"
                    : code == CST_VALUE_RANGE ? "outside type"
                                              : "too long for type",
                    csti_type_name(column->type));
}

// Decimal digits of a magnitude, at least `digits_min` of them; returns how many.
static size_t digits_write(cst_u128 magnitude, size_t digits_min, char *out) {
    char reversed[48];
    size_t count = 0;

    do {
        reversed[count++] = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
    } while (magnitude || count < digits_min);
    for (size_t i = 0; i < count; i++) out[i] = reversed[count - 1 - i];
    return count;
}

// Exactly `digits` of them.
static void digits_write_n(char *out, uint64_t value, size_t digits) {
    while (digits-- > 0) {
        out[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

static size_t signed_write(cst_i128 value, size_t digits_min, char *out) {
    const bool negative = value < 0;
    const cst_u128 magnitude = negative ? ~(cst_u128)value + 1 : (cst_u128)value;

    if (negative) out[0] = '-';
    return negative + digits_write(magnitude, digits_min, out + negative);
}

// Most doubles that people write down are a whole number of 10^-places: n / 10^places rounds to the
// value if and only if that decimal reads back as it (both are exact below 2^53 and 10^22). As %g
// has it, without its cost; 0: not one of those.
static size_t short_decimal_write(double value, char *out) {
    static const double powers[SHORT_PLACES_MAX + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    const double magnitude = fabs(value);
    char *at = out;

    if (!(magnitude < 1e15 && magnitude >= 1e-4)) return 0; // %g goes over to exponents there
    for (size_t places = 0; places <= SHORT_PLACES_MAX; places++) {
        const double power = powers[places];
        const double scaled = magnitude * power;
        uint64_t units;

        if (!(scaled < 1e15)) return 0;
        units = (uint64_t)(scaled + 0.5);
        if ((double)units / power != magnitude) continue;
        if (value < 0) *at++ = '-';
        at = csti_u64_text(at, units / (uint64_t)power);
        if (places == 0) return (size_t)(at - out);
        *at++ = '.';
        digits_write_n(at, units % (uint64_t)power, places);
        return (size_t)(at - out) + places;
    }
    return 0;
}

// Up to FLT_DIG or DBL_DIG digits, a decimal is the only one near its value, so it is what %g of so
// many digits gives back: fewer need not be tried.
static size_t float_write(cst_type type, double value, char *out) {
    const bool narrow = type == CST_TYPE_F32;
    const int digits_max = narrow ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;

    if (isnan(value)) return (size_t)sprintf(out, "nan");
    if (isinf(value)) return (size_t)sprintf(out, value < 0 ? "-inf" : "inf");
    if (!narrow) {
        const size_t count = short_decimal_write(value, out);

        if (count > 0) return count;
    }
    for (int digits = narrow ? FLT_DIG : DBL_DIG; digits < digits_max; digits++) {
        const int count = snprintf(out, CSTI_VALUE_TEXT_BYTES_MAX, "%.*g", digits, value);
        const double back = narrow ? (double)strtof(out, NULL) : strtod(out, NULL);

        if (back == value) return (size_t)count;
    }
    return (size_t)snprintf(out, CSTI_VALUE_TEXT_BYTES_MAX, "%.*g", digits_max, value);
}

static size_t date_write(int64_t days, char *out) {
    int64_t year = 0;
    uint32_t month = 0;
    uint32_t day = 0;
    char *at = out;
    uint64_t years;

    date_of(days, &year, &month, &day);
    years = year < 0 ? 0 - (uint64_t)year : (uint64_t)year;
    if (year < 0 || year > 9999) *at++ = year < 0 ? '-' : '+';
    if (years > 9999) {
        at = csti_u64_text(at, years);
    } else {
        digits_write_n(at, years, 4);
        at += 4;
    }
    *at = '-';
    digits_write_n(at + 1, month, 2);
    at[3] = '-';
    digits_write_n(at + 4, day, 2);
    return (size_t)(at - out) + 6;
}

static size_t timestamp_write(int64_t us, char *out) {
    int64_t days = us / MICROSECONDS_A_DAY;
    int64_t rest = us % MICROSECONDS_A_DAY;
    char *at;

    if (rest < 0) {
        rest += MICROSECONDS_A_DAY;
        days--;
    }
    at = out + date_write(days, out);
    memcpy(at, "T00:00:00.000000Z", 17);
    digits_write_n(at + 1, (uint64_t)(rest / 3600000000), 2);
    digits_write_n(at + 4, (uint64_t)(rest / 60000000 % 60), 2);
    digits_write_n(at + 7, (uint64_t)(rest / 1000000 % 60), 2);
    digits_write_n(at + 10, (uint64_t)(rest % 1000000), 6);
    return (size_t)(at - out) + 17;
}

static size_t decimal_write(const cst_column *column, cst_i128 units, char *out) {
    const size_t scale = column->scale;
    size_t count = signed_write(units, scale + 1, out);

    if (scale == 0) return count;
    memmove(out + count - scale + 1, out + count - scale, scale);
    out[count - scale] = '.';
    return count + 1;
}

static size_t uuid_write(const uint8_t *bytes, char *out) {
    char digits[2 * UUID_BYTES];
    size_t used = 0;

    csti_hex_write(bytes, UUID_BYTES, digits);
    for (size_t i = 0; i < UUID_TEXT_BYTES; i++) out[i] = uuid_dash_at(i) ? '-' : digits[used++];
    return UUID_TEXT_BYTES;
}

static size_t number_write(const cst_column *column, const cst_value *value, char *out) {
    switch (column->type) {
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        return float_write(column->type, value->f64, out);
    case CST_TYPE_BOOL:
        return (size_t)sprintf(out, value->u128 ? "true" : "false");
    case CST_TYPE_DATE:
        return date_write((int64_t)value->i128, out);
    case CST_TYPE_TIMESTAMP:
        return timestamp_write((int64_t)value->i128, out);
    case CST_TYPE_DECIMAL128:
        return decimal_write(column, value->i128, out);
    case CST_TYPE_UUID:
        return uuid_write(value->bytes, out);
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_I128:
        return signed_write(value->i128, 1, out);
    default:
        return digits_write(value->u128, 1, out);
    }
}

cst_code csti_value_write(const cst_column *column, const cst_value *value, char *text,
                          size_t capacity, size_t *bytes_out) {
    assert(!value->is_null);
    if (column->type == CST_TYPE_STRING) {
        if (value->bytes_count > capacity) return CST_LIMIT;
        if (value->bytes_count) memcpy(text, value->bytes, value->bytes_count);
        *bytes_out = value->bytes_count;
        return CST_OK;
    }
    if (column->type == CST_TYPE_BINARY || column->type == CST_TYPE_FIXED) {
        if ((size_t)value->bytes_count * 2 > capacity) return CST_LIMIT;
        csti_hex_write(value->bytes, value->bytes_count, text);
        *bytes_out = (size_t)value->bytes_count * 2;
        return CST_OK;
    }
    if (capacity < CSTI_VALUE_TEXT_BYTES_MAX) return CST_LIMIT;
    *bytes_out = number_write(column, value, text);
    return CST_OK;
}
