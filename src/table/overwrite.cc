#include "table/overwrite.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "meta/binary_row.h"
#include "table/manifest_store.h"

namespace millrace {

namespace {

/// NULL = NULL: the default partition is one partition.
bool SameValue(const Value& a, const Value& b) {
  if (a.IsNull() || b.IsNull()) return a.IsNull() == b.IsNull();
  return a == b;
}

}  // namespace

PartitionSpec MakePartitionSpec(const TableSchema& schema,
                                const std::map<std::string, Value>& values,
                                const std::string& doing) {
  if (schema.partition_keys.empty()) {
    Throw(ErrorCode::kInvalid, "{}: the table is not partitioned", doing);
  }
  PartitionSpec spec;
  std::vector<DataType> types;
  std::vector<Value> cast;
  for (const auto& [name, value] : values) {
    auto key =
        std::find_if(schema.partition_keys.begin(), schema.partition_keys.end(),
                     [&](const std::string& k) { return duckdb::StringUtil::CIEquals(k, name); });
    if (key == schema.partition_keys.end()) {
      Throw(ErrorCode::kInvalid, "{}: '{}' is not a partition column; they are {}", doing, name,
            fmt::join(schema.partition_keys, ", "));
    }
    DataType type = schema.fields[*schema.FindField(*key)].type.Nullable();
    Value typed;
    std::string message;
    if (!Value(value).DefaultTryCastAs(type.ToDuck(), typed, &message, true)) {
      Throw(ErrorCode::kInvalid, "{}: {} is no value of partition column '{}' ({})", doing,
            value.ToSQLString(), *key, type.ToString());
    }
    spec.columns.push_back(*key);
    types.push_back(type);
    cast.push_back(typed);
  }
  spec.values = EncodeRow(types, cast);
  return spec;
}

PartitionMatcher::PartitionMatcher(const TableSchema& schema,
                                   const std::vector<PartitionSpec>& specs)
    : types_(PartitionTypes(schema)) {
  for (const PartitionSpec& spec : specs) {
    std::vector<DataType> types;
    std::vector<Condition> conditions;
    for (const std::string& column : spec.columns) {
      auto key = std::find(schema.partition_keys.begin(), schema.partition_keys.end(), column);
      MILLRACE_CHECK(key != schema.partition_keys.end());
      conditions.push_back({static_cast<idx_t>(key - schema.partition_keys.begin()), Value()});
      types.push_back(types_[conditions.back().position].Nullable());
    }
    std::vector<Value> values = DecodeRow(types, spec.values);
    for (idx_t i = 0; i < values.size(); i++) conditions[i].value = values[i];
    alternatives_.push_back(std::move(conditions));
  }
}

bool PartitionMatcher::Matches(const RowBytes& partition) const {
  if (alternatives_.empty()) return true;
  std::vector<Value> values = DecodeRow(types_, partition);
  return std::any_of(alternatives_.begin(), alternatives_.end(), [&](const auto& conditions) {
    return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) {
      return SameValue(values[condition.position], condition.value);
    });
  });
}

}  // namespace millrace
