// likely_values.h - makes a query's conditions likely over small tables: columns that it compares
// with constants get these constants, in most rows.
//
// At a small scale many benchmark queries find nothing at all, and two empty answers prove little.
#pragma once

#include "duckdb/main/connection.hpp"

namespace millrace {

/// By column name: the constants that the query compares it with, as SQL.
std::map<std::string, std::set<std::string>> ComparedConstants(duckdb::Connection& connection,
                                                               const std::string& sql);

/// A query over `source` whose columns have the constants in most rows, at random by `seed`.
std::string WithConstants(const std::map<std::string, std::set<std::string>>& constants,
                          const duckdb::vector<std::string>& names,
                          const duckdb::vector<duckdb::LogicalType>& types,
                          const std::string& source, uint64_t seed);

}  // namespace millrace
