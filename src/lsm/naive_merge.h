// naive_merge.h - the merge engines row by row over values, as their definitions read; for tests.
#pragma once

#include <optional>
#include <set>

#include "base/error.h"
#include "lsm/column_merger.h"
#include "lsm/key_value.h"

namespace millrace {

/// One stored row.
struct NaiveRow {
  std::vector<Value> values;
  RowKind kind = RowKind::kInsert;
  int64_t sequence = 0;
  int level = 0;
};

inline bool SameValue(const Value& a, const Value& b) {
  return Value::NotDistinctFrom(a, b);
}

/// One aggregate function of one column. `Add`, `AddReversed`, `Retract` map accumulator and input
/// to the new accumulator.
class NaiveAggregate {
 public:
  NaiveAggregate(ColumnMerge merge, LogicalType type) : merge_(std::move(merge)), type_(type) {}

  Value Add(const Value& there, const Value& input) {
    Value none(type_);
    switch (merge_.aggregate) {
      case Aggregate::kKey:
      case Aggregate::kLastValue:
        return input;
      case Aggregate::kOverwrite:
      case Aggregate::kLastNonNullValue:
        return input.IsNull() ? there : input;
      case Aggregate::kFirstValue:
        if (initialized_) return there;
        initialized_ = true;
        return input;
      case Aggregate::kFirstNonNullValue:
        if (initialized_ || input.IsNull()) return there;
        initialized_ = true;
        return input;
      case Aggregate::kNestedUpdate:
      case Aggregate::kMergeMap:
      case Aggregate::kCollect:
        return AddList(there, input);
      default:
        break;
    }
    if (there.IsNull() || input.IsNull()) return there.IsNull() ? input : there;
    switch (merge_.aggregate) {
      case Aggregate::kSum:
        return Compute(there, input, '+');
      case Aggregate::kProduct:
        return Compute(there, input, '*');
      case Aggregate::kMax:
        return there < input ? input : there;
      case Aggregate::kMin:
        return there < input ? there : input;
      case Aggregate::kBoolAnd:
        return Value::BOOLEAN(there.GetValue<bool>() && input.GetValue<bool>());
      case Aggregate::kBoolOr:
        return Value::BOOLEAN(there.GetValue<bool>() || input.GetValue<bool>());
      default:
        return Value(Join(there.ToString(), input.ToString()));
    }
  }

  Value AddReversed(const Value& there, const Value& input) {
    return merge_.aggregate == Aggregate::kCollect ? Add(there, input) : Add(input, there);
  }

  Value Retract(const Value& there, const Value& input) {
    if (merge_.ignore_retract) return there;
    switch (merge_.aggregate) {
      case Aggregate::kKey:
        return input;
      case Aggregate::kLastValue:
        return Value(type_);
      case Aggregate::kLastNonNullValue:
        return input.IsNull() ? there : Value(type_);
      case Aggregate::kSum:
        if (input.IsNull()) return there;
        return Compute(there.IsNull() ? Value::BIGINT(0).DefaultCastAs(type_) : there, input, '-');
      case Aggregate::kProduct:
        return there.IsNull() || input.IsNull() ? there : Compute(there, input, '/');
      case Aggregate::kCollect:
      case Aggregate::kMergeMap:
      case Aggregate::kNestedUpdate:
        return RetractList(there, input);
      default:
        Throw(ErrorCode::kData, "naive: no retraction");
    }
  }

