// assignment.h - which values may go into a column, and how they are cast.
#pragma once

#include "meta/table_definition.h"

namespace millrace {

/// Which values are cast when they are assigned.
enum class AssignmentCasts : uint8_t {
  kFamily,  // Flink's: FitsInto.
  kAny,     // DuckDB's: whatever can be cast.
};

/// Flink's implicit casts: within a family of types; anything may be NULL.
bool FitsInto(const LogicalType& from, const LogicalType& to);

/// DuckDB text of `expression`, whose type is `from`, as a value of `column`. Where the column has
/// a default, NULL becomes that, as in Paimon's writers. `doing`: "Updating 'a.b.c'". Throws:
/// Error(kInvalid) naming column and types.
std::string AssignedText(const std::string& expression, const LogicalType& from,
                         const ColumnDefinition& column, const std::string& doing,
                         AssignmentCasts casts);

/// What `column` gets from a row that gives no value: its default, or NULL.
std::string AbsentText(const ColumnDefinition& column);

}  // namespace millrace
