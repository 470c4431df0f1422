// alter_table.h - publishes new versions of a table's schema.
//
// schema-N is created exclusively: of two ALTERs at once one makes its changes on top of the
// other's. Data files are not touched; they are read through the schema they were written with.
#pragma once

#include "meta/schema_change.h"
#include "table/table.h"

namespace millrace {

/// Says for the newest schema what to change. Asked again when another ALTER came first.
using ChangesForSchema = std::function<std::vector<SchemaChange>(const TableSchema&)>;

/// The schema that has been published; the newest one when there was nothing to change. `table`
/// names it in messages; `check` sees the next schema first and may throw.
/// Throws: Error(kNotFound) when there is no table; Error of ApplySchemaChanges;
/// Error(kUnsupported) when Millrace could read or write the table before, but not after.
std::shared_ptr<const TableSchema> AlterTableSchema(
    TableContext context, const std::string& folder, const std::string& table,
    const ChangesForSchema& changes, const std::function<void(const TableSchema&)>& check = {});

}  // namespace millrace
