// stats_collector.cc - one loop per type over a column, extremes kept natively until Finish.
#include "meta/stats_collector.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "meta/binary_row.h"
#include "meta/options.h"
#include "meta/row_codec.h"

namespace millrace {

namespace {

using duckdb::PhysicalType;

/// The bytes of the first `count` characters of `text`.
size_t PrefixBytes(std::string_view text, int count) {
  size_t at = 0;
  for (int seen = 0; at < text.size() && seen < count; seen++) {
    at++;
    while (at < text.size() && (text[at] & 0xc0) == 0x80) at++;
  }
  return at;
}

uint32_t CodePointAt(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return lead;
  int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  uint32_t point = lead & (0x3f >> more);
  for (int i = 1; i <= more && i < static_cast<int>(text.size()); i++) {
    point = (point << 6) | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  return point;
}

void AppendCodePoint(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

/// The least text of at most `count` characters above all that start as `text`: its prefix with the
/// last character that has a successor raised. nullopt when none has.
std::optional<std::string> TruncateMax(const std::string& text, int count) {
  size_t end = PrefixBytes(text, count);
  if (end == text.size()) return text;
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (text[start] & 0xc0) == 0x80) start--;
    uint32_t next = CodePointAt(std::string_view(text).substr(start)) + 1;
    if (next == 0xd800) next = 0xe000;  // Surrogates are no characters.
    if (next <= 0x10ffff) {
      std::string raised = text.substr(0, start);
      AppendCodePoint(raised, next);
      return raised;
    }
    end = start;
  }
  return std::nullopt;
}

ColumnStatsMode ParseMode(const std::string& option, const std::string& text) {
  std::string lower;
  for (char c : text) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (lower == "none") return {StatsMode::kNone, 0};
  if (lower == "counts") return {StatsMode::kCounts, 0};
  if (lower == "full") return {StatsMode::kFull, 0};
  if (lower.starts_with("truncate(") && lower.ends_with(")")) {
    std::string digits = lower.substr(9, lower.size() - 10);
    if (!digits.empty() && digits.size() < 10 &&
        digits.find_first_not_of("0123456789") == std::string::npos && std::stoi(digits) > 0) {
      return {StatsMode::kTruncate, std::stoi(digits)};
    }
  }
  Throw(ErrorCode::kInvalid, "Option '{}' = '{}': none, counts, truncate(n) or full is expected",
        option, text);
}

}  // namespace

bool HasStats(const DataType& type) {
  return SlotKindOf(type) != SlotKind::kNested;
}

bool HasMinMax(const DataType& type) {
  if (type.root == TypeRoot::kBinary || type.root == TypeRoot::kVarBinary) return false;
  bool is_time = type.root == TypeRoot::kTimestamp || type.root == TypeRoot::kTimestampLtz;
  return HasStats(type) && !(is_time && type.length > 6);
}

std::vector<ColumnStatsMode> StatsModes(const TableSchema& schema, int level) {
  const Options& options = schema.options;
  constexpr const char* kMode = "metadata.stats-mode";
  constexpr const char* kPerLevel = "metadata.stats-mode.per.level";
  ColumnStatsMode table_mode = ParseMode(kMode, GetString(options, kMode, "truncate(16)"));
  for (const std::string& item : GetList(options, kPerLevel)) {
    size_t colon = item.find(':');
    if (colon == std::string::npos) {
      Throw(ErrorCode::kInvalid, "Option '{}' = '{}': level:mode pairs are expected", kPerLevel,
            GetString(options, kPerLevel, ""));
    }
    if (item.substr(0, colon) == std::to_string(level))
      table_mode = ParseMode(kPerLevel, item.substr(colon + 1));
  }
  int64_t keep_first = GetInt(options, "metadata.stats-keep-first-n-columns", -1);
  constexpr int kThinKeyCharacters = 128;  // As of the _KEY_ columns that thin files lack.
  std::vector<idx_t> thin_key;
  if (GetBool(options, "data-file.thin-mode", false)) thin_key = schema.TrimmedPrimaryKey();
  int64_t counted = 0;
  std::vector<ColumnStatsMode> modes;
  for (idx_t i = 0; i < schema.fields.size(); i++) {
    const std::string& name = schema.fields[i].name;
    bool in_thin_key = std::find(thin_key.begin(), thin_key.end(), i) != thin_key.end();
    bool is_key = std::find(schema.primary_keys.begin(), schema.primary_keys.end(), name) !=
                  schema.primary_keys.end();
    ColumnStatsMode mode = table_mode;
    std::string own = "fields." + name + ".stats-mode";
    if (in_thin_key) {
      mode = {StatsMode::kTruncate, kThinKeyCharacters};
    } else if (keep_first >= 0 && counted >= keep_first) {
      mode = {StatsMode::kNone, 0};
    }
    if (!in_thin_key || options.count(own) > 0) counted++;
    if (is_key && mode.mode == StatsMode::kNone) mode = {StatsMode::kTruncate, 16};
    if (options.count(own) > 0) mode = ParseMode(own, options.at(own));
    modes.push_back(mode);
  }
  return modes;
}

/// What was seen of one column.
struct StatsCollector::ColumnState {
  DataType type;
  ColumnStatsMode mode;
  LogicalType duck;
  bool counts = false;    // Has a null count.
  bool extremes = false;  // Has min and max.
  int64_t nulls = 0;
  bool seen = false;  // A value other than null.
  // The extremes of the kind of the column.
  int64_t min_int = 0, max_int = 0;
  double min_double = 0, max_double = 0;
  duckdb::hugeint_t min_huge, max_huge;
  std::string min_text, max_text;

