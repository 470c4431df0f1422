// data_type.h - Paimon's (= Flink's) logical types beside DuckDB's.
//
// A column keeps its Paimon type; DuckDB's follows from it (docs/ARCHITECTURE.md#types):
// TIMESTAMP(0-6) -> TIMESTAMP, (7-9) -> TIMESTAMP_NS; LTZ(0-6) -> TIMESTAMPTZ; MULTISET = MAP(T,
// INT). Text and JSON forms: docs/format.md#schema (DataTypeJsonParser.java).
#pragma once

#include "base/duck.h"

namespace millrace {

enum class TypeRoot : uint8_t {
  kBoolean,
  kTinyInt,
  kSmallInt,
  kInt,
  kBigInt,
  kFloat,
  kDouble,
  kDecimal,
  kChar,
  kVarChar,
  kBinary,
  kVarBinary,
  kDate,
  kTime,
  kTimestamp,
  kTimestampLtz,
  kArray,
  kMap,
  kMultiset,
  kRow,
};

inline constexpr int kMaxLength = 2147483647;  // VARCHAR(kMaxLength) is STRING, VARBINARY is BYTES.

/// Alias of the DuckDB type that carries TIMESTAMP_LTZ(7-9): TIMESTAMP_NS under this name.
inline constexpr const char* kTimestampLtzAlias = "TIMESTAMP_LTZ_NS";

struct DataField;

/// One type, nested types by value.
struct DataType {
  TypeRoot root = TypeRoot::kInt;
  bool nullable = true;
  int length = 0;  // Length (CHAR..VARBINARY) or precision (DECIMAL, TIME, TIMESTAMP*).
  int scale = 0;   // DECIMAL.
  std::vector<DataType> children;  // ARRAY, MULTISET: element. MAP: key, value.
  std::vector<DataField> fields;   // ROW.

  bool operator==(const DataType&) const;
  /// "DECIMAL(18, 2) NOT NULL", "ARRAY<INT>", "ROW<a INT, b STRING>": Flink's SQL form.
  std::string ToString() const;
  /// The DuckDB type that carries values of this type.
  LogicalType ToDuck() const;
  DataType NotNull() const;
  DataType Nullable() const;
};

/// A column of a table or a member of a ROW. `id` is for life; -1 = not yet given.
struct DataField {
  int id = -1;
  std::string name;
  DataType type;
  std::string description;
  std::optional<std::string> default_value;
  bool operator==(const DataField&) const = default;
};

/// Parses SQL text ("DECIMAL(18,2) NOT NULL", "TIMESTAMP_LTZ(3)", "ROW<a INT>", "INT ARRAY",
/// "STRING"). Throws: Error(kInvalid) naming the text and, for a near miss, the type that was
/// meant.
DataType ParseDataType(std::string_view text);

/// The Paimon type of a query's column; nullable. Error(kUnsupported) for types Paimon has not.
DataType DataTypeFromDuck(const LogicalType& type);

}  // namespace millrace