 private:
  Value Compute(const Value& a, const Value& b, char op) const {
    if (type_.id() == LogicalTypeId::DOUBLE) {
      double x = a.GetValue<double>(), y = b.GetValue<double>();
      return Value::DOUBLE(op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : x / y);
    }
    if (type_.id() == LogicalTypeId::DECIMAL) {
      uint8_t width, scale;
      type_.GetDecimalProperties(width, scale);
      __int128 unit = 1;
      for (int i = 0; i < scale; i++) unit *= 10;
      __int128 x = Unscaled(a), y = Unscaled(b);
      __int128 result = op == '+' ? x + y : op == '-' ? x - y : 0;
      if (op == '*') result = Divide(x * y, unit);
      if (op == '/') {
        if (y == 0) Throw(ErrorCode::kData, "naive: division by zero");
        result = Divide(x * unit, y);
      }
      if (result >= Power(width) || result <= -Power(width)) {
        Throw(ErrorCode::kData, "naive: overflow");
      }
      return Value::DECIMAL(duckdb::hugeint_t(static_cast<int64_t>(result >> 64),
                                              static_cast<uint64_t>(result)),
                            width, scale)
          .DefaultCastAs(type_);
    }
    int64_t x = a.GetValue<int64_t>(), y = b.GetValue<int64_t>();
    if (op == '/' && y == 0) Throw(ErrorCode::kData, "naive: division by zero");
    __int128 wide = op == '+'   ? __int128(x) + y
                    : op == '-' ? __int128(x) - y
                    : op == '*' ? __int128(x) * y
                                : __int128(x) / y;
    if (wide > INT64_MAX || wide < INT64_MIN) Throw(ErrorCode::kData, "naive: overflow");
    Value cast;
    std::string message;
    if (!Value::BIGINT(static_cast<int64_t>(wide)).DefaultTryCastAs(type_, cast, &message)) {
      Throw(ErrorCode::kData, "naive: overflow");
    }
    return cast;
  }

  static __int128 Power(int exponent) {
    __int128 power = 1;
    for (int i = 0; i < exponent; i++) power *= 10;
    return power;
  }
  static __int128 Unscaled(const Value& value) {
    std::string digits;
    for (char c : value.ToString()) {
      if (c != '.') digits += c;
    }
    __int128 number = 0;
    bool negative = false;
    for (char c : digits) {
      if (c == '-') {
        negative = true;
      } else {
        number = number * 10 + (c - '0');
      }
    }
    return negative ? -number : number;
  }
  /// The half away from zero.
  static __int128 Divide(__int128 a, __int128 b) {
    bool negative = (a < 0) != (b < 0);
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    __int128 result = (2 * a + b) / (2 * b);
    return negative ? -result : result;
  }

  std::string Join(const std::string& there, const std::string& input) const {
    if (input.empty()) return there;
    if (there.empty()) return input;
    if (!merge_.distinct) return there + merge_.delimiter + input;
    std::string result = there;
    std::set<std::string> tokens;
    for (const std::string& token : Split(there)) tokens.insert(token);
    for (const std::string& token : Split(input)) {
      if (token.empty() || !tokens.insert(token).second) continue;
      result += merge_.delimiter + token;
    }
    return result;
  }
  std::vector<std::string> Split(std::string text) const {
    std::vector<std::string> tokens;
    for (;;) {
      size_t at = text.find(merge_.delimiter);
      tokens.push_back(text.substr(0, at));
      if (at == std::string::npos) return tokens;
      text = text.substr(at + merge_.delimiter.size());
    }
  }

  // Lists: elements are compared by what is their key.
  std::vector<Value> KeyOf(const Value& element) const {
    if (merge_.aggregate == Aggregate::kMergeMap) {
      return {duckdb::StructValue::GetChildren(element)[0]};
    }
    if (merge_.nested_key.empty()) return {element};
    std::vector<Value> key;
    for (idx_t i : merge_.nested_key) {
      key.push_back(element.IsNull() ? Value() : duckdb::StructValue::GetChildren(element)[i]);
    }
    return key;
  }
  bool SameKey(const Value& a, const Value& b) const {
    std::vector<Value> x = KeyOf(a), y = KeyOf(b);
    for (size_t i = 0; i < x.size(); i++) {
      if (!SameValue(x[i], y[i])) return false;
    }
    return true;
  }
  static std::vector<Value> Elements(const Value& list) {
    if (list.IsNull()) return {};
    auto& children = duckdb::ListValue::GetChildren(list);
    return {children.begin(), children.end()};
  }
  Value MakeList(std::vector<Value> elements) const {
    duckdb::vector<Value> children(elements.begin(), elements.end());
    if (type_.id() == LogicalTypeId::MAP) {
      return Value::MAP(duckdb::ListType::GetChildType(type_), std::move(children));
    }
    return Value::LIST(duckdb::ListType::GetChildType(type_), std::move(children));
  }
  void Put(std::vector<Value>& elements, const Value& element) const {
    for (Value& other : elements) {
      if (!SameKey(other, element)) continue;
      other = element;
      return;
    }
    elements.push_back(element);
  }

