// column_merger.cc - functions whose result is one of the rows' values, and the table of all.
//
// A chooser walks the rows of each key and remembers where the result lies; values are then
// gathered at once, whatever their type.
#include "lsm/column_merger.h"

#include <cmath>

#include "base/error.h"
#include "lsm/scatter.h"

namespace millrace {

namespace {

using duckdb::PhysicalType;

constexpr const char* kNames[] = {"overwrite",   "primary-key",
                                  "sum",         "product",
                                  "max",         "min",
                                  "last_value",  "last_non_null_value",
                                  "first_value", "first_non_null_value",
                                  "listagg",     "bool_and",
                                  "bool_or",     "collect",
                                  "merge_map",   "nested_update"};

/// The row whose value a key's result has; kNoRow: NULL.
struct Chosen {
  uint32_t row = kNoRow;
  bool initialized = false;  // Of first_value: a value has been taken.
};

/// A column whose results are chosen by a rule: Rule::Step(chosen, row, effect, view).
class ColumnView {
 public:
  ColumnView(Vector& source, const MergeRows& rows)
      : positions(rows.positions), validity(duckdb::FlatVector::Validity(source)) {}
  bool IsNull(uint32_t row) const { return !validity.RowIsValid(positions[row]); }

  const uint32_t* positions;
  duckdb::ValidityMask& validity;
};

template <typename Rule>
class Chooser : public ColumnMerger {
 public:
  Chooser(const DataField& field, const ColumnMerge& merge) : field_(field), merge_(merge) {}

  void Merge(Vector& source, const MergeRows& rows, const RowEffect* effects,
             Vector& target) override {
    ColumnView view(source, rows);
    Rule rule(source);
    chosen_.resize(rows.groups.count);
    WalkGroups(
        rows, effects, [] { return Chosen(); },
        [&](Chosen& chosen, uint32_t row, RowEffect effect) {
          switch (effect) {
            case RowEffect::kAssign:
              chosen.row = row;
              return;
            case RowEffect::kClear:
              chosen.row = kNoRow;
              return;
            case RowEffect::kAssignRetract:
              chosen.row = row;
              [[fallthrough]];
            case RowEffect::kRetract:
              if (!merge_.ignore_retract && !rule.Retract(chosen, row, view)) {
                RefuseRetraction(field_, merge_.aggregate);
              }
              return;
            default:
              rule.Add(chosen, row, effect == RowEffect::kAddOlder, view);
          }
        },
        [&](idx_t group, const Chosen& chosen) {
          chosen_[group] = chosen.row == kNoRow ? kNoRow : rows.positions[chosen.row];
        });
    GatherOrNull(source, chosen_.data(), chosen_.size(), target);
  }

