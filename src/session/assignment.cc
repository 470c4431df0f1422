#include "session/assignment.h"

#include "base/error.h"
#include "meta/duck_type_name.h"
#include "meta/schema.h"

namespace millrace {

bool FitsInto(const LogicalType& from, const LogicalType& to) {
  if (from == to || from.id() == LogicalTypeId::SQLNULL) return true;
  auto family = [](const LogicalType& type) {
    if (type.IsNumeric()) return 1;
    switch (type.id()) {
      case LogicalTypeId::VARCHAR:
        return 2;
      case LogicalTypeId::DATE:
      case LogicalTypeId::TIMESTAMP:
      case LogicalTypeId::TIMESTAMP_NS:
      case LogicalTypeId::TIMESTAMP_MS:
      case LogicalTypeId::TIMESTAMP_SEC:
      case LogicalTypeId::TIMESTAMP_TZ:
        return 3;
      default:
        return 100 + static_cast<int>(type.id());
    }
  };
  return family(from) == family(to);
}

std::string AssignedText(const std::string& expression, const LogicalType& from,
                         const ColumnDefinition& column, const std::string& doing,
                         AssignmentCasts casts) {
  LogicalType type = column.type.ToDuck();
  if (casts == AssignmentCasts::kFamily && !FitsInto(from, type)) {
    Throw(ErrorCode::kInvalid,
          "{}: column '{}' is {}, the query gives {} there; CAST it in the query", doing,
          column.name, column.type.ToString(), from.ToString());
  }
  std::string text = expression;
  if (from != type) text = "CAST(" + text + " AS " + DuckTypeName(column.type) + ")";
  return column.default_value ? "COALESCE(" + text + ", " + AbsentText(column) + ")" : text;
}

std::string AbsentText(const ColumnDefinition& column) {
  std::string type = DuckTypeName(column.type);
  if (!column.default_value) return "NULL::" + type;
  Value value = DefaultValueOf(column.type, *column.default_value);
  return "CAST(" + value.ToSQLString() + " AS " + type + ")";
}

}  // namespace millrace