  ColumnState(DataType given_type, ColumnStatsMode given_mode)
      : type(std::move(given_type)), mode(given_mode), duck(type.ToDuck()) {
    counts = HasStats(type) && mode.mode != StatsMode::kNone;
    extremes =
        HasMinMax(type) && (mode.mode == StatsMode::kTruncate || mode.mode == StatsMode::kFull);
  }

  void Add(Vector& vector, idx_t count) {
    if (!counts || count == 0) return;
    UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    if (!format.validity.AllValid() && !format.sel->IsSet()) {
      nulls += static_cast<int64_t>(count - format.validity.CountValid(count));
    } else if (!format.validity.AllValid()) {
      for (idx_t i = 0; i < count; i++)
        nulls += !format.validity.RowIsValid(format.sel->get_index(i));
    }
    if (!extremes) return;
    switch (duck.InternalType()) {
      case PhysicalType::BOOL:
      case PhysicalType::INT8:
        return AddNumbers<int8_t>(format, count, min_int, max_int);
      case PhysicalType::INT16:
        return AddNumbers<int16_t>(format, count, min_int, max_int);
      case PhysicalType::INT32:
        return AddNumbers<int32_t>(format, count, min_int, max_int);
      case PhysicalType::INT64:
        return AddNumbers<int64_t>(format, count, min_int, max_int);
      case PhysicalType::INT128:
        return AddNumbers<duckdb::hugeint_t>(format, count, min_huge, max_huge);
      case PhysicalType::FLOAT:
        return AddNumbers<float>(format, count, min_double, max_double);
      case PhysicalType::DOUBLE:
        return AddNumbers<double>(format, count, min_double, max_double);
      case PhysicalType::VARCHAR:
        return AddTexts(format, count);
      default:
        MILLRACE_CHECK(false);
    }
  }

  template <typename T, typename Kept>
  void AddNumbers(const UnifiedVectorFormat& format, idx_t count, Kept& kept_min, Kept& kept_max) {
    const T* values = DataOf<T>(format);
    bool any = false;
    T low{}, high{};
    auto add = [&](T value) {
      low = Less(value, low) ? value : low;
      high = Less(high, value) ? value : high;
    };
    ForEachStretch(format, count, [&](idx_t begin, idx_t end) {
      if (!any) low = high = values[begin];
      any = true;
      for (idx_t i = begin; i < end; i++) add(values[i]);
    });
    if (!any) return;
    if (!seen || Less(Kept(low), kept_min)) kept_min = low;
    if (!seen || Less(kept_max, Kept(high))) kept_max = high;
    seen = true;
  }

  /// Calls `add(begin, end)` for stretches of values that are not null, as they lie.
  template <typename F>
  static void ForEachStretch(const UnifiedVectorFormat& format, idx_t count, F&& add) {
    if (format.sel->IsSet()) {
      for (idx_t i = 0; i < count; i++) {
        idx_t at = format.sel->get_index(i);
        if (format.validity.RowIsValid(at)) add(at, at + 1);
      }
      return;
    }
    if (format.validity.AllValid()) return count > 0 ? add(0, count) : void();
    constexpr idx_t kBits = duckdb::ValidityMask::BITS_PER_VALUE;
    for (idx_t start = 0; start < count; start += kBits) {
      uint64_t valid = format.validity.GetValidityEntry(start / kBits);
      if (count - start < kBits) valid &= (uint64_t(1) << (count - start)) - 1;
      if (valid == ~uint64_t(0)) {
        add(start, start + kBits);
        continue;
      }
      for (; valid; valid &= valid - 1) {
        idx_t at = start + static_cast<idx_t>(std::countr_zero(valid));
        add(at, at + 1);
      }
    }
  }

