// lake_sink.h - a lake table as a sink: exactly once by commit user and checkpoint, and the log
// half if it has one.
#pragma once

#include "stream/sink.h"
#include "table/table.h"

namespace millrace {

struct LakeSinkOptions {
  std::string user;        // Commit user: of this sink alone, stable over restarts.
  std::string group;       // Commit group: that of all sinks of the job.
  bool batch = false;      // One commit with the batch identifier.
  bool take_over = false;  // Commit what other jobs have left in the table's log.
  std::optional<OverwriteScope> overwrite = {};  // What the rows replace.
};

/// A sink into `table`. Primary-key tables take upserts; those with changelog-producer=input store
/// full changes if that is what comes. Append tables refuse all but new rows.
///
/// A streaming job shows its steps in the log before it commits them; in batch mode rows go into
/// the log when the commit is decided. Throws: Error(kConflict) when another job has left steps in
/// the log that are not in the files; those of INSERTs in batch mode are committed here.
std::unique_ptr<Sink> MakeLakeSink(std::shared_ptr<const Table> table,
                                   const LakeSinkOptions& options);

}  // namespace millrace