  Value AddList(const Value& there, const Value& input) const {
    bool distinct = merge_.aggregate == Aggregate::kCollect && merge_.distinct;
    if (there.IsNull() && input.IsNull()) return there;
    if ((there.IsNull() || input.IsNull()) && !distinct) return there.IsNull() ? input : there;
    std::vector<Value> result = Elements(there), more = Elements(input);
    if (merge_.aggregate == Aggregate::kCollect) {
      for (const Value& element : more) {
        bool known = false;
        for (const Value& other : result) known |= distinct && SameValue(other, element);
        if (!known) result.push_back(element);
      }
      return MakeList(result);
    }
    if (merge_.aggregate == Aggregate::kMergeMap) {
      for (const Value& element : more) Put(result, element);
      return MakeList(result);
    }
    if (static_cast<int64_t>(result.size()) >= merge_.count_limit) return there;
    int64_t room = merge_.count_limit - static_cast<int64_t>(result.size());
    std::erase_if(result, [](const Value& element) { return element.IsNull(); });
    for (const Value& element : more) {
      if (element.IsNull()) continue;
      if (room-- <= 0) break;
      result.push_back(element);
    }
    if (merge_.nested_key.empty()) return MakeList(result);
    std::vector<Value> keyed;
    for (const Value& element : result) Put(keyed, element);
    return MakeList(keyed);
  }

  Value RetractList(const Value& there, const Value& input) const {
    if (there.IsNull() || input.IsNull()) return there;
    std::vector<Value> result = Elements(there), gone = Elements(input);
    bool nested = merge_.aggregate == Aggregate::kNestedUpdate;
    if (!nested && gone.empty()) return there;
    if (nested) {
      std::erase_if(result, [](const Value& element) { return element.IsNull(); });
      std::erase_if(gone, [](const Value& element) { return element.IsNull(); });
      if (!merge_.nested_key.empty()) {
        std::vector<Value> keyed;
        for (const Value& element : result) Put(keyed, element);
        result = keyed;
      }
    }
    if (merge_.aggregate != Aggregate::kCollect) {
      for (const Value& element : gone) {
        std::erase_if(result, [&](const Value& other) { return SameKey(other, element); });
      }
      return MakeList(result);
    }
    std::vector<Value> kept;
    for (const Value& element : result) {
      bool taken = false;
      for (size_t i = 0; i < gone.size() && !taken; i++) {
        if (!SameValue(gone[i], element)) continue;
        gone.erase(gone.begin() + static_cast<ptrdiff_t>(i));
        taken = true;
      }
      if (!taken) kept.push_back(element);
    }
    return MakeList(kept);
  }

  const ColumnMerge merge_;
  const LogicalType type_;
  bool initialized_ = false;
};

/// Merges the rows of one key, which come in order.
class NaiveMerge {
 public:
  NaiveMerge(const MergeSpec& spec, const KeyValueLayout& layout) : spec_(spec), layout_(layout) {
    for (idx_t i = 0; i < spec.columns.size(); i++) {
      aggregates_.emplace_back(spec.columns[i], layout.fields[i].type.ToDuck());
      row_.values.emplace_back(layout.fields[i].type.ToDuck());
    }
  }

  /// nullopt: nothing is left (all rows were to be ignored).
  static std::optional<NaiveRow> Merge(const MergeSpec& spec, const KeyValueLayout& layout,
                                       const std::vector<NaiveRow>& rows, bool pass_single = true) {
    if (rows.size() == 1 && pass_single) return rows[0];
    NaiveMerge merge(spec, layout);
    for (const NaiveRow& row : rows) merge.Add(row);
    return merge.Result();
  }

 private:
  void Add(const NaiveRow& row) {
    switch (spec_.engine) {
      case MergeEngine::kDeduplicate:
        if (spec_.ignore_delete && !IsAdd(row.kind)) return;
        chosen_ = row;
        return;
      case MergeEngine::kFirstRow:
        if (!IsAdd(row.kind)) {
          if (spec_.ignore_delete) return;
          Throw(ErrorCode::kData, "naive: first-row has no deletes");
        }
        if (!chosen_) chosen_ = row;
        return;
      case MergeEngine::kAggregation:
        return AddAggregation(row);
      case MergeEngine::kPartialUpdate:
        return AddPartialUpdate(row);
    }
  }

