// cells.h - values as JSON and back, in the canonical form of the interoperation tests
// (java/interop/Cells.java says what it is and does the same).
#pragma once

#include <nlohmann/json.hpp>

#include "meta/data_type.h"

namespace millrace {

/// A value of DuckDB's type of `type`. Throws: std::exception for JSON of another form.
Value CellFromJson(const nlohmann::json& json, const DataType& type);
nlohmann::json CellToJson(const Value& value, const DataType& type);

}  // namespace millrace
