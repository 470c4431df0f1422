// lake_sink.h - a lake table as a sink: exactly once by commit user and checkpoint, and the log
// half if it has one.
#pragma once

#include "stream/sink.h"
#include "table/table.h"

namespace millrace {

struct LakeSinkOptions {
  std::string job;     // Commit user, stable over restarts.
  bool batch = false;  // One commit with the batch identifier.
  bool overwrite = false;
};

/// A sink into `table`. Primary-key tables take upserts; those with changelog-producer=input store
/// full changes if that is what comes. Append tables refuse all but new rows.
std::unique_ptr<Sink> MakeLakeSink(std::shared_ptr<const Table> table,
                                   const LakeSinkOptions& options);

}  // namespace millrace