 private:
  const DataField field_;
  const ColumnMerge merge_;
  std::vector<uint32_t> chosen_;
};

/// Partial-update: what is not NULL overwrites.
struct OverwriteRule {
  explicit OverwriteRule(Vector&) {}
  void Add(Chosen& chosen, uint32_t row, bool, const ColumnView& view) const {
    if (!view.IsNull(row)) chosen.row = row;
  }
  bool Retract(Chosen& chosen, uint32_t, const ColumnView&) const {
    chosen.row = kNoRow;
    return true;
  }
};

struct LastValueRule {
  explicit LastValueRule(Vector&) {}
  void Add(Chosen& chosen, uint32_t row, bool older, const ColumnView&) const {
    if (!older) chosen.row = row;
  }
  bool Retract(Chosen& chosen, uint32_t, const ColumnView&) const {
    chosen.row = kNoRow;
    return true;
  }
};

struct LastNonNullRule {
  explicit LastNonNullRule(Vector&) {}
  void Add(Chosen& chosen, uint32_t row, bool older, const ColumnView& view) const {
    if (older) {
      if (chosen.row == kNoRow || view.IsNull(chosen.row)) chosen.row = row;
    } else if (!view.IsNull(row)) {
      chosen.row = row;
    }
  }
  bool Retract(Chosen& chosen, uint32_t row, const ColumnView& view) const {
    if (!view.IsNull(row)) chosen.row = kNoRow;
    return true;
  }
};

struct FirstValueRule {
  explicit FirstValueRule(Vector&) {}
  void Add(Chosen& chosen, uint32_t row, bool older, const ColumnView&) const {
    if (chosen.initialized == older) chosen.row = row;  // An older one takes the first's place.
    chosen.initialized = true;
  }
  bool Retract(Chosen&, uint32_t, const ColumnView&) const { return false; }
};

struct FirstNonNullRule {
  explicit FirstNonNullRule(Vector&) {}
  void Add(Chosen& chosen, uint32_t row, bool older, const ColumnView& view) const {
    if (older) {
      // The value there is the input, the row what has been there (FieldAggregator.aggReversed).
      bool there = chosen.row != kNoRow && !view.IsNull(chosen.row);
      if (!chosen.initialized && there) {
        chosen.initialized = true;
      } else {
        chosen.row = row;
      }
    } else if (!chosen.initialized && !view.IsNull(row)) {
      chosen.initialized = true;
      chosen.row = row;
    }
  }
  bool Retract(Chosen&, uint32_t, const ColumnView&) const { return false; }
};

template <typename T>
bool IsLess(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    // Java's order: NaN is the greatest, -0.0 below 0.0.
    if (std::isnan(a) || std::isnan(b)) return std::isnan(b) && !std::isnan(a);
    if (a == b) return std::signbit(a) && !std::signbit(b);
    return a < b;
  } else if constexpr (std::is_same_v<T, string_t>) {
    return string_t::StringComparisonOperators::GreaterThan(b, a);
  } else {
    return a < b;
  }
}

template <typename T, bool greatest>
struct ExtremeRule {
  explicit ExtremeRule(Vector& source)
      : values(reinterpret_cast<const T*>(duckdb::FlatVector::GetData(source))) {}
  void Add(Chosen& chosen, uint32_t row, bool, const ColumnView& view) const {
    if (view.IsNull(row)) return;
    if (chosen.row == kNoRow || view.IsNull(chosen.row)) {
      chosen.row = row;
      return;
    }
    const T& there = values[view.positions[chosen.row]];
    const T& value = values[view.positions[row]];
    if (greatest ? IsLess(there, value) : IsLess(value, there)) chosen.row = row;
  }
  bool Retract(Chosen&, uint32_t, const ColumnView&) const { return false; }
  const T* values;
};

/// The key's own columns: any row has them.
class KeyMerger : public ColumnMerger {
 public:
  void Merge(Vector& source, const MergeRows& rows, const RowEffect*, Vector& target) override {
    chosen_.resize(rows.groups.count);
    for (idx_t group = 0; group < rows.groups.count; group++) {
      chosen_[group] = rows.positions[rows.groups.starts[group + 1] - 1];
    }
    Gather(source, chosen_.data(), chosen_.size(), target);
  }

