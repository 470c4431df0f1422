// duck_type_name.h - types as DuckDB's SQL names them.
#pragma once

#include "meta/data_type.h"

namespace millrace {

/// What a CAST to the DuckDB type that carries `type` says: kTimestampLtzAlias, a name of ours, is
/// in no catalog of DuckDB's.
std::string DuckTypeName(const DataType& type);

}  // namespace millrace
