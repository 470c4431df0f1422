// virtual_columns.h - computed columns and watermarks of lake tables, which a schema cannot hold.
//
// They travel in its options, as Flink's Paimon catalog does with its own `schema.` keys, and are
// taken out of the options again when the definition is read.
#pragma once

#include "catalog/catalog_store.h"

namespace millrace {

/// Moves computed columns and the watermark of `definition` into its options.
void HideVirtualParts(TableDefinition& definition);
/// The way back.
void ShowVirtualParts(TableDefinition& definition);

/// What `alteration` changes in `schema`: its own changes, and the options that hold the virtual
/// parts. Throws: Error(kNotFound, kExists) naming the column.
std::vector<SchemaChange> SchemaChangesOf(const TableSchema& schema, const ObjectPath& path,
                                          const TableAlteration& alteration);

}  // namespace millrace