  std::optional<NaiveRow> Result() {
    if (spec_.ChoosesRows()) return chosen_;
    bool gone = deleted_ || (spec_.engine == MergeEngine::kPartialUpdate && !added_);
    row_.kind = gone ? RowKind::kDelete : RowKind::kInsert;
    return row_;
  }

  void AddAggregation(const NaiveRow& row) {
    row_.sequence = row.sequence;
    deleted_ = spec_.remove_on_delete && row.kind == RowKind::kDelete;
    for (idx_t i = 0; i < row.values.size(); i++) {
      Value& there = row_.values[i];
      there = deleted_          ? row.values[i]
              : IsAdd(row.kind) ? aggregates_[i].Add(there, row.values[i])
                                : aggregates_[i].Retract(there, row.values[i]);
    }
  }

  const SequenceGroup* GroupOf(idx_t field) const {
    for (const SequenceGroup& group : spec_.groups) {
      for (idx_t other : group.sequence) {
        if (other == field) return &group;
      }
      for (idx_t other : group.columns) {
        if (other == field) return &group;
      }
    }
    return nullptr;
  }

  /// Below, equal to or above zero; NULL is the least.
  static int Compare(const SequenceGroup& group, const NaiveRow& a, const NaiveRow& b) {
    for (idx_t i : group.sequence) {
      const Value &x = a.values[i], &y = b.values[i];
      if (x.IsNull() && y.IsNull()) continue;
      if (x.IsNull() || y.IsNull()) return x.IsNull() ? -1 : 1;
      if (x < y) return -1;
      if (y < x) return 1;
    }
    return 0;
  }

  void AddPartialUpdate(const NaiveRow& row) {
    deleted_ = false;
    if (!IsAdd(row.kind)) {
      if (!filled_) row_.values = row.values;
      filled_ = true;
      if (spec_.ignore_delete) return;
      row_.sequence = row.sequence;
      if (!spec_.groups.empty()) return RetractGroups(row);
      if (!spec_.remove_on_delete) Throw(ErrorCode::kData, "naive: no deletes");
      if (row.kind == RowKind::kDelete) {
        deleted_ = true;
        row_.values = row.values;
      }
      return;
    }
    row_.sequence = row.sequence;
    added_ = filled_ = true;
    NaiveRow before = row_;
    for (idx_t i = 0; i < row.values.size(); i++) {
      const SequenceGroup* group = GroupOf(i);
      Value& there = row_.values[i];
      if (group == nullptr) {
        there = aggregates_[i].Add(there, row.values[i]);
        continue;
      }
      if (IsEmpty(*group, row)) continue;
      bool is_newer = Compare(*group, row, before) >= 0;
      bool plain = spec_.columns[i].aggregate == Aggregate::kOverwrite;
      if (is_newer) {
        there = plain ? row.values[i] : aggregates_[i].Add(there, row.values[i]);
      } else if (!plain) {
        there = aggregates_[i].AddReversed(there, row.values[i]);
      }
    }
  }

  static bool IsEmpty(const SequenceGroup& group, const NaiveRow& row) {
    for (idx_t i : group.sequence) {
      if (!row.values[i].IsNull()) return false;
    }
    return true;
  }

  void RetractGroups(const NaiveRow& row) {
    NaiveRow before = row_;
    for (const SequenceGroup& group : spec_.groups) {
      if (row.kind != RowKind::kDelete || !group.removes_row || IsEmpty(group, row)) continue;
      if (Compare(group, row, before) < 0) continue;
      deleted_ = true;
      row_.values = row.values;
      return;
    }
    for (const SequenceGroup& group : spec_.groups) {
      if (IsEmpty(group, row)) continue;
      bool is_newer = Compare(group, row, before) >= 0;
      for (idx_t i : group.columns) {
        Value& there = row_.values[i];
        if (spec_.columns[i].aggregate != Aggregate::kOverwrite) {
          there = aggregates_[i].Retract(there, row.values[i]);
        } else if (is_newer) {
          there = Value(there.type());
        }
      }
      for (idx_t i : group.sequence) {
        if (is_newer) row_.values[i] = row.values[i];
      }
    }
  }

  const MergeSpec& spec_;
  const KeyValueLayout& layout_;
  std::vector<NaiveAggregate> aggregates_;
  NaiveRow row_;
  std::optional<NaiveRow> chosen_;
  bool deleted_ = false;
  bool added_ = false;
  bool filled_ = false;
};

}  // namespace millrace
