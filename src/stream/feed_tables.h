// feed_tables.h - tables of tests and benchmarks: what SQL finds as feed('<name>').
//
// They have columns and no rows: a Dataflow is compiled over them and given changes.
#pragma once

#include "catalog/scan_function.h"
#include "duckdb/function/table_function.hpp"
#include "duckdb/main/database.hpp"
#include "duckdb/main/extension/extension_loader.hpp"

namespace millrace {

/// The tables of a process, by name. Threads: one at a time.
class FeedTables {
 public:
  using Definition = std::shared_ptr<TableDefinition>;

  /// Makes the function known to a database.
  static void Register(duckdb::DatabaseInstance& database) {
    duckdb::ExtensionLoader loader(database, "feed_tables");
    duckdb::TableFunction feed = MakeScanFunction();
    feed.name = "feed";
    feed.arguments = {LogicalType::VARCHAR};
    feed.bind = Bind;
    loader.RegisterFunction(feed);
  }
  /// Adds a table, or takes the place of one of the same name.
  static void Add(const Definition& definition) { Known()[definition->path.name] = definition; }
  /// A table of BIGINT columns.
  static Definition OfNumbers(const std::string& name, const std::vector<std::string>& columns) {
    auto definition = std::make_shared<TableDefinition>();
    definition->path = {"bench", "bench", name};
    for (const std::string& column : columns) {
      ColumnDefinition made;
      made.name = column;
      made.type = ParseDataType("BIGINT");
      definition->columns.push_back(made);
    }
    return definition;
  }

 private:
  static std::map<std::string, Definition>& Known() {
    static std::map<std::string, Definition> known;
    return known;
  }
  static duckdb::unique_ptr<duckdb::FunctionData> Bind(duckdb::ClientContext&,
                                                       duckdb::TableFunctionBindInput& input,
                                                       duckdb::vector<LogicalType>& types,
                                                       duckdb::vector<std::string>& names) {
    auto data = duckdb::make_uniq<ScanBindData>();
    data->definition = Known().at(input.inputs[0].ToString());
    types = data->definition->ColumnTypes();
    names = data->definition->ColumnNames();
    return data;
  }
};

}  // namespace millrace