 private:
  std::vector<uint32_t> chosen_;
};

template <typename Rule>
std::unique_ptr<ColumnMerger> Choose(const DataField& field, const ColumnMerge& merge) {
  return std::make_unique<Chooser<Rule>>(field, merge);
}

template <bool greatest>
std::unique_ptr<ColumnMerger> MakeExtreme(const DataField& field, const ColumnMerge& merge) {
  if (field.type.root != TypeRoot::kBoolean && field.type.root != TypeRoot::kBinary &&
      field.type.root != TypeRoot::kVarBinary) {
    switch (field.type.ToDuck().InternalType()) {
      case PhysicalType::INT8:
        return Choose<ExtremeRule<int8_t, greatest>>(field, merge);
      case PhysicalType::INT16:
        return Choose<ExtremeRule<int16_t, greatest>>(field, merge);
      case PhysicalType::INT32:
        return Choose<ExtremeRule<int32_t, greatest>>(field, merge);
      case PhysicalType::INT64:
        return Choose<ExtremeRule<int64_t, greatest>>(field, merge);
      case PhysicalType::INT128:
        return Choose<ExtremeRule<duckdb::hugeint_t, greatest>>(field, merge);
      case PhysicalType::FLOAT:
        return Choose<ExtremeRule<float, greatest>>(field, merge);
      case PhysicalType::DOUBLE:
        return Choose<ExtremeRule<double, greatest>>(field, merge);
      case PhysicalType::VARCHAR:
        return Choose<ExtremeRule<string_t, greatest>>(field, merge);
      default:
        break;
    }
  }
  return nullptr;
}

std::unique_ptr<ColumnMerger> TryMake(const DataField& field, const ColumnMerge& merge) {
  switch (merge.aggregate) {
    case Aggregate::kOverwrite:
      return Choose<OverwriteRule>(field, merge);
    case Aggregate::kKey:
      return std::make_unique<KeyMerger>();
    case Aggregate::kMax:
      return MakeExtreme<true>(field, merge);
    case Aggregate::kMin:
      return MakeExtreme<false>(field, merge);
    case Aggregate::kLastValue:
      return Choose<LastValueRule>(field, merge);
    case Aggregate::kLastNonNullValue:
      return Choose<LastNonNullRule>(field, merge);
    case Aggregate::kFirstValue:
      return Choose<FirstValueRule>(field, merge);
    case Aggregate::kFirstNonNullValue:
      return Choose<FirstNonNullRule>(field, merge);
    case Aggregate::kListagg:
      return MakeListaggMerger(field, merge);
    case Aggregate::kSum:
    case Aggregate::kProduct:
    case Aggregate::kBoolAnd:
    case Aggregate::kBoolOr:
      return MakeNumberMerger(field, merge);
    case Aggregate::kCollect:
    case Aggregate::kMergeMap:
    case Aggregate::kNestedUpdate:
      return MakeNestedMerger(field, merge);
  }
  return nullptr;
}

}  // namespace

const char* AggregateName(Aggregate aggregate) {
  return kNames[static_cast<size_t>(aggregate)];
}

std::optional<Aggregate> FindAggregate(const std::string& name) {
  if (name == "first_not_null_value") return Aggregate::kFirstNonNullValue;  // Its old name.
  for (size_t i = static_cast<size_t>(Aggregate::kSum); i < std::size(kNames); i++) {
    if (name == kNames[i]) return static_cast<Aggregate>(i);
  }
  return std::nullopt;
}

void RefuseRetraction(const DataField& field, Aggregate aggregate) {
  Throw(ErrorCode::kData,
        "Merging the rows of one key: aggregate function '{}' of column '{}' cannot take a deleted "
        "row back; set 'fields.{}.ignore-retract' = 'true' to leave deletes out of it",
        AggregateName(aggregate), field.name, field.name);
}

std::unique_ptr<ColumnMerger> MakeColumnMerger(const DataField& field, const ColumnMerge& merge) {
  auto merger = TryMake(field, merge);
  if (merger) return merger;
  const char* takes = "numbers";
  switch (merge.aggregate) {
    case Aggregate::kMax:
    case Aggregate::kMin:
      takes = "numbers, texts, dates and times";
      break;
    case Aggregate::kListagg:
      takes = "STRING";
      break;
    case Aggregate::kBoolAnd:
    case Aggregate::kBoolOr:
      takes = "BOOLEAN";
      break;
    case Aggregate::kCollect:
      takes = "ARRAY";
      break;
    case Aggregate::kMergeMap:
      takes = "MAP";
      break;
    case Aggregate::kNestedUpdate:
      takes = "ARRAY<ROW<...>>";
      break;
    default:
      break;
  }
  Throw(ErrorCode::kInvalid,
        "Option 'fields.{}.aggregate-function' cannot be '{}': it takes {}, the column is {}.",
        field.name, AggregateName(merge.aggregate), takes, field.type.ToString());
}

}  // namespace millrace
