// Literals. Intervals: 'y-m', 'd hh:mm:ss.f' and their parts, to DuckDB's spelled-out form. Exact
// numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "sql/rewriter.h"

namespace millrace {

namespace {

// Units from coarse to fine, as they may stand around TO.
constexpr std::string_view kUnits[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};

int UnitIndex(std::string_view name) {
  for (int i = 0; i < 6; i++) {
    if (kUnits[i] == name) return i;
  }
  return -1;
}

struct Scanner {
  std::string_view text;
  idx_t at = 0;

  std::optional<int64_t> Digits() {
    int64_t number = 0;
    idx_t start = at;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at]))) {
      if (at - start > 17) return std::nullopt;
      number = number * 10 + (text[at++] - '0');
    }
    if (at == start) return std::nullopt;
    return number;
  }
  bool Accept(char c) {
    if (at >= text.size() || text[at] != c) return false;
    at++;
    return true;
  }
  void Blanks() {
    while (at < text.size() && text[at] == ' ') at++;
  }
};

// Microseconds of ".123".
std::optional<int64_t> Fraction(Scanner& scanner) {
  if (!scanner.Accept('.')) return 0;
  int64_t micros = 0;
  int digits = 0;
  while (scanner.at < scanner.text.size() &&
         std::isdigit(static_cast<unsigned char>(scanner.text[scanner.at]))) {
    if (digits < 6) micros = micros * 10 + (scanner.text[scanner.at] - '0');
    scanner.at++;
    digits++;
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 6; digits++) micros *= 10;
  return micros;
}

// A quantity of a single unit of any kind (also WEEK, QUARTER, MILLISECOND).
std::optional<std::string> Single(Scanner& scanner, const std::string& unit, bool negative) {
  auto number = scanner.Digits();
  if (!number) return std::nullopt;
  const char* sign = negative ? "-" : "";
  int64_t micros = 0;
  if (unit == "SECOND") {
    auto fraction = Fraction(scanner);
    if (!fraction) return std::nullopt;
    micros = *fraction;
  }
  std::string lower = unit;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string out = fmt::format("{}{} {}s", sign, *number, lower);
  if (unit == "CENTURY") out = fmt::format("{}{} centuries", sign, *number);
  if (unit == "MILLENNIUM") out = fmt::format("{}{} millennia", sign, *number);
  if (unit == "QUARTER") out = fmt::format("{}{} months", sign, *number * 3);
  if (unit == "WEEK") out = fmt::format("{}{} days", sign, *number * 7);
  if (micros != 0) out += fmt::format(" {}{} microseconds", sign, micros);
  return out;
}

std::optional<std::string> YearToMonth(Scanner& scanner, bool negative) {
  auto years = scanner.Digits();
  if (!years || !scanner.Accept('-')) return std::nullopt;
  auto months = scanner.Digits();
  if (!months || *months > 11) return std::nullopt;
  return fmt::format("{}{} months", negative ? "-" : "", *years * 12 + *months);
}

std::optional<std::string> DayToSecond(Scanner& scanner, int from, int to, bool negative) {
  constexpr int64_t kLimits[] = {0, 0, 0, 23, 59, 59};
  constexpr int64_t kMicros[] = {0, 0, 0, 3600000000, 60000000, 1000000};
  int64_t days = 0, micros = 0;
  for (int unit = from; unit <= to; unit++) {
    if (unit > from) {
      if (unit == 3) {
        if (!scanner.Accept(' ')) return std::nullopt;
        scanner.Blanks();
      } else if (!scanner.Accept(':')) {
        return std::nullopt;
      }
    }
    auto number = scanner.Digits();
    if (!number || *number > 1000000000 || (unit > from && *number > kLimits[unit]))
      return std::nullopt;
    if (unit == 2)
      days = *number;
    else
      micros += *number * kMicros[unit];
  }
  if (to == 5) {
    auto fraction = Fraction(scanner);
    if (!fraction) return std::nullopt;
    micros += *fraction;
  }
  const char* sign = negative ? "-" : "";
  std::string out = from == 2 ? fmt::format("{}{} days", sign, days) : "";
  if (micros != 0 || out.empty()) {
    out += fmt::format("{}{}{} microseconds", out.empty() ? "" : " ", sign, micros);
  }
  return out;
}

}  // namespace

std::string IntervalText(const std::string& value, const std::string& from, const std::string& to,
                         bool negative, SourcePosition position) {
  Scanner scanner{value};
  scanner.Blanks();
  if (scanner.Accept('-'))
    negative = !negative;
  else
    (void)scanner.Accept('+');
  int coarse = UnitIndex(from), fine = UnitIndex(to);
  std::optional<std::string> out;
  const char* form = "a whole number";
  if (to.empty()) {
    out = Single(scanner, from, negative);
    if (from == "SECOND") form = "a number";
  } else if (coarse == 0 && fine == 1) {
    out = YearToMonth(scanner, negative);
    form = "'years-months', as '1-2'";
  } else if (coarse >= 2 && fine > coarse) {
    out = DayToSecond(scanner, coarse, fine, negative);
    form = "'days hours:minutes:seconds' from its first unit to its last";
  } else {
    ThrowSyntax(position, value, fmt::format("there is no interval from {} TO {}", from, to));
  }
  scanner.Blanks();
  if (!out || scanner.at != value.size()) {
    ThrowSyntax(
        position, value,
        fmt::format("an INTERVAL of {}{}{} takes {}", from, to.empty() ? "" : " TO ", to, form));
  }
  return *out;
}

// An exact number stays exact: beyond BIGINT it is a DECIMAL; DuckDB would go on to HUGEINT, and
// beyond 38 digits to DOUBLE.
std::string Rewriter::Number(idx_t index) const {
  std::string text(list_.source.substr(At(index).begin, At(index).end - At(index).begin));
  if (text.find_first_not_of("0123456789.") != std::string::npos) return text;
  size_t digits = 0;  // Zeros in front do not count.
  for (char c : text) digits += std::isdigit(static_cast<unsigned char>(c)) && (digits || c != '0');
  if (digits > 38) {
    ThrowSyntaxAt(list_, index,
                  fmt::format("this number has {} digits; a DECIMAL holds 38 at most. For a DOUBLE "
                              "write it with an exponent, as 1.5E0",
                              digits));
  }
  bool whole = text.find('.') == std::string::npos;
  if (!whole && text.size() > 39) {  // DuckDB takes a longer text for a DOUBLE.
    size_t scale = text.size() - text.find('.') - 1;
    if (scale > 38) {
      ThrowSyntaxAt(list_, index,
                    fmt::format("this number has {} digits behind the point; a DECIMAL holds 38 "
                                "at most. For a DOUBLE write it with an exponent, as 1.5E0",
                                scale));
    }
    return fmt::format("CAST('{}' AS DECIMAL({}, {}))", text, std::max(digits, scale), scale);
  }
  constexpr std::string_view kGreatest = "9223372036854775807";
  size_t first = std::min(text.find_first_not_of('0'), text.size());
  std::string_view number = std::string_view(text).substr(first);
  if (!whole || digits < kGreatest.size() || (digits == kGreatest.size() && number <= kGreatest)) {
    return text;
  }
  return fmt::format("CAST('{}' AS DECIMAL({}, 0))", text, digits);
}

}  // namespace millrace
