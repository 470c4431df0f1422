// table_check.h - for tests: whether the tables that a file leaves behind are whole.
#pragma once

#include <string>

namespace millrace {

/// What VERIFY finds wrong with the lake tables below `folder`, a line each: "table: file:
/// problem".
std::string FindWrongTables(const std::string& folder);

}  // namespace millrace
