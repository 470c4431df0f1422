#include "sql/connect/table_options.h"

#include <algorithm>

#include "base/error.h"
#include "format/codec/text_values.h"

namespace millrace {

void TableOptions::Refuse(const std::string& name, const std::string& what) const {
  Throw(ErrorCode::kInvalid, "Table {}: option '{}' is '{}'; {}", definition_.path.ToString(), name,
        Text(name), what);
}

std::string TableOptions::Text(const std::string& name, const std::string& standard) const {
  auto found = definition_.options.find(name);
  return found == definition_.options.end() ? standard : found->second;
}

std::string TableOptions::Required(const std::string& name) const {
  if (!Has(name)) {
    Throw(ErrorCode::kInvalid, "Table {}: connector '{}' needs the option '{}'",
          definition_.path.ToString(), definition_.Connector(), name);
  }
  return Text(name);
}

bool TableOptions::Flag(const std::string& name, bool standard) const {
  if (!Has(name)) return standard;
  bool value;
  if (!ParseBoolean(Text(name), value)) Refuse(name, "it can be 'true' or 'false'");
  return value;
}

int64_t TableOptions::Integer(const std::string& name, int64_t standard, int64_t least,
                              int64_t most) const {
  if (!Has(name)) return standard;
  int64_t value;
  if (!ParseInteger(Text(name), value)) Refuse(name, "it must be a whole number");
  if (value < least) Refuse(name, fmt::format("it must be at least {}", least));
  if (value > most) Refuse(name, fmt::format("it must be at most {}", most));
  return value;
}

double TableOptions::Number(const std::string& name, double standard) const {
  if (!Has(name)) return standard;
  double value;
  if (!ParseDouble(Text(name), value)) Refuse(name, "it must be a number");
  return value;
}

int64_t TableOptions::DurationMs(const std::string& name, int64_t standard) const {
  if (!Has(name)) return standard;
  std::string text = Text(name);
  size_t digits = text.find_first_not_of("0123456789");
  int64_t value;
  static const std::map<std::string_view, int64_t> kUnits = {{"", 1},
                                                             {"ms", 1},
                                                             {"milli", 1},
                                                             {"s", 1000},
                                                             {"sec", 1000},
                                                             {"second", 1000},
                                                             {"min", 60'000},
                                                             {"m", 60'000},
                                                             {"minute", 60'000},
                                                             {"h", 3'600'000},
                                                             {"hour", 3'600'000},
                                                             {"d", 86'400'000},
                                                             {"day", 86'400'000}};
  std::string_view unit = digits == std::string::npos ? "" : std::string_view(text).substr(digits);
  unit = TrimBlanks(unit);
  if (unit.size() > 3 && unit.back() == 's') unit.remove_suffix(1);
  auto factor = kUnits.find(unit);
  if (!ParseInteger(std::string_view(text).substr(0, digits), value) || factor == kUnits.end() ||
      value > int64_t{1} << 40) {
    Refuse(name, "it must be a duration such as '10 s', '500 ms' or '1 min'");
  }
  return value * factor->second;
}

std::vector<DataField> PhysicalFields(const TableDefinition& definition) {
  std::vector<DataField> fields;
  for (idx_t index : definition.PhysicalColumns()) {
    DataField field;
    field.name = definition.columns[index].name;
    field.type = definition.columns[index].type;
    fields.push_back(std::move(field));
  }
  return fields;
}

int64_t RateLimit::Allow(int64_t wanted) {
  if (per_second_ <= 0) return wanted;
  int64_t now_us = clock_.MonotonicUs();
  if (started_us_ < 0) started_us_ = now_us;
  // Seconds and rest apart, so that neither a long run nor a high rate overflows.
  int64_t elapsed_us = now_us - started_us_;
  int64_t allowed = per_second_ + elapsed_us / 1'000'000 * per_second_ +
                    static_cast<int64_t>(static_cast<double>(elapsed_us % 1'000'000) * 1e-6 *
                                         static_cast<double>(per_second_));
  return std::clamp<int64_t>(allowed - taken_, 0, wanted);
}

}  // namespace millrace
