// lake_source.h - all lake tables of a job as one source: full snapshots first, then every
// following change.
//
// Tables that one job writes form a commit group; this source advances them by complete groups
// together, so every cut it makes is one that the writer made (docs/ARCHITECTURE.md#cuts).
#pragma once

#include "catalog/catalog_store.h"
#include "stream/lake_position.h"
#include "stream/source.h"
#include "table/table.h"

namespace millrace {

/// Opens the lake table of a definition, its options (and hints) over the stored ones.
std::shared_ptr<const Table> OpenLakeTable(TableContext context, const TableDefinition& definition);

/// Where old values of rows come from, when the table's files tell new ones only: 'state' (those
/// who follow it keep the last row of each key) or 'index' (each key that changed is looked up in
/// the table itself, indexed_changes.h).
inline constexpr const char* kOldValuesOption = "millrace.old-values";

/// `bounded`: the snapshots that are there now (or that hints name), then the end. Local copies of
/// files that are looked into lie below `index_folder`.
/// Throws: Error(kUnsupported) for tables that cannot be followed, saying which option would allow
/// it.
std::unique_ptr<Source> MakeLakeSource(TableContext context, const std::vector<SourceTable>& tables,
                                       bool bounded, const std::string& index_folder = "");

}  // namespace millrace
