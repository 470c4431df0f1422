// lake_sink.h - a lake table as a sink: exactly once by commit user and checkpoint, and the log
// half if it has one.
#pragma once

#include "stream/sink.h"
#include "table/table.h"

namespace millrace {

struct LakeSinkOptions {
  std::string user;    // Commit user: of this sink alone, stable over restarts.
  std::string group;   // Commit group: that of all sinks of the job.
  bool batch = false;  // One commit with the batch identifier.
  std::optional<OverwriteScope> overwrite = {};  // What the rows replace.
};

/// A sink into `table`. Primary-key tables take upserts; those with changelog-producer=input store
/// full changes if that is what comes. Append tables refuse all but new rows.
std::unique_ptr<Sink> MakeLakeSink(std::shared_ptr<const Table> table,
                                   const LakeSinkOptions& options);

}  // namespace millrace
