// jdbc_table.h - what a `jdbc` table's definition says, checked, and its SQL.
#pragma once

#include "sql/connect/table_options.h"
#include "stream/connector.h"

namespace millrace {

/// Threads: immutable. Throws: the constructor, Error(kInvalid), Error(kUnsupported).
struct JdbcTable {
  explicit JdbcTable(const TableDefinition& definition);

  std::string name;  // Of our table, for messages.
  std::string path;  // Of the database file, absolute.
  std::string schema, table;
  int64_t timeout_ms;
  std::vector<DataField> fields;
  std::vector<idx_t> key;  // Indexes into `fields`.

  /// "schema"."table".
  std::string Target() const;
};

std::string QuotedName(const std::string& name);
std::string QuotedText(const std::string& text);

std::unique_ptr<Sink> MakeJdbcSink(Environment& environment, const TableDefinition& definition,
                                   const std::string& job);
std::unique_ptr<Source> MakeJdbcSource(Environment& environment, const SourceTable& table);

}  // namespace millrace