  /// NaN is the greatest number, as in SQL.
  template <typename T>
  static bool Less(T left, T right) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(right)) return !std::isnan(left);
    }
    return left < right;
  }

  void AddTexts(const UnifiedVectorFormat& format, idx_t count) {
    const string_t* values = DataOf<string_t>(format);
    const string_t* low = nullptr;
    const string_t* high = nullptr;
    ForEachStretch(format, count, [&](idx_t begin, idx_t end) {
      if (low == nullptr) low = high = &values[begin];
      for (idx_t i = begin; i < end; i++) {
        if (values[i] < *low) low = &values[i];
        if (*high < values[i]) high = &values[i];
      }
    });
    if (low == nullptr) return;
    std::string_view low_text(low->GetData(), low->GetSize());
    std::string_view high_text(high->GetData(), high->GetSize());
    if (!seen || low_text < min_text) min_text = low_text;
    if (!seen || high_text > max_text) max_text = high_text;
    seen = true;
  }

  /// Null where min and max are unknown.
  std::pair<Value, Value> MinMax() const {
    if (!seen) return {Value(duck), Value(duck)};
    switch (duck.InternalType()) {
      case PhysicalType::VARCHAR:
        return Texts();
      case PhysicalType::INT128:
        return {Value::DECIMAL(min_huge, Width(), Scale()),
                Value::DECIMAL(max_huge, Width(), Scale())};
      case PhysicalType::FLOAT:
      case PhysicalType::DOUBLE: {
        // Zero has two signs, which compare equal: the range must hold both.
        double low = min_double == 0 ? -0.0 : min_double;
        double high = max_double == 0 ? 0.0 : max_double;
        if (duck.InternalType() == PhysicalType::DOUBLE)
          return {Value::DOUBLE(low), Value::DOUBLE(high)};
        return {Value::FLOAT(static_cast<float>(low)), Value::FLOAT(static_cast<float>(high))};
      }
      default:
        return {Number(min_int), Number(max_int)};
    }
  }

  Value Number(int64_t number) const {
    switch (type.root) {
      case TypeRoot::kBoolean:
        return Value::BOOLEAN(number != 0);
      case TypeRoot::kDecimal:
        return Value::DECIMAL(number, Width(), Scale());
      case TypeRoot::kDate:
        return Value::DATE(duckdb::date_t(static_cast<int32_t>(number)));
      case TypeRoot::kTime:
        return Value::TIME(duckdb::dtime_t(number));
      case TypeRoot::kTimestamp:
        return Value::TIMESTAMP(duckdb::timestamp_t(number));
      case TypeRoot::kTimestampLtz:
        return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(number));
      default:
        return Value::Numeric(duck, number);
    }
  }

  std::pair<Value, Value> Texts() const {
    if (mode.mode == StatsMode::kFull) return {Value(min_text), Value(max_text)};
    std::optional<std::string> max = TruncateMax(max_text, mode.length);
    if (!max) return {Value(duck), Value(duck)};
    return {Value(min_text.substr(0, PrefixBytes(min_text, mode.length))), Value(*max)};
  }

  uint8_t Width() const { return static_cast<uint8_t>(type.length); }
  uint8_t Scale() const { return static_cast<uint8_t>(type.scale); }
};

StatsCollector::StatsCollector(std::vector<DataType> types, int truncate) {
  ColumnStatsMode mode = truncate < 0 ? ColumnStatsMode{StatsMode::kFull, 0}
                                      : ColumnStatsMode{StatsMode::kTruncate, truncate};
  for (DataType& type : types)
    columns_.push_back(std::make_unique<ColumnState>(std::move(type), mode));
}

StatsCollector::StatsCollector(std::vector<DataType> types, std::vector<ColumnStatsMode> modes) {
  MILLRACE_CHECK(types.size() == modes.size());
  for (size_t i = 0; i < types.size(); i++) {
    columns_.push_back(std::make_unique<ColumnState>(std::move(types[i]), modes[i]));
  }
}

StatsCollector::~StatsCollector() = default;
StatsCollector::StatsCollector(StatsCollector&&) noexcept = default;
StatsCollector& StatsCollector::operator=(StatsCollector&&) noexcept = default;

void StatsCollector::Add(DataChunk& chunk, idx_t first_column) {
  for (idx_t i = 0; i < columns_.size(); i++)
    AddColumn(i, chunk.data[first_column + i], chunk.size());
}

void StatsCollector::AddColumn(idx_t column, Vector& vector, idx_t count) {
  columns_[column]->Add(vector, count);
}

SimpleStats StatsCollector::FinishColumns(const std::vector<idx_t>& columns) const {
  std::vector<DataType> types;
  std::vector<Value> low, high;
  SimpleStats stats;
  for (idx_t i : columns) {
    const ColumnState& column = *columns_[i];
    types.push_back(column.type);
    auto [min, max] = column.MinMax();
    low.push_back(std::move(min));
    high.push_back(std::move(max));
    stats.null_counts.push_back(column.counts ? std::optional(column.nulls) : std::nullopt);
  }
  stats.min_values = EncodeRow(types, low);
  stats.max_values = EncodeRow(types, high);
  return stats;
}

SimpleStats StatsCollector::Finish() const {
  std::vector<idx_t> all(columns_.size());
  for (idx_t i = 0; i < all.size(); i++) all[i] = i;
  return FinishColumns(all);
}

SimpleStats StatsCollector::FinishDense(std::vector<idx_t>& columns) const {
  columns.clear();
  for (idx_t i = 0; i < columns_.size(); i++) {
    if (columns_[i]->counts) columns.push_back(i);
  }
  return FinishColumns(columns);
}

}  // namespace millrace
