// lake_source.h - all lake tables of a job as one source: full snapshots first, then every
// following change.
//
// Tables that one job writes form a commit group; this source advances them by complete groups
// together, so every cut it makes is one that the writer made (docs/ARCHITECTURE.md#cuts).
#pragma once

#include "catalog/catalog_store.h"
#include "stream/source.h"
#include "table/table.h"

namespace millrace {

/// Opens the lake table of a definition, its options (and hints) over the stored ones.
std::shared_ptr<const Table> OpenLakeTable(TableContext context, const TableDefinition& definition);

/// Which making of the lake table in `folder` this is: a table that was dropped and made anew is
/// another one. "" when there is none.
std::string LakeTableIdentity(FileSystem& files, const std::string& folder);

/// `bounded`: the snapshots that are there now (or that hints name), then the end.
/// Throws: Error(kUnsupported) for tables that cannot be followed, saying which option would allow
/// it.
std::unique_ptr<Source> MakeLakeSource(TableContext context, const std::vector<SourceTable>& tables,
                                       bool bounded);

}  // namespace millrace
