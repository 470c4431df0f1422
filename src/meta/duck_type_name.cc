#include "meta/duck_type_name.h"

#include "duckdb/common/string_util.hpp"

namespace millrace {

std::string DuckTypeName(const DataType& type) {
  return duckdb::StringUtil::Replace(type.ToDuck().ToString(), kTimestampLtzAlias, "TIMESTAMP_NS");
}

}  // namespace millrace
